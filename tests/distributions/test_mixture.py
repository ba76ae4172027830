"""Mixture: accuracy, moments, components of every kind, sampling, and bad input."""
import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

SIGNIFICANCE = 1e-4


def log_normal_density(x, loc, scale):
    z = (x - loc) / scale
    return -z * z / 2 - mpmath.log(scale) - mpmath.log(2 * mpmath.pi) / 2


def log_mean(weights, log_probs):
    return mpmath.log(sum(mpmath.exp(w + l) for w, l in zip(weights, log_probs))
                      / sum(mpmath.exp(w) for w in weights))


@pytest.mark.parametrize('weights', [(0, 0), (1, -2), (-40, 25), (1e4, 0), (-300, 300)])
@pytest.mark.parametrize('x', [0, 0.5, -3, 1e3])
@pytest.mark.parametrize('loc', [(-1, 1), (0.5, 0.5), (-100, 100)])
def test_log_prob_is_accurate(weights, loc, x):
    def make(x, a, b, c, d):
        return D.Mixture(F.stack([a, b]), D.Normal(F.stack([c, d]), 1.)).log_prob(x)
    accuracy.check(
        make, lambda x, a, b, c, d: log_mean(
            (a, b), [log_normal_density(x, m, mpmath.mpf(1)) for m in (c, d)]),
        dict(zip('abcd', weights + loc)), x, continuous=True)


@pytest.mark.parametrize('weights', [(0, 0), (3, -50)])
@pytest.mark.parametrize('x', [0, 4, 1000])
def test_log_prob_of_counts_is_accurate(weights, x):
    def make(x, a, b, c, d):
        return D.Mixture(F.stack([a, b]), D.Poisson(log_lam=F.stack([c, d]))).log_prob(x)
    accuracy.check(
        make, lambda x, a, b, c, d: log_mean(
            (a, b), [x * m - mpmath.exp(m) - mpmath.loggamma(x + 1) for m in (c, d)]),
        dict(zip('abcd', weights + (-1.5, 2))), x)


def test_far_from_every_component_the_gradient_survives():
    """exp, sum and log would say log 0 = -inf, gradient NaN."""
    loc = chainer.Variable(numpy.float32([-100, 100]))
    weights = chainer.Variable(numpy.zeros(2, numpy.float32))
    y = D.Mixture(weights, D.Normal(loc, 1.)).log_prob(1.)
    y.backward()
    assert float(y.array) == pytest.approx(-4902.112, rel=1e-6)
    numpy.testing.assert_allclose(loc.grad, [0, -99], rtol=1e-6)
    numpy.testing.assert_allclose(weights.grad, [-0.5, 0.5], rtol=1e-6)


def test_double_backward():
    rng = numpy.random.default_rng(3)
    weights, loc, x = rng.normal(size=3), rng.normal(size=(4, 3)), rng.normal(size=4)
    for name in ('log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function'):
        gradient_check.check_double_backward(
            lambda w, m, x: getattr(D.Mixture(w, D.Normal(m, 1.)), name)(x),
            (weights, loc, x), rng.normal(size=4),
            (rng.normal(size=3), rng.normal(size=(4, 3)), rng.normal(size=4)),
            dtype='d', eps=1e-5, atol=1e-4, rtol=1e-4)


def test_moments_and_curves():
    weights, loc, scale = [0.2, 0.5, 0.3], numpy.array([-2., 0, 3]), numpy.array([1., 0.5, 2])
    d = D.Mixture(numpy.log(weights), D.Normal(loc, scale))
    parts = scipy.stats.norm(loc, scale)
    mean = numpy.dot(weights, loc)
    assert float(d.mean.array) == pytest.approx(mean)
    assert float(d.variance.array) == pytest.approx(
        numpy.dot(weights, scale ** 2 + loc ** 2) - mean ** 2)
    assert float(d.stddev.array) == pytest.approx(float(d.variance.array) ** 0.5)
    x = numpy.array([-30., -1, 0.2, 5])
    for ours, theirs in (('cdf', parts.cdf), ('survival_function', parts.sf), ('prob', parts.pdf)):
        expected = theirs(x[:, None]) @ weights
        numpy.testing.assert_allclose(getattr(d, ours)(x).array, expected, rtol=1e-9)
    numpy.testing.assert_allclose(d.log_cdf(x).array, numpy.log(d.cdf(x).array), rtol=1e-9)
    numpy.testing.assert_allclose(
        d.log_survival_function(x).array, numpy.log(d.survival_function(x).array),
        rtol=1e-9, atol=1e-15)


