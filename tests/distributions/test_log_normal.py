"""LogNormal: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 0.2, 1.3), (1, 0, 1), (2.7, 0, 1), (1e30, 0, 1), (1e-30, 1, 1e10),
         (3e-10, 1e-10, 1e-10), (1.000001, 0, 1e-5), (1e10, 23, 0.1), (1, 0, 1e-10)]
TAILS = [1e-30, 1e-8, 0.1, 0.9, 1.5, 20, 1e6, 1e30]


@pytest.mark.parametrize('x,mu,sigma', CASES)
def test_log_prob_is_accurate(x, mu, sigma):
    def log_prob(x, mu, sigma):
        z = (mpmath.log(x) - mu) / sigma
        return -z * z / 2 - mpmath.log(sigma * x * mpmath.sqrt(2 * mpmath.pi))
    accuracy.check(lambda x, mu, sigma: D.LogNormal(mu, sigma).log_prob(x), log_prob,
                   {'mu': mu, 'sigma': sigma}, x, continuous=True)


def ndtr(z):
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


@pytest.mark.parametrize('x', TAILS)
@pytest.mark.parametrize('method,curve', [
    ('cdf', ndtr), ('log_cdf', lambda z: mpmath.log(ndtr(z))),
    ('survival_function', lambda z: ndtr(-z)),
    ('log_survival_function', lambda z: mpmath.log(ndtr(-z)))])
def test_curves_are_accurate_in_both_tails(method, curve, x):
    accuracy.check(lambda x, mu, sigma: getattr(D.LogNormal(mu, sigma), method)(x),
                   lambda x, mu, sigma: curve((mpmath.log(x) - mu) / sigma),
                   {'mu': 0.25, 'sigma': 1.25}, x, continuous=True)


@pytest.mark.parametrize('mu,sigma', [
    (0, 1e-4), (0.3, 1.2), (-80, 3), (30, 1e-10), (80, 1e-3), (-90, 12), (-10, 6)])
def test_moments_are_accurate(mu, sigma):
    def variance(mu, sigma):
        return mpmath.exp(2 * mu + sigma ** 2) * mpmath.expm1(sigma ** 2)
    for name, reference in (
            ('mean', lambda mu, sigma: mpmath.exp(mu + sigma ** 2 / 2)),
            ('variance', variance),
            ('stddev', lambda mu, sigma: mpmath.sqrt(variance(mu, sigma))),
            ('mode', lambda mu, sigma: mpmath.exp(mu - sigma ** 2))):
        accuracy.check(lambda mu, sigma: getattr(D.LogNormal(mu, sigma), name), reference,
                       {'mu': mu, 'sigma': sigma})


def test_curves_and_moments_agree_with_scipy():
    ours = D.LogNormal(0.5, numpy.float64(0.7))
    theirs = scipy.stats.lognorm(0.7, scale=numpy.exp(0.5))
    continuous.check_curves(lambda: ours, theirs, [-1, 0, 1e-10, 0.5, 1, 15], [0, 0.01, 0.5, 0.9])
    continuous.check_moments(ours, theirs)


def test_kl_is_accurate_also_near_equality():
    def kl(m1, s1, m2, s2):
        return mpmath.log(s2 / s1) + (s1 ** 2 + (m1 - m2) ** 2) / (2 * s2 ** 2) - 0.5
    for params in ((0.3, 1.2, -0.5, 0.7), (1, 2, 1, 2.00001), (1, 1e-3, 1.001, 10)):
        continuous.check_kl(D.LogNormal, D.LogNormal, kl, params)
    continuous.check_kl_by_sampling(D.LogNormal(0.3, 1.2), D.LogNormal(-0.2, 1.7))


def test_double_backward():
    x, mu, s = [0.4, 1.1], [0.1, 0.2], [0.6, 1.5]
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(
            lambda x, m, s: getattr(D.LogNormal(m, s), method)(x), x, mu, s)
    continuous.check_double_backward(lambda x, m, s: D.LogNormal(m, s).icdf(x), [0.2, 0.9], mu, s)
    for name in ('mean', 'variance', 'entropy'):
        continuous.check_double_backward(
            lambda m, s: getattr(D.LogNormal(m, s), name) ** 2, mu, s)


def test_defect_13_variance_of_a_small_sigma():
    assert float(D.LogNormal(0, numpy.float32(1e-4)).variance.array) == pytest.approx(1e-8, 1e-6)


@pytest.mark.parametrize('x', [-1, 0, -numpy.inf, numpy.inf])
def test_defect_18_outside_the_support(x):
    continuous.check_outside(lambda x, m, s: D.LogNormal(m, s).log_prob(x), x, 0.5, 2)


def test_defect_29_precisions_mix():
    d = D.LogNormal(numpy.float32(0), numpy.float32(1))
    for method in ('log_prob', 'cdf', 'icdf'):
        assert getattr(d, method)(numpy.float64(0.5)).dtype == numpy.float64


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_dtypes_are_preserved(dtype):
    d = D.LogNormal(numpy.zeros(2, dtype), chainer.Variable(numpy.ones(2, dtype)))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.mean, d.mode, d.variance, d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_sampler():
    continuous.check_sampler(lambda dtype: D.LogNormal(dtype(0.5), dtype(0.7)),
                             scipy.stats.lognorm(0.7, scale=numpy.exp(0.5)))
    continuous.check_seeds(D.LogNormal(0, numpy.ones(3)))
    continuous.check_pathwise(D.LogNormal, mu=0.3, sigma=1.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.LogNormal(0, -1), 'sigma must be a finite number above 0; got -1'),
    (lambda: D.LogNormal(float('inf'), 1), 'mu must be a finite real number; got inf'),
    (lambda: D.LogNormal(0, 1).log_prob(float('nan')), 'x must be a number, not NaN; got nan'),
    (lambda: D.LogNormal(0, 1).icdf(-0.5), 'x must be a probability, from 0 to 1; got -0.5'),
    (lambda: D.LogNormal([0, 1], [1, 1, 1]), 'do not broadcast')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
