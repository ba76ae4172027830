"""Lesson 0: the shape of a density against its family and parameters."""
from matplotlib.figure import Figure
import numpy

from course_lib import distributions as D
from course_lib.devices import to_numpy
from course_lib.explore.explorer import Explorer, Slider, number_slider
from course_lib.plots import BLACK, BLUE, ORANGE

FAMILIES = {'Normal': D.Normal, 'Laplace': D.Laplace, 'Cauchy': D.Cauchy, 'Gumbel': D.Gumbel}


def shape(data, loc, scale, unit):
    """The density of a family with a location and a scale, above observations.

    The area to the left of the least observation is filled.

    Args:
        data: Array of shape ``(n,)``: the observations; NumPy or CuPy.
        loc: Locations to choose from, in rising order, in the unit of the data.
        scale: Scales to choose from, above 0, in rising order.
        unit (str): The unit of the data.

    Returns:
        Explorer: With the menu ``family`` and the sliders ``loc`` and ``scale``, which start near
        the mean and the standard deviation of the data.

    Raises:
        TypeError: If ``data`` is not an array, or a choice not a number.
        ValueError: If ``data`` holds no finite numbers, or the choices are fewer than two, do not
            rise, or a scale is not above 0.
    """
    data = to_numpy(data)
    if data.ndim != 1 or not data.size or not numpy.isfinite(data).all():
        raise ValueError('data must be finite numbers of shape (number of observations,); '
                         f'got {data.dtype} of shape {data.shape}')
    loc = number_slider('loc', f'loc ({unit})', loc, data.mean())
    scale = number_slider('scale', f'scale ({unit})', scale, data.std(), above=0)
    least = float(data.min())
    reach = 2 * scale.start
    x = numpy.linspace(loc.values[0] - reach, loc.values[-1] + reach, 401)
    x = numpy.union1d(x, loc.values)   # the peaks, where a Laplace density has its corner

    figure = Figure()
    ax = figure.subplots()
    density, = ax.plot(x, x, color=BLUE, animated=True)
    tail = ax.fill_between(x, 0, x, color=ORANGE, alpha=0.4, animated=True,
                           label=f'below {least:g} {unit}')
    ax.plot(data, numpy.zeros_like(data), '|', color=BLACK, markersize=12, label='observations')
    ax.set(title=' ', xlabel=f'value ({unit})', ylabel=f'density (per {unit})',
           xlim=(x[0], x[-1]), ylim=(-0.02 / scale.values[0], 0.52 / scale.values[0]))
    ax.title.set_animated(True)
    ax.legend(loc='upper left')

    def move(family, loc, scale):
        distribution = FAMILIES[family](float(loc), float(scale))
        y = distribution.prob(x).array
        density.set_ydata(y)
        left = numpy.append(x[x < least], least)
        tail.set_verts([numpy.column_stack([
            numpy.r_[left, left[::-1]],
            numpy.r_[distribution.prob(left).array, numpy.zeros_like(left)]])])
        ax.set_title(f'{family} distribution, loc {loc:g} and scale {scale:g} {unit}')
        total = float(distribution.log_prob(data).array.sum())
        return (f'The {family} density is highest at {x[y.argmax()]:.0f} {unit}, {y.max():.3f} '
                f'per {unit}; a value below {least:g} {unit} has probability '
                f'{float(distribution.cdf(least).array):.3f}; the log-densities of the '
                f'{data.size} observations add up to {total:.1f}.')

    return Explorer(figure, move, family=Slider('family', list(FAMILIES), 'Normal'),
                    loc=loc, scale=scale)
