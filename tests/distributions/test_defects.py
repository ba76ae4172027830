"""The forty defects of chainer.distributions 7.8.1 that the library was written against.

Each test carries the number of the defect. ``close`` compares in float32 or float64 as the defect
was found; the true values are to the digits given, from mpmath.
"""
import copy
import time

import chainer
import chainer.functions as F
import numpy as np
import pytest

import course_lib.distributions as D

f32, f64 = np.float32, np.float64


def close(variable, true, rtol=1e-5):
    np.testing.assert_allclose(variable.array, true, rtol=rtol, atol=0)


def gradient(f, value, dtype=f32):
    x = chainer.Variable(np.asarray(value, dtype))
    return chainer.grad([F.sum(f(x))], [x])[0].array


def test_01_bernoulli_at_logit_minus_100():
    d = D.Bernoulli(logit=f32(-100))
    close(d.log_prob(1), -100)
    assert -4e-44 < float(d.log_prob(0).array) <= 0


def test_02_bernoulli_at_logit_minus_800_in_float64():
    close(D.Bernoulli(logit=f64(-800)).log_prob(1), -800, rtol=1e-15)


def test_03_kl_of_bernoullis_with_a_far_logit():
    close(chainer.kl_divergence(D.Bernoulli(logit=f32(-100)), D.Bernoulli(logit=f32(0))),
          0.69314718)
    g = gradient(lambda z: chainer.kl_divergence(D.Bernoulli(logit=z), D.Bernoulli(logit=f32(0))),
                 -100)
    assert np.isfinite(g)


def test_04_kl_of_a_certain_bernoulli():
    close(chainer.kl_divergence(D.Bernoulli(p=f32(0)), D.Bernoulli(p=f32(0.5))), 0.69314718)


def test_05_entropy_of_an_almost_certain_bernoulli():
    close(D.Bernoulli(logit=f32(20)).entropy, 4.3284223e-08)
    np.testing.assert_allclose(gradient(lambda z: D.Bernoulli(logit=z).entropy, 20), -4.1223072e-08,
                               rtol=1e-5)


def test_06_poisson_with_rate_zero():
    assert float(D.Poisson(f32(0)).log_prob(0).array) == 0
    close(chainer.kl_divergence(D.Poisson(f32(0)), D.Poisson(f32(1))), 1)


def test_07_poisson_with_a_large_rate():
    close(D.Poisson(f32(1e7)).log_prob(10_000_000), -8.9779863)


def test_08_poisson_with_a_tiny_rate():
    d = D.Poisson(log_lam=f32(-110))
    close(d.log_prob(2), -220.69315)
    assert -1e-45 <= float(d.log_prob(0).array) <= 0
    assert gradient(lambda eta: D.Poisson(log_lam=eta).log_prob(2), -110) == 2


def test_09_at_the_edge_of_the_support():
    close(D.Beta(f32(1), f32(3)).log_prob(0.), 1.0986123)
    close(D.Gamma(f32(1), f32(0.5)).log_prob(0.), 0.69314718)
    assert float(D.Geometric(f32(1)).log_prob(1).array) == 0
    close(D.Chisquare(f32(2)).log_prob(0.), -0.69314718)


def test_10_categories_of_probability_zero():
    p = f32([0, 0.5, 0.5])
    close(D.OneHotCategorical(p).log_prob(f32([0, 1, 0])), -0.69314718)
    uniform = D.Categorical(f32([1, 1, 1]) / 3)
    close(chainer.kl_divergence(D.Categorical(p), uniform), 0.40546511)


def test_11_geometric_at_extreme_logits():
    assert float(D.Geometric(logit=f32(-50)).log_prob(1).array) == -50
    close(D.Geometric(logit=f32(50)).log_prob(2), -50)
    assert np.isfinite(gradient(lambda z: D.Geometric(logit=z).log_prob(2), 50))


def test_12_normal_with_a_tiny_scale():
    close(D.Normal(f32(0), f32(1e-25)).log_prob(f32(2e-25)), 54.645693)


def test_13_variance_of_a_narrow_log_normal():
    close(D.LogNormal(f32(0), f32(1e-4)).variance, 1.00000001e-8)


def test_14_cauchy_quantile_in_the_left_tail():
    close(D.Cauchy(f32(0), f32(1)).icdf(f32(1e-8)), -31830989)


def test_15_distribution_functions_in_the_left_tail():
    close(D.Cauchy(f32(0), f32(1)).cdf(f32(-1e10)), 3.1830989e-11)
    close(D.Laplace(f32(0), f32(1)).cdf(f32(-20)), 1.0305768e-09)


