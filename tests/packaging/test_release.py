"""Badges, set-up cells, README and pyproject.toml name the same address and release."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types

import nbformat
import pytest
import release

FORK = 'https://github.com/a-fork/of.it', 'v1.0-rc.2'
LINK = r'https://colab\.research\.google\.com/github/[^)\s]+'
on_posix = pytest.mark.skipif(
    os.name == 'nt' or shutil.which('git') is None,
    reason='the set-up cell fetches the course in Colab only, which is Linux and has git')


@pytest.fixture(scope='module')
def course(root, tmp_path_factory):
    """A copy of the files that name the address. Tests leave it as it was."""
    copy = tmp_path_factory.mktemp('course')
    for name in ('pyproject.toml', 'README.md'):
        shutil.copy(root / name, copy)
    shutil.copytree(root / 'notebooks', copy / 'notebooks')
    return copy


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


# --- All in step --------------------------------------------------------------------------------

def test_every_badge_and_set_up_cell_names_the_release_of_pyproject(root):
    changed = [path.name for path in release.changes(*release.settings(root), root)]
    assert not changed, 'run: python packaging/release.py'


def test_each_version_of_a_lesson_has_one_badge_and_it_points_to_itself(root):
    repository, tag = release.settings(root)
    start = repository.replace('github.com', 'colab.research.google.com/github') + f'/blob/{tag}/'
    paths = sorted((root / 'notebooks').glob('**/[0-9]*.ipynb'))
    for path in paths:
        cells = nbformat.read(path, as_version=4).cells
        links = re.findall(LINK, '\n'.join(c.source for c in cells))
        assert links == [start + path.relative_to(root).as_posix()]
    learners = [path for path in paths if path.parent.name == 'notebooks']
    readme = (root / 'README.md').read_text(encoding='utf-8')
    assert f'    git clone {release.settings(root)[0]} course' in readme
    assert re.findall(LINK, readme) == [
        start + path.relative_to(root).as_posix() for path in learners]


def test_a_fork_rewrites_addresses_and_nothing_else_and_back(course):
    before, own = contents(course), release.settings(course)
    release.main(['--repository', FORK[0], '--tag', FORK[1]], course)
    assert release.settings(course) == FORK
    after = contents(course)
    assert list(after) == list(before)
    owner = own[0].removeprefix('https://github.com/').encode()
    for path, content in after.items():
        assert owner not in content, path
        assert f'course-{own[1]}'.encode() not in content, path
        if path.suffix == '.ipynb':
            old, new = (nbformat.reads(text.decode(), as_version=4).cells
                        for text in (before[path], content))
            code = next(i for i, cell in enumerate(old) if cell.cell_type == 'code')
            for i, (a, b) in enumerate(zip(old, new, strict=True)):
                assert a == b or i == 0 or (i == code and a.outputs == b.outputs)
    release.main(['--repository', own[0], '--tag', own[1]], course)
    assert contents(course) == before


def test_a_second_time_nothing_is_written(course, capsys):
    own = release.settings(course)
    times = {path: path.stat().st_mtime_ns for path in contents(course)}
    release.main(['--repository', own[0]], course)
    assert {path: path.stat().st_mtime_ns for path in contents(course)} == times
    assert capsys.readouterr().out == f'{own[0]}, {own[1]}: 0 files rewritten.\n'


def test_a_lesson_without_badge_gets_one_in_its_first_cell_and_its_row(course):
    path = course / 'notebooks' / '00_start_here.ipynb'
    text = path.read_text(encoding='utf-8')
    readme = (course / 'README.md').read_text(encoding='utf-8')
    bare = re.sub(r' *"\[!\[Open in Colab.*\n *"\\n",\n', '', text)
    assert bare != text
    path.write_text(bare, encoding='utf-8')
    (course / 'README.md').write_text(
        re.sub(r'\| \[!\[Open in Colab.*', '|', readme), encoding='utf-8')
    release.main(['--repository', release.settings(course)[0]], course)
    assert path.read_text(encoding='utf-8') == text
    assert (course / 'README.md').read_text(encoding='utf-8') == readme


# --- What is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize('address', [
    'https://github.com/me/course', 'https://github.com/me/course.git',
    'https://github.com/me/course/', 'http://user:secret@github.com/me/course.git',
    'git@github.com:me/course.git', 'ssh://git@github.com/me/course'])
def test_all_forms_of_an_address_mean_the_same(course, address):
    new = release.changes(address, 'v1', course)
    assert 'repository = "https://github.com/me/course"\n' in new[course / 'pyproject.toml']


@pytest.mark.parametrize('repository, tag, message', [
    ('https://gitlab.com/me/course', 'v1', 'repository must be an address on GitHub'),
    ('me/course', 'v1', 'repository must be an address on GitHub'),
    ('https://github.com/me/course;rm', 'v1', 'repository must be an address on GitHub'),
    (FORK[0], 'v1; rm -r .', 'tag must consist of letters'),
    (FORK[0], '', 'tag must consist of letters'),
    (FORK[0], '--help', 'tag must consist of letters')])
def test_a_bad_argument_is_refused_in_a_sentence(course, repository, tag, message):
    with pytest.raises(ValueError, match=message):
        release.changes(repository, tag, course)


@pytest.mark.parametrize('name, old, new, message', [
    ('notebooks/00_start_here.ipynb', '# Set-up, the same', '# Prepare', 'must begin with'),
    ('notebooks/00_start_here.ipynb', '# Start here', '#Start here', 'must begin with'),
    ('pyproject.toml', 'tag = ', 'label = ', 'must have the lines')])
def test_a_file_that_cannot_be_understood_stops_all(course, name, old, new, message):
    path = course / name
    text = path.read_text(encoding='utf-8')
    path.write_text(text.replace(old, new, 1), encoding='utf-8')
    before = contents(course)
    try:
        with pytest.raises(ValueError, match=message):
            release.changes(*FORK, course)
        assert contents(course) == before
    finally:
        path.write_text(text, encoding='utf-8')


def test_main_says_it_in_one_sentence(course):
    with pytest.raises(SystemExit, match=r'^Nothing was written: tag must .*[^.]\.$'):
        release.main(['--repository', FORK[0], '--tag', 'a b'], course)


@on_posix
@pytest.mark.parametrize('address, expected', [
    ('git@github.com:me/course.git', 'git@github.com:me/course.git'),
    ('https://example.org/me/course', None), (None, None)])
def test_origin_counts_if_it_is_on_github(tmp_path, address, expected):
    subprocess.run(['git', 'init', '--quiet'], cwd=tmp_path, check=True)
    if address:
        subprocess.run(['git', 'remote', 'add', 'origin', address], cwd=tmp_path, check=True)
    assert release.origin(tmp_path) == expected


# --- The set-up cell ----------------------------------------------------------------------------

def run_set_up(repository, tag):
    """Runs what the set-up cell does before it imports Chainer."""
    exec(release.set_up_cell(repository, tag).split('\nimport chainer\n')[0], {})


def git(*arguments, cwd):
    subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', *arguments], cwd=cwd,
                   check=True, capture_output=True)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Colab, from where the fork's address leads to a local repository. Returns the home folder."""
    repository, home = tmp_path / 'repository', tmp_path / 'home'
    (repository / 'packaging').mkdir(parents=True)
    home.mkdir()
    (repository / 'packaging' / 'colab.py').write_text(
        "if __name__ == '__main__':\n    print('installed')\n")
    git('init', '--quiet', cwd=repository)
    git('add', '.', cwd=repository)
    git('commit', '--quiet', '-m', 'Release', cwd=repository)
    git('tag', FORK[1], cwd=repository)
    monkeypatch.setitem(sys.modules, 'google.colab', types.ModuleType('google.colab'))
    for name, value in (('HOME', home), ('GIT_CONFIG_COUNT', 1), ('GIT_CONFIG_VALUE_0', FORK[0]),
                        ('GIT_CONFIG_KEY_0', f'url.{repository.as_uri()}.insteadOf')):
        monkeypatch.setenv(name, str(value))
    return home


