"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import math

import chainer
import numpy as np
import pytest
from scipy import stats
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib import datasets
from course_lib.check import exercise, lesson07
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED
LOG_P = stats.norm(0, 5 ** 0.5).logpdf(3)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
ELBO = -HALF_LOG_2PI - 0.9 - 0.5 * (0.2 - math.log(0.2))
K = 10
TRAIN, TEST = datasets.load_digits().split()


def elbo_and(bound):
    """A wrong bound, and the gap that belongs to it."""
    return [bound, LOG_P - bound]


def large_matrix(x, W, mu, sigma):
    return stats.multivariate_normal(mu, W @ W.T + sigma ** 2 * np.eye(len(W))).logpdf(x)


def by_library(x, W, mu, sigma):
    covariance = W @ W.T + sigma ** 2 * np.eye(len(W))
    return D.MultivariateNormal(mu, scale_tril=np.linalg.cholesky(covariance)).log_prob(x)


def by_lemma(x, W, mu, sigma):
    """The matrix determinant lemma and Woodbury's identity, with small matrices only."""
    M, centred = W.T @ W + sigma ** 2 * np.eye(W.shape[1]), x - mu
    n = len(W)
    log_det = np.linalg.slogdet(M)[1] + 2 * (n - len(M)) * np.log(sigma)
    projected = centred @ W
    inside = ((centred ** 2).sum(axis=1)
              - (projected @ np.linalg.inv(M) * projected).sum(axis=1))
    return -0.5 * (n * np.log(2 * np.pi) + log_det + inside / sigma ** 2)


def by_log_joint(x, W, mu, sigma):
    return log_joint(x, np.zeros((len(x), W.shape[1])))


def by_K(x, W, mu, sigma):
    return x @ W @ np.zeros(K)


def log_joint(x, z):
    """The lesson's, which keeps to a W of ten causes and 64 pixels."""
    return stats.norm(z @ np.ones((10, 64))).logpdf(x).sum(axis=1)


def by_bayes(x, W, mu, sigma, at=None, prior=1, posterior=1, covariance=None, squared=False):
    """log p(x | z) + log p(z) - log p(z | x) at any z; the options are mistakes."""
    inverse = np.linalg.inv(W.T @ W + sigma ** 2 * np.eye(W.shape[1]))
    mean = (x - mu) @ W @ inverse
    z = mean if at == 'mean' else (at or 0) * np.ones_like(mean)
    spread = sigma ** 2 * inverse if covariance is None else covariance(inverse, sigma)
    log_posterior = D.MultivariateNormal(
        mean, scale_tril=np.linalg.cholesky(spread)).log_prob(z).array
    scale = sigma ** 2 if squared else sigma
    return (stats.norm(z @ W.T + mu, scale).logpdf(x).sum(axis=1)
            + prior * stats.norm.logpdf(z).sum(axis=1) - posterior * log_posterior)


def share(learned=TRAIN, read=TEST, choose=np.argmax, mean_only=False):
    """The last exercise, done with the library, right or wrong."""
    scores = []
    for digit in range(10):
        x = learned.images[learned.labels == digit].astype(np.float64)
        values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
        variance = values[:-10].mean()
        W = vectors[:, -10:] * np.sqrt(values[-10:] - variance)
        if mean_only:
            scores.append(-((read.images - x.mean(axis=0)) ** 2).sum(axis=1))
        else:
            scores.append(by_library(read.images, W, x.mean(axis=0), np.sqrt(variance)).array)
    return (choose(scores, axis=0) == read.labels).mean()


SHARE = share()

