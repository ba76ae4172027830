"""Exercises of lesson 11: averaged gradients, the bytes they cost, and where scaling stops."""
import numpy

from course_lib.check.exercise import Exercise, Mistake

_FIRST, _SECOND = numpy.array([1., -2., 4.]), numpy.array([3., 0., -2.])
_AVERAGE = (_FIRST + _SECOND) / 2
average = Exercise(
    right=_AVERAGE,
    shows='Every worker ends with these same three numbers, and so takes the same step.',
    mistakes=[
        Mistake(_FIRST + _SECOND, 'this is the sum; the mean is asked for.'),
        Mistake(numpy.array(_AVERAGE.mean()), 'average over the workers, not over the parameters: '
                'three numbers.'),
        Mistake([_FIRST.mean(), _SECOND.mean()], 'average over the workers, not over the '
                'parameters: three numbers.'),
        Mistake((_FIRST - _SECOND) / 2, 'the second gradient is subtracted; add it.'),
        Mistake([2., 1., 3.], 'keep the signs of the gradients.'),
    ])

_BYTES = 4 * 815_824   # of the 784-500-20 model
_RING = 2 * (8 - 1) / 8 * _BYTES / 1e6
ring_megabytes = Exercise(
    right=_RING,
    shows='Twice the gradients at most, however many workers there are.',
    mistakes=[
        Mistake(_RING * 1e6, 'this is in bytes; give megabytes, millions of bytes.'),
        Mistake(_RING / 4, 'a float32 number has four bytes.'),
        Mistake(_RING * 2, 'a float32 number has four bytes, not eight.'),
        Mistake(_RING * 8, 'this is in megabits; a byte has eight.'),
        Mistake(_RING / 2, 'there are two rounds, one that adds and one that hands out the sums.'),
        Mistake(2 * _BYTES / 1e6, 'a worker keeps one part for itself: there are n - 1 turns in a '
                'round, not n.'),
        Mistake(7 * _BYTES / 1e6, 'this is what worker 1 sends if all goes through it; in a ring '
                'a worker sends one part of n in each turn.'),
        Mistake(2 * 7 * _BYTES / 1e6, 'in each turn a worker sends one part of n, not all of its '
                'gradients.'),
        Mistake(_RING * 1e6 / 2 ** 20, 'a megabyte is 10^6 bytes here.'),
    ])

