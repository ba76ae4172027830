"""What all tests and all notebooks share: a quiet, pinned environment and a fixed seed."""
import os

# Before anything imports NumPy: kernels and tests must not depend on the number of cores, nor on a
# display.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ['MPLBACKEND'] = 'agg'

import pathlib

import numpy
import pytest


@pytest.fixture(autouse=True)
def fixed_global_seed():
    """Each test starts from the same global random state, in whatever order the tests run."""
    numpy.random.seed(0)


def pytest_collection_modifyitems(items):
    """Notebooks: standard error is not compared."""
    for item in items:
        skipped = getattr(item.parent, 'skip_compare', None)
        if skipped is not None and 'stderr' not in skipped:
            # Progress bars and third-party warnings go there, with speeds and paths in them.
            item.parent.skip_compare = tuple(skipped) + ('stderr',)


@pytest.fixture(scope='session')
def root():
    """The top folder of the project."""
    return pathlib.Path(__file__).resolve().parent.parent
