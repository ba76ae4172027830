"""Exercises of lesson 10: copies, queues, bytes, break-even, memory and half precision."""
import numpy

from course_lib.check.exercise import Exercise, Mistake

_LATENCY, _SIZE, _BANDWIDTH = 10e-6, 4 * 100 * 784, 10e9
_COPY = (_LATENCY + _SIZE / _BANDWIDTH) * 1e6
copy_microseconds = Exercise(
    right=_COPY,
    shows='A quarter of it is the latency. A batch of one image would need little but that.',
    mistakes=[
        Mistake(_COPY * 1e-6, 'this is in seconds; give microseconds, millionths of a second.'),
        Mistake(_COPY * 1e-3, 'this is in milliseconds; give microseconds.'),
        Mistake(_COPY - _LATENCY * 1e6, 'the latency comes on top of the bytes.'),
        Mistake((_LATENCY + _SIZE / 4 / _BANDWIDTH) * 1e6, 'a float32 number has four bytes.'),
        Mistake((_LATENCY + 2 * _SIZE / _BANDWIDTH) * 1e6, 'a float32 number has four bytes, not '
                'eight.'),
        Mistake((_LATENCY + 8 * _SIZE / _BANDWIDTH) * 1e6, 'the bandwidth is in bytes, not bits.'),
        Mistake((_LATENCY + _SIZE / 100 / _BANDWIDTH) * 1e6, 'this is a single image; the batch '
                'has a hundred.'),
        Mistake((100 * _LATENCY + _SIZE / _BANDWIDTH) * 1e6, 'the batch is one array and one '
                'copy: the latency counts once.'),
    ])

_LAUNCH, _WORK, _KERNELS = 5., 50., 100
_CLOCKS = [_KERNELS * _LAUNCH, _LAUNCH + _KERNELS * _WORK]
two_clocks = Exercise(
    right=_CLOCKS,
    shows='The first clock shows a tenth of the truth. It timed Python, not the GPU.',
    rtol=1e-4,
    mistakes=[
        Mistake(_CLOCKS[::-1], 'both numbers are right; without waiting comes first.'),
        Mistake([_CLOCKS[0], _KERNELS * (_LAUNCH + _WORK)], 'while the GPU works on one kernel, '
                'Python queues the next: only the first launch is waited for.'),
        Mistake([_CLOCKS[0], _KERNELS * _WORK], 'the GPU cannot begin before the first kernel is '
                'queued.'),
        Mistake([_LAUNCH, _CLOCKS[1]], 'Python queues all the kernels, one after the other.'),
        Mistake([_CLOCKS[0], _CLOCKS[0] + _WORK], 'the GPU works on one kernel after the other, '
                'and each takes longer than its launch.'),
        Mistake([_CLOCKS[1], _CLOCKS[1]], 'a launch does not wait for the work.'),
        Mistake([_CLOCKS[0], _CLOCKS[0] + _KERNELS * _WORK], 'while the GPU works on one kernel, '
                'Python queues the next: only the first launch is waited for.'),
        Mistake([_CLOCKS[0], (_KERNELS + 1) * _WORK], 'after the first launch, the GPU works on '
                '100 kernels, no more.'),
        Mistake([_CLOCKS[0] + _LAUNCH, _CLOCKS[1]], 'count the launches: there are 100.'),
        Mistake([_CLOCKS[0] - _LAUNCH, _KERNELS * _WORK], 'count the launches: there are 100, and '
                'the GPU begins after the first.'),
        Mistake([c * 1e-6 for c in _CLOCKS], 'this is in seconds; give microseconds.'),
        Mistake([c * 1e-3 for c in _CLOCKS], 'this is in milliseconds; give microseconds.'),
    ])

