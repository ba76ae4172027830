"""DiscretizedLogistic: accuracy, normalisation, sampling, bad input."""
import accuracy
import chainer
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

GREY = dict(low=0, high=255, n_levels=256)
SIGNED = dict(low=-1, high=1, n_levels=256)


def softplus(t):
    return max(t, 0) + mpmath.log1p(mpmath.exp(-abs(t)))


def log_prob(x, loc, log_scale):
    """With levels 0 to 255."""
    s = mpmath.exp(log_scale)
    a, b = (x - mpmath.mpf(1) / 2 - loc) / s, (x + mpmath.mpf(1) / 2 - loc) / s
    if x == 0:
        return -softplus(-b)
    if x == 255:
        return -softplus(a)
    return mpmath.log(-mpmath.expm1(a - b)) - softplus(a) - softplus(-b)


@pytest.mark.parametrize('x', [0, 1, 100, 255])
@pytest.mark.parametrize('loc', [-1e4, 0, 1e-8, 0.4, 99.7, 100, 255, 1e6])
@pytest.mark.parametrize('log_scale', [-23, -2, 0, 1.3, 23])
def test_log_prob_is_accurate(x, loc, log_scale):
    accuracy.check(
        lambda x, loc, log_scale: D.DiscretizedLogistic(loc, log_scale, **GREY).log_prob(x),
        log_prob, {'loc': loc, 'log_scale': log_scale}, x)


@pytest.mark.parametrize('x', [0, 100, 254.7, 3.2])
@pytest.mark.parametrize('loc, log_scale', [(-1e4, 1), (3., -5), (99.7, -1), (260, 2), (0, 23)])
@pytest.mark.parametrize('method, sign', [('log_cdf', 1), ('log_survival_function', -1)])
def test_log_tails_are_accurate(x, loc, log_scale, method, sign):
    accuracy.check(
        lambda x, loc, log_scale: getattr(
            D.DiscretizedLogistic(loc, log_scale, **GREY), method)(x),
        lambda x, loc, log_scale: -softplus(
            -sign * (mpmath.floor(x) + mpmath.mpf(1) / 2 - loc) / mpmath.exp(log_scale)),
        {'loc': loc, 'log_scale': log_scale}, x)


@pytest.mark.parametrize('log_scale', [-1e4, -800., 800., 1e4])
@pytest.mark.parametrize('x', [0, 3, 4, 255])
def test_no_log_scale_gives_nan(x, log_scale):
    loc, log_scale = chainer.Variable(numpy.array(3.)), chainer.Variable(numpy.array(log_scale))
    y = D.DiscretizedLogistic(loc, log_scale, **GREY).log_prob(x)
    y.backward()
    assert not numpy.isnan([y.array, loc.grad, log_scale.grad]).any()


@pytest.mark.parametrize('levels', [GREY, SIGNED, dict(low=0, high=1, n_levels=2)])
@pytest.mark.parametrize('loc', [-1e3, 0.3, 0.998, 300.])
@pytest.mark.parametrize('log_scale', [-20., -3, 0, 4, 20])
def test_probabilities_sum_to_one(loc, log_scale, levels):
    d = D.DiscretizedLogistic(numpy.float64(loc), log_scale, **levels)
    assert abs(d.prob(d.levels).array.sum() - 1) < 1e-13
    numpy.testing.assert_allclose(
        d.cdf(d.levels).array, numpy.cumsum(d.prob(d.levels).array), rtol=1e-10, atol=1e-14)


def test_levels_may_carry_the_rounding_of_float32():
    pixels = numpy.arange(256, dtype='f') / 127.5 - 1
    d = D.DiscretizedLogistic(0.1, -2., **SIGNED)
    exact = D.DiscretizedLogistic(0.1, -2., **SIGNED).log_prob(d.levels)
    numpy.testing.assert_array_equal(d.log_prob(pixels).array, exact.array)


def test_moments_and_mode():
    d = D.DiscretizedLogistic(numpy.array([0.1, 0.95, -5]), [-3., 2, -20], **SIGNED)
    p, v = d.prob(d.levels[:, None]).array, d.levels[:, None]
    mean = (p * v).sum(axis=0)
    numpy.testing.assert_allclose(d.mean.array, mean, rtol=1e-12)
    numpy.testing.assert_allclose(d.variance.array, (p * (v - mean) ** 2).sum(axis=0), rtol=1e-12)
    numpy.testing.assert_array_equal(d.mode.array, d.levels[p.argmax(axis=0)])
    numpy.testing.assert_allclose(
        d.entropy.array[:2], scipy.stats.entropy(p)[:2], rtol=1e-12)
    assert 0 <= d.entropy.array[2] < 1e-290


def test_cdf_of_any_real_number():
    d = D.DiscretizedLogistic(numpy.float64(100), 2., **GREY)
    assert d.cdf([-numpy.inf, -0.1, 255, 1e9, numpy.inf]).array.tolist() == [0, 0, 1, 1, 1]
    assert d.cdf(99.9).item() == d.cdf(99).item() < d.cdf(100).item()
    numpy.testing.assert_allclose(
        d.cdf(d.levels).array + d.survival_function(d.levels).array, 1, rtol=1e-14)


@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_icdf_inverts_cdf(dtype):
    d = D.DiscretizedLogistic(numpy.zeros((), dtype), -1.5, **SIGNED)
    x = d.levels.astype(dtype)
    numpy.testing.assert_array_equal(d.icdf(d.cdf(x)).array, x)


