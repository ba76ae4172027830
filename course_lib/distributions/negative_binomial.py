"""Negative binomial: counts that scatter more than Poisson's do."""
import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.binomial import upper_tail
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    StirlingError,
    cast,
    exp,
    expm1,
    log,
    log_factorial,
    log_peak,
    log_ratio,
    polynomial,
    refined,
    sigmoid,
    sqrt,
    where,
)

LOG_LIMIT = 650.   # e^650 = 1e282: as good as infinite, with room for a product or two
LEAST_MEAN = 1e-282
SHIFT = 8          # Stirling's series is right to 1e-15 from here on; an even number


class LogProb(Elementwise):
    """log p(x) for a mean mu (or log mu, or log(mu / r)) and a concentration r.

    Its derivatives: (x - mu) r / (mu (r + mu)) in mu, r / (r + mu) (x - mu) in log mu and in
    log(mu / r), digamma(x + r) - digamma(r) + log(r / (r + mu)) + (mu - x) / (r + mu) in r.
    """

    upcast = True

    def __init__(self, x, mean_name):
        super().__init__(x)
        self.mean_name = mean_name

    def value(self, x, a, r):
        xp = special.xp_of(x, a, r)
        mu, excess, lowered = self._means(x, a, r)
        s, n, x0 = r + mu, r + x, xp.maximum(x, 1)
        u1, w1 = -excess / s, n / s
        u2, w2 = (r / x0) * (excess / s), w1 * (xp.maximum(mu, LEAST_MEAN) / x0)
        # lgamma(x + r) - lgamma(r) - log x! + ... has terms of size r log r, 2e11 for r = 1e10.
        # With Stirling's formula put in by hand these cancel on paper, and what is left are two
        # logarithms of ratios near 1 and the small errors of Stirling's formula.
        return (log_peak(x) + _stirling(n) - _stirling(r) + 0.5 * xp.log(r / n)
                + r * (_log1p(u1, w1) - lowered) + x * (_log1p(u2, w2) + self._raised(a, r, x)))

    def _means(self, x, a, r):
        """mu, mu - x, and by how much log mu was lowered to stay within float64."""
        if self.mean_name == 'mean':
            return a, a - x, 0.
        none = special.data(x) == 0
        x0 = x + none
        if self.mean_name == 'logit':
            log_mean, d = a + log(r), a - log_ratio(x0, r)
        else:
            log_mean, d = a, a - log(x0)
        lowered = where(special.data(log_mean) > LOG_LIMIT, log_mean - LOG_LIMIT, 0.)
        mu = exp(log_mean - lowered)
        # mu - x = x (e^d - 1) with d = log(mu / x): a small d, a small difference.
        return mu, x * expm1(d - lowered) + none * mu, lowered

    def _raised(self, a, r, x):
        """log mu less that of LEAST_MEAN, where it is smaller: mu may underflow, log mu does not.
        """
        xp = special.xp_of(a, r, x)
        if self.mean_name == 'mean':
            return xp.where((a == 0) & (x > 0), -xp.inf, 0)
        return xp.minimum(
            a + (xp.log(r) if self.mean_name == 'logit' else 0) - numpy.log(LEAST_MEAN), 0)

    def partials(self, x, a, r):
        mu, excess, lowered = self._means(x, a, r)
        s = r + mu

        def in_mean():
            slope = -excess * (r / s)
            if self.mean_name != 'mean':
                return slope
            neither = (special.data(x) == 0) & (special.data(a) == 0)
            return where(neither, -1., slope / where(neither, 1., mu))

        def in_concentration():
            # The digammas are log r - 1/(2r) + stirling'(r): all that is large cancels on paper.
            # For x = 1 their difference is just 1 / r, and what else there is, is as for x = 0.
            one = special.data(x) == 1
            rest = where(one, 0., x)
            n = r + rest
            u = -(where(one, mu, excess)) / s
            curved = log_n = _log1p(u, n / s) - lowered
            first = 1 / r
            if self.mean_name != 'logit':
                curved, first = _log1pmx(u, log_n), mu / r / s
            return (_stirling_slope(n) - _stirling_slope(r) + rest / r / (2 * n) + curved
                    + one * first)

        return [in_mean, in_concentration]


