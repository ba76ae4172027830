"""Handwritten digits of 8 x 8 pixels."""
from typing import NamedTuple

import numpy

from course_lib.datasets import shipped

N_TRAIN_FORMS = 11  # of 14


class Digits(NamedTuple):
    """Images of handwritten digits."""

    images: numpy.ndarray  # float32, shape (n, 64): ink from 0 to 1, row by row; reshape to 8 x 8
    labels: numpy.ndarray  # int32, shape (n,): the digit meant, 0 to 9
    forms: numpy.ndarray   # int32, shape (n,): which filled-in form it comes from, 0 to 13

    def split(self):
        """The digits to learn from and those to test on: other forms, so other handwriting.

        A person's digits resemble one another. Were the rows split at random, nearly every test
        image would have neighbours by the same hand among those learnt from, and a classifier
        would look better than it is for a stranger's writing. So the split is by form: the first
        11 forms (1,415 images) train, the last 3 (382 images) test.

        Returns:
            tuple of Digits: Train and test.
        """
        train = self.forms < N_TRAIN_FORMS
        return tuple(Digits(*(array[rows] for array in self)) for rows in (train, ~train))


def load_digits():
    """1,797 handwritten digits of 8 x 8 pixels, in the order of the forms they were written on.

    Returns:
        Digits: ``images`` (ink from 0 to 1), ``labels`` and ``forms``.

    Raises:
        FileNotFoundError, ValueError: If the shipped file is missing or altered.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI
    Machine Learning Repository, doi:10.24432/C50P49; its test set. How the forms were told apart
    is described in ``data/README.md``.

    Example:
        >>> train, test = load_digits().split()
        >>> train.images.shape, test.images.shape
        ((1415, 64), (382, 64))
    """
    _, table = shipped.read_numbers('digits.csv.gz')
    forms, labels = table[:, :2].astype(numpy.int32).T.copy()
    return Digits((table[:, 2:] / 16).astype(numpy.float32), labels, forms)
