"""Transformed: accuracy, identities, flows, sampling, bad input."""
import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.integrate
import scipy.stats

import course_lib.distributions as D
from course_lib.distributions import transforms as T

WEIGHTS = numpy.random.RandomState(0).randn(3, 6)
W, U = numpy.array([0.7, -1.2, 0.4]), numpy.array([1.5, 2, -0.3])


def net(x):
    h = F.matmul(x, WEIGHTS.astype(x.dtype))
    return h[:, :3], F.tanh(h[:, 3:])


FLOW = [T.Planar(W, U, 0.2), T.AffineCoupling([1, 0, 1], net), T.Planar(U, -5 * W, 0.),
        T.Affine([1., 2, 3], 2.)]


def log_normal_density(z):
    return -z ** 2 / 2 - mpmath.log(2 * mpmath.pi) / 2


@pytest.mark.parametrize('y', [1e-30, 0.2, 1, 7, 1e8])
@pytest.mark.parametrize('loc, log_scale', [(0, 0), (-3, 2), (1, -5)])
def test_log_prob_of_exp_is_accurate(y, loc, log_scale):
    accuracy.check(
        lambda x, loc, log_scale: D.Transformed(
            D.Normal(loc, log_scale=log_scale), T.Exp()).log_prob(x),
        lambda x, loc, log_scale: log_normal_density(
            (mpmath.log(x) - loc) / mpmath.exp(log_scale)) - log_scale - mpmath.log(x),
        {'loc': loc, 'log_scale': log_scale}, y, continuous=True)


@pytest.mark.parametrize('y', [1e-30, 1e-4, 0.4999, 0.9, 0.9999])
def test_log_prob_of_sigmoid_is_accurate(y):
    accuracy.check(
        lambda x, loc: D.Transformed(D.Normal(loc, 1.), T.Sigmoid()).log_prob(x),
        lambda x, loc: log_normal_density(mpmath.log(x / (1 - x)) - loc)
        - mpmath.log(x) - mpmath.log1p(-x), {'loc': 0.7}, y, continuous=True)


@pytest.mark.parametrize('y', [1e-30, 1e-4, 0.6, 5, 1e3])
def test_log_prob_of_softplus_is_accurate(y):
    accuracy.check(
        lambda x, loc: D.Transformed(D.Normal(loc, 1.), T.Softplus()).log_prob(x),
        lambda x, loc: log_normal_density(mpmath.log(mpmath.expm1(x)) - loc)
        - mpmath.log(-mpmath.expm1(-x)), {'loc': 0.7}, y, continuous=True)


@pytest.mark.parametrize('y', [-3, 0, 10])
@pytest.mark.parametrize('loc, scale', [(1, -2), (0, 1e-5), (-4, 1e5)])
def test_log_prob_of_affine_is_accurate(y, loc, scale):
    accuracy.check(
        lambda x, loc, scale: D.Transformed(D.Normal(0., 1.), T.Affine(loc, scale)).log_prob(x),
        lambda x, loc, scale: log_normal_density((x - loc) / scale) - mpmath.log(abs(scale)),
        {'loc': loc, 'scale': scale}, y, continuous=True)


def test_exp_of_a_normal_is_scipys_lognorm():
    d = D.Transformed(D.Normal(0.3, numpy.float64(0.7)), T.Exp())
    true = scipy.stats.lognorm(0.7, scale=numpy.exp(0.3))
    y, u = numpy.array([1e-3, 0.5, 2, 40]), numpy.array([1e-6, 0.3, 0.9])
    for mine, scipys in [('log_prob', 'logpdf'), ('prob', 'pdf'), ('cdf', 'cdf'),
                         ('log_cdf', 'logcdf'), ('survival_function', 'sf'),
                         ('log_survival_function', 'logsf')]:
        numpy.testing.assert_allclose(
            getattr(d, mine)(y).array, getattr(true, scipys)(y), rtol=1e-12)
    numpy.testing.assert_allclose(d.icdf(u).array, true.ppf(u), rtol=1e-12)
    numpy.testing.assert_allclose(d.entropy.array, true.entropy(), rtol=1e-12)
    assert d.support == 'positive'
    with pytest.raises(NotImplementedError, match='no closed form for mean'):
        d.mean


