"""Exercises of lesson 4: zeros, over-dispersion, a stable mixture, and a rate that remembers."""
import math

import numpy
from scipy import optimize, special, stats

from course_lib import datasets
from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

_RATE = 2.86
_P0 = math.exp(-_RATE)
_data = datasets.load_rand_hie()
share_without_visit = Exercise(
    right=_P0,
    shows='Keep it in mind: the share that was observed comes at the end of this section.',
    mistakes=[
        exercise.log_probability(_P0),
        Mistake(1 - _P0, 'this is the share with a visit; without one is asked for.'),
        Mistake(_RATE * _P0, 'this is the share with exactly one visit.'),
        Mistake(math.exp(_RATE), 'the exponent of e is minus the rate.'),
        Mistake(len(_data.visits) * _P0, 'this is a number of rows; divide it by all rows.'),
        Mistake(100 * _P0, 'this is in per cent; give it as a fraction.'),
        Mistake((_data.visits == 0).mean(), 'this is the share that was observed; what does the '
                'formula say?'),
    ])

_MU, _R = 2., 0.5
_VARIANCE = _MU + _MU ** 2 / _R
_NONE = (_R / (_R + _MU)) ** _R
variance_and_p0 = Exercise(
    right=[_VARIANCE, _NONE],
    shows='A Poisson count with the same mean has the variance 2 and is 0 with probability 0.14.',
    mistakes=[
        Mistake([_NONE, _VARIANCE], 'both numbers are right; the variance comes first.'),
        Mistake([_MU + _MU ** 2 * _R, _NONE], 'in the variance, divide the square of the mean by '
                'r.'),
        Mistake([_MU ** 2 / _R, _NONE], "the variance has Poisson's part too, the mean."),
        Mistake([_MU + _MU / _R, _NONE], 'the variance needs the square of the mean.'),
        Mistake([_VARIANCE ** 0.5, _NONE], 'the first number is the standard deviation; give the '
                'variance.'),
        Mistake([_VARIANCE, _R / (_R + _MU)], 'P(0) carries the power r.'),
        Mistake([_VARIANCE, (_MU / (_R + _MU)) ** _R], 'with y = 0 the factor that stays is that '
                'with r on top.'),
        Mistake([_VARIANCE, math.exp(-_MU)], 'this is the P(0) of a Poisson count.'),
    ])

_kicks = datasets.load_horse_kicks().deaths.ravel()
_DISPERSION = _kicks.var() / _kicks.mean()
kick_dispersion = Exercise(
    right=_DISPERSION,
    shows='For 280 Poisson counts this ratio scatters around 1 with a standard deviation of about '
          '0.085, the root of 2 / 280. So chance alone could explain it.',
    mistakes=[
        Mistake(1 / _DISPERSION, 'this is the mean over the variance.'),
        Mistake(_kicks.std() / _kicks.mean(), 'this is the standard deviation over the mean; the '
                'variance goes on top.'),
        Mistake(_kicks.var(), 'this is the variance; divide it by the mean.'),
        Mistake(_kicks.var() - _kicks.mean(), 'this is the difference; their ratio is asked for.'),
        Mistake(_kicks.var() / _kicks.mean() ** 2, 'divide by the mean, not by its square.'),
    ],
    rtol=0.005)  # dividing by n - 1 is as good as by n


def _zip_log_prob(y, log_lam, gate_logit, with_zero=True, with_factorial=True, with_open=True,
                  sign=1):
    y, log_lam = numpy.asarray(y, numpy.float64), numpy.asarray(log_lam, numpy.float64)
    z = sign * numpy.asarray(gate_logit, numpy.float64)
    log_gate, log_open = -numpy.logaddexp(0, -z), -numpy.logaddexp(0, z)
    base = y * log_lam - numpy.exp(log_lam) - with_factorial * special.gammaln(y + 1)
    inside = log_open * with_open + base
    at_zero = numpy.logaddexp(log_gate, log_open + base) if with_zero else log_gate
    return numpy.where(y == 0, at_zero, inside)


def _naive(y, log_lam, gate_logit):
    with numpy.errstate(all='ignore'):
        gate = 1 / (1 + numpy.exp(-gate_logit))
        prob = stats.poisson(numpy.exp(log_lam)).pmf(y)
        return numpy.log(numpy.where(y == 0, gate + (1 - gate) * prob, (1 - gate) * prob))


