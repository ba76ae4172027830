"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import math

import chainer
import chainer.functions as F
import numpy as np
import pytest
from scipy import special, stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib.check import exercise, lesson09
import course_lib.distributions as D
from course_lib.models import vae

NOT_YET = exercise.NOT_ATTEMPTED
LOG_W = np.array([-100., -101., -104.])
W = np.exp(LOG_W + 100)
BOUND = special.logsumexp(LOG_W) - math.log(3)
ELBO = -305 / 3
ESS = W.sum() ** 2 / (W ** 2).sum()
BITS = 94 / 64 / math.log(2)


def streamed(chunks):
    largest, total, count = -np.inf, 0., 0
    for log_w in chunks:
        new = max(largest, log_w.max())
        total = total * np.exp(largest - new) + np.exp(log_w - new).sum()
        largest, count = new, count + log_w.size
    return largest + np.log(total / count)


def pairwise(chunks):
    """By logaddexp, in place of an explicit reference."""
    total, count = -np.inf, 0
    for log_w in chunks:
        total, count = np.logaddexp(total, np.logaddexp.reduce(log_w)), count + len(log_w)
    return total - np.log(count)


def first_reference(chunks):
    chunks = list(chunks)
    reference = chunks[0].max()
    with np.errstate(all='ignore'):
        return reference + np.log(np.mean(np.exp(np.concatenate(chunks) - reference)))


def no_shrinking(chunks):
    largest, total, count = -np.inf, 0., 0
    for log_w in chunks:
        largest = max(largest, log_w.max())
        total += np.exp(log_w - largest).sum()
        count += len(log_w)
    return largest + np.log(total / count)


def read_twice(chunks):
    largest = max(log_w.max() for log_w in chunks)
    with np.errstate(all='ignore'):
        return largest + np.log(sum(np.exp(log_w - largest).sum() for log_w in chunks))


def pairwise_from_zero(chunks):
    total, count = 0., 0
    for log_w in chunks:
        total, count = np.logaddexp(total, np.logaddexp.reduce(log_w)), count + len(log_w)
    return total - np.log(count)


def largest_from_zero(chunks):
    largest, total, count = 0., 0., 0
    for log_w in chunks:
        new = max(largest, log_w.max())
        total = total * np.exp(largest - new) + np.exp(log_w - new).sum()
        largest, count = new, count + len(log_w)
    with np.errstate(all='ignore'):
        return largest + np.log(total / count)


def per_chunk(chunks):
    """Divided by the number of chunks, not of weights."""
    sums = [special.logsumexp(log_w) for log_w in chunks]
    return special.logsumexp(sums) - np.log(len(sums))


def naive(chunks):
    with np.errstate(all='ignore'):
        return np.log(np.mean([w for chunk in chunks for w in np.exp(chunk)]))


def estimates(chunks):
    return np.array([special.logsumexp(c) - np.log(len(c)) for c in chunks])


def beta_binomial(y, mean, concentration):
    return stats.betabinom(16, mean * concentration, (1 - mean) * concentration).logpmf(y)


def parts(mean, concentration):
    return mean * concentration, (1 - mean) * concentration


def choose(y):
    return special.gammaln(17) - special.gammaln(y + 1) - special.gammaln(17 - y)


def by_gamma(y, mean, concentration):
    a, b = parts(mean, concentration)
    g = special.gamma
    with np.errstate(all='ignore'):
        return np.log(special.comb(16, y) * g(y + a) * g(16 - y + b) / g(16 + a + b)
                      * g(a + b) / (g(a) * g(b)))


