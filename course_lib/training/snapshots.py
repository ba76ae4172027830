"""Snapshots from which an interrupted run goes on bit for bit."""
import pathlib
import re
import zipfile

import chainer
from chainer.serializers import npz
import numpy

from course_lib.files import replacing

_NAME = re.compile(r'snapshot_(\d+)\.npz')


class Snapshots(chainer.training.Extension):
    """Writes the whole state of a trainer to ``snapshot_<iteration>.npz`` in its folder.

    A snapshot is written to a temporary file, flushed to the disk, and renamed: under its name
    there is a whole one or none. Unlike Chainer's, it holds nothing that has to be unpickled.
    Extend the trainer with :class:`RandomState` too, as :func:`make_trainer` does; else a resumed
    run draws other random numbers.

    Args:
        keep (int): How many of the newest snapshots to keep, 1 or more.

    Raises:
        ValueError: If ``keep`` is less than 1.
    """

    trigger = 1, 'epoch'
    priority = -100   # the last of all extensions
    name = 'snapshots'

    def __init__(self, keep=2):
        if not isinstance(keep, int) or keep < 1:
            raise ValueError(f'keep must be a whole number, 1 or more; got {keep!r}')
        self.keep = keep

    def __call__(self, trainer):
        folder = pathlib.Path(trainer.out)
        save(folder / f'snapshot_{trainer.updater.iteration}.npz', trainer)
        for _, path in _found(folder)[:-self.keep]:
            path.unlink()


def save(path, trainer):
    """Writes the state of ``trainer`` (or of any Chainer object) to ``path``, whole or not at all.

    Args:
        path (str or pathlib.Path): The file, replaced if it exists.
        trainer: What to save.

    Raises:
        OSError: If it cannot be written; the message names the file. An older file stays as it was.
    """
    state = {key: value for key, value in npz.serialize(trainer).items() if value.dtype != object}
    try:
        with replacing(path, binary=True) as file:
            numpy.savez(file, **state)
    except OSError as error:
        raise OSError(error.errno, f'the snapshot could not be written: {error.strerror}; what '
                      'was saved before is untouched', str(path)) from error


def latest(folder):
    """Path of the newest snapshot in a folder, or ``None``.

    Args:
        folder (str or pathlib.Path): Where a trainer with :class:`Snapshots` wrote.

    Returns:
        pathlib.Path: The one of the highest iteration.
    """
    found = _found(pathlib.Path(folder))
    return found[-1][1] if found else None


def _found(folder):
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob('snapshot_*.npz'))
    return sorted((int(match[1]), path) for match, path in matches if match)


def resume(path, trainer):
    """Puts a trainer into the state that a snapshot holds.

    The trainer must be built as it was for the run that wrote the snapshot: same model, optimiser,
    data, batch size and extensions. It may be given more epochs.

    Args:
        path (str or pathlib.Path): A file that :class:`Snapshots` or :func:`save` wrote.
        trainer: What to load into (any Chainer object that :func:`save` takes).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or is the snapshot of something else. The trainer is
            then as it was.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'path must name a snapshot; there is no file {path}')
    try:
        with numpy.load(path, allow_pickle=False) as file:
            saved = {key: file[key] for key in file.files}   # every checksum is tested
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path.name} is damaged or no snapshot ({error}); resume from an older '
                         'one, or start again') from None
    _check(path.name, saved, trainer)
    # Not strict: what was None when it was saved is absent.
    npz.NpzDeserializer(saved, strict=False).load(trainer)


def _check(name, saved, target):
    """Raises unless the snapshot holds every array of the target, in the same shape."""
    prefix = ''
    if isinstance(target, chainer.training.Trainer):
        # A trainer that has not started cannot be serialised; what can differ is in its updater.
        target, prefix = target.updater, 'updater/'
    for key, value in sorted(npz.serialize(target).items()):
        if value.dtype == object:
            continue
        if prefix + key not in saved:
            raise ValueError(f'{name} is the snapshot of something else: it has no {key}')
        there = saved[prefix + key].shape
        if value.shape != there:
            raise ValueError(f'{name} is the snapshot of something else: {key} has the shape '
                             f'{there} there and {value.shape} here')
