"""What a visitor finds beside the README: picture, citation, licences, and how to contribute."""
import re
import struct
import tomllib

import pytest
import yaml


@pytest.fixture(scope='module')
def readme(root):
    return (root / 'README.md').read_text(encoding='utf-8')


def test_the_picture_is_small_and_described(root, readme):
    (words, path), = re.findall(r'^!\[(.*)\]\(([^:]*)\)$', readme, flags=re.M)
    data = (root / path).read_bytes()
    assert data.startswith(b'\x89PNG') and len(data) <= 100_000
    width, height = struct.unpack('>II', data[16:24])
    assert 600 <= width <= 1200 and height <= width / 2
    assert len(words.split()) >= 8


def test_the_picture_is_drawn_by_a_command(root):
    import picture

    from course_lib.models import vae
    drawn = picture.draw(vae.AvgELBOLoss(
        vae.Encoder(64, 2, 3), vae.Decoder(64, 2, 3), vae.Prior(2)))
    data = picture.PICTURE.read_bytes()
    assert drawn.shape[::-1] == struct.unpack('>II', data[16:24])
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_the_citation_is_complete(root, readme):
    citation = yaml.safe_load((root / 'CITATION.cff').read_text(encoding='utf-8'))
    assert citation['cff-version'] == '1.2.0'
    assert {'message', 'title', 'authors'} <= set(citation)          # what version 1.2.0 requires
    assert set(citation) <= {
        'cff-version', 'message', 'type', 'title', 'abstract', 'authors', 'version', 'keywords',
        'date-released', 'doi', 'repository-code', 'url'}
    assert all('name' in author or {'family-names', 'given-names'} <= set(author)
               for author in citation['authors'])
    assert readme.startswith(f'# {citation["title"]}\n')
    project = tomllib.loads((root / 'pyproject.toml').read_text(encoding='utf-8'))['project']
    assert citation['version'] == project['version']
    assert citation['authors'][0]['name'] in (root / 'LICENSE').read_text(encoding='utf-8')


def test_both_licences_are_named_everywhere(root, readme):
    licence = (root / 'LICENSE').read_text(encoding='utf-8')
    assert 'MIT License' in licence and 'Attribution 4.0' in licence
    citation = (root / 'CITATION.cff').read_text(encoding='utf-8')
    for text in readme, citation:
        assert 'MIT' in text and 'CC BY 4.0' in text


def test_the_readme_leads_to_every_page(readme):
    for page in ('notebooks/glossary.md', 'notebooks/formulas.md', 'notebooks/other_libraries.md',
                 'CONTRIBUTING.md', 'CITATION.cff', 'LICENSE', 'data/README.md'):
        assert f']({page})' in readme


@pytest.mark.parametrize('page', ['CONTRIBUTING.md', 'README.md', 'notebooks/other_libraries.md'])
def test_commands_and_paths_that_a_page_names_exist(root, page):
    text = (root / page).read_text(encoding='utf-8')
    targets = re.findall(r'^([\w-]+):', (root / 'Makefile').read_text(encoding='utf-8'), flags=re.M)
    assert set(re.findall(r'(?:^    |`)make ([\w-]+)', text, flags=re.M)) <= set(targets)
    for path in re.findall(r'`((?:[\w.]+/)+[\w.]*)`', text):
        if not path.startswith(('.venv', 'build')) and 'NN' not in path and '12_' not in path:
            assert (root / path).exists(), path


def test_the_hooks_run_what_the_page_says(root):
    hooks = yaml.safe_load((root / '.pre-commit-config.yaml').read_text(encoding='utf-8'))
    by_id = {hook['id']: hook for repository in hooks['repos'] for hook in repository['hooks']}
    assert {repository['repo'] for repository in hooks['repos']} == {'local'}   # works offline
    assert by_id['ruff']['entry'].startswith('ruff check')
    assert 'jupyter' in by_id['ruff']['types_or']
    assert (root / by_id['notebooks']['entry'].split()[1]).exists()
