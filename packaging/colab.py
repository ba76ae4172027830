"""Installs the course into a runtime of Google Colab, where every lesson's set-up cell runs it.

    runpy.run_path('.../packaging/colab.py', run_name='__main__')

Runs inside the lesson's kernel, from a clone of the course. Every package that Colab brings keeps
its version: those present are constraints for pip, so that it can only add. A second time nothing
is left to do.
"""
import importlib
from importlib import metadata
import json
import pathlib
import re
import runpy
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The course's own packages, which a later release may replace, and the folders they are made from.
OURS = {'chainer': ROOT / 'packaging' / 'chainer', 'course-lib': ROOT}
MENU = 'Runtime → Change runtime type'


def main():
    """Installs what is missing, and says how to change between CPU and GPU."""
    if not is_installed():
        print('Installing the course; this takes about a minute, once.', flush=True)
        install()
    # course_lib.start() goes on in this line with the device.
    print(f'{MENU} switches between CPU and GPU.', end=' ')


def is_installed():
    """Whether the course and its Chainer are installed, and from this very clone."""
    importlib.invalidate_caches()
    return all(_origin(name) == folder.as_uri() for name, folder in OURS.items())


def _origin(name):
    """The address of the folder that pip installed a package from, or None."""
    try:
        text = metadata.distribution(name).read_text('direct_url.json')
    except metadata.PackageNotFoundError:
        return None
    return json.loads(text or '{}').get('url')


def present():
    """The packages that are installed, without the course's own.

    Returns:
        dict: Normalised name (PEP 503) to version.
    """
    importlib.invalidate_caches()  # also what importlib.metadata remembers
    versions = {}
    for distribution in metadata.distributions():
        name = re.sub(r'[-_.]+', '-', distribution.metadata.get('Name') or '').lower()
        if name and name not in OURS:
            versions.setdefault(name, distribution.version)  # the first on the path is imported
    return versions


def install():
    """Installs Chainer, ``course_lib`` and what they lack, beside what is there.

    Raises:
        SystemExit: With one sentence: pip failed, or it would change or has changed a package.
    """
    before = present()
    with tempfile.TemporaryDirectory() as folder:
        constraints = pathlib.Path(folder, 'constraints.txt')
        constraints.write_text(as_constraints(before), encoding='utf-8')
        pip = subprocess.run(
            [sys.executable, '-m', 'pip', 'install', '--disable-pip-version-check',
             '--root-user-action=ignore', '--constraint', str(constraints),
             str(OURS['chainer']), f"{OURS['course-lib']}[parallel]"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    if pip.returncode:
        sys.exit(reason(pip.stdout))
    after = present()
    changed = [f'{name} {version} → {after.get(name, "none")}' for name, version in before.items()
               if after.get(name) != version]
    if changed:
        sys.exit(f'pip changed packages of this runtime ({", ".join(changed)}): choose Runtime → '
                 'Disconnect and delete runtime to get them back, and report this to the course.')


def as_constraints(versions):
    """The lines for ``pip install --constraint`` that keep these versions."""
    from packaging.version import InvalidVersion, Version
    lines = []
    for name, version in versions.items():
        try:
            lines.append(f'{name}=={Version(version)}\n')
        except InvalidVersion:  # Debian's own, such as 1.1build1; pip refuses to read such a line
            continue
    return ''.join(lines)


def reason(output):
    """Says in one sentence why pip failed, and what to do.

    Args:
        output (str): What pip printed.

    Returns:
        str: The sentence.
    """
    conflict = re.search(r'The conflict is caused by:\n(.*?)\n\n', output, flags=re.S)
    if conflict:
        lines = re.sub(r'The user requested \(constraint\)', 'this runtime has', conflict[1])
        return ('The course does not fit the packages of this runtime, which it does not change ('
                + '; '.join(line.strip() for line in lines.splitlines())
                + f'): choose the latest runtime version under {MENU}.')
    explain = runpy.run_path(str(ROOT / 'packaging' / 'install.py'))['explain']
    return explain('Could not install the course', output)


if __name__ == '__main__':
    main()
