"""The recipe that builds Chainer: substitutions, download, unpacking, hooks."""

import io
import subprocess
import tarfile

import build_chainer
import pytest
import sdist
import substitute
from substitute import Substitution, SubstitutionError
from substitutions import SUBSTITUTIONS


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / 'chainer-0'
    (folder / 'chainer').mkdir(parents=True)
    (folder / 'chainer' / 'a.py').write_text('x = 1\ny = x + x\n')
    (folder / 'chainer' / 'b.py').write_text('z = 1\n')
    return folder


def replacing(old, new, file='chainer/a.py', **options):
    return Substitution(file, old, new, 'Because.', **options)


# --- Substitutions ---------------------------------------------------------------

def test_substitutions_apply_in_order_and_to_every_occurrence(tree):
    substitute.apply(
        [replacing('x', 'w', count=3), replacing('w = 1', 'w = 2'),
         replacing('z', 'u', 'chainer/b.py')], tree)
    assert (tree / 'chainer/a.py').read_text() == 'w = 2\ny = w + w\n'
    assert (tree / 'chainer/b.py').read_text() == 'u = 1\n'


def test_a_substitution_can_replace_the_rest_of_the_file(tree):
    substitute.apply([replacing('y = ', 'pass\n', to_end=True)], tree)
    assert (tree / 'chainer/a.py').read_text() == 'x = 1\npass\n'


@pytest.mark.parametrize('options, found', [
    ({'old': 'gone'}, 'occurs 0 times there, not 1'),
    ({'old': 'x'}, 'occurs 3 times there, not 1'),
    ({'old': 'x', 'count': 2}, 'occurs 3 times there, not 2'),
])
def test_a_substitution_that_misses_names_the_file_and_writes_nothing(
        tree, options, found):
    with pytest.raises(SubstitutionError, match='chainer/a.py') as error:
        substitute.apply(
            [replacing('z', 'u', 'chainer/b.py'), replacing(new='', **options)],
            tree)
    assert found in str(error.value)
    assert (tree / 'chainer/a.py').read_text() == 'x = 1\ny = x + x\n'
    assert (tree / 'chainer/b.py').read_text() == 'z = 1\n'


def test_a_missing_file_is_named(tree):
    with pytest.raises(SubstitutionError, match='chainer/gone.py: there is no'):
        substitute.apply([replacing('x', 'y', 'chainer/gone.py')], tree)


def test_line_endings_and_accents_survive(tree):
    file = tree / 'chainer/a.py'
    file.write_bytes('# é\nx = 1\n'.encode())
    substitute.apply([replacing('x = 1', 'x = 2')], tree)
    assert file.read_bytes() == '# é\nx = 2\n'.encode()


@pytest.mark.parametrize('item', SUBSTITUTIONS, ids=lambda item: item.file)
def test_every_substitution_changes_something_and_says_why(item):
    assert item.old
    assert item.old != item.new
    assert item.why.endswith('.')
    assert not item.file.startswith('/') and '..' not in item.file
    assert item.count == 1 or not item.to_end


# --- The nested pip ------------------------------------------------------------------

def test_the_nested_pip_gets_no_hook_variables_but_the_users_index():
    kept = {
        'PATH': '/bin', 'PIP_INDEX_URL': 'https://index/', 'PIP_CERT': '/cert',
        'PIP_FIND_LINKS': '/wheels', 'PIP_PROXY': 'http://proxy',
        'PIP_NO_CACHE_DIR': '1', 'PYTHONPATH': '/overlay'}
    dropped = {
        '_PYPROJECT_HOOKS_BUILD_BACKEND': 'build_chainer',
        '_PYPROJECT_HOOKS_BACKEND_PATH': '.', 'PEP517_BUILD_BACKEND': 'b',
        'PIP_CONSTRAINT': 'c.txt', 'PIP_REQUIREMENT': 'r.txt',
        'PIP_PLATFORM': 'any'}
    given = {**kept, **dropped}
    assert sdist.nested_environment(given) == kept
    assert given == {**kept, **dropped}


class FakePip:
    """Stand-in for `subprocess.run` that plays ``pip download``."""

    def __init__(self, output='', returncode=0, content=None):
        self.output, self.returncode, self.content = output, returncode, content

    def __call__(self, command, *, env, cwd, **options):
        self.command, self.env = command, env
        file = command[command.index('--requirement') + 1]
        self.requirements = open(file).read()
        if self.content is not None:
            (cwd / 'chainer-7.8.1.tar.gz').write_bytes(self.content)
        return subprocess.CompletedProcess(
            command, self.returncode, stdout=self.output)


def play(monkeypatch, **options):
    pip = FakePip(**options)
    monkeypatch.setattr(sdist.subprocess, 'run', pip)
    return pip


