"""Poisson: how many events happen, when they happen independently at a constant rate."""
import math

import chainer
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    deviance,
    exp,
    expm1,
    expm1mx,
    log,
    log_factorial,
    log_peak,
    log_ratio,
    refined,
    sqrt,
    where,
)

CANCELLED = 0.025  # a sum below this fraction of its terms may be wrong by 1e-5 in float32


class LogProbOfLogLam(Elementwise):
    """log p(x; log rate eta) = x eta - e^eta - log x!, and its derivative x - e^eta."""

    def value(self, x, eta):
        def sum_of_terms(x, eta):
            rate, log_x_factorial = special.exp(eta), log_factorial(x)
            y = x * eta - rate - log_x_factorial
            return y, -y < CANCELLED * (rate + log_x_factorial)

        # Near the mode of a large count the three terms cancel: x eta = 1.6e8 and the answer is
        # -9 at x = 1e7. There, Loader's saddle point: the distance from the mode plus a constant.
        def saddle_point(x, eta):
            d = eta - log(x)
            return log_peak(x) - x * (expm1(d) - d)

        return refined(sum_of_terms, saddle_point, x, eta)

    def partials(self, x, eta):
        def difference(x, eta):
            g = x - exp(eta)
            return g, abs(g) < CANCELLED * x

        def without_cancellation(x, eta):
            # x - e^eta = -x (e^d - 1) with d = eta - log x: small d, small difference.
            near = abs(special.data(x) - exp(special.data(eta))) < 0.5 * special.data(x)
            d = where(near, eta - log(where(near, x, 1.)), 0.)
            return where(near, -x * expm1(d), x - exp(eta))

        return [lambda: refined(difference, without_cancellation, x, eta)]


class LogProbOfLam(Elementwise):
    """log p(x; rate lam) = x log lam - lam - log x!, and its derivative (x - lam) / lam."""

    upcast = True

    def value(self, x, lam):
        # -lam where x = 0; else the log-probability at the mode less the distance from it.
        return log_peak(x) - deviance(x, lam)

    def partials(self, x, lam):
        none = special.data(x) == 0
        return [lambda: where(none, -1., (x - lam) / where(none, 1., lam))]


class Cdf(Elementwise):
    """P(X <= k) = Q(k + 1, lam), the regularised incomplete gamma function, or 1 less that.

    Of lam or log lam; the derivatives are -p(k) and -lam p(k) = -(k + 1) p(k + 1).
    """

    upcast = True

    def __init__(self, k, is_log, upper):
        super().__init__(k)
        self.is_log, self.upper = is_log, upper

    def value(self, k, a):
        xp = special.xp_of(k, a)
        functions = special.special_of(xp)
        k, lam = xp.floor(k), exp(a) if self.is_log else a
        of_count = functions.gammainc if self.upper else functions.gammaincc
        inside = of_count(xp.clip(k, 0, 1e300) + 1, lam)
        above = xp.where(k < 0, 0., 1.)
        return xp.where((k < 0) | (k == xp.inf), 1 - above if self.upper else above, inside)

    def partials(self, k, a):
        def derivative():
            count = special.data(k)
            xp = special.xp_of(count)
            possible = (count >= 0) & (count < xp.inf)
            floor = xp.floor(xp.where(possible, count, 0))
            if self.is_log:
                mass = (floor + 1) * exp(special.apply(LogProbOfLogLam(floor + 1), a))
            else:
                mass = exp(special.apply(LogProbOfLam(floor), a))
            return where(xp.broadcast_to(possible, mass.shape), mass if self.upper else -mass, 0.)
        return [derivative]


class KL(Elementwise):
    """lam1 log(lam1 / lam2) + lam2 - lam1, each rate given as it is or by its logarithm."""

    upcast = True

    def __init__(self, p_is_log, q_is_log):
        super().__init__()
        self.is_log = p_is_log, q_is_log

    def value(self, a, b):
        xp = special.xp_of(a, b)
        lam1, lam2, d = self._rates(a, b)
        # lam1 (e^d - 1 - d) does not cancel when the rates are close; the sum does not overflow
        # when lam1 is tiny and e^d huge.
        near = self._near(lam1, d)
        close = xp.where(d == 0, 0, lam1 * expm1mx(xp.where(near, d, 0)))
        return xp.where(near, close, lam2 - lam1 * (1 + xp.where(lam1 > 0, d, 0)))

    def partials(self, a, b):
        p_is_log, q_is_log = self.is_log
        lam1, lam2, d = self._rates(a, b)
        same = special.data(d) == 0

        def in_p():
            return where(same, 0., -lam1 * d) if p_is_log else -d

        def in_q():
            if not q_is_log:
                return -expm1(-d)
            near = self._near(special.data(lam1), special.data(d))
            close = where(same, 0., lam1 * expm1(where(near, d, 0.)))
            return where(near, close, lam2 - lam1)

        return [in_p, in_q]

    def _rates(self, a, b):
        """Both rates and d = log(lam2 / lam1), infinite where lam1 is 0."""
        p_is_log, q_is_log = self.is_log
        lam1, lam2 = exp(a) if p_is_log else a, exp(b) if q_is_log else b
        if p_is_log or q_is_log:
            d = (b if q_is_log else log(b)) - (a if p_is_log else log(a))
        else:
            d = log_ratio(b, a)
        return lam1, lam2, d if p_is_log else where(special.data(a) == 0, math.inf, d)

    @staticmethod
    def _near(lam1, d):
        return (abs(d) < 1) | (lam1 > 1)


