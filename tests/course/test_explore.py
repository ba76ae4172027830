"""Explorers: true sentences over the whole grid of the sliders, quick pictures, and the widget."""
import base64
import importlib
import io
import itertools
import re
import statistics
import sys
import time

import chainer
from matplotlib.figure import Figure
import numpy as np
import PIL.Image
import pytest
from scipy import integrate, stats

from course_lib import datasets, explore, plots
import course_lib.distributions as D
import notebooks

FLIGHTS = datasets.load_challenger()
WEIGHTS, LOCS, SCALES = np.array([0.4, 0.6]), np.array([-21., 28.]), np.array([7., 10.])
RANDOM = np.random.default_rng(0)
CODES, LABELS = RANDOM.normal(size=(200, 2)).astype('f'), np.arange(200) % 10
DECODER = RANDOM.normal(size=(2, 64)).astype('f')


def decode(z):
    return 1 / (1 + np.exp(-z @ DECODER))


def evidence_target():
    return D.Mixture(weights_logit=np.log(WEIGHTS), components=D.Normal(loc=LOCS, scale=SCALES))


MAKE = {
    'likelihood': lambda: explore.likelihood(FLIGHTS.distress),
    'shape': lambda: explore.shape(FLIGHTS.temperature, range(50, 91, 4), range(3, 16), '°F'),
    'divergences': lambda: explore.divergences(
        evidence_target(), range(-60, 71, 5), range(2, 41, 2), 'nats'),
    'elbo_gap': lambda: explore.elbo_gap(
        3, 2, 1, [m / 10 for m in range(-10, 31)], [s / 20 for s in range(2, 31)]),
    'latent_plane': lambda: explore.latent_plane(decode, CODES, LABELS),
}
every_explorer = pytest.mark.parametrize('name', MAKE)


@pytest.fixture(autouse=True)
def course_style(monkeypatch):
    import matplotlib
    with matplotlib.rc_context():
        plots.set_style()
        yield


def grid(explorer):
    """Every combination of values of the sliders."""
    names = explorer.sliders
    for values in itertools.product(*(slider.values for slider in names.values())):
        yield dict(zip(names, values))


def numbers(sentence):
    return [float(x) for x in re.findall(r'-?\d+\.?\d*', sentence.replace('e-', 'E'))]


def pixels(png):
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert('RGB'))


def close(stated, true, digits):
    return abs(stated - true) <= 0.5001 * 10. ** -digits


# -- the sentences, against other sources ----------------------------------------------------


def test_likelihood():
    explorer, seen = MAKE['likelihood'](), 0
    for values in grid(explorer):
        n, total, k, peak, low, high, *_ = numbers(explorer.move(**values))
        assert (n, total, k) == (values['n'], 23, FLIGHTS.distress[:values['n']].sum())
        assert abs(peak - k / n) < 0.0056 or k == 0 and peak == 0

        def share(p):
            return np.exp(stats.binom.logpmf(k, n, p) - stats.binom.logpmf(k, n, k / n))
        plausible = np.flatnonzero(share(np.linspace(0, 1, 10_001)) >= 0.1)[[0, -1]] / 10_000
        assert low == pytest.approx(plausible[0], abs=0.0066)
        assert high == pytest.approx(plausible[1], abs=0.0066)
        seen += 1
    assert seen == 23


def test_shape():
    families = {'Normal': stats.norm, 'Laplace': stats.laplace, 'Cauchy': stats.cauchy,
                'Gumbel': stats.gumbel_r}
    explorer = MAKE['shape']()
    assert explorer.start == {'family': 'Normal', 'loc': 70, 'scale': 7}
    for values in grid(explorer):
        sentence = explorer.move(**values)
        true = families[values['family']](values['loc'], values['scale'])
        assert sentence.startswith(f'The {values["family"]} density')
        mode, highest, least, below, n, total = numbers(sentence)
        assert abs(mode - values['loc']) < 1 and least == 53 and n == 23
        assert highest == pytest.approx(true.pdf(values['loc']), abs=0.003)
        assert close(below, true.cdf(53), 3)
        assert total == pytest.approx(true.logpdf(FLIGHTS.temperature).sum(), rel=1e-5, abs=0.051)


