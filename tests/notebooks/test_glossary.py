"""The glossary: complete, in order, and each term linked to the section that uses it first."""
import re
from urllib.parse import unquote

import glossary
import nbformat
import pytest

import notebooks

# Italics that stress a word, or name something of one lesson's data; they define no term.
STRESS = {
    # 0 to 2
    'challenger', 'thermal distress', 'yes', 'via p', "chainer's class", 'ours', 'published fit',
    'anywhere from about one half to certain', 'two', 'and', 'on the test images', 'per franc',
    'per thousand francs',
    # 3 and 4
    'coinsurance', 'deductible', 'corps-year', 'safer', 'their', 'logarithm', 'prove', 'not',
    'people', 'first', 'less',
    # 5 and 6
    'which values are drawn', 'other', 'is', 'black', 'given the temperature', 'estimate',
    'pair of classes', 'mean',
    # 7 to 11
    'never shown', 'a', 'every', 'can', 'one', 'far', 'bent', 'handwriting', 'sum',
    'through the sample', 'towards 0', 'and the state of the random numbers', 'all',
    'approximation', 'pixel', 'seen', 'training', 'would', 'work', 'node', 'fuse', 'compute'}


@pytest.fixture(scope='module')
def text():
    return glossary.GLOSSARY.read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def lessons():
    return glossary.sections()


def test_it_is_sorted_and_every_term_is_linked_to_its_first_use(text, lessons):
    assert text == glossary.updated(text, lessons), 'run: python packaging/glossary.py'


def test_every_link_leads_to_a_heading(text):
    links = re.findall(r'\]\(([^)#]+)(?:#([^)]+))?\)', text)
    assert sum(bool(anchor) for _, anchor in links) == len(glossary.entries(text))
    for file, anchor in links:
        path = notebooks.NOTEBOOKS / file
        if anchor:
            prose = '\n'.join(cell.source for cell in nbformat.read(path, as_version=4).cells
                              if cell.cell_type == 'markdown')
            # As JupyterLab makes them: the text of the heading, with hyphens for spaces.
            anchors = {heading.replace('`', '').replace(' ', '-')
                       for heading in re.findall(r'^#+ (.*)$', prose, flags=re.M)}
            assert unquote(anchor) in anchors, anchor
        assert path.exists()


def test_no_name_is_explained_twice(text):
    entries = glossary.entries(text)
    names = [name.casefold() for entry in entries for name in entry.names]
    assert len(names) == len(set(names))
    for entry in entries:
        assert entry.meaning.endswith(('.', ')')) and len(entry.meaning.split()) >= 5, entry.term


def italics(source):
    """What stands in single asterisks, outside code, formulas and bold text."""
    source = re.sub(r'```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$', '', source, flags=re.S)
    return re.findall(r'(?<![*\w])\*([^*\n]+)\*(?![*\w])', source.replace('**', '\n'))


def singular(words):
    words = words.casefold().replace('-', ' ')
    return re.sub(r'ies$', 'y', words) if words.endswith('ies') else re.sub(r's$', '', words)


@pytest.mark.parametrize('path', notebooks.masters(), ids=lambda path: path.stem)
def test_every_term_that_a_lesson_defines_has_an_entry(path, text):
    known = {singular(name) for entry in glossary.entries(text) for name in entry.names}
    cells = nbformat.read(path, as_version=4).cells
    prose = '\n\n'.join(cell.source for cell in cells[1:] if cell.cell_type == 'markdown')
    found = italics(prose.partition('## Further reading')[0])
    missing = [term for term in found if not term.endswith(('.', '?'))   # these are sentences
               and singular(term) not in known and term.casefold() not in STRESS]
    assert found, 'a lesson sets each term that it defines in italics'
    assert not missing, 'these terms have no entry in notebooks/glossary.md'


@pytest.mark.parametrize('path', sorted(notebooks.NOTEBOOKS.glob('**/[0-9]*.ipynb')),
                         ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_every_lesson_links_to_it_in_its_box(path):
    box = nbformat.read(path, as_version=4).cells[0].source
    up = '../' if path.parent.name == 'solutions' else ''
    for page in 'glossary.md', 'formulas.md', 'other_libraries.md':
        assert f']({up}{page})' in box


def lesson(prose, number=1):
    return glossary.Section(number, f'0{number}_a.ipynb', f'{number}. A heading', prose)


def test_a_first_use_is_found_by_any_name_and_in_the_sense_meant():
    lessons = [lesson('A rated gate; gates-keeper.'), lesson('Of log odds (ELBO).', 2)]
    for line, number in (('**gate**. A thing that is shut.', 1),
                         ('**evidence lower bound** (ELBO). A thing below.', 2),
                         ('**log-odds**. A thing that is odd.', 2),
                         ('**gate of odds**. It is odd. <!-- first: of log odds -->', 2)):
        entry, = glossary.entries(line)
        assert glossary.first_use(entry, lessons).lesson == number
    for line in '**rate**. A thing per hour.', '**elbo**. A thing below.':
        entry, = glossary.entries(line)
        with pytest.raises(ValueError, match='no lesson says'):
            glossary.first_use(entry, [lessons[0]])


def test_a_line_that_is_no_entry_is_refused():
    with pytest.raises(ValueError, match='an entry reads'):
        glossary.entries('**gate** closes')


def test_an_update_sorts_links_and_changes_nothing_the_second_time():
    lessons = [lesson('alpha and β-VAE and Zeta')]
    once = glossary.updated('# Title\n\n**Zeta**. Last of all.\n**alpha**. First of all.\n'
                            '**β-VAE**. In the middle.', lessons)
    link = '[Lesson 1, section 1](01_a.ipynb#1.-A-heading)'
    assert once == (f'# Title\n\n## A\n\n**alpha**. First of all. → {link}\n\n'
                    f'## B\n\n**β-VAE**. In the middle. → {link}\n\n'
                    f'## Z\n\n**Zeta**. Last of all. → {link}\n')
    assert glossary.updated(once, lessons) == once


def test_a_name_that_begins_unlike_its_term_has_a_line_that_refers_to_it():
    lessons = [lesson('spread, sum')]
    text = ('# T\n\n**spread** (spreading, 95 % variance, SUN). How far values lie.\n'
            '**sum**. What is added up.\n**old name**. → gone\n')
    once = glossary.updated(text, lessons)
    assert re.findall(r'^(?:## .|\*\*[^.]*\.)(?: → [a-z].*)?', once, flags=re.M) == [
        '## S', '**spread** (spreading, 95 % variance, SUN).', '**sum**.', '**SUN**. → spread',
        '## V', '**95 % variance**. → spread']
    assert glossary.updated(once, lessons) == once


def test_names_under_another_letter_are_found_there(text):
    lines = re.findall(r'^(?:## (.)|\*\*([^*]+)\*\*.*)$', text, flags=re.M)
    letter, found = None, set()
    for heading, name in lines:
        letter = heading or letter
        found.add((letter, name))
    for place in ('V', 'variance'), ('L', 'Lasso'), ('C', 'checkpoint'), ('E', 'ELBO'), (
            'V', 'VAE'), ('R', 'REINFORCE'), ('N', 'NLL'), ('K', 'KL'), ('I', '95 % interval'):
        assert place in found
