"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import math

import chainer
import numpy as np
import pytest
from scipy import integrate, special, stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib import datasets
from course_lib.check import exercise, lesson06
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED
LOG2 = math.log(2)
P, Q = np.array([0.5, 0.5]), np.array([0.99, 0.01])
PQ, QP = stats.entropy(P, Q), stats.entropy(Q, P)
FLOOR = stats.entropy([7, 16])

TRAIN, _ = datasets.load_digits().split()
INK = TRAIN.images[TRAIN.labels == 5].sum(axis=1, dtype=np.float64)
LOG_NORMAL = stats.lognorm(np.log(INK).std(), scale=np.exp(np.log(INK).mean()))
GAMMA = stats.gamma(INK.mean() ** 2 / INK.var(), scale=INK.var() / INK.mean())


def quad_kl(p, q):
    return integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), 8, 40, epsabs=1e-13)[0]


INK_KL = quad_kl(LOG_NORMAL, GAMMA)
BLACK = TRAIN.images >= 0.5
PIXELS = np.array([(BLACK[TRAIN.labels == d].sum(axis=0) + 1) / ((TRAIN.labels == d).sum() + 2)
                   for d in range(10)])


def best_of(kl):
    """Row, column and bits of the best pixel, given the divergences of shape (10, 64)."""
    information = kl.array.mean(axis=0) / LOG2
    best = information.argmax()
    return best // 8, best % 8, information[best]


MARGINAL = D.Bernoulli(p=PIXELS.mean(axis=0))
ROW, COLUMN, BITS = best_of(D.kl_divergence(D.Bernoulli(p=PIXELS), MARGINAL))
HARDEST = MARGINAL.entropy.array.argmax()


def kl_by_where(p, q):
    with np.errstate(all='ignore'):
        return np.where(p > 0, p * np.log(p / q), 0).sum(axis=-1)


def kl_by_rows(p, q):
    return [stats.entropy(a, b) for a, b in zip(p, q)]


def kl_without_care(p, q):
    with np.errstate(all='ignore'):
        return (p * np.log(p / q)).sum(axis=-1)


def kl_without_nan(p, q):
    with np.errstate(all='ignore'):
        return np.nansum(p * np.log(p / q), axis=-1)


def kl_without_infinity(p, q):
    with np.errstate(all='ignore'):
        return np.where((p > 0) & (q > 0), p * np.log(p / q), 0).sum(axis=-1)


def kl_clipped(tiny):
    return lambda p, q: kl_by_where(np.clip(p, tiny, 1), np.clip(q, tiny, 1))


def kl_with_epsilon(p, q):
    return (p * np.log((p + 1e-8) / (q + 1e-8))).sum(axis=-1)