def test_outside_the_codomain_the_density_is_zero_with_zero_gradient():
    y = chainer.Variable(numpy.array([-1, 0, 2, numpy.inf]))
    loc = chainer.Variable(numpy.zeros(4))
    d = D.Transformed(D.Normal(loc, numpy.ones(4)), T.Exp())
    log_prob = d.log_prob(y)
    log_prob.grad = numpy.ones(4)
    log_prob.backward()
    assert numpy.isneginf(log_prob.array).tolist() == [True, True, False, True]
    assert (y.grad != 0).tolist() == (loc.grad != 0).tolist() == [False, False, True, False]
    assert d.cdf([-1., 0, 2, numpy.inf]).array[[0, 1, 3]].tolist() == [0, 0, 1]
    assert d.log_survival_function([-1., 0, 2, numpy.inf]).array[[0, 1, 3]].tolist() == [
        0, 0, -numpy.inf]


def test_outside_the_support_of_the_base_the_jacobian_leaves_no_gradient():
    y = chainer.Variable(numpy.array([0.3, 0.9]))
    base = D.Transformed(D.Normal(numpy.zeros(2), 1.), T.Exp())   # x > 0, so y > 1/2
    log_prob = D.Transformed(base, T.Sigmoid()).log_prob(y)
    log_prob.grad = numpy.ones(2)
    log_prob.backward()
    assert log_prob.array[0] == -numpy.inf and y.grad[0] == 0 and y.grad[1] != 0


def test_decreasing_and_mixed_affine_transforms():
    scale = numpy.array([-2., 3])
    d = D.Transformed(D.Normal(numpy.float64(0.5), 1.5), T.Affine(1., scale))
    true = scipy.stats.norm(1 + 0.5 * scale, 1.5 * abs(scale))
    y, u = numpy.array([[-4, 3], [0.5, 9]]), numpy.array([[0.1, 0.2], [0.9, 0.5]])
    for mine, scipys in [('log_prob', 'logpdf'), ('cdf', 'cdf'), ('log_cdf', 'logcdf'),
                         ('survival_function', 'sf'), ('log_survival_function', 'logsf')]:
        numpy.testing.assert_allclose(
            getattr(d, mine)(y).array, getattr(true, scipys)(y), rtol=1e-12)
    numpy.testing.assert_allclose(d.icdf(u).array, true.ppf(u), rtol=1e-12)
    for name, value in [('mean', true.mean()), ('variance', true.var()), ('stddev', true.std()),
                        ('entropy', true.entropy()), ('mode', true.mean())]:
        numpy.testing.assert_allclose(getattr(d, name).array, value, rtol=1e-12)
    assert d.support == 'real' and d.batch_shape == (2,)


@pytest.mark.parametrize('chain', [
    [T.Exp(), T.Affine(2., -3.)], [T.Affine(0.3, -1.), T.Sigmoid(), T.Affine(-1., 4.)],
    [T.Softplus(), T.Exp(), T.Affine(1., 0.1)]], ids=repr)
def test_cdf_of_a_chain(chain):
    d = D.Transformed(D.Normal(numpy.float64(0.2), 0.6), chain)
    u = numpy.array([1e-3, 0.2, 0.5, 0.99])
    y = d.icdf(u)
    numpy.testing.assert_allclose(d.cdf(y).array, u, rtol=1e-10)
    area, _ = scipy.integrate.quad(lambda t: d.prob(t).item(), y.array[1], y.array[2])
    assert abs(area - 0.3) < 1e-8
    far = numpy.array([-1e3, 1e5])
    assert (d.prob(far).array < 1e-20).all()
    numpy.testing.assert_allclose(d.cdf(far).array, [0, 1], atol=1e-12)


@pytest.mark.parametrize('base, batch_shape', [
    (D.Normal(numpy.zeros(3), numpy.ones(3)), ()), (D.Normal(numpy.float64(0), 1.), ()),
    (D.Normal(numpy.zeros((2, 1)), 1.), (2,)),
    (D.MultivariateNormal(numpy.zeros((2, 3)), numpy.eye(3)), (2,))])
