"""Normal: the bell curve."""
import functools
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import cached_property
from course_lib.distributions.location_scale import (
    LocationScale,
    NormalCurves,
    OfStandardized,
    ratio_excess,
    standardize,
)
from course_lib.numerics import random
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    cast,
    exp,
    exp_is_finite,
    log,
    ndtri,
    polynomial,
    vectorised_expm1,
)


class LogProbOfScale(Elementwise):
    """log p(x) = -z^2 / 2 - log(scale) - log(2 pi) / 2 with z = (x - loc) / scale."""

    def value(self, x, loc, scale):
        # Divided before it is squared: scale^2 underflows in float32 for scale < 1e-22.
        z = (x - loc) / scale
        y = -0.5 * z
        y *= z
        y -= log(scale)
        y -= HALF_LOG_2PI
        return y

    def partials(self, x, loc, scale):
        d = x - loc
        z = d / scale

        @functools.cache
        def in_loc():
            return z / scale

        # z^2 - 1 as (d - scale)(d + scale) / scale^2, which does not cancel near |z| = 1.
        return [lambda: -in_loc(), in_loc,
                lambda: (d - scale) / scale / scale * ((d + scale) / scale)]


class LogProbOfLogScale(Elementwise):
    """log p(x) = -z^2 / 2 - log_scale - log(2 pi) / 2 with z = (x - loc) e^-log_scale."""

    def value(self, x, loc, log_scale):
        z, _ = standardize(x, loc, log_scale)
        y = -0.5 * z
        y *= z
        y -= log_scale
        y -= HALF_LOG_2PI
        return y

    def partials(self, x, loc, log_scale):
        z, root = standardize(x, loc, log_scale)

        @functools.cache
        def in_loc():
            return z / root / root

        return [lambda: -in_loc(), in_loc, lambda: (z - 1) * (z + 1)]


class FromNoise(Elementwise):
    """loc + z e^log_scale for constant noise z."""

    def value(self, z, loc, log_scale):
        return loc + z * exp(log_scale)

    def partials(self, z, loc, log_scale):
        return [lambda: 1., lambda: z * exp(log_scale)]


class Normal(NormalCurves, LocationScale):
    r"""Normal (Gaussian) distribution.

    .. math:: \log p(x) = -\frac{z^2}{2} - \log\sigma - \frac{1}{2}\log 2\pi,
        \qquad z = \frac{x - \mu}{\sigma}

    Let a network output log_scale: any number is a valid one, and its gradient, z^2 - 1, has the
    same size whatever the scale.

    Args:
        loc: Mean :math:`\mu`, any finite number, any shape.
        scale: Standard deviation :math:`\sigma`, above 0, any shape. Either ``scale`` or
            ``log_scale``.
        log_scale: Its logarithm, any finite number, any shape.

    Raises:
        ValueError: If both or neither of ``scale`` and ``log_scale`` are given, or a parameter is
            out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. 1.46.

    Example:
        >>> import numpy
        >>> f'{Normal(0, numpy.float32(1e-25)).log_prob(2e-25).array:.4f}'
        '54.6457'
    """

    domains = {'loc': checks.real, 'scale': checks.positive, 'log_scale': checks.real}

    def __init__(self, loc, scale=None, log_scale=None):
        self._take(loc=loc, **self._exactly_one(scale=scale, log_scale=log_scale))

    @cached_property
    def scale(self):
        """The standard deviation."""
        return self._given['scale'] if 'scale' in self._given else exp(self.log_scale)

    @cached_property
    def log_scale(self):
        """The logarithm of the standard deviation."""
        return self._given['log_scale'] if 'log_scale' in self._given else log(self.scale)

    def log_prob(self, x):
        """-z^2 / 2 - log(scale) - log(2 pi) / 2.

        Why this form: (x - loc)^2 / scale^2 overflows or becomes 0/0 in float32 as soon as the
        scale leaves 1e-19 ... 1e19; z = (x - loc) / scale does not.
        """
        return self._sum_of_log_prob(x, 0)

    def _sum_of_log_prob(self, x, n_axes):
        node = LogProbOfScale if 'scale' in self._given else LogProbOfLogScale
        return node().summed(n_axes)(self._observe(x), *self._given.values())

    def _of_z(self, curve, slope, x):
        is_log = 'log_scale' in self._given
        node = OfStandardized(curve, slope, is_log)
        return node(self._observe(x), self.loc, self.log_scale if is_log else self.scale)

    def _quantile(self, p):
        return ndtri(p)

    def _noise(self, rng, shape):
        return random.draw(self.xp, rng, 'standard_normal', size=shape)

    def sample_n(self, n, rng=None):
        """loc + scale * z with a standard normal z: a gradient flows to both parameters."""
        if 'scale' in self._given:
            return super().sample_n(n, rng)
        noise = self._noise(random.generator(self.xp, rng), (n,) + self.batch_shape)
        return FromNoise(noise.astype(self.dtype))(self.loc, self.log_scale)

    @cached_property
    def mean(self):
        """loc."""
        return self._full(self.loc)

    @cached_property
    def variance(self):
        """scale^2."""
        return self._full(self.scale * self.scale)

    @cached_property
    def stddev(self):
        """scale."""
        return self._full(self.scale)

    @cached_property
    def entropy(self):
        """log(scale) + log(2 pi e) / 2, in nats."""
        return self._full(self.log_scale + (HALF_LOG_2PI + 0.5))


