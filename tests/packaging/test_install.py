"""The installer's decisions, with pip, venv and the NVIDIA driver faked."""

import os
from pathlib import Path
import subprocess
import sys
import time

import install
import pytest

INSTALLED = 'Installing collected packages: numpy\nSuccessfully installed numpy\n'
HALF_DONE = 'Installing collected packages: numpy\n'


class Machine:
    """Stands in for `subprocess.run`: plays ``python -m venv`` and pip.

    Attributes:
        calls (list[str]): What was run, in words: 'venv', 'pip --version',
            'pip install ...', 'find cupy'.
        log (str): What a ``pip install`` leaves in its log.
        fails (set[str]): The first words of the calls that fail.
    """

    def __init__(self, venv):
        self.venv = venv
        self.calls, self.fails, self.log, self.output = [], set(), INSTALLED, ''
        self.environment = None

    def __call__(self, command, *, env=None, **options):
        if '-c' in command:
            words = 'find cupy'
        elif 'venv' in command:
            words = 'venv'
        else:
            words = 'pip ' + ' '.join(
                word for word in command[3:]
                if word not in ('--disable-pip-version-check', '--log')
                and not word.endswith('install.log'))
        self.calls.append(words)
        failed = any(words.startswith(start) for start in self.fails)
        if words == 'venv' and not failed:
            make_venv(self.venv)
        if words.startswith('pip install'):
            self.environment = env
            (self.venv / 'install.log').write_text(self.log)
        if words == 'find cupy':
            failed = not failed
        return subprocess.CompletedProcess(command, int(failed), self.output, '')


def make_venv(venv, version='3.12.1'):
    python = install.python_of(venv)
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text('')
    (venv / 'pyvenv.cfg').write_text(f'home = /usr/bin\nversion = {version}\n')


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'requirements.txt').write_text('./packaging/chainer\n')
    (tmp_path / 'pyproject.toml').write_text('[project]\n')
    recipe = tmp_path / 'packaging' / 'chainer'
    recipe.mkdir(parents=True)
    (recipe / 'sdist.py').write_text('VERSION = "7.8.1"\n')
    return tmp_path


@pytest.fixture
def machine(root, monkeypatch):
    fake = Machine(root / '.venv')
    monkeypatch.setattr(install.subprocess, 'run', fake)
    monkeypatch.setattr(install, 'cuda_version', lambda: None)
    return fake


COURSE = 'pip install --requirement requirements.txt'


# --- What is done, and when ---------------------------------------------------------

def test_a_fresh_clone_gets_an_environment_and_the_course(root, machine):
    install.install(root)
    assert machine.calls == ['venv', COURSE]


def test_the_second_time_nothing_is_run_or_printed(root, machine, capsys):
    install.install(root)
    capsys.readouterr()
    machine.calls.clear()
    began = time.perf_counter()
    install.install(root)
    assert time.perf_counter() - began < 1
    assert machine.calls == []
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('changed', [
    'requirements.txt', 'pyproject.toml', 'packaging/chainer/sdist.py',
    'packaging/chainer/new.py'])
def test_a_changed_input_is_installed_into_the_same_environment(
        root, machine, changed):
    install.install(root)
    machine.calls.clear()
    (root / changed).write_text('changed\n')
    install.install(root)
    assert machine.calls == ['pip --version', COURSE]


def test_compiled_files_of_the_recipe_are_no_change(root, machine):
    install.install(root)
    machine.calls.clear()
    cache = root / 'packaging' / 'chainer' / '__pycache__'
    cache.mkdir()
    (cache / 'sdist.cpython-312.pyc').write_bytes(b'1')
    install.install(root)
    assert machine.calls == []


def test_a_failed_installation_leaves_no_stamp(root, machine):
    install.install(root)
    (root / 'requirements.txt').write_text('numpy\n')
    machine.fails.add('pip install')
    machine.log = 'ERROR: nothing\n'
    with pytest.raises(install.InstallError):
        install.install(root)
    machine.fails.clear()
    machine.calls.clear()
    install.install(root)
    assert machine.calls == ['pip --version', COURSE]


# --- Repair ----------------------------------------------------------------------------

def break_python(venv):
    install.python_of(venv).unlink()


def break_link(venv):
    python = install.python_of(venv)
    python.unlink()
    python.symlink_to(venv / 'gone')


def lose_configuration(venv):
    (venv / 'pyvenv.cfg').unlink()


def age(venv):
    make_venv(venv, '3.9.2')


def stop_halfway(venv):
    (venv / 'install.log').write_text(INSTALLED + HALF_DONE)


@pytest.mark.parametrize('damage', [lose_configuration, age, stop_halfway])
def test_a_damaged_environment_is_made_anew(root, machine, damage):
    make_venv(root / '.venv')
    damage(root / '.venv')
    install.install(root)
    assert machine.calls == ['venv', COURSE]


