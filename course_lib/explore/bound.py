"""Lesson 7: the evidence lower bound and its gap, for one pixel and one cause."""
import math

from matplotlib.figure import Figure
import numpy

from course_lib import distributions as D
from course_lib.explore.explorer import Explorer, number_slider
from course_lib.plots import BLACK, BLUE, ORANGE

DEPTH = 12   # nats of the axis below the log-evidence


def elbo_gap(x, W, sigma, mean, stddev):
    r"""A Normal guess q of the posterior that is moved, its bound and its gap.

    The model has one cause and one pixel, so all is known:

    .. math:: z \sim \mathrm N(0, 1), \quad x \mid z \sim \mathrm N(W z, \sigma^2), \quad
        \log p(x) = \mathrm{ELBO} + \mathrm{KL}(q \,\|\, p(z \mid x))

    The bound and the divergence are computed apart; that they add up to the evidence is shown, not
    assumed.

    Args:
        x (float): The pixel that was seen.
        W (float): The decoder.
        sigma (float): Standard deviation of the noise, above 0.
        mean: Means of q to choose from, in rising order.
        stddev: Standard deviations of q to choose from, above 0, in rising order.

    Returns:
        Explorer: With the sliders ``mean`` and ``stddev``, which start near the prior.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If ``x``, ``W`` or ``sigma`` is not finite, or the choices are fewer than two,
            do not rise, or a standard deviation is not above 0.
    """
    x, W, sigma = float(x), float(W), float(sigma)
    if not (math.isfinite(x) and math.isfinite(W) and math.isfinite(sigma) and sigma > 0):
        raise ValueError('x, W and sigma must be finite, and sigma above 0; got '
                         f'x = {x:g}, W = {W:g}, sigma = {sigma:g}')
    mean = number_slider('mean', 'mean of q (no unit)', mean, near=0)
    stddev = number_slider('stddev', 'standard deviation of q (no unit)', stddev, near=1, above=0)
    prior = D.Normal(0., numpy.float64(1))
    M = W ** 2 + sigma ** 2
    posterior = D.Normal(W * x / M, numpy.float64(sigma / math.sqrt(M)))
    evidence = float(D.Normal(0., numpy.float64(math.sqrt(M))).log_prob(x).array)
    z = numpy.linspace(mean.values[0] - 1, mean.values[-1] + 1, 401)

    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.fill_between(z, posterior.prob(z).array, color='lightgrey', label='posterior')
    density, = left.plot(z, z, color=BLUE, animated=True, label='q')
    left.set(title='A guess of the posterior', xlabel='cause z (no unit)',
             ylabel='density (no unit)', xlim=(z[0], z[-1]),
             ylim=(0, 2 * posterior.prob(posterior.loc).array))
    left.legend(loc='upper left')
    floor = evidence - DEPTH
    bound, = right.bar([0], [1], bottom=floor, color=BLUE, animated=True, label='ELBO')
    gap_bar, = right.bar([0], [1], color=ORANGE, hatch='//', animated=True, label='gap')
    right.axhline(evidence, linestyle='--', color=BLACK, label='log-evidence')
    right.set(title='Bound and gap', xlabel='one pixel', ylabel='nats', xticks=[], xlim=(-1, 1),
              ylim=(floor, evidence + 6))
    right.legend(loc='upper right', fontsize=9)

    def move(mean, stddev):
        q = D.Normal(float(mean), numpy.float64(stddev))
        explained = (float(D.Normal(W * mean, numpy.float64(sigma)).log_prob(x).array)
                     - (W * stddev / sigma) ** 2 / 2)
        elbo = explained - float(D.kl_divergence(q, prior).array)
        gap = float(D.kl_divergence(q, posterior).array)
        density.set_ydata(q.prob(z).array)
        bound.set_height(max(elbo - floor, 0))
        gap_bar.set(y=max(elbo, floor), height=elbo + gap - max(elbo, floor))
        return (f'With the mean {mean:g} and the standard deviation {stddev:g} of q, the ELBO is '
                f'{elbo:.2f} nats and the gap {gap:.2f} nats: together {elbo + gap:.2f} nats, and '
                f'the log-evidence is {evidence:.2f}.')

    return Explorer(figure, move, mean=mean, stddev=stddev)