def test_divergences():
    explorer, target = MAKE['divergences'](), evidence_target()
    mean = WEIGHTS @ LOCS
    variance = WEIGHTS @ (SCALES ** 2 + (LOCS - mean) ** 2)

    def log_p(x):
        return np.logaddexp(*(np.log(w) + stats.norm.logpdf(x, m, s)
                              for w, m, s in zip(WEIGHTS, LOCS, SCALES)))
    entropy = -integrate.quad(lambda x: np.exp(log_p(x)) * log_p(x), -150, 150, limit=200)[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    weights = weights / weights.sum()
    forward_of = {}
    for values in grid(explorer):
        loc, scale, forward, reverse = numbers(explorer.move(**values))
        assert (loc, scale) == (values['loc'], values['scale'])
        # Both by other means: the moments of the target, and Gauss-Hermite quadrature.
        true_forward = (np.log(scale) + np.log(2 * np.pi) / 2 - entropy
                        + (variance + (mean - loc) ** 2) / (2 * scale ** 2))
        x = loc + scale * nodes
        true_reverse = weights @ (stats.norm.logpdf(x, loc, scale) - log_p(x))
        assert forward == pytest.approx(true_forward, abs=0.0051, rel=1e-6)
        assert reverse == pytest.approx(true_reverse, abs=0.02, rel=1e-3)
        assert min(forward, reverse) > 0
        forward_of[loc, scale] = true_forward
    best = min(forward_of, key=forward_of.get)
    assert abs(best[0] - mean) <= 2.5 and abs(best[1] - variance ** 0.5) <= 1
    assert float(target.mean.array) == pytest.approx(mean)


def test_elbo_gap():
    explorer = MAKE['elbo_gap']()
    log_evidence = stats.norm(0, 5 ** 0.5).logpdf(3)
    for values in grid(explorer):
        m, s = values['mean'], values['stddev']
        mean, stddev, elbo, gap, total, stated = numbers(explorer.move(**values))
        assert (mean, stddev) == (m, s)
        explained = -0.5 * np.log(2 * np.pi) - ((3 - 2 * m) ** 2 + 4 * s ** 2) / 2
        assert close(elbo, explained - (s ** 2 + m ** 2 - 1 - np.log(s ** 2)) / 2, 2)
        assert gap >= 0 and elbo <= stated
        assert total == stated and close(stated, log_evidence, 2)
    assert numbers(explorer.move(mean=1.2, stddev=0.45))[3] == 0.


def test_latent_plane():
    explorer = MAKE['latent_plane']()
    for values in itertools.islice(grid(explorer), 0, None, 7):
        sentence = explorer.move(**values)
        z1, z2, black, n, distance, label = numbers(sentence)
        z = np.array([[z1, z2]], 'f')
        assert [z1, z2] == [values['z1'], values['z2']]
        assert black == (decode(z) >= 0.5).sum() and n == 64
        true = np.sqrt(((CODES.astype(float) - z) ** 2).sum(axis=1))
        assert distance == pytest.approx(true.min(), abs=0.0051)
        assert true[LABELS == label].min() == pytest.approx(true.min(), abs=1e-5)


@every_explorer
def test_every_position_gives_a_sentence_and_finite_artists(name):
    explorer = MAKE[name]()
    for values in itertools.islice(grid(explorer), 0, None, 11 if name == 'latent_plane' else 1):
        sentence = explorer.move(**values)
        assert len(sentence.split()) >= 8 and sentence.endswith('.')
        assert not re.search(r'\b(nan|inf)\b', sentence)
        for axes in explorer.figure.axes:
            for line in axes.lines:
                assert np.isfinite(line.get_xydata()).all()
            for image in axes.images:
                assert np.isfinite(image.get_array()).all()
            for patch in axes.patches:
                assert np.isfinite(patch.get_extents().get_points()).all()


# -- the pictures ------------------------------------------------------------------------------


@every_explorer
def test_each_slider_moves_the_picture_and_back(name):
    explorer = MAKE[name]()
    first, sentence = explorer.frame()
    assert pixels(first).shape[1] >= 600 and sentence == explorer.move()
    for slider, setting in explorer.sliders.items():
        other = setting.values[0 if setting.start != setting.values[0] else -1]
        moved, moved_sentence = explorer.frame(**{slider: other})
        assert moved_sentence != sentence
        assert (pixels(moved) != pixels(first)).any(axis=-1).sum() > 100
    # Nothing of the other positions is left.
    np.testing.assert_array_equal(pixels(explorer.frame()[0]), pixels(first))


@every_explorer
def test_a_frame_is_quick(name):
    explorer, times = MAKE[name](), []
    explorer.frame()
    for values in itertools.islice(grid(explorer), 0, 2000, 100):
        start = time.perf_counter()
        explorer.frame(**values)
        times.append(time.perf_counter() - start)
    # 100 ms is the aim on an idle laptop (benchmarks/explorers.py); a busy machine may take longer.
    assert statistics.median(times) < 0.5


@every_explorer
def test_the_standing_figure_is_described(name, monkeypatch):
    shown = []
    monkeypatch.setattr('IPython.display.display', lambda *a, **k: shown.append((a[0], k)))
    explorer = MAKE[name]()
    moving, sentence = explorer.frame()
    plots.show(explorer.figure, sentence)   # refuses a figure without titles and labels
    png, moving = pixels(shown[0][0]['image/png']), pixels(moving)
    assert png.shape[:2] == moving.shape[:2]
    # The two differ by 128 colours and by what a legend hides, not by an artist.
    light = [np.asarray(PIL.Image.fromarray(p).convert('L'), float) for p in (png, moving)]
    assert abs(light[0] - light[1]).mean() < 2


# -- in a notebook -----------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr('IPython.display.display',
                        lambda data, metadata=None, raw=False: calls.append((data, metadata, raw)))
    return calls


