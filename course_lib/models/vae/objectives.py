"""What a variational autoencoder maximises. Each class is a loss, to be minimised."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions.kl import has_closed_form
from course_lib.numerics.node import Node, constant


class _Loss(chainer.Chain):
    """An encoder, a decoder and a prior, trained together."""

    def __init__(self, encoder, decoder, prior, k):
        for name, link in (('encoder', encoder), ('decoder', decoder), ('prior', prior)):
            if not isinstance(link, chainer.Link):
                raise TypeError(f'{name} must be a chainer.Link that returns a distribution; '
                                f'got {type(link).__name__}')
        if isinstance(k, bool) or not isinstance(k, (int, numpy.integer)) or k < 1:
            raise ValueError(f'k must be a whole number of samples, 1 or more; got {k!r}')
        super().__init__()
        self.k = int(k)
        with self.init_scope():
            self.encoder = encoder
            self.decoder = decoder
            self.prior = prior

    def forward(self, x, rng=None):
        """The loss of a batch of images; a scalar variable.

        Args:
            x: Array of shape ``(n, n_in)``.
            rng: Seed or generator for the samples, see :mod:`course_lib.numerics.random`.

        Raises:
            ValueError: If encoder or decoder return distributions of single numbers instead of
                whole codes and images.
        """
        q_z = self._of_whole_images('encoder', self.encoder(x), (len(x),))
        z = q_z.sample(self.k, rng=rng)
        p_x = self._of_whole_images('decoder', self.decoder(z), (self.k, len(x)))
        log_likelihood = p_x.log_prob(x)                     # (k, n)
        loss, kl = self._loss_and_kl(log_likelihood, q_z, z)
        chainer.report({'loss': loss, 'reconstr': log_likelihood.array.mean(),
                        'kl_penalty': kl.array.mean()}, self)
        return loss

    def _loss_and_kl(self, log_likelihood, q_z, z):
        """The loss, and the divergence of each image, or of each of its samples, to report."""
        raise NotImplementedError

    def _of_whole_images(self, name, distribution, shape):
        """The distribution; were it one of single numbers, the loss would be another."""
        if distribution.batch_shape != shape:
            raise ValueError(f'{type(self).__name__}: {name} must return a distribution of '
                             f'batch_shape {shape}, one for each image; got '
                             f'{distribution.batch_shape}: wrap it in D.Independent')
        return distribution


class _MeanDifference(Node):
    """beta mean(x) - mean(y), in one node."""

    def __init__(self, beta):
        super().__init__()
        self.beta = float(beta)

    def forward(self, inputs):
        x, y = inputs
        xp = chainer.backend.get_array_module(x)
        return xp.asarray(self.beta * x.mean() - y.mean(), numpy.result_type(x, y)),

    def backward(self, indexes, grad_outputs):
        g, = grad_outputs
        factors = [(self.beta, -1.)[i] / math.prod(self.inputs[i].shape) for i in indexes]
        nodes = [self.inputs[i] for i in indexes]
        if chainer.config.enable_backprop:
            return tuple(F.broadcast_to(F.cast(g * factor, node.dtype), node.shape)
                         for node, factor in zip(nodes, factors))
        gradients = [g.xp.empty(node.shape, node.dtype) for node in nodes]
        for gradient, factor in zip(gradients, factors):
            gradient[...] = g.array * factor
        return tuple([constant(gradient) for gradient in gradients])


class AvgELBOLoss(_Loss):
    r"""Minus the evidence lower bound (ELBO), averaged over the images of a batch.

    .. math:: \mathrm{loss} = -\frac{1}{n} \sum_{i=1}^{n} \Bigl(
        \frac{1}{k} \sum_{j=1}^{k} \log p(x_i \mid z_{ij})
        - \beta\, \mathrm{KL}\bigl(q(z \mid x_i) \,\|\, p(z)\bigr) \Bigr),
        \qquad z_{ij} \sim q(z \mid x_i)

    The divergence is in closed form where one is registered; for another prior, such as a mixture
    or a flow, it is the mean of log q(z) - log p(z) over the same samples.

    Reports ``loss``, ``reconstr`` (the first term, in nats an image) and ``kl_penalty`` (the
    divergence, not multiplied by beta).

    Args:
        encoder (chainer.Link): Returns q(z | x), from which a sample can be differentiated.
        decoder (chainer.Link): Returns p(x | z).
        prior (chainer.Link): Returns p(z).
        beta (float): Weight of the divergence; an attribute that may change during training.
        k (int): Number of samples of z an image.

    Raises:
        TypeError: If one of the three is not a link, or ``beta`` not a number.
        ValueError: If ``k`` is not a whole number, 1 or more, or ``beta`` is negative or NaN.

    Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes, eqs. 3 and 10; with beta,
    Higgins et al. (2017), beta-VAE, eq. 4. Names and signature are those of Chainer's VAE example.
    """

    recordable = True   # as a CUDA graph: it depends on nothing but its links' attributes

    def __init__(self, encoder, decoder, prior, beta=1.0, k=1):
        super().__init__(encoder, decoder, prior, k)
        if isinstance(beta, bool) or not isinstance(beta, (int, float, numpy.number)):
            raise TypeError(f'beta must be a number; got {beta!r}')
        if not 0 <= beta < math.inf:
            raise ValueError(f'beta must be a finite number, 0 or more; got {beta!r}')
        self.beta = beta

    def _loss_and_kl(self, log_likelihood, q_z, z):
        kl, penalty = self.penalty(q_z, self.prior(), z)
        return _MeanDifference(self.beta).apply((penalty, log_likelihood))[0], kl

    def penalty(self, q_z, p_z, z):
        """The divergence of q from p of each image, and what of it enters the loss: here, all.

        Returns:
            A pair of variables that broadcast to shape ``(k, n)``; the loss takes their mean.
        """
        if has_closed_form(q_z, p_z):
            kl = chainer.kl_divergence(q_z, p_z)
        else:
            kl = q_z.log_prob(z) - p_z.log_prob(z)
        return kl, kl


class FreeBitsLoss(AvgELBOLoss):
    r"""The ELBO with free bits: the first lambda nats of each latent dimension cost nothing.

    .. math:: \mathrm{penalty} = \sum_j \max\Bigl(\lambda,\
        \frac{1}{n} \sum_i \mathrm{KL}\bigl(q(z_j \mid x_i) \,\|\, p(z_j)\bigr)\Bigr)

    Below lambda, the gradient no longer pushes a dimension towards the prior, so that the decoder
    has time to find a use for it. Reports as :class:`AvgELBOLoss`; ``kl_penalty`` is the true one.

    Args:
        encoder, decoder, prior, k: As for :class:`AvgELBOLoss`; q and p must be ``Independent``
            distributions of the same form, such as Normals.
        free_nats (float): lambda, in nats a dimension, 0 or more.

    Raises:
        TypeError, ValueError: As :class:`AvgELBOLoss`; if ``free_nats`` is negative or NaN.

    Source: Kingma et al. (2016), Improved variational inference with inverse autoregressive flow,
    appendix C.8 (eq. 15).
    """

    recordable = True   # as a CUDA graph: it depends on nothing but its links' attributes

    def __init__(self, encoder, decoder, prior, free_nats, k=1):
        super().__init__(encoder, decoder, prior, k=k)
        if not isinstance(free_nats, (int, float, numpy.number)) or not (
                0 <= free_nats < math.inf):
            raise ValueError(f'free_nats must be a finite number, 0 or more; got {free_nats!r}')
        self.free_nats = free_nats

    def penalty(self, q_z, p_z, z):
        parts = chainer.kl_divergence(q_z.distribution, p_z.distribution)   # (n, n_latent)
        each = F.mean(parts, axis=0)
        free = self.xp.full_like(each.array, self.free_nats)
        return F.sum(parts, axis=1), F.sum(F.maximum(each, free))


class IWAELoss(_Loss):
    r"""Minus the importance-weighted bound, averaged over the images of a batch.

    .. math:: \mathcal L_k = \mathbb E\Bigl[\log \frac{1}{k} \sum_{j=1}^{k} w_j\Bigr], \qquad
        w_j = \frac{p(x \mid z_j)\, p(z_j)}{q(z_j \mid x)}, \quad z_j \sim q(z \mid x)

    For k = 1 it is the ELBO; it rises with k towards the log-evidence log p(x).

    Reports ``loss``, and of the same samples the parts of the ELBO, ``reconstr`` and
    ``kl_penalty`` (the mean of log q - log p).

    Args:
        encoder, decoder, prior: As for :class:`AvgELBOLoss`.
        k (int): Number of samples of z an image.

    Raises:
        TypeError, ValueError: As :class:`AvgELBOLoss`.

    Source: Burda, Grosse and Salakhutdinov (2016), Importance Weighted Autoencoders, eq. 8.
    """

    recordable = True   # as a CUDA graph: it depends on nothing but its links' attributes

    def _loss_and_kl(self, log_likelihood, q_z, z):
        log_ratio = q_z.log_prob(z) - self.prior().log_prob(z)
        # log-sum-exp: the weights themselves, e^-110 and less, are 0 in float32.
        bound = F.logsumexp(log_likelihood - log_ratio, axis=0) - math.log(self.k)
        return -F.mean(bound), log_ratio
