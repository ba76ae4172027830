"""Binomial: how many of n independent trials succeed."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.bernoulli import KLOfLogits, KLOfPs
from course_lib.distributions.distribution import OfProbability, as_variable, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    cast,
    deviance,
    exp,
    log_peak,
    log_ratio,
    logit,
    polygamma,
    sigmoid,
    sqrt,
    where,
)


class LogProbOfP(Elementwise):
    """log p(x; n, p), and its derivative (x - n p) / (p (1 - p))."""

    upcast = True

    def value(self, x, n, p):
        return _log_at_own_p(x, n) - deviance(x, n * p) - deviance(n - x, n * (1 - p))

    def partials(self, x, n, p):
        none, all_ = special.data(x) == 0, special.data(x) == special.data(n)
        inside = (x - n * p) / where(none | all_, 1., p * (1 - p))

        def derivative():
            at_edge = where(none, -n / where(none & ~all_, 1 - p, 1.), n / where(none, 1., p))
            return where(none | all_, at_edge, inside)
        return [derivative]


class LogProbOfLogit(Elementwise):
    """log p(x; n, logit z), and its derivative x - n p."""

    upcast = True

    def value(self, x, n, z):
        # With the deviances written as n KL(x / n || p), logits can do without p or 1 - p.
        return _log_at_own_p(x, n) - n * KLOfLogits().value(_own_logit(x, n), z)

    def partials(self, x, n, z):
        z_x = _own_logit(special.data(x), special.data(n))
        # n (x / n - p) as a difference of sigmoids that is exact where they are close.
        return [lambda: -n * KLOfLogits().partials(z_x, z)[1]()]


def _log_at_own_p(x, n):
    """log of the largest probability that any p can give to x successes in n trials."""
    return log_peak(x) + log_peak(n - x) - log_peak(n)


def _own_logit(x, n):
    """The logit of x / n: -inf for no success, inf for no failure."""
    xp = special.xp_of(x, n)
    inner = (x > 0) & (x < n)
    z = log_ratio(xp.where(inner, x, 1), xp.where(inner, n - x, 1))
    return xp.where(inner, z, xp.where(x == 0, -xp.inf, xp.inf))


class Cdf(Elementwise):
    """P(X <= k) = I_{1-p}(n - k, k + 1), the regularised incomplete beta function, or 1 less that.
    """

    upcast = True

    def __init__(self, k, n, of_logit, upper):
        super().__init__(k, n)
        self.of_logit, self.upper = of_logit, upper

    def value(self, k, n, theta):
        xp = special.xp_of(theta)
        p, q = (sigmoid(theta), sigmoid(-theta)) if self.of_logit else (theta, 1 - theta)
        inside = (k >= 0) & (k < n)
        k0, n0 = xp.where(inside, xp.floor(k), 0), xp.where(inside, n, 1)
        value = upper_tail(k0 + 1, n0 - k0, p, q, self.upper)
        return xp.where(inside, value, (k < 0) == self.upper)

    def partials(self, k, n, theta):
        def derivative():
            xp = special.xp_of(special.data(theta))
            inside = (special.data(k) >= 0) & (special.data(k) < special.data(n))
            k0 = xp.where(inside, xp.floor(special.data(k)), 0)
            n0 = xp.where(inside, special.data(n), 1)
            node = LogProbOfLogit if self.of_logit else LogProbOfP
            density = n0 * exp(special.apply(node(k0, n0 - 1), theta))
            if self.of_logit:
                density = density * sigmoid(theta) * sigmoid(-theta)
            return where(xp.broadcast_to(inside, density.shape),
                         density if self.upper else -density, 0.)
        return [derivative]


def upper_tail(a, b, p, q, upper):
    """I_p(a, b) where ``upper``, else I_q(b, a) = 1 - I_p(a, b), for arrays with p + q = 1."""
    if not upper:
        a, b, p, q = b, a, q, p
    xp = special.xp_of(p)
    functions = special.special_of(xp)
    tail, other = functions.betainc(a, b, p), functions.betainc(b, a, q)
    # Only the smaller one of p and q is known to all its digits. What a p near 1 lost is put back,
    # times the density halfway; where it lost all, 1 - other is right to 1e-16 absolute, and for
    # small b the first terms of the series in b and q are right to 1e-12 (NIST DLMF 8.17.7).
    lost = (1 - p) - q
    halfway = q + lost / 2
    density = xp.exp((a - 1) * xp.log1p(-halfway) + (b - 1) * xp.log(halfway)
                     - functions.betaln(a, b))
    restored = tail + xp.where(lost == 0, 0, lost * density)
    near_1 = xp.where((other < 0.5) | (q < 1e-12), 1 - other, restored)
    series = -xp.expm1(b * (xp.log(q) + functions.digamma(a) + numpy.euler_gamma - (a - 1) * q
                            + b / 2 * (polygamma(1, a) - math.pi ** 2 / 6)))
    near_1 = xp.where((q < 1e-12) & (b < 1e-5) & (a >= 1), series, near_1)
    tail = xp.where(p > 0.5, near_1, tail)
    # Many trials and rare events: Poisson's tail, to second order (Wise 1950, Biometrika 37).
    for tail_of_rate, n, many, rare in ((functions.gammaincc, b, a, q),
                                        (functions.gammainc, a, b, p)):
        limit = tail_of_rate(n, -(many + (n - 1) / 2) * xp.log1p(-rare))
        tail = xp.where((rare < 1e-8) & (many > 1e7), limit, tail)
    return xp.clip(tail, 0, 1)


class Binomial(OfProbability):
    r"""Binomial distribution: the number of successes in n independent trials.

    .. math:: p(x) = \binom{n}{x} p^x (1 - p)^{n - x}, \qquad x = 0, 1, \ldots, n

    Args:
        n: Number of trials, a whole number, 0 or more, any shape; no gradient flows to it.
        p: Probability of success, between 0 and 1, any shape. Either ``p`` or ``logit``.
        logit: Log-odds of success, any finite number, any shape.

    Raises:
        ValueError: If both or neither of ``p`` and ``logit`` are given, or a parameter is out of
            its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Loader (2000), Fast and Accurate Computation of Binomial Probabilities, eq. 4.

    Example:
        >>> f'{Binomial(10 ** 7, p=0.5).log_prob(5 * 10 ** 6).array:.5f}'
        '-8.28484'
    """

    domains = {'n': checks.unchecked, 'p': checks.probability, 'logit': checks.real}
    parameter_names = ('n', 'p')
    observed = checks.count
    support = 'non negative integer up to n'

    def __init__(self, n, p=None, logit=None):
        with numpy.errstate(over='ignore'):
            self._take(n=n, **self._exactly_one(p=p, logit=logit))
        if self.dtype == numpy.float16:   # which rounds n from 2049 on; observations are float32
            self._given['n'] = as_variable('Binomial', 'n', n, numpy.dtype('f'), self.xp)
        if checks.is_enabled():
            checks.check('Binomial', 'n', self.n.array, checks.count)

    @cached_property
    def n(self):
        """Number of trials."""
        return self._given['n']

    def log_prob(self, x):
        """log of the probability of x successes, of the broadcast shape of x and the batch.

        Why this form: for n = 10^7 the terms of log n! - log x! - log (n - x)! + ... are 10^8 and
        their sum is -8; Loader's deviances are as small as the sum is. See :class:`LogProbOfP`.
        """
        x, n = self._observe(x), self.n.array
        if checks.is_enabled() and (x > n).any():
            worst = self.xp.broadcast_to(x, (x > n).shape)[x > n][0]
            limit = self.xp.broadcast_to(n, (x > n).shape)[x > n][0]
            raise ValueError('Binomial: x must be a whole number from 0 to n; '
                             f'got {float(worst):.6g} where n is {float(limit):.6g}')
        return self._where_possible(
            x, lambda x: self.observed.contains(x) & (x <= n), self._log_prob)

    def _log_prob(self, x):
        if 'p' in self._given:
            return LogProbOfP(x, self.n.array)(self.p)
        return LogProbOfLogit(x, self.n.array)(self.logit)

    def cdf(self, x):
        """P(X <= x) = I_{1-p}(n - floor(x), floor(x) + 1)."""
        return self._cdf(x, upper=False)

    def survival_function(self, x):
        """P(X > x) = I_p(floor(x) + 1, n - floor(x))."""
        return self._cdf(x, upper=True)

    def _cdf(self, x, upper):
        x = self._observe(x, domain=checks.extended_real)
        of_logit = 'logit' in self._given
        theta = self.logit if of_logit else self.p
        return Cdf(x, self.n.array, of_logit, upper)(theta)

    def sample_n(self, n, rng=None):
        """Draws of whole numbers, in the dtype of the parameters (so that they can enter a loss).
        """
        draws = random.draw(self.xp, rng, 'binomial', self.n.array.astype(numpy.int64),
                            self._chances[0].array, size=(n,) + self.batch_shape)
        return chainer.Variable(draws.astype(self.dtype))

    @cached_property
    def _chances(self):
        """p and 1 - p, in float64: a small one times a large n must not underflow first."""
        if 'p' in self._given:
            p = F.cast(self.p, numpy.float64)
            return p, 1 - p
        z = F.cast(self.logit, numpy.float64)
        return sigmoid(z), sigmoid(-z)

    def _times(self, n, of_one):
        return cast(self._full(n.astype(numpy.float64) * of_one), self.dtype)

    @cached_property
    def mean(self):
        """n p."""
        return self._times(self.n.array, self._chances[0])

    @cached_property
    def variance(self):
        """n p (1 - p)."""
        p, q = self._chances
        return self._times(self.n.array, p * q)

    @cached_property
    def stddev(self):
        """sqrt(n p (1 - p))."""
        p, q = self._chances
        return self._times(self.xp.sqrt(self.n.array), sqrt(p * q))

    @cached_property
    def mode(self):
        """floor((n + 1) p), at most n."""
        n = self.n.array.astype(numpy.float64)
        mode = self.xp.minimum(self.xp.floor((n + 1) * self._chances[0].array), n)
        return self._full(chainer.as_variable(self.xp.asarray(mode, self.dtype)))


class DifferentN(NotImplementedError, ValueError):
    """There may be a divergence, to be estimated, but the formula does not take these values."""


@chainer.register_kl(Binomial, Binomial)
def _kl_binomial_binomial(p, q):
    """n times the divergence of one trial; only for equal n."""
    if not (p.n.array == q.n.array).all():
        raise DifferentN(
            'KL(Binomial || Binomial) needs the same n on both sides; '
            f'got n={p.n.array} and n={q.n.array}. It is infinite where the first n is the larger '
            'one; else estimate it with '
            'course_lib.distributions.kl_divergence(p, q, n_samples=10000)')
    wide = [{name: F.cast(v, numpy.float64) for name, v in d._given.items()} for d in (p, q)]
    if all('p' in given for given in wide):
        of_one = KLOfPs()(*(given['p'] for given in wide))
    else:
        of_one = KLOfLogits()(*(given['logit'] if 'logit' in given else logit(given['p'])
                                for given in wide))
    of_one = where(p.n.array > 0, of_one, 0.)   # no trial, no difference
    return F.cast(p.n.array * of_one, numpy.result_type(p.dtype, q.dtype))
