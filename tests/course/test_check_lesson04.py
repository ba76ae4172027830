"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import math

import chainer
import chainer.functions as F
import numpy as np
import pytest
from scipy import special, stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib import datasets
from course_lib.check import exercise, lesson04
import course_lib.distributions as D
from course_lib.models import GLM

NOT_YET = exercise.NOT_ATTEMPTED
NONE = 0.2 ** 0.5
KICKS = datasets.load_horse_kicks().deaths


def zip_log_prob(y, log_lam, gate_logit):
    log_gate, log_open = -np.logaddexp(0, -gate_logit), -np.logaddexp(0, gate_logit)
    poisson = y * log_lam - np.exp(log_lam) - special.gammaln(y + 1)
    return np.where(y == 0, np.logaddexp(log_gate, log_open + poisson), log_open + poisson)


def zip_by_library(y, log_lam, gate_logit):
    return D.ZeroInflated(D.Poisson(log_lam=log_lam), gate_logit=gate_logit).log_prob(y)


def zip_by_probabilities(y, log_lam, gate_logit):
    with np.errstate(all='ignore'):
        gate = special.expit(gate_logit)
        prob = stats.poisson(np.exp(log_lam)).pmf(y)
        return np.log(np.where(y == 0, gate + (1 - gate) * prob, (1 - gate) * prob))


def zip_zeros_from_the_gate_only(y, log_lam, gate_logit):
    return np.where(y == 0, -np.logaddexp(0, -gate_logit), zip_log_prob(y, log_lam, gate_logit))


def zip_without_open(y, log_lam, gate_logit):
    return np.where(y == 0, zip_log_prob(y, log_lam, gate_logit),
                    stats.poisson(np.exp(log_lam)).logpmf(y))


def zip_without_factorial(y, log_lam, gate_logit):
    return zip_log_prob(y, log_lam, gate_logit) + special.gammaln(y + 1)


def memory(score='update', on=2, fitted_to='both'):
    """The last exercise, done with the library, right or wrong."""
    data = datasets.load_rand_hie()
    year = [{p: v for p, v in zip(data.person[data.year == t], data.visits[data.year == t])}
            for t in (1, 2)]
    y1, y2 = np.array([(year[0][p], year[1][p]) for p in sorted(year[0]) if p in year[1]]).T
    seen = y1 if fitted_to == 'both' else data.visits
    fit = GLM('negative_binomial').fit(np.ones((len(seen), 1)), seen)
    mu, r = np.exp(fit.coef_[0]), fit.concentration_
    mean = mu if score == 'concentration only' else mu * (r + y1) / (r + mu)
    concentration = r if score == 'mean only' else r + y1
    target = y2 if on == 2 else y1
    gain = (D.NegativeBinomial(mean=mean, concentration=concentration).log_prob(target)
            - D.NegativeBinomial(mean=mu, concentration=r).log_prob(target))
    return float(gain.array.mean()), len(y1)


GAIN, PEOPLE = memory()

