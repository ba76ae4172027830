"""Dirichlet: accuracy, identities, defects of other libraries, and bad input."""
import accuracy
import chainer
from chainer import functions as F
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

SHARES = [0.2, 0.3, 0.5]
ALPHAS = [(1, 1, 1), (0.5, 2, 3), (1e-10, 1, 1e3), (1e10, 2e10, 3e10), (9, 5, 5.9), (9, 5, 6.1),
          (1e-3, 1e-3, 1e-3), (1e6, 0.01, 3)]


def names(prefix, n):
    return [f'{prefix}{i}' for i in range(n)]


def log_beta(a):
    return sum(mpmath.loggamma(v) for v in a) - mpmath.loggamma(sum(a))


def log_prob(x, a):
    return sum((v - 1) * mpmath.log(s) for v, s in zip(a, x)) - log_beta(a)


def entropy(a):
    n = sum(a)
    return (log_beta(a) + (n - len(a)) * mpmath.digamma(n)
            - sum((v - 1) * mpmath.digamma(v) for v in a))


def kl(a, b):
    return log_beta(b) - log_beta(a) + sum(
        (u - v) * (mpmath.digamma(u) - mpmath.digamma(sum(a))) for u, v in zip(a, b))


def check(make, reference, *vectors):
    """As :func:`accuracy.check`, for functions of vectors given by their components."""
    keys = [names(p, len(v)) for p, v in zip('abc', vectors)]

    def split(values):
        return [[values[k] for k in group] for group in keys]
    accuracy.check(
        lambda **v: make(*[F.stack(group) for group in split(v)]),
        lambda **v: reference(*split(v)),
        {k: value for group, vector in zip(keys, vectors) for k, value in zip(group, vector)})


@pytest.mark.parametrize('alpha', ALPHAS)
@pytest.mark.parametrize('x', [SHARES, [1e-5, 0.2, 0.79999]])
def test_log_prob_is_accurate(alpha, x):
    check(lambda a, x: D.Dirichlet(a).log_prob(x), lambda a, x: log_prob(x, a), alpha, x)


@pytest.mark.parametrize('alpha', ALPHAS)
def test_entropy_is_accurate(alpha):
    check(lambda a: D.Dirichlet(a).entropy, entropy, alpha)


@pytest.mark.parametrize('a,b', [
    ((0.5, 2, 3), (1, 1, 1)), ((1, 3), (1, 3)), ((1, 3), (1, 3.00001)),
    ((1e6, 0.01, 3), (1.01e6, 0.01, 3)), ((1e10, 3e10), (1e10, 3.0001e10)),
    ((1e5, 2e7), (1.4, 130)), ((1e-5, 1), (1e-5, 3))])
def test_kl_is_accurate_also_near_equality(a, b):
    check(lambda a, b: chainer.kl_divergence(D.Dirichlet(a), D.Dirichlet(b)), kl, a, b)


def test_log_prob_and_moments_against_scipy():
    alpha = numpy.array([[0.4, 3, 2.2], [20, 30, 10.]])
    d = D.Dirichlet(alpha)
    assert d.batch_shape == (2,) and d.event_shape == (3,)
    for i in range(2):
        exact = scipy.stats.dirichlet(alpha[i])
        for ours, theirs in ((d.log_prob(SHARES), exact.logpdf(SHARES)), (d.mean, exact.mean()),
                             (d.variance, exact.var()), (d.stddev, exact.var() ** 0.5),
                             (d.entropy, exact.entropy())):
            numpy.testing.assert_allclose(ours.array[i], theirs, 1e-12)
    numpy.testing.assert_allclose(D.Dirichlet([3., 2., 5.]).mode.array, [2 / 7, 1 / 7, 4 / 7], 1e-6)
    assert D.Dirichlet([3., 2.]).alpha0.array == 5


def test_two_shares_are_a_beta():
    p, q, a, b = D.Dirichlet([2., 30.]), D.Dirichlet([1.5, 4.]), D.Beta(2., 30.), D.Beta(1.5, 4.)
    assert p.log_prob([0.25, 0.75]).array == pytest.approx(a.log_prob(0.25).array, 1e-6)
    assert p.entropy.array == a.entropy.array
    assert chainer.kl_divergence(p, q).array == chainer.kl_divergence(a, b).array


def test_double_backward():
    a, b = [[0.4, 3, 2.2], [20, 30, 10.]], [[1., 2, 0.6], [19., 33, 8]]

    def value(f):
        return lambda *v: F.broadcast_to(f(*v), (3,))   # the shape of the parameters

    for i in range(2):
        continuous.check_double_backward(value(
            lambda z, a: D.Dirichlet(a).log_prob(F.softmax(z, axis=0))), [0.2, 0.3, -0.5], a[i])
        continuous.check_double_backward(value(lambda a: D.Dirichlet(a).entropy), a[i])
        continuous.check_double_backward(value(
            lambda a, b: chainer.kl_divergence(D.Dirichlet(a), D.Dirichlet(b))), a[i], b[i])


