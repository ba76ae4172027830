"""Functions of a standardised observation z = (x - loc) / scale, in which families agree."""
import numpy

from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions import validation
from course_lib.numerics import special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import exp, where


def standardize(x, loc, log_scale):
    """z = (x - loc) e^-log_scale, and the square root of the scale."""
    # e^-log_scale overflows in float32 for log_scale < -88 although z may not. Dividing twice by
    # the root overflows only where z^2 does; and as the root is never 0, x = loc gives 0, not NaN.
    root = exp(0.5 * log_scale)
    root += numpy.finfo(root.dtype).tiny
    return (x - loc) / root / root, root


class OfStandardized(Elementwise):
    """curve(z) with z = (x - loc) / scale: a cdf, a survival function, or the logarithm of one.

    Evaluated in float64: in the tails the relative error of z is multiplied by z^2 or e^z.

    Args:
        curve: A function of z.
        slope: Its derivative.
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
        finite = abs(special.data(z)) < float('inf')
        z = where(finite, z, 0.)
        slope = where(finite, self.slope(z), 0.)   # flat at infinity

        def in_x():
            return slope / root / root if self.is_log else slope / scale

        return [in_x, lambda: -in_x(),
                lambda: -slope * z if self.is_log else -slope * z / scale]


class LocationScale(Distribution):
    """x = loc + scale * z, where z has a fixed, standard distribution.

    A subclass defines the functions of z; see :class:`~course_lib.distributions.Laplace`.
    """

    domains = {'loc': validation.real, 'scale': validation.positive}
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
