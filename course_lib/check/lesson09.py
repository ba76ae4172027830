"""Exercises of lesson 9: weights and their bound, what sums to 1, bits, streams, more spread."""
import math

import numpy
from scipy import special, stats

from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

_LOG_W = numpy.array([-100., -101., -104.])
_W = numpy.exp(_LOG_W + 100)
_BOUND = math.log(_W.mean()) - 100
_ELBO = _LOG_W.mean()
_EFFECTIVE = _W.sum() ** 2 / (_W ** 2).sum()
three_weights = Exercise(
    right=[_BOUND, _ELBO, _EFFECTIVE],
    shows='The bound of three draws lies above the mean of the log-weights, always; the first draw '
          'does most of the work.',
    mistakes=[
        Mistake([_ELBO, _BOUND, _EFFECTIVE], 'the first two have changed places: the estimate is '
                'the log of the mean weight, the ELBO the mean of the log-weights.'),
        Mistake([_ELBO, _ELBO, _EFFECTIVE], 'your estimate is the ELBO; take the log of the mean '
                'weight, not the mean of the log-weights.'),
        Mistake([_BOUND, _BOUND, _EFFECTIVE], 'your ELBO is the estimate; take the mean of the '
                'log-weights, not the log of the mean weight.'),
        Mistake([_LOG_W.max(), _ELBO, _EFFECTIVE], 'your estimate is the largest log-weight; the '
                'estimate is the log of the mean of all three weights.'),
        Mistake([math.log(_W.sum()) - 100, _ELBO, _EFFECTIVE], 'in the estimate, divide the sum of '
                'the weights by their number.'),
        Mistake([_BOUND + 100, _ELBO, _EFFECTIVE], 'add the log-weight that you subtracted back to '
                'the estimate.'),
        Mistake([_BOUND + 100, _ELBO + 100, _EFFECTIVE], 'add the log-weight that you subtracted '
                'back to the estimate and to the ELBO.'),
        Mistake([_BOUND, _LOG_W.sum(), _EFFECTIVE], 'the ELBO is the mean of the log-weights, not '
                'their sum.'),
        Mistake([-_BOUND, -_ELBO, _EFFECTIVE], 'these are losses; give the log-likelihoods, which '
                'are negative here.'),
        Mistake([_BOUND, _ELBO, 1 / _EFFECTIVE], 'the effective number of samples is upside down.'),
        Mistake([_BOUND, _ELBO, _W.sum() / (_W ** 2).sum()], 'in the effective number, square the '
                'sum of the weights.'),
        Mistake([_BOUND, _ELBO, _EFFECTIVE / 3], 'the last number is the share of the draws that '
                'count; give how many.'),
        Mistake([_BOUND, _ELBO, _LOG_W.sum() ** 2 / (_LOG_W ** 2).sum()], 'the effective number is '
                'made of the weights, not of their logarithms.'),
        Mistake([math.exp(_BOUND), _ELBO, _EFFECTIVE], 'the first number is p(x) itself; its '
                'logarithm is asked for.'),
        exercise.log2([_BOUND, _ELBO, _EFFECTIVE * math.log(2)]),
    ])

_LEVELS = numpy.arange(17) / 16
_SUM = 17 * math.exp(-math.log(2))
sum_over_levels = Exercise(
    right=_SUM,
    shows='Far from 1. And it changes with p, so that it is not a constant that we could forget.',
    mistakes=[
        Mistake(1., 'that would make it a likelihood; add the 17 numbers up.'),
        Mistake(0.5, 'this is one level; sum over all of them.'),
        Mistake(16 * 0.5, 'from 0 to 16 there is one level more than 16.'),
        Mistake(-17 * math.log(2), 'this is the sum of the logarithms c(x); take e to the power '
                'c(x) before you add.'),
        Mistake(17 * math.log(2), 'this is the sum of the cross-entropies -c(x); take e to the '
                'power c(x) before you add.'),
        Mistake(17 * 2., 'c(x) is negative: it is minus log 2.'),
        Mistake(_SUM / 16, 'this is the integral over the ink, roughly; the plain sum over the '
                'levels is asked for.'),
        Mistake(math.log(_SUM), 'this is the logarithm of the sum.'),
        Mistake((0.5 ** (16 * _LEVELS)).sum(), 'the exponents are x and 1 - x, and x is the ink, '
                'from 0 to 1.'),
        Mistake((0.5 ** _LEVELS).sum(), 'the part with 1 - x is missing.'),
    ])

