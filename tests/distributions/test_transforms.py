"""Transforms: inverses, Jacobians, extremes, bad input."""
import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
from hypothesis import given, settings
from hypothesis import strategies as st
import mpmath
import numpy
import pytest

from course_lib.distributions import transforms as T

W, U, B = numpy.array([0.7, -1.2, 0.4]), numpy.array([1.5, 2, -0.3]), 0.2
WEIGHTS = numpy.random.RandomState(0).randn(3, 6)


def net(x):
    h = F.matmul(x, WEIGHTS.astype(x.dtype))
    return h[:, :3], F.tanh(h[:, 3:])


SCALAR = [T.Affine(1., 2.), T.Affine(-3., -0.5), T.Exp(), T.Sigmoid(), T.Softplus(),
          T.Compose([T.Affine(0.5, -2.), T.Softplus(), T.Exp()])]
VECTOR = [T.Planar(W, U, B), T.Planar(W, -5 * W, B), T.AffineCoupling([1, 0, 1], net),
          T.Affine([1., 2, 3], -2.),
          T.Compose([T.Planar(W, U, B), T.AffineCoupling([0, 1, 0], net), T.Affine(1., 2.)])]


@pytest.mark.parametrize('transform', SCALAR + VECTOR, ids=repr)
def test_inverse_undoes_forward(transform):
    x = numpy.random.RandomState(1).randn(4, 3)
    y = transform(x)
    assert transform.contains(y.array).all()
    numpy.testing.assert_allclose(transform.inverse(y).array, x, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize('transform', SCALAR + VECTOR, ids=repr)
def test_log_det_jacobian_against_finite_differences(transform):
    x, h = numpy.array([0.3, -0.8, 1.1]), 1e-6
    slopes = [(transform(x + h * e).array - transform(x - h * e).array) / (2 * h)
              for e in numpy.eye(3)]
    log_det = transform.log_det_jacobian(chainer.Variable(x), transform(x)).array
    true = (numpy.linalg.slogdet(slopes)[1] if transform.event_ndim
            else numpy.log(abs(numpy.diagonal(slopes))))
    numpy.testing.assert_allclose(log_det, true, atol=1e-7)


@pytest.mark.parametrize('transform', SCALAR + VECTOR, ids=repr)
@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_the_dtype_is_that_of_the_argument(transform, dtype):
    x = chainer.Variable(numpy.ones((2, 3), dtype))
    y = transform(x)
    assert y.dtype == transform.inverse(y).dtype == dtype
    assert transform.log_det_jacobian(x, y).dtype == dtype


@pytest.mark.parametrize('x', [-1e4, -80, -1, 0, 0.3, 17, 80, 1e4])
@pytest.mark.parametrize('transform, reference', [
    (T.Exp(), lambda x: x),
    (T.Sigmoid(), lambda x: -x - 2 * mpmath.log1p(mpmath.exp(-x)))])
def test_log_det_jacobian_is_accurate(x, transform, reference):
    accuracy.check(lambda x: transform.log_det_jacobian(x, transform(x)), reference,
                   {'x': x})


@pytest.mark.parametrize('y', [1e-30, 1e-6, 0.5, 0.7, 3, 100, 1e4])
def test_softplus_is_inverted_accurately(y):
    accuracy.check(lambda y: T.Softplus().inverse(y),
                   lambda y: mpmath.log(mpmath.expm1(y)), {'y': y})
    accuracy.check(lambda y: T.Softplus().log_det_jacobian(None, y),
                   lambda y: mpmath.log(-mpmath.expm1(-y)), {'y': y})


@pytest.mark.parametrize('t', [-30, -0.3, 0, 1e-8, 2.5, 30])
@pytest.mark.parametrize('s', [1e-3, 0.5, 1, 3, 100])
@pytest.mark.parametrize('b', [-2, 0.1])
def test_planar_root_is_accurate(t, s, b):
    """The reference finds the root with 160 digits, from the answer under test."""
    def reference(t, s, b):
        t, s, b = mpmath.mpf(t), mpmath.mpf(s), mpmath.mpf(b)
        with mpmath.workdps(160):
            low, high = t - abs(s - 1) - 1, t + abs(s - 1) + 1
            for _ in range(20):
                middle = (low + high) / 2
                above = middle + (s - 1) * mpmath.tanh(middle + b) > t
                low, high = (low, middle) if above else (middle, high)
            a = (low + high) / 2
            for _ in range(60):
                h = mpmath.tanh(a + b)
                step = (a + (s - 1) * h - t) / (1 + (s - 1) * (1 - h * h))
                a -= step
                if not low <= a <= high:
                    a = (low + high) / 2
                if abs(step) < mpmath.mpf(10) ** -155:
                    break
            return a

    for dtype in (numpy.float32, numpy.float64):
        arguments = [dtype(v) for v in (t, s, b)]
        a = T.PlanarRoot()(*[chainer.Variable(numpy.asarray(v)) for v in arguments])
        true = reference(*[float(v) for v in arguments])
        assert abs(a.item() - true) <= 8 * numpy.finfo(dtype).eps * max(
            abs(true), abs(t), s / min(1, s))


@pytest.mark.parametrize('w_dot_u', [-100, -1, -0.99, 0, 50])
def test_planar_is_invertible_whatever_u(w_dot_u):
    transform = T.Planar([1., 0.], [float(w_dot_u), 3.], 0.1)
    x = numpy.stack([numpy.linspace(-4, 4, 2001), numpy.zeros(2001)], axis=1)
    y = transform(x)
    assert (numpy.diff(y.array[:, 0]) >= 0).all()
    log_det = transform.log_det_jacobian(chainer.Variable(x), y)
    assert numpy.isfinite(log_det.array).all()
    numpy.testing.assert_allclose(transform(transform.inverse(y)).array, y.array, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=7, max_size=7), st.floats(0.1, 30))
