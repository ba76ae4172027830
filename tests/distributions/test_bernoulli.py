"""Bernoulli: accuracy, identities, defects of other libraries, and bad input."""
import chainer
import mpmath
import numpy
import pytest

import accuracy
import course_lib.distributions as D

LOGITS = [-1e4, -800, -100, -20, -3, -0.5, -1e-8, 0, 1e-8, 0.7, 5, 20, 100, 1e4]
PS = [1e-30, 1e-8, 0.02, 0.3, 0.5, 0.9, 0.999]


def log_prob_of_logit(x, logit):
    return -mpmath.log1p(mpmath.exp(-logit if x else logit))


def log_prob_of_p(x, p):
    return mpmath.log(p) if x else mpmath.log1p(-p)


@pytest.mark.parametrize('logit', LOGITS)
@pytest.mark.parametrize('x', [0, 1])
def test_log_prob_of_logit_is_accurate(x, logit):
    accuracy.check(lambda x, logit: D.Bernoulli(logit=logit).log_prob(x),
                   log_prob_of_logit, {'logit': logit}, x)


@pytest.mark.parametrize('p', PS)
@pytest.mark.parametrize('x', [0, 1])
def test_log_prob_of_p_is_accurate(x, p):
    accuracy.check(lambda x, p: D.Bernoulli(p=p).log_prob(x), log_prob_of_p, {'p': p}, x)


@pytest.mark.parametrize('logit', LOGITS)
def test_entropy_is_accurate(logit):
    def entropy(logit):
        a = mpmath.mpf(logit)
        return mpmath.log1p(mpmath.exp(a)) - a / (1 + mpmath.exp(-a))
    accuracy.check(lambda logit: D.Bernoulli(logit=logit).entropy, entropy, {'logit': logit})


@pytest.mark.parametrize('z1', LOGITS)
@pytest.mark.parametrize('z2', [-1e4, -100, -2, 0, 1e-4, 0.5001, 3, 100, 1e4])
def test_kl_is_accurate(z1, z2):
    def kl(z1, z2):
        s = mpmath.mpf(1) / (1 + mpmath.exp(-z1))
        return (mpmath.log1p(mpmath.exp(z2)) - mpmath.log1p(mpmath.exp(z1)) - s * (z2 - z1))
    accuracy.check(
        lambda z1, z2: chainer.kl_divergence(D.Bernoulli(logit=z1), D.Bernoulli(logit=z2)),
        kl, {'z1': z1, 'z2': z2})
