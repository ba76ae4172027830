"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import math

import chainer
import chainer.functions as F
import numpy as np
import pytest
from scipy import special, stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib import datasets
from course_lib.check import exercise, lesson08
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED
TRAIN, TEST = (np.float32(part.images >= 0.5) for part in datasets.load_digits().split())
BLACK = TRAIN.mean(axis=0, dtype=np.float64)
PRICE = (1 + 0.25 - 1 - 2 * math.log(0.5)) / 2
N_01 = D.Normal(loc=0., scale=1.)


def without_z(black=BLACK, images=TRAIN):
    """Mean loss of images whose pixels are independent and black with given probabilities."""
    return -(special.xlogy(images, black) + special.xlog1py(1 - images, -black)).sum(axis=1).mean()


def kl_terms(mu, ln_sigma):
    return (mu ** 2 + np.exp(2 * ln_sigma) - 1 - 2 * ln_sigma) / 2


def log_prob_terms(x, logit):
    return x * logit - np.logaddexp(0, logit)


def vae_loss(x, logit, mu, ln_sigma):
    return (kl_terms(mu, ln_sigma).sum(axis=1) - log_prob_terms(x, logit).sum(axis=1)).mean()


def vae_loss_by_library(x, logit, mu, ln_sigma):
    q = D.Independent(D.Normal(mu, log_scale=ln_sigma))
    prior = D.Independent(D.Normal(np.zeros(mu.shape[1]), scale=1.), 1)
    image = D.Independent(D.Bernoulli(logit=logit))
    return F.mean(chainer.kl_divergence(q, prior) - image.log_prob(x))


def vae_loss_by_probabilities(x, logit, mu, ln_sigma):
    with np.errstate(all='ignore'):
        p = special.expit(logit)
        image = np.log(np.where(x == 1, p, 1 - p)).sum(axis=1)
        return (kl_terms(mu, ln_sigma).sum(axis=1) - image).mean()


def vae_loss_clipped(tiny, change=lambda p, tiny: np.clip(p, tiny, 1 - tiny)):
    """The loss from probabilities that are kept away from 0 and 1, in one way or another."""
    def loss(x, logit, mu, ln_sigma):
        p = special.expit(logit)
        image = np.log(np.where(x == 1, change(p, tiny), change(1 - p, tiny))).sum(axis=1)
        return (kl_terms(mu, ln_sigma).sum(axis=1) - image).mean()
    return loss


def vae_loss_by_exponentials(x, logit, mu, ln_sigma):
    with np.errstate(all='ignore'):
        image = (x * logit - np.log(1 + np.exp(logit))).sum(axis=1)
    return (kl_terms(mu, ln_sigma).sum(axis=1) - image).mean()


def combined(kl, image):
    """A loss that combines the terms of both parts in its own way."""
    def loss(x, logit, mu, ln_sigma):
        return np.mean(kl(kl_terms(mu, ln_sigma)) - image(log_prob_terms(x, logit)))
    return loss


def rows(terms):
    return terms.sum(axis=1)


def loss_of_kl(kl):
    """The loss with another formula for the divergence."""
    return lambda x, logit, mu, ln_sigma: (
        kl(mu, np.exp(ln_sigma)) - log_prob_terms(x, logit).sum(axis=1)).mean()


def complete(logit, log_prior, x, seen):
    log_weight = log_prior + log_prob_terms(x, logit)[:, seen].sum(axis=1)
    return special.softmax(log_weight) @ special.expit(logit)


def complete_by_loop(logit, log_prior, x, seen):
    log_weight = [a + sum(log_prob_terms(x, row)[i] for i in np.flatnonzero(seen))
                  for a, row in zip(log_prior, logit)]
    weight = [math.exp(v - max(log_weight)) for v in log_weight]
    return [sum(w * p for w, p in zip(weight, column)) / sum(weight)
            for column in special.expit(logit).T]


def complete_by_products(logit, log_prior, x, seen):
    p = special.expit(logit)
    with np.errstate(all='ignore'):
        weight = np.exp(log_prior) * np.where(x == 1, p, 1 - p)[:, seen].prod(axis=1)
        return weight / weight.sum() @ p


def complete_changing_its_arguments(logit, log_prior, x, seen):
    x *= seen
    return complete(logit, log_prior, x, seen)