def test_pip_is_asked_for_the_hashed_sdist_alone(monkeypatch, tmp_path):
    monkeypatch.setenv('_PYPROJECT_HOOKS_BUILD_BACKEND', 'build_chainer')
    monkeypatch.setattr(sdist, 'verify', lambda archive: None)
    pip = play(monkeypatch, content=b'sdist')
    archive = sdist.download(tmp_path / 'download')
    assert archive.read_bytes() == b'sdist'
    assert pip.requirements == (
        f'chainer==7.8.1 --hash=sha256:{sdist.SHA256}\n')
    for option in ('--require-hashes', '--no-deps', '--no-build-isolation'):
        assert option in pip.command
    position = pip.command.index('--no-binary')
    assert pip.command[position + 1] == 'chainer'
    assert '_PYPROJECT_HOOKS_BUILD_BACKEND' not in pip.env


@pytest.mark.parametrize('output, said', [
    ('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS',
     'another chainer-7.8.1.tar.gz'),
    ('OSError: [Errno 28] No space left on device', 'disk is full'),
    ('Retrying after connection broken by NewConnectionError', 'the network'),
])
def test_a_failed_download_is_explained(monkeypatch, tmp_path, output, said):
    play(monkeypatch, output=output, returncode=1)
    with pytest.raises(sdist.SdistError, match=said):
        sdist.download(tmp_path / 'download')


def test_a_pip_that_leaves_nothing_is_noticed(monkeypatch, tmp_path):
    play(monkeypatch)
    with pytest.raises(sdist.SdistError, match='left no chainer-7.8.1.tar.gz'):
        sdist.download(tmp_path / 'download')


def test_another_file_under_the_same_name_is_refused(monkeypatch, tmp_path):
    play(monkeypatch, content=b'something else')
    with pytest.raises(sdist.SdistError, match=f'expected {sdist.SHA256}'):
        sdist.download(tmp_path / 'download')


# --- Unpacking ----------------------------------------------------------------------

def archive_of(tmp_path, *members):
    path = tmp_path / 'chainer-7.8.1.tar.gz'
    with tarfile.open(path, 'w:gz') as tar:
        for name, kind in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = '/etc/passwd' if kind != tarfile.REGTYPE else ''
            content = b'x = 1\n' if kind == tarfile.REGTYPE else b''
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_unpacking_returns_the_top_folder(tmp_path):
    archive = archive_of(tmp_path, ('chainer-7.8.1/setup.py', tarfile.REGTYPE))
    tree = sdist.unpack(archive, tmp_path / 'source')
    assert tree == tmp_path / 'source' / 'chainer-7.8.1'
    assert (tree / 'setup.py').read_text() == 'x = 1\n'


@pytest.mark.parametrize('name, kind', [
    ('../evil.py', tarfile.REGTYPE),
    ('/evil.py', tarfile.REGTYPE),
    ('chainer-7.8.1/../../evil.py', tarfile.REGTYPE),
    ('other/evil.py', tarfile.REGTYPE),
    ('chainer-7.8.1/link', tarfile.SYMTYPE),
    ('chainer-7.8.1/link', tarfile.LNKTYPE),
    ('chainer-7.8.1/device', tarfile.CHRTYPE),
])
def test_an_archive_that_reaches_outside_is_refused(tmp_path, name, kind):
    archive = archive_of(tmp_path, (name, kind))
    with pytest.raises(sdist.SdistError):
        sdist.unpack(archive, tmp_path / 'source')
    assert list((tmp_path / 'source').iterdir()) == []


# --- The hooks ------------------------------------------------------------------------

def test_a_failing_recipe_ends_in_its_own_sentence(monkeypatch, tmp_path):
    def fail(folder):
        raise sdist.SdistError('The index is gone.')
    monkeypatch.setattr(sdist, 'download', fail)
    with pytest.raises(SystemExit, match='Chainer recipe: The index is gone.'):
        build_chainer.build_wheel(str(tmp_path))


def test_a_substitution_that_misses_stops_the_build(monkeypatch, tmp_path):
    monkeypatch.setattr(sdist, 'download', lambda folder: archive_of(
        tmp_path, ('chainer-7.8.1/setup.py', tarfile.REGTYPE)))
    with pytest.raises(SystemExit, match='_version.py: there is no such file'):
        build_chainer.prepare_metadata_for_build_wheel(str(tmp_path))


@pytest.mark.parametrize('hook, said', [
    (build_chainer.build_sdist, 'pip wheel --no-deps ./packaging/chainer'),
    (build_chainer.build_editable, 'install it without -e'),
])
def test_what_the_recipe_cannot_make_is_refused_in_a_sentence(
        tmp_path, hook, said):
    with pytest.raises(SystemExit, match=said):
        hook(str(tmp_path))


def test_the_build_needs_nothing_more():
    assert build_chainer.get_requires_for_build_wheel() == []