def test_live_it_is_one_output_in_three_forms(shown):
    pytest.importorskip('ipywidgets')
    explorer = MAKE['likelihood']()
    explorer._ipython_display_()
    (data, metadata, raw), = shown
    assert raw and set(data) == {explore.explorer.WIDGET_VIEW, 'image/png', 'text/plain'}
    assert data['text/plain'] == metadata['image/png']['alt'] == explorer.move()
    assert data['image/png'].startswith(b'\x89PNG')


def test_the_widget_follows_its_slider(shown):
    ipywidgets = pytest.importorskip('ipywidgets')
    slider, picture, caption = MAKE['likelihood']().widget().children
    before = picture.value
    assert isinstance(slider, ipywidgets.SelectionSlider) and slider.continuous_update
    assert slider.description == 'answers seen, n' and 'After 4 of 23' in caption.value
    slider.value = 5
    assert 'After 5 of 23' in caption.value
    assert picture.value != before and bytes(picture.value).startswith(b'\x89PNG')
    menu, *_ = MAKE['shape']().widget().children
    assert menu.options == ('Normal', 'Laplace', 'Cauchy', 'Gumbel')


def test_in_colab_the_widget_comes_without_the_picture(shown, monkeypatch):
    pytest.importorskip('ipywidgets')
    monkeypatch.setitem(sys.modules, 'google.colab', sys)
    MAKE['likelihood']()._ipython_display_()
    assert set(shown[0][0]) == {explore.explorer.WIDGET_VIEW, 'text/plain'}


def test_without_ipywidgets_it_says_so_and_stands_still(shown, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'ipywidgets', None)
    MAKE['likelihood']()._ipython_display_()
    assert 'need ipywidgets' in capsys.readouterr().out
    assert set(shown[0][0]) == {'image/png', 'text/plain'}


