"""Discretised logistic: a grey value out of a fixed number of levels."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.continuous_bernoulli import mean_of_logit
from course_lib.distributions.distribution import Distribution, cached_property, sum_last
from course_lib.numerics import random, special
from course_lib.numerics.cuda_graph import surely_all
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    apply,
    exp,
    expm1,
    expm1mx,
    log1mexp,
    log_sigmoid,
    sigmoid,
    softplus,
    where,
)


class LogMass(Elementwise):
    """log(sigmoid(b) - sigmoid(a)) for a = (lower - loc) / s and b = (upper - loc) / s.

    The constants are ``lower``, ``centre`` and ``upper`` of the bin; ``log_width``, the logarithm
    of the distance of its edges; ``has_lower`` and ``has_upper``, 0 where it reaches to infinity.
    """

    upcast = True

    def value(self, lower, centre, upper, log_width, has_lower, has_upper, loc, log_scale):
        xp = special.xp_of(loc, log_scale)
        a, b = _standardised(lower, loc, log_scale), _standardised(upper, loc, log_scale)
        # The two sigmoids are equal to rounding in the tails, and where the bin is narrow. Their
        # difference is (1 - e^(a - b)) sigmoid(b) sigmoid(-a): three logarithms, none above 0.
        log_w = log_width - log_scale
        tiny = log_w < -30
        w = xp.exp(xp.clip(log_w, -30, 700))
        width_term = xp.where(tiny, log_w, log1mexp(w))
        return (has_lower * has_upper * width_term
                - has_lower * softplus(a) - has_upper * softplus(-b))

    def partials(self, lower, centre, upper, log_width, has_lower, has_upper, loc, log_scale):
        a, b = _standardised(lower, loc, log_scale), _standardised(upper, loc, log_scale)
        inner = has_lower * has_upper

        def in_loc():
            # sigmoid(a) - sigmoid(-b) cancels near the centre of a bin; with t = a + b it is
            # +- sigmoid(|a|) sigmoid(|b|) (1 - e^-|t|), and at an edge one of the two is missing.
            total = 2 * _standardised(centre, loc, log_scale)
            sign = where(special.data(total) > 0, 1., -1.)
            both = -sign * sigmoid(sign * a) * sigmoid(sign * b) * expm1(-sign * total)
            one = has_lower * sigmoid(a) - has_upper * sigmoid(-b)
            return _inverse_scale(log_scale) * (inner * both + (1 - inner) * one)

        def in_log_scale():
            w = exp(_clip(log_width - log_scale, -700., 700.))
            return (has_lower * _times_sigmoid(a) + has_upper * _times_sigmoid(-b)
                    - inner * apply(OverExpm1(), w))

        return [in_loc, in_log_scale]


class OverExpm1(Elementwise):
    """w / (e^w - 1), for w > 0."""

    def value(self, w):
        return w / special.xp_of(w).expm1(w)

    def partials(self, w):
        # Its logarithm is minus that of (e^w - 1) / w, whose slope is the mean of a continuous
        # Bernoulli with logit w.
        return [lambda: -apply(OverExpm1(), w) * mean_of_logit(w)]


class LogTail(Elementwise):
    """log sigmoid(+-(edge - loc) / s); the constants are the sign and the edge."""

    upcast = True

    def value(self, sign, edge, loc, log_scale):
        return log_sigmoid(sign * _standardised(edge, loc, log_scale))

    def partials(self, sign, edge, loc, log_scale):
        b = sign * _standardised(edge, loc, log_scale)
        return [lambda: -sign * _inverse_scale(log_scale) * sigmoid(-b),
                lambda: _times_sigmoid(-b)]


def _clip(x, low, high):
    x = where(special.data(x) < low, low, x)
    return where(special.data(x) > high, high, x)


def _inverse_scale(log_scale):
    return exp(-_clip(log_scale, -600., 600.))   # beyond e^600 an edge can only be 0 or infinity


def _standardised(edge, loc, log_scale):
    return (edge - loc) * _inverse_scale(log_scale)


def _times_sigmoid(a):
    """a sigmoid(a), which is 0, not -inf times 0, far to the left."""
    left = special.data(a) < -740
    a = where(left, 0., a)
    return where(left, 0., a * sigmoid(a))


class DiscretizedLogistic(Distribution):
    r"""Discretised logistic distribution: a logistic variable rounded to the nearest level.

    .. math:: P(x) = \sigma\!\left(\frac{x + \delta/2 - \mathrm{loc}}{s}\right)
              - \sigma\!\left(\frac{x - \delta/2 - \mathrm{loc}}{s}\right)

    with s = e^log_scale and delta the distance between levels. The first bin reaches down to
    minus infinity and the last one up to infinity, so that the probabilities sum to 1.

    Args:
        loc: Mean of the logistic variable, any finite number, any shape.
        log_scale: Logarithm of its scale s, any finite number, any shape.
        low (float): The lowest level.
        high (float): The highest level, above ``low``.
        n_levels (int): The number of equally spaced levels, both ends included; 2 or more.

    Raises:
        ValueError: If a parameter is out of its domain or the shapes do not broadcast.
        TypeError: If a parameter is not made of real numbers, or ``n_levels`` is no integer.

    Source: Salimans, Karpathy, Chen and Kingma (2017), PixelCNN++, eq. 2.

    Example:
        >>> d = DiscretizedLogistic(loc=0., log_scale=-3., low=-1, high=1, n_levels=256)
        >>> round(float(d.log_prob(1).array), 3)   # a difference of sigmoids would be log 0
        -20.007
    """

    domains = {'loc': checks.real, 'log_scale': checks.real}
    parameter_names = ('loc', 'log_scale')

    def __init__(self, loc, log_scale, low, high, n_levels):
        self.low, self.high = (_number(name, value) for name, value in
                               (('low', low), ('high', high)))
        if not self.low < self.high:
            raise ValueError(
                f'DiscretizedLogistic: low must be less than high; got {low} and {high}')
        if isinstance(n_levels, bool) or not isinstance(n_levels, (int, numpy.integer)):
            raise TypeError(f'DiscretizedLogistic: n_levels must be an integer; got {n_levels!r}')
        if n_levels < 2:
            raise ValueError(f'DiscretizedLogistic: n_levels must be 2 or more; got {n_levels}')
        self.n_levels = int(n_levels)
        self.spacing = (self.high - self.low) / (self.n_levels - 1)
        self._take(loc=loc, log_scale=log_scale)

    @property
    def loc(self):
        """Mean of the logistic variable, as given."""
        return self._given['loc']

    @property
    def log_scale(self):
        """Logarithm of the scale, as given."""
        return self._given['log_scale']

    @property
    def support(self):
        """The set of levels, in words."""
        return f'{self.n_levels} levels from {self.low:g} to {self.high:g}'

    @property
    def observed(self):
        """The levels, as a domain: within the rounding of an observation's dtype."""
        def is_level(x):
            return self._position(x)[1]
        return checks.Domain(f'one of the {self.support}',
                                 lambda x: bool(is_level(x).all()), is_level)

    @cached_property
    def levels(self):
        """array of float64: The levels, from ``low`` to ``high``."""
        return self.xp.linspace(self.low, self.high, self.n_levels)

    def _position(self, x):
        """The index of the level nearest to each x, in float64, and whether x is that level."""
        rounding = 4 * float(numpy.finfo(x.dtype).eps) * max(abs(self.low), abs(self.high))
        position = (x.astype(numpy.float64) - self.low) / self.spacing
        index = self.xp.clip(position.round(), -1, self.n_levels)
        near = abs(position - index) <= min(0.25, rounding / self.spacing)
        return index, near & (index >= 0) & (index < self.n_levels)

    def _edge(self, index):
        """The upper edge of the bin of a level."""
        return self.low + (index + 0.5) * self.spacing

    def _log_mass(self, index, loc, log_scale, n_axes=0):
        width = self.xp.full((), math.log(self.spacing))
        node = LogMass(self._edge(index - 1), self._level(index), self._edge(index), width,
                       index > 0, index < self.n_levels - 1)
        return node.summed(n_axes)(loc, log_scale)

    def log_prob(self, x):
        """log P(x), of the broadcast shape of x and the batch.

        Why this form: a difference of sigmoids is 0, and its logarithm -inf, as soon as x is
        some twenty scales from loc in float32; see :class:`LogMass`.
        """
        return self._sum_of_log_prob(x, 0)

    def _sum_of_log_prob(self, x, n_axes):
        index, is_level = self._position(self._observe(x))
        if surely_all(is_level):
            return self._log_mass(index, self.loc, self.log_scale, n_axes)
        y = self._log_mass(where(is_level, index, 0.), self.loc, self.log_scale)
        return sum_last(where(self.xp.broadcast_to(is_level, y.shape), y, -math.inf), n_axes)

    def _log_tail(self, x, sign, at_low, at_high):
        """log P(X <= x) for sign 1, log P(X > x) for sign -1; any real x."""
        x = self._observe(x, domain=checks.extended_real)
        x = self.xp.clip(x, self.low - self.spacing, self.high)
        index, is_level = self._position(x)
        position = (x.astype(numpy.float64) - self.low) / self.spacing
        index = where(is_level, index, self.xp.floor(position))
        y = LogTail(self.xp.full((), sign), self._edge(index))(self.loc, self.log_scale)
        below, above = (self.xp.broadcast_to(outside, y.shape)
                        for outside in (index < 0, index >= self.n_levels - 1))
        return where(below, at_low, where(above, at_high, y))

    def cdf(self, x):
        """P(X <= x) = sigmoid((edge above x - loc) / s), for any real x."""
        return exp(self.log_cdf(x))

    def log_cdf(self, x):
        """log P(X <= x)."""
        return self._log_tail(x, 1., -math.inf, 0.)

    def survival_function(self, x):
        """P(X > x)."""
        return exp(self.log_survival_function(x))

    def log_survival_function(self, x):
        """log P(X > x)."""
        return self._log_tail(x, -1., 0., -math.inf)

    def icdf(self, u):
        """The smallest level x with P(X <= x) >= u, for 0 <= u <= 1; not differentiable."""
        u = self._observe(u, 'u', checks.probability)
        index = self.xp.clip(self.xp.ceil(self._quantile(u) - 0.5), 0, self.n_levels - 1)
        # Rounding may have carried icdf(cdf(x)) just past x: look one level back.
        before = self.xp.maximum(index - 1, 0)
        enough = self.cdf(self._level(before)).array >= u
        index = where(enough, before, index)
        return chainer.Variable(self.xp.asarray(self._level(index), self.dtype))

    def sample_n(self, n, rng=None):
        """Logistic draws, loc + s logit(u), rounded to the nearest level; not differentiable."""
        u = random.uniform(self.xp, rng, (n,) + self.batch_shape,
                           numpy.promote_types(self.dtype, 'f'))
        index = self.xp.clip(self._quantile(u).round(), 0, self.n_levels - 1)
        return chainer.Variable(self._level(index).astype(self.dtype))

    def _quantile(self, u):
        """The quantile loc + s logit(u) of the logistic variable, counted in levels."""
        u, loc, log_scale = (
            a.astype(numpy.float64) for a in (u, self.loc.array, self.log_scale.array))
        y = loc + self.xp.exp(self.xp.minimum(log_scale, 600)) * special.logit(u)
        return (y - self.low) / self.spacing

    def _level(self, index):
        return self.low + index * self.spacing

    @cached_property
    def _log_masses(self):
        """The log-probability of every level along a last axis, in float64."""
        loc, log_scale = (F.expand_dims(F.cast(v, 'd'), -1) for v in (self.loc, self.log_scale))
        return self._log_mass(self.xp.arange(self.n_levels, dtype=numpy.float64), loc, log_scale)

    def _expected(self, values):
        return F.sum(exp(self._log_masses) * values, axis=-1)

    @cached_property
    def mean(self):
        """The sum of levels times their probabilities."""
        return F.cast(self._expected(self.levels), self.dtype)

    @cached_property
    def variance(self):
        """The sum of the squared distances of the levels from the mean times probabilities."""
        centred = self.levels - F.expand_dims(self._expected(self.levels), -1)
        return F.cast(self._expected(centred ** 2), self.dtype)

    @cached_property
    def mode(self):
        """The most probable level; one of them, if several are equal to rounding."""
        index = self._log_masses.array.argmax(axis=-1)
        return chainer.as_variable(self.xp.asarray(self._level(index), self.dtype))

    @cached_property
    def entropy(self):
        """-sum of P log P over the levels, in nats."""
        log_p = self._log_masses
        log_p = where(log_p.array > -700, log_p, -700.)   # e^-700 is as good as 0
        return F.cast(-F.sum(exp(log_p) * log_p, axis=-1), self.dtype)

    def __repr__(self):
        return (f'{super().__repr__()[:-1]}, low={self.low:g}, high={self.high:g}, '
                f'n_levels={self.n_levels})')


def _number(name, value):
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f'DiscretizedLogistic: {name} must be one real number; got {value!r}') from None
    if not math.isfinite(number):
        raise ValueError(f'DiscretizedLogistic: {name} must be finite; got {value}')
    return number


@chainer.register_kl(DiscretizedLogistic, DiscretizedLogistic)
def _kl_discretized_logistic_discretized_logistic(p, q):
    """The sum of P (e^d - 1 - d), d = log Q - log P, over the levels: no term is negative."""
    if (p.low, p.high, p.n_levels) != (q.low, q.high, q.n_levels):
        raise ValueError('KL of DiscretizedLogistic: both must have the same levels; '
                         f'got {p.support} and {q.support}')
    log_p, log_q = F.broadcast(p._log_masses, q._log_masses)
    log_p = where(log_p.array > -700, log_p, -700.)
    d = log_q - log_p
    close = d.array < 1
    near = exp(log_p) * expm1mx(where(close, d, 0.))
    far = exp(log_q) - exp(log_p) * (1 + d)
    kl = F.sum(where(close, near, far), axis=-1)
    return F.cast(kl, numpy.result_type(p.dtype, q.dtype))
