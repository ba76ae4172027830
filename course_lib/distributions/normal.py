"""Normal: the bell curve."""
import math

import chainer

from course_lib.distributions import validation
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions.location_scale import OfStandardized, standardize
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI, exp, expm1, log, log1pmx, log_ndtr, ndtr, ndtri, normal_density, normal_hazard,
    polynomial, where)


class LogProbOfScale(Elementwise):
    """log p(x) = -z^2 / 2 - log(scale) - log(2 pi) / 2 with z = (x - loc) / scale."""

    def value(self, x, loc, scale):
        # Divided before it is squared: scale^2 underflows in float32 for scale < 1e-22.
        z = (x - loc) / scale
        y = -0.5 * z
        y *= z
        y -= log(scale) + HALF_LOG_2PI
        return y

    def partials(self, x, loc, scale):
        d = x - loc
        z = d / scale
        # z^2 - 1 as (d - scale)(d + scale) / scale^2, which does not cancel near |z| = 1.
        return [lambda: -z / scale,
                lambda: z / scale,
                lambda: (d - scale) / scale / scale * ((d + scale) / scale)]


class LogProbOfLogScale(Elementwise):
    """log p(x) = -z^2 / 2 - log_scale - log(2 pi) / 2 with z = (x - loc) e^-log_scale."""

    def value(self, x, loc, log_scale):
        z, _ = standardize(x, loc, log_scale)
        y = -0.5 * z
        y *= z
        y -= log_scale + HALF_LOG_2PI
        return y

    def partials(self, x, loc, log_scale):
        z, root = standardize(x, loc, log_scale)
        return [lambda: -z / root / root, lambda: z / root / root, lambda: (z - 1) * (z + 1)]


class Normal(Distribution):
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

    domains = {'loc': validation.real, 'scale': validation.positive, 'log_scale': validation.real}
    parameter_names = ('loc', 'scale')
    support = 'real'
    has_rsample = True

    def __init__(self, loc, scale=None, log_scale=None):
        self._exactly_one(scale=scale, log_scale=log_scale)
        self._take(loc=loc, scale=scale, log_scale=log_scale)

    @cached_property
    def loc(self):
        """The mean."""
        return self._given['loc']

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
        x = self._observe(x)
        if 'scale' in self._given:
            return LogProbOfScale()(x, self.loc, self.scale)
        return LogProbOfLogScale()(x, self.loc, self.log_scale)

    def _of_z(self, curve, slope, x):
        is_log = 'log_scale' in self._given
        node = OfStandardized(curve, slope, is_log)
        return node(self._observe(x), self.loc, self.log_scale if is_log else self.scale)

    def cdf(self, x):
        """P(X <= x) = Phi(z)."""
        return self._of_z(ndtr, normal_density, x)

    def log_cdf(self, x):
        """log Phi(z), finite however far x lies in the left tail."""
        return self._of_z(log_ndtr, lambda z: normal_hazard(-z), x)

    def survival_function(self, x):
        """P(X > x) = Phi(-z)."""
        return self._of_z(lambda z: ndtr(-z), lambda z: -normal_density(z), x)

    def log_survival_function(self, x):
        """log Phi(-z), finite however far x lies in the right tail."""
        return self._of_z(lambda z: log_ndtr(-z), lambda z: -normal_hazard(z), x)

    def icdf(self, x):
        """The quantile loc + scale Phi^-1(x) of a probability x."""
        x = self._observe(x, domain=validation.probability)
        return self.loc + self.scale * ndtri(x)

    def sample_n(self, n, rng=None):
        """loc + scale * eps with standard normal eps: a gradient flows to both."""
        eps = random.normal(self.xp, rng, (n,) + self.batch_shape, self.dtype)
        return self.loc + self.scale * eps

    @cached_property
    def mean(self):
        """loc."""
        return self._full(self.loc)

    @cached_property
    def mode(self):
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
        xp = special.xp_of(scale1)
        # Near r = 1, with u = r - 1, it is u^2 / 2 + (u - log1p(u)): two terms of second order
        # instead of the difference of two of first order.
        u = (scale1 - scale2) / scale2
        q = (loc1 - loc2) / scale2
        r = scale1 / scale2
        far = (0.5 * r) * r - 0.5 + (xp.log(scale2) - xp.log(scale1))
        near = 0.5 * u * u - log1pmx(u)
        return xp.where(abs(u) < 0.5, near, far) + 0.5 * q * q

    def partials(self, loc1, scale1, loc2, scale2):
        u = (scale1 - scale2) / scale2
        r = scale1 / scale2
        q = (loc1 - loc2) / scale2
        return [lambda: q / scale2,
                lambda: u * (1 + 1 / r) / scale2,
                lambda: -q / scale2,
                lambda: -(u * (1 + r) + q * q) / scale2]


class KLOfLogScales(Elementwise):
    """KL = (e^2d - 1 - 2d) / 2 + q^2 / 2; d = log_scale1 - log_scale2, q = (loc1 - loc2) / scale2.
    """

    # (e^2d - 1 - 2d) / (2 d^2) = sum of 2^(k + 1) d^k / (k + 2)!; 8 terms do for float32.
    SERIES = [2 ** (k + 1) / math.factorial(k + 2) for k in range(16)]

    def _growth(self, d):
        """(e^2d - 1 - 2d) / 2 of an array: at small d its series, because the formula cancels."""
        xp = special.xp_of(d)
        e = xp.exp(d)
        far = 0.5 * e
        far *= e
        far -= d
        far -= 0.5
        near = polynomial(d, self.SERIES[:8] if d.dtype == 'float32' else self.SERIES)
        near *= d
        near *= d
        return xp.where(abs(d) < 0.3, near, far)

    def value(self, loc1, log_scale1, loc2, log_scale2):
        q, _ = standardize(loc1, loc2, log_scale2)
        return self._growth(log_scale1 - log_scale2) + 0.5 * q * q

    def partials(self, loc1, log_scale1, loc2, log_scale2):
        q, root = standardize(loc1, loc2, log_scale2)
        slope = expm1(2 * (log_scale1 - log_scale2))
        return [lambda: q / root / root,
                lambda: slope,
                lambda: -q / root / root,
                lambda: -(slope + q * q)]


@chainer.register_kl(Normal, Normal)
def _kl_normal_normal(p, q):
    """log(scale2 / scale1) + (scale1^2 + (loc1 - loc2)^2) / (2 scale2^2) - 1/2."""
    if 'scale' in p._given and 'scale' in q._given:
        kl = KLOfScales()(p.loc, p.scale, q.loc, q.scale)
    else:
        kl = KLOfLogScales()(p.loc, p.log_scale, q.loc, q.log_scale)
    return kl
