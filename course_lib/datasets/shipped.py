"""Finds the files in ``data/`` and refuses one that is not what it was when it was checked in."""
import gzip
import hashlib
import io
import pathlib

import numpy

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE / '_data', _PACKAGE.parent / 'data')  # an installed wheel; a clone


def read(name, folder=None):
    """The bytes of a shipped file, verified.

    Args:
        name (str): Name of the file, as listed in ``data/SHA256SUMS``.
        folder (pathlib.Path): Where to look; by default the course's own ``data`` folder.

    Returns:
        bytes: The content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the content is not what ``SHA256SUMS`` promises, or does not list the file.
    """
    folder = folder or next((f for f in _FOLDERS if (f / 'SHA256SUMS').exists()), _FOLDERS[-1])
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f'{name} is not in the folder {folder.name}/; restore it with: git checkout data')
    sums = dict(reversed(line.split()) for line in
                (folder / 'SHA256SUMS').read_text(encoding='utf-8').splitlines())
    if name not in sums:
        raise ValueError(f'{name} is not listed in {folder.name}/SHA256SUMS; add its checksum')
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sums[name]:
        raise ValueError(
            f'{name} has changed: its SHA-256 is {found[:12]}..., and {folder.name}/SHA256SUMS '
            f'has {sums[name][:12]}...; restore it with: git checkout data')
    return content


def read_numbers(name, folder=None):
    """A shipped table of numbers: comma-separated, one line of names first, perhaps compressed.

    Args:
        name (str): Name of the file; one that ends with ``.gz`` is decompressed.
        folder (pathlib.Path): As for :func:`read`.

    Returns:
        tuple: The names of the columns, a tuple of str, and a float64 array, one row a line.

    Raises:
        FileNotFoundError, ValueError: As for :func:`read`.
    """
    content = read(name, folder)
    if name.endswith('.gz'):
        content = gzip.decompress(content)
    header, _, body = content.decode('utf-8').partition('\n')
    return tuple(header.split(',')), numpy.loadtxt(io.StringIO(body), delimiter=',', ndmin=2)
