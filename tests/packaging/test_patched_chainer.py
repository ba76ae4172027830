"""The installed Chainer: it is the patched build, it is quiet, and it works.

Each behaviour test exercises what one substitution mended; all of them run with
warnings turned into errors.
"""

import importlib.metadata
from pathlib import Path
import pickle
import subprocess
import sys
import textwrap

import chainer
from chainer.backends import cuda
import chainer.distributions as D
import chainer.functions as F
import chainer.links as L
import numpy as np
import pytest
from substitutions import SUBSTITUTIONS

pytestmark = pytest.mark.filterwarnings('error')

SITE = Path(chainer.__file__).resolve().parents[1]
PATCHED_FILES = sorted(
    {item.file for item in SUBSTITUTIONS} - {'setup.py'})


def run_python(code):
    """Run `code` in a fresh Python that turns warnings into errors."""
    return subprocess.run(
        [sys.executable, '-W', 'error', '-c', textwrap.dedent(code)],
        capture_output=True, text=True)


def assert_silent(result):
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')


# --- The package ------------------------------------------------------------------------

def test_the_version_says_that_this_is_a_patched_build():
    version = importlib.metadata.version('chainer')
    assert version == chainer.__version__
    assert version.startswith('7.8.1+')


def test_the_requirements_are_those_of_run_time():
    required = {
        line.partition(';')[0].strip() for line in
        importlib.metadata.requires('chainer') if 'extra ==' not in line}
    names = {line.split('>')[0] for line in required}
    assert names == {
        'filelock', 'numpy', 'protobuf', 'scipy', 'six', 'typing_extensions'}


@pytest.mark.parametrize('file', PATCHED_FILES)
def test_every_patched_file_is_installed_and_compiles(file):
    text = (SITE / file).read_text(encoding='utf-8')
    compile(text, file, 'exec')
    for item in SUBSTITUTIONS:
        if item.file == file:
            assert item.new in text


def test_the_import_is_silent():
    assert_silent(run_python(
        'import chainer, chainer.distributions, chainer.functions, '
        'chainer.links, chainer.training'))


@pytest.mark.parametrize('first', ['chainer.distributions', 'chainer.training'])
def test_any_module_may_be_imported_first(first):
    assert_silent(run_python(f'import {first}, chainer.links'))


def test_neither_setuptools_nor_pkg_resources_is_needed():
    assert_silent(run_python('''
        import sys
        sys.modules['setuptools'] = sys.modules['pkg_resources'] = None
        import chainer, chainer.distributions, chainer.functions
        import chainer.links, chainer.testing, chainer.training
        '''))


# A stand-in for CuPy that warns as the real one does: on import, where no CUDA
# toolkit is found (on Windows), and for each optional library that is missing.
FAKE_CUPY = """
import importlib.machinery, sys, types, warnings

class FakeCupy(types.ModuleType):
    __path__ = []
    __version__ = '14.0.1'
    memoize = fuse = staticmethod(lambda *args, **options: lambda f: f)
    def __getattr__(self, name):
        if name.startswith('__') or name in ('cudnn', 'nccl'):
            raise AttributeError(name)
        return type(name, (Warning,), {})

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split('.')[0] in ('cupy', 'cupyx'):
            return importlib.machinery.ModuleSpec(name, Finder)
    @staticmethod
    def create_module(spec):
        return FakeCupy(spec.name)
    @staticmethod
    def exec_module(module):
        if module.__name__ == 'cupy':
            warnings.warn('CUDA path could not be detected. Set CUDA_PATH')
        if module.__name__.rpartition('.')[2] in ('cudnn', 'nccl'):
            warnings.warn(f'{module.__name__} library could not be loaded.')
            raise ImportError(module.__name__)

sys.meta_path.insert(0, Finder)
"""


