"""Multivariate Normal: several real numbers that vary together."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.cuda_graph import surely_all
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.node import Node
from course_lib.numerics.special import log, log1pmx, sqrt, where


def solve_arrays(tril, b, transposed=False):
    """L^-1 b, or with ``transposed`` L^-T b, by substitution, for a batch at once.

    One step takes one column of all matrices: the only loop is over the dimension d, never over
    the batch. What stands above the diagonal of ``tril`` is not read.

    Shapes: ``tril`` (..., d, d), ``b`` (..., d); the leading dimensions broadcast. In float64.
    """
    xp = special.xp_of(tril, b)
    d = tril.shape[-1]
    shape = numpy.broadcast_shapes(tril.shape[:-1], b.shape)
    y = xp.empty(shape, numpy.float64)
    y[...] = b
    for j in reversed(range(d)) if transposed else range(d):
        y[..., j] /= tril[..., j, j]
        if transposed:
            y[..., :j] -= tril[..., j, :j] * y[..., j:j + 1]
        else:
            y[..., j + 1:] -= tril[..., j + 1:, j] * y[..., j:j + 1]
    return y


class TriangularSolve(Node):
    """y = L^-1 b, or L^-T b, for lower triangular L; inputs L (..., d, d) and b (..., d)."""

    def __init__(self, transposed=False):
        super().__init__()
        self.transposed = transposed

    def forward(self, inputs):
        tril, b = inputs
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        self.b_shape = b.shape
        return solve_arrays(tril, b, self.transposed).astype(
            numpy.result_type(tril, b), copy=False),

    def backward(self, indexes, grad_outputs):
        tril, = self.get_retained_inputs()
        y, = self.get_retained_outputs()
        # dy = L^-1 (db - dL y), so b gets g = L^-T gy, and L gets the lower triangle of -g y^T.
        g = solve(tril, grad_outputs[0], not self.transposed)
        left, right = (y, g) if self.transposed else (g, y)
        return -_lower_outer(left, right, tril.shape), F.sum_to(g, self.b_shape)


def solve(tril, b, transposed=False):
    """L^-1 b or L^-T b, of two arrays or two variables; see :func:`solve_arrays`."""
    if isinstance(b, chainer.Variable):
        return TriangularSolve(transposed).apply((tril, b))[0]
    return solve_arrays(tril, b, transposed)


def _lower_outer(u, v, shape):
    """The lower triangles of u v^T, summed over the batch down to ``shape``."""
    if len(shape) == 2:
        rows = math.prod(u.shape[:-1]), u.shape[-1]
        return _tril(u.reshape(rows).T @ v.reshape(rows))
    return _tril(_sum_to(u[..., None] * v[..., None, :], shape))


def _tril(x):
    return x * special.xp_of(x).tri(x.shape[-1], dtype=x.dtype)


def _diagonal(x):
    return F.diagonal(x, axis1=-2, axis2=-1)


def _cast(x, dtype):
    return F.cast(x, dtype) if isinstance(x, chainer.Variable) else x.astype(dtype, copy=False)


def _sum_to(x, shape):
    total = F.sum_to(x, shape)
    return total if isinstance(x, chainer.Variable) else total.array


class LogProb(Node):
    """log p(x; loc, L) = -|L^-1 (x - loc)|^2 / 2 - log det L - d log(2 pi) / 2, in one node.

    Evaluated in float64 whatever the inputs' dtype: the substitution subtracts.
    """

    def forward(self, inputs):
        x, loc, tril = inputs
        self.retain_inputs((0, 1, 2))
        self.dtype = numpy.result_type(*inputs)
        xp = special.xp_of(x)
        y = solve_arrays(tril, xp.subtract(x, loc, dtype=numpy.float64))
        diagonal = tril.diagonal(axis1=-2, axis2=-1)
        log_det = xp.log(diagonal, dtype=numpy.float64).sum(axis=-1)
        y *= y
        value = -0.5 * y.sum(axis=-1) - log_det - x.shape[-1] * special.HALF_LOG_2PI
        return xp.asarray(value, dtype=self.dtype),

    def backward(self, indexes, grad_outputs):
        operands = self.get_retained_inputs() + grad_outputs
        if not chainer.config.enable_backprop:   # no second derivative is wanted: no graph
            operands = [v.array for v in operands]
        x, loc, tril, gy = (_cast(v, numpy.float64) for v in operands)
        y = solve(tril, x - loc)
        g = solve(tril, y, transposed=True) * gy[..., None]
        gradients = {0: lambda: _sum_to(-g, x.shape), 1: lambda: _sum_to(g, loc.shape),
                     2: lambda: self._in_tril(tril, gy, y, g)}
        return tuple(
            chainer.as_variable(_cast(gradients[i](), operands[i].dtype)) for i in indexes)

    def _in_tril(self, tril, gy, y, g):
        # w y^T from the quadratic form, -1 / L_jj from the log-determinant.
        eye = special.xp_of(tril).eye(tril.shape[-1])
        total = _sum_to(gy[..., None, None], tril.shape[:-2] + (1, 1))
        return _lower_outer(g, y, tril.shape) - total * eye / (tril * eye + (1 - eye))


class Colour(Node):
    """L eps, the draws with covariance L L^T made of white noise eps; linear in L (..., d, d)."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def forward(self, inputs):
        tril, = inputs
        self.shape = tril.shape
        xp = special.xp_of(tril)
        return xp.matmul(xp.tril(tril), self.eps[..., None])[..., 0],

    def backward(self, indexes, grad_outputs):
        return _lower_outer(grad_outputs[0], chainer.as_variable(self.eps), self.shape),


