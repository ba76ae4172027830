"""Chainer's ``FunctionNode``, applied at a third of its cost where it can be."""
import weakref

import chainer
import numpy

# chainer.config.debug looks for an attribute first, fails, and only then comes here: four times
# the cost, and a node asks for several settings.
setting = chainer.config.__getattr__

_NUMPY_ONLY = {numpy.ndarray}


class Node(chainer.FunctionNode):
    """A :class:`chainer.FunctionNode` with one output, quick to apply and to derive.

    A node of a scalar costs ``FunctionNode.apply`` some 20 microseconds, ten times the arithmetic.
    Most of that time goes into what cannot happen here: ChainerX, memory layouts, type checks.
    Applied to NumPy arrays, this node adds itself to the graph and does no more; with CuPy arrays,
    with function hooks or in debug mode, it does as Chainer does. The backward pass finds the same
    graph either way; it adds up the gradients of a variable used twice without a node for the sum.
    """

    def apply(self, inputs):
        """See :meth:`chainer.FunctionNode.apply`; returns a tuple of one variable."""
        variables = [x if isinstance(x, chainer.Variable) else
                     constant(x) if type(x) is numpy.ndarray else chainer.as_variable(x)
                     for x in inputs]
        arrays = tuple([x.array for x in variables])
        if (self._n_local_function_hooks or chainer.get_function_hooks()
                or setting('debug') or setting('schedule_func') is not None
                or {type(array) for array in arrays} != _NUMPY_ONLY):
            return super().apply(inputs)
        self._input_layouts = (None,) * len(arrays)
        self._output_layouts = None,
        self._output_count = 1
        outputs = self.forward(arrays)
        y = chainer.Variable._init_unchecked(
            outputs[0], requires_grad=any([x.requires_grad for x in variables]),
            is_chainerx_array=False)
        if setting('enable_backprop'):
            self.inputs = tuple([x.node for x in variables])
            self.rank = max([node.rank for node in self.inputs])
            y.creator_node = self
            self.outputs = weakref.ref(y.node),   # weak: the output keeps the node alive
            for i in self._input_indexes_to_retain or ():
                variables[i].retain_data()
            if self._output_indexes_to_retain:
                y.retain_data()
                self._retained_output_data = outputs
            self.lazy_grad_sum = setting('lazy_grad_sum')
        return y,

    def backward_accumulate(self, indexes, grad_outputs, grad_inputs):
        """See :meth:`chainer.FunctionNode.backward_accumulate`."""
        if setting('enable_backprop'):
            return super().backward_accumulate(indexes, grad_outputs, grad_inputs)
        gradients = self.backward(indexes, grad_outputs)
        if len(gradients) == len(self.inputs):   # one for each, wanted or not
            gradients = [gradients[i] for i in indexes]
        return tuple([g if other is None else other if g is None else
                      constant(chainer.utils.force_array(other.array + g.array))
                      for g, other in zip(gradients, grad_inputs, strict=True)])


def constant(array):
    """A variable that needs no gradient; ``chainer.as_variable`` of an array, without checks."""
    return chainer.Variable._init_unchecked(
        array, requires_grad=False, is_chainerx_array=False)
