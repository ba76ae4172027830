"""Functions of whole rows (the last axis): softmax, picking one entry, and fused formulas.

:class:`Rowwise` is to rows what :class:`~course_lib.numerics.elementwise.Elementwise` is to
single numbers: a formula and its derivatives side by side.
"""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.numerics import special
from course_lib.numerics.node import Node
from course_lib.numerics.special import exp, expm1, log, log1p, where


class Rowwise(Node):
    """A function that turns rows (last axis) of several inputs into one number a row.

    A subclass gives the formula and its partial derivatives, as for
    :class:`~course_lib.numerics.elementwise.Elementwise`. Both receive float64, since rows are
    summed and sums cancel, and broadcast among each other. ``value`` and ``partials`` keep the
    last axis, with length 1 where it has been summed.

    Shapes: inputs ``(..., K)`` or ``(..., 1)``, output ``(...)``.

    Example:
        >>> class SumOfSquares(Rowwise):
        ...     def value(self, x):
        ...         return row_sum(x * x)
        ...     def partials(self, x):
        ...         return [lambda: 2 * x]
        >>> SumOfSquares()(numpy.float32([[1, 2], [3, 4]])).array.tolist()
        [5.0, 25.0]
    """

    def value(self, *rows):
        """The formula, on arrays of float64; the last axis of the result has length 1."""
        raise NotImplementedError

    def partials(self, *rows):
        """One zero-argument function an input: the derivative in each entry of that input."""
        raise NotImplementedError

    def __call__(self, *inputs):
        """Applies the node to arrays or variables and returns a variable."""
        return self.apply(inputs)[0]

    def keep(self, *rows):
        """The value with its last axis of length 1, on arrays or on variables alike."""
        if isinstance(rows[0], chainer.Variable):
            return F.expand_dims(type(self)()(*rows), -1)
        return self.value(*rows)

    @numpy.errstate(all='ignore')
    def forward(self, inputs):
        self.retain_inputs(tuple(range(len(inputs))))
        value = self.value(*[_wide(x) for x in inputs])
        return value[..., 0].astype(numpy.result_type(*inputs), copy=False),

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        rows = [F.cast(x, numpy.float64) for x in inputs]
        gy = F.expand_dims(F.cast(grad_outputs[0], numpy.float64), -1)
        if not chainer.config.enable_backprop:
            rows = [x.array for x in rows]
        with numpy.errstate(all='ignore'):
            partials = self.partials(*rows)
            return tuple(
                F.cast(F.sum_to(gy * chainer.as_variable(partials[i]()), inputs[i].shape),
                       inputs[i].dtype)
                for i in indexes)


class Gather(Node):
    """The entries of an array at given positions of its flattened form.

    Args:
        index: Array of integers, any shape: positions in ``x.ravel()``.
    """

    def __init__(self, index):
        super().__init__()
        self.index = index

    def forward(self, inputs):
        x, = inputs
        self.shape = x.shape
        return special.xp_of(x).asarray(x.reshape(-1)[self.index]),

    def backward(self, indexes, grad_outputs):
        return scatter(grad_outputs[0], self.index, self.shape),


class Scatter(Node):
    """Adds entries up at given positions of a flattened array: the transpose of ``Gather``.

    The sums are formed in float64, however many entries meet at one position.
    """

    def __init__(self, index, shape):
        super().__init__()
        self.index = index
        self.shape = shape

    def forward(self, inputs):
        x, = inputs
        xp = special.xp_of(x)
        total = xp.bincount(self.index.ravel(), weights=x.ravel().astype(numpy.float64),
                            minlength=int(numpy.prod(self.shape)))
        return total.reshape(self.shape).astype(x.dtype, copy=False),

    def backward(self, indexes, grad_outputs):
        return gather(grad_outputs[0], self.index),


def gather(x, index):
    """``x.ravel()[index]``, differentiable in ``x``."""
    return Gather(index).apply((x,))[0]


def scatter(x, index, shape):
    """Zeros of that shape, plus each entry of ``x`` at its position in the flattened result."""
    return Scatter(index, shape).apply((x,))[0]


def row_sum(x):
    """The sum over the last axis, which is kept with length 1."""
    if isinstance(x, chainer.Variable):
        return F.sum(x, axis=-1, keepdims=True)
    return x.sum(axis=-1, keepdims=True)


def softmax(x):
    """e^x_k / sum_j e^x_j along the last axis, for arrays and variables."""
    y = F.softmax(x, axis=-1)
    return y if isinstance(x, chainer.Variable) else y.array


def log_softmax(x):
    """x_k - log sum_j e^x_j along the last axis, for arrays and variables.

    In float64 good to 1e-16 absolute. Where the largest entry must be right relative to its own
    size, see :class:`course_lib.distributions.categorical.LogProbOfLogit`.
    """
    y = F.log_softmax(x, axis=-1)
    return y if isinstance(x, chainer.Variable) else y.array


def log_mean_exp(w, x, joint):
    """log sum_k pi_k e^x_k for pi = softmax(w), to full relative precision.

    Args:
        w: Logits of the weights; -inf for a weight of 0.
        x: The exponents.
        joint: w + x up to a constant, -inf for what does not count: logits of pi_k e^x_k.

    Returns:
        The exponent x_a at the largest ``joint``; the differences d_k = x_k - x_a; and
        log sum_k pi_k e^d_k. The sum of the first and the last is the answer.
    """
    xp = special.xp_of(w, x)
    is_anchor = (xp.arange(special.data(joint).shape[-1])
                 == special.data(joint).argmax(axis=-1)[..., None])

    def at_anchor(values):
        return row_sum(where(is_anchor, values, 0.))
    anchor = at_anchor(x)
    here, there = special.data(x), special.data(anchor)
    finite = xp.isfinite(here) & xp.isfinite(there)
    infinite_d = xp.where(here == there, 0, xp.where(here < there, -math.inf, math.inf))
    d = where(finite, where(finite, x, 0.) - where(finite, anchor, 0.), infinite_d)
    pi = softmax(w)
    # log1p(sum pi_k (e^d_k - 1)): the anchor does not enter, so that its own share, however close
    # to 1, takes no digits from the others; logsumexp(w + x) - logsumexp(w) would cancel.
    close = (special.data(d) < 1) & (special.data(w) > -math.inf)
    counts = special.data(joint) > -math.inf
    apart = where(counts, joint, 0.) - at_anchor(where(counts, joint, 0.))
    relative = where(counts, exp(where(counts, apart, 0.)), 0.)   # pi_k e^x_k / (pi_a e^x_a)
    log_pi_a = at_anchor(where(special.data(w) > -math.inf, log_softmax(w), 0.))
    excess = row_sum(where(close, pi * expm1(where(close, d, 0.)), relative * exp(log_pi_a) - pi))
    # Where the weight of all that resemble the anchor is small, that sum is near -1: no log1p.
    rare = special.data(excess) < -0.5
    return anchor, d, where(
        rare, log_pi_a + log(row_sum(relative)), log1p(where(rare, 0., excess)))


def _wide(array):
    return array.astype(numpy.float64, copy=False)
