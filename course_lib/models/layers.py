"""Dense layers as one node: matrix product, bias and tanh, over the last axis."""
import chainer
from chainer import functions as F
from chainer import links as L
import numpy

from course_lib.numerics.cuda_graph import dot
from course_lib.numerics.node import Node, constant


class Affine(Node):
    """y = x W^T + b, or tanh of it, over the last axis of x.

    Chainer builds up to four nodes for this and six for its gradient (reshapes, product, tanh;
    their derivatives; a sum for the bias). At a hundred rows that book-keeping costs as much as a
    matrix product. Here formula and gradient are one node; a second derivative is left to
    Chainer's functions.

    Args:
        is_tanh (bool): Whether to apply tanh.

    Shapes: x ``(..., n_in)``, W ``(n_out, n_in)``, b ``(n_out,)``; y ``(..., n_out)``.
    """

    def __init__(self, is_tanh):
        super().__init__()
        self.is_tanh = is_tanh

    def forward(self, inputs):
        x, W, b = inputs
        self.retain_inputs((0, 1))
        y = _product(_rows(x), W)
        y += b
        if self.is_tanh:
            chainer.backend.get_array_module(y).tanh(y, out=y)
            self.retain_outputs((0,))
        y = y.reshape(x.shape[:-1] + b.shape)
        self.y = y if self.is_tanh else None
        return y,

    def backward(self, indexes, grad_outputs):
        gy, = grad_outputs
        if chainer.config.enable_backprop:
            y = self.get_retained_outputs()[0] if self.is_tanh else None
            return tuple(self._gradients(indexes, *self.get_retained_inputs(), y, gy,
                                         F.matmul, lambda g: F.sum(g, axis=0)))
        x, W = [node.data for node in self.inputs[:2]]
        return tuple([constant(g) for g in self._gradients(
            indexes, x, W, self.y, gy.array, dot, lambda g: g.sum(axis=0))])

    def _gradients(self, indexes, x, W, y, g, product, add_up):
        """Of arrays or of variables."""
        if y is not None:
            # 1 - tanh^2 as a product: where tanh is near 1 the difference of squares would cancel.
            gy, g = g, 1 - y
            g *= 1 + y
            g *= gy
        g = _rows(g)
        gradients = {0: lambda: product(g, W).reshape(x.shape),
                     1: lambda: product(g.T, _rows(x)),
                     2: lambda: add_up(g)}
        return [gradients[i]() for i in indexes]


def _product(x, W):
    """x W^T of two matrices."""
    if type(x) is numpy.ndarray and 4 * len(x) <= min(W.shape):
        # For few rows of x, what takes time is how BLAS reads W: by rows it is quicker, and pays
        # for putting the small product in order (ten rows: 1.6 times; a hundred: 1.07).
        return numpy.ascontiguousarray(dot(W, x.T).T)
    return dot(x, W.T)


def _rows(x):
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


class Linear(L.Linear):
    """``chainer.links.Linear`` over the last axis of an array of any number of axes, as one node.

    Same parameters, same initial weights; ``n_batch_axes`` is not needed.

    Args:
        in_size (int): Length of the last axis of x.
        out_size (int): Length of the last axis of y.
        is_tanh (bool): Whether tanh follows.
        **kwargs: ``initialW``, ``initial_bias``, as for ``chainer.links.Linear``.
    """

    def __init__(self, in_size, out_size, is_tanh=False, **kwargs):
        super().__init__(in_size, out_size, **kwargs)
        self.is_tanh = is_tanh

    def forward(self, x):
        """tanh(x W^T + b) or x W^T + b, of shape ``x.shape[:-1] + (out_size,)``.

        Raises:
            ValueError: If the last axis of ``x`` is not of length ``in_size``.
        """
        if not x.ndim or x.shape[-1] != self.W.shape[1]:
            raise ValueError(f'Linear: x must have the shape (..., {self.W.shape[1]}); '
                             f'got {x.shape}')
        return Affine(self.is_tanh).apply((x, self.W, self.b))[0]
