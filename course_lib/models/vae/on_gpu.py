"""Measures what a GPU does faster than a CPU, and what it does not.

    python -m course_lib.models.vae.on_gpu --out gpu_times.json
    OPENBLAS_NUM_THREADS=2 OMP_NUM_THREADS=2 python -m course_lib.models.vae.on_gpu --out FILE

Writes JSON: the ``machine``, and rows of numbers in the sections that :data:`SECTIONS` names.
Without a GPU it measures the CPU alone, and ``machine`` says why. A measurement that fails leaves
a row with its ``error``; the others go on. The file is renewed after each section, so that what
has been measured is there even if the program is stopped.

Every time is the median of repeated runs, in seconds, after one run that is not counted (it
compiles the kernels). A GPU works through a queue, while the program goes on. So there are up to
three times:

``queued_s``    until the program may go on
``finished_s``  until the GPU has done the work
``gpu_s``       what the GPU needs, start to end, when its queue is never empty (by CUDA events)
"""
import argparse
import datetime
import functools
import gc
import json
import math
import os
import pathlib
import platform
import statistics
import sys
import time

import chainer
from chainer import functions as F
import numpy

from course_lib import devices, training
import course_lib.distributions as D
from course_lib.distributions.bernoulli import LogProbOfLogit
from course_lib.distributions.normal import LogProbOfLogScale
from course_lib.files import write_json
from course_lib.models import vae
from course_lib.models.vae.__main__ import _positive
from course_lib.numerics.special import HALF_LOG_2PI

MODELS = {'digits': (64, 2, 128), 'mnist': (784, 20, 500)}   # pixels, latent dimensions, units
DTYPES = {'float32': numpy.float32, 'mixed16': chainer.mixed16}
BATCHES = tuple(4 ** i for i in range(8))                    # 1 ... 16384 images
LENGTHS = tuple(4 ** i for i in range(2, 13))                # 16 ... 17 million float32 numbers
SECONDS = 0.08                                               # a measurement takes, about
TURNS = 5                                                    # of all training steps
CPU = chainer.get_device('@numpy')


# -- Clocks --------------------------------------------------------------------------------------

def synchronize(device):
    """Waits until the device has done all that it was asked to; on a CPU, nothing to wait for."""
    if device.xp is not numpy:
        device.xp.cuda.Device().synchronize()


def time_of(task, device, seconds=SECONDS):
    """Median seconds of a task: until it is queued, and until it is finished.

    Args:
        task: A function without arguments.
        device (chainer.backend.Device): Where it computes.
        seconds (float): How long to repeat it; it runs at least three times.

    Returns:
        dict: ``queued_s`` and ``finished_s``; on a CPU they are the same but for the clock.
    """
    task()
    synchronize(device)
    queued, finished = zip(*_runs(task, device, seconds, at_least=3))
    return {'queued_s': statistics.median(queued), 'finished_s': statistics.median(finished)}


def _runs(task, device, seconds, at_least):
    """Pairs of the seconds until the task is queued and until it is finished."""
    runs = []
    end = time.perf_counter() + seconds
    while len(runs) < at_least or time.perf_counter() < end:
        start = time.perf_counter()
        task()
        queued = time.perf_counter() - start
        synchronize(device)
        runs.append((queued, time.perf_counter() - start))
    return runs


def gpu_time_of(task, device, repeats=11):
    """Median seconds that a GPU needs for a task, without the time in which it waits for Python.

    A large matrix product goes before the task. While it runs, Python queues the task and two CUDA
    events, so that the GPU goes from the first event to the second without a pause. The task must
    not wait for the GPU itself.

    Args:
        task: A function without arguments.
        device (chainer.backend.Device): The GPU.
        repeats (int): How often.

    Returns:
        float: Seconds, from one CUDA event to the other.

    Raises:
        ValueError: If the device is a CPU.
    """
    if device.xp is numpy:
        raise ValueError('device must be a GPU; got the CPU: time it with time_of')
    xp = device.xp
    square = xp.ones((4096, 4096), numpy.float32)
    start, stop = xp.cuda.Event(), xp.cuda.Event()
    task()
    times = []
    for _ in range(repeats):
        xp.dot(square, square)
        start.record()
        task()
        stop.record()
        stop.synchronize()
        times.append(xp.cuda.get_elapsed_time(start, stop) / 1000)
    return statistics.median(times)


