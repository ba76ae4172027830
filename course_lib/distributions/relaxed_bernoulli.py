"""RelaxedBernoulli: a coin flip made continuous, so that gradients flow through its samples."""
import math

import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    exp,
    log,
    log1p,
    log_sigmoid,
    logit,
    sigmoid,
    softplus,
    tanh,
    where,
)


class LogProb(Elementwise):
    """log p(x; t, z) = log t - |u| - 2 log(1 + e^-|u|) - log x - log(1 - x), u = t logit(x) - z."""

    upcast = True

    def value(self, t, z, x):
        inside, x, log_x, log_rest, u = _scores(t, z, x)
        s = where(u > 0, -1, 1)
        # u is t (log x - log(1 - x)) - z, so in a corner |u| cancels against log x. Collected by
        # logarithm, nothing is left to cancel: for t = 1 the coefficient of log x is exactly 0.
        y = ((s * t - 1) * log_x - (s * t + 1) * log_rest - s * z
             + log(t) - 2 * softplus(-abs(u)))
        return where(inside, y, -math.inf)

    def partials(self, t, z, x):
        inside, x, log_x, log_rest, u = _scores(t, z, x)

        def in_t():
            return where(inside, 1 / t - tanh(u / 2) * (log_x - log_rest), 0.)

        def in_z():
            return where(inside, tanh(u / 2), 0.)

        def in_x():
            # (2x - 1 - t tanh(u/2)) / (x (1 - x)), counted from the corner that u points to.
            left = special.data(u) <= 0
            s, distance = where(left, 1., -1.), where(left, x, 1 - x)
            slope = t - 1 + 2 * distance - 2 * t * sigmoid(where(left, u, -u))
            return where(inside, s * slope / (x * (1 - x)), 0.)

        return [in_t, in_z, in_x]


class OfScore(Elementwise):
    """curve(u), u = t logit(x) - z: a cdf, a survival function, or the logarithm of one.

    Args:
        curve: A function of u, an array.
        slope: Its derivative, of an array or a variable.
    """

    upcast = True

    def __init__(self, curve, slope):
        super().__init__()
        self.curve, self.slope = curve, slope

    def value(self, t, z, x):
        inside, _, _, _, u = _scores(t, z, x)
        return self.curve(where(inside, u, where(x <= 0, -math.inf, math.inf)))

    def partials(self, t, z, x):
        inside, x, log_x, log_rest, u = _scores(t, z, x)
        slope = where(inside, self.slope(u), 0.)
        return [lambda: slope * (log_x - log_rest), lambda: -slope,
                lambda: slope * t / (x * (1 - x))]


class Quantile(Elementwise):
    """sigmoid(y) with y = (z + logit(p)) / t."""

    upcast = True

    def value(self, t, z, p):
        return sigmoid((z + logit(p)) / t)

    def partials(self, t, z, p):
        y = (z + logit(p)) / t
        finite = abs(special.data(y)) < math.inf

        def in_y():
            return where(finite, _bump(y), 0.)

        def in_p():
            # in_y / (t p (1 - p)), which at p = 0 and p = 1 is 0 / 0, collected by logarithm.
            left = special.data(y) <= 0
            a, w, size = where(left, z, -z), where(left, p, 1 - p), where(left, -y, y)
            power = 1 / t - 1
            zero_to_0 = (special.data(power) == 0) & (special.data(w) == 0)
            log_w = log(where(zero_to_0, 1., w))
            near = exp(a / t + power * log_w - (1 / t + 1) * log1p(-w))
            return near * sigmoid(size) * sigmoid(size) / t

        return [lambda: -in_y() * where(finite, y, 0.) / t, lambda: in_y() / t, in_p]


class OpenSigmoid(Elementwise):
    """sigmoid(y), kept off 0 and 1 by the smallest step that the dtype can make."""

    def __init__(self, dtype):
        super().__init__()
        self.low, self.high = lowest(dtype), 1 - float(numpy.finfo(dtype).epsneg)

    def value(self, y):
        return special.xp_of(y).clip(sigmoid(y), self.low, self.high)

    def partials(self, y):
        return [lambda: _bump(y)]


