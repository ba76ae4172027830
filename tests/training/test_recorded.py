"""Training steps recorded as a CUDA graph: the same numbers as ordinary steps."""
import chainer
from chainer import functions as F
import numpy as np
import pytest

from course_lib import devices, training
from course_lib.models import vae
from course_lib.numerics import cuda_graph
from course_lib.training import recorded

needs_gpu = pytest.mark.skipif(not devices.choose().is_gpu, reason='no GPU answers')
N_IN = 12


def parts(prior=vae.Prior):
    return vae.Encoder(N_IN, 3, (16, 8)), vae.Decoder(N_IN, 3, (16, 8)), prior(3)


def elbo():
    return vae.AvgELBOLoss(*parts(), k=2)


def iwae():
    return vae.IWAELoss(*parts(), k=5)


def with_mixture():
    return vae.AvgELBOLoss(*parts(lambda n: vae.MixturePrior(n, 4)))


def with_flow():
    return vae.AvgELBOLoss(*parts(vae.FlowPrior))


def continuous():
    return vae.AvgELBOLoss(vae.Encoder(N_IN, 3, 16), vae.ContinuousBernoulliDecoder(N_IN, 3, 16),
                           vae.Prior(3))


def discretized():
    decoder = vae.DiscretizedLogisticDecoder(N_IN, 3, 16, n_levels=2)
    return vae.AvgELBOLoss(vae.Encoder(N_IN, 3, 16), decoder, vae.Prior(3))


def free_bits():
    return vae.FreeBitsLoss(*parts(), free_nats=0.1)


def batches(n_steps, sizes=(32,)):
    rng = np.random.default_rng(0)
    device = devices.choose().device
    return [device.send((rng.random((sizes[i % len(sizes)], N_IN)) < 0.3).astype(np.float32))
            for i in range(n_steps)]


def trained(make, data, wrap, change=None):
    """Parameters and reported losses after a step on each batch."""
    training.set_seed(3)
    loss = make()
    loss.to_device(devices.choose().device)
    optimizer = training.Adam().setup(loss)
    step = wrap(optimizer, loss)
    losses = []
    for i, x in enumerate(data):
        if change:
            change(i, loss, optimizer)
        reporter, observation = chainer.Reporter(), {}
        reporter.add_observer('main', loss)
        with reporter, reporter.scope(observation):
            step(x)
        losses.append({name: float(devices.to_numpy(value)) for name, value in observation.items()})
    assert optimizer.t == len(data)
    return [devices.to_numpy(p.array) for p in loss.params()], losses


def ordinary(optimizer, loss):
    return lambda x: optimizer.update(loss, x)


def assert_same(make, data, change=None):
    expected, losses = trained(make, data, ordinary, change)
    actual, recorded_losses = trained(make, data, training.RecordedStep, change)
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)
    for a, b in zip(recorded_losses, losses):
        assert a == pytest.approx(b, rel=1e-4)
    assert len({loss['main/loss'] for loss in recorded_losses}) == len(data)   # none was repeated


@needs_gpu
@pytest.mark.parametrize('make', [elbo, iwae, with_mixture, with_flow, free_bits, continuous,
                                  discretized])
def test_recorded_steps_are_ordinary_steps(make):
    assert_same(make, batches(12))


@needs_gpu
def test_each_shape_has_a_recording_of_its_own():
    assert_same(elbo, batches(14, sizes=(32, 20)))


@needs_gpu
def test_a_changed_weight_or_step_size_is_heard():
    def change(i, loss, optimizer):
        loss.beta = 0.1 if i < 6 else 1.
        optimizer.alpha = 1e-3 if i < 9 else 1e-2

    assert_same(elbo, batches(12), change)


@needs_gpu
def test_memory_of_others_is_left_alone():
    device = devices.choose().device
    training.set_seed(0)
    loss = elbo()
    loss.to_device(device)
    step = training.RecordedStep(training.Adam().setup(loss))
    x = batches(1)[0]
    others = []
    for i in range(20):
        step(x)
        others.append(device.xp.full((32, 16), i, np.float32))
    for i, other in enumerate(others):
        assert bool((other == i).all())


