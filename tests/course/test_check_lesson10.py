"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import numpy as np
import pytest
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib.check import exercise, lesson10

NOT_YET = exercise.NOT_ATTEMPTED


def half(x, logit):
    each = np.minimum((2 * x - 1) * logit, 0) - np.log1p(np.exp(-abs(logit)))
    return each.sum(axis=1, dtype=np.float32)


def half_all_in_float32(x, logit):
    x, z = np.float32(x), np.float32(logit)
    return (x * z - np.logaddexp(0, z)).sum(axis=1)


def half_summed_in_float16(x, logit):
    each = np.minimum((2 * x - 1) * logit, 0) - np.log1p(np.exp(-abs(logit)))
    with np.errstate(over='ignore'):
        return each.sum(axis=1)


def half_by_way_of_p(x, logit):
    """In float32, through a probability that rounds to 0."""
    p = 1 / (1 + np.exp(-np.float32(logit)))
    return np.log(np.where(x == 1, p, 1 - p)).sum(axis=1)


def half_plain(x, logit):
    with np.errstate(all='ignore'):
        p = 1 / (1 + np.exp(-logit))
        return (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1, dtype=np.float32)


def half_overflowing(x, logit):
    with np.errstate(all='ignore'):
        return (x * logit - np.log1p(np.exp(logit))).sum(axis=1, dtype=np.float32)


def finish(launch, work, waits):
    queued, free = 0, 0
    for seconds, is_waiting in zip(work, waits):
        queued = queued + launch
        free = (queued if queued > free else free) + seconds
        if is_waiting:
            queued = free
    return free


def finish_queued_too_early(launch, work, waits):
    """Queues a kernel when its launch begins."""
    python = gpu = 0.
    for seconds, is_waiting in zip(work, waits):
        gpu = max(gpu, python) + seconds
        python += launch
        if is_waiting:
            python = max(python, gpu)
    return max(python, gpu)


def finish_never_waiting(launch, work, waits):
    return finish(launch, work, [False] * len(work))


def finish_always_waiting(launch, work, waits):
    return launch * len(work) + sum(work)


def finish_waiting_before(launch, work, waits):
    queued, free = 0, 0
    for seconds, is_waiting in zip(work, waits):
        if is_waiting:
            queued = max(queued, free)
        queued += launch
        free = max(free, queued) + seconds
    return free


def finish_of_a_busy_gpu(launch, work, waits):
    return launch + sum(work)


def finish_of_parallel_kernels(launch, work, waits):
    queued = 0
    for seconds, is_waiting in zip(work, waits):
        queued += launch
        end = queued + seconds
        if is_waiting:
            queued = end
    return max(queued, end)


def finish_without_return(launch, work, waits):
    finish(launch, work, waits)


