"""Lesson 1: the likelihood of one probability, as answers arrive."""
from matplotlib.figure import Figure
import numpy

from course_lib import distributions as D
from course_lib.devices import to_numpy
from course_lib.explore.explorer import Explorer, Slider
from course_lib.plots import BLACK, BLUE, ORANGE

SHARE = 0.1   # of its peak: where the likelihood is at least that, p is called plausible


def likelihood(y, start=4):
    r"""The likelihood of p after the first n of several yes-or-no answers.

    .. math:: \mathcal L_n(p) = \prod_{i=1}^n p^{y_i} (1 - p)^{1 - y_i}

    Left, as a share of its peak; right, its logarithm. Dashed: after all answers.

    Args:
        y: Array of shape ``(N,)``, 0 or 1, in the order of arrival; NumPy or CuPy; N is 2 or more.
        start (int): The number n at first.

    Returns:
        Explorer: With the slider ``n``, from 1 to N.

    Raises:
        TypeError: If ``y`` is not an array.
        ValueError: If ``y`` is not made of zeros and ones, or ``start`` is not from 1 to N.
    """
    y = to_numpy(y)
    if y.ndim != 1 or len(y) < 2 or not numpy.isin(y, (0, 1)).all():
        raise ValueError('y must be two or more answers, 0 or 1, of shape (number of answers,); '
                         f'got {y.dtype} of shape {y.shape}')
    p = numpy.linspace(0.001, 0.999, 999)
    log_likelihood = D.Bernoulli(p=p[:, None]).log_prob(y).array.cumsum(axis=1).T
    relative = numpy.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))

    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2)
    for ax, curves in (left, relative), (right, log_likelihood):
        ax.plot(p, curves[-1], '--', color=BLACK, linewidth=1, label=f'all {len(y)}')
    share, = left.plot(p, relative[-1], color=BLUE, animated=True)
    plausible, = left.plot([0, 1], [SHARE, SHARE], color=ORANGE, animated=True,
                           label='a tenth of the peak')
    logarithm, = right.plot(p, log_likelihood[-1], color=BLUE, animated=True)
    left.set(xlabel='probability of a yes, p (no unit)', ylabel='likelihood (share of its peak)',
             title=' ', ylim=(0, 1.3))
    right.set(xlabel='probability of a yes, p (no unit)', ylabel='log-likelihood (nats)',
              title='Its logarithm', ylim=(log_likelihood[-1].max() - 25, 1))
    left.title.set_animated(True)
    left.legend(loc='upper right', ncols=2, fontsize=9)

    def move(n):
        share.set_ydata(relative[n - 1])
        logarithm.set_ydata(log_likelihood[n - 1])
        inside = p[share.get_ydata() >= SHARE]
        plausible.set_xdata(inside[[0, -1]])
        left.set_title(f'Likelihood after {n} of {len(y)} answers')
        return (f'After {n} of {len(y)} answers, {int(y[:n].sum())} of them yes, the likelihood '
                f'peaks at p = {p[share.get_ydata().argmax()]:.2f}, and from {inside[0]:.2f} to '
                f'{inside[-1]:.2f} it is at least a tenth of that.')

    return Explorer(figure, move, n=Slider('answers seen, n', range(1, len(y) + 1), start))
