"""Batches cut from an array at once."""
import chainer
import numpy


class ArrayIterator(chainer.iterators.SerialIterator):
    """Chainer's ``SerialIterator`` over the rows of an array; a batch is an array.

    ``SerialIterator`` hands out a list of single examples, which the updater stacks again: two
    Python loops over the batch at every step. Here one indexing operation cuts the batch.

    Args:
        array: NumPy or CuPy array whose first axis runs over the examples. It is not copied.
        batch_size (int): Number of rows of a batch, 1 or more.
        repeat (bool): Whether to go on after the last row, for ever.
        shuffle (bool): Whether to draw a new order for every epoch, from ``numpy.random``.
        transform (callable): Applied to every batch before it is handed out, for instance
            :func:`course_lib.models.vae.binarize`. ``None``: nothing is.

    Raises:
        TypeError: If ``array`` is not an array.
        ValueError: If it has no rows, or ``batch_size`` is less than 1.
    """

    def __init__(self, array, batch_size, repeat=True, shuffle=True, transform=None):
        if not isinstance(array, chainer.get_array_types()):
            raise TypeError(f'array must be a NumPy or CuPy array; got {type(array).__name__}')
        if not array.ndim or not len(array):
            raise ValueError(f'array must have at least one row; got shape {array.shape}')
        if not isinstance(batch_size, (int, numpy.integer)) or batch_size < 1:
            raise ValueError(f'batch_size must be a whole number, 1 or more; got {batch_size!r}')
        super().__init__(range(len(array)), batch_size, repeat=repeat, shuffle=shuffle)
        self.array = array
        self.transform = transform

    def __next__(self):
        rows = super().__next__()
        batch = self.array[chainer.backend.get_array_module(self.array).asarray(rows)]
        return batch if self.transform is None else self.transform(batch)

    next = __next__


@chainer.dataset.converter()
def to_device(batch, device):
    """The converter that goes with :class:`ArrayIterator`: sends a batch, an array, to a device."""
    return batch if device is None else device.send(batch)
