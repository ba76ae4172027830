"""Exercises of lesson 5: Monte Carlo error, two estimators of a slope, a baseline, a Gamma draw."""
import numpy
from scipy import special

from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

_SPREAD, _ERROR = 0.14, 0.001
draws_needed = Exercise(
    right=(_SPREAD / _ERROR) ** 2,
    shows='A tenth of this error would cost a hundred times as many draws.',
    mistakes=[
        Mistake(_SPREAD / _ERROR, 'this is the root of the number of draws; square it.'),
        Mistake((_SPREAD / _ERROR) ** 0.5, 'the root of n stands in the formula, so n is a square, '
                'not a root.'),
        Mistake(_SPREAD ** 2 / _ERROR, 'square the whole ratio, the standard error too.'),
        Mistake(_SPREAD / _ERROR ** 2, 'square the whole ratio, the standard deviation too.'),
        Mistake((_ERROR / _SPREAD) ** 2, 'this is one over the number of draws.'),
        Mistake(_ERROR / _SPREAD, 'the ratio is upside down, and its square is wanted.'),
    ])

_Z, _F = numpy.array([6., 12.]), numpy.array([0.9, 1.])
_M, _S = 8., 4.
_CONTRIBUTIONS = _F * (_Z - _M) / _S ** 2
_ESTIMATE = _CONTRIBUTIONS.mean()
score_estimate = Exercise(
    right=_ESTIMATE,
    shows='The two contributions have opposite signs and cancel in part: the noise is larger than '
          'the answer.',
    mistakes=[
        exercise.sign(_ESTIMATE, 'the sign is wrong: a draw above m has a positive score.'),
        Mistake(_CONTRIBUTIONS.sum(), 'this is the sum of the two contributions; take their mean.'),
        Mistake(_CONTRIBUTIONS, 'these are the two contributions; take their mean.'),
        Mistake(_ESTIMATE * _S, 'divide by the square of s.'),
        Mistake(_ESTIMATE * _S ** 2, 'the score has s squared below the line.'),
        Mistake(_ESTIMATE / _S ** 2, 'divide by the square of s once, not twice.'),
        Mistake(((_Z - _M) / _S ** 2).mean(), 'this is the mean score; weigh each score by its f.'),
        Mistake(_F.mean() * ((_Z - _M) / _S ** 2).mean(), 'multiply each f by the score of its own '
                'draw first, then take the mean.'),
        Mistake(_F.mean(), 'this estimates the expectation; its slope is asked for.'),
        Mistake((_F * _Z).mean() / _S ** 2, 'the score counts the distance from m.'),
    ])

_EPS = numpy.array([-1., 1.])
_MOVED = 1 + 2 * _EPS
_PATH = 2 * _MOVED * _EPS
path_contributions = Exercise(
    right=_PATH,
    shows='Their mean is the exact slope here, with two draws.',
    mistakes=[
        Mistake(_PATH[::-1], 'both numbers are right; give that of the negative ε first.'),
        Mistake(_PATH.mean(), 'this is their mean; enter the two contributions.'),
        Mistake(2 * _MOVED, "this is f'(z), the slope in m; in s, the chain rule adds the factor "
                'dz/ds.'),
        Mistake(_EPS, "this is dz/ds; f'(z) is missing."),
        Mistake(_PATH * 2, 'this is the slope in log s; in s itself, dz/ds is ε alone.'),
        Mistake(_PATH / 2, 'the derivative of z squared is 2z.'),
        Mistake(_MOVED ** 2, 'these are the values f(z); their slopes are asked for.'),
        Mistake(2 * _EPS * _EPS, "f' is taken at z = m + s ε, not at ε."),
        Mistake(_MOVED ** 2 * _EPS, "the chain rule multiplies dz/ds by f'(z), not by f(z)."),
    ])

_LAM = 3.
_SLOPE = _LAM + 2 * _LAM ** 2
poisson_slope = Exercise(
    right=_SLOPE,
    shows='The score of a Poisson count in log lambda is y - lambda, so this is also the '
          'expectation of y squared times (y - lambda).',
    mistakes=[
        exercise.sign(_SLOPE, 'the sign is wrong: a larger rate makes larger squares.'),
        Mistake(1 + 2 * _LAM, 'this is the slope in lambda; for that in its logarithm, multiply by '
                'd lambda / d log lambda.'),
        Mistake((1 + 2 * _LAM) / _LAM, 'multiply by d lambda / d log lambda, do not divide.'),
        Mistake(_LAM + _LAM ** 2, 'this is the expectation itself; its slope is asked for.'),
        Mistake(2 * _LAM ** 2, 'the first term of the expectation, lambda, has a slope too.'),
        Mistake(2 * _LAM, 'this is the slope of lambda squared in lambda; two things are missing.'),
        Mistake(_LAM ** 2, 'this is f of one draw at the mean; differentiate the expectation.'),
    ])


def _best_baseline(f, g):
    f, g = numpy.asarray(f, numpy.float64), numpy.asarray(g, numpy.float64)
    return (f * g ** 2).mean() / (g ** 2).mean()