CASES = [
    (lesson06.kl_of_pixel, [PQ, QP], 'Correct.'),
    (lesson06.kl_of_pixel, (np.float32(1.6145), 0.63715), 'Correct.'),
    (lesson06.kl_of_pixel, [1.614, 0.637], 'Correct.'),
    (lesson06.kl_of_pixel, [D.kl_divergence(D.Bernoulli(p=0.5), D.Bernoulli(p=0.99)),
                            D.kl_divergence(D.Bernoulli(p=0.99), D.Bernoulli(p=0.5))], 'Correct.'),
    (lesson06.kl_of_pixel, ..., NOT_YET),
    (lesson06.kl_of_pixel, [PQ, ...], NOT_YET),
    (lesson06.kl_of_pixel, [QP, PQ], 'the mean over P, comes first'),
    (lesson06.kl_of_pixel, [PQ / LOG2, QP / LOG2], 'in bits'),
    (lesson06.kl_of_pixel, [stats.entropy(P, Q, base=10), stats.entropy(Q, P, base=10)],
     'base 10'),
    (lesson06.kl_of_pixel, [-PQ, -QP], 'stands on top'),
    (lesson06.kl_of_pixel, [0.5 * math.log(0.5 / 0.99), 0.99 * math.log(0.99 / 0.5)],
     'a white one has a term too'),
    (lesson06.kl_of_pixel, [0.5 * math.log(0.5 / 0.01), 0.01 * math.log(0.01 / 0.5)],
     'a black one has a term too'),
    (lesson06.kl_of_pixel, [PQ, -PQ], 'not minus the first'),
    (lesson06.kl_of_pixel, [PQ, PQ], 'KL is not symmetric'),
    (lesson06.kl_of_pixel, [np.log(P / Q).sum(), np.log(Q / P).sum()], 'weight each logarithm'),
    (lesson06.kl_of_pixel, [-(P * np.log(Q)).sum(), -(Q * np.log(P)).sum()], 'cross-entropies'),
    (lesson06.kl_of_pixel, [stats.entropy(P), stats.entropy(Q)], 'the entropies of P and Q'),
    (lesson06.kl_of_pixel, [PQ, 1.], '1 of 2 numbers'),
    (lesson06.kl_of_pixel, PQ, 'the shape is ()'),
    (lesson06.kl_of_pixel, 'large', 'should consist of numbers'),

    (lesson06.loss_floor, FLOOR, 'Correct.'),
    (lesson06.loss_floor, D.Bernoulli(p=7 / 23).entropy, 'Correct.'),
    (lesson06.loss_floor, np.array([0.6145]), 'Correct.'),
    (lesson06.loss_floor, 0.614, 'Correct.'),
    (lesson06.loss_floor, 0.615, 'Correct.'),
    (lesson06.loss_floor, ..., NOT_YET),
    (lesson06.loss_floor, FLOOR / LOG2, 'in bits'),
    (lesson06.loss_floor, -FLOOR, 'minus a mean logarithm'),
    (lesson06.loss_floor, 23 * FLOOR, 'the sum over the observations'),
    (lesson06.loss_floor, -7 / 23 * math.log(7 / 23), 'without distress cost'),
    (lesson06.loss_floor, -16 / 23 * math.log(16 / 23), 'with distress cost'),
    (lesson06.loss_floor, -math.log(7 / 23) - math.log(16 / 23), 'the share of its flights'),
    (lesson06.loss_floor, LOG2, 'the loss of p = 1/2'),
    (lesson06.loss_floor, 0., 'no single probability'),
    (lesson06.loss_floor, 7 / 23, 'this is the best p;'),
    (lesson06.loss_floor, math.log(7 / 16), 'the best logit'),
    (lesson06.loss_floor, 0.44, 'too small'),

    (lesson06.forward_fit, [5, 650 ** 0.5], 'Correct.'),
    (lesson06.forward_fit, (5., np.float32(25.495)), 'Correct.'),
    (lesson06.forward_fit, [m(D.Mixture([0., 0.], D.Normal(loc=[-20., 30.], scale=5.)))
                            for m in (lambda d: d.mean, lambda d: d.stddev)], 'Correct.'),
    (lesson06.forward_fit, [5, ...], NOT_YET),
    (lesson06.forward_fit, [650 ** 0.5, 5], 'the mean comes first'),
    (lesson06.forward_fit, [5, 650], 'the second number is the variance'),
    (lesson06.forward_fit, [5, 5], 'their means differ too'),
    (lesson06.forward_fit, [5, 25], 'the width inside the parts is missing'),
    (lesson06.forward_fit, [5, 30], 'standard deviations do not'),
    (lesson06.forward_fit, [5, 1300 ** 0.5], 'each has the weight 1/2'),
    (lesson06.forward_fit, [5, 675 ** 0.5], 'subtract the common mean'),
    (lesson06.forward_fit, [5, 630 ** 0.5], 'square the standard deviation'),
    (lesson06.forward_fit, [5, 12.5 ** 0.5], 'the mean of two draws'),
    (lesson06.forward_fit, [10, 650 ** 0.5], 'weight each mean'),
    (lesson06.forward_fit, [-20, 5], 'a reverse fit'),
    (lesson06.forward_fit, [30, 5], 'a reverse fit'),
    (lesson06.forward_fit, [5, 20], '1 of 2 numbers'),

    (lesson06.images_needed, math.log(1000) / INK_KL, 'Correct.'),
    (lesson06.images_needed, math.ceil(math.log(1000) / INK_KL), 'Correct.'),
    (lesson06.images_needed, chainer.Variable(np.array(math.log(1000) / INK_KL)), 'Correct.'),
    (lesson06.images_needed, ..., NOT_YET),
    (lesson06.images_needed, math.log(1000) / quad_kl(GAMMA, LOG_NORMAL), 'the other direction'),
    (lesson06.images_needed, 1 / INK_KL, 'give 1 nat'),
    (lesson06.images_needed, 1000 / INK_KL, 'the logarithm of the odds'),
    (lesson06.images_needed, 3 / INK_KL, 'the natural logarithm'),
    (lesson06.images_needed, math.log2(1000) / INK_KL, 'the natural logarithm'),
    (lesson06.images_needed, INK_KL / math.log(1000), 'upside down'),
    (lesson06.images_needed, INK_KL * math.log(1000), 'divide by the evidence'),
    (lesson06.images_needed, INK_KL, 'the mean evidence of one image'),
    (lesson06.images_needed, math.log(1000), 'the evidence wanted'),
    (lesson06.images_needed, np.inf, 'an infinity has crept in'),
    (lesson06.images_needed, 143, 'too small'),

    (lesson06.kl_of_probabilities, kl_by_where, 'Correct.'),
    (lesson06.kl_of_probabilities, kl_by_rows, 'Correct.'),
    (lesson06.kl_of_probabilities, lambda p, q: special.rel_entr(p, q).sum(axis=-1), 'Correct.'),
    (lesson06.kl_of_probabilities, lambda p, q: ..., 'Not attempted yet: the function returns'),
    (lesson06.kl_of_probabilities, ..., NOT_YET),
    (lesson06.kl_of_probabilities, 0.1, 'write a function'),
    (lesson06.kl_of_probabilities, lambda p: p, 'raised TypeError'),
    (lesson06.kl_of_probabilities, lambda p, q: kl_by_where(q, p), 'have changed places'),
    (lesson06.kl_of_probabilities, lambda p, q: kl_by_where(p, q) / LOG2, 'in bits'),
    (lesson06.kl_of_probabilities, lambda p, q: -kl_by_where(p, q), 'p that stands on top'),
    (lesson06.kl_of_probabilities, kl_without_care, 'a NaN or an infinity has crept in'),
    (lesson06.kl_of_probabilities, kl_without_nan, 'Correct.'),
    (lesson06.kl_of_probabilities, kl_without_infinity, 'do not make it 0'),
    (lesson06.kl_of_probabilities, lambda p, q: -special.xlogy(p, q).sum(axis=-1),
     'the cross-entropy'),
    (lesson06.kl_of_probabilities, lambda p, q: kl_by_where(p, q).sum(), 'one sum over everything'),
    (lesson06.kl_of_probabilities, special.rel_entr, 'these are the terms'),
    (lesson06.kl_of_probabilities, lambda p, q: special.rel_entr(p, q).mean(axis=-1),
     'weights are in p already'),
    (lesson06.kl_of_probabilities, lambda p, q: special.rel_entr(p, q).sum(axis=0),
     'the last is asked for'),
    (lesson06.kl_of_probabilities, lambda p, q: kl_by_where(p, q) + kl_by_where(1 - p, 1 - q),
     'no 1 - p to add'),
    (lesson06.kl_of_probabilities, lambda p, q: 0 * kl_by_where(q, q), 'numbers are right'),

    (lesson06.best_pixel, [ROW, COLUMN, BITS], 'Correct.'),
    (lesson06.best_pixel, np.float32([ROW, COLUMN, BITS]), 'Correct.'),
    (lesson06.best_pixel, [ROW, COLUMN, ...], NOT_YET),
    (lesson06.best_pixel, [COLUMN, ROW, BITS], 'the row comes first'),
    (lesson06.best_pixel, [ROW + 1, COLUMN + 1, BITS], 'from 0'),
    (lesson06.best_pixel, [ROW, COLUMN, BITS * LOG2], 'bits are asked for'),
    (lesson06.best_pixel, [ROW, COLUMN, BITS * LOG2 ** 2], 'divide by log 2'),
    (lesson06.best_pixel, [ROW, COLUMN, 10 * BITS], 'not the sum'),
    (lesson06.best_pixel, [ROW, COLUMN, 10 * BITS * LOG2], 'take the mean'),
    (lesson06.best_pixel, best_of(D.kl_divergence(MARGINAL, D.Bernoulli(p=PIXELS))),
     'KL in the other direction'),
    (lesson06.best_pixel, [HARDEST // 8, HARDEST % 8, MARGINAL.entropy.array.max() / LOG2],
     'hardest to predict'),
    (lesson06.best_pixel, [ROW, COLUMN, 0.3], '2 of 3 numbers'),
    (lesson06.best_pixel, [8 * ROW + COLUMN, BITS], 'the shape is (2,)'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson06.kl_of_pixel, lesson06.loss_floor, lesson06.forward_fit, lesson06.images_needed,
        lesson06.kl_of_probabilities, lesson06.best_pixel)
