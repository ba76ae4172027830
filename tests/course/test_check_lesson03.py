"""The table is the test of the checks; below it, the lesson's three fits against each other."""
import math

import chainer
import chainer.functions as F
import nbformat
import numpy as np
import pytest
from verdicts import assert_no_hint_gives_the_answer_away, assert_verdict

import course_lib
from course_lib.check import exercise, lesson03
import course_lib.distributions as D

NOT_YET = exercise.NOT_ATTEMPTED
P_TWO = 0.7 ** 2 * math.exp(-0.7) / 2


def log_prob(b, X, y, offset, **change):
    return D.Poisson(log_lam=X @ b + offset).log_prob(y)


def total(b, X, y, offset):
    return F.sum(log_prob(b, X, y, offset))


def total_numpy(b, X, y, offset):
    eta = (X @ b + offset).astype(np.float64)
    return sum(k * e - math.exp(e) - math.lgamma(k + 1) for k, e in zip(y, eta))


def total_by_rate(b, X, y, offset):
    return F.sum(D.Poisson(lam=F.exp(X @ b + offset)).log_prob(y))


def total_naive(b, X, y, offset):
    rate = np.exp(X @ b + offset)
    with np.errstate(all='ignore'):
        return sum(k * np.log(r) - r - math.lgamma(k + 1) for k, r in zip(y, rate))


def without_factorial(b, X, y, offset):
    eta = np.float64(X @ b + offset)
    return (y * eta - np.exp(eta)).sum()


def squared(b, X, y, offset):
    return -((y - np.exp(np.float64(X @ b + offset))) ** 2).sum()


def step(b, X, y, offset, weight=lambda mu: mu):
    mu = np.exp(X @ b + offset)
    return np.linalg.inv(X.T @ np.diag(weight(mu)) @ X) @ X.T @ (y - mu)


def newton(b, X, y, offset):
    return b + step(b, X, y, offset)


def newton_by_chainer(b, X, y, offset):
    v = chainer.Variable(b)
    loss = -F.sum(D.Poisson(log_lam=F.matmul(X, v) + offset).log_prob(y))
    g, = chainer.grad([loss], [v], enable_double_backprop=True)
    hessian = np.stack([chainer.grad([c], [v])[0].array for c in g])
    return chainer.Variable(b - np.linalg.solve(hessian, g.array))