class DiagonalKL(Elementwise):
    """(r^2 - 1) / 2 - log r for r = a / b: what the diagonals a and b add to a divergence."""

    upcast = True

    def value(self, a, b):
        xp = special.xp_of(a, b)
        # Near r = 1 + e = 1 both terms cancel to first order: e^2 / 2 - (log(1 + e) - e).
        e = (a - b) / b
        close = abs(e) < 0.25
        r = a / b
        near = 0.5 * e * e - log1pmx(xp.where(close, e, 0))
        return xp.where(close, near, 0.5 * (r * r - 1) - xp.log(a) + xp.log(b))

    def partials(self, a, b):
        return [lambda: (a - b) / b * ((a + b) / b) / a, lambda: (b - a) / b * ((a + b) / b) / b]


def _is_lower(a):
    xp = special.xp_of(a)
    d = a.shape[-1]
    lower, diagonal = xp.tri(d, dtype=bool), xp.eye(d, dtype=bool)
    return xp.where(lower, abs(a) < math.inf, a == 0) & (~diagonal | (a > 0))


lower_triangular = checks.Domain(
    'lower triangular, finite, with a diagonal above 0 and zeros above it',
    lambda a: bool(_is_lower(a).all()), _is_lower)


class MultivariateNormal(Distribution):
    r"""Multivariate Normal distribution with mean loc and covariance L L^T.

    .. math:: \log p(x) = -\tfrac12 |L^{-1}(x - \mathrm{loc})|^2 - \sum_j \log L_{jj}
              - \tfrac d2 \log 2\pi

    Args:
        loc: Mean, any finite numbers, shape ``(..., d)``.
        scale_tril: L, lower triangular with a positive diagonal, shape ``(..., d, d)``: the
            Cholesky factor of the covariance matrix. The leading dimensions of both broadcast:
            one L can serve a whole batch of means.

    Raises:
        ValueError: If ``scale_tril`` is missing or not lower triangular with a positive diagonal,
            or the shapes do not match.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.43.

    Example:
        >>> import numpy
        >>> d = MultivariateNormal(loc=[0., 0.], scale_tril=[[1., 0.], [3., 2.]])
        >>> round(float(d.log_prob([1., 3.]).array), 5)   # -1/2 - log 2 - log 2 pi
        -3.03102
    """

    domains = {'loc': checks.real, 'scale_tril': lower_triangular}
    parameter_names = ('loc', 'scale_tril')
    support = 'real'
    has_rsample = True
    _event_ndim = {'loc': 1, 'scale_tril': 2}

    def __init__(self, loc, scale_tril=None):
        if scale_tril is None:
            raise ValueError('MultivariateNormal: scale_tril must be given, the Cholesky factor '
                             'of the covariance (numpy.linalg.cholesky)')
        loc_shape, shape = numpy.shape(loc), numpy.shape(scale_tril)
        if len(loc_shape) < 1 or len(shape) < 2 or shape[-2:] != 2 * loc_shape[-1:]:
            raise ValueError(
                'MultivariateNormal: loc must have a shape (..., d) and scale_tril (..., d, d) '
                f'with the same d; got {loc_shape} and {shape}')
        self._take(loc=loc, scale_tril=scale_tril)

    @property
    def loc(self):
        """The mean, as given."""
        return self._given['loc']

    @property
    def scale_tril(self):
        """The Cholesky factor L of the covariance, as given."""
        return self._given['scale_tril']

    @property
    def d(self):
        """The number of dimensions."""
        return self.loc.shape[-1]

    @property
    def event_shape(self):
        return (self.d,)

    def log_prob(self, x):
        """-|y|^2 / 2 - sum of log L_jj - d log(2 pi) / 2, with y solving L y = x - loc.

        Why this form: substitution needs neither an inverse nor a determinant, both of which lose
        digits or overflow where L is ill-conditioned or d is large.
        """
        x = self._observe(x)
        finite = self.xp.isfinite(x.array)
        if surely_all(finite):
            return LogProb().apply((x, self.loc, self.scale_tril))[0]
        y = LogProb().apply((where(finite, x, 0.), self.loc, self.scale_tril))[0]
        return where(self.xp.broadcast_to(finite.all(axis=-1), y.shape), y, -math.inf)

    def sample_n(self, n, rng=None):
        """loc + L eps with standard normal eps; differentiable in both parameters."""
        eps = random.normal(
            self.xp, rng, (n,) + self.batch_shape + self.event_shape, self.dtype)
        return self.loc + Colour(eps).apply((self.scale_tril,))[0]

    @cached_property
    def mean(self):
        """loc."""
        return self._full(self.loc)

    @cached_property
    def mode(self):
        """loc."""
        return self._full(self.loc)

    @cached_property
    def variance(self):
        """The diagonal of L L^T: the sum of the squares of each row of L."""
        return self._full(F.sum(_tril(self.scale_tril) ** 2, axis=-1))

    @cached_property
    def stddev(self):
        """The square root of the variance: the length of each row of L."""
        # Divided by its largest entry, no row overflows or underflows when it is squared.
        rows = _tril(self.scale_tril)
        largest = abs(rows.array).max(axis=-1)
        scaled = rows / chainer.as_variable(largest[..., None])
        return self._full(sqrt(F.sum(scaled ** 2, axis=-1)) * chainer.as_variable(largest))

    @cached_property
    def covariance(self):
        """L L^T, of shape ``batch_shape + (d, d)``."""
        tril = _tril(self.scale_tril)
        return F.broadcast_to(F.matmul(tril, tril, transb=True),
                              self.batch_shape + (self.d, self.d))

    @cached_property
    def entropy(self):
        """The sum of log L_jj, plus d (1 + log 2 pi) / 2, in nats."""
        log_det = F.sum(log(F.cast(_diagonal(self.scale_tril), 'd')), axis=-1)
        entropy = log_det + self.d * (0.5 + special.HALF_LOG_2PI)
        return F.broadcast_to(F.cast(entropy, self.dtype), self.batch_shape)


