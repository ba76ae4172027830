"""What every lesson does first."""
import chainer
import numpy

from course_lib import devices, plots
from course_lib.training.random_state import set_seed


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
    choice = devices.choose()
    choice.device.use()
    set_seed(seed)
    chainer.global_config.dtype = numpy.dtype(numpy.float32)
    plots.set_style()
    print(choice.sentence)
    return choice.device
