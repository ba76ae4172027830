"""The data of lessons 2 to 4 are what their sources say."""
import gzip
import hashlib

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.diagnostic import het_breuschpagan

from course_lib import datasets
from course_lib.datasets import shipped


def test_horse_kicks_has_the_counts_that_bortkiewicz_and_fisher_published():
    kicks = datasets.load_horse_kicks()
    assert kicks.year.tolist() == list(range(1875, 1895))
    assert kicks.corps == tuple('G I II III IV V VI VII VIII IX X XI XIV XV'.split())
    assert kicks.deaths.dtype == np.int32 and kicks.deaths.shape == (20, 14)
    assert np.bincount(kicks.deaths.ravel()).tolist() == [144, 91, 32, 11, 2]
    assert kicks.deaths.sum() == 196 and kicks.deaths.mean() == 0.7
    kept = [corps not in ('G', 'I', 'VI', 'XI') for corps in kicks.corps]
    assert np.bincount(kicks.deaths[:, kept].ravel()).tolist() == [109, 65, 22, 3, 1]


def test_horse_kicks_by_corps_and_by_year():
    # Sums of rows and columns: two cells exchanged by a slip of the pen would not go unnoticed.
    deaths = datasets.load_horse_kicks().deaths
    assert deaths.sum(axis=0).tolist() == [16, 16, 12, 12, 8, 11, 17, 12, 7, 13, 15, 25, 24, 8]
    assert deaths.sum(axis=1).tolist() == [
        3, 5, 7, 9, 10, 18, 6, 14, 11, 9, 5, 11, 15, 6, 11, 17, 12, 15, 8, 4]


def test_engel_is_that_of_statsmodels():
    households = datasets.load_engel()
    source = sm.datasets.engel.load_pandas().data
    assert households.income.dtype == households.food.dtype == np.float32
    np.testing.assert_allclose(households.income, source.income, rtol=3e-7)
    np.testing.assert_allclose(households.food, source.foodexp, rtol=3e-7)


def test_engel_spreads_with_income():
    income, food = datasets.load_engel()
    X = sm.add_constant(income.astype(np.float64))
    residual = sm.OLS(food, X).fit().resid
    # Breusch and Pagan's test of a constant spread: rejected beyond any doubt.
    assert het_breuschpagan(residual, X)[1] < 1e-20


def test_rand_hie_is_that_of_statsmodels():
    data = datasets.load_rand_hie()
    source = sm.datasets.randhie.load_pandas()
    assert data.names == tuple(source.exog.columns)
    assert data.X.dtype == np.float32 and data.visits.dtype == np.int32
    assert data.X.flags.c_contiguous
    np.testing.assert_array_equal(data.X, source.exog.to_numpy(np.float32))
    np.testing.assert_array_equal(data.visits, source.endog)


def test_rand_hie_knows_whose_year_it_is():
    data = datasets.load_rand_hie()
    assert len(set(zip(data.person.tolist(), data.year.tolist()))) == 20190
    assert (np.diff(data.person) >= 0).all() and data.person[0] == 0 and data.person[-1] == 5911
    same = np.diff(data.person) == 0
    # A person grows older by a year a year, and keeps sex and insurance plan.
    later = np.diff(data.year)[same]
    assert (later > 0).all()
    np.testing.assert_allclose(np.diff(data.age)[same], later, atol=1e-5)
    assert not np.diff(data.female)[same].any() and not np.diff(data.X[:, 1])[same].any()


def test_rand_hie_has_the_ranges_of_its_codebook():
    data = datasets.load_rand_hie()
    assert set(data.year) == {1, 2, 3, 4, 5} and set(data.female) == {0, 1}
    assert 0 < data.exposure.min() and data.exposure.max() == 1 and (data.exposure < 1).sum() == 45
    assert data.age.min() == 0 and data.age.max() < 65
    column = dict(zip(data.names, data.X.T))
    np.testing.assert_allclose(sorted(set(np.expm1(column['lncoins'].astype('d')))),
                               [0, 25, 50, 95, 100], atol=1e-3)
    # The codebook's note: not 0 in the plan with a deductible for each person.
    individual = (column['idp'] == 1) & (column['lncoins'] == 0)
    assert not column['fmde'][(column['idp'] == 1) & ~individual].any()
    assert (column['fmde'][individual] > 0).sum() == 3779
    limited = column['physlm']
    assert 0 <= limited.min() and limited.max() == 1
    assert ((limited > 0) & (limited < 1)).sum() == 1052
    health = data.X[:, -3:]
    assert set(health.ravel()) == {0, 1} and health.sum(axis=1).max() == 1


