"""Exercises of lesson 6: divergences of a pixel, of a loss, of two fits, and of zeros."""
import math

import numpy
from scipy import special

from course_lib import datasets
from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake


def _kl(p, q):
    """KL(p || q) in nats, over the last axis."""
    return special.rel_entr(p, q).sum(axis=-1)


_P, _Q = numpy.array([0.5, 0.5]), numpy.array([0.99, 0.01])
_FORWARD, _REVERSE = float(_kl(_P, _Q)), float(_kl(_Q, _P))
_BOTH = numpy.array([_FORWARD, _REVERSE])
kl_of_pixel = Exercise(
    right=_BOTH,
    shows='One pixel, two directions, and the first is more than twice the second: white paper '
          'is a great surprise to a model that is sure of ink.',
    mistakes=[
        Mistake(_BOTH[::-1], 'both numbers are right; KL(P||Q), the mean over P, comes first.'),
        exercise.log2(_BOTH),
        Mistake(_BOTH / math.log(10), 'these are logarithms to base 10; use natural ones.'),
        exercise.sign(_BOTH, 'the sign is wrong: inside the logarithm, the distribution that comes '
                      'first stands on top.'),
        Mistake([_P[0] * math.log(_P[0] / _Q[0]), _Q[0] * math.log(_Q[0] / _P[0])],
                'these are the terms of a black pixel; a white one has a term too.'),
        Mistake([_P[1] * math.log(_P[1] / _Q[1]), _Q[1] * math.log(_Q[1] / _P[1])],
                'these are the terms of a white pixel; a black one has a term too.'),
        Mistake([_FORWARD, -_FORWARD], 'the second is not minus the first: there the mean is taken '
                'over Q, so Q gives the weights too.'),
        Mistake([_FORWARD, _FORWARD], 'KL is not symmetric: for the second the mean is taken over '
                'Q.'),
        Mistake([numpy.log(_P / _Q).sum(), numpy.log(_Q / _P).sum()], 'weight each logarithm by '
                'the probability of its case.'),
        Mistake([-(_P * numpy.log(_Q)).sum(), -(_Q * numpy.log(_P)).sum()],
                'these are cross-entropies; take the entropies off.'),
        Mistake([-(_P * numpy.log(_P)).sum(), -(_Q * numpy.log(_Q)).sum()],
                'these are the entropies of P and Q.'),
    ])

_K, _N = 7, 23
_SHARE = _K / _N
_FLOOR = -_SHARE * math.log(_SHARE) - (1 - _SHARE) * math.log(1 - _SHARE)
loss_floor = Exercise(
    right=_FLOOR,
    shows='The entropy of the data. A coin, at 0.69 nats, is hardly harder to predict.',
    mistakes=[
        exercise.log2(_FLOOR),
        exercise.sign(_FLOOR, 'the sign is wrong: an entropy is minus a mean logarithm.'),
        exercise.sum_for_mean(_FLOOR, _N),
        Mistake(-_SHARE * math.log(_SHARE), 'the flights without distress cost something too.'),
        Mistake(-(1 - _SHARE) * math.log(1 - _SHARE), 'the flights with distress cost something '
                'too.'),
        Mistake(-math.log(_SHARE) - math.log(1 - _SHARE), 'weight each logarithm by the share of '
                'its flights.'),
        Mistake(math.log(2), 'this is the loss of p = 1/2; the best p is the observed frequency.'),
        Mistake(0, 'no single probability predicts both kinds of flight.'),
        Mistake(_SHARE, 'this is the best p; its mean loss is asked for.'),
        Mistake(math.log(_SHARE / (1 - _SHARE)), 'this is the best logit; its mean loss is asked '
                'for.'),
    ])

