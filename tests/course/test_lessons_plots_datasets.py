"""The set-up of a lesson, figures that describe themselves, and data that is checked."""
import io
import random

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest

import course_lib
from course_lib import datasets, plots
from course_lib.datasets import shipped


def test_start_seeds_every_generator(capsys):
    draws = []
    for _ in range(2):
        course_lib.start(seed=5)
        draws.append((random.random(), np.random.random()))
    assert draws[0] == draws[1]
    assert capsys.readouterr().out.count('\n') == 2


@pytest.mark.parametrize('seed', [-1, 1.5, 'x', True, 2 ** 32])
def test_start_refuses_a_bad_seed(seed):
    with pytest.raises(ValueError, match='seed must be a whole number'):
        course_lib.start(seed)


@pytest.fixture
def figure():
    figure, axes = plt.subplots()
    axes.set(title='Title', xlabel='x (m)', ylabel='y (m)')
    axes.plot([0, 1], [0, 1])
    yield figure
    plt.close(figure)


def test_show_displays_picture_and_sentence(figure, monkeypatch):
    shown = []
    monkeypatch.setattr('IPython.display.display', lambda *a, **k: shown.append((a, k)))
    sentence = 'A straight line rises from 0 m to 1 m.'
    course_lib.show(figure, sentence)
    (data,), options = shown[0]
    assert data['text/plain'] == sentence and options['raw']
    assert options['metadata'] == {'image/png': {'alt': sentence}}
    picture = PIL.Image.open(io.BytesIO(data['image/png']))
    assert picture.size == (640, 360) or min(picture.size) > 200
    assert not picture.info.get('Software')
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize('sentence', ['Too short.', 'Eight words or more but no full stop here'])
def test_show_refuses_a_poor_description(figure, sentence):
    with pytest.raises(ValueError, match='8 words or more and end with a full stop'):
        course_lib.show(figure, sentence)


@pytest.mark.parametrize('missing, words', [
    ('title', 'a title'), ('xlabel', 'a label on the x axis'), ('ylabel', 'a label on the y axis')])
def test_show_refuses_a_figure_without_labels(figure, missing, words):
    figure.axes[0].set(**{missing: ''})
    with pytest.raises(ValueError, match=words):
        course_lib.show(figure, 'One two three four five six seven eight.')


def test_show_refuses_what_is_no_figure():
    with pytest.raises(TypeError, match='figure must be a Matplotlib figure; got list'):
        course_lib.show([], 'One two three four five six seven eight.')


def test_colours_differ_in_lightness_too():
    rgb = np.array([[int(c[i:i + 2], 16) / 255 for i in (1, 3, 5)] for c in plots.COLORS[:3]])
    luminance = rgb @ [0.2126, 0.7152, 0.0722]
    assert len(set(plots.COLORS)) == 7
    assert np.abs(np.subtract.outer(luminance, luminance))[np.triu_indices(3, 1)].min() > 0.02


def test_challenger_is_the_published_record():
    flights = datasets.load_challenger()
    assert len(flights.flight) == 23 and flights.flight[0] == '1' and '4' not in flights.flight
    assert flights.temperature.dtype == np.float32 and flights.distress.dtype == np.int32
    assert flights.temperature.sum() == 1600 and flights.distress.sum() == 7
    distressed = flights.temperature[flights.distress == 1]
    assert sorted(distressed) == [53, 57, 58, 63, 70, 70, 75]


def test_an_altered_or_missing_file_is_refused(tmp_path):
    (tmp_path / 'SHA256SUMS').write_text('0' * 64 + '  a.csv\n')
    (tmp_path / 'a.csv').write_text('1')
    (tmp_path / 'b.csv').write_text('1')
    with pytest.raises(ValueError, match='a.csv has changed.*restore it with: git checkout data'):
        shipped.read('a.csv', tmp_path)
    with pytest.raises(ValueError, match='b.csv is not listed in'):
        shipped.read('b.csv', tmp_path)
    with pytest.raises(FileNotFoundError, match='c.csv is not in the folder'):
        shipped.read('c.csv', tmp_path)


def test_every_shipped_file_is_listed_and_intact(root):
    names = {p.name for p in (root / 'data').iterdir()} - {'README.md', 'SHA256SUMS'}
    listed = {line.split()[1] for line in (root / 'data' / 'SHA256SUMS').read_text().splitlines()}
    assert names == listed
    for name in names:
        shipped.read(name, root / 'data')
        assert f'`{name}`' in (root / 'data' / 'README.md').read_text(encoding='utf-8')
