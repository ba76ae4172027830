"""Mixture: one of several distributions, chosen at random for every observation."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions.categorical import Categorical, logits
from course_lib.distributions.distribution import Distribution, as_array, cached_property
from course_lib.distributions.independent import dtype_of, sample_n_of
from course_lib.numerics import random, special
from course_lib.numerics.rowwise import Rowwise, log_mean_exp, softmax
from course_lib.numerics.special import expm1, where


class LogMixture(Rowwise):
    """log sum_k pi_k e^l_k for pi = softmax(w): the log-probability of a mixture."""

    def value(self, w, log_p):
        anchor, _, log_mean = log_mean_exp(w, log_p, _scores(w, log_p))
        return anchor + log_mean

    def partials(self, w, log_p):
        def posterior():
            """The probability of each component, given the observation; 0 if none is possible."""
            scores = _scores(w, log_p)
            possible = (special.data(scores) > -math.inf).any(axis=-1, keepdims=True)
            return where(possible, softmax(where(possible, scores, 0.)), 0.)

        def posterior_less_prior():
            anchor, d, log_mean = log_mean_exp(w, log_p, _scores(w, log_p))
            r = d - log_mean   # log of posterior / prior
            lower = special.data(r) < 0
            difference = where(lower, softmax(w), -posterior()) * expm1(where(lower, r, -r))
            return where(special.data(anchor) > -math.inf, difference, 0.)

        return [posterior_less_prior, posterior]


class Mixture(Distribution):
    r"""Mixture distribution: component k with probability pi_k = softmax(w)_k.

    .. math:: \log p(x) = \log \sum_k \pi_k \, p_k(x), \qquad \pi_k = e^{w_k} / \sum_j e^{w_j}

    The components are one batched distribution of any family, the last axis of whose batch runs
    over the components. For vector-valued observations wrap it in ``Independent`` first, so that
    one component is chosen for the whole vector.

    Samples do not carry a gradient: which component was drawn jumps with the weights.

    Args:
        weights_logit: Logits w of the components along the last axis, any number or -inf. Shape
            ``(..., K)``, where the rest broadcasts with the components' other batch axes.
        components (chainer.distribution.Distribution): Of ``batch_shape`` ``(..., K)``.

    Raises:
        ValueError: If the number of components differs from the number of weights, or the shapes
            do not broadcast, or a weight is out of its domain.
        TypeError: If ``components`` is not a distribution.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, sec. 2.3.9, eq. 2.193.

    Example:
        >>> import course_lib.distributions as D
        >>> m = D.Mixture([0., 0.], D.Normal(loc=[-100., 100.], scale=1.))
        >>> f'{m.log_prob(0.).array:.3f} {m.mean.array:.1f} {m.variance.array:.1f}'
        '-5000.919 0.0 10001.0'
    """

    domains = {'weights_logit': logits}
    _event_ndim = {'weights_logit': 1}

    def __init__(self, weights_logit, components):
        if not isinstance(components, chainer.distribution.Distribution):
            raise TypeError('Mixture: components must be a distribution; '
                            f'got {type(components).__name__}')
        self._take(weights_logit=weights_logit)
        self.components = components
        shape, batch = self.weights_logit.shape, components.batch_shape
        if not shape or not batch or not shape[-1] == batch[-1] > 0:
            raise ValueError(
                'Mixture: the last axes of weights_logit and of the batch of components must both '
                f'run over the components; got shape {shape} and batch_shape {batch}')
        try:
            self._batch_shape = numpy.broadcast_shapes(shape[:-1], batch[:-1])
        except ValueError:
            raise ValueError(f'Mixture: the shapes of weights_logit {shape} and of the batch of '
                             f'components {batch} do not broadcast') from None

    @property
    def weights_logit(self):
        """Logits of the components' probabilities."""
        return self._given['weights_logit']

    @property
    def event_shape(self):
        return self.components.event_shape

    @property
    def params(self):
        """dict: ``weights_logit`` and the parameters of the components."""
        return {'weights_logit': self.weights_logit, **self.components.params}

    @property
    def dtype(self):
        return numpy.result_type(self.weights_logit.dtype, dtype_of(self.components))

    @property
    def observed(self):
        return getattr(self.components, 'observed', None)

    @property
    def support(self):
        """str: The support of the components."""
        return self.components.support

    def log_prob(self, x):
        """log sum_k pi_k p_k(x).

        Why this form: 100 standard deviations from every component all p_k(x) are 0, their sum is
        0, and its logarithm has no gradient; the logarithms l_k are -5000, and serve.
        """
        return LogMixture()(self.weights_logit, self.components.log_prob(self._for_each(x)))

    def cdf(self, x):
        """sum_k pi_k P_k(X <= x)."""
        return self._expected(self.components.cdf(self._for_each(x)))

    def log_cdf(self, x):
        """log P(X <= x)."""
        return LogMixture()(self.weights_logit, self.components.log_cdf(self._for_each(x)))

    def survival_function(self, x):
        """sum_k pi_k P_k(X > x)."""
        return self._expected(self.components.survival_function(self._for_each(x)))

    def log_survival_function(self, x):
        """log P(X > x)."""
        return LogMixture()(self.weights_logit,
                            self.components.log_survival_function(self._for_each(x)))

    @cached_property
    def mean(self):
        """sum_k pi_k mean_k."""
        return self._average(self.components.mean, len(self.event_shape))

    @cached_property
    def variance(self):
        """sum_k pi_k (variance_k + (mean_k - mean)^2): the law of total variance."""
        n_event = len(self.event_shape)
        means = F.cast(self.components.mean, numpy.float64)
        mean = self._average(means, n_event, keep=True)
        return self._average(
            F.cast(self.components.variance, numpy.float64) + (means - mean) ** 2, n_event)

    def sample_n(self, n, rng=None):
        """A component for each draw, then that component's draw; without a gradient."""
        xp, n_event = self.xp, len(self.event_shape)
        rng = None if rng is None else random.generator(xp, rng)
        weights = xp.broadcast_to(self.weights_logit.array,
                                  self.batch_shape + self.weights_logit.shape[-1:])
        label = Categorical(logit=weights).sample_n(n, rng).array
        draws = self._draws_of_all(n, rng)
        index = xp.broadcast_to(label.reshape(label.shape + (1,) * (1 + n_event)),
                                label.shape + (1,) + self.event_shape)
        return chainer.Variable(
            xp.take_along_axis(draws, index, axis=-1 - n_event).squeeze(-1 - n_event))

    def _draws_of_all(self, n, rng):
        """Draws of every component, shape ``(n,) + batch_shape + (K,) + event_shape``.

        Where the components broadcast along a batch axis, each position gets draws of its own.
        """
        rest = self.components.batch_shape[-1:] + self.event_shape
        missing = len(self.batch_shape) + 1 - len(self.components.batch_shape)
        own = (1,) * missing + self.components.batch_shape[:-1]
        repeats = tuple(1 if a == b else b for a, b in zip(own, self.batch_shape))
        draws = sample_n_of(self.components, n * math.prod(repeats), rng).array
        ndim = len(own)
        pairs = [axis for i in range(ndim) for axis in (1 + i, 1 + ndim + i)]
        order = [0, *pairs, *range(1 + 2 * ndim, 1 + 2 * ndim + len(rest))]
        draws = draws.reshape((n,) + repeats + own + rest).transpose(order)
        return draws.reshape((n,) + self.batch_shape + rest)

    def _for_each(self, x):
        """The observation with an axis of length 1 for the components."""
        if not isinstance(x, chainer.Variable):
            x = as_array('Mixture', 'x', x, self.dtype, self.xp, promote=True)
        n_batch = len(x.shape) - len(self.event_shape)
        try:
            numpy.broadcast_shapes(x.shape, self.batch_shape + self.event_shape)
        except ValueError:
            n_batch = -1
        if n_batch < 0:
            raise ValueError(
                f'Mixture: x has shape {x.shape}, which does not broadcast with batch_shape '
                f'{self.batch_shape} + event_shape {self.event_shape}')
        return x.reshape(x.shape[:n_batch] + (1,) + x.shape[n_batch:])

    def _expected(self, values):
        dtype = numpy.result_type(values.dtype, self.dtype)
        return F.cast(self._average(values, keep=True)[..., 0], dtype)

    def _average(self, values, n_event=0, keep=False):
        """sum_k pi_k values_k, in float64; cast back unless the component axis is kept."""
        pi = softmax(F.cast(self.weights_logit, numpy.float64))
        pi = F.reshape(pi, pi.shape + (1,) * n_event)
        values = F.cast(values, numpy.float64)
        average = F.sum(pi * values, axis=-1 - n_event, keepdims=keep)
        return average if keep else F.cast(average, self.dtype)

    def __repr__(self):
        return f'{super().__repr__()[:-1]}, components={self.components!r})'


def _scores(w, log_p):
    """w + log p, the log-posterior but for a constant; -inf for a component that is impossible.

    A density that is +inf at the observation outweighs every other that is finite.
    """
    xp = special.xp_of(w, log_p)
    array = special.data(log_p)
    possible = (special.data(w) > -math.inf) & (array > -math.inf)
    pole = possible & (array == math.inf)
    eligible = xp.where(pole.any(axis=-1, keepdims=True), pole, possible)
    weight = where(special.data(w) > -math.inf, w, 0.)
    return where(eligible, weight + where(xp.isfinite(array), log_p, 0.), -math.inf)