# relu, absolute, minus, exp, log1p read one array each; plus, times and minus read two.
_READ, _WRITTEN = 5 * 1 + 3 * 2, 8
_TRAFFIC = (_READ + _WRITTEN) / 3
traffic_ratio = Exercise(
    right=_TRAFFIC,
    shows='Where memory is the limit, one kernel can be that many times faster. Nothing about the '
          'arithmetic has changed.',
    mistakes=[
        Mistake(_READ + _WRITTEN, 'this is how many arrays the chain moves; divide by those of the '
                'single kernel.'),
        Mistake(1 / _TRAFFIC, 'this is the other way round: the chain over the kernel.'),
        Mistake(_WRITTEN, 'this counts the functions; count the arrays that each reads and '
                'writes.'),
        Mistake(_WRITTEN / 3, 'reading counts as well as writing.'),
        Mistake(_READ / 3, 'writing counts as well as reading.'),
        Mistake(2 * _WRITTEN / 3, 'an addition reads two arrays.'),
        Mistake(3 * _WRITTEN / 3, 'this counts three arrays for each function; an exponential '
                'reads only one.'),
        Mistake((_READ + _WRITTEN) / 2, 'the single kernel reads x and the logit, and writes one '
                'array.'),
        Mistake((_READ + _WRITTEN - 2) / 3, 'the minus in front of the absolute value is a '
                'function, too.'),
    ])

_GPU, _CPU = (3000., 1.), (500., 41.)
_CROSSING = (_GPU[0] - _CPU[0]) / (_CPU[1] - _GPU[1])
crossing = Exercise(
    right=_CROSSING,
    shows='Below it the GPU is slower, however fast its arithmetic: the fixed cost decides.',
    mistakes=[
        Mistake(_GPU[0] / _CPU[1], 'the CPU has a fixed cost, and the GPU a cost for each image.'),
        Mistake(_GPU[0] / (_CPU[1] - _GPU[1]), 'the CPU has a fixed cost as well.'),
        Mistake((_GPU[0] - _CPU[0]) / _CPU[1], 'the GPU has a cost for each image as well.'),
        Mistake((_GPU[0] + _CPU[0]) / (_CPU[1] - _GPU[1]), 'bring both fixed costs to one side: '
                'one changes its sign.'),
        Mistake((_GPU[0] - _CPU[0]) / (_CPU[1] + _GPU[1]), 'bring both costs of an image to one '
                'side: one changes its sign.'),
        Mistake(1 / _CROSSING, 'this is one over the right number.'),
        Mistake(_GPU[0] / _CPU[0], 'this compares the fixed costs alone; set the two times equal.'),
        Mistake(_CPU[1] / _GPU[1], 'this is the speed-up for a very large batch; set the two times '
                'equal.'),
        Mistake(1000 * _CROSSING, 'milliseconds and microseconds are mixed.'),
        Mistake(_CROSSING / 1000, 'milliseconds and microseconds are mixed.'),
    ])

