"""Special functions and their derivatives against mpmath, in both precisions, over wide grids."""
from accuracy import TOLERANCE
import chainer
from chainer import gradient_check
import mpmath
from mpmath import mp
import numpy
import pytest

from course_lib.numerics import special

TINY = [1e-30, 1e-12, 1e-5]
SIGNED = [-v for v in TINY] + TINY
POSITIVE = TINY + [0.02, 0.3, 0.9, 1, 1.5, 2, 3.7, 9.99, 10, 10.01, 40, 1e3, 1e6, 1e10]
REAL = SIGNED + [-80, -20, -3, -1, -0.7, -0.2, 0, 0.2, 0.5, 0.7, 1, 3, 20, 80]
TAILS = REAL + [-1e4, -800, -100, 38, 40, 42, 100, 800, 1e4]
UNIT = TINY + [0.02, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 0.999]
MODERATE = SIGNED + [-6, -3, -1, -0.3, 0, 0.3, 1, 3, 6]


def _stirling_error(x):
    return mpmath.loggamma(x + 1) - (x + 0.5) * mpmath.log(x) + x - mpmath.log(2 * mpmath.pi) / 2


def _gamma_half_step(x):
    return mpmath.loggamma(x + 0.5) - mpmath.loggamma(x) - mpmath.log(x) / 2