_STEPS, _RATE = 1415 // (4 * 50), 4 * 1e-3
steps_and_rate = Exercise(
    right=[_STEPS, _RATE],
    shows='A quarter of the steps, each four times as long.',
    mistakes=[
        Mistake([_RATE, _STEPS], 'both numbers are right; the steps come first.'),
        Mistake([1415 // 50, _RATE], 'a step takes a batch from each of the four workers.'),
        Mistake([1415 / 200, _RATE], 'only full global batches count: round down.'),
        Mistake([_STEPS + 1, _RATE], 'only full global batches count: round down.'),
        Mistake([4 * (1415 // 50), _RATE], 'more workers take fewer steps, not more.'),
        Mistake([_STEPS, 1e-3 / 4], 'fewer steps must each go further: multiply the step size.'),
        Mistake([_STEPS, 2e-3], 'this is the square-root rule; the linear one is asked for.'),
        Mistake([_STEPS, 1e-3], 'the step size grows with the global batch.'),
    ])

_T1, _T2 = 8., 5.
_SPEED_UP = _T1 / _T2
_SERIAL = (2 / _SPEED_UP - 1) / (2 - 1)
amdahl = Exercise(
    right=[_SPEED_UP, _SPEED_UP / 2, _SERIAL],
    shows='With so large a serial share, no number of processes gives more than four times the '
          'speed.',
    mistakes=[
        Mistake([1 / _SPEED_UP, 1 / _SPEED_UP / 2, _SERIAL], 'the speed-up is the old time over '
                'the new one.'),
        Mistake([_SPEED_UP, _SPEED_UP, _SERIAL], 'the efficiency is the speed-up divided by the '
                'number of processes.'),
        Mistake([_SPEED_UP, 1 - _SPEED_UP / 2, _SERIAL], 'this is what is lost; the efficiency is '
                'what is kept.'),
        Mistake([_SPEED_UP, _SPEED_UP / 2, 1 - _SERIAL], 'this is the parallel share; the serial '
                'one is asked for.'),
        Mistake([_SPEED_UP, _SPEED_UP / 2, 1 - _SPEED_UP / 2], 'the serial share is not the loss '
                'of efficiency: solve the law for s.'),
        Mistake([_SPEED_UP, 100 * _SPEED_UP / 2, 100 * _SERIAL], 'give shares, not per cent.'),
        Mistake([_SPEED_UP, 100 * _SPEED_UP / 2, _SERIAL], 'the efficiency is a share, not per '
                'cent.'),
        Mistake([_SERIAL, _SPEED_UP, _SPEED_UP / 2], 'the numbers are right; the order is '
                'speed-up, efficiency, serial share.'),
    ])

_SECONDS = 2 * 4 * 1e8 / (10e9 / 8)
gradient_seconds = Exercise(
    right=_SECONDS,
    shows='That is longer than most steps take to compute: such a model needs a faster network.',
    mistakes=[
        Mistake(_SECONDS / 8, '10 Gbit/s are gigabits; a byte has eight bits.'),
        Mistake(_SECONDS / 2, 'there are two rounds: adding, and handing out.'),
        Mistake(_SECONDS / 4, 'a float32 number has four bytes.'),
        Mistake(_SECONDS / 16, 'a byte has eight bits, and there are two rounds.'),
        Mistake(1 / _SECONDS, 'this is how many fit into a second; give the seconds of one.'),
        Mistake(_SECONDS * 1000, 'this is in milliseconds; give seconds.'),
    ],
    rtol=5e-3)   # with n - 1 over n for any large n as well


def _best(compute, latency):
    return numpy.asarray(compute) * numpy.log(2) / (2 * numpy.asarray(latency))


best_workers = Exercise(
    right=_best,
    probes=[(0.04, 5e-5), (numpy.array([1., 100.]), numpy.array([1e-4, 1e-6]))],
    shows='Four times the work is worth four times the workers; with a ring, only twice.',
    mistakes=[
        Mistake(lambda c, a: c / (2 * a), 'the derivative of the logarithm to base 2 is not 1/n.'),
        Mistake(lambda c, a: c / (2 * a * numpy.log(2)), 'a factor is upside down: a logarithm to '
                'base 2 is the natural one divided by that of 2.'),
        Mistake(lambda c, a: numpy.sqrt(c / (2 * a)), 'this is the best number for a ring; '
                'differentiate the time with a tree.'),
        Mistake(lambda c, a: numpy.sqrt(_best(c, a)), 'no square root: multiply the derivative '
                'by n squared and solve for n.'),
        Mistake(lambda c, a: 2 * _best(c, a), 'the tree has two rounds: the latency counts twice.'),
        Mistake(lambda c, a: 4 * _best(c, a), 'the 2 belongs to the latency, below.'),
        Mistake(lambda c, a: c * numpy.log(2) / 2 * a, 'the latency is multiplied; put the whole '
                'denominator in parentheses.'),
        Mistake(lambda c, a: 1 / _best(c, a), 'this is one over the right number.'),
        Mistake(lambda c, a: c / _best(c, a) + 2 * a * numpy.log2(_best(c, a)), 'these are the '
                'seconds of a step at the best number; give that number.'),
    ])


def _ring(parts, add=True, steps=None, direction=1, first=0, back=True):
    """The first round, or what a mistake makes of it."""
    state = numpy.array(parts, numpy.float64)
    n = len(state)
    sign = direction if back else -direction
    for step in range(n - 1 if steps is None else steps):
        sent = [state[r, (r - sign * step + first) % n] for r in range(n)]
        for r in range(n):
            to, part = (r + direction) % n, (r - sign * step + first) % n
            state[to, part] = sent[r] + (state[to, part] if add else 0)
    return state


_PARTS = (numpy.array([[1., 2., 3.], [10., 20., 30.], [100., 200., 300.]]),
          numpy.arange(16.).reshape(4, 4) ** 2, numpy.array([[1., -1.], [2., 5.]]))
ring = Exercise(
    right=_ring,
    probes=[(parts,) for parts in _PARTS],
    shows='Worker r holds the whole sum of part r + 1. Another n - 1 turns hand the sums round.',
    mistakes=[
        Mistake(lambda p: numpy.tile(p.sum(axis=0), (len(p), 1)), 'this is the end of the whole '
                'all-reduce; return the state after the first round.'),
        Mistake(lambda p: numpy.tile(p.mean(axis=0), (len(p), 1)), 'this is the end of the whole '
                'all-reduce, averaged; return the state after the first round, sums.'),
        Mistake(lambda p: _ring(p, add=False), 'the receiver adds what it gets to its own part; '
                'here it replaces it.'),
        Mistake(lambda p: _ring(p, steps=1), 'this is one turn; a round has n - 1.'),
        Mistake(lambda p: _ring(p, steps=len(p) - 2), 'this is one turn too few: a round has '
                'n - 1.'),
        Mistake(lambda p: _ring(p, steps=len(p)), 'this is one turn too many: a round has n - 1.'),
        Mistake(lambda p: _ring(p, direction=-1), 'the parts travel the wrong way: worker r sends '
                'to worker r + 1.'),
        Mistake(lambda p: _ring(p, back=False), 'each worker passes on the part that it received '
                'in the turn before; yours moves on to the next part.'),
        Mistake(lambda p: _ring(p, first=1), 'in turn 0 worker r sends part r.'),
        Mistake(lambda p: _ring(p) / len(p), 'return sums; they are divided at the end.'),
    ])