def test_flows(base, batch_shape):
    d = D.Transformed(base, FLOW)
    assert d.batch_shape == batch_shape and d.event_shape == (3,) and d.has_rsample
    y = d.sample((4, 5), rng=3)
    assert y.shape == (4, 5) + batch_shape + (3,)
    looked_up, inverted = d.log_prob(y), d.log_prob(y.array)
    assert looked_up.shape == (4, 5) + batch_shape
    numpy.testing.assert_allclose(looked_up.array, inverted.array, rtol=1e-8)
    x = T.Compose(FLOW).inverse(y)
    numpy.testing.assert_allclose(
        inverted.array, scipy.stats.norm.logpdf(x.array).sum(axis=-1)
        - T.Compose(FLOW).log_det_jacobian(x, y).array, rtol=1e-8)


@pytest.mark.parametrize('transform', [T.Planar([1.5, -1], [2., -4], 0.3),
                                       T.Planar([1.5, -1], [-0.4, 0.5], 0.3)])
def test_density_of_a_planar_flow_integrates_to_one(transform):
    d = D.Transformed(D.Normal(numpy.zeros(2), numpy.ones(2)), transform)
    grid = numpy.linspace(-14, 14, 701)
    y = numpy.stack(numpy.meshgrid(grid, grid), axis=-1)
    assert abs(d.prob(y).array.sum() * (grid[1] - grid[0]) ** 2 - 1) < 1e-3


def test_double_backward():
    r = numpy.random.RandomState(0)

    def planar(y, w, u, b):
        return D.Transformed(D.Normal(0., numpy.float64(1)), T.Planar(w, u, b)).log_prob(y)

    gradient_check.check_double_backward(
        planar, (r.randn(5, 3), W, U, numpy.array(0.2)), r.randn(5),
        (r.randn(5, 3), r.randn(3), r.randn(3), numpy.array(1.)),
        dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)

    def chain(y, loc, scale):
        return D.Transformed(D.Normal(0., numpy.float64(1)),
                             [T.Softplus(), T.Affine(loc, scale), T.Exp()]).log_prob(y)

    gradient_check.check_double_backward(
        chain, (3 + 5 * r.rand(5), numpy.array(0.5), numpy.array(0.7)), r.randn(5),
        (r.randn(5), numpy.array(1.), numpy.array(0.4)), dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)


def test_a_draw_that_rounded_to_a_bound_keeps_its_density():
    d = D.Transformed(D.Normal(numpy.float32(40), 1.), T.Sigmoid())
    y = d.sample(10, rng=0)
    assert (y.array == 1).all()
    assert numpy.isfinite(d.log_prob(y).array).all()
    assert (d.log_prob(y.array).array == -numpy.inf).all()


def test_gradient_of_samples_is_pathwise():
    r = numpy.random.RandomState(0)

    def f(loc, w, u, b):
        return D.Transformed(D.Normal(loc, numpy.ones(3)), T.Planar(w, u, b)).sample(4, rng=3)

    gradient_check.check_double_backward(
        f, (r.randn(3), W, U, numpy.array(0.2)), r.randn(4, 3),
        (r.randn(3), r.randn(3), r.randn(3), numpy.array(1.)),
        dtype='d', atol=1e-4, rtol=1e-4, eps=1e-5)


@pytest.mark.parametrize('base, shape', [
    (D.Normal(0., 1.), (3,)), (D.Normal(numpy.zeros((4, 1)), 1.), (3,)),
    (D.Normal(numpy.zeros(3), 1.), (4, 1))])
