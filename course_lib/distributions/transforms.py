"""Invertible functions that turn one random variable into another, with their Jacobians."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import as_variable, sum_last
from course_lib.distributions.independent import dtype_of
from course_lib.numerics import special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    absolute,
    apply,
    cast,
    exp,
    log,
    log1mexp,
    logit,
    sigmoid,
    softplus,
    tanh,
    where,
)


class Transform:
    """An invertible, differentiable function y = f(x) with parameters.

    A subclass defines :meth:`forward`, :meth:`inverse` and :meth:`log_det_jacobian`. All of them
    answer in the dtype of their argument, to which the parameters are cast.

    Attributes:
        event_ndim (int): How many of the last dimensions of x the function mixes: 0 for one that
            acts on each number alone, 1 for one that acts on vectors.
        domain (str): The set of x. One that is narrower than the real line is not checked here:
            it is what the base distribution's support is for.
        codomain (str): The set of y.
        bounds (tuple): Infimum and supremum of the codomain; both themselves are outside.
        anchor (float): A number inside the codomain.
    """

    event_ndim = 0
    domain = 'real'
    codomain = 'real'
    bounds = (-math.inf, math.inf)
    anchor = 0.
    parameter_names = ()

    def __call__(self, x):
        """f(x), as a variable."""
        return self.forward(self._argument('x', x))

    def forward(self, x):
        """f(x) of a variable."""
        raise NotImplementedError

    def inverse(self, y):
        """The x with f(x) = y, for y inside the codomain."""
        raise NotImplementedError

    def log_det_jacobian(self, x, y):
        """log |det df/dx| at x, where y = f(x); of x's shape without its event dimensions."""
        raise NotImplementedError

    def contains(self, y):
        """Array of bool: which elements of the array y are inside the codomain."""
        low, high = self.bounds
        return (y > low) & (y < high)

    @property
    def shape(self):
        """The broadcast shape of the parameters: what a draw has to have at least."""
        return ()

    @property
    def sign(self):
        """1 where f increases, -1 where it decreases; ``None`` where it mixes several numbers."""
        return 1

    @property
    def params(self):
        """dict: The parameters by name, as variables."""
        return {name: getattr(self, name) for name in self.parameter_names}

    def is_same(self, other):
        """Whether ``other`` is the same function, with the same constants or variables.

        Two different variables that can be trained are different, even while they happen to hold
        the same numbers.
        """
        return self is other or type(self) is type(other) and all(
            _same(mine, theirs)
            for mine, theirs in zip(self.params.values(), other.params.values()))

    def expected_log_det(self, base):
        """E log |f'(x)| over the distribution of x, or ``None`` if there is no closed form."""
        return None

    def _argument(self, name, value, dtype=None):
        return as_variable(type(self).__name__, name, value,
                           numpy.dtype(dtype or chainer.get_dtype()),
                           special.xp_of(special.data(value)), promote=True)

    def _parameter(self, name, value, domain=checks.real):
        variable = self._argument(name, value, numpy.float64)
        if checks.is_enabled():
            checks.check(type(self).__name__, name, variable.array, domain)
        return variable

    def __repr__(self):
        names = ', '.join(f'{name}: {v.shape}' for name, v in self.params.items())
        return f'{type(self).__name__}({names})'


nonzero = checks.Domain('a finite number other than 0',
                            lambda a: bool(((abs(a) < math.inf) & (a != 0)).all()),
                            lambda a: (abs(a) < math.inf) & (a != 0))


class AffineForward(Elementwise):
    """loc + scale x."""

    def value(self, x, loc, scale):
        return loc + scale * x

    def partials(self, x, loc, scale):
        return [lambda: scale, lambda: 1., lambda: x]


class AffineInverse(Elementwise):
    """(y - loc) / scale."""

    def value(self, y, loc, scale):
        return (y - loc) / scale

    def partials(self, y, loc, scale):
        return [lambda: 1 / scale, lambda: -1 / scale, lambda: -(y - loc) / scale / scale]


