"""Random draws that follow a seed, a generator or the global state, on CPU and GPU.

``rng=None``             the global state of ``numpy.random`` or ``cupy.random``, as Chainer does
``rng=7``                a fresh generator with that seed: the same numbers at every call
``rng=default_rng(7)``   that generator, which moves on with every call; one of NumPy's used with
                         CuPy parameters draws on the CPU and copies, so that CPU and GPU agree
"""
import operator

import numpy

from course_lib.numerics import cuda_graph

_EXPECTED = ('rng must be None, an integer seed, or a numpy or cupy random generator; '
             'got {!r}')


def generator(xp, rng):
    """The object whose methods (``standard_normal``, ``random``, ...) make the draws."""
    if rng is None:
        return xp.random if xp is numpy else cuda_graph.recording() or xp.random
    if isinstance(rng, (int, numpy.integer)) and not isinstance(rng, bool):
        if rng < 0:
            raise ValueError(f'rng, as a seed, must be 0 or more; got {rng}')
        return xp.random.default_rng(int(rng))
    if hasattr(rng, 'standard_normal'):
        return rng
    raise TypeError(_EXPECTED.format(rng))


def draw(xp, rng, method, *args, size):
    """``size`` draws of ``method`` (a name such as ``'standard_gamma'``), as an array of ``xp``.

    Args:
        xp: :mod:`numpy` or :mod:`cupy`: where the result is wanted.
        rng: See the module's docstring.
        method: Name of a method common to NumPy's and CuPy's generators.
        *args: Its array parameters, broadcastable to ``size``.
        size: Shape of the result; where ``sample_n`` draws, ``n`` and then the shape of one draw.

    Returns:
        An array of float64 or of integers, as the generator returns it.

    Raises:
        TypeError: If a length of ``size`` is no integer.
        ValueError: If it is negative.
    """
    for n in size:   # all lengths but sample_n's come from arrays
        if not _is_integer(n):
            raise TypeError(f'n, the number of draws, must be an integer; got {n!r}')
        if n < 0:
            raise ValueError(f'n, the number of draws, must be 0 or more; got {n}')
    rng = generator(xp, rng)
    on_cpu = isinstance(rng, (numpy.random.Generator, numpy.random.RandomState))
    if xp is not numpy and on_cpu:
        return xp.asarray(getattr(rng, method)(*(_to_cpu(a) for a in args), size=size))
    return xp.asarray(getattr(rng, method)(*args, size=size))


def normal(xp, rng, shape, dtype):
    """Standard normal draws."""
    return draw(xp, rng, 'standard_normal', size=shape).astype(dtype)


def uniform(xp, rng, shape, dtype):
    """Uniform draws from the *open* interval (0, 1): safe to take the logarithm of u and 1 - u."""
    # (k + 1/2) / 2^m never touches 0 or 1, even after rounding to float32.
    bits = 53 - 1 if dtype == numpy.float64 else 23 if dtype == numpy.float32 else 10
    k = xp.floor(draw(xp, rng, 'random', size=shape) * 2.0 ** bits)
    return ((k + 0.5) * 2.0 ** -bits).astype(dtype)


def _is_integer(n):
    try:
        operator.index(n)   # an array without axes has one, too
    except TypeError:
        return False
    return not isinstance(n, bool)


def _to_cpu(array):
    return array.get() if hasattr(array, 'get') else array
