"""Gumbel: the largest of many."""
import math

import chainer
import numpy
import scipy.special

from course_lib.distributions.distribution import cached_property
from course_lib.distributions.location_scale import LocationScale, ratio_excess
from course_lib.distributions.normal import Normal, kl_with_normal
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    apply,
    digamma,
    exp,
    expm1,
    expm1mx,
    lgamma,
    log,
    log1mexp,
    log1p,
    polygamma,
    polynomial,
    where,
)

EULER = 0.57721566490153286061


class LogProb(Elementwise):
    """log p(x) = -z - e^-z - log(scale) with z = (x - loc) / scale."""

    upcast = True

    def value(self, x, loc, scale):
        xp = special.xp_of(x)
        z = (x - loc) / scale
        # Far left e^-z is infinite whatever z is: cut z off there, since inf - inf is NaN.
        return -xp.maximum(z, -1e3) - xp.exp(-z) - xp.log(scale)

    def partials(self, x, loc, scale):
        z = (x - loc) / scale
        fall = expm1(-z)
        return [lambda: fall / scale, lambda: -fall / scale, lambda: -(1 + z * fall) / scale]


def _density(z):
    return exp(-z - exp(-z))


def _log_survival(z):
    xp = special.xp_of(z)
    # log(1 - e^-t) for t = e^-z; for z > 40 it is log t = -z to the last digit, even where t = 0.
    return xp.where(z > 40, -z, log1mexp(xp.exp(-xp.minimum(z, 40))))


def _log_survival_slope(z):
    z0 = special.data(z)
    t = exp(-where(abs(z0) < 700, z, special.xp_of(z0).sign(z0) * 700))
    return -t / expm1(t)


class Quantile(Elementwise):
    """The standard quantile, -log(-log p)."""

    upcast = True

    def value(self, p):
        xp = special.xp_of(p)
        return -xp.log(abs(xp.log(p)))

    def partials(self, p):
        p0 = where(special.data(p) > 0, p, 1.)    # infinitely steep at 0, as it is at 1
        return [lambda: 1 / (p0 * abs(log(p0)))]


class Gumbel(LocationScale):
    r"""Gumbel distribution, the limit law of the largest of many independent values.

    .. math:: \log p(x) = -z - e^{-z} - \log\eta, \qquad z = \frac{x - \mu}{\eta}

    Args:
        loc: Mode :math:`\mu`, any finite number, any shape.
        scale: :math:`\eta`, above 0, any shape.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Gumbel (1958), Statistics of Extremes, ch. 5.

    Example:
        >>> f'{Gumbel(0, 1).mean.array:.4f}'
        '0.5772'
    """

    def log_prob(self, x):
        """-z - e^-z - log(scale).

        Why this form: e^-z exceeds every number of the format far to the left, and -inf is then
        the right answer; it is z that must not be infinite beside it.
        """
        return LogProb()(self._observe(x), self.loc, self.scale)

    def cdf(self, x):
        """P(X <= x) = e^(-e^-z)."""
        return self._of_z(lambda z: exp(-exp(-z)), _density, x)

    def log_cdf(self, x):
        """-e^-z."""
        return self._of_z(lambda z: -exp(-z), lambda z: exp(-z), x)

    def survival_function(self, x):
        """P(X > x) = 1 - e^(-e^-z)."""
        return self._of_z(lambda z: -expm1(-exp(-z)), lambda z: -_density(z), x)

    def log_survival_function(self, x):
        """log(1 - e^(-e^-z)), about -z for large z."""
        return self._of_z(_log_survival, _log_survival_slope, x)

    def _quantile(self, p):
        return Quantile()(p)

    def _noise(self, rng, shape):
        # e^-z is exponential.
        size = random.draw(self.xp, rng, 'standard_exponential', size=shape)
        return -self.xp.log(self.xp.maximum(size, numpy.finfo(size.dtype).tiny))

    @cached_property
    def mean(self):
        """loc + 0.5772 scale (Euler's constant)."""
        return self._full(self.loc + EULER * self.scale)

    @cached_property
    def variance(self):
        """pi^2 scale^2 / 6."""
        return self._full(math.pi ** 2 / 6 * self.scale * self.scale)

    @cached_property
    def stddev(self):
        """pi scale / sqrt(6)."""
        return self._full(math.pi / math.sqrt(6) * self.scale)

    @cached_property
    def entropy(self):
        """log(scale) + 1 + 0.5772 (Euler's constant), in nats."""
        return self._full(log(self.scale) + (EULER + 1))


