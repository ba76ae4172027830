"""How long a CPU and a GPU took for the same work: measured once, and stored."""
import json
import pathlib
from typing import NamedTuple

import numpy

from course_lib.datasets import shipped


class GPUTimes(NamedTuple):
    """What :mod:`course_lib.models.vae.on_gpu` measured on one machine.

    ``machine`` names processors and versions; the other fields are sections, tuples of
    dictionaries, whose keys the function of the same name there explains. All times are in seconds.
    """

    machine: dict
    copies: tuple      # between the memories, by size
    launches: tuple    # one elementwise operation, by length
    agreement: tuple   # how far the GPU's numbers are from the CPU's
    log_probs: tuple   # a log-density written in several ways
    steps: tuple       # a training step of a VAE, by model and batch
    recorded: tuple    # such a step, ordinary and recorded as a CUDA graph
    memory: tuple      # bytes of the GPU's memory, by batch
    products: tuple    # matrix products, by dtype
    precision: tuple   # errors of a log-density, by dtype

    def column(self, section, name, **where):
        """One number from each row of a section, in the order measured.

        Args:
            section (str): A field but ``machine``, such as ``'steps'``.
            name (str): Which number, such as ``'step_s'``.
            **where: What the rows must have, such as ``device='gpu'``.

        Returns:
            numpy.ndarray: float64, one number a row.

        Raises:
            ValueError: If there is no such section, or no row has all that with such a number.
        """
        if section not in self._fields[1:]:
            raise ValueError(f'section must be one of {", ".join(self._fields[1:])}; '
                             f'got {section!r}')
        found = [row[name] for row in getattr(self, section)
                 if name in row and where.items() <= row.items()]
        if not found:
            wish = ', '.join(f'{key}={value!r}' for key, value in where.items())
            raise ValueError(f'{section} must have a row with {name} and {wish or "no condition"}; '
                             'it has none')
        return numpy.array(found, numpy.float64)


def load_gpu_times(path=None):
    """Times of a CPU and a GPU: copies, launches, log-densities, training steps, memory.

    Args:
        path: A file that ``python -m course_lib.models.vae.on_gpu --out FILE`` has written on your
            machine; ``None``: the one that ships with the course.

    Returns:
        GPUTimes: The machine and its measurements.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not what that program writes, or the shipped file is altered.

    Source: measured for this course; see ``data/README.md``.

    Example:
        >>> times = load_gpu_times()
        >>> times.column('steps', 'batch', device='gpu', model='mnist')[:3].tolist()
        [1.0, 4.0, 16.0]
    """
    content = shipped.read('gpu_times.json') if path is None else pathlib.Path(path).read_bytes()
    try:
        report = json.loads(content)
        return GPUTimes(report['machine'], *(tuple(report[name]) for name in GPUTimes._fields[1:]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError('path must be a file written by python -m course_lib.models.vae.on_gpu; '
                         f'got {path} ({type(error).__name__}: {error})') from None