def complete_of(weight):
    """Completion with another weight for each code."""
    return lambda logit, log_prior, x, seen: (
        weight(log_prior, log_prob_terms(x, logit)[:, seen]) @ special.expit(logit))


CASES = [
    (lesson08.z_by_hand, [1 + 0.5, -1 + math.exp(-0.693) * 2], 'Correct.'),
    (lesson08.z_by_hand, (1.5, 0), 'Correct.'),
    (lesson08.z_by_hand, np.array([[1.5, 0.]], np.float32), 'Correct.'),
    (lesson08.z_by_hand, [1.5, ...], NOT_YET),
    (lesson08.z_by_hand, [1, -1 - 2 * 0.693], 'take its exponential first'),
    (lesson08.z_by_hand, [1.5, -0.5], 'the variance; the standard deviation'),
    (lesson08.z_by_hand, [1.5, -1 + 2 * 0.5 ** 0.5], 'no half in the exponent'),
    (lesson08.z_by_hand, [1.5, 3], 'do not divide'),
    (lesson08.z_by_hand, [1.5, 1], 'sigma is missing'),
    (lesson08.z_by_hand, [0.5, 1], 'the mean is missing'),
    (lesson08.z_by_hand, [0.5, -2], 'not subtracted'),
    (lesson08.z_by_hand, [1, 0], 'the noise counts there too'),
    (lesson08.z_by_hand, [1, -1], 'the noise moves the code'),
    (lesson08.z_by_hand, [0, 1.5], 'the order of the dimensions'),
    (lesson08.z_by_hand, [1.5, 2], '1 of 2 numbers'),

    (lesson08.kl_by_hand, PRICE, 'Correct.'),
    (lesson08.kl_by_hand, 0.8181, 'Correct.'),
    (lesson08.kl_by_hand, F.sum(chainer.kl_divergence(
        D.Normal(np.array([1., 0.]), np.array([1., 0.5])), N_01)), 'Correct.'),
    (lesson08.kl_by_hand, ..., NOT_YET),
    (lesson08.kl_by_hand, [0.5, PRICE - 0.5], 'the KL is their sum'),
    (lesson08.kl_by_hand, PRICE / 2, 'the mean over the two dimensions'),
    (lesson08.kl_by_hand, 2 * PRICE, 'one half is missing'),
    (lesson08.kl_by_hand, -PRICE, 'never negative'),
    (lesson08.kl_by_hand, PRICE / math.log(2), 'in bits'),
    (lesson08.kl_by_hand, F.sum(chainer.kl_divergence(
        N_01, D.Normal(np.array([1., 0.]), np.array([1., 0.5])))), 'this is KL(p || q)'),
    (lesson08.kl_by_hand, (1 + 0.5 - 1 - 2 * math.log(0.5)) / 2, 'sigma enters squared'),
    (lesson08.kl_by_hand, (1 + 0.25 - 1 - math.log(0.5)) / 2, 'counts twice'),
    (lesson08.kl_by_hand, (1 + 0.25 - 1 + 2 * math.log(0.5)) / 2, 'the logarithm is subtracted'),
    (lesson08.kl_by_hand, (1 + 0.25 - 1) / 2, 'the logarithm is missing'),
    (lesson08.kl_by_hand, PRICE + 1, 'the terms -1 are missing'),
    (lesson08.kl_by_hand, PRICE + 0.5, 'has a term -1'),
    (lesson08.kl_by_hand, 0.5, 'this is the first dimension'),
    (lesson08.kl_by_hand, 0.82, 'close'),
    (lesson08.kl_by_hand, 5, 'too large'),

    (lesson08.quantile, N_01.icdf(0.1), 'Correct.'),
    (lesson08.quantile, stats.norm.ppf(0.1), 'Correct.'),
    (lesson08.quantile, -1.28, 'Correct.'),
    (lesson08.quantile, ..., NOT_YET),
    (lesson08.quantile, N_01.icdf(0.9), 'a tenth lies above it'),
    (lesson08.quantile, N_01.cdf(0.1), 'the quantile is the inverse'),
    (lesson08.quantile, N_01.prob(0.1), 'the density'),
    (lesson08.quantile, -1.645, 'in both tails'),
    (lesson08.quantile, -2.326, 'the 0.01 quantile'),
    (lesson08.quantile, 0.1, 'too large'),

    (lesson08.loss_without_z, without_z(), 'Correct.'),
    (lesson08.loss_without_z, special.entr(BLACK).sum() + special.entr(1 - BLACK).sum(),
     'Correct.'),
    (lesson08.loss_without_z, np.float32(25.2), 'Correct.'),
    (lesson08.loss_without_z, ..., NOT_YET),
    (lesson08.loss_without_z, -without_z(), 'the sign is wrong'),
    (lesson08.loss_without_z, without_z() / 64, 'the sum of its pixels'),
    (lesson08.loss_without_z, without_z() * 1415, 'give nats an image'),
    (lesson08.loss_without_z, without_z() / math.log(2), 'in bits'),
    (lesson08.loss_without_z, without_z(np.full(64, 0.5)), 'the probability one half'),
    (lesson08.loss_without_z, without_z(np.full(64, BLACK.mean())), 'one common probability'),
    (lesson08.loss_without_z, special.entr(BLACK).sum(), 'with 1 - p are missing'),
    (lesson08.loss_without_z, special.entr(1 - BLACK).sum(), 'with p are missing'),
    (lesson08.loss_without_z, without_z(
        datasets.load_digits().split()[0].images.mean(axis=0, dtype=np.float64),
        datasets.load_digits().split()[0].images), 'the mean grey levels'),
    (lesson08.loss_without_z, without_z(BLACK[BLACK > 0], TEST[:, BLACK > 0]),
     'the held-out images'),
    (lesson08.loss_without_z, math.nan, 'a logarithm of 0'),
    (lesson08.loss_without_z, 3., 'too small'),

    (lesson08.vae_loss, vae_loss, 'Correct.'),
    (lesson08.vae_loss, vae_loss_by_library, 'Correct.'),
    (lesson08.vae_loss, lambda *a: np.float32(vae_loss(*a)), 'Correct.'),
    (lesson08.vae_loss, ..., NOT_YET),
    (lesson08.vae_loss, lambda *a: None, 'Not attempted yet: the function returns nothing'),
    (lesson08.vae_loss, 1., 'write a function'),
    (lesson08.vae_loss, lambda x: x, 'your function raised TypeError'),
    (lesson08.vae_loss, vae_loss_by_probabilities, 'Stay with logits'),
    (lesson08.vae_loss, vae_loss_by_exponentials, 'an exponential overflows'),
    (lesson08.vae_loss, vae_loss_clipped(1e-7), 'clipped probabilities'),
    (lesson08.vae_loss, vae_loss_clipped(1e-12), 'clipped probabilities'),
    (lesson08.vae_loss, vae_loss_clipped(np.finfo(np.float32).eps), 'clipped probabilities'),
    (lesson08.vae_loss, vae_loss_clipped(1e-8, np.add), 'clipped probabilities'),
    (lesson08.vae_loss, lambda x, logit, *a: vae_loss(x, np.clip(logit, -50, 50), *a),
     'clipped logits'),
    (lesson08.vae_loss, lambda *a: -vae_loss(*a), 'this is the ELBO'),
    (lesson08.vae_loss, lambda *a: vae_loss(*a) / np.log(2), 'in bits'),
    (lesson08.vae_loss, combined(lambda t: -rows(t), rows), 'the KL has the wrong sign'),
    (lesson08.vae_loss, combined(rows, lambda t: -rows(t)),
     'the log-probability of the image has the wrong sign'),
    (lesson08.vae_loss, combined(lambda t: 0, rows), 'the KL is missing'),
    (lesson08.vae_loss, combined(rows, lambda t: 0), 'of the image is missing'),
    (lesson08.vae_loss, combined(rows, lambda t: t.mean(axis=1)), 'averaged over pixels'),
    (lesson08.vae_loss, combined(lambda t: t.mean(axis=1), rows),
     'averaged over the dimensions of the code'),
    (lesson08.vae_loss, combined(np.mean, np.mean), 'only images are averaged'),
    (lesson08.vae_loss, combined(np.sum, rows), 'the KL is summed over the images'),
    (lesson08.vae_loss, combined(rows, np.sum), 'the log-probability is summed over the images'),
    (lesson08.vae_loss, combined(np.sum, np.sum), 'this is the sum over the images'),
    (lesson08.vae_loss, lambda x, logit, mu, ln_sigma: rows(kl_terms(mu, ln_sigma))
     - rows(log_prob_terms(x, logit)), 'one number for each image'),
    (lesson08.vae_loss, combined(lambda t: 2 * rows(t), rows), 'the factor one half is missing'),
    (lesson08.vae_loss, loss_of_kl(lambda m, s: rows(m ** 2 + s - 1 - 2 * np.log(s)) / 2),
     'the exponential of 2 ln sigma'),
    (lesson08.vae_loss, loss_of_kl(lambda m, s: rows(m ** 2 + s ** 2 - 1 - np.log(s)) / 2),
     'the logarithm of sigma counts twice'),
    (lesson08.vae_loss, loss_of_kl(lambda m, s: rows(m ** 2 + s - 1 - np.log(s)) / 2),
     'the logarithm of the variance'),
    (lesson08.vae_loss, loss_of_kl(lambda m, s: rows(m ** 2 + s ** 2 - 1 + 2 * np.log(s)) / 2),
     'the logarithm of sigma is subtracted'),
    (lesson08.vae_loss, loss_of_kl(lambda m, s: rows(m ** 2 + s ** 2 - 2 * np.log(s)) / 2),
     'the term -1 is missing'),
    (lesson08.vae_loss, loss_of_kl(lambda m, s: rows(
        (1 + m ** 2) / s ** 2 - 1 + 2 * np.log(s)) / 2), 'this is KL(p || q)'),
    (lesson08.vae_loss, lambda *a: vae_loss(*a) + 100, 'numbers are right'),

    (lesson08.complete, complete, 'Correct.'),
    (lesson08.complete, complete_by_loop, 'Correct.'),
    (lesson08.complete, complete_changing_its_arguments, 'Correct.'),
    (lesson08.complete, lambda *a: chainer.Variable(complete(*a).astype('f')), 'Correct.'),
    (lesson08.complete, ..., NOT_YET),
    (lesson08.complete, lambda *a: ..., 'Not attempted yet: the function returns nothing'),
    (lesson08.complete, complete_by_products, 'NaN'),
    (lesson08.complete, lambda e, log_prior, x, seen: complete(e, log_prior, x, seen | True),
     'what stands under the blot'),
    (lesson08.complete, lambda e, log_prior, x, seen: complete(
        e, log_prior, x * seen, seen | True), 'hidden pixels for white ones'),
    (lesson08.complete, lambda e, log_prior, x, seen: np.where(
        seen, x, complete(e, log_prior, x, seen)), 'the seen pixels stand here as they were'),
    (lesson08.complete, lambda e, log_prior, x, seen: complete(e, log_prior, x, ~seen),
     'the hidden pixels in place'),
    (lesson08.complete, complete_of(lambda a, terms: special.softmax(rows(terms))),
     'the prior of the codes is missing'),
    (lesson08.complete, complete_of(lambda a, terms: np.exp(a)), 'the mean over the prior'),
    (lesson08.complete, complete_of(lambda a, terms: special.softmax(a + terms.mean(axis=1))),
     'it is their sum'),
    (lesson08.complete, lambda e, log_prior, x, seen: special.expit(
        special.softmax(log_prior + rows(log_prob_terms(x, e)[:, seen])) @ e), 'averages logits'),
    (lesson08.complete, complete_of(
        lambda a, terms: np.eye(len(a))[np.argmax(a + rows(terms))]), 'the most probable code'),
    (lesson08.complete, complete_of(lambda a, terms: np.exp(a + rows(terms))), 'sum to 1'),
    (lesson08.complete, complete_of(lambda a, terms: a + rows(terms)), 'weighted by logarithms'),
    (lesson08.complete, lambda *a: special.logit(complete(*a)), 'these are logits'),
    (lesson08.complete, lambda e, log_prior, x, seen: complete(e, log_prior, x, seen)[~seen],
     'return all of them'),
    (lesson08.complete, lambda *a: complete(*a)[:, None] * np.ones(3), 'the shape is'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson08.z_by_hand, lesson08.kl_by_hand, lesson08.quantile, lesson08.loss_without_z,
        lesson08.vae_loss, lesson08.complete)
