"""Lesson 2. The table is the test: right answers in several forms, wrong ones with their hints."""
import chainer
import chainer.functions as F
import numpy as np
import pytest
from scipy import optimize, stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib import datasets
from course_lib.check import exercise, lesson02
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED


def nll(loc, log_scale, y):
    z = (y - loc) * np.exp(-log_scale)
    return np.mean(z ** 2 / 2 + log_scale + 0.5 * np.log(2 * np.pi))


def overflowing_nll(loc, log_scale, y):
    with np.errstate(all='ignore'):
        variance = np.exp(log_scale) ** 2
        return np.mean((y - loc) ** 2 / (2 * variance) + 0.5 * np.log(2 * np.pi * variance))


def changed(square=0.5, log=1., constant=0.5 * np.log(2 * np.pi), power=1.):
    def function(loc, log_scale, y):
        z = (np.float64(y) - loc) / np.exp(power * np.float64(log_scale))
        return np.mean(square * z ** 2 + log * log_scale + constant)
    return function


def scale_for_log_scale(loc, log_scale, y):
    z = (y - loc) / log_scale
    return np.mean(z ** 2 / 2 + np.log(abs(log_scale)) + np.log(2 * np.pi) / 2)


def rate(n, tau):
    return 1 / (n * tau ** 2)


def rate_by_chainer(n, tau):
    w = chainer.Variable(np.array(3.))
    gradient, = chainer.grad([-D.Normal(0., tau).log_prob(w) / n], [w])
    return gradient / w


temperature = datasets.load_challenger().temperature.astype(float)
LOC, SCALE = temperature.mean(), temperature.std()
MIDDLE, MISS = np.median(temperature), abs(temperature - np.median(temperature)).mean()

families = datasets.load_engel()
x, y = families.income / 1000., families.food / 1000.
five = np.argsort(x)[-5:]


def posterior(w):
    return -stats.norm(w * x[five], 0.3).logpdf(y[five]).sum() - stats.norm(0.6, 0.05).logpdf(w)


SHARE = optimize.minimize_scalar(posterior, bracket=(0.4, 0.6)).x
LIKELIEST = (x[five] @ y[five]) / (x[five] @ x[five])


def loss_of_log_normal(v):
    return -stats.lognorm(np.exp(v[2]), scale=np.exp(v[0]) * x ** v[1]).logpdf(y).mean()


LOG_FIT = optimize.minimize(loss_of_log_normal, [-0.4, 0.8, -2.], tol=1e-9)
SLOPE, LOSS = LOG_FIT.x[1], LOG_FIT.fun
MEAN_LOG = np.log(y).mean()

