"""Binomial: accuracy, identities and bad input."""
import accuracy
import chainer
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0, 0), (0, 1), (1, 1), (0, 10), (4, 10), (10, 10), (500, 1000), (1, 10 ** 7),
         (5000001, 10 ** 7), (10 ** 7 - 3, 10 ** 7)]
PS = [1e-30, 1e-7, 0.02, 0.4, 0.5, 0.501, 0.999]
LOGITS = [-1e4, -100, -16, -0.4, -1e-8, 4e-7, 0.1, 17, 1e4]


def choose(n, x):
    return mpmath.loggamma(n + 1) - mpmath.loggamma(x + 1) - mpmath.loggamma(n - x + 1)


@pytest.mark.parametrize('p', PS)
@pytest.mark.parametrize('x, n', CASES)
def test_log_prob_of_p_is_accurate(x, n, p):
    accuracy.check(lambda x, p: D.Binomial(n, p).log_prob(x),
                   lambda x, p: choose(n, x) + x * mpmath.log(p) + (n - x) * mpmath.log1p(-p),
                   {'p': p}, x)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x, n', CASES)
def test_log_prob_of_logit_is_accurate(x, n, logit):
    accuracy.check(
        lambda x, z: D.Binomial(n, logit=z).log_prob(x),
        lambda x, z: choose(n, x) - x * mpmath.log1p(mpmath.exp(-z))
        - (n - x) * mpmath.log1p(mpmath.exp(z)), {'z': logit}, x)


def test_gradient_at_logit_zero():
    """NumPyro answers 4 for the first."""
    z = chainer.Variable(numpy.zeros(2, 'f'))
    chainer.functions.sum(D.Binomial(10, logit=z).log_prob([4, 5])).backward()
    assert z.grad.tolist() == [-1, 0]


def bernoulli_kl(name, a, b):
    if name == 'p':
        return a * mpmath.log(a / b) + (1 - a) * mpmath.log((1 - a) / (1 - b))
    p = 1 / (1 + mpmath.exp(-a))
    return mpmath.log1p(mpmath.exp(b)) - mpmath.log1p(mpmath.exp(a)) - p * (b - a)


@pytest.mark.parametrize('name, a, b', [
    ('p', 0.3, 0.30001), ('p', 1e-20, 0.5), ('p', 0.9, 1e-30), ('logit', -1e4, 3),
    ('logit', 0, 29), ('logit', -2, 20), ('logit', 1.5, 1.5001)])
def test_kl_is_accurate(name, a, b):
    accuracy.check(
        lambda a, b: chainer.kl_divergence(
            D.Binomial(12, **{name: a}), D.Binomial(12, **{name: b})),
        lambda a, b: 12 * bernoulli_kl(name, a, b), {'a': a, 'b': b})


def test_kl_at_the_edges_and_between_parametrisations():
    def kl(p, q):
        return chainer.kl_divergence(p, q).array
    assert kl(D.Binomial(4, 0.), D.Binomial(4, 0.)) == kl(D.Binomial(4, 1.), D.Binomial(4, 1.)) == 0
    assert kl(D.Binomial(4, 0.5), D.Binomial(4, 0.)) == numpy.inf
    numpy.testing.assert_allclose(kl(D.Binomial(4, 0.), D.Binomial(4, 0.5)), 4 * numpy.log(2),
                                  rtol=1e-6)
    numpy.testing.assert_allclose(
        kl(D.Binomial(4, 0.5), D.Binomial(4, logit=1.)), 4 * float(bernoulli_kl('logit', 0, 1)),
        rtol=1e-6)
    q = chainer.Variable(numpy.float32([0, 0.5, 1, 0.5]))
    chainer.functions.sum(
        chainer.kl_divergence(D.Binomial(4, [0., 0, 1, 1]), D.Binomial(4, q))).backward()
    assert q.grad.tolist() == [4, 8, -4, -8]
    with pytest.raises(ValueError, match='needs the same n on both sides; got n=4.0 and n=5.0'):
        kl(D.Binomial(4, 0.5), D.Binomial(5, 0.5))


def test_certain_outcomes():
    p = chainer.Variable(numpy.float32([0, 1, 0, 1]))
    y = D.Binomial(3, p).log_prob([0, 3, 1, 2])
    chainer.functions.sum(y).backward()
    assert y.array.tolist() == [0, 0, -numpy.inf, -numpy.inf]
    assert p.grad.tolist() == [-3, 3, numpy.inf, -numpy.inf]


