"""ContinuousBernoulli: accuracy, identities, defects of other libraries, sampling, bad input."""
import accuracy
import chainer
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.integrate
import scipy.stats

import course_lib.distributions as D

LOGITS = [-1e4, -90, -3.1, -2.9, -1.01, -0.99, -1e-3, -1e-8, 1e-30, 0.5, 1.02, 17, 30, 1e4]
XS = [0, 1e-30, 0.2, 0.5, 0.999, 1]
PS = [1e-30, 1e-8, 0.02, 0.3, 0.4999, 0.500001, 0.76, 0.999]


def log_normaliser(z):
    return mpmath.log(mpmath.sinh(z / 2) / (z / 2))


def mean(z):
    return 1 / (1 - mpmath.exp(-z)) - 1 / z


def log_prob(x, logit):
    return logit * (x - mpmath.mpf(1) / 2) - log_normaliser(logit)


def cdf(x, logit):
    return mpmath.expm1(logit * x) / mpmath.expm1(logit)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', XS)
def test_log_prob_of_logit_is_accurate(x, logit):
    accuracy.check(lambda x, logit: D.ContinuousBernoulli(logit=logit).log_prob(x),
                   log_prob, {'logit': logit}, x, continuous=True)


@pytest.mark.parametrize('p', PS)
@pytest.mark.parametrize('x', [0, 0.3, 1])
def test_log_prob_of_p_is_accurate(x, p):
    accuracy.check(lambda x, p: D.ContinuousBernoulli(p=p).log_prob(x),
                   lambda x, p: log_prob(x, mpmath.log(p) - mpmath.log1p(-p)),
                   {'p': p}, x, continuous=True)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('name, reference', [
    ('mean', mean),
    ('variance', lambda z: 1 / z ** 2 - mpmath.exp(-z) / (1 - mpmath.exp(-z)) ** 2),
    ('entropy', lambda z: log_normaliser(z) - z * (mean(z) - mpmath.mpf(1) / 2))])
def test_moments_and_entropy_are_accurate(logit, name, reference):
    accuracy.check(lambda logit: getattr(D.ContinuousBernoulli(logit=logit), name),
                   lambda logit: reference(logit), {'logit': logit})


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', [1e-30, 0.2, 0.7, 0.999])
@pytest.mark.parametrize('method, reference', [
    ('cdf', cdf),
    ('log_cdf', lambda x, logit: mpmath.log(cdf(x, logit))),
    ('survival_function', lambda x, logit: cdf(1 - x, -logit)),
    ('log_survival_function', lambda x, logit: mpmath.log(cdf(1 - x, -logit))),
    ('icdf', lambda x, logit: mpmath.log1p(x * mpmath.expm1(logit)) / logit)])
def test_distribution_functions_are_accurate(x, logit, method, reference):
    accuracy.check(lambda x, logit: getattr(D.ContinuousBernoulli(logit=logit), method)(x),
                   reference, {'logit': logit}, x, continuous=True)


@pytest.mark.parametrize('z1', LOGITS)
@pytest.mark.parametrize('z2', [-1e4, -3.5, 1e-8, 0.5001, 30, 1.3e4])
def test_kl_is_accurate(z1, z2):
    accuracy.check(
        lambda z1, z2: chainer.kl_divergence(
            D.ContinuousBernoulli(logit=z1), D.ContinuousBernoulli(logit=z2)),
        lambda z1, z2: log_normaliser(z2) - log_normaliser(z1)
        - (mean(z1) - mpmath.mpf(1) / 2) * (z2 - z1), {'z1': z1, 'z2': z2})


def test_at_logit_zero_it_is_the_uniform_distribution():
    z = chainer.Variable(numpy.zeros(3))
    d = D.ContinuousBernoulli(logit=z)
    x = numpy.array([0, 0.25, 1])
    y = d.log_prob(x)
    y.grad = numpy.ones(3)
    y.backward()
    numpy.testing.assert_array_equal(y.array, 0)
    numpy.testing.assert_array_equal(z.grad, x - 0.5)
    for method in ('cdf', 'icdf'):
        numpy.testing.assert_array_equal(getattr(d, method)(x).array, x)
    numpy.testing.assert_allclose(d.variance.array, 1 / 12)
    for name, value in {'mean': 0.5, 'mode': 0.5, 'entropy': 0}.items():
        numpy.testing.assert_array_equal(getattr(d, name).array, value)
    numpy.testing.assert_array_equal(chainer.kl_divergence(d, d).array, 0)


def test_torch_defect_probabilities_are_not_clamped():
    """torch: ContinuousBernoulli(logits=30).log_prob(1) is 2.769."""
    d = D.ContinuousBernoulli(logit=numpy.float32(30))
    assert abs(d.log_prob(1).item() - numpy.log(30)) < 1e-6


@pytest.mark.parametrize('logit', [-20, -1, 0, 0.7, 8])
def test_density_integrates_to_one(logit):
    d = D.ContinuousBernoulli(logit=numpy.float64(logit))
    total, _ = scipy.integrate.quad(lambda x: d.prob(x).item(), 0, 1)
    assert abs(total - 1) < 1e-10