_SMALL, _LARGE = (1_000, 40e6), (5_000, 120e6)
_SLOPE = (_LARGE[1] - _SMALL[1]) / (_LARGE[0] - _SMALL[0])
_FIXED = _SMALL[1] - _SLOPE * _SMALL[0]
_FITS = (16e9 - _FIXED) // _SLOPE
largest_batch = Exercise(
    right=_FITS,
    shows='Two small steps predict the large one, without a crash.',
    rtol=1e-7, atol=1e-6,
    mistakes=[
        Mistake((16e9 - _FIXED) / _SLOPE + 1, 'that one more no longer fits.'),
        Mistake(16e9 // _SLOPE, 'parameters and the optimiser take their part whatever the batch.'),
        Mistake(16e9 / (_SMALL[1] / _SMALL[0]), 'not all of the 40 megabytes grow with the batch.'),
        Mistake(16e9 // (_LARGE[1] / _LARGE[0]), 'not all of the 120 megabytes grow with the '
                'batch.'),
        Mistake((16 * 2 ** 30 - _FIXED) // _SLOPE, 'a gigabyte is 10^9 bytes here.'),
        Mistake((16e9 + _FIXED) // _SLOPE, 'what is fixed is no longer there for the images: '
                'subtract it.'),
        Mistake(_SLOPE, 'these are the bytes of an image; the batch is asked for.'),
        Mistake((16e6 - _FIXED) // _SLOPE, '16 gigabytes are 16,000 megabytes.'),
    ])

_STEPS, _LAUNCHES = 15, 200
_FLOOR = _STEPS * _LAUNCHES * 5e-6 * 120
epochs_floor = Exercise(
    right=_FLOOR,
    shows='No GPU gets below it, however many cores it has. Larger batches do, fewer kernels, or a '
          'recorded step.',
    mistakes=[
        Mistake(_FLOOR / 120, 'this is one epoch.'),
        Mistake(_FLOOR / _STEPS, 'an epoch has many steps, one for each batch.'),
        Mistake(_FLOOR * 14 / 15, 'the last batch of an epoch is not full, but it is a step.'),
        Mistake(_FLOOR * 14.15 / 15, 'the last batch of an epoch is not full, but it is a whole '
                'step.'),
        Mistake(_FLOOR / _LAUNCHES, 'a step has many launches.'),
        Mistake(_FLOOR * 1e3, 'this is in milliseconds; give seconds.'),
        Mistake(_FLOOR * 1e6, 'this is in microseconds; give seconds.'),
        Mistake(_FLOOR * 100, 'a launch is for the whole batch, not for one image.'),
        Mistake(1415 * _LAUNCHES * 5e-6 * 120, 'a step takes a whole batch, not one image.'),
    ])


def _log_prob(x, logit):
    x, z = numpy.float64(x), numpy.float64(logit)
    return -numpy.logaddexp(0, (1 - 2 * x) * z).sum(axis=1)


def _in_float16(x, logit):
    """The stable form, added up in float16."""
    x, z = numpy.asarray(x, numpy.float16), numpy.asarray(logit, numpy.float16)
    each = numpy.minimum((2 * x - 1) * z, 0) - numpy.log1p(numpy.exp(-abs(z)))
    with numpy.errstate(over='ignore'):
        return each.sum(axis=1)


def _probes():
    rng = numpy.random.default_rng(0)
    x = (rng.random((3, 784)) < 0.3).astype(numpy.float16)
    z = (4 * rng.standard_normal((3, 784))).astype(numpy.float16)
    far = numpy.where(x[:2] == 1, -90, 90).astype(numpy.float16)   # sums beyond 65504
    tiny = numpy.full((2, 3), 9, numpy.float16)
    ones = numpy.ones((2, 3), numpy.float16)
    return (x, z), (x[:2], far), (ones, tiny), (ones, -10 * tiny)   # the last: e^90, a small sum


half_log_prob = Exercise(
    right=_log_prob,
    probes=_probes(),
    shows='Half the bytes where they are many, and float32 where the numbers are few or long sums.',
    rtol=3e-3, atol=1e-6,
    mistakes=[
        Mistake(_in_float16, 'the formula holds, but its sum leaves float16, whose largest number '
                'is 65504. Add up in float32.'),
        Mistake(lambda x, z: -_log_prob(x, z), 'the sign is wrong: a log-probability is at most '
                '0.'),
        Mistake(lambda x, z: _log_prob(x, z) / numpy.shape(x)[1], 'this is the mean over the '
                'pixels; the log-probability of an image is the sum.'),
        Mistake(lambda x, z: _log_prob(x, z).sum(), 'one number an image: sum over the pixels '
                'only.'),
        Mistake(lambda x, z: _log_prob(x, z).mean(), 'one number an image: do not average over '
                'the images.'),
        Mistake(lambda x, z: _log_prob(x, -numpy.asarray(z)), 'black and white are exchanged.'),
        Mistake(lambda x, z: _log_prob(x, z) / numpy.log(2), 'this is in bits; use the natural '
                'logarithm.'),
        Mistake(lambda x, z: -numpy.logaddexp(0, (1 - 2 * numpy.float64(x)) * numpy.float64(z)),
                'this is one number a pixel; sum over the pixels.'),
        Mistake(lambda x, z: -numpy.logaddexp(0, (1 - 2 * numpy.float64(x)) * numpy.float64(z)).sum(
            axis=0), 'this sums over the images; sum over the pixels, axis 1.'),
    ])


def _finish(launch, work, waits):
    python = gpu = 0.
    for seconds, is_waiting in zip(work, waits):
        python += launch
        gpu = max(gpu, python) + seconds
        if is_waiting:
            python = gpu
    return max(python, gpu)


def _never(launch, work, waits):
    return _finish(launch, work, [False] * len(work))


def _always(launch, work, waits):
    return _finish(launch, work, [True] * len(work))


def _idle_forgotten(launch, work, waits):
    """Takes the GPU to start each kernel when the one before is done, even if it is not queued."""
    python = gpu = 0.
    for seconds, is_waiting in zip(work, waits):
        python += launch
        gpu = (gpu or launch) + seconds
        python = max(python, gpu) if is_waiting else python
    return max(python, gpu)


def _queue_forgotten(launch, work, waits):
    """Lets a kernel start when it is queued, even if the GPU is busy."""
    python = gpu = 0.
    for seconds, is_waiting in zip(work, waits):
        python += launch
        gpu = python + seconds
        python = gpu if is_waiting else python
    return max(python, gpu)


def _python_only(launch, work, waits):
    return launch * len(work)


def _queued_too_early(launch, work, waits):
    """Takes a kernel to be queued when its launch begins."""
    python = gpu = 0.
    for seconds, is_waiting in zip(work, waits):
        gpu = max(gpu, python) + seconds
        python += launch
        if is_waiting:
            python = max(python, gpu)
    return max(python, gpu)


def _before(launch, work, waits):
    """Waits before the kernel instead of after it."""
    python = gpu = 0.
    for seconds, is_waiting in zip(work, waits):
        python = max(python, gpu) if is_waiting else python
        python += launch
        gpu = max(gpu, python) + seconds
    return max(python, gpu)


_WORK_PROBES = (
    (5., [50., 1., 1., 1.], [False] * 4), (5., [1., 1., 1.], [False] * 3),
    (2., [10., 0.5, 7., 3., 8.], [False, True, False, True, False]),
    (3., [20., 20., 20.], [True, True, True]), (1., [4., 0., 0., 6.], [True, False, False, False]))
finish_time = Exercise(
    right=_finish,
    probes=_WORK_PROBES,
    shows='Waiting makes the two take turns. Without it they overlap, and the slower one sets the '
          f'pace: {1e6 * _finish(5e-6, [4e-6] * 200, [True] * 200):,.0f} µs against '
          f'{1e6 * _finish(5e-6, [4e-6] * 200, [False] * 200):,.0f}.',
    mistakes=[
        Mistake(_never, 'after a kernel with waits true, Python does not go on before the GPU has '
                'finished it.'),
        Mistake(_always, 'Python waits only where waits is true.'),
        Mistake(_queued_too_early, 'a kernel is queued when its launch is over: the first at '
                'launch, not at 0.'),
        Mistake(lambda launch, work, waits: max(launch * len(work), sum(work)), 'this is the pace; '
                'the first kernel begins after a launch, and where Python waits they take turns.'),
        Mistake(_before, 'Python waits after the kernel, not before it.'),
        Mistake(_idle_forgotten, 'a kernel cannot start before Python has queued it, even if the '
                'GPU is idle.'),
        Mistake(_queue_forgotten, 'a kernel cannot start before the GPU has finished the one '
                'before it.'),
        Mistake(_python_only, 'this is when Python has queued all; return when the GPU has '
                'finished.'),
        Mistake(lambda launch, work, waits: sum(work), 'the launches take time, too.'),
        Mistake(lambda launch, work, waits: launch + sum(work), 'this supposes that the GPU never '
                'runs out of kernels; sometimes it waits for Python.'),
        Mistake(lambda launch, work, waits: launch * len(work) + sum(work), 'this supposes that '
                'the two always take turns; without waiting they overlap.'),
    ])
