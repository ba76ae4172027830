"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import chainer
import chainer.functions as F
import numpy as np
import pytest
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib import check
from course_lib.check import exercise, lesson00, lesson01
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED
LOG_COIN = float(np.log(0.8 * 0.2 * 0.8))


def nll(z, y):
    return -F.mean(D.Bernoulli(logit=z).log_prob(y))


def nll_numpy(z, y):
    return np.mean(np.logaddexp(0, np.float64(z)) - y * np.float64(z))


def naive_nll(z, y):
    with np.errstate(all='ignore'):
        p = np.float32(1) / (1 + np.exp(-z))
        return -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))


def overflowing_nll(z, y):
    with np.errstate(all='ignore'):
        return np.mean(np.log(1 + np.exp(z)) - y * z)


def clipped_nll(z, y):
    p = np.clip(F.sigmoid(np.float64(z)).array, 1e-7, 1 - 1e-7)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def residual(a, b, t, y):
    return 1 / (1 + np.exp(-(a + b * t))) - y


def grad(a, b, t, y):
    r = residual(a, b, t, y)
    return [r.mean(), (r * t).mean()]


def grad_by_chainer(a, b, t, y):
    a, b = chainer.Variable(np.float64([a])), chainer.Variable(np.float64([b]))
    loss = -F.mean(D.Bernoulli(logit=a + b * t).log_prob(y))
    return F.concat(chainer.grad([loss], [a, b]), axis=0)


