"""Transformed: the distribution of a function of a random variable."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import (
    Distribution,
    _as_shape,
    cached_property,
    sum_last,
)
from course_lib.distributions.independent import dtype_of
from course_lib.distributions.kl import kl_divergence
from course_lib.distributions.transforms import Affine, Compose, Transform
from course_lib.numerics.cuda_graph import surely_all
from course_lib.numerics.special import cast, where


class Transformed(Distribution):
    r"""The distribution of y = f(x), where x follows ``base`` and f is invertible.

    .. math:: \log p(y) = \log p_{\mathrm{base}}(x) - \log\left|\det\frac{\partial f}{\partial x}
              \right|, \qquad x = f^{-1}(y)

    Args:
        base (Distribution): A continuous distribution.
        transform (Transform or list of Transform): f; of a list, the first is applied first. One
            that acts on vectors makes the last batch dimension of a scalar base the event.

    Shapes: draws have the broadcast shape of the base's draws and the transform's parameters; all
    of them are independent draws from the base.

    Raises:
        TypeError: If ``base`` is not a continuous distribution or ``transform`` not a transform.
        ValueError: If the shapes do not broadcast.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed and Lakshminarayanan (2021), Normalizing
    flows for probabilistic modeling and inference, eq. 2.

    Example:
        >>> from course_lib.distributions import Normal, transforms
        >>> log_normal = Transformed(Normal(0., 1.), transforms.Exp())
        >>> round(float(log_normal.log_prob(1.).array), 4)
        -0.9189
    """

    def __init__(self, base, transform):
        if not isinstance(base, chainer.distribution.Distribution):
            raise TypeError(f'Transformed: base must be a distribution; got {type(base).__name__}')
        if getattr(base, 'observed', None) is not None:
            raise TypeError('Transformed: base must be continuous, for a density has a Jacobian '
                            f'and a probability has not; got {type(base).__name__}')
        if isinstance(transform, (list, tuple)):
            transform = Compose(transform)
        if not isinstance(transform, Transform):
            raise TypeError('Transformed: transform must be a Transform or a list of them; '
                            f'got {type(transform).__name__}')
        self.base, self.transform = base, transform
        # A chain of transforms is one transform of a transformed distribution.
        parts = transform.transforms if isinstance(transform, Compose) else [transform]
        self._last = parts[-1]
        self._inner = Transformed(base, Compose(parts[:-1])) if len(parts) > 1 else base
        # In float32, log y - loc or y - (loc + scale x) would keep few digits of a narrow base, and
        # 1 - u none of a tail. A transform of vectors may hold a network, which takes its own dtype
        # only.
        self._upcast = isinstance(base, Distribution) and not any(t.event_ndim for t in parts)
        self._set_shapes()
        self._drawn = None

    def _set_shapes(self):
        inner = self._inner.batch_shape + self._inner.event_shape
        try:
            shape = numpy.broadcast_shapes(inner, self._last.shape)
        except ValueError:
            shape = None
        event_ndim = max(len(self._inner.event_shape), self._last.event_ndim)
        if shape is None or len(shape) < event_ndim or (
                shape[len(shape) - len(self._inner.event_shape):] != self._inner.event_shape):
            raise ValueError(
                f'Transformed: the shape {self._last.shape} of {self._last!r} does not fit '
                f'draws of shape {inner}')
        self._shape = shape
        self._batch_shape = shape[:len(shape) - event_ndim]
        self._n_summed = event_ndim - len(self._inner.event_shape)

    @property
    def event_shape(self):
        return self._shape[len(self._batch_shape):]

    @property
    def xp(self):
        return self.base.xp

    @property
    def dtype(self):
        return dtype_of(self.base)

    @property
    def has_rsample(self):
        return getattr(self.base, 'has_rsample', True)

    @property
    def params(self):
        """dict: Those of the base and of the transform, their names prefixed."""
        return {**{f'base.{k}': v for k, v in self.base.params.items()},
                **{f'transform.{k}': v for k, v in self.transform.params.items()}}

    @property
    def support(self):
        """The transform's codomain where it takes all of the base's support."""
        if isinstance(self._last, Affine) and self._inner.support == 'real':
            return 'real'
        if self._last.domain == self._inner.support:
            return self._last.codomain
        return f'image of {self._inner.support} under {self._last!r}'

    def _taken(self, value, *name_and_domain):
        """The argument in the dtype to compute with, and the dtype to answer in."""
        value = self._observe(value, *name_and_domain)
        dtype = numpy.result_type(value.dtype, self.dtype)
        return cast(value, numpy.float64 if self._upcast else dtype), dtype

    # -- density ---------------------------------------------------------------------------

    def log_prob(self, y):
        """log p_base(x) - log |det df/dx|; -inf for y outside the codomain.

        Why this form: sums of logarithms neither over- nor underflow where a density divided by a
        determinant would. A variable that :meth:`sample` of this object returned is not inverted
        but looked up, exact even where y was rounded to a bound; its gradient then takes the way
        of the draw, through x, and not through y.
        """
        if self._drawn is not None and y is self._drawn[0]:
            x = self._drawn[1]
            return self._from_inner(x, y, self._inner.log_prob(x))
        y, dtype = self._taken(y)
        inside = self._last.contains(y.array)
        all_inside = surely_all(inside)
        result = self._pulled_back(y if all_inside else where(inside, y, self._last.anchor))
        if not all_inside:
            for _ in self.event_shape:
                inside = inside.all(axis=-1)
            result = where(inside, result, -math.inf)
        return cast(result, dtype)

    def _pulled_back(self, y):
        x = self._last.inverse(y)
        log_prob = self._from_inner(x, y, self._inner.log_prob(x))
        outside = log_prob.array == -math.inf
        # Where x is outside the base's support, the Jacobian must not leave a gradient.
        return log_prob if surely_all(~outside) else where(~outside, log_prob, -math.inf)

    def _from_inner(self, x, y, log_prob):
        log_det = self._last.log_det_jacobian(x, y)
        return sum_last(log_prob, self._n_summed) - sum_last(
            log_det, len(self.event_shape) - self._last.event_ndim)

    # -- distribution function -------------------------------------------------------------

    def _tail(self, name, opposite, y, at_low, at_high):
        """A tail function of the base at x, or the opposite one where f decreases."""
        y, dtype = self._taken(y)
        sign = self._sign(name)
        inside = self._last.contains(y.array)
        x = self._last.inverse(where(inside, y, self._last.anchor))
        if (sign > 0).all():
            result = getattr(self._inner, name)(x)
        elif (sign < 0).all():
            result = getattr(self._inner, opposite)(x)
        else:
            same, other = getattr(self._inner, name)(x), getattr(self._inner, opposite)(x)
            result = where(sign > 0, same, other)
        if not inside.all():
            low = y.array <= self._last.bounds[0]
            result = where(inside, result, self.xp.where(low, at_low, at_high))
        return cast(result, dtype)

    def _sign(self, name):
        if self._last.sign is None or self.event_shape:
            raise NotImplementedError(self._no(name))
        return self.xp.asarray(self._last.sign)

    def cdf(self, y):
        """P(Y <= y): the base's cdf at x, or its survival function where f decreases."""
        return self._tail('cdf', 'survival_function', y, 0., 1.)

    def log_cdf(self, y):
        """log P(Y <= y)."""
        return self._tail('log_cdf', 'log_survival_function', y, -math.inf, 0.)

    def survival_function(self, y):
        """P(Y > y)."""
        return self._tail('survival_function', 'cdf', y, 1., 0.)

    def log_survival_function(self, y):
        """log P(Y > y)."""
        return self._tail('log_survival_function', 'log_cdf', y, 0., -math.inf)

    def icdf(self, u):
        """f of the base's icdf at u, or at 1 - u where f decreases."""
        sign = self._sign('icdf')
        u, dtype = self._taken(u, 'u', checks.probability)
        x = self._inner.icdf(u if (sign > 0).all() else where(sign > 0, u, 1 - u))
        return cast(self._last.forward(x), dtype)

    # -- sampling --------------------------------------------------------------------------

    def sample(self, sample_shape=(), rng=None):
        """f of draws from the base; differentiable in the transform, and in the base if it is.

        The last draw and the x behind it are kept for :meth:`log_prob`. See
        :meth:`Distribution.sample` for the arguments.
        """
        x = self._draw_inner(_as_shape(sample_shape), {} if rng is None else {'rng': rng})
        y = self._last.forward(x)
        self._drawn = y, x
        return y

    def sample_n(self, n, rng=None):
        """``n`` draws of the whole batch; see :meth:`sample`."""
        return self.sample((n,), rng)

    def _draw_inner(self, shape, rng):
        """Independent draws from the inner distribution for each place of the full shape."""
        inner = self._inner.batch_shape + self._inner.event_shape
        if inner == self._shape:
            return self._inner.sample(shape, **rng)
        # Each dimension is either the inner distribution's own or has to be filled with repeats.
        k = len(self._shape)
        inner = (1,) * (k - len(inner)) + inner
        repeats = tuple(full if own == 1 else 1 for full, own in zip(self._shape, inner))
        draws = self._inner.sample_n(math.prod(shape + repeats), **rng)
        pairs = tuple(i for j in range(1, k + 1) for i in (j, k + j))
        draws = F.transpose(F.reshape(draws, (-1,) + repeats + inner), (0,) + pairs)
        return F.reshape(draws, shape + self._shape)

    # -- moments ---------------------------------------------------------------------------

    def _affine(self, name):
        if not isinstance(self._last, Affine):
            raise NotImplementedError(self._no(name))
        return self._last

    @cached_property
    def mean(self):
        """loc + scale E x, for an affine transform."""
        return self._full(self._affine('mean').forward(self._inner.mean))

    @cached_property
    def variance(self):
        """scale^2 times the variance of x, for an affine transform of numbers."""
        scale = F.cast(self._affine('variance').scale, self.dtype)
        return self._full(scale ** 2 * self._inner.variance)

    @cached_property
    def mode(self):
        """loc + scale times the mode of x, for an affine transform."""
        return self._full(self._affine('mode').forward(self._inner.mode))

    @cached_property
    def entropy(self):
        """The entropy of x plus E log |det df/dx|, where that has a closed form; in nats."""
        log_det = self._last.expected_log_det(self._inner)
        if log_det is None:
            raise NotImplementedError(self._no('entropy'))
        log_det = sum_last(F.broadcast_to(log_det, self._shape), len(self.event_shape))
        return self._summed(self._inner.entropy) + log_det

    def _summed(self, of_inner):
        """What the inner distribution answers for its batch, summed over the new event."""
        full = F.broadcast_to(of_inner, self._batch_shape + self._shape[
            len(self._batch_shape):len(self._batch_shape) + self._n_summed])
        return sum_last(full, self._n_summed)

    def __repr__(self):
        return f'Transformed({self.base!r}, {self.transform!r})'


@chainer.register_kl(Transformed, Transformed)
def _kl_transformed_transformed(p, q):
    """KL of the bases: an invertible function changes no divergence, if it is the same one."""
    if not p.transform.is_same(q.transform):
        raise NotImplementedError(
            'KL of Transformed has a closed form only where both have the same transform: the '
            'same object, or one with equal constants or the same variables; estimate it with '
            'course_lib.distributions.kl_divergence(p, q, n_samples=10000)')
    kl = kl_divergence(p._inner, q._inner)
    shape = numpy.broadcast_shapes(p._shape, q._shape)
    n_event = len(p._inner.event_shape)
    return sum_last(F.broadcast_to(kl, shape[:len(shape) - n_event]), p._n_summed)
