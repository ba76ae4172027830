"""Negative binomial: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

MEANS = [1e-30, 1e-8, 3, 9.99e6]
CONCENTRATIONS = [1e-3, 1, 7.3, 1e8, 1e10]
COUNTS = [0, 1, 5, 10 ** 7]


def log_prob(x, mu, r):
    return (mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
            - r * mpmath.log1p(mu / r) + (x * mpmath.log(mu / (mu + r)) if x else 0))


@pytest.fixture(autouse=True)
def fewer_digits(monkeypatch):
    """50 for the finite differences, 45 for what cancels at r = 1e10, 15 to spare: 110 is fast."""
    monkeypatch.setattr(accuracy, 'DIGITS', 110)


@pytest.mark.parametrize('r', CONCENTRATIONS)
@pytest.mark.parametrize('mu', MEANS)
@pytest.mark.parametrize('x', COUNTS)
def test_log_prob_of_mean_is_accurate(x, mu, r):
    accuracy.check(
        lambda x, mu, r: D.NegativeBinomial(mean=mu, concentration=r).log_prob(x),
        log_prob, {'mu': mu, 'r': r}, x)


@pytest.mark.parametrize('r', [1e-3, 1, 1e10])
@pytest.mark.parametrize('log_mean', [-1e4, 1e-8, 1.1, 16.118, 1e4])
@pytest.mark.parametrize('x', COUNTS)
def test_log_prob_of_log_mean_is_accurate(x, log_mean, r):
    accuracy.check(
        lambda x, eta, r: D.NegativeBinomial(log_mean=eta, concentration=r).log_prob(x),
        lambda x, eta, r: log_prob(x, mpmath.exp(eta), r), {'eta': log_mean, 'r': r}, x)


@pytest.mark.parametrize('r', [1e-3, 3, 1e10])
@pytest.mark.parametrize('logit', [-1e4, -20, 1e-8, 3, 1e4])
@pytest.mark.parametrize('x', [0, 3, 10 ** 7])
def test_log_prob_of_logit_is_accurate(x, logit, r):
    accuracy.check(
        lambda x, z, r: D.NegativeBinomial(logit=z, concentration=r).log_prob(x),
        lambda x, z, r: log_prob(x, r * mpmath.exp(z), r), {'z': logit, 'r': r}, x)


@pytest.mark.parametrize('log_r', [-100, -3, 1e-8, 23, 100])
@pytest.mark.parametrize('name, a', [('mean', 2.5), ('log_mean', -3.), ('logit', 0.4)])
@pytest.mark.parametrize('x', [0, 3, 1000])
def test_log_prob_of_log_concentration_is_accurate(x, name, a, log_r, monkeypatch):
    monkeypatch.setattr(accuracy, 'DIGITS', 250)
    if name == 'logit' and log_r > 80:
        return   # a mean of 1e260

    def reference(x, a, log_r):
        r = mpmath.exp(log_r)
        return log_prob(x, {'mean': a, 'log_mean': mpmath.exp(a), 'logit': r * mpmath.exp(a)}[name],
                        r)
    accuracy.check(
        lambda x, a, log_r: D.NegativeBinomial(**{name: a, 'log_concentration': log_r}).log_prob(x),
        reference, {'a': a, 'log_r': log_r}, x)


@pytest.mark.parametrize('x', [1, 30, 10 ** 7])
@pytest.mark.parametrize('step', [-1e-3, 1e-6])
def test_near_the_mean(x, step):
    for r in (0.3, 1e5):
        accuracy.check(
            lambda x, mu, r: D.NegativeBinomial(mean=mu, concentration=r).log_prob(x),
            log_prob, {'mu': x * (1 + step), 'r': r}, x)


def test_log_concentrations_at_the_ends_of_their_domain():
    log_r = chainer.Variable(numpy.float32([-650, 650, 650]))
    y = D.NegativeBinomial(mean=3., log_concentration=log_r).log_prob([2, 2, 0])
    F.sum(y).backward()
    poisson = D.Poisson(3.).log_prob([2, 0]).array
    numpy.testing.assert_allclose(y.array[1:], poisson, rtol=1e-6)
    numpy.testing.assert_allclose(y.array[0], -650 - numpy.log(2), rtol=1e-6)
    assert log_r.grad.tolist() == [1, 0, 0]


def test_poisson_limit_where_torch_answers_38():
    y = D.NegativeBinomial(mean=numpy.float32(3), concentration=numpy.float32(1e8)).log_prob(5)
    numpy.testing.assert_allclose(y.array, D.Poisson(3.).log_prob(5).array, rtol=1e-6)


def kl(mu1, mu2, r):
    return (r + mu1) * mpmath.log((r + mu2) / (r + mu1)) + mu1 * mpmath.log(mu1 / mu2)


@pytest.mark.parametrize('mu1', [1e-20, 3, 1e6])
@pytest.mark.parametrize('mu2', [1e-10, 3.0001, 1.001e6])
@pytest.mark.parametrize('r', [1e-3, 4, 1e10])
def test_kl_is_accurate(mu1, mu2, r):
    def ours(name):
        return lambda a, b, r: chainer.kl_divergence(
            D.NegativeBinomial(**{name: a, 'concentration': r}),
            D.NegativeBinomial(**{name: b, 'concentration': r}))
    accuracy.check(ours('mean'), lambda a, b, r: kl(a, b, r), {'a': mu1, 'b': mu2, 'r': r})
    accuracy.check(ours('log_mean'), lambda a, b, r: kl(mpmath.exp(a), mpmath.exp(b), r),
                   {'a': float(numpy.log(mu1)), 'b': float(numpy.log(mu2)), 'r': r})


@pytest.mark.parametrize('z1, z2', [(-300, -290), (-300, 2), (2, -300), (300, 299)])
def test_kl_of_extreme_logits_is_accurate(z1, z2, monkeypatch):
    monkeypatch.setattr(accuracy, 'DIGITS', 450)
    accuracy.check(
        lambda a, b: chainer.kl_divergence(
            D.NegativeBinomial(logit=a, concentration=2.), D.NegativeBinomial(logit=b,
                                                                            concentration=2.)),
        lambda a, b: kl(2 * mpmath.exp(a), 2 * mpmath.exp(b), 2), {'a': z1, 'b': z2},
        dtypes=(numpy.float64,))


def test_kl_only_for_equal_concentrations():
    p = D.NegativeBinomial(mean=3., concentration=2.)
    q = D.NegativeBinomial(mean=3., concentration=2.5)
    with pytest.raises(NotImplementedError, match='only for equal concentrations'):
        chainer.kl_divergence(p, q)
    estimate = D.kl_divergence(p, q, n_samples=20000, rng=1)
    k = numpy.arange(200)
    exact = (p.prob(k).array * (p.log_prob(k).array - q.log_prob(k).array)).sum()
    assert abs(estimate.value.array - exact) < 5 * estimate.standard_error
    zero = D.NegativeBinomial(mean=0., concentration=2.)
    assert chainer.kl_divergence(zero, zero).array == 0
    assert chainer.kl_divergence(p, zero).array == numpy.inf
    mixed = chainer.kl_divergence(p, D.NegativeBinomial(logit=1., log_concentration=numpy.log(2.)))
    numpy.testing.assert_allclose(mixed.array, float(kl(3, 2 * mpmath.e, 2)), rtol=1e-6)


def test_mean_zero():
    mean = chainer.Variable(numpy.zeros(2, 'f'))
    y = D.NegativeBinomial(mean=mean, concentration=2.).log_prob([0, 1])
    F.sum(y).backward()
    assert y.array.tolist() == [0, -numpy.inf] and mean.grad.tolist() == [-1, numpy.inf]


@pytest.mark.parametrize('x, words', [
    (2.5, 'got 2.5'), (-1, 'got -1'), (numpy.nan, 'got nan')])
def test_impossible_observations(x, words):
    with pytest.raises(ValueError, match='x must be a whole number, 0 or more; ' + words):
        D.NegativeBinomial(mean=3., concentration=1.).log_prob(x)
    for name in 'mean', 'log_mean', 'logit':
        a = chainer.Variable(numpy.float32([3, 3]))
        r = chainer.Variable(numpy.float32([2, 2]))
        with D.validation(False):
            y = D.NegativeBinomial(**{name: a}, concentration=r).log_prob(numpy.float32([1, x]))
        F.sum(y).backward()
        assert y.array[1] == -numpy.inf and a.grad[1] == r.grad[1] == 0 and a.grad[0] != 0


@pytest.mark.parametrize('arguments, words', [
    ({'concentration': 1.}, 'either mean or log_mean or logit, exactly one of them; got none'),
    ({'mean': 1., 'logit': 1., 'concentration': 1.}, 'got mean and logit'),
    ({'mean': 1.}, 'either concentration or log_concentration, exactly one of them; got neither'),
    ({'mean': -1., 'concentration': 1.}, 'mean must be a finite number, 0 or more; got -1'),
    ({'mean': 1., 'concentration': 0.}, 'concentration must be a finite number above 0; got 0'),
    ({'mean': 1., 'log_concentration': 1e4}, 'must be a number from -650 to 650; got 10000'),
    ({'mean': 1., 'log_concentration': numpy.nan}, 'from -650 to 650; got nan'),
    ({'log_mean': numpy.inf, 'concentration': 1.}, 'log_mean must be a finite real number')])
def test_bad_parameters(arguments, words):
    with pytest.raises(ValueError, match='NegativeBinomial: .*' + words):
        D.NegativeBinomial(**arguments)


@pytest.mark.parametrize('name', ['mean', 'log_mean', 'logit'])
@pytest.mark.parametrize('concentration', ['concentration', 'log_concentration'])
def test_double_backward(name, concentration):
    x, one = numpy.array([0, 1, 4, 30]), numpy.ones(4)
    a, r = numpy.array([0.3, 1.3, 2.2, 0.9]), numpy.array([0.8, 2.3, 1.4, 14.])
    if concentration == 'log_concentration':
        r = numpy.log(r)
    gradient_check.check_double_backward(
        lambda a, r: D.NegativeBinomial(**{name: a, concentration: r}).log_prob(x),
        (a, r), one, (one, one), atol=1e-4, rtol=1e-4, dtype='d')
    gradient_check.check_double_backward(
        lambda a, b, r: chainer.kl_divergence(
            D.NegativeBinomial(**{name: a, concentration: r}),
            D.NegativeBinomial(**{name: b, concentration: r})),
        (a, a[::-1].copy(), r), one, (one, one, one), atol=1e-4, rtol=1e-4, dtype='d')


@pytest.mark.parametrize('dtype, rtol', [('f', 1e-5), ('d', 1e-8)])
def test_moments_and_cdf_agree_with_scipy(dtype, rtol):
    mean = numpy.array([[1e-6], [0.5], [30], [1e5]], dtype)
    r = numpy.array([[0.1], [3], [1e4], [50]], dtype)
    p = D.NegativeBinomial(mean=mean, concentration=r)
    s = scipy.stats.nbinom(r.astype('d'), r.astype('d') / (r.astype('d') + mean))
    x = numpy.array([-1, 0, 0.5, 3, 30, 1e5], dtype)
    for got, expected in [(p.mean, s.mean()), (p.variance, s.var()), (p.stddev, s.std()),
                          (p.cdf(x), s.cdf(x)), (p.survival_function(x), s.sf(x))]:
        numpy.testing.assert_allclose(got.array, expected, rtol=rtol,
                                      atol=1e-45 if dtype == 'f' else 1e-300)
    assert p.mode.array.ravel().tolist() == [0, 0, 29, 98000]
    for q in (D.NegativeBinomial(log_mean=numpy.log(mean), concentration=r),
              D.NegativeBinomial(logit=numpy.log(mean / r), log_concentration=numpy.log(r))):
        for name in 'mean', 'variance', 'concentration', 'logit', 'log_mean':
            numpy.testing.assert_allclose(getattr(q, name).array, getattr(p, name).array,
                                          rtol=rtol * 3)
    with pytest.raises(NotImplementedError, match='no closed form for entropy'):
        p.entropy


def test_gradient_of_cdf_in_the_mean():
    x, mu, h = numpy.array([0, 2, 30]), numpy.array([0.2, 3., 25]), 1e-5
    v = chainer.Variable(mu)
    F.sum(D.NegativeBinomial(mean=v, concentration=2.).cdf(x)).backward()
    up, down = (D.NegativeBinomial(mean=mu + d, concentration=2.).cdf(x).array for d in (h, -h))
    numpy.testing.assert_allclose(v.grad, (up - down) / (2 * h), rtol=1e-6)
    r = chainer.Variable(numpy.array([2.]))
    with pytest.raises(NotImplementedError, match='no closed-form gradient in the concentration'):
        D.NegativeBinomial(mean=3., concentration=r).cdf(2).backward()


def test_shapes_and_dtypes():
    p = D.NegativeBinomial(log_mean=numpy.zeros((2, 1), 'f'), concentration=[1, 2, 3])
    assert p.batch_shape == (2, 3) and p.log_prob(numpy.zeros((4, 1, 1), 'i')).shape == (4, 2, 3)
    assert p.log_prob(0).dtype == p.sample().dtype == p.mean.dtype == numpy.float32
    half = D.NegativeBinomial(mean=numpy.float16(1), log_concentration=0)
    assert half.log_prob(True).dtype == half.sample().dtype == numpy.float16
    numpy.testing.assert_allclose(p.prob(numpy.arange(60)[:, None, None]).array.sum(0), 1,
                                  rtol=1e-5)


def test_large_arrays_agree_with_scipy():
    rng = numpy.random.default_rng(0)
    mean, r = (numpy.exp(rng.normal(1, 2, (300, 300))).astype('f') for _ in range(2))
    x = rng.poisson(mean)
    got = D.NegativeBinomial(mean=mean, concentration=r).log_prob(x).array
    wide = r.astype('d')
    numpy.testing.assert_allclose(got, scipy.stats.nbinom.logpmf(x, wide, wide / (wide + mean)),
                                  rtol=1e-5)


def test_samples_fit_by_chi_square():
    """False-alarm rate 1e-4, with a fixed seed."""
    n, mean, r = 20000, numpy.array([0.5, 8.]), numpy.array([0.4, 3.])
    draws = D.NegativeBinomial(mean=mean, concentration=r).sample(n, rng=1).array
    for column, s in zip(draws.T, (scipy.stats.nbinom(c, c / (c + m)) for m, c in zip(mean, r))):
        k = numpy.arange(s.ppf(1 - 1e-3) + 1)
        observed = [(column == j).sum() for j in k] + [(column > k[-1]).sum()]
        expected = n * numpy.append(s.pmf(k), s.sf(k[-1]))
        assert scipy.stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-4


def test_samples_are_reproducible_and_leave_the_global_state_alone():
    p = D.NegativeBinomial(mean=numpy.float32([[1], [0]]), concentration=2.)
    state = numpy.random.get_state()[1].tolist()
    a, b = (p.sample((3, 2), rng=7).array for _ in range(2))
    numpy.testing.assert_array_equal(a, b)
    assert numpy.random.get_state()[1].tolist() == state
    assert a.shape == (3, 2, 2, 1) and (a[:, :, 1] == 0).all() and not p.has_rsample


def cdf(k, mu, r):
    with mpmath.mp.workdps(700):
        mu, r = mpmath.mpf(mu), mpmath.mpf(r)
        return mpmath.fsum(mpmath.exp(log_prob(i, mu, r)) for i in range(k + 1))


@pytest.mark.parametrize('dtype, name, a, log_r, k', [
    ('f', 'mean', 300.5, 90, 300), ('d', 'mean', 30.5, 645, 30), ('e', 'mean', 3, 12, 3),
    ('e', 'mean', 3, -18, 3), ('f', 'logit', 100, -100, 0), ('f', 'logit', 100, -99, 3),
    ('f', 'log_mean', 100, -99, 3), ('d', 'log_mean', 40, -600, 3), ('e', 'log_mean', 12, -1, 9),
    ('e', 'logit', -12, 14, 3)])
def test_what_only_the_logarithms_can_hold(dtype, name, a, log_r, k):
    a, log_r = numpy.array(a, dtype), numpy.array(log_r, dtype)
    d = D.NegativeBinomial(**{name: a, 'log_concentration': log_r})
    rtol, limit = {'e': 1e-3, 'f': 1e-6, 'd': 1e-9}[dtype], numpy.finfo(dtype).max
    with mpmath.mp.workdps(700):
        r = mpmath.exp(float(log_r))
        mu = {'mean': float(a), 'log_mean': mpmath.exp(float(a)),
              'logit': r * mpmath.exp(float(a))}[name]
        below, stddev = cdf(k, mu, r), mpmath.sqrt(mu + mu ** 2 / r)
        for got, expected in [
                (d.cdf(k), below), (d.survival_function(k), 1 - below), (d.mean, mu),
                (d.stddev, stddev), (d.variance, stddev ** 2),
                (d.mode, mpmath.floor(mu * (r - 1) / r) if r > 1 else 0)]:
            assert got.dtype == numpy.dtype(dtype)
            expected = float(expected) if expected <= float(limit) else numpy.inf
            numpy.testing.assert_allclose(
                got.array.astype('d'), expected, rtol=rtol,
                atol=float(numpy.finfo(dtype).smallest_subnormal))
    assert d.sample(3, rng=1).dtype == numpy.dtype(dtype)


@pytest.mark.parametrize('name', ['log_mean', 'logit'])
def test_gradient_of_cdf_in_the_logarithm(name):
    x, a, h = numpy.array([0, 2, 30]), numpy.array([-2., 0.4, 3.3]), 1e-5
    v = chainer.Variable(a)
    F.sum(D.NegativeBinomial(**{name: v}, concentration=2.).cdf(x)).backward()
    up, down = (D.NegativeBinomial(**{name: a + d}, concentration=2.).cdf(x).array
                for d in (h, -h))
    numpy.testing.assert_allclose(v.grad, (up - down) / (2 * h), rtol=1e-6)
    one = numpy.ones(3)
    gradient_check.check_double_backward(
        lambda v: D.NegativeBinomial(**{name: v}, concentration=2.).survival_function(x),
        a, one, one, atol=1e-4, rtol=1e-4, dtype='d')


@pytest.mark.parametrize('mu, r, k', [
    (1e15, 1e-3, 5), (1e12, 1e-6, 100), (1e8, 1., 5), (1e8, 1e-3, 50), (1e4, 1e-4, 0),
    (1e7, 1e-3, 30), (1., 1e-12, 3), (1e14, 1e-20, 100), (1e12, 1e-5, 5),
    (100., 1e7, 10), (100., 1e10, 10), (100., 1e14, 150), (100., 1e20, 10), (1e-3, 1e18, 0)])
def test_both_tails_are_accurate(mu, r, k):
    """Where q = r / (r + mu) is tiny, 1 - q is all but 1; and the other way round."""
    d = D.NegativeBinomial(mean=numpy.float64(mu), concentration=r)
    below = cdf(k, mu, r)
    with mpmath.mp.workdps(700):
        for got, expected in (d.cdf(k), below), (d.survival_function(k), 1 - below):
            numpy.testing.assert_allclose(got.array, float(expected), rtol=1e-10)


def test_second_derivative_in_the_concentration_for_a_single_count():
    for make in (lambda r: D.NegativeBinomial(mean=1., concentration=r),
                 lambda r: D.ZeroInflated(D.NegativeBinomial(mean=1., concentration=r), gate=0.)):
        r = chainer.Variable(numpy.array(0.5))
        slope, = chainer.grad([make(r).log_prob(1)], [r], enable_double_backprop=True)
        second, = chainer.grad([slope], [r])
        with mpmath.mp.workdps(50):
            expected = [mpmath.diff(lambda r: log_prob(1, mpmath.mpf(1), r), 0.5, n)
                        for n in (1, 2)]
        numpy.testing.assert_allclose([float(slope.array), float(second.array)],
                                      [float(e) for e in expected], rtol=1e-10)


def test_stddev_where_the_variance_overflows():
    d = D.NegativeBinomial(mean=numpy.float16(300), concentration=numpy.float16(1))
    assert d.stddev.array == 300.5
    mean = chainer.Variable(numpy.array(1e30, 'f'))
    D.NegativeBinomial(mean=mean, concentration=4.).stddev.backward()
    numpy.testing.assert_allclose(mean.grad, 0.5, rtol=1e-6)
