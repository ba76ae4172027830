"""Training, snapshots and resuming: an interrupted run goes on bit for bit."""
import errno
import io
import os
import signal
import subprocess
import sys
import time

import chainer
from chainer import functions as F
import numpy as np
import pytest

from course_lib import datasets, training
from course_lib.models import vae
from course_lib.training import progress, snapshots

TRAIN, TEST = datasets.load_digits().split()
X, X_TEST = TRAIN.images[:300], TEST.images[:100]


def make_loss(n_latent=2, n_h=16, **options):
    return vae.AvgELBOLoss(vae.Encoder(64, n_latent, n_h), vae.Decoder(64, n_latent, n_h),
                           vae.Prior(n_latent), **options)


def make_trainer(folder, epochs=4, loss=None, **options):
    training.set_seed(1)
    return training.make_trainer(loss or make_loss(), X, X_TEST, epochs=epochs, batch_size=64,
                                 out=folder, transform=vae.binarize, progress=None, snapshots=True,
                                 **options)


def parameters(trainer):
    return [p.array for p in trainer.updater.get_optimizer('main').target.params()]


def assert_same_state(a, b):
    for first, second in zip(parameters(a), parameters(b), strict=True):
        np.testing.assert_array_equal(first, second)
    logs = [[{k: v for k, v in entry.items() if k != 'elapsed_time'}
             for entry in trainer.get_extension('LogReport').log] for trainer in (a, b)]
    assert logs[0] == logs[1]


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    trainer = make_trainer(tmp_path_factory.mktemp('whole'))
    trainer.run()
    return trainer, np.random.get_state()[1].copy()


def test_it_learns_and_logs(uninterrupted):
    curves = training.curves(uninterrupted[0])
    assert list(curves['epoch']) == [1, 2, 3, 4]
    for key in ('main/loss', 'validation/main/loss', 'main/reconstr', 'main/kl_penalty'):
        assert len(curves[key]) == 4
    assert curves['validation/main/loss'][-1] < curves['validation/main/loss'][0]
    np.testing.assert_allclose(curves['main/loss'],
                               curves['main/kl_penalty'] - curves['main/reconstr'], rtol=1e-5)


def test_same_seed_same_run(uninterrupted, tmp_path):
    again = make_trainer(tmp_path)
    again.run()
    assert_same_state(uninterrupted[0], again)


@pytest.mark.parametrize('stop', [1, 2, 3])
def test_resumes_bit_for_bit(uninterrupted, tmp_path, stop):
    make_trainer(tmp_path, epochs=stop).run()
    np.random.seed(99)                          # a new process starts from another state
    resumed = make_trainer(tmp_path)
    training.resume(training.latest(tmp_path), resumed)
    resumed.run()
    assert_same_state(uninterrupted[0], resumed)
    np.testing.assert_array_equal(np.random.get_state()[1], uninterrupted[1])


def test_without_the_random_state_it_does_not(uninterrupted, tmp_path):
    """What Chainer's own snapshot leaves out, and RandomState puts in."""
    make_trainer(tmp_path, epochs=2).run()
    resumed = make_trainer(tmp_path)
    saved = dict(np.load(training.latest(tmp_path), allow_pickle=False))
    snapshots._check('', saved, resumed)
    kept = {k: v for k, v in saved.items() if 'random_state' not in k}
    chainer.serializers.NpzDeserializer(kept, strict=False).load(resumed)
    np.random.seed(99)
    resumed.run()
    assert any((a != b).any() for a, b in zip(parameters(uninterrupted[0]), parameters(resumed)))


def test_extensions_that_change_with_time_are_resumed_too(tmp_path):
    def with_annealing(folder, epochs):
        trainer = make_trainer(folder, epochs)
        loss = trainer.updater.get_optimizer('main').target
        trainer.extend(chainer.training.extensions.LinearShift(
            'beta', (0., 1.), (0, 12), optimizer=loss))
        return trainer, loss

    whole, loss = with_annealing(tmp_path / 'whole', 4)
    whole.run()
    with_annealing(tmp_path / 'parts', 2)[0].run()
    resumed, loss_again = with_annealing(tmp_path / 'parts', 4)
    training.resume(training.latest(tmp_path / 'parts'), resumed)
    resumed.run()
    assert_same_state(whole, resumed)
    assert loss.beta == loss_again.beta == 1.


def test_keeps_the_newest_snapshots_and_nothing_half_written(uninterrupted):
    names = sorted(os.listdir(uninterrupted[0].out))
    assert names == ['log.json', 'snapshot_15.npz', 'snapshot_19.npz']
    assert training.latest(uninterrupted[0].out).name == 'snapshot_19.npz'


def test_latest_of_an_empty_folder(tmp_path):
    (tmp_path / 'snapshot_7.npz.tmp').touch()
    (tmp_path / 'snapshot_best.npz').touch()
    assert training.latest(tmp_path) is None


