"""Seeds, and a random state that a snapshot carries."""
import random

import chainer
import numpy

from course_lib import devices


def set_seed(seed):
    """Seeds the global generators of Python, NumPy and, where there is a GPU, CuPy.

    Initial weights, the order of examples and samples of latent variables all come from them.

    Args:
        seed (int): A whole number from 0 to 2**32 - 1.

    Raises:
        ValueError: If ``seed`` is not.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, numpy.integer)) or not (
            0 <= seed < 2 ** 32):
        raise ValueError(f'seed must be a whole number from 0 to 2**32 - 1; got {seed!r}')
    random.seed(int(seed))
    numpy.random.seed(seed)
    choice = devices.choose()
    if choice.is_gpu:
        choice.device.xp.random.seed(int(seed))


class RandomState(chainer.training.Extension):
    """A trainer extension that does nothing but put the random state into every snapshot.

    Chainer's snapshot holds parameters, optimiser and iterator, but not the generators. A resumed
    run then shuffles and samples differently from one that was never interrupted.

    NumPy's global state is saved as it is. CuPy's cannot be read, so it is seeded anew, from
    NumPy's, whenever a snapshot is written: the run that goes on and the run that is resumed draw
    the same numbers.

    Args:
        device (chainer.backend.Device): Where the model is trained; ``None``: on the CPU.
    """

    trigger = 1, 'epoch'
    name = 'random_state'

    def __init__(self, device=None):
        self._cupy = None if device is None or device.xp is numpy else device.xp

    def __call__(self, trainer):
        pass

    def serialize(self, serializer):
        is_writing = isinstance(serializer, chainer.Serializer)
        gpu_seed = numpy.random.randint(2 ** 31) if is_writing and self._cupy else 0
        name, *state = numpy.random.get_state()
        # Copies, because reading writes into an array that it is given.
        state = [serializer(key, value.copy() if key == 'keys' else value) for key, value in
                 zip(('keys', 'position', 'has_gauss', 'gauss'), state)]
        gpu_seed = serializer('gpu_seed', gpu_seed)
        if not is_writing:
            numpy.random.set_state((name, *state))
        if self._cupy:
            self._cupy.random.seed(int(gpu_seed))
