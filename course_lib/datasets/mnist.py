"""Handwritten digits of 28 x 28 pixels, downloaded when first asked for."""
import gzip
import math
import struct
from typing import NamedTuple

import numpy

from course_lib.datasets import download

MIRRORS = ('https://ossci-datasets.s3.amazonaws.com/mnist/',          # torchvision's
           'https://storage.googleapis.com/cvdf-datasets/mnist/')     # TensorFlow Datasets'

# Images and labels to learn from, images and labels to test on: length in bytes and SHA-256.
FILES = {
    'train-images-idx3-ubyte.gz': (
        9912422, '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609'),
    'train-labels-idx1-ubyte.gz': (
        28881, '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c'),
    't10k-images-idx3-ubyte.gz': (
        1648877, '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6'),
    't10k-labels-idx1-ubyte.gz': (
        4542, 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6'),
}


class MNIST(NamedTuple):
    """Images of handwritten digits."""

    images: numpy.ndarray  # float32, shape (n, 784): ink from 0 to 1, the 28 rows in turn
    labels: numpy.ndarray  # int32, shape (n,): the digit meant, 0 to 9


def load_mnist(folder=None, mirrors=MIRRORS, files=FILES):
    """70,000 handwritten digits of 28 x 28 pixels: 60,000 to learn from and 10,000 to test on.

    The first call downloads four files, 12 MB in all, and keeps them; later calls need no network.
    Files that you put into the folder yourself, compressed as they are, do as well. Every file is
    verified each time. The people who wrote the test digits wrote none of the others.

    Args:
        folder (str or pathlib.Path): Where the files are kept; by default the folder ``mnist`` in
            the one that the environment variable ``COURSE_DATA`` names, else in the user's cache.
        mirrors (sequence of str): Addresses to download from, best first.
        files (dict): Length and SHA-256 of each of the four files (a test passes its own).

    Returns:
        tuple of MNIST: Train and test, each with ``images`` (ink from 0 to 1) and ``labels``.

    Raises:
        ConnectionError: If a file is missing and no mirror delivers it, or the environment variable
            ``COURSE_OFFLINE`` is 1.
        OSError: If the folder cannot be written to.
        TypeError, ValueError: If an argument makes no sense, or a file in the folder is another
            one.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), "Gradient-based learning applied
    to document recognition", Proceedings of the IEEE 86(11), 2278-2324, section III.A.

    Example::

        train, test = load_mnist()
        train.images.shape, test.images.shape    # (60000, 784), (10000, 784)
    """
    folder = download.cache_folder() / 'mnist' if folder is None else folder
    advice = ('go online and try again, or put the four files there yourself, or use load_digits(),'
              ' which needs no download')
    arrays = [
        parse_idx(gzip.decompress(download.fetch(name, folder, mirrors, sha256, size, advice)),
                  3 if 'images' in name else 1)
        for name, (size, sha256) in files.items()]
    return MNIST(*_pair(*arrays[:2])), MNIST(*_pair(*arrays[2:]))


def parse_idx(content, ndim):
    """The array in a file of the IDX format, as MNIST uses it: unsigned bytes.

    Two zero bytes, the type (8), the number of dimensions, each dimension as a big-endian 32-bit
    integer, then the numbers, the last dimension fastest.

    Args:
        content (bytes): The file, not compressed.
        ndim (int): Number of dimensions that it must have.

    Returns:
        numpy.ndarray: uint8, read-only.

    Raises:
        ValueError: If the content is not of this format, or its length is not what it promises.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits.

    Example:
        >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]), 1)
        array([7, 2, 1], dtype=uint8)
    """
    magic, start = bytes([0, 0, 8, ndim]), 4 + 4 * ndim
    if content[:4] != magic or len(content) < start:
        raise ValueError(f'content must be an IDX file of bytes with {ndim} dimensions, which '
                         f'starts with {magic.hex(" ")}; it starts with {content[:4].hex(" ")}')
    shape = struct.unpack_from(f'>{ndim}I', content, 4)
    if len(content) != start + math.prod(shape):
        raise ValueError(f'content must have {start + math.prod(shape):,} bytes for shape {shape}; '
                         f'it has {len(content):,}')
    return numpy.frombuffer(content, numpy.uint8)[start:].reshape(shape)


def _pair(images, labels):
    if len(images) != len(labels):
        raise ValueError(f'files must hold as many labels as images; got {len(images):,} images '
                         f'and {len(labels):,} labels')
    pixels = images.reshape(len(images), math.prod(images.shape[1:]))
    return numpy.divide(pixels, 255, dtype=numpy.float32), labels.astype(numpy.int32)
