"""RelaxedOneHotCategorical: a one-hot draw made continuous (Gumbel-softmax)."""
import math

from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.categorical import SUM_TOLERANCE
from course_lib.distributions.distribution import Distribution
from course_lib.distributions.relaxed_bernoulli import lowest
from course_lib.numerics import random, special
from course_lib.numerics.rowwise import Rowwise, log_softmax, row_sum, softmax
from course_lib.numerics.special import log, where


class LogProb(Rowwise):
    """log (K-1)! + (K-1) log t + sum_k (log softmax(w)_k - log x_k), with w = logit - t log x."""

    def value(self, t, logit, x):
        inside, _, log_x, w = _scores(t, logit, x)
        n = x.shape[-1]
        y = math.lgamma(n) + (n - 1) * log(t) + row_sum(log_softmax(w) - log_x)
        return where(inside, y, -math.inf)

    def partials(self, t, logit, x):
        inside, x, log_x, w = _scores(t, logit, x)
        n = x.shape[-1]
        expected = n * softmax(w)

        def in_t():
            return where(inside, (n - 1) / t + row_sum((expected - 1) * log_x), 0.)

        def in_logit():
            return where(inside, 1 - expected, 0.)

        def in_x():
            return where(inside, (t * (expected - 1) - 1) / x, 0.)

        return [in_t, in_logit, in_x]


class RelaxedOneHotCategorical(Distribution):
    r"""Relaxed one-hot categorical (concrete, Gumbel-softmax) distribution on the open simplex.

    .. math:: x = \mathrm{softmax}((l + G) / t), \qquad G_k \sim \mathrm{Gumbel}(0, 1)

    .. math:: p(x) = (K - 1)! \, t^{K - 1} \prod_k
              \frac{e^{l_k} x_k^{-t - 1}}{\sum_j e^{l_j} x_j^{-t}}

    As the temperature t goes to 0, samples move to the corners of the simplex and become draws of
    ``OneHotCategorical(logit=l)``; the largest entry is class k with probability softmax(l)_k at
    every temperature. Samples have no entry that is exactly 0, so that the density of one's own
    samples stays finite: in float32 none is below 1e-31.

    Args:
        temperature: t > 0; its shape broadcasts with ``batch_shape``.
        logit: Logits l of the classes, finite, of shape ``batch_shape + (K,)``.

    Raises:
        ValueError: If a parameter is out of its domain, the shapes do not broadcast, or ``logit``
            has no class axis.
        TypeError: If a parameter is not made of real numbers.

    Source: Maddison, Mnih and Teh (2017), The Concrete Distribution, eq. 10; Jang, Gu and Poole
    (2017), Categorical Reparameterization with Gumbel-Softmax, eq. 2.

    Example:
        >>> d = RelaxedOneHotCategorical(0.5, [0., 0., 0.])
        >>> f'{d.log_prob([0.2, 0.3, 0.5]).array:.4f}'
        '-0.5344'
    """

    domains = {'temperature': checks.positive, 'logit': checks.real}
    parameter_names = ('temperature', 'logit')
    support = 'open simplex'
    has_rsample = True
    _event_ndim = {'logit': 1}

    def __init__(self, temperature, logit):
        self._take(temperature=temperature, logit=logit)
        shape = self.logit.shape
        if not shape or not shape[-1]:
            raise ValueError('RelaxedOneHotCategorical: logit must have the classes, at least one, '
                             f'along its last axis; got shape {shape}')

    @property
    def temperature(self):
        """Temperature t."""
        return self._given['temperature']

    @property
    def logit(self):
        """Logits l of the classes."""
        return self._given['logit']

    @property
    def event_shape(self):
        return self.logit.shape[-1:]

    def log_prob(self, x):
        """log p(x) for x on the open simplex (sum 1 within 0.001); -inf for any other x.

        Why this form: each factor is the logarithm of a softmax, never of a power, because
        x_k^(-t-1) overflows float32 as soon as a sample gets near a corner.
        """
        return LogProb()(F.expand_dims(self.temperature, -1), self.logit, self._observe(x))

    def sample_n(self, n, rng=None):
        """softmax((l + G) / t) for Gumbel noise G; differentiable in both parameters."""
        shape = (n,) + self.batch_shape + self.event_shape
        u = random.uniform(self.xp, rng, shape, numpy.float64)
        noise = (-log(-log(u))).astype(self.dtype)
        x = softmax((self.logit + noise) / F.expand_dims(self.temperature, -1))
        return F.maximum(x, self.xp.full_like(x.array, lowest(self.dtype)))


def _scores(t, logit, x):
    """Which rows are inside; x (a harmless 1/K elsewhere), log x; and logit - t log x."""
    row = special.data(x)
    inside = ((row > 0).all(axis=-1, keepdims=True)
              & (abs(row_sum(row) - 1) <= SUM_TOLERANCE))
    x = where(inside, x, 1 / row.shape[-1])
    log_x = log(x)
    return inside, x, log_x, logit - t * log_x
