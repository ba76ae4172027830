"""Tests and times everything that uses a GPU, on a machine with CUDA, and writes one report.

    make gpu                                            all of it: some five minutes
    python benchmarks/gpu.py --only tests notebooks     some sections
    python benchmarks/gpu.py --no-compile               without torch.compile, which takes minutes

Sections:

* ``names``          every name that the course takes from CuPy exists in the one installed here;
* ``kernels``        CUDA source that the course brings compiles for sm_75, sm_80 and sm_90;
* ``tests``          the tests that compute on the GPU;
* ``notebooks``      all lessons, both versions, under strict nbval, with their GPU cells;
* ``limits``         what the card can do: copies, matrix products, kernel launches;
* ``steps``          the VAE's training step (784-500-20) at batch 100, 500 and 4,096: course_lib,
                     recorded as a CUDA graph, and PyTorch, eager and compiled;
* ``distributions``  log_prob and its gradients beside torch.distributions.

Where CuPy is installed without a device, ``names`` and ``kernels`` run, and the others say what
they skip. Sections that ran go to benchmarks/results/gpu.json, with machine and versions. See
benchmarks/README.md on how to read it.
"""
import argparse
import ast
import contextlib
import functools
import importlib.util
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

import chainer
from distributions import CASES, OURS, RESULTS, machine, torch, write
import numpy

from course_lib import devices, training
import course_lib.distributions as D
from course_lib.models import vae

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ('tests/distributions/test_on_gpu.py', 'tests/models', 'tests/training',
         'tests/course/test_devices.py')
N_IN, N_H, N_LATENT = 784, 500, 20
BATCHES = 100, 500, 4096
MODES = 'default', 'reduce-overhead'   # of torch.compile; the second uses CUDA graphs
ARCHITECTURES = 'sm_75', 'sm_80', 'sm_90'   # T4 (Colab), A100, H100
cupy = importlib.util.find_spec('cupy') and __import__('cupy')


# -- without a device -----------------------------------------------------------------------

def names(_):
    """Looks up, in CuPy, each attribute that the sources take from ``xp`` or ``cupy``."""
    import cupyx.scipy.special
    modules = {'xp': cupy, 'cupy': cupy, 'special': cupyx.scipy.special}
    used = set()
    for path in (ROOT / 'course_lib').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Attribute):
                used.add(_dotted(node))
    missing = []
    for name in sorted(filter(None, used)):
        module, *attributes = name.split('.')
        if module == 'xp' and (attributes[0] not in dir(numpy) or attributes == ['random']):
            continue   # an array's or a link's own xp, compared or passed on
        try:
            functools.reduce(getattr, attributes, modules[module])
        except (AttributeError, ImportError):
            missing.append(name)
    return {'checked': len(used) - 1, 'missing': missing, 'failed': len(missing)}


def _dotted(node):
    """``xp.random.random`` of ``self.xp.random.random(...)`` and the like; None for others."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        if node.attr == 'xp':
            return '.'.join(reversed(parts)) if len(parts) > 1 else None
        node = node.value
    if isinstance(node, ast.Name) and node.id in ('xp', 'cupy'):
        return '.'.join([node.id, *reversed(parts)])
    if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'special_of':
        return '.'.join(['special', *reversed(parts)])
    return None


def kernels(_):
    """Compiles the CUDA source in course_lib, Chainer's Adam and ChainerMN with NVRTC."""
    import cupy
    from cupy.cuda import nvrtc
    site = pathlib.Path(chainer.__file__).parents[1]
    paths = [*(ROOT / 'course_lib').rglob('*.py'), site / 'chainer/optimizers/adam.py',
             *(site / 'chainermn/communicators').glob('*.py')]
    found = {f'{"/".join(path.parts[-3:])} {i}': source for path in sorted(paths)
             for i, source in enumerate(_cuda_sources(path))}
    own = pathlib.Path(cupy.__file__).parent / '_core/include'
    headers = [own, *own.glob('cupy/_cccl/*'),
               pathlib.Path(cupy.cuda.get_cuda_path() or '', 'include'),
               *itertools.chain(*(pathlib.Path(folder).glob('nvidia/*/include')
                                  for folder in sys.path))]
    try:
        nvrtc.getVersion()
    except Exception as error:   # of several kinds, by CuPy's version
        return {'errors': [f'NVRTC, which comes with CUDA, was not found: {error}'], 'failed': 1}
    errors = []
    for name, source in found.items():
        for architecture in ARCHITECTURES:
            program = nvrtc.createProgram(source, 'kernel.cu', [], [])
            try:
                nvrtc.compileProgram(program, [f'--gpu-architecture={architecture}',
                                               '--std=c++17', *[f'-I{h}' for h in headers]])
            except nvrtc.NVRTCError:
                errors.append(f'{name}, {architecture}: {nvrtc.getProgramLog(program)}')
            nvrtc.destroyProgram(program)
    return {'sources': len(found), 'architectures': ARCHITECTURES, 'errors': errors,
            'failed': len(errors)}


