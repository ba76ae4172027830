"""Cauchy: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 0.2, 1.3), (0, 0, 1), (1.00001, 0, 1), (1e30, 0, 1), (-1e30, 1, 1e10),
         (3e-10, 1e-10, 1e-10), (1e-30, 0, 1e10), (1e10, 5, 1e-10), (1e30, 0, 1e-5)]
TAILS = [-1e30, -1e10, -20, -0.1, 0.2, 1, 17, 1e7, 1e25]


@pytest.mark.parametrize('x,loc,scale', CASES)
def test_log_prob_is_accurate(x, loc, scale):
    accuracy.check(
        lambda x, loc, scale: D.Cauchy(loc, scale).log_prob(x),
        lambda x, loc, scale: -mpmath.log(mpmath.pi * scale * (1 + ((x - loc) / scale) ** 2)),
        {'loc': loc, 'scale': scale}, x, continuous=True)


def cdf(z):
    return mpmath.atan2(1, -z) / mpmath.pi


@pytest.mark.parametrize('x', TAILS)
@pytest.mark.parametrize('method,curve', [
    ('cdf', cdf), ('log_cdf', lambda z: mpmath.log(cdf(z))),
    ('survival_function', lambda z: cdf(-z)),
    ('log_survival_function', lambda z: mpmath.log(cdf(-z)))])
def test_curves_are_accurate_in_both_tails(method, curve, x):
    accuracy.check(lambda x, loc, scale: getattr(D.Cauchy(loc, scale), method)(x),
                   lambda x, loc, scale: curve((x - loc) / scale),
                   {'loc': 0.25, 'scale': 1.25}, x, continuous=True)


@pytest.mark.parametrize('p', [1e-30, 1e-8, 0.2, 0.26, 0.50001, 0.7, 0.99999])
def test_icdf_is_accurate(p):
    accuracy.check(
        lambda x, loc, scale: D.Cauchy(loc, scale).icdf(x),
        lambda x, loc, scale: loc + scale * mpmath.tan(mpmath.pi * (x - mpmath.mpf(1) / 2)),
        {'loc': 0.5, 'scale': 2}, p, continuous=True)


def test_curves_and_entropy_agree_with_scipy():
    ours, theirs = D.Cauchy(0.5, numpy.float64(2)), scipy.stats.cauchy(0.5, 2)
    continuous.check_curves(lambda: ours, theirs, [-70, -3, 0.5, 1, 15], [1e-20, 0.01, 0.5, 0.9])
    assert ours.entropy.array == pytest.approx(theirs.entropy(), 1e-12)
    assert ours.mode.array == 0.5
    assert ours.icdf([0, 1]).array.tolist() == [-numpy.inf, numpy.inf]


def test_mean_and_variance_are_undefined():
    d = D.Cauchy(0, numpy.ones(2, 'f'))
    with pytest.warns(RuntimeWarning, match='Mean of the Cauchy distribution is undefined'):
        assert numpy.isnan(d.mean.array).tolist() == [True, True]
    with pytest.warns(RuntimeWarning, match='Variance of the Cauchy distribution is undefined'):
        assert numpy.isnan(d.stddev.array).all()


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (1, 2, 1.001, 2), (1, 2, 1, 2.00001), (1, 1.0001, 1.0001, 1),
    (0, 1e-10, 0.1, 1e10), (0, 1e-30, 1, 1), (1e5, 1e5, 0, 1e-10)])
def test_defect_36_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(
        D.Cauchy, D.Cauchy,
        lambda m1, s1, m2, s2: mpmath.log(((s1 + s2) ** 2 + (m1 - m2) ** 2) / (4 * s1 * s2)),
        params)


def test_kl_agrees_with_sampling():
    continuous.check_kl_by_sampling(D.Cauchy(0.3, 1.2), D.Cauchy(-0.2, 0.7))


def test_double_backward():
    x, loc, s = [0.4, -1.1], [0.1, 0.2], [0.2, 1.5]
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(
            lambda x, m, s: getattr(D.Cauchy(m, s), method)(x), x, loc, s)
    continuous.check_double_backward(lambda x, m, s: D.Cauchy(m, s).icdf(x), [0.2, 0.9], loc, s)
    continuous.check_double_backward(
        lambda *v: chainer.kl_divergence(D.Cauchy(*v[:2]), D.Cauchy(*v[2:])), loc, s, x, [1, 2])


def test_defects_14_and_15_tails_of_icdf_and_cdf():
    assert float(D.Cauchy(0, 1).icdf(numpy.float32(1e-8)).array) == pytest.approx(-3.1831e7, 1e-4)
    assert float(D.Cauchy(0, 1).cdf(numpy.float32(-1e10)).array) == pytest.approx(3.1831e-11, 1e-4)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_dtypes_are_preserved(dtype):
    d = D.Cauchy(numpy.zeros(2, dtype), chainer.Variable(numpy.ones(2, dtype)))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_sampler():
    continuous.check_sampler(lambda dtype: D.Cauchy(dtype(0.5), dtype(2)),
                             scipy.stats.cauchy(0.5, 2))
    continuous.check_seeds(D.Cauchy(0, numpy.ones(3)))
    continuous.check_pathwise(D.Cauchy, loc=0.3, scale=1.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Cauchy(0, -1), 'scale must be a finite number above 0; got -1'),
    (lambda: D.Cauchy(float('inf'), 1), 'loc must be a finite real number; got inf'),
    (lambda: D.Cauchy(0, 1).cdf(float('nan')), 'x must be a number, not NaN; got nan'),
    (lambda: D.Cauchy(0, 1).icdf(-0.5), 'x must be a probability, from 0 to 1; got -0.5'),
    (lambda: D.Cauchy([0, 1], [1, 1, 1]), 'do not broadcast')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
