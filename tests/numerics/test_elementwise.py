"""The fused node: broadcasting, blocks, dtypes, gradients of every order."""
import tracemalloc

import chainer
from chainer import gradient_check
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as arrays
import numpy
import pytest

from course_lib.numerics import elementwise, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import exp, log, sigmoid


class Formula(Elementwise):
    """c x^2 e^-y + x: two inputs, one constant, an interaction."""

    def value(self, c, x, y):
        return c * x * x * exp(-y) + x

    def partials(self, c, x, y):
        return [lambda: 2 * c * x * exp(-y) + 1, lambda: -c * x * x * exp(-y)]


class WideFormula(Formula):
    upcast = True


def expected(c, x, y, gy):
    """Value and gradients by plain NumPy in float64, summed over broadcast axes."""
    c, x, y = (numpy.asarray(a, numpy.float64) for a in (c, x, y))
    value = c * x * x * numpy.exp(-y) + x
    gx, gz = gy * (2 * c * x * numpy.exp(-y) + 1), gy * (-c * x * x * numpy.exp(-y))
    return value, sum_to(gx, x.shape), sum_to(gz, y.shape)


def sum_to(array, shape):
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1)
    return array.sum(axis=axes, keepdims=True)


def check(shapes, dtype=numpy.float64, node=Formula, rtol=1e-12, seed=0):
    rng = numpy.random.default_rng(seed)
    c, x, y = (rng.standard_normal(s).astype(dtype) for s in shapes)
    shape = numpy.broadcast_shapes(*shapes)
    gy = rng.standard_normal(shape).astype(dtype)
    u, v = chainer.Variable(x), chainer.Variable(y)
    z = node(c)(u, v)
    assert z.shape == shape and z.dtype == dtype and isinstance(z.array, numpy.ndarray)
    assert z.array.flags.writeable
    z.grad = gy
    z.backward()
    value, gx, gz = expected(c, x, y, gy)
    scale = max(1, numpy.abs(value).max(initial=0), gy.size)
    numpy.testing.assert_allclose(z.array, value, rtol=rtol, atol=rtol * scale)
    for variable, true in ((u, gx), (v, gz)):
        assert variable.grad.shape == variable.shape and variable.grad.dtype == dtype
        assert isinstance(variable.grad, numpy.ndarray)
        numpy.testing.assert_allclose(variable.grad, true, rtol=rtol, atol=rtol * scale)


class Separate(Elementwise):
    """c + x^2 + sin(y): the derivative in either has the shape of that alone."""

    def value(self, c, x, y):
        return c + x * x + special.sin(y)

    def partials(self, c, x, y):
        return [lambda: 2 * x, lambda: special.cos(y)]


SHAPES = [
    [(), (), ()],
    [(5,), (5,), (5,)],
    [(), (7,), (1,)],
    [(4, 1), (3,), (2, 1, 1)],
    [(0,), (0,), (1,)],
    [(0, 3), (3,), (1, 1)],
    [(2, 0, 3), (), (3,)],
    [(30, 7), (30, 7), (30, 7)],
    [(30, 7), (7,), (30, 1)],
    [(30, 7), (30, 1), ()],
    [(1, 210), (210,), (1, 1)],       # one long row
    [(2, 105), (105,), (2, 1)],       # rows longer than a block
    [(6, 5, 7), (5, 1), (6, 1, 7)],
    [(2, 3, 40), (3, 1), (2, 1, 1)],
    [(210, 1), (1,), (210, 1)],
    [(1, 1, 210), (1, 1, 1), (210,)],
    [(3, 1, 70), (1, 2, 1), (2, 70)],
]


@pytest.mark.parametrize('block', [1, 8, 64, 1 << 15])
@pytest.mark.parametrize('shapes', SHAPES, ids=str)
def test_broadcasting_in_blocks_of_any_size(shapes, block, monkeypatch):
    monkeypatch.setattr(elementwise, 'BLOCK', block)
    check(shapes)


@hypothesis.given(
    shapes=arrays.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=6),
    block=strategies.integers(1, 300))
@hypothesis.settings(max_examples=150, deadline=None)
def test_any_broadcastable_shapes(shapes, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elementwise, 'BLOCK', block)
        check(shapes.input_shapes)


