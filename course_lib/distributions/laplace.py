"""Laplace: a two-sided exponential."""
import math

import chainer

from course_lib.distributions.distribution import cached_property
from course_lib.distributions.location_scale import LocationScale, ratio_excess
from course_lib.distributions.normal import Normal, kl_with_normal
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import HALF_LOG_2PI, exp, expm1, expm1mx, log, log1p, where

LOG_2 = math.log(2)


class LogProb(Elementwise):
    """log p(x) = -|x - loc| / scale - log(2 scale)."""

    upcast = True

    def value(self, x, loc, scale):
        return -abs(x - loc) / scale - log(scale) - LOG_2

    def partials(self, x, loc, scale):
        d = x - loc
        sign = special.xp_of(x).sign(special.data(d))
        return [lambda: -sign / scale,
                lambda: sign / scale,
                # |z| - 1 over a common denominator does not cancel near |z| = 1.
                lambda: (abs(d) - scale) / scale / scale]


def _half(z):
    return 0.5 * exp(-abs(z))


def _cdf(z):
    h = _half(z)
    return where(z < 0, h, 1 - h)


def _log_cdf(z):
    return where(z < 0, z - LOG_2, log1p(-_half(z)))


def _log_cdf_slope(z):
    h = _half(z)
    return where(special.data(z) < 0, 1., h / (1 - h))


class Quantile(Elementwise):
    """The standard quantile: log(2 p) below 1/2, and -log(2 (1 - p)) above."""

    upcast = True

    def value(self, p):
        xp = special.xp_of(p)
        # Each branch takes the logarithm of the tail itself; 1 - 2 p would round a small p away.
        return xp.where(p < 0.5, xp.log(2 * p), -xp.log(2 * (1 - p)))

    def partials(self, p):
        return [lambda: 1 / where(special.data(p) < 0.5, p, 1 - p)]


class Laplace(LocationScale):
    r"""Laplace distribution: its logarithm falls in two straight lines from loc.

    .. math:: \log p(x) = -\frac{|x - \mu|}{b} - \log 2b

    Args:
        loc: Mean, median and mode :math:`\mu`, any finite number, any shape.
        scale: Mean absolute deviation :math:`b`, above 0, any shape.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kotz and Balakrishnan (1995), Continuous Univariate Distributions 2, ch. 24.

    Example:
        >>> import numpy
        >>> f'{Laplace(0, 1).cdf(numpy.float32(-20)).array:.4g}'
        '1.031e-09'
    """

    def log_prob(self, x):
        """-|x - loc| / scale - log(2 scale).

        Why this form: the density e^-|z| underflows in float32 at |z| = 104, its logarithm never.
        """
        return LogProb()(self._observe(x), self.loc, self.scale)

    def cdf(self, x):
        """P(X <= x) = e^z / 2 for z < 0, and 1 - e^-z / 2 above."""
        return self._of_z(_cdf, _half, x)

    def log_cdf(self, x):
        """log P(X <= x): z - log 2 for z < 0."""
        return self._of_z(_log_cdf, _log_cdf_slope, x)

    def survival_function(self, x):
        """P(X > x), the cdf mirrored at loc."""
        return self._of_z(lambda z: _cdf(-z), lambda z: -_half(z), x)

    def log_survival_function(self, x):
        """log P(X > x): -z - log 2 for z > 0."""
        return self._of_z(lambda z: _log_cdf(-z), lambda z: -_log_cdf_slope(-z), x)

    def _quantile(self, p):
        return Quantile()(p)

    def _noise(self, rng, shape):
        # A sign and a magnitude, so that both tails reach as far as the exponential's.
        sign = random.draw(self.xp, rng, 'random', size=shape) < 0.5
        size = random.draw(self.xp, rng, 'standard_exponential', size=shape)
        return self.xp.where(sign, -size, size)

    @cached_property
    def mean(self):
        """loc."""
        return self._full(self.loc)

    @cached_property
    def variance(self):
        """2 scale^2."""
        return self._full(2 * self.scale * self.scale)

    @cached_property
    def stddev(self):
        """sqrt(2) scale."""
        return self._full(math.sqrt(2) * self.scale)

    @cached_property
    def entropy(self):
        """1 + log(2 scale), in nats."""
        return self._full(log(self.scale) + (1 + LOG_2))