class RelaxedBernoulli(Distribution):
    r"""Relaxed Bernoulli (binary concrete) distribution on the open interval (0, 1).

    .. math:: x = \mathrm{sigmoid}((z + L) / t), \qquad L \sim \mathrm{Logistic}(0, 1)

    .. math:: \log p(x) = \log t + u - 2 \log(1 + e^u) - \log x - \log(1 - x), \qquad
              u = t \, \mathrm{logit}(x) - z

    As the temperature t goes to 0, samples move to the ends of the interval and become draws of
    ``Bernoulli(logit=z)``: P(x > 1/2) = sigmoid(z) at every temperature. t around 1/2 is usual.

    Samples are never exactly 0 or 1: what would round there becomes the next number inside, so
    that the density of one's own samples stays finite. In float32 that is 1 - 6e-8, reached as
    soon as (z + L) / t > 17; below t = 0.1, work in float64 or with the cdf instead of the density.

    Args:
        temperature: t > 0, any shape.
        logit: Log-odds z of the coin, any finite number, any shape.

    Raises:
        ValueError: If a parameter is out of its domain or the shapes do not broadcast.
        TypeError: If a parameter is not made of real numbers.

    Source: Maddison, Mnih and Teh (2017), The Concrete Distribution, appendix B, eq. 25; Jang, Gu
    and Poole (2017), Categorical Reparameterization with Gumbel-Softmax.

    Example:
        In a corner the density of temperature 1/2 grows as 1 / (2 sqrt(x)).

        >>> f'{RelaxedBernoulli(0.5, 0.).log_prob(1e-30).array:.5f}'
        '33.84563'
    """

    domains = {'temperature': checks.positive, 'logit': checks.real}
    parameter_names = ('temperature', 'logit')
    support = '(0, 1)'
    has_rsample = True

    def __init__(self, temperature, logit):
        self._take(temperature=temperature, logit=logit)

    @property
    def temperature(self):
        """Temperature t."""
        return self._given['temperature']

    @property
    def logit(self):
        """Log-odds z."""
        return self._given['logit']

    def log_prob(self, x):
        """log p(x) for 0 < x < 1; -inf for any other x, 0 and 1 included.

        Why this form: the logarithms of x and 1 - x are collected before anything is added,
        because near the corners, where samples gather, they cancel; see :class:`LogProb`.
        """
        return LogProb()(self.temperature, self.logit, self._observe(x))

    def cdf(self, x):
        """P(X <= x) = sigmoid(t logit(x) - z)."""
        return self._of_score(sigmoid, _bump, x)

    def log_cdf(self, x):
        """log P(X <= x)."""
        return self._of_score(log_sigmoid, lambda u: sigmoid(-u), x)

    def survival_function(self, x):
        """P(X > x) = sigmoid(z - t logit(x))."""
        return self._of_score(lambda u: sigmoid(-u), lambda u: -_bump(u), x)

    def log_survival_function(self, x):
        """log P(X > x)."""
        return self._of_score(lambda u: log_sigmoid(-u), lambda u: -sigmoid(u), x)

    def _of_score(self, curve, slope, x):
        return OfScore(curve, slope)(self.temperature, self.logit, self._observe(x))

    def icdf(self, u):
        """sigmoid((z + logit(u)) / t), for 0 <= u <= 1."""
        return Quantile()(self.temperature, self.logit, self._observe(u, 'u', checks.probability))

    def sample_n(self, n, rng=None):
        """sigmoid((z + L) / t) for logistic noise L; differentiable in both parameters."""
        u = random.uniform(self.xp, rng, (n,) + self.batch_shape, numpy.float64)
        noise = logit(u).astype(self.dtype)
        return OpenSigmoid(self.dtype)((self.logit + noise) / self.temperature)


def lowest(dtype):
    """A number near 0 whose reciprocal is far from overflowing, to keep relaxed samples above."""
    info = numpy.finfo(dtype)
    return float(info.tiny) if dtype == numpy.float16 else float(info.tiny) / float(info.eps)


def _bump(u):
    """The derivative of the sigmoid."""
    return sigmoid(u) * sigmoid(-u)


def _scores(t, z, x):
    """Where x is inside; x (1/2 elsewhere), log x, log(1 - x); and u = t logit(x) - z."""
    inside = (special.data(x) > 0) & (special.data(x) < 1)
    x = where(inside, x, 0.5)
    log_x, log_rest = log(x), log1p(-x)
    return inside, x, log_x, log_rest, t * (log_x - log_rest) - z
