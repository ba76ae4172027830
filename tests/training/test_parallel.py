"""Several processes: the same parameters as one, and an end with a reason when something fails."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from course_lib.training import parallel

MPIEXEC, PROBLEM = parallel.find_mpiexec()
PROGRAM = 'course_lib.models.vae.parallel'
SMALL = ('--n-hidden', '16', '--batch', '50')

needs_mpi = pytest.mark.skipif(MPIEXEC is None, reason=f'No MPI here: {PROBLEM}')
needs_proc = pytest.mark.skipif(not os.path.isdir('/proc/self'),
                                reason='finds the workers in /proc, which is there on Linux only')


def train(folder, *arguments, n=2, timeout=120):
    """Runs the program; returns what result.json says."""
    return json.loads(parallel.launch(n, PROGRAM, '--out', folder, *SMALL, *arguments,
                                      timeout=timeout))


def parameters(folder):
    with np.load(pathlib.Path(folder) / 'model.npz', allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def start(folder, *arguments):
    """The same in the background."""
    return subprocess.Popen(parallel.command(2, PROGRAM, '--out', folder, *SMALL, *arguments),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it took too long'
        time.sleep(0.01)


def worker(rank, folder):
    """Process id of a worker (Linux)."""
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            words = (entry / 'cmdline').read_bytes().split(b'\0')
            environ = (entry / 'environ').read_bytes().split(b'\0')
        except OSError:
            continue
        if (bytes(folder) in words and sys.executable.encode() == words[0] and (
                b'PMI_RANK=%d' % rank in environ or b'OMPI_COMM_WORLD_RANK=%d' % rank in environ)):
            return int(entry.name)
    raise AssertionError(f'there is no worker {rank}')


def ended(process, within):
    """What a process printed, which has to end by itself within so many seconds."""
    try:
        return process.communicate(timeout=within)[0]
    finally:
        process.kill()


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A run of six epochs that nothing interrupted."""
    folder = tmp_path_factory.mktemp('whole')
    return train(folder, '--epochs', 6), parameters(folder)


# --- n processes and one ----------------------------------------------------------------------

