"""What 235 households earned and what they spent on food."""
from typing import NamedTuple

import numpy

from course_lib.datasets import shipped


class Engel(NamedTuple):
    """235 Belgian working-class households."""

    income: numpy.ndarray  # float32, shape (235,): income in a year, Belgian francs
    food: numpy.ndarray    # float32, shape (235,): spent on food in a year, Belgian francs


def load_engel():
    """Income and food expenditure of households: the more they earn, the more they differ.

    Returns:
        Engel: ``income`` and ``food``, both in Belgian francs a year.

    Raises:
        FileNotFoundError, ValueError: If the shipped file is missing or altered.

    Source: E. Engel (1857), Die Productions- und Consumtionsverhaeltnisse des Koenigreichs
    Sachsen; as analysed by R. Koenker and G. Bassett (1982), "Robust tests of heteroscedasticity
    based on regression quantiles", Econometrica 50(1), 43-61.

    Example:
        >>> households = load_engel()
        >>> len(households.income), f'{households.food.mean() / households.income.mean():.2f}'
        (235, '0.64')
    """
    _, table = shipped.read_numbers('engel.csv')
    return Engel(*table.astype(numpy.float32).T.copy())