CASES = [
    (lesson02.normal_nll, nll, 'Correct.'),
    (lesson02.normal_nll, lambda m, s, y: -F.mean(D.Normal(m, log_scale=s).log_prob(y)),
     'Correct.'),
    (lesson02.normal_nll, lambda m, s, y: -stats.norm(m, np.exp(s)).logpdf(y).mean(), 'Correct.'),
    (lesson02.normal_nll, lambda m, s, y: ..., 'the function returns nothing'),
    (lesson02.normal_nll, ..., NOT_YET),
    (lesson02.normal_nll, 1.2, 'write a function'),
    (lesson02.normal_nll, lambda *v: -nll(*v), 'A loss is minus the log-likelihood'),
    (lesson02.normal_nll, lambda *v: nll(*v) * 4, 'this is the sum'),
    (lesson02.normal_nll, lambda *v: nll(*v) / np.log(2), 'in bits'),
    (lesson02.normal_nll, changed(log=0), 'log_scale itself is missing'),
    (lesson02.normal_nll, changed(log=-1), 'the sign of log_scale'),
    (lesson02.normal_nll, changed(constant=0), 'half of log(2 pi), is missing'),
    (lesson02.normal_nll, changed(constant=np.log(2 * np.pi)), 'the constant is half'),
    (lesson02.normal_nll, changed(square=1), 'is to be halved'),
    (lesson02.normal_nll, changed(power=0.5), 'taken for the variance'),
    (lesson02.normal_nll, changed(power=0), 'divide the miss'),
    (lesson02.normal_nll, scale_for_log_scale, 'taken for the scale itself'),
    (lesson02.normal_nll, overflowing_nll, 'a NaN or an infinity'),
    (lesson02.normal_nll, lambda m, s, y: m, 'the shape is (4,), where () is'),
    (lesson02.normal_nll, lambda m: 0, 'your function raised TypeError'),

    (lesson02.best_locs, [0.5, 0.4, 2.9, 0.4], 'Correct.'),
    (lesson02.best_locs, (np.float32(0.5), 0.4, 2.9, 0.4), 'Correct.'),
    (lesson02.best_locs, np.array([[0.5], [0.4], [2.9], [0.4]]), 'Correct.'),
    (lesson02.best_locs, ..., NOT_YET),
    (lesson02.best_locs, [0.5, 0.4, ..., ...], NOT_YET),
    (lesson02.best_locs, [0.4, 0.5, 0.4, 2.9], 'the Normal one comes first'),
    (lesson02.best_locs, [0.5, 2.9, 0.4, 0.4], 'the order is not'),
    (lesson02.best_locs, [0.5, 0.5, 2.9, 2.9], 'it is not the mean'),
    (lesson02.best_locs, [0.5, 0.4, 2.9, 2.9], 'no harder than a near one'),
    (lesson02.best_locs, [0.5, 0.4, 0.5, 0.4], 'the mean is another'),
    (lesson02.best_locs, [0.4, 0.4, 0.4, 0.4], 'pulls harder than a near one'),
    (lesson02.best_locs, [0.5, 0.4], 'the shape is (2,), where (4,) is'),
    (lesson02.best_locs, [0.5, 0.4, 3.9, 0.4], '3 of 4 numbers are right'),

    (lesson02.decay_rate, rate, 'Correct.'),
    (lesson02.decay_rate, lambda n, tau: tau ** -2 / n, 'Correct.'),
    (lesson02.decay_rate, rate_by_chainer, 'Correct.'),
    (lesson02.decay_rate, lambda n, tau: ..., 'the function returns nothing'),
    (lesson02.decay_rate, 0.5, 'write a function'),
    (lesson02.decay_rate, lambda n, tau: rate(n, tau) / 2, 'a factor of 2'),
    (lesson02.decay_rate, lambda n, tau: 1 / tau ** 2, 'divided by n too'),
    (lesson02.decay_rate, lambda n, tau: 1 / (2 * tau ** 2), 'divided by n too; and'),
    (lesson02.decay_rate, lambda n, tau: 1 / (n * tau), 'the rate of Lasso'),
    (lesson02.decay_rate, lambda n, tau: tau ** 2 / n, 'a wider prior'),
    (lesson02.decay_rate, lambda n, tau: n / tau ** 2, 'more data'),
    (lesson02.decay_rate, lambda n, tau: -rate(n, tau), 'the sign is wrong'),
    (lesson02.decay_rate, lambda n, tau: 7., '0 of 3 numbers are right'),

    (lesson02.locs_and_scales, [LOC, SCALE, MIDDLE, MISS], 'Correct.'),
    (lesson02.locs_and_scales, np.float32([LOC, SCALE, MIDDLE, MISS]), 'Correct.'),
    (lesson02.locs_and_scales, [*stats.norm.fit(temperature), *stats.laplace.fit(temperature)],
     'Correct.'),
    (lesson02.locs_and_scales, ..., NOT_YET),
    (lesson02.locs_and_scales, [MIDDLE, MISS, LOC, SCALE], 'the Normal one comes first'),
    (lesson02.locs_and_scales, [LOC, MIDDLE, SCALE, MISS], 'first, then loc and scale'),
    (lesson02.locs_and_scales, [LOC, temperature.std(ddof=1), MIDDLE, MISS], 'n - 1 corrects'),
    (lesson02.locs_and_scales, [LOC, SCALE ** 2, MIDDLE, MISS], 'this is the variance'),
    (lesson02.locs_and_scales, [LOC, SCALE, MIDDLE, SCALE], 'not its standard deviation'),
    (lesson02.locs_and_scales, [LOC, SCALE, MIDDLE, SCALE / 2 ** 0.5], 'matches the standard'),
    (lesson02.locs_and_scales, [LOC, SCALE, MIDDLE, abs(temperature - LOC).mean()],
     'from its own loc'),
    (lesson02.locs_and_scales, [LOC, SCALE, MIDDLE, np.median(abs(temperature - MIDDLE))],
     'not their median'),
    (lesson02.locs_and_scales, [LOC, SCALE, LOC, abs(temperature - LOC).mean()],
     'the best loc is not the mean'),
    (lesson02.locs_and_scales, [LOC, SCALE, MIDDLE, 7], '3 of 4 numbers are right'),

    (lesson02.map_share, SHARE, 'Correct.'),
    (lesson02.map_share, np.float32([SHARE]), 'Correct.'),
    (lesson02.map_share, ..., NOT_YET),
    (lesson02.map_share, LIKELIEST, 'the prior is missing'),
    (lesson02.map_share, 0.6, 'the prior alone'),
    (lesson02.map_share, (LIKELIEST + 0.6) / 2, 'do not weigh the same'),
    (lesson02.map_share, (x[five] @ y[five]) / (x[five] @ x[five] + 36), 'centred at 0'),
    (lesson02.map_share, (x[five] @ y[five] / 0.3 + 12) / (x[five] @ x[five] / 0.3 + 20),
     'the squares of both'),
    (lesson02.map_share,
     (x[five] @ y[five] * 400 + 0.6 / 0.09) / (x[five] @ x[five] * 400 + 1 / 0.09),
     'has next to no weight'),
    (lesson02.map_share, (x[five] @ y[five] / 0.45 + 240) / (x[five] @ x[five] / 0.45 + 400),
     'divide the log prior by five too'),
    (lesson02.map_share, (x[five] @ y[five] / 0.09 + 120) / (x[five] @ x[five] / 0.09 + 200),
     'one of the two squares'),
    (lesson02.map_share, (x[five] @ y[five] / 0.18 + 240) / (x[five] @ x[five] / 0.18 + 400),
     'one of the two squares'),
    (lesson02.map_share, 0.3, 'too small'),

    (lesson02.elasticity_and_nll, [SLOPE, LOSS], 'Correct.'),
    (lesson02.elasticity_and_nll, np.float32([SLOPE, LOSS]), 'Correct.'),
    (lesson02.elasticity_and_nll, ..., NOT_YET),
    (lesson02.elasticity_and_nll, [LOSS, SLOPE], 'the elasticity comes first'),
    (lesson02.elasticity_and_nll, [SLOPE, LOSS - MEAN_LOG], 'this is the loss of log y'),
    (lesson02.elasticity_and_nll, [SLOPE, LOSS - 2 * MEAN_LOG], 'with the other sign'),
    (lesson02.elasticity_and_nll, [SLOPE, -LOSS], 'the sign of the second'),
    (lesson02.elasticity_and_nll, [SLOPE, LOSS + np.log(1000)], 'count in thousands'),
    (lesson02.elasticity_and_nll, [SLOPE, LOSS * 235], 'the sum over'),
    (lesson02.elasticity_and_nll, [LOG_FIT.x[0], LOSS], 'is the intercept'),
    (lesson02.elasticity_and_nll, [SLOPE, LOSS + 0.01], 'Not yet, but close'),
    (lesson02.elasticity_and_nll, [SLOPE, 0.], '1 of 2 numbers'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_every_hint_can_be_reached():
    """No mistake is hidden behind another one, or behind the right answer."""
    for item in (lesson02.normal_nll, lesson02.best_locs, lesson02.decay_rate,
                 lesson02.locs_and_scales, lesson02.map_share, lesson02.elasticity_and_nll):
        for value, hint in item.mistakes:
            assert item._compare(value) == f'Not yet: {hint}'


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson02.best_locs, lesson02.locs_and_scales, lesson02.map_share,
        lesson02.elasticity_and_nll)