def test_the_import_is_silent_where_cupy_complains():
    # Printed, not raised: Chainer survives whatever its import of CuPy raises.
    code = FAKE_CUPY + 'import chainer\nassert chainer.backends.cuda.available'
    assert_silent(subprocess.run(
        [sys.executable, '-W', 'always', '-c', code],
        capture_output=True, text=True))


def test_missing_cudnn_is_no_reason_to_warn(monkeypatch):
    monkeypatch.setattr(cuda, 'available', True)
    monkeypatch.setattr(cuda, 'cudnn_enabled', False)
    monkeypatch.setattr(cuda, '_cudnn_disabled_by_user', False, raising=False)
    cuda.check_cuda_available()


# --- Names and arguments that NumPy, SciPy and Python took away -----------------------------

def test_resize_images():
    x = np.array([[[[0., 2.], [4., 6.]]]], np.float32)
    aligned = F.resize_images(x, (3, 3))
    assert aligned.dtype == np.float32
    np.testing.assert_allclose(
        aligned.array[0, 0], [[0, 1, 2], [2, 3, 4], [4, 5, 6]])
    np.testing.assert_allclose(
        F.resize_images(x, (4, 4), align_corners=False).array[0, 0, 0],
        [0, .5, 1.5, 2])
    np.testing.assert_allclose(
        F.resize_images(x, (4, 4), mode='nearest').array[0, 0, 1], [0, 0, 2, 2])


def test_as_strided_and_its_gradient():
    x = chainer.Variable(np.arange(4, dtype=np.float32))
    windows = F.as_strided(x, (3, 2), (1, 1), 0)
    np.testing.assert_array_equal(windows.array, [[0, 1], [1, 2], [2, 3]])
    F.sum(windows).backward()
    np.testing.assert_array_equal(x.grad, [1, 2, 2, 1])


@pytest.mark.parametrize('wrap', [np.asarray, chainer.Variable])
@pytest.mark.parametrize('batch_shape', [(), (2,), (2, 3)])
def test_categorical_log_prob(batch_shape, wrap):
    p = np.random.RandomState(0).dirichlet(
        np.ones(4), batch_shape).astype(np.float32)
    x = np.random.RandomState(1).randint(0, 4, batch_shape)
    found = D.Categorical(p=p).log_prob(wrap(np.asarray(x, np.float32))).array
    wanted = np.log(np.take_along_axis(p, x[..., None], axis=-1)[..., 0])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_cross_entropy_is_entropy_plus_divergence():
    p = D.Normal(np.float32([0.]), np.float32([1.]))
    q = D.Normal(np.float32([1.]), np.float32([2.]))
    expected = p.entropy.array + chainer.kl_divergence(p, q).array
    np.testing.assert_allclose(chainer.cross_entropy(p, q).array, expected)


def test_debug_print_names_the_cpu():
    x = chainer.Variable(np.zeros(3, np.float32))
    assert '- device: CPU\n' in x.debug_print()


@pytest.mark.parametrize('padding', [0, -1])
def test_concat_examples_with_padding(padding):
    joined = chainer.dataset.concat_examples(
        [np.array([1, 2, 3]), np.array([4])], padding=padding)
    np.testing.assert_array_equal(joined, [[1, 2, 3], [4, padding, padding]])


@pytest.mark.parametrize('dtype, padded', [(np.uint8, 255), (np.float32, -1)])
def test_pad_sequence_below_zero(dtype, padded):
    x = [np.array([1, 2], dtype), np.array([3], dtype)]
    y = F.pad_sequence(x, padding=-1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.array, [[1, 2], [3, padded]])


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_sparse_matmul(dtype):
    a = np.array([[0, 1], [2, 0]], dtype)
    b = np.array([[1, 2], [3, 4]], dtype)
    y = F.sparse_matmul(chainer.utils.to_coo(a), b)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.array, a @ b)


def test_fix():
    y = F.fix(np.array([-1.5, 1.5], np.float32))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.array, [-1, 1])


