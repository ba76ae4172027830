"""Gamma: a positive quantity, such as the waiting time for k events."""
import math

import chainer

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import gamma, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import digamma_minus_log, itakura_saito, log_density, log_ratio
from course_lib.numerics.special import HALF_LOG_2PI, StirlingError, apply, log, sqrt, where


class _OfScaleOrRate(Elementwise):
    """A formula whose last input is the scale theta or, if ``is_rate``, the rate 1 / theta."""

    upcast = True

    def __init__(self, is_rate):
        super().__init__()
        self.is_rate = is_rate

    def standardise(self, x, s):
        """x / theta."""
        return x * s if self.is_rate else x / s


class Scaled(_OfScaleOrRate):
    """y theta."""

    def value(self, y, s):
        return y / s if self.is_rate else y * s

    def partials(self, y, s):
        return [lambda: 1 / s if self.is_rate else s, lambda: -y / s / s if self.is_rate else y]


class LogProb(_OfScaleOrRate):
    """log p(x; k, s) = log(t^(k-1) e^-t / Gamma(k)) - log theta, t = x / theta."""

    def _inside(self, x, s):
        t = self.standardise(x, s)
        return (t >= 0) & (t < math.inf)

    def value(self, x, k, s):
        xp = special.xp_of(x, k, s)
        inside = self._inside(x, s)
        t = xp.where(inside, self.standardise(x, s), 1)
        log_theta = -xp.log(s) if self.is_rate else xp.log(s)
        return xp.where(inside, log_density(k, t) - log_theta, -math.inf)

    def partials(self, x, k, s):
        inside = self._inside(special.data(x), special.data(s))
        x = where(inside, x, 1.)
        t = self.standardise(x, s)

        def in_x():
            # (k - 1) / x - 1 / theta, also where k = 1 and x = 0.
            flat = (special.data(x) == 0) & (special.data(k) == 1)
            inner = (k - 1 - t) / where(flat, 1., x)
            return where(inside, where(flat, -s if self.is_rate else -1 / s, inner), 0.)

        # log t - digamma(k), written as a difference of two small numbers.
        return [in_x,
                lambda: where(inside, log_ratio(t, k) - digamma_minus_log(k), 0.),
                lambda: where(inside, ((k - t) if self.is_rate else (t - k)) / s, 0.)]


class StandardEntropy(Elementwise):
    """H(k) = k + log Gamma(k) + (1 - k) digamma(k), the entropy for theta = 1."""

    upcast = True

    def value(self, k):
        # With delta = Stirling's error the terms of size k log k are gone:
        # log(2 pi e k) / 2 + delta(k) + (1 - k) delta'(k) - 1 / (2k).
        slope = StirlingError(1).on_arrays(k)
        return (0.5 * log(k) + HALF_LOG_2PI + 0.5 + special.stirling_error(k)
                + (1 - k) * slope - 0.5 / k)

    def partials(self, k):
        # 1 + (1 - k) trigamma(k)
        return [lambda: 0.5 / k + 0.5 / (k * k) + (1 - k) * apply(StirlingError(2), k)]


class Entropy(_OfScaleOrRate):
    """H(k) + log theta."""

    def value(self, k, s):
        return standard_entropy(k) + (-log(s) if self.is_rate else log(s))

    def partials(self, k, s):
        return [lambda: StandardEntropy().partials(k)[0](),
                lambda: -1 / s if self.is_rate else 1 / s]


def standard_entropy(k):
    """k + log Gamma(k) + (1 - k) digamma(k)."""
    return apply(StandardEntropy(), k)


class Cdf(_OfScaleOrRate):
    """P(k, x / theta), the regularised lower incomplete gamma function, or its complement Q."""

    def __init__(self, is_rate, node):
        super().__init__(is_rate)
        self.node = node

    def value(self, x, k, s):
        xp = special.xp_of(x, k, s)
        return self.node().value(k, xp.maximum(self.standardise(x, s), 0))

    def partials(self, x, k, s):
        inside = (special.data(x) >= 0) & (special.data(x) < math.inf)
        x = where(inside, x, 0.)
        t = self.standardise(x, s)
        in_k, in_t = self.node().partials(k, t)
        positive = inside & (special.data(x) > 0)
        t0 = where(positive, t, 1.)
        slope = self.node().partials(k, t0)[1]  # in t, finite
        return [lambda: where(inside, in_t() * (s if self.is_rate else 1 / s), 0.),
                lambda: where(positive, in_k(), 0.),
                lambda: where(positive, slope() * t0 / (s if self.is_rate else -s), 0.)]


class KL(Elementwise):
    """KL between Gammas with shapes k1, k2 and scales (or rates) s1, s2.

    With m = k1 theta1 / theta2, d(t, k) = t / k - 1 - log(t / k) and delta = Stirling's error:
    k2 d(m, k2) + d(k2, k1) / 2 + delta(k2) - delta(k1) - (k2 - k1) delta'(k1).
    """

    upcast = True

    def __init__(self, first_is_rate, second_is_rate):
        super().__init__()
        self.is_rate = first_is_rate, second_is_rate

    def _ratio(self, s1, s2):
        """theta1 / theta2 as numerator and denominator."""
        top, bottom = (1., s1) if self.is_rate[0] else (s1, 1.)
        return (top * s2, bottom) if self.is_rate[1] else (top, bottom * s2)

    def _mean_and_excess(self, k1, s1, k2, s2):
        """m = k1 theta1 / theta2, and m - k2; near equality from differences of what was given."""
        top, bottom = self._ratio(s1, s2)
        change = (top - bottom) / bottom
        m = k1 * (top / bottom)
        near = abs(special.data(change)) < 0.5
        return m, where(near, k1 * change + (k1 - k2), m - k2)

    def value(self, k1, s1, k2, s2):
        m, excess = self._mean_and_excess(k1, s1, k2, s2)
        # Three terms, none negative: the cancellation of the textbook form, in which lgamma and
        # digamma of the two shapes meet, has been done on paper.
        return (k2 * itakura_saito(m, k2, excess) + 0.5 * itakura_saito(k2, k1)
                + gamma.StirlingBregman().on_arrays(k1, k2))

    def partials(self, k1, s1, k2, s2):
        m, excess = self._mean_and_excess(k1, s1, k2, s2)

        def in_k1():
            return excess / k1 - (k2 - k1) * (0.5 / (k1 * k1) + apply(StirlingError(2), k1))

        def in_k2():
            return (0.5 * (k2 - k1) / k1 / k2 - log_ratio(m, k2, excess)
                    + apply(gamma.StirlingRise(), k1, k2, k2 - k1))

        signs = [-1 if is_rate else 1 for is_rate in self.is_rate]
        return [in_k1, lambda: signs[0] * excess / s1, in_k2, lambda: -signs[1] * excess / s2]