def _triangular_inv(x, lower=True):
    """Chainer's module-level function of the same name: the inverse of one triangular matrix."""
    x = chainer.as_variable(x)
    if not lower:
        return _triangular_inv(x.T).T
    return solve(x, chainer.as_variable(x.xp.eye(len(x), dtype=x.dtype))).T


@chainer.register_kl(MultivariateNormal, MultivariateNormal)
def _kl_multivariate_normal_multivariate_normal(p, q):
    """|y|^2 / 2 + the sum of M_ij^2 / 2 (i > j) + the sum of (M_jj^2 - 1) / 2 - log M_jj, in nats.

    With M = Lq^-1 Lp and y = Lq^-1 (loc_p - loc_q). The textbook's trace - d - log det ratio
    cancels where p is close to q; here no term is negative.
    """
    if p.d != q.d:
        raise ValueError(f'KL of MultivariateNormal: both must have the same number of dimensions; '
                         f'got {p.d} and {q.d}')
    loc_p, tril_p, loc_q, tril_q = (
        F.cast(v, 'd') for v in (p.loc, p.scale_tril, q.loc, q.scale_tril))
    y = solve(tril_q, loc_p - loc_q)
    a, b = _diagonal(tril_p), _diagonal(tril_q)
    # M - I = Lq^-1 (Lp - Lq) has the same numbers below the diagonal. Use it, column by column,
    # where p is close to q; elsewhere the difference would lose what is small in Lp.
    close = abs(a.array - b.array) < 0.25 * b.array
    columns = tril_p - where(close[..., None, :], tril_q, 0.)
    m = solve(F.expand_dims(tril_q, -3), F.swapaxes(_tril(columns), -1, -2))
    below = m * p.xp.triu(p.xp.ones((p.d, p.d)), 1)   # m is M transposed
    kl = (0.5 * F.sum(y ** 2, axis=-1) + 0.5 * F.sum(below ** 2, axis=(-2, -1))
          + F.sum(DiagonalKL()(a, b), axis=-1))
    return F.cast(kl, numpy.result_type(p.dtype, q.dtype))
