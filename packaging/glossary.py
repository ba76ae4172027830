"""Brings the glossary up to date: sorts it, links each term to its first use, and adds references.

    python packaging/glossary.py

An entry of ``notebooks/glossary.md`` is one line,

    **term** (other names, separated by commas). What it means.

What follows the full stop of the last sentence is written by this program: a link to the section
of the lesson in which one of the names is used first, of all prose but the box at the top and the
further reading. A word that also occurs in another sense says which words to look for, at the end
of the line: ``<!-- first: is called the gate -->``.

This program also writes the lines ``**other name**. → term``, one for each other name that does not
begin as its term does, and so stands elsewhere in the alphabet.
"""
import pathlib
import re
import sys
from typing import NamedTuple
from urllib.parse import quote

import nbformat

import notebooks

GLOSSARY = notebooks.NOTEBOOKS / 'glossary.md'
ENTRY = re.compile(r'\*\*(?P<term>[^*]+)\*\*(?: \((?P<also>.*?)\))?\. (?P<meaning>.+?)'
                   r'(?: → \[[^\]]*\]\([^)]*\))?(?: <!-- first: (?P<first>.+) -->)?')
REFERENCE = re.compile(r'\*\*[^*]+\*\*\. → [^[]+')


class Entry(NamedTuple):
    """One line of the glossary."""

    term: str
    also: list
    meaning: str
    first: str      # the words that mark the first use, or None: any of the names

    @property
    def names(self):
        """The term and its other names."""
        return [self.term, *self.also]


class Section(NamedTuple):
    """The plain prose under one heading of a lesson."""

    lesson: int
    file: str
    heading: str
    prose: str

    @property
    def link(self):
        """A link to the heading, with the anchor that JupyterLab gives it."""
        number = re.match(r'(\d+)\. ', self.heading)
        where = f'section {number[1]}' if number else f'“{self.heading}”'
        anchor = quote(self.heading.replace(' ', '-'), safe=":?!'’‘–,.;*/=|")
        return f'[Lesson {self.lesson}, {where}]({self.file}#{anchor})'


def plain(text):
    """Markdown as the reader sees it: without code blocks, formulas, marks and link targets."""
    text = re.sub(r'^```.*?^```|<!--.*?-->|\$\$.*?\$\$|\$[^$]*\$', '', text, flags=re.S | re.M)
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', text)
    return re.sub(r'\s+', ' ', re.sub(r'[*`>]', '', text))


def sections(folder=notebooks.NOTEBOOKS):
    """The prose of all lessons in order, as a list of :class:`Section`."""
    found = []
    for path in sorted(pathlib.Path(folder).glob('[0-9]*.ipynb')):
        cells = nbformat.read(path, as_version=4).cells
        text = '\n\n'.join(cell.source for cell in cells[:1]).partition('\n## ')[1:]
        text = ''.join(text) + '\n\n' + '\n\n'.join(
            cell.source for cell in cells[1:] if cell.cell_type == 'markdown')
        parts = re.split(r'^## (.*)$', text, flags=re.M)
        for heading, prose in zip(parts[1::2], parts[2::2]):
            if heading != 'Further reading':
                found.append(Section(int(path.name[:2]), path.name, plain(heading), plain(prose)))
    return found


def pattern(entry):
    """What the first use of an entry's term looks like, as a regular expression."""
    if entry.first:
        return re.compile(re.escape(entry.first), re.I)
    words = []
    for name in entry.names:
        flags = '' if re.search('[A-Z]{2}', name) else '(?i:'
        words.append(flags + re.sub(r'(\\ |\\-)', '[ -]', re.escape(name)) + ')' * bool(flags))
    return re.compile(rf'(?<![\w-])(?:{"|".join(words)})(?:e?s)?(?![\w-])')


def first_use(entry, lessons):
    """The :class:`Section` in which an entry's term is used first.

    Raises:
        ValueError: If no lesson uses it.
    """
    wanted = pattern(entry)
    for section in lessons:
        if wanted.search(f'{section.heading}. {section.prose}'):
            return section
    raise ValueError(f'glossary: no lesson says "{entry.first or entry.term}"')


def entries(text):
    """All entries of a glossary, in the order in which they stand, without its references.

    Raises:
        ValueError: If a line that starts as an entry does not go on as one.
    """
    found = []
    for line in text.splitlines():
        if line.startswith('**') and not REFERENCE.fullmatch(line):
            match = ENTRY.fullmatch(line)
            if not match:
                raise ValueError(f'glossary: an entry reads "**term** (other names). Meaning."; '
                                 f'got "{line}"')
            also = match['also'].split(', ') if match['also'] else []
            found.append(Entry(match['term'], also, match['meaning'], match['first']))
    return found


def key(name):
    """What names are sorted by: their letters and digits from the first letter on, in any case."""
    return re.sub(r'^[^a-z]+|(?<=[a-z0-9])[^a-z0-9]+', lambda found: ' ' * bool(found.start()),
                  name.casefold().replace('β', 'beta'))


def references(found):
    """The other names whose first four letters are not their term's, as a list of (name, term)."""
    return [(name, entry.term) for entry in found for name in entry.also
            if not key(entry.term).startswith(key(name)[:4])]


def updated(text, lessons):
    """A glossary, sorted by letter, with references and each entry's link to its first use."""
    introduction = re.split(r'^(?:\*\*|## )', text, maxsplit=1, flags=re.M)[0].rstrip()
    found = entries(text)
    unsorted = [(name, f'**{name}**. → {term}') for name, term in references(found)]
    for entry in found:
        also = f' ({", ".join(entry.also)})' if entry.also else ''
        first = f' <!-- first: {entry.first} -->' if entry.first else ''
        link = first_use(entry, lessons).link
        unsorted.append((entry.term, f'**{entry.term}**{also}. {entry.meaning} → {link}{first}'))
    lines, letter = [introduction], None
    for name, line in sorted(unsorted, key=lambda pair: key(pair[0])):
        if key(name)[0] != letter:
            letter = key(name)[0]
            lines.append(f'## {letter.upper()}')
        lines.append(line)
    return '\n\n'.join(lines) + '\n'


def main():
    """Rewrites the glossary in place."""
    try:
        text = updated(GLOSSARY.read_text(encoding='utf-8'), sections())
    except ValueError as error:
        sys.exit(str(error))
    with notebooks.replacing(GLOSSARY) as file:
        file.write(text)


if __name__ == '__main__':
    main()
