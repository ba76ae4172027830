"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import chainer
import chainer.functions as F
import numpy as np
import pytest
from scipy import special, stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib.check import exercise, lesson05
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED
ESTIMATE = 0.06875


def score_by_library():
    """The estimate of section 2 by automatic differentiation."""
    m = chainer.Variable(np.array(8.))
    total = F.mean(np.array([0.9, 1.]) * D.Normal(m, 4.).log_prob([6., 12.]))
    return chainer.grad([total], [m])[0]


def path_by_library():
    """The contributions of section 3 by automatic differentiation."""
    s = chainer.Variable(np.array([2., 2.]))
    return chainer.grad([F.sum((1 + s * np.array([-1., 1.])) ** 2)], [s])[0]


def poisson_slope_by_summation():
    y = np.arange(200)
    return (y ** 2 * (y - 3) * stats.poisson(3).pmf(y)).sum()


def best_baseline(f, g):
    return np.mean(f * g ** 2) / np.mean(g ** 2)


def baseline_by_least_squares(f, g):
    return np.linalg.lstsq(g[:, None], f * g, rcond=None)[0]


def cdf_slope(z, k, h=1e-5):
    return (special.gammainc(k + h, z) - special.gammainc(k - h, z)) / (2 * h)


def gamma_slope(z, k):
    return -cdf_slope(z, k) / stats.gamma(k).pdf(z)


def gamma_slope_by_quantiles(z, k):
    u = special.gammainc(k, z)
    return (special.gammaincinv(k + 1e-4, u) - special.gammaincinv(k - 1e-4, u)) / 2e-4


def gamma_slope_by_upper_tail(z, k):
    h = 1e-4
    change = special.gammaincc(k + h, z) - special.gammaincc(k - h, z)
    return change / (2 * h) / np.exp(D.Gamma(k, np.ones_like(k)).log_prob(z).array)