# Scores of mean 0, as the exercise says: what is right only then must count as right.
_VALUES = numpy.array([1., 0.2, 0.5, 3.])
_SCORES = numpy.array([-1.5, 0.5, 2., -1.])
best_baseline = Exercise(
    right=_best_baseline,
    probes=[(_VALUES, _SCORES),
            (numpy.array([0.9, 1., 0.4, 0., 0.7]), numpy.array([0.1, 0.2, -2., 1.2, 0.5]))],
    shows='A weighted mean of f, in which draws with a large score count most: their contributions '
          'make the noise. For the one coin of section 5 they are those with f = 0.',
    mistakes=[
        Mistake(lambda f, g: f.mean(), 'this is the mean of f, the baseline of section 2; a '
                'better one exists.'),
        Mistake(lambda f, g: (f * g).mean() / (g ** 2).mean(), 'on top, g is squared too: minimise '
                'the mean of the square of (f - c) g.'),
        Mistake(lambda f, g: (f * abs(g)).sum() / abs(g).sum(), 'the weights are the squares of '
                'the scores, not their sizes.'),
        Mistake(lambda f, g: (f * g ** 2).mean(), 'divide by the mean of g squared: the weights '
                'must sum to 1.'),
        Mistake(lambda f, g: (f * g ** 2).sum(), 'divide by the sum of g squared: the weights must '
                'sum to 1.'),
        Mistake(lambda f, g: (f * g ** 2).sum() / (g ** 2).mean(), 'a sum on top and a mean below: '
                'take the same of both.'),
        Mistake(lambda f, g: (f * g ** 2).mean() / (g ** 2).sum(), 'a mean on top and a sum below: '
                'take the same of both.'),
        Mistake(lambda f, g: (g ** 2).mean() / (f * g ** 2).mean(), 'the ratio is upside down.'),
        Mistake(lambda f, g: (f * g).mean(), 'this is the estimate of the slope itself.'),
        Mistake(lambda f, g: f * g ** 2 / (g ** 2).mean(), 'give one number: the mean over the '
                'draws is missing on top.'),
        Mistake(lambda f, g: 2 * _best_baseline(f, g), 'the factor 2 of the derivative stands on '
                'both sides and cancels.'),
        Mistake(lambda f, g: numpy.median(f), 'this is the median of f; weigh by the squares of '
                'the scores.'),
        exercise.sign(_best_baseline, 'the sign is wrong: set the derivative of the mean of '
                      '(f - c)^2 g^2 in c to zero.'),
    ])


def _cdf_slope(z, k):
    h = 1e-5
    return (special.gammainc(k + h, z) - special.gammainc(k - h, z)) / (2 * h)


def _log_density(z, k):
    return (k - 1) * numpy.log(z) - z - special.gammaln(k)


def _gamma_slope(z, k):
    return -_cdf_slope(z, k) / numpy.exp(_log_density(z, k))


gamma_slope = Exercise(
    right=_gamma_slope,
    probes=[(numpy.array([0.4, 1.3, 2.6]), numpy.array([0.8, 1.5, 4.])),
            (numpy.array([7., 12.]), numpy.array([6., 9.]))],
    shows='No quantile function is needed: with the cdf and the density every continuous draw can '
          'move. D.Gamma does the same, with the derivative of the cdf worked out.',
    mistakes=[
        exercise.sign(_gamma_slope, 'the sign is wrong. cdf(z(k); k) does not change, so its '
                      'two partial changes sum to 0.'),
        Mistake(_cdf_slope, 'this is the derivative of the cdf in k; divide by that in z, the '
                'density, and mind the sign.'),
        Mistake(lambda z, k: -_cdf_slope(z, k), 'divide by the derivative of the cdf in z: '
                'the density.'),
        Mistake(lambda z, k: -_cdf_slope(z, k) / _log_density(z, k), 'divide by the density, not '
                'by its logarithm.'),
        Mistake(lambda z, k: -_cdf_slope(z, k) / special.gammainc(k, z), 'divide by the density of '
                'z, not by the cdf.'),
        Mistake(lambda z, k: _gamma_slope(z, k) / special.gamma(k), 'the density is not '
                'normalised; its integral over z must be 1.'),
        Mistake(lambda z, k: -_cdf_slope(z, k) * numpy.exp(_log_density(z, k)), 'divide by the '
                'density, do not multiply.'),
        Mistake(lambda z, k: 1 / _gamma_slope(z, k), 'this is dk/dz; turn it over.'),
        Mistake(lambda z, k: 2 * _gamma_slope(z, k), 'a central difference spans 2h; divide by '
                'that.'),
        Mistake(lambda z, k: numpy.ones_like(z), 'this is the slope of the mean; each draw has its '
                'own.'),
        Mistake(lambda z, k: z / k, 'this is the slope of a draw that is stretched; a Gamma draw '
                'changes its shape too.'),
        Mistake(lambda z, k: numpy.log(z) - special.digamma(k), 'this is the score in k, the '
                'derivative of the log-density; how the draw moves is asked for.'),
        Mistake(lambda z, k: _gamma_slope(z, k).sum(), 'this is the sum; give one number for each '
                'draw.'),
    ])