def _row(about, measure):
    """A row: what was measured, and the numbers, or why there are none."""
    try:
        numbers = measure()
        lost = [name for name, number in numbers.items() if not math.isfinite(number)]
        if lost:
            raise ValueError(f'not a finite number: {", ".join(lost)}')
        # Four digits of what was measured; the fifth would differ the next time.
        return {**about, **{name: float(f'{number:.4g}') if isinstance(number, float) else number
                            for name, number in numbers.items()}}
    except Exception as error:  # a GPU fails in more ways than can be listed: memory, libraries
        text = (str(error).strip().splitlines() or [''])[0]
        return {**about, 'error': f'{type(error).__name__}: {text[:200]}'}


def _where(device):
    return 'cpu' if device.xp is numpy else 'gpu'


# -- Copies and the queue ------------------------------------------------------------------------

def measure_copies(device, lengths=LENGTHS, seconds=SECONDS):
    """Seconds of a copy between the computer's memory and the GPU's, by its size.

    Args:
        device (chainer.backend.Device): The GPU.
        lengths: How many float32 numbers are copied, one row each.
        seconds (float): See :func:`time_of`.

    Returns:
        list of dict: ``bytes``, ``to_gpu_s`` and ``to_cpu_s`` between ordinary (pageable) memory
        and the GPU, ``pinned_to_gpu_s`` and ``pinned_to_cpu_s`` with memory that the operating
        system may not move, and ``within_gpu_s``, a copy from the GPU's memory to itself. No rows
        if the device is a CPU.
    """
    if device.xp is numpy:
        return []
    import cupyx

    def measure(length):
        host, on_gpu = numpy.ones(length, numpy.float32), device.xp.ones(length, numpy.float32)
        pinned, other = cupyx.empty_pinned(length, numpy.float32), device.xp.empty_like(on_gpu)
        pinned[...] = host
        tasks = {'to_gpu_s': lambda: device.send(host),
                 'to_cpu_s': lambda: CPU.send(on_gpu),
                 'pinned_to_gpu_s': lambda: other.set(pinned),
                 'pinned_to_cpu_s': lambda: on_gpu.get(out=pinned),
                 'within_gpu_s': lambda: device.xp.copyto(other, on_gpu)}
        return {name: time_of(task, device, seconds)['finished_s'] for name, task in tasks.items()}

    return [_row({'bytes': 4 * n}, functools.partial(measure, n)) for n in lengths]


def measure_launches(device, lengths=LENGTHS, seconds=SECONDS):
    """Seconds of a single elementwise operation, the square, by the number of numbers.

    Args:
        device (chainer.backend.Device): CPU or GPU.
        lengths: How many float32 numbers, one row each.
        seconds (float): See :func:`time_of`.

    Returns:
        list of dict: ``device``, ``numbers``, ``queued_s``, ``finished_s``; on a GPU ``gpu_s``.
    """
    def measure(length):
        x = device.xp.ones(length, numpy.float32)
        y = device.xp.empty_like(x)

        def task():
            device.xp.multiply(x, x, out=y)
        times = time_of(task, device, seconds)
        return times if device.xp is numpy else {**times, 'gpu_s': gpu_time_of(task, device)}

    return [_row({'device': _where(device), 'numbers': n}, functools.partial(measure, n))
            for n in lengths]


# -- A log-density, written in several ways ------------------------------------------------------

def bernoulli_functions(x, logit):
    """log p(x) = x z - max(z, 0) - log(1 + e^-|z|), one Chainer function for each operation."""
    softplus = F.relu(logit) + F.log1p(F.exp(-F.absolute(logit)))
    return logit * x - softplus


def normal_functions(x, loc, log_scale):
    """log p(x) = -z^2 / 2 - log_scale - log(2 pi) / 2, one Chainer function for each operation."""
    z = (x - loc) * F.exp(-log_scale)
    return z * z * -0.5 - log_scale - HALF_LOG_2PI


