"""Beta: an unknown probability, or any share between 0 and 1."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.binomial import upper_tail
from course_lib.distributions.dirichlet import SMALL, Dirichlet
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import gamma, random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import digamma_minus_log, itakura_saito, log_ratio
from course_lib.numerics.special import HALF_LOG_2PI, apply, exp, lgamma, sqrt, where


class LogProb(Elementwise):
    """log p(x; a, b) = (a - 1) log x + (b - 1) log(1 - x) - log B(a, b), for 0 <= x <= 1."""

    upcast = True

    def value(self, x, a, b):
        xp = special.xp_of(x, a, b)
        n = a + b
        within = (x > 0) & (x < 1)
        x0 = xp.where(within, x, 0.5)
        log_x, log_rest = xp.log(x0), xp.log1p(-x0)
        small = (a - 1) * log_x + (b - 1) * log_rest - (lgamma(a) + lgamma(b) - lgamma(n))
        # Large a and b: Loader's (2000) saddle-point form. d is how far n x is above a, and n (1-x)
        # below b; what remains is Stirling's errors and two terms that are 0 for d = 0.
        d = x0 * b - (1 - x0) * a
        large = (_half(n, x0, log_x, a, d) + _half(n, 1 - x0, log_rest, b, -d)
                 + special.stirling_error(n) - 0.5 * xp.log(n) + HALF_LOG_2PI)
        inside = xp.where(n <= SMALL, small, large)
        return xp.where(within, inside, self._at_edge(xp, x, a, b))

    def _at_edge(self, xp, x, a, b):
        """The limit at 0 or 1; -inf outside."""
        near, far = xp.where(x == 0, a, b), xp.where(x == 0, b, a)
        edge = xp.where(near == 1, xp.log(far), xp.where(near < 1, math.inf, -math.inf))
        return xp.where((x == 0) | (x == 1), edge, -math.inf)

    def partials(self, x, a, b):
        n = a + b
        inside = (special.data(x) >= 0) & (special.data(x) <= 1)
        x = where(inside, x, 0.5)
        d = x * b - (1 - x) * a

        def in_x():
            at_0 = (special.data(x) == 0) & (special.data(a) == 1)
            at_1 = (special.data(x) == 1) & (special.data(b) == 1)
            x0 = where(at_0 | at_1, 0.5, x)
            inner = ((a - 1) * (1 - x0) - (b - 1) * x0) / (x0 * (1 - x0))
            return where(at_0, 1 - b, where(at_1, a - 1, inner))

        # log x - digamma(a) + digamma(n), as the small differences from log a and log n.
        return [lambda: where(inside, in_x(), 0.),
                lambda: where(inside, log_ratio(n * x, a, d) - digamma_minus_log(a)
                              + digamma_minus_log(n), 0.),
                lambda: where(inside, log_ratio(n * (1 - x), b, -d) - digamma_minus_log(b)
                              + digamma_minus_log(n), 0.)]


def _half(n, x, log_x, a, d):
    """a log(n x) - n x - log Gamma(a) - log x, where n x = a + d."""
    xp = special.xp_of(x, a)
    large = a > 10
    small_a = (a - 1) * log_x + a * xp.log(n) - n * x - lgamma(a)
    a0, d0, t0 = xp.where(large, a, 20), xp.where(large, d, 0), xp.where(large, n * x, 20)
    large_a = (0.5 * xp.log(a0) - HALF_LOG_2PI - special.stirling_error(a0)
               - a0 * itakura_saito(t0, a0, d0) - log_x)
    return xp.where(large, large_a, small_a)


class Mean(Elementwise):
    """a / (a + b)."""

    upcast = True

    def value(self, a, b):
        return a / (a + b)

    def partials(self, a, b):
        return [lambda: b / (a + b) / (a + b), lambda: -a / (a + b) / (a + b)]


class Variance(Elementwise):
    """a b / ((a + b)^2 (a + b + 1))."""

    upcast = True

    def value(self, a, b):
        n = a + b
        return (a / n) * (b / n) / (n + 1)

    def partials(self, a, b):
        n = a + b

        def slope(a, b):
            # v (1/a - 2/n - 1/(n + 1)), over one denominator.
            return (b / n) * ((b - a) / n - a / (n + 1)) / n / (n + 1)
        return [lambda: slope(a, b), lambda: slope(b, a)]


class Stddev(Elementwise):
    """The square root of :class:`Variance`, which may underflow where the root does not."""

    upcast = True

    def value(self, a, b):
        n = a + b
        return sqrt(a / n) * sqrt(b / n) / sqrt(n + 1)

    def partials(self, a, b):
        n, s = a + b, self.value(a, b)

        def slope(a, b):
            return 0.5 * s / a * ((b - a) / n - a / (n + 1))
        return [lambda: slope(a, b), lambda: slope(b, a)]


class Cdf(Elementwise):
    """I_x(a, b), the regularised incomplete beta function; differentiable in x."""

    upcast = True

    def value(self, x, a, b):
        return self._tail(x, a, b, upper=True)

    def _tail(self, x, a, b, upper):
        x = special.xp_of(x, a, b).clip(x, 0, 1)
        return upper_tail(a, b, x, 1 - x, upper)

    def partials(self, x, a, b):
        return [lambda: exp(apply(LogProb(), x, a, b)), _refuse, _refuse]


class SurvivalFunction(Cdf):
    """1 - I_x(a, b) = I_(1-x)(b, a), with its tail."""

    def value(self, x, a, b):
        return self._tail(x, a, b, upper=False)

    def partials(self, x, a, b):
        return [lambda: -exp(apply(LogProb(), x, a, b)), _refuse, _refuse]


class Icdf(Elementwise):
    """The x at which I_x(a, b) = q; differentiable in q."""

    upcast = True

    def value(self, q, a, b):
        return special.special_of(special.xp_of(q, a, b)).betaincinv(a, b, q)

    def partials(self, q, a, b):
        return [lambda: exp(-apply(LogProb(), apply(Icdf(), q, a, b), a, b)), _refuse, _refuse]


def _refuse():
    raise NotImplementedError(
        'Beta: cdf, survival_function and icdf can be differentiated in x, not in a and b')


class Beta(Distribution):
    r"""Beta distribution on 0 <= x <= 1.

    .. math:: p(x) = \frac{x^{a-1} (1 - x)^{b-1}}{B(a, b)}

    It is the distribution of the first share of a Dirichlet variable with two shares.

    Args:
        a: Exponent of x plus 1, above 0, any shape.
        b: Exponent of 1 - x plus 1, above 0, any shape.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.13; samples and their
    gradients: Figurnov, Mohamed and Mnih (2018), Implicit Reparameterization Gradients.

    Example:
        >>> f'{float(Beta(1e7, 1e7).log_prob(0.5).array):.5f}'   # Chainer's float32 gives 34
        '8.17983'
    """

    domains = {'a': checks.positive, 'b': checks.positive}
    parameter_names = ('a', 'b')
    support = '[0, 1]'
    has_rsample = True

    def __init__(self, a, b):
        self._take(a=a, b=b)

    @property
    def a(self):
        """Exponent of x plus 1."""
        return self._given['a']

    @property
    def b(self):
        """Exponent of 1 - x plus 1."""
        return self._given['b']

    @cached_property
    def _as_dirichlet(self):
        return Dirichlet(F.stack([self._full(self.a), self._full(self.b)], axis=-1))

    def log_prob(self, x):
        """log p(x); -inf outside [0, 1], and at 0 and 1 the limit.

        Why this form: for large a and b, log B(a, b) and the powers of x are huge and cancel;
        Loader's saddle-point form never makes them.
        """
        return LogProb()(self._observe(x), self.a, self.b)

    def cdf(self, x):
        """I_x(a, b), the regularised incomplete beta function; differentiable in x only."""
        return Cdf()(self._observe(x), self.a, self.b)

    def survival_function(self, x):
        """1 - cdf(x), with the upper tail; differentiable in x only."""
        return SurvivalFunction()(self._observe(x), self.a, self.b)

    def icdf(self, x):
        """The quantile of the probability x; differentiable in x only."""
        return Icdf()(self._observe(x, domain=checks.probability), self.a, self.b)

    def sample_n(self, n, rng=None):
        """The share of one Gamma draw in two, differentiable; kept off 0 and 1.

        The share is the sigmoid of a difference of logarithms, so that tiny a and b cannot give
        0 / 0. What would round to 0 is the smallest normal number, what would round to 1 the number
        before it; there the gradient is 0.
        """
        rng = random.generator(self.xp, rng)
        log_odds = (gamma.log_sample(self._full(self.a), n, rng)
                    - gamma.log_sample(self._full(self.b), n, rng))
        high = 1 - float(numpy.finfo(self.dtype).epsneg)
        return gamma.representable(special.sigmoid(log_odds), self.dtype, high=high)

    @cached_property
    def mean(self):
        """a / (a + b)."""
        return self._full(Mean()(self.a, self.b))

    @cached_property
    def variance(self):
        """a b / ((a + b)^2 (a + b + 1))."""
        return self._full(Variance()(self.a, self.b))

    @cached_property
    def stddev(self):
        """sqrt(a b / (a + b + 1)) / (a + b)."""
        return self._full(Stddev()(self.a, self.b))

    @cached_property
    def mode(self):
        """(a - 1) / (a + b - 2) for a, b > 1; else the end where the density is highest.

        For a = b <= 1 (two equal ends, or the uniform distribution) it is 1/2, by symmetry.
        """
        above, beyond = self._full(self.a - 1), self._full(self.b - 1)
        inner = (above.array > 0) & (beyond.array > 0)
        mode = where(inner, above, 1.) / where(inner, above + beyond, 2.)
        left = ~inner & (above.array < beyond.array)
        right = ~inner & (above.array > beyond.array)
        return where(left, 0., where(right, 1., mode))

    @cached_property
    def entropy(self):
        """log B(a, b) - (a-1) digamma(a) - (b-1) digamma(b) + (a+b-2) digamma(a+b), in nats."""
        return self._as_dirichlet.entropy


@chainer.register_kl(Beta, Beta)
def _kl_beta_beta(p, q):
    """That of the two Dirichlet distributions with two shares."""
    return chainer.kl_divergence(p._as_dirichlet, q._as_dirichlet)
