"""The stored examination: about a thousand cases of every family and divergence."""
import chainer
import exam
import mpmath
import pytest

import course_lib.distributions as D

CASES = exam.load()
REGENERATED = CASES[::50]


@pytest.fixture(scope='module')
def score():
    result = exam.Score()
    for case in CASES:
        result.add(case, exam.grade(case))
    return result


def test_stored_examination_is_passed(score):
    _, strict, aware, nan, error = score.total
    report = '\n'.join([str(score)] + [exam.describe(*f) for f in score.failures()[:20]])
    assert not nan and not error, report
    assert strict >= exam.STRICT * len(CASES) and aware >= exam.AWARE * len(CASES), report
    assert score.most_lost <= 1, report
    assert score.passes


@pytest.mark.parametrize('case', REGENERATED, ids=[case.question for case in REGENERATED])
def test_stored_references_are_what_mpmath_says(case):
    solution = exam.Solution(exam.QUESTIONS[case.question], case.inputs, case.fixed)
    assert solution.truths() == case.true


# Finite: what lies beyond is below the tolerance, and mpmath would evaluate e^(e^1000) exactly.
REAL, POSITIVE, UNIT, COUNTS = [-60, -10, -2, 0, 2, 10, 60], [0, 0.1, 1, 4, 20, 300], [0, 1], 200
NORMAL, LAPLACE, GUMBEL = 'Normal(loc, scale)', 'Laplace(loc, scale)', 'Gumbel(loc, scale)'
UNIFORM = 'Uniform(low, high)'
LOC_SCALE = (0.3, 1.2), (-0.5, 2)
DEFINITIONS = [   # divergence; the two families, as questions; their parameters; the support of p
    ('Beta(a, b)', None, (2.5, 1.5), (1.25, 3), UNIT),
    ('Binomial(n, p)', None, (0.3,), (0.6,), 9),
    ('Cauchy(loc, scale)', None, *LOC_SCALE, [-mpmath.inf, *REAL, mpmath.inf]),
    ('Chisquare(k)', None, (3,), (5.5,), POSITIVE),
    ('ContinuousBernoulli(logit)', None, (1.5,), (-0.75,), UNIT),
    ('Exponential(lam)', None, (1.5,), (0.5,), POSITIVE),
    ('Gamma(k, theta)', None, (2.5, 0.5), (1.5, 2), POSITIVE),
    ('Gamma(k, rate)', None, (2.5, 0.5), (1.5, 2), POSITIVE),
    ('Geometric(p)', None, (0.3,), (0.6,), COUNTS),
    (GUMBEL, None, *LOC_SCALE, REAL),
    ('HalfNormal(scale)', None, (1.5,), (0.5,), POSITIVE),
    (LAPLACE, None, *LOC_SCALE, sorted(REAL + [0.3, -0.5])),
    ('LogNormal(mu, sigma)', None, *LOC_SCALE, POSITIVE + [1e5, 1e9]),
    (NORMAL, None, *LOC_SCALE, REAL),
    ('Pareto(scale, alpha)', None, (1.5, 2), (1, 3), [1.5, 3, 100, mpmath.inf]),
    ('Poisson(lam)', None, (2.5,), (4,), COUNTS),
    (UNIFORM, None, (-1, 2), (-3, 2.5), [-1, 2]),
    ('Normal || Laplace', (NORMAL, LAPLACE), *LOC_SCALE, sorted(REAL + [-0.5])),
    ('Laplace || Normal', (LAPLACE, NORMAL), *LOC_SCALE, sorted(REAL + [0.3])),
    ('Normal || Gumbel', (NORMAL, GUMBEL), *LOC_SCALE, REAL),
    ('Gumbel || Normal', (GUMBEL, NORMAL), *LOC_SCALE, REAL),
    ('Uniform || Normal', (UNIFORM, NORMAL), (-1, 2), (-0.5, 2), [-1, 2]),
    ('Uniform || Gumbel', (UNIFORM, GUMBEL), (-1, 2), (-0.5, 2), [-1, 2]),
]


@pytest.mark.parametrize('name, families, p, q, support', DEFINITIONS)
def test_closed_forms_of_the_references_are_the_integrals(name, families, p, q, support):
    """KL = the integral, or the sum over the counts, of p (log p - log q)."""
    families = families or (name, name)
    p, q = ({k: mpmath.mpf(v) for k, v in zip(_parameters(family), values)}
            for family, values in zip(families, (p, q)))
    fixed = {'n': 9} if 'n,' in name else {}

    def term(x):
        a, b = (exam.QUESTIONS[family].reference(x, **values, **fixed)
                for family, values in zip(families, (p, q)))
        return mpmath.exp(a) * (a - b) if a > -mpmath.inf else 0

    first = 1 if name.startswith('Geometric') else 0
    integral = (mpmath.quad(term, sorted(support)) if isinstance(support, list)
                else mpmath.fsum(term(x) for x in range(first, support + 1)))
    inputs = {**{f'p_{k}': v for k, v in p.items()}, **{f'q_{k}': v for k, v in q.items()}}
    closed = exam.QUESTIONS[f'KL {name}'].reference(**inputs, **fixed)
    assert mpmath.almosteq(integral, closed, 1e-7)


def _parameters(question):
    names = question.partition('(')[2].rstrip(')').split(', ')
    return [name for name in names if name != 'n']


def test_examination_asks_every_question():
    assert {case.question for case in CASES} == set(exam.QUESTIONS)


def test_examination_covers_every_family():
    asked = {exam.family(name) for name in exam.QUESTIONS}
    families = {name for name, value in vars(D).items()
                if isinstance(value, type) and issubclass(value, D.Distribution)}
    assert families - {'Distribution'} <= asked


def test_examination_covers_every_registered_divergence():
    asked = set()
    for name in exam.QUESTIONS:
        if name.startswith('KL '):
            p, _, q = name.removeprefix('KL ').partition(' || ')
            asked.add((exam.family(p), exam.family(q or p)))
    registered = {(p.__name__, q.__name__) for p, q in chainer.distribution._KLDIVERGENCE
                  if p.__module__.startswith('course_lib.')}
    assert registered <= asked


def test_grading_tells_right_from_wrong():
    case = exam.Case('Normal(loc, scale)', 'f8', {'loc': 0.5, 'scale': 2.0, 'x': 1.5}, {},
                     None, ['1', '1', '1', '1'])
    solution = exam.Solution(exam.QUESTIONS[case.question], case.inputs, case.fixed)
    true = solution.truths()
    assert true[0].startswith('-1.7370857137646180')   # -1/8 - log 2 - log(2 pi)/2
    assert [float(t) for t in true[1:]] == [0.25, -0.375, -0.25]
    assert exam.grade(case._replace(true=true)).strict
    off = exam.grade(case._replace(true=[true[0], '0.2500000000005'] + true[2:]))
    assert not off.strict and not off.aware
    assert not exam.grade(case._replace(true=[true[0], true[1], '0.375', true[3]])).aware
