"""Exercises of lesson 8: a code, its price, the loss of a variational autoencoder, a blot."""
import math

import numpy
from scipy import special

from course_lib import datasets
from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

_CODE = [1.5, 0.]
z_by_hand = Exercise(
    right=_CODE,
    shows='The encoder says where and how precisely; the noise says which code this time.',
    mistakes=[
        Mistake([1., -1 - 2 * 0.693], 'the noise was multiplied by the logarithm of sigma; take '
                'its exponential first.'),
        Mistake([1.5, -1 + 2 * 0.25], 'the noise was multiplied by the variance; the standard '
                'deviation is wanted.'),
        Mistake([1.5, -1 + 2 * math.exp(-0.693 / 2)], 'the numbers are logarithms of standard '
                'deviations, not of variances: no half in the exponent.'),
        Mistake([1.5, -1 + 2 / 0.5], 'multiply the noise by sigma; do not divide.'),
        Mistake([1.5, 1.], 'sigma is missing: it scales the noise.'),
        Mistake([0.5, 1.], 'the mean is missing: the noise is added to it.'),
        Mistake([0.5, -2.], 'the noise is added to the mean, not subtracted.'),
        Mistake([1., 0.], 'the first sigma is exp(0), which is not 0: the noise counts there '
                'too.'),
        Mistake([1., -1.], 'this is the mean; the noise moves the code away from it.'),
        Mistake(_CODE[::-1], 'both numbers are right; keep the order of the dimensions.'),
    ],
    atol=2e-3)

_MU, _LN_SIGMA = numpy.array([1., 0.]), numpy.log([1., 0.5])


def _kl(mu, ln_sigma, power=2, half=0.5, minus_one=1., logs=-2.):
    """The terms of the divergence, one a dimension, right or with one of them wrong."""
    return half * (mu ** 2 + numpy.exp(power * ln_sigma) - minus_one + logs * ln_sigma)


def _swapped(mu, ln_sigma):
    """KL(p || q) of the prior p from the encoder's q."""
    return 0.5 * ((1 + mu ** 2) * numpy.exp(-2 * ln_sigma) - 1 + 2 * ln_sigma)


_PRICE = _kl(_MU, _LN_SIGMA).sum()
kl_by_hand = Exercise(
    right=_PRICE,
    shows='Being off centre costs half a nat here, being precise about a third.',
    mistakes=[
        Mistake(_kl(_MU, _LN_SIGMA), 'these are the two dimensions; the KL is their sum.'),
        Mistake(_PRICE / 2, 'this is the mean over the two dimensions; the KL is their sum.'),
        Mistake(2 * _PRICE, 'the factor one half is missing.'),
        Mistake(-_PRICE, 'the sign is wrong: a divergence is never negative.'),
        exercise.log2(_PRICE),
        Mistake(_swapped(_MU, _LN_SIGMA).sum(), 'this is KL(p || q); q comes first here.'),
        Mistake(_kl(_MU, _LN_SIGMA, power=1).sum(), 'sigma enters squared.'),
        Mistake(_kl(_MU, _LN_SIGMA, logs=-1.).sum(), 'the logarithm of sigma counts twice.'),
        Mistake(_kl(_MU, _LN_SIGMA, logs=2.).sum(), 'the logarithm is subtracted: a small sigma '
                'costs.'),
        Mistake(_kl(_MU, _LN_SIGMA, logs=0.).sum(), 'the term with the logarithm is missing.'),
        Mistake(_kl(_MU, _LN_SIGMA, minus_one=0.).sum(), 'the terms -1 are missing: a code like '
                'the prior costs nothing.'),
        Mistake(_kl(_MU, _LN_SIGMA, minus_one=0.5).sum(), 'each of the two dimensions has a '
                'term -1.'),
        Mistake(0.5, 'this is the first dimension; the second one is more precise than the prior, '
                'and that costs too.'),
    ])

