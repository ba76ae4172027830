"""How good a trained model is. Every function runs without a graph and in bounded memory.

``model`` is always a loss of :mod:`course_lib.models.vae.objectives`, or any object with the links
``encoder``, ``decoder`` and ``prior``.
"""
import contextlib
import math
from typing import NamedTuple

import chainer
from chainer import functions as F
import numpy

from course_lib.devices import to_numpy
from course_lib.distributions.kl import has_closed_form
from course_lib.numerics import random

# Numbers in the largest array made at a time, one a pixel of every decoded image: 16 MB.
_BUDGET = 4 << 20


class Likelihood(NamedTuple):
    """Estimates for each image, float64 arrays of shape ``(n,)``; see :func:`log_likelihood`."""

    estimate: numpy.ndarray           # log (1/k) sum_j w_j, in nats
    elbo: numpy.ndarray               # (1/k) sum_j log w_j, in nats
    effective_samples: numpy.ndarray  # (sum w)^2 / sum w^2: of k draws, how many counted


class RateDistortion(NamedTuple):
    """The two parts of minus the ELBO, for each image; see :func:`rate_distortion`."""

    rate: numpy.ndarray        # KL(q || p), in nats
    distortion: numpy.ndarray  # -E_q log p(x | z), in nats


class ActiveUnits(NamedTuple):
    """Which latent dimensions are in use; see :func:`active_units`."""

    variance: numpy.ndarray   # of the posterior mean over images, one a dimension
    is_active: numpy.ndarray  # of bool