def test_maxout_with_initializers_that_are_functions():
    def count(array):
        array[...] = np.arange(array.size).reshape(array.shape)

    maxout = L.Maxout(2, 3, 2, initialW=count, initial_bias=count)
    np.testing.assert_array_equal(
        maxout.linear.W.array, np.arange(12).reshape(6, 2))
    np.testing.assert_array_equal(maxout.linear.b.array, np.arange(6))


# --- Iterators and serializers -----------------------------------------------------------------

# Forking a process that has threads is deprecated since Python 3.12; that is
# between the caller and the start method of multiprocessing.
@pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')
def test_multiprocess_iterator_survives_pickling():
    iterator = chainer.iterators.MultiprocessIterator(
        list(range(6)), 2, n_processes=1)
    try:
        seen = iterator.next() + iterator.next()
        rest = sorted(set(range(6)) - set(seen))
        copy = pickle.loads(pickle.dumps(iterator))
        try:
            for each in (iterator, copy):
                assert each.current_position == 4
                assert sorted(each.next()) == rest
                assert each.is_new_epoch
        finally:
            copy.finalize()
    finally:
        iterator.finalize()


def test_hdf5_reads_strings(tmp_path):
    h5py = pytest.importorskip('h5py')
    with h5py.File(tmp_path / 'x.h5', 'w') as file:
        file['name'] = 'abc'
        load = chainer.serializers.HDF5Deserializer(file)
        assert load('name', '') == 'abc'


def test_the_caffe_reader_reads():
    from chainer.links.caffe.protobuf3 import caffe_pb2
    layer = caffe_pb2.V1LayerParameter(
        name='relu', type=caffe_pb2.V1LayerParameter.RELU)
    net = caffe_pb2.NetParameter(layers=[layer])
    read = caffe_pb2.NetParameter.FromString(net.SerializeToString())
    assert read.layers[0].name == 'relu'
    assert read.layers[0].type == caffe_pb2.V1LayerParameter.RELU


# --- chainer.testing -----------------------------------------------------------------------------

def test_requirements_of_tests():
    # In a process of its own: under pytest, chainer.testing registers marks.
    assert_silent(run_python('''
        from chainer.testing import (
            doctest_helper, with_requires, without_requires)

        def skips(decorator, requirements):
            case = decorator(*requirements)(type('Case', (), {}))
            return getattr(case, '__unittest_skip__', False)

        for requirements, met in (
                (['numpy>=2'], True), (['numpy<2'], False),
                (['no-such-package'], False), (['numpy>=2', 'scipy'], True),
                (['numpy>=2', 'scipy<1'], False)):
            assert skips(with_requires, requirements) is not met
            assert skips(without_requires, requirements) is met
            assert doctest_helper.skipif_requires_satisfied(
                *requirements) is met
        '''))


# --- ChainerMN ----------------------------------------------------------------------------------

def test_gradients_of_another_type_are_unpacked():
    # mpi4py is optional, and needs an MPI library: this needs only its names.
    assert_silent(run_python('''
        import sys, types
        import numpy as np
        import chainer
        mpi = types.ModuleType('mpi4py.MPI')
        mpi.FLOAT = None
        sys.modules['mpi4py'] = types.ModuleType('mpi4py')
        sys.modules['mpi4py.MPI'] = sys.modules['mpi4py'].MPI = mpi
        mn = types.ModuleType('chainermn')
        mn.__path__ = [chainer.__path__[0] + 'mn']
        communicators = types.ModuleType('chainermn.communicators')
        communicators.__path__ = [mn.__path__[0] + '/communicators']
        sys.modules['chainermn'] = mn
        sys.modules['chainermn.communicators'] = communicators
        from chainermn.communicators import _memory_utility

        class Buffer:
            def to_device(self, array, size, offset, stream):
                assert array.dtype == np.float16 and size == 6 and offset == 0
                array[...] = [1, 2, 3]

        param = chainer.Parameter(np.zeros(3, np.float32))
        param.grad = np.zeros(3, np.float32)
        _memory_utility.unpack_params([param], 'grad', Buffer(), np.float16, False)
        assert param.grad.dtype == np.float32
        assert param.grad.tolist() == [1, 2, 3]
        '''))


