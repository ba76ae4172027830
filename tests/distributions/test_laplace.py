"""Laplace: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.integrate
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 0.2, 1.3), (0, 0, 1), (1.00001, 0, 1), (1e20, 0, 1e-10), (-1e30, 1, 1e10),
         (3e-10, 1e-10, 1e-10), (-200, 0, 1)]
TAILS = [-1e4, -100, -20, -0.1, 0.2, 1e-4, 1, 17, 90]


@pytest.mark.parametrize('x,loc,scale', CASES)
def test_log_prob_is_accurate(x, loc, scale):
    accuracy.check(lambda x, loc, scale: D.Laplace(loc, scale).log_prob(x),
                   lambda x, loc, scale: -abs(x - loc) / scale - mpmath.log(2 * scale),
                   {'loc': loc, 'scale': scale}, x, continuous=True)


def cdf(z):
    return mpmath.exp(z) / 2 if z < 0 else 1 - mpmath.exp(-z) / 2


@pytest.mark.parametrize('x', TAILS)
@pytest.mark.parametrize('method,curve', [
    ('cdf', cdf), ('log_cdf', lambda z: mpmath.log(cdf(z))),
    ('survival_function', lambda z: cdf(-z)),
    ('log_survival_function', lambda z: mpmath.log(cdf(-z)))])
def test_curves_are_accurate_in_both_tails(method, curve, x):
    accuracy.check(lambda x, loc, scale: getattr(D.Laplace(loc, scale), method)(x),
                   lambda x, loc, scale: curve((x - loc) / scale),
                   {'loc': 0.25, 'scale': 1.25}, x, continuous=True)


@pytest.mark.parametrize('p', [1e-30, 1e-10, 0.2, 0.50001, 0.7, 0.99999])
def test_icdf_is_accurate(p):
    accuracy.check(
        lambda x, loc, scale: D.Laplace(loc, scale).icdf(x),
        lambda x, loc, scale: loc + scale * (
            mpmath.log(2 * x) if x < 0.5 else -mpmath.log(2 - 2 * x)),
        {'loc': 0.5, 'scale': 2}, p, continuous=True)


def test_curves_and_moments_agree_with_scipy():
    ours, theirs = D.Laplace(0.5, numpy.float64(2)), scipy.stats.laplace(0.5, 2)
    continuous.check_curves(lambda: ours, theirs, [-70, -3, 0.5, 1, 15], [1e-200, 0.01, 0.5, 0.9])
    continuous.check_moments(ours, theirs)
    assert ours.mode.array == 0.5


def kl_laplace(m1, b1, m2, b2):
    d = abs(m1 - m2)
    return mpmath.log(b2 / b1) + (b1 * mpmath.exp(-d / b1) + d) / b2 - 1


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (1, 2, 1.001, 2), (1, 2, 1, 2.00001), (1, 1.0001, 1.0001, 1),
    (0, 1e-10, 0.1, 1e10), (0, 1e-30, 1, 1), (0, 1.6e-6, 0.03, 1e-8),
    (1e5, 1e5, 0, 1e-10), (0, 0.45, 0.1, 1)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(D.Laplace, D.Laplace, kl_laplace, params)


def kl_normal_laplace(m, s, n, b):
    a = (m - n) / s
    mean = s * (mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-a * a / 2)
                + a * mpmath.erf(a / mpmath.sqrt(2)))
    return mean / b + mpmath.log(2 * b) - mpmath.log(2 * mpmath.pi * mpmath.e * s * s) / 2


def kl_laplace_normal(m, b, n, s):
    return ((2 * b * b + (m - n) ** 2) / (2 * s * s) + mpmath.log(2 * mpmath.pi * s * s) / 2
            - mpmath.log(2 * b) - 1)


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (1, 2, 1, 2), (0, 1e-10, 0.1, 1e10), (0, 1e-20, 1, 1),
    (1e5, 1e5, 0, 1e-5), (100, 0.45, 0.1, 1)])
def test_defect_36_kl_with_normal(params):
    continuous.check_kl(D.Normal, D.Laplace, kl_normal_laplace, params)
    continuous.check_kl(D.Laplace, D.Normal, kl_laplace_normal, params)


@pytest.mark.filterwarnings('error')
def test_kl_with_a_normal_of_extreme_log_scale():
    continuous.check_kl_with_narrow_and_wide_normal(D.Laplace, kl_normal_laplace, kl_laplace_normal)


def test_kl_agrees_with_sampling():
    p, q = D.Normal(0.3, 1.2), D.Laplace(-0.2, 0.7)
    for pair in ((p, q), (q, p), (q, D.Laplace(0, 1))):
        continuous.check_kl_by_sampling(*pair)


def test_double_backward():
    x, loc, s = [0.4, -1.1], [0.1, 0.2], [0.3, 1.5]
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(
            lambda x, m, s: getattr(D.Laplace(m, s), method)(x), x, loc, s)
    continuous.check_double_backward(lambda x, m, s: D.Laplace(m, s).icdf(x), [0.2, 0.9], loc, s)
    for P, Q in ((D.Laplace, D.Laplace), (D.Normal, D.Laplace), (D.Laplace, D.Normal)):
        continuous.check_double_backward(
            lambda *v: chainer.kl_divergence(P(*v[:2]), Q(*v[2:])), loc, s, x, [1, 2])


def test_defects_15_and_16_tails_of_cdf_and_icdf():
    x = chainer.Variable(numpy.float32([-20]))
    y = D.Laplace(0, 1).cdf(x)
    y.backward()
    numpy.testing.assert_allclose([y.array[0], x.grad[0]], 1.0305768e-09, rtol=1e-6)
    icdf = D.Laplace(0, 1).icdf(numpy.float32(1e-10))
    assert float(icdf.array) == pytest.approx(-22.3327, abs=1e-4)


def test_log_prob_integrates_to_one():
    d = D.Laplace(0.3, numpy.float64(0.7))
    total, _ = scipy.integrate.quad(lambda x: float(d.prob(x).array), -30, 30, points=[0.3])
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_dtypes_are_preserved(dtype):
    d = D.Laplace(numpy.zeros(2, dtype), chainer.Variable(numpy.ones(3, dtype)[:2]))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.mean, d.variance, d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_sampler():
    continuous.check_sampler(lambda dtype: D.Laplace(dtype(0.5), dtype(2)),
                             scipy.stats.laplace(0.5, 2))
    continuous.check_seeds(D.Laplace(0, numpy.ones(3)))
    continuous.check_pathwise(D.Laplace, loc=0.3, scale=1.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Laplace(0, -1), 'scale must be a finite number above 0; got -1'),   # defect 22
    (lambda: D.Laplace(float('inf'), 1), 'loc must be a finite real number; got inf'),
    (lambda: D.Laplace(0, 1).cdf(float('nan')), 'x must be a number, not NaN; got nan'),
    (lambda: D.Laplace(0, 1).icdf(-0.5), 'x must be a probability, from 0 to 1; got -0.5'),
    (lambda: D.Laplace([0, 1], [1, 1, 1]), 'do not broadcast')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
