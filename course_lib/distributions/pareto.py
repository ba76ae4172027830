"""Pareto: incomes, city sizes and other quantities with a power-law tail."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import itakura_saito, log_ratio, representable
from course_lib.numerics.special import exp, expm1, log, log1mexp, log1p, sqrt, where


def _inside(x, scale):
    x, scale = special.data(x), special.data(scale)
    return (x >= scale) & (x < math.inf)


class LogProb(Elementwise):
    """log p(x; scale, alpha) = log(alpha / x) - alpha log(x / scale), for x >= scale."""

    upcast = True

    def value(self, x, scale, alpha):
        xp = special.xp_of(x, scale, alpha)
        inside = _inside(x, scale)
        x = xp.where(inside, x, scale)
        # alpha log(scale) - (alpha + 1) log(x) would cancel for x near scale and large alpha.
        return xp.where(inside, xp.log(alpha / x) - alpha * log_ratio(x, scale), -math.inf)

    def partials(self, x, scale, alpha):
        inside = _inside(x, scale)
        x = where(inside, x, scale)
        return [lambda: where(inside, -(alpha + 1) / x, 0.),
                lambda: where(inside, alpha / scale, 0.),
                lambda: where(inside, 1 / alpha - log_ratio(x, scale), 0.)]


class _OfExponent(Elementwise):
    """A function of z = alpha log(x / scale), which is exponential; constant below the scale."""

    upcast = True

    def value(self, x, scale, alpha):
        xp = special.xp_of(x, scale, alpha)
        return self.of(alpha * log_ratio(xp.maximum(x, scale), scale))

    def partials(self, x, scale, alpha):
        inside = _inside(x, scale)
        above = inside & (special.data(x) > special.data(scale))
        # The three derivatives of z, with x moved to where they are finite.
        x0, x1 = where(inside, x, scale), where(above, x, 2 * scale)
        z0, z1 = alpha * log_ratio(x0, scale), alpha * log_ratio(x1, scale)
        return [lambda: where(inside, self.slope(z0) * (alpha / x0), 0.),
                lambda: where(inside, -self.slope(z0) * (alpha / scale), 0.),
                lambda: where(above, self.slope(z1) * log_ratio(x1, scale), 0.)]


class Cdf(_OfExponent):
    """1 - e^-z."""

    def of(self, z):
        return -expm1(-z)

    def slope(self, z):
        return exp(-z)


class LogCdf(_OfExponent):
    """log(1 - e^-z)."""

    def of(self, z):
        return log1mexp(z)

    def slope(self, z):
        return 1 / expm1(z)


class Survival(_OfExponent):
    """e^-z."""

    def of(self, z):
        return exp(-z)

    def slope(self, z):
        return -exp(-z)


class LogSurvival(_OfExponent):
    """-z."""

    def of(self, z):
        return -z

    def slope(self, z):
        return -1 + 0 * z


class Quantile(Elementwise):
    """scale e^(e / alpha), e being a standard exponential draw or -log(1 - q)."""

    upcast = True

    def value(self, e, scale, alpha):
        return scale * exp(e / alpha)

    def partials(self, e, scale, alpha):
        def growth():
            return exp(e / alpha)
        return [lambda: scale * growth() / alpha, growth,
                lambda: -scale * growth() * e / alpha / alpha]


class Entropy(Elementwise):
    """log(scale / alpha) + 1 / alpha + 1."""

    upcast = True

    def value(self, scale, alpha):
        return log(scale / alpha) + (1 / alpha + 1)

    def partials(self, scale, alpha):
        return [lambda: 1 / scale, lambda: -(1 / alpha + 1) / alpha]


class KL(Elementwise):
    """alpha2 log(m1 / m2) + [a - 1 - log a], a = alpha2 / alpha1, for scales m1 >= m2; else inf."""

    upcast = True

    def value(self, m1, alpha1, m2, alpha2):
        xp = special.xp_of(m1, alpha1, m2, alpha2)
        inside = m1 >= m2
        # Both terms are 0 or more, and each keeps its digits where the two agree.
        return xp.where(inside, alpha2 * log_ratio(xp.where(inside, m1, m2), m2)
                        + itakura_saito(alpha2, alpha1), math.inf)

    def partials(self, m1, alpha1, m2, alpha2):
        inside = special.data(m1) >= special.data(m2)

        def in_alpha2():
            excess = (alpha2 - alpha1) / alpha1 / alpha2
            return where(inside, log_ratio(where(inside, m1, m2), m2) + excess, 0.)

        return [lambda: where(inside, alpha2 / m1, 0.),
                lambda: where(inside, (alpha1 - alpha2) / alpha1 / alpha1, 0.),
                lambda: where(inside, -alpha2 / m2, 0.),
                in_alpha2]


class Pareto(Distribution):
    r"""Pareto distribution on x >= scale, with tail exponent alpha.

    .. math:: p(x) = \frac{\alpha}{x} \left(\frac{m}{x}\right)^{\alpha}, \qquad m = \text{scale}

    Args:
        scale: Smallest possible value, above 0, any shape.
        alpha: Tail exponent, above 0, any shape. The mean is finite for alpha > 1 and the variance
            for alpha > 2.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Arnold (2015), Pareto Distributions, 2nd edition, section 3.2.

    Example:
        >>> float(Pareto(2., 3.).survival_function(4.).array)   # (2 / 4)^3
        0.125
    """

    domains = {'scale': checks.positive, 'alpha': checks.positive}
    parameter_names = ('scale', 'alpha')
    support = '[scale, inf]'
    has_rsample = True

    def __init__(self, scale, alpha):
        self._take(scale=scale, alpha=alpha)

    @property
    def scale(self):
        """Smallest possible value."""
        return self._given['scale']

    @property
    def alpha(self):
        """Tail exponent."""
        return self._given['alpha']

    def log_prob(self, x):
        """log(alpha / x) - alpha log(x / scale); -inf for x < scale.

        Why this form: log(x / scale) is taken of the ratio, so near the scale, where almost all of
        the probability is for large alpha, no two large logarithms are subtracted.
        """
        return LogProb()(self._observe(x), self.scale, self.alpha)

    def cdf(self, x):
        """1 - (scale / x)^alpha; 0 for x < scale."""
        return Cdf()(self._observe(x), self.scale, self.alpha)

    def log_cdf(self, x):
        """log(1 - (scale / x)^alpha)."""
        return LogCdf()(self._observe(x), self.scale, self.alpha)

    def survival_function(self, x):
        """(scale / x)^alpha."""
        return Survival()(self._observe(x), self.scale, self.alpha)

    def log_survival_function(self, x):
        """-alpha log(x / scale)."""
        return LogSurvival()(self._observe(x), self.scale, self.alpha)

    def icdf(self, x):
        """scale (1 - x)^(-1 / alpha), the quantile of the probability x."""
        q = self._observe(x, domain=checks.probability)
        e = -log1p(-F.cast(q, numpy.float64))
        dtype = numpy.result_type(q.dtype, self.dtype)
        return F.cast(Quantile()(e, self.scale, self.alpha), dtype)

    def sample_n(self, n, rng=None):
        """scale e^(e / alpha) of standard exponential draws e: differentiable."""
        e = random.draw(self.xp, rng, 'standard_exponential', size=(n,) + self.batch_shape)
        e = chainer.as_variable(e.astype(numpy.float64))
        return representable(Quantile()(e, self.scale, self.alpha), self.dtype)

    def _above(self, bound):
        """Where alpha is above the bound, and alpha with a harmless number elsewhere."""
        is_above = self.alpha.array > bound
        return self.xp.broadcast_to(is_above, self.batch_shape), where(is_above, self.alpha, 3.)

    @cached_property
    def mean(self):
        """alpha scale / (alpha - 1) for alpha > 1, else infinite."""
        is_above, alpha = self._above(1)
        return where(is_above, self._full(self.scale * (1 + 1 / (alpha - 1))), math.inf)

    @cached_property
    def stddev(self):
        """scale / (alpha - 1) sqrt(alpha / (alpha - 2)) for alpha > 2, else infinite."""
        is_above, alpha = self._above(2)
        width = self.scale / (alpha - 1) * sqrt(1 + 2 / (alpha - 2))
        return where(is_above, self._full(width), math.inf)

    @cached_property
    def variance(self):
        """scale^2 alpha / ((alpha - 1)^2 (alpha - 2)) for alpha > 2, else infinite."""
        is_above, alpha = self._above(2)
        width = self.scale / (alpha - 1)
        return where(is_above, self._full(width * width * (1 + 2 / (alpha - 2))), math.inf)

    @cached_property
    def mode(self):
        """The scale."""
        return self._full(self.scale)

    @cached_property
    def entropy(self):
        """log(scale / alpha) + 1 / alpha + 1, in nats."""
        return self._full(Entropy()(self.scale, self.alpha))


@chainer.register_kl(Pareto, Pareto)
def _kl_pareto_pareto(p, q):
    """Infinite where p reaches below the scale of q; see :class:`KL`."""
    return KL()(p.scale, p.alpha, q.scale, q.alpha)
