"""What every distribution has to do, from one table of examples.

False alarms: a test that compares a statistic of n samples allows 5 standard errors, which a right
sampler exceeds once in 1.7 million comparisons; the seeds are fixed, so a test that passes passes
always.
"""
import copy
import importlib
import inspect
import math
import pickle
import pkgutil
import warnings

import chainer
import chainer.functions as F
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import integrate

import course_lib.distributions as D

N = 20_000
LIMIT = 5  # standard errors

every_family = pytest.mark.parametrize('family', FAMILIES.values(), ids=FAMILIES)
continuous_1d = pytest.mark.parametrize(
    'family', [f for f in FAMILIES.values() if f.kind == 'real'],
    ids=[n for n, f in FAMILIES.items() if f.kind == 'real'])
counts = pytest.mark.parametrize(
    'family', [f for f in FAMILIES.values() if f.kind in ('binary', 'count', 'trials', 'index')],
    ids=[n for n, f in FAMILIES.items() if f.kind in ('binary', 'count', 'trials', 'index')])


def kl_or_skip(p, q):
    try:
        return chainer.kl_divergence(p, q).array
    except NotImplementedError:
        pytest.skip('no closed form of this divergence')


def value_or_skip(read):
    try:
        return read().array
    except NotImplementedError:
        pytest.skip('no closed form')


def test_the_table_covers_every_class():
    classes = {c for c in vars(D).values() if inspect.isclass(c)
               and issubclass(c, D.Distribution) and c is not D.Distribution}
    assert classes == {type(family.build()) for family in FAMILIES.values()}


def test_every_family_of_every_module_is_offered():
    bases = {'Distribution', 'OfProbability', 'LocationScale', 'OverCategories'}
    for module in pkgutil.iter_modules(D.__path__, 'course_lib.distributions.'):
        for name, c in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(c) and issubclass(c, D.Distribution) and name not in bases and (
                    not name.startswith('_')):
                assert getattr(D, name, None) is c, f'{name} is missing in {D.__name__}'


def test_every_name_of_chainer_is_offered():
    import chainer.distributions
    names = [n for n, c in vars(chainer.distributions).items() if inspect.isclass(c)]
    assert len(names) == 19
    for name in names:
        ours, theirs = getattr(D, name), getattr(chainer.distributions, name)
        expected = [p for p in inspect.signature(theirs).parameters.values()
                    if p.kind is p.POSITIONAL_OR_KEYWORD]
        given = list(inspect.signature(ours).parameters)
        assert given[:len(expected)] == [p.name for p in expected], name


# -- shapes and dtypes ----------------------------------------------------------------------------

@every_family
@settings(max_examples=5, deadline=None)
@given(sample_shape=st.lists(st.integers(0, 3), max_size=2).map(tuple))
def test_shapes(family, sample_shape):
    d = family.build()
    assert d.batch_shape == (3,)
    x = d.sample(sample_shape, rng=1)
    assert x.shape == sample_shape + d.batch_shape + d.event_shape
    assert d.log_prob(x).shape == sample_shape + d.batch_shape
    assert d.prob(x).shape == sample_shape + d.batch_shape
    assert d.sample_n(4, rng=1).shape == (4,) + d.batch_shape + d.event_shape


@every_family
@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_dtypes_are_kept(family, dtype):
    if dtype == np.float16 and type(family.build()) in (
            D.MultivariateNormal, D.Dirichlet, D.Independent, D.OneHotCategorical, D.Categorical,
            D.RelaxedOneHotCategorical):
        params = {k: np.asarray(v, np.float16) for k, v in family.params.items()}
        if any('p' == k for k in params):  # float16 probabilities that sum to 1 within rounding
            params = {k: v / v.sum(-1, keepdims=True) for k, v in params.items()}
        d = family.make(**params)
    else:
        d = family.build(dtype=dtype)
    x = d.sample(5, rng=1)
    assert d.log_prob(x).dtype == dtype
    if x.dtype.kind == 'f':
        assert x.dtype == dtype
    assert np.isfinite(d.log_prob(x).array).all()


