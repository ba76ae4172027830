"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import numpy as np
import pytest
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib.check import exercise, lesson11

NOT_YET = exercise.NOT_ATTEMPTED
BYTES = 4 * 815_824


def ring(parts, n_turns=None):
    held = np.array(parts, float)
    n = len(held)
    for turn in range(n - 1 if n_turns is None else n_turns):
        before = held.copy()
        for r in range(n):
            held[(r + 1) % n, (r - turn) % n] += before[r, (r - turn) % n]
    return held


def ring_that_replaces(parts):
    held = np.array(parts, float)
    n = len(held)
    for turn in range(n - 1):
        before = held.copy()
        for r in range(n):
            held[(r + 1) % n, (r - turn) % n] = before[r, (r - turn) % n]
    return held


def ring_to_the_left(parts):
    held = np.array(parts, float)
    n = len(held)
    for turn in range(n - 1):
        before = held.copy()
        for r in range(n):
            held[(r - 1) % n, (r + turn) % n] += before[r, (r + turn) % n]
    return held


def ring_in_place(parts):
    n = len(parts)
    for turn in range(n - 1):
        for r in range(n):
            parts[(r + 1) % n, (r - turn) % n] += parts[r, (r - turn) % n]
    return parts


def ring_of_next_parts(parts):
    held = np.array(parts, float)
    n = len(held)
    for turn in range(n - 1):
        before = held.copy()
        for r in range(n):
            held[(r + 1) % n, (r + turn) % n] += before[r, (r + turn) % n]
    return held


def ring_from_the_next(parts):
    return np.roll(ring(np.roll(parts, -1, axis=1)), 1, axis=1)


def ring_without_return(parts):
    ring(parts)