def test_a_snapshot_holds_nothing_to_unpickle(uninterrupted):
    with np.load(training.latest(uninterrupted[0].out), allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize('damage', ['cut short', 'a flipped byte', 'empty', 'text', 'pickle'])
def test_a_damaged_snapshot_is_refused_and_nothing_is_loaded(uninterrupted, tmp_path, damage):
    content = bytearray(training.latest(uninterrupted[0].out).read_bytes())
    if damage == 'cut short':
        content = content[:len(content) // 2]
    elif damage == 'a flipped byte':
        content[len(content) // 3] ^= 0xFF
    elif damage == 'pickle':
        buffer = io.BytesIO()
        np.savez(buffer, a=np.array([print], dtype=object))
        content = buffer.getvalue()
    else:
        content = b'' if damage == 'empty' else b'hello'
    path = tmp_path / 'snapshot_3.npz'
    path.write_bytes(content)
    trainer = make_trainer(tmp_path)
    before = [p.copy() for p in parameters(trainer)]
    with pytest.raises(ValueError, match='snapshot_3.npz is damaged or no snapshot'):
        training.resume(path, trainer)
    for a, b in zip(before, parameters(trainer)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('other, words', [
    ({'n_latent': 3}, r'decoder/hidden/0/W has the shape \(16, 2\) there and \(16, 3\) here'),
    ({'n_h': 17}, 'has the shape'),
    ({'n_h': (16, 16)}, 'it has no '),
])
def test_the_snapshot_of_another_model_is_refused(uninterrupted, tmp_path, other, words):
    trainer = make_trainer(tmp_path, loss=make_loss(**other))
    before = [p.copy() for p in parameters(trainer)]
    with pytest.raises(ValueError, match='is the snapshot of something else: .*' + words):
        training.resume(training.latest(uninterrupted[0].out), trainer)
    for a, b in zip(before, parameters(trainer)):
        np.testing.assert_array_equal(a, b)


def test_a_missing_snapshot(tmp_path):
    with pytest.raises(FileNotFoundError, match='path must name a snapshot'):
        training.resume(tmp_path / 'snapshot_1.npz', make_trainer(tmp_path))


def test_a_full_disk_leaves_the_old_snapshot(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, epochs=1)
    trainer.run()
    path = training.latest(tmp_path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='could not be written: No space left on device'):
        snapshots.save(path, trainer)
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ['log.json', path.name]


SCRIPT = '''
import sys
from course_lib import datasets, training
from course_lib.models import vae
training.set_seed(1)
loss = vae.AvgELBOLoss(vae.Encoder(64, 2, 16), vae.Decoder(64, 2, 16), vae.Prior(2))
x = datasets.load_digits().split()[0].images
trainer = training.make_trainer(loss, x, epochs=10 ** 6, out=sys.argv[1], progress=None,
                                snapshots=True)
trainer.run()
'''


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no SIGKILL')
def test_a_killed_run_leaves_whole_snapshots(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', SCRIPT, str(tmp_path)])
    try:
        end = time.monotonic() + 60
        while len(list(tmp_path.glob('snapshot_*.npz'))) < 2 and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = sorted(tmp_path.glob('snapshot_*.npz'))
    assert found
    for path in found:                          # under its name each is whole
        training.set_seed(5)
        trainer = training.make_trainer(make_loss(), TRAIN.images, epochs=1, out=tmp_path,
                                        progress=None)
        training.resume(path, trainer)
        assert trainer.updater.iteration == int(path.stem.split('_')[1])


@pytest.mark.parametrize('epochs', [0, -1, 2.5, True])
def test_bad_epochs(tmp_path, epochs):
    with pytest.raises(ValueError, match='epochs must be a whole number, 1 or more; got'):
        training.make_trainer(make_loss(), X, epochs=epochs, out=tmp_path)


@pytest.mark.parametrize('seed', [-1, 2 ** 32, 1.5, True, None])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match='seed must be a whole number from 0'):
        training.set_seed(seed)


def test_bad_number_of_snapshots():
    with pytest.raises(ValueError, match='keep must be a whole number'):
        training.Snapshots(keep=0)


class TestProgress:
    def run(self, stop, **options):
        file = io.StringIO()

        class Loss(chainer.Chain):
            def __init__(self):
                super().__init__()
                with self.init_scope():
                    self.w = chainer.Parameter(np.ones((), np.float32))

            def forward(self, x):
                loss = F.mean((x - F.broadcast_to(self.w, x.shape)) ** 2)
                chainer.report({'loss': loss}, self)
                return loss

        optimizer = training.Adam().setup(Loss())
        updater = chainer.training.StandardUpdater(
            training.ArrayIterator(np.ones(10, np.float32), 3), optimizer,
            converter=training.to_device)
        trainer = chainer.training.Trainer(updater, stop, out=options.pop('out'))
        if options.pop('log', True):
            trainer.extend(chainer.training.extensions.LogReport())
        trainer.extend(training.Progress('learning', file=file, **options))
        trainer.run()
        return file.getvalue()

    def test_counts_epochs_and_shows_the_loss(self, tmp_path):
        last = self.run((3, 'epoch'), out=str(tmp_path)).split('\r')[-1]
        assert last.startswith('learning: 100%|') and '3.0/3 epochs' in last
        assert 'main/loss' in last and '\x1b' not in last

    def test_counts_iterations_and_needs_no_log(self, tmp_path):
        last = self.run((7, 'iteration'), out=str(tmp_path), log=False).split('\r')[-1]
        assert '7.0/7 iterations' in last and 'loss' not in last

    def test_writes_to_standard_error(self, tmp_path, capsys):
        trainer = training.make_trainer(make_loss(), X, epochs=1, out=tmp_path, progress='digits')
        trainer.run()
        captured = capsys.readouterr()
        assert captured.out == '' and 'digits: 100%' in captured.err

    def test_survives_without_being_started(self):
        progress.Progress().finalize()