@every_family
def test_sample_shape_may_be_a_list_or_a_numpy_integer(family):
    d = family.build()
    tail = d.batch_shape + d.event_shape
    assert d.sample([2, 3], rng=1).shape == (2, 3) + tail
    assert d.sample(np.int64(4), rng=1).shape == (4,) + tail
    with pytest.raises(TypeError, match='sample_shape must be an integer or a tuple of integers'):
        d.sample(2.5)
    with pytest.raises(ValueError, match='sample_shape must not contain a negative length'):
        d.sample(-1)


@every_family
def test_variables_lists_and_arrays_are_welcome(family):
    d = family.build()
    x = d.sample(rng=1).array
    expected = d.log_prob(x).array
    as_variables = family.make(**{
        k: chainer.Variable(np.asarray(v, np.float64)) for k, v in family.params.items()})
    np.testing.assert_array_equal(as_variables.log_prob(chainer.Variable(x)).array, expected)
    as_lists = family.make(**{k: np.asarray(v).tolist() for k, v in family.params.items()})
    np.testing.assert_allclose(as_lists.log_prob(x.tolist()).array, expected, rtol=2e-3, atol=1e-5)


@every_family
def test_an_observation_of_the_wrong_shape_is_refused(family):
    d = family.build()
    x = d.sample(rng=1).array
    wrong = np.concatenate([x, x[:1]])
    with pytest.raises(ValueError, match='x has shape .* which does not broadcast with'):
        d.log_prob(wrong)


@every_family
def test_nan_and_text_are_refused(family):
    d = family.build()
    x = np.array(d.sample(rng=1).array, np.float64)
    x[(0,) * x.ndim] = np.nan
    with pytest.raises(ValueError, match='x must be .*; got nan'):
        d.log_prob(x)
    with pytest.raises(TypeError, match='x must consist of real numbers'):
        d.log_prob(np.full(x.shape, 'a'))
    for name in family.params:
        params = {k: np.asarray(v, np.float64).copy() for k, v in family.params.items()}
        params[name][(0,) * params[name].ndim] = np.nan
        with pytest.raises(ValueError, match=f'{name}.* must .*got'):
            family.make(**params)


@every_family
def test_checks_can_be_switched_off_and_change_no_number(family):
    d = family.build()
    x = d.sample(rng=1)
    with D.validation(False):
        unchecked = family.build().log_prob(x).array
    np.testing.assert_allclose(unchecked, d.log_prob(x).array, rtol=1e-12)


# -- seeds, copies, texts -------------------------------------------------------------------------

@every_family
def test_seeds_reproduce_and_leave_the_global_state_alone(family):
    d = family.build()
    before = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(d.sample(4, rng=7).array, d.sample(4, rng=7).array)
    rng = np.random.default_rng(7)
    first, second = d.sample(50, rng=rng).array, d.sample(50, rng=rng).array
    assert (first != second).any()
    np.testing.assert_array_equal(first, d.sample(50, rng=np.random.default_rng(7)).array)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(3)
    third = d.sample(4).array
    np.random.seed(3)
    np.testing.assert_array_equal(third, d.sample(4).array)
    with pytest.raises(TypeError, match='rng must be None, an integer seed, or'):
        d.sample(rng='x')


@every_family
def test_repr_copy_and_params(family):
    d = family.build()
    assert repr(d).startswith(type(d).__name__ + '(') and repr(d).endswith(')')
    assert len(repr(d)) < 300
    x = d.sample(rng=1)
    np.testing.assert_array_equal(copy.copy(d).log_prob(x).array, d.log_prob(x).array)
    assert d.xp is np
    assert d.params and all(isinstance(v, chainer.Variable) for v in d.params.values())


@every_family
def test_what_has_no_closed_form_refuses_with_a_sentence(family):
    d = family.build()
    for read in (lambda: d.mean, lambda: d.variance, lambda: d.stddev, lambda: d.mode,
                 lambda: d.entropy, lambda: d.cdf(d.sample(rng=1)),
                 lambda: d.icdf(np.full(3, 0.5)), lambda: d.survival_function(d.sample(rng=1)),
                 lambda: d.log_cdf(d.sample(rng=1)), lambda: d.covariance):
        try:
            read()
        except (NotImplementedError, RuntimeError) as error:
            assert len(str(error).split()) >= 6