def test_digits_are_the_published_test_set():
    digits = datasets.load_digits()
    assert digits.images.shape == (1797, 64) and digits.images.dtype == np.float32
    assert digits.labels.dtype == digits.forms.dtype == np.int32
    # The class counts that the UCI repository gives for optdigits.tes.
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    ink = digits.images * 16
    assert (ink == ink.round()).all() and ink.min() == 0 and ink.max() == 16
    # The first image, a zero, as printed in scikit-learn's documentation.
    assert ink[0].reshape(8, 8)[:3].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0], [0, 3, 15, 2, 0, 11, 8, 0]]


def test_every_form_repeats_the_same_digits():
    digits = datasets.load_digits()
    assert (np.diff(digits.forms) >= 0).all() and set(digits.forms) == set(range(14))
    template = ''.join(map(str, digits.labels[digits.forms == 3]))
    assert len(template) == 130
    for form in range(14):
        written = ''.join(map(str, digits.labels[digits.forms == form]))
        assert 122 <= len(written) <= 130
        assert _common_subsequence(written, template) >= len(written) - 4


def test_the_split_of_the_digits_shares_no_form():
    digits = datasets.load_digits()
    train, test = digits.split()
    assert len(train.labels) == 1415 and len(test.labels) == 382
    assert not set(train.forms) & set(test.forms)
    assert set(train.labels) == set(test.labels) == set(range(10))
    np.testing.assert_array_equal(np.concatenate([train.images, test.images]), digits.images)


def test_the_split_of_the_digits_matters_as_documented():
    digits = datasets.load_digits()

    def accuracy(train, test):
        """Of the nearest neighbour, in percent."""
        a, b = digits.images[train], digits.images[test]
        distance = (a * a).sum(axis=1) - 2 * b @ a.T
        found = digits.labels[train][distance.argmin(axis=1)]
        return 100 * np.mean(found == digits.labels[test])

    rows = np.random.RandomState(0).permutation(1797)
    assert accuracy(np.arange(1415), np.arange(1415, 1797)) == pytest.approx(95.8, abs=0.3)
    assert accuracy(rows[:1415], rows[1415:]) == pytest.approx(98.4, abs=0.3)


def test_loaded_arrays_belong_to_the_caller():
    for load in (datasets.load_horse_kicks, datasets.load_engel, datasets.load_rand_hie,
                 datasets.load_digits):
        first = load()
        for array in first:
            if isinstance(array, np.ndarray):
                assert array.flags.writeable
                array[...] = 0
        assert any(array.any() for array in load() if isinstance(array, np.ndarray))


def test_numbers_are_read_with_and_without_compression(tmp_path):
    text = b'a,b\n1,2.5\n'
    (tmp_path / 'x.csv').write_bytes(text)
    (tmp_path / 'x.csv.gz').write_bytes(gzip.compress(text, mtime=0))
    (tmp_path / 'SHA256SUMS').write_text(''.join(
        f'{_sha256(tmp_path / name)}  {name}\n' for name in ('x.csv', 'x.csv.gz')))
    for name in 'x.csv', 'x.csv.gz':
        names, table = shipped.read_numbers(name, tmp_path)
        assert names == ('a', 'b') and table.tolist() == [[1, 2.5]]


def test_compressed_files_hold_no_time_and_no_name(root):
    for path in (root / 'data').glob('*.gz'):
        header = path.read_bytes()[:10]
        assert header[3] == 0 and header[4:8] == bytes(4), path.name
        assert path.stat().st_size < 200_000


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _common_subsequence(a, b):
    """Length of the longest common subsequence of two strings."""
    row = [0] * (len(b) + 1)
    for x in a:
        previous = row[:]
        for j, y in enumerate(b):
            row[j + 1] = previous[j] + 1 if x == y else max(previous[j + 1], row[j])
    return row[-1]