@pytest.mark.parametrize('block', [1, 8, 1 << 15])
@pytest.mark.parametrize('n_axes', [1, 2, 3])
@pytest.mark.parametrize('shapes', [
    [(7,), (7,), (7,)],
    [(30, 7), (30, 7), (30, 7)],
    [(30, 7), (4, 30, 7), (1, 7)],    # an observation shared by 4 samples of a parameter
    [(30, 1), (30, 1), ()],
    [(2, 3, 40), (3, 1), (2, 1, 1)],
    [(0, 3), (3,), (1, 1)],
    [(3, 0), (1,), (1, 1)],
    [(30, 7), (30, 1), (1,)],
], ids=str)
@pytest.mark.parametrize('formula', [Formula, Separate])
def test_a_sum_over_the_last_axes(formula, shapes, n_axes, block, monkeypatch):
    shape = numpy.broadcast_shapes(*shapes)
    n_axes = min(n_axes, len(shape))
    monkeypatch.setattr(elementwise, 'BLOCK', block)
    rng = numpy.random.default_rng(4)
    c, x, y = (rng.standard_normal(s) for s in shapes)
    gy = rng.standard_normal(shape[:-n_axes])
    u, v = chainer.Variable(x), chainer.Variable(y)
    z = formula(c).summed(n_axes)(u, v)
    whole = formula(c)(u, v)
    parts = tuple(range(-n_axes, 0))
    assert z.shape == gy.shape and isinstance(z.array, numpy.ndarray)
    numpy.testing.assert_allclose(z.array, whole.array.sum(axis=parts), rtol=1e-12, atol=1e-12)
    broadcast = numpy.broadcast_to(gy.reshape(gy.shape + (1,) * n_axes), shape)
    for double in (False, True):
        gradients = chainer.grad([z], [u, v], [chainer.Variable(gy)], enable_double_backprop=double)
        ones = chainer.grad([whole], [u, v], [chainer.Variable(broadcast.copy())])
        for gradient, wanted in zip(gradients, ones):
            assert gradient.shape == wanted.shape
            numpy.testing.assert_allclose(gradient.array, wanted.array, rtol=1e-12, atol=1e-12)


def test_double_backward_of_a_sum():
    rng = numpy.random.default_rng(5)
    c, x, y = (rng.standard_normal(s) for s in [(2, 3), (4, 1, 3), (2, 1)])
    gradient_check.check_double_backward(
        lambda *inputs: Formula(c).summed(2)(*inputs) * 1, (x, y), rng.standard_normal(4),
        (numpy.ones_like(x), numpy.ones_like(y)), dtype=numpy.float64, atol=1e-4, rtol=1e-4)


def test_a_sum_stores_no_element():
    logit = chainer.Variable(numpy.zeros((20, 100, 784), numpy.float32))
    c = numpy.ones((100, 784), numpy.float32)
    y = numpy.zeros((), numpy.float32)
    Formula(c).summed(1)(logit, y)   # warm up
    tracemalloc.start()
    z = Formula(c).summed(1)(logit, y)
    _, forward = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    z.grad = numpy.ones((20, 100), numpy.float32)
    z.backward()
    _, both = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    block = elementwise.BLOCK * c.itemsize
    assert z.shape == (20, 100)
    assert forward < 8 * block
    assert both < logit.array.nbytes + 16 * block   # the gradient, and no other array of its size


@pytest.mark.parametrize('shapes', SHAPES[-8:], ids=str)
def test_blocks_give_the_very_numbers_of_the_whole(shapes, monkeypatch):
    rng = numpy.random.default_rng(1)
    c, x, y = (rng.standard_normal(s) for s in shapes)
    whole = Formula(c)(x, y).array
    monkeypatch.setattr(elementwise, 'BLOCK', 16)
    numpy.testing.assert_allclose(Formula(c)(x, y).array, whole, rtol=1e-15)


def test_non_contiguous_operands(monkeypatch):
    monkeypatch.setattr(elementwise, 'BLOCK', 16)
    rng = numpy.random.default_rng(2)
    c, x, y = rng.standard_normal((20, 9)).T, rng.standard_normal((9, 40))[:, ::2], 0.5
    z = Formula(c)(x, numpy.array(y))
    numpy.testing.assert_allclose(z.array, expected(c, x, y, 1)[0], rtol=1e-12)