# -- probability ----------------------------------------------------------------------------------

@counts
def test_probabilities_sum_to_one(family):
    d = family.build()
    top = d.p.shape[-1] if family.kind == 'index' else 2 if family.kind == 'binary' else 400
    if isinstance(d, D.Binomial):
        top = 21
        total = np.zeros(3)
        for k in range(top):
            with D.validation(False):
                total += d.prob(np.full(3, k)).array
    else:
        k = np.arange(1 if family.kind == 'trials' else 0, top)[:, None]
        total = d.prob(np.broadcast_to(k, (len(k), 3))).array.sum(axis=0)
    np.testing.assert_allclose(total, 1, rtol=1e-9)


@continuous_1d
def test_density_integrates_to_one(family):
    d = family.build()
    for i in range(3):
        def density(x, i=i):
            return float(d.prob(np.full(3, x)).array[i])
        low, high = _range(d, i)
        centre = float(np.median(d.sample(999, rng=1).array[:, i]))
        total = (integrate.quad(density, low, centre, limit=400)[0]
                 + integrate.quad(density, centre, high, limit=400)[0])
        assert abs(total - 1) < 2e-5, (i, total)


def _range(d, i):
    if d.support == '[low, high]':
        return float(d.low.array[i]), float(d.high.array[i])
    if d.support == '[scale, inf]':
        return float(d.scale.array[i]), np.inf
    return {'real': (-np.inf, np.inf), 'positive': (0, np.inf), 'non-negative': (0, np.inf),
            '[0, 1]': (0, 1), '(0, 1)': (0, 1)}[d.support]


@continuous_1d
def test_outside_the_support_there_is_no_density_and_no_gradient(family):
    d = family.build()
    if d.support == 'real':
        pytest.skip('there is no outside')
    variables = {k: chainer.Variable(np.asarray(v, np.float64)) for k, v in family.params.items()}
    x = chainer.Variable(np.full(d.batch_shape, -50.))
    y = family.make(**variables).log_prob(x)
    assert (y.array == -np.inf).all()
    for gradient in chainer.grad([F.sum(y)], [x, *variables.values()]):
        assert gradient is None or (gradient.array == 0).all()


@continuous_1d
def test_icdf_inverts_cdf(family):
    d = family.build()
    u = np.repeat(np.array([1e-6, 0.02, 0.3, 0.5, 0.8, 0.999])[:, None], 3, axis=1)
    x = value_or_skip(lambda: d.icdf(u))
    np.testing.assert_allclose(value_or_skip(lambda: d.cdf(x)), u, rtol=1e-8)


@every_family
def test_survival_complements_cdf(family):
    d = family.build()
    if d.event_shape:
        pytest.skip('a distribution function of several variables at once')
    x = d.sample(6, rng=1).array
    cdf = value_or_skip(lambda: d.cdf(x))
    survival = value_or_skip(lambda: d.survival_function(x))
    np.testing.assert_allclose(cdf + survival, 1, rtol=1e-9)


@every_family
def test_cdf_matches_the_share_of_samples(family):
    d = family.build()
    x = d.sample(rng=3).array
    cdf = value_or_skip(lambda: d.cdf(x))
    if d.event_shape:
        pytest.skip('a distribution function of several variables at once')
    share = (d.sample(N, rng=4).array <= x).mean(axis=0)
    error = np.sqrt(np.maximum(cdf * (1 - cdf), 1e-6) / N)
    assert (abs(share - cdf) < LIMIT * error + 1e-9).all()


