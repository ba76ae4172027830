"""PEP 517 backend: build Chainer from its own sdist, with a few substitutions.

``pip install ./packaging/chainer`` calls the hooks below inside pip's isolated
build environment.  Each one obtains the Chainer sdist (``sdist.py``), applies
the substitutions (``substitute.py``, listed in ``substitutions.py``) and hands
the result to setuptools.
"""

import contextlib
import os
from pathlib import Path
import sys
import tempfile

import sdist
import substitute
from substitutions import SUBSTITUTIONS


def get_requires_for_build_wheel(config_settings=None):
    """Name what the build needs beyond ``pyproject.toml``: nothing."""
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Write the wheel's ``.dist-info`` into `metadata_directory`, return its name."""
    with _patched_chainer() as setuptools_backend:
        return setuptools_backend.prepare_metadata_for_build_wheel(
            metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Write the wheel into `wheel_directory` and return its file name."""
    with _patched_chainer() as setuptools_backend:
        return setuptools_backend.build_wheel(wheel_directory, config_settings)


def build_sdist(sdist_directory, config_settings=None):
    """Refuse: the source distribution of Chainer is on the package index."""
    sys.exit(
        'packaging/chainer is a recipe that builds a wheel of Chainer '
        f'{sdist.VERSION}; it has no source distribution of its own: '
        'use "pip wheel --no-deps ./packaging/chainer" instead.')


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """Refuse: there is no Chainer source tree here to edit."""
    sys.exit(
        'packaging/chainer holds no source tree of Chainer to edit: '
        'install it without -e, as "pip install ./packaging/chainer".')


@contextlib.contextmanager
def _patched_chainer():
    """Enter a patched Chainer source tree; yield setuptools' backend for it."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(
            prefix='chainer-', ignore_cleanup_errors=True) as folder:
        try:
            archive = sdist.download(Path(folder, 'download'))
            tree = sdist.unpack(archive, Path(folder, 'source'))
            substitute.apply(SUBSTITUTIONS, tree)
        except (sdist.SdistError, substitute.SubstitutionError) as error:
            sys.exit(f'Chainer recipe: {error}')
        # The variant that puts the tree on sys.path, because Chainer's setup.py
        # imports a module that lies beside it.
        from setuptools.build_meta import __legacy__ as setuptools_backend
        os.chdir(tree)
        try:
            yield setuptools_backend
        finally:
            os.chdir(before)
