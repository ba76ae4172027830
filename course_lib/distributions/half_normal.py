"""HalfNormal: the absolute value of a normal variable with mean 0."""
import math

import chainer

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions.location_scale import Affine, OfStandardized
from course_lib.distributions.normal import KLOfScales
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    log,
    log1p,
    log_ndtr,
    ndtr,
    normal_hazard,
    where,
)

LOG_2 = math.log(2)


class LogProb(Elementwise):
    """log p(x) = -x^2 / (2 scale^2) - log(scale) + log(2 / pi) / 2 for x >= 0."""

    upcast = True

    def value(self, x, scale):
        z = x / scale
        return where(x >= 0, -0.5 * z * z - log(scale) + (LOG_2 - HALF_LOG_2PI), -math.inf)

    def partials(self, x, scale):
        inside = special.data(x) >= 0
        x0 = where(inside, x, 0.)
        return [lambda: -x0 / scale / scale,
                lambda: where(inside, (x0 - scale) / scale / scale * ((x0 + scale) / scale), 0.)]


def _density(z):
    return where(special.data(z) < 0, 0., 2 * special.normal_density(z))


def _cdf(z):
    return special.erf(where(z < 0, 0., z) * math.sqrt(0.5))


def _log_cdf(z):
    xp = special.xp_of(z)
    return xp.where(z < 1, xp.log(_cdf(z)), xp.log1p(-2 * ndtr(-z)))


def _log_cdf_slope(z):
    inside = special.data(z) > 0
    z0 = where(inside, z, 1.)
    return where(inside, _density(z0) / special.erf(z0 * math.sqrt(0.5)), 0.)


def _survival(z):
    return 2 * ndtr(-where(z < 0, 0., z))


def _log_survival(z):
    # Near 0 the cdf is the small one, and far out the survival function.
    return where(z < 1, log1p(-_cdf(z)), log_ndtr(-z) + LOG_2)


def _log_survival_slope(z):
    return where(special.data(z) < 0, 0., -normal_hazard(z))


class HalfNormal(Distribution):
    r"""Half-normal distribution: |x| for a normal x with mean 0; a prior for scales.

    .. math:: \log p(x) = -\frac{x^2}{2\sigma^2} - \log\sigma + \frac{1}{2}\log\frac{2}{\pi},
        \qquad x \ge 0

    Args:
        scale: Standard deviation :math:`\sigma` of the normal variable, above 0, any shape. (The
            standard deviation of the half-normal one is smaller, 0.6 of it.)

    Raises:
        ValueError: If the parameter is out of its domain.
        TypeError: If the parameter is not made of real numbers.

    Source: Gelman (2006), Prior distributions for variance parameters, Bayesian Analysis 1:515.

    Example:
        >>> f'{HalfNormal(1).log_prob(0).array:.4f}'
        '-0.2258'
    """

    domains = {'scale': checks.positive}
    parameter_names = ('scale',)
    support = 'non-negative'
    has_rsample = True

    def __init__(self, scale):
        self._take(scale=scale)

    @cached_property
    def scale(self):
        """The standard deviation of the normal variable."""
        return self._given['scale']

    def log_prob(self, x):
        """-z^2 / 2 - log(scale) + log(2 / pi) / 2 with z = x / scale; -inf for x < 0.

        Why this form: x is divided before it is squared, as scale^2 underflows for small scales.
        """
        return LogProb()(self._observe(x), self.scale)

    @cached_property
    def _zero(self):
        return self.xp.zeros((), self.dtype)

    def _of_z(self, curve, slope, x):
        return OfStandardized(curve, slope)(self._observe(x), self._zero, self.scale)

    def cdf(self, x):
        """P(X <= x) = erf(z / sqrt 2) = 2 Phi(z) - 1."""
        return self._of_z(_cdf, _density, x)

    def log_cdf(self, x):
        """log P(X <= x)."""
        return self._of_z(_log_cdf, _log_cdf_slope, x)

    def survival_function(self, x):
        """P(X > x) = 2 Phi(-z)."""
        return self._of_z(_survival, lambda z: -_density(z), x)

    def log_survival_function(self, x):
        """log 2 + log Phi(-z), finite however large x is."""
        return self._of_z(_log_survival, _log_survival_slope, x)

    def icdf(self, x):
        """The quantile sqrt(2) scale erf^-1(x) of a probability x."""
        x = self._observe(x, domain=checks.probability)
        return Affine()(math.sqrt(2) * special.erfinv(x), self._zero, self.scale)

    def sample_n(self, n, rng=None):
        """scale |eps| with standard normal eps: a gradient flows to the scale."""
        eps = random.normal(self.xp, rng, (n,) + self.batch_shape, self.dtype)
        return self.scale * abs(eps)

    @cached_property
    def mean(self):
        """scale sqrt(2 / pi)."""
        return self._full(math.sqrt(2 / math.pi) * self.scale)

    @cached_property
    def mode(self):
        """0."""
        return self._constant(0)

    @cached_property
    def variance(self):
        """scale^2 (1 - 2 / pi)."""
        return self._full((1 - 2 / math.pi) * self.scale * self.scale)

    @cached_property
    def stddev(self):
        """scale sqrt(1 - 2 / pi)."""
        return self._full(math.sqrt(1 - 2 / math.pi) * self.scale)

    @cached_property
    def entropy(self):
        """log(scale) + log(pi e / 2) / 2, in nats."""
        return self._full(log(self.scale) + (HALF_LOG_2PI - LOG_2 + 0.5))


@chainer.register_kl(HalfNormal, HalfNormal)
def _kl_half_normal_half_normal(p, q):
    """That of two normals with equal loc: both densities are doubled, their ratio is the same."""
    return KLOfScales()(p._zero, p.scale, q._zero, q.scale)
