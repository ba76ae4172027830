"""What the set-up cell runs in Colab, with pip faked; packaging/replica.py runs it in earnest."""
import pathlib
import subprocess

import colab
import pytest


class Runtime:
    """Stands in for pip and for what it has installed.

    Attributes:
        versions (dict): What is installed, name to version.
        origins (dict): Where from, for the course's own packages.
        adds (dict): What pip adds to the versions, or changes.
        output (str), fails (bool): What pip prints, and whether it fails.
    """

    def __init__(self):
        self.versions = {'numpy': '2.1.3', 'torch': '2.11.0+cu128', 'python-apt': '1.1build1'}
        self.origins, self.adds, self.output, self.fails = {}, {'mpi4py': '4.1.0'}, '', False
        self.calls = []

    def pip(self, command, **options):
        self.calls.append(command)
        self.constraints = pathlib.Path(command[command.index('--constraint') + 1]).read_text()
        if not self.fails:
            self.versions |= self.adds
            self.origins = {name: folder.as_uri() for name, folder in colab.OURS.items()}
        return subprocess.CompletedProcess(command, int(self.fails), self.output)


@pytest.fixture
def runtime(monkeypatch):
    fake = Runtime()
    monkeypatch.setattr(colab.subprocess, 'run', fake.pip)
    monkeypatch.setattr(colab, 'present', lambda: dict(fake.versions))
    monkeypatch.setattr(colab, '_origin', lambda name: fake.origins.get(name))
    return fake


def test_the_first_time_it_installs_beside_what_is_there(runtime, capsys):
    colab.main()
    root = pathlib.Path(colab.__file__).resolve().parents[1]
    assert runtime.calls[0][-2:] == [str(root / 'packaging' / 'chainer'), f'{root}[parallel]']
    assert runtime.constraints == 'numpy==2.1.3\ntorch==2.11.0+cu128\n'
    first, second = capsys.readouterr().out.split('\n')
    assert first.startswith('Installing the course')
    assert second == 'Runtime → Change runtime type switches between CPU and GPU. '


def test_the_second_time_it_only_says_how_to_switch(runtime, capsys):
    colab.main()
    capsys.readouterr()
    colab.main()
    assert len(runtime.calls) == 1
    assert capsys.readouterr().out == 'Runtime → Change runtime type switches between CPU and GPU. '


@pytest.mark.parametrize('name', colab.OURS)
def test_what_another_release_installed_is_replaced(runtime, name):
    colab.main()
    runtime.origins[name] = 'file:///another'
    colab.main()
    assert len(runtime.calls) == 2


@pytest.mark.parametrize('adds, message', [
    ({'numpy': '2.5.0'}, r'numpy 2.1.3 → 2.5.0'), ({'torch': None}, r'torch 2.11.0\+cu128 → None')])
def test_a_changed_package_is_an_error(runtime, adds, message):
    runtime.adds = adds
    with pytest.raises(SystemExit, match=message + r'\): choose Runtime → Disconnect and delete'):
        colab.main()


@pytest.mark.parametrize('output, sentence', [
    ('''ERROR: Cannot install course_lib because these package versions have conflicts.

The conflict is caused by:
    course-lib 0.1.0 depends on numpy<3 and >=2.1
    The user requested (constraint) numpy==2.0.2

To fix this you could try to:
1. loosen the range of package versions you've specified
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/
''', 'The course does not fit the packages of this runtime, which it does not change (course-lib '
     '0.1.0 depends on numpy<3 and >=2.1; this runtime has numpy==2.0.2): choose the latest '
     'runtime version under Runtime → Change runtime type.'),
    ('ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n',
     'Could not install the course: the disk is full; free 2 GB and run the same command again.'),
    ("WARNING: Retrying after connection broken by 'NewConnectionError': Network is unreachable\n"
     'ERROR: No matching distribution found for hatchling>=1.24\n',
     'Could not install the course: the package index cannot be reached; check the network (and '
     'the proxy) and run the same command again.'),
])
def test_a_failure_of_pip_ends_in_one_sentence(runtime, output, sentence):
    runtime.fails, runtime.output = True, output
    with pytest.raises(SystemExit) as error:
        colab.main()
    assert str(error.value) == sentence


def test_what_is_present_is_seen_by_its_normalised_name():
    versions = colab.present()
    assert versions['matplotlib-inline']
    assert not set(colab.OURS) & set(versions)


def test_where_a_package_came_from_is_seen():
    assert colab._origin('chainer').endswith('/packaging/chainer')  # as requirements.txt has it
    assert colab._origin('numpy') is None
    assert colab._origin('no-such-package') is None