def _laplace_cdf(x):
    """Chainer's function of the same name: the cdf for loc = 0 and scale = 1."""
    return Laplace(0., 1.).cdf(x)


def _laplace_icdf(x):
    """Chainer's function of the same name: the quantile function for loc = 0 and scale = 1."""
    return Laplace(0., 1.).icdf(x)


class KLLaplaceLaplace(Elementwise):
    """KL = (r - 1 - log r) + r (a - 1 + e^-a); r = scale1 / scale2, a = |loc1 - loc2| / scale1."""

    upcast = True

    def value(self, loc1, scale1, loc2, scale2):
        # Two terms, each 0 only at equality and none negative: nothing cancels.
        a = abs(loc1 - loc2) / scale1
        return ratio_excess(scale1, scale2) + scale1 / scale2 * expm1mx(-a)

    def partials(self, loc1, scale1, loc2, scale2):
        d = loc1 - loc2
        sign = special.xp_of(d).sign(special.data(d))
        a = abs(d) / scale1
        fall = -expm1(-a)
        # (1 + a) e^-a - 1, without cancellation at small a; at 50 it is -1 to the last digit.
        near = where(special.data(a) < 50, a, 50.)
        in_ratio = -exp(-near) * expm1mx(near)
        return [lambda: sign * fall / scale2,
                lambda: ((scale1 - scale2) / scale1 + in_ratio) / scale2,
                lambda: -sign * fall / scale2,
                lambda: -((scale1 - scale2) + scale1 * expm1mx(-a)) / scale2 / scale2]


@chainer.register_kl(Laplace, Laplace)
def _kl_laplace_laplace(p, q):
    """See :class:`KLLaplaceLaplace`."""
    return KLLaplaceLaplace()(p.loc, p.scale, q.loc, q.scale)


class KLLaplaceNormal(Elementwise):
    """KL = r^2 - log r + q^2 / 2 + log(pi / 2) / 2 - 1; r = scale1 / scale2, q = d / scale2."""

    upcast = True

    def value(self, loc1, scale1, loc2, scale2):
        r, q = scale1 / scale2, (loc1 - loc2) / scale2
        return r * r + 0.5 * q * q + (log(scale2) - log(scale1)) + (HALF_LOG_2PI - LOG_2 - 1)

    def partials(self, loc1, scale1, loc2, scale2):
        r, q = scale1 / scale2, (loc1 - loc2) / scale2
        return [lambda: q / scale2,
                lambda: 2 * r / scale2 - 1 / scale1,
                lambda: -q / scale2,
                lambda: (1 - 2 * r * r - q * q) / scale2]


@chainer.register_kl(Laplace, Normal)
def _kl_laplace_normal(p, q):
    """E (x - loc2)^2 = 2 scale1^2 + (loc1 - loc2)^2; see :class:`KLLaplaceNormal`."""
    return kl_with_normal(KLLaplaceNormal(), p, q)


class KLNormalLaplace(Elementwise):
    """KL = E|x - loc2| / scale2 + log(2 scale2 / scale1) - log(2 pi e) / 2.

    With a = (loc1 - loc2) / scale1, E|x - loc2| = scale1 (2 phi(a) + a erf(a / sqrt 2)), the mean
    of the folded Normal distribution (Leone, Nelson and Nottingham 1961, Technometrics 3:543).
    """

    upcast = True

    def value(self, loc1, scale1, loc2, scale2):
        a = (loc1 - loc2) / scale1
        folded = 2 * special.normal_density(a) + a * special.erf(a * math.sqrt(0.5))
        return (scale1 / scale2 * folded + (log(scale2) - log(scale1))
                + (LOG_2 - HALF_LOG_2PI - 0.5))

    def partials(self, loc1, scale1, loc2, scale2):
        a = (loc1 - loc2) / scale1
        erf = special.erf(a * math.sqrt(0.5))
        density = 2 * special.normal_density(a)
        return [lambda: erf / scale2,
                lambda: density / scale2 - 1 / scale1,
                lambda: -erf / scale2,
                lambda: (1 - scale1 / scale2 * (density + a * erf)) / scale2]


@chainer.register_kl(Normal, Laplace)
def _kl_normal_laplace(p, q):
    """See :class:`KLNormalLaplace`."""
    return kl_with_normal(KLNormalLaplace(), p, q)