def test_defect_20_off_the_simplex():
    alpha = chainer.Variable(numpy.array([1., 1.], 'f'))
    x = chainer.Variable(numpy.array([[3, 4], [-0.5, 1.5], [0.4, 0.5], [0.25, 0.75]], 'f'))
    y = D.Dirichlet(alpha).log_prob(x)
    F.sum(y).backward()
    assert y.array.tolist() == [-numpy.inf] * 3 + [0]
    assert x.grad[:3].tolist() == [[0, 0]] * 3
    numpy.testing.assert_allclose(alpha.grad, numpy.log([0.25, 0.75]) + 1, 1e-6)


def test_the_edge_of_the_simplex():
    x = [0., 0.25, 0.75]
    assert D.Dirichlet([1., 1., 1.]).log_prob(x).array == pytest.approx(numpy.log(2))
    assert D.Dirichlet([0.5, 1., 1.]).log_prob(x).array == numpy.inf
    assert D.Dirichlet([2., 1., 1.]).log_prob(x).array == -numpy.inf
    assert D.Dirichlet([2., 0.5, 1.]).log_prob([0., 0., 1.]).array == -numpy.inf


def test_defect_28_dtypes():
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.Dirichlet(chainer.Variable(numpy.ones((2, 3), dtype)))
        for r, shape in ((d.log_prob(numpy.array(SHARES, dtype)), (2,)), (d.mean, (2, 3)),
                         (d.variance, (2, 3)), (d.entropy, (2,)), (d.sample(), (2, 3))):
            assert r.dtype == dtype and r.shape == shape


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
@pytest.mark.parametrize('concentration', [1e-3, 0.1, 1., 100.])
def test_samples_are_on_the_simplex(dtype, concentration):
    """Also those of tiny concentrations; their log_prob is finite."""
    alpha = chainer.Variable(numpy.full((50, 20), concentration, dtype))
    d = D.Dirichlet(alpha)
    x = d.sample(10, rng=2)
    assert x.array.min() > 0 and numpy.isfinite(d.log_prob(x).array).all()
    F.sum(x * x).backward()
    assert numpy.isfinite(alpha.grad).all()


def test_defect_38_a_sample_is_differentiable():
    alpha = chainer.Variable(numpy.tile([0.4, 1.5, 3.], (100000, 1)))
    F.sum(D.Dirichlet(alpha).sample(rng=4)[:, 0]).backward()
    n = 4.9
    for i, slope in enumerate(((n - 0.4) / n ** 2, -0.4 / n ** 2, -0.4 / n ** 2)):
        g = alpha.grad[:, i]
        assert abs(g.mean() - slope) < 4 * g.std() / len(g) ** 0.5


def test_samplers():
    x = D.Dirichlet(numpy.array([[0.4, 1.5, 3.]])).sample(20000, rng=1).array
    for i, a in enumerate((0.4, 1.5, 3.)):
        marginal = scipy.stats.beta(a, 4.9 - a)
        assert scipy.stats.kstest(x[:, 0, i], marginal.cdf).pvalue > continuous.SIGNIFICANCE
    continuous.check_seeds(D.Dirichlet(numpy.full((2, 3), 2.)))


def test_defect_39_sampling_is_vectorised():
    """One call of the generator draws for all rows."""
    class Counting:
        calls = 0
        standard_normal = None

        def standard_gamma(self, shape, size):
            self.calls += 1
            return numpy.random.default_rng(0).standard_gamma(shape, size)
    rng = Counting()
    assert D.Dirichlet(numpy.ones((1000, 10), 'f')).sample(3, rng=rng).shape == (3, 1000, 10)
    assert rng.calls == 1


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.Dirichlet([1., 0.]), 'Dirichlet: alpha must be a finite number above 0; got 0'),
    (lambda: D.Dirichlet(1.), 'alpha must have at least one axis'),
    (lambda: D.Dirichlet([1., 1.]).log_prob([0.2, 0.3, 0.5]), 'does not broadcast'),
    (lambda: D.Dirichlet([1., 1.]).log_prob([float('nan'), 1.]), 'x must be a number, not NaN'),
    (lambda: D.Dirichlet([1., 2.]).mode, 'alpha must be a finite number above 1; got 1'),
    (lambda: chainer.kl_divergence(D.Dirichlet([1., 2.]), D.Dirichlet([1., 2., 3.])),
     'the numbers of shares differ, 2 and 3')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()


def test_kl_against_sampling():
    continuous.check_kl_by_sampling(D.Dirichlet([2.5, 1.3, 0.8]), D.Dirichlet([1.7, 4., 1.]))


def test_stddev_where_the_variance_underflows():
    alpha = chainer.Variable(numpy.float32([1, 1e25]))
    d = D.Dirichlet(alpha)
    numpy.testing.assert_allclose(d.stddev.array, [1e-25, 1e-25], rtol=1e-6)
    d.stddev[0].backward()
    numpy.testing.assert_allclose(alpha.grad, [5e-26, 0], rtol=1e-6, atol=1e-45)
    lone = chainer.Variable(numpy.float32([2]))
    F.sum(D.Dirichlet(lone).stddev).backward()
    assert lone.grad == 0
    continuous.check_double_backward(lambda a: D.Dirichlet(a).stddev, [0.3, 4., 2.])


@pytest.mark.parametrize('alpha, shape', [([], r'\(0,\)'), (numpy.ones((2, 0)), r'\(2, 0\)')])
def test_no_share_is_refused(alpha, shape):
    with pytest.raises(ValueError, match='at least one share on its last axis; got an array of '
                                         'shape ' + shape):
        D.Dirichlet(alpha)