_QUANTILE = special.ndtri(0.1)
quantile = Exercise(
    right=_QUANTILE,
    shows='A tenth of all codes drawn from the prior lie below it in one direction.',
    mistakes=[
        Mistake(-_QUANTILE, 'this is the 0.9 quantile: a tenth lies above it.'),
        Mistake(special.ndtr(0.1), 'this is the probability of a value below 0.1 (cdf); the '
                'quantile is the inverse.'),
        Mistake(math.exp(-0.005) / math.sqrt(2 * math.pi), 'this is the density at 0.1.'),
        Mistake(special.ndtri(0.05), 'this leaves a tenth in both tails together; below the '
                'quantile lies a tenth in one.'),
        Mistake(special.ndtri(0.01), 'this is the 0.01 quantile.'),
    ],
    rtol=2e-3)


def _bernoulli_loss(images, p):
    return -(special.xlogy(images, p) + special.xlogy(1 - images, 1 - p)).sum(axis=1)


_train, _test = datasets.load_digits().split()
_x = (_train.images >= 0.5).astype(numpy.float64)
_black = _x.mean(axis=0)
_ALONE = _bernoulli_loss(_x, _black).mean()
with numpy.errstate(all='ignore'):
    _inked = _black > 0
    _ALONE_TEST = _bernoulli_loss((_test.images >= 0.5)[:, _inked] * 1., _black[_inked]).mean()
loss_without_z = Exercise(
    right=_ALONE,
    shows='The trained network is several nats below it. So what the code says is worth more than '
          'it costs.',
    mistakes=[
        exercise.sign(_ALONE),
        Mistake(_ALONE / 64, 'this is the mean over pixels; an image is the sum of its pixels.'),
        Mistake(_ALONE * len(_x), 'this is the sum over images; give nats an image.'),
        exercise.log2(_ALONE),
        Mistake(64 * math.log(2), 'this gives every pixel the probability one half.'),
        Mistake(64 * special.entr([_x.mean(), 1 - _x.mean()]).sum(), 'this gives all pixels one '
                'common probability; each has its own.'),
        Mistake(special.entr(_black).sum(), 'white pixels count too: the terms with 1 - p are '
                'missing.'),
        Mistake(special.entr(1 - _black).sum(), 'black pixels count too: the terms with p are '
                'missing.'),
        Mistake(special.entr(_train.images.mean(axis=0)).sum()
                + special.entr(1 - _train.images.mean(axis=0)).sum(),
                'these are the mean grey levels; use the black-or-white images.'),
        Mistake(_ALONE_TEST, 'this is the loss on the held-out images; the training images are '
                'asked for.'),
    ])


def _reconstr(x, logit):
    return x * logit - numpy.logaddexp(0, logit)


def _vae_loss(x, logit, mu, ln_sigma, pixels=numpy.sum, dims=numpy.sum, images=numpy.mean,
              beta=1., of_image=1., kl=_kl):
    """The loss, right or with one of its parts wrong."""
    terms = (beta * dims(kl(mu, ln_sigma), axis=1) - of_image * pixels(_reconstr(x, logit), axis=1))
    return images(terms)


def _by_probabilities(x, logit, mu, ln_sigma):
    with numpy.errstate(all='ignore'):
        p = special.expit(logit)
        return (_kl(mu, ln_sigma).sum(axis=1)
                - numpy.log(numpy.where(x == 1, p, 1 - p)).sum(axis=1)).mean()


def _clipped(tiny):
    """The loss from probabilities that are kept a little away from 0 and 1."""
    def loss(x, logit, mu, ln_sigma):
        p = numpy.clip(special.expit(logit), tiny, 1 - tiny)
        return _kl(mu, ln_sigma).sum(axis=1).mean() + _bernoulli_loss(x, p).mean()
    return loss


def _with_logits_within(limit):
    return lambda x, logit, mu, ln_sigma: _vae_loss(
        x, numpy.clip(logit, -limit, limit), mu, ln_sigma)


