"""A trainer with everything that the lessons' models need."""

import chainer
from chainer.training import extensions
import numpy

from course_lib.training.adam import Adam
from course_lib.training.iterators import ArrayIterator, to_device
from course_lib.training.progress import Progress
from course_lib.training.random_state import RandomState
from course_lib.training.recorded import RecordedUpdater, can_be_recorded
from course_lib.training.snapshots import Snapshots


def make_trainer(loss, train, test=None, *, epochs, out, batch_size=100, optimizer=None,
                 shuffle=True, transform=None, device=None, progress='training', snapshots=False,
                 cuda_graph=None):
    """Puts Chainer's parts together: iterator, optimiser, updater, evaluator, log, progress bar.

    Args:
        loss (chainer.Chain): Called with a batch of rows of ``train``, returns the loss, a scalar
            variable, and reports what the log is to show.
        train: Array of shape ``(n, ...)``: the examples to learn from.
        test: Array of shape ``(m, ...)``: the examples that are only evaluated, once an epoch.
            The log's ``validation/main/...`` are means over batches, all of one size if ``m`` is
            at most 1,000 or a multiple of it.
        epochs (int): How often to go through ``train``.
        out (str or pathlib.Path): Folder of the log and the snapshots; it is made.
        batch_size (int): Examples a step.
        optimizer (chainer.Optimizer): By default :class:`Adam` with step size 1e-3. It is set up
            with ``loss``.
        shuffle (bool): Whether to draw a new order of ``train`` for every epoch.
        transform (callable): Applied to every batch of ``train`` and ``test``.
        device (chainer.backend.Device): Where to train; ``loss`` is moved there.
        progress (str): What the progress bar says; ``None`` or ``''`` for no bar.
        snapshots (bool): Whether to write a snapshot at the end of every epoch.
        cuda_graph (bool): Whether to record the step as a CUDA graph, see
            :class:`course_lib.training.RecordedStep`: on a GPU, several times faster for small
            models and batches. By default, where it can be done: on a GPU, with the course's
            Adam, for a loss whose class says ``recordable = True``.

    Returns:
        chainer.training.Trainer: Call ``run()``, or :func:`resume` first. More extensions may be
        added before.

    Raises:
        ValueError: If ``epochs`` is less than 1; as :class:`ArrayIterator` for the data; if
            ``cuda_graph`` is set and ``device`` is not a GPU.
    """
    if not isinstance(epochs, (int, numpy.integer)) or isinstance(epochs, bool) or epochs < 1:
        raise ValueError(f'epochs must be a whole number, 1 or more; got {epochs!r}')
    device = chainer.get_device('@numpy' if device is None else device)
    loss.to_device(device)
    optimizer = Adam() if optimizer is None else optimizer
    optimizer.setup(loss)
    options = {'converter': to_device, 'device': device}
    make_updater = chainer.training.updaters.StandardUpdater
    # A class says it for itself: one derived from it may do what it likes.
    is_recordable = vars(type(loss)).get('recordable', False) and can_be_recorded(optimizer)
    if cuda_graph or (cuda_graph is None and is_recordable and device.xp is not numpy):
        make_updater = RecordedUpdater
        options['fall_back'] = cuda_graph is None
    updater = make_updater(
        ArrayIterator(train, batch_size, shuffle=shuffle, transform=transform), optimizer,
        **options)
    trainer = chainer.training.Trainer(updater, (epochs, 'epoch'), out=str(out))
    if test is not None:
        trainer.extend(extensions.Evaluator(
            ArrayIterator(test, min(len(test), 1000), repeat=False, shuffle=False,
                          transform=transform),
            loss, converter=to_device, device=device))
    trainer.extend(extensions.LogReport(filename='log.json'))
    trainer.extend(RandomState(device))
    if progress:
        trainer.extend(Progress(progress))
    if snapshots:
        trainer.extend(Snapshots())
    return trainer


def curves(trainer):
    """The training curves: what the log of a trainer holds, as arrays.

    Args:
        trainer (chainer.training.Trainer): One with a ``LogReport``, trained.

    Returns:
        dict of str to numpy.ndarray: One value an epoch of ``'epoch'`` and of everything that was
        reported, such as ``'main/loss'`` and ``'validation/main/loss'``.
    """
    log = trainer.get_extension('LogReport').log
    return {key: numpy.array([entry[key] for entry in log])
            for key in log[0] if all(key in entry for entry in log)}
