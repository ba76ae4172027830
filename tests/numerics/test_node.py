"""The quick node: the graph that it adds to is Chainer's own."""
import chainer
from chainer import function_hooks
from chainer import functions as F
import numpy
import pytest

from course_lib.numerics.node import Node


class Quotient(Node):
    """x / y, which retains an input and its output."""

    def forward(self, inputs):
        x, y = inputs
        self.retain_inputs((1,))
        self.retain_outputs((0,))
        return chainer.utils.force_array(x / y),

    def backward(self, indexes, grad_outputs):
        gz, = grad_outputs
        y, = self.get_retained_inputs()
        z, = self.get_retained_outputs()
        gradients = gz / y, -gz * z / y
        return tuple(gradients[i] for i in indexes)


class ChainersQuotient(Quotient):
    apply = chainer.FunctionNode.apply


def variables():
    return (chainer.Variable(numpy.array([1., 2.])), chainer.Variable(numpy.array([4., 5.])))


def graph(node):
    """What is observable of a graph with the node in it, its gradients included."""
    x, y = variables()
    z = F.exp(node().apply((F.sin(x), y))[0])
    creator = z.creator_node.inputs[0].creator_node
    gradients = chainer.grad([z], [x, y], enable_double_backprop=True)
    second = chainer.grad([F.sum(gradients[0]) + F.sum(gradients[1])], [x, y])
    return (z.rank, z.requires_grad, creator.rank, [v.rank for v in creator.inputs],
            [v.data is None for v in creator.inputs], creator.inputs[1] is y.node,
            creator.outputs[0]() is z.creator_node.inputs[0], creator.output_layouts,
            creator.input_layouts,
            [g.array.tolist() for g in (*gradients, *second)])


class OneForEachInput(Quotient):
    """Returns the gradient of every input, wanted or not, as Chainer allows."""

    def backward(self, indexes, grad_outputs):
        return super().backward((0, 1), grad_outputs)


@pytest.mark.parametrize('wanted', [0, 1])
def test_a_gradient_for_each_input_or_for_each_that_is_wanted(wanted):
    gradients = []
    for node in Quotient, OneForEachInput:
        inputs = list(variables())
        inputs[1 - wanted] = inputs[1 - wanted].array
        z, = node().apply(inputs)
        z.grad = numpy.ones(2)
        z.backward()
        gradients.append(inputs[wanted].grad.tolist())
    assert gradients[0] == gradients[1]


def test_a_number_of_gradients_that_fits_nothing_is_an_error():
    class TwoOfThree(Node):
        def forward(self, inputs):
            return sum(inputs),

        def backward(self, indexes, grad_outputs):
            return grad_outputs * 2

    x = chainer.Variable(numpy.ones(2))
    z, = TwoOfThree().apply((x, numpy.ones(2), numpy.ones(2)))
    z.grad = numpy.ones(2)
    with pytest.raises(ValueError):
        z.backward()


def test_the_graph_is_that_of_chainer():
    assert graph(Quotient) == graph(ChainersQuotient)


@pytest.mark.parametrize('node', [Quotient, ChainersQuotient])
def test_without_backprop_there_is_no_graph(node):
    with chainer.no_backprop_mode():
        z, = node().apply(variables())
    assert z.creator_node is None
    z, = node().apply(tuple(v.array for v in variables()))
    assert not z.requires_grad and z.array.tolist() == [0.25, 0.4]


@pytest.mark.parametrize('node', [Quotient, ChainersQuotient])
def test_an_output_that_was_dropped_is_still_retained(node):
    x, y = variables()
    z = F.identity(node().apply((x, y))[0])   # the node's own variable is gone by now
    z.grad = numpy.ones(2)
    z.backward()
    assert y.grad == pytest.approx([-1 / 16, -2 / 25])


def test_hooks_and_debug_mode_are_chainers():
    with function_hooks.TimerHook() as hook:
        Quotient().apply(variables())
    assert [name for name, _ in hook.call_history] == ['Quotient']
    node = Quotient()
    hook = function_hooks.TimerHook()
    node.add_hook(hook)
    node.apply(variables())
    assert hook.call_history
    with chainer.using_config('debug', True), pytest.raises(RuntimeError, match='NaN'):
        Quotient().apply((numpy.array([numpy.nan]), numpy.array([1.])))


def test_an_uninitialised_parameter_is_refused_as_chainer_does():
    inputs = chainer.Parameter(), numpy.array([1.])
    messages = []
    for node in (Quotient, ChainersQuotient):
        with pytest.raises(Exception) as error:
            node().apply(inputs)
        messages.append((type(error.value), str(error.value).replace('ChainersQ', 'Q')))
    assert messages[0] == messages[1]


@pytest.mark.parametrize('shape', [(), (1,), (3, 2)])
@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_gradients_of_a_variable_used_twice_add_up(shape, dtype):
    rng = numpy.random.default_rng(0)
    x, y = (chainer.Parameter(numpy.asarray(rng.uniform(1, 2, shape), dtype)) for _ in range(2))
    leaf = F.exp(x)       # one that is not a leaf has its gradients added in the same way
    z = Quotient().apply((x, y))[0] + Quotient().apply((x, x))[0] + Quotient().apply((y, x))[0]
    w = Quotient().apply((leaf, y))[0] + Quotient().apply((y, leaf))[0]
    F.sum(z + w).backward()
    a, b = x.array, y.array
    e = numpy.exp(a)
    for variable, wanted in ((x, 1 / b - b / a ** 2 + e / b - b / e),
                             (y, -a / b ** 2 + 1 / a - e / b ** 2 + 1 / e)):
        assert isinstance(variable.grad, numpy.ndarray)
        assert variable.grad.shape == shape and variable.grad.dtype == dtype
        numpy.testing.assert_allclose(variable.grad, wanted, rtol=1e-5)


def test_a_node_that_gets_one_variable_twice():
    x = chainer.Parameter(numpy.array(3.))
    Quotient().apply((x, x))[0].backward()
    assert x.grad == pytest.approx(0, abs=1e-15)


def test_the_sum_of_gradients_can_be_derived_again():
    x = chainer.Parameter(numpy.array(3.))
    y = chainer.Variable(numpy.array(2.))
    first, = chainer.grad([Quotient().apply((y, x))[0] + Quotient().apply((x, y))[0]], [x],
                          enable_double_backprop=True)
    second, = chainer.grad([first], [x])
    assert float(second.array) == pytest.approx(2 * 2 / 27)