@functools.cache
def fused():
    """The two formulas as ``cupy.fuse`` makes one kernel of each: by name of the distribution.

    Raises:
        ImportError: If CuPy is not installed.
    """
    import cupy

    @cupy.fuse()
    def bernoulli(x, logit):
        a = (2 * x - 1) * logit
        return cupy.minimum(a, 0) - cupy.log1p(cupy.exp(-cupy.absolute(a)))

    @cupy.fuse()
    def normal(x, loc, log_scale):
        z = (x - loc) * cupy.exp(-log_scale)
        return -0.5 * z * z - log_scale - HALF_LOG_2PI

    return {'Bernoulli': bernoulli, 'Normal': normal}


@functools.cache
def kernels():
    """The two formulas in CUDA C++, one ``cupy.ElementwiseKernel`` each: by name.

    They compute in float32, in the processor's registers, whatever is stored: float16 arrays lose
    no more than the rounding of what comes in and goes out.

    Raises:
        ImportError: If CuPy is not installed.
    """
    import cupy
    return {
        'Bernoulli': cupy.ElementwiseKernel(
            'T x, T logit', 'T y',
            '''float a = (2 * (float)x - 1) * (float)logit;
               y = (T)(fminf(a, 0.f) - log1pf(expf(-fabsf(a))));''',
            'bernoulli_log_prob'),
        'Normal': cupy.ElementwiseKernel(
            'T x, T loc, T log_scale', 'T y',
            f'''float z = ((float)x - (float)loc) * expf(-(float)log_scale);
               y = (T)(-0.5f * z * z - (float)log_scale - {HALF_LOG_2PI:.9f}f);''',
            'normal_log_prob')}


def _forms(distribution, device):
    """The ways to write the log-density: functions of x and the parameters, by name."""
    forms = {
        'Bernoulli': {
            'functions': bernoulli_functions,
            'course_lib': lambda x, logit: D.Bernoulli(logit=logit).log_prob(x),
            'node': lambda x, logit: LogProbOfLogit(x)(logit)},
        'Normal': {
            'functions': normal_functions,
            'course_lib': lambda x, loc, log_scale: D.Normal(loc, log_scale=log_scale).log_prob(x),
            'node': lambda *operands: LogProbOfLogScale()(*operands)}}[distribution]
    if device.xp is not numpy:
        forms = {**forms, 'fuse': lambda *a: fused()[distribution](*a),
                 'kernel': lambda *a: kernels()[distribution](*a)}
    return forms


def _operands(distribution, shape):
    """An observation and the parameters, as float32 arrays of the shape."""
    rng = numpy.random.default_rng(0)
    x = ((rng.random(shape) < 0.13) if distribution == 'Bernoulli' else rng.normal(size=shape))
    parameters = [3 * rng.normal(size=shape)] if distribution == 'Bernoulli' else [
        rng.normal(size=shape), 0.5 * rng.normal(size=shape)]
    return [a.astype(numpy.float32) for a in (x, *parameters)]


def _exact(distribution, operands):
    """The log-density in float64."""
    x, *parameters = [a.astype(numpy.float64) for a in operands]
    if distribution == 'Bernoulli':
        return -numpy.logaddexp(0, (1 - 2 * x) * parameters[0])
    loc, log_scale = parameters
    return -((x - loc) * numpy.exp(-log_scale)) ** 2 / 2 - log_scale - HALF_LOG_2PI


