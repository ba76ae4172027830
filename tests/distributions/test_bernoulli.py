"""Bernoulli: accuracy, identities, defects of other libraries, and bad input."""
import math

import accuracy
import chainer
import mpmath
import numpy
import pytest

import course_lib.distributions as D
from course_lib.distributions.bernoulli import LogProbOfLogit

LOGITS = [-1e4, -800, -100, -20, -3, -0.5, -1e-8, 0, 1e-8, 0.7, 5, 20, 100, 1e4]
PS = [1e-30, 1e-8, 0.02, 0.3, 0.5, 0.9, 0.999]


def log_prob_of_logit(x, logit):
    return -mpmath.log1p(mpmath.exp(-logit if x else logit))


def log_prob_of_p(x, p):
    return mpmath.log(p) if x else mpmath.log1p(-p)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', [0, 1])
def test_log_prob_of_logit_is_accurate(x, logit):
    accuracy.check(lambda x, logit: D.Bernoulli(logit=logit).log_prob(x),
                   log_prob_of_logit, {'logit': logit}, x)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', [0, 1])
@pytest.mark.parametrize('reuses_value', [False, True])
def test_both_ways_to_the_gradient_are_accurate(x, logit, reuses_value, monkeypatch):
    # A sum keeps no value of its terms: its gradient comes from the logits.
    monkeypatch.setattr(LogProbOfLogit, 'reuses_value', reuses_value)
    accuracy.check(lambda x, logit: LogProbOfLogit(numpy.array(x))(logit),
                   log_prob_of_logit, {'logit': logit}, x)


@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('x', [0, 1])
def test_the_second_derivative_loses_no_digit(x, dtype):
    z = chainer.Variable(numpy.linspace(-36, 36, 145).astype(dtype))
    y = D.Bernoulli(logit=z).log_prob(x)
    first, = chainer.grad([y], [z], [chainer.Variable(numpy.ones_like(z.array))],
                          enable_double_backprop=True)
    second, = chainer.grad([first], [z], [chainer.Variable(numpy.ones_like(z.array))])
    with mpmath.workdps(50):
        true = [float(-1 / ((1 + mpmath.exp(-v)) * (1 + mpmath.exp(v))))
                for v in map(mpmath.mpf, z.array.tolist())]
    numpy.testing.assert_allclose(second.array, true, rtol=4 * numpy.finfo(dtype).eps)


@pytest.mark.parametrize('p', PS)
@pytest.mark.parametrize('x', [0, 1])
def test_log_prob_of_p_is_accurate(x, p):
    accuracy.check(lambda x, p: D.Bernoulli(p=p).log_prob(x), log_prob_of_p, {'p': p}, x)


@pytest.mark.parametrize('logit', LOGITS)
def test_entropy_is_accurate(logit):
    def entropy(logit):
        a = mpmath.mpf(logit)
        return mpmath.log1p(mpmath.exp(a)) - a / (1 + mpmath.exp(-a))
    accuracy.check(lambda logit: D.Bernoulli(logit=logit).entropy, entropy, {'logit': logit})


@pytest.mark.parametrize('z1', LOGITS)
@pytest.mark.parametrize('z2', [-1e4, -100, -2, 0, 1e-4, 0.5001, 3, 100, 1e4])
def test_kl_is_accurate(z1, z2):
    def kl(z1, z2):
        s = mpmath.mpf(1) / (1 + mpmath.exp(-z1))
        return (mpmath.log1p(mpmath.exp(z2)) - mpmath.log1p(mpmath.exp(z1)) - s * (z2 - z1))
    accuracy.check(
        lambda z1, z2: chainer.kl_divergence(D.Bernoulli(logit=z1), D.Bernoulli(logit=z2)),
        kl, {'z1': z1, 'z2': z2})


@pytest.mark.parametrize('z1, z2, kl', [
    (0., numpy.inf, numpy.inf), (1e4, numpy.inf, numpy.inf), (-1e4, numpy.inf, numpy.inf),
    (0., -numpy.inf, numpy.inf), (numpy.inf, numpy.inf, 0), (-numpy.inf, -numpy.inf, 0),
    (numpy.inf, -numpy.inf, numpy.inf), (-numpy.inf, numpy.inf, numpy.inf),
    (numpy.inf, 0., math.log(2)), (-numpy.inf, 0., math.log(2))])
@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_kl_of_infinite_logits(z1, z2, kl, dtype):
    p, q = (D.Bernoulli(logit=numpy.array([z], dtype)) for z in (z1, z2))
    numpy.testing.assert_allclose(chainer.kl_divergence(p, q).array, [kl], rtol=1e-6)


# -- soft labels and Chainer's binary_check -------------------------------------------------------

