"""Zero-inflated counts: a gate that closes to 0, or else a draw from a count distribution."""
import functools
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions.checks import (
    binary,
    count,
    extended_real,
    probability,
    real,
    trial_count,
)
from course_lib.distributions.distribution import Distribution, as_array, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import exp, expm1, log, log1p, log_sigmoid, logit, sigmoid, where


class LogProb(Elementwise):
    """log p(x) from the gate and the base's log-probabilities b0 of 0 and bx of x.

    log(g + (1 - g) e^b0) for x = 0 and log(1 - g) + bx for x > 0.
    """

    upcast = True

    def __init__(self, x, of_logit):
        super().__init__(x)
        self.of_logit = of_logit

    def _gate(self, t):
        """log g, log(1 - g) and 1 - g."""
        if self.of_logit:
            return log_sigmoid(t), log_sigmoid(-t), sigmoid(-t)
        return log(t), log1p(-t), 1 - t

    def _at_zero(self, t, b0):
        log_gate, log_open, open_ = self._gate(t)
        # P(x > 0) = (1 - g)(1 - e^b0) where that is the smaller part; else the sum of two small
        # probabilities by their logarithms. Neither loses digits.
        positive = -open_ * expm1(b0)
        rare = special.data(positive) < 0.5
        other = log_open + b0
        gate_larger = special.data(log_gate) > special.data(other)
        large = where(gate_larger, log_gate, other)
        small = where(gate_larger, other, log_gate)
        possible = special.data(large) > -math.inf
        apart = where(possible, small - where(possible, large, 0.), 0.)
        return where(rare, log1p(-where(rare, positive, 0.)), large + log1p(exp(apart)))

    def value(self, x, t, b0, bx):
        _, log_open, _ = self._gate(t)
        return where(x == 0, self._at_zero(t, b0), log_open + bx)

    def partials(self, x, t, b0, bx):
        zero = special.data(x) == 0
        log_gate, log_open, open_ = self._gate(t)

        def in_gate():
            y = self._at_zero(t, b0)
            if self.of_logit:
                return where(zero, exp(log_gate - y) * open_ * -expm1(b0), -sigmoid(t))
            return where(zero, exp(-y) * -expm1(b0), -1 / open_)

        return [in_gate, lambda: where(zero, exp(log_open + b0 - self._at_zero(t, b0)), 0.),
                lambda: where(zero, 0., 1.)]