class LgammaCurvature(Elementwise):
    """lgamma(2 + u) - (1 - Euler) u, what is left of lgamma at 2 without its tangent; or its slope.

    Near u = 0 a series, NIST DLMF 5.7.3: the sum of (-1)^k (zeta(k) - 1) u^k / k from k = 2.
    """

    upcast = True
    ZETA = scipy.special.zetac(numpy.arange(2, 32)) * (-1.) ** numpy.arange(2, 32)

    def __init__(self, order=0):
        super().__init__()
        self.order = order

    def value(self, u):
        xp = special.xp_of(u)
        near = abs(u) < 0.5
        near_u, far_u = xp.where(near, u, 0), xp.where(near, 1, u)
        if self.order == 0:
            series = near_u * near_u * polynomial(near_u, list(self.ZETA / numpy.arange(2, 32)))
            return xp.where(near, series, lgamma(2 + far_u) - (1 - EULER) * far_u)
        series = near_u * polynomial(near_u, list(self.ZETA))
        return xp.where(near, series, digamma(2 + far_u) - (1 - EULER))

    def partials(self, u):
        if self.order == 0:
            return [lambda: apply(LgammaCurvature(1), u)]
        return [lambda: polygamma(1, 2 + u)]


class KLGumbelGumbel(Elementwise):
    """KL = a - log r + Euler (r - 1) + e^(lgamma(1 + r) - a) - 1.

    With r = scale1 / scale2 and a = (loc1 - loc2) / scale2; from E e^(-s z) = Gamma(1 + s).
    """

    upcast = True

    def _parts(self, loc1, scale1, loc2, scale2):
        u = (scale1 - scale2) / scale2
        a = (loc1 - loc2) / scale2
        curvature = apply(LgammaCurvature(), u)
        # lgamma(1 + r) around r = 1, or (as lgamma(2 + r) - log(1 + r)) around r = 0.
        small = special.data(u) < -0.5
        r = where(small, scale1 / scale2, 0.)
        around_0 = apply(LgammaCurvature(), r) + (1 - EULER) * r - log1p(r)
        return u, a, curvature, where(small, around_0, curvature + (1 - EULER) * u) - a

    def value(self, loc1, scale1, loc2, scale2):
        # Subtract from r, lgamma and exp their tangents at equality: three terms of second order
        # remain, none of them negative.
        _, _, curvature, t = self._parts(loc1, scale1, loc2, scale2)
        return ratio_excess(scale1, scale2) + curvature + expm1mx(t)

    def partials(self, loc1, scale1, loc2, scale2):
        u, a, _, t = self._parts(loc1, scale1, loc2, scale2)
        rise = expm1(t)
        bend = apply(LgammaCurvature(1), u)
        psi = bend + (1 - EULER)    # digamma(1 + r)
        r = scale1 / scale2
        return [lambda: -rise / scale2,
                lambda: ((scale1 - scale2) / scale1 + bend + rise * psi) / scale2,
                lambda: rise / scale2,
                lambda: (rise * (a - r * psi) - u - r * bend) / scale2]


@chainer.register_kl(Gumbel, Gumbel)
def _kl_gumbel_gumbel(p, q):
    """See :class:`KLGumbelGumbel`."""
    return KLGumbelGumbel()(p.loc, p.scale, q.loc, q.scale)


class KLGumbelNormal(Elementwise):
    """KL = pi^2 r^2 / 12 + q^2 / 2 - log r + log(2 pi) / 2 - 1 - Euler.

    With r = scale1 / scale2 and q = (mean of p - loc2) / scale2.
    """

    upcast = True

    def value(self, loc1, scale1, loc2, scale2):
        r = scale1 / scale2
        q = (loc1 - loc2) / scale2 + EULER * r
        return (math.pi ** 2 / 12 * r * r + 0.5 * q * q + (log(scale2) - log(scale1))
                + (HALF_LOG_2PI - 1 - EULER))

    def partials(self, loc1, scale1, loc2, scale2):
        r = scale1 / scale2
        q = (loc1 - loc2) / scale2 + EULER * r
        variance = math.pi ** 2 / 6 * r
        return [lambda: q / scale2,
                lambda: (variance + EULER * q) / scale2 - 1 / scale1,
                lambda: -q / scale2,
                lambda: (1 - r * variance - q * q) / scale2]


@chainer.register_kl(Gumbel, Normal)
def _kl_gumbel_normal(p, q):
    """See :class:`KLGumbelNormal`."""
    return kl_with_normal(KLGumbelNormal(), p, q)


class KLNormalGumbel(Elementwise):
    """KL = a + e^(r^2 / 2 - a) - log r - log(2 pi e) / 2; r = scale1 / scale2, a = d / scale2."""

    upcast = True

    def value(self, loc1, scale1, loc2, scale2):
        r, a = scale1 / scale2, (loc1 - loc2) / scale2
        return (a + exp(0.5 * r * r - a) + (log(scale2) - log(scale1)) - (HALF_LOG_2PI + 0.5))

    def partials(self, loc1, scale1, loc2, scale2):
        r, a = scale1 / scale2, (loc1 - loc2) / scale2
        rise = expm1(0.5 * r * r - a)
        return [lambda: -rise / scale2,
                lambda: r * (rise + 1) / scale2 - 1 / scale1,
                lambda: rise / scale2,
                lambda: (1 - r * r + rise * (a - r * r)) / scale2]


@chainer.register_kl(Normal, Gumbel)
def _kl_normal_gumbel(p, q):
    """E e^-z is the moment-generating function of a normal; see :class:`KLNormalGumbel`."""
    return kl_with_normal(KLNormalGumbel(), p, q)