_MEANS, _STDDEV = numpy.array([-20., 30.]), 5.
_MEAN = _MEANS.mean()
_BETWEEN = ((_MEANS - _MEAN) ** 2).mean()
_SPREAD = math.sqrt(_STDDEV ** 2 + _BETWEEN)
forward_fit = Exercise(
    right=[_MEAN, _SPREAD],
    shows='Nearly all of that width is the distance between the two.',
    mistakes=[
        Mistake([_SPREAD, _MEAN], 'both numbers are right; the mean comes first.'),
        Mistake([_MEAN, _SPREAD ** 2], 'the second number is the variance; the standard deviation '
                'is its square root.'),
        Mistake([_MEAN, _STDDEV], 'the width inside the parts is not all: their means differ too.'),
        Mistake([_MEAN, math.sqrt(_BETWEEN)], 'the width inside the parts is missing.'),
        Mistake([_MEAN, _STDDEV + math.sqrt(_BETWEEN)], 'variances add up, standard deviations do '
                'not.'),
        Mistake([_MEAN, math.sqrt(2 * (_STDDEV ** 2 + _BETWEEN))], 'the variance is a mean over '
                'the parts: each has the weight 1/2.'),
        Mistake([_MEAN, math.sqrt(_STDDEV ** 2 + (_MEANS ** 2).mean())], 'subtract the common mean '
                'before you square.'),
        Mistake([_MEAN, math.sqrt(_STDDEV + _BETWEEN)], 'square the standard deviation of the '
                'parts first.'),
        Mistake([_MEAN, _STDDEV / math.sqrt(2)], 'this is the standard deviation of the mean of '
                'two draws; one draw, from one part or the other, is meant.'),
        Mistake([_MEANS.sum(), _SPREAD], 'weight each mean by 1/2.'),
        Mistake([_MEANS[0], _STDDEV], 'this is one of the two parts, a reverse fit.'),
        Mistake([_MEANS[1], _STDDEV], 'this is one of the two parts, a reverse fit.'),
    ])

_train, _ = datasets.load_digits().split()
_ink = _train.images[_train.labels == 5].sum(axis=1, dtype=numpy.float64)
_MU, _SIGMA = numpy.log(_ink).mean(), numpy.log(_ink).std()
_SHAPE, _THETA = _ink.mean() ** 2 / _ink.var(), _ink.var() / _ink.mean()
_INK_KL = (-_MU - 0.5 * math.log(2 * math.pi * math.e * _SIGMA ** 2) + special.gammaln(_SHAPE)
           + _SHAPE * math.log(_THETA) - (_SHAPE - 1) * _MU
           + math.exp(_MU + _SIGMA ** 2 / 2) / _THETA)
_REVERSE_INK_KL = (
    -(_SHAPE + math.log(_THETA) + special.gammaln(_SHAPE) + (1 - _SHAPE) * special.digamma(_SHAPE))
    + 0.5 * math.log(2 * math.pi * _SIGMA ** 2) + special.digamma(_SHAPE) + math.log(_THETA)
    + (special.polygamma(1, _SHAPE)
       + (special.digamma(_SHAPE) + math.log(_THETA) - _MU) ** 2) / (2 * _SIGMA ** 2))
_IMAGES = math.log(1000) / _INK_KL
images_needed = Exercise(
    right=_IMAGES,
    shows='Far more than the 143 that we have. Where two models are this close, it hardly matters '
          'which one you choose.',
    mistakes=[
        Mistake(math.log(1000) / _REVERSE_INK_KL, 'this is the other direction: the images come '
                'from the log-normal distribution.'),
        Mistake(1 / _INK_KL, 'this many images give 1 nat; log 1000 nats are asked for.'),
        Mistake(1000 / _INK_KL, 'take the logarithm of the odds.'),
        Mistake(3 / _INK_KL, 'use the natural logarithm of 1000: KL is in nats.'),
        Mistake(math.log2(1000) / _INK_KL, 'use the natural logarithm of 1000: KL is in nats.'),
        Mistake(_INK_KL / math.log(1000), 'this is upside down.'),
        Mistake(math.log(1000) * _INK_KL, 'divide by the evidence of one image.'),
        Mistake(_INK_KL, 'this is the mean evidence of one image.'),
        Mistake(math.log(1000), 'this is the evidence wanted; how many images give it?'),
    ])


def _cross_entropy(p, q):
    return -special.xlogy(p, q).sum(axis=-1)


def _without_infinity(p, q):
    with numpy.errstate(all='ignore'):
        terms = p * numpy.log(p / q)
    return numpy.where(numpy.isfinite(terms), terms, 0).sum(axis=-1)


_TINY = [10. ** -n for n in range(5, 17)] + [numpy.finfo(t).eps for t in ('float32', 'float64')]


def _clipped(tiny):
    return lambda p, q: _kl(numpy.maximum(p, tiny), numpy.maximum(q, tiny))


