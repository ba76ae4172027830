"""Generalised linear models against statsmodels, autodiff, and everything that cannot be fitted."""
import tracemalloc
import warnings

import chainer
import chainer.functions as F
import numpy as np
import pytest
from scipy.optimize import linprog
import statsmodels.api as sm

from course_lib import datasets, devices, to_numpy
import course_lib.distributions as D
from course_lib.models import GLM, ConvergenceWarning, NotFittedError, SeparationError
from course_lib.models import glm as module

COUNTS = 'poisson', 'negative_binomial'
FAMILIES = 'bernoulli', *COUNTS
# The fits of RAND's doctor visits in statsmodels' own suite of tests: Poisson by Stata, negative
# binomial by R's MASS::glm.nb (coefficients) and Stata (alpha, log-likelihood).
PUBLISHED_POISSON = [-.052535114675, -.247086797633, .035290201794, -.03457750643, .271713973711,
                     .033941474461, -.012635035534, .054056326828, .206115121809, .700352877227]
PUBLISHED_ERRORS = [.00288398915279, .01061725196728, .00182833684966, .00161284852954,
                    .01223913844387, .00056476496963, .00925062111826, .01530987068312,
                    .02627928267502, .01116266712362]
PUBLISHED_NB = [-.0579469537244314, -.267787718814838, .0412060770911646, -.0381376804392121,
                .268915772213171, .0381637446219235, -.0441338846217674, .0172521803400544,
                .177960787443151, .663556087183864]


@pytest.fixture(scope='module')
def rand():
    """Visits and the design matrix in float32, the constant last as in the published fits."""
    data = datasets.load_rand_hie()
    X = np.column_stack([data.X, np.ones(len(data.X), np.float32)])
    return X, data.visits, (*data.names, 'const')


@pytest.fixture(scope='module')
def rand_poisson(rand):
    X, y, names = rand
    return GLM('poisson').fit(X, y, names=names)


def simulated(family, n=400, p=3, seed=0, dtype=np.float64):
    """A design matrix with a constant, an offset, and observations."""
    rng = np.random.RandomState(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))]).astype(dtype)
    offset = rng.uniform(-1, 1, n)
    eta = X @ np.linspace(0.5, -0.5, p) + offset
    if family == 'bernoulli':
        return X, (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int), offset
    rate = np.exp(eta)
    if family == 'negative_binomial':
        rate = rate * rng.gamma(2, 0.5, n)
    return X, rng.poisson(rate), offset


# -- against statsmodels ------------------------------------------------------------------------

def test_the_published_poisson_fit_of_rand_is_reproduced(rand, rand_poisson):
    X, y, _ = rand
    np.testing.assert_allclose(rand_poisson.coef_, PUBLISHED_POISSON, rtol=0, atol=1e-4)
    np.testing.assert_allclose(rand_poisson.standard_errors_, PUBLISHED_ERRORS, rtol=1e-3)
    assert rand_poisson.log_likelihood_ == pytest.approx(-62419.588535, abs=1e-3)
    assert rand_poisson.converged_ and rand_poisson.n_iter_ < 10
    oracle = sm.Poisson(y, X.astype(np.float64)).fit(disp=0)
    np.testing.assert_allclose(rand_poisson.coef_, oracle.params, rtol=0, atol=1e-7)
    np.testing.assert_allclose(rand_poisson.covariance_, oracle.cov_params(), rtol=1e-5, atol=1e-11)


def test_the_published_negative_binomial_fit_of_rand_is_reproduced(rand):
    X, y, _ = rand
    model = GLM('negative_binomial').fit(X, y)
    np.testing.assert_allclose(model.coef_, PUBLISHED_NB, rtol=0, atol=1e-4)
    assert 1 / model.concentration_ == pytest.approx(1.292953339909746, rel=1e-4)
    assert model.concentration_standard_error_ / model.concentration_ ** 2 == pytest.approx(
        .0186098, rel=1e-3)
    assert model.log_likelihood_ == pytest.approx(-43383.66207653563, abs=1e-2)
    oracle = sm.NegativeBinomial(y, X.astype(np.float64), loglike_method='nb2').fit(
        start_params=np.append(model.coef_, 1 / model.concentration_), disp=0, maxiter=200)
    np.testing.assert_allclose(model.coef_, oracle.params[:-1], rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.standard_errors_, oracle.bse[:-1], rtol=1e-3)


