"""One table of examples that feeds the tests every distribution has to pass."""
from typing import NamedTuple

import numpy as np

import course_lib.distributions as D


class Family(NamedTuple):
    """Two members of one family with a batch of three, and what is special about them."""

    make: object            # a function of the keyword parameters
    params: dict            # parameters, each of shape (3,) (+ event)
    other: dict             # parameters of a second member
    kind: str = 'real'      # of an observation: 'real', 'count', 'binary', 'index', 'vector'

    def build(self, params=None, dtype=np.float64, xp=np):
        """The distribution with the parameters as arrays of a dtype."""
        return self.make(**{k: xp.asarray(np.asarray(v, dtype))
                            for k, v in (params or self.params).items()})


def _simplex(seed, n=4):
    p = np.random.RandomState(seed).uniform(0.2, 1, (3, n))
    return p / p.sum(axis=-1, keepdims=True)


def _tril(seed):
    a = np.tril(np.random.RandomState(seed).uniform(-0.5, 0.5, (3, 2, 2)))
    return a + 1.2 * np.eye(2)


A, B = [0.4, 1.3, 3.0], [0.7, 1.1, 2.0]
LOC, LOC2 = [-1.0, 0.3, 2.0], [-0.5, 0.1, 2.5]
P, P2 = [0.15, 0.5, 0.9], [0.3, 0.4, 0.8]
LOGITS, LOGITS2 = np.log(_simplex(1)), np.log(_simplex(2))


def zero_inflated(gate, lam):
    return D.ZeroInflated(D.Poisson(lam), gate=gate)


def zero_inflated_binomial(gate_logit, mean):
    return D.ZeroInflated(D.NegativeBinomial(mean=mean, concentration=2.), gate_logit=gate_logit)


def binomial(p):
    return D.Binomial(n=7, p=p)


def binomial_of_logit(logit):
    return D.Binomial(n=[3, 7, 20], logit=logit)


def mixture(weights_logit, loc, scale):
    return D.Mixture(weights_logit, D.Normal(loc, scale))


def discretized(loc, log_scale):
    return D.DiscretizedLogistic(loc, log_scale, low=0., high=1., n_levels=17)


def independent(loc, scale):
    return D.Independent(D.Normal(loc, scale))


def log_normal_by_transform(loc, scale):
    return D.Transformed(D.Normal(loc, scale), D.transforms.Exp())


