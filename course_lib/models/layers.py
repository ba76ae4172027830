"""Dense layers as one node: matrix product, bias and tanh, over the last axis."""
import chainer
from chainer import functions as F
from chainer import links as L
import numpy

from course_lib.numerics.cuda_graph import dot
from course_lib.numerics.node import Node, constant

LARGE = 128   # units on either side of a weight matrix from which its order in memory matters


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
        y = dot(_rows(x), W.T)
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
                     1: lambda: (product(_rows(x).T, g).T if _is_by_columns(W) else
                                 product(g.T, _rows(x))),
                     2: lambda: add_up(g)}
        return [gradients[i]() for i in indexes]


def _is_by_columns(W):
    """Whether a matrix lies in memory column by column; its gradient then should, too."""
    flags = (W.array if isinstance(W, chainer.Variable) else W).flags
    return flags.f_contiguous and not flags.c_contiguous


def _rows(x):
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


class Linear(L.Linear):
    """``chainer.links.Linear`` over the last axis of an array of any number of axes, as one node.

    Same parameters, same initial weights; ``n_batch_axes`` is not needed. On the CPU, large weights
    lie in memory column by column: x W^T is then a product of two matrices stored row by row, which
    is quicker for a hundred rows of x. On a GPU, which updates them by rows, they lie row by row.

    Args:
        in_size (int): Length of the last axis of x.
        out_size (int): Length of the last axis of y.
        is_tanh (bool): Whether tanh follows.
        **kwargs: ``initialW``, ``initial_bias``, as for ``chainer.links.Linear``.
    """

    def __init__(self, in_size, out_size, is_tanh=False, **kwargs):
        super().__init__(in_size, out_size, **kwargs)
        self.is_tanh = is_tanh
        self._arrange()

    def device_resident_accept(self, visitor):
        """See ``chainer.Link``: called when the link moves to another device."""
        super().device_resident_accept(visitor)
        self._arrange()

    def _arrange(self):
        xp = self.xp
        by_columns = xp is numpy and min(self.W.shape) >= LARGE
        order = xp.asfortranarray if by_columns else xp.ascontiguousarray
        self.W.array = order(self.W.array)
        if self.W.grad is not None:
            self.W.grad = order(self.W.grad)

    def forward(self, x):
        """tanh(x W^T + b) or x W^T + b, of shape ``x.shape[:-1] + (out_size,)``.

        Raises:
            ValueError: If the last axis of ``x`` is not of length ``in_size``.
        """
        if not x.ndim or x.shape[-1] != self.W.shape[1]:
            raise ValueError(f'Linear: x must have the shape (..., {self.W.shape[1]}); '
                             f'got {x.shape}')
        return Affine(self.is_tanh).apply((x, self.W, self.b))[0]