def test_parameters_of_the_transform_broadcast_and_all_draws_are_independent(base, shape):
    """Kolmogorov-Smirnov p > 1e-4 and correlations within 4.5 standard errors; fixed seed."""
    d = D.Transformed(base, T.Affine(numpy.arange(numpy.prod(shape)).reshape(shape), 2.))
    assert d.batch_shape == numpy.broadcast_shapes(base.batch_shape, shape)
    y = d.sample(10000, rng=1)
    assert y.shape == (10000,) + d.batch_shape
    z = ((y.array - d.mean.array) / 2).reshape(10000, -1)
    for column in z.T:
        assert scipy.stats.kstest(column, 'norm').pvalue > 1e-4
    correlations = numpy.corrcoef(z.T)[numpy.triu_indices(z.shape[1], 1)]
    assert abs(correlations).max() < 4.5 / 100


def test_sampling_is_reproducible():
    d = D.Transformed(D.Normal(0., 1.), FLOW)
    before = numpy.random.get_state()[1].copy()
    numpy.testing.assert_array_equal(d.sample(4, rng=7).array, d.sample(4, rng=7).array)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], before)
    assert d.sample_n(2).shape == (2, 3) and d.sample().dtype == numpy.float32


def test_kl_with_the_same_transform_is_that_of_the_bases():
    transform = T.Planar(W, U, 0.2)
    p = D.Transformed(D.Normal([0., 1, 2], 1.), transform)
    q = D.Transformed(D.Normal([0., 1, 3], 2.), transform)
    expected = F.sum(chainer.kl_divergence(p.base, q.base)).array
    numpy.testing.assert_allclose(chainer.kl_divergence(p, q).array, expected, rtol=1e-6)
    estimate = D.kl_divergence(p, D.Transformed(q.base, T.Planar(W, U, 0.3)), n_samples=100, rng=1)
    assert estimate.standard_error > 0
    chains = [D.Transformed(base, [T.Exp(), T.Affine(1., 2.)]) for base in (p.base, q.base)]
    numpy.testing.assert_allclose(
        chainer.kl_divergence(*chains).array, chainer.kl_divergence(p.base, q.base).array)


def test_kl_with_another_transform_is_refused_with_a_sentence():
    p = D.Transformed(D.Normal(0., 1.), T.Affine(0., 1.))
    for other in (T.Affine(0., 2.), T.Exp(), T.Affine(0., chainer.Variable(numpy.ones(())))):
        with pytest.raises(NotImplementedError, match='where both have the same transform'):
            chainer.kl_divergence(p, D.Transformed(D.Normal(0., 1.), other))


@pytest.mark.parametrize('u', [1e-10, 0.3, 0.999])
def test_icdf_of_a_decreasing_transform_keeps_the_tail(u):
    expected = scipy.stats.norm.ppf(float(numpy.float32(u)))
    for scale in (-1., [-1., 1.]):
        x = D.Transformed(D.Normal(0., 1.), T.Affine(0., scale)).icdf(numpy.float32(u))
        numpy.testing.assert_allclose(x.array, numpy.full(x.shape, expected), rtol=1e-6)


TAKES_X = ['log_prob', 'cdf', 'log_cdf', 'survival_function', 'log_survival_function', 'icdf']


@pytest.mark.parametrize('name', TAKES_X)
@pytest.mark.parametrize('transform', [
    T.Affine(numpy.float64(0.1), -2.), T.Exp(), T.Sigmoid(), T.Softplus()], ids=repr)
def test_an_observation_of_another_precision(name, transform):
    d = D.Transformed(D.Normal(0.5, 1.), transform)
    exact = D.Transformed(D.Normal(numpy.float64(0.5), 1.), transform)
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        x = dtype(0.3)
        y = getattr(d, name)(x)
        assert y.dtype == numpy.result_type(dtype, numpy.float32)
        numpy.testing.assert_allclose(y.array, getattr(exact, name)(numpy.float64(x)).array,
                                      rtol=4 * numpy.finfo(y.dtype).eps)


class Net(chainer.Chain):
    def __init__(self, n_in):
        super().__init__()
        with self.init_scope():
            self.linear = chainer.links.Linear(n_in, 6, initialW=WEIGHTS.T.astype('f'))

    def forward(self, x):
        h = self.linear(x)
        return h[:, :3], F.tanh(h[:, 3:])


