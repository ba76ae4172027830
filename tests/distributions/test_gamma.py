"""Gamma: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D
from course_lib.numerics import gamma

CASES = [(0.7, 2.5, 1.3), (1e-5, 1, 2), (3, 1, 1e-10), (1e-30, 0.3, 1), (1e-10, 1e-10, 1),
         (40, 1e-10, 1e10), (2, 1e-3, 0.7), (9.99, 9.99, 1), (10.01, 10.01, 1), (30, 20, 1.3),
         (1e3, 1e3, 1), (1e-6, 50, 1), (1e6, 1.001e6, 1), (1e10, 1e10, 1), (1.00001, 1e10, 1e-10),
         (1e20, 1e10, 1e10), (1, 1e5, 1e10), (1e30, 2, 1)]
KS = [1e-10, 1e-3, 0.4, 1, 2.7, 9.9, 10.1, 300, 1e6, 1e10]


def log_prob(x, k, theta):
    return (k - 1) * mpmath.log(x) - x / theta - mpmath.loggamma(k) - k * mpmath.log(theta)


def entropy(k, theta):
    return k + mpmath.log(theta) + mpmath.loggamma(k) + (1 - k) * mpmath.digamma(k)


def kl(k1, t1, k2, t2):
    return ((k1 - k2) * mpmath.digamma(k1) - mpmath.loggamma(k1) + mpmath.loggamma(k2)
            + k2 * mpmath.log(t2 / t1) + k1 * (t1 / t2 - 1))


def slope(k, y):
    """d log x / dk at fixed probability, x = e^y: the series of the incomplete gamma function."""
    with mpmath.workdps(40):
        k, y = mpmath.mpf(k), mpmath.mpf(y)
        x, c, psi, total, n = mpmath.exp(y), 1 / k, mpmath.digamma(k + 1), 0, 0
        while n < 20 or c > mpmath.mpf(10) ** -30 * abs(total):
            total += c * (psi - y)
            n += 1
            c *= x / (k + n)
            psi += 1 / (k + n)
        return float(total)


@pytest.mark.parametrize('x,k,theta', CASES)
def test_log_prob_is_accurate(x, k, theta):
    accuracy.check(lambda x, k, theta: D.Gamma(k, theta).log_prob(x), log_prob,
                   {'k': k, 'theta': theta}, x, continuous=True)
    accuracy.check(lambda x, k, rate: D.Gamma(k, rate=rate).log_prob(x),
                   lambda x, k, rate: log_prob(x, k, 1 / rate),
                   {'k': k, 'rate': 1 / theta}, x, continuous=True)


@pytest.mark.parametrize('k', KS)
def test_entropy_is_accurate(k):
    accuracy.check(lambda k, theta: D.Gamma(k, theta).entropy, entropy, {'k': k, 'theta': 3e5})
    accuracy.check(lambda k, rate: D.Gamma(k, rate=rate).entropy,
                   lambda k, rate: entropy(k, 1 / rate), {'k': k, 'rate': 3e5})


@pytest.mark.parametrize('params', [
    (0.7, 1.2, 3, 0.4), (2, 1, 2, 1), (2, 1, 2.00001, 1), (2, 1, 2, 1.00001), (1e6, 1, 1.1e6, 0.91),
    (1e10, 1, 1e10 + 7e5, 1), (1e-10, 1, 1e-9, 3), (1e-10, 1, 1e-10, 1.1), (1e-3, 1e10, 1e4, 1e-10),
    (3e7, 0.027, 0.2, 3e6), (9.9, 1, 10.2, 1), (1e4, 1, 0.01, 5)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(D.Gamma, D.Gamma, kl, params)
    k1, t1, k2, t2 = params
    make = [lambda k, s: D.Gamma(k, s), lambda k, s: D.Gamma(k, rate=s)]
    for i, j in ((0, 1), (1, 0), (1, 1)):
        continuous.check_kl(
            make[i], make[j],
            lambda k1, s1, k2, s2: kl(k1, 1 / s1 if i else s1, k2, 1 / s2 if j else s2),
            (k1, 1 / t1 if i else t1, k2, 1 / t2 if j else t2))


@pytest.mark.parametrize('k', [0.02, 0.7, 1, 4.5, 300, 1e6])
def test_cdf_survival_function_and_icdf(k):
    d, exact = D.Gamma(numpy.float64(k), 2.), scipy.stats.gamma(k, scale=2.)
    p = numpy.array([1e-4, 0.01, 0.3, 0.9, 0.9999])
    x = exact.ppf(p)
    numpy.testing.assert_allclose(d.cdf(x).array, p, 1e-9)
    numpy.testing.assert_allclose(d.survival_function(x).array, exact.sf(x), 1e-9)
    numpy.testing.assert_allclose(d.icdf(p).array, x, 1e-9)
    assert d.cdf([-1., 0., numpy.inf]).array.tolist() == [0, 0, 1]
    assert d.survival_function([-1., 0., numpy.inf]).array.tolist() == [1, 1, 0]


@pytest.mark.parametrize('k,x', [(0.3, 0.01), (0.3, 2.), (4, 1.), (4, 6.), (60, 50), (60, 75)])
@pytest.mark.parametrize('method', ['cdf', 'survival_function', 'icdf'])
def test_gradients_of_the_curves_also_in_the_shape(method, k, x):
    x = float(scipy.stats.gamma.cdf(x, k)) if method == 'icdf' else 1.4 * x

    def curve(x, k, theta):
        return getattr(D.Gamma(k, theta), method)(x)
    values = [numpy.array(v, numpy.float64) for v in (x, k, 1.4)]
    inputs = [chainer.Variable(v) for v in values]
    curve(*inputs).backward()
    for i, v in enumerate(inputs):
        h = 1e-5 * values[i]
        up, down = (curve(*[w + s if i == j else w for j, w in enumerate(values)]).array
                    for s in (h, -h))
        assert float(v.grad) == pytest.approx(float((up - down) / (2 * h)), 1e-6)


@pytest.mark.parametrize('k', [1e-10, 1e-3, 0.3, 1, 1.5, 20, 1e3, 1e6])
def test_the_implicit_slope_is_accurate(k):
    """d log x / dk over more than the range that samples come from, to 1e-10."""
    tiny = [-1e5, -300.] if k < 0.1 else []
    p = [1e-8, 0.01, 0.3, 0.5, 0.9, 0.9999, 1 - 1e-12] if k < 1e3 else [0.2, 0.999]
    x = scipy.stats.gamma.ppf(p, k)
    y = numpy.array(tiny + [float(numpy.log(v)) for v in x if v > 1e-300])
    got = gamma.LogSampleSlope().on_arrays(numpy.full(len(y), k), y)
    numpy.testing.assert_allclose(got, [slope(k, v) for v in y], rtol=1e-10)


def test_moments():
    for k in (0.4, 3., 1e6):
        continuous.check_moments(D.Gamma(numpy.float64(k), 2.), scipy.stats.gamma(k, scale=2))
        continuous.check_moments(D.Gamma(numpy.float64(k), rate=2.),
                                 scipy.stats.gamma(k, scale=0.5))
    assert D.Gamma([0.5, 1., 3.], 2.).mode.array.tolist() == [0, 0, 4]
    assert D.Gamma(numpy.float32(2), 1e-25).stddev.array == pytest.approx(2 ** 0.5 * 1e-25)


def test_double_backward():
    x, k, s = [0.4, 1.1, 30.], [0.3, 4., 25.], [0.7, 1.5, 1.1]
    for name in ('theta', 'rate'):
        continuous.check_double_backward(
            lambda x, k, s: D.Gamma(k, **{name: s}).log_prob(x), x, k, s)
        continuous.check_double_backward(lambda k, s: D.Gamma(k, **{name: s}).entropy, k, s)
        continuous.check_double_backward(
            lambda k1, s1, k2, s2: chainer.kl_divergence(D.Gamma(k1, s1),
                                                         D.Gamma(k2, **{name: s2})), k, s, x, s)


def test_defect_9_the_edge_of_the_support():
    assert D.Gamma(1., 0.5).log_prob(0.).array == pytest.approx(0.6931472)
    assert D.Gamma([0.5, 1., 20.], 1.).log_prob(0.).array.tolist() == [numpy.inf, 0, -numpy.inf]
    x, k, theta = (chainer.Variable(numpy.array(v)) for v in (0., 1., 0.5))
    D.Gamma(k, theta).log_prob(x).backward()
    assert (x.grad, theta.grad) == (-2, -2)


def test_defect_23_no_gradient_leaks_from_outside_the_support():
    k = chainer.Variable(numpy.array([2., 2.], 'f'))
    chainer.functions.sum(D.Gamma(k, 1.).log_prob([1., -1.])).backward()
    numpy.testing.assert_allclose(k.grad, [-0.42278433, 0], 1e-6)
    for x in (-1., numpy.inf):
        continuous.check_outside(lambda x, k, s: D.Gamma(k, s).log_prob(x), x, 2., 1.)
        continuous.check_outside(lambda x, k, s: D.Gamma(k, rate=s).log_prob(x), x, 30., 1.)


def test_defect_38_a_sample_is_differentiable_in_the_shape():
    k = chainer.Variable(numpy.full(100000, 0.7))
    x = D.Gamma(k, 2.).sample(rng=4)
    chainer.functions.sum(x * x).backward()
    # E x^2 = theta^2 k (k + 1), whose derivative in k is theta^2 (2 k + 1) = 9.6.
    error = k.grad.std() / len(k) ** 0.5
    assert abs(k.grad.mean() - 9.6) < 4 * error


def test_samplers():
    for k in (0.01, 0.3, 1., 20.):
        x = D.Gamma(numpy.float64(k), 2.).sample(20000, rng=1).array
        assert scipy.stats.kstest(x, scipy.stats.gamma(k, scale=2).cdf).pvalue > (
            continuous.SIGNIFICANCE)
    continuous.check_sampler(lambda dtype: D.Gamma(dtype(1.5), rate=dtype(2)),
                             scipy.stats.gamma(1.5, scale=0.5))
    continuous.check_seeds(D.Gamma(numpy.full(3, 0.01), 1.))
    continuous.check_seeds(D.Gamma(numpy.full(3, 2.), 1.))


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_tiny_shapes_give_samples_with_finite_log_prob_and_gradient(dtype):
    k = chainer.Variable(numpy.full(1000, 1e-3, dtype))
    d = D.Gamma(k, dtype(1e-20))
    x = d.sample(rng=3)
    assert x.array.min() > 0 and numpy.isfinite(d.log_prob(x).array).all()
    chainer.functions.sum(x).backward()
    assert numpy.isfinite(k.grad).all()


def test_a_second_derivative_of_a_sample_is_refused():
    k = chainer.Variable(numpy.array(2.))
    x = D.Gamma(k, 1.).sample(rng=0)
    with pytest.raises(NotImplementedError, match='once in its shape, not twice'):
        g, = chainer.grad([x], [k], enable_double_backprop=True)
        chainer.grad([g], [k])


def test_shapes_and_dtypes():
    d = D.Gamma(2., numpy.ones(3, 'f'))
    assert d.batch_shape == d.mean.shape == d.sample(4).shape[1:] == d.entropy.shape == (3,)
    assert len(set(D.Gamma(numpy.ones(1), numpy.ones(3)).sample_n(2).array.ravel())) == 6
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.Gamma(chainer.Variable(numpy.ones(2, dtype)), rate=1)
        results = [d.log_prob(1), d.log_prob(numpy.array([True, True])), d.cdf(1), d.icdf(0.5),
                   d.mean, d.variance, d.mode, d.entropy, d.sample()]
        assert {r.dtype for r in results} == {numpy.dtype(dtype)}
        assert all(r.shape == (2,) for r in results)
    assert set(D.Gamma(1, rate=2).params) == {'k', 'theta'}
    assert D.Gamma(1, rate=4).params['theta'].array == 0.25


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Gamma(1.), 'either theta or rate'),
    (lambda: D.Gamma(1., 1., 1.), 'either theta or rate'),
    (lambda: D.Gamma(-1., 1.), 'k must be a finite number above 0; got -1'),
    (lambda: D.Gamma(1., 0.), 'theta must be a finite number above 0; got 0'),
    (lambda: D.Gamma(1., rate=float('nan')), 'rate must be a finite number above 0; got nan'),
    (lambda: D.Gamma(1., 1.).log_prob(float('nan')), 'x must be a number, not NaN'),
    (lambda: D.Gamma(1., 1.).icdf(-0.1), 'x must be a probability'),
    (lambda: D.Gamma([1., 2.], [1., 2., 3.]), 'do not broadcast')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()


def test_kl_against_sampling():
    continuous.check_kl_by_sampling(D.Gamma(2.5, 1.3), D.Gamma(1.7, rate=0.4))
