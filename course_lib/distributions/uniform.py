"""Uniform: every value between two bounds alike."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions.gumbel import Gumbel
from course_lib.distributions.normal import Normal, wide_scale
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import HALF_LOG_2PI, cast, exp, expm1, expm1mx, log, log1p, where


class LogProb(Elementwise):
    """log p(x) = -log(width) inside (a constant, 0 or 1), -inf outside; flat in x and low."""

    upcast = True

    def value(self, inside, x, low, width):
        return where(inside > 0, -log(width), -math.inf)

    def partials(self, inside, x, low, width):
        return [lambda: 0. * width,
                lambda: 0. * width,
                lambda: where(special.data(inside) > 0, -1 / width, 0.)]


class Tail(Elementwise):
    """P(X <= x), or with ``upper`` P(X > x), or with ``is_log`` the logarithm of either."""

    upcast = True

    def __init__(self, upper=False, is_log=False):
        super().__init__()
        self.upper, self.is_log = upper, is_log

    def _shares(self, x, low, high):
        """The share of the interval on the side asked for, and that on the other side."""
        # Each from its own bound: 1 - (x - low) / (high - low) would round the smaller one away.
        shares = (x - low) / (high - low), (high - x) / (high - low)
        return shares[::-1] if self.upper else shares

    def value(self, x, low, high):
        xp = special.xp_of(x)
        share, rest = (xp.clip(v, 0, 1) for v in self._shares(x, low, high))
        return xp.where(share < 0.5, xp.log(share), xp.log1p(-rest)) if self.is_log else share

    def partials(self, x, low, high):
        inside = (special.data(x) >= special.data(low)) & (special.data(x) <= special.data(high))
        share, rest = self._shares(where(inside, x, 0.5 * (low + high)), low, high)
        slope = (-1 if self.upper else 1) / (high - low)
        in_x, of_share, of_rest = slope, slope * share, slope * rest
        if self.is_log:   # divided by the share, which is 0 at one of the bounds
            in_x, of_share, of_rest = slope / share, slope, of_rest / share
        in_low, in_high = (of_share, of_rest) if self.upper else (of_rest, of_share)
        return [lambda: where(inside, in_x, 0.), lambda: where(inside, -in_low, 0.),
                lambda: where(inside, -in_high, 0.)]


class Quantile(Elementwise):
    """low + (high - low) p, never above high."""

    upcast = True

    def value(self, p, low, high):
        # Rounding could otherwise carry a sample past the bound, where its own density is 0.
        return special.xp_of(p).minimum(low + (high - low) * p, high)

    def partials(self, p, low, high):
        return [lambda: high - low, lambda: 1 - p, lambda: p]


class Uniform(Distribution):
    r"""Uniform distribution on the interval from low to high, both included.

    .. math:: \log p(x) = -\log(h - l), \qquad l \le x \le h

    Args:
        low: Lower bound :math:`l`, any finite number, any shape.
        high: Upper bound :math:`h`, above ``low``.
        loc: Lower bound; with ``scale``, instead of ``low`` and ``high``.
        scale: Width :math:`h - l`, above 0.

    Raises:
        ValueError: If not exactly one of the pairs is given, or a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kotz and Balakrishnan (1995), Continuous Univariate Distributions 2, ch. 26.

    Example:
        >>> f'{Uniform(low=2, high=6).log_prob(3).array:.4f}'
        '-1.3863'
    """

    domains = {'low': checks.real, 'high': checks.real, 'loc': checks.real,
               'scale': checks.positive}
    support = '[low, high]'
    has_rsample = True

    def __init__(self, low=None, high=None, loc=None, scale=None):
        given = {'low': low, 'high': high, 'loc': loc, 'scale': scale}
        names = tuple(name for name, value in given.items() if value is not None)
        if names not in [('low', 'high'), ('loc', 'scale')]:
            raise ValueError('Uniform: give either low and high, or loc and scale; '
                             f'got {" and ".join(names) or "none"}')
        self.parameter_names = names
        self._take(**{name: given[name] for name in names})
        if checks.is_enabled():
            self._check_order()

    def _check_order(self):
        wrong = ~(self.high.array > self.low.array)
        if wrong.any():
            first = wrong.ravel().argmax()
            got = ' and '.join(
                f'{name} {self.xp.broadcast_to(v.array, wrong.shape).ravel()[first]}'
                for name, v in self._given.items())
            rule = ('high must be above low' if 'low' in self._given else
                    f'loc + scale must be above loc, also as rounded to {self.dtype}')
            raise ValueError(f'Uniform: {rule}; got {got}')

    @cached_property
    def low(self):
        """The lower bound."""
        return self._given['low'] if 'low' in self._given else self.loc

    @cached_property
    def high(self):
        """The upper bound."""
        return self._given['high'] if 'high' in self._given else self.loc + self.scale

    @cached_property
    def loc(self):
        """The lower bound."""
        return self._given['loc'] if 'loc' in self._given else self.low

    @cached_property
    def scale(self):
        """The width, high - low."""
        return self._given['scale'] if 'scale' in self._given else self.high - self.low

    def log_prob(self, x):
        """-log(high - low) inside the interval, -inf outside.

        Why this form: whether x lies inside is decided on low and high, not on (x - low) / width,
        so that rounding never puts a bound outside its own interval.
        """
        x = self._observe(x)
        inside = (x.array >= self.low.array) & (x.array <= self.high.array)
        return LogProb(inside)(x, self.low, self.scale)

    def _tail(self, x, **which):
        return Tail(**which)(self._observe(x), self.low, self.high)

    def cdf(self, x):
        """P(X <= x) = z = (x - low) / (high - low), between 0 and 1."""
        return self._tail(x)

    def log_cdf(self, x):
        """log z."""
        return self._tail(x, is_log=True)

    def survival_function(self, x):
        """P(X > x) = 1 - z = (high - x) / (high - low)."""
        return self._tail(x, upper=True)

    def log_survival_function(self, x):
        """log(1 - z)."""
        return self._tail(x, upper=True, is_log=True)

    def icdf(self, x):
        """The quantile low + (high - low) x of a probability x."""
        x = self._observe(x, domain=checks.probability)
        return Quantile()(x, self.low, self.high)

    def sample_n(self, n, rng=None):
        """low + (high - low) u with u uniform on (0, 1): a gradient flows to both bounds."""
        u = random.uniform(self.xp, rng, (n,) + self.batch_shape, self.dtype)
        return Quantile()(u, self.low, self.high)

    @cached_property
    def mean(self):
        """(low + high) / 2."""
        return self._full(self._middle)

    @cached_property
    def _middle(self):
        if 'loc' in self._given:
            return self.loc + 0.5 * self.scale
        return 0.5 * self.low + 0.5 * self.high

    @cached_property
    def variance(self):
        """(high - low)^2 / 12."""
        return self._full(self.scale * self.scale / 12)

    @cached_property
    def stddev(self):
        """(high - low) / sqrt(12)."""
        return self._full(self.scale / math.sqrt(12))

    @cached_property
    def entropy(self):
        """log(high - low), in nats."""
        return self._full(log(self.scale))


def _widened(p):
    """The same in float64: a difference of bounds, rounded to float32, may keep few digits."""
    with checks.validation(False):
        return Uniform(**{name: F.cast(v, numpy.float64) for name, v in p._given.items()})


@chainer.register_kl(Uniform, Uniform)
def _kl_uniform_uniform(p, q):
    """log(width2 / width1) if the first interval lies inside the second, else infinite."""
    inside = (p.low.array >= q.low.array) & (p.high.array <= q.high.array)
    dtype = numpy.result_type(p.dtype, q.dtype)
    p, q = _widened(p), _widened(q)
    # log1p of the relative difference. It is put together from what sticks out at either end, for
    # the widths of two intervals that nearly agree have lost their difference to rounding.
    by_bounds = 'low' in p._given and 'low' in q._given
    rise = (q.high - p.high) + (p.low - q.low) if by_bounds else q.scale - p.scale
    return F.cast(where(inside, log1p(rise / p.scale), math.inf), dtype)


class KLUniformNormal(Elementwise):
    """KL = r^2 / 24 + q^2 / 2 - log r + log(2 pi) / 2; r = width / scale, q = d / scale."""

    upcast = True

    def value(self, middle, width, loc, scale):
        r, q = width / scale, (middle - loc) / scale
        return r * r / 24 + 0.5 * q * q + (log(scale) - log(width)) + HALF_LOG_2PI

    def partials(self, middle, width, loc, scale):
        r, q = width / scale, (middle - loc) / scale
        return [lambda: q / scale,
                lambda: r / 12 / scale - 1 / width,
                lambda: -q / scale,
                lambda: (1 - r * r / 12 - q * q) / scale]


@chainer.register_kl(Uniform, Normal)
def _kl_uniform_normal(p, q):
    """E (x - loc)^2 = width^2 / 12 + (middle - loc)^2; see :class:`KLUniformNormal`."""
    wide = _widened(p)
    return cast(KLUniformNormal()(wide._middle, wide.scale, q.loc, wide_scale(q)),
                numpy.result_type(p.dtype, q.dtype))


class KLUniformGumbel(Elementwise):
    """KL = a - log r + e^(r / 2 - a) (1 - e^-r) / r; r = width / scale, a = (middle - loc) / scale.
    """

    upcast = True

    def value(self, middle, width, loc, scale):
        r, a = width / scale, (middle - loc) / scale
        return a + (log(scale) - log(width)) - exp(0.5 * r - a) * expm1(-r) / r

    def partials(self, middle, width, loc, scale):
        r, a = width / scale, (middle - loc) / scale
        # E e^-z - 1 = e^-a sinh(h) / h - 1 with h = r / 2: small where z is, so not a difference.
        near = special.data(abs(a) + r) < 1
        h, b = where(near, 0.5 * r, 1.), where(near, a, 0.)
        bulge = 0.5 * (expm1mx(h) - expm1mx(-h)) / h
        rise = where(near, bulge + (1 + bulge) * expm1(-b), -exp(0.5 * r - a) * expm1(-r) / r - 1)
        # The derivative of e^-a sinh(r / 2) / (r / 2) in r, times r.
        bend = 0.5 * exp(0.5 * r - a) * (1 + exp(-r)) - 1 - rise
        return [lambda: -rise / scale,
                lambda: (bend - 1) / width,
                lambda: rise / scale,
                lambda: (1 + a * rise - bend) / scale]


@chainer.register_kl(Uniform, Gumbel)
def _kl_uniform_gumbel(p, q):
    """E e^-z of a uniform z; see :class:`KLUniformGumbel`."""
    wide = _widened(p)
    return cast(KLUniformGumbel()(wide._middle, wide.scale, q.loc, q.scale),
                numpy.result_type(p.dtype, q.dtype))