CASES = [
    (lesson03.expected_with_two, 280 * P_TWO, 'Correct.'),
    (lesson03.expected_with_two, np.float32(34.07), 'Correct.'),
    (lesson03.expected_with_two, 280 * D.Poisson(lam=0.7).prob(2), 'Correct.'),
    (lesson03.expected_with_two, ..., NOT_YET),
    (lesson03.expected_with_two, P_TWO, 'this is the probability'),
    (lesson03.expected_with_two, 280 * 2 * P_TWO, 'divide by 2!'),
    (lesson03.expected_with_two, 280 * 0.49 / 2, 'e to the power of minus the rate is missing'),
    (lesson03.expected_with_two, 280 * 0.49 / 2 * math.exp(0.7), 'the exponent of e'),
    (lesson03.expected_with_two, 280 * 0.7 * math.exp(-0.7), 'exactly one death'),
    (lesson03.expected_with_two, 280 * (1 - 1.7 * math.exp(-0.7)), 'two deaths or more'),
    (lesson03.expected_with_two, 32, 'how many there were'),
    (lesson03.expected_with_two, 34, 'rounded to a whole number'),
    (lesson03.expected_with_two, 34.5, 'Not yet, but close'),
    (lesson03.expected_with_two, 100, 'too large'),

    (lesson03.log_likelihood, total, 'Correct.'),
    (lesson03.log_likelihood, total_numpy, 'Correct.'),
    (lesson03.log_likelihood, lambda b, X, y, o: log_prob(b, X, y, o).array.sum(), 'Correct.'),
    (lesson03.log_likelihood, ..., NOT_YET),
    (lesson03.log_likelihood, lambda *v: ..., 'Not attempted yet: the function returns nothing'),
    (lesson03.log_likelihood, -7.5, 'write a function'),
    (lesson03.log_likelihood, lambda *v: -total(*v), 'this is the loss'),
    (lesson03.log_likelihood, lambda *v: F.mean(log_prob(*v)), 'this is the mean'),
    (lesson03.log_likelihood, total_by_rate, 'is 0 in float32'),
    (lesson03.log_likelihood, total_naive, 'is 0 in float32'),
    (lesson03.log_likelihood, lambda b, X, y, o: total(b, X, y, 0 * o), 'the offset is missing'),
    (lesson03.log_likelihood, lambda b, X, y, o: total(b, X, y, -o), 'not subtracted'),
    (lesson03.log_likelihood, lambda b, X, y, o: total(b, X, y, np.exp(o)), 'as it is'),
    (lesson03.log_likelihood, without_factorial, 'the term -log y! is missing'),
    (lesson03.log_likelihood, squared, 'sum of squared errors'),
    (lesson03.log_likelihood, lambda *v: total(*v) / np.log(2), 'in bits'),
    (lesson03.log_likelihood, log_prob, 'the shape is (4,), where () is'),
    (lesson03.log_likelihood, lambda b, X: 0, 'your function raised TypeError'),

    (lesson03.later_to_earlier, 104 / 92, 'Correct.'),
    (lesson03.later_to_earlier, np.float32(1.1304), 'Correct.'),
    (lesson03.later_to_earlier, [(104 / 140) / (92 / 140)], 'Correct.'),
    (lesson03.later_to_earlier, ..., NOT_YET),
    (lesson03.later_to_earlier, 92 / 104, 'the earlier rate over the later one'),
    (lesson03.later_to_earlier, np.log(104 / 92), 'the logarithm of the rate ratio'),
    (lesson03.later_to_earlier, 12 / 92, 'the increase as a fraction'),
    (lesson03.later_to_earlier, 12 / 140, 'the difference of the rates'),
    (lesson03.later_to_earlier, 104 / 140, 'this is the later rate'),
    (lesson03.later_to_earlier, 99 / 97, 'belongs to the later half'),
    (lesson03.later_to_earlier, 104 / 196, 'the share of all deaths'),
    (lesson03.later_to_earlier, 1.12, 'Not yet, but close'),
    (lesson03.later_to_earlier, 1.5, 'too large'),

    (lesson03.newton_step, newton, 'Correct.'),
    (lesson03.newton_step, lambda *v: list(newton(*v)), 'Correct.'),
    (lesson03.newton_step, newton_by_chainer, 'Correct.'),
    (lesson03.newton_step, ..., NOT_YET),
    (lesson03.newton_step, lambda *v: None, 'Not attempted yet: the function returns nothing'),
    (lesson03.newton_step, step, 'this is the step'),
    (lesson03.newton_step, lambda b, *v: b - step(b, *v), 'goes the wrong way'),
    (lesson03.newton_step, lambda b, X, y, o: newton(b, X, y, 0 * o), 'the offset is missing'),
    (lesson03.newton_step, lambda b, X, y, o: b + X.T @ (y - np.exp(X @ b + o)),
     'gradient ascent'),
    (lesson03.newton_step, lambda *v: v[0] + step(*v, weight=np.ones_like), 'expected count mu'),
    (lesson03.newton_step, lambda *v: v[0] + step(*v, weight=lambda mu: mu / (1 + mu) ** 2),
     'belong to lesson 1'),
    (lesson03.newton_step, lambda *v: v[0] + step(*v, weight=np.square), 'not by its square'),
    (lesson03.newton_step, lambda b, X, y, o: b + step(b, X, y, o, weight=lambda _: y),
     'not by the observed one'),
    (lesson03.newton_step, lambda b, X, y, o: np.outer(newton(b, X, y, o), [1, 1]),
     'the shape is (2, 2), where (2,) is'),
    (lesson03.newton_step, lambda b, X: b, 'your function raised TypeError'),
    (lesson03.newton_step, lambda b, *v: b * 0 + 7, '0 of 4 numbers are right'),

    (lesson03.bootstrap_error, 0.0348, 'Correct.'),
    (lesson03.bootstrap_error, np.float32(0.0360), 'Correct.'),
    (lesson03.bootstrap_error, [0.0335], 'Correct.'),
    (lesson03.bootstrap_error, ..., NOT_YET),
    (lesson03.bootstrap_error, 0.00843, 'that the Poisson model claims'),
    (lesson03.bootstrap_error, 0.0223, 'if single rows are drawn'),
    (lesson03.bootstrap_error, 0.0348 ** 2, 'this is the variance'),
    (lesson03.bootstrap_error, 1.96 * 0.0348, 'half an interval'),
    (lesson03.bootstrap_error, 0.0348 / 2000 ** 0.5, 'do not divide'),
    (lesson03.bootstrap_error, 0.0400, 'Not yet, but close'),
    (lesson03.bootstrap_error, 0.2, 'too large'),
]