def test_a_built_notebook_keeps_the_picture_and_not_the_widget():
    import nbformat
    output = nbformat.v4.new_output('display_data', {
        explore.explorer.WIDGET_VIEW: {'model_id': '0'},
        'image/png': base64.b64encode(b'png').decode(), 'text/plain': 'A sentence.'})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('x', outputs=[output])])
    cell, = notebooks.clean(notebook).cells
    assert set(cell.outputs[0].data) == {'image/png', 'text/plain'}


# -- bad input -----------------------------------------------------------------------------------


def figure():
    return Figure()


@pytest.mark.parametrize('make, error, message', [
    (lambda: explore.Explorer('figure', print), TypeError, 'figure must be a Matplotlib figure'),
    (lambda: explore.Explorer(figure(), print), ValueError, 'needs at least one slider'),
    (lambda: explore.Explorer(figure(), print, n=3), TypeError, r'n must be a Slider\(label'),
    (lambda: explore.Explorer(figure(), print, n=explore.Slider('n', [1], 1)), ValueError,
     'n must have two values or more'),
    (lambda: explore.Explorer(figure(), print, n=explore.Slider('n', [1, 2], 3)), ValueError,
     'n must start at one of its values; got 3'),
    (lambda: MAKE['likelihood']().move(m=3), TypeError, "this explorer moves n; got 'm'"),
    (lambda: MAKE['likelihood']().frame(n=24), ValueError,
     'n must be one of the 23 values from 1 to 23; got 24'),
    (lambda: explore.likelihood([0, 1]), TypeError, 'must be an array'),
    (lambda: explore.likelihood(np.array([0, 2])), ValueError, 'y must be two or more answers'),
    (lambda: explore.likelihood(np.array([0])), ValueError, 'y must be two or more answers'),
    (lambda: explore.likelihood(np.array([0, 1, 1]), start=4), ValueError,
     'n must start at one of its values; got 4'),
    (lambda: explore.shape(np.array([np.nan]), range(3), range(1, 3), 'm'), ValueError,
     'data must be finite numbers'),
    (lambda: explore.shape(np.array([1.]), range(3), range(3), 'm'), ValueError,
     'scale must be above 0; got 0'),
    (lambda: explore.shape(np.array([1.]), [2, 1], range(1, 3), 'm'), ValueError,
     'loc must be two finite numbers or more, in rising order'),
    (lambda: explore.shape(np.array([1.]), 5, range(1, 3), 'm'), TypeError,
     'loc must be a range or a list of numbers; got 5'),
    (lambda: explore.divergences('P', range(3), range(1, 3), 'm'), TypeError,
     'target must be a distribution; got str'),
    (lambda: explore.divergences(D.Normal([0., 1.], 1.), range(3), range(1, 3), 'm'), ValueError,
     'target must be one distribution of one variable'),
    (lambda: explore.divergences(D.Normal(500., 1.), range(3), range(1, 3), 'm'), ValueError,
     'target must be a density with all but a hundredth of its probability'),
    (lambda: explore.elbo_gap(3, 2, 0, range(3), range(1, 3)), ValueError,
     'x, W and sigma must be finite, and sigma above 0'),
    (lambda: explore.elbo_gap(3, 2, 1, range(3), range(3)), ValueError,
     'stddev must be above 0; got 0'),
    (lambda: explore.latent_plane(decode, CODES[:, :1], LABELS), ValueError,
     r'codes must have the shape \(number of codes, 2\)'),
    (lambda: explore.latent_plane(decode, CODES, LABELS[1:]), ValueError,
     r'labels must have the shape \(200,\)'),
    (lambda: explore.latent_plane(lambda z: decode(z)[:, :63], CODES, LABELS), ValueError,
     'decode must return one row of side'),
])
def test_bad_input_is_met_with_a_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_variables_and_a_gpu_s_arrays_would_do():
    explorer = explore.likelihood(chainer.Variable(FLIGHTS.distress.astype('f')))
    assert explorer.move() == MAKE['likelihood']().move()


def test_the_package_does_not_need_ipywidgets(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ipywidgets', None)
    importlib.reload(sys.modules['course_lib.explore'])
