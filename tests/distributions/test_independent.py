"""Independent: sums over events, covariance, divergences, any base, and bad input."""
import tracemalloc

import chainer
from chainer import functions as F
import numpy
import pytest
import scipy.special
import scipy.stats

import course_lib.distributions as D

LOC = numpy.arange(24.).reshape(2, 3, 4) / 10
SCALE = 1 + LOC


def normal(**changed):
    return D.Normal(**dict({'loc': LOC, 'scale': SCALE}, **changed))


@pytest.mark.parametrize('m, batch, event', [
    (None, (2,), (3, 4)), (0, (2, 3, 4), ()), (1, (2, 3), (4,)), (3, (), (2, 3, 4))])
def test_shapes_and_sums(m, batch, event):
    d = D.Independent(normal(), m)
    axes = tuple(range(len(batch), 3))
    parts = scipy.stats.norm(LOC, SCALE)
    x = numpy.random.default_rng(0).normal(size=(5, 2, 3, 4))
    assert (d.batch_shape, d.event_shape) == (batch, event)
    inner = tuple(a + 1 for a in axes)
    for name, expected in (('log_prob', parts.logpdf(x).sum(axis=inner)),
                           ('prob', parts.pdf(x).prod(axis=inner)),
                           ('cdf', parts.cdf(x).prod(axis=inner)),
                           ('log_cdf', parts.logcdf(x).sum(axis=inner)),
                           ('survival_function', parts.sf(x).prod(axis=inner)),
                           ('log_survival_function', parts.logsf(x).sum(axis=inner))):
        value = getattr(d, name)(x)
        assert value.shape == (5,) + batch
        numpy.testing.assert_allclose(value.array, expected, rtol=1e-9)
    numpy.testing.assert_allclose(d.entropy.array, parts.entropy().sum(axis=axes), rtol=1e-12)
    assert d.mean.shape == d.variance.shape == d.stddev.shape == d.mode.shape == batch + event
    assert d.sample((6, 7)).shape == (6, 7) + batch + event
    assert d.support == 'real' and d.params.keys() == normal().params.keys()


@pytest.mark.parametrize('m', [0, 1, 2])
def test_covariance_of_scalars_is_diagonal(m):
    base = D.Normal(LOC[0], SCALE[0])
    covariance = D.Independent(base, m).covariance.array
    n = (1, 4, 12)[m]
    expected = numpy.reshape(SCALE[0] ** 2, (-1, n))[:, :, None] * numpy.eye(n)
    assert covariance.shape == ((3, 4), (3,), ())[m] + (n, n)
    numpy.testing.assert_allclose(covariance.reshape(-1, n, n), expected)


def test_covariance_of_vectors_is_block_diagonal():
    rng = numpy.random.default_rng(0)
    tril = numpy.tril(rng.normal(size=(3, 2, 2))) + 3 * numpy.eye(2)
    base = D.MultivariateNormal(loc=numpy.zeros((3, 2)), scale_tril=tril)
    covariance = D.Independent(base, 1).covariance.array
    expected = numpy.zeros((6, 6))
    for i in range(3):
        expected[2 * i:2 * i + 2, 2 * i:2 * i + 2] = tril[i] @ tril[i].T
    numpy.testing.assert_allclose(covariance, expected, rtol=1e-9, atol=1e-12)


def test_gradient_and_rsample_come_from_the_base():
    loc = chainer.Variable(LOC)
    d = D.Independent(normal(loc=loc))
    assert d.has_rsample
    F.sum(d.sample(3, rng=1)).backward()
    numpy.testing.assert_allclose(loc.grad, 3)
    assert not D.Independent(D.Bernoulli(logit=[[0.]])).has_rsample
    assert (d.sample(3, rng=1).array == d.sample(3, rng=1).array).all()


@pytest.mark.parametrize('p, q', [
    (lambda s: D.Normal(LOC + s, SCALE), lambda s: D.Normal(LOC, SCALE + s)),
    (lambda s: D.Bernoulli(logit=LOC + s), lambda s: D.Bernoulli(p=(LOC + s) / 9)),
    (lambda s: D.Normal(LOC + s, SCALE), lambda s: D.Laplace(LOC, SCALE + s)),
    (lambda s: D.Categorical(logit=LOC + s), lambda s: D.Categorical(logit=s * LOC)),
])
def test_kl_is_the_sum_over_the_parts(p, q):
    """Of any pair that is registered, across families too."""
    p, q = p(0.5), q(0.25)
    kl = chainer.kl_divergence(D.Independent(p, 1), D.Independent(q, 1))
    numpy.testing.assert_allclose(
        kl.array, chainer.kl_divergence(p, q).array.sum(axis=-1), rtol=1e-12)


