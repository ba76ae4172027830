"""Checks that apply to every continuous family alike."""
import accuracy
import chainer
from chainer import gradient_check
import mpmath
import numpy
import scipy.stats

import course_lib.distributions as D

SIGNIFICANCE = 1e-4  # false-alarm rate of one statistical test; the seeds are fixed


def check_curves(make, scipy_dist, x, p, rtol=1e-9):
    """cdf, survival function, their logarithms, and icdf, against SciPy in float64."""
    d = make()
    x = numpy.asarray(x, numpy.float64)
    for ours, theirs in (('cdf', 'cdf'), ('survival_function', 'sf'), ('log_cdf', 'logcdf'),
                         ('log_survival_function', 'logsf')):
        numpy.testing.assert_allclose(
            getattr(d, ours)(x).array, getattr(scipy_dist, theirs)(x), rtol=rtol, err_msg=ours)
    p = numpy.asarray(p, numpy.float64)
    numpy.testing.assert_allclose(d.icdf(p).array, scipy_dist.ppf(p), rtol=rtol, err_msg='icdf')
    numpy.testing.assert_allclose(d.cdf(d.icdf(p)).array, p, rtol=1e-9, err_msg='cdf of icdf')


def check_moments(d, scipy_dist):
    """Mean, variance, standard deviation and entropy against SciPy."""
    mean, variance = scipy_dist.stats('mv')
    for ours, theirs in ((d.mean, mean), (d.variance, variance), (d.stddev, variance ** 0.5),
                         (d.entropy, scipy_dist.entropy())):
        assert ours.shape == d.batch_shape
        numpy.testing.assert_allclose(ours.array, theirs, rtol=1e-12, atol=1e-12)


def check_double_backward(f, *arrays):
    """Second derivatives of ``f(*arrays)`` against finite differences of the first."""
    rng = numpy.random.default_rng(0)
    arrays = [numpy.asarray(a, numpy.float64) for a in arrays]
    gy = rng.normal(size=numpy.broadcast_shapes(*[a.shape for a in arrays]))
    gradient_check.check_double_backward(
        f, tuple(arrays), gy, tuple(rng.normal(size=a.shape) for a in arrays),
        dtype=numpy.float64, eps=1e-4, atol=1e-5, rtol=1e-4)


def check_outside(log_prob, x, *params):
    """A value outside the support: log_prob -inf, and a gradient of exactly 0 in everything."""
    variables = [chainer.Variable(numpy.array(v, numpy.float32)) for v in (x, *params)]
    y = log_prob(*variables)
    y.backward()
    assert y.array == -numpy.inf
    assert [float(v.grad) for v in variables] == [0] * len(variables)


def check_sampler(make, scipy_dist):
    """Kolmogorov-Smirnov test of 20,000 draws, in every precision."""
    for dtype in (numpy.float32, numpy.float64):
        x = make(dtype).sample(20000, rng=1)
        assert x.dtype == dtype
        assert scipy.stats.kstest(x.array, scipy_dist.cdf).pvalue > SIGNIFICANCE
    x = make(numpy.float16).sample((2, 3), rng=1)
    assert x.dtype == numpy.float16 and x.shape == (2, 3)


def check_seeds(d):
    """The same seed gives the same draws, another gives others; the global state is untouched."""
    before = numpy.random.get_state()[1].tolist()
    first, again, other = (d.sample(5, rng=seed).array for seed in (7, 7, 8))
    assert numpy.array_equal(first, again) and not numpy.array_equal(first, other)
    assert numpy.random.get_state()[1].tolist() == before
    assert not numpy.array_equal(d.sample(5).array, d.sample(5).array)


def check_pathwise(make, **params):
    """The gradient of a sample in each parameter against finite differences with the same seed."""
    params = {k: numpy.array(v, numpy.float64) for k, v in params.items()}
    variables = {k: chainer.Variable(v) for k, v in params.items()}
    assert make(**variables).has_rsample
    chainer.functions.sum(make(**variables).sample(50, rng=3)).backward()
    for name, value in params.items():
        h = 1e-6
        up, down = (make(**dict(params, **{name: value + s})).sample(50, rng=3).array.sum()
                    for s in (h, -h))
        numpy.testing.assert_allclose(variables[name].grad, (up - down) / (2 * h), rtol=1e-5)


def check_kl(make_p, make_q, reference, params):
    """A divergence and its gradients against mpmath; ``params`` belong to p, then to q."""
    n = len(params) // 2
    names = [f'{name}{i}' for i in (1, 2) for name in ('a', 'b')[:n]]

    def kl(**v):
        v = [v[name] for name in names]
        return chainer.kl_divergence(make_p(*v[:n]), make_q(*v[n:]))
    accuracy.check(kl, lambda **v: reference(*[v[name] for name in names]),
                   dict(zip(names, params)))


def check_kl_by_sampling(p, q):
    """A divergence against the mean of log p - log q over 100,000 samples, 5 standard errors."""
    x = p.sample(100000, rng=5)
    difference = (p.log_prob(x) - q.log_prob(x)).array.astype(numpy.float64)
    error = difference.std() / len(difference) ** 0.5
    assert abs(float(chainer.kl_divergence(p, q).array) - difference.mean()) < 5 * error + 1e-6


def check_kl_with_narrow_and_wide_normal(family, kl_from_normal, kl_to_normal):
    """The divergence from a Normal whose scale float32 cannot hold, and to one whose square is inf.

    Args:
        family: Class of the other distribution, of a loc and a scale.
        kl_from_normal, kl_to_normal: References, functions of loc1, scale1, loc2, scale2.
    """
    params = {'loc1': 0.2, 'a': -110., 'loc2': -0.5, 'b': 0.7}
    accuracy.check(
        lambda loc1, a, loc2, b: chainer.kl_divergence(
            D.Normal(loc1, log_scale=a), family(loc2, b)),
        lambda loc1, a, loc2, b: kl_from_normal(loc1, mpmath.exp(a), loc2, b), params)
    accuracy.check(
        lambda loc1, a, loc2, b: chainer.kl_divergence(
            family(loc1, b), D.Normal(loc2, log_scale=a)),
        lambda loc1, a, loc2, b: kl_to_normal(loc1, b, loc2, mpmath.exp(a)),
        dict(params, a=100.))
