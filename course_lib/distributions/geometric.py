"""Geometric: how many trials until the first success."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import bernoulli, checks
from course_lib.distributions.distribution import OfProbability, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    exp,
    expm1,
    expm1mx,
    log,
    log1mexp,
    log1p,
    log1pmx,
    log_ratio,
    logit,
    sigmoid,
    softplus,
    sqrt,
    where,
)


class LogProbOfP(Elementwise):
    """log p(x; p) = log p + (x - 1) log(1 - p), and its derivative (1 - x p) / (p (1 - p))."""

    upcast = True

    def value(self, x, p):
        failures = x - 1
        xp = special.xp_of(x, p)
        # No term for x = 1: with p = 1 it would be 0 times the infinite log(1 - p).
        return log(p) + xp.where(failures > 0, failures * log1p(-p), 0)

    def partials(self, x, p):
        first = special.data(x) == 1
        return [lambda: where(first, 1 / p, (1 - x * p) / where(first, 1., 1 - p) / p)]


class LogProbOfLogit(Elementwise):
    """log p(x; logit z) = -softplus(-z) - (x - 1) softplus(z), and its derivative 1 - x p."""

    upcast = True

    def value(self, x, z):
        # Two terms of one sign, each exact in its tail: nothing cancels and nothing overflows.
        return -softplus(-z) - (x - 1) * softplus(z)

    def partials(self, x, z):
        def derivative():
            m = x - 1
            # (1 - m e^z) / (1 + e^z) is (1 - e^(z + log m)) / (1 + e^z): exact where m e^z is near
            # 1, and where it is not, the difference of the two terms is.
            d = z + log(where(special.data(m) > 0, m, 1.))
            near = (abs(special.data(d)) < 1) & (special.data(m) > 0)
            return where(near, -expm1(where(near, d, 0.)) * sigmoid(-z),
                         sigmoid(-z) - m * sigmoid(z))
        return [derivative]


class LogSurvivalOfP(Elementwise):
    """log P(X > k) = k log(1 - p), 0 at k = 0 even where p = 1."""

    upcast = True

    def value(self, k, p):
        return special.xp_of(k, p).where(k > 0, k * log1p(-p), 0)

    def partials(self, k, p):
        none = special.data(k) == 0
        return [lambda: where(none, 0., -k / where(none, 1., 1 - p))]


class LogSurvivalOfLogit(Elementwise):
    """log P(X > k) = -k softplus(z), -inf at k = inf even where softplus(z) underflows."""

    upcast = True

    def value(self, k, z):
        xp = special.xp_of(k, z)
        return -xp.where(k < math.inf, k * softplus(z), math.inf)

    def partials(self, k, z):
        return [lambda: where(special.data(k) < math.inf, -k * sigmoid(z), -math.inf)]


class TailOfP(Elementwise):
    """P(X > k) = (1 - p)^k, or P(X <= k) or its logarithm: without a pole in p, even at p = 1."""

    upcast = True

    def __init__(self, k, form):
        super().__init__(k)
        self.form = form

    def value(self, k, p):
        log_tail = special.apply(LogSurvivalOfP(k), p)
        return {'survival': exp, 'cdf': lambda t: -expm1(t),
                'log_cdf': lambda t: log1mexp(-t)}[self.form](log_tail)

    def partials(self, k, p):
        def derivative():
            count = special.data(k)
            count = where(count < math.inf, count, 0)   # else inf * 0
            mass = count * exp(special.apply(LogSurvivalOfP(abs(count - 1)), p))
            if self.form != 'log_cdf':
                return -mass if self.form == 'survival' else mass
            below = special.xp_of(count).broadcast_to(count == 0, mass.shape)
            cdf = special.apply(TailOfP(count, 'cdf'), p)
            return where(below, 0., mass / where(below, 1., cdf))
        return [derivative]


class EntropyOfP(Elementwise):
    """H = -log p - (1 - p) / p log(1 - p), and its derivative log(1 - p) / p^2."""

    upcast = True

    def value(self, p):
        xp = special.xp_of(p)
        return -log(p) - (1 - p) / p * log1p(-xp.where(p < 1, p, 0))

    def partials(self, p):
        return [lambda: log1p(-p) / p / p]


class EntropyOfLogit(Elementwise):
    """H = softplus(-z) + e^-z softplus(z), and its derivative -e^-z softplus(z)."""

    upcast = True

    def value(self, z):
        return softplus(-z) + _surprise_of_failures(z)

    def partials(self, z):
        return [lambda: -_surprise_of_failures(z)]


class KLOfPs(Elementwise):
    """The divergence of one trial, Bernoulli(p) from Bernoulli(q), over p: the mean count is 1/p.
    """

    upcast = True

    def value(self, p, q):
        return bernoulli.KLOfPs().on_arrays(p, q) / p

    def partials(self, p, q):
        def in_p():
            same = special.data(p) == special.data(q)   # both may be 1, and the ratio 0 / 0
            failure = where(same, 1., 1 - p)
            u = where(same, 0., p - q) / failure
            near = abs(special.data(u)) < 0.5
            ratio = where(near, log1p(where(near, u, 0.)),
                          log_ratio(where(same, 1., 1 - q), failure))
            return ratio / p / p

        def in_q():
            certain = special.data(p) == 1
            return where(certain, -1., (q - p) / where(certain, 1., 1 - q)) / q / p

        return [in_p, in_q]


class KLOfLogits(Elementwise):
    """log(p1 / p2) + (1 - p1) / p1 log((1 - p1) / (1 - p2)) for the logits z1 and z2."""

    upcast = True

    def value(self, z1, z2):
        xp = special.xp_of(z1)
        d = z2 - z1
        near = abs(d) < 1
        # As for Bernoulli (see its KLOfLogits), divided by p1: the terms of first order in d are
        # gone before anything is subtracted. Which of the two forms depends on p1 < 1/2.
        d0, s1 = xp.where(near, d, 0), sigmoid(-abs(z1))
        flip = xp.where(z1 > 0, -1, 1)
        bend = log1pmx(s1 * expm1(flip * d0))
        rare = expm1mx(d0) + bend / xp.where(s1 > 0, s1, 1)
        frequent = (bend + s1 * expm1mx(-d0)) / sigmoid(abs(z1))
        apart = softplus(-z2) - softplus(-z1) + _odds_times_softplus(z1, z2) \
            - _surprise_of_failures(z1)
        return xp.where(near, xp.where(z1 > 0, frequent, rare), apart)

    def partials(self, z1, z2):
        d = z2 - z1
        near = abs(special.data(d)) < 1
        d0 = where(near, d, 0.)

        def in_z1():
            # -e^-z1 log(1 + u) for u = p1 (e^d - 1); log(1 + u) / u is 1 where u vanishes.
            u = sigmoid(z1) * expm1(d0)
            tiny = abs(special.data(u)) < 1e-300
            slope = where(tiny, 1., log1p(u) / where(tiny, 1., u))
            return where(near, -sigmoid(-z1) * expm1(d0) * slope,
                         _surprise_of_failures(z1) - _odds_times_softplus(z1, z2))

        def in_z2():
            # p2 e^-z1 - (1 - p2), where (1 - p2) is p2 e^-z2.
            frequent = (special.data(z2) > 0) & ~near
            apart = sigmoid(z2) * exp(where(frequent, -z1, 0.)) - sigmoid(-z2)
            return where(frequent, apart, sigmoid(-z2) * expm1(where(frequent, 0., d)))

        return [in_z1, in_z2]


def _surprise_of_failures(z):
    """e^-z softplus(z) = -(1 - p) / p log(1 - p), which is 1 for small p and 0 for large."""
    small = special.data(z) < -40
    z = where(small, 0., z)
    return where(small, 1., exp(-z) * softplus(z))


def _odds_times_softplus(z1, z2):
    """e^-z1 softplus(z2); where z2 is very negative it is e^(z2 - z1)."""
    small = special.data(z2) < 0
    return where(small, exp(where(small, z2 - z1, 0.)) * _surprise_of_failures(z2),
                 exp(where(small, 0., -z1)) * softplus(z2))


class Geometric(OfProbability):
    r"""Geometric distribution: the number of trials up to and including the first success.

    .. math:: p(x) = p\,(1 - p)^{x - 1}, \qquad x = 1, 2, 3, \ldots

    It counts trials from 1, as Chainer and SciPy do; torch and NumPyro count failures from 0.

    Args:
        p: Probability of success, above 0, up to 1, any shape. Either ``p`` or ``logit``.
        logit: Log-odds of success, any finite number, any shape.

    Raises:
        ValueError: If both or neither of ``p`` and ``logit`` are given, or one is out of its
            domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, section 5.2.

    Example:
        >>> import numpy
        >>> f'{Geometric(logit=numpy.float32(-50)).log_prob(3).array:.4f}'
        '-50.0000'
    """

    domains = {'p': checks.positive_probability, 'logit': checks.real}
    parameter_names = ('p',)
    observed = checks.trial_count
    support = 'positive integer'

    def __init__(self, p=None, logit=None):
        self._take(**self._exactly_one(p=p, logit=logit))

    def log_prob(self, x):
        """log p + (x - 1) log(1 - p), of the broadcast shape of x and the batch.

        Why this form: log(1 - p) of a rounded p is 0 or -inf for logits beyond 17, while
        -softplus(z) is exact for every logit z; see :class:`LogProbOfLogit`.
        """
        return self._where_possible(
            self._observe(x), self.observed.contains, self._log_prob, filler=1)

    def _log_prob(self, x):
        return LogProbOfP(x)(self.p) if 'p' in self._given else LogProbOfLogit(x)(self.logit)

    def cdf(self, x):
        """P(X <= x) = 1 - (1 - p)^floor(x)."""
        return self._tail(x, 'cdf', lambda t: -expm1(t))

    def survival_function(self, x):
        """P(X > x) = (1 - p)^floor(x)."""
        return self._tail(x, 'survival', exp)

    def log_cdf(self, x):
        """log(1 - (1 - p)^floor(x)), -inf below 1."""
        def of_log_survival(t):
            possible = t.array < 0
            return where(possible, log1mexp(where(possible, -t, 1.)), -math.inf)
        return self._tail(x, 'log_cdf', of_log_survival)

    def log_survival_function(self, x):
        """floor(x) log(1 - p), 0 below 1."""
        k = self._whole_part(x)
        if 'p' in self._given:
            return LogSurvivalOfP(k)(self.p)
        return LogSurvivalOfLogit(k)(self.logit)

    def _tail(self, x, form, of_log_survival):
        if 'p' in self._given:
            return TailOfP(self._whole_part(x), form)(self.p)
        return of_log_survival(self.log_survival_function(x))

    def _whole_part(self, x):
        x = self._observe(x, domain=checks.extended_real)
        return self.xp.floor(self.xp.clip(x, 0, math.inf))

    def icdf(self, x):
        """The smallest count whose cdf is x or more: ceil(log(1 - x) / log(1 - p)), at least 1."""
        x = self._observe(x, domain=checks.probability).astype(numpy.float64)
        with numpy.errstate(divide='ignore', invalid='ignore'):
            k = self.xp.ceil(self.xp.log1p(-x) / self._log_failure())
            k = self.xp.where(x == 0, 1, self.xp.maximum(k, 1))
            # Rounding may have lifted the quotient over a whole number.
            lower = -self.xp.expm1((k - 1) * self._log_failure())
        k = self.xp.where((k > 1) & (lower >= x), k - 1, k)
        return chainer.as_variable(self.xp.asarray(k, self.dtype))

    def _log_failure(self):
        """log(1 - p), an array of float64."""
        if 'p' in self._given:
            with numpy.errstate(divide='ignore'):
                return self.xp.log1p(-self.p.array.astype(numpy.float64))
        return -softplus(self.logit.array.astype(numpy.float64))

    def sample_n(self, n, rng=None):
        """Draws of whole numbers, in the dtype of the parameters (so that they can enter a loss).

        By inversion, 1 + floor(log(u) / log(1 - p)), which serves every logit.
        """
        u = random.uniform(self.xp, rng, (n,) + self.batch_shape, numpy.dtype(numpy.float64))
        with numpy.errstate(divide='ignore'):
            draws = 1 + self.xp.floor(self.xp.log(u) / self._log_failure())
        return chainer.Variable(draws.astype(self.dtype))

    @cached_property
    def mean(self):
        """1 / p."""
        return self._full(1 / self.p if 'p' in self._given else 1 + exp(-self.logit))

    @cached_property
    def variance(self):
        """(1 - p) / p^2."""
        if 'p' in self._given:
            return self._full((1 - self.p) / self.p / self.p)
        odds = exp(-self.logit)
        return self._full(odds * (1 + odds))

    @cached_property
    def stddev(self):
        """sqrt(1 - p) / p."""
        if 'p' in self._given:
            return self._full(sqrt(1 - self.p) / self.p)
        z = F.cast(self.logit, numpy.float64)
        return self._full(F.cast(exp(0.5 * (softplus(-z) - z)), self.dtype))

    @cached_property
    def mode(self):
        """1."""
        return self._constant(1)

    @cached_property
    def entropy(self):
        """-log p - (1 - p) / p log(1 - p), in nats."""
        if 'p' in self._given:
            return self._full(EntropyOfP()(self.p))
        return self._full(EntropyOfLogit()(self.logit))


@chainer.register_kl(Geometric, Geometric)
def _kl_geometric_geometric(p, q):
    """log(p1 / p2) + (1 - p1) / p1 log((1 - p1) / (1 - p2)); see :class:`KLOfLogits`."""
    if 'p' in p._given and 'p' in q._given:
        return KLOfPs()(p.p, q.p)
    dtype = numpy.result_type(p.dtype, q.dtype)
    z1, z2 = (d.logit if 'logit' in d._given else logit(F.cast(d.p, numpy.float64))
              for d in (p, q))
    return F.cast(KLOfLogits()(z1, z2), dtype)
