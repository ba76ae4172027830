"""What a trained model has learnt, drawn. Each function returns a figure and its sentence.

The sentence is computed from what is plotted, as :func:`course_lib.show` wants it.
"""
import math

import chainer
from matplotlib import pyplot as plt
import numpy
from scipy import special

from course_lib.devices import to_numpy

GAP = 0.2   # grey level of the lines between images, and of empty places


def mosaic(images, n_columns=10):
    """Puts square images side by side, with a line of pixels between them.

    Args:
        images: Array of shape ``(n, side * side)``, grey levels from 0 to 1.
        n_columns (int): Images in a row.

    Returns:
        numpy.ndarray: One large image; lines and empty places are of the grey level ``GAP``.

    Raises:
        ValueError: If ``images`` has another shape, or ``n_columns`` is less than 1.
    """
    images = to_numpy(images)
    side = math.isqrt(images.shape[-1]) if images.ndim == 2 else 0
    if images.ndim != 2 or side * side != images.shape[1] or not images.size:
        raise ValueError('images must have the shape (number of images, side * side), with at '
                         f'least one image; got {images.shape}')
    if n_columns < 1:
        raise ValueError(f'n_columns must be 1 or more; got {n_columns!r}')
    n_rows = -(-len(images) // n_columns)
    canvas = numpy.full((n_rows * n_columns, side + 1, side + 1), GAP, numpy.float32)
    canvas[:len(images), :side, :side] = images.reshape(-1, side, side)
    canvas = canvas.reshape(n_rows, n_columns, side + 1, side + 1).transpose(0, 2, 1, 3)
    return canvas.reshape(n_rows * (side + 1), n_columns * (side + 1))[:-1, :-1]


def reconstructions(model, x, n=10):
    """The first ``n`` images and, below each, the mean image of its code."""
    with chainer.no_backprop_mode():
        means = to_numpy(model.decoder(model.encoder(x[:n]).mean).mean)
    x = to_numpy(x[:n])
    figure = _of_mosaic(mosaic(numpy.concatenate([x, means]), n), 'Images and reconstructions')
    error = abs(x - means).mean()
    return figure, (f'{len(x)} images above, their reconstructions below; on average a pixel is '
                    f'off by {error:.2f} of the grey scale.')


def samples(model, n=100, rng=None):
    """Mean images of ``n`` codes drawn from the prior."""
    with chainer.no_backprop_mode():
        means = to_numpy(model.decoder(model.prior().sample(n, rng=rng)).mean)
    return (_of_mosaic(mosaic(means), 'Decoded draws from the prior'),
            f'{n} images decoded from draws of the prior; their mean grey level is '
            f'{means.mean():.2f}.')


def latent_plane(model, n=15):
    """Mean images of an ``n`` x ``n`` grid of codes, the quantiles of a standard Normal.

    Raises:
        ValueError: If the model has not two latent dimensions.
    """
    if model.decoder.n_latent != 2:
        raise ValueError('latent_plane needs a model with 2 latent dimensions; this one has '
                         f'{model.decoder.n_latent}')
    q = special.ndtri((numpy.arange(n) + 0.5) / n).astype(numpy.float32)
    z = numpy.stack([numpy.tile(q, n), numpy.repeat(q[::-1], n)], axis=1)
    with chainer.no_backprop_mode():
        means = to_numpy(model.decoder(model.xp.asarray(z)).mean)
    figure = _of_mosaic(mosaic(means, n), 'Decoded latent plane',
                        'first latent dimension →', 'second latent dimension →')
    return figure, (f'A grid of {n} by {n} decoded codes, from {q[0]:.1f} to {q[-1]:.1f} in each '
                    'dimension.')


def training_curves(curves):
    """Loss and its two parts against the epoch; ``curves`` is that of ``training.curves``."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2))
    parts = (('loss', 'Loss'), ('kl_penalty', 'KL penalty'))
    for ax, (key, title) in zip(axes, parts):
        for prefix, label in (('main', 'training'), ('validation/main', 'held out')):
            if f'{prefix}/{key}' in curves:
                ax.plot(curves['epoch'], curves[f'{prefix}/{key}'], label=label)
        ax.set(title=title, xlabel='epoch', ylabel='nats an image')
        ax.legend()
    first, last = curves['main/loss'][[0, -1]]
    return figure, (f'The training loss goes from {first:.1f} to {last:.1f} nats an image in '
                    f'{len(curves["epoch"])} epochs.')


def _of_mosaic(canvas, title, xlabel='image', ylabel=' '):
    figure, ax = plt.subplots(figsize=(6.4, 6.4 * canvas.shape[0] / canvas.shape[1] + 0.7))
    ax.imshow(canvas, cmap='gray_r', vmin=0, vmax=1)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return figure
