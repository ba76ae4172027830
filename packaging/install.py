"""Install the course into ``.venv`` at the root of the repository.

Run as ``python packaging/install.py`` by any Python >= 3.11, with nothing
installed.  Creates ``.venv``, or repairs it, installs ``requirements.txt``
into it, and on a machine with an NVIDIA driver CuPy as well.  Says nothing,
and returns at once, where all of this is done already.  A Python that is in a
working ``.venv`` stays: delete the folder to change it.
"""

import ctypes
import hashlib
import importlib.util
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)

# Files whose content decides what is installed, relative to the root.
_INPUTS = ('requirements.txt', 'pyproject.toml', 'packaging/chainer')

# What pip and Python say when something outside of them is wrong, and what
# to tell the user.  The first pattern found in the log wins.
_CAUSES = (
    (r'No space left on device|Errno 28\b|Errno 122\b|WinError 112\b',
     'the disk is full; free 2 GB and run the same command again'),
    (r'Permission denied|Errno 13\b|WinError 5\b|Read-only file system',
     'a file or folder is not writable; make the folder of the course yours '
     'and run the same command again'),
    (r'CERTIFICATE_VERIFY_FAILED|SSLError',
     'the certificate of the package index was refused; if your network '
     'inspects traffic, give pip its certificate ("pip config set global.cert '
     'FILE") and run the same command again'),
    (r'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout'
     r'|ProxyError|Failed to establish a new connection|Network is unreachable'
     r'|Connection (refused|reset|aborted)|getaddrinfo failed'
     r'|(Temporary failure in|Failed to resolve) name'
     r'|Name or service not known|Read timed out',
     'the package index cannot be reached; check the network (and the proxy) '
     'and run the same command again'),
)


class InstallError(Exception):
    """The installation failed; the message is one sentence for the user."""


def main():
    """Install what is missing.

    Returns:
        int: The exit status: 0 done, 1 failed, 130 interrupted.
    """
    try:
        install(ROOT)
    except InstallError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nInterrupted: run the same command again to finish.',
              file=sys.stderr)
        return 130
    return 0


def install(root):
    """Bring ``.venv`` in `root` up to date.

    Args:
        root (pathlib.Path): The root of the repository.

    Raises:
        InstallError: It cannot be done; the message says why and what to do.
    """
    check_python(sys.version_info, sys.executable)
    venv = root / '.venv'
    if venv.exists() and not venv.is_dir():
        raise InstallError(
            f'{venv} is a file, and the course needs a folder of that name: '
            'rename or delete it and run the same command again.')
    cupy, obstacle = cupy_for_driver(cuda_version())
    if is_up_to_date(root, venv, cupy):
        return
    try:
        _stamp(venv).unlink(missing_ok=True)
        if not is_usable(venv):
            create(venv)
        _log(venv).unlink(missing_ok=True)
    except OSError as error:
        raise InstallError(explain('Could not prepare .venv', str(error))) from error
    print('Installing the course into .venv (the first time takes minutes).',
          flush=True)
    if not pip_install(venv, ['--requirement', 'requirements.txt'], root):
        raise InstallError(explain(
            'Could not install the course', _log(venv), log=_log(venv)))
    if cupy or obstacle:
        install_cupy(venv, cupy, obstacle, root)
    _write(_stamp(venv), fingerprint(root, venv, cupy))
    print('The course is installed in .venv.', flush=True)


# --- Python and the virtual environment ---------------------------------------

def check_python(version, executable):
    """Refuse a Python that is older than `OLDEST_PYTHON` or has no venv module.

    Args:
        version (tuple): As ``sys.version_info``.
        executable (str): Its path, for the message.

    Raises:
        InstallError: It cannot make the environment.
    """
    name = '.'.join(map(str, version[:3]))
    if tuple(version[:2]) < OLDEST_PYTHON:
        raise InstallError(
            'The course needs Python {}.{} or newer, and {} is Python {}: '
            'install one from https://www.python.org/downloads/ and run the '
            'same command again.'.format(*OLDEST_PYTHON, executable, name))
    for module in ('venv', 'ensurepip'):
        if importlib.util.find_spec(module) is None:
            raise InstallError(
                f'{executable} comes without the module {module}: install it '
                f'(on Debian and Ubuntu "sudo apt install '
                f'python{version[0]}.{version[1]}-venv") and run the same '
                'command again.')


def python_of(venv):
    """Return the path of the Python in the environment `venv`."""
    if os.name == 'nt':
        return venv / 'Scripts' / 'python.exe'
    return venv / 'bin' / 'python'