@pytest.mark.parametrize('x, words', [
    (4, 'from 0 to n; got 4 where n is 3'), (-1, '0 or more; got -1'), (1.5, 'got 1.5'),
    (numpy.nan, 'got nan')])
def test_impossible_observations(x, words):
    with pytest.raises(ValueError, match='Binomial: x must be a whole number.*' + words):
        D.Binomial([9, 3], 0.3).log_prob([2, x])
    for name in 'p', 'logit':
        v = chainer.Variable(numpy.float32([0.3, 0.3]))
        with D.validation(False):
            y = D.Binomial([9, 3], **{name: v}).log_prob(numpy.float32([9, x]))
        chainer.functions.sum(y).backward()
        assert y.array[1] == -numpy.inf and v.grad[1] == 0 and v.grad[0] > 0


@pytest.mark.parametrize('arguments, error, words', [
    ({'n': 3}, ValueError, 'either p or logit, exactly one of them; got neither'),
    ({'n': 2.5, 'p': 0.1}, ValueError, 'n must be a whole number, 0 or more; got 2.5'),
    ({'n': -1, 'p': 0.1}, ValueError, 'n must be a whole number, 0 or more; got -1'),
    ({'n': 3, 'p': 1.1}, ValueError, 'p must be a probability, from 0 to 1; got 1.1'),
    ({'n': 3, 'logit': numpy.inf}, ValueError, 'logit must be a finite real number'),
    ({'n': [1, 2], 'p': [0.1] * 3}, ValueError, 'do not broadcast: n \\(2,\\), p \\(3,\\)')])
def test_bad_parameters(arguments, error, words):
    with pytest.raises(error, match=words):
        D.Binomial(**arguments)


@pytest.mark.parametrize('name', ['p', 'logit'])
def test_double_backward(name):
    x, n, one = numpy.array([0, 1, 4, 7]), numpy.array([3, 3, 9, 7]), numpy.ones(4)
    value = numpy.array([0.3, 0.45, 0.6, 0.2])
    options = dict(atol=1e-4, rtol=1e-4, dtype='d')
    for method in 'log_prob', 'cdf', 'survival_function':
        gradient_check.check_double_backward(
            lambda v: getattr(D.Binomial(n, **{name: v}), method)(x), value, one, one, **options)
    gradient_check.check_double_backward(
        lambda v, w: chainer.kl_divergence(
            D.Binomial(n, **{name: v}), D.Binomial(n, **{name: w})),
        (value, value[::-1].copy()), one, (one, one), **options)


@pytest.mark.parametrize('name', ['p', 'logit'])
def test_moments_and_cdf_agree_with_scipy(name):
    n = numpy.array([[1], [5], [40], [10 ** 6]])
    p = numpy.array([[0.2], [0.4], [0.95], [1e-5]])
    d = D.Binomial(n, p) if name == 'p' else D.Binomial(n, logit=numpy.log(p) - numpy.log1p(-p))
    s = scipy.stats.binom(n, p)
    x = numpy.array([-1, 0, 0.5, 1, 2.5, 30, 10 ** 6, 10 ** 8])
    for got, expected in [(d.mean, s.mean()), (d.variance, s.var()), (d.stddev, s.std()),
                          (d.cdf(x), s.cdf(x)), (d.survival_function(x), s.sf(x))]:
        numpy.testing.assert_allclose(got.array, expected, rtol=1e-8)
    assert d.mode.array.ravel().tolist() == [0, 2, 38, 10]
    assert D.Binomial(3, 1.).mode.array == 3
    with pytest.raises(NotImplementedError, match='no closed form for entropy'):
        d.entropy


def test_gradient_of_cdf_against_finite_differences():
    x, n, p, h = numpy.array([0, 2, 3]), 3, numpy.array([0.2, 0.6, 0.7]), 1e-6
    v = chainer.Variable(p)
    chainer.functions.sum(D.Binomial(n, v).cdf(x)).backward()
    difference = D.Binomial(n, p + h).cdf(x).array - D.Binomial(n, p - h).cdf(x).array
    numpy.testing.assert_allclose(v.grad, difference / (2 * h), atol=1e-8)