def _cuda_sources(path):
    """Every raw CUDA source in a Python file, and every elementwise kernel made a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
        if name == 'raw':
            yield node.args[0].value
        texts = [a.value for a in node.args[:3] if isinstance(a, ast.Constant)
                 and isinstance(a.value, str)]
        if name not in ('ElementwiseKernel', 'elementwise') or len(texts) < 3:
            continue
        declared = []
        for i, arguments in enumerate(texts[:2]):
            for argument in arguments.split(','):
                words = argument.split()
                words = [w for w in words if w != 'raw']
                if words:
                    kind = words[0] if len(words[0]) == 1 else {'float32': 'float'}[words[0]]
                    declared.append(f'{kind}{"&" if i else ""} {words[1]}')
        yield ('typedef float T; typedef float P;\n'
               f'__device__ void f({", ".join(declared)}) {{ {texts[2]}; }}\n')


# -- tests ----------------------------------------------------------------------------------

def tests(arguments):
    """Runs the tests that compute on the GPU."""
    return _pytest(*TESTS, workers=arguments.workers)


def notebooks(arguments):
    """Runs all lessons under strict nbval."""
    return _pytest('notebooks', workers=arguments.workers)


def _pytest(*paths, workers):
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / 'report.xml'
        start = time.perf_counter()
        result = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-n', str(workers),
             f'--junitxml={report}', *paths], cwd=ROOT, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if not report.exists():
            return {'error': (result.stdout + result.stderr)[-2000:], 'failed': 1}
        cases = list(xml.etree.ElementTree.parse(report).iter('testcase'))
    outcome = {'passed': 0, 'failed': 0, 'skipped': 0}
    failures = []
    for case in cases:
        kinds = {child.tag for child in case}
        kind = ('failed' if kinds & {'failure', 'error'} else
                'skipped' if 'skipped' in kinds else 'passed')
        outcome[kind] += 1
        if kind == 'failed':
            failures.append(f'{case.get("classname")}::{case.get("name")}')
    if failures:
        print(result.stdout[-20000:])
    return outcome | {'seconds': round(seconds), 'failures': failures}


# -- times ----------------------------------------------------------------------------------

def limits(_):
    """Seconds of an empty launch, bytes and operations a second of this card."""
    x, y = cupy.empty(1, numpy.float32), cupy.empty(1 << 28, numpy.float32)
    a, b = (cupy.random.random((8192, 8192)).astype(numpy.float32) for _ in range(2))
    z = cupy.empty_like(y)
    launch = _seconds(lambda: cupy.add(x, 1, out=x), 500)
    copy = _seconds(lambda: cupy.copyto(z, y), 10)
    product = _seconds(lambda: a.dot(b), 5)
    return {'launch_s': launch, 'bytes_per_s': 2 * y.nbytes / copy,
            'float32_flop_per_s': 2 * 8192 ** 3 / product}


def _seconds(function, n):
    """Median over five turns of the time of a call, of n that are queued and then waited for."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        for _ in range(n):
            function()
        cupy.cuda.runtime.deviceSynchronize()
        times.append((time.perf_counter() - start) / n)
    return statistics.median(times[1:])


def _of_course_lib(x, make_step):
    loss = vae.AvgELBOLoss(vae.Encoder(N_IN, N_LATENT, N_H), vae.Decoder(N_IN, N_LATENT, N_H),
                           vae.Prior(N_LATENT))
    loss.to_device(chainer.get_device('@cupy:0'))
    step = make_step(training.Adam().setup(loss), loss)
    return lambda: step(x)


def _ordinary(optimizer, loss):
    return lambda x: optimizer.update(loss, x)