def test_16_laplace_tails():
    d = D.Laplace(f32(0), f32(1))
    np.testing.assert_allclose(gradient(d.cdf, -20), 1.0305768e-09, rtol=1e-5)
    close(d.icdf(f32(1e-10)), -22.332704)


def test_17_outside_the_support_and_of_the_unit_interval():
    assert float(D.Exponential(f32(1)).cdf(f32(-1)).array) == 0
    with pytest.raises(ValueError, match='x must be a probability, from 0 to 1; got 2'):
        D.Uniform(low=f32(0), high=f32(1)).icdf(f32(2))


def test_18_a_negative_value_of_a_positive_variable():
    for d in (D.LogNormal(f32(0), f32(1)), D.Chisquare(f32(3))):
        assert float(d.log_prob(f32(-1)).array) == -np.inf
        assert gradient(d.log_prob, -1) == 0


def test_19_counts_that_are_none():
    for d, x in ((D.Poisson(f32(3)), 2.5), (D.Geometric(f32(0.3)), 0)):
        with pytest.raises(ValueError, match='x must be a whole number'):
            d.log_prob(x)
        with D.validation(False):
            assert float(d.log_prob(x).array) == -np.inf


def test_20_vectors_off_the_simplex():
    with pytest.raises(ValueError, match='x must be'):
        D.OneHotCategorical(f32([0.4, 0.6])).log_prob(f32([1, 1]))
    assert float(D.Dirichlet(f32([1, 1])).log_prob(f32([3, 4])).array) == -np.inf


def test_21_a_label_other_than_0_or_1():
    with pytest.raises(ValueError, match='x must be 0 or 1; got 2'):
        D.Bernoulli(p=f32(0.3)).log_prob(2)
    assert float(D.Bernoulli(p=f32(0.3), binary_check=True).log_prob(2).array) == -np.inf
    with D.validation(False):
        assert float(D.Bernoulli(p=f32(0.3)).log_prob(2).array) == -np.inf


@pytest.mark.parametrize('make, words', [
    (lambda: D.Normal(f32(0), f32(-1)), 'scale must be a finite number above 0; got -1'),
    (lambda: D.Laplace(f32(0), f32(-1)), 'scale must be a finite number above 0; got -1'),
    (lambda: D.Categorical(p=f32([2, 3])), 'p must'),
    (lambda: D.Poisson(f32(-1)), 'lam must be a finite number, 0 or more; got -1'),
    (lambda: D.Uniform(low=f32(1), high=f32(0)), 'must')])