@pytest.mark.parametrize('link, oracle', [(None, sm.Logit), ('logit', sm.Logit),
                                          ('probit', sm.Probit)])
def test_bernoulli_on_the_challenger(link, oracle):
    flights = datasets.load_challenger()
    X = np.stack([np.ones(23, np.float32), flights.temperature], axis=1)
    model = GLM('bernoulli', link).fit(X, flights.distress)
    expected = oracle(flights.distress, X.astype(np.float64)).fit(disp=0)
    np.testing.assert_allclose(model.coef_, expected.params, rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.standard_errors_, expected.bse, rtol=1e-3)
    assert model.log_likelihood_ == pytest.approx(expected.llf, abs=1e-8)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('family', FAMILIES)
def test_offsets_dtypes_deviance_and_residuals(family, dtype):
    X, y, offset = simulated(family, dtype=dtype)
    model = GLM(family).fit(X, y, offset=offset.astype(dtype))
    wide, wide_offset = X.astype(np.float64), offset.astype(dtype).astype(np.float64)
    oracles = {'bernoulli': sm.families.Binomial, 'poisson': sm.families.Poisson,
               'negative_binomial': sm.families.NegativeBinomial}
    options = {'alpha': 1 / model.concentration_} if family == 'negative_binomial' else {}
    oracle = sm.GLM(y, wide, family=oracles[family](**options), offset=wide_offset).fit(tol=1e-12)
    np.testing.assert_allclose(model.coef_, oracle.params, rtol=0, atol=1e-6)
    if family == 'negative_binomial':
        joint = sm.NegativeBinomial(y, wide, offset=wide_offset).fit(
            start_params=np.append(model.coef_, 1 / model.concentration_), disp=0)
        np.testing.assert_allclose(model.coef_, joint.params[:-1], rtol=0, atol=1e-4)
        np.testing.assert_allclose(model.standard_errors_, joint.bse[:-1], rtol=1e-3)
    else:
        np.testing.assert_allclose(model.standard_errors_, oracle.bse, rtol=1e-6)
    assert model.deviance(X, y, offset) == pytest.approx(oracle.deviance, rel=1e-6)
    for kind, expected in (('deviance', oracle.resid_deviance), ('pearson', oracle.resid_pearson),
                           ('response', oracle.resid_response)):
        got = model.residuals(X, y, wide_offset, kind=kind)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    predicted = model.predict(X, offset)
    assert predicted.dtype == dtype and predicted.shape == (len(y),)
    np.testing.assert_allclose(predicted, oracle.predict(wide, offset=wide_offset), rtol=1e-5)


def test_exposure_makes_rates():
    # Twice the exposure and twice the events: the same rate.
    X = np.ones((4, 1))
    model = GLM('poisson').fit(X, [3, 5, 6, 10], offset=np.log([1, 1, 2, 2]))
    assert np.exp(model.coef_[0]) == pytest.approx(24 / 6)
    assert model.predict(X[:1], offset=np.log(10.))[0] == pytest.approx(40)
    assert model.standard_errors_[0] == pytest.approx(1 / np.sqrt(24))


def test_horse_kicks_have_the_closed_form():
    y = datasets.load_horse_kicks().deaths.ravel()
    model = GLM('poisson').fit(np.ones((280, 1)), y)
    assert model.coef_[0] == pytest.approx(np.log(0.7), abs=1e-12)
    assert model.standard_errors_[0] == pytest.approx(1 / np.sqrt(196), rel=1e-10)


# -- against autodiff ---------------------------------------------------------------------------