CASES = [
    (lesson10.copy_microseconds, 10 + 1e6 * 4 * 100 * 784 / 10e9, 'Correct.'),
    (lesson10.copy_microseconds, np.float32(41.36), 'Correct.'),
    (lesson10.copy_microseconds, ..., NOT_YET),
    (lesson10.copy_microseconds, 41.36e-6, 'in seconds; give microseconds'),
    (lesson10.copy_microseconds, 0.04136, 'in milliseconds'),
    (lesson10.copy_microseconds, 31.36, 'comes on top'),
    (lesson10.copy_microseconds, 17.84, 'has four bytes'),
    (lesson10.copy_microseconds, 72.72, 'four bytes, not eight'),
    (lesson10.copy_microseconds, 10 + 8 * 31.36, 'in bytes, not bits'),
    (lesson10.copy_microseconds, 10.3136, 'a single image'),
    (lesson10.copy_microseconds, 1000 + 31.36, 'counts once'),
    (lesson10.copy_microseconds, 41.8, 'close'),
    (lesson10.copy_microseconds, 100., 'too large'),

    (lesson10.two_clocks, [500, 5005], 'Correct.'),
    (lesson10.two_clocks, np.array([500., 5 + 100 * 50]), 'Correct.'),
    (lesson10.two_clocks, ..., NOT_YET),
    (lesson10.two_clocks, [..., 5005], NOT_YET),
    (lesson10.two_clocks, [5005, 500], 'without waiting comes first'),
    (lesson10.two_clocks, [500, 5500], 'only the first launch'),
    (lesson10.two_clocks, [500, 5000], 'cannot begin before'),
    (lesson10.two_clocks, [5, 5005], 'one after the other'),
    (lesson10.two_clocks, [500, 5050], 'works on 100 kernels, no more'),
    (lesson10.two_clocks, [505, 5005], 'count the launches: there are 100.'),
    (lesson10.two_clocks, [495, 5000], 'the GPU begins after the first'),
    (lesson10.two_clocks, [500, 550], 'each takes longer'),
    (lesson10.two_clocks, [5005, 5005], 'does not wait for the work'),
    (lesson10.two_clocks, [500e-6, 5005e-6], 'in seconds'),
    (lesson10.two_clocks, [0.5, 5.005], 'in milliseconds'),
    (lesson10.two_clocks, [500, 7], '1 of 2 numbers'),
    (lesson10.two_clocks, 500, 'the shape is'),

    (lesson10.traffic_ratio, 19 / 3, 'Correct.'),
    (lesson10.traffic_ratio, 6.333, 'Correct.'),
    (lesson10.traffic_ratio, ..., NOT_YET),
    (lesson10.traffic_ratio, 19, 'divide by those'),
    (lesson10.traffic_ratio, 3 / 19, 'the other way round'),
    (lesson10.traffic_ratio, 8, 'counts the functions'),
    (lesson10.traffic_ratio, 8 / 3, 'reading counts'),
    (lesson10.traffic_ratio, 11 / 3, 'writing counts'),
    (lesson10.traffic_ratio, 16 / 3, 'reads two'),
    (lesson10.traffic_ratio, 9.5, 'reads x and the logit'),
    (lesson10.traffic_ratio, 17 / 3, 'is a function, too'),
    (lesson10.traffic_ratio, 6, 'rounded to a whole number'),

    (lesson10.crossing, 2500 / 40, 'Correct.'),
    (lesson10.crossing, np.float32(62.5), 'Correct.'),
    (lesson10.crossing, ..., NOT_YET),
    (lesson10.crossing, 3000 / 41, 'and the GPU a cost for each image'),
    (lesson10.crossing, 75, 'has a fixed cost as well'),
    (lesson10.crossing, 2500 / 41, 'a cost for each image as well'),
    (lesson10.crossing, 3500 / 40, 'both fixed costs to one side'),
    (lesson10.crossing, 2500 / 42, 'both costs of an image'),
    (lesson10.crossing, 40 / 2500, 'one over the right'),
    (lesson10.crossing, 6, 'the fixed costs alone'),
    (lesson10.crossing, 41, 'a very large batch'),
    (lesson10.crossing, 62500, 'are mixed'),
    (lesson10.crossing, 0.0625, 'are mixed'),
    (lesson10.crossing, 62, 'rounded to a whole number'),

    (lesson10.largest_batch, (16_000 - 20) * 1_000_000 // 20_000, 'Correct.'),
    (lesson10.largest_batch, 799_000, 'Correct.'),
    (lesson10.largest_batch, ..., NOT_YET),
    (lesson10.largest_batch, 799_001, 'no longer fits'),
    (lesson10.largest_batch, 800_000, 'whatever the batch'),
    (lesson10.largest_batch, 400_000, 'not all of the 40'),
    (lesson10.largest_batch, 16e9 // 24e3, 'not all of the 120'),
    (lesson10.largest_batch, (16 * 2 ** 30 - 20e6) // 20e3, 'is 10^9 bytes'),
    (lesson10.largest_batch, 801_000, 'subtract it'),
    (lesson10.largest_batch, 20_000, 'the bytes of an image'),
    (lesson10.largest_batch, 5., 'too small'),

    (lesson10.epochs_floor, 120 * 15 * 200 * 5e-6, 'Correct.'),
    (lesson10.epochs_floor, 1.8, 'Correct.'),
    (lesson10.epochs_floor, ..., NOT_YET),
    (lesson10.epochs_floor, 0.015, 'this is one epoch'),
    (lesson10.epochs_floor, 0.12, 'one for each batch'),
    (lesson10.epochs_floor, 1.68, 'not full, but it is a step'),
    (lesson10.epochs_floor, 1.698, 'a whole step'),
    (lesson10.epochs_floor, 0.009, 'many launches'),
    (lesson10.epochs_floor, 1800, 'in milliseconds'),
    (lesson10.epochs_floor, 1.8e6, 'in microseconds'),
    (lesson10.epochs_floor, 180, 'not for one image'),
    (lesson10.epochs_floor, 1415 * 200 * 5e-6 * 120, 'a whole batch, not one image'),
    (lesson10.epochs_floor, 5., 'too large'),

    (lesson10.half_log_prob, half, 'Correct.'),
    (lesson10.half_log_prob, half_all_in_float32, 'Correct.'),
    (lesson10.half_log_prob, ..., NOT_YET),
    (lesson10.half_log_prob, 3, 'write a function'),
    (lesson10.half_log_prob, lambda x, z: None, 'the function returns nothing'),
    (lesson10.half_log_prob, half_summed_in_float16, 'Add up in float32'),
    (lesson10.half_log_prob, half_plain, 'a NaN or an infinity'),
    (lesson10.half_log_prob, half_by_way_of_p, 'a NaN or an infinity'),
    (lesson10.half_log_prob, half_overflowing, 'a NaN or an infinity'),
    (lesson10.half_log_prob, lambda x, z: -half(x, z), 'the sign is wrong'),
    (lesson10.half_log_prob, lambda x, z: half(x, z) / x.shape[1], 'the mean over the pixels'),
    (lesson10.half_log_prob, lambda x, z: half(x, z).sum(), 'sum over the pixels only'),
    (lesson10.half_log_prob, lambda x, z: half(x, z).mean(), 'do not average over the images'),
    (lesson10.half_log_prob, lambda x, z: half(x, -z), 'black and white are exchanged'),
    (lesson10.half_log_prob, lambda x, z: half(x, z) / np.log(2), 'in bits'),
    (lesson10.half_log_prob, lambda x, z: half(x.ravel()[:, None], z.ravel()[:, None]).reshape(
        x.shape), 'one number a pixel'),
    (lesson10.half_log_prob, lambda x, z: half(x.T, z.T), 'over the images'),
    (lesson10.half_log_prob, lambda x, z: half(x, z)[:, 0], 'raised IndexError'),

    (lesson10.finish_time, finish, 'Correct.'),
    (lesson10.finish_time, lambda *a: np.float64(finish(*a)), 'Correct.'),
    (lesson10.finish_time, ..., NOT_YET),
    (lesson10.finish_time, 7, 'write a function'),
    (lesson10.finish_time, finish_without_return, 'the function returns nothing'),
    (lesson10.finish_time, finish_never_waiting, 'does not go on before'),
    (lesson10.finish_time, finish_always_waiting, 'only where waits is true'),
    (lesson10.finish_time, finish_waiting_before, 'after the kernel, not before'),
    (lesson10.finish_time, finish_of_a_busy_gpu, 'sometimes it waits for Python'),
    (lesson10.finish_time, finish_of_parallel_kernels, 'the one before it'),
    (lesson10.finish_time, lambda launch, work, waits: launch * len(work), 'has queued all'),
    (lesson10.finish_time, lambda launch, work, waits: sum(work), 'the launches take time'),
    (lesson10.finish_time, lambda launch, work, waits: max(launch * len(work), sum(work)),
     'this is the pace'),
    (lesson10.finish_time, finish_queued_too_early, 'the first at launch, not at 0'),
    (lesson10.finish_time, lambda launch, work, waits: work, 'the shape is'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson10.copy_microseconds, lesson10.two_clocks, lesson10.traffic_ratio, lesson10.crossing,
        lesson10.largest_batch, lesson10.epochs_floor, lesson10.half_log_prob,
        lesson10.finish_time)
