"""Every notebook: executed top to bottom, described, within its budgets, and laid out alike."""
import ast
import base64
import pathlib
import re
import statistics

import nbformat
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'notebooks'
PATHS = sorted(FOLDER.glob('**/[0-9]*.ipynb'))
SECTIONS = ['The question', 'When it goes wrong', 'Recap', 'Further reading']
MACHINE_PATH = re.compile(r'(?<![\w./])/(home|root|Users|tmp|work|usr|opt)/|[A-Z]:\\\\')
VOLATILE = re.compile(r'0x[0-9a-f]{6,}|\d+%\|')
BADGE = re.compile(r'\[!\[.*?\]\(.*?\)\]\(.*?\)')
REASON = re.compile(r'#.*[Nn]ot compared: \w+')

every_notebook = pytest.mark.parametrize(
    'notebook', [nbformat.read(p, as_version=4) for p in PATHS],
    ids=[str(p.relative_to(FOLDER)) for p in PATHS])


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def prose(notebook):
    return '\n'.join(cell.source for cell in notebook.cells if cell.cell_type == 'markdown')


def test_there_are_notebooks_in_both_versions():
    names = {p.name for p in PATHS}
    assert {'00_start_here.ipynb', '01_estimate_launch_risk.ipynb'} <= names
    assert {p.name for p in PATHS if p.parent == FOLDER} == names
    assert {p.name for p in PATHS if p.parent.name == 'solutions'} == names


@every_notebook
def test_executed_top_to_bottom_without_errors(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    errors = [output for cell in code_cells(notebook) for output in cell.outputs
              if output.output_type == 'error']
    assert not errors


@every_notebook
def test_names_no_machine_and_nothing_volatile(notebook):
    for cell in notebook.cells:
        texts = [cell.source]
        for output in cell.get('outputs', []):
            texts += [output.get('text', ''), str(output.get('data', {}).get('text/plain', ''))]
        for text in texts:
            assert not MACHINE_PATH.search(text), text
        compared = 'nbval-ignore-output' not in cell.metadata.get('tags', [])
        for text in texts[1:] if compared else []:
            assert not VOLATILE.search(text), text


@every_notebook
def test_metadata_is_clean(notebook):
    assert set(notebook.metadata) == {'kernelspec', 'language_info'}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {'tags'}


@every_notebook
def test_every_figure_is_a_described_png(notebook):
    n_figures = 0
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get('data', {})
            assert not any(kind.startswith('image/') and kind != 'image/png' for kind in data)
            if 'image/png' in data:
                n_figures += 1
                sentence = data['text/plain']
                assert len(sentence.split()) >= 8 and '<Figure' not in sentence
                assert output.metadata['image/png']['alt'] == sentence
                assert base64.b64decode(data['image/png']).startswith(b'\x89PNG')
    assert n_figures >= 3


@every_notebook
def test_stderr_is_silent(notebook):
    for cell in code_cells(notebook):
        assert not [o for o in cell.outputs if o.get('name') == 'stderr']


@every_notebook
def test_uncompared_cells_say_why(notebook):
    for cell in code_cells(notebook):
        tags = cell.metadata.get('tags', [])
        assert 'nbval-skip' not in tags and 'NBVAL' not in cell.source
        if 'nbval-ignore-output' in tags:
            assert REASON.search(cell.source), cell.source


@every_notebook
def test_gpu_cells_define_nothing_that_is_used_later(notebook):
    cells = code_cells(notebook)
    for i, cell in enumerate(cells):
        if 'gpu' in cell.metadata.get('tags', []):
            assert 'nbval-ignore-output' in cell.metadata.tags
            stored = {node.id for node in ast.walk(ast.parse(cell.source))
                      if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            later = {node.id for other in cells[i + 1:]
                     for node in ast.walk(ast.parse(other.source))
                     if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
            assert not stored & later


@every_notebook
def test_anatomy(notebook):
    text = prose(notebook)
    outside_code = re.sub(r'```.*?```', '', text, flags=re.S)
    assert len(re.findall(r'^# ', outside_code, flags=re.M)) == 1
    first = notebook.cells[0].source
    for part in ("What you'll do.", "What you'll learn", 'What you need.', 'Time.'):
        assert f'**{part}**' in first
    assert re.search(r'<!-- time -->\d+ s<!-- /time -->', first)
    assert 'Predict before you run.' in text
    headings = re.findall(r'^## (.*)$', outside_code, flags=re.M)
    positions = [headings.index(section) for section in SECTIONS]
    assert positions == sorted(positions)
    assert 3 <= sum(bool(re.match(r'\d+\. ', heading)) for heading in headings) <= 5
    for word in ('**Idea.**', '**Formula.**', '**By hand', 'racle', '**Next.**'):
        assert word in text


@every_notebook
def test_set_up_cell_is_the_same_in_every_lesson(notebook):
    reference = code_cells(nbformat.read(PATHS[0], as_version=4))[0]
    assert code_cells(notebook)[0].source == reference.source


def test_budgets():
    for path in PATHS:
        notebook = nbformat.read(path, as_version=4)
        words = len(BADGE.sub('', prose(notebook)).split())
        lengths = [len([line for line in cell.source.splitlines() if line.strip()])
                   for cell in code_cells(notebook)]
        first_lesson = path.name.startswith('00')
        assert (500 if first_lesson else 1500) <= words <= 2500, f'{path.name}: {words} words'
        assert len(notebook.cells) <= 55, f'{path.name}: {len(notebook.cells)} cells'
        assert statistics.median(lengths) <= 6, f'{path.name}: median cell {lengths}'
        assert path.stat().st_size <= 300_000, f'{path.name}: {path.stat().st_size} bytes'
        seconds = int(re.search(r'<!-- time -->(\d+) s', notebook.cells[0].source)[1])
        assert seconds <= 60, f'{path.name}: {seconds} s'


@every_notebook
def test_exercises(notebook):
    text = prose(notebook)
    if '# Start here' not in text:
        for stars in ('**★ (', '**★★ (', '**★★★ ('):
            assert text.count(stars) == 1
        assert sum('check.lesson' in cell.source for cell in code_cells(notebook)) >= 5


@pytest.mark.parametrize('path', PATHS, ids=[str(p.relative_to(FOLDER)) for p in PATHS])
def test_relative_links_lead_somewhere(path):
    notebook = nbformat.read(path, as_version=4)
    visible = re.sub(r'<!-- learner: .*? -->', '', prose(notebook), flags=re.S)
    for target in re.findall(r'\]\(([^)#]+)', visible):
        if not target.startswith(('http:', 'https:')):
            # JupyterLab serves the folder notebooks/ and nothing above it.
            assert (path.parent / target).resolve().is_relative_to(FOLDER), target
            assert (path.parent / target).exists(), target