def test_kl_with_a_broadcast_base():
    p, q = D.Independent(normal(), 1), D.Independent(D.Normal(LOC[0, 0], 1.), 1)
    assert chainer.kl_divergence(p, q).shape == (2, 3)
    assert chainer.cross_entropy(p, q).shape == (2, 3)   # defect 35


def test_kl_that_does_not_fit_is_a_sentence():
    with pytest.raises(ValueError, match=r'same shape; got \(4,\) and \(3, 4\)'):
        chainer.kl_divergence(D.Independent(normal(), 1), D.Independent(normal(), 2))
    vector = D.MultivariateNormal(loc=numpy.zeros((2, 3)), scale_tril=numpy.eye(3))
    with pytest.raises(NotImplementedError, match='is 1 and 0'):
        chainer.kl_divergence(D.Independent(D.Normal(LOC[0, :2, :3], 1.), 1),
                              D.Independent(vector, 0))
    with pytest.raises(NotImplementedError, match='no closed form is registered'):
        chainer.kl_divergence(D.Independent(D.Poisson([[1.]])), D.Independent(D.Normal([[1.]], 1.)))


def test_discrete_base_and_its_checks():
    d = D.Independent(D.Bernoulli(logit=[[0., 1], [2, 3]]))
    numpy.testing.assert_allclose(d.log_prob([1, 0]).array, [-2.0064088, -3.1755151], rtol=1e-6)
    with pytest.raises(ValueError, match='0 or 1; got 2'):
        d.log_prob([2, 0])


def test_prob_of_grey_values_is_the_product_of_the_base():
    logit, x = numpy.float32([[0.5, -1, 3], [2, 0, 1]]), numpy.float32([0.25, 1, 0.7])
    base = D.Bernoulli(logit=logit, binary_check=False)
    p = scipy.special.expit(logit)
    expected = x * p + (1 - x) * (1 - p)
    numpy.testing.assert_allclose(D.Independent(base, 0).prob(x).array, expected, rtol=1e-6)
    for d in (D.Independent(base, 1), D.Independent(D.Independent(base, 1), 0),
              chainer.distributions.Independent(
                  chainer.distributions.Bernoulli(logit=logit), 1),
              D.Independent(chainer.distributions.Bernoulli(logit=logit), 1)):
        numpy.testing.assert_allclose(
            d.prob(numpy.broadcast_to(x, (2, 3))).array, expected.prod(axis=-1), rtol=1e-6)
    for binary_check in (None, True):
        d = D.Independent(D.Bernoulli(logit=logit, binary_check=binary_check), 1)
        numpy.testing.assert_allclose(
            d.prob([1, 0, 1]).array, numpy.exp(d.log_prob([1, 0, 1]).array), rtol=1e-6)


def test_bases_of_chainer():
    base = chainer.distributions.Normal(LOC.astype(numpy.float32), SCALE.astype(numpy.float32))
    d = D.Independent(base, 1)
    assert d.dtype == numpy.float32 and not d.has_rsample
    numpy.testing.assert_allclose(
        d.log_prob(numpy.zeros(4, numpy.float32)).array,
        scipy.stats.norm(LOC, SCALE).logpdf(0).sum(axis=-1), rtol=1e-5)
    assert d.sample(2).shape == (2, 2, 3, 4)
    with pytest.raises(TypeError, match='cannot follow an rng'):
        d.sample(2, rng=0)


def test_nested_and_repr():
    d = D.Independent(D.Independent(D.Normal([[0., 1]], 1.), 1), 1)
    assert (d.batch_shape, d.event_shape) == ((), (1, 2))
    assert d.covariance.shape == (2, 2)
    assert repr(d) == ('Independent(Independent(Normal(loc=[[0., 1.]], scale=1.), '
                       'reinterpreted_batch_ndims=1), reinterpreted_batch_ndims=1)')


def test_icdf_raises_as_in_chainer():
    with pytest.raises(RuntimeError, match='not invertible'):
        D.Independent(normal()).icdf(0.5)


@pytest.mark.parametrize('error, make, fragments', [
    (TypeError, lambda: D.Independent(3), ['distribution must be a distribution', 'int']),
    (TypeError, lambda: D.Independent(normal(), 1.5), ['must be an integer', '1.5']),
    (TypeError, lambda: D.Independent(normal(), True), ['must be an integer', 'True']),
    (ValueError, lambda: D.Independent(normal(), 4), ['from 0 to 3', 'got 4']),
    (ValueError, lambda: D.Independent(normal(), -1), ['from 0 to 3', 'got -1']),
    (TypeError, lambda: D.Independent(normal()).log_prob([[1.], [1., 2.]]),
     ['x must consist of real numbers, in rows of one length; got [[1.0], [1.0, 2.0]]']),
    (ValueError, lambda: D.Independent(D.Normal([[0.]], 1.)).log_prob([1., 2.]),
     ['x has shape (2,)', 'event_shape (1,)']),
    (ValueError, lambda: D.Independent(normal()).log_prob(numpy.zeros(3)), ['(3,)', '(3, 4)']),
])
def test_bad_input_is_a_sentence(error, make, fragments):
    with pytest.raises(error) as caught:
        make()
    for fragment in fragments:
        assert fragment in str(caught.value)


