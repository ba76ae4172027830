"""The checks of lesson 2."""
import math

import numpy

from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake
from course_lib.datasets import load_challenger, load_engel

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _normal_nll(loc, log_scale, y, half=0.5, sign=1, constant=_HALF_LOG_2PI, power=1.):
    """The right answer by default; each keyword argument is one mistake."""
    z = (numpy.float64(y) - loc) * numpy.exp(-power * numpy.float64(log_scale))
    return float(numpy.mean(half * z ** 2 + sign * numpy.float64(log_scale) + constant))


def _scale_for_log_scale(loc, log_scale, y):
    scale = numpy.float64(log_scale)
    with numpy.errstate(all='ignore'):
        return numpy.mean(0.5 * ((y - loc) / scale) ** 2 + numpy.log(abs(scale)) + _HALF_LOG_2PI)


_LOC = numpy.array([0.2, 0.5, 0.6, 1.1], numpy.float32)
_LOG_SCALE = numpy.array([-2.5, 0.4, -0.7, -1.5], numpy.float32)
_Y = numpy.array([0.3, 1.4, 0.2, 1.3], numpy.float32)
normal_nll = Exercise(
    right=_normal_nll,
    probes=[(_LOC, _LOG_SCALE, _Y),
            (_LOC, numpy.array([-60, 0.4, -0.7, 50], numpy.float32),
             numpy.array([0.2, 1.4, 0.2, 1.3], numpy.float32))],
    shows='Two prices in one sum: z^2 / 2 for being wrong, log_scale for being unsure.',
    mistakes=[
        exercise.sign(_normal_nll),
        Mistake(lambda *v: _normal_nll(*v) * 4,
                'this is the sum over the observations; the mean is asked for.'),
        exercise.log2(_normal_nll),
        Mistake(lambda *v: _normal_nll(*v, sign=0),
                'log_scale itself is missing. Without this price an infinite scale would be best.'),
        Mistake(lambda *v: _normal_nll(*v, sign=-1), 'the sign of log_scale is wrong: a wide '
                'distribution has a low density, which costs more.'),
        Mistake(lambda *v: _normal_nll(*v, constant=0),
                'the constant, half of log(2 pi), is missing.'),
        Mistake(lambda *v: _normal_nll(*v, constant=2 * _HALF_LOG_2PI),
                'the constant is half of log(2 pi).'),
        Mistake(lambda *v: _normal_nll(*v, half=1), 'the square of z is to be halved.'),
        Mistake(lambda *v: _normal_nll(*v, power=0.5), 'the exponential of log_scale is the '
                'standard deviation; here it was taken for the variance.'),
        Mistake(lambda *v: _normal_nll(*v, power=0), 'divide the miss y - loc by the scale before '
                'you square it.'),
        Mistake(_scale_for_log_scale, 'log_scale was taken for the scale itself.'),
    ])

_THREE = numpy.array([0.3, 0.4, 0.8])
_TYPO = numpy.array([0.3, 0.4, 8.0])
_NORMAL, _LAPLACE = numpy.mean(_THREE), numpy.median(_THREE)
_NORMAL_TYPO, _LAPLACE_TYPO = numpy.mean(_TYPO), numpy.median(_TYPO)
best_locs = Exercise(
    right=[_NORMAL, _LAPLACE, _NORMAL_TYPO, _LAPLACE_TYPO],
    shows='The mean follows the typing error wherever it goes; the median does not even notice.',
    mistakes=[
        Mistake([_LAPLACE, _NORMAL, _LAPLACE_TYPO, _NORMAL_TYPO],
                'the two distributions have changed places; the Normal one comes first.'),
        Mistake([_NORMAL, _NORMAL_TYPO, _LAPLACE, _LAPLACE_TYPO], 'the numbers are right and the '
                'order is not: first both distributions without the typing error, then both with '
                'it.'),
        Mistake([_NORMAL, _NORMAL, _NORMAL_TYPO, _NORMAL_TYPO],
                'under the Laplace distribution it is not the mean: count who pulls which way.'),
        Mistake([_NORMAL, _LAPLACE, _NORMAL_TYPO, _NORMAL_TYPO],
                'under the Laplace distribution a distant point pulls no harder than a near one.'),
        Mistake([_NORMAL, _LAPLACE, _NORMAL, _LAPLACE],
                'with the typing error the mean is another.'),
        Mistake([_LAPLACE, _LAPLACE, _LAPLACE_TYPO, _LAPLACE_TYPO],
                'under the Normal distribution a distant point pulls harder than a near one.'),
    ])


def _decay_rate(n, tau):
    return 1 / (n * tau ** 2)


decay_rate = Exercise(
    right=_decay_rate,
    probes=[(1415, 2.0), (100, 0.5), (1, 3.0)],
    shows='More data or a wider prior: less decay. The usual rates are beliefs in disguise.',
    atol=0,
    mistakes=[
        Mistake(lambda n, tau: 1 / (2 * n * tau ** 2), 'this is the factor of w^2 in the penalty; '
                'its derivative brings a factor of 2.'),
        Mistake(lambda n, tau: 1 / tau ** 2,
                'the loss is a mean over n observations, so the log prior is divided by n too.'),
        Mistake(lambda n, tau: 1 / (2 * tau ** 2),
                'the loss is a mean over n observations, so the log prior is divided by n too; and '
                'the derivative of w^2 brings a factor of 2.'),
        Mistake(lambda n, tau: 1 / (n * tau), 'this is the rate of Lasso; the Normal density has '
                'the square of the scale.'),
        Mistake(lambda n, tau: tau ** 2 / n, 'a wider prior must mean less decay, not more.'),
        Mistake(lambda n, tau: n / tau ** 2, 'more data must mean less decay, not more.'),
    ])