class Poisson(Distribution):
    r"""Poisson distribution: the number of events when ``lam`` are expected.

    .. math:: p(x) = \frac{\lambda^x e^{-\lambda}}{x!}, \qquad x = 0, 1, 2, \ldots

    Give the logarithm of the rate where you can: a regression's output is one already, an exposure
    is then an addition (log rate = offset + X b), and no rate overflows or vanishes.

    Args:
        lam: Rate, the expected count, 0 or more, any shape. Either ``lam`` or ``log_lam``.
        log_lam: Natural logarithm of the rate, any finite number, any shape.

    Raises:
        ValueError: If both or neither of ``lam`` and ``log_lam`` are given, or one is out of its
            domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, eq. 4.1; Loader
    (2000), Fast and Accurate Computation of Binomial Probabilities, eq. 9.

    Example:
        >>> import numpy
        >>> f'{Poisson(numpy.float32(1e7)).log_prob(10 ** 7).array:.5f}'
        '-8.97799'
    """

    domains = {'lam': checks.non_negative, 'log_lam': checks.real}
    parameter_names = ('lam',)
    observed = checks.count
    support = 'non negative integer'

    def __init__(self, lam=None, log_lam=None):
        self._take(**self._exactly_one(lam=lam, log_lam=log_lam))

    @cached_property
    def lam(self):
        """The rate lam."""
        return self._given['lam'] if 'lam' in self._given else exp(self.log_lam)

    @cached_property
    def log_lam(self):
        """Natural logarithm of the rate."""
        return self._given['log_lam'] if 'log_lam' in self._given else log(self.lam)

    def log_prob(self, x):
        """x log lam - lam - log x!, of the broadcast shape of x and the batch.

        Why this form: at x = lam = 10^7 the terms are 10^8 and the answer is -9, nothing of which
        is left in float32; see :class:`LogProbOfLogLam` for the way out.
        """
        return self._sum_of_log_prob(x, 0)

    def _sum_of_log_prob(self, x, n_axes):
        return self._where_possible(
            self._observe(x), self.observed.contains, self._log_prob, n_axes)

    def _log_prob(self, x, n_axes=0):
        name, = self._given
        node = LogProbOfLam if name == 'lam' else LogProbOfLogLam
        return node(x).summed(n_axes)(self._given[name])

    def cdf(self, x):
        """P(X <= x) = Q(floor(x) + 1, lam), with Q the regularised upper incomplete gamma."""
        return self._cdf(x, upper=False)

    def survival_function(self, x):
        """P(X > x) = P(floor(x) + 1, lam), with P the regularised lower incomplete gamma."""
        return self._cdf(x, upper=True)

    def _cdf(self, x, upper):
        (name, given), = self._given.items()
        x = self._observe(x, domain=checks.extended_real)
        return Cdf(x, name == 'log_lam', upper)(given)

    def _wide_lam(self):
        """The rate, an array of float64: beyond the range of the given dtype."""
        (name, given), = self._given.items()
        wide = given.array.astype(numpy.float64)
        return exp(wide) if name == 'log_lam' else wide

    def sample_n(self, n, rng=None):
        """Draws of whole numbers, in the dtype of the parameters (so that they can enter a loss).
        """
        draws = random.draw(self.xp, rng, 'poisson', self._wide_lam(),
                            size=(n,) + self.batch_shape)
        return chainer.Variable(draws.astype(self.dtype))

    @cached_property
    def mean(self):
        """lam."""
        return self._full(self.lam)

    @cached_property
    def variance(self):
        """lam."""
        return self._full(self.lam)

    @cached_property
    def stddev(self):
        """sqrt(lam)."""
        return self._full(sqrt(self.lam) if 'lam' in self._given else exp(0.5 * self.log_lam))

    @cached_property
    def mode(self):
        """The largest whole number up to lam (where lam is whole, lam - 1 is as probable)."""
        mode = self.xp.floor(self._wide_lam())
        return self._full(chainer.as_variable(self.xp.asarray(mode, self.dtype)))


@chainer.register_kl(Poisson, Poisson)
def _kl_poisson_poisson(p, q):
    """lam1 log(lam1 / lam2) + lam2 - lam1; see :class:`KL`."""
    a, b = (next(iter(d._given.values())) for d in (p, q))
    return KL('log_lam' in p._given, 'log_lam' in q._given)(a, b)
