"""The README's table of distributions says what the code does."""
import inspect
import pathlib
import re

import chainer
from families import FAMILIES
import numpy as np
import pytest
import scipy.stats

import course_lib.distributions as D

README = pathlib.Path(D.__file__).with_name('README.md').read_text(encoding='utf-8')
MEMBERS = {type(family.build()).__name__: family for family in FAMILIES.values()}


def rows():
    found = {}
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split(' | ')]
        name = re.match(r'`(\w+)\((.*)\)`', cells[0])
        if name and len(cells) == 7:
            found[name[1]] = (name[2], *[cell.strip(' `') for cell in cells[1:]])
    return found


def partners(name):
    """The families to which a closed-form divergence from this one is registered."""
    p = MEMBERS[name].build()
    found = []
    for other, family in MEMBERS.items():
        q = MEMBERS[name].build(MEMBERS[name].other) if other == name else family.build()
        try:
            chainer.kl_divergence(p, q)
        except NotImplementedError:
            continue
        except ValueError:
            pass  # registered, but not for these two members
        found.append(other)
    return ', '.join(sorted(found, key=lambda other: (other != name, other))) or 'none'


def test_every_distribution_has_a_row():
    assert set(rows()) == set(MEMBERS)


@pytest.mark.parametrize('name', sorted(MEMBERS))
def test_row(name):
    arguments, support, differentiable, divergences, torch_name, _, scipy_name = rows()[name]
    signature = ', '.join(inspect.signature(getattr(D, name)).parameters)
    assert arguments == signature
    d = MEMBERS[name].build()
    if support not in ('that of the base', 'n_levels levels from low to high'):
        assert support == d.support
    assert {'yes': True, 'no': False, 'as the base': d.has_rsample}[differentiable] == d.has_rsample
    assert divergences == partners(name)
    for part in scipy_name.replace('`', '').split(', '):
        assert part == '–' or hasattr(scipy.stats, part), part


@pytest.mark.parametrize('name', sorted(MEMBERS))
def test_counterpart_in_torch(name):
    distributions = pytest.importorskip('torch.distributions', reason='PyTorch is not installed')
    torch_name = rows()[name][4]
    assert torch_name == '–' or hasattr(distributions, torch_name), torch_name


def test_the_example_runs():
    code = re.search(r'```python\n(.*?)```', README, flags=re.S)[1]
    exec(compile(code, 'README', 'exec'), {'np': np})