CASES = [
    (lesson04.share_without_visit, math.exp(-2.86), 'Correct.'),
    (lesson04.share_without_visit, D.Poisson(lam=2.86).prob(0), 'Correct.'),
    (lesson04.share_without_visit, np.float32(0.05727), 'Correct.'),
    (lesson04.share_without_visit, ..., NOT_YET),
    (lesson04.share_without_visit, -2.86, 'the logarithm of the probability'),
    (lesson04.share_without_visit, 1 - math.exp(-2.86), 'without one is asked for'),
    (lesson04.share_without_visit, 2.86 * math.exp(-2.86), 'exactly one visit'),
    (lesson04.share_without_visit, math.exp(2.86), 'minus the rate'),
    (lesson04.share_without_visit, 20190 * math.exp(-2.86), 'a number of rows'),
    (lesson04.share_without_visit, 5.727, 'in per cent'),
    (lesson04.share_without_visit, 6308 / 20190, 'that was observed'),
    (lesson04.share_without_visit, 0.5, 'too large'),

    (lesson04.variance_and_p0, [10, NONE], 'Correct.'),
    (lesson04.variance_and_p0, (10., np.float32(0.4472)), 'Correct.'),
    (lesson04.variance_and_p0, [D.NegativeBinomial(mean=2., concentration=0.5).variance,
                                D.NegativeBinomial(mean=2., concentration=0.5).prob(0)],
     'Correct.'),
    (lesson04.variance_and_p0, [..., NONE], NOT_YET),
    (lesson04.variance_and_p0, [NONE, 10], 'the variance comes first'),
    (lesson04.variance_and_p0, [4, NONE], 'divide the square of the mean by r'),
    (lesson04.variance_and_p0, [8, NONE], "Poisson's part too"),
    (lesson04.variance_and_p0, [6, NONE], 'the square of the mean'),
    (lesson04.variance_and_p0, [10 ** 0.5, NONE], 'the standard deviation'),
    (lesson04.variance_and_p0, [10, 0.2], 'carries the power r'),
    (lesson04.variance_and_p0, [10, 0.8 ** 0.5], 'with r on top'),
    (lesson04.variance_and_p0, [10, math.exp(-2)], 'of a Poisson count'),
    (lesson04.variance_and_p0, [10, 0.9], '1 of 2 numbers'),

    (lesson04.kick_dispersion, KICKS.var() / KICKS.mean(), 'Correct.'),
    (lesson04.kick_dispersion, KICKS.var(ddof=1) / KICKS.mean(), 'Correct.'),
    (lesson04.kick_dispersion, chainer.Variable(np.array(1.0857)), 'Correct.'),
    (lesson04.kick_dispersion, ..., NOT_YET),
    (lesson04.kick_dispersion, KICKS.mean() / KICKS.var(), 'the mean over the variance'),
    (lesson04.kick_dispersion, KICKS.std() / KICKS.mean(), 'the standard deviation over'),
    (lesson04.kick_dispersion, 0.76, 'this is the variance'),
    (lesson04.kick_dispersion, 0.06, 'the difference'),
    (lesson04.kick_dispersion, 0.76 / 0.49, 'not by its square'),
    (lesson04.kick_dispersion, 3., 'too large'),

    (lesson04.zip_log_prob, zip_log_prob, 'Correct.'),
    (lesson04.zip_log_prob, zip_by_library, 'Correct.'),
    (lesson04.zip_log_prob, lambda *v: list(zip_log_prob(*v)), 'Correct.'),
    (lesson04.zip_log_prob, lambda *v: ..., 'Not attempted yet: the function returns nothing'),
    (lesson04.zip_log_prob, ..., NOT_YET),
    (lesson04.zip_log_prob, 1., 'write a function'),
    (lesson04.zip_log_prob, zip_by_probabilities, 'round to 0 or 1'),
    (lesson04.zip_log_prob, lambda *v: -zip_log_prob(*v), 'never above 0'),
    (lesson04.zip_log_prob, lambda *v: zip_log_prob(*v) / np.log(2), 'in bits'),
    (lesson04.zip_log_prob, zip_zeros_from_the_gate_only, 'through the open gate too'),
    (lesson04.zip_log_prob, zip_without_open, 'the factor 1 - pi'),
    (lesson04.zip_log_prob, zip_without_factorial, 'the term -log y! is missing'),
    (lesson04.zip_log_prob, lambda y, e, z: zip_log_prob(y, e, -z), 'have changed places'),
    (lesson04.zip_log_prob, lambda y, e, z: stats.poisson(np.exp(e)).logpmf(y),
     'without a gate'),
    (lesson04.zip_log_prob, lambda *v: zip_log_prob(*v).sum(), 'one number for each count'),
    (lesson04.zip_log_prob, lambda *v: F.sum(zip_by_library(*v)), 'one number for each count'),
    (lesson04.zip_log_prob, lambda *v: np.exp(zip_log_prob(*v)), 'numbers are right'),

    (lesson04.memory_gain, GAIN, 'Correct.'),
    (lesson04.memory_gain, np.float32(GAIN), 'Correct.'),
    (lesson04.memory_gain, ..., NOT_YET),
    (lesson04.memory_gain, -GAIN, 'with memory less that without'),
    (lesson04.memory_gain, GAIN * PEOPLE, 'give nats a person'),
    (lesson04.memory_gain, GAIN / np.log(2), 'in bits'),
    (lesson04.memory_gain, memory('mean only')[0], 'the concentration becomes'),
    (lesson04.memory_gain, memory('concentration only')[0], 'the mean changes too'),
    (lesson04.memory_gain, memory(on=1)[0], 'scores year 1 itself'),
    (lesson04.memory_gain, memory(fitted_to='all')[0], 'fitted to other rows'),
    (lesson04.memory_gain, 10., 'too large'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson04.share_without_visit, lesson04.variance_and_p0, lesson04.kick_dispersion,
        lesson04.memory_gain)
