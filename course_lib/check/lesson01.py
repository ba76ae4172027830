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
_n = len(_y)

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


def _overflowing_nll(logit, y):
    with numpy.errstate(all='ignore'):
        return numpy.mean(numpy.log(1 + numpy.exp(logit)) - y * logit)


def _clipped_nll(logit, y):
    p = numpy.clip(1 / (1 + numpy.exp(-numpy.float64(logit))), 1e-7, 1 - 1e-7)
    return -numpy.mean(numpy.where(y == 1, numpy.log(p), numpy.log1p(-p)))


_Z = numpy.array([-3, -0.5, 0.25, 2], numpy.float32)
_L = numpy.array([0, 1, 0, 1], numpy.int32)
mean_nll = Exercise(
    right=_mean_nll,
    probes=[(_Z, _L),
            (numpy.array([-200, 3], numpy.float32), numpy.array([1, 1], numpy.int32)),
            (numpy.array([200, 3], numpy.float32), numpy.array([0, 1], numpy.int32))],
    shows='With the logit, even an observation of probability e^-200 has a finite loss.',
    mistakes=[
        exercise.sign(_mean_nll),
        Mistake(_overflowing_nll,
                'e^z overflows in float32 for z = 200. Let the distribution compute it, or use '
                'numpy.logaddexp(0, z).'),
        Mistake(_clipped_nll, 'clipping p hides most of the loss where the logit is 200 and wrong; '
                'compute from the logit instead.'),
        exercise.log2(_mean_nll),
        Mistake(lambda z, y: _mean_nll(z, y) * len(z),
                'this is the sum over the observations; the mean is asked for.'),
        Mistake(lambda z, y: _mean_nll(z, 1 - y), 'the labels 0 and 1 have changed places.'),
        Mistake(lambda z, y: numpy.exp(-_mean_nll(z, y)),
                'this is a probability; minus its logarithm is asked for.'),
    ])

_warm = _y[_t >= 65]
_BEST = _warm.mean()
best_p = Exercise(
    right=_BEST,
    shows='If a group shares one probability, its maximum-likelihood estimate is the frequency.',
    mistakes=[
        Mistake(1 - _BEST, 'p is the probability of distress, not of its absence.'),
        Mistake(_y.mean(), 'this is the frequency on all flights; take the warm ones.'),
        Mistake(_y[_t < 65].mean(), 'this is the frequency on the flights below 65 °F.'),
        Mistake(_y[_t > 66].mean(), '"65 °F and above" includes the flight at 66 °F.'),
        Mistake(math.log(_BEST / (1 - _BEST)), 'this is the logit of p; p itself is asked for.'),
        Mistake((_warm.sum() + 1) / (len(_warm) + 2), "this is Laplace's rule, the mean under a "
                'uniform prior; the maximum of the likelihood is asked for.'),
        Mistake(_warm.sum(), 'this is the number of flights with distress; divide it.'),
    ])


def _gradient(intercept, slope, t, y):
    residual = 1 / (1 + numpy.exp(-(intercept + slope * t))) - y
    return numpy.array([residual.mean(), (residual * t).mean()])


_PROBES = [(0., 0., _t - 70, _y), (1., -0.2, _t - 70, _y)]
gradient = Exercise(
    right=_gradient,
    probes=_PROBES,
    shows='The gradient is the mean of (prediction minus observation) times input: the same form '
          'returns for squared error and softmax in lesson 2.',
    mistakes=[
        exercise.sign(_gradient, 'the sign is wrong: this is the gradient of the log-likelihood, '
                      'and the loss is minus that.'),
        exercise.sum_for_mean(_gradient, _n),
        Mistake(lambda a, b, t, y: _gradient(a, b, t, y)[::-1],
                'both numbers are right and have changed places; the intercept comes first.'),
        Mistake(lambda a, b, t, y: numpy.full(2, _gradient(a, b, t, y)[0]),
                'the derivative in the slope carries a factor t (the chain rule).'),
        Mistake(lambda a, b, t, y: _gradient(a, b, t, y)[0] * numpy.array([1, t.mean()]),
                'the factor t belongs to each flight: multiply before you take the mean.'),
        Mistake(lambda a, b, t, y: numpy.array(
                    [(a + b * t - y).mean(), ((a + b * t - y) * t).mean()]),
                'the prediction is sigmoid(a + b t), not the logit itself.'),
    ])


def _log_likelihood(intercept, slope):
    z = intercept + slope * (_t - 70)
    return float(numpy.sum(_y * z - numpy.logaddexp(0, z)))


def _profile(slope):
    best = optimize.minimize_scalar(lambda a: -_log_likelihood(a, slope), bracket=(-2, 0))
    return -best.fun


_MAXIMUM = optimize.minimize(lambda v: -_log_likelihood(*v), [-1., -0.2], tol=1e-10)
_INTERCEPT, _SLOPE = _MAXIMUM.x
_HALF_CHI2 = stats.chi2.ppf(0.95, df=1) / 2  # 1.92 nats


def _interval(log_likelihood_of_slope, drop):
    """The two slopes at which a log-likelihood lies ``drop`` below its maximum."""
    return [optimize.brentq(
        lambda s: log_likelihood_of_slope(s) + _MAXIMUM.fun + drop, *bracket)
        for bracket in ((-2, _SLOPE), (_SLOPE, 1))]


def _wald_interval():
    design = numpy.stack([numpy.ones(_n), _t - 70], axis=1)
    p = 1 / (1 + numpy.exp(-design @ _MAXIMUM.x))
    covariance = numpy.linalg.inv(design.T * (p * (1 - p)) @ design)
    half = stats.norm.ppf(0.975) * covariance[1, 1] ** 0.5
    return [_SLOPE - half, _SLOPE + half]


_LOW, _HIGH = _interval(_profile, _HALF_CHI2)
slope_interval = Exercise(
    right=[_LOW, _HIGH],
    shows='The interval leaves out 0, and it is longer on the steep side: with 23 flights the '
          'likelihood is not a parabola.',
    mistakes=[
        Mistake([_HIGH, _LOW], 'both ends are right; give the lower one first.'),
        Mistake(_wald_interval(),
                'this is the estimate plus and minus 1.96 standard errors; the exercise asks '
                'for the likelihood itself, maximised over the intercept at each slope.'),
        Mistake(_interval(lambda s: _log_likelihood(_INTERCEPT, s), _HALF_CHI2),
                'the intercept was held fixed; find the best one anew for each slope.'),
        Mistake(_interval(lambda s: _log_likelihood(_INTERCEPT + 70 * (s - _SLOPE), s), _HALF_CHI2),
                'the intercept was held fixed; find the best one anew for each slope.'),
        Mistake(_interval(_profile, 2 * _HALF_CHI2),
                'the drop allowed is 1.92 nats, half of 3.84.'),
        Mistake([_LOW * _t.std(), _HIGH * _t.std()],
                'this is the slope of the standardised temperature; give it per °F.'),
    ],
    rtol=0.02)
