"""Lesson 8: what a variational autoencoder decodes from each code of two numbers."""
import math

from matplotlib.figure import Figure
import numpy

from course_lib.devices import to_numpy
from course_lib.explore.explorer import Explorer, Slider
from course_lib.plots import BLACK, BLUE, ORANGE

VALUES = tuple((numpy.arange(-30, 31) / 10).tolist())   # three standard deviations of the prior


def latent_plane(decode, codes, labels):
    """The image of the code under two sliders, and where that code lies among learnt ones.

    Args:
        decode: A function from codes, float32 of shape ``(n, 2)``, to images of shape
            ``(n, side * side)`` with grey levels from 0 to 1; NumPy or CuPy.
        codes: Array of shape ``(N, 2)``: codes of images that the model has learnt from.
        labels: Array of shape ``(N,)``: what each of these images shows.

    Returns:
        Explorer: With the sliders ``z1`` and ``z2``, which start at 0, the middle of the prior.

    Raises:
        TypeError: If ``codes`` or ``labels`` is not an array.
        ValueError: If a shape is another.
    """
    codes, labels = to_numpy(codes), to_numpy(labels)
    if codes.ndim != 2 or codes.shape[1] != 2 or not len(codes):
        raise ValueError(f'codes must have the shape (number of codes, 2); got {codes.shape}')
    if labels.shape != codes.shape[:1]:
        raise ValueError(f'labels must have the shape {codes.shape[:1]}, one for each code; '
                         f'got {labels.shape}')

    def image_of(z1, z2):
        return to_numpy(decode(numpy.array([[z1, z2]], numpy.float32)))

    first = image_of(0., 0.)
    side = math.isqrt(first.size)
    if first.shape != (1, side * side):
        raise ValueError('decode must return one row of side * side grey levels for one code; got '
                         f'the shape {first.shape}')

    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    left.plot(*codes.T, '.', color='lightgrey', markersize=4, label='learnt codes')
    nearest, = left.plot([0], [0], 'o', color=ORANGE, animated=True, label='the nearest of them')
    here, = left.plot([0], [0], 'P', color=BLUE, markersize=11, animated=True,
                      label='this code')
    left.set(title='The plane of codes', xlabel='z₁ (no unit)', ylabel='z₂ (no unit)',
             aspect='equal', xlim=(-3.3, 3.3), ylim=(-3.3, 3.3))
    figure.legend(loc='outside lower left', ncols=3)
    picture = right.imshow(first.reshape(side, side), cmap='gray_r', vmin=0, vmax=1,
                           animated=True)
    right.set(title='What it decodes to', xlabel='column (pixels)', ylabel='row (pixels)')
    right.grid(False)
    figure.colorbar(picture, label='P(black)').outline.set_edgecolor(BLACK)

    def move(z1, z2):
        image = image_of(z1, z2)[0]
        distance = numpy.hypot(*(codes - numpy.float32([z1, z2])).T)
        i = int(distance.argmin())
        picture.set_data(image.reshape(side, side))
        here.set_data([z1], [z2])
        nearest.set_data(*codes[i, :, None])
        return (f'The code ({z1:g}, {z2:g}) decodes to an image with {int((image >= 0.5).sum())} '
                f'of {image.size} pixels more black than white; the nearest learnt code, at a '
                f'distance of {distance[i]:.2f}, is labelled {labels[i]}.')

    return Explorer(figure, move, z1=Slider('z₁ (no unit)', VALUES, 0.),
                    z2=Slider('z₂ (no unit)', VALUES, 0.))