@pytest.mark.parametrize('loc2, log_scale2', [(0.1, -3.), (0.1000001, -3.), (0.9, 1.), (-1, -6.)])
def test_kl(loc2, log_scale2):
    """Against the sum over levels with 800 digits (the tails reach e^-800)."""
    levels = dict(low=-1, high=1, n_levels=9)
    p = D.DiscretizedLogistic(numpy.float64(0.1), -3., **levels)
    q = D.DiscretizedLogistic(numpy.float64(loc2), log_scale2, **levels)

    def masses(d):
        s, half = mpmath.exp(mpmath.mpf(d.log_scale.item())), mpmath.mpf(1) / 8
        f = [0] + [1 / (1 + mpmath.exp(-(x + half - mpmath.mpf(d.loc.item())) / s))
                   for x in d.levels[:-1]] + [1]
        return [b - a for a, b in zip(f, f[1:])]

    with mpmath.workdps(800):
        true = sum(a * mpmath.log(a / b) for a, b in zip(masses(p), masses(q)))
        assert abs(chainer.kl_divergence(p, q).item() - true) <= 1e-9 * true


def test_double_backward():
    r = numpy.random.RandomState(0)
    x = D.DiscretizedLogistic(0., 0., **SIGNED).levels[[0, 3, 130, 255]]
    for f in (lambda m, s: D.DiscretizedLogistic(m, s, **SIGNED).log_prob(x),
              lambda m, s: D.DiscretizedLogistic(m, s, **SIGNED).log_cdf(x),
              lambda m, s: D.DiscretizedLogistic(m, s, **SIGNED).mean,
              lambda m, s: D.DiscretizedLogistic(m, s, **SIGNED).entropy):
        gradient_check.check_double_backward(
            f, (r.randn(4), r.randn(4)), r.randn(4), (r.randn(4), r.randn(4)),
            dtype='d', atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('loc, log_scale', [(0.1, -1.), (5., -1.), (-1., 1.)])
def test_samples_follow_the_probabilities(loc, log_scale):
    """Chi-square with a fixed seed; false alarm at p < 1e-4."""
    d = D.DiscretizedLogistic(loc, log_scale, low=-1, high=1, n_levels=6)
    x = d.sample(20000, rng=1).array
    counts = (x[:, None] == d.levels.astype('f')).sum(axis=0)
    assert counts.sum() == 20000
    expected = d.prob(d.levels).array.astype('d')
    kept = expected * 20000 > 5
    rest = expected[~kept].sum()
    observed = numpy.append(counts[kept], counts[~kept].sum() if rest else [])
    expected = numpy.append(expected[kept], rest if rest else [])
    if len(expected) > 1:
        p_value = scipy.stats.chisquare(observed, 20000 * expected / expected.sum()).pvalue
        assert p_value > 1e-4


def test_samples_are_reproducible_and_cannot_be_differentiated():
    d = D.DiscretizedLogistic(numpy.zeros(3, 'f'), numpy.zeros((2, 1), 'f'), **GREY)
    x = d.sample((4,), rng=9)
    assert x.shape == (4, 2, 3) and x.dtype == numpy.float32 and not d.has_rsample
    numpy.testing.assert_array_equal(x.array, d.sample((4,), rng=9).array)
    assert d.log_prob(x).shape == (4, 2, 3)


@pytest.mark.parametrize('x', [0.5, -1, 256, numpy.nan, numpy.inf])
def test_what_is_no_level_is_refused(x):
    d = D.DiscretizedLogistic(0., 0., **GREY)
    with pytest.raises(ValueError, match='x must be one of the 256 levels from 0 to 255; got'):
        d.log_prob(x)
    with D.validation(False):
        assert d.log_prob([x, 3]).array[0] == -numpy.inf


@pytest.mark.parametrize('arguments, error, message', [
    ((0., 0., 1, 0, 256), ValueError, 'low must be less than high; got 1 and 0'),
    ((0., 0., 0, 1, 1), ValueError, 'n_levels must be 2 or more; got 1'),
    ((0., 0., 0, 1, 2.5), TypeError, 'n_levels must be an integer; got 2.5'),
    ((0., 0., 'a', 1, 2), TypeError, "low must be one real number; got 'a'"),
    ((0., 0., 0, numpy.inf, 2), ValueError, 'high must be finite'),
    ((numpy.nan, 0., 0, 1, 2), ValueError, 'loc must be a finite real number; got nan'),
    ((0., [1., numpy.inf], 0, 1, 2), ValueError, 'log_scale must be a finite real number')])
def test_bad_parameters_are_refused_with_a_sentence(arguments, error, message):
    with pytest.raises(error, match=message):
        D.DiscretizedLogistic(*arguments)


def test_kl_of_different_levels_is_refused():
    with pytest.raises(ValueError, match='same levels; got 256 levels from 0 to 255 and'):
        chainer.kl_divergence(D.DiscretizedLogistic(0., 0., **GREY),
                              D.DiscretizedLogistic(0., 0., **SIGNED))


def test_mode_and_quantile_of_a_single_distribution():
    d = D.DiscretizedLogistic(0.3, -1., low=-1, high=1, n_levels=5)
    assert d.mode.shape == () and float(d.mode.array) == 0.5
    assert float(d.icdf(0.01).array) == -1 and d.icdf(0.3).shape == ()


def test_draws_in_float16_have_the_right_tail():
    zero, n = numpy.float16(0), 10 ** 6
    d = D.DiscretizedLogistic(zero, zero, low=-8, high=8, n_levels=17)
    wanted = float(numpy.exp(D.DiscretizedLogistic(
        0., 0., low=-8, high=8, n_levels=17).log_prob(-8.).array))
    share = float((d.sample(n, rng=2).array == -8).mean())
    assert abs(share - wanted) < 5 * (wanted / n) ** 0.5   # a false alarm in 1.7 million
