"""Builds the notebooks: executes each worked lesson and derives the learner's version from it.

    python packaging/notebooks.py            every lesson
    python packaging/notebooks.py 01         the lessons whose name starts so

The master of a lesson is ``notebooks/solutions/NN_name.ipynb``, with the solutions in it. The
learner's version, ``notebooks/NN_name.ipynb``, is generated and never edited. Both are executed
top to bottom in a fresh kernel, so that their outputs are what a reader will get.

In a master:

* Code between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` is the learner's to write. A name it
  assigns that the rest of the cell uses becomes ``name = ...``; a function keeps its first line
  and docstring.
* Text between ``<!-- worked -->`` and ``<!-- end worked -->`` is in the worked version only, and
  text in ``<!-- learner: ... -->`` in the learner's only.
* The measured time of Run All is written between ``<!-- time -->`` and ``<!-- /time -->``.
* A link that leads out of ``solutions/`` starts with ``../``; it is shortened for the learner, and
  the Colab badge, which ``packaging/release.py`` writes, points to the learner's version.
"""
import ast
import contextlib
import copy
import math
import os
import pathlib
import re
import sys
import tempfile
import time

import nbformat

# As in the tests: the outputs and times of one thread are those that every machine can repeat.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
os.environ.setdefault('OMP_NUM_THREADS', '1')

NOTEBOOKS = pathlib.Path(__file__).resolve().parent.parent / 'notebooks'
BEGIN, END = '### BEGIN SOLUTION', '### END SOLUTION'
PROMPT = '  # your answer here'


def masters(prefix=''):
    """Paths of the worked lessons, in order."""
    return sorted((NOTEBOOKS / 'solutions').glob(f'{prefix}*.ipynb'))


def learner_version(master):
    """The learner's notebook that belongs to a master: same cells, solutions taken out.

    Args:
        master (nbformat.NotebookNode): The worked lesson.

    Returns:
        nbformat.NotebookNode: A new notebook without outputs.

    Raises:
        ValueError: If a solution is not closed, or contains what cannot be taken out.
    """
    notebook = copy.deepcopy(master)
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            cell.source = without_solution(cell.source)
            cell.outputs, cell.execution_count = [], None
        else:
            text = re.sub(r'<!-- worked -->.*?<!-- end worked -->\n?', '', cell.source, flags=re.S)
            text = re.sub(r'<!-- learner: (.*?) -->', r'\1', text, flags=re.S)
            text = text.replace('/notebooks/solutions/', '/notebooks/')  # in the Colab badge
            cell.source = text.replace('](../', '](')
    return notebook


def without_solution(source):
    """The source of a code cell with each solution replaced by three dots."""
    parts = re.split(rf'^{BEGIN}\n(.*?)^{END}$', source, flags=re.S | re.M)
    if any(marker in part for part in parts[::2] for marker in (BEGIN, END)):
        raise ValueError(f'a solution must stand between the lines "{BEGIN}" and "{END}"; one of '
                         'them is missing')
    rest = ''.join(parts[::2])
    used = {node.id for node in ast.walk(ast.parse(rest)) if isinstance(node, ast.Name)}
    return ''.join(_stub(part, used) if i % 2 else part for i, part in enumerate(parts))


def _stub(solution, used):
    lines, stub = solution.splitlines(), []
    for node in ast.parse(solution).body:
        if isinstance(node, ast.FunctionDef) and node.name in used:
            has_docstring = ast.get_docstring(node) is not None
            body = node.body[1 if has_docstring else 0]
            stub += lines[node.lineno - 1:body.lineno - 1]
            stub.append(' ' * body.col_offset + '...' + PROMPT)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in used:
            stub.append(f'{ast.unparse(node.targets[0])} = ...{PROMPT}')
    if not stub:
        raise ValueError('a solution must assign a name, or define a function, that the rest of '
                         'its cell uses')
    return '\n'.join(dict.fromkeys(stub))  # a name assigned twice is asked for once


