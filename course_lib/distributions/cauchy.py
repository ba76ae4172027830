"""Cauchy: tails so heavy that no mean exists."""
import math
import warnings

import chainer

from course_lib.distributions.distribution import cached_property
from course_lib.distributions.location_scale import LocationScale
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import apply, log, where

LOG_PI = math.log(math.pi)


def _fold(z):
    """z or 1 / z, whichever is at most 1 in size, and where it is 1 / z."""
    outside = abs(special.data(z)) > 1
    return where(outside, 1 / where(outside, z, 1.), z), outside


class LogProb(Elementwise):
    """log p(x) = -log(pi scale) - log(1 + z^2) with z = (x - loc) / scale."""

    upcast = True

    def value(self, x, loc, scale):
        xp = special.xp_of(x)
        z = (x - loc) / scale
        # log(1 + z^2) = 2 log|z| + log(1 + 1 / z^2): z^2 itself overflows.
        r, _ = _fold(z)
        return -2 * xp.log(xp.maximum(abs(z), 1)) - xp.log1p(r * r) - xp.log(scale) - LOG_PI

    def partials(self, x, loc, scale):
        # z / (1 + z^2) does not change when z becomes 1 / z, and (z^2 - 1) / (z^2 + 1) only its
        # sign: with r for z nothing overflows.
        r, outside = _fold((x - loc) / scale)
        pull = 2 * r / (1 + r * r) / scale
        return [lambda: -pull,
                lambda: pull,
                lambda: where(outside, 1., -1.) * (1 - r) * (1 + r) / (1 + r * r) / scale]


class Cdf(Elementwise):
    """The standard distribution function, 1/2 + arctan(z) / pi = atan2(1, -z) / pi."""

    def value(self, z):
        xp = special.xp_of(z)
        # As an angle measured from the other side, the left tail is small itself, not 1/2 - 1/2.
        return xp.arctan2(xp.ones_like(z), -z) / math.pi

    def partials(self, z):
        return [lambda: _density(z)]


def _density(z):
    return 1 / (math.pi * (1 + z * z))


def _cdf(z):
    return apply(Cdf(), z)


def _log_cdf(z):
    xp = special.xp_of(z)
    return xp.where(z < 0, xp.log(_cdf(z)), xp.log1p(-_cdf(-z)))


def _log_cdf_slope(z):
    return _density(z) / _cdf(z)


class Quantile(Elementwise):
    """The standard quantile, tan(pi (p - 1/2))."""

    upcast = True

    def value(self, p):
        xp = special.xp_of(p)
        # In the tails 1 / tan(pi p): p - 1/2 would round a small p away.
        below = p < 0.5
        tail = 1 / xp.tan(math.pi * xp.where(below, p, 1 - p))
        middle = xp.tan(math.pi * (p - 0.5))
        return xp.where(abs(p - 0.5) < 0.25, middle, xp.where(below, -tail, tail))

    def partials(self, p):
        def derivative():
            q = apply(Quantile(), p)
            return math.pi * (1 + q * q)
        return [derivative]


class Cauchy(LocationScale):
    r"""Cauchy distribution.

    .. math:: \log p(x) = -\log \pi\gamma - \log(1 + z^2), \qquad z = \frac{x - x_0}{\gamma}

    Args:
        loc: Median and mode :math:`x_0`, any finite number, any shape.
        scale: Half the interquartile range :math:`\gamma`, above 0, any shape.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, ch. 16.

    Example:
        >>> import numpy
        >>> f'{Cauchy(0, 1).icdf(numpy.float32(1e-8)).array:.4g}'
        '-3.183e+07'
    """

    def log_prob(self, x):
        """-log(pi scale) - log(1 + z^2).

        Why this form: for |z| > 1 it is -2 log|z| - log(1 + 1 / z^2), as z^2 overflows in float32
        for an outlier at 1e20, and outliers are what this distribution is for.
        """
        return LogProb()(self._observe(x), self.loc, self.scale)

    def cdf(self, x):
        """P(X <= x) = 1/2 + arctan(z) / pi."""
        return self._of_z(_cdf, _density, x)

    def log_cdf(self, x):
        """log P(X <= x)."""
        return self._of_z(_log_cdf, _log_cdf_slope, x)

    def survival_function(self, x):
        """P(X > x) = 1/2 - arctan(z) / pi."""
        return self._of_z(lambda z: _cdf(-z), lambda z: -_density(z), x)

    def log_survival_function(self, x):
        """log P(X > x)."""
        return self._of_z(lambda z: _log_cdf(-z), lambda z: -_log_cdf_slope(-z), x)

    def _quantile(self, p):
        return Quantile()(p)

    def _noise(self, rng, shape):
        # The ratio of two standard normals; its tails are not cut by the spacing of a uniform.
        above = random.draw(self.xp, rng, 'standard_normal', size=shape)
        return above / random.draw(self.xp, rng, 'standard_normal', size=shape)

    def _undefined(self, what):
        warnings.warn(f'{what} of the Cauchy distribution is undefined.', RuntimeWarning)
        return self._constant(math.nan)

    @cached_property
    def mean(self):
        """Undefined: NaN, with a ``RuntimeWarning``, as in Chainer."""
        return self._undefined('Mean')

    @cached_property
    def variance(self):
        """Undefined: NaN, with a ``RuntimeWarning``, as in Chainer."""
        return self._undefined('Variance')

    @cached_property
    def entropy(self):
        """log(4 pi scale), in nats."""
        return self._full(log(self.scale) + math.log(4 * math.pi))


class KLCauchyCauchy(Elementwise):
    """KL = log(((scale1 + scale2)^2 + (loc1 - loc2)^2) / (4 scale1 scale2)).

    Source: Chyzak and Nielsen (2019), A closed-form formula for the Kullback-Leibler divergence
    between Cauchy distributions, arXiv:1905.10965, theorem 1.
    """

    upcast = True

    def value(self, loc1, scale1, loc2, scale2):
        # The fraction is 1 + ((scale1 - scale2)^2 + (loc1 - loc2)^2) / (4 scale1 scale2).
        d, e = loc1 - loc2, scale1 - scale2
        return special.log1p(0.25 * (d / scale1 * (d / scale2) + e / scale1 * (e / scale2)))

    def partials(self, loc1, scale1, loc2, scale2):
        total = scale1 + scale2
        t, u = (loc1 - loc2) / total, (scale1 - scale2) / total
        n = 1 + t * t
        return [lambda: 2 * t / n / total,
                lambda: (u - t * t) / n / scale1,
                lambda: -2 * t / n / total,
                lambda: -(u + t * t) / n / scale2]


@chainer.register_kl(Cauchy, Cauchy)
def _kl_cauchy_cauchy(p, q):
    """See :class:`KLCauchyCauchy`."""
    return KLCauchyCauchy()(p.loc, p.scale, q.loc, q.scale)