@pytest.mark.parametrize('family', FAMILIES)
def test_the_gradient_vanishes_and_the_information_is_autodiffs(family):
    X, y, offset = simulated(family)
    model = GLM(family).fit(X, y, offset=offset)
    coef = chainer.Variable(model.coef_)
    log_r = chainer.Variable(np.asarray(np.log(getattr(model, 'concentration_', 1.))))

    def distribution(eta):
        return {'bernoulli': lambda: D.Bernoulli(logit=eta),
                'poisson': lambda: D.Poisson(log_lam=eta),
                'negative_binomial': lambda: D.NegativeBinomial(
                    log_mean=eta, log_concentration=log_r)}[family]()

    eta = F.matmul(chainer.Variable(X), coef[:, None])[:, 0] + offset
    total = F.sum(distribution(eta).log_prob(y))
    assert float(total.array) == pytest.approx(model.log_likelihood_, abs=1e-9)
    inputs = [coef, log_r] if family == 'negative_binomial' else [coef]
    gradients = chainer.grad([total], inputs, enable_double_backprop=True)
    for gradient in gradients:
        np.testing.assert_allclose(gradient.array, 0, atol=1e-7)
    flat = [g[j] for g in gradients[:1] for j in range(3)] + list(gradients[1:])
    rows = [np.concatenate([h.array.ravel() for h in chainer.grad([g], inputs)]) for g in flat]
    covariance = np.linalg.inv(-np.array(rows))
    np.testing.assert_allclose(model.covariance_, covariance[:3, :3], rtol=1e-8)
    if family == 'negative_binomial':
        assert model.concentration_standard_error_ == pytest.approx(
            model.concentration_ * np.sqrt(covariance[3, 3]), rel=1e-8)


@pytest.mark.parametrize('family, link', [('bernoulli', 'logit'), ('bernoulli', 'probit'),
                                          ('poisson', 'log'), ('negative_binomial', 'log')])
def test_newtons_derivatives_against_finite_differences(family, link):
    X, y, offset = simulated(family, n=50)
    table = module._Table(X, offset, module.FAMILIES[family].observed, y)
    newton = module._Newton(family, link, table, ('a', 'b', 'c'), 10)
    at = np.array([0.3, -0.2, 0.1] + [0.4] * (family == 'negative_binomial'))

    def gradient(parameters):
        assert newton._move_to(parameters)
        return newton.gradient, newton.log_likelihood, newton.information

    found, _, information = gradient(at)
    for j, h in enumerate(1e-5 * np.eye(len(at))):
        above, below = gradient(at + h), gradient(at - h)
        assert (above[1] - below[1]) / 2e-5 == pytest.approx(found[j], rel=1e-6, abs=1e-6)
        np.testing.assert_allclose((below[0] - above[0]) / 2e-5, information[j], rtol=1e-6,
                                   atol=1e-6)


# -- scikit-learn's habits ----------------------------------------------------------------------

def test_fit_returns_itself_and_starts_afresh():
    X, y, offset = simulated('poisson')
    model = GLM('poisson')
    assert model.fit(X, y, offset) is model
    first = model.coef_
    model.fit(X[:200], y[:200], offset[:200])
    assert model.n_rows_ == 200 and not np.allclose(first, model.coef_)
    np.testing.assert_array_equal(model.fit(X, y, offset).coef_, first)
    assert repr(model) == "GLM('poisson', link='log', max_iter=100)"


def test_a_failed_fit_leaves_the_earlier_one():
    X, y, offset = simulated('poisson')
    model = GLM('poisson').fit(X, y, offset)
    before = model.coef_.copy()
    with pytest.raises(ValueError):
        model.fit(X, -y, offset)
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize('family', FAMILIES)
def test_the_fitted_distribution_is_at_hand(family):
    X, y, offset = simulated(family, dtype=np.float32)
    model = GLM(family).fit(X, y, offset)
    fitted = model.predict_distribution(X, offset)
    assert fitted.batch_shape == (400,) and fitted.dtype == np.float32
    log_prob = fitted.log_prob(y).array
    assert log_prob.sum(dtype=np.float64) == pytest.approx(model.log_likelihood_, rel=1e-5)
    np.testing.assert_array_equal(fitted.mean.array, model.predict(X, offset))


