"""Poisson: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

LAMS = [1e-30, 1e-8, 0.3, 1, 2.5, 9, 10, 37.7, 1000, 1e5, 1e7, 1e8]
LOG_LAMS = [-1e4, -110, -20, -1, -1e-8, 1e-8, 0.7, 2.3, 3.7, 7, 16.118, 16.12, 18, 80]
COUNTS = [0, 1, 2, 9, 10, 15, 40, 1000, 4095, 4096, 10 ** 7]


def of_log_lam(x, log_lam):
    return x * log_lam - mpmath.exp(log_lam) - mpmath.loggamma(x + 1)


def of_lam(x, lam):
    return (x * mpmath.log(lam) if x else 0) - lam - mpmath.loggamma(x + 1)


@pytest.mark.parametrize('log_lam', LOG_LAMS)
@pytest.mark.parametrize('x', COUNTS)
def test_log_prob_of_log_lam_is_accurate(x, log_lam):
    accuracy.check(lambda x, log_lam: D.Poisson(log_lam=log_lam).log_prob(x),
                   of_log_lam, {'log_lam': log_lam}, x)


@pytest.mark.parametrize('lam', LAMS)
@pytest.mark.parametrize('x', COUNTS)
def test_log_prob_of_lam_is_accurate(x, lam):
    accuracy.check(lambda x, lam: D.Poisson(lam).log_prob(x), of_lam, {'lam': lam}, x)


@pytest.mark.parametrize('x', [2, 7, 15, 300, 4000, 10 ** 7])
@pytest.mark.parametrize('step', [-3e-3, -1e-7, 0, 1e-5, 0.1])
def test_near_the_mode(x, step):
    log_lam = float(numpy.log(x)) + step
    accuracy.check(lambda x, log_lam: D.Poisson(log_lam=log_lam).log_prob(x),
                   of_log_lam, {'log_lam': log_lam}, x)
    accuracy.check(lambda x, lam: D.Poisson(lam).log_prob(x), of_lam, {'lam': x * (1 + step)}, x)


def test_at_the_mode_the_gradient_is_zero():
    log_lam = chainer.Variable(numpy.zeros((), 'f'))
    y = D.Poisson(log_lam=log_lam).log_prob(1)
    y.backward()
    assert (y.array, log_lam.grad) == (-1, 0)


def rate(name, value):
    return mpmath.exp(value) if name == 'log_lam' else value


@pytest.mark.parametrize('p_name, p_value', [
    ('lam', 1e-30), ('lam', 3), ('lam', 1e8), ('log_lam', -1e4), ('log_lam', 1.2)])
@pytest.mark.parametrize('q_name, q_value', [
    ('lam', 1e-20), ('lam', 3), ('lam', 3.0001), ('lam', 1e8), ('log_lam', -1e4),
    ('log_lam', 1.2), ('log_lam', 1.2001), ('log_lam', 50)])
def test_kl_is_accurate(p_name, p_value, q_name, q_value):
    def kl(a, b):
        lam1, lam2 = rate(p_name, a), rate(q_name, b)
        return lam1 * (mpmath.log(lam1) - mpmath.log(lam2)) + lam2 - lam1
    accuracy.check(
        lambda a, b: chainer.kl_divergence(D.Poisson(**{p_name: a}), D.Poisson(**{q_name: b})),
        kl, {'a': p_value, 'b': q_value})


def test_kl_of_equal_rates_is_zero_however_large():
    for z in (-1e4, 3., 1e4):
        a, b = (chainer.Variable(numpy.array(z, 'f')) for _ in range(2))
        kl = chainer.kl_divergence(D.Poisson(log_lam=a), D.Poisson(log_lam=b))
        kl.backward()
        assert (kl.array, a.grad, b.grad) == (0, 0, 0)


def test_defect_6_rate_zero():
    lam = chainer.Variable(numpy.zeros((), 'f'))
    y = D.Poisson(lam).log_prob(0)
    y.backward()
    assert (y.array, lam.grad) == (0, -1)
    assert D.Poisson(0.).log_prob(3).array == -numpy.inf
    one = chainer.Variable(numpy.ones((), 'f'))
    kl = chainer.kl_divergence(D.Poisson(0.), D.Poisson(one))
    kl.backward()
    assert (kl.array, one.grad) == (1, 1)
    assert chainer.kl_divergence(D.Poisson(0.), D.Poisson(0.)).array == 0
    assert chainer.kl_divergence(D.Poisson(0.), D.Poisson(log_lam=0.)).array == 1
    assert chainer.kl_divergence(D.Poisson(1.), D.Poisson(0.)).array == numpy.inf


def test_defect_7_large_counts():
    assert abs(D.Poisson(numpy.float32(1e7)).log_prob(1e7).array + 8.977986) < 1e-5


def test_defect_8_tiny_rates():
    log_lam = chainer.Variable(numpy.array(-110, 'f'))
    y = D.Poisson(log_lam=log_lam).log_prob(2)
    y.backward()
    assert abs(y.array + 220.693147) < 1e-4 and log_lam.grad == 2
    assert D.Poisson(log_lam=log_lam).log_prob(0).array >= -1e-40


@pytest.mark.parametrize('x, words', [
    (2.5, 'got 2.5'), (-1, 'got -1'), (numpy.nan, 'got nan'), (numpy.inf, 'got inf')])
def test_defect_19_what_is_no_count(x, words):
    with pytest.raises(ValueError, match='Poisson: x must be a whole number, 0 or more; ' + words):
        D.Poisson(3.).log_prob(x)
    for name in 'lam', 'log_lam':
        given = chainer.Variable(numpy.float32([3, 4]))
        with D.validation(False):
            y = D.Poisson(**{name: given}).log_prob(numpy.float32([2, x]))
        chainer.functions.sum(y).backward()
        assert numpy.isfinite(y.array[0]) and y.array[1] == -numpy.inf
        assert given.grad[0] != 0 and given.grad[1] == 0


@pytest.mark.parametrize('arguments, error, words', [
    ({}, ValueError, 'either lam or log_lam, exactly one of them; got neither'),
    ({'lam': 1., 'log_lam': 0.}, ValueError, 'got lam and log_lam'),
    ({'lam': -1.}, ValueError, 'lam must be a finite number, 0 or more; got -1'),
    ({'lam': [1., numpy.nan]}, ValueError, 'lam must be a finite number, 0 or more; got nan'),
    ({'log_lam': numpy.inf}, ValueError, 'log_lam must be a finite real number; got inf'),
    ({'lam': 'three'}, TypeError, 'lam must consist of real numbers')])
def test_bad_parameters(arguments, error, words):
    with pytest.raises(error, match=words):
        D.Poisson(**arguments)


def test_inputs_of_all_kinds():
    expected = scipy.stats.poisson.logpmf([[0], [3]], [1, 2.5])
    for x in ([[0], [3]], numpy.array([[0], [3]]), numpy.array([[0], [3]], 'u1'),
              chainer.Variable(numpy.array([[0], [3]], 'f')), numpy.array([[0], [3]], 'd')):
        y = D.Poisson([1, 2.5]).log_prob(x)
        assert y.dtype == numpy.float32
        numpy.testing.assert_allclose(y.array, expected, rtol=1e-6)
    assert D.Poisson(3).log_prob(True).shape == ()
    half = D.Poisson(log_lam=numpy.float16([0, 1]))
    assert half.log_prob([0, 1]).dtype == half.sample().dtype == numpy.float16
    assert D.Poisson(numpy.ones((2, 1))).log_prob(numpy.zeros((5, 1, 3))).shape == (5, 2, 3)


def test_large_arrays_equal_small_ones():
    rng = numpy.random.default_rng(0)
    log_lam = rng.normal(2, 2, (300, 400)).astype('f')
    x = rng.poisson(numpy.exp(log_lam))
    whole = D.Poisson(log_lam=log_lam).log_prob(x).array
    numpy.testing.assert_allclose(
        whole[::60], D.Poisson(log_lam=log_lam[::60]).log_prob(x[::60]).array, rtol=1e-6)
    numpy.testing.assert_allclose(
        whole, scipy.stats.poisson.logpmf(x, numpy.exp(log_lam.astype('d'))), rtol=1e-5)


@pytest.mark.parametrize('name', ['lam', 'log_lam'])
def test_double_backward(name):
    x = numpy.array([0, 1, 4, 12, 30])
    value = numpy.array([0.7, 1.2, 1.4, 2.4, 3.4])
    one = numpy.ones(5)
    gradient_check.check_double_backward(
        lambda v: D.Poisson(**{name: v}).log_prob(x), value, one, one, atol=1e-5, rtol=1e-4,
        dtype='d')
    gradient_check.check_double_backward(
        lambda v: D.Poisson(**{name: v}).cdf(x), value, one, one, atol=1e-5, rtol=1e-4, dtype='d')
    other = value + 0.3
    for q_name in ('lam', 'log_lam'):
        gradient_check.check_double_backward(
            lambda v, w: chainer.kl_divergence(D.Poisson(**{name: v}), D.Poisson(**{q_name: w})),
            (value, other), one, (one, one), atol=1e-5, rtol=1e-4, dtype='d')


def test_gradient_with_a_graph_is_as_accurate():
    log_lam = chainer.Variable(numpy.log(numpy.float32([1e7])))
    y = D.Poisson(log_lam=log_lam).log_prob(10 ** 7)
    plain, = chainer.grad([y], [log_lam])
    graphed, = chainer.grad([y], [log_lam], enable_double_backprop=True)
    assert plain.array == graphed.array
    second, = chainer.grad([graphed], [log_lam])
    numpy.testing.assert_allclose(second.array, -1e7, rtol=1e-5)


def test_moments_and_mode():
    lam = numpy.array([0, 0.3, 2, 1e6])
    p = D.Poisson(lam)
    numpy.testing.assert_array_equal(p.mean.array, lam)
    numpy.testing.assert_array_equal(p.variance.array, lam)
    numpy.testing.assert_array_equal(p.stddev.array, lam ** 0.5)
    numpy.testing.assert_array_equal(p.mode.array, [0, 0, 2, 1e6])
    with pytest.raises(NotImplementedError, match='no closed form for entropy'):
        p.entropy


@pytest.mark.parametrize('dtype, rtol', [('f', 1e-5), ('d', 1e-11)])
def test_cdf_and_survival_function(dtype, rtol):
    lam = numpy.array([[0], [1e-6], [0.5], [3], [40], [1e6]], dtype)
    x = numpy.array([-1, 0, 0.5, 1, 3, 30, 1e6], dtype)
    p = D.Poisson(lam)
    exact = lam.astype('d')
    numpy.testing.assert_allclose(p.cdf(x).array, scipy.stats.poisson.cdf(x, exact), rtol=rtol)
    numpy.testing.assert_allclose(p.survival_function(x).array, scipy.stats.poisson.sf(x, exact),
                                  rtol=rtol, atol=1e-45 if dtype == 'f' else 0)
    assert (p.cdf(numpy.inf).array == 1).all() and (p.cdf(-numpy.inf).array == 0).all()


def test_gradient_of_cdf_is_minus_the_probability():
    lam = chainer.Variable(numpy.array([0., 0.5, 3, 40]))
    x = numpy.array([0, 2, 3, 30])
    chainer.functions.sum(D.Poisson(lam).cdf(x)).backward()
    numpy.testing.assert_allclose(lam.grad, -scipy.stats.poisson.pmf(x, lam.array))


def test_probabilities_sum_to_one():
    total = D.Poisson([0.1, 3., 60.]).prob(numpy.arange(200)[:, None]).array.sum(0)
    numpy.testing.assert_allclose(total, 1, rtol=1e-5)


def test_samples_fit_by_chi_square():
    """False-alarm rate 1e-4, with a fixed seed."""
    n = 20000
    draws = D.Poisson(numpy.array([0.4, 6.])).sample(n, rng=1).array
    for column, lam in zip(draws.T, [0.4, 6.]):
        k = numpy.arange(scipy.stats.poisson.ppf(1 - 1e-3, lam) + 1)
        observed = [(column == j).sum() for j in k] + [(column > k[-1]).sum()]
        expected = n * numpy.append(scipy.stats.poisson.pmf(k, lam),
                                    scipy.stats.poisson.sf(k[-1], lam))
        assert scipy.stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-4


def test_samples_are_reproducible_and_leave_the_global_state_alone():
    p = D.Poisson(numpy.float32([[1], [2]]))
    state = numpy.random.get_state()[1].tolist()
    numpy.testing.assert_array_equal(p.sample((3, 2), rng=7).array, p.sample((3, 2), rng=7).array)
    assert numpy.random.get_state()[1].tolist() == state
    assert p.sample((3, 2)).shape == (3, 2, 2, 1)
    assert p.sample().dtype == numpy.float32 and not p.has_rsample


@pytest.mark.parametrize('dtype, log_lam, x', [
    ('e', 12, 200000), ('e', 12, 162000), ('e', -18, 0), ('f', 100, 5), ('d', 800, 5),
    ('f', -110, 0)])
def test_what_only_the_logarithm_can_hold(dtype, log_lam, x):
    z = chainer.Variable(numpy.array(log_lam, dtype))
    d = D.Poisson(log_lam=z)
    rtol = 1e-3 if dtype == 'e' else 1e-6
    lam = numpy.exp(numpy.minimum(numpy.float64(log_lam), 700))
    for got, expected in [(d.cdf(x), scipy.stats.poisson.cdf(x, lam)),
                          (d.survival_function(x), scipy.stats.poisson.sf(x, lam))]:
        numpy.testing.assert_allclose(got.array.astype('d'), expected, rtol=rtol,
                                      atol=numpy.finfo(dtype).smallest_subnormal)
    d.cdf(x).backward()
    # The slope in log lam is -lam p(x), here from the logarithm of it.
    mass = numpy.exp(min(log_lam, 700) + scipy.stats.poisson.logpmf(x, lam))
    numpy.testing.assert_allclose(z.grad.astype('d'), -mass, rtol=rtol * 20,
                                  atol=numpy.finfo(dtype).smallest_subnormal)
    if numpy.exp(0.5 * log_lam) < numpy.finfo(dtype).max:
        numpy.testing.assert_allclose(d.stddev.array, numpy.exp(0.5 * log_lam), rtol=rtol)
    if log_lam < 40:
        assert d.sample(rng=1).dtype == d.mode.dtype == numpy.dtype(dtype)
