"""The README tells the truth about the lessons, and both start-up commands."""
import re

import nbformat


def test_the_table_of_lessons_is_complete_and_its_times_are_the_measured_ones(root):
    text = (root / 'README.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| (\d+) \| \[(.*?)\]\((.*?)\) \| (\d+ s) \|', text, flags=re.M)
    paths = sorted((root / 'notebooks').glob('[0-9]*.ipynb'))
    assert [row[2] for row in rows] == [f'notebooks/{path.name}' for path in paths]
    for (number, title, _, seconds), path in zip(rows, paths, strict=True):
        first = nbformat.read(path, as_version=4).cells[0].source
        assert int(number) == int(path.name[:2])
        assert first.startswith(f'# {title}\n')
        assert f'<!-- time -->{seconds}<!-- /time -->' in first


def test_every_path_and_make_target_it_names_exists(root):
    text = (root / 'README.md').read_text(encoding='utf-8')
    for target in re.findall(r'\]\(([^)]+)\)', text):
        assert target.startswith('https:') or (root / target).exists(), target
    for path in re.findall(r'`([a-z_]+/[a-z_/]*)`', text):
        assert (root / path).is_dir(), path
    targets = re.findall(r'^(\w+):', (root / 'Makefile').read_text(), flags=re.M)
    assert set(re.findall(r'^    make (\w+)', text, flags=re.M)) <= set(targets)
