"""Dirichlet: shares that sum to 1, such as the weights of a mixture."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions.gamma import StandardEntropy, standard_entropy
from course_lib.numerics import gamma, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import (
    StirlingBregman,
    StirlingRise,
    digamma_minus_log,
    itakura_saito,
    log_ratio,
)
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    StirlingError,
    apply,
    digamma,
    lgamma,
    polygamma,
    sqrt,
    where,
)

# Up to this total the textbook formulas lose nothing (and give log p = 0 exactly for alpha = 1).
SMALL = 20


class LogProbOfShare(Elementwise):
    """What one share x adds to log p, for parameter a and total n of all parameters.

    (a - 1) log x - log Gamma(a) and, for large n, a log n - a, which :class:`LogProbOfTotal` takes
    off again: the a of all shares add up to n. For that reason n has no derivative here.
    """

    upcast = True

    def value(self, x, a, n):
        xp = special.xp_of(x, a, n)
        large = a > 10
        power = xp.where(a == 1, 0, (a - 1) * xp.log(xp.where(a == 1, 1, x)))
        direct = power - lgamma(a)
        # For large a, Stirling's formula cancelled on paper against n x / a, which is near 1.
        x0, a0 = xp.where(large, x, 1), xp.where(large, a, n)
        saddle = (a0 * log_ratio(n * x0, a0) - special.stirling_error(a0) + 0.5 * xp.log(a0)
                  - HALF_LOG_2PI - xp.log(x0))
        shifted = xp.where(large, saddle, direct + a * xp.log(n) - a)
        return xp.where(n <= SMALL, direct, shifted)

    def partials(self, x, a, n):
        def in_x():
            one = special.data(a) == 1
            return where(one, 0., (a - 1) / where(one, 1., x))
        return [in_x, lambda: log_ratio(n * x, a) - digamma_minus_log(a), lambda: 0 * n]


class LogProbOfTotal(Elementwise):
    """log Gamma(n) and, for large n, n - n log n."""

    upcast = True

    def value(self, n):
        xp = special.xp_of(n)
        large = special.stirling_error(n) - 0.5 * xp.log(n) + HALF_LOG_2PI
        return xp.where(n <= SMALL, lgamma(n), large)

    def partials(self, n):
        return [lambda: digamma_minus_log(n)]


class EntropyOfShare(Elementwise):
    """log Gamma(a) - (a - 1) digamma(a) and, for a large total n, + a.

    That is the entropy of a Gamma variable; n has no derivative, as in :class:`LogProbOfShare`.
    """

    upcast = True

    def value(self, a, n):
        xp = special.xp_of(a, n)
        return xp.where(n <= SMALL, lgamma(a) - (a - 1) * digamma(a),
                        standard_entropy(a))

    def partials(self, a, n):
        def in_a():
            slope, = StandardEntropy().partials(a)
            return where(special.data(n) <= SMALL, (1 - a) * polygamma(1, a), slope())
        return [in_a, lambda: 0 * n]


class EntropyOfTotal(Elementwise):
    """(n - size) digamma(n) - log Gamma(n) and, for large n, - n."""

    upcast = True

    def __init__(self, size):
        super().__init__()
        self.size = size

    def value(self, n):
        xp = special.xp_of(n)
        large = -standard_entropy(n) - (self.size - 1) * digamma(n)
        return xp.where(n <= SMALL, (n - self.size) * digamma(n) - lgamma(n), large)

    def partials(self, n):
        def in_n():
            slope, = StandardEntropy().partials(n)
            return where(special.data(n) <= SMALL, (n - self.size) * polygamma(1, n),
                         -slope() - (self.size - 1) * polygamma(1, n))
        return [in_n]


class KLOfShare(Elementwise):
    """What one share adds to the divergence, given its parameters a1 and a2 and the rests r1, r2.

    A Dirichlet variable and the sum that independent Gamma variables were divided by to make it
    are independent, so the divergence of the Gammas is that of the shares plus that of the sums,
    whatever the scales. Value: that of one Gamma, for scales that make the means of the sums agree;
    the share marked as ``largest`` takes off that of the sums. Partials: of the whole divergence;
    hence there are none for the rests.
    """

    upcast = True

    def _near(self, a1, r1, a2, r2):
        """Where differences are best taken between the two distributions' parameters."""
        a1, r1, a2, r2 = (special.data(v) for v in (a1, r1, a2, r2))
        return (abs(a2 - a1) < 0.5 * a1) & (abs(r2 - r1) < 0.5 * r1)

    def _excess(self, a1, r1, a2, r2):
        """m - a2 for m = a1 n2 / n1, n = a + r being the totals."""
        changes = a1 * (r2 - r1) - r1 * (a2 - a1)
        return where(self._near(a1, r1, a2, r2), changes, a1 * r2 - r1 * a2) / (a1 + r1)

    def value(self, largest, a1, r1, a2, r2):
        xp = special.xp_of(a1)
        n1, n2 = a1 + r1, a2 + r2
        m, excess = a1 * (n2 / n1), self._excess(a1, r1, a2, r2)
        bregman, rise = StirlingBregman().on_arrays, [StirlingRise(i).on_arrays for i in (0, 1)]
        own = 0.5 * itakura_saito(a2, a1) + bregman(a1, a2)
        # The divergence of the sums has the same form. Where a is nearly all of n, the two are
        # nearly equal; what is left of their difference comes from the excess and from the rests.
        from_rests = (rise[0](a1, n1, r1) - rise[0](a2, n2, r2)
                      + (a2 - a1) * rise[1](a1, n1, r1)
                      + (r2 - r1) * StirlingError(1).on_arrays(n1))
        nearly_all = (r1 < 0.25 * a1) & (r2 < 0.25 * a2) & (r1 < abs(a2 - a1))
        difference = (0.5 * (log_ratio(m, a2, excess) - excess / a1)
                      + xp.where(nearly_all, from_rests, bregman(a1, a2) - bregman(n1, n2)))
        return a2 * itakura_saito(m, a2, excess) + xp.where(largest > 0, difference, own)

    def partials(self, largest, a1, r1, a2, r2):
        n1, n2 = a1 + r1, a2 + r2
        change, change_of_rest = a2 - a1, r2 - r1

        def in_a1():
            # (n2 - n1) trigamma(n1) - (a2 - a1) trigamma(a1), with the terms 1/n1 and 1/a1 of the
            # trigammas put together first; right also where a is nearly all of n.
            fall = 0.5 * r1 * (a1 + n1) / a1 / a1 / n1 / n1 - apply(StirlingRise(2), a1, n1, r1)
            return (self._excess(a1, r1, a2, r2) / a1 - change * fall
                    + change_of_rest * (0.5 / n1 / n1 + apply(StirlingError(2), n1)))

        def in_a2():
            # digamma(a2) - digamma(n2) - digamma(a1) + digamma(n1), in three parts: logarithms,
            # halves of reciprocals, and Stirling's error.
            m = a1 * (n2 / n1)
            logs = log_ratio(m, a2, self._excess(a1, r1, a2, r2))
            changes = a1 / n1 * change_of_rest - r1 / a1 * change * ((a1 + n2) / n1)
            halves = 0.5 * where(self._near(a1, r1, a2, r2), changes / a2 / n2,
                                 r2 / a2 / n2 - r1 / a1 / n1)
            rise = StirlingRise
            along_rest = apply(rise(), a2, n2, r2) - apply(rise(), a1, n1, r1)
            across = (apply(rise(), n1, n2, change + change_of_rest)
                      - apply(rise(), a1, a2, change))
            rest_is_small = special.data(r1) < 0.25 * special.data(a1)
            return -logs - halves - where(rest_is_small, along_rest, across)

        return [in_a1, lambda: 0 * r1, in_a2, lambda: 0 * r2]