@pytest.mark.parametrize('node', [Formula, WideFormula])
@pytest.mark.parametrize('dtype, rtol', [
    (numpy.float16, 3e-3), (numpy.float32, 1e-5), (numpy.float64, 1e-12)])
@pytest.mark.parametrize('shapes', [[(), (), ()], [(30, 7), (7,), (30, 1)]], ids=str)
def test_dtypes(shapes, dtype, rtol, node, monkeypatch):
    monkeypatch.setattr(elementwise, 'BLOCK', 64)
    check(shapes, dtype, node, rtol)


def test_mixed_dtypes_promote_and_each_gradient_keeps_its_own():
    x = chainer.Variable(numpy.ones(3, numpy.float32))
    y = chainer.Variable(numpy.ones((2, 1), numpy.float64))
    z = Formula(numpy.arange(3))(x, y)
    assert z.dtype == numpy.float64 and z.shape == (2, 3)
    z.grad = numpy.ones((2, 3))
    z.backward()
    assert x.grad.dtype == numpy.float32 and y.grad.dtype == numpy.float64


def test_upcast_evaluates_in_float64():
    class Digits(Elementwise):
        upcast = True

        def value(self, x):
            return (1 + x) - 1
    x = numpy.float32([1e-10])
    assert Digits()(x).array == pytest.approx(1e-10, rel=1e-5)
    assert Digits().on_arrays(x).dtype == numpy.float32


def test_float16_is_evaluated_in_float32():
    class Large(Elementwise):
        def value(self, x):
            return x * x / 100
    assert float(Large()(numpy.float16([1000])).array[0]) == 10000


def test_integers_on_arrays_become_floats():
    assert exp(numpy.array([0, 1])).dtype == numpy.float64


def test_sums_over_broadcast_axes_do_not_drift():
    n = 1 << 22
    x = chainer.Variable(numpy.zeros((), numpy.float32))
    z = Formula(numpy.zeros(n, numpy.float32))(x, numpy.zeros((), numpy.float32))
    z.grad = numpy.full(n, 0.1, numpy.float32)
    z.backward()
    assert x.grad == pytest.approx(n * float(numpy.float32(0.1)), rel=1e-7)


def test_no_temporary_of_the_full_shape():
    x = chainer.Variable(numpy.ones(784, numpy.float32))
    y = numpy.zeros((), numpy.float32)
    c = numpy.ones((2000, 784), numpy.float32)
    gy = numpy.ones_like(c)
    Formula(c)(x, y)   # warm up
    tracemalloc.start()
    z = Formula(c)(x, y)
    _, forward = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    z.grad = gy
    z.backward()
    _, both = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    block = elementwise.BLOCK * c.itemsize
    assert forward < c.nbytes + 8 * block     # the result and some blocks
    assert both < c.nbytes + 16 * block       # the gradient has 784 elements: blocks only


def test_a_derivative_nobody_wants_is_not_computed():
    class Picky(Elementwise):
        def value(self, x, y):
            return x + y

        def partials(self, x, y):
            def forbidden():
                raise AssertionError('computed')
            return [lambda: 1, forbidden]
    x = chainer.Variable(numpy.ones(3))
    z = Picky()(x, numpy.ones(3))
    z.grad = numpy.ones(3)
    z.backward()
    assert x.grad.tolist() == [1, 1, 1]


class Growth(Elementwise):
    """e^x + c - 1, whose derivative is the value less c - 1: where there is a value to reuse."""

    reuses_value = True
    reused = None

    def value(self, c, x):
        return exp(x) + (c - 1)

    def partials(self, c, x, value=None):
        Growth.reused = value is not None
        return [lambda: exp(x) if value is None else value - (c - 1)]


