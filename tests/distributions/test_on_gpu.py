"""Every distribution on a GPU: the numbers of the CPU, and samplers that follow its own generator.

False alarms: means of samples are allowed 5 standard errors, which a right sampler exceeds once in
1.7 million comparisons; the seeds are fixed.
"""
import chainer
import chainer.functions as F
from families import DISCRETE, FAMILIES
import numpy as np
import pytest

from course_lib import devices
import course_lib.distributions as D

pytestmark = pytest.mark.skipif(not devices.choose().is_gpu, reason='no GPU answers')
every_family = pytest.mark.parametrize('family', FAMILIES.values(), ids=FAMILIES)
xp = devices.choose().device.xp
ABSENT = (NotImplementedError, RuntimeError, AttributeError)


def on_cpu(x):
    return devices.to_numpy(x)


def both(family, params=None):
    """The same distribution on the CPU and on the GPU, in float32."""
    return [family.build(params, dtype=np.float32, xp=module) for module in (np, xp)]


def assert_close(actual, expected, rtol=1e-4, atol=1e-5):
    assert isinstance(actual.array, xp.ndarray)
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    np.testing.assert_allclose(on_cpu(actual), expected.array, rtol=rtol, atol=atol)


@every_family
def test_samples_of_one_generator_agree(family):
    cpu, gpu = both(family)
    x = cpu.sample(64, rng=np.random.default_rng(1))
    assert_close(gpu.sample(64, rng=np.random.default_rng(1)), x, rtol=1e-3)


@every_family
def test_log_prob_agrees(family):
    cpu, gpu = both(family)
    x = cpu.sample(64, rng=np.random.default_rng(1))
    assert_close(gpu.log_prob(xp.asarray(x.array)), cpu.log_prob(x.array))
    assert_close(gpu.prob(xp.asarray(x.array)), cpu.prob(x.array))


@every_family
def test_gradients_agree(family):
    x = family.build(dtype=np.float32).sample(8, rng=1).array
    names = sorted(family.params)
    grads = []
    for module in (np, xp):
        variables = [chainer.Variable(module.asarray(np.float32(family.params[n])))
                     for n in names]
        y = F.sum(family.make(**dict(zip(names, variables))).log_prob(module.asarray(x)))
        grads.append([on_cpu(g.array) for g in chainer.grad([y], variables)])
    for cpu, gpu in zip(*grads):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-3, atol=1e-4)


@every_family
@pytest.mark.parametrize('name', ['mean', 'variance', 'stddev', 'mode', 'entropy', 'covariance'])
def test_moments_agree(family, name):
    cpu, gpu = both(family)
    try:
        expected = getattr(cpu, name)
    except ABSENT as error:
        with pytest.raises(type(error)):
            getattr(gpu, name)
    else:
        assert_close(getattr(gpu, name), expected, rtol=1e-3)


@every_family
@pytest.mark.parametrize('name', ['cdf', 'log_cdf', 'survival_function', 'log_survival_function',
                                  'icdf'])
def test_distribution_functions_agree(family, name):
    cpu, gpu = both(family)
    if name == 'icdf':
        x = np.float32([[0.1], [0.5], [0.7]])
    else:
        x = cpu.sample(64, rng=1).array
    try:
        expected = getattr(cpu, name)(x)
    except ABSENT as error:
        with pytest.raises(type(error)):
            getattr(gpu, name)(xp.asarray(x))
    else:
        assert_close(getattr(gpu, name)(xp.asarray(x)), expected, rtol=1e-3)


@every_family
def test_divergences_agree(family):
    (p, p_gpu), (q, q_gpu) = both(family), both(family, family.other)
    try:
        expected = chainer.kl_divergence(p, q)
    except NotImplementedError:
        pytest.skip('no closed form of this divergence')
    assert_close(chainer.kl_divergence(p_gpu, q_gpu), expected, rtol=1e-3)


@every_family
@pytest.mark.parametrize('rng', [None, 7])
def test_its_own_sampler_has_the_right_mean(family, rng):
    cpu, gpu = both(family)
    n = 20_000
    xp.random.seed(3)
    x = gpu.sample(n, rng=rng)
    assert isinstance(x.array, xp.ndarray)
    if rng is not None:
        np.testing.assert_array_equal(on_cpu(gpu.sample(n, rng=rng)), on_cpu(x))
    values = on_cpu(x).astype(np.float64)
    try:
        mean, variance = cpu.mean.array, cpu.variance.array
        assert np.isfinite(variance).all()
    except (*ABSENT, AssertionError):
        # No moments: half of the draws below the median, or at least all of them possible.
        if family.kind in DISCRETE or cpu.event_shape:
            assert np.isfinite(on_cpu(gpu.log_prob(x))).all()
            return
        values = values < cpu.icdf(np.float32(0.5)).array
        mean, variance = 0.5, 0.25
    error = np.sqrt(variance / n)
    assert (abs(values.mean(axis=0) - mean) < 5 * error + 1e-6).all()


@every_family
def test_bad_input_is_refused_on_the_gpu_too(family):
    gpu = both(family)[1]
    x = gpu.sample(rng=1).array.astype(np.float64)
    x[(0,) * x.ndim] = np.nan
    with pytest.raises(ValueError, match='x must be .*; got nan'):
        gpu.log_prob(x)


def test_arrays_of_two_devices_are_refused():
    with pytest.raises((TypeError, ValueError), match='numpy|cupy|CPU|GPU'):
        D.Normal(xp.zeros(3, np.float32), np.ones(3, np.float32)).log_prob(
            xp.zeros(3, np.float32))