def measure_log_probs(device, batches=(100, 4096), n_pixels=784, seconds=SECONDS):
    """Seconds of log p(x) of every pixel of a batch, written in several ways.

    ``functions``: one Chainer function an operation. ``course_lib``: the course's distribution,
    which checks its arguments. ``node``: its formula alone, as one differentiable node. ``fuse``:
    one kernel made by ``cupy.fuse``. ``kernel``: a ``cupy.ElementwiseKernel``.

    Args:
        device (chainer.backend.Device): CPU or GPU; a CPU has no ``fuse`` and ``kernel``.
        batches, n_pixels: Shapes of the arrays.
        seconds (float): See :func:`time_of`.

    Returns:
        list of dict: ``distribution``, ``form``, ``device``, ``batch``, ``n_pixels``; ``bytes``,
        what must be read and written at least; ``queued_s``, ``finished_s``, on a GPU ``gpu_s``
        (but for ``course_lib``, whose checks wait for the GPU); ``max_error``, the largest
        absolute difference from float64.
    """
    def measure(name, form, operands, exact):
        on_device = [device.send(a) for a in operands]

        def task():
            return form(*on_device)
        error = abs(devices.to_numpy(task()) - exact).max()
        times = time_of(task, device, seconds)
        if device.xp is not numpy and name != 'course_lib':
            times['gpu_s'] = gpu_time_of(task, device)
        return {**times, 'max_error': float(error)}

    rows = []
    for distribution in 'Bernoulli', 'Normal':
        for batch in batches:
            operands = _operands(distribution, (batch, n_pixels))
            exact = _exact(distribution, operands)
            for name, form in _forms(distribution, device).items():
                about = {'distribution': distribution, 'form': name, 'device': _where(device),
                         'batch': batch, 'n_pixels': n_pixels,
                         'bytes': 4 * batch * n_pixels * (len(operands) + 1)}
                rows.append(_row(about, functools.partial(measure, name, form, operands, exact)))
    return rows


# -- CPU and GPU, the same numbers? --------------------------------------------------------------

def log_densities(device, n=10000):
    """Log-densities of several families, computed on a device from the same float32 numbers.

    Args:
        device (chainer.backend.Device): CPU or GPU.
        n (int): How many numbers of each.

    Returns:
        dict: A function without arguments for each name, which returns a NumPy array.
    """
    rng = numpy.random.default_rng(0)
    normal, positive, unit = rng.normal(size=n), rng.gamma(2, size=n), rng.beta(2, 2, size=n)
    loc, log_scale, rate = rng.normal(size=n), 0.5 * rng.normal(size=n), rng.gamma(3, size=n)
    counts, bits = rng.poisson(rate), rng.random(n) < 0.3
    cases = {
        'Bernoulli': (lambda z: D.Bernoulli(logit=z), bits, 5 * loc),
        'Normal': (lambda m, s: D.Normal(m, log_scale=s), normal, loc, log_scale),
        'Laplace': (lambda m, s: D.Laplace(m, s), normal, loc, positive),
        'Poisson': (lambda r: D.Poisson(lam=r), counts, rate),
        'Gamma': (lambda k, s: D.Gamma(k=k, theta=s), positive, rate, positive[::-1]),
        'Beta': (lambda a, b: D.Beta(a, b), unit, rate, positive)}

    def of(make, x, *parameters):
        x, *parameters = (device.send(numpy.asarray(a, numpy.float32)) for a in (x, *parameters))
        return devices.to_numpy(make(*parameters).log_prob(x))

    return {name: functools.partial(of, *case) for name, case in cases.items()}


def loss_and_gradient(device, model='mnist', batch=100):
    """Loss of a fresh VAE, and its gradient as one vector, with given weights and noise.

    Args:
        device (chainer.backend.Device): CPU or GPU.
        model (str): One of :data:`MODELS`.
        batch (int): Number of images.

    Returns:
        tuple: A float and a NumPy array.
    """
    training.set_seed(0)
    loss, images = _loss(model), _images(batch, MODELS[model][0])
    loss.to_device(device)
    # A generator of NumPy's draws on the CPU, wherever the numbers are needed.
    y = loss(device.send(images), rng=numpy.random.default_rng(1))
    loss.cleargrads()
    y.backward()
    gradients = [devices.to_numpy(p.grad).ravel() for _, p in sorted(loss.namedparams())]
    return float(y.array), numpy.concatenate(gradients)