@needs_mpi
@pytest.mark.parametrize('n', [2, 4])
def test_n_processes_take_the_steps_of_one_with_n_times_the_batch(tmp_path, n):
    common = ('--epochs', 3, '--fixed-noise')
    many = train(tmp_path / 'many', *common, '--batch', 100 // n, n=n)
    one = train(tmp_path / 'one', *common, '--batch', 100, n=1)
    assert many['steps'] == one['steps'] == 3 * (1415 // 100)
    assert many['global_batch'] == one['global_batch'] == 100
    a, b = parameters(tmp_path / 'many'), parameters(tmp_path / 'one')
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_allclose(a[key], b[key], rtol=0, atol=2e-6)
    assert abs(many['validation_loss'] - one['validation_loss']) < 0.01


@needs_mpi
def test_all_workers_hold_the_same_parameters_and_learn(tmp_path):
    train(tmp_path, '--epochs', 2)
    states = [dict(np.load(path, allow_pickle=False))
              for path in sorted(tmp_path.glob('worker_*/snapshot_29.npz'))]
    assert len(states) == 2
    models = [key for key in states[0] if '/model:main/' in key]
    assert models
    for key in models:
        np.testing.assert_array_equal(states[0][key], states[1][key])
    random = next(key for key in states[0] if key.endswith('random_state/keys'))
    assert (states[0][random] != states[1][random]).any()
    losses = [entry['validation/main/loss']
              for entry in json.loads((tmp_path / 'worker_0' / 'log.json').read_text())]
    assert losses[-1] < losses[0]


# --- Resuming ---------------------------------------------------------------------------------

def assert_resumes(folder, whole, *arguments):
    """A resumed run ends where the uninterrupted one did, to the last bit."""
    result = train(folder, '--epochs', 6, '--resume', *arguments)
    assert result['steps'] == whole[0]['steps'] and result['resumed_from'] > 0
    found = parameters(folder)
    for key, value in whole[1].items():
        np.testing.assert_array_equal(found[key], value)
    return result


@needs_mpi
def test_a_run_in_two_parts_is_the_whole_run(tmp_path, whole):
    train(tmp_path, '--epochs', 3)
    assert assert_resumes(tmp_path, whole)['resumed_from'] == 45 - 2   # 3 epochs of 708 images


@needs_mpi
@pytest.mark.parametrize('damage', ['missing', 'cut short'])
def test_an_incomplete_checkpoint_is_passed_over(tmp_path, whole, damage):
    train(tmp_path, '--epochs', 4)
    newest = sorted((tmp_path / 'worker_1').glob('snapshot_*.npz'), key=os.path.getmtime)[-1]
    if damage == 'missing':
        newest.unlink()
    else:
        newest.write_bytes(newest.read_bytes()[:1000])
    result = assert_resumes(tmp_path, whole)
    assert result['resumed_from'] < int(newest.stem.split('_')[1])


@needs_mpi
def test_resume_without_checkpoints_starts(tmp_path):
    assert train(tmp_path, '--epochs', 1, '--resume')['resumed_from'] == 0


@needs_mpi
@pytest.mark.parametrize('change, n, words', [
    (('--resume',), 1, 'are those of 2 processes; got 1: start as many'),
    (('--resume', '--n-hidden', '17'), 2, 'is the snapshot of something else'),
    ((), 2, 'holds checkpoints of an earlier run; add --resume')])
def test_a_folder_of_another_run_is_refused(tmp_path, change, n, words):
    train(tmp_path, '--epochs', 1)
    with pytest.raises(parallel.MPIError, match=words):
        train(tmp_path, '--epochs', 2, *change, n=n)


# --- When something fails ---------------------------------------------------------------------

@needs_mpi
@needs_proc
def test_a_worker_that_dies_ends_the_run_and_nothing_is_lost(tmp_path):
    run = tmp_path / 'run'
    process = start(run, '--epochs', 100_000)
    wait_for(lambda: list(run.glob('worker_1/snapshot_*.npz')))
    os.kill(worker(1, run), signal.SIGKILL)
    text = ended(process, 20)
    assert process.returncode
    assert 'a worker was ended by signal 9 (Killed)' in parallel.explain(text, process.returncode)
    assert_nothing_is_lost(run, tmp_path)


def assert_nothing_is_lost(folder, tmp_path):
    """Resumed for an epoch more, the run ends where one that nothing interrupted does."""
    log = json.loads((folder / 'worker_0' / 'log.json').read_text())
    epochs = ('--epochs', log[-1]['epoch'] + 1)
    resumed = train(folder, *epochs, '--resume')
    assert resumed['resumed_from'] >= log[-2]['iteration'] if len(log) > 1 else 1
    train(tmp_path / 'uninterrupted', *epochs)
    found = parameters(folder)
    for key, value in parameters(tmp_path / 'uninterrupted').items():
        np.testing.assert_array_equal(found[key], value)


@needs_mpi
@needs_proc
def test_a_worker_that_hangs_ends_the_run_and_nothing_is_lost(tmp_path):
    run = tmp_path / 'run'
    process = start(run, '--epochs', 100_000, '--patience', 5)
    wait_for(lambda: list(run.glob('worker_1/snapshot_*.npz')))
    hanging = worker(1, run)
    os.kill(hanging, signal.SIGSTOP)
    text = ended(process, 30)
    assert process.returncode
    said = parallel.explain(text, process.returncode)
    assert 'worker 0 of 2 has waited 5 s after step' in said and '--resume' in said
    wait_for(lambda: not is_running(hanging), 10)
    assert_nothing_is_lost(run, tmp_path)


def is_running(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def small_disk(folder, kilobytes, line):
    """A command line that runs another with a full-size-limited file system at ``folder``."""
    script = f'mount -t tmpfs -o size={kilobytes}k tmpfs "$0" && shift 0 && exec "$@"'
    return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, str(folder),
            *line]


def can_mount(folder):
    try:
        return subprocess.run(small_disk(folder, 100, ['true']), capture_output=True,
                              timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@needs_mpi
def test_a_full_disk_ends_the_run_and_nothing_is_lost(tmp_path, whole):
    disk, saved = tmp_path / 'disk', tmp_path / 'saved'
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip('This system lets no ordinary user mount a small file system')
    run = disk / 'run'
    size = sum(p.stat().st_size for p in train_once(tmp_path / 'size')) // 1024
    # Room for the two checkpoints that are kept, and for half of the third.
    script = '"$@"; status=$?; cp -r {} {}; exit $status'.format(run, saved)
    line = ['sh', '-c', script, 'sh',
            *parallel.command(2, PROGRAM, '--out', run, *SMALL, '--epochs', '6')]
    done = subprocess.run(small_disk(disk, int(2.5 * size), line), capture_output=True, text=True,
                          timeout=120)
    assert done.returncode
    said = parallel.explain(done.stdout + done.stderr, done.returncode)
    assert 'No space left on device' in said
    assert 'Traceback' not in done.stderr
    shutil.copytree(saved, tmp_path / 'again')
    assert_resumes(tmp_path / 'again', whole)


def train_once(folder):
    """The files of one checkpoint."""
    train(folder, '--epochs', 1)
    return [p for p in folder.glob('worker_*/snapshot_*.npz')]


def program(folder, code):
    """A program of our own, to be started as a module."""
    (folder / 'own_program.py').write_text(textwrap.dedent(code))
    return 'own_program'


@needs_mpi
@pytest.mark.parametrize('code, words', [
    ('raise KeyError("unexpected")', r'a worker failed \(KeyError'),
    ('raise ValueError("the batch is wrong")', r'^the batch is wrong\.$'),
    ('raise OSError(28, "No space left on device")', 'No space left on device'),
    ('import os; os._exit(5)', 'the workers ended with the status')])
def test_a_failing_worker_ends_the_run(tmp_path, monkeypatch, code, words):
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=os.pathsep)
    own = program(tmp_path, f'''
        from course_lib.training import parallel

        def work():
            comm, _ = parallel.create_communicator('cpu')
            if comm.rank == 1:
                {code}
            comm.mpi_comm.barrier()

        parallel.main(work)
        ''')
    began = time.monotonic()
    with pytest.raises(parallel.MPIError, match=words):
        parallel.launch(2, own, timeout=60)
    assert time.monotonic() - began < 40


@needs_mpi
def test_the_checkpoints_of_chainermn_do_not_survive_a_failure(tmp_path, monkeypatch):
    """Why each worker writes snapshots of ours instead."""
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=os.pathsep)
    own = program(tmp_path, f'''
        import os, warnings
        import chainer, chainermn, numpy as np
        warnings.simplefilter('ignore')
        comm = chainermn.create_communicator('naive')
        optimizer = chainer.optimizers.SGD().setup(chainer.links.Linear(1, 1))
        updater = chainer.training.StandardUpdater(
            chainer.iterators.SerialIterator([np.ones(1, 'f')] * 4, 2), optimizer,
            loss_func=lambda x: chainer.functions.mean(optimizer.target(x)))
        out = {str(tmp_path / 'out')!r}
        trainer = chainer.training.Trainer(updater, (9, 'epoch'), out=out)
        checkpoints = chainermn.create_multi_node_checkpointer('run', comm)
        trainer.extend(checkpoints, trigger=(1, 'epoch'))

        def fail(trainer):
            print('before', len(os.listdir(out)))
            raise OSError('failed')

        trainer.extend(fail, trigger=(3, 'epoch'), priority=-9)
        try:
            trainer.run(show_loop_exception_msg=False)
        except OSError:
            print('after', len(os.listdir(out)))
        ''')
    assert parallel.launch(1, own, timeout=60).split() == ['before', '3', 'after', '0']


@needs_mpi
def test_a_run_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(parallel.MPIError, match='2 processes did not finish in 5 s'):
        train(tmp_path, '--epochs', 100_000, timeout=5)


@needs_mpi
def test_too_few_gpus_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv('COURSE_DEVICE', 'cpu')
    with pytest.raises(parallel.MPIError, match='NCCL needs one GPU a process; this machine has 0'):
        train(tmp_path, '--device', 'gpu')


@needs_mpi
@pytest.mark.parametrize('arguments, words', [
    (('--fixed-noise', '--batch', '2000'), 'the global batch of 4000 is larger than the 1415'),
    (('--patience', '0'), 'patience must be a positive number of seconds; got 0'),
    (('--seed', '-1'), 'seed must be a whole number')])
def test_bad_arguments(tmp_path, arguments, words):
    with pytest.raises(parallel.MPIError, match=words):
        train(tmp_path, *arguments)


@needs_mpi
@pytest.mark.skipif(shutil.which('nvidia-smi') is None, reason='NCCL: needs an NVIDIA GPU')
def test_one_gpu_a_process(tmp_path):
    count = len(subprocess.run(['nvidia-smi', '-L'], capture_output=True,
                               text=True).stdout.splitlines())
    common = ('--epochs', 2, '--fixed-noise', '--batch', 50)
    train(tmp_path / 'gpu', *common, '--device', 'gpu', n=count)
    train(tmp_path / 'cpu', *common, '--device', 'cpu', n=count)
    cpu = parameters(tmp_path / 'cpu')
    for key, value in parameters(tmp_path / 'gpu').items():
        np.testing.assert_allclose(value, cpu[key], rtol=0, atol=1e-3)


# --- Starting them ----------------------------------------------------------------------------

@pytest.fixture
def open_mpi(tmp_path, monkeypatch):
    """A launcher that says what Open MPI says, and only prints its arguments."""
    path = tmp_path / 'mpiexec'
    path.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo "mpiexec (Open MPI) 5.0.8"; '
                    'else printf "%s " "$@"; fi\n')
    path.chmod(0o755)
    monkeypatch.setattr(parallel, 'find_mpiexec', lambda: (str(path), None))
    for name in parallel.AS_ROOT:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no root')