class Affine(Transform):
    """y = loc + scale x, for each number alone; log |dy/dx| = log |scale|.

    Args:
        loc: What is added, any finite number, any shape.
        scale: What x is multiplied with, any finite number but 0, any shape.

    Raises:
        ValueError: If ``scale`` is 0, or the shapes do not broadcast.

    Example:
        >>> Affine(1., 2.)(3.).item()
        7.0
    """

    parameter_names = ('loc', 'scale')

    def __init__(self, loc, scale):
        self.loc = self._parameter('loc', loc)
        self.scale = self._parameter('scale', scale, nonzero)
        try:
            self._shape = numpy.broadcast_shapes(self.loc.shape, self.scale.shape)
        except ValueError:
            raise ValueError('Affine: the shapes of loc and scale do not broadcast: '
                             f'{self.loc.shape} and {self.scale.shape}') from None

    @property
    def shape(self):
        return self._shape

    @property
    def sign(self):
        return self.scale.xp.sign(self.scale.array)

    def forward(self, x):
        return AffineForward()(x, F.cast(self.loc, x.dtype), F.cast(self.scale, x.dtype))

    def inverse(self, y):
        return AffineInverse()(y, F.cast(self.loc, y.dtype), F.cast(self.scale, y.dtype))

    def log_det_jacobian(self, x, y):
        return F.broadcast_to(self._log_slope(x.dtype), x.shape)

    def expected_log_det(self, base):
        return self._log_slope(dtype_of(base))

    def _log_slope(self, dtype):
        return F.cast(log(absolute(self.scale)), dtype)


class Exp(Transform):
    """y = e^x; log dy/dx = x.

    Example:
        >>> round(Exp()(1.).item(), 4)
        2.7183
    """

    codomain = 'positive'
    bounds = (0., math.inf)
    anchor = 1.

    def forward(self, x):
        return exp(x)

    def inverse(self, y):
        return log(y)

    def log_det_jacobian(self, x, y):
        return x

    def expected_log_det(self, base):
        return base.mean


class Sigmoid(Transform):
    """y = 1 / (1 + e^-x); log dy/dx = -softplus(x) - softplus(-x), not log(y (1 - y)).

    Example:
        >>> round(Sigmoid().log_det_jacobian(chainer.Variable(numpy.array(50.)), None).item(), 3)
        -50.0
    """

    codomain = '(0, 1)'
    bounds = (0., 1.)
    anchor = 0.5

    def forward(self, x):
        return sigmoid(x)

    def inverse(self, y):
        return logit(y)

    def log_det_jacobian(self, x, y):
        # y rounds to 1 as soon as x > 17 in float32; x still knows how far from 1 it was.
        return -softplus(x) - softplus(-x)


class Softplus(Transform):
    """y = log(1 + e^x); log dy/dx = log sigmoid(x) = log(1 - e^-y).

    Example:
        >>> round(Softplus()(0.).item(), 4)
        0.6931
    """

    codomain = 'positive'
    bounds = (0., math.inf)
    anchor = 1.

    def forward(self, x):
        return softplus(x)

    def inverse(self, y):
        # log(e^y - 1) would overflow for y > 88 in float32.
        return y + log1mexp(y)

    def log_det_jacobian(self, x, y):
        return log1mexp(y)


class PlanarRoot(Elementwise):
    """The a with a + (s - 1) tanh(a + b) = t, for s > 0: the left side increases in a."""

    upcast = True

    def value(self, t, s, b):
        xp = special.xp_of(t)
        # tanh is within +-1, so a is within |s - 1| of t. Each step is Newton's where that stays
        # within the bracket and halves the last step, else a bisection: it cannot miss.
        low, high = t - abs(s - 1), t + abs(s - 1)
        a, last = 0.5 * (low + high), high - low
        for _ in range(128):
            h = xp.tanh(a + b)
            excess = a + (s - 1) * h - t
            low, high = xp.where(excess < 0, a, low), xp.where(excess > 0, a, high)
            newton = a - excess / (h * h + s * (1 - h * h))
            good = (newton >= low) & (newton <= high) & (abs(newton - a) <= 0.5 * last)
            following = xp.where(good, newton, 0.5 * (low + high))
            last = abs(following - a)
            a = following
            if not last.any():
                break
        return a

    def partials(self, t, s, b):
        h = tanh(apply(PlanarRoot(), t, s, b) + b)
        slope = h * h + s * (1 - h * h)
        return [lambda: 1 / slope, lambda: -h / slope, lambda: (1 - s) * (1 - h * h) / slope]


