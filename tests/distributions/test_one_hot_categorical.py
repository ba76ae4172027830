"""OneHotCategorical: agreement with Categorical, defects of other libraries, and bad input."""
import chainer
from chainer import functions as F
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

LOGIT = numpy.array([[20., 0, -30], [1, 2, 3], [-1e4, 1e4, 0]])


def one_hot(label, dtype=numpy.float64):
    return numpy.eye(3, dtype=dtype)[label]


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_agrees_with_categorical(dtype):
    """Accuracy is tested there."""
    label = numpy.array([[0, 1, 2], [2, 2, 1]])
    results = []
    for d, x in ((D.Categorical, label), (D.OneHotCategorical, one_hot(label))):
        logit = chainer.Variable(LOGIT.astype(dtype))
        y = d(logit=logit).log_prob(x)
        F.sum(y).backward()
        results.append((y.array, logit.grad, d(logit=logit).entropy.array))
    for ours, theirs in zip(*results):
        numpy.testing.assert_array_equal(ours, theirs)


def test_zero_probability():
    """Defect 10: the probability of another class being 0 does not matter."""
    p = chainer.Variable(numpy.float32([0, 0.5, 0.5]))
    y = D.OneHotCategorical(p=p).log_prob(one_hot([1, 0]))
    numpy.testing.assert_allclose(y.array, [numpy.log(0.5), -numpy.inf], rtol=1e-6)
    y[0].backward()
    assert p.grad.tolist() == [0, 2, 0]


@pytest.mark.parametrize('dtype', [numpy.int32, numpy.int64, bool, numpy.float16, numpy.float32])
def test_observations_of_any_dtype(dtype):
    d = D.OneHotCategorical(p=numpy.float32([0.2, 0.3, 0.5]))
    y = d.log_prob(one_hot([0, 2], dtype))
    assert y.dtype == numpy.float32
    numpy.testing.assert_allclose(y.array, numpy.log([0.2, 0.5]), rtol=1e-6)
    assert d.log_prob([0, 1, 0]).shape == ()


def test_moments_and_shapes():
    d = D.OneHotCategorical(logit=LOGIT.astype(numpy.float32))
    assert (d.batch_shape, d.event_shape) == ((3,), (3,))
    wide = numpy.exp(LOGIT - LOGIT.max(axis=-1, keepdims=True))
    others = wide * (1 - numpy.eye(3)[LOGIT.argmax(axis=-1)])
    total = 1 + others.sum(axis=-1, keepdims=True)
    p = wide / total
    rest = numpy.where(wide == 1, others.sum(axis=-1, keepdims=True) / total, 1 - p)
    numpy.testing.assert_allclose(d.mean.array, p, rtol=1e-5, atol=1e-45)
    numpy.testing.assert_allclose(d.variance.array, p * rest, rtol=1e-5, atol=1e-45)
    assert d.mode.array.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert set(d.params) == {'p'} and d.support == 'one-hot vector'
    numpy.testing.assert_allclose(
        D.OneHotCategorical(p=numpy.float64([0.2, 0.8])).variance.array, [0.16, 0.16])


def test_kl():
    p, q = numpy.array([[0, 0.5, 0.5], [0.2, 0.3, 0.5]]), numpy.array([1 / 3, 1 / 3, 1 / 3])
    kl = chainer.kl_divergence(D.OneHotCategorical(p=p), D.OneHotCategorical(p=q))
    numpy.testing.assert_allclose(kl.array, scipy.stats.entropy(p, q[None], axis=1), rtol=1e-9)
    kl = chainer.kl_divergence(D.OneHotCategorical(p=p), D.OneHotCategorical(logit=[0., 0., 0.]))
    numpy.testing.assert_allclose(kl.array, scipy.stats.entropy(p, q[None], axis=1), rtol=1e-9)


def test_samples():
    """Chi-square test at a false-alarm rate of 1e-4; the dtype is that of the parameters."""
    p = numpy.array([[0.1, 0.2, 0.7], [0.5, 0, 0.5]])
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        x = D.OneHotCategorical(p=p.astype(dtype)).sample(20000, rng=3)
        assert x.dtype == dtype and x.shape == (20000, 2, 3)
        counts = x.array.sum(axis=0, dtype=numpy.float64)
        assert counts[1, 1] == 0
        assert scipy.stats.chisquare(counts[0], 20000 * p[0]).pvalue > 1e-4
        assert scipy.stats.chisquare(counts[1, ::2], 20000 * p[1, ::2]).pvalue > 1e-4
    d = D.OneHotCategorical(p=p)
    assert numpy.isfinite(d.log_prob(d.sample(50, rng=1)).array).all()
    assert (d.sample(5, rng=7).array == d.sample(5, rng=7).array).all()


@pytest.mark.parametrize('x', [[1, 1, 0], [0, 0, 0], [0.5, 0.5, 0], [2, -1, 0]])
def test_what_is_not_one_hot_is_refused(x):
    """Defect 20."""
    logit = chainer.Variable(numpy.float32([1, 2, 3]))
    with pytest.raises(ValueError, match='x must be one-hot'):
        D.OneHotCategorical(logit=logit).log_prob(x)
    with D.validation(False):
        y = D.OneHotCategorical(logit=logit).log_prob(x)
    assert y.array == -numpy.inf
    y.backward()
    assert logit.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize('make, fragments', [
    (lambda: D.OneHotCategorical(), ['give either p or logit']),
    (lambda: D.OneHotCategorical(p=[2, 3]), ['OneHotCategorical: p', 'got 2']),
    (lambda: D.OneHotCategorical(p=[0.4, 0.5]), ['p must sum to 1']),
    (lambda: D.OneHotCategorical(logit=[0, numpy.nan]), ['logit must be', 'nan']),
    (lambda: D.OneHotCategorical([0.5, 0.5]).log_prob([1, 0, 0]), ['(3,)', 'event_shape (2,)']),
    (lambda: D.OneHotCategorical([0.5, 0.5]).log_prob([numpy.nan, 0]), ['x must be', 'nan']),
])
def test_bad_input_is_a_sentence(make, fragments):
    with pytest.raises(ValueError) as error:
        make()
    for fragment in fragments:
        assert fragment in str(error.value)
