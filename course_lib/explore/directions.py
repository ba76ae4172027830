"""Lesson 6: both directions of the Kullback-Leibler divergence."""
from matplotlib.figure import Figure
import numpy

from course_lib import distributions as D
from course_lib.explore.explorer import Explorer, number_slider
from course_lib.plots import BLACK, BLUE, ORANGE

N_POINTS = 2001
BARS = (0.1, 1e4)   # nats: the range of the axis, logarithmic


def divergences(target, loc, scale, unit):
    r"""A Normal Q that is moved under a target P, and KL(P || Q) and KL(Q || P).

    Both are sums over one grid, that reaches eight of the largest scales beyond the locations.

    Args:
        target (course_lib.distributions.Distribution): P: a density of one real variable, of an
            empty batch shape, with NumPy parameters.
        loc: Locations of Q to choose from, in rising order.
        scale: Standard deviations of Q to choose from, above 0, in rising order.
        unit (str): The unit of the variable.

    Returns:
        Explorer: With the sliders ``loc`` and ``scale``, which start near 0 and near 10.

    Raises:
        TypeError: If ``target`` is not a distribution, or a choice not a number.
        ValueError: If ``target`` is a batch, has no density on the grid, or the choices are fewer
            than two, do not rise, or a scale is not above 0.
    """
    if not isinstance(target, D.Distribution):
        raise TypeError(f'target must be a distribution; got {type(target).__name__}')
    if target.batch_shape or target.event_shape:
        raise ValueError('target must be one distribution of one variable; got batch_shape '
                         f'{target.batch_shape} and event_shape {target.event_shape}')
    loc = number_slider('loc', f'mean of Q ({unit})', loc, 0)
    scale = number_slider('scale', f'standard deviation of Q ({unit})', scale, near=10, above=0)
    reach = 8 * scale.values[-1]
    x, step = numpy.linspace(loc.values[0] - reach, loc.values[-1] + reach, N_POINTS, retstep=True)
    log_p = target.log_prob(x).array
    p = numpy.exp(log_p)
    if not abs(p.sum() * step - 1) < 0.01:
        raise ValueError('target must be a density with all but a hundredth of its probability '
                         f'between {x[0]:g} and {x[-1]:g}; got {p.sum() * step:.3g} there')

    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.fill_between(x, p, color='lightgrey', label='target P')
    density, = left.plot(x, p, color=BLUE, animated=True, label='Q')
    left.set(title='P, and a Normal Q', xlabel=f'x ({unit})', ylabel='density (per unit of x)',
             xlim=(loc.values[0], loc.values[-1]), ylim=(0, 3 * p.max()))
    left.legend()
    bars = right.bar(('KL(P ‖ Q)', 'KL(Q ‖ P)'), 1, color=(BLUE, ORANGE),
                     animated=True)
    heights = [right.text(i, 1, '', ha='center', va='bottom', color=BLACK, animated=True)
               for i in (0, 1)]
    right.set(title='What each direction says', xlabel='direction', ylabel='nats', yscale='log',
              ylim=BARS)
    right.minorticks_off()

    def move(loc, scale):
        log_q = D.Normal(float(loc), float(scale)).log_prob(x).array
        q = numpy.exp(log_q)
        density.set_ydata(q)
        values = (p * (log_p - log_q)).sum() * step, (q * (log_q - log_p)).sum() * step
        for bar, height, value in zip(bars, heights, values):
            bar.set_height(max(value, BARS[0]))
            height.set(y=max(value, BARS[0]), text=f'{value:.2f}')
        return (f'With the mean {loc:g} and the standard deviation {scale:g} {unit} of Q, '
                f'KL(P ‖ Q) is {values[0]:.2f} nats and KL(Q ‖ P) is {values[1]:.2f} nats.')

    return Explorer(figure, move, loc=loc, scale=scale)
