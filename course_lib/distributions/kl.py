"""Kullback-Leibler divergences: who computes which pair, and the Monte Carlo way out.

The closed forms stand next to their distributions and are registered with Chainer's own
``chainer.register_kl``; ``chainer.kl_divergence`` finds them. This module makes Chainer's table
look up base classes too, and answer a missing pair with a sentence.
"""
from typing import NamedTuple

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions.independent import Independent

register_kl = chainer.register_kl


class _Registry(dict):
    """Chainer's table of pairs; a pair that is missing is looked up through its base classes."""

    def __missing__(self, pair):
        p, q = pair
        found = [(i + j, self[a, b])
                 for i, a in enumerate(p.__mro__) for j, b in enumerate(q.__mro__)
                 if (a, b) in self]
        if not found:
            raise NotImplementedError(
                f'no closed form is registered for KL({p.__name__} || {q.__name__}); register one '
                'with chainer.register_kl, or estimate it with '
                'course_lib.distributions.kl_divergence(p, q, n_samples=10000)')
        return min(found, key=lambda candidate: candidate[0])[1]


# Chainer's kl_divergence indexes this module-level table; a dict that knows base classes in its
# place is the smallest change that gives chainer.kl_divergence subclass dispatch.
chainer.distribution._KLDIVERGENCE = _Registry(chainer.distribution._KLDIVERGENCE)


class MonteCarloKL(NamedTuple):
    """An estimate of a divergence, and how uncertain it is."""

    value: chainer.Variable
    standard_error: object  # array of the same shape


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
        ``(value, standard_error)`` whose standard error is 0 where a closed form was used.

    Raises:
        NotImplementedError: If no closed form is registered and ``n_samples`` is not given.
        ValueError: If ``n_samples`` is less than 2.
        TypeError: If ``p`` or ``q`` is not a distribution.
    """
    for name, value in (('p', p), ('q', q)):
        if not isinstance(value, chainer.distribution.Distribution):
            raise TypeError(f'{name} must be a distribution; got {type(value).__name__}')
    if n_samples is None:
        return chainer.kl_divergence(p, q)
    if not isinstance(n_samples, (int, numpy.integer)) or n_samples < 2:
        raise ValueError(f'n_samples must be a whole number, 2 or more; got {n_samples!r}')
    try:
        closed = chainer.kl_divergence(p, q)
    except NotImplementedError:
        x = p.sample(n_samples, rng=rng)
        difference = p.log_prob(x) - q.log_prob(x)
        error = difference.array.std(axis=0, ddof=1) / n_samples ** 0.5
        return MonteCarloKL(F.mean(difference, axis=0), error)
    return MonteCarloKL(closed, closed.xp.zeros_like(closed.array))


def cross_entropy(p, q):
    """-E_p[log q(x)] = entropy of p + KL(p || q), in nats."""
    return p.entropy + kl_divergence(p, q)


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
