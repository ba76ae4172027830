"""Brings the glossary up to date: sorts it, and links each term to where it is first used.

    python packaging/glossary.py

An entry of ``notebooks/glossary.md`` is one line,

    **term** (other names, separated by commas). What it means.

What follows the full stop of the last sentence is written by this program: a link to the section
of the lesson in which one of the names is used first, of all prose but the box at the top and the
further reading. A word that also occurs in another sense says which words to look for, at the end
of the line: ``<!-- first: is called the gate -->``.
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
    """All entries of a glossary, in the order in which they stand.

    Raises:
        ValueError: If a line that starts as an entry does not go on as one.
    """
    found = []
    for line in text.splitlines():
        if line.startswith('**'):
            match = ENTRY.fullmatch(line)
            if not match:
                raise ValueError(f'glossary: an entry reads "**term** (other names). Meaning."; '
                                 f'got "{line}"')
            also = match['also'].split(', ') if match['also'] else []
            found.append(Entry(match['term'], also, match['meaning'], match['first']))
    return found


def key(entry):
    """What entries are sorted by: the letters of the term, whatever its case."""
    return re.sub(r'[^a-z0-9]+', ' ', entry.term.casefold().replace('β', 'beta'))


def updated(text, lessons):
    """A glossary, sorted by letter, with the link of each entry to its first use."""
    introduction = re.split(r'^(?:\*\*|## )', text, maxsplit=1, flags=re.M)[0].rstrip()
    lines, letter = [introduction], None
    for entry in sorted(entries(text), key=key):
        if key(entry)[0] != letter:
            letter = key(entry)[0]
            lines.append(f'## {letter.upper()}')
        also = f' ({", ".join(entry.also)})' if entry.also else ''
        first = f' <!-- first: {entry.first} -->' if entry.first else ''
        link = first_use(entry, lessons).link
        lines.append(f'**{entry.term}**{also}. {entry.meaning} → {link}{first}')
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