class LogProbForFloat32(Elementwise):
    """:class:`LogProb` of log mu and r to the precision of float32 inputs, several times faster.

    lgamma(z) is Stirling's formula at z + 4, less log(z (z + 1) (z + 2) (z + 3)). Where so short a
    formula may miss the sixth digit, :class:`LogProb` computes the element again.
    """

    upcast = True

    def value(self, x, a, r):
        def sum_of_terms(x, a, r):
            s, n = r + exp(a), r + x
            up, up_r = n + 4, r + 4
            ratio = up / up_r
            small = ratio * ratio
            small *= ratio
            small *= sqrt(ratio)
            small *= _four_factors(r) / _four_factors(n)
            of_n, of_r = n * log(up / s), r * log(up_r / r)
            y = of_n - of_r
            y += x * (a - 1)
            y -= log_factorial(x)
            y += log(small)
            t, t_r = 1 / up, 1 / up_r
            y += t * polynomial(t * t, STIRLING) - t_r * polynomial(t_r * t_r, STIRLING)
            return y, ~(abs(y) > 0.01 * t_r * t_r * t_r + 1e-9 * (n + of_r + abs(of_n)))

        def exact(x, a, r):
            return special.apply(LogProb(x, 'log_mean'), a, r)

        return refined(sum_of_terms, exact, x, a, r)

    def partials(self, x, a, r):
        def quick(x, a, r):
            # digamma(z) is log(z + 4) - 1 / (2 (z + 4)) less a series, and less the derivative of
            # log(z (z + 1) (z + 2) (z + 3)).
            mu = exp(a)
            s, n = r + mu, r + x
            up, up_r = n + 4, r + 4
            t, t_r = 1 / up, 1 / up_r
            g = log(up / s * (r / up_r))
            u = (mu - x) / s
            doubtful = 1e-9 * (1 + abs(g) + abs(u))
            g += u
            g += _slope_of_four_factors(r) - _slope_of_four_factors(n)
            g -= 0.5 * (t - t_r)
            t *= t
            t_r *= t_r
            g += t_r * polynomial(t_r, DIGAMMA) - t * polynomial(t, DIGAMMA)
            doubtful += 0.1 * t_r * t_r
            return g, ~(abs(g) > doubtful)

        def exact(x, a, r):
            return LogProb((), 'log_mean').partials(x, a, r)[1]()

        def quick_in_log_mean(x, a, r):
            mu = exp(a)
            g = x - mu
            doubtful = abs(g) < 1e-8 * x
            g *= r / (r + mu)
            return g, doubtful | ~(mu < numpy.inf)

        def exact_in_log_mean(x, a, r):
            return LogProb((), 'log_mean').partials(x, a, r)[0]()

        return [lambda: refined(quick_in_log_mean, exact_in_log_mean, x, a, r),
                lambda: refined(quick, exact, x, a, r)]


STIRLING = 1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188   # NIST DLMF 5.11.1
DIGAMMA = 1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132       # NIST DLMF 5.11.2


def _four_factors(z):
    """z (z + 1) (z + 2) (z + 3)."""
    t = z * (z + 3)
    return t * (t + 2)


def _slope_of_four_factors(z):
    """The derivative of log(z (z + 1) (z + 2) (z + 3)): the sum of 1 / (z + i)."""
    t = z * (z + 3)
    return (2 * z + 3) * (2 * t + 2) / (t * (t + 2))


class KL(Elementwise):
    """KL between two means (or logarithms of means) of one concentration r.

    (r + mu1) log((r + mu2) / (r + mu1)) + mu1 log(mu1 / mu2).
    """

    upcast = True

    def __init__(self, is_log):
        super().__init__()
        self.is_log = is_log

    def _parts(self, a, b, r):
        """mu1, mu2, mu2 - mu1, and (u, log(1 + u)) for both logarithms of the divergence."""
        low = 0.
        if self.is_log:
            top = special.xp_of(a).maximum(special.data(a), special.data(b))
            # For large means only their ratio matters: both may be lowered by one factor.
            lowered = where(top > LOG_LIMIT, top - LOG_LIMIT, 0.)
            a, b = a - lowered, b - lowered
            mu1, mu2 = exp(a), exp(b)
            close = abs(special.data(a) - special.data(b)) < 1
            difference = where(close, mu1 * expm1(where(close, b - a, 0.)), mu2 - mu1)
            missing = special.data(b) < numpy.log(LEAST_MEAN)
            low = where(missing, b - numpy.log(LEAST_MEAN), 0.)
        else:
            mu1, mu2, difference = a, b, b - a
        s, n = r + mu2, r + mu1
        mean1 = where(special.data(mu1) > 0, mu1, 1.)
        mean2 = where(special.data(mu2) > LEAST_MEAN, mu2, LEAST_MEAN)
        u1, u2 = -difference / s, (r / mean1) * (difference / s)
        return (mu1, mu2, difference, (u1, _log1p(u1, n / s)),
                (u2, _log1p(u2, n / s * (mean2 / mean1)) + low))

    def value(self, a, b, r):
        xp = special.xp_of(a, b, r)
        mu1, mu2, difference, of_r, of_mean = self._parts(a, b, r)
        y = -r * _log1pmx(*of_r) + xp.where(
            mu1 > 0, -mu1 * _log1pmx(*of_mean), difference * (r / (r + mu2)))
        if self.is_log:
            return y
        return xp.where((mu2 == 0) & (mu1 > 0), xp.inf, y)

    def partials(self, a, b, r):
        mu1, mu2, difference, of_r, of_mean = self._parts(a, b, r)

        def in_q():
            slope = difference * (r / (r + mu2))
            if self.is_log:
                return slope
            neither = (special.data(mu1) == 0) & (special.data(mu2) == 0)
            return where(neither, 1., slope / where(neither, 1., mu2))

        return [lambda: -of_mean[1] * mu1 if self.is_log else -of_mean[1], in_q,
                lambda: -_log1pmx(*of_r)]


