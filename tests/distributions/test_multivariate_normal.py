"""MultivariateNormal: accuracy, defects of Chainer's, sampling, bad input."""
import copy
import time

import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D


def random_tril(shape, d, seed=0):
    r = numpy.random.RandomState(seed)
    tril = numpy.tril(0.5 * r.randn(*shape, d, d), -1)
    return tril + numpy.exp(0.3 * r.randn(*shape, d))[..., None] * numpy.eye(d)


def two_dimensional(m1, m2, a, b, c):
    zero = chainer.Variable(numpy.zeros_like(a.array))
    tril = F.stack([F.stack([a, zero]), F.stack([b, c])])
    return D.MultivariateNormal(F.stack([m1, m2]), scale_tril=tril)


POINTS = [
    dict(m1=0.3, m2=-1, a=1, b=0.5, c=2), dict(m1=0.3, m2=-1, a=1e-10, b=3e-10, c=2e-10),
    dict(m1=1e4, m2=2, a=1e10, b=-1e9, c=3e10), dict(m1=0, m2=0, a=1e-3, b=100, c=1e-2)]


@pytest.mark.parametrize('params', POINTS)
@pytest.mark.parametrize('x1, x2', [(0, 0), (0.7, -5), (1e4, 2.5)])
def test_log_prob_is_accurate(params, x1, x2):
    def reference(m1, m2, a, b, c, x1, x2):
        y1 = (x1 - m1) / a
        y2 = (x2 - m2 - b * y1) / c
        return -(y1 ** 2 + y2 ** 2) / 2 - mpmath.log(a) - mpmath.log(c) - mpmath.log(2 * mpmath.pi)

    accuracy.check(lambda x1, x2, **given: two_dimensional(**given).log_prob(F.stack([x1, x2])),
                   reference, dict(params, x1=x1, x2=x2))


@pytest.mark.parametrize('params', POINTS)
def test_entropy_and_stddev_are_accurate(params):
    a, b, c = (params[name] for name in 'abc')
    accuracy.check(lambda a, c: two_dimensional(a, a, a, a, c).entropy,
                   lambda a, c: 1 + mpmath.log(2 * mpmath.pi) + mpmath.log(a * c),
                   {'a': a, 'c': c})
    accuracy.check(lambda b, c: two_dimensional(c, c, c, b, c).stddev[1],
                   lambda b, c: mpmath.sqrt(b ** 2 + c ** 2), {'b': b, 'c': c})


@pytest.mark.parametrize('p', POINTS)
@pytest.mark.parametrize('q', POINTS + [
    dict(m1=0.3, m2=-1, a=1.0001, b=0.5, c=2), dict(m1=0.30001, m2=-1, a=1, b=0.5, c=2)])
def test_kl_is_accurate(p, q):
    def reference(m1, m2, a, b, c, n1, n2, d, e, f):
        y1 = (m1 - n1) / d
        y2 = (m2 - n2 - e * y1) / f
        r1, r21, r2 = a / d, (b - e * a / d) / f, c / f
        return (r1 ** 2 + r21 ** 2 + r2 ** 2 + y1 ** 2 + y2 ** 2 - 2) / 2 - mpmath.log(r1 * r2)

    def make(m1, m2, a, b, c, n1, n2, d, e, f):
        return chainer.kl_divergence(
            two_dimensional(m1, m2, a, b, c), two_dimensional(n1, n2, d, e, f))

    accuracy.check(make, reference, dict(p, **dict(zip(['n1', 'n2', 'd', 'e', 'f'], q.values()))),
                   dtypes=[numpy.float64])


def test_moments_against_numpy():
    loc, tril = numpy.random.randn(4, 3), random_tril((), 3)
    d = D.MultivariateNormal(loc, scale_tril=tril)
    covariance = tril @ tril.T
    assert d.covariance.shape == (4, 3, 3)
    numpy.testing.assert_allclose(d.covariance.array[2], covariance, rtol=1e-14)
    numpy.testing.assert_allclose(d.variance.array[1], covariance.diagonal(), rtol=1e-14)
    numpy.testing.assert_array_equal(d.mean.array, loc)
    numpy.testing.assert_array_equal(d.mode.array, loc)
    assert d.entropy.shape == (4,) and d.d == 3 and d.event_shape == (3,)
    numpy.testing.assert_allclose(
        d.entropy.array[0], scipy.stats.multivariate_normal(loc[0], covariance).entropy())