def test_soft_labels_need_to_be_asked_for():
    x = numpy.float32([0.25, 0.5, 1])
    with pytest.raises(ValueError, match='x must be 0 or 1; got 0.25'):
        D.Bernoulli(logit=numpy.float32([0, 1, 2])).log_prob(x)
    z = chainer.Variable(numpy.float32([0, 1, 2]))
    y = D.Bernoulli(logit=z, binary_check=False).log_prob(x)
    expected = x * z.array - numpy.logaddexp(0, z.array)
    numpy.testing.assert_allclose(y.array, expected, rtol=1e-6)
    gradient, = chainer.grad([y], [z])
    numpy.testing.assert_allclose(gradient.array, x - 1 / (1 + numpy.exp(-z.array)), rtol=1e-5)
    with pytest.raises(ValueError, match='x must be a probability, from 0 to 1; got 1.5'):
        D.Bernoulli(logit=0., binary_check=False).log_prob(1.5)


def test_binary_check_true_gives_minus_infinity():
    d = D.Bernoulli(logit=numpy.float32([0, 0]), binary_check=True)
    numpy.testing.assert_allclose(d.log_prob([0.5, 1]).array, [-numpy.inf, -numpy.log(2)])


# -- what it offers -------------------------------------------------------------------------------

@pytest.mark.parametrize('d', [
    D.Bernoulli(p=[0.1, 0.5, 0.9]), D.Bernoulli(logit=numpy.log([1 / 9, 1, 9]))])
def test_properties(d):
    numpy.testing.assert_allclose(d.p.array, [0.1, 0.5, 0.9], rtol=1e-6)
    numpy.testing.assert_allclose(d.logit.array, numpy.log([1 / 9, 1, 9]), rtol=1e-6, atol=1e-7)
    numpy.testing.assert_allclose(d.mean.array, [0.1, 0.5, 0.9], rtol=1e-6)
    numpy.testing.assert_allclose(d.variance.array, [0.09, 0.25, 0.09], rtol=1e-6)
    numpy.testing.assert_allclose(d.stddev.array, [0.3, 0.5, 0.3], rtol=1e-6)
    numpy.testing.assert_array_equal(d.mode.array, [0, 0, 1])
    numpy.testing.assert_allclose(d.prob([1, 1, 0]).array, [0.1, 0.5, 0.1], rtol=1e-6)


@pytest.mark.parametrize('make, error, words', [
    (lambda: D.Bernoulli(), ValueError, 'give either p or logit, exactly one of them; got neither'),
    (lambda: D.Bernoulli(0.5, 0.), ValueError, 'exactly one of them; got p and logit'),
    (lambda: D.Bernoulli(p=1.5), ValueError, 'p must be a probability, from 0 to 1; got 1.5'),
    (lambda: D.Bernoulli(p=-0.1), ValueError, 'p must be a probability, from 0 to 1; got -0.1'),
    (lambda: D.Bernoulli(logit=float('nan')), ValueError, 'logit must be a number, not NaN'),
    (lambda: D.Bernoulli(p='x'), TypeError, 'p must consist of real numbers; got'),
    (lambda: D.Bernoulli(p=0.5).log_prob(-1), ValueError, 'x must be 0 or 1; got -1'),
    (lambda: D.Bernoulli(p=0.5).log_prob('x'), TypeError, 'x must consist of real numbers'),
    (lambda: D.Bernoulli(p=[0.5, 0.5]).log_prob([1, 0, 1]), ValueError, 'does not broadcast')])
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_mode_of_a_single_coin():
    for d, mode in ((D.Bernoulli(0.25), 0), (D.Bernoulli(logit=2.), 1), (D.Bernoulli(0.5), 0)):
        assert d.mode.shape == () and float(d.mode.array) == mode


def test_rare_events_in_float16_are_as_rare_as_they_should_be():
    for p in 2e-4, 7e-4, 1.2e-3:
        d, n = D.Bernoulli(numpy.float16(p)), 2_000_000
        wanted = float(d.p.array)
        share = float(d.sample(n, rng=1).array.astype('d').mean())
        assert abs(share - wanted) < 5 * (wanted / n) ** 0.5   # a false alarm in 1.7 million


def test_what_is_no_observation_at_all_is_said_so_whatever_the_binary_check():
    for check in None, False, True:
        with pytest.raises(ValueError, match='x must be .*(0 or 1|not NaN).*; got nan'):
            D.Bernoulli(0.5, binary_check=check).log_prob(numpy.nan)
    assert D.Bernoulli(0.5, binary_check=True).log_prob(numpy.inf).array == -numpy.inf
    for check in 0, 1, 'no':
        with pytest.raises(TypeError, match='binary_check must be None, True or False; got'):
            D.Bernoulli(0.5, binary_check=check)
    assert D.Bernoulli(logit=0.5, binary_check=numpy.bool_(False)).prob(0.25).array == \
        D.Bernoulli(logit=0.5, binary_check=False).prob(0.25).array
