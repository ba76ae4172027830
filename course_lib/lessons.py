"""What every lesson does first."""
import random

import chainer
import numpy

from course_lib import devices, plots


def start(seed=0):
    """Prepares a lesson: chooses the device, seeds every generator, sets the plotting style.

    Prints one line that names the device and, if it is the CPU, why.

    Args:
        seed (int): Seed of the global generators of Python, NumPy and CuPy.

    Returns:
        chainer.backend.Device: The device that the lesson sends its arrays and models to.

    Raises:
        ValueError: If ``seed`` is not a whole number from 0 to 2**32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2 ** 32:
        raise ValueError(f'seed must be a whole number from 0 to 2**32 - 1; got {seed!r}')
    choice = devices.choose()
    choice.device.use()
    random.seed(seed)
    numpy.random.seed(seed)
    if choice.is_gpu:
        choice.device.xp.random.seed(seed)
    chainer.global_config.dtype = numpy.dtype(numpy.float32)
    plots.set_style()
    print(choice.sentence)
    return choice.device