class TestOpenMPI:
    def test_as_root_the_switch_is_named(self, open_mpi, monkeypatch):
        monkeypatch.setattr(os, 'geteuid', lambda: 0)
        with pytest.raises(parallel.MPIError, match='set OMPI_ALLOW_RUN_AS_ROOT=1 and '
                           'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1'):
            parallel.command(2, 'json.tool')

    def test_as_root_with_the_switch(self, open_mpi, monkeypatch):
        monkeypatch.setattr(os, 'geteuid', lambda: 0)
        for name in parallel.AS_ROOT:
            monkeypatch.setenv(name, '1')
        assert '--oversubscribe' in parallel.command(2, 'json.tool')

    def test_as_an_ordinary_user(self, open_mpi, monkeypatch):
        monkeypatch.setattr(os, 'geteuid', lambda: 1000)
        assert parallel.launch(2, 'json.tool').split()[:3] == ['-n', '2', '--oversubscribe']


def test_without_mpi4py_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(parallel.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(parallel.MPIError, match='mpi4py is not installed: pip install'):
        parallel.command(2, PROGRAM)


def test_a_program_without_mpi_says_what_to_install(tmp_path):
    code = ("import sys; sys.modules['mpi4py'] = None\n"
            "from course_lib.models.vae import parallel; parallel.main(['--out', sys.argv[1]])")
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path)], capture_output=True,
                          text=True)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert 'error: MPI cannot be used' in done.stderr and 'pip install mpi4py' in done.stderr


