"""Builds the web edition: the lessons as a static site, from the notebooks' stored outputs.

    python packaging/web/website.py     into build/web/

Nothing is executed. The pages are first laid out in ``build/web-source/`` as in the repository,
with the README as front page and what only a web page needs. Sphinx then makes the site of them,
with warnings as errors. What that takes is installed into ``build/web-env/``. The site needs no
network, works under any path of a server, and opens from a folder too.
"""
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = ROOT / 'build' / 'web-env'
REQUIREMENTS = HERE / 'requirements.txt'

sys.path.append(str(ROOT / 'packaging'))
import install  # noqa: E402

# Files that are pages under another name, which Sphinx can read and a server knows.
RENAMED = {'README.md': 'index.md', 'LICENSE': 'LICENSE.md'}
LINK = re.compile(r'\]\(([^)\s#]+)(#[^)\s]*)?\)')
PICTURE = re.compile(r'!\[[^\]]*\]\(([^):]+)\)')
PICTURE_AS_LINK = re.compile(r'\[!\[([^\]]*)\]\([^)]+\)\]\(([^)]+)\)')


# --- The pages ------------------------------------------------------------------

@functools.cache
def pages():
    """Paths of all pages relative to the repository, in the order of the menu, by part.

    Returns:
        dict[str, list[str]]: For each part of the menu, its pages.
    """
    def found(pattern):
        return sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob(pattern))
    return {'Lessons': found('notebooks/[0-9]*.ipynb'),
            'Look it up': found('notebooks/*.md'),
            'Solutions': found('notebooks/solutions/[0-9]*.ipynb'),
            'Behind the course': ['data/README.md', 'CONTRIBUTING.md', 'LICENSE']}


def lay_out(folder):
    """Writes the sources of all pages into a folder that does not exist yet.

    Args:
        folder (pathlib.Path): Where Sphinx shall find them.
    """
    parts = pages()
    for name in ['README.md', *itertools.chain(*parts.values())]:
        text = (ROOT / name).read_text(encoding='utf-8')
        if name.endswith('.ipynb'):
            text = notebook(text, name)
        elif name == 'LICENSE':
            text = f'# Licence\n\n{text}'
        else:
            text = markdown(text, name)
        if name == 'README.md':
            text += menu(parts)
        path = folder / RENAMED.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8', newline='\n')
        for picture in PICTURE.findall(text):
            copy = path.parent / picture
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile((ROOT / name).parent / picture, copy)


def menu(parts):
    """The menu of the site, as MyST wants it on the front page.

    Args:
        parts (dict[str, list[str]]): As `pages` returns.

    Returns:
        str: One directive for each part that has pages.
    """
    return ''.join(
        f'\n```{{toctree}}\n:hidden:\n:caption: {part}\n\n'
        + ''.join(f'{menu_entry(name)} <{name.rsplit(".", 1)[0]}>\n' for name in names) + '```\n'
        for part, names in parts.items() if names)


def menu_entry(name):
    """What the menu calls a page: its title up to the colon, with a lesson's number before it."""
    if name == 'LICENSE':
        return 'Licence'
    text = (ROOT / name).read_text(encoding='utf-8')
    if name.endswith('.ipynb'):
        text = ''.join(json.loads(text)['cells'][0]['source'])
    title = re.search(r'^# (.*)$', text, flags=re.M)[1].split(':')[0]
    number = re.match(r'\d+', pathlib.PurePath(name).name)
    return f'{int(number[0])} {title}' if number else title


def markdown(text, name):
    """A page's or cell's Markdown for the web.

    A link to a page or a picture of the site stays as it is, one to another file leads to the
    repository. A picture that is a link, as Colab's badge is, becomes words: it would come from
    elsewhere.

    Args:
        text (str): The Markdown.
        name (str): The path, relative to the repository, of the file it stands in.

    Returns:
        str: The Markdown for the site.
    """
    def target(match):
        path = os.path.normpath(os.path.join(os.path.dirname(name), match[1])).replace('\\', '/')
        if ':' in match[1] or not (ROOT / path).exists() or path.endswith('.png'):
            return match[0]
        if path in RENAMED:
            up = '../' * name.count('/')
            return f']({up}{RENAMED[path]}{match[2] or ""})'
        if any(path in part for part in pages().values()):
            return match[0]
        kind = 'tree' if (ROOT / path).is_dir() else 'blob'
        return f']({repository()}/{kind}/main/{path}{match[2] or ""})'
    return LINK.sub(target, PICTURE_AS_LINK.sub(r'[\1](\2)', text))