@pytest.mark.parametrize('damage', [break_python, break_link])
def test_a_python_that_went_away_is_noticed_even_after_success(
        root, machine, damage):
    install.install(root)
    damage(root / '.venv')
    machine.calls.clear()
    machine.fails.add('pip --version')
    install.install(root)
    assert machine.calls == ['pip --version', 'venv', COURSE]


def test_a_python_that_cannot_start_is_noticed(root, machine, monkeypatch):
    make_venv(root / '.venv')

    def run(command, **options):
        if command[-1] == '--version':
            raise OSError('Exec format error')
        return machine(command, **options)
    monkeypatch.setattr(install.subprocess, 'run', run)
    install.install(root)
    assert machine.calls == ['venv', COURSE]


def test_a_missing_pip_is_noticed(root, machine):
    make_venv(root / '.venv')
    machine.fails.add('pip --version')
    install.install(root)
    assert machine.calls == ['pip --version', 'venv', COURSE]


def test_an_environment_made_by_hand_is_kept(root, machine):
    make_venv(root / '.venv', '3.13.0')
    install.install(root)
    assert machine.calls == ['pip --version', COURSE]


@pytest.mark.parametrize('text, version', [
    ('version = 3.12.1\n', (3, 12)),
    ('home = /x\nversion_info = 3.13.0.final.0\n', (3, 13)),
    ('home = /x\n', None)])
def test_the_version_of_an_environment_is_read(tmp_path, text, version):
    (tmp_path / 'pyvenv.cfg').write_text(text)
    assert install.python_version_of(tmp_path) == version


def test_pip_cannot_be_led_out_of_the_environment(root, machine, monkeypatch):
    monkeypatch.setenv('PIP_USER', '1')
    monkeypatch.setenv('PIP_TARGET', '/elsewhere')
    monkeypatch.setenv('PIP_INDEX_URL', 'https://index/')
    install.install(root)
    assert machine.environment['PIP_USER'] == '0'
    assert 'PIP_TARGET' not in machine.environment
    assert machine.environment['PIP_INDEX_URL'] == 'https://index/'


# --- Failures end in a sentence ------------------------------------------------------------

def sentence(root):
    with pytest.raises(install.InstallError) as error:
        install.install(root)
    text = str(error.value)
    assert '\n' not in text and text.endswith('.')
    return text


@pytest.mark.parametrize('line, said', [
    ('OSError: [Errno 28] No space left on device', 'the disk is full'),
    ('OSError: [WinError 112] There is not enough space', 'the disk is full'),
    ("PermissionError: [Errno 13] Permission denied: '/x'", 'not writable'),
    ('Retrying (Retry(total=0)) after connection broken by '
     "'NewConnectionError(Temporary failure in name resolution)'",
     'package index cannot be reached'),
    ("NameResolutionError: Failed to resolve 'pypi.org'",
     'package index cannot be reached'),
    ("ProxyError('Cannot connect to proxy.')", 'package index cannot be reached'),
    ('SSLError(SSLCertVerificationError(1, CERTIFICATE_VERIFY_FAILED))',
     'the certificate'),
    ('ERROR: No matching distribution found for numpy<3',
     'No matching distribution found for numpy<3'),
    ('Chainer recipe: chainer/x.py: a substitution no longer applies.\n'
     'ERROR: Failed to build chainer',
     'chainer/x.py: a substitution no longer applies'),
    ('', 'no reason was given'),
])
def test_a_failing_pip_is_explained(root, machine, line, said):
    machine.fails.add('pip install')
    machine.log = line + '\n'
    text = sentence(root)
    assert said in text
    assert str(root / '.venv' / 'install.log') in text
    assert 'run the same command again' in text


def test_a_failing_venv_is_explained(root, machine):
    machine.fails.add('venv')
    machine.output = 'Error: [Errno 28] No space left on device'
    assert 'the disk is full' in sentence(root)
    machine.output = 'Error: Command ensurepip returned 1'
    assert 'Command ensurepip returned 1' in sentence(root)


