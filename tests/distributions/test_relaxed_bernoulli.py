"""RelaxedBernoulli: accuracy, curves, sampling and its gradient, and bad input."""
import accuracy
import chainer
from chainer import functions as F
import continuous
import mpmath
import numpy
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import course_lib.distributions as D


def log_prob(x, t, z):
    u = t * (mpmath.log(x) - mpmath.log1p(-x)) - z
    return (mpmath.log(t) - abs(u) - 2 * mpmath.log1p(mpmath.exp(-abs(u)))
            - mpmath.log(x) - mpmath.log1p(-x))


@pytest.mark.parametrize('t', [1e-3, 0.5, 1, 1.000001, 50])
@pytest.mark.parametrize('z', [-1e4, -20, 0.02, 1e4])
@pytest.mark.parametrize('x', [1e-30, 1e-6, 0.45, 0.999])
def test_log_prob_is_accurate(x, t, z):
    accuracy.check(lambda x, t, z: D.RelaxedBernoulli(t, z).log_prob(x), log_prob,
                   {'t': t, 'z': z}, x, continuous=True)


@pytest.mark.parametrize('t, z', [(0.3, 0.7), (1, 0), (2.5, -3)])
def test_density_integrates_to_one(t, z):
    d = D.RelaxedBernoulli(numpy.float64(t), numpy.float64(z))
    y = numpy.linspace(-33, 33, 2001)   # logit(x): what lies within 1e-14 of the ends is left out
    x = scipy.special.expit(y)
    total = scipy.integrate.trapezoid(d.prob(x).array * x * scipy.special.expit(-y), y)
    assert total == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize('t, z', [(0.3, 0.7), (1, 0), (2.5, -3)])
def test_curves(t, z):
    d = D.RelaxedBernoulli(numpy.float64(t), numpy.float64(z))
    x = numpy.array([1e-12, 0.01, 0.4, 0.5, 0.99])
    u = t * scipy.special.logit(x) - z
    numpy.testing.assert_allclose(d.cdf(x).array, scipy.special.expit(u), rtol=1e-12)
    numpy.testing.assert_allclose(d.survival_function(x).array, scipy.special.expit(-u), rtol=1e-12)
    numpy.testing.assert_allclose(d.log_cdf(x).array, scipy.special.log_expit(u), rtol=1e-12)
    numpy.testing.assert_allclose(
        d.log_survival_function(x).array, scipy.special.log_expit(-u), rtol=1e-12)
    numpy.testing.assert_allclose(d.icdf(d.cdf(x)).array, x, rtol=1e-9)
    assert d.cdf([-1., 0, 1, 2]).array.tolist() == [0, 0, 1, 1]
    assert d.icdf([0., 1]).array.tolist() == [0, 1]
    numpy.testing.assert_allclose(d.survival_function(0.5).array, scipy.special.expit(z))


CURVES = {
    'cdf': lambda u: 1 / (1 + mpmath.exp(-u)),
    'survival_function': lambda u: 1 / (1 + mpmath.exp(u)),
    'log_cdf': lambda u: -mpmath.log1p(mpmath.exp(-u)),
    'log_survival_function': lambda u: -mpmath.log1p(mpmath.exp(u)), 'icdf': None}


@pytest.mark.parametrize('name', CURVES)
@pytest.mark.parametrize('x, t, z', [(0.3, 0.7, 0.2), (1e-20, 2, 40), (0.9, 0.1, -3), (0.75, 1, 5)])
def test_curves_are_accurate(name, x, t, z):
    def reference(x, t, z):
        odds = mpmath.log(x) - mpmath.log1p(-x)
        if name == 'icdf':
            return CURVES['cdf']((z + odds) / t)
        return CURVES[name](t * odds - z)

    accuracy.check(lambda x, t, z: getattr(D.RelaxedBernoulli(t, z), name)(x), reference,
                   {'t': t, 'z': z}, x, continuous=True)


@pytest.mark.parametrize('name', CURVES)
def test_an_observation_of_another_precision(name):
    d, exact = D.RelaxedBernoulli(0.5, 0.75), D.RelaxedBernoulli(numpy.float64(0.5), 0.75)
    for dtype in (numpy.float16, numpy.float64):
        x = numpy.array([0, 0.25, 0.75, 1], dtype)
        y = getattr(d, name)(x)
        assert y.dtype == numpy.result_type(dtype, numpy.float32)
        numpy.testing.assert_allclose(
            y.array, getattr(exact, name)(x).array, rtol=4 * numpy.finfo(y.dtype).eps)


@pytest.mark.parametrize('t, slopes', [
    (0.5, [0, 0]), (1., [numpy.exp(0.3), numpy.exp(-0.3)]), (2., [numpy.inf, numpy.inf])])
def test_gradient_of_the_quantile_at_the_ends(t, slopes):
    t, z, u = (chainer.Variable(numpy.array(v)) for v in ([t, t], [0.3, 0.3], [0., 1.]))
    in_t, in_z, in_u = chainer.grad([F.sum(D.RelaxedBernoulli(t, z).icdf(u))], [t, z, u])
    assert in_t.array.tolist() == in_z.array.tolist() == [0, 0]
    numpy.testing.assert_allclose(in_u.array, slopes)


