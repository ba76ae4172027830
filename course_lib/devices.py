"""Which device the lessons run on: decided once, by really computing something on it.

CuPy can be importable, ``chainer.backends.cuda.available`` true and ``get_device('@cupy:0')``
successful on a machine whose GPU cannot multiply two matrices, for want of a driver or of a CUDA
library. So the only test that counts is a product, an elementwise kernel and a random draw.
"""
import functools
import os
from typing import NamedTuple
import warnings

import chainer

ENVIRONMENT_VARIABLE = 'COURSE_DEVICE'


class Choice(NamedTuple):
    """The device chosen, and a sentence that says which and why."""

    device: chainer.backend.Device
    sentence: str

    @property
    def is_gpu(self):
        """Whether the device is a GPU."""
        return self.device.name != '@numpy'


@functools.lru_cache(maxsize=None)
def choose():
    """The device for this process; see :func:`decide`. Decided at the first call."""
    return decide(os.environ.get(ENVIRONMENT_VARIABLE, ''))


def decide(wish='', try_gpu=None):
    """Decides between the GPU and the CPU.

    Args:
        wish (str): ``'cpu'`` forces the CPU; ``''`` or ``'gpu'`` takes a GPU if one works.
        try_gpu: A function that computes something on the GPU and raises if that fails (a test
            passes its own).

    Returns:
        Choice: A GPU if one answers, else the CPU with the reason. Never raises for want of a GPU.

    Raises:
        ValueError: If ``wish`` is another word.
    """
    if wish.lower() not in ('', 'cpu', 'gpu'):
        raise ValueError(
            f"the environment variable {ENVIRONMENT_VARIABLE} must be 'cpu' or 'gpu'; got {wish!r}")
    if wish.lower() == 'cpu':
        return _cpu(f'{ENVIRONMENT_VARIABLE}=cpu asks for it')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            name = (try_gpu or _compute_on_gpu)()
    except ImportError as error:
        if getattr(error, 'name', None) == 'cupy':
            return _cpu('CuPy is not installed')
        return _cpu(f'CuPy does not import ({_first_line(error)})')
    except Exception as error:  # a broken CUDA set-up fails in more ways than can be listed
        return _cpu(f'CuPy is installed but no GPU answers ({_first_line(error)})')
    return Choice(chainer.get_device('@cupy:0'), f'Running on the GPU ({name}).')


def to_numpy(x):
    """The NumPy array that holds the numbers of an array or variable on any device.

    Args:
        x: A NumPy or CuPy array, or a :class:`chainer.Variable`.

    Returns:
        numpy.ndarray: The same numbers on the CPU (not a copy if they are there already).

    Raises:
        TypeError: If ``x`` is none of these.
    """
    array = x.array if isinstance(x, chainer.Variable) else x
    if not isinstance(array, chainer.get_array_types()):
        raise TypeError(f'x must be an array or a chainer.Variable; got {type(x).__name__}')
    return chainer.get_device('@numpy').send(array)


def _cpu(reason):
    return Choice(chainer.get_device('@numpy'), f'Running on the CPU: {reason}.')


def _compute_on_gpu():
    """Uses each CUDA library that the lessons need; returns the name of the GPU."""
    import cupy
    with cupy.cuda.Device(0):
        a = cupy.arange(4, dtype=cupy.float32).reshape(2, 2)
        product = (a @ a).get()                            # cuBLAS
        kernel = cupy.exp(a).get()                         # NVRTC compiles an elementwise kernel
        draw = cupy.random.random(4).get()                 # cuRAND
    if product.tolist() != [[2, 3], [6, 11]] or kernel[0, 0] != 1 or not (draw < 1).all():
        raise RuntimeError('it computes wrong numbers')
    return cupy.cuda.runtime.getDeviceProperties(0)['name'].decode()


def _first_line(error):
    text = str(error).strip().splitlines()
    line = text[0].strip() if text else ''
    return f'{type(error).__name__}: {line[:120].rstrip(".")}' if line else type(error).__name__
