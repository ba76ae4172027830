"""HalfNormal: accuracy, identities, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 1.3), (0, 1), (1.00001, 1), (2e-25, 1e-25), (1e10, 1e-5), (1e-20, 1e10), (40, 2)]
TAILS = [1e-30, 1e-3, 0.4, 1.2, 2, 7, 16, 200]


@pytest.mark.parametrize('x,scale', CASES)
def test_log_prob_is_accurate(x, scale):
    accuracy.check(
        lambda x, scale: D.HalfNormal(scale).log_prob(x),
        lambda x, scale: mpmath.log(2 / mpmath.pi) / 2 - mpmath.log(scale) - (x / scale) ** 2 / 2,
        {'scale': scale}, x, continuous=True)


def erf(z):
    return mpmath.erf(z / mpmath.sqrt(2))


def erfc(z):
    return mpmath.erfc(z / mpmath.sqrt(2))


@pytest.mark.parametrize('x', TAILS)
@pytest.mark.parametrize('method,curve', [
    ('cdf', erf), ('log_cdf', lambda z: mpmath.log(erf(z))),
    ('survival_function', erfc), ('log_survival_function', lambda z: mpmath.log(erfc(z)))])
def test_curves_are_accurate_in_both_tails(method, curve, x):
    accuracy.check(lambda x, scale: getattr(D.HalfNormal(scale), method)(x),
                   lambda x, scale: curve(x / scale), {'scale': 1.25}, x, continuous=True)


@pytest.mark.parametrize('p', [1e-30, 1e-5, 0.2, 0.7, 0.99999])
def test_icdf_is_accurate(p):
    accuracy.check(lambda x, scale: D.HalfNormal(scale).icdf(x),
                   lambda x, scale: scale * mpmath.sqrt(2) * mpmath.erfinv(x),
                   {'scale': 2}, p, continuous=True)


def test_curves_and_moments_agree_with_scipy():
    ours, theirs = D.HalfNormal(numpy.float64(2)), scipy.stats.halfnorm(scale=2)
    continuous.check_curves(lambda: ours, theirs, [-1, 0, 0.5, 1, 15], [0, 0.01, 0.5, 0.9])
    continuous.check_moments(ours, theirs)
    assert ours.mode.array == 0


@pytest.mark.parametrize('params', [(1.2, 0.7), (2, 2.00001), (1e-10, 1e10)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(
        D.HalfNormal, D.HalfNormal,
        lambda s1, s2: mpmath.log(s2 / s1) + (s1 / s2) ** 2 / 2 - mpmath.mpf(1) / 2, params)


def test_kl_agrees_with_sampling():
    continuous.check_kl_by_sampling(D.HalfNormal(1.2), D.HalfNormal(1.7))


@pytest.mark.parametrize('x', [-1e-30, -1, -numpy.inf])
def test_outside_the_support(x):
    continuous.check_outside(lambda x, s: D.HalfNormal(s).log_prob(x), x, 2)


def test_double_backward():
    x, s = [0.4, 1.1], [0.6, 1.5]
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(lambda x, s: getattr(D.HalfNormal(s), method)(x), x, s)
    continuous.check_double_backward(lambda x, s: D.HalfNormal(s).icdf(x), [0.2, 0.9], s)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_dtypes_are_preserved(dtype):
    d = D.HalfNormal(chainer.Variable(numpy.ones(2, dtype)))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.mean, d.mode, d.variance, d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_sampler():
    continuous.check_sampler(lambda dtype: D.HalfNormal(dtype(2)), scipy.stats.halfnorm(scale=2))
    continuous.check_seeds(D.HalfNormal(numpy.ones(3)))
    continuous.check_pathwise(D.HalfNormal, scale=1.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.HalfNormal(-1), 'scale must be a finite number above 0; got -1'),
    (lambda: D.HalfNormal(1).log_prob(float('nan')), 'x must be a number, not NaN; got nan'),
    (lambda: D.HalfNormal(1).icdf(-0.5), 'x must be a probability, from 0 to 1; got -0.5')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