def test_slope_of_the_cdf_is_the_density():
    x = chainer.Variable(numpy.array([1e-9, 0.2, 0.9]))
    d = D.RelaxedBernoulli(0.7, numpy.array([-1., 0, 2]))
    F.sum(d.cdf(x)).backward()
    numpy.testing.assert_allclose(x.grad, d.prob(x).array, rtol=1e-6)


def test_double_backward():
    continuous.check_double_backward(
        lambda t, z, x: D.RelaxedBernoulli(t, z).log_prob(x),
        [0.5, 1, 2], [-1, 0, 3], [0.1, 0.5, 0.97])
    for name in CURVES:
        continuous.check_double_backward(
            lambda t, z, x: getattr(D.RelaxedBernoulli(t, z), name)(x),
            [0.5, 1, 2], [-1, 0, 3], [[0.1, 0.55, 0.97], [0.7, 0.2, 0.4]])


@pytest.mark.parametrize('x', [-0.5, 0, 1, 1.5])
def test_outside_the_open_interval(x):
    continuous.check_outside(
        lambda x, t, z: D.RelaxedBernoulli(t, z).log_prob(x), x, 0.5, 1)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_samples_stay_inside_and_have_a_finite_density(dtype):
    t, z = (chainer.Variable(numpy.array(v, dtype)) for v in (0.02, 1.5))
    d = D.RelaxedBernoulli(t, z)
    x = d.sample(2000, rng=1)
    assert x.dtype == dtype and 0 < x.array.min() and x.array.max() < 1
    y = d.log_prob(x)
    assert numpy.isfinite(y.array).all()
    if dtype != numpy.float16:
        F.sum(y).backward()
        assert numpy.isfinite(t.grad) and numpy.isfinite(z.grad)


def test_sampler_follows_the_cdf():
    """Kolmogorov-Smirnov test at a false-alarm rate of 1e-4."""
    d = D.RelaxedBernoulli(numpy.float64(0.6), numpy.float64(-0.4))
    x = d.sample(20000, rng=4).array
    assert scipy.stats.kstest(x, lambda v: d.cdf(v).array).pvalue > continuous.SIGNIFICANCE


def test_reparameterised_gradient():
    """The implicit gradient -(dF/dparameter) / density, at each sample."""
    t, z = chainer.Variable(numpy.array(0.8)), chainer.Variable(numpy.array(0.3))
    d = D.RelaxedBernoulli(t, z)
    assert d.has_rsample
    x = d.sample((), rng=6)
    got = chainer.grad([x], [t, z])
    cdf = d.cdf(chainer.Variable(x.array))
    density = d.prob(x.array).array
    for g, c in zip(got, chainer.grad([cdf], [t, z])):
        assert float(g.array) == pytest.approx(-float(c.array) / float(density), rel=1e-9)


def test_low_temperature_is_bernoulli():
    x = D.RelaxedBernoulli(1e-3, numpy.float64(0.7)).sample(20000, rng=2).array
    p = scipy.special.expit(0.7)
    assert abs((x > 0.5).mean() - p) < 4 * (p * (1 - p) / 20000) ** 0.5   # false alarm: 6e-5
    assert ((x < 1e-3) | (x > 1 - 1e-3)).mean() > 0.99


def test_seed_broadcasting_and_repr():
    d = D.RelaxedBernoulli(0.5, numpy.zeros((2, 3), numpy.float32))
    assert d.batch_shape == (2, 3) and d.sample(4).shape == (4, 2, 3)
    assert len(numpy.unique(d.sample(4, rng=7).array)) == 24
    assert (d.sample(4, rng=7).array == d.sample(4, rng=7).array).all()
    assert repr(D.RelaxedBernoulli(0.5, 1)) == 'RelaxedBernoulli(temperature=0.5, logit=1.)'
    assert set(d.params) == {'temperature', 'logit'} and d.support == '(0, 1)'


@pytest.mark.parametrize('make, fragments', [
    (lambda: D.RelaxedBernoulli(0, 1.), ['temperature must be', 'above 0', 'got 0']),
    (lambda: D.RelaxedBernoulli(-1, 1.), ['temperature', 'got -1']),
    (lambda: D.RelaxedBernoulli(1, numpy.nan), ['logit', 'nan']),
    (lambda: D.RelaxedBernoulli([1, 2], [1, 2, 3]), ['do not broadcast']),
    (lambda: D.RelaxedBernoulli(1, 1.).log_prob(numpy.nan), ['x must be', 'nan']),
    (lambda: D.RelaxedBernoulli(1, 1.).icdf(2), ['from 0 to 1', 'got 2']),
])
def test_bad_input_is_a_sentence(make, fragments):
    with pytest.raises(ValueError) as error:
        make()
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize('name', ['mean', 'variance', 'entropy', 'mode'])
def test_what_has_no_closed_form_is_a_sentence(name):
    with pytest.raises(NotImplementedError, match='no closed form'):
        getattr(D.RelaxedBernoulli(1, 1.), name)
