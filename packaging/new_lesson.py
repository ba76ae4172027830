"""Makes a new lesson that runs, from which an author sets out.

    python packaging/new_lesson.py 12_verb_noun

Writes the worked version ``notebooks/solutions/12_verb_noun.ipynb`` with every part that a lesson
must have and the set-up cell of lesson 0, the checks ``course_lib/check/lesson12.py``, their test
``tests/course/test_check_lesson12.py``, and the lesson's row in the README. What is the author's to
write is marked TODO; ``tests/notebooks/test_new_lesson.py`` fails as long as one is left.
"""
import pathlib
import re
import sys

import nbformat

import notebooks

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = re.compile(r'(\d\d)((?:_[a-z0-9]+){2,})')
LOOK_UP = ('> **Look up.** [Glossary](../glossary.md), [formulas](../formulas.md), '
           '[other libraries](../other_libraries.md).')
STEPS = '''\
Next, in this order:
  1. write what is marked TODO, in the three files
  2. make notebooks LESSON={number}
  3. .venv/bin/python -m pytest tests/notebooks tests/course/test_check_lesson{number}.py
CONTRIBUTING.md says what each part should be.'''

BOX = '''\
# {title}: TODO what it is about

{badge}> **What you'll do.** TODO one sentence.
>
> **What you'll learn**
> - TODO three to five points
>
> **What you need.** [Lesson 0](00_start_here.ipynb). TODO
>
{look_up}
>
> **Time.** 60 minutes to read and try, and as long again for the exercises; Run All \
takes about <!-- time -->5 s<!-- /time --> on two CPU cores.

<!-- worked -->
*This is the worked version, with solutions. [The lesson without them](../{name}.ipynb) is the \
one to learn from.*
<!-- end worked -->
<!-- learner: *Stuck? The [worked version](solutions/{name}.ipynb) has every solution.* -->'''

QUESTION = '''\
## The question

TODO a question about data that ships in `data/`.'''

DATA = '''\
flights = datasets.load_challenger()
print(f'{len(flights.distress)} flights')'''

PREDICT = '''\
> **Predict before you run.** TODO ask for numbers that the lesson will compare with.'''

SECTION = '''\
## {number}. TODO

**Idea.** TODO

**Formula.** TODO define every symbol.

**By hand.** TODO a few numbers on paper.{your_turn}'''

CODE = '''\
**Code.** TODO'''

PLOT = '''\
grid = np.linspace(-3, 3, 61)
density = D.Normal(0., 1.).prob(grid).array
fig, ax = plt.subplots()
ax.plot(grid, density)
ax.set(title='TODO', xlabel='value (no unit)', ylabel='density (per unit)')
peak = grid[density.argmax()]
show(fig, f'TODO a sentence computed from what is plotted: the peak is at {peak:.0f}.')'''

ORACLE = '''\
**Oracle.** TODO an independent source of the same number.'''

ANSWER = '''\
### BEGIN SOLUTION
{name} = {right}
### END SOLUTION
check.lesson{number}.{name}({name})'''

WRONG = '''\
## When it goes wrong

TODO a mistake that everybody makes, and what it looks like.'''

ERROR = '''\
try:
    D.Normal(0., -1.)
except ValueError as error:
    print(error)'''

RECAP = '''\
## Recap

- TODO

## Exercises

**★ (5 minutes)** TODO'''

END = '''\
## Further reading

- TODO author (year). Title. *Journal*.

**Next.** TODO'''

CHECKS = '''\
"""The checks of lesson {number}."""
from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

# TODO for each exercise: the right answer, computed; what it shows; and a hint for every mistake
# that you can think of.
_HEADS = 0.5
_TWO_HEADS = _HEADS ** 2
first = Exercise(
    right=_TWO_HEADS,
    shows='TODO one sentence.',
    mistakes=[
        exercise.log_probability(_TWO_HEADS),
        Mistake(1 - _TWO_HEADS, 'TODO this is the probability of the opposite.'),
        Mistake(2 * _HEADS, 'TODO this is the sum; independent probabilities multiply.'),
    ])

_VARIANCE = _HEADS * (1 - _HEADS)
second = Exercise(
    right=[_HEADS, _VARIANCE],
    shows='TODO one sentence.',
    mistakes=[
        Mistake([_VARIANCE, _HEADS], 'TODO both numbers are right; the mean comes first.'),
        Mistake([_HEADS, _VARIANCE ** 0.5], 'TODO the second number is the standard deviation.'),
    ])

one_star = two_stars = three_stars = first  # TODO a definition of its own for each
'''

TEST = '''\
"""The table is the test: right answers in several forms, and wrong ones with the hint expected."""
import numpy as np
import pytest
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

from course_lib.check import exercise, lesson{number}

NOT_YET = exercise.NOT_ATTEMPTED

CASES = [
    # TODO the same for every exercise
    (lesson{number}.first, 0.25, 'Correct.'),
    (lesson{number}.first, np.float32(0.25), 'Correct.'),
    (lesson{number}.first, ..., NOT_YET),
    (lesson{number}.first, np.log(0.25), 'the logarithm of the probability'),
    (lesson{number}.first, 0.75, 'of the opposite'),
    (lesson{number}.first, 1., 'this is the sum'),
    (lesson{number}.first, 9., 'too large'),

    (lesson{number}.second, [0.5, 0.25], 'Correct.'),
    (lesson{number}.second, np.float32([0.5, 0.25]), 'Correct.'),
    (lesson{number}.second, ..., NOT_YET),
    (lesson{number}.second, [0.25, 0.5], 'the mean comes first'),
    (lesson{number}.second, [0.5, 0.5], 'standard deviation'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(lesson{number}.first, lesson{number}.second)
'''