class Gamma(Distribution):
    r"""Gamma distribution on x > 0, with shape k and scale theta (or rate 1 / theta).

    .. math:: p(x) = \frac{x^{k-1} e^{-x/\theta}}{\Gamma(k)\,\theta^k}

    Args:
        k: Shape, above 0, any shape of array.
        theta: Scale, above 0. Either ``theta`` or ``rate``.
        rate: 1 / theta, above 0.

    Raises:
        ValueError: If both or neither of ``theta`` and ``rate`` are given, or a parameter is out of
            its domain.
        TypeError: If a parameter is missing or not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. B.26; samples and their
    gradients: Figurnov, Mohamed and Mnih (2018), Implicit Reparameterization Gradients.

    Example:
        >>> import numpy
        >>> p = Gamma(k=numpy.float32(1e6), rate=1.)
        >>> f'{float(p.log_prob(1e6).array):.5f}'   # the textbook formula gives -8 in float32
        '-7.82669'
    """

    domains = {'k': checks.positive, 'theta': checks.positive, 'rate': checks.positive}
    parameter_names = ('k', 'theta')
    support = 'positive'
    has_rsample = True

    def __init__(self, k, theta=None, rate=None):
        self._take(k=k, **self._exactly_one(theta=theta, rate=rate))

    @property
    def k(self):
        """Shape."""
        return self._given['k']

    @cached_property
    def theta(self):
        """Scale."""
        return self._given['theta'] if 'theta' in self._given else 1 / self.rate

    @cached_property
    def rate(self):
        """1 / theta."""
        return self._given['rate'] if 'rate' in self._given else 1 / self.theta

    # Exponential and Chisquare are Gammas too; these three say which.
    @property
    def _shape(self):
        return self.k

    @property
    def _is_rate(self):
        return 'theta' not in self._given

    @property
    def _scale_or_rate(self):
        return self.rate if self._is_rate else self.theta

    def _scaled(self, variable):
        return Scaled(self._is_rate)(variable, self._scale_or_rate)

    def log_prob(self, x):
        """log p(x); -inf for x < 0, and at 0 the limit (+inf for k < 1, -inf for k > 1).

        Why this form: for large k, (k - 1) log x, log Gamma(k) and x / theta are huge and cancel;
        Loader's saddle-point form never makes them; see :class:`gamma.LogDensity`.
        """
        return LogProb(self._is_rate)(self._observe(x), self._shape, self._scale_or_rate)

    def cdf(self, x):
        """P(k, x / theta), the regularised lower incomplete gamma function."""
        node = Cdf(self._is_rate, gamma.LowerIncomplete)
        return node(self._observe(x), self._shape, self._scale_or_rate)

    def survival_function(self, x):
        """Q(k, x / theta) = 1 - cdf(x), with the upper tail."""
        node = Cdf(self._is_rate, gamma.UpperIncomplete)
        return node(self._observe(x), self._shape, self._scale_or_rate)

    def icdf(self, x):
        """The quantile: the value below which a share x of the probability lies."""
        q = self._observe(x, domain=checks.probability)
        return self._scaled(gamma.LowerIncompleteInverse()(self._shape, q))

    def sample_n(self, n, rng=None):
        """Draws of Gamma variables, differentiable in all parameters.

        A draw too small for the dtype (four in ten at k = 0.01 in float32) is the smallest normal
        number instead of 0, so that its log_prob is finite; its gradient is 0.
        """
        y = self._scaled(special.exp(gamma.log_sample(self._full(self._shape), n, rng)))
        return gamma.representable(y, self.dtype)

    @cached_property
    def mean(self):
        """k theta."""
        return self._full(self._scaled(self._shape))

    @cached_property
    def variance(self):
        """k theta^2."""
        return self._full(self._scaled(self._scaled(self._shape)))

    @cached_property
    def stddev(self):
        """sqrt(k) theta."""
        return self._full(self._scaled(sqrt(self._shape)))

    @cached_property
    def mode(self):
        """(k - 1) theta for k >= 1; 0 for k < 1, where the density rises to infinity."""
        interior = self._shape.array > 1
        return self._full(self._scaled(where(interior, self._shape - 1, 0.)))

    @cached_property
    def entropy(self):
        """k + log theta + log Gamma(k) + (1 - k) digamma(k), in nats."""
        return self._full(Entropy(self._is_rate)(self._shape, self._scale_or_rate))


@chainer.register_kl(Gamma, Gamma)
def _kl_gamma_gamma(p, q):
    """The closed form; see :class:`KL`. Serves Exponential and Chisquare as well."""
    return KL(p._is_rate, q._is_rate)(p._shape, p._scale_or_rate, q._shape, q._scale_or_rate)