@every_family
@pytest.mark.parametrize('moment', ['mean', 'variance'])
def test_moments_match_samples(family, moment):
    d = family.build()
    if family.kind == 'index':
        pytest.skip('the index of a category is a name, not a quantity')
    expected = value_or_skip(lambda: getattr(d, moment))
    x = d.sample(N, rng=5).array.astype(np.float64)
    assert expected.shape == d.batch_shape + d.event_shape
    sample = x if moment == 'mean' else (x - x.mean(axis=0)) ** 2
    keep = np.isfinite(expected)
    if not keep.any():
        pytest.skip('no finite moment')
    error = sample.std(axis=0) / N ** 0.5
    # Heavy tails: the error of a variance is itself uncertain, hence the wider limit.
    limit = LIMIT if moment == 'mean' else 2 * LIMIT
    assert (abs(sample.mean(axis=0) - expected)[keep] < limit * error[keep] + 1e-12).all()
    np.testing.assert_allclose(d.stddev.array ** 2, d.variance.array, rtol=1e-6)


@every_family
def test_entropy_is_the_mean_of_minus_log_prob(family):
    d = family.build()
    entropy = value_or_skip(lambda: d.entropy)
    minus = -d.log_prob(d.sample(N, rng=6)).array
    assert entropy.shape == d.batch_shape
    error = minus.std(axis=0) / N ** 0.5
    assert (abs(minus.mean(axis=0) - entropy) < LIMIT * error + 1e-9).all()


@every_family
def test_mode_is_no_less_probable_than_any_sample(family):
    d = family.build()
    mode = value_or_skip(lambda: d.mode)
    at_mode = d.log_prob(mode).array
    others = d.log_prob(d.sample(500, rng=7)).array.max(axis=0)
    assert (at_mode >= others - 1e-9).all()


# -- divergences ----------------------------------------------------------------------------------

@every_family
def test_kl_is_zero_at_equality_and_positive_elsewhere(family):
    p, q = family.build(), family.build(family.other)
    np.testing.assert_allclose(kl_or_skip(p, family.build()), 0, atol=1e-12)
    assert (kl_or_skip(p, q) > 0).all()


@every_family
def test_kl_matches_monte_carlo(family):
    p, q = family.build(), family.build(family.other)
    kl = kl_or_skip(p, q)
    x = p.sample(N, rng=8)
    difference = p.log_prob(x).array - q.log_prob(x).array
    error = difference.std(axis=0) / N ** 0.5
    finite = np.isfinite(kl)
    assert (abs(difference.mean(axis=0) - kl)[finite] < LIMIT * error[finite] + 1e-9).all()


@every_family
def test_cross_entropy_is_entropy_plus_kl(family):
    p, q = family.build(), family.build(family.other)
    kl = kl_or_skip(p, q)
    entropy = value_or_skip(lambda: p.entropy)
    for cross_entropy in (D.cross_entropy, chainer.cross_entropy):
        np.testing.assert_allclose(cross_entropy(p, q).array, entropy + kl)


def test_a_missing_pair_is_a_sentence_and_monte_carlo_the_way_out():
    p, q = D.Cauchy(0., 1.), D.Gumbel(0., 1.)
    with pytest.raises(NotImplementedError, match=r'no closed form is registered for KL\(Cauchy'):
        chainer.kl_divergence(p, q)
    p, q = D.Normal(0., 1.), D.StudentT(4., 0., 1.)
    estimate = D.kl_divergence(p, q, n_samples=4000, rng=1)
    exact = integrate.quad(lambda x: math.exp(float(p.log_prob(x).array)) * (
        float(p.log_prob(x).array) - float(q.log_prob(x).array)), -12, 12)[0]
    assert abs(float(estimate.value.array) - exact) < LIMIT * float(estimate.standard_error)
    closed = D.kl_divergence(D.Normal(0., 1.), D.Normal(1., 1.), n_samples=10)
    assert float(closed.value.array) == 0.5 and float(closed.standard_error) == 0
    with pytest.raises(ValueError, match='n_samples must be a whole number, 2 or more; got 1'):
        D.kl_divergence(p, q, n_samples=1)
    with pytest.raises(TypeError, match='q must be a distribution; got int'):
        D.kl_divergence(p, 3)


def test_kl_dispatches_on_base_classes_and_takes_registrations():
    class Mine(D.Normal):
        pass
    p, q = Mine(0., 1.), D.Normal(1., 1.)
    assert float(chainer.kl_divergence(p, q).array) == 0.5

    @D.register_kl(Mine, D.Normal)
    def _kl(p, q):
        return chainer.Variable(np.full((), 7, np.float32))
    assert float(chainer.kl_divergence(p, q).array) == 7
    assert float(chainer.kl_divergence(q, p).array) == 0.5


