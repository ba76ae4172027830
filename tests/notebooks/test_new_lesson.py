"""What makes a lesson from the template, and what cleans notebooks before a commit."""
import os
import re
import shutil
import subprocess
import sys

import clean_notebooks
import nbformat
import new_lesson
import pytest

import notebooks

NAME = '98_try_template'


@pytest.fixture(scope='module')
def copy(root, tmp_path_factory):
    """A copy of what a new lesson needs of the course, with the new lesson in it."""
    top = tmp_path_factory.mktemp('course')
    for folder in 'course_lib', 'data', 'packaging':
        shutil.copytree(root / folder, top / folder,
                        ignore=shutil.ignore_patterns('__pycache__', 'web'))
    for file in ('README.md', 'pyproject.toml', 'tests/conftest.py', 'tests/course/verdicts.py',
                 'tests/notebooks/test_anatomy.py', 'notebooks/solutions/00_start_here.ipynb',
                 'notebooks/00_start_here.ipynb', 'notebooks/glossary.md', 'notebooks/formulas.md',
                 'notebooks/other_libraries.md'):
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, top / file)
    new_lesson.create(NAME, top)
    return top


def run(top, *command):
    return subprocess.run([sys.executable, *command], cwd=top, capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(top)))


def test_a_new_lesson_builds_and_lacks_nothing_but_words(copy):
    built = run(copy, 'packaging/notebooks.py', '98')
    assert not built.returncode, built.stderr
    tests = run(copy, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-n', '0',
                '--deselect', 'tests/notebooks/test_anatomy.py::'
                'test_there_are_notebooks_in_both_versions', '-k', '98 or budgets',
                'tests/notebooks', 'tests/course', 'notebooks')
    assert ' 1 failed' in f' {tests.stdout.splitlines()[-1]}', tests.stdout
    assert re.search(rf'AssertionError: {NAME}.ipynb: \d+ words', tests.stdout)
    assert ' passed' in tests.stdout


def test_it_has_the_set_up_cell_of_lesson_0_and_a_row_in_the_readme(copy):
    first, new = (nbformat.read(copy / 'notebooks' / 'solutions' / f'{name}.ipynb', as_version=4)
                  for name in ('00_start_here', NAME))
    assert [next(c for c in notebook.cells if c.cell_type == 'code')
            for notebook in (first, new)][0].source == new.cells[1].source
    assert '00_start_here' not in new.cells[0].source.replace('(00_start_here.ipynb)', '')
    row = re.search(rf'^\| 98 \| \[(.*)\]\(notebooks/{NAME}.ipynb\) \| \d+ s \|',
                    (copy / 'README.md').read_text(encoding='utf-8'), flags=re.M)
    assert new.cells[0].source.startswith(f'# {row[1]}\n')


@pytest.mark.parametrize('name, message', [
    ('12', 'two digits, a verb and a noun'),
    ('12-do-it', 'two digits, a verb and a noun'),
    ('12_sleep', 'two digits, a verb and a noun'),
    ('00_be_there', 'there is a lesson 00 already: 00_start_here.ipynb'),
])
def test_an_impossible_name_is_refused_and_nothing_is_written(copy, name, message):
    before = sorted(copy.rglob('*'))
    with pytest.raises(ValueError, match=message):
        new_lesson.create(name, copy)
    assert sorted(copy.rglob('*')) == before


def test_a_number_that_is_not_the_next_one_is_doubted(tmp_path):
    folder = tmp_path / 'notebooks' / 'solutions'
    folder.mkdir(parents=True)
    for name in '00_start_here', '08_train_vae':
        (folder / f'{name}.ipynb').touch()
    assert new_lesson.warning('09_go_on', tmp_path) == ''
    for name in '10_go_on', '07_go_back':
        assert new_lesson.warning(name, tmp_path) == 'The last lesson is 8: do you mean 09?'


def test_no_lesson_still_has_the_template_s_marks(root):
    paths = [*root.glob('notebooks/solutions/*.ipynb'), *root.glob('course_lib/check/*.py'),
             *root.glob('tests/course/test_check_*.py'), root / 'README.md']
    left = [path.name for path in paths if 'TODO' in path.read_text(encoding='utf-8')]
    assert not left


@pytest.fixture
def lesson(root, tmp_path):
    """A copy of lesson 0 to spoil."""
    path = tmp_path / '00_start_here.ipynb'
    shutil.copy(root / 'notebooks' / path.name, path)
    notebook = nbformat.read(path, as_version=4)
    for i, cell in enumerate((c for c in notebook.cells if c.cell_type == 'code'), 1):
        cell.execution_count = i
        for output in cell.outputs:
            if 'execution_count' in output:
                output.execution_count = i
    notebooks.write(notebook, path)
    return path


def spoil(path, change):
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    notebooks.write(notebook, path)
    return path.read_text(encoding='utf-8')


def test_a_clean_notebook_is_left_alone(lesson):
    before = lesson.stat().st_mtime_ns
    assert clean_notebooks.main([str(lesson)]) == 0
    assert lesson.stat().st_mtime_ns == before


def test_metadata_is_cleaned_once(lesson, capsys):
    clean = lesson.read_text(encoding='utf-8')

    def change(notebook):
        notebook.metadata.kernelspec.name = 'my-own'
        notebook.cells[1].metadata.execution = {'iopub.status.busy': '2026-01-01'}
    spoil(lesson, change)
    assert clean_notebooks.main([str(lesson)]) == 1
    assert 'cleaned; add it again' in capsys.readouterr().out
    assert lesson.read_text(encoding='utf-8') == clean
    assert clean_notebooks.main([str(lesson)]) == 0


@pytest.mark.parametrize('count', [7, None])
def test_cells_run_out_of_order_are_refused(lesson, capsys, count):
    def change(notebook):
        [c for c in notebook.cells if c.cell_type == 'code'][1].execution_count = count
    spoiled = spoil(lesson, change)
    assert clean_notebooks.main([str(lesson)]) == 1
    assert 'code cell 2 has the execution count' in capsys.readouterr().out
    assert lesson.read_text(encoding='utf-8') == spoiled


def test_what_is_no_notebook_is_refused_in_a_sentence(tmp_path, capsys):
    path = tmp_path / 'a.ipynb'
    path.write_text('{"half a')
    assert clean_notebooks.main([str(path), str(tmp_path / 'missing.ipynb')]) == 1
    assert capsys.readouterr().out.count('not a notebook that can be read') == 2


def test_every_notebook_of_the_course_is_clean(root, tmp_path):
    paths = [*root.glob('notebooks/[0-9]*.ipynb'), *root.glob('notebooks/solutions/[0-9]*.ipynb')]
    for path in paths:
        other = tmp_path / path.parent.name / path.name
        other.parent.mkdir(exist_ok=True)
        shutil.copy(path, other)
        assert clean_notebooks.check(other) == ''