FUSED = {
    'Bernoulli': (lambda a, b: D.Bernoulli(logit=a), [0, 1, 0, 1], 2),
    'Bernoulli of p': (lambda a, b: D.Bernoulli(p=F.sigmoid(a)), [0, 1, 0, 1], 2),
    'Bernoulli, grey': (
        lambda a, b: D.Bernoulli(logit=a, binary_check=False), [0, 1, 0.2, 0.7], None),
    'Bernoulli, checking': (
        lambda a, b: D.Bernoulli(logit=a, binary_check=True), [0, 1, 0, 1], 0.5),
    'ContinuousBernoulli': (lambda a, b: D.ContinuousBernoulli(logit=a), [0, 1, 0.2, 0.7], 1.5),
    'DiscretizedLogistic': (
        lambda a, b: D.DiscretizedLogistic(a, log_scale=b, low=0, high=1, n_levels=11),
        [0, 1, 0.2, 0.7], 2),
    'NegativeBinomial': (
        lambda a, b: D.NegativeBinomial(log_mean=a, concentration=F.exp(b)), [0, 1, 5, 2], -1),
    'Normal': (lambda a, b: D.Normal(a, scale=F.exp(b)), [0, 1, -0.2, 0.7], None),
    'Normal of log_scale': (lambda a, b: D.Normal(a, log_scale=b), [0, 1, -0.2, 0.7], None),
    'Poisson': (lambda a, b: D.Poisson(lam=F.exp(a)), [0, 1, 5, 2], 0.5),
    'Poisson of log_lam': (lambda a, b: D.Poisson(log_lam=a), [0, 1, 5, 2], 0.5),
}


@pytest.mark.parametrize('m', [0, 1, 2])
@pytest.mark.parametrize('family', FUSED)
def test_sums_formed_with_the_elements_are_the_sums_of_the_elements(family, m):
    make, x, impossible = FUSED[family]
    rng = numpy.random.default_rng(0)
    a, b = (chainer.Variable(rng.normal(size=(5, 3, 4)).astype('f')) for _ in range(2))
    possible = numpy.float32(x)
    with_impossible = numpy.where(possible == 1, numpy.float32(impossible or 1), possible)
    for x in possible, with_impossible:
        with D.validation(x is possible):   # off: -inf and no gradient
            y = D.Independent(make(a, b), m).log_prob(x)
            parts = make(a, b).log_prob(x)
        expected = F.sum(parts, axis=tuple(range(-m, 0))) if m else parts
        assert y.shape == (5, 3, 4)[:3 - m]
        numpy.testing.assert_allclose(y.array, expected.array, rtol=1e-5)
        gy = rng.normal(size=y.shape).astype('f')
        for gradient, wanted in zip(*(
                chainer.grad([v], [a, b], [chainer.Variable(gy)]) for v in (y, expected))):
            assert (gradient is None) == (wanted is None)
            if wanted is not None:
                numpy.testing.assert_allclose(gradient.array, wanted.array, rtol=1e-5, atol=1e-6)


def test_a_decoder_stores_no_log_probability_of_a_pixel():
    logit = chainer.Variable(numpy.zeros((20, 100, 784), numpy.float32))
    x = numpy.ones((100, 784), numpy.float32)

    def log_prob():
        return D.Independent(D.Bernoulli(logit=logit), 1).log_prob(x)
    log_prob()   # warm up
    tracemalloc.start()
    y = log_prob()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert y.shape == (20, 100) and peak < logit.array.nbytes / 3


def test_a_subclass_with_a_log_prob_of_its_own_is_heard():
    class Doubled(D.Bernoulli):
        def log_prob(self, x):
            return 2 * super().log_prob(x)

    logit = numpy.float32([[0.5, -1.], [2., 0.]])
    x = numpy.float32([[1, 0], [0, 1]])
    expected = 2 * D.Independent(D.Bernoulli(logit=logit)).log_prob(x).array
    numpy.testing.assert_allclose(
        D.Independent(Doubled(logit=logit)).log_prob(x).array, expected, rtol=1e-6)
