"""What a parameter may be, and the one switch that turns all checks off.

Checks are on by default because a silent NaN costs an evening. Each is one or two passes over the
array (``min`` and ``max`` catch NaN and infinities at once). In an inner loop that has been
checked before, switch them off::

    with course_lib.distributions.validation(False):
        ...

The switch is ``chainer.config.validate_distributions``, thread-local like all of Chainer's.
"""
import contextlib
import math
from typing import Callable, NamedTuple

import chainer
import numpy

from course_lib.numerics.elementwise import BLOCK
from course_lib.numerics.node import setting
from course_lib.numerics.special import xp_of

chainer.global_config.validate_distributions = True


@contextlib.contextmanager
def validation(enabled):
    """Switches the checks of parameters and observations on or off within a ``with`` block.

    Args:
        enabled (bool): Whether to check.

    Raises:
        TypeError: If ``enabled`` is not a bool.
    """
    if not isinstance(enabled, bool):
        raise TypeError(f'enabled must be True or False; got {enabled!r}')
    with chainer.using_config('validate_distributions', enabled):
        yield


def is_enabled():
    """Whether parameters and observations are checked now, in this thread."""
    return setting('validate_distributions')


class Domain(NamedTuple):
    """A set of numbers, in words and as a test of a whole array."""

    words: str
    contains_all: Callable  # (array) -> bool; False for any NaN
    contains: Callable      # (array) -> array of bool, to find the culprit


def _between(words, above, below):
    """The domain given by a condition on the smallest and one on the largest element."""
    return Domain(words,
                  lambda a: bool(above(a.min())) and bool(below(a.max())),
                  lambda a: above(a) & below(a))


_INF = float('inf')

_finite = _between('a finite real number', lambda a: a > -_INF, lambda a: a < _INF)


@numpy.errstate(all='ignore')
def _all_finite(a):
    # A sum of squares is the quickest to form, and finite only if all are; if not, it may be large.
    if isinstance(a, numpy.ndarray) and a.dtype.char in 'fd' and a.flags.c_contiguous:
        flat = a.reshape(-1)
        if math.isfinite(flat.dot(flat)):
            return True
    return _finite.contains_all(a)


real = _finite._replace(contains_all=_all_finite)
extended_real = Domain('a number, not NaN', lambda a: bool(a.min() >= -_INF), lambda a: a == a)
positive = _between('a finite number above 0', lambda a: a > 0, lambda a: a < _INF)
non_negative = _between('a finite number, 0 or more', lambda a: a >= 0, lambda a: a < _INF)
probability = _between('a probability, from 0 to 1', lambda a: a >= 0, lambda a: a <= 1)
open_probability = _between(
    'a probability strictly between 0 and 1', lambda a: a > 0, lambda a: a < 1)
positive_probability = _between(
    'a probability above 0, up to 1', lambda a: a > 0, lambda a: a <= 1)

# What its user checks later.
unchecked = Domain('anything', lambda a: True, lambda a: (a == a) | True)


def _each(words, contains):
    """The domain given by a condition on each element, tested block by block in cache."""
    def contains_all(a):
        if a.size <= BLOCK or not isinstance(a, numpy.ndarray):
            return bool(contains(a).all())
        flat = a.reshape(-1)
        return all(contains(flat[i:i + BLOCK]).all() for i in range(0, flat.size, BLOCK))
    return Domain(words, contains_all, contains)


def is_whole(a):
    """For each element, whether it is a whole number or infinite."""
    return a == xp_of(a).rint(a)   # rint takes a quarter of the time of a.round(), for a scalar


count = _each('a whole number, 0 or more', lambda a: (a >= 0) & (a < _INF) & is_whole(a))
trial_count = _each('a whole number, 1 or more', lambda a: (a >= 1) & (a < _INF) & is_whole(a))
binary = _each('0 or 1', lambda a: (a == 0) | (a == 1))


def check(owner, name, array, domain):
    """Raises a sentence that names the argument, the first offending value and the domain.

    Args:
        owner (str): Name of the distribution.
        name (str): Name of the argument.
        array: A NumPy or CuPy array.
        domain (Domain): Where every element has to be.

    Raises:
        ValueError: If an element lies outside.
    """
    if not array.ndim:
        holds = domain.contains(array[()])   # NumPy compares its scalars quicker than its arrays
    else:
        holds = not array.size or domain.contains_all(array)
    if not holds:
        culprit = array[~domain.contains(array)].ravel()[0]
        raise ValueError(f'{owner}: {name} must be {domain.words}; got {float(culprit):.6g}')