def _ndtr(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def _density(x):
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def _erfinv(y):
    # mpmath's own loses digits near 0 and 1; refine it by Newton's method.
    x = mpmath.erfinv(y)
    for _ in range(4):
        x -= (mpmath.erf(x) - y) * mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(x * x)
    return x


# name: (reference, grid)
FUNCTIONS = {
    'exp': (mpmath.exp, REAL),
    'log': (mpmath.log, POSITIVE),
    'log1p': (mpmath.log1p, POSITIVE + [-0.9, -0.5, -1e-3]),
    'expm1': (mpmath.expm1, REAL),
    'sqrt': (mpmath.sqrt, POSITIVE),
    'tanh': (mpmath.tanh, MODERATE),
    'sin': (mpmath.sin, MODERATE),
    'cos': (mpmath.cos, MODERATE),
    'arctan': (mpmath.atan, REAL),
    'absolute': (abs, [v for v in REAL if v]),
    'sigmoid': (lambda x: 1 / (1 + mpmath.exp(-x)), TAILS),
    'softplus': (lambda x: mpmath.log1p(mpmath.exp(x)), TAILS),
    'log_sigmoid': (lambda x: -mpmath.log1p(mpmath.exp(-x)), TAILS),
    'logit': (lambda p: mpmath.log(p / (1 - p)), UNIT),
    'log1mexp': (lambda x: mpmath.log(-mpmath.expm1(-x)), POSITIVE[:-3] + [0.69, 0.7]),
    'log1pmx': (lambda x: mpmath.log1p(x) - x, POSITIVE + [-0.9, -0.3, -0.2, -1e-3, -1e-8]),
    'expm1mx': (lambda x: mpmath.expm1(x) - x, REAL),
    'lgamma': (mpmath.loggamma, POSITIVE),
    'digamma': (mpmath.digamma, POSITIVE),
    'polygamma_1': (lambda x: mpmath.zeta(2, x), POSITIVE[2:]),
    'polygamma_2': (lambda x: -2 * mpmath.zeta(3, x), POSITIVE[2:-2]),
    'stirling_error': (_stirling_error, POSITIVE),
    'gamma_half_step': (_gamma_half_step, POSITIVE),
    'ndtr': (_ndtr, MODERATE + [-12, -10, 9]),
    'log_ndtr': (lambda x: mpmath.log(_ndtr(x)), MODERATE + [-1e4, -100, -20, -10, 9, 13]),
    'erf': (mpmath.erf, [v for v in MODERATE if abs(v) < 6]),
    'erfinv': (_erfinv, [v for v in MODERATE if abs(v) < 1] + [-0.999, 0.5, 0.99]),
    'normal_density': (_density, MODERATE + [-12]),
    # Its derivative, y (y - x), loses digits as x^2; it only enters second derivatives.
    'normal_hazard': (lambda x: _density(x) / _ndtr(-x), MODERATE + [-12, 20]),
    'ndtri': (lambda p: mpmath.sqrt(2) * _erfinv(2 * p - 1), UNIT),
}


def function(name):
    if name.startswith('polygamma'):
        return lambda x: special.polygamma(int(name[-1]), x)
    return getattr(special, name)


def derivative(f, x):
    h = abs(x) * mpmath.mpf(10) ** -30 if x else mpmath.mpf(10) ** -60
    return (f(x + h) - f(x - h)) / (2 * h)


def assert_right(what, got, f, at):
    """Within the tolerance, or 8 roundings times the condition number, of f at the arrays' values.
    """
    dtype = at.dtype.type
    info = numpy.finfo(dtype)
    for g, x in zip(got, at):
        x = mpmath.mpf(float(x))
        true = f(x)
        if abs(true) > info.max:
            assert numpy.isinf(g) and (g > 0) == (true > 0), f'{what}({x}) = {g}, true {true}'
            continue
        condition = abs(x * derivative(f, x) / true) if true else 0
        slack = max(TOLERANCE[dtype], 8 * float(info.eps) * float(condition)) * abs(true)
        # A reference that is 0 by symmetry comes out as noise of 1e-100 or less.
        slack += 2 * mpmath.mpf(float(info.smallest_subnormal)) + mpmath.mpf(10) ** -100
        if abs(true) < float(info.tiny):
            slack += abs(true) / 4
        assert abs(float(g) - true) <= slack, (
            f'{what}({float(x)!r}) in {dtype.__name__}: got {g:.9g}, true {mpmath.nstr(true, 12)}')


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
@pytest.mark.parametrize('name', FUNCTIONS)
def test_value_and_derivative(name, dtype):
    f, (reference, grid) = function(name), FUNCTIONS[name]
    x = chainer.Variable(numpy.array(grid, dtype))
    y = f(x)
    assert y.dtype == dtype
    numpy.testing.assert_array_equal(f(x.array), y.array, 'on an array and on a variable')
    y.grad = numpy.ones_like(y.array)
    y.backward()
    with mp.workdps(120):
        assert_right(name, y.array, reference, x.array)
        assert_right(f'derivative of {name}', x.grad, lambda v: derivative(reference, v), x.array)


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - {'polygamma_2'}))
def test_second_derivative(name):
    grid = [v for v in FUNCTIONS[name][1] if 0.01 < abs(v) < 4]
    x = numpy.array(grid)
    f = function(name)
    gradient_check.check_double_backward(
        lambda v: f(v) * 1, x, numpy.ones_like(x), numpy.ones_like(x), dtype=numpy.float64,
        eps=1e-5, atol=1e-4, rtol=1e-4)


TWO = {
    'deviance': lambda x, m: x * mpmath.log(x / m) + m - x,
    'log_ratio': lambda x, m: mpmath.log(x / m),
}
PAIRS = [(1e-12, 3), (0.3, 0.3000001), (1, 1), (1, 1.4), (1, 1.6), (5, 1e-12), (10, 1000),
         (1e6, 1e6 + 1), (1e6, 1e5), (40, 39.9)]


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
@pytest.mark.parametrize('name', TWO)
def test_functions_of_two(name, dtype):
    a, b = numpy.array(PAIRS, dtype).T
    x, m = chainer.Variable(a.copy()), chainer.Variable(b.copy())
    y = function(name)(x, m)
    assert y.dtype == dtype
    y.grad = numpy.ones_like(a)
    y.backward()
    reference = TWO[name]
    with mp.workdps(120):
        for i in range(len(a)):
            def in_x(v):
                return reference(v, mpmath.mpf(float(b[i])))

            def in_m(v):
                return reference(mpmath.mpf(float(a[i])), v)
            at_x, at_m = a[i:i + 1], b[i:i + 1]
            assert_right(name, y.array[i:i + 1], in_x, at_x)
            assert_right(f'{name}, in x', x.grad[i:i + 1], lambda v: derivative(in_x, v), at_x)
            assert_right(f'{name}, in m', m.grad[i:i + 1], lambda v: derivative(in_m, v), at_m)


