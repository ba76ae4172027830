"""Doctor visits of the RAND health-insurance experiment."""
from typing import NamedTuple

import numpy

from course_lib.datasets import shipped

OTHERS = ('person', 'year', 'exposure', 'age', 'female', 'visits')  # the columns before X's


class RandHIE(NamedTuple):
    """20,190 person-years of 5,912 people."""

    visits: numpy.ndarray    # int32, shape (20190,): visits to a doctor in the year
    X: numpy.ndarray         # float32, shape (20190, 9): the covariates of the published fits
    names: tuple             # 9 names of X's columns, from 'lncoins' to 'hlthp'
    person: numpy.ndarray    # int32, shape (20190,): whose year it is, 0 to 5911
    year: numpy.ndarray      # int32, shape (20190,): year of the experiment, 1 to 5
    exposure: numpy.ndarray  # float32, shape (20190,): part of the year insured, in years
    age: numpy.ndarray       # float32, shape (20190,): in years
    female: numpy.ndarray    # int32, shape (20190,): 1 for female, 0 for male


def load_rand_hie():
    """How often people saw a doctor, by the terms of the insurance that they were allotted.

    The columns of ``X`` are those of ``statsmodels.datasets.randhie``, in its order and without a
    constant; ``data/README.md`` says what each means. The years of one person are not independent
    of one another: hold out people, not rows (``person % 5 == 0``, say).

    Returns:
        RandHIE: ``visits``, ``X``, ``names``, ``person``, ``year``, ``exposure``, ``age`` and
        ``female``.

    Raises:
        FileNotFoundError, ValueError: If the shipped file is missing or altered.

    Source: RAND Health Insurance Experiment, 1974-1982; P. Deb and P. K. Trivedi (2002), "The
    structure of demand for health care: latent class versus two-part models", Journal of Health
    Economics 21(4), 601-625; A. C. Cameron and P. K. Trivedi (2005), Microeconometrics, chapter 20.

    Example:
        >>> data = load_rand_hie()
        >>> data.X.shape, int(data.visits.max()), f'{data.visits.mean():.2f}'
        ((20190, 9), 77, '2.86')
    """
    names, table = shipped.read_numbers('rand_hie.csv.gz')
    column = {name: table[:, names.index(name)] for name in OTHERS}
    whole = {name: column[name].astype(numpy.int32) for name in
             ('visits', 'person', 'year', 'female')}
    return RandHIE(
        X=table[:, len(OTHERS):].astype(numpy.float32), names=names[len(OTHERS):],
        exposure=column['exposure'].astype(numpy.float32),
        age=column['age'].astype(numpy.float32), **whole)