def _changed(**part):
    return lambda *probe: _vae_loss(*probe, **part)


# By which probabilities are kept from 0: powers of ten, the rounding of float32 and of float64.
_TINY = [*(10. ** -numpy.arange(4, 17)), *(numpy.finfo(t).eps for t in (numpy.float32, float))]

_LIMITS = 10, 20, 30, 50, 80, 88, 100, 500, 700, 709   # what people clip logits to

_draw = numpy.random.default_rng(8)
_probe = ((_draw.uniform(size=(5, 7)) < 0.4) * 1., _draw.normal(size=(5, 7)),
          _draw.normal(size=(5, 3)), 0.5 * _draw.normal(size=(5, 3)))
_extreme = (numpy.array([[1., 0., 1.], [0., 1., 1.]]),
            numpy.array([[-800., 800., 3.], [-800., 800., -1.]]),
            numpy.array([[2., -1.], [0.3, 0.]]), numpy.array([[-3., 0.2], [0., 1.]]))
vae_loss = Exercise(
    right=_vae_loss,
    probes=[_probe, _extreme],
    shows='That is all of it: two lines of formulas. The rest of a VAE is two networks.',
    mistakes=[
        Mistake(_by_probabilities, 'the formula is right, but at the ends a probability rounds to '
                '0 or 1, or an exponential overflows. Stay with logits, and with logaddexp.'),
        *[Mistake(_clipped(tiny), 'clipped probabilities give every extreme pixel the same '
                  'penalty. Stay with logits.') for tiny in _TINY],
        *[Mistake(_with_logits_within(limit), 'clipped logits make a sure mistake too cheap: a '
                  'logit of 800 on a white pixel costs 800 nats.') for limit in _LIMITS],
        exercise.sign(_vae_loss, 'the sign is wrong: this is the ELBO, and a loss is minus that.'),
        exercise.log2(_vae_loss),
        Mistake(_changed(beta=-1.), 'the KL has the wrong sign: it is a cost, so it raises the '
                'loss.'),
        Mistake(_changed(of_image=-1.), 'the log-probability of the image has the wrong sign.'),
        Mistake(_changed(beta=0.), 'the KL is missing.'),
        Mistake(_changed(of_image=0.), 'the log-probability of the image is missing.'),
        Mistake(_changed(pixels=numpy.mean), 'the log-probability is averaged over pixels. An '
                'image is one observation: sum them. Else the KL weighs as many times as there '
                'are pixels.'),
        Mistake(_changed(dims=numpy.mean), 'the KL is averaged over the dimensions of the code; '
                'sum them.'),
        Mistake(_changed(pixels=numpy.mean, dims=numpy.mean), 'pixels and dimensions of the code '
                'are summed; only images are averaged.'),
        Mistake(_changed(images=numpy.sum), 'this is the sum over the images; their mean is asked '
                'for.'),
        Mistake(_changed(images=lambda v: v), 'there is one number for each image; their mean is '
                'asked for.'),
        Mistake(lambda x, logit, mu, ln_sigma: (
            _kl(mu, ln_sigma).sum() - _reconstr(x, logit).sum(axis=1).mean()),
            'the KL is summed over the images; average it as you do the other term.'),
        Mistake(lambda x, logit, mu, ln_sigma: (
            _kl(mu, ln_sigma).sum(axis=1).mean() - _reconstr(x, logit).sum()),
            'the log-probability is summed over the images; average it as you do the KL.'),
        Mistake(_changed(kl=lambda *a: 2 * _kl(*a)), 'in the KL, the factor one half is missing.'),
        Mistake(_changed(kl=lambda *a: _kl(*a, power=1)), 'in the KL, sigma enters squared: the '
                'exponential of 2 ln sigma.'),
        Mistake(_changed(kl=lambda *a: _kl(*a, logs=-1.)), 'in the KL, the logarithm of sigma '
                'counts twice.'),
        Mistake(_changed(kl=lambda *a: _kl(*a, power=1, logs=-1.)), 'this takes ln_sigma for the '
                'logarithm of the variance.'),
        Mistake(_changed(kl=lambda *a: _kl(*a, logs=2.)), 'in the KL, the logarithm of sigma is '
                'subtracted.'),
        Mistake(_changed(kl=lambda *a: _kl(*a, minus_one=0.)), 'in the KL, the term -1 is '
                'missing.'),
        Mistake(_changed(kl=_swapped), 'this is KL(p || q); q comes first.'),
    ])