def test_a_full_disk_is_noticed_even_where_venv_hides_it(
        root, machine, monkeypatch):
    monkeypatch.setattr(
        install.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': 0}))
    machine.fails.add('venv')
    machine.output = 'Error: Command ensurepip returned 1'
    assert 'the disk is full' in sentence(root)


def test_a_file_in_the_place_of_the_environment_is_left_alone(root, machine):
    (root / '.venv').write_text('mine')
    assert 'is a file' in sentence(root)
    assert (root / '.venv').read_text() == 'mine'


@pytest.mark.parametrize('version, said', [
    ((3, 10, 13), 'is Python 3.10.13'), ((2, 7, 18), 'needs Python 3.11')])
def test_an_old_python_is_refused(version, said):
    with pytest.raises(install.InstallError, match=said):
        install.check_python(version, '/usr/bin/python3')


@pytest.mark.parametrize('missing', ['venv', 'ensurepip'])
def test_a_python_without_venv_is_refused(monkeypatch, missing):
    monkeypatch.setattr(
        install.importlib.util, 'find_spec',
        lambda name: None if name == missing else object())
    with pytest.raises(
            install.InstallError, match='sudo apt install python3.12-venv'):
        install.check_python((3, 12, 1), '/usr/bin/python3')


def test_this_python_will_do():
    install.check_python(sys.version_info, sys.executable)


@pytest.mark.skipif(
    os.name == 'nt' or not hasattr(os, 'geteuid') or os.geteuid() == 0,
    reason='the superuser may write anywhere')
def test_a_folder_that_is_not_writable_is_explained(root, machine):
    make_venv(root / '.venv')
    (root / '.venv' / 'course-installed').write_text('old')
    (root / '.venv').chmod(0o500)
    try:
        assert 'not writable' in sentence(root)
    finally:
        (root / '.venv').chmod(0o700)


def test_main_prints_the_sentence_and_fails(monkeypatch, capsys):
    def fail(root):
        raise install.InstallError('It failed.')
    monkeypatch.setattr(install, 'install', fail)
    assert install.main() == 1
    assert capsys.readouterr() == ('', '\nIt failed.\n')


def test_main_survives_an_interruption(monkeypatch, capsys):
    def interrupt(root):
        raise KeyboardInterrupt
    monkeypatch.setattr(install, 'install', interrupt)
    assert install.main() == 130
    assert 'run the same command again' in capsys.readouterr().err


# --- CuPy -------------------------------------------------------------------------------------

@pytest.mark.parametrize('version, requirement', [
    ((12, 4), 'cupy-cuda12x[ctk]>=14'), ((13, 0), 'cupy-cuda13x[ctk]>=14'),
    ((14, 1), 'cupy-cuda13x[ctk]>=14')])
def test_cupy_fits_the_driver(root, machine, monkeypatch, capsys, version, requirement):
    monkeypatch.setattr(install, 'cuda_version', lambda: version)
    install.install(root)
    assert machine.calls == ['venv', COURSE, 'find cupy', f'pip install {requirement}']
    assert f'Installed CuPy ({requirement})' in capsys.readouterr().out


def test_no_driver_no_cupy(root, machine):
    assert install.cupy_for_driver(None) == (None, None)
    install.install(root)
    assert 'find cupy' not in machine.calls


def test_an_old_driver_is_named_and_does_no_harm(root, machine, monkeypatch, capsys):
    monkeypatch.setattr(install, 'cuda_version', lambda: (11, 8))
    install.install(root)
    assert machine.calls == ['venv', COURSE]
    assert 'supports CUDA 11.8 only' in capsys.readouterr().out


def test_an_installed_cupy_stays(root, machine, monkeypatch, capsys):
    monkeypatch.setattr(install, 'cuda_version', lambda: (12, 4))
    machine.fails.add('find cupy')
    install.install(root)
    assert machine.calls == ['venv', COURSE, 'find cupy']
    assert 'stays as it is' in capsys.readouterr().out


def test_a_failing_cupy_does_not_fail_the_course(root, machine, monkeypatch, capsys):
    monkeypatch.setattr(install, 'cuda_version', lambda: (12, 4))
    machine.fails.add('pip install cupy')
    install.install(root)
    printed = capsys.readouterr().out
    assert 'Could not install CuPy, so the course will run on the CPU' in printed
    assert '-m pip install "cupy-cuda12x[ctk]>=14"' in printed
    machine.calls.clear()
    install.install(root)
    assert machine.calls == []


def test_a_new_driver_brings_cupy(root, machine, monkeypatch):
    install.install(root)
    machine.calls.clear()
    monkeypatch.setattr(install, 'cuda_version', lambda: (13, 0))
    install.install(root)
    assert machine.calls[-1] == 'pip install cupy-cuda13x[ctk]>=14'


class Driver:
    """Stands in for the driver's library."""

    def __init__(self, version, status=0):
        self.version, self.status = version, status

    def cuDriverGetVersion(self, pointer):
        pointer._obj.value = self.version
        return self.status


@pytest.mark.parametrize('driver, version', [
    (Driver(12040), (12, 4)), (Driver(13000), (13, 0)), (Driver(0), None),
    (Driver(12040, status=100), None), (object(), None)])
def test_the_driver_is_asked_for_its_version(monkeypatch, driver, version):
    loader = 'WinDLL' if os.name == 'nt' else 'CDLL'
    monkeypatch.setattr(install.ctypes, loader, lambda name: driver)
    assert install.cuda_version() == version


def test_a_machine_without_driver_has_no_version(monkeypatch):
    def missing(name):
        raise OSError(f'{name}: cannot open shared object file')
    loader = 'WinDLL' if os.name == 'nt' else 'CDLL'
    monkeypatch.setattr(install.ctypes, loader, missing)
    assert install.cuda_version() is None


# --- The real thing ---------------------------------------------------------------------------

def test_the_script_is_silent_when_all_is_done(root):
    script = root / 'packaging' / 'install.py'
    script.write_text(Path(install.__file__).read_text())
    venv = root / '.venv'
    make_venv(venv)
    cupy, _ = install.cupy_for_driver(install.cuda_version())
    install._write(install._stamp(venv), install.fingerprint(root, venv, cupy))
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