_RATE, _DISTORTION, _PIXELS = 10., 84., 64
_BITS = (_RATE + _DISTORTION) / (_PIXELS * math.log(2))
elbo_bits = Exercise(
    right=_BITS,
    shows='At most, because log p(x) lies above the ELBO.',
    mistakes=[
        Mistake((_RATE + _DISTORTION) / _PIXELS, 'these are nats per pixel; a bit is log 2 nats.'),
        Mistake((_RATE + _DISTORTION) * math.log(2) / _PIXELS, 'divide by log 2: a nat is more '
                'than a bit.'),
        Mistake((_RATE + _DISTORTION) / math.log(2), 'these are bits for the image; per pixel is '
                'asked for.'),
        Mistake((_DISTORTION - _RATE) / (_PIXELS * math.log(2)), 'the rate has to be paid too: add '
                'it.'),
        Mistake(_DISTORTION / (_PIXELS * math.log(2)), 'the rate has to be paid too: add it.'),
        Mistake(_RATE / (_PIXELS * math.log(2)), 'the distortion has to be paid too: add it.'),
        Mistake((_RATE + _DISTORTION) / (8 * math.log(2)), 'the image has 8 rows of 8 pixels.'),
        Mistake(-_BITS, 'the sign is wrong: a cost in bits is positive here.'),
        Mistake((_RATE + _DISTORTION) / (_PIXELS * math.log(10)), 'a bit is log 2 nats, with the '
                'natural logarithm.'),
        Mistake((_RATE + _DISTORTION) / (_PIXELS * math.log10(2)), 'a bit is log 2 nats, with the '
                'natural logarithm.'),
    ])


def _log_mean_weight(chunks):
    log_w = numpy.concatenate(list(chunks))
    return special.logsumexp(log_w) - math.log(len(log_w))


def _log_sum_weight(chunks):
    return special.logsumexp(numpy.concatenate(list(chunks)))


def _mean_over_chunks(chunks):
    """The sum of all weights, divided by the number of chunks."""
    chunks = list(chunks)
    return _log_sum_weight(chunks) - math.log(len(chunks))


def _naive(chunks):
    with numpy.errstate(all='ignore'):
        return numpy.log(numpy.exp(numpy.concatenate(list(chunks))).mean())


def _from_zero(chunks):
    """A running log of the sum that starts at log 1, not at log 0."""
    log_w = numpy.concatenate(list(chunks))
    return numpy.logaddexp(0, special.logsumexp(log_w)) - math.log(len(log_w))


def _read_twice(chunks):
    """A second loop over the chunks finds none, and the sum stays 0."""
    return -math.inf


def _mean_of_estimates(chunks):
    return numpy.mean([_log_mean_weight([chunk]) for chunk in chunks])


def _unweighted(chunks):
    estimates = [_log_mean_weight([chunk]) for chunk in chunks]
    return special.logsumexp(estimates) - math.log(len(estimates))


def _first_anchor(chunks):
    """Relative to the largest of the first chunk only: a later one overflows."""
    chunks = list(chunks)
    with numpy.errstate(all='ignore'):
        anchor = chunks[0].max()
        return anchor + numpy.log(numpy.exp(numpy.concatenate(chunks) - anchor).mean())


def _no_shrinking(chunks):
    """The sum so far is not brought to the new largest log-weight."""
    largest, total, count = -math.inf, 0., 0
    for chunk in chunks:
        largest = max(largest, chunk.max())
        total, count = total + numpy.exp(chunk - largest).sum(), count + len(chunk)
    return largest + math.log(total / count)


def _last_chunk(chunks):
    return _log_mean_weight(list(chunks)[-1:])


# Iterators, which can be read only once. The weights of the last are above 0 in float64.
_CHUNKS = tuple(iter(chunks) for chunks in (
    [numpy.array([-1000., -1002.]), numpy.array([-999., -1001., -1003.])],
    [numpy.array([-5000.]), numpy.array([-2500., -2501., -2499.]), numpy.array([-2600.])],
    [numpy.array([-900., -901.5, -904.]), numpy.array([-1950., -1949.])],
    [numpy.array([-690., -691., -693.]), numpy.array([-689.])]))