class Dirichlet(Distribution):
    r"""Dirichlet distribution on the simplex: shares x_i >= 0 that sum to 1.

    .. math:: p(x) = \frac{\Gamma(\sum_i \alpha_i)}{\prod_i \Gamma(\alpha_i)}
        \prod_i x_i^{\alpha_i - 1}

    All formulas are evaluated in float64 and returned in the parameters' dtype.

    Args:
        alpha: Concentrations, above 0. The last axis is the event, one entry a share; the axes
            before it are the batch.

    Raises:
        ValueError: If ``alpha`` is a single number or out of its domain.
        TypeError: If ``alpha`` is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. B.16; samples and their
    gradients: Figurnov, Mohamed and Mnih (2018), Implicit Reparameterization Gradients.

    Example:
        >>> float(Dirichlet([1., 1., 1.]).prob([0.2, 0.3, 0.5]).array)   # uniform: density 2
        2.0
    """

    domains = {'alpha': checks.positive}
    parameter_names = ('alpha',)
    support = '[0, 1]'
    has_rsample = True
    _event_ndim = {'alpha': 1}

    def __init__(self, alpha):
        self._take(alpha=alpha)
        if self.alpha.ndim == 0:
            raise ValueError('Dirichlet: alpha must have at least one axis, whose entries are the '
                             f'shares; got the single number {self.alpha.array}')
        if self.event_shape == (0,):
            raise ValueError('Dirichlet: alpha must have at least one share on its last axis; '
                             f'got an array of shape {self.alpha.shape}')

    @property
    def alpha(self):
        """Concentrations."""
        return self._given['alpha']

    @property
    def event_shape(self):
        return self.alpha.shape[-1:]

    @cached_property
    def alpha0(self):
        """The sum of the concentrations, of the shape of the batch."""
        return F.cast(F.squeeze(self._total, -1), self.dtype)

    @cached_property
    def _alpha64(self):
        return F.cast(self.alpha, numpy.float64)

    @cached_property
    def _total(self):
        return F.sum(self._alpha64, axis=-1, keepdims=True)

    @cached_property
    def _rest(self):
        """The sum of all concentrations but one's own, without subtracting it from the total."""
        a = self._alpha64
        nothing = self.xp.zeros(a.shape[:-1] + (1,), a.dtype)
        before = F.concat([nothing, F.cumsum(a, axis=-1)[..., :-1]], axis=-1)
        after = F.flip(F.concat([nothing, F.cumsum(F.flip(a, -1), axis=-1)[..., :-1]], axis=-1), -1)
        return before + after

    def log_prob(self, x):
        """log p(x); -inf where x has a negative share or does not sum to 1.

        The sum may be off by 1e-5, or 8 units of rounding of x's dtype if that is more (float16).
        On the edge of the simplex it is the limit: -inf where a share is 0 whose alpha is above 1,
        else +inf where a share is 0 whose alpha is below 1.

        Why this form: log Gamma of the total and of the parts are large and cancel; Stirling's
        formula takes the large parts off before they are computed; see :class:`LogProbOfShare`.
        """
        x = self._observe(x)
        dtype = numpy.result_type(x.dtype, self.dtype)
        inside = self._on_simplex(x.array)
        shape = inside.shape + self.event_shape
        x = F.broadcast_to(F.cast(x, numpy.float64), shape)
        rows = self.xp.broadcast_to(inside[..., None], shape)
        x = where(rows, x, 1 / self.event_shape[0])
        shares = LogProbOfShare()(x, self._alpha64, self._total)
        total = F.squeeze(LogProbOfTotal()(self._total), -1)
        log_p = F.sum(shares, axis=-1) + F.broadcast_to(total, inside.shape)
        return F.cast(where(inside, log_p, -math.inf), dtype)

    def _on_simplex(self, x):
        tolerance = max(1e-5, 8 * float(numpy.finfo(x.dtype).eps))
        sums = abs(x.astype(numpy.float64).sum(axis=-1) - 1) <= tolerance
        possible = (x > 0) | (x == 0) & (self.alpha.array <= 1)
        return possible.all(axis=-1) & sums

    def sample_n(self, n, rng=None):
        """Shares of independent Gamma draws: differentiable.

        They are normalised as logarithms, so that tiny alphas cannot give 0 / 0. A share too small
        for the dtype is the smallest normal number instead of 0.
        """
        y = gamma.log_sample(self.alpha, n, rng)
        return gamma.representable(F.softmax(y, axis=-1), self.dtype, high=1.)

    @cached_property
    def mean(self):
        """alpha / sum of alpha."""
        return F.cast(self._mean64, self.dtype)

    @cached_property
    def _mean64(self):
        return self._alpha64 / (self._alpha64 + self._rest)

    @cached_property
    def variance(self):
        """m (1 - m) / (1 + sum of alpha) of each share, m being its mean."""
        total = self._alpha64 + self._rest
        return F.cast(self._mean64 * (self._rest / total) / (total + 1), self.dtype)

    @cached_property
    def stddev(self):
        """The square root of the variance, which may underflow where the root does not."""
        total = self._alpha64 + self._rest
        others = where(self._rest.array > 0, self._rest / total, 0.)   # no slope for a lone share
        return F.cast(sqrt(self._mean64) * sqrt(others) / sqrt(total + 1), self.dtype)

    @cached_property
    def mode(self):
        """(alpha - 1) / (sum of alpha - number of shares), if every alpha is above 1.

        Raises:
            ValueError: If an alpha is 1 or less: the density then has no highest point inside.
        """
        checks.check('Dirichlet.mode', 'alpha', self.alpha.array, _ABOVE_ONE)
        excess = self._alpha64 - 1
        total = F.broadcast_to(F.sum(excess, axis=-1, keepdims=True), excess.shape)
        return F.cast(excess / total, self.dtype)

    @cached_property
    def entropy(self):
        """log B(alpha) + (n - K) digamma(n) - sum of (alpha - 1) digamma(alpha), in nats.

        n is the sum of alpha, K their number and B the multivariate beta function.
        """
        shares = F.sum(EntropyOfShare()(self._alpha64, self._total), axis=-1)
        total = EntropyOfTotal(self.event_shape[0])(self._total)
        return F.cast(shares + F.squeeze(total, -1), self.dtype)


_ABOVE_ONE = checks.Domain('a finite number above 1', lambda a: bool((a > 1).all()),
                               lambda a: a > 1)


@chainer.register_kl(Dirichlet, Dirichlet)
def _kl_dirichlet_dirichlet(p, q):
    """Of the Gamma variables that make the shares, less that of their sums: :class:`KLOfShare`."""
    if p.event_shape != q.event_shape:
        raise ValueError(f'KL(Dirichlet || Dirichlet): the numbers of shares differ, '
                         f'{p.event_shape[0]} and {q.event_shape[0]}')
    alpha = p.alpha.array
    largest = p.xp.arange(alpha.shape[-1]) == alpha.argmax(axis=-1)[..., None]
    shares = KLOfShare(largest)(p._alpha64, p._rest, q._alpha64, q._rest)
    return F.cast(F.sum(shares, axis=-1), numpy.result_type(p.dtype, q.dtype))