CASES = [
    (lesson09.three_weights, [BOUND, ELBO, ESS], 'Correct.'),
    (lesson09.three_weights, np.float32([BOUND, ELBO, ESS]), 'Correct.'),
    (lesson09.three_weights, (F.logsumexp(LOG_W) - math.log(3), LOG_W.mean(), ESS), 'Correct.'),
    (lesson09.three_weights, [..., ELBO, ESS], NOT_YET),
    (lesson09.three_weights, [ELBO, BOUND, ESS], 'have changed places'),
    (lesson09.three_weights, [ELBO, ELBO, ESS], 'your estimate is the ELBO'),
    (lesson09.three_weights, [BOUND, BOUND, ESS], 'your ELBO is the estimate'),
    (lesson09.three_weights, [-100, ELBO, ESS], 'the largest log-weight'),
    (lesson09.three_weights, [BOUND + math.log(3), ELBO, ESS], 'by their number'),
    (lesson09.three_weights, [BOUND + 100, ELBO, ESS], 'subtracted back to the estimate.'),
    (lesson09.three_weights, [BOUND + 100, ELBO + 100, ESS], 'the estimate and to the ELBO'),
    (lesson09.three_weights, [BOUND, -305, ESS], 'not their sum'),
    (lesson09.three_weights, [-BOUND, -ELBO, ESS], 'these are losses'),
    (lesson09.three_weights, [BOUND, ELBO, 1 / ESS], 'upside down'),
    (lesson09.three_weights, [BOUND, ELBO, W.sum() / (W ** 2).sum()], 'square the sum'),
    (lesson09.three_weights, [BOUND, ELBO, ESS / 3], 'the share of the draws'),
    (lesson09.three_weights, [BOUND, ELBO, LOG_W.sum() ** 2 / (LOG_W ** 2).sum()],
     'not of their logarithms'),
    (lesson09.three_weights, [math.exp(BOUND), ELBO, ESS], 'p(x) itself'),
    (lesson09.three_weights, [BOUND / math.log(2), ELBO / math.log(2), ESS], 'in bits'),
    (lesson09.three_weights, [-np.inf, ELBO, ESS], 'a NaN or an infinity'),
    (lesson09.three_weights, [BOUND, ELBO, 2.5], '2 of 3 numbers'),
    (lesson09.three_weights, [BOUND, ELBO], 'the shape is (2,)'),

    (lesson09.sum_over_levels, 8.5, 'Correct.'),
    (lesson09.sum_over_levels,
     np.exp(D.Bernoulli(p=0.5, binary_check=False).log_prob(np.float32(np.arange(17) / 16)).array
            ).sum(), 'Correct.'),
    (lesson09.sum_over_levels, ..., NOT_YET),
    (lesson09.sum_over_levels, 1, 'make it a likelihood'),
    (lesson09.sum_over_levels, 0.5, 'this is one level'),
    (lesson09.sum_over_levels, 8, 'one level more than 16'),
    (lesson09.sum_over_levels, -17 * math.log(2), 'the sum of the logarithms'),
    (lesson09.sum_over_levels, 17 * math.log(2), 'the sum of the cross-entropies'),
    (lesson09.sum_over_levels, 34, 'c(x) is negative'),
    (lesson09.sum_over_levels, 8.5 / 16, 'the integral over the ink'),
    (lesson09.sum_over_levels, math.log(8.5), 'the logarithm of the sum'),
    (lesson09.sum_over_levels, sum(0.5 ** y for y in range(17)), 'x is the ink'),
    (lesson09.sum_over_levels, sum(0.5 ** (y / 16) for y in range(17)), 'the part with 1 - x'),
    (lesson09.sum_over_levels, 100., 'too large'),

    (lesson09.elbo_bits, BITS, 'Correct.'),
    (lesson09.elbo_bits, vae.bits_per_dim(-94., 64), 'Correct.'),
    (lesson09.elbo_bits, chainer.Variable(np.array(94 / np.log(2) / 64)), 'Correct.'),
    (lesson09.elbo_bits, ..., NOT_YET),
    (lesson09.elbo_bits, 94 / 64, 'nats per pixel'),
    (lesson09.elbo_bits, 94 * math.log(2) / 64, 'a nat is more than a bit'),
    (lesson09.elbo_bits, 94 / math.log(2), 'bits for the image'),
    (lesson09.elbo_bits, 74 / 64 / math.log(2), 'the rate has to be paid too'),
    (lesson09.elbo_bits, 84 / 64 / math.log(2), 'the rate has to be paid too'),
    (lesson09.elbo_bits, 10 / 64 / math.log(2), 'the distortion has to be paid too'),
    (lesson09.elbo_bits, 94 / 8 / math.log(2), '8 rows of 8 pixels'),
    (lesson09.elbo_bits, -BITS, 'a cost in bits is positive'),
    (lesson09.elbo_bits, 94 / 64 / math.log(10), 'with the natural logarithm'),
    (lesson09.elbo_bits, 94 / 64 / math.log10(2), 'with the natural logarithm'),
    (lesson09.elbo_bits, 2., 'rounded to a whole number'),
    (lesson09.elbo_bits, 1.5, 'too small'),

    (lesson09.log_mean_weight, streamed, 'Correct.'),
    (lesson09.log_mean_weight, pairwise, 'Correct.'),
    (lesson09.log_mean_weight, lambda c: estimates([np.concatenate(list(c))]), 'Correct.'),
    (lesson09.log_mean_weight, lambda c: ..., 'Not attempted yet: the function returns nothing'),
    (lesson09.log_mean_weight, ..., NOT_YET),
    (lesson09.log_mean_weight, -1000., 'write a function'),
    (lesson09.log_mean_weight, lambda c: np.exp(np.stack(list(c))), 'function raised ValueError'),
    (lesson09.log_mean_weight, lambda c: c[0], 'your function raised TypeError'),
    (lesson09.log_mean_weight, lambda c: len(c), 'your function raised TypeError'),
    (lesson09.log_mean_weight, lambda c: special.logsumexp(np.concatenate(list(c))),
     'the log of the sum'),
    (lesson09.log_mean_weight, per_chunk, 'not by that of the chunks'),
    (lesson09.log_mean_weight, largest_from_zero, 'from minus infinity on'),
    (lesson09.log_mean_weight, pairwise_from_zero, 'which is minus infinity'),
    (lesson09.log_mean_weight, read_twice, 'read only once'),
    (lesson09.log_mean_weight, naive, 'is 0 in floating point'),
    (lesson09.log_mean_weight, lambda c: estimates(c).mean(), 'the mean of the estimates'),
    (lesson09.log_mean_weight, lambda c: estimates([estimates(c)]),
     'a longer one counts for more'),
    (lesson09.log_mean_weight, first_reference, 'Move the reference'),
    (lesson09.log_mean_weight, no_shrinking, 'brought to the new reference'),
    (lesson09.log_mean_weight, lambda c: streamed(list(c)[-1:]), 'only the last chunk'),
    (lesson09.log_mean_weight, lambda c: np.concatenate(list(c)).mean(), 'the ELBO'),
    (lesson09.log_mean_weight, lambda c: max(x.max() for x in c), 'the largest log-weight only'),
    (lesson09.log_mean_weight, lambda c: -streamed(c), 'not a loss'),
    (lesson09.log_mean_weight, lambda c: streamed(c) / np.log(2), 'in bits'),

    (lesson09.beta_binomial_log_prob, beta_binomial, 'Correct.'),
    (lesson09.beta_binomial_log_prob, lambda *v: list(beta_binomial(*v)), 'Correct.'),
    (lesson09.beta_binomial_log_prob, lambda *v: chainer.Variable(beta_binomial(*v)), 'Correct.'),
    (lesson09.beta_binomial_log_prob, lambda *v: None,
     'Not attempted yet: the function returns nothing'),
    (lesson09.beta_binomial_log_prob, ..., NOT_YET),
    (lesson09.beta_binomial_log_prob, by_gamma, 'an exponential that overflows'),
    (lesson09.beta_binomial_log_prob, lambda y, m, s: beta_binomial(y, m, s) - choose(y),
     'binomial coefficient'),
    (lesson09.beta_binomial_log_prob, lambda y, m, s: beta_binomial(y, 1 - m, s),
     'have changed places'),
    (lesson09.beta_binomial_log_prob,
     lambda y, m, s: beta_binomial(y, m, s) + special.betaln(*parts(m, s)),
     'the division by B(a, b) is missing'),
    (lesson09.beta_binomial_log_prob,
     lambda y, m, s: beta_binomial(y, m, s) + 2 * special.betaln(*parts(m, s)),
     'in the logarithm, subtract it'),
    (lesson09.beta_binomial_log_prob, lambda y, m, s: D.Binomial(16, p=m).log_prob(y),
     'this is the Binomial distribution'),
    (lesson09.beta_binomial_log_prob, lambda *v: -beta_binomial(*v), 'never above 0'),
    (lesson09.beta_binomial_log_prob, lambda *v: np.exp(beta_binomial(*v)),
     'this is the probability itself'),
    (lesson09.beta_binomial_log_prob, lambda *v: beta_binomial(*v) / np.log(2), 'in bits'),
    (lesson09.beta_binomial_log_prob, lambda *v: beta_binomial(*v).sum(), 'this is the sum'),
    (lesson09.beta_binomial_log_prob,
     lambda y, m, s: beta_binomial(y[:, None], m, s), 'broadcast against each other'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson09.three_weights, lesson09.sum_over_levels, lesson09.elbo_bits)