def test_the_kernels_of_chainermn_declare_half():
    text = (SITE / 'chainermn/communicators/_memory_utility.py').read_text()
    assert text.count('#include <cuda_fp16.h>') == text.count('extern "C"') == 2


def run_workers(tmp_path, monkeypatch, code):
    """Run `code` in two processes with warnings turned into errors."""
    from course_lib.training import parallel
    if parallel.find_mpiexec()[0] is None:
        pytest.skip('No MPI here: ' + parallel.find_mpiexec()[1])
    (tmp_path / 'workers_of_a_test.py').write_text(
        "import warnings\nwarnings.simplefilter('error')\n"
        'import chainer, chainermn, numpy as np\n'
        'chainer.disable_experimental_feature_warning = True\n'
        "comm = chainermn.create_communicator('naive')\n"
        'assert comm.size == 2\n' + textwrap.dedent(code))
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    return parallel.launch(2, 'workers_of_a_test', timeout=120)


def test_arrays_and_objects_travel_between_processes(tmp_path, monkeypatch):
    run_workers(tmp_path, monkeypatch, '''
        x = np.full((2, 3), comm.rank + 1, np.float32)
        first, second = np.ones((2, 3)), np.full((2, 3), 2)
        assert (comm.bcast(x) == first).all()
        assert (comm.allreduce(x) == first + second).all()
        assert (comm.allreduce(x.astype(np.float16)) == 3).all()
        for a, b in zip(comm.allgather(x), (first, second)):
            assert (a == b).all()
        for a, b in zip(comm.alltoall((x, x)), (first, second)):
            assert (a == b).all()
        assert comm.allreduce_obj(comm.rank) == 1
        assert comm.bcast_obj('a' if comm.rank == 0 else None) == 'a'
        rows = chainermn.scatter_dataset(np.arange(5), comm, shuffle=True, seed=0)
        assert len(rows) == 3
        ''')


def test_what_a_variable_reported_is_averaged_over_processes(tmp_path, monkeypatch):
    run_workers(tmp_path, monkeypatch, f'''
        link = chainer.Sequential(chainer.links.Linear(1, 1))
        optimizer = chainermn.create_multi_node_optimizer(chainer.optimizers.SGD(), comm)
        optimizer.setup(link)

        def loss(x):
            chainer.report({{'loss': chainer.Variable(np.array(comm.rank, np.float32))}})
            return chainer.functions.mean(link(x))

        iterator = chainer.iterators.SerialIterator([np.ones(1, np.float32)] * 4, 2)
        updater = chainer.training.StandardUpdater(iterator, optimizer, loss_func=loss)
        trainer = chainer.training.Trainer(updater, (1, 'iteration'), out={str(tmp_path)!r})
        trainer.extend(chainermn.extensions.ObservationAggregator(comm, 'loss'))
        trainer.run()
        assert trainer.observation['loss'].array == 0.5
        ''')


def test_one_iterator_feeds_all_processes(tmp_path, monkeypatch):
    run_workers(tmp_path, monkeypatch, '''
        iterator = chainermn.iterators.create_multi_node_iterator(
            chainer.iterators.SerialIterator(np.arange(6, dtype=np.float32), 2, shuffle=False),
            comm)
        assert next(iterator) == [0, 1] and next(iterator) == [2, 3]
        assert iterator.epoch_detail == 4 / 6
        ''')


# --- Types under NumPy 2's promotion rules --------------------------------------------------------

