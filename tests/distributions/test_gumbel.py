"""Gumbel: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.integrate
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 0.2, 1.3), (1.00001, 0, 1), (1e20, 0, 1), (-50, 1, 1), (-1e4, 0, 1),
         (3e-10, 1e-10, 1e-10), (1e-30, 0, 1e10), (1e-6, 0, 1), (400, 5, 1e-1)]
TAILS = [-300, -20, -3, -0.1, 0.2, 1, 17, 60, 1e4]


@pytest.mark.parametrize('x,loc,scale', CASES)
def test_log_prob_is_accurate(x, loc, scale):
    def log_prob(x, loc, scale):
        z = (x - loc) / scale
        return -z - mpmath.exp(-z) - mpmath.log(scale)
    accuracy.check(lambda x, loc, scale: D.Gumbel(loc, scale).log_prob(x), log_prob,
                   {'loc': loc, 'scale': scale}, x, continuous=True)


@pytest.mark.parametrize('x', TAILS)
@pytest.mark.parametrize('method,curve', [
    ('cdf', lambda z: mpmath.exp(-mpmath.exp(-z))),
    ('log_cdf', lambda z: -mpmath.exp(-z)),
    ('survival_function', lambda z: -mpmath.expm1(-mpmath.exp(-z))),
    ('log_survival_function', lambda z: mpmath.log(-mpmath.expm1(-mpmath.exp(-z))))])
def test_curves_are_accurate_in_both_tails(method, curve, x):
    accuracy.check(lambda x, loc, scale: getattr(D.Gumbel(loc, scale), method)(x),
                   lambda x, loc, scale: curve((x - loc) / scale),
                   {'loc': 0.25, 'scale': 1.25}, x, continuous=True)


@pytest.mark.parametrize('p', [1e-30, 1e-8, 0.2, 0.26, 0.50001, 0.7, 0.99999])
def test_icdf_is_accurate(p):
    accuracy.check(
        lambda x, loc, scale: D.Gumbel(loc, scale).icdf(x),
        lambda x, loc, scale: loc - scale * mpmath.log(-mpmath.log(x)),
        {'loc': 0.5, 'scale': 2}, p, continuous=True)


def test_curves_and_moments_agree_with_scipy():
    ours, theirs = D.Gumbel(0.5, numpy.float64(2)), scipy.stats.gumbel_r(0.5, 2)
    continuous.check_curves(lambda: ours, theirs, [-5, -3, 0.5, 1, 15], [1e-20, 0.01, 0.5, 0.9])
    continuous.check_moments(ours, theirs)
    assert ours.mode.array == 0.5


def test_infinite_observations_and_probabilities_at_the_edge():
    d = D.Gumbel(0, 1)
    assert d.log_prob([-numpy.inf, numpy.inf]).array.tolist() == [-numpy.inf] * 2
    p = chainer.Variable(numpy.float32([0, 1]))
    y = d.icdf(p)
    y.grad = numpy.float32([1, 1])
    y.backward()
    assert y.array.tolist() == [-numpy.inf, numpy.inf] and (p.grad == numpy.inf).all()


def kl_gumbel(m1, b1, m2, b2):
    return (mpmath.log(b2 / b1) + mpmath.euler * (b1 / b2 - 1) - 1 + (m1 - m2) / b2
            + mpmath.exp((m2 - m1) / b2 + mpmath.loggamma(1 + b1 / b2)))


def kl_gumbel_normal(m, b, n, s):
    second = mpmath.pi ** 2 / 6 * b * b + (m + mpmath.euler * b - n) ** 2
    return (mpmath.log(2 * mpmath.pi * s * s) / 2 + second / (2 * s * s)
            - mpmath.log(b) - 1 - mpmath.euler)


def kl_normal_gumbel(n, s, m, b):
    return (mpmath.log(b) + (n - m) / b + mpmath.exp(s * s / (2 * b * b) - (n - m) / b)
            - mpmath.log(2 * mpmath.pi * mpmath.e * s * s) / 2)


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (1, 2, 1.001, 2), (1, 2, 1, 2.00001), (1, 1.0001, 1.0001, 1),
    (0, 1e-10, 0.1, 1e10), (0, 1e-30, 1, 1), (0, 1e-5, 1e-6, 1),
    (0, 1.45, 0.2, 1), (0, 0.55, 0.2, 1), (0, 30, 0, 1),
    (1, 3000, -2, 4)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(D.Gumbel, D.Gumbel, kl_gumbel, params)


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (1, 2, 1.001, 2), (0, 1e-10, 0.1, 1e10), (0, 1e-20, 1, 1),
    (50, 3, 0, 1)])
def test_kl_with_normal_is_accurate(params):
    continuous.check_kl(D.Gumbel, D.Normal, kl_gumbel_normal, params)
    continuous.check_kl(D.Normal, D.Gumbel, kl_normal_gumbel, params)


@pytest.mark.filterwarnings('error')
def test_kl_with_a_normal_of_extreme_log_scale():
    continuous.check_kl_with_narrow_and_wide_normal(D.Gumbel, kl_normal_gumbel, kl_gumbel_normal)


def test_kl_agrees_with_sampling():
    p, q = D.Gumbel(0.3, 1.2), D.Gumbel(-0.2, 1.7)
    for pair in ((p, q), (p, D.Normal(0.5, 1.5)), (D.Normal(0.5, 1.5), p)):
        continuous.check_kl_by_sampling(*pair)


def test_double_backward():
    x, loc, s = [0.4, -1.1], [0.1, 0.2], [0.6, 1.5]
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(
            lambda x, m, s: getattr(D.Gumbel(m, s), method)(x), x, loc, s)
    continuous.check_double_backward(lambda x, m, s: D.Gumbel(m, s).icdf(x), [0.2, 0.9], loc, s)
    for P, Q in ((D.Gumbel, D.Gumbel), (D.Normal, D.Gumbel), (D.Gumbel, D.Normal)):
        continuous.check_double_backward(
            lambda *v: chainer.kl_divergence(P(*v[:2]), Q(*v[2:])), loc, s, x, [1, 2])


def test_log_prob_integrates_to_one():
    d = D.Gumbel(0.3, numpy.float64(0.7))
    total, _ = scipy.integrate.quad(lambda x: float(d.prob(x).array), -5, 40, limit=200)
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_dtypes_are_preserved(dtype):
    d = D.Gumbel(numpy.zeros(2, dtype), chainer.Variable(numpy.ones(2, dtype)))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.mean, d.variance, d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_sampler():
    continuous.check_sampler(lambda dtype: D.Gumbel(dtype(0.5), dtype(2)),
                             scipy.stats.gumbel_r(0.5, 2))
    continuous.check_seeds(D.Gumbel(0, numpy.ones(3)))
    continuous.check_pathwise(D.Gumbel, loc=0.3, scale=1.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Gumbel(0, -1), 'scale must be a finite number above 0; got -1'),
    (lambda: D.Gumbel(float('inf'), 1), 'loc must be a finite real number; got inf'),
    (lambda: D.Gumbel(0, 1).log_prob(float('nan')), 'x must be a number, not NaN; got nan'),
    (lambda: D.Gumbel(0, 1).icdf(-0.5), 'x must be a probability, from 0 to 1; got -0.5'),
    (lambda: D.Gumbel([0, 1], [1, 1, 1]), 'do not broadcast')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