def _log1p(u, w):
    """log(1 + u), given also w = 1 + u: what w lost to rounding near 1, u still has."""
    return log(w) + 2 * (u - (w - 1)) / (w + 1 / w)


def _log1pmx(u, log1p_u):
    """log(1 + u) - u without cancellation for small u. No branches: they cost more than the sums.
    """
    near = (abs(special.data(u)) < 0.25).astype('d')
    t = u * near
    ratio = t / (2 + t)
    square = ratio * ratio
    tail = square * polynomial(square, [2 / (2 * k + 1) for k in range(1, 10)])
    return ratio * (tail - t) + (1 - near) * (log1p_u - u)


def _stirling(z):
    """The error of Stirling's formula (see :func:`special.stirling_error`), to 1e-14 absolute."""
    small, series, c = _shifted(z, StirlingError.SERIES)
    if small is None:
        return series
    # lgamma(c + 1) is lgamma(c + SHIFT + 1) - log((c + 1) ... (c + SHIFT)), paired from the ends.
    q, product = c * (c + SHIFT + 1), 1
    for i in range(1, SHIFT // 2 + 1):
        product = product * (q + i * (SHIFT + 1 - i))
    return series + small * ((c + SHIFT + 0.5) * log(c + SHIFT) - SHIFT - (c + 0.5) * log(c)
                             - log(product))


def _stirling_slope(z):
    """The derivative of :func:`_stirling`: digamma(z) - log z + 1 / (2 z)."""
    series = tuple(-(2 * j + 1) * c for j, c in enumerate(StirlingError.SERIES))
    small, slope, c = _shifted(z, series, order=1)
    if small is None:
        return slope
    # digamma(c + 1) is digamma(c + SHIFT) - 1 / (c + 1) - ... - 1 / (c + SHIFT - 1), in pairs.
    q = c * (c + SHIFT)
    pairs = sum(1 / (q + i * (SHIFT - i)) for i in range(1, SHIFT // 2))
    harmonic = (2 * c + SHIFT) * pairs + 1 / (c + SHIFT // 2)
    return slope + small * (log((c + SHIFT) / c) - 0.5 / (c + SHIFT) - 0.5 / c - harmonic)


def _shifted(z, coefficients, order=0):
    """An asymptotic series at z, or at z + SHIFT where z is small; the mask; z clipped to SHIFT."""
    small = (special.data(z) < SHIFT).astype('d')
    t = 1 / (z + SHIFT * small)
    square = t * t
    series = (square if order else t) * polynomial(square, coefficients)
    if not small.any():
        return None, series, None
    return small, series, z * small + SHIFT * (1 - small)


class Cdf(Elementwise):
    """P(X <= k) = I_q(r, k + 1) with q = r / (r + mu), or 1 less that; differentiable in mu.

    Or in the logit log(mu / r), of which q = sigmoid(-logit).
    """

    upcast = True

    def __init__(self, k, of_logit, upper):
        super().__init__(k)
        self.of_logit, self.upper = of_logit, upper

    def value(self, k, a, r):
        xp = special.xp_of(k, a, r)
        inside = (k >= 0) & (k < xp.inf)
        k0 = xp.where(inside, xp.floor(k), 0)
        if self.of_logit:
            p, q = sigmoid(a), sigmoid(-a)
        else:
            p, q = a / (r + a), r / (r + a)
        # However small q is, q^r may be all but 1.
        value = upper_tail(k0 + 1, r, p, xp.maximum(q, LEAST_MEAN), self.upper)
        return xp.where(inside, value, (k < 0) == self.upper)

    def partials(self, k, a, r):
        def in_mean():
            # d/dmu = -(r + k) / (r + mu) p(k): the terms of the sum telescope.
            count = special.data(k)
            xp = special.xp_of(count)
            inside = (count >= 0) & (count < xp.inf)
            k0 = xp.where(inside, xp.floor(count), 0)
            name, factor = ('logit', sigmoid(a)) if self.of_logit else ('mean', 1 / (r + a))
            density = exp(special.apply(LogProb(k0, name), a, r)) * (r + k0) * factor
            return where(xp.broadcast_to(inside, density.shape),
                         density if self.upper else -density, 0.)

        def in_concentration():
            raise NotImplementedError('NegativeBinomial: the cdf has no closed-form gradient in '
                                      'the concentration; pass the concentration as an array')

        return [in_mean, in_concentration]


class NegativeBinomial(Distribution):
    r"""Negative binomial distribution, by its mean: Poisson with a Gamma-distributed rate.

    .. math:: p(x) = \frac{\Gamma(x + r)}{\Gamma(r)\, x!}
        \left(\frac{r}{r + \mu}\right)^{r} \left(\frac{\mu}{r + \mu}\right)^{x},
        \qquad x = 0, 1, 2, \ldots

    The variance is :math:`\mu + \mu^2 / r`: as the concentration r grows, it becomes Poisson.

    Args:
        mean: Mean mu, 0 or more, any shape. One of ``mean``, ``log_mean`` and ``logit``.
        log_mean: Natural logarithm of the mean, any finite number.
        logit: log(mu / r), the log-odds of the form with "r failures", any finite number.
        concentration: r, above 0, any shape. Either ``concentration`` or ``log_concentration``.
        log_concentration: Natural logarithm of r, from -650 to 650.

    Raises:
        ValueError: If not exactly one of the first three and one of the last two are given, or
            one is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, section 5.1; Loader
    (2000), Fast and Accurate Computation of Binomial Probabilities, section 5.

    Example:
        >>> f'{NegativeBinomial(mean=3., concentration=1e8).log_prob(5).array:.5f}'
        '-2.29443'
    """

    domains = {'mean': checks.non_negative, 'log_mean': checks.real,
               'logit': checks.real, 'concentration': checks.positive,
               'log_concentration': checks.Domain(
                   'a number from -650 to 650',
                   lambda a: bool((abs(a) <= LOG_LIMIT).all()), lambda a: abs(a) <= LOG_LIMIT)}
    parameter_names = ('mean', 'concentration')
    observed = checks.count
    support = 'non negative integer'

    def __init__(self, mean=None, log_mean=None, logit=None, concentration=None,
                 log_concentration=None):
        self._take(
            **self._exactly_one(mean=mean, log_mean=log_mean, logit=logit),
            **self._exactly_one(concentration=concentration, log_concentration=log_concentration))
        self._mean_name = next(iter(self._given))

    @cached_property
    def concentration(self):
        """The concentration r."""
        if 'concentration' in self._given:
            return self._given['concentration']
        return exp(self.log_concentration)

    @cached_property
    def log_concentration(self):
        """Natural logarithm of the concentration."""
        if 'log_concentration' in self._given:
            return self._given['log_concentration']
        return log(self.concentration)

    @cached_property
    def _wide_concentration(self):
        """The concentration, in float64 where it may be beyond the range of the given dtype."""
        if 'concentration' in self._given:
            return self.concentration
        return exp(F.cast(self.log_concentration, numpy.float64))

    @cached_property
    def _wide(self):
        """The same in float64: the given dtype may not hold the mean or the concentration."""
        with checks.validation(False):
            return NegativeBinomial(
                **{name: F.cast(v, numpy.float64) for name, v in self._given.items()})

    def _narrow(self, variable):
        return self._full(cast(variable, self.dtype))

    @cached_property
    def log_mean(self):
        """Natural logarithm of the mean."""
        if 'logit' in self._given:
            return self.logit + self.log_concentration
        return self._given['log_mean'] if 'log_mean' in self._given else log(self._mean)

    @cached_property
    def logit(self):
        """log(mean / concentration)."""
        return self._given['logit'] if 'logit' in self._given else (
            self.log_mean - self.log_concentration)

    @cached_property
    def _mean(self):
        return self._given['mean'] if 'mean' in self._given else exp(self.log_mean)

    def log_prob(self, x):
        """log of the probability of the count x, of the broadcast shape of x and the batch.

        Why this form: the textbook's lgamma(x + r) - lgamma(r) is a difference of numbers of size
        r log r, and in float32 nothing is left of it for r = 10^8; see :class:`LogProb`.
        """
        return self._sum_of_log_prob(x, 0)

    def _sum_of_log_prob(self, x, n_axes):
        return self._where_possible(
            self._observe(x), self.observed.contains, self._log_prob, n_axes)

    def _log_prob(self, x, n_axes=0):
        if {'log_mean', 'concentration'} == set(self._given) and (
                self.dtype == x.dtype == numpy.float32):
            return LogProbForFloat32(x).summed(n_axes)(self.log_mean, self.concentration)
        y = LogProb(x, self._mean_name).summed(n_axes)(
            self._given[self._mean_name], self._wide_concentration)
        return y if y.dtype == self.dtype else F.cast(y, self.dtype)

    def cdf(self, x):
        """P(X <= x) = I_p(r, floor(x) + 1), with p = r / (r + mu)."""
        return self._cdf(x, upper=False)

    def survival_function(self, x):
        """P(X > x) = I_{1-p}(floor(x) + 1, r), with p = r / (r + mu)."""
        return self._cdf(x, upper=True)

    def _cdf(self, x, upper):
        x = self._observe(x, domain=checks.extended_real)
        of_logit = 'mean' not in self._given
        a = self._wide.logit if of_logit else self._given['mean']
        return F.cast(Cdf(x, of_logit, upper)(a, self._wide.concentration), self.dtype)

    def sample_n(self, n, rng=None):
        """Draws of whole numbers, Poisson with a Gamma-distributed rate, in the parameters' dtype.
        """
        rng = random.generator(self.xp, rng)
        shape = (n,) + self.batch_shape
        mean, r = self._wide._mean.array, self._wide.concentration.array
        rate = random.draw(self.xp, rng, 'standard_gamma', r, size=shape)
        rate *= (mean / r).clip(0, numpy.finfo(numpy.float64).max)
        draws = random.draw(self.xp, rng, 'poisson', rate, size=shape)
        return chainer.Variable(draws.astype(self.dtype))

    @cached_property
    def mean(self):
        """mu."""
        return self._narrow(self._wide._mean)

    @cached_property
    def variance(self):
        """mu + mu^2 / r."""
        mean, r = self._wide._mean, self._wide.concentration
        return self._narrow(mean * (1 + mean / r))

    @cached_property
    def stddev(self):
        """sqrt(mu + mu^2 / r)."""
        mean, r = self._wide._mean, self._wide.concentration
        return self._narrow(sqrt(mean) * (sqrt(r + mean) / sqrt(r)))

    @cached_property
    def mode(self):
        """floor(mu (r - 1) / r), and 0 for r < 1."""
        mean, r = self._wide._mean.array, self._wide.concentration.array
        less = mean.clip(0, numpy.finfo(numpy.float64).max) / r   # inf - inf would be no number
        mode = self.xp.where(r > 1, self.xp.floor(mean - less), 0)
        return self._narrow(chainer.as_variable(mode))


@chainer.register_kl(NegativeBinomial, NegativeBinomial)
def _kl_negative_binomial_negative_binomial(p, q):
    """See :class:`KL`: there is a closed form where both have the same concentration.

    A gradient flows to the concentration if both were given the very same variable.
    """
    r, other = p._wide_concentration, q._wide_concentration
    if r.xp is not other.xp or not (r.array == other.array).all():
        raise NotImplementedError(
            'KL(NegativeBinomial || NegativeBinomial) has a closed form only for equal '
            'concentrations; estimate it with '
            'course_lib.distributions.kl_divergence(p, q, n_samples=10000)')
    shared = {id(v) for v in p._given.values()} & {id(v) for v in q._given.values()}
    if not any(id(d._given[name]) in shared for d in (p, q) for name in d._given
               if name.endswith('concentration')):
        r = chainer.as_variable(r.array)
    dtype = numpy.result_type(p.dtype, q.dtype)
    if p._mean_name == q._mean_name == 'mean':
        y = KL(is_log=False)(p._mean, q._mean, r)
    elif p._mean_name == q._mean_name == 'logit':
        # Both means are proportional to r, and so is the divergence: r enters as a mere factor.
        y = r * KL(is_log=True)(p.logit, q.logit, r.xp.ones((), r.dtype))
    else:
        y = KL(is_log=True)(p._wide.log_mean, q._wide.log_mean, r)
    return y if y.dtype == dtype else F.cast(y, dtype)