def cells(name, badge, set_up):
    """The cells of a new worked lesson.

    Args:
        name (str): Its file name without the ending.
        badge (str): The paragraph under the title that opens it in Colab, or ''.
        set_up (str): The set-up cell of all lessons.
    """
    number, words = NAME.fullmatch(name).groups()
    title = words[1:].replace('_', ' ').capitalize()
    md, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell

    def answer(exercise):
        right = '[0.5, 0.25]' if exercise == 'second' else '0.25'
        return code(ANSWER.format(name=exercise, right=right, number=number))

    first = code(set_up)
    first.metadata['tags'] = ['nbval-ignore-output']
    yield md(BOX.format(title=title, name=name, badge=badge, look_up=LOOK_UP))
    yield first
    yield from (md(QUESTION), code(DATA), md(PREDICT))
    for i, exercise in enumerate(('first', 'second', ''), 1):
        your_turn = ' **Your turn.** TODO ask for one number.' if exercise else ''
        yield md(SECTION.format(number=i, your_turn=your_turn))
        if exercise:
            yield answer(exercise)
        yield from (md(CODE), code(PLOT), md(ORACLE))
    yield from (md(WRONG), code(ERROR), md(RECAP), answer('one_star'))
    yield from (md('**★★ (15 minutes)** TODO'), answer('two_stars'))
    yield from (md('**★★★ (30 minutes or more)** TODO'), answer('three_stars'), md(END))


def create(name, root=ROOT):
    """Writes the files of a new lesson and its row in the README.

    Args:
        name (str): Its file name without the ending, such as ``12_verb_noun``.
        root (pathlib.Path): The top folder of the course.

    Returns:
        list: The paths written.

    Raises:
        ValueError: If the name is not of that form, or its number is taken.
    """
    found = NAME.fullmatch(name)
    if not found:
        raise ValueError('a lesson is named by two digits, a verb and a noun, such as '
                         f'12_verb_noun; got {name!r}')
    number, folder = found[1], root / 'notebooks' / 'solutions'
    taken = sorted(folder.glob(f'{number}_*.ipynb'))
    if taken:
        raise ValueError(f'there is a lesson {number} already: {taken[0].name}')
    start = nbformat.read(folder / '00_start_here.ipynb', as_version=4)
    badge = re.match(r'# .*\n\n(\[!\[.*\n\n)?', start.cells[0].source)[1] or ''
    set_up = next(cell.source for cell in start.cells if cell.cell_type == 'code')
    notebook = nbformat.v4.new_notebook(
        cells=list(cells(name, badge.replace('00_start_here', name), set_up)))
    path = folder / f'{name}.ipynb'
    notebooks.write(notebooks.clean(notebook), path)
    written = [path, root / f'course_lib/check/lesson{number}.py',
               root / f'tests/course/test_check_lesson{number}.py', root / 'README.md']
    title = notebook.cells[0].source.splitlines()[0][2:]
    for file, text in zip(written[1:], (
            CHECKS.format(number=number), TEST.format(number=number),
            with_row(written[-1].read_text(encoding='utf-8'), name, title))):
        with notebooks.replacing(file) as opened:
            opened.write(text)
    return written


def warning(name, root=ROOT):
    """A sentence to its author if a lesson to be made is not the next one, else ''."""
    last = max(int(path.name[:2]) for path in root.glob('notebooks/solutions/[0-9][0-9]_*.ipynb'))
    return '' if int(name[:2]) == last + 1 else (
        f'The last lesson is {last}: do you mean {last + 1:02d}?')


def with_row(readme, name, title):
    """The README with a row for a new lesson, after the row of the lesson before it."""
    number = int(name[:2])
    rows = list(re.finditer(r'^\| (\d+) \| \[.*?\]\(notebooks/(.*?)\.ipynb\).*\n', readme, re.M))
    before = [row for row in rows if int(row[1]) < number][-1]
    row = re.sub(r'\[[^!].*?\](?=\(notebooks/)', f'[{title}]', before[0], count=1)
    row = row.replace(before[2], name).replace(f'| {before[1]} |', f'| {number} |', 1)
    return readme[:before.end()] + row + readme[before.end():]


def main(arguments):
    """Creates the lesson named by the one argument and says what comes next."""
    if len(arguments) != 1:
        sys.exit('Name the lesson: make lesson NAME=12_verb_noun')
    try:
        doubt = warning(arguments[0]) if NAME.fullmatch(arguments[0]) else ''
        written = create(arguments[0])
    except ValueError as error:
        sys.exit(str(error))
    if doubt:
        print(doubt, file=sys.stderr)
    for path in written:
        print(path.relative_to(ROOT).as_posix())
    print(STEPS.format(number=arguments[0][:2]))


if __name__ == '__main__':
    main(sys.argv[1:])
