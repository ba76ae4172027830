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
PUNCTUATION = re.compile(r'([!-/:-@\[-`{-~])')
TERM = re.compile(r'^\*\*(.+?)\*\*', flags=re.M)
PLACEHOLDER = '/your_name/'  # as in packaging/release.py: the course has no address yet
SLIDERS = {
    'cell_type': 'markdown', 'metadata': {},
    'source': '*The sliders work in JupyterLab and Colab; this is their first position.*'}


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
    elsewhere. While the course has no address the badges lead nowhere, and are left out. So is
    the README's advice on building the site, and the glossary gets an anchor for each term.

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
    is_published = PLACEHOLDER not in repository()
    if not is_published:
        text = without_paragraph(without_column(text, 'Colab'), '**On Colab.**')
    if name == 'README.md':
        text = without_paragraph(text, 'To read only')
    if name == 'notebooks/glossary.md':
        text = glossary(text)
    text = PICTURE_AS_LINK.sub(lambda picture: f'[{picture[1]}]({picture[2]})'
                               if is_published or 'Colab' not in picture[1] else '', text)
    return LINK.sub(target, text)


def without_paragraph(text, beginning):
    """The Markdown without the paragraphs that begin like this; there may be none."""
    return re.sub(rf'^{re.escape(beginning)}.*\n(?:.+\n)*\n*', '', text, flags=re.M)


def without_column(text, title):
    """The Markdown without the last column of the tables where it has this title."""
    return re.sub(rf'^\|.*\| {re.escape(title)} \|\n(?:\|.*\n)+',
                  lambda table: re.sub(r'\|[^|\n]*\|$', '|', table[0], flags=re.M), text,
                  flags=re.M)


def glossary(text):
    """The glossary with an anchor for each term, and a row of its letters before the first."""
    letters = re.findall(r'^## (\S)$', text, flags=re.M)
    row = ' '.join(f'[{letter}](#{letter})' for letter in letters)
    text = TERM.sub(lambda term: f'<dfn id="{anchor(term[1])}">{term[0]}</dfn>', text)
    return text.replace('\n## ', f'\n```{{container}} letters\n{row}\n```\n\n## ', 1)


def notebook(text, name):
    """A notebook for the web.

    Its figures get their sentence, as alternative text and below, and lead to the full-size
    picture. Below those with sliders stands that they are still here. The set-up cell is folded,
    and a worked version says so in its title.

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
                # MyST-NB takes these from the cell only; a cell has one figure. Sphinx makes a
                # link of a picture with a width; custom.css then says how wide it is.
                cell['metadata']['mystnb'] = {
                    'image': {'alt': metadata['alt'], 'width': '100%'},
                    'figure': {'caption': PUNCTUATION.sub(r'\\\1', metadata['alt'])}}
                if re.search(r'\bexplore\.', ''.join(cell['source'])):
                    add_tag(cell, 'sliders')
            if '  ' not in ''.join(output.get('text', '  ')):  # no columns: lines may be broken
                add_tag(cell, 'prose')
    if '/solutions/' in name:
        cells[0]['source'] = re.sub(r'^(# .*)$', r'\1 (worked)', cells[0]['source'], flags=re.M)
    content['cells'] = [part for cell in cells for part in (
        [cell, {**SLIDERS, 'id': f'{cell["id"]}-sliders'}]
        if 'sliders' in cell['metadata'].get('tags', []) else [cell])]
    set_up = next(cell for cell in cells if cell['cell_type'] == 'code')
    add_tag(set_up, 'hide-cell')
    label = 'Set-up, the same in every lesson'
    set_up['metadata']['mystnb'] = {'code_prompt_show': label, 'code_prompt_hide': label}
    return json.dumps(content, ensure_ascii=False)


def add_tag(cell, tag):
    """Adds a tag to a cell of a notebook."""
    cell['metadata']['tags'] = [*cell['metadata'].get('tags', []), tag]


def statements(display):
    r"""The parts of a display between those \qquad that stand in no group or environment."""
    parts, depth = [''], 0
    for token in re.findall(r'\\[A-Za-z]+|\\.|[^\\]', display, flags=re.S):
        depth += token in ('{', '\\begin', '\\left')
        depth -= token in ('}', '\\end', '\\right')
        if token == '\\qquad' and depth == 0:
            parts.append('')
        else:
            parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


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