_t = load_challenger().temperature.astype(numpy.float64)


def _mean_miss(centre):
    return numpy.mean(abs(_t - centre))


_MEAN, _MEDIAN, _SD, _MISS = _t.mean(), numpy.median(_t), _t.std(), _mean_miss(numpy.median(_t))
locs_and_scales = Exercise(
    right=[_MEAN, _SD, _MEDIAN, _MISS],
    shows='Mean and root mean square for the Normal, median and mean absolute miss for the Laplace '
          'distribution: set the derivatives to zero and they appear.',
    mistakes=[
        Mistake([_MEDIAN, _MISS, _MEAN, _SD],
                'the two distributions have changed places; the Normal one comes first.'),
        Mistake([_MEAN, _MEDIAN, _SD, _MISS],
                'give loc and scale of the Normal first, then loc and scale of the Laplace.'),
        Mistake([_MEAN, _t.std(ddof=1), _MEDIAN, _MISS], 'the likelihood is highest with n in the '
                'standard deviation; n - 1 corrects a bias instead.'),
        Mistake([_MEAN, _t.var(), _MEDIAN, _MISS],
                'the scale of the Normal is the standard deviation; this is the variance.'),
        Mistake([_MEAN, _SD, _MEDIAN, _SD], 'the scale b of the Laplace is not its standard '
                'deviation: set the derivative of |y - loc| / b + log 2b in b to zero.'),
        Mistake([_MEAN, _SD, _MEDIAN, _SD / math.sqrt(2)], 'this matches the standard deviations; '
                'the highest likelihood in b lies elsewhere. Set the derivative in b to zero.'),
        Mistake([_MEAN, _SD, _MEDIAN, _mean_miss(_MEAN)],
                'take the misses of the Laplace distribution from its own loc.'),
        Mistake([_MEAN, _SD, _MEDIAN, numpy.median(abs(_t - _MEDIAN))],
                'the scale of the Laplace is the mean of the absolute misses, not their median.'),
        Mistake([_MEAN, _SD, _MEAN, _mean_miss(_MEAN)],
                'under the Laplace distribution the best loc is not the mean.'),
    ])

_x, _y = (array.astype(numpy.float64) / 1000 for array in load_engel())
_five = numpy.argsort(_x)[-5:]
_XY, _XX = numpy.sum(_x[_five] * _y[_five]), numpy.sum(_x[_five] ** 2)
_SIGMA, _TAU, _BELIEF = 0.3, 0.05, 0.6


def _map_share(sigma2=_SIGMA ** 2, tau2=_TAU ** 2, belief=_BELIEF):
    return (_XY / sigma2 + belief / tau2) / (_XX / sigma2 + 1 / tau2)


map_share = Exercise(
    right=_map_share(),
    shows='A weighted mean of belief and data, each weighted by one over its variance.',
    mistakes=[
        Mistake(_XY / _XX, 'this is the maximum of the likelihood; the prior is missing, or has '
                'next to no weight.'),
        Mistake(_BELIEF, 'this is the prior alone; let the data speak too.'),
        Mistake((_XY / _XX + _BELIEF) / 2,
                'belief and data do not weigh the same; each has its own scale.'),
        Mistake(_map_share(belief=0), 'this prior is centred at 0; the belief is another.'),
        Mistake(_map_share(_SIGMA, _TAU), 'the densities contain the squares of both scales.'),
        Mistake(_map_share(sigma2=5 * _SIGMA ** 2), 'the log-likelihood is a sum over the five '
                'families; if you take the mean, divide the log prior by five too.'),
        Mistake(_map_share(tau2=2 * _TAU ** 2),
                'one of the two squares was halved and the other was not.'),
        Mistake(_map_share(sigma2=2 * _SIGMA ** 2),
                'one of the two squares was halved and the other was not.'),
    ])

_design = numpy.stack([numpy.ones(len(_x)), numpy.log(_x)], axis=1)
(_INTERCEPT, _ELASTICITY), (_SQUARES,), *_ = numpy.linalg.lstsq(
    _design, numpy.log(_y), rcond=None)
_NLL_OF_LOG = 0.5 * math.log(_SQUARES / len(_x)) + 0.5 + _HALF_LOG_2PI
_MEAN_LOG = numpy.log(_y).mean()
_NLL = _NLL_OF_LOG + _MEAN_LOG
elasticity_and_nll = Exercise(
    right=[_ELASTICITY, _NLL],
    shows="An elasticity below 1 is Engel's law: the richer the family, the smaller the share of "
          'food. The loss is a little higher than that of section 2, with one parameter fewer.',
    mistakes=[
        Mistake([_NLL, _ELASTICITY], 'both numbers are right; the elasticity comes first.'),
        Mistake([_ELASTICITY, _NLL_OF_LOG], 'this is the loss of log y. Its density is one per '
                'unit of log y, and cannot be compared; D.LogNormal gives the density of y.'),
        Mistake([_ELASTICITY, _NLL_OF_LOG - _MEAN_LOG], 'the density of y is that of log y divided '
                'by y: the mean of log y enters with the other sign.'),
        Mistake([_ELASTICITY, -_NLL], 'the sign of the second number is wrong. A loss is minus the '
                'log-likelihood.'),
        Mistake([_ELASTICITY, _NLL + math.log(1000)],
                'the second number is for y in francs; count in thousands.'),
        Mistake([_ELASTICITY, _NLL * len(_x)],
                'the second number is the sum over the families; the mean is asked for.'),
        Mistake([_INTERCEPT, _NLL],
                'the first number is the intercept of the line; give its slope.'),
    ])