# -- gradients ------------------------------------------------------------------------------------

def differentiable_log_prob(family, x, names):
    def f(*variables):
        return family.make(**dict(zip(names, variables))).log_prob(x)
    return f


@every_family
def test_first_and_second_derivatives_in_the_parameters(family):
    x = family.build().sample(rng=9).array
    names = sorted(family.params)
    arrays = [np.asarray(family.params[n], np.float64) for n in names]
    if type(family.build()) in (D.Categorical, D.OneHotCategorical) and 'p' in names:
        pytest.skip('p must sum to 1, so one entry cannot be moved alone')
    f = differentiable_log_prob(family, x, names)
    tril = np.tril(np.ones((2, 2)))

    def directional(direction, eps):
        moved = [a + eps * d for a, d in zip(arrays, direction)]
        variables = [chainer.Variable(a) for a in moved]
        y = F.sum(f(*variables))
        grads = chainer.grad([y], variables)
        return float(y.array), sum(
            float((g.array * d).sum()) for g, d in zip(grads, direction) if g is not None)

    rng = np.random.RandomState(0)
    direction = [rng.randn(*a.shape) * (tril if n == 'scale_tril' else 1)
                 for n, a in zip(names, arrays)]
    h = 1e-5
    (up, slope_up), (down, slope_down) = directional(direction, h), directional(direction, -h)
    _, slope = directional(direction, 0)
    assert abs((up - down) / (2 * h) - slope) < 1e-6 * (1 + abs(slope))

    variables = [chainer.Variable(a) for a in arrays]
    grads = chainer.grad([F.sum(f(*variables))], variables, enable_double_backprop=True)
    along = sum((F.sum(g * d) for g, d in zip(grads, direction) if g is not None),
                F.sum(0. * grads[-1]))
    np.testing.assert_allclose(float(along.array), slope, rtol=1e-9, atol=1e-12)
    if along.requires_grad and along.creator is not None:
        second = sum(float((g.array * d).sum()) for g, d in zip(
            chainer.grad([along], variables), direction) if g is not None)
    else:
        second = 0.
    finite = (slope_up - slope_down) / (2 * h)
    assert abs(finite - second) < 1e-5 * (1 + abs(second))


@every_family
def test_a_sample_carries_a_gradient_exactly_where_it_says_so(family):
    names = sorted(family.params)
    variables = {n: chainer.Variable(np.asarray(family.params[n], np.float64)) for n in names}
    d = family.make(**variables)
    x = d.sample(3, rng=1)
    grads = chainer.grad([F.sum(x * x)], list(variables.values())) if x.creator else [None]
    assert any(g is not None for g in grads) == d.has_rsample
    if d.has_rsample:
        assert all(g is not None and np.isfinite(g.array).all() for g in grads)


# The identity below needs a support that does not move with the parameters.
@pytest.mark.parametrize('name', [
    n for n, f in FAMILIES.items()
    if f.build().has_rsample and not isinstance(f.build(), (D.Uniform, D.Pareto))])
def test_gradients_through_samples_match_the_gradient_of_an_expectation(name):
    """d/dtheta E[tanh(x)] through samples, against the score-function identity on the same draws.

    E[f(x) grad log p(x)] = grad E[f(x)] holds for any f; both sides are estimated from N samples
    and must agree within 5 standard errors of their difference.
    """
    family = FAMILIES[name]
    names = sorted(family.params)
    n = 4000
    variables = [chainer.Variable(np.asarray(family.params[k], np.float64)) for k in names]
    d = family.make(**dict(zip(names, variables)))
    x = d.sample(n, rng=11)
    y = F.tanh(x)
    pathwise = chainer.grad([F.sum(y) / n], variables)
    # Each draw's score needs its own parameters: repeat them along a new first axis.
    repeated = [chainer.Variable(np.repeat(v.array[None], n, axis=0)) for v in variables]
    make = family.make
    if name == 'Independent':
        def make(loc, scale):
            return D.Independent(D.Normal(loc, scale), 1)
    score = chainer.grad([F.sum(make(**dict(zip(names, repeated))).log_prob(x.array))], repeated)
    value = y.array.reshape(n, 3, -1).sum(axis=-1)
    value = value - value.mean(axis=0)
    for k, path, s in zip(names, pathwise, score):
        s = s.array
        weights = value.reshape(value.shape + (1,) * (s.ndim - 2))
        estimate = s * weights
        error = estimate.std(axis=0) / n ** 0.5
        assert (abs(estimate.mean(axis=0) - path.array) < LIMIT * error * 1.5 + 1e-9).all(), k