def test_variance_of_distant_narrow_components_in_float32():
    d = D.Mixture([0., 0.], D.Normal(numpy.float32([1e4, 1e4 + 1]), numpy.float32(1e-3)))
    assert float(d.variance.array) == pytest.approx(0.250001, rel=1e-6)


@pytest.mark.parametrize('components, x', [
    (lambda: D.Poisson([1., 5., 20.]), numpy.arange(200)),
    (lambda: D.Geometric([0.2, 0.5, 0.9]), numpy.arange(1, 200)),
    (lambda: D.ZeroInflated(D.Poisson([1., 5., 20.]), gate=0.3), numpy.arange(200)),
    (lambda: D.Bernoulli(p=[0.1, 0.5, 0.9]), numpy.arange(2)),
    (lambda: D.Categorical(p=[[0.5, 0.5, 0], [0.1, 0.2, 0.7], [0, 0, 1]]), numpy.arange(3)),
])
def test_probabilities_of_discrete_mixtures_sum_to_one(components, x):
    d = D.Mixture(numpy.array([0.3, -0.2, 1]), components())
    assert float(F.sum(d.prob(x)).array) == pytest.approx(1, abs=1e-6)
    assert d.support == components().support
    with pytest.raises(ValueError):
        d.log_prob(0.5)


def test_vector_components():
    rng = numpy.random.default_rng(0)
    loc, weights, x = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(7, 4))
    d = D.Mixture(weights, D.Independent(D.Normal(loc, 1.), 1))
    assert (d.batch_shape, d.event_shape) == ((), (4,))
    parts = scipy.stats.norm(loc, 1).logpdf(x[:, None]).sum(axis=-1)
    pi = numpy.exp(weights) / numpy.exp(weights).sum()
    numpy.testing.assert_allclose(d.log_prob(x).array, numpy.log(numpy.exp(parts) @ pi))
    numpy.testing.assert_allclose(d.mean.array, pi @ loc)
    numpy.testing.assert_allclose(d.variance.array, 1 + pi @ loc ** 2 - (pi @ loc) ** 2)
    assert d.sample((2, 5), rng=0).shape == (2, 5, 4)


@pytest.mark.parametrize('w, c, batch', [
    ((3,), (3,), ()), ((5, 3), (3,), (5,)), ((3,), (5, 3), (5,)), ((2, 1, 3), (5, 3), (2, 5)),
    ((1, 3), (5, 3), (5,))])
def test_weights_and_components_broadcast(w, c, batch):
    """Every position of the batch gets draws of its own."""
    d = D.Mixture(numpy.zeros(w), D.Normal(numpy.zeros(c), 1.))
    assert d.batch_shape == batch and d.mean.shape == batch and d.log_prob(0.).shape == batch
    x = d.sample(4, rng=3)
    assert x.shape == (4,) + batch and len(numpy.unique(x.array)) == x.size


def test_sampler_follows_the_cdf():
    """Kolmogorov-Smirnov test at a false-alarm rate of 1e-4, for each row of the batch."""
    weights = numpy.log([[0.2, 0.8], [0.6, 0.4]])
    d = D.Mixture(weights, D.Normal(numpy.array([-1., 2]), numpy.array([0.5, 1])))
    x = d.sample(20000, rng=5).array
    for row in range(2):
        one = D.Mixture(weights[row], d.components)
        test = scipy.stats.kstest(x[:, row], lambda v: one.cdf(v).array)
        assert test.pvalue > SIGNIFICANCE


def test_component_and_draw_are_independent_under_one_seed():
    """A seed makes one generator for both: the same numbers must not choose and be drawn."""
    d = D.Mixture([0., 0.], D.Uniform(numpy.array([0., 10]), numpy.array([1., 11])))
    x = d.sample(20000, rng=9).array
    assert scipy.stats.kstest(x % 10, 'uniform').pvalue > SIGNIFICANCE
    assert scipy.stats.ks_2samp(x[x < 5], x[x > 5] - 10).pvalue > SIGNIFICANCE
    assert (x == d.sample(20000, rng=9).array).all()


