"""Cleans notebooks before they are committed, and refuses those that were not run top to bottom.

    python packaging/clean_notebooks.py notebooks/solutions/01_estimate_launch_risk.ipynb

Removes what differs from machine to machine (see :func:`notebooks.clean`). The execution counts
must be 1, 2, 3, …: otherwise the stored outputs are not those of a reader's Run All. The exit
status is 1 if a notebook was changed or refused; ``pre-commit`` calls this with what is committed.
"""
import pathlib
import sys

import nbformat

import notebooks


def check(path):
    """Cleans one notebook.

    Args:
        path (pathlib.Path): The notebook; rewritten only if something had to be removed.

    Returns:
        str: What was wrong, or '' if nothing was.
    """
    try:
        text = path.read_text(encoding='utf-8')
        notebook = nbformat.reads(text, as_version=4)
    except (OSError, ValueError) as error:   # nbformat's own errors are ValueErrors
        return f'{path}: not a notebook that can be read ({type(error).__name__}).'
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    for i, cell in enumerate(code, 1):
        if cell.execution_count != i:
            return (f'{path}: not run top to bottom: code cell {i} has the execution count '
                    f'{cell.execution_count or "none"}; run "make notebooks '
                    f'LESSON={path.name[:2]}" and add it again.')
    if nbformat.writes(notebooks.clean(notebook)) + '\n' != text:
        notebooks.write(notebook, path)
        return f'{path}: cleaned; add it again.'
    return ''


def main(arguments):
    """Cleans the notebooks named. Returns the exit status."""
    messages = list(filter(None, (check(pathlib.Path(argument)) for argument in arguments)))
    print('\n'.join(messages), end='\n' * bool(messages))
    return int(bool(messages))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