def test_22_parameters_outside_their_domain(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_23_no_nan_leaks_from_outside_the_support():
    x = f32([1, -1])
    k = chainer.Variable(f32([1.5, 1.5]))
    g, = chainer.grad([F.sum(F.where(x > 0, D.Gamma(k, f32(1)).log_prob(x), f32([0, 0])))], [k])
    assert np.isfinite(g.array).all() and g.array[1] == 0


@pytest.mark.parametrize('labels', [
    np.array([0, 1], np.int32), np.array([0, 1], np.int64), np.array([False, True])])
def test_24_integer_and_boolean_labels(labels):
    g = gradient(lambda z: D.Bernoulli(logit=z).log_prob(labels), [0., 0.])
    np.testing.assert_allclose(g, [-0.5, 0.5])


def test_25_a_bernoulli_sample_enters_a_loss():
    z = chainer.Variable(f32([0.3, -0.2]))
    x = D.Bernoulli(logit=z).sample()
    assert float(F.sum(x).array) in (0, 1, 2)
    assert chainer.grad([F.sum(D.Bernoulli(logit=z).log_prob(x))], [z])[0] is not None


def test_26_categorical_log_prob():
    close(D.Categorical(p=f32([[0.25, 0.75]])).log_prob(np.array([1])), [np.log(0.75)])


def test_27_multivariate_normal_in_float64():
    d = D.MultivariateNormal(np.zeros(2), scale_tril=np.eye(2))
    close(d.log_prob(np.zeros(2)), -np.log(2 * np.pi), rtol=1e-14)


def test_28_samples_keep_the_dtype():
    assert D.Dirichlet(f64([1, 2])).sample().dtype == f64
    assert D.Poisson(f64(3)).sample().dtype == f64


def test_29_a_float64_observation_of_a_float32_distribution():
    d = D.LogNormal(f32(0), f32(1))
    close(d.log_prob(f64(1)), -0.91893853)


def test_30_python_numbers():
    close(D.Normal(0., 1.).log_prob(0), -0.91893853)
    close(D.Poisson(3).log_prob(2), -1.4959226)


def test_31_parameters_broadcast():
    d = D.Normal(f32(0), f32([1, 2, 3]))
    assert d.batch_shape == (3,) and d.sample().shape == (3,)


def test_32_every_member_of_the_batch_has_its_own_draw():
    x = D.Normal(f32([0]), f32([1, 1, 1])).sample_n(2).array
    assert len(np.unique(x)) == 6


def test_33_one_scale_tril_for_a_batch():
    d = D.MultivariateNormal(np.zeros((5, 2)), scale_tril=np.eye(2))
    assert d.batch_shape == (5,) and d.sample(3).shape == (3, 5, 2)


def test_34_shapes_and_observations_of_other_types():
    d = D.Poisson(f32([1]))
    assert d.sample([2, 3]).shape == (2, 3, 1)
    assert d.sample(np.int64(4)).shape == (4, 1)
    close(d.log_prob([1]), [-1])


def test_35_cross_entropy():
    p, q = D.Normal(f32(0), f32(1)), D.Normal(f32(1), f32(1))
    for cross_entropy in (chainer.cross_entropy, D.cross_entropy):
        close(cross_entropy(p, q), 1.4189385 + 0.5)


def test_36_divergences_between_families_and_subclasses():
    class Mine(D.Normal):
        pass
    standard = D.Normal(f64(0), f64(1))
    close(chainer.kl_divergence(standard, D.Laplace(f64(0), f64(1))),
          -1.4189385332 + np.log(2) + np.sqrt(2 / np.pi), rtol=1e-9)
    close(chainer.kl_divergence(Mine(0., 1.), D.Normal(1., 1.)), 0.5)
    close(chainer.kl_divergence(D.Cauchy(0., 1.), D.Cauchy(0., 2.)), np.log(9 / 8))
    close(chainer.kl_divergence(D.Chisquare(f64(2)), D.Chisquare(f64(4))),
          1 - 0.4227843351, rtol=1e-9)
    with pytest.raises(NotImplementedError, match='no closed form is registered'):
        chainer.kl_divergence(standard, D.Cauchy(0., 1.))


def test_37_a_multivariate_normal_can_be_copied():
    d = D.MultivariateNormal(np.zeros(2), scale_tril=np.eye(2))
    np.testing.assert_array_equal(copy.copy(d).log_prob(np.ones(2)).array,
                                  d.log_prob(np.ones(2)).array)


@pytest.mark.parametrize('make, names', [
    (lambda k: D.Gamma(k, f64(1)), ['k']), (lambda a: D.Beta(a, f64(1.5)), ['a']),
    (lambda k: D.Chisquare(k), ['k']), (lambda a: D.Pareto(f64(1), a), ['alpha'])])
def test_38_gradients_reach_every_shape_parameter(make, names):
    g = gradient(lambda v: make(v).sample(5, rng=1), 2.5, f64)
    assert np.isfinite(g) and g != 0


def test_38_gradients_reach_the_concentrations_of_a_dirichlet():
    weights = f64([1, 2, 3])
    g = gradient(lambda a: D.Dirichlet(a).sample(5, rng=1) * weights, [1.5, 2., 3.], f64)
    assert np.isfinite(g).all() and (g != 0).all()


def test_39_a_thousand_cost_little_more_than_one():
    """Python loops over the batch made a thousand members cost a thousand times as much as one."""
    rng = np.random.RandomState(0)
    loc, tril = rng.randn(1000, 5), np.tril(rng.uniform(0.1, 1, (1000, 5, 5))) + np.eye(5)
    p = rng.dirichlet(np.ones(10), 1000)
    for big, one in (
            (lambda: D.MultivariateNormal(loc, tril).log_prob(loc),
             lambda: D.MultivariateNormal(loc[:1], tril[:1]).log_prob(loc[:1])),
            (lambda: D.Dirichlet(1 + p).sample(), lambda: D.Dirichlet(1 + p[:1]).sample()),
            (lambda: D.Categorical(p).sample(), lambda: D.Categorical(p[:1]).sample())):
        assert _fastest(big) < 200 * _fastest(one)


def _fastest(f):
    def seconds():
        start = time.perf_counter()
        f()
        return time.perf_counter() - start
    return min(seconds() for _ in range(5))


def test_40_certain_bernoullis_have_finite_gradients_where_the_derivative_is_finite():
    assert gradient(lambda p: D.Bernoulli(p=p).log_prob(0), 0.) == -1
    assert gradient(lambda p: D.Bernoulli(p=p).log_prob(1), 1.) == 1
    # 1/p at p = 0 is infinite, and no NaN.
    assert gradient(lambda p: D.Bernoulli(p=p).log_prob(1), 0.) == np.inf
