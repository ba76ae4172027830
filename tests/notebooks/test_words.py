"""One spelling, and one word for one thing, in everything that a reader reads.

Prose of the lessons, pages beside them, docstrings of the library, and the verdicts of the checks.
Code, formulas, addresses and titles of cited works are left alone: they are spelt by others.
"""
import ast
import pathlib
import re

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob('*.md')), *sorted(ROOT.glob('notebooks/*.md')),
         *sorted(ROOT.glob('*/README.md')), *sorted(ROOT.glob('course_lib/**/README.md'))]
LESSONS = sorted(ROOT.glob('notebooks/**/[0-9]*.ipynb'))
MODULES = sorted(ROOT.glob('course_lib/**/*.py'))

# The word to use, and a regular expression for those that are not to be used in its place.
WORDS = {
    # British spelling, with -ise
    'analyse': r'analyz\w+', 'artefact': r'artifacts?', 'behaviour': r'behaviors?\b',
    'centre': r'center(?:s|ed|ing)?', 'colour': r'color(?:s|ed|ing)?', 'defence': r'defense',
    'favour': r'favor(?:s|ed|able|ite)?', 'grey': r'grays?', 'labelled': r'label(?:ed|ing)',
    'learnt': r'learned', 'modelling': r'model(?:ed|ing)', 'neighbour': r'neighbor\w*',
    'per cent': r'percent', 'spelt': r'spelled', 'travelled': r'travel(?:ed|ing)',
    '-ise': r'\w+(?<!s)iz(?:e|es|ed|ing|ation|ations)(?<!\bsize)(?<!\bresize)(?<!\bprize)',
    # one word for one thing
    'all-reduce': r'allreduce', 'autoencoder': r'auto[ -]encoders?',
    'cross-entropy': r'cross entrop(?:y|ies)',
    'cumulative distribution function': r'cumulative density(?: function)?',
    'data set': r'datasets?', 'file name': r'filenames?', 'finite differences':
    r'finite-differences?|numerical (?:derivative|differentiation)s?', 'held-out': r'heldout',
    'log-density': r'log densit(?:y|ies)|logdensit(?:y|ies)',
    'log-likelihood': r'log likelihoods?|loglikelihoods?', 'log-odds': r'log odds|logodds',
    'log-probability': r'log probabilit(?:y|ies)|log[ -]?probs?',
    'minibatch': r'mini[ -]batch(?:es)?', 'Monte Carlo': r'Monte-Carlo|monte carlo',
    'Normal distribution': r'(?:normal|Gaussian) distributions?',
    'over-dispersion': r'over ?dispers\w+', 'posterior collapse': r'KL vanishing',
    'reparameterise': r're-?parametri[sz]\w*|re-parameteri\w+', 'set-up': r'setups?',
    'speed-up': r'speed ?ups?', 'time stamp': r'timestamps?', 'zero-inflated': r'zero inflated',
    # names
    'Bernoulli': r'bernoulli', 'Chainer': r'chainer', 'ChainerMN': r'Chainer ?[Mm]n|chainermn',
    'CPU': r'cpus?', 'CuPy': r'cupy|Cupy', 'GPU': r'gpus?', 'Jupyter': r'jupyter',
    'JupyterLab': r'Jupyter Lab|Jupyterlab', 'NaN': r'NAN|Nan', 'NumPy': r'numpy|Numpy',
    'Poisson': r'poisson', 'PyTorch': r'pytorch|Pytorch', 'SciPy': r'scipy|Scipy',
    "Student's t": r'Student t|student.s t',
}
EN_DASH = {'Kullback–Leibler': r'Kullback[- ]Leibler', 'Gauss–Hermite': r'Gauss[- ]Hermite'}


def plain(text):
    """Markdown or a docstring without code, formulas, addresses and titles of cited works."""
    text = re.sub(r'^## Further reading.*?(?=^\*\*Next|\Z)', '', text, flags=re.S | re.M)
    text = re.sub(r'^ *Source:(?:.*\S.*\n?)+', '', text, flags=re.M)
    text = re.sub(r'\.\. math::.*?(?:\n\s*\n|\Z)', '\n', text, flags=re.S)
    text = re.sub(r'^```.*?^```|^ *(?:>>>|\.\.\.).*?$|^    .*?$', '', text, flags=re.S | re.M)
    text = re.sub(r'``.*?``|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|<!--.*?-->', ' ', text, flags=re.S)
    return re.sub(r'\]\([^)]*\)|https?://\S+|\b\w+(?:\.\w+)+\S*', ' ', text)


def findings(text, words):
    """Where the words that are not to be used occur, with what to use instead."""
    text = re.sub(r'\s+', ' ', plain(text))
    found = []
    for wanted, pattern in words.items():
        for match in re.finditer(rf'(?<![\w.-])(?:{pattern})(?![\w-])', text):
            where = text[max(0, match.start() - 30):match.end() + 30]
            found.append(f'"{match[0]}" in "…{where}…": write {wanted}')
    return found


def sentences(tree):
    """The strings of a program that consist of several words: titles, verdicts, printed lines."""
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)
            and isinstance(node.value, str) and node.value.strip().count(' ') > 2]


def prose_of_module(path):
    """The docstrings of a module and, if it is a check, its verdicts."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [ast.get_docstring(node) or '' for node in ast.walk(tree)
             if isinstance(node, documented)]
    return '\n\n'.join(texts + (sentences(tree) if path.parent.name == 'check' else []))


def prose_of_notebook(path):
    """The Markdown of a lesson, and the titles and lines that its cells print."""
    cells = nbformat.read(path, as_version=4).cells
    printed = [text for cell in cells if cell.cell_type == 'code'
               for text in sentences(ast.parse(re.sub(r'^[%!].*$', '', cell.source, flags=re.M)))]
    markdown = [cell.source for cell in cells if cell.cell_type == 'markdown']
    return '\n\n'.join(printed + markdown)


@pytest.mark.parametrize('path', LESSONS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_lessons(path):
    assert not findings(prose_of_notebook(path), WORDS | EN_DASH)


@pytest.mark.parametrize('path', PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_pages(path):
    assert not findings(path.read_text(encoding='utf-8'), WORDS | EN_DASH)


@pytest.mark.parametrize('path', MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules(path):
    assert not findings(prose_of_module(path), WORDS)


@pytest.mark.parametrize('text, found', [
    ('The colors of a minimized loss.', ['colors', 'minimized']),
    ('A Monte-Carlo mean of log probabilities.', ['log probabilities', 'Monte-Carlo']),
    ('The size of a prize; a minibatch, standardised.', []),
    ('`F.optimizer` and [numpy](numpy.org) but not $center$.', ['numpy']),
    ('## Further reading\n\n- A. Author. Optimizing behavior.\n\n**Next.** Nothing learned.',
     ['learned']),
    ('A cross entropy.\n\nSource: Someone (2000), Generalized normal distributions,\nsec. 2.',
     ['cross entropy']),
    ('Of `scipy` and\n\n    pip install scipy\n', []),
])
def test_the_search_itself(text, found):
    assert sorted(finding.split('"')[1] for finding in findings(text, WORDS)) == sorted(found)
