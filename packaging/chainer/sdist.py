"""Obtain the source distribution of Chainer with pip, and unpack it."""

import hashlib
import os
from pathlib import PurePosixPath
import subprocess
import sys
import tarfile

NAME = 'chainer'
VERSION = '7.8.1'
SHA256 = '179f06176f8d7a42385bc7811956db04e68213cfe30f5081491b9e2b6ff70de8'

# What the pip that runs this backend keeps in the environment for its own
# build hooks: a pip started from here must not take it for its own.
_HOOK_PREFIXES = ('_PYPROJECT_HOOKS_', 'PEP517_')

# Settings of the user's that choose *what* pip installs, and for which Python.
# Where pip looks (PIP_INDEX_URL, PIP_FIND_LINKS, PIP_PROXY, ...) is kept.
_SELECTION_SETTINGS = frozenset((
    'PIP_ABI', 'PIP_BUILD_CONSTRAINT', 'PIP_CONSTRAINT', 'PIP_IMPLEMENTATION',
    'PIP_PLATFORM', 'PIP_PYTHON', 'PIP_PYTHON_VERSION', 'PIP_REQUIREMENT',
    'PIP_REQUIREMENTS_FROM_SCRIPT', 'PIP_GROUP'))


class SdistError(Exception):
    """The source distribution could not be obtained, or is not the right one."""


def nested_environment(environment):
    """Return a copy of `environment` fit for a pip started by a build hook.

    Args:
        environment (Mapping[str, str]): The environment of the hook.

    Returns:
        dict[str, str]: It, without the variables that the outer pip set for
        the hook and without settings that choose other packages.
    """
    return {
        name: value for name, value in environment.items()
        if not name.startswith(_HOOK_PREFIXES)
        and name not in _SELECTION_SETTINGS}


def download(folder):
    """Download the source distribution into `folder` by name, version and hash.

    Args:
        folder (pathlib.Path): Where to put it; created.

    Returns:
        pathlib.Path: The archive.

    Raises:
        SdistError: pip failed, or the archive is not the one wanted.
    """
    folder.mkdir(parents=True)
    requirements = folder / 'requirements.txt'
    requirements.write_text(f'{NAME}=={VERSION} --hash=sha256:{SHA256}\n')
    command = [
        sys.executable, '-m', 'pip', 'download',
        '--disable-pip-version-check', '--no-input', '--progress-bar', 'off',
        '--no-deps', '--no-binary', NAME, '--no-build-isolation',
        '--require-hashes', '--requirement', str(requirements),
        '--dest', str(folder)]
    result = subprocess.run(
        command, env=nested_environment(os.environ), cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors='replace')
    print(result.stdout, flush=True)
    if result.returncode:
        raise SdistError(_explain(result.stdout))
    archive = folder / f'{NAME}-{VERSION}.tar.gz'
    if not archive.is_file():
        raise SdistError(f'pip reported success but left no {archive.name}.')
    verify(archive)
    return archive


def verify(archive, sha256=SHA256):
    """Check that `archive` has the SHA-256 digest `sha256`.

    Args:
        archive (pathlib.Path): The file to check.
        sha256 (str): The expected digest, in hexadecimal.

    Raises:
        SdistError: It has another digest.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise SdistError(
            f'{archive.name} has SHA-256 {found}, expected {sha256}: '
            'it is not the file that this recipe was written for.')


def unpack(archive, folder):
    """Unpack `archive` into `folder`.

    Args:
        archive (pathlib.Path): A source distribution, verified.
        folder (pathlib.Path): Where to put its content; created.

    Returns:
        pathlib.Path: The single top folder of the archive.

    Raises:
        SdistError: A member is no plain file or folder, or lies outside.
    """
    folder.mkdir(parents=True)
    top = archive.name.removesuffix('.tar.gz')
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        for member in members:
            path = PurePosixPath(member.name)
            if not (member.isfile() or member.isdir()):
                raise SdistError(
                    f'{archive.name}: {member.name} is no plain file or folder.')
            if path.parts[:1] != (top,) or '..' in path.parts:
                raise SdistError(
                    f'{archive.name}: {member.name} lies outside {top}/.')
        # Python 3.11.0-3.11.3 have no extraction filters; the checks above do.
        safe = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
        tar.extractall(folder, members, **safe)
    return folder / top


def _explain(log):
    """Say in one sentence why ``pip download`` failed, from its output `log`."""
    if 'DO NOT MATCH THE HASHES' in log:
        return (
            f'The package index offers another {NAME}-{VERSION}.tar.gz than the '
            f'one this recipe was written for (SHA-256 {SHA256}): '
            'check which index pip uses ("pip config list").')
    if 'No space left' in log or 'Errno 28' in log:
        return 'The disk is full: free some space and try again.'
    return (
        f'pip could not obtain {NAME} {VERSION} from the package index: check '
        'the network. An index, proxy or certificate given on the command '
        'line does not reach this build; set it with "pip config set" or as '
        'PIP_INDEX_URL, PIP_PROXY or PIP_CERT.')
