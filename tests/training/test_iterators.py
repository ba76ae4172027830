"""Batches of an array: the same rows as Chainer's iterator hands out, without the Python loops."""
import chainer
import numpy as np
import pytest

from course_lib.training import ArrayIterator, to_device

ROWS = np.arange(23 * 3, dtype=np.float32).reshape(23, 3)


@pytest.mark.parametrize('repeat, shuffle', [(True, True), (True, False), (False, True),
                                             (False, False)])
def test_hands_out_what_chainers_iterator_does(repeat, shuffle):
    batches = []
    for make in (ArrayIterator, chainer.iterators.SerialIterator):
        np.random.seed(3)
        iterator = make(ROWS, 5, repeat=repeat, shuffle=shuffle)
        batches.append([np.asarray(batch) for _, batch in zip(range(12), iterator)])
        batches[-1].append([iterator.epoch, iterator.current_position, iterator.epoch_detail])
    assert len(batches[0]) == len(batches[1])
    for ours, theirs in zip(*batches):
        np.testing.assert_array_equal(ours, theirs)


def test_every_row_once_an_epoch():
    seen = np.concatenate(list(ArrayIterator(ROWS, 4, repeat=False)))
    np.testing.assert_array_equal(np.sort(seen[:, 0]), ROWS[:, 0])


def test_transform_sees_each_batch_and_leaves_the_array_alone():
    iterator = ArrayIterator(ROWS, 23, shuffle=False, transform=lambda batch: batch + 1)
    np.testing.assert_array_equal(next(iterator), ROWS + 1)
    assert ROWS[0, 0] == 0


def test_state_is_saved_and_restored(tmp_path):
    first = ArrayIterator(ROWS, 4)
    for _ in range(8):
        next(first)
    chainer.serializers.save_npz(str(tmp_path / 'it.npz'), first)
    expected = next(first)
    second = ArrayIterator(ROWS, 4)
    chainer.serializers.load_npz(str(tmp_path / 'it.npz'), second)
    np.testing.assert_array_equal(next(second), expected)


@pytest.mark.parametrize('array, batch_size, error, words', [
    ([[1.]], 1, TypeError, 'array must be a NumPy or CuPy array; got list'),
    (np.zeros((0, 3)), 1, ValueError, r'at least one row; got shape \(0, 3\)'),
    (np.zeros(()), 1, ValueError, 'at least one row'),
    (ROWS, 0, ValueError, 'batch_size must be a whole number, 1 or more; got 0'),
    (ROWS, 2.5, ValueError, 'batch_size must be a whole number'),
])
def test_bad_input(array, batch_size, error, words):
    with pytest.raises(error, match=words):
        ArrayIterator(array, batch_size)


def test_converter_leaves_a_cpu_batch_where_it_is():
    device = chainer.get_device('@numpy')
    assert chainer.dataset.convert._call_converter(to_device, ROWS, device) is ROWS
    assert chainer.dataset.convert._call_converter(to_device, ROWS, None) is ROWS
