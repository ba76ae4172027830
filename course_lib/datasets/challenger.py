"""The O-ring record of the space shuttle before the Challenger launch."""
import csv
import io
from typing import NamedTuple

import numpy

from course_lib.datasets import shipped


class Challenger(NamedTuple):
    """23 flights, in the order flown."""

    flight: tuple              # 23 names, such as '51C'
    temperature: numpy.ndarray  # float32, shape (23,): joint temperature at launch, degrees F
    distress: numpy.ndarray     # int32, shape (23,): 1 if any O-ring showed thermal distress


def load_challenger():
    """The space-shuttle O-ring record: joint temperature and thermal distress of 23 flights.

    Returns:
        Challenger: ``flight``, ``temperature`` (degrees Fahrenheit) and ``distress`` (0 or 1).

    Raises:
        FileNotFoundError, ValueError: If the shipped file is missing or altered.

    Source: Dalal, Fowlkes and Hoadley (1989), "Risk analysis of the space shuttle:
    pre-Challenger prediction of failure", JASA 84(408), 945-957; data of the Rogers Commission
    report (1986). Flight 4 (80 degrees F) is left out: its hardware was lost at sea.

    Example:
        >>> data = load_challenger()
        >>> len(data.flight), int(data.distress.sum())
        (23, 7)
    """
    text = shipped.read('challenger.csv').decode('utf-8')
    rows = list(csv.DictReader(io.StringIO(text)))
    return Challenger(
        tuple(row['flight'] for row in rows),
        numpy.array([row['temperature_F'] for row in rows], numpy.float32),
        numpy.array([row['distress'] for row in rows], numpy.int32))