@pytest.mark.parametrize('exercise, answer, expected', CASES)
def test_verdict(exercise, answer, expected):
    assert_verdict(exercise, answer, expected)


def test_no_hint_gives_the_answer_away():
    assert_no_hint_gives_the_answer_away(
        lesson03.expected_with_two, lesson03.later_to_earlier, lesson03.bootstrap_error)


@pytest.fixture(scope='module')
def lesson(root):
    """The names that the lesson's own code leaves behind, up to the comparison of the fits."""
    path = root / 'notebooks' / 'solutions' / '03_count_doctor_visits.ipynb'
    names = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == 'code':
            exec(cell.source, names)
            if 'published' in names:
                return names
    raise AssertionError('the lesson compares with no published fit')


# Stata 11, to the digits kept in statsmodels/discrete/tests/results/results_discrete.py (RandHIE).
STATA = np.array([
    [.700352877227, .01116266712362], [-.052535114675, .00288398915279],
    [-.247086797633, .01061725196728], [.035290201794, .00182833684966],
    [-.03457750643, .00161284852954], [.271713973711, .01223913844387],
    [.033941474461, .00056476496963], [-.012635035534, .00925061122826],
    [.054056326828, .01530987068312], [.206115121809, .02627928267502]])
STATA_LOG_LIKELIHOOD = -62419.588535018


def test_the_three_fits_agree(lesson):
    oracle = lesson['oracle']
    newton, minibatches = course_lib.to_numpy(lesson['b']), lesson['sgd'][-1]
    np.testing.assert_allclose(newton, oracle.params, rtol=0, atol=1e-4)
    np.testing.assert_allclose(minibatches, oracle.params, rtol=0, atol=1e-4)
    np.testing.assert_allclose(lesson['standard_errors'], oracle.bse, rtol=1e-3)


def test_the_published_fit_is_reproduced(lesson):
    np.testing.assert_allclose(course_lib.to_numpy(lesson['b']), STATA[:, 0], rtol=0, atol=1e-8)
    np.testing.assert_allclose(lesson['standard_errors'], STATA[:, 1], rtol=1e-6)
    assert abs(lesson['maximum'] - STATA_LOG_LIKELIHOOD) < 1e-5


def test_minibatches_see_every_row_once_a_pass(lesson):
    seen = []

    class Table:
        def __getitem__(self, rows):
            seen.extend(course_lib.to_numpy(rows).tolist())
            return lesson['Z'][rows]

    one_pass = lesson['one_pass']
    type(one_pass)(one_pass.__code__, {**lesson, 'Z': Table()})(4096)
    assert sorted(seen) == list(range(20190)) and seen != sorted(seen)