CASES = [
    (lesson11.average, [2, -1, 1], 'Correct.'),
    (lesson11.average, np.float32([2, -1, 1]), 'Correct.'),
    (lesson11.average, (np.array([1, -2, 4]) + np.array([3, 0, -2])) / 2, 'Correct.'),
    (lesson11.average, ..., NOT_YET),
    (lesson11.average, [..., -1, 1], NOT_YET),
    (lesson11.average, [4, -2, 2], 'this is the sum; the mean'),
    (lesson11.average, 2 / 3, 'over the workers, not over the parameters'),
    (lesson11.average, [1, 1 / 3], 'over the workers, not over the parameters'),
    (lesson11.average, [-1, -1, 3], 'is subtracted; add it'),
    (lesson11.average, [2, 1, 3], 'keep the signs'),
    (lesson11.average, [2, -1, 2], '2 of 3 numbers'),

    (lesson11.ring_megabytes, 14 / 8 * BYTES / 1e6, 'Correct.'),
    (lesson11.ring_megabytes, np.float32(5.71077), 'Correct.'),
    (lesson11.ring_megabytes, ..., NOT_YET),
    (lesson11.ring_megabytes, 14 / 8 * BYTES, 'in bytes; give megabytes'),
    (lesson11.ring_megabytes, 14 / 8 * 815_824 / 1e6, 'has four bytes'),
    (lesson11.ring_megabytes, 14 / 8 * 2 * BYTES / 1e6, 'four bytes, not eight'),
    (lesson11.ring_megabytes, 14 * BYTES / 1e6, 'a byte has eight'),
    (lesson11.ring_megabytes, 7 / 8 * BYTES / 1e6, 'there are two rounds'),
    (lesson11.ring_megabytes, 2 * BYTES / 1e6, 'keeps one part for itself'),
    (lesson11.ring_megabytes, 14 / 8 * BYTES / 2 ** 20, 'is 10^6 bytes'),
    (lesson11.ring_megabytes, 100., 'too large'),

    (lesson11.steps_and_rate, [7, 0.004], 'Correct.'),
    (lesson11.steps_and_rate, (1415 // 200, np.float32(4e-3)), 'Correct.'),
    (lesson11.steps_and_rate, ..., NOT_YET),
    (lesson11.steps_and_rate, [0.004, 7], 'the steps come first'),
    (lesson11.steps_and_rate, [28, 0.004], 'from each of the four'),
    (lesson11.steps_and_rate, [7.075, 0.004], 'round down'),
    (lesson11.steps_and_rate, [8, 0.004], 'round down'),
    (lesson11.steps_and_rate, [112, 0.004], 'fewer steps, not more'),
    (lesson11.steps_and_rate, [7, 0.00025], 'multiply the step size'),
    (lesson11.steps_and_rate, [7, 0.002], 'the square-root rule'),
    (lesson11.steps_and_rate, [7, 0.001], 'grows with the global batch'),
    (lesson11.steps_and_rate, [7, 0.1], '1 of 2 numbers'),

    (lesson11.amdahl, [1.6, 0.8, 0.25], 'Correct.'),
    (lesson11.amdahl, np.array([8 / 5, 4 / 5, 1 / 4]), 'Correct.'),
    (lesson11.amdahl, ..., NOT_YET),
    (lesson11.amdahl, [0.625, 0.3125, 0.25], 'the old time over the new'),
    (lesson11.amdahl, [1.6, 1.6, 0.25], 'divided by the number of processes'),
    (lesson11.amdahl, [1.6, 0.2, 0.25], 'what is kept'),
    (lesson11.amdahl, [1.6, 0.8, 0.75], 'the parallel share'),
    (lesson11.amdahl, [1.6, 0.8, 0.2], 'not the loss of efficiency'),
    (lesson11.amdahl, [1.6, 80, 25], 'not per cent'),
    (lesson11.amdahl, [1.6, 80, 0.25], 'not per cent'),
    (lesson11.ring_megabytes, 22.84, 'if all goes through it'),
    (lesson11.amdahl, [0.25, 1.6, 0.8], 'the order is'),
    (lesson11.amdahl, [1.6, 0.8], 'the shape is'),

    (lesson11.gradient_seconds, 0.64, 'Correct.'),
    (lesson11.gradient_seconds, 2 * 999 / 1000 * 4e8 / 1.25e9, 'Correct.'),
    (lesson11.gradient_seconds, ..., NOT_YET),
    (lesson11.gradient_seconds, 0.08, 'a byte has eight bits'),
    (lesson11.gradient_seconds, 0.32, 'there are two rounds'),
    (lesson11.gradient_seconds, 0.16, 'has four bytes'),
    (lesson11.gradient_seconds, 0.04, 'and there are two rounds'),
    (lesson11.gradient_seconds, 1 / 0.64, 'give the seconds of one'),
    (lesson11.gradient_seconds, 640, 'in milliseconds'),
    (lesson11.gradient_seconds, 5., 'too large'),

    (lesson11.best_workers, lambda c, a: c * np.log(2) / (2 * a), 'Correct.'),
    (lesson11.best_workers, lambda compute, latency: compute / latency / np.log2(np.e) / 2,
     'Correct.'),
    (lesson11.best_workers, ..., NOT_YET),
    (lesson11.best_workers, 20, 'write a function'),
    (lesson11.best_workers, lambda c, a: ..., 'the function returns nothing'),
    (lesson11.best_workers, lambda c, a: c / a / 2, 'to base 2 is not 1/n'),
    (lesson11.best_workers, lambda c, a: c / (2 * a * np.log(2)), 'upside down'),
    (lesson11.best_workers, lambda c, a: np.sqrt(c / a / 2), 'the best number for a ring'),
    (lesson11.best_workers, lambda c, a: np.sqrt(c * np.log(2) / a / 2), 'no square root'),
    (lesson11.best_workers, lambda c, a: c * np.log(2) / a, 'counts twice'),
    (lesson11.best_workers, lambda c, a: 2 * c * np.log(2) / a, 'belongs to the latency'),
    (lesson11.best_workers, lambda c, a: c * np.log(2) / 2 * a, 'the latency is multiplied'),
    (lesson11.best_workers, lambda c, a: 2 * a / (c * np.log(2)), 'one over the right'),
    (lesson11.best_workers,
     lambda c, a: 2 * a / np.log(2) + 2 * a * np.log2(c * np.log(2) / (2 * a)),
     'the seconds of a step'),
    (lesson11.best_workers, lambda c, a: int(c * np.log(2) / a / 2), 'raised TypeError'),

    (lesson11.ring, ring, 'Correct.'),
    (lesson11.ring, lambda p: ring(p).tolist(), 'Correct.'),
    (lesson11.ring, ring_in_place, 'Correct.'),
    (lesson11.ring, ..., NOT_YET),
    (lesson11.ring, ring_without_return, 'the function returns nothing'),
    (lesson11.ring, lambda p: np.tile(p.sum(axis=0), (len(p), 1)), 'the end of the whole'),
    (lesson11.ring, lambda p: np.tile(p.mean(axis=0), (len(p), 1)), 'averaged; return the state'),
    (lesson11.ring, ring_that_replaces, 'here it replaces'),
    (lesson11.ring, lambda p: ring(p, 1), 'this is one turn; a round has'),
    (lesson11.ring, lambda p: ring(p, len(p)), 'one turn too many'),
    (lesson11.ring, ring_to_the_left, 'travel the wrong way'),
    (lesson11.ring, ring_of_next_parts, 'passes on the part that it received'),
    (lesson11.ring, ring_from_the_next, 'in turn 0 worker r sends part r'),
    (lesson11.ring, lambda p: ring(p) / len(p), 'return sums'),
    (lesson11.ring, lambda p: p, 'numbers are right'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson11.average, lesson11.ring_megabytes, lesson11.steps_and_rate, lesson11.amdahl,
        lesson11.gradient_seconds, lesson11.best_workers, lesson11.ring)