INITIALIZERS = {
    'Zero': (), 'One': (), 'NaN': (), 'Constant': (np.float64(2),),
    'Normal': (np.float64(.1),), 'LeCunNormal': (), 'GlorotNormal': (),
    'HeNormal': (), 'Uniform': (np.float64(.1),), 'LeCunUniform': (),
    'GlorotUniform': (), 'HeUniform': (), 'Orthogonal': (), 'Identity': ()}


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('name', INITIALIZERS)
def test_initializers_keep_the_type(name, dtype):
    initializer = getattr(chainer.initializers, name)(*INITIALIZERS[name])
    array = chainer.initializers.generate_array(
        initializer, (4, 4), np, dtype=dtype)
    assert array.dtype == dtype


OPTIMIZERS = [
    'AdaDelta', 'AdaGrad', 'Adam', 'AdamW', 'AMSGrad', 'AdaBound',
    'CorrectedMomentumSGD', 'MomentumSGD', 'MSVAG', 'NesterovAG', 'RMSprop',
    'RMSpropGraves', 'SGD', 'SMORMS3']


@pytest.mark.parametrize('dtype', [np.float16, np.float32])
@pytest.mark.parametrize('name', OPTIMIZERS)
def test_optimizers_keep_the_type(name, dtype):
    link = chainer.Link()
    with link.init_scope():
        link.w = chainer.Parameter(np.ones(3, dtype))
    optimizer = getattr(chainer.optimizers, name)().setup(link)
    if name == 'RMSprop' and dtype == np.float16:
        optimizer.eps = 1e-4  # Chainer refuses the default, 0 in float16.
    optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(1e-2))
    optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(np.float64(1)))
    optimizer.add_hook(chainer.optimizer_hooks.GradientNoise(.01))
    for _ in range(3):
        link.cleargrads()
        F.sum(link.w * link.w).backward()
        assert link.w.grad.dtype == dtype
        optimizer.update()
    assert link.w.dtype == dtype
    assert np.isfinite(link.w.array).all() and (link.w.array != 1).all()
    for state in link.w.update_rule.state.values():
        if isinstance(state, np.ndarray):
            assert state.dtype.itemsize <= np.dtype(np.float32).itemsize


@pytest.mark.parametrize('scalar', [2, 2., np.float64(2), np.float32(2)])
@pytest.mark.parametrize('operation', [
    lambda x, c: x + c, lambda x, c: c - x, lambda x, c: x * c,
    lambda x, c: c / x, lambda x, c: x ** c, lambda x, c: F.maximum(
        x, chainer.as_variable(x.xp.full_like(x.array, c)))])
def test_scalars_do_not_widen_a_variable(operation, scalar):
    x = chainer.Variable(np.full(3, 2, np.float32))
    y = operation(x, scalar)
    F.sum(y).backward()
    assert y.dtype == x.grad.dtype == np.float32


def test_training_a_network_is_quiet_and_keeps_float32(tmp_path):
    inputs = np.random.RandomState(0).normal(size=(32, 3)).astype(np.float32)
    labels = (inputs.sum(axis=1) > 0).astype(np.int32)
    model = L.Classifier(chainer.Sequential(
        L.Linear(3, 8), F.relu, L.BatchNormalization(8), L.Linear(8, 2)))
    optimizer = chainer.optimizers.Adam().setup(model)
    data = chainer.datasets.TupleDataset(inputs, labels)
    iterator = chainer.iterators.SerialIterator(data, 8)
    updater = chainer.training.StandardUpdater(iterator, optimizer)
    trainer = chainer.training.Trainer(updater, (3, 'epoch'), out=str(tmp_path))
    log = chainer.training.extensions.LogReport(trigger=(1, 'epoch'))
    trainer.extend(log)
    trainer.extend(chainer.training.extensions.snapshot())
    trainer.extend(
        chainer.training.extensions.ExponentialShift('alpha', np.float64(.5)),
        trigger=(1, 'epoch'))
    trainer.run()
    assert len(log.log) == 3
    assert all(param.dtype == np.float32 for param in model.params())
    chainer.serializers.load_npz(
        str(tmp_path / 'snapshot_iter_12'), trainer)