def _complete(logit, log_prior, x, seen, weigh=special.softmax):
    log_prob = _reconstr(x, logit)[:, seen].sum(axis=1)
    return weigh(log_prior + log_prob) @ special.expit(logit)


def _best(log_weight):
    return (numpy.arange(len(log_weight)) == log_weight.argmax()) * 1.


_codes = _draw.normal(scale=2, size=(6, 8))
_some = (_codes, special.log_softmax(_draw.normal(size=6)), (_draw.uniform(size=8) < 0.5) * 1.,
         numpy.arange(8) < 4)
# Every code explains the seen pixels badly: products of probabilities are 0 for all of them.
_bad = (numpy.array([[-400., -401., 1., -2.], [-401., -401., -1., 0.5], [-400.5, -400., 2., 3.]]),
        numpy.log([0.2, 0.5, 0.3]), numpy.array([1., 1., 0., 1.]),
        numpy.array([True, True, False, False]))
complete = Exercise(
    right=_complete,
    probes=[_some, _bad],
    shows='A posterior over codes, then a mean over it. No new training was needed: that is what '
          'a model of the whole image is good for.',
    mistakes=[
        Mistake(lambda e, log_prior, x, seen: _complete(e, log_prior, x, seen | True),
                'this uses what stands under the blot; only seen pixels may count.'),
        Mistake(lambda e, log_prior, x, seen: _complete(e, log_prior, x * seen, seen | True),
                'this takes hidden pixels for white ones; leave them out of the sum.'),
        Mistake(lambda e, log_prior, x, seen: numpy.where(
            seen, x, _complete(e, log_prior, x, seen)),
            'the seen pixels stand here as they were; the probability is asked for there too.'),
        Mistake(lambda e, log_prior, x, seen: _complete(e, log_prior, x, ~seen),
                'this uses the hidden pixels in place of the seen ones.'),
        Mistake(lambda e, log_prior, x, seen: _complete(e, 0 * log_prior, x, seen),
                'the prior of the codes is missing.'),
        Mistake(lambda e, log_prior, x, seen: special.softmax(log_prior) @ special.expit(e),
                'this is the mean over the prior; the seen pixels say nothing in it.'),
        Mistake(lambda e, log_prior, x, seen: special.softmax(_reconstr(x, e)[:, seen].mean(axis=1)
                                                              + log_prior) @ special.expit(e),
                'the log-probability of the seen pixels is their mean here; it is their sum.'),
        Mistake(lambda e, log_prior, x, seen: special.expit(special.softmax(
            _reconstr(x, e)[:, seen].sum(axis=1) + log_prior) @ e),
            'this averages logits; average the probabilities.'),
        Mistake(lambda *probe: _complete(*probe, weigh=_best), 'this takes the most probable code '
                'alone; average over all of them.'),
        Mistake(lambda *probe: _complete(*probe, weigh=numpy.exp), 'the weights of the codes do '
                'not sum to 1: divide by their sum.'),
        Mistake(lambda *probe: _complete(*probe, weigh=lambda v: v), 'the codes are weighted by '
                'logarithms; take exponentials, and let them sum to 1.'),
        Mistake(lambda *probe: special.logit(_complete(*probe)), 'these are logits; probabilities '
                'are asked for.'),
        Mistake(lambda e, log_prior, x, seen: _complete(e, log_prior, x, seen)[~seen],
                'these are the hidden pixels alone; return all of them, in order.'),
    ])
