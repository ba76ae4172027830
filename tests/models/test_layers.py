"""The dense layer as one node: values and every derivative are those of Chainer's functions."""
import chainer
from chainer import functions as F
from chainer import gradient_check
from chainer import links as L
import numpy as np
import pytest

from course_lib.models.layers import Affine, Linear


def arrays(batch_shape, n_in=5, n_out=3, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype)
            for shape in (batch_shape + (n_in,), (n_out, n_in), (n_out,))]


@pytest.mark.parametrize('is_tanh', [False, True])
@pytest.mark.parametrize('batch_shape', [(), (1,), (4,), (2, 3), (0,), (2, 1, 3)])
def test_agrees_with_chainers_functions(batch_shape, is_tanh):
    x, W, b = arrays(batch_shape, dtype=np.float32)
    y = Affine(is_tanh).apply((x, W, b))[0].array
    expected = x @ W.T + b
    expected = np.tanh(expected) if is_tanh else expected
    assert y.shape == batch_shape + (3,) and y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('n_rows', [0, 1, 2, 10, 25, 26])
def test_few_rows_of_a_large_layer(n_rows):
    x, W, b = arrays((n_rows,), n_in=130, n_out=100, dtype=np.float32)
    y = Affine(False).apply((x, W, b))[0].array
    assert y.flags.c_contiguous and y.flags.writeable
    np.testing.assert_allclose(y, x.astype('d') @ W.T.astype('d') + b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('is_tanh', [False, True])
@pytest.mark.parametrize('batch_shape', [(1,), (4,), (2, 3)])
def test_gradients_against_finite_differences(batch_shape, is_tanh):
    inputs = arrays(batch_shape)
    gy = np.random.default_rng(1).standard_normal(batch_shape + (3,))
    gradient_check.check_backward(lambda *a: Affine(is_tanh).apply(a)[0], inputs, gy,
                                  dtype='d', rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('is_tanh', [False, True])
def test_second_derivatives_against_finite_differences(is_tanh):
    inputs = arrays((2, 3))
    rng = np.random.default_rng(2)
    gy = rng.standard_normal((2, 3, 3))
    ggs = [rng.standard_normal(a.shape) for a in inputs]
    gradient_check.check_double_backward(
        lambda *a: Affine(is_tanh).apply(a)[0], inputs, gy, ggs, dtype='d', rtol=1e-5, atol=1e-6)


def test_derivative_where_tanh_is_nearly_one():
    x = chainer.Variable(np.float32([[8.]]))
    y = Affine(True).apply((x, np.ones((1, 1), np.float32), np.zeros(1, np.float32)))[0]
    F.sum(y).backward()
    t = np.tanh(np.float32(8)).astype(np.float64)    # the derivative of the rounded tanh
    np.testing.assert_allclose(x.grad[0, 0], (1 - t) * (1 + t), rtol=1e-6)


def test_link_has_chainers_parameters_and_initial_weights():
    links = []
    for make in (Linear, L.Linear):
        np.random.seed(4)
        links.append(make(7, 2))
    for a, b in zip(links[0].params(), links[1].params(), strict=True):
        assert a.name == b.name
        np.testing.assert_array_equal(a.array, b.array)
    x = np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32)
    np.testing.assert_allclose(links[0](x).array, links[1](x).array, rtol=1e-5)
    np.testing.assert_allclose(Linear(7, 2, is_tanh=True, initialW=links[1].W.array)(x).array,
                               F.tanh(links[1](x)).array, rtol=1e-5)


@pytest.mark.parametrize('is_tanh', [False, True])
def test_weights_and_gradients_lie_by_rows(is_tanh):
    # ChainerMN averages a copy of an array that does not, and loses the mean without a word.
    link = Linear(300, 200, is_tanh)
    x = np.random.default_rng(0).standard_normal((4, 2, 300)).astype(np.float32)
    F.sum(link(x) ** 2).backward()
    for parameter in link.params():
        assert parameter.array.flags.c_contiguous and parameter.grad.flags.c_contiguous


def test_wrong_shape():
    with pytest.raises(ValueError, match=r'Linear: x must have the shape \(..., 7\); got \(3, 6\)'):
        Linear(7, 2)(np.zeros((3, 6), np.float32))