@pytest.mark.parametrize('loc_batch, tril_batch, x_batch, shape', [
    ((4,), (4,), (4,), (4,)), ((4,), (), (4,), (4,)), ((), (), (4,), (4,)),
    ((), (4,), (), (4,)), ((4,), (1,), (3, 4), (3, 4)), ((2, 1), (3,), (), (2, 3))])
def test_defect_33_shapes_broadcast_with_right_derivatives(loc_batch, tril_batch, x_batch, shape):
    r = numpy.random.RandomState(0)
    loc, x = r.randn(*loc_batch, 3), r.randn(*x_batch, 3)
    tril = random_tril(tril_batch, 3)

    def f(x, loc, tril):
        with D.validation(False):   # finite differences also move what is above the diagonal
            return D.MultivariateNormal(loc, scale_tril=tril).log_prob(x)

    y = f(x, loc, tril)
    assert y.shape == shape
    full = [numpy.broadcast_to(a, shape + a.shape[len(a.shape) - n:])
            for a, n in ((x, 1), (loc, 1), (tril, 2))]
    for i in numpy.ndindex(shape):
        one = scipy.stats.multivariate_normal(full[1][i], full[2][i] @ full[2][i].T)
        numpy.testing.assert_allclose(y.array[i], one.logpdf(full[0][i]), rtol=1e-10)
    gradient_check.check_double_backward(
        f, (x, loc, tril), r.randn(*shape), tuple(r.randn(*a.shape) for a in (x, loc, tril)),
        dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)


def test_gradient_of_scale_tril_is_lower_triangular():
    tril = chainer.Variable(random_tril((5,), 3))
    d = D.MultivariateNormal(numpy.zeros(3), scale_tril=tril)
    for y in (F.sum(d.log_prob(numpy.random.randn(5, 3))), F.sum(d.sample(4, rng=0) ** 2),
              F.sum(d.covariance ** 2), F.sum(d.variance), F.sum(d.stddev),
              F.sum(chainer.kl_divergence(d, D.MultivariateNormal([1., 0, 0], numpy.eye(3))))):
        tril.cleargrad()
        y.backward()
        assert (numpy.triu(tril.grad, 1) == 0).all() and (tril.grad != 0).any()


def test_kl_double_backward():
    r = numpy.random.RandomState(0)
    inputs = r.randn(2, 3), random_tril((), 3), r.randn(3), random_tril((2,), 3, seed=1)

    def f(*a):
        with D.validation(False):
            return chainer.kl_divergence(
                D.MultivariateNormal(*a[:2]), D.MultivariateNormal(*a[2:]))

    gradient_check.check_double_backward(
        f, inputs, r.randn(2), tuple(r.randn(*a.shape) for a in inputs),
        dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)


def test_kl_of_a_distribution_with_itself_is_zero():
    d = D.MultivariateNormal(numpy.random.randn(4, 3), random_tril((4,), 3))
    numpy.testing.assert_array_equal(chainer.kl_divergence(d, d).array, 0)


def test_defect_27_float64_works():
    y = D.MultivariateNormal(numpy.zeros(2), scale_tril=numpy.eye(2)).log_prob([0., 0.])
    assert y.dtype == numpy.float64 and abs(y.item() + numpy.log(2 * numpy.pi)) < 1e-15


def test_defect_37_copy():
    d = D.MultivariateNormal([0., 1.], scale_tril=numpy.eye(2, dtype='f'))
    other = copy.copy(d)
    assert other is not d and other.loc is d.loc and other.batch_shape == ()


