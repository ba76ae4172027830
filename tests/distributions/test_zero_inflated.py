"""Zero-inflated counts: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D


def poisson(x, eta):
    return mpmath.exp(x * eta - mpmath.exp(eta) - mpmath.loggamma(x + 1))


def inflated(x, g, mass):
    return mpmath.log((g if x == 0 else 0) + (1 - g) * mass)


@pytest.mark.parametrize('logit', [-600, -90, 1e-8, 3, 40, 600])
@pytest.mark.parametrize('eta', [-60, 0.3, 4, 6.5])
@pytest.mark.parametrize('x', [0, 50])
def test_log_prob_of_gate_logit_is_accurate(x, logit, eta, monkeypatch):
    monkeypatch.setattr(accuracy, 'DIGITS', 350)

    def reference(x, z, eta):
        if x:
            return -mpmath.log1p(mpmath.exp(z)) + x * eta - mpmath.exp(eta) - mpmath.loggamma(x + 1)
        return inflated(x, 1 / (1 + mpmath.exp(-z)), poisson(x, eta))
    accuracy.check(
        lambda x, z, eta: D.ZeroInflated(D.Poisson(log_lam=eta), gate_logit=z).log_prob(x),
        reference, {'z': logit, 'eta': eta}, x)


@pytest.mark.parametrize('gate', [1e-30, 1e-8, 0.3, 0.5, 0.999])
@pytest.mark.parametrize('eta', [-60, 0.3, 4, 6.5])
@pytest.mark.parametrize('x', [0, 50])
def test_log_prob_of_gate_is_accurate(x, gate, eta):
    accuracy.check(lambda x, g, eta: D.ZeroInflated(D.Poisson(log_lam=eta), gate=g).log_prob(x),
                   lambda x, g, eta: inflated(x, g, poisson(x, eta)), {'g': gate, 'eta': eta}, x)


@pytest.mark.parametrize('x', [0, 1, 7])
def test_every_parameter_of_a_negative_binomial_base(x):
    def mass(x, mu, r):
        return mpmath.exp(mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
                          + r * mpmath.log(r / (r + mu)) + x * mpmath.log(mu / (r + mu)))
    accuracy.check(
        lambda x, g, mu, r: D.ZeroInflated(
            D.NegativeBinomial(mean=mu, concentration=r), gate=g).log_prob(x),
        lambda x, g, mu, r: inflated(x, g, mass(x, mu, r)), {'g': 0.2, 'mu': 3.5, 'r': 0.7}, x)


def test_gate_logit_is_not_doubled_as_in_tfp():
    z = D.ZeroInflated(D.Poisson(1e4), gate_logit=1.)
    numpy.testing.assert_allclose(z.prob(0).array, 1 / (1 + numpy.exp(-1)), rtol=1e-6)


def test_extreme_gate_logits():
    z = chainer.Variable(numpy.float32([-1e4, 1e4, -1e4, 1e4]))
    y = D.ZeroInflated(D.Poisson(2.), gate_logit=z).log_prob([0, 0, 3, 3])
    F.sum(y).backward()
    base = D.Poisson(2.).log_prob(3).array
    numpy.testing.assert_allclose(y.array, [-2, 0, base, base - 1e4], rtol=1e-6)
    assert z.grad.tolist() == [0, 0, 0, -1]


@pytest.mark.parametrize('gate', [0., 1.])
def test_gates_that_are_certain(gate):
    g = chainer.Variable(numpy.full(2, gate, 'f'))
    lam = chainer.Variable(numpy.full(2, 2, 'f'))
    y = D.ZeroInflated(D.Poisson(lam), gate=g).log_prob([0, 3])
    F.sum(y).backward()
    if gate:
        assert y.array.tolist() == [0, -numpy.inf] and lam.grad[0] == 0
        numpy.testing.assert_allclose(g.grad, [1 - numpy.exp(-2), -numpy.inf], rtol=1e-6)
    else:
        numpy.testing.assert_allclose(y.array, D.Poisson(2.).log_prob([0, 3]).array, rtol=1e-6)
        numpy.testing.assert_allclose(g.grad, [numpy.exp(2) - 1, -1], rtol=1e-6)


@pytest.mark.parametrize('base', [
    D.Poisson([0.5, 4.]), D.NegativeBinomial(mean=[0.5, 4.], concentration=2.),
    D.Binomial([3, 9], 0.4), D.Geometric([0.3, 0.6])])
def test_any_base(base):
    z = D.ZeroInflated(base, gate=[[0.2], [0.7], [0.]])
    k = numpy.arange(120)[:, None, None]
    with D.validation(False):   # not every base takes every count
        mass, own = z.prob(k).array, base.prob(k).array
    assert z.batch_shape == (3, 2) and mass.shape == (120, 3, 2)
    numpy.testing.assert_allclose(mass.sum(0), 1, rtol=1e-5)
    gate = numpy.array([[0.2], [0.7], [0]])
    numpy.testing.assert_allclose(mass, (1 - gate) * own + gate * (k == 0), rtol=1e-5, atol=1e-37)
    mean = (mass * k).sum(0)
    numpy.testing.assert_allclose(z.mean.array, mean, rtol=1e-5)
    numpy.testing.assert_allclose(z.variance.array, (mass * (k - mean) ** 2).sum(0), rtol=1e-4)
    numpy.testing.assert_allclose(z.stddev.array ** 2, z.variance.array, rtol=1e-5)
    numpy.testing.assert_array_equal(
        numpy.take_along_axis(mass, z.mode.array[None].astype(int), 0)[0], mass.max(0))
    draws = z.sample(4000, rng=2).array
    error = numpy.maximum(z.stddev.array / 4000 ** 0.5, 1e-3)
    assert (abs(draws.mean(0) - mean) < 5 * error).all()   # false alarms: 6 in 10^6 a batch


@pytest.mark.parametrize('base', [D.Poisson([0.5, 4.]), D.Binomial([3, 9], 0.4),
                                  D.Geometric([0.3, 0.6])])
def test_cdf_sums_the_probabilities(base):
    z = D.ZeroInflated(base, gate_logit=[[0.2], [-2.]])
    k = numpy.arange(4)[:, None, None]
    total = numpy.cumsum(z.prob(k).array, 0)
    numpy.testing.assert_allclose(z.cdf(k).array, total, rtol=1e-5)
    numpy.testing.assert_allclose(z.survival_function(k).array, 1 - total, rtol=1e-4, atol=1e-6)
    assert (z.cdf(-1).array == 0).all() and (z.survival_function(-0.5).array == 1).all()


def test_draws_are_independent_over_the_whole_batch():
    """Defect 32: columns that share parameters must not share draws."""
    z = D.ZeroInflated(D.Poisson(numpy.full((2, 1), 50, 'f')), gate=numpy.full(3, 0.1))
    draws = z.sample(2000, rng=1).array.reshape(2000, 6)
    correlation = numpy.corrcoef(draws.T) - numpy.eye(6)
    assert abs(correlation).max() < 0.11   # 5 standard errors
    many = D.ZeroInflated(D.Poisson([1., 50., 400.]), gate=numpy.zeros((4, 1), 'f')).sample(rng=1)
    assert (abs(many.array - [1, 50, 400]) < 6 * numpy.sqrt([1, 50, 400])).all()


def test_samples_fit_by_chi_square():
    """False-alarm rate 1e-4, with a fixed seed."""
    draws = D.ZeroInflated(D.Poisson(2.), gate=0.3).sample(20000, rng=5).array
    mass = 0.7 * scipy.stats.poisson.pmf(range(8), 2)
    mass[0] += 0.3
    observed = [(draws == j).sum() for j in range(8)] + [(draws > 7).sum()]
    expected = 20000 * numpy.append(mass, 1 - mass.sum())
    assert scipy.stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-4


def test_samples_are_reproducible_and_leave_the_global_state_alone():
    z = D.ZeroInflated(D.NegativeBinomial(mean=3., concentration=2.), gate=[0.3, 1.])
    state = numpy.random.get_state()[1].tolist()
    a, b = (z.sample((3, 4), rng=7).array for _ in range(2))
    numpy.testing.assert_array_equal(a, b)
    assert numpy.random.get_state()[1].tolist() == state
    assert a.shape == (3, 4, 2) and (a[..., 1] == 0).all() and not z.has_rsample


@pytest.mark.parametrize('name', ['gate', 'gate_logit'])
def test_double_backward(name):
    x, one = numpy.array([0, 0, 1, 5]), numpy.ones(4)
    g, eta = numpy.array([0.3, 0.6, 0.2, 0.4]), numpy.array([-0.8, 1.4, 1, 0.3])
    gradient_check.check_double_backward(
        lambda g, eta: D.ZeroInflated(D.Poisson(log_lam=eta), **{name: g}).log_prob(x),
        (g, eta), one, (one, one), atol=1e-4, rtol=1e-4, dtype='d')


@pytest.mark.parametrize('x, words', [(2.5, 'got 2.5'), (-1, 'got -1'), (numpy.nan, 'got nan')])
def test_impossible_observations(x, words):
    with pytest.raises(ValueError, match='x must be a whole number, 0 or more; ' + words):
        D.ZeroInflated(D.Poisson(3.), gate=0.1).log_prob(x)
    lam = chainer.Variable(numpy.float32([3, 3]))
    with D.validation(False):
        y = D.ZeroInflated(D.Poisson(lam), gate=0.1).log_prob(numpy.float32([1, x]))
    F.sum(y).backward()
    assert y.array[1] == -numpy.inf and lam.grad[1] == 0 and lam.grad[0] != 0


def test_what_the_base_refuses_is_refused():
    with pytest.raises(ValueError, match='from 0 to n; got 4 where n is 3'):
        D.ZeroInflated(D.Binomial(3, 0.2), gate=0.1).log_prob([0, 4])


@pytest.mark.parametrize('base, arguments, error, words', [
    (D.Poisson(1.), {}, ValueError, 'either gate or gate_logit, exactly one of them; got neither'),
    (D.Poisson(1.), {'gate': 0.1, 'gate_logit': 0.}, ValueError, 'got gate and gate_logit'),
    (D.Poisson(1.), {'gate': 1.1}, ValueError, 'gate must be a probability, from 0 to 1; got 1.1'),
    (D.Poisson(1.), {'gate_logit': numpy.nan}, ValueError, 'gate_logit must be a finite real'),
    (D.Poisson([1., 2.]), {'gate': [0.1] * 3}, ValueError,
     r'the shape \(3,\) of gate does not broadcast with the batch_shape \(2,\) of the base'),
    (D.Normal(0., 1.), {'gate': 0.1}, TypeError, 'base must be a distribution of counts'),
    (3., {'gate': 0.1}, TypeError, 'base must be a distribution of counts.*; got 3')])
def test_bad_parameters(base, arguments, error, words):
    with pytest.raises(error, match='ZeroInflated: .*' + words):
        D.ZeroInflated(base, **arguments)


def test_dtypes_repr_and_params():
    wide = D.ZeroInflated(D.Poisson(numpy.array(2.)), gate=0.5)
    assert wide.log_prob(0).dtype == wide.sample().dtype == wide.mean.dtype == numpy.float64
    half = D.ZeroInflated(D.Poisson(numpy.float16(2)), gate=numpy.float16(0.5))
    assert half.log_prob(True).dtype == half.sample().dtype == numpy.float16
    mixed = D.ZeroInflated(D.Poisson(numpy.float32(2)), gate=numpy.array(0.5))
    assert mixed.log_prob(numpy.array([0, 1], 'u1')).dtype == numpy.float64
    assert repr(wide) == 'ZeroInflated(Poisson(lam=2.), gate=0.5)'
    assert sorted(wide.params) == ['gate', 'lam']
    for refused in 'entropy', 'covariance':
        with pytest.raises(NotImplementedError, match='ZeroInflated has no closed form'):
            getattr(wide, refused)


def test_mode_of_a_single_distribution():
    assert float(D.ZeroInflated(D.Bernoulli(0.9), 0.25).mode.array) == 1
    assert float(D.ZeroInflated(D.Bernoulli(0.9), 0.6).mode.array) == 0


def test_bases_and_gates_that_are_none():
    with pytest.raises(TypeError, match=r'single counts; got one of event_shape \(2,\)'):
        D.ZeroInflated(D.Independent(D.Poisson([1., 2.]), 1), 0.5)
    for gate in 'a', numpy.array([1j]), numpy.datetime64('2020-01-01'):
        with pytest.raises(TypeError, match='gate must consist of real numbers'):
            D.ZeroInflated(D.Poisson(1.), gate)


@pytest.mark.parametrize('dtypes', ['fd', 'df', 'ef', 'fe'])
def test_gate_and_base_of_two_precisions(dtypes):
    lam, gate = numpy.array(1.5, dtypes[0]), numpy.array(0.25, dtypes[1])
    d, exact = D.ZeroInflated(D.Poisson(lam), gate), D.ZeroInflated(D.Poisson(1.5), 0.25)
    for read in (lambda d: d.mean, lambda d: d.variance, lambda d: d.stddev, lambda d: d.cdf(2),
                 lambda d: d.survival_function(2), lambda d: d.log_prob(0),
                 lambda d: d.cdf(numpy.array([1., 3.]))):
        assert read(d).dtype.kind == 'f'
        numpy.testing.assert_allclose(read(d).array, read(exact).array, rtol=2e-3)


def test_few_extra_zeros_in_float16():
    d, n = D.ZeroInflated(D.Poisson(numpy.float16(20)), numpy.float16(2e-4)), 10 ** 6
    share, wanted = float((d.sample(n, rng=3).array == 0).mean()), float(d.gate.array)
    assert abs(share - wanted) < 5 * (wanted / n) ** 0.5   # a false alarm in 1.7 million