class Planar(Transform):
    """y = x + u tanh(w.x + b), which folds space along the plane w.x + b = 0.

    It is invertible where w.u > -1. Any u is therefore first moved along w, as in the paper's
    appendix: to u + (softplus(w.u) - 1 - w.u) w / |w|^2, so that w.u becomes softplus(w.u) - 1.

    Args:
        w: Normal vector of the plane, not 0, shape ``(..., d)``.
        u: Direction of the fold, shape ``(..., d)``.
        b: Offset, shape ``(...)``.

    Raises:
        ValueError: If ``w`` is 0 or the shapes do not match.

    Source: Rezende and Mohamed (2015), Variational inference with normalizing flows, eqs. 10 to
    12 and appendix A.1. The inverse has no closed form; it is found along w by Newton's method.
    """

    event_ndim = 1
    sign = None
    parameter_names = ('w', 'u', 'b')

    def __init__(self, w, u, b):
        self.w, self.u = self._parameter('w', w), self._parameter('u', u)
        self.b = self._parameter('b', b)
        if self.w.ndim < 1 or self.u.shape[-1:] != self.w.shape[-1:]:
            raise ValueError('Planar: w and u must have a shape (..., d) with the same d; '
                             f'got {self.w.shape} and {self.u.shape}')
        if checks.is_enabled() and not self.w.array.any(axis=-1).all():
            raise ValueError('Planar: w must not be the zero vector')
        try:
            self._shape = numpy.broadcast_shapes(self.w.shape, self.u.shape, self.b.shape + (1,))
        except ValueError:
            raise ValueError(
                'Planar: w and u of shape (..., d) must broadcast with b of shape (...); '
                f'got {self.w.shape}, {self.u.shape} and {self.b.shape}') from None

    @property
    def shape(self):
        return self._shape

    def forward(self, x):
        w, u, b, _ = self._moved(x.dtype)
        return x + u * F.expand_dims(tanh(_dot(w, x) + b), -1)

    def inverse(self, y):
        w, u, b, slope = self._moved(y.dtype)
        a = PlanarRoot()(_dot(w, y), slope, b)   # w.x
        return y - u * F.expand_dims(tanh(a + b), -1)

    def log_det_jacobian(self, x, y):
        w, _, b, slope = self._moved(x.dtype)
        h = tanh(_dot(w, x) + b)
        # 1 + (1 - h^2) w.u, written as a sum of two positive terms: w.u may be close to -1.
        return log(h * h + slope * (1 - h * h))

    def _moved(self, dtype):
        """w, u where the flow is invertible, b, and 1 + w.u."""
        w, u, b = (F.cast(v, dtype) for v in (self.w, self.u, self.b))
        w_dot_u = _dot(w, u)
        slope = softplus(w_dot_u)
        shift = (slope - 1 - w_dot_u) / _dot(w, w)
        return w, u + F.expand_dims(shift, -1) * w, b, slope