def _of_torch(x, mode):
    """The plain PyTorch step of benchmarks/vae.py on the GPU, eager or compiled."""
    t, n = torch, torch.nn
    device = t.device('cuda')
    encoder, mu, ln_sigma = n.Linear(N_IN, N_H), n.Linear(N_H, N_LATENT), n.Linear(N_H, N_LATENT)
    decoder = n.Sequential(n.Linear(N_LATENT, N_H), n.Tanh(), n.Linear(N_H, N_IN))
    modules = n.ModuleList([encoder, mu, ln_sigma, decoder]).to(device)
    optimizer = t.optim.Adam(modules.parameters(), fused=mode is not None)
    x = t.from_numpy(x.get()).to(device)

    def loss_of(x):
        h = t.tanh(encoder(x))
        loc, log_scale = mu(h), ln_sigma(h)
        z = loc + log_scale.exp() * t.randn((1,) + loc.shape, device=device)
        cross_entropy = n.functional.binary_cross_entropy_with_logits(
            decoder(z), x.expand((1,) + x.shape), reduction='none').sum(-1).mean()
        kl = 0.5 * (loc ** 2 + (2 * log_scale).exp() - 2 * log_scale - 1).sum(-1).mean()
        return cross_entropy + kl

    if mode is not None:
        loss_of = t.compile(loss_of, mode=mode, dynamic=False)

    def step():
        loss = loss_of(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return step


def contestants(x, with_compiled):
    """Steps on a batch, by name."""
    entered = {
        OURS: (lambda: _of_course_lib(x, _ordinary), contextlib.nullcontext),
        f'{OURS}, validation off': (lambda: _of_course_lib(x, _ordinary),
                                    functools.partial(D.validation, False)),
        f'{OURS}, recorded': (lambda: _of_course_lib(x, training.RecordedStep),
                              contextlib.nullcontext)}
    if torch and torch.cuda.is_available():
        entered['torch eager'] = lambda: _of_torch(x, None), contextlib.nullcontext
        for mode in MODES if with_compiled else ():
            entered[f'torch compiled, {mode}'] = (
                functools.partial(_of_torch, x, mode), contextlib.nullcontext)
    return entered


def steps(arguments):
    """Interleaved medians of training steps; kernels and busy time of the GPU a step."""
    rng = numpy.random.default_rng(1)
    cases = []
    for batch in BATCHES:
        x = cupy.asarray((rng.random((batch, N_IN)) < 0.13).astype(numpy.float32))
        rows = _interleaved(contestants(x, not arguments.no_compile))
        eager = rows.get('torch eager', {}).get('step_s')
        flop = 2 * batch * (N_IN * N_H + 2 * N_H * N_LATENT) * 3 + 2 * batch * N_LATENT * N_H * 2
        flop += 2 * batch * N_H * N_IN * 2
        print(f'\nbatch {batch}: {flop / 1e9:.2f} Gflop in matrix products')
        print(f'  {"":30}{"steps/s":>10}{"step":>12}{"torch eager/it":>16}{"kernels":>9}'
              f'{"GPU busy":>12}')
        for name, row in rows.items():
            if 'error' in row:
                print(f'  {name:30}fails: {row["error"]}')
                continue
            ratio = f'{eager / row["step_s"]:.2f}' if eager else ''
            row['torch_eager_over_this'] = eager and eager / row['step_s']
            print(f'  {name:30}{1 / row["step_s"]:10.0f}{row["step_s"] * 1e6:9.0f} us{ratio:>16}'
                  f'{row.get("kernels", 0):9.0f}{row.get("busy_s", 0) * 1e6:9.0f} us', flush=True)
        cases.append({'batch': batch, 'matrix_product_flop': flop, 'rows': rows})
    return {'cases': cases}


def _interleaved(makers, turns=15, seconds=0.05):
    running, rows = {}, {}
    for name, (make, settings) in makers.items():
        try:
            function = make()
            with settings():
                for _ in range(6):   # compile, warm up, record
                    function()
                cupy.cuda.runtime.deviceSynchronize()
                n = max(5, int(seconds / _seconds(function, 5)))
            running[name] = function, settings, n
            rows[name] = {}
        except Exception as error:   # that a library fails is a result
            rows[name] = {'error': f'{type(error).__name__}: {error}'[:300]}
    times = {name: [] for name in running}
    for _ in range(turns):
        for name, (function, settings, n) in running.items():
            with settings():
                cupy.cuda.runtime.deviceSynchronize()
                start = time.perf_counter()
                for _ in range(n):
                    function()
                cupy.cuda.runtime.deviceSynchronize()
                times[name].append((time.perf_counter() - start) / n)
    for name, (function, settings, _) in running.items():
        rows[name]['step_s'] = statistics.median(times[name])
        rows[name] |= _profiled(function, settings)
    return rows


def _profiled(function, settings, n=5):
    """Kernels and copies a step, and the seconds that the GPU spends in them."""
    if not torch:
        return {}
    try:
        from torch.profiler import ProfilerActivity, profile
        with settings(), profile(activities=[ProfilerActivity.CUDA]) as record:
            for _ in range(n):
                function()
            cupy.cuda.runtime.deviceSynchronize()
        events = [e for e in record.events() if str(e.device_type).endswith('CUDA')]
        total = sum(e.time_range.elapsed_us() for e in events) / n
        return {'kernels': len(events) / n, 'busy_s': total * 1e-6}
    except Exception as error:   # a driver that does not allow it
        return {'profile_error': f'{type(error).__name__}: {error}'[:200]}


def distributions(_):
    """log_prob, alone and with gradients, ours and torch's, without torch's validation."""
    cases = []
    for case in CASES:
        shape = case.shapes[-1]
        parameters, x = case.data(numpy.random.default_rng(0), shape)
        rows = {}
        for name, make in (('course_lib', _ours_on_gpu), ('torch', _torch_on_gpu)):
            function = case.ours if name == 'course_lib' else case.torch
            if function is None or (name == 'torch' and not (torch and torch.cuda.is_available())):
                continue
            try:
                forward, both = make(case, function, parameters, x)
                rows[name] = {'forward_s': _seconds(forward, 30)}
                if case.gradient:
                    rows[name]['both_s'] = _seconds(both, 30)
            except Exception as error:   # that a library fails is a result
                rows[name] = {'error': f'{type(error).__name__}: {error}'[:300]}
        text = ', '.join(
            f'{name} ' + ' / '.join(f'{v * 1e6:.0f}' for v in row.values() if v) + ' us'
            if 'error' not in row else f'{name} fails: {row["error"]}'
            for name, row in rows.items())
        print(f'{case.name} {shape}: {text}', flush=True)
        cases.append({'name': case.name, 'shape': shape, 'rows': rows})
    return {'cases': cases}


def _ours_on_gpu(case, function, parameters, x):
    variables = {k: chainer.Variable(cupy.asarray(v, numpy.float32))
                 for k, v in parameters.items()}
    x = None if x is None else cupy.asarray(x, numpy.float32)

    def forward():
        with chainer.no_backprop_mode(), D.validation(False):
            return function(x, **variables)

    def both():
        with D.validation(False):
            y = function(x, **variables)
            chainer.grad([chainer.functions.sum(y)], list(variables.values()))
    return forward, both


def _torch_on_gpu(case, function, parameters, x):
    tensors = {k: torch.tensor(numpy.asarray(v, numpy.float32), device='cuda', requires_grad=True)
               for k, v in parameters.items()}
    x = None if x is None else torch.tensor(numpy.asarray(x, numpy.float32), device='cuda')

    def forward():
        with torch.no_grad():
            return function(False, x, **tensors)

    def both():
        y = function(False, x, **tensors)
        torch.autograd.grad(y.sum(), list(tensors.values()))
    return forward, both


# -- the report -----------------------------------------------------------------------------

SECTIONS = {f.__name__: f for f in (names, kernels, tests, notebooks, limits, steps,
                                    distributions)}
NEED_NO_DEVICE = 'names', 'kernels'


def describe_gpu():
    """Name and memory of the card, versions of driver, CUDA and CuPy."""
    if not cupy:
        return {'cupy': None}
    described = {'cupy': cupy.__version__}
    with contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError):
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        described |= {'name': properties['name'].decode(),
                      'memory_bytes': properties['totalGlobalMem'],
                      'compute_capability': f'{properties["major"]}.{properties["minor"]}',
                      'driver_supports_cuda': cupy.cuda.runtime.driverGetVersion(),
                      'cuda_runtime': cupy.cuda.runtime.runtimeGetVersion()}
    return described


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', choices=SECTIONS, default=list(SECTIONS),
                        help='these sections')
    parser.add_argument('--no-compile', action='store_true', help='without torch.compile')
    parser.add_argument('--workers', default='auto', help='processes for the tests')
    parser.add_argument('--output', type=pathlib.Path, default=RESULTS / 'gpu.json')
    arguments = parser.parse_args()
    choice = devices.decide()
    print(choice.sentence)
    report = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    failed = 0
    for name in arguments.only:
        if not cupy:
            print(f'{name}: skipped, because CuPy is not installed')
        elif not choice.is_gpu and name not in NEED_NO_DEVICE:
            print(f'{name}: skipped, because no GPU answers')
        else:
            print(f'\n== {name}', flush=True)
            start = time.perf_counter()
            section = SECTIONS[name](arguments)
            section['machine'] = machine() | {'gpu': describe_gpu()}
            failed += section.get('failed', 0)
            report[name] = section
            write(arguments.output, report)
            if name not in ('steps', 'distributions'):
                print({k: v for k, v in section.items() if k != 'machine'})
            print(f'({time.perf_counter() - start:.0f} s)', flush=True)
    return min(failed, 99)


if __name__ == '__main__':
    sys.exit(main())