@pytest.mark.parametrize('block', [1, 8, 1 << 15])
@pytest.mark.parametrize('shape', [(), (5,), (4, 6)])
@pytest.mark.parametrize('double', [False, True])
@pytest.mark.parametrize('dtype', ['d', 'f', 'e'])
@pytest.mark.parametrize('is_summed', [False, True])
def test_a_value_is_reused_unless_summed_or_rounded(
        block, shape, double, dtype, is_summed, monkeypatch):
    n_summed = min(is_summed, len(shape))
    monkeypatch.setattr(elementwise, 'BLOCK', block)
    rng = numpy.random.default_rng(0)
    x = chainer.Variable(rng.standard_normal(shape).astype(dtype))
    c = rng.standard_normal(shape[-1:]).astype(dtype)
    y = Growth(c).summed(n_summed)(x)
    gy = numpy.ones_like(y.array)
    gx, = chainer.grad([y], [x], [chainer.Variable(gy)], enable_double_backprop=double)
    assert Growth.reused is (dtype != 'e' and not n_summed and not double)
    rtol = {'d': 1e-12, 'f': 1e-5, 'e': 1e-2}[dtype]
    numpy.testing.assert_allclose(gx.array, numpy.exp(x.array), rtol=rtol, atol=rtol)
    if double:
        second, = chainer.grad([gx], [x], [chainer.Variable(numpy.ones_like(x.array))])
        numpy.testing.assert_allclose(second.array, numpy.exp(x.array), rtol=rtol, atol=rtol)


def test_no_warning_from_infinities():
    with numpy.errstate(all='raise'):
        x = chainer.Variable(numpy.array([0., 1.]))
        z = log(x)
        z.grad = numpy.ones(2)
        z.backward()
    assert z.array[0] == -numpy.inf and x.grad[0] == numpy.inf


@pytest.mark.parametrize('shapes', [
    [(), (), ()], [(3,), (3,), (3,)], [(2, 3), (3,), (2, 1)], [(), (2, 1), (3,)]], ids=str)
def test_double_backward(shapes):
    rng = numpy.random.default_rng(3)
    c, x, y = (rng.standard_normal(s) for s in shapes)
    gy = rng.standard_normal(numpy.broadcast_shapes(*shapes))
    gradient_check.check_double_backward(
        lambda *inputs: Formula(c)(*inputs) * 1, (x, y), gy,
        (numpy.ones_like(x), numpy.ones_like(y)), dtype=numpy.float64, atol=1e-4, rtol=1e-4)


def test_third_derivative():
    x = chainer.Variable(numpy.array(0.3))
    y = sigmoid(x)
    for _ in range(3):
        y, = chainer.grad([y], [x], enable_double_backprop=True)
    s = 1 / (1 + numpy.exp(-0.3))
    assert float(y.array) == pytest.approx(s * (1 - s) * (1 - 6 * s + 6 * s * s), rel=1e-12)


def test_gradients_of_float32_stay_float32_through_double_backward():
    x = chainer.Variable(numpy.ones((2, 3), numpy.float32))
    y = chainer.Variable(numpy.zeros(3, numpy.float32))
    z = WideFormula(numpy.float32(2))(x, y)
    z.grad = numpy.ones((2, 3), numpy.float32)
    z.backward(enable_double_backprop=True)
    assert x.grad.dtype == y.grad.dtype == numpy.float32 and y.grad.shape == (3,)


def test_arrays_in_need_no_graph_and_no_backprop_mode_is_respected():
    with chainer.no_backprop_mode():
        z = Formula(numpy.ones(2))(chainer.Variable(numpy.ones(2)), numpy.ones(2))
    assert z.creator is None


class Reciprocal(Elementwise):
    def value(self, x):
        return numpy.log(x)

    def partials(self, x):
        return [lambda: 1 / x]


@pytest.mark.parametrize('double', [False, True])
def test_a_zero_upstream_gradient_silences_that_of_a_scalar(double):
    x = chainer.Variable(numpy.array(0.))
    gx, = chainer.grad([Reciprocal()(x)], [x], [chainer.Variable(numpy.array(0.))],
                       enable_double_backprop=double)
    assert gx.array == 0


@pytest.mark.parametrize('n', [2, 100_000])
@pytest.mark.parametrize('double', [False, True])
def test_a_zero_upstream_gradient_silences_an_infinite_derivative(n, double):
    x = chainer.Variable(numpy.linspace(0, 1, n))
    mask = numpy.ones(n)
    mask[0] = 0
    y = Reciprocal()(x)
    gx, = chainer.grad([y], [x], [chainer.Variable(mask)], enable_double_backprop=double)
    assert gx.array[0] == 0
    numpy.testing.assert_allclose(gx.array[1:], 1 / x.array[1:])
