"""One differentiable node for a whole elementwise formula.

Chainer builds a graph node for every ``+``, ``*`` and ``exp``. For a scalar that book-keeping
costs far more than the arithmetic; for a large array every node writes a temporary. An
:class:`Elementwise` node holds the formula (:meth:`~Elementwise.value`) and its derivatives
(:meth:`~Elementwise.partials`) side by side, and evaluates both block by block, in cache.
"""
import itertools
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.numerics.node import Node, constant, setting

# float32 numbers evaluated at a time (half as many float64). The temporaries, 512 kB each, stay in
# cache; and from 256 kB on NumPy itself writes (a + b) * c over its temporary a + b.
BLOCK = 1 << 17

# glibc gives a freed array back to the system, and the next one costs a page fault every 4 kB,
# more than the arithmetic; unless a large one was freed before: then it keeps up to 62 MB.
numpy.empty(31 << 20, numpy.uint8)


class Elementwise(Node):
    """A function of several arrays, elementwise, with NumPy broadcasting.

    A subclass gives the formula and its partial derivatives. Both receive the constants first and
    the differentiable inputs after them, either all as arrays or all as
    :class:`chainer.Variable` (the latter only when a second derivative is asked for), so write
    them with arithmetic operators and the functions of :mod:`course_lib.numerics.special`, which
    accept both. Conditions are taken on arrays: ``special.data(x) > 0``.

    Args:
        *constants: Arrays that take part in the formula but get no gradient (observed labels,
            counts).

    Attributes:
        upcast (bool): Evaluate in float64 whatever the inputs' precision. For formulas that lose
            digits to cancellation and are not on the hot path of a training step.
        reuses_value (bool): ``partials`` on arrays takes the value as one operand more, the last,
            whenever the output is just that, neither summed nor rounded. The output then stays in
            memory until the backward pass, and must not change before it, as with Chainer's exp.
        n_summed (int): Over how many of the last axes the result is summed; see :meth:`summed`.

    Shapes: the output has the broadcast shape of constants and inputs, less the axes that are
    summed. Dtypes: the output has the promoted dtype of the inputs, each gradient that of its
    input; float16 is evaluated in float32.

    Example:
        >>> class Square(Elementwise):
        ...     def value(self, x):
        ...         return x * x
        ...     def partials(self, x):
        ...         return [lambda: 2 * x]
        >>> x = chainer.Variable(numpy.float32([1, 2, 3]))
        >>> y = Square()(x)
        >>> chainer.grad([y], [x])[0].array.tolist()
        [2.0, 4.0, 6.0]
    """

    upcast = False
    reuses_value = False
    n_summed = 0

    def __init__(self, *constants):
        super().__init__()
        self.constants = constants

    def value(self, *operands):
        """The formula, on arrays: constants first, then inputs."""
        raise NotImplementedError

    def partials(self, *operands):
        """One zero-argument function an input: the derivative of the formula in that input.

        They are functions so that a derivative nobody asked for is never computed.
        """
        raise NotImplementedError

    def __call__(self, *inputs):
        """Applies the node to arrays or variables and returns a variable."""
        return self.apply(inputs)[0]

    def summed(self, n_axes):
        """The same node, whose result is summed over the last ``n_axes`` axes.

        The sum is formed as the elements are: neither they nor the gradient that each receives
        (that of the sum) are ever stored.

        >>> class Square(Elementwise):
        ...     def value(self, x):
        ...         return x * x
        >>> Square().summed(1)(numpy.float32([[1, 2], [3, 4]])).array.tolist()
        [5.0, 25.0]
        """
        self.n_summed = n_axes
        return self

    @numpy.errstate(all='ignore')
    def on_arrays(self, *inputs):
        """Evaluates the formula on arrays, all at once and without a graph."""
        if len(inputs) == 1 and inputs[0].dtype.char in 'fd' and not (
                self.constants or self.upcast):
            return self.value(*inputs)   # the commonest case: nothing to promote or to cast
        dtype = numpy.result_type(*inputs)
        if dtype.kind != 'f':
            dtype = numpy.promote_types(dtype, numpy.float32)
        working = self._working_dtype(dtype)
        return _cast(self.value(*[_cast(a, working) for a in self.constants + inputs]), dtype)

    def forward(self, inputs):
        self.retain_inputs(range(len(inputs)))
        dtype = inputs[0].dtype if len(inputs) == 1 else numpy.result_type(*inputs)
        working = self._working_dtype(dtype)
        operands = self.constants + inputs
        shape = _broadcast(operands)
        if not self.n_summed:
            if self.reuses_value and dtype == working:
                self.retain_outputs((0,))
            return _evaluate(
                lambda *a: [self.value(*a)], operands, working, shape, [shape], [dtype])
        kept = shape[:len(shape) - self.n_summed]
        y, = _evaluate(
            self._summed_value, operands, working, shape, [self._keeping_axes(kept)], [dtype])
        return y.reshape(kept),

    def _summed_value(self, *operands):
        value, shape = self.value(*operands), _broadcast(operands)
        if value.shape != shape:
            value = chainer.backend.get_array_module(value).broadcast_to(value, shape)
        # NumPy adds up the last axes in pairs, so that roundings do not accumulate.
        return [value.sum(axis=tuple(range(-self.n_summed, 0)), keepdims=True)]

    def backward(self, indexes, grad_outputs):
        gy, = grad_outputs
        if setting('enable_backprop'):
            return self._differentiable_gradients(indexes, gy, self.get_retained_inputs())
        arrays = [node.data for node in self.inputs]
        operands = (*self.constants, *arrays, *(self._retained_output_data or ()))

        def derivatives(*operands):
            partials = self.partials(*operands)
            return [partials[i]() for i in indexes]

        wanted = [arrays[i] for i in indexes]
        gradients = _evaluate(
            derivatives, operands, self._working_dtype(gy.dtype), _broadcast(operands),
            [a.shape for a in wanted], [a.dtype for a in wanted],
            gy.array.reshape(self._keeping_axes(gy.shape)))
        return tuple([constant(g) for g in gradients])

    def _differentiable_gradients(self, indexes, gy, inputs):
        working = self._working_dtype(gy.dtype)
        constants = tuple(chainer.as_variable(gy.xp.asarray(c, working)) for c in self.constants)
        variables = tuple(F.cast(x, working) for x in inputs)
        if self.n_summed:
            gy = F.broadcast_to(F.reshape(gy, self._keeping_axes(gy.shape)),
                                _broadcast(constants + variables))
        with numpy.errstate(all='ignore'):
            partials = self.partials(*constants, *variables)
            return tuple(
                F.cast(F.sum_to(_times(F.cast(gy, working), partials[i]()), inputs[i].shape),
                       inputs[i].dtype)
                for i in indexes)

    def _keeping_axes(self, shape):
        """The shape of the output, with length 1 for every axis that was summed."""
        return shape + (1,) * self.n_summed

    def _working_dtype(self, dtype):
        return numpy.promote_types(dtype, numpy.float64 if self.upcast else numpy.float32)