@needs_gpu
def test_what_reads_from_the_gpu_is_refused_and_ordinary_steps_go_on():
    class Reads(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.w = chainer.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            y = F.sum(self.w * x)
            return y if float(y.array) > 0 else -y

    loss = Reads()
    loss.to_device(devices.choose().device)
    optimizer = training.Adam().setup(loss)
    step = training.RecordedStep(optimizer)
    x = devices.choose().device.send(np.ones(3, np.float32))
    for _ in range(recorded.WARM_UP):
        step(x)
    with pytest.raises(cuda_graph.NotRecordable, match='cannot be recorded as a CUDA graph'):
        step(x)
    assert optimizer.t == recorded.WARM_UP
    optimizer.update(loss, x)
    step = training.RecordedStep(optimizer, fall_back=True)
    for _ in range(recorded.WARM_UP + 2):
        step(x)
    assert optimizer.t == 2 * recorded.WARM_UP + 3
    assert bool(devices.choose().device.xp.isfinite(loss.w.array).all())


@needs_gpu
def test_a_weight_that_changes_at_every_step_is_heard():
    def change(i, loss, optimizer):
        loss.beta = i / 30

    assert_same(elbo, batches(30), change)


@needs_gpu
def test_a_trainer_records_where_it_can(tmp_path):
    device = devices.choose().device

    class Derived(vae.AvgELBOLoss):
        pass

    def updater(loss, **options):
        return training.make_trainer(loss, batches(1)[0], epochs=1, out=tmp_path, device=device,
                                     **options).updater

    assert isinstance(updater(elbo()), training.RecordedUpdater)
    assert not isinstance(updater(Derived(*parts())), training.RecordedUpdater)
    assert not isinstance(updater(elbo(), cuda_graph=False), training.RecordedUpdater)
    assert not isinstance(updater(elbo(), optimizer=chainer.optimizers.SGD()),
                          training.RecordedUpdater)


@needs_gpu
def test_a_recorded_run_resumes(tmp_path):
    device = devices.choose().device
    x = device.xp.concatenate(batches(8))

    def trainer(folder, epochs):
        training.set_seed(1)
        return training.make_trainer(elbo(), x, epochs=epochs, out=folder, batch_size=32,
                                     device=device, progress=None, snapshots=True,
                                     transform=vae.binarize, cuda_graph=True)

    whole, first = trainer(tmp_path / 'a', 4), trainer(tmp_path / 'b', 2)
    for run in (whole, first):
        training.set_seed(1)
        run.run()
    resumed = trainer(tmp_path / 'b', 4)
    training.resume(training.latest(tmp_path / 'b'), resumed)
    resumed.run()
    targets = [t.updater.get_optimizer('main').target for t in (whole, resumed)]
    # The first steps after a resumption are ordinary ones, whose products round differently.
    for a, b in zip(*[target.params() for target in targets], strict=True):
        np.testing.assert_allclose(devices.to_numpy(a.array), devices.to_numpy(b.array),
                                   rtol=1e-3, atol=2e-5)


@needs_gpu
@pytest.mark.parametrize('a_shape, b_shape', [((5, 3), (3, 4)), ((1, 7), (7, 1)),
                                              ((6, 1), (1, 2))])
@pytest.mark.parametrize('transpose_a', [False, True])
@pytest.mark.parametrize('transpose_b', [False, True])
def test_recorded_products(a_shape, b_shape, transpose_a, transpose_b):
    device = devices.choose().device
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in (a_shape, b_shape))
    on_gpu = [device.send(np.ascontiguousarray(m.T)).T if t else device.send(m)
              for m, t in ((a, transpose_a), (b, transpose_b))]
    graph = cuda_graph.Graph(lambda: cuda_graph.dot(*on_gpu))
    graph.replay()
    np.testing.assert_allclose(devices.to_numpy(graph.result), a @ b, rtol=1e-5, atol=1e-6)


@needs_gpu
def test_recorded_draws_differ_from_replay_to_replay():
    from course_lib.numerics import random
    xp = devices.choose().device.xp
    graph = cuda_graph.Graph(lambda: random.normal(xp, None, (50,), np.float32))
    drawn = []
    for _ in range(3):
        graph.replay()
        drawn.append(devices.to_numpy(graph.result).copy())
    assert len({float(d[0]) for d in drawn}) == 3


# -- anywhere -----------------------------------------------------------------------------------

def test_outside_a_recording_dot_is_dot():
    assert cuda_graph.recording() is None
    a = np.float32([[1, 2], [3, 4]])
    np.testing.assert_array_equal(cuda_graph.dot(a, a), a @ a)


def test_a_recorded_step_wants_adam_and_a_gpu():
    loss = elbo()
    with pytest.raises(TypeError, match='optimizer must be a course_lib.training.Adam .* got SGD'):
        training.RecordedStep(chainer.optimizers.SGD().setup(loss))
    with pytest.raises(TypeError, match='without amsgrad and adabound'):
        training.RecordedStep(training.Adam(amsgrad=True).setup(loss))
    step = training.RecordedStep(training.Adam().setup(loss))
    with pytest.raises(TypeError, match='x must be a CuPy array; got ndarray'):
        step(np.zeros((2, N_IN), np.float32))


def test_a_trainer_with_a_cuda_graph_wants_a_gpu(tmp_path):
    with pytest.raises(ValueError, match='RecordedUpdater: device must be a GPU; got @numpy'):
        training.make_trainer(elbo(), np.zeros((4, N_IN), np.float32), epochs=1, out=tmp_path,
                              cuda_graph=True)