class KLOfScales(Elementwise):
    """KL = (r^2 - 1) / 2 - log(r) + q^2 / 2; r = scale1 / scale2, q = (loc1 - loc2) / scale2."""

    def value(self, loc1, scale1, loc2, scale2):
        # (r^2 - 1) / 2 - log r = u^2 / 2 + (r - 1 - log r) with u = r - 1: two terms of second
        # order near u = 0, instead of the difference of two of first order.
        u = (scale1 - scale2) / scale2
        q = (loc1 - loc2) / scale2
        return 0.5 * (u * u + q * q) + ratio_excess(scale1, scale2)

    def partials(self, loc1, scale1, loc2, scale2):
        u = (scale1 - scale2) / scale2
        q = (loc1 - loc2) / scale2
        return [lambda: q / scale2,
                lambda: (scale1 - scale2) / scale1 / scale2 * (1 + scale1 / scale2),
                lambda: -q / scale2,
                lambda: -(u * (2 + u) + q * q) / scale2]


class KLOfLogScales(Elementwise):
    """KL = (e^2d - 1 - 2d) / 2 + q^2 / 2; d = log_scale1 - log_scale2, q = (loc1 - loc2) / scale2.
    """

    # (e^2d - 1 - 2d) / (2 d^2) = sum of 2^(k + 1) d^k / (k + 2)!
    SERIES = [2 ** (k + 1) / math.factorial(k + 2) for k in range(14)]
    # Of degree 3 and right to 3e-7 on +-0.08: the first terms of the same in Chebyshev polynomials.
    SHORT_SERIES = numpy.polynomial.Polynomial(SERIES).convert(
        kind=numpy.polynomial.Chebyshev, domain=[-0.08, 0.08], window=[-1, 1]).truncate(4).convert(
        kind=numpy.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef.tolist()

    def _growth(self, d):
        """(e^2d - 1 - 2d) / 2 of an array: at small d its series, because the formula cancels."""
        # With d = c + r and c clipped to +-0.08: the series s of c, plus e^2c (e^2r - 1) / 2 - r,
        # which is exactly 0 where r is. Every element takes the same path: much faster than where.
        if not exp_is_finite(d):
            d = d.clip(-math.inf, 500)    # e^2d is infinite, and r is not
        c = d.clip(-0.08, 0.08)
        r = d - c
        s = polynomial(c, self.SHORT_SERIES if d.dtype == numpy.float32 else self.SERIES)
        s *= c
        s *= c
        c += s
        c += 0.5    # e^2c / 2
        y = vectorised_expm1(r)       # e^2r - 1 = y (y + 2), which overflows where the sum does
        c *= y
        y += 2
        y *= c
        y -= r
        y += s
        return y

    def value(self, loc1, log_scale1, loc2, log_scale2):
        q, _ = standardize(loc1, loc2, log_scale2)
        y = 0.5 * q
        y *= q
        return y + self._growth(log_scale1 - log_scale2)

    def partials(self, loc1, log_scale1, loc2, log_scale2):
        q, root = standardize(loc1, loc2, log_scale2)
        d = log_scale1 - log_scale2
        slope = vectorised_expm1(2 * d)
        in_loc = q / root / root
        return [lambda: in_loc,
                lambda: slope,
                lambda: -in_loc,
                lambda: -(slope + q * q)]


def _kl_normal_normal(p, q, n_summed=0):
    """log(scale2 / scale1) + (scale1^2 + (loc1 - loc2)^2) / (2 scale2^2) - 1/2."""
    if 'scale' in p._given and 'scale' in q._given:
        return KLOfScales().summed(n_summed)(p.loc, p.scale, q.loc, q.scale)
    return KLOfLogScales().summed(n_summed)(p.loc, p.log_scale, q.loc, q.log_scale)


_kl_normal_normal.can_sum = True   # over the last axes, as it goes; see Independent
chainer.register_kl(Normal, Normal)(_kl_normal_normal)


def kl_with_normal(node, p, q):
    """``node(loc1, scale1, loc2, scale2)`` for a pair of which one is a Normal."""
    kl = node(p.loc, wide_scale(p), q.loc, wide_scale(q))
    return cast(kl, numpy.result_type(p.dtype, q.dtype))


def wide_scale(p):
    """The scale; of a Normal with log_scale in float64, for e^-110 is 0 in float32."""
    if 'log_scale' in p._given:
        return exp(F.cast(p.log_scale, numpy.float64))
    return p.scale