def measure_agreement(device):
    """How far the GPU's results are from the CPU's.

    Args:
        device (chainer.backend.Device): The GPU.

    Returns:
        list of dict: ``quantity``, ``n`` and ``max_difference``, the largest
        \\|GPU - CPU\\| / (1 + \\|CPU\\|); for the gradient, \\|GPU - CPU\\| / the largest
        \\|CPU\\|. No rows if the device is a CPU.
    """
    if device.xp is numpy:
        return []

    def densities(name):
        cpu, gpu = (numpy.float64(log_densities(d)[name]()) for d in (CPU, device))
        return {'n': cpu.size, 'max_difference': float((abs(gpu - cpu) / (1 + abs(cpu))).max())}

    def losses():
        (cpu, _), (gpu, _) = loss_and_gradient(CPU), loss_and_gradient(device)
        return {'n': 1, 'max_difference': abs(gpu - cpu) / (1 + abs(cpu))}

    def gradients():
        (_, cpu), (_, gpu) = loss_and_gradient(CPU), loss_and_gradient(device)
        return {'n': cpu.size, 'max_difference': float(abs(gpu - cpu).max() / abs(cpu).max())}

    return [*[_row({'quantity': f'log-density, {name}'}, functools.partial(densities, name))
              for name in log_densities(CPU, 1)],
            _row({'quantity': 'loss of a VAE'}, losses),
            _row({'quantity': 'gradient of a VAE'}, gradients)]


# -- A training step -----------------------------------------------------------------------------

def _loss(model):
    n_in, n_latent, n_h = MODELS[model]
    return vae.AvgELBOLoss(
        vae.Encoder(n_in, n_latent, n_h), vae.Decoder(n_in, n_latent, n_h), vae.Prior(n_latent))


def _images(batch, n_in):
    """Black-or-white images with a share of ink like MNIST's."""
    return (numpy.random.default_rng(1).random((batch, n_in), numpy.float32) < 0.13).astype('f')


class Step:
    """A training step of a VAE: transfer, forward, backward, update.

    Args:
        device (chainer.backend.Device): Where the model is.
        model (str): One of :data:`MODELS`.
        batch (int): Images a step.
        data (str): Where the images are: ``'host'``, sent every step, or ``'device'``, sent once.
        dtype (str): ``'float32'``; or ``'mixed16'``, which computes and stores in float16, while
            the optimiser keeps a copy of the parameters in float32 and the loss is multiplied by
            128 for the backward pass.
        recorded (bool): Whether the step is recorded as a CUDA graph, on a GPU; see
            :class:`course_lib.training.RecordedStep`.

    Raises:
        ValueError: If ``model``, ``data`` or ``dtype`` is another word.
    """

    def __init__(self, device, model='mnist', batch=100, data='device', dtype='float32',
                 recorded=False):
        for name, word, words in (('model', model, MODELS), ('data', data, ('host', 'device')),
                                  ('dtype', dtype, DTYPES)):
            if word not in words:
                raise ValueError(f'{name} must be one of {", ".join(words)}; got {word!r}')
        self.device, self.dtype = device, DTYPES[dtype]
        training.set_seed(0)
        with chainer.using_config('dtype', self.dtype):
            self.loss = _loss(model)
        self.loss.to_device(device)
        self.optimizer = training.Adam()
        images, self.loss_scale = _images(batch, MODELS[model][0]), None
        if dtype == 'mixed16':
            images, self.loss_scale = images.astype(numpy.float16), 128.
            self.optimizer.use_fp32_update()
            self.optimizer.loss_scaling(scale=self.loss_scale)
        self.optimizer.setup(self.loss)
        self.images = images if data == 'host' else device.send(images)
        self._update = (training.RecordedStep(self.optimizer, self.loss) if recorded
                        else functools.partial(self.optimizer.update, self.loss))

    def __call__(self):
        """Takes the step, without waiting for its end."""
        with chainer.using_config('dtype', self.dtype):
            self._update(self.device.send(self.images))

    def phases(self):
        """Takes the step and waits after each of its four phases; returns their seconds."""
        def transfer():
            self.x = self.device.send(self.images)

        def forward():
            self.y = self.loss(self.x)

        def backward():
            self.loss.cleargrads()
            self.y.backward(loss_scale=self.loss_scale)

        times = {}
        with chainer.using_config('dtype', self.dtype):
            for phase in transfer, forward, backward, self.optimizer.update:
                start = time.perf_counter()
                phase()
                synchronize(self.device)
                times[f'{phase.__name__}_s'] = time.perf_counter() - start
        del self.x, self.y
        return times