log_mean_weight = Exercise(
    right=_log_mean_weight,
    probes=[(chunks,) for chunks in _CHUNKS],
    shows='If you kept no chunk, five thousand draws or five million need the same memory.',
    mistakes=[
        Mistake(_log_sum_weight, 'this is the log of the sum; divide by the number of weights, all '
                'chunks together.'),
        Mistake(_mean_over_chunks, 'divide by the number of weights, not by that of the chunks.'),
        Mistake(_naive, 'e to the power -1,000 is 0 in floating point. Keep the largest log-weight '
                'so far (from minus infinity on, not from 0), and sum relative to it.'),
        Mistake(_from_zero, 'a running logarithm of the sum must start at the logarithm of 0, '
                'which is minus infinity; 0 is the logarithm of 1.'),
        Mistake(_read_twice, 'your sum stays 0. The chunks can be read only once: a second loop '
                'over them finds none.'),
        Mistake(_mean_of_estimates, 'this is the mean of the estimates of the chunks; average the '
                'weights, not their logarithms.'),
        Mistake(_unweighted, 'the chunks are of different lengths: a longer one counts for more.'),
        Mistake(_first_anchor, 'a later chunk may hold a larger log-weight than all before, and '
                'then the exponential overflows. Move the reference when that happens.'),
        Mistake(_no_shrinking, 'when the largest log-weight changes, the sum so far must be '
                'brought to the new reference: multiply it by e to the power (old - new).'),
        Mistake(_last_chunk, 'only the last chunk is left in your answer.'),
        Mistake(lambda chunks: numpy.concatenate(list(chunks)).mean(), 'this is the mean of the '
                'log-weights, the ELBO; the log of the mean weight is asked for.'),
        Mistake(lambda chunks: numpy.concatenate(list(chunks)).max(), 'this is the largest '
                'log-weight only; the others count too.'),
        exercise.sign(_log_mean_weight, 'the sign is wrong: return the log-likelihood, not a '
                      'loss.'),
        exercise.log2(_log_mean_weight),
    ],
    rtol=1e-7, atol=1e-6)


def _beta_binomial(y, mean, concentration, with_choose=True, swapped=False):
    a, b = mean * concentration, (1 - mean) * concentration
    if swapped:
        a, b = b, a
    log_choose = (special.gammaln(17) - special.gammaln(y + 1) - special.gammaln(17 - y))
    return with_choose * log_choose + special.betaln(y + a, 16 - y + b) - special.betaln(a, b)


_Y = numpy.array([0., 3., 8., 16.])
_MEAN = numpy.array([0.1, 0.3, 0.5, 0.8])
_S = numpy.array([0.2, 1., 5., 40.])


beta_binomial_log_prob = Exercise(
    right=_beta_binomial,
    probes=[(_Y, _MEAN, _S), (_Y, _MEAN[::-1].copy(), 50 * _S)],
    shows='As s grows it tends to the Binomial; as s falls to 0 a block becomes all black or all '
          'white.',
    mistakes=[
        Mistake(lambda *v: _beta_binomial(*v, with_choose=False), 'the binomial coefficient, 16 '
                'over y, is missing.'),
        Mistake(lambda *v: _beta_binomial(*v, swapped=True), 'a and b have changed places: a '
                'belongs to black.'),
        Mistake(lambda y, m, s: _beta_binomial(y, m, s) + special.betaln(m * s, (1 - m) * s),
                'the division by B(a, b) is missing.'),
        Mistake(lambda y, m, s: _beta_binomial(y, m, s) + 2 * special.betaln(m * s, (1 - m) * s),
                'divide by B(a, b); in the logarithm, subtract it.'),
        Mistake(lambda y, m, s: stats.binom(16, m).logpmf(y), 'this is the Binomial distribution; '
                'the concentration does nothing in it.'),
        exercise.sign(_beta_binomial, 'the sign is wrong: a log-probability is never above 0.'),
        exercise.probability(_beta_binomial),
        exercise.log2(_beta_binomial),
        Mistake(lambda *v: _beta_binomial(*v).sum(), 'this is the sum; give one number for each '
                'count.'),
    ])
