"""Deaths by horse kick in the Prussian army: the count data that everyone starts with."""
from typing import NamedTuple

import numpy

from course_lib.datasets import shipped


class HorseKicks(NamedTuple):
    """20 years of 14 army corps."""

    year: numpy.ndarray    # int32, shape (20,): 1875 to 1894
    corps: tuple           # 14 names: 'G' (the Guard), 'I', 'II', ... 'XV'
    deaths: numpy.ndarray  # int32, shape (20, 14): soldiers killed, one row a year


def load_horse_kicks():
    """How many soldiers of each Prussian army corps were killed by a horse's kick, 1875 to 1894.

    Returns:
        HorseKicks: ``year``, ``corps`` and ``deaths``, a table of 20 years by 14 corps.

    Raises:
        FileNotFoundError, ValueError: If the shipped file is missing or altered.

    Source: L. von Bortkiewicz (1898), Das Gesetz der kleinen Zahlen, Leipzig: Teubner.

    Example:
        >>> kicks = load_horse_kicks()
        >>> numpy.bincount(kicks.deaths.ravel()).tolist()
        [144, 91, 32, 11, 2]
    """
    names, table = shipped.read_numbers('horse_kicks.csv')
    table = table.astype(numpy.int32)
    return HorseKicks(table[:, 0], names[1:], table[:, 1:])
