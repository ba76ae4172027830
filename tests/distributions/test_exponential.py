"""Exponential: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D


@pytest.mark.parametrize('x,lam', [(0.3, 1), (0, 2), (1e-30, 1e10), (1e10, 1e-10), (1e10, 1e8),
                                   (2.00001, 0.5), (3, 1e-30)])
def test_log_prob_is_accurate(x, lam):
    accuracy.check(lambda x, lam: D.Exponential(lam).log_prob(x),
                   lambda x, lam: mpmath.log(lam) - lam * x, {'lam': lam}, x, continuous=True)


CURVES = {'cdf': lambda x, lam: -mpmath.expm1(-lam * x),
          'log_cdf': lambda x, lam: mpmath.log(-mpmath.expm1(-lam * x)),
          'survival_function': lambda x, lam: mpmath.exp(-lam * x),
          'log_survival_function': lambda x, lam: -lam * x}


@pytest.mark.parametrize('method', list(CURVES))
@pytest.mark.parametrize('x,lam', [(1e-10, 1), (0.4, 3), (20, 1), (60, 1), (1e-20, 1e-10)])
def test_curves_are_accurate(method, x, lam):
    accuracy.check(lambda x, lam: getattr(D.Exponential(lam), method)(x), CURVES[method],
                   {'lam': lam}, x, continuous=True)


@pytest.mark.parametrize('q', [0., 1e-30, 0.3, 0.999])
def test_icdf_is_accurate(q):
    accuracy.check(lambda x, lam: D.Exponential(lam).icdf(x),
                   lambda x, lam: -mpmath.log1p(-x) / lam, {'lam': 2.5}, q, continuous=True)


@pytest.mark.parametrize('params', [(1, 2), (3, 3), (1, 1.00001), (1e-10, 1e10), (1e10, 1e-10)])
def test_kl_is_accurate(params):
    continuous.check_kl(D.Exponential, D.Exponential,
                        lambda a, b: mpmath.log(a / b) + b / a - 1, params)


@pytest.mark.parametrize('lam,k,rate', [(2, 1, 2), (0.5, 3, 2), (1e5, 1e-3, 1), (1, 1e4, 1e4)])
def test_kl_with_a_gamma_is_accurate(lam, k, rate):
    def to_gamma(lam, k, rate):
        e = mpmath.digamma(1) - mpmath.log(lam)   # E log x
        return (mpmath.log(lam) - 1 - k * mpmath.log(rate) + mpmath.loggamma(k) - (k - 1) * e
                + rate / lam)

    def from_gamma(lam, k, rate):
        e = mpmath.digamma(k) - mpmath.log(rate)
        return (k * mpmath.log(rate) - mpmath.loggamma(k) + (k - 1) * e - k
                - mpmath.log(lam) + lam * k / rate)
    params = {'lam': lam, 'k': k, 'rate': rate}
    accuracy.check(lambda lam, k, rate: chainer.kl_divergence(
        D.Exponential(lam), D.Gamma(k, rate=rate)), to_gamma, params)
    accuracy.check(lambda lam, k, rate: chainer.kl_divergence(
        D.Gamma(k, rate=rate), D.Exponential(lam)), from_gamma, params)


def test_moments():
    for lam in (1e-5, 0.7, 40.):
        exact = scipy.stats.expon(scale=1 / lam)
        continuous.check_moments(D.Exponential(numpy.float64(lam)), exact)
        continuous.check_curves(
            lambda: D.Exponential(numpy.float64(lam)), exact,
            numpy.array([1e-12, 0.3, 1, 50]) / lam, [0., 1e-9, 0.4, 0.999])
    assert D.Exponential(2.).mode.array == 0
    assert D.Exponential(numpy.float32(1e25)).stddev.array == numpy.float32(1e-25)


def test_double_backward():
    x, lam = [0.4, 1.1, 3.], [0.3, 4., 1.]
    for method in ('log_prob', *CURVES):
        continuous.check_double_backward(
            lambda x, lam: getattr(D.Exponential(lam), method)(x), x, lam)
    continuous.check_double_backward(lambda q, lam: D.Exponential(lam).icdf(q), [.1, .5, .9], lam)
    continuous.check_double_backward(
        lambda a, b: chainer.kl_divergence(D.Exponential(a), D.Exponential(b)), x, lam)


def test_defect_17_outside_the_support():
    d = D.Exponential(1.)
    assert d.cdf([-1., 0., numpy.inf]).array.tolist() == [0, 0, 1]
    assert d.survival_function([-1., 0., numpy.inf]).array.tolist() == [1, 1, 0]
    with pytest.raises(ValueError, match='x must be a probability'):
        d.icdf(2.)
    for x in (-1., numpy.inf):
        continuous.check_outside(lambda x, lam: D.Exponential(lam).log_prob(x), x, 2.)
        for method in CURVES:
            v = [chainer.Variable(numpy.array(a)) for a in (x, 2.)]
            getattr(D.Exponential(v[1]), method)(v[0]).backward()
            assert (v[0].grad, v[1].grad) == (0, 0)


def test_samplers():
    continuous.check_sampler(lambda dtype: D.Exponential(dtype(3)), scipy.stats.expon(scale=1 / 3))
    continuous.check_seeds(D.Exponential(numpy.full(3, 2.)))
    continuous.check_pathwise(D.Exponential, lam=1.7)


def test_shapes_and_dtypes():
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.Exponential(chainer.Variable(numpy.full(2, 3, dtype)))
        results = [d.log_prob(1), d.cdf(1), d.icdf(0.5), d.mean, d.variance, d.stddev, d.mode,
                   d.entropy, d.sample()]
        assert {r.dtype for r in results} == {numpy.dtype(dtype)}
        assert all(r.shape == (2,) for r in results)
    assert set(D.Exponential(3).params) == {'lam'}


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Exponential(-2.), 'Exponential: lam must be a finite number above 0; got -2'),
    (lambda: D.Exponential(1.).log_prob(float('nan')), 'Exponential: x must be a number, not NaN')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