def _times(gy, partial):
    if not isinstance(partial, chainer.Variable):
        xp = chainer.backend.get_array_module(gy)
        partial = chainer.as_variable(xp.asarray(partial, dtype=gy.dtype))
    xp = gy.xp
    infinite = ~xp.isfinite(partial.array)
    if infinite.any():   # 0 * inf: see _scaled
        partial = F.where(infinite & (gy.array == 0), xp.zeros((), gy.dtype), partial)
    return gy * partial


def _cast(array, dtype):
    return array if array.dtype == dtype else array.astype(dtype)


def _broadcast(arrays):
    shapes = {a.shape for a in arrays}
    if len(shapes) == 1:
        return shapes.pop()
    if all([type(a) is numpy.ndarray for a in arrays]):
        return numpy.broadcast(*arrays).shape   # quicker, but takes NumPy's arrays only
    return numpy.broadcast_shapes(*shapes)


@numpy.errstate(all='ignore')
def _evaluate(formulas, operands, working, shape, wanted_shapes, wanted_dtypes, scale=None):
    """Evaluates ``formulas(*operands)``, several arrays that broadcast to ``shape``.

    The operands are cast to the ``working`` dtype; each result is multiplied by ``scale``, an
    array that broadcasts to ``shape``, and summed to the shape that is wanted of it. What is large
    is evaluated in blocks, so that temporaries stay in cache and none of the full shape is made.
    """
    xp = chainer.backend.get_array_module(*operands)
    if not shape and xp is numpy:
        # NumPy's scalars are quicker than its arrays.
        values = formulas(*[_cast(a[()], working) for a in operands])
        if scale is not None:
            scale = _cast(scale[()], working)
            values = [scale * value if scale else scale for value in values]   # see _scaled
        return tuple([numpy.asarray(value, dtype) for value, dtype in zip(values, wanted_dtypes)])
    block_size = max(1, BLOCK * 4 // working.itemsize)
    if xp is not numpy or math.prod(shape) <= block_size:
        operands = [_cast(a, working) for a in operands]
        values = formulas(*operands)
        if scale is None:
            values = [value if value.shape == wanted else xp.broadcast_to(value, wanted).copy()
                      for value, wanted in zip(values, wanted_shapes)]
        else:
            scale = _cast(scale, working)
            values = [_fit_gradient(_scaled(scale, value), shape, wanted)
                      for value, wanted in zip(values, wanted_shapes)]
        return tuple([xp.asarray(value, dtype) for value, dtype in zip(values, wanted_dtypes)])
    outputs = [numpy.empty(shape, dtype) if wanted == shape else numpy.zeros(wanted)
               for wanted, dtype in zip(wanted_shapes, wanted_dtypes)]
    for block in _blocks(shape, block_size):
        parts = [_cast(_part(a, block, len(shape)), working) for a in operands]
        factor = None if scale is None else _cast(_part(scale, block, len(shape)), working)
        for output, value in zip(outputs, formulas(*parts)):
            part = _part(output, block, len(shape))
            if output.shape != shape:
                part += value if scale is None else _fit_gradient(
                    _scaled(factor, value), _broadcast(parts), part.shape)
            elif scale is None:
                part[...] = value
            else:
                _scaled(factor, value, out=part)
    return tuple([_cast(output, dtype) for output, dtype in zip(outputs, wanted_dtypes)])


def _scaled(scale, value, out=None):
    """``scale * value``; 0 where the scale is 0, even if the value there is infinite.

    A loss that leaves an observation out (a mask, a mixture) sends it the gradient 0, and a
    derivative such as 1 / p at p = 0 must not turn that into 0 * inf.
    """
    xp = chainer.backend.get_array_module(scale, value)
    if xp is not numpy:
        return xp.where(scale == 0, 0, scale * value)
    out = numpy.multiply(scale, value, out=out, casting='same_kind')
    if out.size and numpy.isnan(out.min()):
        out = numpy.asarray(out)
        numpy.copyto(out, 0, where=numpy.broadcast_to(scale == 0, out.shape))
    return out


def _blocks(shape, size):
    """Index tuples, slices of the leading axes, that cut ``shape`` into up to ``size`` elements."""
    axis = next(i for i in range(len(shape)) if math.prod(shape[i + 1:]) <= size)
    step = size // math.prod(shape[axis + 1:])
    outer = [[slice(i, i + 1) for i in range(n)] for n in shape[:axis]]
    return itertools.product(*outer, [slice(i, i + step) for i in range(0, shape[axis], step)])


def _part(array, block, ndim):
    """A view of the part of ``array`` that meets ``block`` when broadcast to ``ndim`` axes."""
    index = block[ndim - array.ndim:]
    return array[(*(slice(None) if n == 1 else s for s, n in zip(index, array.shape)), ...)]


def _fit_gradient(array, shape, wanted):
    """The array, broadcast to ``shape``, summed to the shape ``wanted``.

    Broadcast even where it has the shape that is wanted: a derivative that is the same for several
    elements counts as often.
    """
    if array.shape == shape == wanted:
        return array
    xp = chainer.backend.get_array_module(array)
    if array.shape != shape:
        array = xp.broadcast_to(array, shape)
    elif array.size == math.prod(wanted):
        return array.reshape(wanted)
    lead = len(shape) - len(wanted)
    axes = tuple(range(lead)) + tuple(
        i for i in range(lead, len(shape)) if wanted[i - lead] == 1 and shape[i] != 1)
    # Add in float64: a gradient summed over a million rows should not drift in float32.
    return array.sum(axis=axes, dtype=numpy.float64).reshape(wanted) if axes else array.copy()