CASES = [
    (lesson00.coin, LOG_COIN, 'Correct.'),
    (lesson00.coin, np.float32(LOG_COIN), 'Correct.'),
    (lesson00.coin, F.sum(D.Bernoulli(p=0.8).log_prob([1, 0, 1])), 'Correct.'),
    (lesson00.coin, ..., NOT_YET),
    (lesson00.coin, None, NOT_YET),
    (lesson00.coin, np.exp(LOG_COIN), 'this is the probability itself'),
    (lesson00.coin, LOG_COIN / 3, 'this is the mean'),
    (lesson00.coin, LOG_COIN / np.log(2), 'in bits'),
    (lesson00.coin, -LOG_COIN, 'is never above 0'),
    (lesson00.coin, np.log(0.2 * 0.8 * 0.2), 'p is the probability of a 1'),
    (lesson00.coin, D.Bernoulli(p=0.8).log_prob([1, 0, 1]), 'the shape is (3,), where () is'),
    (lesson00.coin, -5.0, 'too small'),

    (lesson01.likelihood_of_four, 0.3 * 0.7 ** 3, 'Correct.'),
    (lesson01.likelihood_of_four, [0.1029], 'Correct.'),
    (lesson01.likelihood_of_four, np.array(0.1029, np.float16), 'Correct.'),
    (lesson01.likelihood_of_four, np.log(0.1029), 'the logarithm of the probability'),
    (lesson01.likelihood_of_four, 4 * 0.1029, 'one order'),
    (lesson01.likelihood_of_four, 0.3 ** 3 * 0.7, 'one of the four'),
    (lesson01.likelihood_of_four, 2.4, 'independent events multiply'),
    (lesson01.likelihood_of_four, 0.7 ** 3, 'has a factor too'),
    (lesson01.likelihood_of_four, 0, 'rounded to a whole number'),
    (lesson01.likelihood_of_four, -0.1029, 'the sign is wrong'),
    (lesson01.likelihood_of_four, float('nan'), 'a NaN or an infinity'),
    (lesson01.likelihood_of_four, 'one tenth', 'yours is of type str'),
    (lesson01.likelihood_of_four, 0.5, 'too large'),

    (lesson01.mean_nll, nll, 'Correct.'),
    (lesson01.mean_nll, nll_numpy, 'Correct.'),
    (lesson01.mean_nll, lambda z, y: F.sigmoid_cross_entropy(z, y), 'Correct.'),
    (lesson01.mean_nll, lambda z, y: ..., 'Not attempted yet: the function returns nothing'),
    (lesson01.mean_nll, lambda z, y: None, 'Not attempted yet: the function returns nothing'),
    (lesson01.mean_nll, ..., NOT_YET),
    (lesson01.mean_nll, 0.7, 'write a function'),
    (lesson01.mean_nll, lambda z, y: -nll_numpy(z, y), 'A loss is minus the log-likelihood'),
    (lesson01.mean_nll, lambda z, y: nll_numpy(z, y) / np.log(2), 'in bits'),
    (lesson01.mean_nll, lambda z, y: nll_numpy(z, y) * len(z), 'this is the sum'),
    (lesson01.mean_nll, lambda z, y: nll_numpy(z, 1 - y), 'have changed places'),
    (lesson01.mean_nll, lambda z, y: np.exp(-nll_numpy(z, y)), 'this is a probability'),
    (lesson01.mean_nll, naive_nll, 'a NaN or an infinity'),
    (lesson01.mean_nll, overflowing_nll, 'e^z overflows'),
    (lesson01.mean_nll, clipped_nll, 'clipping p'),
    (lesson01.mean_nll, lambda z, y: np.logaddexp(0, z) - y * z, 'the shape is (4,), where () is'),
    (lesson01.mean_nll, lambda z: 0, 'your function raised TypeError'),
    (lesson01.mean_nll, lambda z, y: [[1, 2], [3]], 'should consist of numbers'),

    (lesson01.best_p, 3 / 19, 'Correct.'),
    (lesson01.best_p, np.float32(0.1579), 'Correct.'),
    (lesson01.best_p, chainer.Variable(np.array([3 / 19])), 'Correct.'),
    (lesson01.best_p, 16 / 19, 'not of its absence'),
    (lesson01.best_p, 7 / 23, 'the frequency on all flights'),
    (lesson01.best_p, 1.0, 'the flights below 65'),
    (lesson01.best_p, 3 / 18, 'includes the flight at 66'),
    (lesson01.best_p, np.log(3 / 16), 'the logit of p'),
    (lesson01.best_p, 4 / 21, "Laplace's rule"),
    (lesson01.best_p, 3, 'the number of flights'),
    (lesson01.best_p, 0.16, 'Not yet, but close'),

    (lesson01.gradient, grad, 'Correct.'),
    (lesson01.gradient, lambda *v: np.array(grad(*v)), 'Correct.'),
    (lesson01.gradient, grad_by_chainer, 'Correct.'),
    (lesson01.gradient, lambda *v: [..., ...], 'Not attempted yet: the function returns nothing'),
    (lesson01.gradient, lambda *v: [-g for g in grad(*v)], 'gradient of the log-likelihood'),
    (lesson01.gradient, lambda *v: [g * 23 for g in grad(*v)], 'this is the sum'),
    (lesson01.gradient, lambda *v: grad(*v)[::-1], 'the intercept comes first'),
    (lesson01.gradient, lambda *v: [grad(*v)[0]] * 2, 'the chain rule'),
    (lesson01.gradient, lambda *v: [grad(*v)[0], grad(*v)[0] * v[2].mean()], 'before you take'),
    (lesson01.gradient, lambda a, b, t, y: [(a + b * t - y).mean(), ((a + b * t - y) * t).mean()],
     'not the logit itself'),
    (lesson01.gradient, lambda a, b, t, y: np.outer(t, y), 'the shape is (23, 23), where (2,) is'),
    (lesson01.gradient, lambda *v: [grad(*v)[0], 0.], '2 of 4 numbers are right'),

    (lesson01.slope_interval, [-0.5154, -0.0608], 'Correct.'),
    (lesson01.slope_interval, (-0.516, -0.061), 'Correct.'),
    (lesson01.slope_interval, np.float32([-0.515, -0.0605]), 'Correct.'),
    (lesson01.slope_interval, [-0.0608, -0.5154], 'the lower one first'),
    (lesson01.slope_interval, [-0.4443, -0.0200], '1.96 standard errors'),
    (lesson01.slope_interval, [..., ...], NOT_YET),
    (lesson01.slope_interval, [-0.2492, -0.2180], 'the intercept was held fixed'),
    (lesson01.slope_interval, [-0.4863, -0.0692], 'the intercept was held fixed'),
    (lesson01.slope_interval, [-0.685, -0.00332], 'half of 3.84'),
    (lesson01.slope_interval, [-3.555, -0.419], 'per °F'),
    (lesson01.slope_interval, [-0.51, -0.058], 'Not yet, but close'),
    (lesson01.slope_interval, [-0.4, -0.0608], '1 of 2 numbers'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_calling_prints_the_verdict_and_returns_nothing(capsys):
    assert lesson01.best_p(3 / 19) is None
    assert capsys.readouterr().out.startswith('Correct.')


def test_a_column_against_a_row_is_recognised():
    five = check.Exercise(right=np.arange(5.) + 0.5, shows='Shown.')
    assert 'broadcast against each other' in five.judge(np.ones((5, 5)))
    assert five.judge((np.arange(5.) + 0.5)[:, None]).startswith('Correct.')


def test_variance_for_standard_deviation():
    spread = check.Exercise(right=3.0, shows='Shown.', mistakes=[exercise.variance(3.0)])
    assert 'square root' in spread.judge(9)


def test_a_mistake_may_be_rounded_and_a_right_answer_comes_first():
    third = check.Exercise(right=1 / 3, shows='Shown.', mistakes=[
        exercise.Mistake(2 / 3, 'this is the rest.'), exercise.Mistake(0.338, 'never heard.')])
    assert third.judge(0.3333).startswith('Correct.')
    assert third.judge(0.667) == 'Not yet: this is the rest.'
    assert third.judge(0.336) == 'Not yet, but close: a few more digits are needed.'
    assert third.judge(0.68) == 'Not yet: your number is too large.'


def test_an_answer_that_cannot_be_read_is_not_a_traceback():
    class Strange:
        def __array__(self, *args, **kwargs):
            raise ValueError('no')
    assert 'yours is of type Strange' in lesson01.best_p.judge(Strange())


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson00.coin, lesson01.likelihood_of_four, lesson01.best_p, lesson01.slope_interval)


def test_an_answer_that_changes_its_arguments_spoils_nothing():
    def in_place(a, b, t, y):
        t += 1e6
        return grad(a, b, t - 1e6, y)
    assert lesson01.gradient.judge(in_place).startswith('Correct.')
    assert lesson01.gradient.judge(grad).startswith('Correct.')