class AffineCoupling(Transform):
    """Real NVP: part of x passes, and says how the rest is shifted and scaled.

    y = m x + (1 - m) (x e^s + t) with (t, s) = net(m x), and log |det| = the sum of (1 - m) s.
    Nothing is asked of ``net``: it is never inverted.

    Args:
        mask: One 0 or 1 (or bool) per dimension, shape ``(d,)``: 1 where x passes unchanged.
        net: A callable, for instance a :class:`chainer.Chain`, that maps a variable of shape
            ``(n, d)`` to a pair ``(shift, log_scale)`` of such variables. Bound ``log_scale``, by
            tanh say: e^log_scale may otherwise overflow before it is trained.

    Raises:
        ValueError: If ``mask`` is not a vector of 0 and 1 with at least one of each.
        TypeError: If ``net`` cannot be called.

    Source: Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP, eqs. 4 to 9.
    """

    event_ndim = 1
    sign = None

    def __init__(self, mask, net):
        if not callable(net):
            raise TypeError(f'AffineCoupling: net must be callable; got {type(net).__name__}')
        mask = self._parameter('mask', mask, checks.binary).array
        if mask.ndim != 1 or mask.all() or not mask.any():
            raise ValueError('AffineCoupling: mask must be a vector of 0 and 1, with at least one '
                             f'of each; got {mask.tolist()}')
        self.mask = mask
        self.net = net
        self._masks = {}   # the same on other devices and of other dtypes: copied there once

    @property
    def shape(self):
        return self.mask.shape

    def forward(self, x):
        shift, log_scale = self._shift_and_log_scale(x)
        return x * exp(log_scale) + shift

    def inverse(self, y):
        shift, log_scale = self._shift_and_log_scale(y)   # y and x agree where the mask is 1
        return (y - shift) * exp(-log_scale)

    def log_det_jacobian(self, x, y):
        return F.sum(self._shift_and_log_scale(x)[1], axis=-1)

    def _shift_and_log_scale(self, x):
        key = x.xp.__name__, x.dtype.char
        if key not in self._masks:
            self._masks[key] = x.xp.asarray(self.mask, x.dtype)
        mask = self._masks[key]
        rows = F.reshape(x * mask, (math.prod(x.shape[:-1]), x.shape[-1]))
        outputs = self.net(cast(rows, self._net_dtype(x.dtype)))
        if len(outputs) != 2 or any(v.shape != rows.shape for v in outputs):
            raise ValueError('AffineCoupling: net must return a pair (shift, log_scale), each of '
                             f'shape {rows.shape}; got {[v.shape for v in outputs]}')
        return tuple(F.reshape(cast(chainer.as_variable(v), x.dtype), x.shape) * (1 - mask)
                     for v in outputs)

    def _net_dtype(self, dtype):
        """The dtype of the parameters of a link, which takes no other; else the one given."""
        parameters = self.net.params() if isinstance(self.net, chainer.Link) else ()
        return next((p.dtype for p in parameters if p.is_initialized), dtype)

    def is_same(self, other):
        return self is other or (type(self) is type(other) and self.net is other.net
                                 and numpy.array_equal(self.mask, other.mask))

    def __repr__(self):
        return f'AffineCoupling(mask: {self.mask.shape}, net: {type(self.net).__name__})'


class Compose(Transform):
    """Several transforms, the first one first.

    Args:
        transforms: A list of transforms, at least one.

    Example:
        >>> Compose([Affine(0., 2.), Affine(1., 1.)])(3.).item()
        7.0
    """

    def __init__(self, transforms):
        parts = list(transforms) if numpy.iterable(transforms) else []
        if not parts or not all(isinstance(t, Transform) for t in parts):
            raise TypeError('Compose: transforms must be a list of at least one Transform; '
                            f'got {transforms!r}')
        self.transforms = parts
        self.event_ndim = max(t.event_ndim for t in parts)

    @property
    def domain(self):
        return self.transforms[0].domain

    @property
    def codomain(self):
        return self.transforms[-1].codomain

    @property
    def shape(self):
        return numpy.broadcast_shapes(*[t.shape for t in self.transforms])

    @property
    def sign(self):
        signs = [t.sign for t in self.transforms]
        return None if any(s is None for s in signs) else math.prod(signs)

    @property
    def params(self):
        return {f'{i}.{name}': v for i, t in enumerate(self.transforms)
                for name, v in t.params.items()}

    def forward(self, x):
        for t in self.transforms:
            x = t.forward(x)
        return x

    def inverse(self, y):
        for t in reversed(self.transforms):
            y = t.inverse(y)
        return y

    def log_det_jacobian(self, x, y):
        total = 0
        for t in self.transforms:
            y = t.forward(x)
            total = total + sum_last(t.log_det_jacobian(x, y), self.event_ndim - t.event_ndim)
            x = y
        return total

    def contains(self, y):
        inside = self.transforms[-1].contains(y)
        if len(self.transforms) == 1:
            return inside
        last = self.transforms[-1]
        y = last.inverse(chainer.as_variable(where(inside, y, last.anchor))).array
        return inside & Compose(self.transforms[:-1]).contains(y)

    def is_same(self, other):
        return self is other or (
            type(self) is type(other) and len(self.transforms) == len(other.transforms)
            and all(a.is_same(b) for a, b in zip(self.transforms, other.transforms)))

    def __repr__(self):
        return f'Compose({self.transforms!r})'


def _dot(u, v):
    return F.sum(u * v, axis=-1)


def _same(a, b):
    return a is b or (not a.requires_grad and not b.requires_grad and a.shape == b.shape
                      and bool((a.array == b.array).all()))
