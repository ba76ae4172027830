"""Beta: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0.3, 2, 5), (0.3, 1, 1), (1e-30, 0.5, 3), (0.999, 1e-3, 1e-3), (1e-10, 1, 1e10),
         (0.5, 1e10, 1e10), (0.5001, 1e6, 1e6), (0.25, 3, 9), (1e-10, 1e-10, 1e-10),
         (0.9, 1e5, 2), (0.3, 10.1, 9.95), (1e-5, 12, 1e6), (0.999999, 30, 0.01)]
PARAMS = [(2, 5), (1, 1), (0.5, 0.5), (1e-10, 3), (1e10, 1e10), (11, 8.9), (11, 9.1), (1e-3, 1e8)]


def log_beta(a, b):
    return mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)


def log_prob(x, a, b):
    return (a - 1) * mpmath.log(x) + (b - 1) * mpmath.log1p(-x) - log_beta(a, b)


def entropy(a, b):
    return (log_beta(a, b) - (a - 1) * mpmath.digamma(a) - (b - 1) * mpmath.digamma(b)
            + (a + b - 2) * mpmath.digamma(a + b))


def kl(a1, b1, a2, b2):
    return (log_beta(a2, b2) - log_beta(a1, b1) + (a1 - a2) * mpmath.digamma(a1)
            + (b1 - b2) * mpmath.digamma(b1)
            + (a2 + b2 - a1 - b1) * mpmath.digamma(a1 + b1))


@pytest.mark.parametrize('x,a,b', CASES)
def test_log_prob_is_accurate(x, a, b):
    accuracy.check(lambda x, a, b: D.Beta(a, b).log_prob(x), log_prob, {'a': a, 'b': b}, x,
                   continuous=True)


@pytest.mark.parametrize('a,b', PARAMS)
def test_entropy_mean_and_variance_are_accurate(a, b):
    params = {'a': a, 'b': b}
    accuracy.check(lambda a, b: D.Beta(a, b).entropy, entropy, params)
    accuracy.check(lambda a, b: D.Beta(a, b).mean, lambda a, b: a / (a + b), params)
    accuracy.check(lambda a, b: D.Beta(a, b).variance,
                   lambda a, b: a * b / (a + b) ** 2 / (a + b + 1), params)


@pytest.mark.parametrize('params', [
    (2, 5, 3, 0.7), (2, 5, 2, 5), (2, 5, 2.00001, 5), (1e6, 2e6, 1e6, 2.001e6), (0.3, 2, 0.3, 0.9),
    (1e-3, 1e6, 1e-3, 1.1e6), (1000, 1.25, 1003, 1.2499), (1e-10, 1e-10, 1, 1),
    (6e7, 1.3, 6.01e7, 1.3), (1e7, 2e7, 0.3, 2)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(D.Beta, D.Beta, kl, params)


@pytest.mark.parametrize('a,b', [(0.5, 0.5), (2, 5), (1, 3), (100, 200)])
def test_curves_and_moments(a, b):
    d, exact = D.Beta(numpy.float64(a), numpy.float64(b)), scipy.stats.beta(a, b)
    continuous.check_moments(d, exact)
    p = numpy.array([0.001, 0.2, 0.6, 0.999])
    x = exact.ppf(p)
    numpy.testing.assert_allclose(d.cdf(x).array, p, 1e-10)
    numpy.testing.assert_allclose(d.survival_function(x).array, exact.sf(x), 1e-10)
    numpy.testing.assert_allclose(d.icdf(p).array, x, 1e-10)
    assert d.cdf([-1., 0., 1., 2.]).array.tolist() == [0, 0, 1, 1]
    assert d.survival_function([-1., 0., 1., 2.]).array.tolist() == [1, 1, 0, 0]


def test_mode():
    d = D.Beta([3., 1., 2., 0.3, 0.5, 1., 1e-3], [2., 4., 0.5, 0.5, 0.3, 1., 5.])
    numpy.testing.assert_allclose(d.mode.array, [2 / 3, 0, 1, 0, 1, 0.5, 0])


def test_double_backward():
    x, a, b = [0.4, 0.1, 0.7], [0.3, 4., 40.], [2., 1.5, 30.]
    continuous.check_double_backward(lambda x, a, b: D.Beta(a, b).log_prob(x), x, a, b)
    continuous.check_double_backward(lambda a, b: D.Beta(a, b).entropy, a, b)
    continuous.check_double_backward(lambda a, b: D.Beta(a, b).variance, a, b)
    continuous.check_double_backward(
        lambda *v: chainer.kl_divergence(D.Beta(*v[:2]), D.Beta(*v[2:])), a, b, b, a)
    for method in ('cdf', 'survival_function', 'icdf'):
        continuous.check_double_backward(lambda x: getattr(D.Beta(2., 3.), method)(x), x)


def test_defect_9_the_edges_of_the_support():
    assert D.Beta(1., 3.).log_prob(0.).array == pytest.approx(numpy.log(3))
    assert D.Beta(3., 1.).log_prob(1.).array == pytest.approx(numpy.log(3))
    assert D.Beta([0.5, 2.], 3.).log_prob(0.).array.tolist() == [numpy.inf, -numpy.inf]
    assert D.Beta(30., [0.5, 2.]).log_prob(1.).array.tolist() == [numpy.inf, -numpy.inf]
    x = chainer.Variable(numpy.array([0., 1.]))
    chainer.functions.sum(D.Beta([1., 3.], [3., 1.]).log_prob(x)).backward()
    assert x.grad.tolist() == [-2, 2]
    for x in (-0.1, 1.1, numpy.inf):
        continuous.check_outside(lambda x, a, b: D.Beta(a, b).log_prob(x), x, 2., 3.)


def test_the_curves_refuse_a_gradient_in_a_and_b():
    a = chainer.Variable(numpy.array(2.))
    for method in ('cdf', 'survival_function', 'icdf'):
        with pytest.raises(NotImplementedError, match='differentiated in x, not in a and b'):
            getattr(D.Beta(a, 1.), method)(0.5).backward()


def test_defect_38_a_sample_is_differentiable():
    a, b = (chainer.Variable(numpy.full(100000, v)) for v in (0.7, 1.6))
    chainer.functions.sum(D.Beta(a, b).sample(rng=4)).backward()
    n = 0.7 + 1.6
    for v, slope in ((a, 1.6 / n ** 2), (b, -0.7 / n ** 2)):   # of the mean a / (a + b)
        assert abs(v.grad.mean() - slope) < 4 * v.grad.std() / len(v) ** 0.5


def test_samplers():
    continuous.check_sampler(lambda dtype: D.Beta(dtype(0.7), dtype(2)), scipy.stats.beta(0.7, 2))
    continuous.check_sampler(lambda dtype: D.Beta(dtype(300), dtype(200)),
                             scipy.stats.beta(300, 200))
    continuous.check_seeds(D.Beta(numpy.full(3, 2.), 1.))
    x = D.Beta(numpy.full(20000, 2.), 2.).sample(rng=1).array
    assert abs(x.mean() - 0.5) < 4 * (0.05 / 20000) ** 0.5   # the two draws of a seed differ


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_tiny_parameters_give_samples_with_finite_log_prob(dtype):
    a = chainer.Variable(numpy.full(1000, 1e-3, dtype))
    d = D.Beta(a, dtype(1e-3))
    x = d.sample(rng=3)
    assert 0 < x.array.min() and x.array.max() < 1
    assert numpy.isfinite(d.log_prob(x).array).all()
    chainer.functions.sum(x).backward()
    assert numpy.isfinite(a.grad).all()


def test_shapes_and_dtypes():
    d = D.Beta(2., numpy.ones(3, 'f'))
    assert d.batch_shape == d.mean.shape == d.sample(4).shape[1:] == d.entropy.shape == (3,)
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.Beta(chainer.Variable(numpy.ones(2, dtype)), 3)
        results = [d.log_prob(0.5), d.cdf(1), d.icdf(0.5), d.mean, d.variance, d.mode, d.entropy,
                   d.sample()]
        assert {r.dtype for r in results} == {numpy.dtype(dtype)}
        assert all(r.shape == (2,) for r in results)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Beta(0., 1.), 'Beta: a must be a finite number above 0; got 0'),
    (lambda: D.Beta(1., float('inf')), 'Beta: b must be a finite number above 0; got inf'),
    (lambda: D.Beta(1., 1.).log_prob(float('nan')), 'Beta: x must be a number, not NaN'),
    (lambda: D.Beta(1., 1.).icdf(2.), 'x must be a probability')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()


def test_kl_against_sampling():
    continuous.check_kl_by_sampling(D.Beta(2.5, 1.3), D.Beta(1.7, 4.))


@pytest.mark.parametrize('x, a, b', [(1e-20, 1e-3, 1), (1e-20, 0.1, 1), (1e-9, 2, 1e8),
                                     (1e-18, 4, 1e19), (0.3, 2, 5)])
def test_survival_function_is_accurate_for_small_x(x, a, b):
    with mpmath.mp.workdps(60):
        x64 = mpmath.mpf(x)
        below = (x64 ** a * mpmath.hyp2f1(a, 1 - mpmath.mpf(b), a + mpmath.mpf(1), x64)
                 / a / mpmath.exp(log_beta(mpmath.mpf(a), mpmath.mpf(b))))
        expected = float(below), float(1 - below)
    d = D.Beta(numpy.float64(a), numpy.float64(b))
    numpy.testing.assert_allclose(
        [float(d.cdf(x).array), float(d.survival_function(x).array)], expected, rtol=1e-12)


@pytest.mark.parametrize('a,b', PARAMS + [(1, 1e25), (1e-20, 3)])
def test_stddev_is_accurate(a, b):
    accuracy.check(lambda a, b: D.Beta(a, b).stddev,
                   lambda a, b: mpmath.sqrt(a * b / (a + b + 1)) / (a + b), {'a': a, 'b': b})
    continuous.check_double_backward(lambda a, b: D.Beta(a, b).stddev, [0.3, 4.], [2., 1.5])