def execute(notebook, folder):
    """Runs a notebook top to bottom in a fresh kernel, in place. Returns the seconds it took.

    Args:
        notebook (nbformat.NotebookNode): What to run.
        folder (pathlib.Path): The kernel's working directory.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises.
    """
    import nbclient
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name='python3', store_widget_state=False,
        resources={'metadata': {'path': str(folder)}})
    start = time.perf_counter()
    client.execute()
    return time.perf_counter() - start


def clean(notebook):
    """Removes what differs from machine to machine and run to run, in place."""
    notebook.metadata = nbformat.from_dict({
        'kernelspec': {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'},
        'language_info': {'name': 'python'}})
    for cell in notebook.cells:
        tags = cell.metadata.get('tags', [])
        cell.metadata = nbformat.from_dict({'tags': tags} if tags else {})
        if cell.cell_type == 'code':
            cell.outputs = _merged_streams(
                o for o in cell.outputs
                # A progress bar shows the speed of one machine at one moment.
                if not ('progress' in tags and o.get('name') == 'stderr'))
            for output in cell.outputs:
                # A widget ends with its kernel; the picture stored beside it stays.
                output.get('data', {}).pop('application/vnd.jupyter.widget-view+json', None)
    return notebook


def _merged_streams(outputs):
    """Joins neighbouring outputs to one stream: where they were cut is a matter of timing."""
    merged = []
    for output in outputs:
        if merged and output.output_type == 'stream' and merged[-1].get('name') == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def write(notebook, path):
    """Writes a notebook, or leaves the old one: never half a notebook."""
    nbformat.validate(notebook)
    with replacing(path) as file:
        nbformat.write(notebook, file)


@contextlib.contextmanager
def replacing(path):
    """Opens a temporary text file that is renamed to ``path`` once it is complete.

    Args:
        path (pathlib.Path): The file to replace, or to make.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix='.tmp')
    try:
        with os.fdopen(descriptor, 'w', encoding='utf-8', newline='\n') as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def build(path):
    """Executes a master and writes it and its learner's version."""
    master = clean(nbformat.read(path, as_version=4))
    seconds = execute(master, path.parent)
    _write_time(master, seconds)
    write(clean(master), path)
    learner = learner_version(master)
    execute(learner, NOTEBOOKS)
    write(clean(learner), NOTEBOOKS / path.name)
    _write_time_in_readme(path.name, master)
    return seconds


def write_time(path, seconds):
    """Writes the time that Run All took into both versions of a lesson and into the README.

    Args:
        path (pathlib.Path): The master.
        seconds (float): As :func:`execute` returns.
    """
    for version in (path, NOTEBOOKS / path.name):
        notebook = nbformat.read(version, as_version=4)
        _write_time(notebook, seconds)
        write(notebook, version)
    _write_time_in_readme(path.name, notebook)


def _write_time(notebook, seconds):
    rounded = max(5, 5 * math.ceil(seconds / 5))  # steps of 5 s: noise must not make a change
    for cell in notebook.cells:
        if cell.cell_type == 'markdown':
            cell.source = re.sub(r'<!-- time -->.*?<!-- /time -->',
                                 f'<!-- time -->{rounded} s<!-- /time -->', cell.source)


def _write_time_in_readme(name, notebook):
    """Brings the time in the README's table of lessons to that in the notebook's box."""
    readme = NOTEBOOKS.parent / 'README.md'
    text = readme.read_text(encoding='utf-8')
    time_of_run = re.search(r'<!-- time -->(.*?)<!-- /time -->', notebook.cells[0].source)[1]
    row = rf'(\(notebooks/{re.escape(name)}\) \| ).*?( \|)'
    with replacing(readme) as file:
        file.write(re.sub(row, rf'\g<1>{time_of_run}\2', text))


def main(prefixes):
    """Builds the lessons whose file names start with one of the prefixes."""
    paths = [path for prefix in prefixes or [''] for path in masters(prefix)]
    if not paths:
        sys.exit(f'no lesson in notebooks/solutions/ starts with {" or ".join(prefixes)}')
    for path in paths:
        print(f'{path.name}: {build(path):.1f} s')


if __name__ == '__main__':
    main(sys.argv[1:])
