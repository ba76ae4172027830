"""Exponential: the waiting time for the next event."""
import math

import chainer
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import cached_property
from course_lib.distributions.gamma import Gamma
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import representable
from course_lib.numerics.special import exp, expm1, log, log1mexp, log1p, where


def _inside(x):
    x = special.data(x)
    return (x >= 0) & (x < math.inf)


class LogProb(Elementwise):
    """log p(x; lam) = log lam - lam x for x >= 0."""

    upcast = True

    def value(self, x, lam):
        xp = special.xp_of(x, lam)
        inside = _inside(x)
        return xp.where(inside, xp.log(lam) - lam * xp.where(inside, x, 0), -math.inf)

    def partials(self, x, lam):
        inside = _inside(x)
        return [lambda: where(inside, -lam, 0.),
                lambda: where(inside, 1 / lam - where(inside, x, 0.), 0.)]


class _OfProduct(Elementwise):
    """A function of z = lam x for x >= 0 that is constant for x < 0 and at infinity."""

    upcast = True

    def value(self, x, lam):
        xp = special.xp_of(x, lam)
        return self.of(lam * xp.maximum(x, 0))

    def partials(self, x, lam):
        inside = _inside(x)
        positive = inside & (special.data(x) > 0)
        x0 = where(positive, x, 1.)
        return [lambda: where(inside, lam * self.slope(lam * where(inside, x, 0.)), 0.),
                lambda: where(positive, x0 * self.slope(lam * x0), 0.)]


class Cdf(_OfProduct):
    """1 - e^-z."""

    def of(self, z):
        return -expm1(-z)

    def slope(self, z):
        return exp(-z)


class LogCdf(_OfProduct):
    """log(1 - e^-z)."""

    def of(self, z):
        return log1mexp(z)

    def slope(self, z):
        return 1 / expm1(z)


class Survival(_OfProduct):
    """e^-z."""

    def of(self, z):
        return exp(-z)

    def slope(self, z):
        return -exp(-z)


class LogSurvival(_OfProduct):
    """-z."""

    def of(self, z):
        return -z

    def slope(self, z):
        return -1 + 0 * z


class Icdf(Elementwise):
    """-log(1 - q) / lam."""

    upcast = True

    def value(self, q, lam):
        return -log1p(-q) / lam

    def partials(self, q, lam):
        return [lambda: 1 / (lam * (1 - q)), lambda: log1p(-q) / (lam * lam)]


class Exponential(Gamma):
    r"""Exponential distribution with rate lam, on x >= 0: the Gamma with shape 1 and rate lam.

    .. math:: p(x) = \lambda e^{-\lambda x}

    Being a Gamma, it takes its Kullback-Leibler divergences from there.

    Args:
        lam: Rate, above 0, any shape.

    Raises:
        ValueError: If ``lam`` is out of its domain.
        TypeError: If ``lam`` is not made of real numbers.

    Source: Ross (2014), Introduction to Probability Models, section 5.2.

    Example:
        >>> import numpy
        >>> f'{float(Exponential(numpy.float32(1)).cdf(1e-10).array):.4g}'   # 1 - exp(-x) gives 0
        '1e-10'
    """

    domains = {'lam': checks.positive}
    parameter_names = ('lam',)
    _is_rate = True

    def __init__(self, lam):
        self._take(lam=lam)

    @property
    def lam(self):
        """Rate."""
        return self._given['lam']

    @property
    def rate(self):
        """Rate."""
        return self.lam

    @cached_property
    def k(self):
        """Shape of the Gamma that this is: 1."""
        return chainer.as_variable(self.xp.asarray(1, self.dtype))

    def log_prob(self, x):
        """log lam - lam x; -inf for x < 0.

        Why this form: both terms can be huge, but unlike log(lam e^(-lam x)) neither overflows.
        """
        return LogProb()(self._observe(x), self.lam)

    def cdf(self, x):
        """1 - e^(-lam x), as expm1: exact for small lam x; 0 for x < 0."""
        return Cdf()(self._observe(x), self.lam)

    def log_cdf(self, x):
        """log(1 - e^(-lam x))."""
        return LogCdf()(self._observe(x), self.lam)

    def survival_function(self, x):
        """e^(-lam x)."""
        return Survival()(self._observe(x), self.lam)

    def log_survival_function(self, x):
        """-lam x."""
        return LogSurvival()(self._observe(x), self.lam)

    def icdf(self, x):
        """-log(1 - x) / lam, the quantile of the probability x."""
        return Icdf()(self._observe(x, domain=checks.probability), self.lam)

    def sample_n(self, n, rng=None):
        """Standard exponential draws over lam: differentiable."""
        e = random.draw(self.xp, rng, 'standard_exponential', size=(n,) + self.batch_shape)
        x = self._scaled(chainer.as_variable(e.astype(numpy.float64)))
        return representable(x, self.dtype)

    @cached_property
    def mean(self):
        """1 / lam."""
        return self._full(1 / self.lam)

    @cached_property
    def stddev(self):
        """1 / lam."""
        return self.mean

    @cached_property
    def mode(self):
        """0."""
        return self._constant(0)

    @cached_property
    def entropy(self):
        """1 - log lam, in nats."""
        return self._full(1 - log(self.lam))
