"""The page on other libraries: its code runs, and all libraries compute the same values.

Each library's code runs top to bottom in one process of its own, as a reader would run it. A name
that our code and another library's code of the same section both assign must have the same value;
so must the cells of a row of the table. ``make libraries`` runs this test where all are installed.
"""
import importlib.util
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

OURS = 'Chainer'
MODULES = {OURS: 'chainer', 'PyTorch': 'torch', 'NumPyro': 'numpyro',
           'TFP': 'tensorflow_probability'}
TABLE = 'The same question to a distribution'
RESULTS = {'log_prob', 'loss', 'slope', 'kl', 'bound'}   # of which each section has at least one

# Runs {section: code} read from standard input, and prints what each section's code assigned.
RUNNER = '''
import json, sys, types, warnings
warnings.simplefilter('ignore')
import numpy as np

def plain(value):
    value = getattr(value, 'array', value)
    value = value.detach() if hasattr(value, 'detach') else value
    if isinstance(value, (types.ModuleType, type)) or callable(value):
        raise TypeError
    return np.asarray(value, np.float64).tolist()

space, answers = {}, {}
for section, (code, cells) in json.load(sys.stdin).items():
    before = dict(space)
    exec(compile(code, section, 'exec'), space)
    new = {n: v for n, v in space.items() if n not in before or v is not before[n]}
    new.update({f'row {i}': eval(cell, space) for i, cell in enumerate(cells)})
    answers[section] = {}
    for name, value in new.items():
        try:
            answers[section][name] = plain(value)
        except (TypeError, ValueError):
            pass  # not a number
print(json.dumps(answers))
'''


def sections(text):
    """The page as {heading: text}."""
    parts = re.split(r'^## (.*)$', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def code_of(library, text):
    return '\n'.join(re.findall(rf'^```python\n# {library}\n(.*?)^```', text, flags=re.M | re.S))


def cells_of(library, text):
    """The library's column of the table."""
    rows = [[cell.strip(' `') for cell in line.strip('|').split(' | ')]
            for line in re.findall(r'^\|.*\|$', text, flags=re.M)]
    column = rows[0].index(library)
    return [row[column] for row in rows[2:]]


@pytest.fixture(scope='module')
def page(root):
    return sections((root / 'notebooks' / 'other_libraries.md').read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def answers(page, root):
    """A function that runs the page's code for a library, once, and returns what it assigned."""
    stored = {}

    def of(library):
        if importlib.util.find_spec(MODULES[library]) is None:
            pytest.skip(f'{library} is not installed; "make libraries" runs this test with it')
        if library not in stored:
            code = {section: (code_of(library, text),
                              cells_of(library, text) if section == TABLE else [])
                    for section, text in page.items() if code_of(library, text)}
            done = subprocess.run(
                [sys.executable, '-c', RUNNER], input=json.dumps(code), text=True,
                capture_output=True, env=dict(os.environ, JAX_PLATFORMS='cpu'))
            assert not done.returncode, done.stderr
            stored[library] = json.loads(done.stdout.splitlines()[-1])
        return stored[library]
    return of


@pytest.mark.parametrize('library', MODULES)
def test_every_value_agrees_with_ours(library, page, answers):
    theirs, ours = answers(library), answers(OURS)
    assert ours.keys() == {section for section, text in page.items() if '```' in text}
    assert theirs.keys() == ours.keys()
    for section, values in theirs.items():
        common = sorted(values.keys() & ours[section].keys() - {'draw'})  # draws are random
        assert RESULTS & set(common) or section in ('Start', TABLE), f'{section}: {library}'
        for name in common:
            np.testing.assert_allclose(
                values[name], ours[section][name], rtol=1e-4, atol=1e-5,
                err_msg=f'{section}: {name} in {library}')
