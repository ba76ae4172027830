"""The checks of lesson 1."""
import math

import numpy
from scipy import optimize, stats

from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake
from course_lib.datasets import load_challenger

_data = load_challenger()
_t = _data.temperature.astype(numpy.float64)
_y = _data.distress.astype(numpy.float64)
_n, _k = len(_y), float(_y.sum())

_P = 0.3
_FOUR = _P ** 1 * (1 - _P) ** 3
likelihood_of_four = Exercise(
    right=_FOUR,
    shows='A likelihood is one number for one value of p: how probable it makes what was seen.',
    mistakes=[
        exercise.log_probability(_FOUR),
        Mistake(4 * _FOUR, 'the four flights happened in one order; do not count the others.'),
        Mistake(_P ** 3 * (1 - _P), 'p is the probability of distress, and one of the four '
                'flights had it.'),
        Mistake(_P + 3 * (1 - _P), 'independent events multiply; these were added.'),
        Mistake((1 - _P) ** 3, 'the flight with distress has a factor too.'),
    ])


def _mean_nll(logit, y):
    logit, y = numpy.asarray(logit, numpy.float64), numpy.asarray(y, numpy.float64)
    return float(numpy.mean(numpy.logaddexp(0, logit) - y * logit))


_Z = numpy.array([-3, -0.5, 0.25, 2], numpy.float32)
_L = numpy.array([0, 1, 0, 1], numpy.int32)
mean_nll = Exercise(
    right=_mean_nll,
    probes=[(_Z, _L), (numpy.array([-200, 3], numpy.float32), numpy.array([1, 1], numpy.int32))],
    shows='With the logit, even an observation of probability e^-200 has a finite loss.',
    mistakes=[
        exercise.sign(_mean_nll),
        exercise.log2(_mean_nll),
        Mistake(lambda z, y: _mean_nll(z, y) * len(z),
                'this is the sum over the observations; the mean is asked for.'),
        Mistake(lambda z, y: _mean_nll(z, 1 - y), 'the labels 0 and 1 have changed places.'),
        Mistake(lambda z, y: numpy.exp(-_mean_nll(z, y)),
                'this is a probability; minus its logarithm is asked for.'),
    ])

_BEST = _k / _n
best_p = Exercise(
    right=_BEST,
    shows='Without a covariate, the maximum-likelihood probability is the observed frequency.',
    mistakes=[
        Mistake(1 - _BEST, 'p is the probability of distress, not of its absence.'),
        Mistake(math.log(_BEST / (1 - _BEST)), 'this is the logit of p; p itself is asked for.'),
        Mistake((_k + 1) / (_n + 2), "this is Laplace's rule, the mean under a uniform prior; the "
                'maximum of the likelihood is asked for.'),
        Mistake(_k, 'this is the number of flights with distress; divide it.'),
    ])


def _gradient(intercept, slope, t, y):
    residual = 1 / (1 + numpy.exp(-(intercept + slope * t))) - y
    return numpy.array([residual.mean(), (residual * t).mean()])


_PROBES = [(0., 0., _t - 70, _y), (1., -0.2, _t - 70, _y)]
gradient = Exercise(
    right=_gradient,
    probes=_PROBES,
    shows='The gradient is the mean of (prediction minus observation) times input: the same form '
          'returns for every loss of lesson 2.',
    mistakes=[
        exercise.sign(_gradient, 'the sign is wrong: this is the gradient of the log-likelihood, '
                      'and the loss is minus that.'),
        exercise.sum_for_mean(_gradient, _n),
        Mistake(lambda a, b, t, y: _gradient(a, b, t, y)[::-1],
                'both numbers are right and have changed places; the intercept comes first.'),
        Mistake(lambda a, b, t, y: numpy.full(2, _gradient(a, b, t, y)[0]),
                'the derivative in the slope carries a factor t (the chain rule).'),
    ])


def _log_likelihood(intercept, slope):
    z = intercept + slope * (_t - 70)
    return float(numpy.sum(_y * z - numpy.logaddexp(0, z)))


def _profile(slope):
    best = optimize.minimize_scalar(lambda a: -_log_likelihood(a, slope), bracket=(-2, 0))
    return -best.fun


def _slope_intervals():
    best = optimize.minimize(lambda v: -_log_likelihood(*v), [-1., -0.2], tol=1e-10)
    intercept, slope = best.x
    threshold = -best.fun - stats.chi2.ppf(0.95, df=1) / 2
    likelihood_interval = [
        optimize.brentq(lambda s: _profile(s) - threshold, *bracket)
        for bracket in ((-1, slope), (slope, 0.5))]
    design = numpy.stack([numpy.ones(_n), _t - 70], axis=1)
    p = 1 / (1 + numpy.exp(-design @ best.x))
    covariance = numpy.linalg.inv(design.T * (p * (1 - p)) @ design)
    half = stats.norm.ppf(0.975) * covariance[1, 1] ** 0.5
    return likelihood_interval, [slope - half, slope + half]


(_LOW, _HIGH), _WALD = _slope_intervals()
slope_interval = Exercise(
    right=[_LOW, _HIGH],
    shows='The interval leaves out 0, and it is longer on the steep side: with 23 flights the '
          'likelihood is not a parabola.',
    mistakes=[
        Mistake([_HIGH, _LOW], 'both ends are right; give the lower one first.'),
        Mistake(_WALD, 'this is the estimate plus and minus 1.96 standard errors; the exercise '
                'asks for the likelihood itself, maximised over the intercept at each slope.'),
    ],
    rtol=0.02)