class ZeroInflated(Distribution):
    r"""A count distribution with extra zeros: with probability g the count is 0 whatever the base.

    .. math:: p(0) = g + (1 - g)\,p_{\mathrm{base}}(0), \qquad
        p(x) = (1 - g)\,p_{\mathrm{base}}(x) \quad (x > 0)

    Args:
        base (Distribution): What is counted where the gate is open: Poisson, NegativeBinomial,
            Binomial, Geometric or another distribution of counts.
        gate: Probability g of an extra zero, between 0 and 1, any shape that broadcasts with
            ``base.batch_shape``. Either ``gate`` or ``gate_logit``.
        gate_logit: Log-odds log(g / (1 - g)), any finite number.

    Raises:
        ValueError: If both or neither of ``gate`` and ``gate_logit`` are given, one is out of its
            domain, or its shape does not broadcast with the base's.
        TypeError: If ``base`` is not a distribution of counts.

    Source: Lambert (1992), Zero-Inflated Poisson Regression, Technometrics 34(1), eq. 1.

    Example:
        >>> from course_lib.distributions import Poisson
        >>> f'{ZeroInflated(Poisson(100.), gate=0.25).log_prob(0).array:.5f}'
        '-1.38629'
    """

    domains = {'gate': probability, 'gate_logit': real}
    parameter_names = ('gate',)
    observed = count
    support = 'non negative integer'

    def __init__(self, base, gate=None, gate_logit=None):
        (name, value), = self._exactly_one(gate=gate, gate_logit=gate_logit).items()
        if getattr(base, 'observed', None) not in (
                count, trial_count, binary):
            raise TypeError('ZeroInflated: base must be a distribution of counts, such as Poisson; '
                            f'got {base!r}')
        if base.event_shape:
            raise TypeError('ZeroInflated: base must be a distribution of single counts; got one '
                            f'of event_shape {base.event_shape}')
        self.base = base
        self._take(**{name: self._in_base_dtype(name, value)})
        own = self._given[name].shape
        try:
            self._batch_shape = numpy.broadcast_shapes(own, base.batch_shape)
        except ValueError:
            raise ValueError(
                f'ZeroInflated: the shape {own} of {name} does not broadcast '
                f'with the batch_shape {base.batch_shape} of the base') from None

    def _in_base_dtype(self, name, value):
        is_float = hasattr(value, 'dtype') and value.dtype.kind == 'f'
        return value if is_float or isinstance(value, chainer.Variable) else (
            as_array('ZeroInflated', name, value, self.base.dtype, self.base.xp))

    @property
    def params(self):
        """dict: The gate and the parameters of the base, by name."""
        return dict(self.base.params, gate=self.gate)

    @property
    def dtype(self):
        return numpy.promote_types(super().dtype, self.base.dtype)

    @cached_property
    def gate(self):
        """Probability of an extra zero."""
        return self._given['gate'] if 'gate' in self._given else sigmoid(self.gate_logit)

    @cached_property
    def gate_logit(self):
        """Log-odds log(gate / (1 - gate))."""
        return self._given['gate_logit'] if 'gate_logit' in self._given else logit(self.gate)

    @cached_property
    def _open(self):
        """1 - gate, without the subtraction where the logit is known, in the common dtype."""
        return F.cast(1 - self.gate if 'gate' in self._given else sigmoid(-self.gate_logit),
                      self.dtype)

    def log_prob(self, x):
        """log p(x), of the broadcast shape of x and the batch.

        Why this form: with few zeros expected the logarithm of g + (1 - g) p(0) is a sum of
        underflowing numbers, with many it is the logarithm of almost 1; see :class:`LogProb`.
        """
        return self._where_possible(self._observe(x), self.observed.contains, self._log_prob)

    def _log_prob(self, x):
        least = 1 if self.base.observed is trial_count else 0
        # Where x is 0 the base is asked for its least count instead: the answer is not used.
        of_x = self.base.log_prob(self.xp.where(x == 0, self.xp.asarray(least, x.dtype), x))
        of_zero = self.base._constant(-math.inf) if least else self.base.log_prob(0)
        gate, = self._given.values()
        return LogProb(x, 'gate_logit' in self._given)(gate, of_zero, of_x)

    def cdf(self, x):
        """gate + (1 - gate) cdf of the base for x >= 0, and 0 below."""
        return self._by_base(self.base.cdf, self.gate, x, 0.)

    def survival_function(self, x):
        """(1 - gate) P(X > x) of the base for x >= 0, and 1 below."""
        return self._by_base(self.base.survival_function, self._constant(0), x, 1.)

    def _by_base(self, function, extra, x, below):
        x = self._observe(x, domain=extended_real)
        y = function(x)
        wide = functools.partial(F.cast, typ=numpy.result_type(y.dtype, self.dtype))
        y = wide(extra) + wide(self._open) * wide(y)
        return where(self.xp.broadcast_to(x >= 0, y.shape), y, below)

    def sample_n(self, n, rng=None):
        """Draws of the base, each replaced by 0 with probability ``gate``; without a gradient."""
        rng = random.generator(self.xp, rng)
        is_open = self.gate.array <= random.uniform(
            self.xp, rng, (n,) + self.batch_shape, numpy.promote_types(self.dtype, 'f'))
        return chainer.Variable(is_open * self._base_draws(n, rng).astype(self.dtype))

    def _base_draws(self, n, rng):
        """Independent draws over the whole batch, of which the base may only be a part."""
        full, part = self.batch_shape, self.base.batch_shape
        part = (1,) * (len(full) - len(part)) + part
        repeats = tuple(f if p == 1 else 1 for f, p in zip(full, part))
        draws = self.base.sample_n(n * math.prod(repeats), rng=rng).array
        # Axes (n, repeats..., part...) to (n, repeat 1, part 1, repeat 2, part 2, ...).
        order = [0] + [1 + i + offset for i in range(len(full)) for offset in (0, len(full))]
        return draws.reshape((n,) + repeats + part).transpose(order).reshape((n,) + full)

    @cached_property
    def mean(self):
        """(1 - gate) m, with m the mean of the base."""
        return self._full(self._open * F.cast(self.base.mean, self.dtype))

    @cached_property
    def variance(self):
        """(1 - gate) (v + gate m^2), with m and v the mean and variance of the base."""
        m, v, gate = (F.cast(y, self.dtype) for y in (
            self.base.mean, self.base.variance, self.gate))
        return self._full(self._open * v + gate * self._open * m * m)

    @cached_property
    def mode(self):
        """0, or the mode of the base where that is more probable."""
        mode = self.base.mode.array
        better = self.log_prob(mode).array > self.log_prob(0).array
        return self._full(chainer.as_variable(
            self.xp.asarray(self.xp.where(better, mode, 0), self.dtype)))

    def __repr__(self):
        gate = super().__repr__().partition('(')[2]
        return f'ZeroInflated({self.base!r}, {gate}'
