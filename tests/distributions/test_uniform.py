"""Uniform: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

INTERVALS = [(0, 1), (-3, 1e-10), (1e-10, 3e-10), (-1e10, 1e30), (5, 5.0001),
             (-2e-30, -1e-30)]


@pytest.mark.parametrize('low,high', INTERVALS)
def test_log_prob_is_accurate(low, high):
    x = 0.75 * low + 0.25 * high
    accuracy.check(lambda x, low, high: D.Uniform(low=low, high=high).log_prob(x),
                   lambda x, low, high: -mpmath.log(high - low),
                   {'low': low, 'high': high}, x, continuous=True)
    accuracy.check(lambda x, loc, scale: D.Uniform(loc=loc, scale=scale).log_prob(x),
                   lambda x, loc, scale: -mpmath.log(scale),
                   {'loc': low, 'scale': high - low}, x, continuous=True)


@pytest.mark.parametrize('z', [1e-8, 1e-5, 0.3, 0.9999])
@pytest.mark.parametrize('method,curve', [
    ('cdf', lambda z: z), ('log_cdf', mpmath.log), ('survival_function', lambda z: 1 - z),
    ('log_survival_function', lambda z: mpmath.log1p(-z))])
def test_curves_are_accurate(method, curve, z):
    accuracy.check(lambda x, low, high: getattr(D.Uniform(low=low, high=high), method)(x),
                   lambda x, low, high: curve((x - low) / (high - low)),
                   {'low': 0, 'high': 2}, 2 * z, continuous=True)
    accuracy.check(lambda x, loc, scale: D.Uniform(loc=loc, scale=scale).icdf(x),
                   lambda x, loc, scale: loc + scale * x,
                   {'loc': -1, 'scale': 2}, z, continuous=True)


def test_curves_and_moments_agree_with_scipy():
    ours, theirs = D.Uniform(low=-1, high=numpy.float64(3)), scipy.stats.uniform(-1, 4)
    continuous.check_curves(lambda: ours, theirs, [-2, -1, 0.5, 3, 4], [0, 0.01, 0.5, 1])
    continuous.check_moments(ours, theirs)
    continuous.check_moments(D.Uniform(loc=-1, scale=numpy.float64(4)), theirs)


def test_bounds_belong_to_the_interval_and_samples_never_leave_it():
    for make in (lambda a, b: D.Uniform(low=a, high=b), lambda a, b: D.Uniform(loc=a, scale=b)):
        d = make(numpy.float32(-0.3), numpy.float32(0.7))
        assert numpy.isfinite(d.log_prob(d.low).array) and numpy.isfinite(d.log_prob(d.high).array)
        assert numpy.isfinite(d.log_prob(d.sample(100000, rng=0)).array).all()
        assert d.icdf(1).array == d.high.array


def random_intervals():
    rng = numpy.random.default_rng(0)
    low = numpy.append(rng.normal(size=10000), [0.33367434, -1]).astype('f')
    high = numpy.append(low[:-2] + rng.exponential(size=10000), [1.1338329, 0.1]).astype('f')
    return low, high


def test_the_curves_end_at_the_bounds_whatever_the_rounding():
    low, high = random_intervals()
    for d in (D.Uniform(low=low, high=high), D.Uniform(loc=low, scale=high - low)):
        for x, (cdf, log_cdf, survival, log_survival) in (
                (d.low, (0, -numpy.inf, 1, 0)), (d.high, (1, 0, 0, -numpy.inf))):
            assert (d.cdf(x).array == cdf).all() and (d.log_cdf(x).array == log_cdf).all()
            assert (d.survival_function(x).array == survival).all()
            assert (d.log_survival_function(x).array == log_survival).all()


def test_the_curves_are_accurate_near_the_bounds():
    low, high = random_intervals()
    a, b = low.astype('d'), high.astype('d')
    d = D.Uniform(low=low, high=high)
    for x in (numpy.nextafter(low, high), numpy.nextafter(high, low)):
        below, above = (x - a) / (b - a), (b - x) / (b - a)
        for name, expected in (
                ('cdf', below), ('survival_function', above),
                ('log_cdf', numpy.where(below < 0.5, numpy.log(below), numpy.log1p(-above))),
                ('log_survival_function',
                 numpy.where(above < 0.5, numpy.log(above), numpy.log1p(-below)))):
            numpy.testing.assert_allclose(getattr(d, name)(x).array, expected, rtol=1e-6)


def test_gradients_at_the_bounds():
    gradients = {}
    for name, end in (('log_survival_function', 1.), ('log_cdf', 0.)):
        x, low, high = v = [chainer.Variable(numpy.array(a)) for a in (end, 0., 1.)]
        y = getattr(D.Uniform(low=low, high=high), name)(x)
        gradients[name] = [g.item() for g in chainer.grad([y], v)]
    assert gradients == {'log_survival_function': [-numpy.inf, 1, numpy.inf],
                         'log_cdf': [numpy.inf, -numpy.inf, -1]}


@pytest.mark.parametrize('x', [-1.1, 3.1, numpy.inf, -numpy.inf])
def test_outside_the_support(x):
    continuous.check_outside(
        lambda x, a, b: D.Uniform(low=a, high=b).log_prob(x), x, -1, 3)
    continuous.check_outside(
        lambda x, a, b: D.Uniform(loc=a, scale=b).log_prob(x), x, -1, 4)


def test_outside_the_support_the_cdf_is_flat():
    x = chainer.Variable(numpy.float32([-5, 9]))
    low = chainer.Variable(numpy.float32([0, 0]))
    y = D.Uniform(low=low, high=numpy.float32(1)).cdf(x)
    y.grad = numpy.float32([1, 1])
    y.backward()
    assert y.array.tolist() == [0, 1] and not x.grad.any() and not low.grad.any()


def uniform(low, high):
    return D.Uniform(low=low, high=high)


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 1.7), (1, 2, 1, 2), (1, 2, 1, 2.00001), (0, 1e-10, -1e10, 1e10)])
def test_kl_is_accurate_also_near_equality(params):
    continuous.check_kl(uniform, uniform,
                        lambda a, b, c, d: mpmath.log((d - c) / (b - a)), params)


def test_kl_is_infinite_where_the_first_reaches_beyond_the_second():
    low = chainer.Variable(numpy.float32([0, -1, 0]))
    kl = chainer.kl_divergence(D.Uniform(low=low, high=numpy.float32([1, 1, 2])),
                               D.Uniform(loc=0., scale=1.))
    kl.grad = numpy.ones(3, 'f')
    kl.backward()
    assert kl.array.tolist() == [0, numpy.inf, numpy.inf] and low.grad.tolist() == [1, 0, 0]


def kl_uniform_normal(a, b, m, s):
    second = ((b - m) ** 3 - (a - m) ** 3) / (3 * (b - a))
    return mpmath.log(s * mpmath.sqrt(2 * mpmath.pi) / (b - a)) + second / (2 * s * s)


def kl_uniform_gumbel(a, b, m, s):
    def primitive(x):
        return (x - m) ** 2 / (2 * s) - s * mpmath.exp(-(x - m) / s)
    return mpmath.log(s / (b - a)) + (primitive(b) - primitive(a)) / (b - a)


@pytest.mark.parametrize('params', [
    (0.3, 1.2, -0.5, 0.7), (-1, 1, 0, 1), (0, 1e-6, 0, 1), (0, 1e-6, -2, 1),
    (-1e3, 1e3, 0.5, 20), (0, 200, 20, 1)])
def test_kl_with_normal_and_gumbel(params):
    continuous.check_kl(uniform, D.Normal, kl_uniform_normal, params)
    continuous.check_kl(uniform, D.Gumbel, kl_uniform_gumbel, params)


@pytest.mark.filterwarnings('error')
def test_kl_to_a_normal_of_extreme_log_scale():
    kl = chainer.kl_divergence(D.Uniform(low=0., high=1.), D.Normal(0., log_scale=100.))
    numpy.testing.assert_allclose(kl.array, 100 + 0.5 * numpy.log(2 * numpy.pi), rtol=1e-6)
    for q in (D.Normal(0., log_scale=-60.), D.Gumbel(0., 1e-3)):
        assert chainer.kl_divergence(D.Uniform(low=-1., high=0.), q).array == numpy.inf


def test_kl_agrees_with_sampling():
    p = D.Uniform(loc=-0.3, scale=1.2)
    for q in (D.Uniform(low=-1, high=1), D.Normal(0.2, 0.7), D.Gumbel(-0.1, 0.5)):
        continuous.check_kl_by_sampling(p, q)


def test_double_backward():
    x, low, high = [0.4, -0.7], [0.1, -1.2], [0.6, 1.5]
    for method in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        continuous.check_double_backward(
            lambda x, a, b: getattr(uniform(a, b), method)(x), [x, [0.2, 1.3]], low, high)
    continuous.check_double_backward(lambda x, a, b: uniform(a, b).icdf(x), [.2, .9], low, high)
    for Q in (D.Normal, D.Gumbel):
        continuous.check_double_backward(
            lambda *v: chainer.kl_divergence(uniform(*v[:2]), Q(*v[2:])), low, high, x, [1, 2])


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_dtypes_are_preserved(dtype):
    d = D.Uniform(loc=numpy.zeros(2, dtype), scale=chainer.Variable(numpy.ones(2, dtype)))
    results = [d.log_prob(1), d.log_prob([1, 2]), d.log_prob(numpy.array([True, False])),
               d.cdf(0), d.icdf(0.5), d.mean, d.variance, d.entropy, d.sample()]
    assert {r.dtype for r in results} == {numpy.dtype(dtype)}
    assert all(r.shape == (2,) for r in results)


def test_sampler():
    continuous.check_sampler(lambda dtype: D.Uniform(low=dtype(-1), high=dtype(3)),
                             scipy.stats.uniform(-1, 4))
    continuous.check_seeds(D.Uniform(low=0, high=numpy.ones(3)))
    continuous.check_pathwise(D.Uniform, low=0.3, high=1.2)
    continuous.check_pathwise(D.Uniform, loc=0.3, scale=1.2)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Uniform(), 'give either low and high, or loc and scale; got none'),
    (lambda: D.Uniform(low=1, scale=2), 'got low and scale'),
    (lambda: D.Uniform(low=1, high=2, loc=1, scale=1), 'got low and high and loc and scale'),
    (lambda: D.Uniform(low=1, high=0),
     'high must be above low; got low 1.0 and high 0.0'),                          # defect 22
    (lambda: D.Uniform(low=[0, 1], high=1), 'got low 1.0 and high 1.0'),
    (lambda: D.Uniform(loc=[0., 1e8], scale=1.),
     r'loc \+ scale must be above loc, also as rounded to float32; '
     'got loc 100000000.0 and scale 1.0'),
    (lambda: D.Uniform(loc=1, scale=-1), 'scale must be a finite number above 0; got -1'),
    (lambda: D.Uniform(low=0, high=1).icdf(2),
     'x must be a probability, from 0 to 1; got 2'),                               # defect 17
    (lambda: D.Uniform(low=0, high=1).log_prob(float('nan')), 'x must be a number, not NaN')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