def test_outside_colab_the_set_up_cell_fetches_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, 'google.colab', raising=False)
    monkeypatch.setattr(subprocess, 'run', None)  # cannot be called
    run_set_up(*FORK)


@on_posix
def test_in_colab_it_fetches_the_release_once_and_installs_it(colab, capsys):
    run_set_up(*FORK)
    clone = colab / f'course-{FORK[1]}'
    commit = (clone / '.git' / 'HEAD').stat().st_mtime_ns
    run_set_up(*FORK)
    assert (clone / '.git' / 'HEAD').stat().st_mtime_ns == commit
    assert capsys.readouterr().out == 'installed\n' * 2
    assert [path.name for path in colab.iterdir()] == [clone.name]


@on_posix
def test_an_interrupted_clone_is_done_again(colab, capsys):
    (colab / 'course.part' / '.git').mkdir(parents=True)
    run_set_up(*FORK)
    assert capsys.readouterr().out == 'installed\n'
    assert not (colab / 'course.part').exists()


@on_posix
@pytest.mark.parametrize('tag, cause', [('v9.9', 'v9.9 not found'), (FORK[1], 'does not')])
def test_a_failed_fetch_ends_in_a_sentence(colab, monkeypatch, tag, cause):
    if tag == FORK[1]:
        gone = pathlib.Path(colab, 'gone').as_uri()
        monkeypatch.setenv('GIT_CONFIG_KEY_0', f'url.{gone}.insteadOf')
    with pytest.raises(SystemExit) as error:
        run_set_up(FORK[0], tag)
    assert str(error.value).startswith(
        'Could not fetch the course; check the network and run this cell again: ')
    assert cause in str(error.value)
    assert not (colab / f'course-{tag}').exists()


def test_the_placeholder_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'google.colab', types.ModuleType('google.colab'))
    monkeypatch.setattr(subprocess, 'run', lambda *args, **options: subprocess.CompletedProcess(
        args, 128, '', 'fatal: could not read Username'))
    with pytest.raises(SystemExit, match='your_name is a placeholder, set the address with '
                                         'packaging/release.py: fatal: could not read Username'):
        run_set_up('https://github.com/your_name/chainer-distributions', 'v1')