def test_shapes_and_dtypes():
    d = D.Binomial(numpy.array([[5], [6]]), numpy.float32([0.1, 0.2, 0.3]))
    assert d.batch_shape == (2, 3) and d.log_prob(numpy.zeros((4, 1, 1), 'i')).shape == (4, 2, 3)
    assert d.log_prob(0).dtype == d.sample().dtype == numpy.float32
    assert D.Binomial(5, numpy.float16(0.5)).log_prob(True).dtype == numpy.float16
    numpy.testing.assert_allclose(d.prob(numpy.arange(7)[:, None, None] % 6).array.sum(0)[0],
                                  1 + d.prob(0).array[0], rtol=1e-5)


def test_samples_fit_by_chi_square():
    """False-alarm rate 1e-4, with a fixed seed."""
    draws = D.Binomial(6, [0.2, 0.7]).sample(20000, rng=1).array
    for column, p in zip(draws.T, [0.2, 0.7]):
        observed = [(column == j).sum() for j in range(7)]
        expected = 20000 * scipy.stats.binom.pmf(range(7), 6, p)
        assert scipy.stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-4


def test_samples_are_reproducible_and_leave_the_global_state_alone():
    d = D.Binomial(numpy.array([[3], [0]]), numpy.float32([0.5]))
    state = numpy.random.get_state()[1].tolist()
    a, b = (d.sample((3, 2), rng=7).array for _ in range(2))
    numpy.testing.assert_array_equal(a, b)
    assert numpy.random.get_state()[1].tolist() == state
    assert a.shape == (3, 2, 2, 1) and (a[:, :, 1] == 0).all() and not d.has_rsample


@pytest.mark.parametrize('n', [2049, 100000])
def test_n_is_not_rounded_to_float16(n):
    d = D.Binomial(n, numpy.float16(0.5))
    assert d.n.array == n and d.log_prob(n).dtype == d.mean.dtype == numpy.float16
    for x in (n // 2, 2049 if n == 2049 else n // 2 + 100):
        numpy.testing.assert_allclose(
            d.log_prob(x).array.astype('f'), scipy.stats.binom.logpmf(x, n, 0.5), rtol=1e-3)
    numpy.testing.assert_allclose(
        [float(d.mean.array), float(d.stddev.array), float(d.cdf(n // 2).array)],
        [n / 2, n ** 0.5 / 2, scipy.stats.binom.cdf(n // 2, n, 0.5)], rtol=1e-3)
    numpy.testing.assert_allclose(
        float(D.Binomial(n, logit=numpy.float16(-17)).stddev.array),
        (n * numpy.exp(-17)) ** 0.5, rtol=1e-3)


def test_no_trials():
    p = chainer.Variable(numpy.float32([0, 0.5, 1]))
    y = D.Binomial(0, p).log_prob(0)
    chainer.functions.sum(y).backward()
    assert y.array.tolist() == p.grad.tolist() == [0, 0, 0]
    assert chainer.kl_divergence(D.Binomial(0, 0.5), D.Binomial(0, 0.)).array == 0


@pytest.mark.parametrize('n, x, p', [(10 ** 9, 30, 1e-8), (10 ** 12, 90, 1e-10),
                                     (2 * 10 ** 7, 4, 3e-7)])
def test_both_tails_of_rare_events_are_accurate(n, x, p):
    d = D.Binomial(n, numpy.float64(p))
    with mpmath.mp.workdps(60):
        q = mpmath.mpf(p)
        below = mpmath.fsum(mpmath.binomial(n, i) * q ** i * (1 - q) ** (n - i)
                            for i in range(x + 1))
        expected = float(below), float(1 - below)
    numpy.testing.assert_allclose([float(d.cdf(x).array), float(d.survival_function(x).array)],
                                  expected, rtol=1e-9)


def test_kl_for_different_n_is_estimated():
    estimate = D.kl_divergence(D.Binomial(3, 0.5), D.Binomial(5, 0.5), n_samples=20000, rng=1)
    k = numpy.arange(4)
    exact = numpy.sum(scipy.stats.binom.pmf(k, 3, 0.5) * (
        scipy.stats.binom.logpmf(k, 3, 0.5) - scipy.stats.binom.logpmf(k, 5, 0.5)))
    assert abs(estimate.value.array - exact) < 5 * estimate.standard_error
    with pytest.raises(NotImplementedError, match='infinite where the first n is the larger'):
        D.kl_divergence(D.Binomial(5, 0.5), D.Binomial(3, 0.5))
