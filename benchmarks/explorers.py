"""Times the explorers of the lessons: from a moved slider to the PNG that is sent to the page.

    python benchmarks/explorers.py

Moves every slider of every explorer through all its values, the others at their first position,
and prints the median and the slowest twentieth of the frames, in milliseconds, and the size of a
picture. The aim is 100 ms a frame on a laptop, the browser's share included; tests/browser/
test_explorers.py measures that. Writes the same to results/explorers.json.
"""
import statistics
import sys
import time

from distributions import RESULTS, machine, write
import numpy
from scipy.special import expit

from course_lib import datasets, explore, plots
import course_lib.distributions as D


def explorers():
    """The explorers by name, as large as in the lessons; the decoder of the last is untrained."""
    flights = datasets.load_challenger()
    rng = numpy.random.default_rng(0)
    hidden = rng.normal(size=(2, 128)).astype('f')
    output = rng.normal(size=(128, 64)).astype('f')
    target = D.Mixture(weights_logit=numpy.zeros(2), components=D.Normal(
        loc=numpy.array([-21., 28.]), scale=numpy.array([7., 10.])))
    return {
        'likelihood': explore.likelihood(flights.distress),
        'shape': explore.shape(flights.temperature, range(50, 91), range(3, 16), '°F'),
        'divergences': explore.divergences(target, range(-60, 71), range(2, 41), 'nats'),
        'elbo_gap': explore.elbo_gap(3, 2, 1, [m / 10 for m in range(-10, 31)],
                                     [s / 20 for s in range(2, 31)]),
        'latent_plane': explore.latent_plane(
            lambda z: expit(numpy.tanh(z @ hidden) @ output),
            rng.normal(size=(1415, 2)).astype('f'), rng.integers(10, size=1415)),
    }


def measure(explorer):
    """Milliseconds of each frame, and the mean size of a picture in kB."""
    explorer.frame()   # the first finds places for the axes
    times, sizes = [], []
    for name, slider in explorer.sliders.items():
        for value in slider.values:
            start = time.perf_counter()
            png, _ = explorer.frame(**{name: value})
            times.append(1e3 * (time.perf_counter() - start))
            sizes.append(len(png) / 1e3)
    return times, statistics.mean(sizes)


def main():
    plots.set_style()
    rows = []
    print(f'{"explorer":14}{"frames":>8}{"median ms":>11}{"95 % below":>12}{"kB":>6}')
    for name, explorer in explorers().items():
        times, size = measure(explorer)
        rows.append({'explorer': name, 'frames': len(times),
                     'median_ms': round(statistics.median(times), 1),
                     'p95_ms': round(statistics.quantiles(times, n=20)[-1], 1),
                     'kB': round(size, 1)})
        print('{explorer:14}{frames:8}{median_ms:11}{p95_ms:12}{kB:6}'.format(**rows[-1]))
    write(RESULTS / 'explorers.json', {'machine': machine(), 'frames': rows})


if __name__ == '__main__':
    sys.exit(main())
