"""Tries the lessons in a replica of Google Colab's runtime, on Linux.

    python packaging/replica.py            every lesson
    python packaging/replica.py 01 04      the lessons whose name starts so

Builds an environment of the Python and the versions that Colab has (``packaging/colab.txt``) in
``build/colab/``. There it runs the set-up cell as Colab would: in a kernel that has imported
``google.colab``, from an empty home folder. Git is told to fetch the course's address from a local
repository, made of the files of this working tree and tagged with the course's release. It runs
the cell twice, compares ``pip freeze`` before and after, and then runs every notebook, set-up cell
included, under strict nbval in a folder that has nothing else of the course. Prints a table; the
exit status is the number of lines that say FAILED.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import jupyter_client
import nbclient
import nbformat
import release

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / 'build' / 'colab'
PINS = ROOT / 'packaging' / 'colab.txt'
PYTHON = '3.13'  # Colab's
LIMIT = 120      # seconds that the set-up may take


def output(command, **options):
    """What a command prints, without the last line break."""
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          **options).stdout.strip()


def find_python():
    """The command that starts a Python of Colab's version or, where there is none, this Python."""
    commands = [['env', f'PYENV_VERSION={PYTHON}', f'python{PYTHON}']]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        commands.append([output(['uv', 'python', 'find', PYTHON])])
    for command in commands:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            output([*command, '-c', 'import venv, ensurepip'])
            return command
    return [sys.executable]


def make_environment():
    """Installs Colab's packages, and nbval beside them. Returns the environment's Python."""
    python = BUILD / 'env' / 'bin' / 'python'
    subprocess.run([*find_python(), '-m', 'venv', '--clear', BUILD / 'env'], check=True)
    for what in (['--only-binary=:all:', '--requirement', PINS],
                 ['--constraint', PINS, 'nbval==0.11.*']):
        subprocess.run([python, '-m', 'pip', 'install', '-qq', *what], check=True)
    return python


def make_repository(tag):
    """A git repository of the working tree's files: one commit, with a tag. Returns its path."""
    folder = BUILD / 'repository'
    names = output(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                   cwd=ROOT)
    for name in filter(None, names.split('\0')):
        if (ROOT / name).is_file():  # not one that is deleted
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git = ['git', '-c', 'user.name=replica', '-c', 'user.email=replica@localhost',
           '-c', 'commit.gpgSign=false', '-c', 'tag.gpgSign=false']
    for command in (['init', '--quiet'], ['add', '--all'],
                    ['commit', '--quiet', '--message=The working tree'], ['tag', tag]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


def make_home(repository, address):
    """An empty home folder in which every kernel is one of Colab's.

    Args:
        repository (pathlib.Path): What git fetches in place of the address.
        address (str): The course's address.

    Returns:
        dict: The environment variables of a process that lives there.
    """
    home = BUILD / 'home'
    start_up = home / '.ipython' / 'profile_default' / 'startup'
    start_up.mkdir(parents=True)
    (start_up / 'colab.py').write_text(
        "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n")
    environment = {
        **{name: value for name, value in os.environ.items()
           if not name.startswith(('JUPYTER', 'IPYTHON', 'PYTHON', 'MPLBACKEND', 'XDG_'))},
        'PYDEVD_DISABLE_FILE_VALIDATION': '1',  # a warning of the kernel's debugger
        'HOME': str(home), 'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_VALUE_0': address,
        'GIT_CONFIG_KEY_0': f'url.{repository.as_uri()}.insteadOf'}
    settings = pathlib.Path.home() / '.config' / 'pip' / 'pip.conf'
    if settings.exists():
        environment.setdefault('PIP_CONFIG_FILE', str(settings))  # it may name the package index
    return environment


def make_content():
    """A folder with the notebooks and the tests' settings alone. Returns its path."""
    content = BUILD / 'content'
    shutil.copytree(ROOT / 'notebooks', content,
                    ignore=shutil.ignore_patterns('.ipynb_checkpoints', '*.md'))
    shutil.copy(ROOT / 'tests' / 'conftest.py', content)
    (content / 'pytest.ini').write_text(
        '[pytest]\naddopts = --nbval --nbval-current-env --nbval-cell-timeout=300\n')
    return content


def run_set_up(python, environment, content):
    """Runs the set-up cell twice in one kernel.

    Returns:
        list: For each time the seconds it took and what it printed.

    Raises:
        nbclient.exceptions.CellExecutionError: If it raises.
    """
    cells = [nbformat.v4.new_code_cell(release.set_up_cell(*release.settings())) for _ in range(2)]
    manager = jupyter_client.AsyncKernelManager(kernel_name='python3')
    manager.kernel_spec.argv[0] = str(python)
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(cells=cells), km=manager, timeout=600,
        resources={'metadata': {'path': str(content)}})
    results = []
    with client.setup_kernel(env=environment, cleanup_kc=True):
        for i, cell in enumerate(cells):
            start = time.perf_counter()
            client.execute_cell(cell, i)
            results.append((time.perf_counter() - start, ''.join(
                o.text for o in cell.outputs if o.get('name') == 'stdout')))
    return results


def freeze(python):
    """The lines of ``pip freeze --all``."""
    return set(output([python, '-m', 'pip', 'freeze', '--all']).splitlines())


def main(prefixes):
    """Builds the replica, tries everything in it, and returns the number of failures."""
    failures = 0

    def report(what, passed, text):
        nonlocal failures
        failures += not passed
        print(f'{what:<48} {"passed" if passed else "FAILED"}  {text}', flush=True)

    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    address, tag = release.settings()
    python = make_environment()
    environment, content = make_home(make_repository(tag), address), make_content()
    before = freeze(python)
    version = output([python, '-c', 'import platform; print(platform.python_version())'])
    report(f'Python {PYTHON}', version.startswith(f'{PYTHON}.'),
           f'{version}, {len(before)} packages')
    try:
        (first, said), (second, again) = run_set_up(python, environment, content)
    except nbclient.exceptions.CellExecutionError as error:
        report('set-up cell', False, f'{error.ename}: {error.evalue}')
        return failures
    report('set-up cell', first < LIMIT,
           f'{first:.1f} s; it says:\n    ' + said.strip().replace('\n', '\n    '))
    report('set-up cell, again', second < 5 and again == said.splitlines(True)[-1],
           f'{second:.2f} s; it says:\n    {again.strip()}')
    after = freeze(python)
    added = sorted(line.split('==')[0].split(' @')[0] for line in after - before)
    report('every package kept', before <= after,
           'changed: ' + ', '.join(sorted(before - after)) if before - after
           else 'added: ' + ', '.join(added))
    for path in sorted(content.glob('**/[0-9]*.ipynb'), key=lambda path: (path.name, path)):
        if path.name.startswith(tuple(prefixes) or ''):
            start = time.perf_counter()
            name = str(path.relative_to(content))
            tests = subprocess.run(
                [python, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', name], cwd=content,
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            log = (BUILD / f'{name.replace("/", "-")}.log')
            log.write_text(tests.stdout)
            report(name, tests.returncode == 0, f'{time.perf_counter() - start:.0f} s' + (
                '' if tests.returncode == 0 else f', see {log.relative_to(ROOT)}'))
    return failures


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