CASES = [
    (lesson07.log_evidence_of_3, LOG_P, 'Correct.'),
    (lesson07.log_evidence_of_3, D.Normal(loc=0., scale=5 ** 0.5).log_prob(3.), 'Correct.'),
    (lesson07.log_evidence_of_3, np.float32(-2.6237), 'Correct.'),
    (lesson07.log_evidence_of_3, ..., NOT_YET),
    (lesson07.log_evidence_of_3, stats.norm(0, 2).logpdf(3), 'the noise adds its own variance'),
    (lesson07.log_evidence_of_3, stats.norm(0, 1).logpdf(3), 'if the cause is 0'),
    (lesson07.log_evidence_of_3, stats.norm(2, 1).logpdf(3), 'if the cause is 1'),
    (lesson07.log_evidence_of_3, stats.norm(0, 3 ** 0.5).logpdf(3), 'the square of W'),
    (lesson07.log_evidence_of_3, stats.norm(0, 3).logpdf(3), 'not their standard deviations'),
    (lesson07.log_evidence_of_3, stats.norm(0, 5).logpdf(3), 'here the variance was squared'),
    (lesson07.log_evidence_of_3, stats.norm(0, 5 ** 0.25).logpdf(3), 'for the variance'),
    (lesson07.log_evidence_of_3, LOG_P + 0.9, 'the square of x - m is missing'),
    (lesson07.log_evidence_of_3, -0.9, 'with the logarithm is missing'),
    (lesson07.log_evidence_of_3, LOG_P + HALF_LOG_2PI, 'the 2 pi is missing'),
    (lesson07.log_evidence_of_3, -LOG_P, 'the sign is wrong'),
    (lesson07.log_evidence_of_3, math.exp(LOG_P), 'the probability itself'),
    (lesson07.log_evidence_of_3, LOG_P / math.log(2), 'in bits'),
    (lesson07.log_evidence_of_3, -9., 'too small'),

    (lesson07.mean_and_variance, [1.2, 0.2], 'Correct.'),
    (lesson07.mean_and_variance, (np.float32(1.2), 1 / 5), 'Correct.'),
    (lesson07.mean_and_variance, chainer.Variable(np.array([1.2, 0.2])), 'Correct.'),
    (lesson07.mean_and_variance, [1.2, ...], NOT_YET),
    (lesson07.mean_and_variance, [0.2, 1.2], 'the mean comes first'),
    (lesson07.mean_and_variance, [1.5, 0.25], 'this forgets the prior'),
    (lesson07.mean_and_variance, [1.5, 0.2], 'the mean forgets the prior'),
    (lesson07.mean_and_variance, [1.2, 0.2 ** 0.5], 'the standard deviation'),
    (lesson07.mean_and_variance, [1.2, 5], 'the precision'),
    (lesson07.mean_and_variance, [30, 0.2], 'the mean divides by M'),
    (lesson07.mean_and_variance, [6, 0.2], 'the inverse of M is missing'),
    (lesson07.mean_and_variance, [0.6, 0.2], 'the factor W is missing'),
    (lesson07.mean_and_variance, [0, 5], 'before it is seen'),
    (lesson07.mean_and_variance, [0, 1], 'this is the prior'),
    (lesson07.mean_and_variance, [1.2, 0.3], '1 of 2 numbers'),

    (lesson07.elbo_and_gap, [ELBO, LOG_P - ELBO], 'Correct.'),
    (lesson07.elbo_and_gap, np.array([ELBO, 0.1], np.float32), 'Correct.'),
    (lesson07.elbo_and_gap, [ELBO, chainer.kl_divergence(D.Normal(1., 0.2 ** 0.5),
                                                         D.Normal(1.2, 0.2 ** 0.5))], 'Correct.'),
    (lesson07.elbo_and_gap, ..., NOT_YET),
    (lesson07.elbo_and_gap, [0.1, ELBO], 'the ELBO comes first'),
    (lesson07.elbo_and_gap, [-1.819, 0.905], 'the two parts of the ELBO'),
    (lesson07.elbo_and_gap, [ELBO, -0.1], 'so it is positive'),
    (lesson07.elbo_and_gap, [ELBO, 0.5 * (0.2 - math.log(0.2))], 'the divergence from the prior'),
    (lesson07.elbo_and_gap, [ELBO, LOG_P], 'take the ELBO off it'),
    (lesson07.elbo_and_gap, elbo_and(ELBO + 0.2 - math.log(0.2)), 'taken off, not added'),
    (lesson07.elbo_and_gap, elbo_and(-HALF_LOG_2PI - 0.9), 'from the prior is missing'),
    (lesson07.elbo_and_gap, elbo_and(-0.5 * (0.2 - math.log(0.2))), 'explains the picture is'),
    (lesson07.elbo_and_gap, elbo_and(ELBO + 0.4), 'the term 4 v is missing'),
    (lesson07.elbo_and_gap, elbo_and(ELBO - 0.4), 'half of 4 v too'),
    (lesson07.elbo_and_gap, elbo_and(-HALF_LOG_2PI - 0.58 - 0.5 * (0.04 - math.log(0.04))),
     'the variance already'),
    (lesson07.elbo_and_gap, elbo_and(ELBO - math.log(0.2)), 'the logarithm has a minus'),
    (lesson07.elbo_and_gap, elbo_and(ELBO - 0.5 * (0.2 - math.log(0.2))), 'a factor of one half'),
    (lesson07.elbo_and_gap, elbo_and(-HALF_LOG_2PI - 0.9 - 0.1), 'the logarithm is missing'),
    (lesson07.elbo_and_gap, elbo_and(ELBO - 0.5), 'the minus 1 is missing'),
    (lesson07.elbo_and_gap, elbo_and(ELBO + HALF_LOG_2PI), 'the 2 pi in the density of x'),
    (lesson07.elbo_and_gap, [ELBO + HALF_LOG_2PI, 0.1], 'the 2 pi in the density of x'),
    (lesson07.elbo_and_gap, [ELBO + HALF_LOG_2PI, 0.1 + HALF_LOG_2PI], 'the 2 pi in the density'),
    (lesson07.elbo_and_gap, [ELBO, 0.1 + HALF_LOG_2PI], 'in the log-evidence, the 2 pi'),
    (lesson07.elbo_and_gap, elbo_and(ELBO - HALF_LOG_2PI), 'carries a factor of one half'),
    (lesson07.elbo_and_gap, [ELBO, 0.5], '1 of 2 numbers'),

    (lesson07.lacking, 0.5 * math.log(25 / 9), 'Correct.'),
    (lesson07.lacking, math.log(5 / 3), 'Correct.'),
    (lesson07.lacking, np.float32(0.5108), 'Correct.'),
    (lesson07.lacking, ..., NOT_YET),
    (lesson07.lacking, math.log(25 / 9), 'one half is missing'),
    (lesson07.lacking, -math.log(5 / 3), 'never negative'),
    (lesson07.lacking, math.log2(5 / 3), 'in bits'),
    (lesson07.lacking, 25 / 9, 'take half its logarithm'),
    (lesson07.lacking, 5 / 3, 'take the logarithm'),
    (lesson07.lacking, math.log(5), 'the determinant of P is missing'),
    (lesson07.lacking, -math.log(3), 'the diagonal of P is missing'),
    (lesson07.lacking, 0.5 * math.log(25 / 41), 'takes the product off the diagonal away'),
    (lesson07.lacking, 0.5 * math.log(10 / 9), 'not its numbers'),
    (lesson07.lacking, 0.5 * math.log(5 / 9), 'the diagonal has two numbers'),
    (lesson07.lacking, chainer.kl_divergence(
        D.MultivariateNormal(np.zeros(2), scale_tril=np.eye(2) * (5 / 9) ** 0.5),
        D.MultivariateNormal(np.zeros(2), scale_tril=np.linalg.cholesky(
            np.linalg.inv([[5, 4], [4, 5]])))), "not the posterior's own"),
    (lesson07.lacking, 9., 'too large'),

    (lesson07.ppca_log_evidence, by_bayes, 'Correct.'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, at=0.3), 'Correct.'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, at='mean'), 'Correct.'),
    (lesson07.ppca_log_evidence, by_lemma, 'Correct.'),
    (lesson07.ppca_log_evidence, large_matrix, 'a pixels x pixels matrix was built'),
    (lesson07.ppca_log_evidence, by_library, 'a pixels x pixels matrix was built'),
    (lesson07.ppca_log_evidence, ..., NOT_YET),
    (lesson07.ppca_log_evidence, lambda *v: ..., 'the function returns nothing'),
    (lesson07.ppca_log_evidence, 1., 'write a function'),
    (lesson07.ppca_log_evidence, lambda *v: 1 / 0, 'raised ZeroDivisionError'),
    (lesson07.ppca_log_evidence, lambda *v: -large_matrix(*v), 'the sign is wrong'),
    (lesson07.ppca_log_evidence, lambda *v: large_matrix(*v) / np.log(2), 'in bits'),
    (lesson07.ppca_log_evidence, lambda *v: large_matrix(*v).sum(), 'this is the sum'),
    (lesson07.ppca_log_evidence, lambda *v: large_matrix(*v).mean(), 'this is the mean'),
    (lesson07.ppca_log_evidence, lambda *v: np.exp(large_matrix(*v)), 'the density itself'),
    (lesson07.ppca_log_evidence, lambda x, W, mu, s: large_matrix(x, W, 0 * mu, s),
     'mu is missing'),
    (lesson07.ppca_log_evidence, lambda x, W, mu, s: large_matrix(x, W, mu, s ** 0.5),
     'sigma is the standard deviation'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, prior=0), 'under the prior is missing'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, posterior=0), 'this is log p(x, z)'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, at='mean', posterior=0),
     'log p(x, z) at the mean of the posterior'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, at='mean', prior=0),
     'under the prior is missing'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, at='mean', prior=0, posterior=0), 'alone'),
    (lesson07.ppca_log_evidence, by_log_joint, '`log_joint` belongs to the lesson'),
    (lesson07.ppca_log_evidence, by_K, '`K` belongs to the lesson'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, prior=0, posterior=0), 'alone'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, posterior=-1), 'not added'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, prior=-1), 'log p(z) is added'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, covariance=lambda m, s: m),
     'times the square of sigma'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, covariance=lambda m, s: s * m),
     'the square of sigma, not sigma'),
    (lesson07.ppca_log_evidence, lambda *v: by_bayes(*v, squared=True), 'its square was taken'),
    (lesson07.ppca_log_evidence, lambda *v: large_matrix(*v)[:, None] + 0 * large_matrix(*v),
     'broadcast against each other'),
    (lesson07.ppca_log_evidence, lambda *v: 2 * large_matrix(*v), 'numbers are right'),

    (lesson07.share_read, SHARE, 'Correct.'),
    (lesson07.share_read, np.float32(SHARE), 'Correct.'),
    (lesson07.share_read, ..., NOT_YET),
    (lesson07.share_read, 1 - SHARE, 'read wrongly'),
    (lesson07.share_read, 100 * SHARE, 'in per cent'),
    (lesson07.share_read, round(382 * SHARE), 'divide it by all 382'),
    (lesson07.share_read, share(read=TRAIN), 'the test pictures are asked for'),
    (lesson07.share_read, share(learned=TEST), 'fitted to the test pictures'),
    (lesson07.share_read, share(choose=np.argmin), 'the lowest evidence'),
    (lesson07.share_read, share(mean_only=True), 'the nearest mean picture'),
    (lesson07.share_read, 0.1, 'that chance reads'),
    (lesson07.share_read, 0.5, 'too small'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson07.log_evidence_of_3, lesson07.mean_and_variance, lesson07.elbo_and_gap,
        lesson07.lacking, lesson07.share_read)