class _Timed:
    """A training step, and what has been measured of it."""

    def __init__(self, about, device):
        self.about, self.device = about, device
        self.error, self.runs, self.phases = None, [], []

    def attempt(self, method, *arguments):
        """Calls a method, unless one has failed before."""
        if self.error is None:
            try:
                method(self, *arguments)
            except Exception as error:   # reported in the row
                self.error = error

    def prepare(self):
        """Makes the model and takes the steps that do not count."""
        about = self.about
        self.step = Step(self.device, about['model'], about['batch'], about['data'],
                         about['dtype'], about.get('recorded', False))
        for _ in range(4 if about.get('recorded') else 1):   # the recording is the third
            self.take_turn(0.)
        self.runs, self.phases = [], []

    def take_turn(self, seconds):
        """Times the step for so long, and its phases once; a recorded step has none."""
        with D.validation(self.about['checks']):
            self.runs += _runs(self.step, self.device, seconds, at_least=1)
            if not self.about.get('recorded'):
                self.phases.append(self.step.phases())

    def numbers(self):
        """The medians."""
        if self.error is not None:
            raise self.error
        queued, finished = (statistics.median(column) for column in zip(*self.runs))
        return {'queued_s': queued, 'step_s': finished,
                **{name: statistics.median(run[name] for run in self.phases)
                   for name in (self.phases[0] if self.phases else ())}}


def measure_steps(device, models=tuple(MODELS), batches=BATCHES, seconds=SECONDS):
    """Seconds of a training step and of its phases, by model, batch, place of the data and dtype.

    All cases take turns, because the speed of a machine changes from minute to minute.

    Args:
        device (chainer.backend.Device): CPU or GPU.
        models, batches: What to try.
        seconds (float): How long to repeat each, in all its turns together.

    Returns:
        list of dict: ``model``, ``device``, ``data``, ``dtype``, ``checks`` (whether the
        distributions check their arguments), ``batch``; ``queued_s`` and ``step_s`` of a whole
        step; and ``transfer_s``, ``forward_s``, ``backward_s``, ``update_s``, which add up to more,
        because they wait for one another. On a GPU also with data on the host, with checks off,
        and for the larger model in mixed precision.
    """
    variants = [('device', 'float32', True)]
    if device.xp is not numpy:
        variants += [('host', 'float32', True), ('device', 'float32', False),
                     ('device', 'mixed16', True)]
    return _taking_turns([
        _Timed({'model': model, 'device': _where(device), 'data': data, 'dtype': dtype,
                'checks': checks, 'batch': batch}, device)
        for model in models for data, dtype, checks in variants
        for batch in batches if (model, dtype) != ('digits', 'mixed16')], seconds)


def _taking_turns(cases, seconds):
    """Rows of cases that are timed in turns."""
    for case in cases:
        case.attempt(_Timed.prepare)
    for _ in range(TURNS):
        for case in cases:
            case.attempt(_Timed.take_turn, seconds / TURNS)
    return [_row(case.about, case.numbers) for case in cases]


def measure_recorded(device, batches=(100, 500, 4096), seconds=SECONDS):
    """Seconds of a step of the larger VAE, ordinary and recorded as a CUDA graph.

    Args:
        device (chainer.backend.Device): The GPU.
        batches: What to try.
        seconds (float): See :func:`measure_steps`.

    Returns:
        list of dict: ``batch``; ``form``: ``'ordinary'``, ``'unchecked'`` (without the checks of
        the distributions' arguments) or ``'recorded'``; ``step_s``. No rows if the device is a
        CPU.
    """
    if device.xp is numpy:
        return []
    rows = []
    for form in 'ordinary', 'unchecked', 'recorded':   # last what, if it failed, might disturb
        about = {'model': 'mnist', 'data': 'device', 'dtype': 'float32',
                 'checks': form == 'ordinary', 'recorded': form == 'recorded'}
        rows += _taking_turns([_Timed({**about, 'batch': b}, device) for b in batches], seconds)
        rows = [{'batch': row['batch'], 'form': row.get('form', form),
                 **{key: row[key] for key in ('step_s', 'error') if key in row}} for row in rows]
    return rows


# -- Precision and memory ------------------------------------------------------------------------