FAMILIES = {
    'Bernoulli(p)': Family(D.Bernoulli, {'p': P}, {'p': P2}, 'binary'),
    'Bernoulli(logit)': Family(D.Bernoulli, {'logit': LOC}, {'logit': LOC2}, 'binary'),
    'Beta': Family(D.Beta, {'a': A, 'b': B}, {'a': B, 'b': A}),
    'Binomial(p)': Family(binomial, {'p': P}, {'p': P2}, 'count'),
    'Binomial(logit)': Family(binomial_of_logit, {'logit': LOC}, {'logit': LOC2}, 'count'),
    'Categorical(p)': Family(D.Categorical, {'p': _simplex(1)}, {'p': _simplex(2)}, 'index'),
    'Categorical(logit)': Family(
        D.Categorical, {'logit': LOGITS + 2}, {'logit': LOGITS2}, 'index'),
    'Cauchy': Family(D.Cauchy, {'loc': LOC, 'scale': A}, {'loc': LOC2, 'scale': B}),
    'Chisquare': Family(D.Chisquare, {'k': [1.5, 3., 8.]}, {'k': [2., 2.5, 9.]}),
    'ContinuousBernoulli(p)': Family(D.ContinuousBernoulli, {'p': P}, {'p': P2}),
    'ContinuousBernoulli(logit)': Family(
        D.ContinuousBernoulli, {'logit': LOC}, {'logit': LOC2}),
    'Dirichlet': Family(
        D.Dirichlet, {'alpha': 1 + 6 * _simplex(3)}, {'alpha': 1 + 6 * _simplex(4)}, 'vector'),
    'DiscretizedLogistic': Family(
        discretized, {'loc': P, 'log_scale': [-2., -1., -3.]},
        {'loc': P2, 'log_scale': [-1.5, -1., -2.]}, 'level'),
    'Exponential': Family(D.Exponential, {'lam': A}, {'lam': B}),
    'Gamma(theta)': Family(D.Gamma, {'k': A, 'theta': B}, {'k': B, 'theta': A}),
    'Gamma(rate)': Family(D.Gamma, {'k': A, 'rate': B}, {'k': B, 'rate': A}),
    'Geometric(p)': Family(D.Geometric, {'p': P}, {'p': P2}, 'trials'),
    'Geometric(logit)': Family(D.Geometric, {'logit': LOC}, {'logit': LOC2}, 'trials'),
    'Gumbel': Family(D.Gumbel, {'loc': LOC, 'scale': A}, {'loc': LOC2, 'scale': B}),
    'HalfNormal': Family(D.HalfNormal, {'scale': A}, {'scale': B}),
    'Independent': Family(
        independent, {'loc': _simplex(5), 'scale': 3 * _simplex(6)},
        {'loc': _simplex(7), 'scale': 3 * _simplex(8)}, 'vector'),
    'Laplace': Family(D.Laplace, {'loc': LOC, 'scale': A}, {'loc': LOC2, 'scale': B}),
    'LogNormal': Family(
        D.LogNormal, {'mu': LOC, 'sigma': P}, {'mu': LOC2, 'sigma': P2}),
    'Mixture': Family(
        mixture, {'weights_logit': LOGITS, 'loc': 5 * _simplex(3), 'scale': 3 * _simplex(6)},
        {'weights_logit': LOGITS2, 'loc': _simplex(4), 'scale': 2 * _simplex(8)}),
    'MultivariateNormal': Family(
        D.MultivariateNormal, {'loc': _simplex(1, 2), 'scale_tril': _tril(1)},
        {'loc': _simplex(2, 2), 'scale_tril': _tril(2)}, 'vector'),
    'NegativeBinomial(mean)': Family(
        D.NegativeBinomial, {'mean': A, 'concentration': [3.] * 3},
        {'mean': B, 'concentration': [3.] * 3}, 'count'),
    'NegativeBinomial(log)': Family(
        D.NegativeBinomial, {'log_mean': LOC, 'log_concentration': [1.] * 3},
        {'log_mean': LOC2, 'log_concentration': [1.] * 3}, 'count'),
    'NegativeBinomial(logit)': Family(
        D.NegativeBinomial, {'logit': LOC, 'concentration': [2.] * 3},
        {'logit': LOC2, 'concentration': [2.] * 3}, 'count'),
    'Normal(scale)': Family(D.Normal, {'loc': LOC, 'scale': A}, {'loc': LOC2, 'scale': B}),
    'Normal(log_scale)': Family(
        D.Normal, {'loc': LOC, 'log_scale': LOC2}, {'loc': LOC2, 'log_scale': LOC}),
    'OneHotCategorical(p)': Family(
        D.OneHotCategorical, {'p': _simplex(1)}, {'p': _simplex(2)}, 'one_hot'),
    'OneHotCategorical(logit)': Family(
        D.OneHotCategorical, {'logit': LOGITS}, {'logit': LOGITS2}, 'one_hot'),
    'Pareto': Family(
        D.Pareto, {'scale': B, 'alpha': [2.5, 3., 6.]}, {'scale': A, 'alpha': [2., 4., 5.]}),
    'Poisson(lam)': Family(D.Poisson, {'lam': A}, {'lam': B}, 'count'),
    'Poisson(log_lam)': Family(D.Poisson, {'log_lam': LOC}, {'log_lam': LOC2}, 'count'),
    'RelaxedBernoulli': Family(
        D.RelaxedBernoulli, {'temperature': B, 'logit': LOC},
        {'temperature': A, 'logit': LOC2}),
    'RelaxedOneHotCategorical': Family(
        D.RelaxedOneHotCategorical, {'temperature': B, 'logit': LOGITS},
        {'temperature': A, 'logit': LOGITS2}, 'vector'),
    'StudentT': Family(
        D.StudentT, {'df': [3.5, 5., 20.], 'loc': LOC, 'scale': A},
        {'df': [5., 4., 9.], 'loc': LOC2, 'scale': B}),
    'Transformed': Family(
        log_normal_by_transform, {'loc': LOC, 'scale': P}, {'loc': LOC2, 'scale': P2}),
    'Uniform(low, high)': Family(
        D.Uniform, {'low': [-1., 0., 2.], 'high': [0., 3., 2.5]},
        {'low': [-2., -1., 1.], 'high': [1., 4., 3.]}),
    'Uniform(loc, scale)': Family(
        D.Uniform, {'loc': LOC, 'scale': A}, {'loc': [-2., 0., 1.], 'scale': [3., 2., 5.]}),
    'ZeroInflated(gate)': Family(
        zero_inflated, {'gate': P, 'lam': A}, {'gate': P2, 'lam': B}, 'count'),
    'ZeroInflated(gate_logit)': Family(
        zero_inflated_binomial, {'gate_logit': LOC, 'mean': A},
        {'gate_logit': LOC2, 'mean': B}, 'count'),
}

DISCRETE = ('binary', 'count', 'index', 'trials', 'level', 'one_hot')
