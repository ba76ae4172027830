"""RelaxedOneHotCategorical: accuracy, sampling and its gradient, and bad input."""
import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

LOGITS = [(1, -2, 0.5), (-1e4, 0, 30)]
XS = [(0.2, 0.3, 0.5), (1e-30, 0.4, 0.6), (1 / 3, 1 / 3, 1 / 3), (1e-8, 1e-20, 1)]


def log_prob(t, logit, x):
    scores = [a - t * mpmath.log(b) for a, b in zip(logit, x)]
    top = max(scores)
    total = top + mpmath.log(sum(mpmath.exp(s - top) for s in scores))
    return mpmath.log(2) + 2 * mpmath.log(t) + sum(
        s - total - mpmath.log(b) for s, b in zip(scores, x))


@pytest.mark.parametrize('t', [0.01, 1, 4])
@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', XS)
def test_log_prob_is_accurate(t, logit, x):
    accuracy.check(
        lambda t, a, b, c, d, e, f: D.RelaxedOneHotCategorical(
            t, F.stack([a, b, c])).log_prob(F.stack([d, e, f])),
        lambda t, a, b, c, d, e, f: log_prob(t, (a, b, c), (d, e, f)),
        dict(zip('tabcdef', (t,) + logit + x)))


def test_two_classes_are_a_relaxed_bernoulli():
    """On the edge (x, 1 - x), with a factor of sqrt(2) / sqrt(2): the same density in x."""
    x, t, z = numpy.array([0.01, 0.3, 0.9]), 0.7, 1.3
    ours = D.RelaxedOneHotCategorical(t, numpy.array([z, 0.])).log_prob(
        numpy.stack([x, 1 - x], axis=-1))
    numpy.testing.assert_allclose(
        ours.array, D.RelaxedBernoulli(t, numpy.float64(z)).log_prob(x).array, rtol=1e-12)


def test_uniform_on_the_simplex():
    """Temperature 1 and equal logits with two classes: the uniform distribution."""
    d = D.RelaxedOneHotCategorical(1., [0., 0.])
    numpy.testing.assert_allclose(d.log_prob([[0.1, 0.9], [0.5, 0.5]]).array, [0, 0], atol=1e-7)


def test_double_backward():
    rng = numpy.random.default_rng(0)
    t, logit, x = numpy.array([0.5, 2]), rng.normal(size=(2, 3)), rng.dirichlet([2, 2, 2], 2)
    # Steps along x leave the simplex, but by less than the tolerance of its sum.
    gradient_check.check_double_backward(
        lambda t, z, x: D.RelaxedOneHotCategorical(t, z).log_prob(x), (t, logit, x),
        rng.normal(size=2), (rng.normal(size=2), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))),
        dtype='d', eps=1e-5, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('x', [[0, 0.5, 0.5], [0.2, 0.2, 0.2], [-0.1, 0.6, 0.5], [3, 4, 5]])
def test_off_the_open_simplex(x):
    t, z, x = (chainer.Variable(numpy.array(v, numpy.float32)) for v in (0.5, [1, 2, 3], x))
    y = D.RelaxedOneHotCategorical(t, z).log_prob(x)
    y.backward()
    assert y.array == -numpy.inf
    assert t.grad == 0 and not z.grad.any() and not x.grad.any()


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
def test_samples_have_a_finite_density(dtype):
    t = chainer.Variable(numpy.array(0.03, dtype))
    z = chainer.Variable(numpy.array([[1, 2, 3], [0, 0, 0]], dtype))
    d = D.RelaxedOneHotCategorical(t, z)
    x = d.sample(1000, rng=1)
    assert x.dtype == dtype and x.shape == (1000, 2, 3) and x.array.min() > 0
    y = d.log_prob(x)
    assert numpy.isfinite(y.array).all()
    if dtype != numpy.float16:
        F.sum(y).backward()
        assert numpy.isfinite(t.grad) and numpy.isfinite(z.grad).all()


def test_largest_entry_is_categorical():
    """Chi-square test at a false-alarm rate of 1e-4."""
    logit = numpy.array([1., 0, -1, 0.5])
    x = D.RelaxedOneHotCategorical(0.8, logit).sample(20000, rng=3).array
    p = numpy.exp(logit) / numpy.exp(logit).sum()
    counts = numpy.bincount(x.argmax(axis=-1), minlength=4)
    assert scipy.stats.chisquare(counts, 20000 * p).pvalue > continuous.SIGNIFICANCE


def test_sampler_follows_the_density():
    """Of two classes, the first entry is RelaxedBernoulli: Kolmogorov-Smirnov test."""
    x = D.RelaxedOneHotCategorical(0.6, numpy.array([0.4, 0.])).sample(20000, rng=8).array[:, 0]
    edge = D.RelaxedBernoulli(0.6, numpy.float64(0.4))
    assert scipy.stats.kstest(x, lambda v: edge.cdf(v).array).pvalue > continuous.SIGNIFICANCE


def test_reparameterised_gradient():
    """Against finite differences at the same seed."""
    def value(t, z):
        return F.sum(D.RelaxedOneHotCategorical(t, z).sample(7, rng=5) ** 2)
    assert D.RelaxedOneHotCategorical.has_rsample
    gradient_check.check_backward(
        value, (numpy.array(0.7), numpy.array([0.3, -1, 0.2])), numpy.array(1.), dtype='d',
        eps=1e-5)


def test_shapes_seed_and_repr():
    d = D.RelaxedOneHotCategorical(numpy.float32([[0.5], [1]]), numpy.zeros((3, 4), numpy.float32))
    assert (d.batch_shape, d.event_shape) == ((2, 3), (4,))
    x = d.sample((5,), rng=7)
    assert x.shape == (5, 2, 3, 4) and len(numpy.unique(x.array)) > 110
    assert (x.array == d.sample((5,), rng=7).array).all()
    assert d.log_prob(x).shape == (5, 2, 3)
    assert repr(D.RelaxedOneHotCategorical(1, [0., 1.])) == (
        'RelaxedOneHotCategorical(temperature=1., logit=[0., 1.])')


@pytest.mark.parametrize('make, fragments', [
    (lambda: D.RelaxedOneHotCategorical(0, [1.]), ['temperature must be', 'above 0']),
    (lambda: D.RelaxedOneHotCategorical(1, [1., -numpy.inf]), ['logit', 'finite']),
    (lambda: D.RelaxedOneHotCategorical(1, 2.), ['logit must have the classes', '()']),
    (lambda: D.RelaxedOneHotCategorical([1, 2], numpy.zeros((3, 4))), ['do not broadcast']),
    (lambda: D.RelaxedOneHotCategorical(1, [0., 0.]).log_prob([0.2, 0.3, 0.5]), ['(3,)']),
    (lambda: D.RelaxedOneHotCategorical(1, [0., 0.]).log_prob([numpy.nan, 1]), ['x must', 'nan']),
])
def test_bad_input_is_a_sentence(make, fragments):
    with pytest.raises(ValueError) as error:
        make()
    for fragment in fragments:
        assert fragment in str(error.value)