@pytest.mark.parametrize('transform', [
    T.Planar(W, U, 0.2), T.AffineCoupling([1, 0, 1], Net(3)),
    T.AffineCoupling([1, 0, 1], Net(None))], ids=['planar', 'coupling', 'uninitialised'])
def test_a_flow_of_an_observation_of_another_precision(transform):
    d = D.Transformed(D.Normal(numpy.zeros(3, 'f'), 1.), transform)
    x = numpy.array([0.5, -0.25, 1])
    expected = d.log_prob(x.astype('f'))
    for dtype in (numpy.float16, numpy.float64):
        y = d.log_prob(x.astype(dtype))
        assert y.dtype == numpy.result_type(dtype, numpy.float32)
        numpy.testing.assert_allclose(y.array, expected.array, rtol=1e-6)


@pytest.mark.filterwarnings('error')
def test_far_observations_warn_of_nothing():
    for loc, x in ((400., numpy.float16(0)), (0., numpy.float32(1e30))):
        base = D.Normal(numpy.float32(loc), 1.)
        numpy.testing.assert_allclose(D.Transformed(base, T.Affine(0., 1.)).log_prob(x).array,
                                      base.log_prob(x).array)


@pytest.mark.filterwarnings('error')
def test_entropy_asks_for_no_mean_that_it_does_not_need():
    d = D.Transformed(D.Normal(0., 1.), [T.Exp(), T.Affine(0., -2.)])
    expected = scipy.stats.lognorm(1).entropy() + numpy.log(2)
    numpy.testing.assert_allclose(d.entropy.array, expected, rtol=1e-6)
    d = D.Transformed(D.Cauchy(0., 1.), T.Affine(0., 2.))
    numpy.testing.assert_allclose(d.entropy.array, scipy.stats.cauchy(0, 2).entropy(), rtol=1e-6)
    d = D.Transformed(chainer.distributions.Normal(*numpy.float32([[0], [1]])), T.Affine(0., 2.))
    numpy.testing.assert_allclose(d.entropy.array, scipy.stats.norm(0, 2).entropy(), rtol=1e-6)


def test_params_and_repr():
    d = D.Transformed(D.Normal(0., 1.), T.Affine(1., 2.))
    assert set(d.params) == {'base.loc', 'base.scale', 'transform.loc', 'transform.scale'}
    assert repr(d) == 'Transformed(Normal(loc=0., scale=1.), Affine(loc: (), scale: ()))'


@pytest.mark.parametrize('make, error, message', [
    (lambda: D.Transformed(3, T.Exp()), TypeError, 'base must be a distribution; got int'),
    (lambda: D.Transformed(D.Bernoulli(0.5), T.Exp()), TypeError, 'base must be continuous'),
    (lambda: D.Transformed(D.Normal(0., 1.), numpy.exp), TypeError, 'must be a Transform or'),
    (lambda: D.Transformed(D.Normal(0., 1.), []), TypeError, 'at least one Transform'),
    (lambda: D.Transformed(D.Normal(numpy.zeros(2), 1.), T.Planar(W, U, 0.)), ValueError,
     'does not fit draws of shape'),
    (lambda: D.Transformed(D.Normal([0., 1], 1.), T.Affine([0., 1, 2], 1.)), ValueError,
     r'shape \(3,\) of Affine.* does not fit draws of shape \(2,\)'),
    (lambda: D.Transformed(D.MultivariateNormal([0.], [[1.]]), T.Affine([1., 2], 1.)), ValueError,
     'does not fit draws of shape'),
    (lambda: D.Transformed(D.Normal(0., 1.), T.Exp()).log_prob(numpy.nan), ValueError,
     'x must be a number, not NaN'),
    (lambda: D.Transformed(D.Normal(0., 1.), T.Exp()).icdf(1.5), ValueError,
     'u must be a probability'),
    (lambda: D.Transformed(D.Normal(0., 1.), FLOW).cdf(numpy.zeros(3)), NotImplementedError,
     'no closed form for cdf'),
    (lambda: D.Transformed(D.Normal(0., 1.), T.Sigmoid()).entropy, NotImplementedError,
     'no closed form for entropy')])
def test_bad_input_is_refused_with_a_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()