def test_defect_39_there_is_no_loop_over_the_batch():
    """A batch of 1,000 takes far less than 1,000 times as long as a batch of one."""
    def seconds(n):
        d = D.MultivariateNormal(numpy.zeros((n, 5), 'f'), random_tril((n,), 5).astype('f'))
        x = numpy.zeros((n, 5), 'f')
        times = []
        for _ in range(9):
            start = time.perf_counter()
            d.log_prob(x)
            times.append(time.perf_counter() - start)
        return min(times)
    assert seconds(1000) < 50 * seconds(1)


def test_samples_have_the_mean_and_covariance():
    """Whitened draws are standard normal: Kolmogorov-Smirnov and correlations, p > 1e-4."""
    loc, tril = numpy.array([[1., 2, 3], [0, 0, 0]]), random_tril((), 3)
    x = D.MultivariateNormal(loc, tril).sample(20000, rng=2).array
    z = numpy.linalg.solve(tril, (x - loc)[..., None])[..., 0].reshape(20000, 6)
    for column in z.T:
        assert scipy.stats.kstest(column, 'norm').pvalue > 1e-4
    correlations = numpy.corrcoef(z.T)[numpy.triu_indices(6, 1)]
    assert abs(correlations).max() < 4.5 / 20000 ** 0.5


def test_gradient_of_samples_is_pathwise():
    r = numpy.random.RandomState(0)
    loc, tril = r.randn(4, 3), random_tril((), 3)

    def f(loc, tril):
        with D.validation(False):
            return D.MultivariateNormal(loc, tril).sample(5, rng=3)

    gradient_check.check_double_backward(
        lambda *a: f(*a) ** 2, (loc, tril), r.randn(5, 4, 3), (r.randn(4, 3), r.randn(3, 3)),
        dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)


def test_sampling_is_reproducible_and_keeps_the_dtype():
    d = D.MultivariateNormal(numpy.zeros((2, 3), 'f'), numpy.eye(3, dtype='f'))
    before = numpy.random.get_state()[1].copy()
    x = d.sample((4, 5), rng=7)
    assert x.shape == (4, 5, 2, 3) and x.dtype == numpy.float32
    numpy.testing.assert_array_equal(x.array, d.sample((4, 5), rng=7).array)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], before)


def test_an_infinite_observation_has_density_zero_and_no_gradient():
    loc = chainer.Variable(numpy.zeros(2))
    y = D.MultivariateNormal(loc, numpy.eye(2)).log_prob([[numpy.inf, 0.], [numpy.inf, -numpy.inf]])
    y.grad = numpy.ones(2)
    y.backward()
    assert (y.array == -numpy.inf).all() and (loc.grad == 0).all()


@pytest.mark.parametrize('loc, scale_tril, message', [
    ([0., 0.], None, 'scale_tril must be given'),
    (0., [[1.]], 'with the same d; got'),
    ([0., 0.], numpy.eye(3), r'got \(2,\) and \(3, 3\)'),
    ([0., 0.], [1., 1.], 'with the same d'),
    ([0., 0.], [[1., 1.], [0., 1.]], 'scale_tril must be lower triangular.*got 1'),
    ([0., 0.], [[1., 0.], [1., 0.]], 'with a diagonal above 0.*got 0'),
    ([0., 0.], [[1., 0.], [numpy.nan, 1.]], 'got nan'),
    ([0., numpy.inf], numpy.eye(2), 'loc must be a finite real number'),
    (numpy.zeros((3, 2)), numpy.ones((2, 1, 1)) * numpy.eye(2), 'do not broadcast')])
def test_bad_parameters_are_refused_with_a_sentence(loc, scale_tril, message):
    with pytest.raises(ValueError, match=message):
        D.MultivariateNormal(loc, scale_tril=scale_tril)


def test_bad_observations_are_refused_with_a_sentence():
    d = D.MultivariateNormal([0., 0.], scale_tril=numpy.eye(2))
    with pytest.raises(ValueError, match='x has shape'):
        d.log_prob([1., 2, 3])
    with pytest.raises(ValueError, match='x must be a number, not NaN'):
        d.log_prob([1., numpy.nan])
    with pytest.raises(ValueError, match='same number of dimensions; got 2 and 3'):
        chainer.kl_divergence(d, D.MultivariateNormal([0., 0, 0], numpy.eye(3)))