def measure_products(device, size=4096, seconds=SECONDS):
    """Seconds of the product of two square matrices, by dtype.

    Args:
        device (chainer.backend.Device): CPU or GPU; a CPU has only float32 and float64, because
            NumPy multiplies float16 matrices without the library that makes it fast.
        size (int): Rows and columns; on a CPU a quarter of it.
        seconds (float): See :func:`time_of`.

    Returns:
        list of dict: ``device``, ``dtype``, ``size``, ``finished_s`` and ``operations_per_s``
        (floating-point additions and multiplications).
    """
    is_cpu = device.xp is numpy
    n = max(1, size // 4) if is_cpu else size

    def measure(dtype):
        a = device.xp.ones((n, n), dtype)
        finished = time_of(lambda: device.xp.dot(a, a), device, seconds)['finished_s']
        return {'finished_s': finished, 'operations_per_s': 2 * n ** 3 / finished}

    return [_row({'device': _where(device), 'dtype': dtype, 'size': n},
                 functools.partial(measure, dtype))
            for dtype in ('float16', 'float32', 'float64') if not (is_cpu and dtype == 'float16')]


def measure_precision(device):
    """Errors of the Bernoulli's log-density of x = 1, for logits from -30 to 30, by dtype.

    Args:
        device (chainer.backend.Device): CPU or GPU.

    Returns:
        list of dict: ``device``, ``form`` (``log of sigmoid``, as one might write it;
        ``course_lib``; on a GPU ``kernel``), ``dtype``; ``not_finite``, how many of the 601
        results are infinite or NaN, and ``max_error``, the largest absolute error of the others.
    """
    xp = device.xp
    logits = numpy.linspace(-30, 30, 601)

    def plain(x, z):
        return xp.log(1 / (1 + xp.exp(-z)))

    forms = {'log of sigmoid': plain,
             'course_lib': lambda x, z: D.Bernoulli(logit=z).log_prob(x)}
    if xp is not numpy:
        forms['kernel'] = lambda x, z: kernels()['Bernoulli'](x, z)

    @numpy.errstate(all='ignore')
    def measure(form, dtype):
        z = logits.astype(dtype)
        y = numpy.float64(devices.to_numpy(form(xp.ones(z.shape, dtype), device.send(z))))
        exact = -numpy.logaddexp(0, -z.astype(numpy.float64))
        finite = numpy.isfinite(y)
        return {'not_finite': int((~finite).sum()),
                'max_error': float(abs(y - exact)[finite].max())}

    return [_row({'device': _where(device), 'form': name, 'dtype': dtype},
                 functools.partial(measure, form, dtype))
            for name, form in forms.items() for dtype in ('float16', 'float32')]


def measure_memory(device, models=tuple(MODELS), batches=BATCHES):
    """Bytes of the GPU's memory that a training step takes, by model, dtype and batch.

    Args:
        device (chainer.backend.Device): The GPU.
        models, batches: What to try.

    Returns:
        list of dict: ``model``, ``dtype``, ``batch``; ``before_bytes``, parameters, the optimiser's
        numbers and the images; ``after_forward_bytes``, with what the backward pass will need;
        ``pool_bytes``, what CuPy's memory pool holds after the step: the most that was in use, and
        gaps. No rows if the device is a CPU.
    """
    if device.xp is numpy:
        return []
    pool = device.xp.get_default_memory_pool()

    def measure(model, dtype, batch):
        Step(device, model, 1, 'device', dtype)()     # what libraries allocate once
        gc.collect()
        pool.free_all_blocks()
        step = Step(device, model, batch, 'device', dtype)
        with chainer.using_config('dtype', DTYPES[dtype]):
            small = step.images[:1]
            step.optimizer.update(step.loss, small)   # allocates the optimiser's numbers
            gc.collect()
            pool.free_all_blocks()
            used = {'before_bytes': pool.used_bytes()}
            y = step.loss(step.images)
            used['after_forward_bytes'] = pool.used_bytes()
            step.loss.cleargrads()
            y.backward(loss_scale=step.loss_scale)
            step.optimizer.update()
            used['pool_bytes'] = pool.total_bytes()
        return used

    return [_row({'model': model, 'dtype': dtype, 'batch': batch},
                 functools.partial(measure, model, dtype, batch))
            for model in models for dtype in DTYPES for batch in batches
            if (model, dtype) != ('digits', 'mixed16')]


# -- All of it -----------------------------------------------------------------------------------

def describe_machine(choice):
    """What the numbers depend on: processors and versions.

    Args:
        choice (course_lib.devices.Choice): As :func:`course_lib.devices.choose` returns it.

    Returns:
        dict: Names and versions; ``gpu`` is ``None`` without a GPU, and ``sentence`` says why.
    """
    about = {
        'sentence': choice.sentence, 'date': datetime.date.today().isoformat(),
        'cpu': _cpu_name(), 'cpu_cores': len(os.sched_getaffinity(0)) if hasattr(
            os, 'sched_getaffinity') else os.cpu_count(),
        'cpu_threads': os.environ.get('OPENBLAS_NUM_THREADS'),
        'python': platform.python_version(), 'numpy': numpy.__version__,
        'chainer': chainer.__version__, 'gpu': None}
    if not choice.is_gpu:
        return about
    cupy = choice.device.xp
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(0)
    return {**about, 'gpu': properties['name'].decode(),
            'gpu_bytes': int(properties['totalGlobalMem']),
            'gpu_multiprocessors': int(properties['multiProcessorCount']),
            'cupy': cupy.__version__, 'cuda_runtime': runtime.runtimeGetVersion(),
            'cuda_driver': runtime.driverGetVersion(), 'driver': _driver()}


def _cpu_name():
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
        return next(line.partition(':')[2].strip() for line in lines if 'model name' in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _driver():
    """The version of NVIDIA's driver, ``None`` if the system does not say."""
    try:
        text = pathlib.Path('/proc/driver/nvidia/version').read_text(encoding='utf-8')
        return next(word for word in text.split() if word[0].isdigit() and word.count('.') >= 1)
    except (OSError, StopIteration):
        return None


def sections(max_batch=BATCHES[-1], seconds=SECONDS):
    """What is measured: functions of a device, by name, in the order of the report."""
    batches = [b for b in BATCHES if b <= max_batch]
    lengths = [n for n in LENGTHS if n <= 4096 * max_batch]
    limits = {'seconds': seconds}
    return {
        'copies': functools.partial(measure_copies, lengths=lengths, **limits),
        'launches': functools.partial(measure_launches, lengths=lengths, **limits),
        'agreement': measure_agreement,
        'log_probs': functools.partial(
            measure_log_probs, batches=[b for b in (100, 4096) if b <= max_batch] or [max_batch],
            **limits),
        'steps': functools.partial(measure_steps, batches=batches, **limits),
        'recorded': functools.partial(measure_recorded, **limits),
        'memory': functools.partial(measure_memory, batches=batches),
        'products': functools.partial(
            measure_products, size=min(4096, 4 * max_batch), **limits),
        'precision': measure_precision}


SECTIONS = tuple(sections())


def parser():
    """The command line's arguments."""
    arguments = argparse.ArgumentParser(
        prog='python -m course_lib.models.vae.on_gpu', description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = arguments.add_argument
    add('--out', type=pathlib.Path, help='the file to write; without it, JSON is printed')
    add('--max-batch', type=_positive, default=BATCHES[-1], help='the largest batch tried')
    add('--seconds', type=float, default=SECONDS, help='for a single measurement')
    return arguments


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    choice = devices.choose()
    report = {'machine': describe_machine(choice), 'wall_s': {}}
    for name, measure in sections(options.max_batch, options.seconds).items():
        start = time.perf_counter()
        rows = []
        for device in [CPU, choice.device] if choice.is_gpu else [CPU]:
            try:
                with chainer.using_device(device):
                    rows += measure(device)
            except Exception as error:   # one section less is no reason to lose the others
                rows.append({'device': _where(device), 'error': f'{type(error).__name__}: {error}'})
        report[name] = rows
        report['wall_s'][name] = round(time.perf_counter() - start, 2)
        print(f'{name}: {report["wall_s"][name]} s', file=sys.stderr, flush=True)
        if options.out:
            write_json(options.out, report)
    if not options.out:
        print(json.dumps(report, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
