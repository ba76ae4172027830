"""Binomial: how many of n independent trials succeed."""
import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.bernoulli import KLOfLogits, KLOfPs
from course_lib.distributions.distribution import OfProbability, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import deviance, exp, log_peak, log_ratio, logit, sigmoid, where


class LogProbOfP(Elementwise):
    """log p(x; n, p), and its derivative (x - n p) / (p (1 - p))."""

    upcast = True

    def value(self, x, n, p):
        return _log_at_own_p(x, n) - deviance(x, n * p) - deviance(n - x, n * (1 - p))

    def partials(self, x, n, p):
        none, all_ = special.data(x) == 0, special.data(x) == special.data(n)
        inside = (x - n * p) / where(none | all_, 1., p * (1 - p))

        def derivative():
            at_edge = where(none, -n / where(none, 1 - p, 1.), n / where(none, 1., p))
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
    xp = special.xp_of(p)
    betainc = special.special_of(xp).betainc
    # A small q is known to more digits than 1 - p, and a tail below 1/2 to more than 1 less the
    # other one; q near 1 says little about p.
    tail = betainc(a, b, p)
    other = betainc(b, a, q)
    if upper:
        return xp.where(other < 0.5, 1 - other, tail)
    return xp.where(tail < 0.5, 1 - tail, other)


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

    domains = {'n': checks.count, 'p': checks.probability, 'logit': checks.real}
    parameter_names = ('n', 'p')
    observed = checks.count
    support = 'non negative integer up to n'

    def __init__(self, n, p=None, logit=None):
        self._exactly_one(p=p, logit=logit)
        self._take(n=n, p=p, logit=logit)

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
                            self.p.array.astype(numpy.float64), size=(n,) + self.batch_shape)
        return chainer.Variable(draws.astype(self.dtype))

    @cached_property
    def mean(self):
        """n p."""
        return self._full(self.n.array * self.p)

    @cached_property
    def variance(self):
        """n p (1 - p)."""
        failure = 1 - self.p if 'p' in self._given else sigmoid(-self.logit)
        return self._full(self.n.array * self.p * failure)

    @cached_property
    def mode(self):
        """floor((n + 1) p), at most n."""
        n = self.n.array.astype(numpy.float64)
        mode = self.xp.minimum(self.xp.floor((n + 1) * self.p.array), n)
        return self._full(chainer.as_variable(self.xp.asarray(mode, self.dtype)))


@chainer.register_kl(Binomial, Binomial)
def _kl_binomial_binomial(p, q):
    """n times the divergence of one trial; only for equal n."""
    if not (p.n.array == q.n.array).all():
        raise ValueError('KL(Binomial || Binomial) needs the same n on both sides; '
                         f'got n={p.n.array} and n={q.n.array}')
    wide = [{name: F.cast(v, numpy.float64) for name, v in d._given.items()} for d in (p, q)]
    if all('p' in given for given in wide):
        of_one = KLOfPs()(*(given['p'] for given in wide))
    else:
        of_one = KLOfLogits()(*(given['logit'] if 'logit' in given else logit(given['p'])
                                for given in wide))
    return F.cast(p.n.array * of_one, numpy.result_type(p.dtype, q.dtype))
