"""Pareto: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(3, 1, 2), (1e10, 1e-10, 0.5), (1.00001, 1, 1e10), (7, 6.9999, 1e5), (2e-10, 1e-10, 1e-10),
         (1e20, 1e10, 40)]


@pytest.mark.parametrize('x,scale,alpha', CASES)
def test_log_prob_is_accurate(x, scale, alpha):
    def log_prob(x, scale, alpha):
        return mpmath.log(alpha) + alpha * mpmath.log(scale) - (alpha + 1) * mpmath.log(x)
    accuracy.check(lambda x, scale, alpha: D.Pareto(scale, alpha).log_prob(x), log_prob,
                   {'scale': scale, 'alpha': alpha}, x, continuous=True)


CURVES = {'cdf': lambda x, m, a: 1 - (m / x) ** a,
          'log_cdf': lambda x, m, a: mpmath.log(1 - (m / x) ** a),
          'survival_function': lambda x, m, a: (m / x) ** a,
          'log_survival_function': lambda x, m, a: a * mpmath.log(m / x)}


@pytest.mark.parametrize('method', list(CURVES))
@pytest.mark.parametrize('x,scale,alpha', [(3, 1, 2), (1.00001, 1, 3), (40, 1, 20)])
def test_curves_are_accurate(method, x, scale, alpha):
    accuracy.check(lambda x, m, a: getattr(D.Pareto(m, a), method)(x), CURVES[method],
                   {'m': scale, 'a': alpha}, x, continuous=True)


@pytest.mark.parametrize('scale,alpha', [(2, 3), (1e-10, 1e-10), (1e10, 1e10)])
def test_entropy_is_accurate(scale, alpha):
    accuracy.check(lambda m, a: D.Pareto(m, a).entropy,
                   lambda m, a: mpmath.log(m / a) + 1 / a + 1, {'m': scale, 'a': alpha})


@pytest.mark.parametrize('params', [(2, 3, 1, 5), (2.00001, 3, 2, 3.00001),
                                    (1e10, 1e-10, 1e-10, 1e10), (2, 1e10, 1, 1e-10)])
def test_kl_is_accurate(params):
    continuous.check_kl(
        D.Pareto, D.Pareto,
        lambda m1, a1, m2, a2: a2 * mpmath.log(m1 / m2) + mpmath.log(a1 / a2) + a2 / a1 - 1,
        params)


def test_kl_at_equal_scales_and_where_the_support_is_larger():
    p = D.Pareto(2., 3.)
    assert chainer.kl_divergence(p, D.Pareto(2., 3.)).array == 0
    v = [chainer.Variable(numpy.array(a, 'f')) for a in (1., 3., 2., 3.)]
    y = chainer.kl_divergence(D.Pareto(v[0], v[1]), D.Pareto(v[2], v[3]))
    y.backward()
    assert y.array == numpy.inf and [float(a.grad) for a in v] == [0] * 4


def test_moments():
    for alpha in (2.5, 7.):
        continuous.check_moments(D.Pareto(numpy.float64(3), alpha),
                                 scipy.stats.pareto(alpha, scale=3))
    d = D.Pareto(1., [0.5, 1., 1.5, 2., 3.])
    assert d.mean.array.tolist() == [numpy.inf, numpy.inf, 3, 2, 1.5]
    assert d.variance.array.tolist() == [numpy.inf] * 4 + [0.75]
    assert d.mode.array.tolist() == [1] * 5
    alpha = chainer.Variable(numpy.array([0.5, 3.]))
    chainer.functions.sum(D.Pareto(1., alpha).stddev[1:]).backward()
    assert alpha.grad[0] == 0 and numpy.isfinite(alpha.grad).all()
    continuous.check_curves(
        lambda: D.Pareto(numpy.float64(3), 0.7), scipy.stats.pareto(0.7, scale=3),
        [3.0001, 5, 1e8], [0., 1e-3, 0.3, 0.99])


def test_double_backward():
    x, m, a = [2., 30.], [1.5, 2.], [0.3, 4.]
    for method in ('log_prob', *CURVES):
        continuous.check_double_backward(
            lambda x, m, a: getattr(D.Pareto(m, a), method)(x), x, m, a)
    continuous.check_double_backward(lambda q, m, a: D.Pareto(m, a).icdf(q), [0.1, 0.6], m, a)
    continuous.check_double_backward(
        lambda *v: chainer.kl_divergence(D.Pareto(*v[:2]), D.Pareto(*v[2:])), x, a, m, [1., 2.])


def test_outside_and_at_the_edge():
    for x in (0.5, -1., numpy.inf):
        continuous.check_outside(lambda x, m, a: D.Pareto(m, a).log_prob(x), x, 1., 2.)
    assert D.Pareto(1., 2.).log_prob(1.).array == pytest.approx(numpy.log(2))
    assert D.Pareto(1., 2.).cdf([-1., 0.5, 1., numpy.inf]).array.tolist() == [0, 0, 0, 1]


def test_samplers_and_defect_38():
    continuous.check_sampler(lambda dtype: D.Pareto(dtype(2), dtype(3)),
                             scipy.stats.pareto(3, scale=2))
    continuous.check_seeds(D.Pareto(numpy.ones(3), 2.))
    continuous.check_pathwise(D.Pareto, scale=1.7, alpha=2.2)
    x = D.Pareto(numpy.full(1000, 3, 'f'), 1e-3).sample(rng=1).array
    assert x.min() >= 3 and numpy.isfinite(x).all()


def test_shapes_and_dtypes():
    d = D.Pareto(2., numpy.ones(3, 'f'))
    assert d.batch_shape == d.mean.shape == d.sample(4).shape[1:] == d.entropy.shape == (3,)
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.Pareto(chainer.Variable(numpy.ones(2, dtype)), 3)
        results = [d.log_prob(1), d.cdf(1), d.icdf(0.5), d.mean, d.variance, d.stddev, d.mode,
                   d.entropy, d.sample()]
        assert {r.dtype for r in results} == {numpy.dtype(dtype)}
        assert all(r.shape == (2,) for r in results)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Pareto(0., 1.), 'scale must be a finite number above 0; got 0'),
    (lambda: D.Pareto(1., -1.), 'alpha must be a finite number above 0; got -1'),
    (lambda: D.Pareto(1., 1.).icdf(2.), 'x must be a probability')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
