"""Geometric: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

PS = [1e-30, 1e-8, 0.02, 0.3, 0.5, 0.999, 1 - 1e-7]
LOGITS = [-1e4, -800, -70, -3, -1e-9, 1e-9, 0.7, 17, 50, 1e4]
COUNTS = [1, 2, 3, 40, 10 ** 7]


def of_p(x, p):
    return mpmath.log(p) + (x - 1) * mpmath.log1p(-p)


def of_logit(x, logit):
    return -mpmath.log1p(mpmath.exp(-logit)) - (x - 1) * mpmath.log1p(mpmath.exp(logit))


@pytest.mark.parametrize('p', PS)
@pytest.mark.parametrize('x', COUNTS)
def test_log_prob_of_p_is_accurate(x, p):
    accuracy.check(lambda x, p: D.Geometric(p).log_prob(x), of_p, {'p': p}, x)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', COUNTS)
def test_log_prob_of_logit_is_accurate(x, logit):
    accuracy.check(
        lambda x, logit: D.Geometric(logit=logit).log_prob(x), of_logit, {'logit': logit}, x)


@pytest.mark.parametrize('p', PS)
def test_entropy_of_p_is_accurate(p):
    accuracy.check(lambda p: D.Geometric(p).entropy,
                   lambda p: -mpmath.log(p) - (1 - p) / p * mpmath.log1p(-p), {'p': p})


@pytest.mark.parametrize('logit', LOGITS)
def test_entropy_of_logit_is_accurate(logit):
    accuracy.check(
        lambda z: D.Geometric(logit=z).entropy,
        lambda z: mpmath.log1p(mpmath.exp(-z)) + mpmath.exp(-z) * mpmath.log1p(mpmath.exp(z)),
        {'z': logit})


def logs(name, value):
    """log p, log(1 - p) and the odds (1 - p) / p."""
    if name == 'p':
        return mpmath.log(value), mpmath.log1p(-value), (1 - value) / value
    return (-mpmath.log1p(mpmath.exp(-value)), -mpmath.log1p(mpmath.exp(value)),
            mpmath.exp(-value))


@pytest.mark.parametrize('p_name, p_value', [
    ('p', 1e-30), ('p', 0.3), ('p', 0.999), ('logit', -1e4), ('logit', -60), ('logit', 0.01),
    ('logit', 25), ('logit', 1e4)])
@pytest.mark.parametrize('q_name, q_value', [
    ('p', 1e-20), ('p', 0.3001), ('p', 0.9), ('logit', -9000), ('logit', -60.5), ('logit', 0.02),
    ('logit', -0.8), ('logit', 24.5), ('logit', 1e4)])
def test_kl_is_accurate(p_name, p_value, q_name, q_value):
    def kl(a, b):
        success1, failure1, odds1 = logs(p_name, a)
        success2, failure2, _ = logs(q_name, b)
        return success1 - success2 + odds1 * (failure1 - failure2)
    dtypes = (numpy.float32, numpy.float64)
    if (p_name, q_name) == ('logit', 'logit') and p_value == q_value:
        dtypes = ()   # exactly 0, below
    accuracy.check(
        lambda a, b: chainer.kl_divergence(D.Geometric(**{p_name: a}), D.Geometric(**{q_name: b})),
        kl, {'a': p_value, 'b': q_value}, dtypes=dtypes)


@pytest.mark.parametrize('parameter', [{'p': 1e-20}, {'p': 0.3}, {'p': 1.}, {'logit': -1e4},
                                       {'logit': 0.}, {'logit': 1e4}])
def test_kl_of_equals_is_zero(parameter):
    name, value = *parameter, *parameter.values()
    a, b = (chainer.Variable(numpy.array(value, 'f')) for _ in range(2))
    kl = chainer.kl_divergence(D.Geometric(**{name: a}), D.Geometric(**{name: b}))
    kl.backward()
    assert kl.array == a.grad == 0
    assert b.grad == (-1 if value == 1 else 0)   # at the edge p = 1 only one side exists


def test_defect_9_certain_success():
    p = chainer.Variable(numpy.ones((2,), 'f'))
    y = D.Geometric(p).log_prob([1, 2])
    chainer.functions.sum(y).backward()
    assert y.array.tolist() == [0, -numpy.inf] and p.grad.tolist() == [1, -numpy.inf]
    assert D.Geometric(1.).entropy.array == D.Geometric(1.).variance.array == 0
    kl = chainer.kl_divergence(D.Geometric(1.), D.Geometric(0.25))
    numpy.testing.assert_allclose(kl.array, numpy.log(4), rtol=1e-6)


def test_defect_11_logits():
    z = chainer.Variable(numpy.float32([-50, 50]))
    y = D.Geometric(logit=z).log_prob([1, 2])
    chainer.functions.sum(y).backward()
    numpy.testing.assert_allclose(y.array, [-50, -50], rtol=1e-6)
    numpy.testing.assert_allclose(z.grad, [1, -1], rtol=1e-6)


@pytest.mark.parametrize('x, words', [(0, 'got 0'), (2.5, 'got 2.5'), (numpy.nan, 'got nan')])
def test_defect_19_what_is_no_count(x, words):
    with pytest.raises(ValueError, match='x must be a whole number, 1 or more; ' + words):
        D.Geometric(0.3).log_prob(x)
    p = chainer.Variable(numpy.float32([0.3, 0.3]))
    with D.validation(False):
        y = D.Geometric(p).log_prob(numpy.float32([1, x]))
    chainer.functions.sum(y).backward()
    assert y.array[1] == -numpy.inf and p.grad[1] == 0 and p.grad[0] > 0


@pytest.mark.parametrize('arguments, error, words', [
    ({}, ValueError, 'either p or logit, exactly one of them; got neither'),
    ({'p': 0.}, ValueError, 'p must be a probability above 0, up to 1; got 0'),
    ({'p': 1.5}, ValueError, 'got 1.5'),
    ({'logit': numpy.nan}, ValueError, 'logit must be a finite real number; got nan'),
    ({'p': None, 'logit': 'a'}, TypeError, 'logit must consist of real numbers')])
def test_bad_parameters(arguments, error, words):
    with pytest.raises(error, match=words):
        D.Geometric(**arguments)


@pytest.mark.parametrize('name', ['p', 'logit'])
def test_double_backward(name):
    x, one = numpy.array([1, 2, 4, 30]), numpy.ones(4)
    value = numpy.array([0.3, 0.45, 0.6, 0.2])
    options = dict(atol=1e-4, rtol=1e-4, dtype='d')
    gradient_check.check_double_backward(
        lambda v: D.Geometric(**{name: v}).log_prob(x), value, one, one, **options)
    gradient_check.check_double_backward(
        lambda v: D.Geometric(**{name: v}).entropy, value, one, one, **options)
    gradient_check.check_double_backward(
        lambda v: D.Geometric(**{name: v}).cdf(x), value, one, one, **options)
    gradient_check.check_double_backward(
        lambda v, w: chainer.kl_divergence(D.Geometric(**{name: v}), D.Geometric(**{name: w})),
        (value, value[::-1].copy()), one, (one, one), **options)


@pytest.mark.parametrize('name', ['p', 'logit'])
def test_moments_and_cdf_agree_with_scipy(name):
    p = numpy.array([[0.01], [0.4], [0.95]])
    d = D.Geometric(p) if name == 'p' else D.Geometric(logit=numpy.log(p / (1 - p)))
    s = scipy.stats.geom(p)
    x = numpy.array([-1, 0, 0.5, 1, 2.5, 30])
    for got, expected in [
            (d.mean, s.mean()), (d.variance, s.var()), (d.stddev, s.std()),
            (d.cdf(x), s.cdf(x)), (d.survival_function(x), s.sf(x)),
            (d.log_survival_function(x), s.logsf(x)), (d.log_cdf(x), s.logcdf(x)),
            (d.entropy[:, 0], [scipy.stats.geom(v).entropy() for v in p[:, 0]])]:
        numpy.testing.assert_allclose(got.array, expected, rtol=1e-10, atol=1e-30)
    assert (d.mode.array == 1).all()


def test_cdf_at_the_ends():
    for d in D.Geometric([0.3, 1.]), D.Geometric(logit=[-1e4, 1e4]):
        assert d.cdf(-numpy.inf).array.tolist() == [0, 0]
        assert d.survival_function(0).array.tolist() == [1, 1]
    assert D.Geometric([0.3, 1.]).cdf(numpy.inf).array.tolist() == [1, 1]
    p = chainer.Variable(numpy.float32([0.3, 1.]))
    chainer.functions.sum(D.Geometric(p).log_cdf(1)).backward()
    numpy.testing.assert_allclose(p.grad, [1 / 0.3, 1], rtol=1e-6)


def test_icdf_inverts_cdf():
    d = D.Geometric(numpy.array([0.05, 0.5, 0.999, 1.]))
    k = numpy.arange(1, 40)[:, None]
    resolved = d.prob(k).array > 1e-6
    assert (d.icdf(d.cdf(k).array - 1e-9).array == k)[resolved].all()
    assert (d.icdf(numpy.minimum(d.cdf(k - 1).array + 1e-9, 1)).array == k)[resolved].all()
    assert d.icdf(0.).array.tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match='a probability, from 0 to 1; got 2'):
        d.icdf(2.)


def test_inputs_of_all_kinds():
    assert D.Geometric(p=[0.1, 0.2]).log_prob([[1], [2], [3]]).shape == (3, 2)
    assert D.Geometric(p=1).log_prob(True).array == 0
    half = D.Geometric(numpy.float16([0.5]))
    assert half.log_prob(numpy.array([3], 'i1')).dtype == half.sample().dtype == numpy.float16
    assert D.Geometric(numpy.array([0.5])).log_prob(numpy.float32([3])).dtype == numpy.float64


@pytest.mark.parametrize('parameter', [{'p': 0.2}, {'logit': 0.5}])
def test_samples_fit_by_chi_square(parameter):
    """False-alarm rate 1e-4, with a fixed seed."""
    n, d = 20000, D.Geometric(**parameter)
    draws = d.sample(n, rng=3).array
    p = float(d.p.array)
    k = numpy.arange(1, scipy.stats.geom.ppf(1 - 1e-3, p) + 1)
    observed = [(draws == j).sum() for j in k] + [(draws > k[-1]).sum()]
    expected = n * numpy.append(scipy.stats.geom.pmf(k, p), scipy.stats.geom.sf(k[-1], p))
    assert scipy.stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-4


def test_samples_are_reproducible_and_leave_the_global_state_alone():
    d = D.Geometric(numpy.float32([[0.1], [1]]))
    state = numpy.random.get_state()[1].tolist()
    a, b = (d.sample((3, 2), rng=7).array for _ in range(2))
    numpy.testing.assert_array_equal(a, b)
    assert numpy.random.get_state()[1].tolist() == state
    assert a.shape == (3, 2, 2, 1) and (a[:, :, 1] == 1).all() and not d.has_rsample


@pytest.mark.parametrize('name, value', [
    *(('p', p) for p in PS), *(('logit', z) for z in LOGITS + [-740, 1400])])
def test_stddev_is_accurate(name, value):
    accuracy.check(
        lambda v: D.Geometric(**{name: v}).stddev,
        lambda v: mpmath.sqrt(logs(name, v)[2] * (1 + logs(name, v)[2])), {'v': value})


def test_stddev_where_the_variance_overflows():
    p = numpy.float16(1e-3)
    numpy.testing.assert_allclose(
        float(D.Geometric(p).stddev.array), (1 - float(p)) ** 0.5 / float(p), rtol=1e-3)
    numpy.testing.assert_allclose(
        D.Geometric(logit=numpy.float32(-60)).stddev.array, numpy.exp(60), rtol=1e-6)


@pytest.mark.parametrize('name, value', [('p', [1e-38, 0.3, 1]), ('logit', [-1e4, -90, 0.3, 1e4])])
@pytest.mark.parametrize('method, expected, slope', [
    ('cdf', 1, 0), ('survival_function', 0, 0), ('log_cdf', 0, 0),
    ('log_survival_function', -numpy.inf, -numpy.inf)])
def test_curves_at_infinity(name, value, method, expected, slope):
    v = chainer.Variable(numpy.array(value, 'f'))
    y = getattr(D.Geometric(**{name: v}), method)(numpy.inf)
    chainer.functions.sum(y).backward()
    assert (y.array == expected).all() and (v.grad == slope).all()
