"""Exercises of lesson 3: one rate, rates with covariates, Newton's method, and honest errors."""
import math

import numpy

from course_lib import datasets
from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

_kicks = datasets.load_horse_kicks()
_n = _kicks.deaths.size
_RATE = 0.7


def _expected(count):
    return _n * _RATE ** count * math.exp(-_RATE) / math.factorial(count)


expected_with_two = Exercise(
    right=_expected(2),
    shows='The number of corps-years times the probability of that count. The next table has what '
          'Bortkiewicz saw.',
    rtol=1.5e-3,
    mistakes=[
        Mistake(_expected(2) / _n, 'this is the probability of two deaths in one corps-year; '
                'multiply it by the number of corps-years.'),
        Mistake(2 * _expected(2), 'divide by 2!, which is 1 times 2.'),
        Mistake(_expected(2) * math.exp(_RATE), 'the factor e to the power of minus the rate is '
                'missing.'),
        Mistake(_expected(2) * math.exp(2 * _RATE), 'the exponent of e is minus the rate.'),
        Mistake(_expected(1), 'this is for exactly one death; two are asked for.'),
        Mistake(_n - _expected(0) - _expected(1), 'this is for two deaths or more; exactly two are '
                'asked for.'),
        Mistake((_kicks.deaths == 2).sum(), 'this is how many there were; how many does the '
                'formula expect?'),
    ])


def _log_factorial(y):
    return numpy.array([math.lgamma(v + 1) for v in y])


def _terms(b, X, y, offset):
    eta = X.astype(numpy.float64) @ b + offset
    return y * eta - numpy.exp(eta) - _log_factorial(y)


def _log_likelihood(b, X, y, offset):
    return float(_terms(b, X, y, offset).sum())


def _underflowing(b, X, y, offset):
    eta = (X @ b + offset).astype(numpy.float32)
    with numpy.errstate(all='ignore'):
        rate = numpy.exp(eta)
        return numpy.sum(y * numpy.log(rate) - rate - _log_factorial(y).astype(numpy.float32))


_X = numpy.array([[1, 0], [1, 1], [1, 2], [1, -1]], numpy.float32)
_Y = numpy.array([2, 0, 5, 1], numpy.int32)
_LOG_T = numpy.log(numpy.array([1, 2, 4, 0.5], numpy.float32))
_B = numpy.array([0.3, -0.2], numpy.float32)
log_likelihood = Exercise(
    right=_log_likelihood,
    probes=[(_B, _X, _Y, _LOG_T),
            (numpy.array([-120, 0.5], numpy.float32), _X, _Y + 1, 0 * _LOG_T)],
    shows='With the log rate, even a count at a rate of e^-120 has a finite log-likelihood.',
    mistakes=[
        exercise.sign(_log_likelihood, 'the sign is wrong: this is the loss, minus the '
                      'log-likelihood.'),
        exercise.mean_for_sum(_log_likelihood, len(_Y)),
        Mistake(_underflowing, 'the rate e^-120 is 0 in float32, and its logarithm is lost. Give '
                'the distribution the log rate: log_lam.'),
        Mistake(lambda b, X, y, offset: _log_likelihood(b, X, y, 0 * offset),
                'the offset is missing; add it to X b.'),
        Mistake(lambda b, X, y, offset: _log_likelihood(b, X, y, -offset),
                'the offset is added to X b, not subtracted.'),
        Mistake(lambda b, X, y, offset: _log_likelihood(b, X, y, numpy.exp(offset)),
                'the offset is the logarithm of the exposure already; add it as it is.'),
        Mistake(lambda b, X, y, offset: _log_likelihood(b, X, y, offset) + _log_factorial(y).sum(),
                'the term -log y! is missing. It moves no maximum, but it is part of the '
                'log-likelihood.'),
        Mistake(lambda b, X, y, offset: -((y - numpy.exp(X @ b + offset)) ** 2).sum(),
                'this is minus a sum of squared errors, which belongs to the Normal distribution.'),
        Mistake(lambda b, X, y, offset: (
                    _log_likelihood(b, X, y, offset) + 2 * _log_factorial(y).sum()),
                'the term with log y! is subtracted: y! stands in the denominator.'),
        exercise.log2(_log_likelihood),
    ])

_later = _kicks.year >= 1885
_ten = ~numpy.isin(_kicks.corps, ['G', 'I', 'VI', 'XI'])
_EARLY, _LATE = (_kicks.deaths[rows].sum() for rows in (~_later, _later))
_RATIO = _LATE / _EARLY
later_to_earlier = Exercise(
    right=_RATIO,
    shows='Both halves have 140 corps-years, so the exposure cancels. Is the ratio sure to be '
          'above 1? Its logarithm has a standard error of 0.14.',
    mistakes=[
        Mistake(1 / _RATIO, 'this is the earlier rate over the later one; the later one goes on '
                'top.'),
        Mistake(math.log(_RATIO), 'this is the logarithm of the rate ratio, a coefficient.'),
        Mistake(_RATIO - 1, 'this is the increase as a fraction; the ratio itself is asked for.'),
        Mistake((_LATE - _EARLY) / (_n / 2), 'this is the difference of the rates; their ratio is '
                'asked for.'),
        Mistake(_LATE / (_n / 2), 'this is the later rate; divide it by the earlier one.'),
        Mistake(_kicks.deaths[_kicks.year > 1885].sum() / _kicks.deaths[_kicks.year <= 1885].sum(),
                'the year 1885 belongs to the later half.'),
        Mistake(_kicks.deaths[_later][:, _ten].sum() / _kicks.deaths[~_later][:, _ten].sum(),
                'this is for the ten corps only; take all fourteen.'),
        Mistake(_LATE / _kicks.deaths.sum(), 'this is the share of all deaths that came later; '
                'divide by the earlier deaths.'),
    ])