def python_version_of(venv):
    """Return the Python version that `venv` was made with, such as (3, 12), or None."""
    try:
        text = (venv / 'pyvenv.cfg').read_text(encoding='utf-8')
    except OSError:
        return None
    found = re.search(r'^version(?:_info)?\s*=\s*(\d+)\.(\d+)', text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else None


def is_usable(venv):
    """Tell whether `venv` can be installed into as it is.

    It cannot if its Python is missing, broken or too old, if it has no pip, or
    if an earlier installation stopped while it was replacing packages.
    """
    version = python_version_of(venv)
    if version is None or version < OLDEST_PYTHON or _was_interrupted(venv):
        return False
    try:
        return subprocess.run(
            [str(python_of(venv)), '-m', 'pip', '--version'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def create(venv):
    """Create the environment `venv`, in place of whatever is there.

    Raises:
        InstallError: It cannot be created.
    """
    # The Python behind this one, in case that is itself in an environment.
    python = getattr(sys, '_base_executable', None) or sys.executable
    print('Creating .venv with Python {}.{}.{}.'.format(*sys.version_info[:3]),
          flush=True)
    result = subprocess.run(
        [python, '-m', 'venv', '--clear', str(venv)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors='replace')
    if result.returncode:
        text = result.stdout
        # venv swallows what its call of ensurepip says.
        if shutil.disk_usage(venv.parent).free < 50e6:
            text += 'No space left on device'
        raise InstallError(explain('Could not create .venv', text))


# --- What is installed already --------------------------------------------------

def fingerprint(root, venv, cupy):
    """Return a digest of all that decides what is installed.

    Args:
        root (pathlib.Path): The root of the repository.
        venv (pathlib.Path): The environment.
        cupy (str or None): The requirement of CuPy for this machine.

    Returns:
        str: A hexadecimal SHA-256 digest.
    """
    digest = hashlib.sha256()
    digest.update(repr((python_version_of(venv), cupy)).encode())
    for name in _INPUTS:
        top = root / name
        files = [top] if top.is_file() else sorted(top.rglob('*'))
        for file in files:
            if file.is_file() and '__pycache__' not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                where = file.relative_to(root).as_posix()
                digest.update(f'{where} {content}\n'.encode())
    return digest.hexdigest()


def is_up_to_date(root, venv, cupy):
    """Tell whether the last complete installation into `venv` is still the one wanted."""
    try:
        stamp = _stamp(venv).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError):
        return False
    return python_of(venv).exists() and stamp == fingerprint(root, venv, cupy)


def _stamp(venv):
    return venv / 'course-installed'


def _log(venv):
    return venv / 'install.log'


def _write(path, text):
    partial = path.with_name(path.name + '.partial')
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)


def _was_interrupted(venv):
    """Tell whether the last pip in the log stopped while replacing packages."""
    text = _read(_log(venv))
    return (text.rfind('Installing collected packages')
            > text.rfind('Successfully installed'))


def _read(path):
    try:
        return path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''


# --- pip ------------------------------------------------------------------------

def pip_install(venv, arguments, root):
    """Run ``pip install`` in `venv`, its progress shown and its log kept.

    Args:
        venv (pathlib.Path): The environment.
        arguments (list[str]): What to install.
        root (pathlib.Path): The folder to run in.

    Returns:
        bool: Whether pip succeeded.
    """
    # Settings that would make pip install anywhere but into the environment.
    environment = {
        name: value for name, value in os.environ.items()
        if name not in ('PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PYTHONHOME')}
    environment['PIP_USER'] = '0'
    command = [str(python_of(venv)), '-m', 'pip', 'install',
               '--disable-pip-version-check', '--log', str(_log(venv))]
    return subprocess.run(
        command + arguments, cwd=root, env=environment).returncode == 0


def explain(what, text, log=None):
    """Say in one sentence what failed, why, and what to do.

    Args:
        what (str): What failed, as the beginning of the sentence.
        text (str or pathlib.Path): What was printed, or the log that has it.
        log (pathlib.Path or None): The log to name in the sentence.

    Returns:
        str: The sentence.
    """
    if isinstance(text, Path):
        text = _read(text)
    where = f' (the full log is in {log})' if log else ''
    lines = text.strip().splitlines() or ['no reason was given']
    end = '\n'.join(lines[-200:])
    for pattern, cause in _CAUSES:
        if re.search(pattern, end):
            return f'{what}: {cause}{where}.'
    reported = (re.findall(r'Chainer recipe: (\S.*)', end)
                or re.findall(r'(?:ERROR|Error): *(\S.*)', end) or lines)
    reason = reported[-1].strip().rstrip('.')
    return f'{what}: {reason}; mend that and run the same command again{where}.'


# --- CuPy -------------------------------------------------------------------------

def cuda_version():
    """Return the newest CUDA version the NVIDIA driver here supports.

    Returns:
        tuple[int, int] or None: Such as (12, 4); None without a driver.
    """
    try:
        if os.name == 'nt':
            driver = ctypes.WinDLL('nvcuda.dll')
        else:
            driver = ctypes.CDLL('libcuda.so.1')
        version = ctypes.c_int()
        status = driver.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    if status != 0 or version.value <= 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


def cupy_for_driver(version):
    """Choose the CuPy for a driver that supports CUDA `version`.

    Args:
        version (tuple[int, int] or None): As `cuda_version` returns.

    Returns:
        tuple[str or None, str or None]: The requirement, with CUDA's own
        libraries, or None; and where there is a driver that no CuPy fits, a
        sentence that says so.
    """
    if version is None:
        return None, None
    if version[0] < 12:
        return None, (
            'The NVIDIA driver supports CUDA {}.{} only, and CuPy needs 12: '
            'the course will run on the CPU; update the driver to use the '
            'GPU.'.format(*version))
    # Drivers run programs made for older CUDA versions too.
    return f'cupy-cuda{min(version[0], 13)}x[ctk]>=14', None


def install_cupy(venv, cupy, obstacle, root):
    """Install CuPy into `venv` unless one is there, and say what was done.

    A failure is reported, not raised: the course runs without CuPy.
    """
    if obstacle:
        print(obstacle, flush=True)
        return
    found = subprocess.run([
        str(python_of(venv)), '-c',
        'import importlib.util as u; raise SystemExit(u.find_spec("cupy") is None)'])
    if found.returncode == 0:
        print('CuPy is installed already and stays as it is.', flush=True)
        return
    print(f'There is an NVIDIA driver here: installing CuPy ({cupy}).', flush=True)
    if pip_install(venv, [cupy], root):
        print(f'Installed CuPy ({cupy}) for the GPU.', flush=True)
        return
    sentence = explain(
        'Could not install CuPy, so the course will run on the CPU',
        _log(venv), log=_log(venv))
    print(f'{sentence}\nTo try again: {python_of(venv)} -m pip install "{cupy}"',
          flush=True)


if __name__ == '__main__':
    sys.exit(main())