def test_deviance_at_zero():
    x, m = numpy.array([0., 0.]), numpy.array([0., 2.])
    assert special.deviance(x, m).tolist() == [0, 2]


COUNTS = [0, 1, 2, 9, 20, 21, 1000, 4094, 4095, 4096, 10 ** 6, 10 ** 7]


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
@pytest.mark.parametrize('counts', [COUNTS, COUNTS[:7], [], 5], ids=str)
def test_log_factorial_and_log_peak(counts, dtype):
    k = numpy.array(counts, dtype)
    with mp.workdps(60):
        exact = [mpmath.loggamma(int(v) + 1) for v in k.ravel()]
        peak = [int(v) * mpmath.log(v) - int(v) - e if v else mpmath.mpf(0)
                for v, e in zip(k.ravel(), exact)]
    for f, reference in ((special.log_factorial, exact), (special.log_peak, peak)):
        y = f(k)
        assert y.dtype == dtype and y.shape == k.shape
        numpy.testing.assert_allclose(
            y.ravel().astype(float), [float(v) for v in reference], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize('dtype', [numpy.uint8, numpy.int32, numpy.int64])
def test_log_factorial_of_integers(dtype):
    k = numpy.array([0, 1, 5, 100], dtype)
    numpy.testing.assert_allclose(
        special.log_factorial(k), [0, 0, numpy.log(120), 363.73937555556347], rtol=1e-6)


@pytest.mark.parametrize('vectorised', [False, True])
@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_log1p_of_unit(dtype, vectorised, monkeypatch):
    monkeypatch.setattr(special, '_LOG1P_IS_VECTORISED', vectorised)
    u = numpy.concatenate([10.0 ** -numpy.arange(0, 300), numpy.linspace(0, 1, 1001)]).astype(dtype)
    y = special.log1p_of_unit(u.copy())   # written over its argument
    assert y.dtype == dtype
    true = numpy.log1p(u.astype(numpy.longdouble))
    assert abs(y - true).max() <= numpy.finfo(dtype).eps
    positive = u > 0
    relative = abs(y - true)[positive] / true[positive]
    assert relative.max() <= 2 * numpy.finfo(dtype).eps


@pytest.mark.parametrize('vectorised', [False, True])
@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
@pytest.mark.parametrize('name', ['softplus', 'log_sigmoid'])
def test_softplus_where_no_exponential_overflows(name, dtype, vectorised, monkeypatch):
    # Apart from the grid above, whose extremes send all of it the longer way.
    monkeypatch.setattr(special, '_LOG1P_IS_VECTORISED', vectorised)
    f, (reference, _) = function(name), FUNCTIONS[name]
    for limit in 79.9, 80., 88., 200.:
        x = numpy.append(numpy.linspace(-limit, limit, 401), [1e-30, -1e-8]).astype(dtype)
        with mp.workdps(80):
            assert_right(name, f(x), reference, x)
            assert_right(name, [f(v) for v in x[::20]], reference, x[::20])   # NumPy's scalars
            assert_right(name, [f(v.reshape(())) for v in x[::20]], reference, x[::20])
    assert f(numpy.zeros((0, 3), dtype)).shape == (0, 3)


def test_exp_is_finite_looks_at_arrays_only():
    assert special.exp_is_finite(numpy.float32([-1e4, 79]))
    assert not special.exp_is_finite(numpy.float32([-1e4, 81]))
    assert not special.exp_is_finite(numpy.float32([0, numpy.nan]))
    assert not special.exp_is_finite(numpy.float32([0, numpy.inf]))
    assert special.exp_is_finite(numpy.float32(79)) and not special.exp_is_finite(numpy.float64(81))
    assert not special.exp_is_finite(numpy.zeros((2, 0), numpy.float32))
    assert not special.exp_is_finite(chainer.Variable(numpy.float32([0])))


@pytest.mark.parametrize('vectorised', [False, True])
@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_vectorised_expm1(dtype, vectorised, monkeypatch):
    monkeypatch.setattr(special, 'EXPM1_IS_VECTORISED', vectorised)
    x = numpy.array([0, 1e-30, -1e-9, 1e-4, -0.3, 0.7, 5, -20, -200, 80, 300], dtype)
    with numpy.errstate(over='ignore'):
        y, true = special.vectorised_expm1(x), numpy.expm1(x.astype(numpy.longdouble)).astype(dtype)
    assert y.dtype == dtype
    numpy.testing.assert_allclose(y, true, rtol=8 * numpy.finfo(dtype).eps)
    variable = chainer.Variable(x[:8])
    (gradient,) = chainer.grad([special.vectorised_expm1(variable)], [variable])
    numpy.testing.assert_allclose(gradient.array, numpy.exp(x[:8]), rtol=1e-6)


def test_normal_hazard_far_out():
    x = numpy.array([100., 1e4, 1e8])
    with mp.workdps(50):   # phi(x) / ndtr(-x) = x / (1 - 1/x^2 + 3/x^4 - 15/x^6 + ...)
        true = [v / (1 - v ** -2 + 3 * v ** -4 - 15 * v ** -6 + 105 * v ** -8)
                for v in map(mpmath.mpf, x)]
    numpy.testing.assert_allclose(special.normal_hazard(x), numpy.array(true, float), rtol=1e-14)


@pytest.mark.parametrize('name', ['sigmoid', 'softplus', 'log_sigmoid'])
def test_infinite_and_nan_arguments(name):
    limits = {'sigmoid': ([0, 1], [0, 0]), 'softplus': ([0, numpy.inf], [0, 1]),
              'log_sigmoid': ([-numpy.inf, 0], [1, 0])}
    x = chainer.Variable(numpy.array([-numpy.inf, numpy.inf, numpy.nan], numpy.float32))
    y = function(name)(x)
    y.grad = numpy.ones_like(y.array)
    y.backward()
    values, slopes = limits[name]
    assert y.array[:2].tolist() == values and x.grad[:2].tolist() == slopes
    assert numpy.isnan(y.array[2]) and numpy.isnan(x.grad[2])


@pytest.mark.parametrize('name', ['sigmoid', 'softplus', 'log_sigmoid'])
@pytest.mark.parametrize('x', [0.5, 1, True, numpy.float16(0.5), numpy.int64(1)], ids=repr)
def test_numbers_of_any_kind(name, x):
    expected = function(name)(numpy.float64(x))
    numpy.testing.assert_allclose(function(name)(x), expected, rtol=1e-3)


def test_polynomial():
    x = numpy.array([0., 1., -2.])
    assert special.polynomial(x, [1, 2, 3]).tolist() == [1, 6, 9]
    y = special.polynomial(chainer.Variable(x), [1, 2, 3])
    assert y.array.tolist() == [1, 6, 9] and x.tolist() == [0, 1, -2]


def test_where_takes_numbers_and_variables():
    x = chainer.Variable(numpy.array([1., -1.]))
    y = special.where(x.array > 0, x, 0.)
    assert y.array.tolist() == [1, 0]
    assert chainer.grad([y], [x])[0].array.tolist() == [1, 0]
    assert special.where(x.array > 0, 2., x.array).tolist() == [2, -1]


def test_refined_redoes_what_is_doubtful():
    x = numpy.array([1., 2., 3.], numpy.float32)
    seen = []

    def exact(v):
        seen.append((v.dtype, v.tolist()))
        return -v
    y = special.refined(lambda v: (v * 10, v == 2), exact, x)
    assert y.tolist() == [10, -2, 30] and y.dtype == numpy.float32
    assert seen == [(numpy.float64, [2])]
