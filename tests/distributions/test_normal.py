"""Normal: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
from chainer import functions as F
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 0.2, 1.3), (0, 0, 1), (1, 0, 1), (3e-10, 1e-10, 1e-10), (-5e10, 2e10, 1e10),
         (1e10, 0, 1e-10), (2e-25, 0, 1e-25), (3, 3.0001, 1e-3), (1e20, 0, 1), (1e-20, 0, 1e20),
         (1e20, 0, 1e10), (1.00001, 0, 1), (-40, 1, 2)]
LOG_SCALES = [-1e4, -100, -95, -23, -1, 0, 0.3, 23, 95, 1e4]
TAILS = [-1e4, -200, -37, -12.5, -3, -0.1, 0, 1e-4, 1, 5, 9, 14]


def log_prob(x, loc, scale):
    z = (x - loc) / scale
    return -z * z / 2 - mpmath.log(scale) - mpmath.log(2 * mpmath.pi) / 2


@pytest.mark.parametrize('x,loc,scale', CASES)
def test_log_prob_of_scale_is_accurate(x, loc, scale):
    accuracy.check(lambda x, loc, scale: D.Normal(loc, scale).log_prob(x), log_prob,
                   {'loc': loc, 'scale': scale}, x, continuous=True)


@pytest.mark.parametrize('log_scale', LOG_SCALES)
@pytest.mark.parametrize('x,loc', [(0, 0), (1.2, 0.7), (1e-30, 0), (1e10, -1e3), (1e-38, 0)])
def test_log_prob_of_log_scale_is_accurate(x, loc, log_scale):
    accuracy.check(lambda x, loc, log_scale: D.Normal(loc, log_scale=log_scale).log_prob(x),
                   lambda x, loc, log_scale: log_prob(x, loc, mpmath.exp(log_scale)),
                   {'loc': loc, 'log_scale': log_scale}, x, continuous=True)


def ndtr(z):
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


@pytest.mark.parametrize('x', TAILS)
@pytest.mark.parametrize('method,curve', [
    ('cdf', ndtr), ('log_cdf', lambda z: mpmath.log(ndtr(z))),
    ('survival_function', lambda z: ndtr(-z)),
    ('log_survival_function', lambda z: mpmath.log(ndtr(-z)))])
def test_curves_are_accurate_in_both_tails(method, curve, x):
    accuracy.check(lambda x, loc, scale: getattr(D.Normal(loc, scale), method)(x),
                   lambda x, loc, scale: curve((x - loc) / scale),
                   {'loc': 0.25, 'scale': 1.25}, x, continuous=True)
    accuracy.check(lambda x, loc, s: getattr(D.Normal(loc, log_scale=s), method)(x),
                   lambda x, loc, s: curve((x - loc) / mpmath.exp(s)),
                   {'loc': 0.25, 's': 0.2}, x, continuous=True)


@pytest.mark.parametrize('p', [1e-30, 1e-5, 0.2, 0.7, 0.99999])
def test_icdf_is_accurate(p):
    def quantile(x, loc, scale):
        start = scipy.stats.norm.ppf(float(x))
        return loc + scale * mpmath.findroot(lambda z: ndtr(z) / x - 1, start, tol=1e-280)
    accuracy.check(lambda x, loc, scale: D.Normal(loc, scale).icdf(x), quantile,
                   {'loc': 0.5, 'scale': 2}, p, continuous=True)


def test_curves_and_moments_agree_with_scipy():
    ours, theirs = D.Normal(0.5, scale=numpy.float64(2)), scipy.stats.norm(0.5, 2)
    continuous.check_curves(lambda: ours, theirs, [-70, -3, 0.5, 1, 15], [1e-200, 0.01, 0.5, 0.9])
    continuous.check_moments(ours, theirs)
    assert ours.mode.array == 0.5


@pytest.mark.parametrize('log_scale', [-1e4, -3, 0.5, 1e4])
def test_entropy_is_accurate(log_scale):
    accuracy.check(lambda s: D.Normal(0, log_scale=s).entropy,
                   lambda s: s + mpmath.log(2 * mpmath.pi * mpmath.e) / 2, {'s': log_scale})


def kl(m1, s1, m2, s2):
    return mpmath.log(s2 / s1) + (s1 ** 2 + (m1 - m2) ** 2) / (2 * s2 ** 2) - mpmath.mpf(1) / 2


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (1, 2, 1, 2), (1, 2, 1, 2.00001), (1, 1.0001, 1.0001, 1),
    (0, 1e-10, 0, 1e10), (0, 1e-30, 1, 1), (1e5, 1e5, 0, 1e-10), (0, 0.45, 0.1, 1),
    (0, 0.82, 0, 1), (0, 1.23, 0, 1), (0, 1.6, 0, 1)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(D.Normal, D.Normal, kl, params)
    logs = [v if i % 2 == 0 else float(numpy.log(v)) for i, v in enumerate(params)]
    continuous.check_kl(
        lambda m, s: D.Normal(m, log_scale=s), lambda m, s: D.Normal(m, log_scale=s),
        lambda m1, s1, m2, s2: kl(m1, mpmath.exp(s1), m2, mpmath.exp(s2)), logs)


def test_kl_of_mixed_parametrisations():
    p, q = D.Normal(0.5, 2.), D.Normal(0., log_scale=0.1)
    for a, b in ((p, q), (q, p)):
        expected = kl(float(a.loc.array), float(a.scale.array), float(b.loc.array),
                      float(b.scale.array))
        assert float(chainer.kl_divergence(a, b).array) == pytest.approx(float(expected), 1e-6)


def test_double_backward():
    x, loc, s = [0.4, -1.1], [0.1, 0.2], [0.3, 1.5]
    continuous.check_double_backward(lambda x, m, s: D.Normal(m, s).log_prob(x), x, loc, s)
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(
            lambda x, m, s: getattr(D.Normal(m, log_scale=s), method)(x), x, loc, s)
    continuous.check_double_backward(lambda x, m, s: D.Normal(m, s).icdf(x), [0.2, 0.9], loc, s)
    continuous.check_double_backward(
        lambda *v: chainer.kl_divergence(D.Normal(*v[:2]), D.Normal(*v[2:])), loc, s, x, [1, 2])
    continuous.check_double_backward(
        lambda a, b, c, d: chainer.kl_divergence(
            D.Normal(a, log_scale=b), D.Normal(c, log_scale=d)), loc, s, x, [1, 2])


def test_defect_12_scale_is_not_squared():
    assert float(D.Normal(0, numpy.float32(1e-25)).log_prob(2e-25).array) == pytest.approx(
        54.6457, abs=1e-4)


def test_defects_30_to_32_numbers_and_broadcasting():
    assert D.Normal(0., 1.).log_prob(1).dtype == numpy.float32
    d = D.Normal(0., numpy.ones(3, 'f'))
    assert d.batch_shape == d.mean.shape == d.sample(2).shape[1:] == (3,)
    row = D.Normal(numpy.zeros(1, 'f'), numpy.ones(3, 'f')).sample_n(2).array
    assert len(set(row.ravel().tolist())) == 6


def test_defect_36_kl_of_a_subclass():
    class Sub(D.Normal):
        pass
    assert float(chainer.kl_divergence(Sub(0, 1), D.Normal(0, 1)).array) == 0


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
@pytest.mark.parametrize('wrap', [lambda a: a, chainer.Variable])
def test_dtypes_are_preserved(dtype, wrap):
    d = D.Normal(wrap(numpy.zeros(2, dtype)), log_scale=wrap(numpy.ones(2, dtype)))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.mean, d.variance, d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_an_infinite_observation_is_the_end_of_every_curve():
    d = D.Normal(numpy.zeros(2), numpy.ones(2))
    x = chainer.Variable(numpy.array([-numpy.inf, numpy.inf]))
    assert d.log_prob(x).array.tolist() == [-numpy.inf] * 2
    y = d.cdf(x)
    y.grad = numpy.ones(2)
    y.backward()
    assert y.array.tolist() == [0, 1] and x.grad.tolist() == [0, 0]


def test_sampler():
    continuous.check_sampler(lambda dtype: D.Normal(dtype(0.5), dtype(2)),
                             scipy.stats.norm(0.5, 2))
    continuous.check_seeds(D.Normal(0, numpy.ones(3)))
    continuous.check_pathwise(D.Normal, loc=0.3, scale=1.2)
    continuous.check_pathwise(D.Normal, loc=0.3, log_scale=0.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Normal(0), 'either scale or log_scale'),
    (lambda: D.Normal(0, 1, 0), 'either scale or log_scale'),
    (lambda: D.Normal(0, -1), 'scale must be a finite number above 0; got -1'),
    (lambda: D.Normal(0, 0), 'scale must be a finite number above 0; got 0'),
    (lambda: D.Normal(float('nan'), 1), 'loc must be a finite real number; got nan'),
    (lambda: D.Normal(0, log_scale=float('inf')), 'log_scale must be a finite real number'),
    (lambda: D.Normal(0, 1).log_prob(float('nan')), 'x must be a number, not NaN; got nan'),
    (lambda: D.Normal(0, 1).icdf(1.5), 'x must be a probability, from 0 to 1; got 1.5'),
    (lambda: D.Normal([0, 1], [1, 1, 1]), 'do not broadcast'),
    (lambda: D.Normal([0, 1], 1).log_prob([1, 2, 3]), 'does not broadcast')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()


def test_bad_types_and_validation_off():
    with pytest.raises(TypeError, match='loc must consist of real numbers'):
        D.Normal('zero', 1)
    with D.validation(False):
        assert numpy.isnan(D.Normal(0, -1).log_prob(0).array)


@pytest.mark.parametrize('parameter', ['scale', 'log_scale'])
@pytest.mark.parametrize('shape, shared', [
    ((5,), (1,)), ((3, 5), (1,)), ((3, 5), (3, 1)), ((3, 0), (3, 1)), ((131073,), (1,))])
def test_gradient_of_the_kl_in_a_scale_that_components_share(parameter, shape, shared):
    gradients = []
    for sums_itself in True, False:
        s = chainer.Variable(numpy.full(shared, 0.5))
        p = D.Normal(numpy.zeros(shape), **{parameter: s})
        q = D.Normal(numpy.zeros(shape), **{parameter: numpy.full(shape, 0.1)})
        if sums_itself:
            kl = chainer.kl_divergence(D.Independent(p, len(shape)), D.Independent(q, len(shape)))
        else:
            kl = F.sum(chainer.kl_divergence(p, q))
        kl.backward()
        gradients.append(s.grad)
    numpy.testing.assert_allclose(*gradients, rtol=1e-12)


@pytest.mark.parametrize('dtype, d', [
    ('f', 44.4), ('f', 44.6), ('f', 44.69), ('d', 354.5), ('d', 355.1)])
def test_kl_just_below_the_largest_number(dtype, d):
    loc = numpy.array(0, dtype)
    kl = chainer.kl_divergence(D.Normal(loc, log_scale=numpy.array(d, dtype)),
                               D.Normal(loc, log_scale=loc)).array
    with mpmath.workdps(30):
        x = mpmath.mpf(float(numpy.array(d, dtype)))
        true = (mpmath.expm1(2 * x) - 2 * x) / 2
    assert abs(float(kl) / float(true) - 1) < (1e-5 if dtype == 'f' else 1e-12)


@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_kl_of_any_finite_log_scales_is_no_nan(dtype):
    edges = numpy.array([-numpy.finfo(dtype).max, -1e4, 0, 1e4, numpy.finfo(dtype).max], dtype)
    kl = chainer.kl_divergence(D.Normal(numpy.array(0, dtype), log_scale=edges[:, None]),
                               D.Normal(numpy.array(0, dtype), log_scale=edges)).array
    assert not numpy.isnan(kl).any() and (kl >= 0).all() and not kl.diagonal().any()


def test_finite_parameters_are_taken_whatever_numpy_reports():
    with numpy.errstate(all='raise'):
        for dtype, small in (('f', 1e-30), ('d', 1e-308)):
            D.Normal(numpy.array([small, 2], dtype), numpy.array(1, dtype))
        signalling = numpy.array([0x7fa00000, 0x3f800000], 'u4').view('f')
        with pytest.raises(ValueError, match='loc must be a finite real number; got nan'):
            D.Normal(signalling, numpy.float32(1))
