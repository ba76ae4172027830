"""The learner's notebooks are the masters with the solutions taken out, and nothing else."""
import nbformat
import pytest

import notebooks as build

MASTERS = build.masters()


@pytest.mark.parametrize('path', MASTERS, ids=[p.stem for p in MASTERS])
def test_learner_version_has_not_drifted(path):
    master = nbformat.read(path, as_version=4)
    stored = nbformat.read(build.NOTEBOOKS / path.name, as_version=4)
    expected = build.learner_version(master)
    for wanted, got in zip(expected.cells, stored.cells, strict=True):
        assert (wanted.cell_type, wanted.source, wanted.metadata) == (
            got.cell_type, got.source, got.metadata), 'run: python packaging/notebooks.py'


@pytest.mark.parametrize('path', MASTERS, ids=[p.stem for p in MASTERS])
def test_masters_answer_every_exercise_and_learners_none(path):
    def verdicts(notebook):
        return [output.text for cell in notebook.cells if cell.cell_type == 'code'
                and 'check.lesson' in cell.source for output in cell.outputs]
    master = verdicts(nbformat.read(path, as_version=4))
    learner = verdicts(nbformat.read(build.NOTEBOOKS / path.name, as_version=4))
    assert master and all(text.startswith('Correct.') for text in master)
    assert len(learner) == len(master)
    assert all(text.startswith('Not attempted yet') for text in learner)


def solution(body, use):
    return f'{build.BEGIN}\n{body}\n{build.END}\n{use}'


def test_a_name_becomes_three_dots():
    assert build.without_solution(solution('a = 1\np = a / 2', 'check(p)')) == (
        'p = ...  # your answer here\ncheck(p)')


def test_a_function_keeps_its_first_line_and_docstring():
    source = solution('def f(x):\n    """Doc."""\n    y = x\n    return y', 'check(f)')
    assert build.without_solution(source) == (
        'def f(x):\n    """Doc."""\n    ...  # your answer here\ncheck(f)')


@pytest.mark.parametrize('source, message', [
    (f'{build.BEGIN}\na = 1', 'missing'),
    (f'a = 1\n{build.END}', 'missing'),
    (solution('print(1)', 'check(p)'), 'must assign a name'),
])
def test_a_malformed_solution_is_refused(source, message):
    with pytest.raises(ValueError, match=message):
        build.without_solution(source)


def test_links_and_notes_are_adapted_for_the_learner():
    master = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(
        'A <!-- worked -->b<!-- end worked --><!-- learner: c --> [d](../../data/README.md) '
        '[e](02.ipynb)')])
    assert build.learner_version(master).cells[0].source == (
        'A c [d](../data/README.md) [e](02.ipynb)')


def test_a_failed_write_leaves_the_old_notebook(tmp_path, monkeypatch):
    path = tmp_path / 'a.ipynb'
    path.write_text('old')

    def disk_full(*args):
        raise OSError('No space left on device')
    monkeypatch.setattr(build.nbformat, 'write', disk_full)
    with pytest.raises(OSError):
        build.write(nbformat.v4.new_notebook(), path)
    assert path.read_text() == 'old'
    assert [p.name for p in tmp_path.iterdir()] == ['a.ipynb']


def test_streams_that_were_cut_by_timing_are_joined():
    cell = nbformat.v4.new_code_cell(outputs=[
        nbformat.v4.new_output('stream', name=name, text=text)
        for name, text in (('stdout', 'a'), ('stdout', '\n'), ('stderr', 'b'), ('stdout', 'c'))])
    cell.metadata.tags = ['progress']
    outputs = build.clean(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert [(o.name, o.text) for o in outputs] == [('stdout', 'a\nc')]