def test_without_a_launcher_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(parallel.importlib.util, 'find_spec', lambda name: object())
    monkeypatch.setattr(parallel.shutil, 'which', lambda *a, **k: None)
    monkeypatch.setattr(parallel.metadata, 'files', lambda name: None)
    with pytest.raises(parallel.MPIError, match='there is no mpiexec: pip install mpich'):
        parallel.command(2, PROGRAM)


@pytest.mark.parametrize('n', [0, -1, 1.5, True, '2'])
def test_bad_number_of_processes(n):
    with pytest.raises(ValueError, match='n must be a whole number of processes'):
        parallel.command(n, PROGRAM)


@pytest.mark.parametrize('text, status, said', [
    ('x\nerror: the disk is full\n', 2, 'the disk is full.'),
    ('YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)', 9,
     'a worker was ended by signal 9 (Killed)'),
    ('mpirun noticed that process rank 1 exited on\nsignal 11 (Segmentation fault).', 139,
     'a worker was ended by signal 11 (Segmentation fault)'),
    ('Traceback\nKeyError: 3\n', 1, 'a worker failed (KeyError: 3).'),
    ('', 7, 'the workers ended with the status 7')])
def test_the_reason_is_found_in_what_was_printed(text, status, said):
    assert said in parallel.explain(text, status)


def test_the_import_starts_no_mpi():
    code = 'import sys, course_lib.training.parallel; sys.exit("mpi4py.MPI" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
