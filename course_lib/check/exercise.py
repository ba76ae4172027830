"""What judges an attempt, and the mistakes that everybody makes once."""
import copy
from typing import NamedTuple

import chainer
import numpy

NOT_ATTEMPTED = 'Not attempted yet. Replace the three dots with your answer and run the cell again.'
NOTHING_RETURNED = ('Not attempted yet: the function returns nothing. Replace the three dots, and '
                    'end with return.')


class Mistake(NamedTuple):
    """A wrong answer that has a cause, and a hint at the cause."""

    value: object  # what that mistake gives: like the right answer, a number, array or function
    hint: str


class Exercise:
    """Judges attempts at one exercise. Calling it prints the verdict; it never raises.

    Args:
        right: The right answer: a number, a (nested) list or array of numbers, or a function.
        shows (str): One sentence that a correct answer earns: what it shows.
        mistakes: :class:`Mistake` objects, the likeliest first.
        probes: For a function, the argument tuples that it is tried on.
        rtol (float): Relative tolerance.
        atol (float): Absolute tolerance.
    """

    def __init__(self, right, shows, mistakes=(), probes=(), rtol=1e-3, atol=1e-6):
        self.shows = shows
        self.probes = probes
        self.rtol, self.atol = rtol, atol
        self.right = self._values(right)
        self.mistakes = [Mistake(self._values(value), hint) for value, hint in mistakes]

    def __call__(self, answer):
        """Prints what :meth:`judge` says."""
        print(self.judge(answer))

    def judge(self, answer):
        """Says whether an answer is right, and if not, why it may be wrong.

        Args:
            answer: The learner's attempt: ``...`` if there is none yet.

        Returns:
            str: A sentence or two, the same for the same answer on every machine.
        """
        if self.probes and callable(answer):
            results = self._run(answer)
            if isinstance(results, str):
                return results
        elif self.probes and not _missing(answer):
            return 'Not yet: write a function; this is a value.'
        else:
            results = [answer]
        if any(_missing(result) for result in results):
            return NOTHING_RETURNED if callable(answer) else NOT_ATTEMPTED
        try:
            got = [_array(result) for result in results]
        except (TypeError, ValueError):
            return (f'Not yet: the answer should consist of numbers; yours is of type '
                    f'{type(results[0]).__name__}.')
        return self._compare(got)

    def _values(self, answer):
        results = ([answer(*copy.deepcopy(probe)) for probe in self.probes] if self.probes
                   else [answer])
        return [_array(result) for result in results]

    def _run(self, function):
        results = []
        for probe in self.probes:
            try:
                # A copy: a function that changes its arguments in place must not change ours.
                results.append(function(*copy.deepcopy(probe)))
            except Exception as error:  # the learner's code may raise anything
                text = str(error).strip().splitlines()
                return (f'Not yet: your function raised {type(error).__name__}'
                        + (f' ({text[0][:100]})' if text else '')
                        + ' on arguments it should accept.')
        return results

    def _compare(self, got):
        if self._same(got, self.right):
            return f'Correct. {self.shows}'
        for value, hint in self.mistakes:
            if self._same(got, value):
                return f'Not yet: {hint}'
        if any(not numpy.isfinite(g).all() for g in got):
            return ('Not yet: a NaN or an infinity has crept in. Look for a logarithm of 0 or of a '
                    'negative number, a division by 0, or an exponential that overflows.')
        for g, r in zip(got, self.right):
            if _squeezed(g) != _squeezed(r):
                if g.size == r.size ** 2 and r.size > 1:
                    return (f'Not yet: the shape is {g.shape}, where {r.shape} is wanted. A column '
                            'and a row were broadcast against each other; give both one shape.')
                return f'Not yet: the shape is {g.shape}, where {r.shape} is wanted.'
        if self._same(got, [numpy.trunc(r) for r in self.right]):
            return 'Not yet: the answer was rounded to a whole number; keep it a float.'
        if self._same(got, [-r for r in self.right]):
            return 'Not yet: the size is right and the sign is wrong.'
        return self._how_far(got)

    def _how_far(self, got):
        rough = max(0.02, 3 * self.rtol)
        if all(numpy.allclose(g, r, rough, 0) for g, r in zip(got, self.right)):
            return 'Not yet, but close: a few more digits are needed.'
        for value, hint in self.mistakes:   # of a mistake, too, fewer digits may be given
            if self._same(got, value, rtol=0.005):
                return f'Not yet: {hint}'
        g = numpy.concatenate([x.ravel() for x in got])
        r = numpy.concatenate([x.ravel() for x in self.right])
        if g.size == 1:
            return f'Not yet: your number is too {"large" if g[0] > r[0] else "small"}.'
        n = int(numpy.isclose(g, r, self.rtol, self.atol).sum())
        return f'Not yet: {n} of {g.size} numbers are right.'

    def _same(self, a, b, rtol=None):
        return all(_squeezed(x) == _squeezed(y)
                   and numpy.allclose(x.ravel(), y.ravel(), rtol or self.rtol, self.atol)
                   for x, y in zip(a, b))


def sign(right, hint='the sign is wrong. A loss is minus the log-likelihood.'):
    """The forgotten minus sign."""
    return Mistake(_map(lambda v: -v, right), hint)


def sum_for_mean(right, n):
    """The sum over n observations where the mean is wanted."""
    return Mistake(_map(lambda v: v * n, right),
                   'this is the sum over the observations; the mean is asked for.')


def mean_for_sum(right, n):
    """The mean over n observations where the sum is wanted."""
    return Mistake(_map(lambda v: v / n, right),
                   'this is the mean over the observations; the sum is asked for.')


def log2(right):
    """The logarithm to base 2 where the natural one is wanted."""
    return Mistake(_map(lambda v: v / numpy.log(2), right),
                   'this is measured in bits (log to base 2); use the natural logarithm, nats.')


def probability(right):
    """A probability where its logarithm is wanted."""
    return Mistake(_map(numpy.exp, right),
                   'this is the probability itself; its logarithm is asked for.')


def log_probability(right):
    """A logarithm where the probability is wanted."""
    return Mistake(_map(numpy.log, right),
                   'this is the logarithm of the probability; the probability is asked for.')


def variance(right):
    """A variance where the standard deviation is wanted."""
    return Mistake(_map(lambda v: v ** 2, right),
                   'this is the variance; the standard deviation is its square root.')


def _map(change, right):
    if callable(right):
        return lambda *args: change(_array(right(*args)))
    return change(_array(right))


def _missing(answer):
    return answer is None or answer is Ellipsis or (
        isinstance(answer, (list, tuple)) and any(_missing(a) for a in answer))


def _array(value):
    if isinstance(value, (list, tuple)):
        value = [_array(v) for v in value]
    if isinstance(value, chainer.Variable):
        value = value.array
    return numpy.asarray(chainer.get_device('@numpy').send(value)
                         if hasattr(value, 'get') else value, dtype=numpy.float64)


def _squeezed(array):
    return tuple(n for n in array.shape if n != 1)