def test_samples_carry_no_gradient():
    assert not D.Mixture.has_rsample
    loc = chainer.Variable(numpy.zeros(2))
    assert D.Mixture([0., 0.], D.Normal(loc, 1.)).sample(3).creator is None


def test_impossible_weight_and_impossible_component():
    weights = chainer.Variable(numpy.array([-numpy.inf, 0., 1.]))
    high = chainer.Variable(numpy.array([1., 2, 3]))
    y = D.Mixture(weights, D.Uniform(numpy.zeros(3), high)).log_prob([0.5, 2.5, 9])
    numpy.testing.assert_allclose(
        numpy.exp(y.array), [0.5 / (1 + numpy.e) + numpy.e / (1 + numpy.e) / 3,
                             numpy.e / (1 + numpy.e) / 3, 0], rtol=1e-12)
    F.sum(y[:2]).backward()
    assert numpy.isfinite(weights.grad).all() and numpy.isfinite(high.grad).all()
    weights.cleargrad(), high.cleargrad()
    y[2].backward()
    assert not weights.grad.any() and not high.grad.any()


def test_pole_of_one_component():
    """A density of +inf outweighs the rest."""
    weights = chainer.Variable(numpy.array([0., 0.]))
    y = D.Mixture(weights, D.Gamma(numpy.array([0.5, 2.]), 1.)).log_prob(0.)
    y.backward()
    assert y.array == numpy.inf
    numpy.testing.assert_allclose(weights.grad, [0.5, -0.5])


def test_params_dtype_and_repr():
    d = D.Mixture([0., 1.], D.Normal([0., 1.], 1.))
    assert set(d.params) == {'weights_logit', 'loc', 'scale'}
    assert d.dtype == d.mean.dtype == d.log_prob(1).dtype == numpy.float32
    assert repr(d) == ('Mixture(weights_logit=[0., 1.], '
                       'components=Normal(loc=[0., 1.], scale=1.))')
    with pytest.raises(NotImplementedError, match='no closed form'):
        d.entropy


def test_components_of_chainer():
    components = chainer.distributions.Normal(
        numpy.zeros(2, numpy.float32), numpy.ones(2, numpy.float32))
    d = D.Mixture(numpy.float32([0, 0]), components)
    assert float(d.log_prob(numpy.float32(0)).array) == pytest.approx(-0.9189385)
    assert d.sample(3).shape == (3,)
    with pytest.raises(TypeError, match='cannot follow an rng'):
        d.sample(3, rng=1)


@pytest.mark.parametrize('error, make, fragments', [
    (TypeError, lambda: D.Mixture([0.], 3), ['components must be a distribution', 'int']),
    (ValueError, lambda: D.Mixture([0., 0.], D.Normal([0.] * 3, 1.)), ['(2,)', '(3,)']),
    (ValueError, lambda: D.Mixture([0., 0.], D.Normal(0., 1.)), ['run over the components', '()']),
    (ValueError, lambda: D.Mixture(0., D.Normal([0.], 1.)), ['run over the components', '()']),
    (ValueError, lambda: D.Mixture([0., numpy.nan], D.Normal([0., 1.], 1.)),
     ['weights_logit', 'nan']),
    (ValueError, lambda: D.Mixture([-numpy.inf] * 2, D.Normal([0., 1.], 1.)), ['weights_logit']),
    (ValueError, lambda: D.Mixture(numpy.zeros((4, 2)), D.Normal(numpy.zeros((3, 2)), 1.)),
     ['do not broadcast']),
    (ValueError, lambda: D.Mixture(numpy.zeros((4, 2)), D.Normal([0., 1.], 1.)).log_prob([1, 2]),
     ['x has shape (2,)', 'batch_shape (4,)']),
])
def test_bad_input_is_a_sentence(error, make, fragments):
    with pytest.raises(error) as caught:
        make()
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_numbers_and_lists_adopt_the_dtype():
    d = D.Mixture([0., 0.], D.Normal([0., 1.], 1.))
    assert d.log_prob(0.).dtype == d.log_prob([0., 1.]).dtype == d.cdf(3).dtype == numpy.float32
    for function in d.log_prob, d.cdf, d.survival_function:
        assert function(numpy.zeros(2)).dtype == numpy.float64
    with pytest.raises(TypeError, match='x must consist of real numbers'):
        d.log_prob([[1., 2.], [3.]])