def test_planar_inverse_property(numbers, size):
    w = numpy.array(numbers[:3]) * size
    if abs(w).max() < 1e-3:
        return
    transform = T.Planar(w, numpy.array(numbers[3:6]) * size, numbers[6])
    y = numpy.array([[0.1, -2, 3], [0, 0, 0]])
    x = transform.inverse(chainer.Variable(y))
    w, u, _, _ = transform._moved(numpy.dtype('d'))
    # One rounding of x moves w.x by eps |w| |x|, and y by |u| times as much.
    lengths = [numpy.linalg.norm(v.array) for v in (w, u, x)]
    atol = 1e-13 + 1e-14 * (1 + lengths[0] * lengths[1]) ** 2 * (1 + lengths[2])
    numpy.testing.assert_allclose(transform(x).array, y, atol=atol)


def test_double_backward():
    r = numpy.random.RandomState(0)
    y, w, u, b = r.randn(4, 3), r.randn(3), r.randn(3), numpy.array(0.3)
    for f in (lambda y, w, u, b: T.Planar(w, u, b).inverse(y),
              lambda y, w, u, b: T.Planar(w, u, b).log_det_jacobian(y, None)[:, None] * y):
        gradient_check.check_double_backward(
            f, (y, w, u, b), r.randn(4, 3), (r.randn(4, 3), r.randn(3), r.randn(3), b),
            dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)


def test_the_same_function():
    trained = chainer.Variable(numpy.ones(3))
    assert T.Exp().is_same(T.Exp()) and not T.Exp().is_same(T.Softplus())
    assert T.Affine(1., 2.).is_same(T.Affine(1., 2.))
    assert not T.Affine(1., 2.).is_same(T.Affine(1., 3.))
    assert T.Affine(1., trained).is_same(T.Affine(1., trained))
    assert not T.Affine(1., trained).is_same(T.Affine(1., numpy.ones(3)))
    assert T.Compose([T.Exp()]).is_same(T.Compose([T.Exp()]))
    assert not T.Compose([T.Exp()]).is_same(T.Compose([T.Exp(), T.Exp()]))
    assert not T.AffineCoupling([1, 0], net).is_same(T.AffineCoupling([0, 1], net))


@pytest.mark.parametrize('make, error, message', [
    (lambda: T.Affine(0., 0.), ValueError, 'scale must be a finite number other than 0; got 0'),
    (lambda: T.Affine(numpy.nan, 1.), ValueError, 'loc must be a finite real number; got nan'),
    (lambda: T.Affine('a', 1.), TypeError, 'loc must consist of real numbers'),
    (lambda: T.Affine([1., 2], [1., 2, 3]), ValueError, 'loc and scale do not broadcast'),
    (lambda: T.Planar([0., 0.], U[:2], B), ValueError, 'w must not be the zero vector'),
    (lambda: T.Planar(W, U[:2], B), ValueError, r'same d; got \(3,\) and \(2,\)'),
    (lambda: T.AffineCoupling([1, 1], net), ValueError, 'at least one of each'),
    (lambda: T.AffineCoupling([1, 2], net), ValueError, 'mask must be 0 or 1; got 2'),
    (lambda: T.AffineCoupling([1, 0], 3), TypeError, 'net must be callable; got int'),
    (lambda: T.AffineCoupling([1, 0], lambda x: (x, x[:, :1]))([1., 2.]), ValueError,
     'net must return a pair'),
    (lambda: T.Planar(numpy.ones((2, 3)), numpy.ones((4, 3)), B), ValueError,
     r'Planar: w and u .* broadcast with b .* got \(2, 3\), \(4, 3\) and \(\)'),
    (lambda: T.Compose(None), TypeError, 'at least one Transform; got None'),
    (lambda: T.Compose(3), TypeError, 'at least one Transform; got 3'),
    (lambda: T.Compose([]), TypeError, 'at least one Transform'),
    (lambda: T.Compose([numpy.exp]), TypeError, 'at least one Transform')])
def test_bad_input_is_refused_with_a_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()