def notebook(text, name):
    """A notebook for the web.

    Its figures get their alternative text, the set-up cell is folded, and a worked version says
    so in its title.

    Args:
        text (str): The notebook's JSON.
        name (str): Its path relative to the repository.

    Returns:
        str: The JSON for the site.
    """
    content = json.loads(text)
    cells = content['cells']
    for cell in cells:
        if cell['cell_type'] == 'markdown':
            cell['source'] = markdown(''.join(cell['source']), name)
        for output in cell.get('outputs', []):
            for metadata in output.get('metadata', {}).values():
                # MyST-NB takes an alternative text from the cell only; a cell has one figure.
                cell['metadata']['mystnb'] = {'image': {'alt': metadata['alt']}}
            if '  ' not in ''.join(output.get('text', '  ')):  # no columns: lines may be broken
                add_tag(cell, 'prose')
    if '/solutions/' in name:
        cells[0]['source'] = re.sub(r'^(# .*)$', r'\1 (worked)', cells[0]['source'], flags=re.M)
    set_up = next(cell for cell in cells if cell['cell_type'] == 'code')
    add_tag(set_up, 'hide-cell')
    label = 'Set-up, the same in every lesson'
    set_up['metadata']['mystnb'] = {'code_prompt_show': label, 'code_prompt_hide': label}
    return json.dumps(content, ensure_ascii=False)


def add_tag(cell, tag):
    """Adds a tag to a cell of a notebook."""
    cell['metadata']['tags'] = [*cell['metadata'].get('tags', []), tag]


def anchor(title):
    """What JupyterLab calls the anchor of a heading, so that links to sections hold in both."""
    return title.replace(' ', '-')


@functools.cache
def repository():
    """The address of the repository, from ``[tool.course]`` in pyproject.toml."""
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    return settings['tool']['course']['repository'].removesuffix('/')


# --- The site -------------------------------------------------------------------

def prepare():
    """Installs Sphinx and its theme into ``build/web-env/``, unless they are there.

    Raises:
        install.InstallError: It cannot be done; the message says why and what to do.
    """
    install.check_python(sys.version_info, sys.executable)
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / 'installed'
    if stamp.exists() and stamp.read_text() == wanted and install.is_usable(ENVIRONMENT):
        return
    print('Installing what builds the web edition into build/web-env.', flush=True)
    try:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise install.InstallError(
            install.explain('Could not create build/web-env', str(error))) from error
    if not install.pip_install(ENVIRONMENT, ['--quiet', '--requirement', str(REQUIREMENTS)], ROOT):
        log = ENVIRONMENT / 'install.log'
        raise install.InstallError(
            install.explain('Could not install what builds the web edition', log, log=log))
    stamp.write_text(wanted)


def is_prepared():
    """Tells whether the site can be built without installing anything."""
    return (ENVIRONMENT / 'installed').exists()


def build(site):
    """Builds the site; one that was there is replaced once the new one is complete.

    Args:
        site (pathlib.Path): The folder to make.

    Raises:
        subprocess.CalledProcessError: Sphinx failed or warned.
    """
    source, new = site.with_name(f'{site.name}-source'), site.with_name(f'{site.name}-new')
    for folder in source, new:
        shutil.rmtree(folder, ignore_errors=True)
    lay_out(source)
    subprocess.run(
        [install.python_of(ENVIRONMENT), '-m', 'sphinx', '--nitpicky', '--fail-on-warning',
         '--quiet', '--jobs', 'auto', '--builder', 'html', '--conf-dir', HERE,
         '--doctree-dir', site.with_name(f'{site.name}-doctrees'), '--fresh-env', source, new],
        check=True)
    shutil.rmtree(site, ignore_errors=True)
    new.rename(site)


def main():
    """Builds ``build/web/``. Returns the exit status."""
    site = ROOT / 'build' / 'web'
    try:
        prepare()
        build(site)
    except install.InstallError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        print('\nThe web edition was not built: mend what Sphinx says above.', file=sys.stderr)
        return 1
    print('The web edition is built: open build/web/index.html.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
