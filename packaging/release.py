"""Writes the course's address and release into every badge and set-up cell.

    python packaging/release.py                      after a fork, or for a new lesson
    python packaging/release.py --tag v0.2.0         before a release; commit, then create the tag
    python packaging/release.py --repository URL     another address on GitHub

Both stand in one place, the table ``[tool.course]`` of ``pyproject.toml``. Without
``--repository`` the address is that of the clone's ``origin``, if that is on GitHub. From the two
follow the set-up cell of each lesson, which fetches that release in Google Colab; the badges that
open a lesson there, in its first cell and in the README's table; and the address that the README
says to clone. Only these are rewritten, and stored outputs stay. Nothing is written if one of the
files cannot be understood.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tomllib

import nbformat

from notebooks import replacing

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACEHOLDER = 'your_name'  # GitHub allows no underscore in an owner's name: nobody can claim it
ADDRESS = re.compile(r'(?:https?://(?:[^/@]+@)?|ssh://git@|git@)github\.com[:/]'
                     r'([\w-]+)/([\w.-]+?)(?:\.git)?/?')
TAG = re.compile(r'[A-Za-z0-9][\w.+-]*')
BADGE = '[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]'
SET_UP = '''\
# Set-up, the same in every lesson. Not compared: the line it prints names this machine's device.
import os
import runpy
import subprocess
import sys

if 'google.colab' in sys.modules:  # only in Google Colab: fetch the course and install it
    git = subprocess.run("""cd && [ -d course-{tag} ] || {{ rm -rf course.part &&
        GIT_TERMINAL_PROMPT=0 git clone --quiet --depth=1 --branch={tag} \\
            {repository} course.part &&
        mv course.part course-{tag}; }}""", shell=True, capture_output=True, text=True)
    if git.returncode:
        sys.exit(f'Could not fetch the course; {advice}: {{git.stderr}}')
    runpy.run_path(os.path.expanduser('~/course-{tag}/packaging/colab.py'), run_name='__main__')

import chainer
import chainer.functions as F
import chainer.links as L
import matplotlib.pyplot as plt
import numpy as np

import course_lib
import course_lib.distributions as D
from course_lib import check, datasets, show, to_numpy

device = course_lib.start()'''


def settings(root=ROOT):
    """The address and the release that ``pyproject.toml`` names.

    Returns:
        tuple: ``repository`` and ``tag``.
    """
    with open(root / 'pyproject.toml', 'rb') as file:
        table = tomllib.load(file)['tool']['course']
    return table['repository'], table['tag']


def set_up_cell(repository, tag):
    """The source of every lesson's first code cell."""
    advice = (f'{PLACEHOLDER} is a placeholder, set the address with packaging/release.py'
              if f'/{PLACEHOLDER}/' in repository else 'check the network and run this cell again')
    return SET_UP.format(repository=repository, tag=tag, advice=advice)


def badge(repository, tag, path):
    """The badge, in Markdown, that opens a notebook in Colab.

    Args:
        repository (str): ``https://github.com/OWNER/NAME``.
        tag (str): The release.
        path (str): Path of the notebook in the repository.
    """
    owner_and_name = repository.removeprefix('https://github.com/')
    return (f'{BADGE}(https://colab.research.google.com/github/{owner_and_name}/blob/{tag}/'
            f'{path})')


def changes(repository, tag, root=ROOT):
    """What has to be written for all files to name this address and release.

    Args:
        repository (str): The address, or any of the forms in which git writes it.
        tag (str): The release.
        root (pathlib.Path): The top folder of the course.

    Returns:
        dict: Path to new text, for each file that differs.

    Raises:
        ValueError: If an argument or a file is not of the form expected.
    """
    found = ADDRESS.fullmatch(repository)
    if not found:
        raise ValueError('repository must be an address on GitHub, from where Colab opens '
                         f'notebooks, such as https://github.com/OWNER/NAME; got {repository!r}')
    if not TAG.fullmatch(tag):
        raise ValueError('tag must consist of letters, digits and ".", "_", "+", "-", such as '
                         f'v0.1.0; got {tag!r}')
    repository = f'https://github.com/{found[1]}/{found[2]}'
    new = {root / 'pyproject.toml': _pyproject, root / 'README.md': _readme}
    new.update(dict.fromkeys(sorted(root.glob('notebooks/**/[0-9]*.ipynb')), _notebook))
    result = {}
    for path, rewrite in new.items():
        if '.ipynb_checkpoints' not in path.parts:
            old = path.read_text(encoding='utf-8')
            text = rewrite(old, repository, tag, path.relative_to(root).as_posix())
            if text != old:
                result[path] = text
    return result


def _pyproject(text, repository, tag, _):
    table = re.compile(r'(^\[tool\.course\]\n(?:.*\n)*?repository = ").*?("\ntag = ").*?(")', re.M)
    new, n = table.subn(rf'\g<1>{repository}\g<2>{tag}\g<3>', text)
    if n != 1:
        raise ValueError('pyproject.toml must have the lines "repository = …" and "tag = …" in the '
                         'table [tool.course]')
    return new


def _readme(text, repository, tag, _):
    """The address to clone; and each row of the table of lessons gets its badge, in column four."""
    text = re.sub(r'(?<=^    git clone )\S+', repository, text, flags=re.M)
    row = re.compile(r'^(\| \d+ \| \[[^]]*\]\((notebooks/[^)]+)\) \| [^|\n]* \|).*$', re.M)
    return row.sub(lambda found: f'{found[1]} {badge(repository, tag, found[2])} |', text)


def _notebook(text, repository, tag, path):
    notebook = nbformat.reads(text, as_version=4)
    title = re.compile(rf'\A(# .*\n\n)(?:{re.escape(BADGE)}.*\n\n)?')
    first, n = title.subn(rf'\g<1>{badge(repository, tag, path)}\n\n', notebook.cells[0].source)
    set_up = next((cell for cell in notebook.cells if cell.cell_type == 'code'), None)
    if n != 1 or set_up is None or not set_up.source.startswith('# Set-up, the same'):
        raise ValueError(f'{path} must begin with "# Title" and a blank line, and its first code '
                         'cell must be the set-up cell of the other lessons')
    notebook.cells[0].source, set_up.source = first, set_up_cell(repository, tag)
    return nbformat.writes(notebook) + '\n'


def origin(root=ROOT):
    """The address of the clone's ``origin``, or None if there is none or it is not on GitHub."""
    try:
        git = subprocess.run(['git', 'remote', 'get-url', 'origin'], cwd=root,
                             capture_output=True, text=True)
    except OSError:
        return None
    return git.stdout.strip() if ADDRESS.fullmatch(git.stdout.strip()) else None


def main(arguments=None, root=ROOT):
    """Rewrites what differs and prints which files these are."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--repository', help='an address on GitHub')
    parser.add_argument('--tag', help='the release, such as v0.1.0')
    given = parser.parse_args(arguments)
    repository, tag = settings(root)
    try:
        new = changes(given.repository or origin(root) or repository, given.tag or tag, root)
    except ValueError as error:
        sys.exit(f'Nothing was written: {error}.')
    for path, text in new.items():
        with replacing(path) as file:
            file.write(text)
        print(path.relative_to(root).as_posix())
    print('{}, {}: {} files rewritten.'.format(*settings(root), len(new)))


if __name__ == '__main__':
    main()
