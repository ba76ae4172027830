"""Chisquare: accuracy, its place among the Gammas, defects, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D


def log_prob(x, k):
    h = k / 2
    return (h - 1) * mpmath.log(x) - x / 2 - mpmath.loggamma(h) - h * mpmath.log(2)


def entropy(k):
    h = k / 2
    return h + mpmath.log(2) + mpmath.loggamma(h) + (1 - h) * mpmath.digamma(h)


@pytest.mark.parametrize('x,k', [(0.3, 1), (5, 3), (1e-30, 0.1), (1, 1e-10), (19.9, 20.1),
                                 (1e6, 1.001e6), (1e10, 1e10), (1e4, 2)])
def test_log_prob_is_accurate(x, k):
    accuracy.check(lambda x, k: D.Chisquare(k).log_prob(x), log_prob, {'k': k}, x, continuous=True)


@pytest.mark.parametrize('k', [1e-10, 0.5, 2, 19.9, 20.1, 1e3, 1e10])
def test_entropy_is_accurate(k):
    accuracy.check(lambda k: D.Chisquare(k).entropy, entropy, {'k': k})


@pytest.mark.parametrize('k1,k2', [(1, 5), (2, 2), (2, 2.00001), (1e10, 1.0001e10), (1e-10, 3)])
def test_kl_is_accurate(k1, k2):
    """Defect 36: Chainer has none."""
    def kl(k1, k2):
        return ((k1 - k2) / 2 * mpmath.digamma(k1 / 2) - mpmath.loggamma(k1 / 2)
                + mpmath.loggamma(k2 / 2))
    continuous.check_kl(D.Chisquare, D.Chisquare, kl, (k1, k2))


def test_it_is_a_gamma():
    p, g = D.Chisquare(numpy.float64(5)), D.Gamma(numpy.float64(2.5), 2.)
    assert chainer.kl_divergence(p, g).array == chainer.kl_divergence(g, p).array == 0
    other = D.Exponential(numpy.float64(0.7))
    for a, b, a0, b0 in ((p, other, g, other), (other, p, other, g)):
        assert chainer.kl_divergence(a, b).array == chainer.kl_divergence(a0, b0).array


def test_curves_and_moments():
    for k in (0.5, 3., 1e5):
        d, exact = D.Chisquare(numpy.float64(k)), scipy.stats.chi2(k)
        continuous.check_moments(d, exact)
        p = numpy.array([0.01, 0.3, 0.999])
        x = exact.ppf(p)
        numpy.testing.assert_allclose(d.cdf(x).array, p, 1e-10)
        numpy.testing.assert_allclose(d.survival_function(x).array, exact.sf(x), 1e-10)
        numpy.testing.assert_allclose(d.icdf(p).array, x, 1e-10)
    assert D.Chisquare([1., 6.]).mode.array.tolist() == [0, 4]


def test_double_backward():
    x, k = [0.4, 1.1, 30.], [0.3, 4., 25.]
    continuous.check_double_backward(lambda x, k: D.Chisquare(k).log_prob(x), x, k)
    continuous.check_double_backward(lambda k: D.Chisquare(k).entropy, k)


def test_defects_9_and_18_the_edge_and_the_outside():
    assert D.Chisquare(2.).log_prob(0.).array == pytest.approx(-0.6931472)
    continuous.check_outside(lambda x, k: D.Chisquare(k).log_prob(x), -1., 3.)


def test_samplers_and_defect_38():
    continuous.check_sampler(lambda dtype: D.Chisquare(dtype(3)), scipy.stats.chi2(3))
    continuous.check_seeds(D.Chisquare(numpy.full(3, 2.)))
    k = chainer.Variable(numpy.full(50000, 1.4))
    chainer.functions.sum(D.Chisquare(k).sample(rng=4)).backward()
    assert abs(k.grad.mean() - 1) < 4 * k.grad.std() / len(k) ** 0.5   # E x = k


def test_shapes_and_dtypes():
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.Chisquare(chainer.Variable(numpy.full(2, 3, dtype)))
        results = [d.log_prob(1), d.cdf(1), d.icdf(0.5), d.mean, d.variance, d.mode, d.entropy,
                   d.sample()]
        assert {r.dtype for r in results} == {numpy.dtype(dtype)}
        assert all(r.shape == (2,) for r in results)
    assert set(D.Chisquare(3).params) == {'k'} and repr(D.Chisquare(3)) == 'Chisquare(k=3.)'


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Chisquare(0.), 'Chisquare: k must be a finite number above 0; got 0'),
    (lambda: D.Chisquare(1.).log_prob(float('nan')), 'Chisquare: x must be a number, not NaN')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