# -- devices --------------------------------------------------------------------------------------

class ElsewhereModule:
    """Stands for CuPy: an array module whose arrays live elsewhere."""

    __name__ = 'elsewhere'

    @staticmethod
    def asarray(value):
        return 'elsewhere', value


@pytest.mark.parametrize('value', [0.5, 3, [0.5, 1], np.float32(0.5)])
def test_numbers_and_lists_follow_the_arrays_and_arrays_stay(value):
    from course_lib.distributions.distribution import as_array
    where, moved = as_array('Owner', 'x', value, np.dtype(np.float32), ElsewhereModule)
    assert where == 'elsewhere' and moved.dtype == np.float32
    array = np.float32([1, 2])
    assert as_array('Owner', 'x', array, array.dtype, ElsewhereModule) is array


@every_family
def test_it_can_be_copied_and_pickled(family):
    d = family.build()
    x = d.sample(rng=0).array
    exact = d.log_prob(x).array   # whatever is kept by then is copied too
    for twin in (copy.copy(d), copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
        assert repr(twin) == repr(d)
        np.testing.assert_array_equal(twin.log_prob(x).array, exact)
        np.testing.assert_array_equal(twin.sample(2, rng=1).array, d.sample(2, rng=1).array)


@every_family
def test_none_is_no_parameter(family):
    for name in family.params:
        with pytest.raises((TypeError, ValueError), match='NoneType|give either|must '):
            family.make(**(family.params | {name: None}))


def test_a_masked_array_is_refused():
    masked = np.ma.array([0.5, 0.25], mask=[0, 1])
    for attempt in (lambda: D.Normal(masked, 1.), lambda: D.Normal(0., 1.).log_prob(masked),
                    lambda: D.Poisson(1.).log_prob(np.ma.array([1, 2], mask=[0, 1]))):
        with pytest.raises(TypeError, match='must not be a masked array'):
            attempt()


@pytest.mark.parametrize('shape', ['ab', (float('nan'),), (float('inf'),), 1.5, None])
def test_a_sample_shape_consists_of_integers(shape):
    with pytest.raises(TypeError, match='sample_shape must be an integer or a tuple of integers'):
        D.Normal(0., 1.).sample(shape)


@every_family
@pytest.mark.parametrize('n, error', [(-1, ValueError), (2.5, TypeError), ('3', TypeError),
                                      (None, TypeError), (True, TypeError), ((2,), TypeError)])
def test_a_number_of_draws_is_a_whole_number(family, n, error):
    with pytest.raises(error, match=r'^(n, the number of draws,|sample_shape) must .*; got '):
        family.build().sample_n(n)


@every_family
def test_a_number_of_draws_may_be_an_array(family):
    assert family.build().sample_n(np.array(2)).shape[0] == 2


def test_what_is_not_there_says_so_whatever_it_is_given():
    with pytest.raises(NotImplementedError, match='Bernoulli has no closed form for cdf'):
        D.Bernoulli(0.5).cdf(x=1)


@pytest.mark.parametrize('p, q, exact', [
    (lambda b: D.Poisson(b), D.NegativeBinomial(mean=1., concentration=1.), None),
    (lambda b: D.Mixture(np.zeros(2), D.Normal(F.stack([b, b]), 1.)), D.Normal(0., 1.), 0.7),
    (lambda b: D.Normal(b, 1.), D.StudentT(4., 0., 1.), None)])
def test_the_gradient_of_an_estimated_divergence(p, q, exact):
    def estimate(at, n=200_000):
        b = chainer.Variable(np.array(at))
        value, error = D.kl_divergence(p(b), q, n_samples=n, rng=1)
        assert isinstance(error, np.ndarray) and error.shape == value.shape == ()
        return chainer.grad([value], [b])[0].array, float(value.array)

    def by_sum(at):   # sum_x p(x) log(p(x) / q(x)), or the integral
        x = np.arange(60.) if isinstance(q, D.NegativeBinomial) else np.linspace(-15, 16, 20_001)
        weight = 1. if isinstance(q, D.NegativeBinomial) else x[1] - x[0]
        d = p(chainer.Variable(np.array(at)))
        return float((d.prob(x).array * (d.log_prob(x).array - q.log_prob(x).array)).sum() * weight)

    slope, value = estimate(0.7)
    wanted = (by_sum(0.7 + 1e-4) - by_sum(0.7 - 1e-4)) / 2e-4 if exact is None else exact
    assert value == pytest.approx(by_sum(0.7), abs=0.01)
    assert slope == pytest.approx(wanted, abs=0.02)


def test_the_baseline_of_an_estimated_gradient_leaves_no_bias():
    q = D.NegativeBinomial(mean=1., concentration=1.)
    lam = chainer.Variable(np.full(100_000, 0.7))   # many estimates of two draws each
    value, _ = D.kl_divergence(D.Poisson(lam), q, n_samples=2, rng=3)
    slope = chainer.grad([F.mean(value)], [lam])[0].array * len(lam)
    x = np.arange(60.)

    def exact(at):
        d = D.Poisson(at)
        return float((d.prob(x).array * (d.log_prob(x).array - q.log_prob(x).array)).sum())

    wanted = (exact(np.float64(0.7001)) - exact(np.float64(0.6999))) / 2e-4
    assert abs(slope.mean() - wanted) < 4.5 * slope.std() / len(lam) ** 0.5   # 1 in 10^5


def test_an_estimate_is_infinite_where_q_excludes_what_p_allows():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for p, q in ((D.Poisson(2.), D.Geometric(0.5)), (D.Normal(0., 1.), D.Gamma(1., 1.))):
            estimate = D.kl_divergence(p, q, n_samples=1000, rng=0)
            assert estimate.value.array == np.inf


def test_an_estimate_from_a_distribution_of_chainer():
    p = chainer.distributions.Normal(np.array(0, 'f'), np.array(1, 'f'))
    value, error = D.kl_divergence(p, D.StudentT(4., 0., 1.), n_samples=4000)
    assert 0 < float(error) < 0.01 and abs(float(value.array)) < 0.1


def test_divergences_of_two_precisions_and_of_shapes_that_do_not_fit():
    p, q = D.Normal(np.float32(0), np.float32(1)), D.Normal(np.float64(1), np.float64(1))
    assert D.cross_entropy(p, q).dtype == np.float64
    value, _ = D.kl_divergence(D.StudentT(np.float32(4), 0., 1.), q, n_samples=50, rng=0)
    assert np.isfinite(value.array)
    one, many = (D.kl_divergence(p, D.Gumbel(np.zeros((2, 3)), 1.), n_samples=50, rng=0).value
                 for p in (D.Cauchy(0., 1.), D.Cauchy(np.zeros(3), 1.)))
    assert one.shape == many.shape == (2, 3)
    with pytest.raises(ValueError, match=r'batch_shape \(3,\) of p does not broadcast with'):
        D.kl_divergence(D.Normal(np.zeros(3), 1.), D.Normal(np.zeros(2), 1.))


def test_a_missing_pair_is_also_a_key_error_and_names_its_modules():
    chainers = chainer.distributions.Cauchy(np.float32([0]), np.float32([1]))
    with pytest.raises(KeyError) as error:
        chainer.kl_divergence(chainers, D.Cauchy(0., 1.))
    assert str(error.value).startswith(
        'no closed form is registered for KL(chainer.distributions.cauchy.Cauchy || '
        'course_lib.distributions.cauchy.Cauchy)')
