"""What location-scale families share: x = loc + scale * z with a z that has no parameters."""
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    exp,
    log1pmx,
    log_ndtr,
    ndtr,
    normal_density,
    normal_hazard,
    where,
)


def standardize(x, loc, log_scale):
    """z = (x - loc) e^-log_scale, and the square root of the scale."""
    # e^-log_scale overflows in float32 for log_scale < -88 although z may not. Dividing twice by
    # the root overflows only where z^2 does; and as the root is never 0, x = loc gives 0, not NaN.
    root = exp(0.5 * log_scale)
    root += numpy.finfo(root.dtype).tiny
    return (x - loc) / root / root, root


def ratio_excess(a, b):
    """r - 1 - log(r) for the ratio r = a / b of two arrays of positive numbers; 0 where a = b."""
    xp = special.xp_of(a)
    # The difference a - b is exact where the ratio is close to 1, and r - 1 is not.
    u = (a - b) / b
    small = u < -0.5
    return xp.where(small, u - (xp.log(a) - xp.log(b)), -log1pmx(xp.where(small, 0, u)))


class OfStandardized(Elementwise):
    """curve(z) with z = (x - loc) / scale: a cdf, a survival function, or the logarithm of one.

    Evaluated in float64, because in the tails the relative error of the result is that of z many
    times over.

    Args:
        curve: A function of z, an array.
        slope: Its derivative, of an array or a variable.
        is_log (bool): Whether the third input is log_scale rather than scale.
    """

    upcast = True

    def __init__(self, curve, slope, is_log=False):
        super().__init__()
        self.curve = curve
        self.slope = slope
        self.is_log = is_log

    def value(self, x, loc, scale):
        z = standardize(x, loc, scale)[0] if self.is_log else (x - loc) / scale
        return self.curve(z)

    def partials(self, x, loc, scale):
        if self.is_log:
            z, root = standardize(x, loc, scale)
        else:
            z = (x - loc) / scale
        finite = abs(special.data(z)) < numpy.inf
        z = where(finite, z, 0.)
        slope = where(finite, self.slope(z), 0.)   # an infinite x is the flat end of the curve

        def in_x():
            return slope / root / root if self.is_log else slope / scale

        return [in_x, lambda: -in_x(), lambda: -slope * z if self.is_log else -slope * z / scale]


class Affine(Elementwise):
    """loc + scale z."""

    def value(self, z, loc, scale):
        return loc + scale * z

    def partials(self, z, loc, scale):
        return [lambda: scale, lambda: 1., lambda: z]


class LocationScale(Distribution):
    """Base of the families in which x = loc + scale * z with a z that has no parameters.

    A subclass gives ``_noise`` (draws of z) and ``_quantile`` (the quantile function of z).
    """

    domains = {'loc': checks.real, 'scale': checks.positive}
    parameter_names = ('loc', 'scale')
    support = 'real'
    has_rsample = True

    def __init__(self, loc, scale):
        self._take(loc=loc, scale=scale)

    @cached_property
    def loc(self):
        """The location."""
        return self._given['loc']

    @cached_property
    def scale(self):
        """The scale."""
        return self._given['scale']

    def _of_z(self, curve, slope, x):
        return OfStandardized(curve, slope)(self._observe(x), self.loc, self.scale)

    def icdf(self, x):
        """The quantile of a probability x: loc + scale * (quantile of z)."""
        x = self._observe(x, domain=checks.probability)
        return Affine()(self._quantile(x), self.loc, self.scale)

    def sample_n(self, n, rng=None):
        """loc + scale * z with a random z: a gradient flows to both parameters."""
        noise = self._noise(random.generator(self.xp, rng), (n,) + self.batch_shape)
        return Affine()(noise.astype(self.dtype), self.loc, self.scale)

    @cached_property
    def mode(self):
        """loc."""
        return self._full(self.loc)


class NormalCurves:
    """The distribution function and its kin of a family whose z is standard normal.

    The family says how an observation becomes z: ``_of_z(curve, slope, x)`` is ``curve(z)``, with
    ``slope`` the derivative of the curve.
    """

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