_Y = numpy.array([0, 0, 1, 4])
_LOG_LAM = numpy.array([0.5, -1., 1.2, 0.])
_Z = numpy.array([-0.4, 1.5, 0.3, -2.])
zip_log_prob = Exercise(
    right=_zip_log_prob,
    probes=[(_Y, _LOG_LAM, _Z),
            (numpy.array([0, 3, 0, 2]), numpy.array([6., -200., -200., 1.]),
             numpy.array([-800., 2., 3., 900.]))],
    shows='Sums of logarithms again: even a gate that is all but shut has a finite loss.',
    mistakes=[
        Mistake(_naive, 'the formula is right, but its probabilities round to 0 or 1 at the ends. '
                'Stay with logarithms: numpy.logaddexp(0, z) is log(1 + e^z).'),
        exercise.sign(_zip_log_prob, 'the sign is wrong: a log-probability is never above 0.'),
        exercise.log2(_zip_log_prob),
        Mistake(lambda *probe: _zip_log_prob(*probe, with_zero=False),
                'a zero can come through the open gate too.'),
        Mistake(lambda *probe: _zip_log_prob(*probe, with_factorial=False),
                'the term -log y! is missing.'),
        Mistake(lambda *probe: _zip_log_prob(*probe, with_open=False),
                'counts above 0 carry the factor 1 - pi, the probability that the gate is open.'),
        Mistake(lambda *probe: _zip_log_prob(*probe, sign=-1),
                'the gate and its complement have changed places.'),
        Mistake(lambda y, log_lam, z: stats.poisson(numpy.exp(log_lam)).logpmf(y),
                'this is the Poisson distribution without a gate.'),
        Mistake(lambda *probe: _zip_log_prob(*probe).sum(),
                'this is the sum; give one number for each count.'),
    ])


def _years(one, other):
    """Visits in two years of the people who have both."""
    _, i, j = numpy.intersect1d(_data.person[_data.year == one], _data.person[_data.year == other],
                                return_indices=True)
    return _data.visits[_data.year == one][i], _data.visits[_data.year == other][j]


def _log_prob(y, mean, r):
    return stats.nbinom(r, r / (r + mean)).logpmf(y)


def _fitted(y):
    """The mean and the concentration of most likelihood."""
    best = optimize.minimize_scalar(lambda s: -_log_prob(y, y.mean(), math.exp(s)).sum(),
                                    bounds=(-3, 3), method='bounded', options={'xatol': 1e-8})
    return y.mean(), math.exp(best.x)


def _gain(concentration=lambda r, y: r + y, mean=lambda m, r, y: m * (r + y) / (r + m)):
    m, r = _fitted(_first)
    return (_log_prob(_second, mean(m, r, _first), concentration(r, _first))
            - _log_prob(_second, m, r)).mean()


def _gain_on(y1, y2, fitted_to):
    m, r = _fitted(fitted_to)
    return (_log_prob(y2, m * (r + y1) / (r + m), r + y1) - _log_prob(y2, m, r)).mean()


_first, _second = _years(1, 2)
_MEMORY = _gain()
memory_gain = Exercise(
    right=_MEMORY,
    shows='Much more than the network gained: last year says more about a person than age and sex. '
          "The factor lasts, at least in part, so a person's rows are not independent.",
    mistakes=[
        Mistake(-_MEMORY, 'the sign is wrong: take the score with memory less that without.'),
        Mistake(_MEMORY * len(_first), 'this is the sum over people; give nats a person.'),
        exercise.log2(_MEMORY),
        Mistake(_gain(concentration=lambda r, y: r), 'the concentration becomes r + y1: after a '
                'year of visits we know more about the factor.'),
        Mistake(_gain(mean=lambda m, r, y: m), 'the mean changes too.'),
        Mistake(_gain_on(_first, _first, _first), 'this scores year 1 itself; year 2 is asked '
                'for.'),
        Mistake(_gain_on(_first, _second, _data.visits), 'the distribution was fitted to other '
                'rows; fit it to year 1 of the people who have both years.'),
    ],
    rtol=0.01)