def test_lists_integers_variables_and_any_layout_are_welcome():
    X, y, _ = simulated('poisson')
    X = (10 * X).round()
    expected = GLM('poisson').fit(X, y).coef_
    for other in (X.tolist(), X.astype(np.int64), np.asfortranarray(X), chainer.Variable(X),
                  np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_allclose(GLM('poisson').fit(other, list(y)).coef_, expected, rtol=1e-9)
    model = GLM('poisson').fit(X, y)
    assert model.predict(X.astype(np.int64)).dtype == np.float64


def test_the_fit_does_not_depend_on_chainers_settings():
    X, y, offset = simulated('negative_binomial')
    expected = GLM('negative_binomial').fit(X, y, offset).coef_
    with chainer.no_backprop_mode(), chainer.using_config('dtype', np.float16), \
            D.validation(False):
        np.testing.assert_array_equal(GLM('negative_binomial').fit(X, y, offset).coef_, expected)
        with pytest.raises(ValueError, match='y must be a whole number'):
            GLM('negative_binomial').fit(X, y + 0.5)


def test_blocks_change_nothing(monkeypatch):
    X, y, offset = simulated('negative_binomial')
    whole = GLM('negative_binomial').fit(X, y, offset)
    monkeypatch.setattr(module, 'BLOCK', 600)  # 200 rows
    parts = GLM('negative_binomial').fit(X, y, offset)
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    assert parts.deviance(X, y, offset) == pytest.approx(whole.deviance(X, y, offset), rel=1e-9)
    with pytest.raises(ValueError, match='got -1 in row 399'):
        GLM('negative_binomial').fit(X, np.append(y[:399], -1), offset)


def test_summary_is_a_table(rand_poisson):
    lines = rand_poisson.summary().splitlines()
    assert lines[0] == 'poisson regression, log link: 20190 rows, converged after 5 steps'
    assert lines[1] == 'log-likelihood -62419.59'
    assert lines[3].split('  ')[-1].strip() == 'to' and '95 % from' in lines[3]
    cells = {line.split()[0]: line.split()[1:] for line in lines[4:]}
    assert cells['hlthg'] == ['-0.01264', '0.00925', '-1.37', '0.172', '-0.03077', '0.00550']
    assert cells['const'][3] == '<0.001'
    assert len({len(line) for line in lines[3:]}) == 1


def test_summary_of_a_negative_binomial_has_the_concentration():
    X, y, offset = simulated('negative_binomial')
    model = GLM('negative_binomial').fit(X, y, offset, names=['const', 'a', 'b'])
    last = model.summary().splitlines()[-1]
    assert last.startswith(f'concentration {model.concentration_:.4g}, standard error')
    assert 1 < model.concentration_ < 4


# -- a million rows -----------------------------------------------------------------------------

def test_the_design_matrix_is_not_copied():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400_000, 10), dtype=np.float32)
    X[:, 0] = 1
    y = rng.integers(0, 2, len(X)).astype(np.int32)
    tracemalloc.start()
    try:
        model = GLM('poisson').fit(X, y)
        model.predict(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert X.nbytes == 16_000_000 and peak < X.nbytes / 2
    assert model.converged_


@pytest.mark.skipif(not devices.choose().is_gpu, reason='no GPU answers')
@pytest.mark.parametrize('family', FAMILIES)
def test_the_gpu_agrees_with_the_cpu(family):
    X, y, offset = simulated(family, dtype=np.float32)
    device = devices.choose().device
    on_cpu = GLM(family).fit(X, y, offset)
    there = [device.send(a) for a in (X, y, offset)]
    on_gpu = GLM(family).fit(*there)
    np.testing.assert_allclose(on_gpu.coef_, on_cpu.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(on_gpu.standard_errors_, on_cpu.standard_errors_, rtol=1e-8)
    predicted = on_gpu.predict(there[0], there[2])
    assert isinstance(predicted, device.supported_array_types)
    np.testing.assert_allclose(to_numpy(predicted), on_cpu.predict(X, offset), rtol=1e-5)
    assert on_gpu.deviance(*there) == pytest.approx(on_cpu.deviance(X, y, offset), rel=1e-9)
    with pytest.raises(TypeError, match='y is a numpy array but X is a cupy array'):
        GLM(family).fit(there[0], y)


# -- hard but possible --------------------------------------------------------------------------

def test_columns_of_very_different_scales():
    x = np.linspace(0, 1, 300)
    y = np.random.RandomState(1).poisson(np.exp(1 + x))
    plain = GLM('poisson').fit(np.stack([np.ones(300), x, x ** 2], axis=1), y)
    scaled = GLM('poisson').fit(np.stack([np.ones(300), 1e20 * x, 1e-20 * x ** 2], axis=1), y)
    np.testing.assert_allclose(scaled.coef_ * [1, 1e20, 1e-20], plain.coef_, rtol=1e-8)


def test_a_year_that_nobody_centred():
    year = np.repeat(np.arange(1875, 1895), 14)
    y = datasets.load_horse_kicks().deaths.ravel()
    raw = GLM('poisson').fit(np.stack([np.ones(280), year], axis=1).astype(np.float32), y)
    centred = GLM('poisson').fit(np.stack([np.ones(280), year - 1885], axis=1), y)
    assert raw.coef_[1] == pytest.approx(centred.coef_[1], rel=1e-7)
    assert raw.standard_errors_[1] == pytest.approx(centred.standard_errors_[1], rel=1e-7)


def test_counts_from_none_to_billions():
    x = np.linspace(0, 30, 300)
    y = np.random.RandomState(2).poisson(np.exp(x - 8))
    model = GLM('poisson').fit(np.stack([np.ones(300), x], axis=1), y)
    np.testing.assert_allclose(model.coef_, [-8, 1], atol=1e-3)


def test_almost_separated_is_not_separated():
    x = np.linspace(-1, 1, 201)
    y = x > 0
    y[99], y[101] = True, False
    X = np.stack([np.ones(201), x], axis=1)
    model = GLM('bernoulli').fit(X, y)
    oracle = sm.Logit(y, X).fit(disp=0, maxiter=100)
    assert model.coef_[1] > 50
    np.testing.assert_allclose(model.coef_, oracle.params, rtol=1e-6, atol=1e-6)


def test_nearly_poisson_counts_have_a_large_concentration():
    y = np.random.default_rng(1).poisson(3., 500)
    model = GLM('negative_binomial').fit(np.ones((500, 1)), y)
    assert model.converged_ and model.concentration_ > 50
    assert model.log_likelihood_ >= GLM('poisson').fit(np.ones((500, 1)), y).log_likelihood_


# -- what cannot be fitted ----------------------------------------------------------------------

def separable(family, X, y):
    """The truth about separation, from linear programming (Albert and Anderson 1984)."""
    if family == 'bernoulli':
        never_falls, fixed = (1 - 2 * y)[:, None] * X, None
    else:
        never_falls, fixed = X[y == 0], X[y > 0] if (y > 0).any() else None
    if not len(never_falls):
        return False
    found = linprog(never_falls.sum(axis=0), A_ub=never_falls, b_ub=np.zeros(len(never_falls)),
                    A_eq=fixed, b_eq=None if fixed is None else np.zeros(len(fixed)),
                    bounds=[(-1, 1)] * X.shape[1], method='highs')
    return bool(found.fun < -1e-7)


@pytest.mark.parametrize('family', ['bernoulli', 'poisson'])
def test_separation_is_found_exactly_where_it_is(family):
    rng = np.random.RandomState(3)
    tally = {False: 0, True: 0}
    for _ in range(30):
        n, p = rng.randint(8, 40), rng.randint(2, 5)
        X = (rng.normal(size=(n, p)) if rng.randint(2) else rng.randint(0, 2, (n, p)).astype('d'))
        X[:, 0] = 1
        if np.linalg.matrix_rank(X) < p:
            continue
        eta = X @ rng.normal(size=p)
        y = rng.poisson(np.exp(eta)) if family == 'poisson' else rng.logistic(size=n) < eta
        if rng.randint(2):
            y = y * (X[:, -1] <= 0)
        y = y.astype(int)
        truth = separable(family, X, y)
        tally[truth] += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                found = not GLM(family).fit(X, y).converged_
        except SeparationError:
            found = True
        assert found == truth
    assert min(tally.values()) >= 5


@pytest.mark.parametrize('link', ['logit', 'probit'])
def test_perfect_separation_names_the_columns(link):
    X = np.stack([np.ones(10), np.arange(10), np.tile([0, 1], 5)], axis=1)
    with pytest.raises(SeparationError, match="separated perfectly by the columns 'const' and 'a' "
                       'of X: the likelihood rises for ever and no finite coefficients'):
        GLM('bernoulli', link).fit(X[:, :2], X[:, 1] > 4, names=['const', 'a'])
    with pytest.raises(SeparationError, match="perfectly by the column 'x0' of X"):
        GLM('bernoulli', link).fit(X[:, :1], np.ones(10))


@pytest.mark.parametrize('family', COUNTS)
def test_counts_that_are_zero_in_a_group(family):
    X, y, _ = simulated(family)
    group = np.arange(400) < 30
    with pytest.raises(SeparationError, match="y is 0 in every row that differs from the rest in "
                       "the column 'group' of X, so their rate falls towards 0"):
        GLM(family).fit(np.column_stack([X, group]), y * ~group, names=['a', 'b', 'c', 'group'])
    with pytest.raises(SeparationError, match='y is 0 in every row, so the rate falls towards 0'):
        GLM(family).fit(X, 0 * y)


@pytest.mark.parametrize('y', [np.arange(280) % 2, np.full(280, 3)])
def test_underdispersed_counts_are_not_negative_binomial(y):
    with pytest.raises(ValueError, match="y varies too little .* use family='poisson'"):
        GLM('negative_binomial').fit(np.ones((280, 1)), y)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_collinear_columns_are_named(dtype):
    X, y, _ = simulated('poisson', p=4)
    X = X.astype(dtype)
    names = ['const', 'a', 'b', 'c', 'd']
    with pytest.raises(ValueError, match="column 'd' is a combination of 'a' and 'c': leave one"):
        GLM('poisson').fit(np.column_stack([X, X[:, 1] + 2 * X[:, 3]]), y, names=names)
    dummies = np.eye(4, dtype=dtype)[np.arange(400) % 4]
    with pytest.raises(ValueError, match="column 'd' is a combination of 'const', 'a', 'b' and"):
        GLM('poisson').fit(np.column_stack([X[:, :1], dummies]), y, names=names)
    with pytest.raises(ValueError, match="X must not have a column of zeros; column 'x1' is"):
        GLM('poisson').fit(X * [1, 0, 1, 1], y)
    with pytest.raises(ValueError, match='at least as many rows as columns; got 3 rows and 4'):
        GLM('poisson').fit(X[:3], y[:3])


@pytest.mark.parametrize('family, y, got', [
    ('bernoulli', 2, 'y must be 0 or 1; got 2 in row 3'),
    ('bernoulli', 0.5, 'y must be 0 or 1; got 0.5 in row 3'),
    ('bernoulli', np.nan, 'y must be 0 or 1; got nan in row 3'),
    ('poisson', -1, 'y must be a whole number, 0 or more; got -1 in row 3'),
    ('poisson', 1.5, 'y must be a whole number, 0 or more; got 1.5 in row 3'),
    ('poisson', np.inf, 'y must be a whole number, 0 or more; got inf in row 3'),
    ('negative_binomial', np.nan, 'y must be a whole number, 0 or more; got nan in row 3')])
def test_observations_that_cannot_be(family, y, got):
    values = np.array([0, 1, 1, y, 0, 1])
    with pytest.raises(ValueError, match=got):
        GLM(family).fit(np.ones((6, 1)), values)
    model = GLM(family).fit(*simulated(family)[:2])
    with pytest.raises(ValueError, match=got):
        model.deviance(np.ones((6, 3)), values)


@pytest.mark.parametrize('arguments, message', [
    (dict(X=np.ones(6)), r'X must have 2 dimensions, \(rows, columns\); got shape \(6,\)'),
    (dict(X=np.ones((0, 2))), r'X must have at least one row and one column; got shape \(0, 2\)'),
    (dict(X=np.ones((6, 0))), r'at least one row and one column; got shape \(6, 0\)'),
    (dict(X=[[1], [1, 2]]), 'X must have rows of equal length'),
    (dict(X=np.array([[1, 2], [1, np.nan], [1, 3]])),
     "X must hold finite numbers below 1e50 in size; got nan in row 1, column 'x1'"),
    (dict(X=np.array([[1, 2], [1, 4], [-np.inf, 3]])), "got -inf in row 2, column 'x0'"),
    (dict(X=np.array([[1, 2], [1, 4], [1e60, 3]])), "got 1e\\+60 in row 2, column 'x0'"),
    (dict(y=[1, 2]), 'y must have as many numbers as X has rows, 3; got 2'),
    (dict(y=[[1], [2], [3]]), r'y must have 1 dimension, .* got shape \(3, 1\)'),
    (dict(y=[]), 'y must have as many numbers as X has rows, 3; got 0'),
    (dict(y=4), r'y must have 1 dimension, a number for each row of X; got shape \(\)'),
    (dict(offset=[1, 2]), 'offset must have as many numbers as X has rows, 3; got 2'),
    (dict(offset=[0, np.log(2), -np.inf]), 'offset must hold finite .* got -inf in row 2'),
    (dict(offset=np.nan), 'offset must hold finite .* got nan in row 0'),
    (dict(offset=1000), 'offset must hold finite numbers from -300 to 300 .* got 1000.0 in row 0'),
    (dict(names=['a']), r"names must be 2 strings, one a column of X; got \['a'\]"),
    (dict(names='ab'), "names must be 2 strings, one a column of X; got 'ab'"),
    (dict(names=7), 'names must be 2 strings, one a column of X; got 7')])
def test_arguments_that_do_not_fit(arguments, message):
    X = np.array([[1, 0.5], [1, 1.5], [1, 0.]])
    with pytest.raises(ValueError, match=message):
        GLM('poisson').fit(**{'X': X, 'y': [1, 3, 1], **arguments})


@pytest.mark.parametrize('arguments, message', [
    (dict(X=[['a']]), 'X must consist of real numbers; got dtype'),
    (dict(X=np.ones((3, 1), complex)), 'X must consist of real numbers; got dtype complex128'),
    (dict(X=None), 'X must consist of real numbers; got dtype object'),
    (dict(y=None), 'y must consist of real numbers; got dtype object'),
    (dict(offset='one'), 'offset must consist of real numbers; got dtype')])
def test_arguments_that_are_no_numbers(arguments, message):
    with pytest.raises(TypeError, match=message):
        GLM('poisson').fit(**{'X': np.ones((3, 1)), 'y': [1, 3, 1], **arguments})


@pytest.mark.parametrize('arguments, message', [
    (('gauss',), "family must be 'bernoulli', 'poisson' or 'negative_binomial'; got 'gauss'"),
    ((['poisson'],), r"family must be .* got \['poisson'\]"),
    (('bernoulli', 'log'), "link must be 'logit' or 'probit' for the family 'bernoulli'; go"),
    (('poisson', 'identity'), "link must be 'log' for the family 'poisson'; got 'identity'"),
    (('poisson', None, 0), 'max_iter must be a whole number, 1 or more; got 0'),
    (('poisson', None, 2.5), 'max_iter must be a whole number, 1 or more; got 2.5')])
def test_models_that_do_not_exist(arguments, message):
    with pytest.raises(ValueError, match=message):
        GLM(*arguments)


def test_nothing_is_predicted_before_the_fit():
    model = GLM('poisson')
    X, y, _ = simulated('poisson')
    for ask in (lambda: model.predict(X), lambda: model.deviance(X, y), model.summary,
                lambda: model.residuals(X, y), lambda: model.predict_distribution(X)):
        with pytest.raises(NotFittedError, match=r'has not been fitted; call fit\(X, y\) first'):
            ask()
    assert not hasattr(model, 'coef_')


def test_new_rows_must_match_the_old():
    X, y, _ = simulated('poisson')
    model = GLM('poisson').fit(X, y)
    with pytest.raises(ValueError, match='X must have 3 columns, as when the model was fitted; go'):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="got nan in row 0, column 'x0'"):
        model.predict(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="kind must be 'deviance', 'pearson' or 'response'; got"):
        model.residuals(X, y, kind='working')


def test_too_few_steps_are_owned_up_to():
    X, y, offset = simulated('poisson')
    with pytest.warns(ConvergenceWarning, match=r'has not converged after 1 steps \(max_iter=1\)'):
        model = GLM('poisson', max_iter=1).fit(X, y, offset)
    assert not model.converged_ and model.n_iter_ == 1
    assert 'NOT converged after 1 steps' in model.summary()