CASES = [
    (lesson05.draws_needed, (0.14 / 0.001) ** 2, 'Correct.'),
    (lesson05.draws_needed, 19600, 'Correct.'),
    (lesson05.draws_needed, np.float32(1.96e4), 'Correct.'),
    (lesson05.draws_needed, ..., NOT_YET),
    (lesson05.draws_needed, 140., 'square it'),
    (lesson05.draws_needed, 140 ** 0.5, 'not a root'),
    (lesson05.draws_needed, 0.14 ** 2 / 0.001, 'the standard error too'),
    (lesson05.draws_needed, 0.14 / 0.001 ** 2, 'the standard deviation too'),
    (lesson05.draws_needed, (0.001 / 0.14) ** 2, 'one over the number'),
    (lesson05.draws_needed, 0.001 / 0.14, 'upside down'),
    (lesson05.draws_needed, 1e6, 'too large'),

    (lesson05.score_estimate, ESTIMATE, 'Correct.'),
    (lesson05.score_estimate, score_by_library(), 'Correct.'),
    (lesson05.score_estimate, [ESTIMATE], 'Correct.'),
    (lesson05.score_estimate, ..., NOT_YET),
    (lesson05.score_estimate, -ESTIMATE, 'the sign is wrong'),
    (lesson05.score_estimate, 2 * ESTIMATE, 'this is the sum'),
    (lesson05.score_estimate, [-0.1125, 0.25], 'take their mean'),
    (lesson05.score_estimate, 4 * ESTIMATE, 'the square of s'),
    (lesson05.score_estimate, 16 * ESTIMATE, 's squared below the line'),
    (lesson05.score_estimate, ESTIMATE / 16, 'once, not twice'),
    (lesson05.score_estimate, 0.0625, 'this is the mean score'),
    (lesson05.score_estimate, 0.95 * 0.0625, 'the score of its own draw'),
    (lesson05.score_estimate, 0.95, 'its slope is asked for'),
    (lesson05.score_estimate, (0.9 * 6 + 12) / 32, 'the distance from m'),
    (lesson05.score_estimate, 'a lot', 'should consist of numbers'),

    (lesson05.path_contributions, [2, 6], 'Correct.'),
    (lesson05.path_contributions, path_by_library(), 'Correct.'),
    (lesson05.path_contributions, np.array([[2.], [6.]]), 'Correct.'),
    (lesson05.path_contributions, [..., 6], NOT_YET),
    (lesson05.path_contributions, [6, 2], 'the negative ε first'),
    (lesson05.path_contributions, 4, 'enter the two contributions'),
    (lesson05.path_contributions, [-2, 6], 'the slope in m'),
    (lesson05.path_contributions, [-1, 1], 'this is dz/ds'),
    (lesson05.path_contributions, [4, 12], 'the slope in log s'),
    (lesson05.path_contributions, [1, 3], 'is 2z'),
    (lesson05.path_contributions, [1, 9], 'the values f(z)'),
    (lesson05.path_contributions, [2, 2], 'not at ε'),
    (lesson05.path_contributions, [-1, 9], "by f'(z), not by f(z)"),
    (lesson05.path_contributions, [2, 7], '1 of 2 numbers'),

    (lesson05.poisson_slope, 3 + 2 * 3 ** 2, 'Correct.'),
    (lesson05.poisson_slope, poisson_slope_by_summation(), 'Correct.'),
    (lesson05.poisson_slope, np.float32(21), 'Correct.'),
    (lesson05.poisson_slope, ..., NOT_YET),
    (lesson05.poisson_slope, -21, 'the sign is wrong'),
    (lesson05.poisson_slope, 7, 'this is the slope in lambda;'),
    (lesson05.poisson_slope, 7 / 3, 'do not divide'),
    (lesson05.poisson_slope, 12, 'the expectation itself'),
    (lesson05.poisson_slope, 18, 'has a slope too'),
    (lesson05.poisson_slope, 6, 'two things are missing'),
    (lesson05.poisson_slope, 9, 'one draw at the mean'),
    (lesson05.poisson_slope, 100., 'too large'),

    (lesson05.best_baseline, best_baseline, 'Correct.'),
    (lesson05.best_baseline, lambda f, g: np.average(f, weights=g ** 2), 'Correct.'),
    (lesson05.best_baseline, lambda f, g: np.cov(f * g, g)[0, 1] / np.var(g, ddof=1), 'Correct.'),
    (lesson05.best_baseline, baseline_by_least_squares, 'Correct.'),
    (lesson05.best_baseline, lambda f, g: F.sum(f * g ** 2) / F.sum(chainer.Variable(g ** 2)),
     'Correct.'),
    (lesson05.best_baseline, lambda f, g: ..., 'Not attempted yet: the function returns nothing'),
    (lesson05.best_baseline, ..., NOT_YET),
    (lesson05.best_baseline, 0.96, 'write a function'),
    (lesson05.best_baseline, lambda f, g: f.mean(), 'the baseline of section 2'),
    (lesson05.best_baseline, lambda f, g: (f * g).mean() / (g ** 2).mean(), 'g is squared too'),
    (lesson05.best_baseline, lambda f, g: np.average(f, weights=abs(g)), 'not their sizes'),
    (lesson05.best_baseline, lambda f, g: (f * g ** 2).mean(), 'the mean of g squared'),
    (lesson05.best_baseline, lambda f, g: (f * g ** 2).sum(), 'the sum of g squared'),
    (lesson05.best_baseline, lambda f, g: (f * g ** 2).sum() / (g ** 2).mean(), 'a mean below'),
    (lesson05.best_baseline, lambda f, g: (f * g ** 2).mean() / (g ** 2).sum(), 'a sum below'),
    (lesson05.best_baseline, lambda f, g: 1 / best_baseline(f, g), 'upside down'),
    (lesson05.best_baseline, lambda f, g: (f * g).mean(), 'the estimate of the slope'),
    (lesson05.best_baseline, lambda f, g: f * g ** 2 / np.mean(g ** 2), 'give one number'),
    (lesson05.best_baseline, lambda f, g: 2 * best_baseline(f, g), 'the factor 2'),
    (lesson05.best_baseline, lambda f, g: np.median(f), 'the median'),
    (lesson05.best_baseline, lambda f, g: -best_baseline(f, g), 'the sign is wrong'),
    (lesson05.best_baseline, lambda f, g: np.nan * f.mean(), 'a NaN'),
    (lesson05.best_baseline, lambda f: f, 'raised TypeError'),

    (lesson05.gamma_slope, gamma_slope, 'Correct.'),
    (lesson05.gamma_slope, gamma_slope_by_quantiles, 'Correct.'),
    (lesson05.gamma_slope, gamma_slope_by_upper_tail, 'Correct.'),
    (lesson05.gamma_slope, lambda z, k: chainer.Variable(gamma_slope(z, k)), 'Correct.'),
    (lesson05.gamma_slope, lambda z, k: ..., 'Not attempted yet: the function returns nothing'),
    (lesson05.gamma_slope, ..., NOT_YET),
    (lesson05.gamma_slope, 1., 'write a function'),
    (lesson05.gamma_slope, lambda z, k: -gamma_slope(z, k), 'the sign is wrong'),
    (lesson05.gamma_slope, cdf_slope, 'the derivative of the cdf in k'),
    (lesson05.gamma_slope, lambda z, k: -cdf_slope(z, k), 'derivative of the cdf in z'),
    (lesson05.gamma_slope, lambda z, k: -cdf_slope(z, k) / stats.gamma(k).logpdf(z),
     'not by its logarithm'),
    (lesson05.gamma_slope, lambda z, k: -cdf_slope(z, k) / stats.gamma(k).cdf(z),
     'not by the cdf'),
    (lesson05.gamma_slope, lambda z, k: -cdf_slope(z, k) / (z ** (k - 1) * np.exp(-z)),
     'not normalised'),
    (lesson05.gamma_slope, lambda z, k: -cdf_slope(z, k) * stats.gamma(k).pdf(z),
     'do not multiply'),
    (lesson05.gamma_slope, lambda z, k: 1 / gamma_slope(z, k), 'turn it over'),
    (lesson05.gamma_slope, lambda z, k: 2 * gamma_slope(z, k), 'spans 2h'),
    (lesson05.gamma_slope, lambda z, k: np.ones(z.shape), 'the slope of the mean'),
    (lesson05.gamma_slope, lambda z, k: z / k, 'a draw that is stretched'),
    (lesson05.gamma_slope, lambda z, k: np.log(z) - special.digamma(k), 'the score in k'),
    (lesson05.gamma_slope, lambda z, k: gamma_slope(z, k).sum(), 'one number for each draw'),
    (lesson05.gamma_slope, lambda z, k: -cdf_slope(z, k) / stats.gamma(k).pdf(z)[:, None],
     'broadcast against each other'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson05.draws_needed, lesson05.score_estimate, lesson05.path_contributions,
        lesson05.poisson_slope, lesson05.best_baseline, lesson05.gamma_slope)


def test_the_library_moves_its_gamma_draws_as_the_exercise_says():
    k = chainer.Variable(np.array([0.8, 2., 9.]))
    z = D.Gamma(k, np.ones(3)).sample(rng=0)
    slope, = chainer.grad([F.sum(z)], [k])
    np.testing.assert_allclose(slope.array, gamma_slope(z.array, k.array), rtol=1e-5)


def test_no_constant_is_less_noisy_than_the_best_baseline():
    rng = np.random.default_rng(0)
    g = rng.normal(size=1000)
    g -= g.mean()
    f = np.exp(g)
    least = np.mean(((f - best_baseline(f, g)) * g) ** 2)
    assert all(np.mean(((f - c) * g) ** 2) > least for c in (f.mean(), 0., np.median(f)))