def _newton_step(b, X, y, offset, with_offset=1, information=lambda X, mu: (X.T * mu) @ X):
    X = X.astype(numpy.float64)
    mu = numpy.exp(X @ b + with_offset * offset)
    return b + numpy.linalg.solve(information(X, mu), X.T @ (y - mu))


def _only_the_step(*probe):
    return _newton_step(*probe) - probe[0]


def _downhill(*probe):
    return probe[0] - _only_the_step(*probe)


def _gradient_step(b, X, y, offset):
    return b + X.T @ (y - numpy.exp(X @ b + offset))


def _newton_information(b, X, offset):
    return (X.T * numpy.exp(X @ b + offset)) @ X


def _maximum(b, X, y, offset):
    for _ in range(20):
        b = _newton_step(b, X, y, offset)
    return b


newton_step = Exercise(
    right=_newton_step,
    probes=[(numpy.zeros(2), _X.astype(numpy.float64), _Y, _LOG_T.astype(numpy.float64)),
            (numpy.array([0.5, -0.3]), _X.astype(numpy.float64), _Y,
             _LOG_T.astype(numpy.float64))],
    shows='Repeat it until nothing changes, and you have written the heart of every library for '
          'generalised linear models.',
    mistakes=[
        Mistake(_only_the_step, 'this is the step; add it to b.'),
        Mistake(_downhill, 'the step goes the wrong way. The gradient of the log-likelihood is '
                'observation minus prediction, times input, and we climb.'),
        Mistake(lambda b, X, y, offset: _newton_step(b, X, y, offset, with_offset=0),
                'the offset is missing in the expected counts.'),
        Mistake(_gradient_step, 'this is a step of gradient ascent; Newton multiplies the gradient '
                'by the inverse of the information.'),
        Mistake(lambda *probe: _newton_step(*probe, information=lambda X, mu: X.T @ X),
                'the information weights each row by its expected count mu.'),
        Mistake(lambda *probe: _newton_step(
                    *probe, information=lambda X, mu: (X.T * (mu / (1 + mu) ** 2)) @ X),
                'the weights p (1 - p) belong to lesson 1; a count weighs mu.'),
        Mistake(lambda *probe: _newton_step(*probe, information=lambda X, mu: (X.T * mu ** 2) @ X),
                'each row is weighted by mu, the variance of its count, not by its square.'),
        Mistake(lambda b, X, y, offset: b + numpy.linalg.solve((X.T * y) @ X, X.T @ (
                    y - numpy.exp(X @ b + offset))),
                'the information weights each row by its expected count, not by the observed one.'),
        Mistake(lambda b, X, y, offset: b + _newton_information(b, X, offset) @ (
                    X.T @ (y - numpy.exp(X @ b + offset))),
                'the gradient is multiplied by the information; its inverse belongs there '
                '(numpy.linalg.solve).'),
        Mistake(lambda b, X, y, offset: b + X.T @ (y - numpy.exp(X @ b + offset)) / numpy.diag(
                    _newton_information(b, X, offset)),
                'only the diagonal of the information was used; solve with the whole matrix.'),
        Mistake(_maximum, 'this is the maximum, after many steps; one step is asked for.'),
    ])


def _spread(unit):
    """Standard error of the log rate ratio when units (people, or rows) are drawn independently.

    The delta method, and the limit of the bootstrap with many draws: the variance of the log of
    sum(y) / sum(n) is the sum over units of (sum over their rows of y - rate)^2, over sum(y)^2.
    """
    variance = 0.
    for group in (_pays, ~_pays):
        y = _data.visits[group]
        excess = numpy.bincount(unit[group], y - y.mean())
        variance += (excess ** 2).sum() / y.sum() ** 2
    return math.sqrt(variance)


_data = datasets.load_rand_hie()
_pays = (_data.X[:, 0] > 0) | (_data.X[:, 1] > 0)
_POISSON_ERROR = math.sqrt(1 / _data.visits[_pays].sum() + 1 / _data.visits[~_pays].sum())
_BY_PERSON = _spread(_data.person)
_BY_ROW = _spread(numpy.arange(len(_pays)))
_RATE_RATIO = _data.visits[_pays].mean() / _data.visits[~_pays].mean()
# Without repeats, a bootstrap draw is a random 1 - 1/e of the people: its errors are smaller by
# the root of the odds of being left out.
_WITHOUT_REPEATS = math.sqrt(1 / (math.e - 1))
bootstrap_error = Exercise(
    right=_BY_PERSON,
    shows='That is four times what the Poisson model claims: its narrow interval was an illusion. '
          "Part of it is that visits scatter more than Poisson, part that one person's years are "
          'alike.',
    mistakes=[
        Mistake(_POISSON_ERROR, 'this is the standard error that the Poisson model claims; '
                'resample people instead.'),
        Mistake(0.5 * _BY_PERSON * (_RATE_RATIO + _WITHOUT_REPEATS),
                'two slips lead here: people drawn more than once were counted once, or the ratio '
                'was not replaced by its logarithm.'),
        Mistake(_BY_ROW, 'this is what comes out if single rows are drawn; draw people, each with '
                'all their years.'),
        Mistake(_BY_PERSON ** 2, 'this is the variance; the standard deviation is its root.'),
        Mistake(1.96 * _BY_PERSON, 'this is half an interval, 1.96 standard errors; give one.'),
        Mistake(_BY_PERSON / math.sqrt(2000), 'the standard deviation of the 2,000 ratios is the '
                'answer; do not divide it by the root of their number.'),
    ],
    rtol=0.08)
