"""Kullback-Leibler divergences: who computes which pair, and the Monte Carlo way out.

The closed forms stand next to their distributions and are registered with Chainer's own
``chainer.register_kl``; ``chainer.kl_divergence`` finds them. This module makes Chainer's table
look up base classes too, and answer a missing pair with a sentence.
"""
from typing import NamedTuple

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions.checks import validation
from course_lib.distributions.independent import Independent, sample_n_of

register_kl = chainer.register_kl


class NoClosedForm(NotImplementedError, KeyError):
    """No closed form is registered for a pair; a ``KeyError`` too, because Chainer raises that."""

    __str__ = Exception.__str__   # that of KeyError puts quotation marks around the sentence


class _Registry(dict):
    """Chainer's table of pairs; a pair that is missing is looked up through its base classes."""

    def __missing__(self, pair):
        p, q = pair
        found = [(i + j, self[a, b])
                 for i, a in enumerate(p.__mro__) for j, b in enumerate(q.__mro__)
                 if (a, b) in self]
        if not found:
            names = [c.__name__ for c in pair]
            if names[0] == names[1] and p is not q:   # one of Chainer's, one of this package
                names = [f'{c.__module__}.{c.__name__}' for c in pair]
            raise NoClosedForm(
                f'no closed form is registered for KL({" || ".join(names)}); register one '
                'with chainer.register_kl, or estimate it with '
                'course_lib.distributions.kl_divergence(p, q, n_samples=10000)')
        return min(found, key=lambda candidate: candidate[0])[1]


# Chainer's kl_divergence indexes this module-level table; a dict that knows base classes in its
# place is the smallest change that gives chainer.kl_divergence subclass dispatch.
chainer.distribution._KLDIVERGENCE = _Registry(chainer.distribution._KLDIVERGENCE)


class MonteCarloKL(NamedTuple):
    """An estimate of a divergence, and how uncertain it is."""

    value: chainer.Variable
    standard_error: object  # array of the same shape; NaN where an estimate is infinite


def kl_divergence(p, q, n_samples=None, rng=None):
    """KL(p || q) = E_p[log p(x) - log q(x)], in nats.

    Args:
        p (Distribution): The distribution that the expectation is taken over.
        q (Distribution): The distribution that it is compared with.
        n_samples (int): If given, and no closed form is registered for the pair, estimate the
            divergence from that many samples of ``p``.
        rng: Seed or generator for the samples; see :meth:`Distribution.sample`.

    Returns:
        chainer.Variable of the batch's shape; with ``n_samples``, :class:`MonteCarloKL`, a pair
        ``(value, standard_error)`` whose standard error is 0 where a closed form was used. The
        gradient of an estimate goes through the samples where they have one, and else is that of
        the score-function estimator (Mohamed et al., 2020, Monte Carlo Gradient Estimation in
        Machine Learning, sec. 4).

    Raises:
        NotImplementedError: If no closed form is registered and ``n_samples`` is not given.
        ValueError: If ``n_samples`` is less than 2, or the batches do not broadcast.
        TypeError: If ``p`` or ``q`` is not a distribution.
    """
    for name, value in (('p', p), ('q', q)):
        if not isinstance(value, chainer.distribution.Distribution):
            raise TypeError(f'{name} must be a distribution; got {type(value).__name__}')
    try:
        numpy.broadcast_shapes(p.batch_shape, q.batch_shape)
    except ValueError:
        raise ValueError(f'the batch_shape {p.batch_shape} of p does not broadcast with the '
                         f'batch_shape {q.batch_shape} of q') from None
    if n_samples is None:
        return chainer.kl_divergence(p, q)
    if not isinstance(n_samples, (int, numpy.integer)) or n_samples < 2:
        raise ValueError(f'n_samples must be a whole number, 2 or more; got {n_samples!r}')
    try:
        closed = chainer.kl_divergence(p, q)
    except NotImplementedError:
        return _estimate(p, q, n_samples, rng)
    return MonteCarloKL(closed, closed.xp.zeros_like(closed.array))


def _estimate(p, q, n, rng):
    x = sample_n_of(p, n, rng)
    moves = getattr(p, 'has_rsample', False)   # the score function is right for all
    if not moves:
        x = chainer.as_variable(x.array)
    lead = len(q.batch_shape) - len(p.batch_shape)
    if lead > 0:   # axes on which the draws of p broadcast against the batch of q
        x = F.reshape(x, (n,) + (1,) * lead + x.shape[1:])
    log_p = p.log_prob(x)
    with validation(False):   # what q excludes is no mistake: its log_prob is -inf
        of_p, of_q = _promoted(log_p, q.log_prob(x))
    difference = of_p - of_q
    xp, values = difference.xp, difference.array
    with numpy.errstate(invalid='ignore'):
        error = xp.asarray(values.std(axis=0, ddof=1) / n ** 0.5)
        # The mean of the other n - 1 draws as a baseline: it calms the estimator, without a bias.
        signal = (values - values.mean(axis=0)) * (n / (n - 1))
    value = F.mean(difference, axis=0)
    if not moves:
        signal = xp.where(xp.isfinite(signal), signal, 0).astype(log_p.dtype, copy=False)
        score = F.mean(signal * (log_p - log_p.array), axis=0)   # 0, with the gradient wanted
        value += F.cast(score, value.dtype)
    return MonteCarloKL(value, error)


def _promoted(a, b):
    """Two variables in the dtype that both promote to."""
    dtype = numpy.result_type(a.dtype, b.dtype)
    return F.cast(a, dtype), F.cast(b, dtype)


def cross_entropy(p, q):
    """-E_p[log q(x)] = entropy of p + KL(p || q), in nats; arguments as :func:`kl_divergence`."""
    entropy, kl = _promoted(p.entropy, kl_divergence(p, q))
    return entropy + kl


def has_closed_form(p, q):
    """Whether :func:`kl_divergence` finds a registered formula for this pair of distributions.

    Args:
        p, q (Distribution): As for :func:`kl_divergence`.

    Returns:
        bool: Whether it does. An ``Independent`` has one if what it is made of has.
    """
    if isinstance(p, Independent) and isinstance(q, Independent):
        return has_closed_form(p.distribution, q.distribution)
    try:
        chainer.distribution._KLDIVERGENCE[type(p), type(q)]
    except NotImplementedError:
        return False
    return True
