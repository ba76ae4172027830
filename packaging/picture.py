"""Draws the README's picture: digits written by the variational autoencoder of lesson 8.

    python packaging/picture.py          writes packaging/picture.png, in half a minute

Two numbers describe an image. The picture decodes a grid of them, the quantiles of the standard
Normal prior, so that each image stands for an equally probable part of the plane.
"""
import pathlib
import tempfile

import chainer
from matplotlib import image
import numpy
from scipy import special

from course_lib import datasets, training
from course_lib.models import vae

PICTURE = pathlib.Path(__file__).resolve().parent / 'picture.png'
ROWS, COLUMNS, SCALE = 7, 24, 5     # images, images, pixels of the picture for a pixel of an image


def train(seed=0, epochs=120):
    """The model of lesson 8, trained on the digits of eleven forms."""
    training.set_seed(seed)
    chainer.global_config.dtype = numpy.dtype(numpy.float32)
    train, _ = datasets.load_digits().split()
    x = (train.images.reshape(len(train.images), -1) >= 0.5).astype(numpy.float32)
    model = vae.AvgELBOLoss(
        vae.Encoder(64, 2, 100), vae.Decoder(64, 2, 100), vae.Prior(2))
    with tempfile.TemporaryDirectory() as folder:
        training.make_trainer(model, x, epochs=epochs, out=folder, progress=None,
                              optimizer=training.Adam(alpha=0.01)).run()
    return model


def draw(model):
    """The decoded plane, as an array of grey levels, white paper and black ink."""
    across, down = (special.ndtri((numpy.arange(n) + 0.5) / n) for n in (COLUMNS, ROWS))
    codes = numpy.stack(numpy.meshgrid(across, down), axis=-1).astype(numpy.float32)
    with chainer.no_backprop_mode():
        means = model.decoder(codes.reshape(-1, 2)).mean.array
    images = numpy.pad(means.reshape(ROWS, COLUMNS, 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1)))
    plane = images.transpose(0, 2, 1, 3).reshape(ROWS * 9, COLUMNS * 9)[:-1, :-1]
    return 1 - plane.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def main():
    """Writes the picture to a temporary file, then renames it."""
    partial = PICTURE.with_name('picture.partial.png')
    image.imsave(partial, draw(train()), cmap='gray', vmin=0, vmax=1)
    partial.replace(PICTURE)


if __name__ == '__main__':
    main()