def log_likelihood(model, x, k=5000, rng=None):
    r"""Estimates log p(x) of each image by importance sampling from the encoder.

    .. math:: \log p(x) \approx \log \frac{1}{k} \sum_{j=1}^{k}
        \frac{p(x \mid z_j)\, p(z_j)}{q(z_j \mid x)}, \qquad z_j \sim q(z \mid x)

    On average the estimate is a lower bound, which rises to log p(x) as k grows. Where
    ``effective_samples`` is near 1, one lucky draw made the estimate, and it is far too low.
    The k samples are streamed: memory does not depend on k.

    Args:
        model: The trained model.
        x: Array of shape ``(n, n_in)``, on the device of the model.
        k (int): Number of samples of z an image.
        rng: Seed or generator, see :mod:`course_lib.numerics.random`.

    Returns:
        Likelihood: ``estimate``, the average ``elbo`` of the same samples, ``effective_samples``.

    Raises:
        ValueError: If ``k`` is not a whole number, 1 or more, or ``x`` is not made of images.

    Source: Burda, Grosse and Salakhutdinov (2016), Importance Weighted Autoencoders, eq. 8 and
    sec. 5; Kong (1992) for the effective number of samples.
    """
    _check_k(k)
    rng = None if rng is None else random.generator(chainer.backend.get_array_module(x), rng)
    parts = []
    with _inference():
        for rows in _rows(x, max(1, _budget(x) // (x.shape[-1] * min(k, 50)))):
            step = max(1, _budget(x) // (len(rows) * x.shape[-1]))
            q = model.encoder(rows)
            total = _Streamed(len(rows))
            for start in range(0, k, step):
                z = q.sample(min(step, k - start), rng=rng)
                total.add(to_numpy(model.decoder(z).log_prob(rows) + model.prior().log_prob(z)
                                   - q.log_prob(z)).astype(numpy.float64))
            parts.append(total.result())
    return Likelihood(*numpy.concatenate(parts, axis=1))


def _budget(x):
    """The budget on the device of x: a GPU works in longer strides, or it waits for Python."""
    return _BUDGET if isinstance(x, numpy.ndarray) else 16 * _BUDGET


class _Streamed:
    """Running sums over w, w^2 and log w, of weights given by their logarithms."""

    def __init__(self, n):
        self.count, self.sum_log = 0, numpy.zeros(n)
        self.largest, self.sum, self.sum_squares = numpy.full(n, -numpy.inf), 0., 0.

    def add(self, log_w):
        largest = numpy.maximum(self.largest, log_w.max(axis=0))
        shrink = numpy.exp(self.largest - largest)
        w = numpy.exp(log_w - largest)
        self.sum = self.sum * shrink + w.sum(axis=0)
        self.sum_squares = self.sum_squares * shrink ** 2 + (w * w).sum(axis=0)
        self.sum_log = self.sum_log + log_w.sum(axis=0)
        self.largest, self.count = largest, self.count + len(log_w)

    def result(self):
        return (self.largest + numpy.log(self.sum / self.count), self.sum_log / self.count,
                self.sum ** 2 / self.sum_squares)


def rate_distortion(model, x, k=1, rng=None):
    r"""The two parts of minus the ELBO of each image.

    .. math:: \mathrm{rate} = \mathrm{KL}\bigl(q(z \mid x) \,\|\, p(z)\bigr), \qquad
        \mathrm{distortion} = -\mathbb E_{q(z \mid x)} \log p(x \mid z)

    Args:
        model: The trained model.
        x: Array of shape ``(n, n_in)``, on the device of the model.
        k (int): Number of samples of z an image, for the distortion (and for the rate, where the
            pair q, p has no closed form).
        rng: Seed or generator, see :mod:`course_lib.numerics.random`.

    Returns:
        RateDistortion: float64 arrays of shape ``(n,)``, in nats.

    Raises:
        ValueError: If ``k`` is not a whole number, 1 or more, or ``x`` is not made of images.

    Source: Alemi et al. (2018), Fixing a broken ELBO, sec. 2.
    """
    _check_k(k)
    rng = None if rng is None else random.generator(chainer.backend.get_array_module(x), rng)
    parts = []
    with _inference():
        p = model.prior()
        for rows in _rows(x, max(1, _budget(x) // (x.shape[-1] * k))):
            q = model.encoder(rows)
            z = q.sample(k, rng=rng)
            rate = (chainer.kl_divergence(q, p) if has_closed_form(q, p)
                    else F.mean(q.log_prob(z) - p.log_prob(z), axis=0))
            distortion = -F.mean(model.decoder(z).log_prob(rows), axis=0)
            parts.append([to_numpy(rate), to_numpy(distortion)])
    return RateDistortion(*numpy.concatenate(parts, axis=1).astype(numpy.float64))


def active_units(model, x, threshold=0.01):
    r"""Which latent dimensions carry information about the image.

    A dimension is active if the mean of q(z_j | x) changes from image to image:

    .. math:: \mathrm{Var}_x\bigl(\mathbb E_{q(z \mid x)}[z_j]\bigr) > 0.01

    Args:
        model: The trained model.
        x: Array of shape ``(n, n_in)``, on the device of the model.
        threshold (float): The variance above which a dimension counts as active.

    Returns:
        ActiveUnits: ``variance`` and ``is_active``, arrays of shape ``(n_latent,)``.

    Raises:
        ValueError: If ``x`` is not made of images.

    Source: Burda, Grosse and Salakhutdinov (2016), Importance Weighted Autoencoders, sec. 5.2.
    """
    with _inference():
        means = [to_numpy(model.encoder(rows).mean) for rows in _rows(x, 1000)]
    variance = numpy.concatenate(means).var(axis=0, dtype=numpy.float64)
    return ActiveUnits(variance, variance > threshold)


def bits_per_dim(log_likelihood, n_pixels):
    r"""Converts nats an image to bits a pixel: -log p(x) / (n_pixels log 2).

    Args:
        log_likelihood: A number or array, in nats an image.
        n_pixels (int): Number of pixels of an image.

    Returns:
        The same number or array in bits a pixel, where less is better.

    Raises:
        ValueError: If ``n_pixels`` is less than 1.

    Example:
        >>> round(bits_per_dim(-64 * math.log(17), 64), 3)   # 17 equally likely levels
        4.087
    """
    if n_pixels < 1:
        raise ValueError(f'n_pixels must be 1 or more; got {n_pixels!r}')
    return -log_likelihood / (n_pixels * math.log(2))


def _check_k(k):
    if isinstance(k, bool) or not isinstance(k, (int, numpy.integer)) or k < 1:
        raise ValueError(f'k must be a whole number of samples, 1 or more; got {k!r}')


def _rows(x, n):
    """Parts of ``x``, of up to ``n`` rows each."""
    if x.ndim != 2 or not len(x):
        raise ValueError('x must have the shape (number of images, number of pixels), with at '
                         f'least one image; got {x.shape}')
    return (x[start:start + n] for start in range(0, len(x), n))


@contextlib.contextmanager
def _inference():
    """No graph, and links as they are after training."""
    with chainer.no_backprop_mode(), chainer.using_config('train', False):
        yield