kl_of_probabilities = Exercise(
    right=_kl,
    probes=[(numpy.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]),
             numpy.array([[0.4, 0.4, 0.2], [0.3, 0.3, 0.4]])),
            (numpy.array([[0.5, 0.5, 0.], [0.6, 0.2, 0.2], [0., 0.3, 0.7], [1., 0., 0.]]),
             numpy.array([[0.5, 0.25, 0.25], [0.7, 0., 0.3], [0., 0.4, 0.6], [0.2, 0.3, 0.5]]))],
    shows='Zeros under P are harmless, and a single zero under Q is fatal.',
    mistakes=[
        Mistake(lambda p, q: _kl(q, p), 'p and q have changed places: the mean is taken over p.'),
        exercise.log2(_kl),
        exercise.sign(_kl, 'the sign is wrong: it is p that stands on top.'),
        Mistake(_without_infinity, 'a term with q = 0 and p > 0 is beyond all bounds; do not make '
                'it 0.'),
        *(Mistake(_clipped(tiny), 'do not clip, and add no small number: a term with q = 0 and '
                  'p > 0 is beyond all bounds.') for tiny in _TINY),
        Mistake(_cross_entropy, 'this is the cross-entropy; take the entropy of p off.'),
        Mistake(lambda p, q: special.rel_entr(p, q).sum(), 'this is one sum over everything; sum '
                'over the last axis only.'),
        Mistake(special.rel_entr, 'these are the terms; sum them over the last axis.'),
        Mistake(lambda p, q: special.rel_entr(p, q).mean(axis=-1), 'this is the mean over the last '
                'axis; KL is a sum whose weights are in p already.'),
        Mistake(lambda p, q: special.rel_entr(p, q).sum(axis=0), 'this sums over the first axis; '
                'the last is asked for.'),
        Mistake(lambda p, q: _kl(p, q) + _kl(1 - p, 1 - q), 'the entries are the cases of one '
                'variable; there is no 1 - p to add.'),
    ])

_black = _train.images >= 0.5
_counts = numpy.array([_black[_train.labels == d].sum(axis=0) for d in range(10)])
_p = (_counts + 1) / (numpy.bincount(_train.labels)[:, None] + 2)
_mean_p = _p.mean(axis=0)


def _binary(p, q):
    return special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q)


def _place(information):
    best = int(information.argmax())
    return [best // 8, best % 8, information[best]]


_information = _binary(_p, _mean_p).mean(axis=0) / math.log(2)
_ROW, _COLUMN, _BITS = _place(_information)
_SWAPPED = _binary(_mean_p, _p).mean(axis=0) / math.log(2)
_entropy = special.entr(_mean_p) + special.entr(1 - _mean_p)
best_pixel = Exercise(
    right=[_ROW, _COLUMN, _BITS],
    shows='A pixel has two values, so it could tell 1 bit at most; to know a digit takes log2(10) '
          '= 3.3 bits.',
    mistakes=[
        Mistake([_COLUMN, _ROW, _BITS], 'the row comes first, then the column.'),
        Mistake([_ROW + 1, _COLUMN + 1, _BITS], 'count rows and columns from 0.'),
        Mistake([_ROW, _COLUMN, _BITS * math.log(2)], 'the place is right; its information is in '
                'nats, and bits are asked for.'),
        Mistake([_ROW, _COLUMN, _BITS * math.log(2) ** 2], 'to go from nats to bits, divide by log '
                '2.'),
        Mistake([_ROW, _COLUMN, 10 * _BITS], 'the place is right; its information is the mean over '
                'the ten digits, not the sum.'),
        Mistake([_ROW, _COLUMN, 10 * _BITS * math.log(2)], 'the place is right; take the mean over '
                'the ten digits, in bits.'),
        Mistake(_place(_SWAPPED), 'this is KL in the other direction: the mean is taken over the '
                'digit, so P_d comes first.'),
        Mistake(_place(_SWAPPED * math.log(2)), 'this is KL in the other direction, and in nats: '
                'P_d comes first.'),
        Mistake(_place(_entropy / math.log(2)), 'this is the pixel that is hardest to predict; '
                'how much of that does the digit explain?'),
        Mistake(_place(special.rel_entr(_p, _mean_p).mean(axis=0) / math.log(2)), 'a white pixel '
                'tells something too: add its term.'),
    ])