def test_outside_the_support_the_density_is_zero_with_zero_gradient():
    x = chainer.Variable(numpy.array([-0.1, 0.5, 1.1, numpy.inf]))
    z = chainer.Variable(numpy.array([1.0, 2, 3, 4]))
    y = D.ContinuousBernoulli(logit=z).log_prob(x)
    assert numpy.isneginf(y.array).tolist() == [True, False, True, True]
    y.grad = numpy.ones(4)
    y.backward()
    assert (x.grad != 0).tolist() == (z.grad != 0).tolist() == [False, True, False, False]
    d = D.ContinuousBernoulli(logit=0.3)
    assert d.cdf([-1, 2]).array.tolist() == [0, 1]
    assert d.survival_function([-1, 2]).array.tolist() == [1, 0]


@pytest.mark.parametrize('method', ['log_prob', 'cdf', 'log_survival_function', 'icdf'])
def test_double_backward(method):
    r = numpy.random.RandomState(1)
    x, z, g = numpy.linspace(0.1, 0.9, 5), numpy.array([-7, -0.5, 0.4, 2.5, 9]), r.randn(5)
    gradient_check.check_double_backward(
        lambda x, z: getattr(D.ContinuousBernoulli(logit=z), method)(x),
        (x, z), g, (r.randn(5), r.randn(5)), dtype='d', atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name, ends', [
    ('cdf', [0, 1]), ('log_cdf', [-numpy.inf, 0]), ('survival_function', [1, 0]),
    ('log_survival_function', [0, -numpy.inf])])
@pytest.mark.parametrize('logit', [-2., 0., 3.])
def test_the_curves_are_flat_outside(name, ends, logit):
    z, x = chainer.Variable(numpy.array(logit)), chainer.Variable(numpy.array([-0.5, 1.5, 0.4]))
    y = getattr(D.ContinuousBernoulli(logit=z), name)(x)
    in_x, in_z = chainer.grad([chainer.functions.sum(y[:2])], [x, z])
    assert y.array[:2].tolist() == ends
    assert in_x.array.tolist() == [0, 0, 0] and in_z.array == 0
    y = getattr(D.ContinuousBernoulli(logit=z), name)(x[2])
    assert y.array == getattr(D.ContinuousBernoulli(logit=z), name)(x).array[2]


def test_mode_is_the_favoured_end():
    assert D.ContinuousBernoulli(0.3).mode.array == 0
    assert D.ContinuousBernoulli(logit=[-2., 0., 1e-8]).mode.array.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize('logit', [-1e4, -3, 0, 0.5, 40])
def test_samples_follow_the_cdf(logit):
    """Kolmogorov-Smirnov with a fixed seed; false alarm at p < 1e-4."""
    d = D.ContinuousBernoulli(logit=numpy.float64(logit))
    x = d.sample(20000, rng=3).array
    assert scipy.stats.kstest(x, lambda t: d.cdf(t).array).pvalue > 1e-4


@pytest.mark.parametrize('logit', [-5., -1e-6, 2., 50.])
def test_gradient_of_samples_is_the_gradient_of_the_expectation(logit):
    """The mean gradient of draws against d mean / d logit, within 4.5 standard errors (7e-6)."""
    z = chainer.Variable(numpy.full(40000, logit))
    x = D.ContinuousBernoulli(logit=z).sample(rng=5)
    x.grad = numpy.ones_like(x.array)
    x.backward()
    expected = D.ContinuousBernoulli(logit=numpy.float64(logit)).variance.item()
    assert abs(z.grad.mean() - expected) < 4.5 * z.grad.std() / 200


def test_sampling_is_reproducible_and_leaves_the_global_state_alone():
    d = D.ContinuousBernoulli(p=numpy.float32([0.2, 0.7]))
    before = numpy.random.get_state()[1].copy()
    first, second = d.sample(4, rng=7).array, d.sample(4, rng=7).array
    numpy.testing.assert_array_equal(first, second)
    assert first.dtype == numpy.float32 and first.shape == (4, 2)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], before)


@pytest.mark.parametrize('logit, x, shape', [
    (0.5, 0, ()), ([1, 2], True, (2,)), (numpy.zeros((3, 1), 'e'), [0.5, 0.1], (3, 2)),
    (chainer.Variable(numpy.zeros(2)), numpy.float32(0.5), (2,))])
def test_inputs_of_any_kind_broadcast(logit, x, shape):
    assert D.ContinuousBernoulli(logit=logit).log_prob(x).shape == shape


@pytest.mark.parametrize('make, message', [
    (lambda: D.ContinuousBernoulli(), 'neither'),
    (lambda: D.ContinuousBernoulli(p=0.5, logit=0.), 'p and logit'),
    (lambda: D.ContinuousBernoulli(p=1.), 'strictly between 0 and 1; got 1'),
    (lambda: D.ContinuousBernoulli(p=[0.5, 0.]), 'strictly between 0 and 1; got 0'),
    (lambda: D.ContinuousBernoulli(logit=numpy.inf), 'a finite real number; got inf'),
    (lambda: D.ContinuousBernoulli(logit=0.).log_prob(numpy.nan), 'x must be a number'),
    (lambda: D.ContinuousBernoulli(logit=0.).icdf(2), 'u must be a probability'),
    (lambda: D.ContinuousBernoulli(logit=[0., 1]).log_prob([0., 1, 1]), 'does not broadcast')])
def test_bad_input_is_refused_with_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
