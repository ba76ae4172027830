"""An examination of the whole library, drawn afresh from a seed, with references from mpmath.

    python tests/distributions/exam.py --seed 1 --cases 1000
    python tests/distributions/exam.py --seed 0 --store tests/distributions/exam_cases.json.gz

A case is one log-probability (or one closed-form KL divergence) at one point, in one dtype. It
passes if the value and every gradient (in each parameter, and in x for a continuous family) are
right to 1e-5 (float32) or 1e-12 (float64) relative: 'strict'. 'Aware' widens the tolerance, where
that is more, to 8 units of rounding times the condition number, the factor by which a rounding of
the inputs alone changes the answer.

Each reference is the textbook definition, evaluated in mpmath at exactly the numbers that the code
under test received; gradients are central differences of it, with steps and digits that leave at
least 40 digits right. Nothing here comes from the code under test.
"""
import argparse
import collections
import decimal
import gzip
import json
import math
import pathlib
import sys
import types
from typing import Callable, NamedTuple

import chainer
from chainer import functions as F
import numpy

import course_lib.distributions as D
from course_lib.distributions import transforms

try:   # Only drawing and solving need it; grading a stored set does not.
    import mpmath
    from mpmath import mp, mpf
except ImportError:
    mp = None

STORED = pathlib.Path(__file__).with_name('exam_cases.json.gz')
TOLERANCE = {'f4': decimal.Decimal('1e-5'), 'f8': decimal.Decimal('1e-12')}
STRICT, AWARE = 0.97, 0.995       # what the library has to reach
STEP = 40                         # digits: the relative step of the central differences
KL_SHARE = 0.25                   # of the cases


class Question(NamedTuple):
    """A function of the library, its definition in mpmath, and how to draw a case of it."""

    make: Callable       # (**inputs, **fixed) -> chainer.Variable
    reference: Callable  # the same arguments as mpf numbers and lists of them -> mpf
    draw: Callable       # (Draw) -> (inputs, fixed): differentiable numbers, and constants
    digits: int


QUESTIONS = {}   # name -> Question; a family's name is what precedes '(', 'KL ' marks divergences


def ask(name, make, reference, draw, digits=400):
    QUESTIONS[name] = Question(make, reference, draw, digits)


def family(name):
    return name.partition('(')[0].strip()


# -- drawing ---------------------------------------------------------------------------------


class Draw:
    """Random numbers from moderate to extreme, each rounded to the dtype of the case."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype = rng, numpy.dtype(dtype)
        self.single = self.dtype == numpy.float32

    def round(self, value):
        with numpy.errstate(all='ignore'):
            return float(self.dtype.type(value))

    def chance(self, p):
        return self.rng.random() < p

    def one_of(self, *values):
        return values[self.rng.integers(len(values))]

    def sign(self):
        return self.one_of(-1., 1.)

    def magnitude(self, low, high):
        """Log-uniform between two positive numbers."""
        return self.round(10 ** self.rng.uniform(math.log10(low), math.log10(high)))

    def positive(self, low=1e-10, high=1e10, centre=1.):
        if self.chance(0.5):
            value = centre * math.exp(1.2 * self.rng.standard_normal())
            return self.round(min(max(value, low), high))
        return self.round(min(max(self.magnitude(low, high), low), high))

    def real(self, high=1e4):
        kind = self.rng.random()
        if kind < 0.55:
            return self.round(3 * self.rng.standard_normal())
        if kind < 0.9:
            return self.sign() * self.magnitude(1e-8, high)
        return self.one_of(0., 1., -1.)

    def logit(self):
        kind = self.rng.random()
        if kind < 0.45:
            return self.round(3 * self.rng.standard_normal())
        if kind < 0.65:
            return self.round(self.rng.uniform(-40, 40))
        if kind < 0.8:
            return self.round(self.rng.uniform(-1000, 1000))
        if kind < 0.9:
            return self.sign() * self.magnitude(1e-10, 1e4)
        return self.one_of(0., 1e4, -1e4, self.round(1e-8), self.round(-100.))

    def probability(self):
        """Strictly between 0 and 1, within 1e-30 of 0 or a few units of rounding of 1."""
        kind = self.rng.random()
        if kind < 0.4:
            value = self.round(self.rng.random())
        elif kind < 0.75:
            value = self.magnitude(1e-30, 0.5)
        else:
            value = self.round(1 - self.magnitude(numpy.finfo(self.dtype).eps, 0.5))
        return value if 0 < value < 1 else self.probability()

    def count(self):
        kind = self.rng.random()
        if kind < 0.45:
            return int(self.rng.integers(12))
        if kind < 0.9:
            return int(self.magnitude(1, 1e7))
        return self.one_of(0, 1, 10 ** 7)

    def count_near(self, mean, stddev):
        """A count some standard deviations from the mean, or any count."""
        if self.chance(0.35) or not mean + 30 * stddev < 1e7:
            return self.count()
        return max(0, round(mean + self.z() * stddev))

    def z(self, high=30):
        """A standard score, 1e-3 to 30 in size."""
        return self.sign() * self.magnitude(1e-3, high)

    def near(self, value):
        """The value, or one that differs relatively by 1e-6 to 1e-1."""
        if self.chance(0.1):
            return value
        shift = self.sign() * 10 ** self.rng.uniform(-6, -1)
        return self.round(value * (1 + shift) if value else shift)

    def loc_for(self, scale):
        kind = self.rng.random()
        if kind < 0.6:
            return self.round(10 * scale * self.rng.standard_normal())
        return 0. if kind < 0.75 else self.real()

    def loc_scale(self):
        scale = self.positive()
        return self.loc_for(scale), scale

    def log_scale(self):
        """Mostly scales between 1e-10 and 1e10; gradients in x must not leave the dtype's range."""
        if self.chance(0.8):
            return self.round(math.log(self.positive()))
        limit = 35 if self.single else 300
        return self.round(self.rng.uniform(-limit, limit))

    def vector(self, one, n):
        return [one() for _ in range(n)]

    def probabilities(self, n):
        """A vector that sums to 1 within rounding; sometimes with a tiny or vanishing entry."""
        logits = self.rng.standard_normal(n) * self.one_of(0.3, 1, 4)
        p = numpy.exp(logits - logits.max())
        if self.chance(0.25):
            p[self.rng.integers(n)] = self.magnitude(1e-30, 1e-3)
        return [self.round(v) for v in p / p.sum()]

    def logits(self, n):
        if self.chance(0.5):
            return [self.round(v) for v in self.rng.standard_normal(n) * self.one_of(0.1, 1, 5)]
        return self.vector(self.logit, n)

    def simplex(self, n, low=1e-20):
        """A point inside the simplex, as softmax outputs are: it sums to 1 within rounding."""
        w = self.rng.gamma(self.one_of(0.05, 0.3, 1, 20), size=n) + low
        return [self.round(v) for v in w / w.sum()]

    def lower_triangular(self, n):
        scale = self.positive(1e-5, 1e5)
        matrix = numpy.tril(self.rng.standard_normal((n, n)) * self.one_of(0.1, 1, 3))
        numpy.fill_diagonal(matrix, numpy.exp(self.rng.standard_normal(n)))
        return [[self.round(scale * v) for v in row] for row in matrix]


# -- solving ---------------------------------------------------------------------------------


def leaves(inputs):
    """The positions of all numbers in ``inputs``: ``(name, index, ...)``."""
    def walk(value, path):
        if isinstance(value, list):
            return [leaf for i, v in enumerate(value) for leaf in walk(v, path + (i,))]
        return [path]
    return [leaf for name, value in inputs.items() for leaf in walk(value, (name,))]


def pick(nested, path):
    for key in path:
        nested = nested[key]
    return nested


class Solution:
    """The reference of one case: its value, its gradients, and their condition."""

    def __init__(self, question, inputs, fixed):
        self.question, self.inputs, self.fixed = question, inputs, fixed
        self.paths = leaves(inputs)
        self.at = [mpf(pick(inputs, path)) for path in self.paths]
        smallest = min([abs(v) for v in self.at if v] + [mpf(1)])
        self.steps = [(abs(v) or smallest) * mpf(10) ** -STEP for v in self.at]
        self.cache = {}

    def f(self, *moves):
        """The function with some inputs moved by a step: ``(position, +1 or -1)`` each."""
        moves = tuple(sorted(moves))
        if moves not in self.cache:
            values = list(self.at)
            for i, direction in moves:
                values[i] += direction * self.steps[i]
            flat = iter(values)

            def build(value):
                return [build(v) for v in value] if isinstance(value, list) else next(flat)
            arguments = {name: build(value) for name, value in self.inputs.items()}
            self.cache[moves] = self.question.reference(**arguments, **self.fixed)
        return self.cache[moves]

    def slope(self, i, *moves):
        up, here, down = (self.f(*moves, *move) for move in ([(i, 1)], [], [(i, -1)]))
        if _is_real(up - down) and abs(up - down) < mpf(10) ** -20 * abs(up - here):
            return mpf(0)   # stationary: what is left is the curvature's own change
        return (up - down) / (2 * self.steps[i])

    def curvature(self, i, j):
        if i == j:
            return (self.f((i, 1)) - 2 * self.f() + self.f((i, -1))) / self.steps[i] ** 2
        return (self.slope(i, (j, 1)) - self.slope(i, (j, -1))) / (2 * self.steps[j])

    def truths(self):
        """The value and all gradients as strings of 40 digits; '' where there is no gradient."""
        with mp.workdps(self.question.digits):
            value = self.f()
            if value == -mpmath.inf:   # outside the support
                return ['-inf'] + ['0'] * len(self.at)
            self.slopes = [self.slope(i) for i in range(len(self.at))]
            # What is 0 by symmetry comes out as noise of this size.
            noise = mpf(10) ** (30 - self.question.digits) * max(abs(value), 1)
            return [_digits(v, noise / h)
                    for v, h in zip([value] + self.slopes, [1] + self.steps)]

    def sums(self):
        """For the value and each gradient, the sum over the inputs t of |t df/dt|."""
        with mp.workdps(self.question.digits):
            if self.f() == -mpmath.inf:
                return ['0'] * (1 + len(self.at))
            n = range(len(self.at))
            rows = [self.slopes] + [[self.curvature(i, j) for j in n] for i in n]
            return [_digits(mpmath.fsum(abs(t * s) for t, s in zip(self.at, row) if _is_real(s)),
                            n=5) for row in rows]


def _is_real(z):
    return isinstance(z, mpf) and mpmath.isfinite(z)


def _digits(z, noise=0, n=40):
    if not _is_real(z):
        return ''
    if abs(z) <= noise:
        return '0'
    if mpmath.mag(z) > 10 ** 6:   # e^(e^20), say: far beyond any dtype, and what Decimal holds
        return '1e99999' if z > 0 else '-1e99999'
    return mpmath.nstr(z, n, strip_zeros=True, min_fixed=-3, max_fixed=12).removesuffix('.0')


class Case(NamedTuple):
    """One question at one point. ``true`` holds the value and the gradients, ``sums`` likewise."""

    question: str
    dtype: str
    inputs: dict
    fixed: dict
    true: list
    sums: list


def draw_case(name, rng):
    """A case whose value is representable in its dtype, and its :class:`Solution`."""
    question = QUESTIONS[name]
    while True:
        dtype = ('f4', 'f8')[rng.integers(2)]
        inputs, fixed = question.draw(Draw(rng, dtype))
        solution = Solution(question, inputs, fixed)
        true = solution.truths()
        if true[0] and (true[0] == '-inf' or not _leaves_range(true[0], dtype)):
            return Case(name, dtype, inputs, fixed, true, None), solution


def draw_cases(seed, n):
    """``n`` cases, spread evenly over the families and, a quarter of them, over the KLs."""
    rng = numpy.random.default_rng(seed)
    groups = {True: collections.defaultdict(list), False: collections.defaultdict(list)}
    for name in QUESTIONS:
        groups[name.startswith('KL ')][family(name)].append(name)
    n_kl = round(n * KL_SHARE)
    for is_kl, total in ((False, n - n_kl), (True, n_kl)):
        families = list(groups[is_kl].values())
        for k in range(total if families else 0):
            names = families[k % len(families)]
            yield draw_case(names[k // len(families) % len(names)], rng)


def _leaves_range(true, dtype):
    """Whether it overflows or is subnormal."""
    size, info = abs(decimal.Decimal(true)), numpy.finfo(dtype)
    return size > decimal.Decimal(float(info.max)) or 0 < size < decimal.Decimal(float(info.tiny))


# -- grading ---------------------------------------------------------------------------------


class Grade(NamedTuple):
    strict: bool
    aware: bool
    nan: bool
    error: str
    worst: tuple   # of the entries: (name, got, true, relative error)


def answer(case):
    """The value and all gradients that the library returns, as Python floats."""
    dtype = numpy.dtype(case.dtype)
    inputs = {name: chainer.Variable(numpy.array(value, dtype))
              for name, value in case.inputs.items()}
    y = QUESTIONS[case.question].make(**inputs, **case.fixed)
    if y.shape != () or y.dtype != dtype:
        raise AssertionError(f'shape {y.shape} and dtype {y.dtype}, wanted () and {dtype}')
    y.backward()
    gradients = {name: numpy.zeros_like(v.array) if v.grad is None else v.grad
                 for name, v in inputs.items()}
    return [float(y.array)] + [
        float(gradients[path[0]][path[1:]]) for path in leaves(case.inputs)]


def grade(case, sums=None):
    """Grades the library's answer; ``sums`` is called for the condition only if need be."""
    try:
        got = answer(case)
    except Exception as e:
        return Grade(False, False, False, f'{type(e).__name__}: {e}', None)
    names = ['value'] + ['.'.join(map(str, path)) for path in leaves(case.inputs)]
    entries = [e for e in zip(names, got, case.true, range(len(got))) if e[2]]
    nan = any(math.isnan(g) for _, g, _, _ in entries)
    wrong = [e for e in entries if not _is_close(e[1], e[2], '0', case.dtype)]
    if not wrong:
        return Grade(True, True, False, '', None)
    sums = case.sums or sums()
    worst = max(wrong, key=lambda e: _relative_error(e[1], e[2]))[:3]
    aware = all(_is_close(g, true, sums[i] or '0', case.dtype) for _, g, true, i in wrong)
    return Grade(False, aware, nan, '', worst + (_relative_error(*worst[1:]),))


def _is_close(got, true, sum_of_slopes, dtype):
    info = numpy.finfo(dtype)
    if math.isnan(got):
        return False
    if true == '-inf':
        return got == -math.inf
    exact = decimal.Decimal(true)
    tiny = decimal.Decimal(float(info.tiny))
    if abs(exact) > decimal.Decimal(float(info.max)):
        return True   # not representable; only a NaN would be wrong
    if math.isinf(got):
        return False
    tolerance = max(TOLERANCE[dtype] * abs(exact),
                    8 * decimal.Decimal(float(info.eps)) * decimal.Decimal(sum_of_slopes))
    if 0 < abs(exact) < tiny:
        tolerance += 2 * tiny
    return abs(decimal.Decimal(got) - exact) <= tolerance


def _relative_error(got, true):
    if not math.isfinite(got) or true == '-inf':
        return math.inf
    exact = decimal.Decimal(true)
    return float(abs(decimal.Decimal(got) - exact) / abs(exact)) if exact else math.inf


class Score:
    """Grades by family, and in total."""

    def __init__(self):
        self.grades = collections.defaultdict(list)

    def add(self, case, result):
        self.grades[family(case.question)].append((case, result))

    def counts(self, graded):
        return [len(graded)] + [sum(bool(getattr(g, field)) for _, g in graded)
                                for field in ('strict', 'aware', 'nan', 'error')]

    @property
    def total(self):
        return self.counts([g for graded in self.grades.values() for g in graded])

    @property
    def passes(self):
        n, strict, aware, nan, error = self.total
        return (strict >= STRICT * n and aware >= AWARE * n and self.most_lost <= 1
                and not nan and not error)

    @property
    def most_lost(self):
        """How many cases are not aware in the worst family: a wrong divergence has but a few."""
        counts = map(self.counts, self.grades.values())
        return max((n - aware for n, _, aware, _, _ in counts), default=0)

    def failures(self):
        """The failing cases, the gravest first: errors, NaN, not aware, not strict."""
        failed = [(case, g) for graded in self.grades.values() for case, g in graded
                  if not g.strict]
        return sorted(failed, key=lambda f: (not f[1].error, not f[1].nan, f[1].aware))

    def __str__(self):
        lines = [f'{"":<44}{"cases":>6}{"strict %":>10}{"aware %":>9}{"NaN":>5}{"errors":>8}']
        rows = [(name, self.counts(graded)) for name, graded in self.grades.items()]
        for name, (n, strict, aware, nan, error) in rows + [('all', self.total)]:
            lines.append(f'{name:<44}{n:>6}{100 * strict / n:>10.1f}{100 * aware / n:>9.1f}'
                         f'{nan:>5}{error:>8}')
        return '\n'.join(lines)


def describe(case, result):
    point = ', '.join(f'{k}={v}' for k, v in {**case.inputs, **case.fixed}.items())
    if result.error:
        what = result.error
    else:
        name, got, true, error = result.worst
        what = f'{name}: got {got:.17g}, true {true[:22]}{_exponent(true)}, error {error:.2g}'
    mark = ('ERROR' if result.error else 'NaN' if result.nan
            else 'aware' if result.aware else 'WRONG')
    return f'{mark:<6}{case.question} {case.dtype}: {point}\n      {what}'


def _exponent(true):
    return true[true.index('e'):] if 'e' in true[22:] else ''


def save(path, cases):
    """Writes the cases and their sums, as JSON, compressed, byte for byte reproducible."""
    text = json.dumps([list(case) for case in cases], separators=(',', ':'))
    temporary = path.with_suffix('.tmp')
    temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
    temporary.replace(path)


def load(path=STORED):
    """The stored cases."""
    return [Case(*fields) for fields in json.loads(gzip.decompress(path.read_bytes()))]


# -- definitions -----------------------------------------------------------------------------


def xlogy(x, y):
    return mpf(0) if x == 0 else x * mp.log(y)


def xlog1py(x, y):
    return mpf(0) if x == 0 else x * mp.log1p(y)


def log_factorial(x):
    return mp.loggamma(mpf(x) + 1)


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def log_choose(n, x):
    return log_factorial(n) - log_factorial(x) - log_factorial(n - x)


def softplus(z):
    return mp.log1p(mp.exp(z)) if z < 0 else z + mp.log1p(mp.exp(-z))


def sigmoid(z):
    return 1 / (1 + mp.exp(-z))


def logit_of(p):
    return mp.log(p) - mp.log1p(-p)


def log_softmax(logit, k):
    """-log of 1 + the sum of the other terms relative to term k."""
    return -mp.log1p(sum(mp.exp(z - logit[k]) for j, z in enumerate(logit) if j != k))


def logsumexp(terms):
    top = max(terms)
    return top + mp.log(sum(mp.exp(t - top) for t in terms))


def inside(condition, value):
    return value() if condition else -mpmath.inf


def bernoulli_logit(x, logit):
    return -softplus(-logit if x else logit)


def bernoulli_p(x, p):
    return mp.log(p) if x else mp.log1p(-p)


def beta(x, a, b):
    return inside(0 <= x <= 1,
                  lambda: xlogy(a - 1, x) + xlog1py(b - 1, -x) - log_beta(a, b))


def binomial_logit(x, n, logit):
    return log_choose(n, x) - x * softplus(-logit) - (n - x) * softplus(logit)


def binomial_p(x, n, p):
    return log_choose(n, x) + xlogy(x, p) + xlog1py(n - x, -p)


def cauchy(x, loc, scale):
    return -mp.log(mp.pi) - mp.log(scale) - mp.log1p(((x - loc) / scale) ** 2)


def chisquare(x, k):
    return inside(x >= 0, lambda: (
        xlogy(k / 2 - 1, x) - x / 2 - k / 2 * mp.log(2) - mp.loggamma(k / 2)))


def log_mean_of_growth(z):
    """log of the integral of e^(z x) over 0 <= x <= 1, log((e^z - 1) / z)."""
    if z == 0:
        return mpf(0)
    return mp.log(mp.expm1(z) / z) if z < 0 else z + mp.log(-mp.expm1(-z) / z)


def continuous_bernoulli_logit(x, logit):
    return inside(0 <= x <= 1, lambda: logit * x - log_mean_of_growth(logit))


def continuous_bernoulli_p(x, p):
    return continuous_bernoulli_logit(x, logit_of(p))


def dirichlet(x, alpha):
    return inside(all(v >= 0 for v in x), lambda: (
        mp.loggamma(sum(alpha)) + sum(xlogy(a - 1, v) - mp.loggamma(a) for a, v in zip(alpha, x))))


def discretized_logistic(x, loc, log_scale, low, high, n_levels):
    half = mpf(high - low) / (n_levels - 1) / 2
    a, b = ((x + d - loc) * mp.exp(-log_scale) for d in (-half, half))
    if x == low:
        return -softplus(-b)
    if x == high:
        return -softplus(a)
    if a > 0:   # the same difference, of upper tails
        a, b = -b, -a
    return mp.log(sigmoid(b) - sigmoid(a))


def exponential(x, lam):
    return inside(x >= 0, lambda: mp.log(lam) - lam * x)


def gamma_theta(x, k, theta):
    return inside(x >= 0, lambda: (
        xlogy(k - 1, x) - x / theta - k * mp.log(theta) - mp.loggamma(k)))


def gamma_rate(x, k, rate):
    return gamma_theta(x, k, 1 / rate)


def geometric_p(x, p):
    return xlog1py(x - 1, -p) + mp.log(p)


def geometric_logit(x, logit):
    return -(x - 1) * softplus(logit) - softplus(-logit)


def gumbel(x, loc, scale):
    z = (x - loc) / scale
    return -mp.log(scale) - z - mp.exp(-z)


def half_normal(x, scale):
    return inside(x >= 0, lambda: mp.log(2) + normal(x, 0, scale))


def laplace(x, loc, scale):
    return -mp.log(2 * scale) - abs(x - loc) / scale


def log_normal(x, mu, sigma):
    return inside(x > 0, lambda: normal(mp.log(x), mu, sigma) - mp.log(x))


def multivariate_normal(x, loc, scale_tril):
    z = []
    for row, v, m in zip(scale_tril, x, loc):
        z.append((v - m - sum(w * u for w, u in zip(row, z))) / row[len(z)])
    return (-sum(u ** 2 for u in z) / 2 - len(x) * mp.log(2 * mp.pi) / 2
            - sum(mp.log(row[i]) for i, row in enumerate(scale_tril)))


def negative_binomial(x, mean=None, log_mean=None, logit=None,
                      concentration=None, log_concentration=None):
    r = mp.exp(log_concentration) if concentration is None else concentration
    if logit is None:
        logit = (mp.log(mean) if log_mean is None else log_mean) - mp.log(r)
    return (mp.loggamma(x + r) - mp.loggamma(r) - log_factorial(x)
            - r * softplus(logit) - x * softplus(-logit))


def normal(x, loc, scale):
    return -((x - loc) / scale) ** 2 / 2 - mp.log(scale) - mp.log(2 * mp.pi) / 2


def pareto(x, scale, alpha):
    return inside(x >= scale, lambda: (
        mp.log(alpha) + alpha * mp.log(scale) - (alpha + 1) * mp.log(x)))


def poisson(x, lam):
    return xlogy(x, lam) - lam - log_factorial(x)


def poisson_log(x, log_lam):
    return x * log_lam - mp.exp(log_lam) - log_factorial(x)


def relaxed_bernoulli(x, temperature, logit):
    """Maddison, Mnih and Teh (2017), eq. 24."""
    t = temperature
    u, v = -t * mp.log(x) + logit, -t * mp.log1p(-x)
    return mp.log(t) + logit - (t + 1) * (mp.log(x) + mp.log1p(-x)) - 2 * logsumexp([u, v])


def relaxed_one_hot_categorical(x, temperature, logit):
    """Maddison, Mnih and Teh (2017), eq. 10."""
    t, n = temperature, len(x)
    return (mp.loggamma(mpf(n)) + (n - 1) * mp.log(t)
            + sum(z - (t + 1) * mp.log(v) for z, v in zip(logit, x))
            - n * logsumexp([z - t * mp.log(v) for z, v in zip(logit, x)]))


def student_t(x, df, loc, scale):
    return (mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2
            - mp.log(scale) - (df + 1) / 2 * mp.log1p(((x - loc) / scale) ** 2 / df))


def uniform(x, low, high):
    return inside(low <= x <= high, lambda: -mp.log(high - low))


def transformed_exp(x, loc, scale):
    return inside(x > 0, lambda: normal(mp.log(x), loc, scale) - mp.log(x))


def transformed_sigmoid(x, loc, scale):
    return normal(logit_of(x), loc, scale) - mp.log(x) - mp.log1p(-x)


def transformed_softplus(x, loc, scale):
    inverse = x + mp.log(-mp.expm1(-x))
    return normal(inverse, loc, scale) + softplus(-inverse)


def transformed_affine(x, loc, scale, shift, factor):
    return normal((x - shift) / factor, loc, scale) - mp.log(abs(factor))


def transformed_planar(x, loc, scale, w, u, b):
    """Rezende and Mohamed (2015), appendix A.1; w.(inverse of x) by Newton's method."""
    def dot(a, b):
        return sum(s * t for s, t in zip(a, b))
    excess = softplus(dot(w, u)) - 1
    u = [v + (excess - dot(w, u)) * t / dot(w, w) for v, t in zip(u, w)]
    a = dot(w, x) - excess * mp.tanh(dot(w, x) + b)
    for _ in range(200):
        h = mp.tanh(a + b)
        step = (a + excess * h - dot(w, x)) / (1 + excess * (1 - h * h))
        a -= step
        if abs(step) < mpf(10) ** (-mp.dps // 2 - 5) * (abs(a) + mpf(10) ** -20):
            a -= (a + excess * mp.tanh(a + b) - dot(w, x)) / (
                1 + excess * (1 - mp.tanh(a + b) ** 2))
            break
    else:
        return mp.nan
    h = mp.tanh(a + b)
    inverse = [v - t * h for v, t in zip(x, u)]
    return sum(normal(*v) for v in zip(inverse, loc, scale)) - mp.log1p(excess * (1 - h * h))


def transformed_coupling(x, loc, scale, a, b):
    shift, log_scale = a * x[0], mp.atan(b * x[0])
    return (normal(x[0], loc[0], scale[0]) - log_scale
            + normal((x[1] - shift) * mp.exp(-log_scale), loc[1], scale[1]))


def mixture(logit, log_probs):
    return logsumexp([log_softmax(logit, k) + lp for k, lp in enumerate(log_probs)])


# -- drawing the families --------------------------------------------------------------------


def of_real_line(d, loc, scale, z=None):
    """A point of the real line some scales from loc."""
    return d.round(loc + (d.z() if z is None else z) * scale)


def draw_loc_scale(names=('loc', 'scale')):
    def draw(d):
        loc, scale = d.loc_scale()
        return dict(zip(names, (loc, scale)), x=of_real_line(d, loc, scale)), {}
    return draw


def draw_log_scale(d):
    log_scale = d.log_scale()
    loc = d.loc_for(math.exp(log_scale))
    return dict(loc=loc, log_scale=log_scale, x=of_real_line(d, loc, math.exp(log_scale))), {}


def draw_gumbel(d):
    loc, scale = d.loc_scale()
    # To the left the density falls as exp(-exp(-z)).
    z = d.z() if d.chance(0.5) else abs(d.z())
    return dict(loc=loc, scale=scale, x=of_real_line(d, loc, scale, max(z, -6))), {}


def draw_binary(**one):
    def draw(d):
        x = int(d.rng.integers(2))
        value = {name: getattr(d, kind)() for name, kind in one.items()}
        if 'p' in value and d.chance(0.1):
            value['p'] = float(x)   # certain, and observed
        return value, dict(x=x)
    return draw


def draw_beta(d):
    a, b = d.positive(1e-3, 1e8), d.positive(1e-3, 1e8)
    if d.chance(0.1):
        x = d.one_of(0., 1.)
        return dict(a=1. if x == 0 else a, b=1. if x == 1 else b, x=x), {}
    if d.chance(0.08):
        return dict(a=a, b=b, x=d.one_of(-1., 2.5)), {}
    if d.chance(0.4):
        mean = a / (a + b)
        x = d.round(mean + d.z(8) * math.sqrt(mean * (1 - mean) / (a + b + 1)))
        if 0 < x < 1:
            return dict(a=a, b=b, x=x), {}
    return dict(a=a, b=b, x=d.probability()), {}


def draw_binomial(**one):
    def draw(d):
        n = max(1, d.count())
        value = {name: getattr(d, kind)() for name, kind in one.items()}
        p = value['p'] if 'p' in value else 1 / (1 + math.exp(-max(value['logit'], -700.)))
        x = min(n, d.count_near(n * p, math.sqrt(n * p * (1 - p))))
        if 'p' in value and d.chance(0.08):
            value['p'], x = d.one_of((0., 0), (1., n))
        return value, dict(n=n, x=x)
    return draw


def draw_index(one_hot=False, **one):
    def draw(d):
        (name, kind), = one.items()
        n = int(d.rng.integers(2, 6))
        value = getattr(d, kind)(n)
        k = int(d.rng.integers(n))
        if name == 'p' and d.chance(0.1):
            value[(k + 1) % n] = 0.
            value = [d.round(v / sum(value)) for v in value]
        x = [int(j == k) for j in range(n)] if one_hot else k
        return {name: value}, dict(x=x)
    return draw


def draw_chisquare(d):
    k = d.positive(1e-3, 1e8)
    return draw_for_gamma(d, dict(k=k), k / 2, 2.)


def draw_for_gamma(d, params, shape, scale):
    kind = d.rng.random()
    if kind < 0.06:
        return dict(params, x=-d.positive()), {}
    if kind < 0.12:
        first = next(iter(params))
        return dict(params, **{first: 2. if first == 'k' and len(params) == 1 else 1.}, x=0.), {}
    x = (shape + d.z(10) * math.sqrt(shape)) * scale
    if kind < 0.5 and x > 0:
        return dict(params, x=d.round(x)), {}
    return dict(params, x=d.round(d.positive(1e-12, 1e4) * min(scale * max(shape, 1), 1e25))), {}


def draw_gamma(name):
    def draw(d):
        k = d.positive(1e-3, 1e8)
        value = d.positive()
        return draw_for_gamma(d, {'k': k, name: value}, k, value if name == 'theta' else 1 / value)
    return draw


def draw_continuous_bernoulli(**one):
    def draw(d):
        value = {name: getattr(d, kind)() for name, kind in one.items()}
        if d.chance(0.15):
            value = {k: d.round(0.5 + v) if k == 'p' else v
                     for k, v in ((k, d.sign() * d.magnitude(1e-7, 0.1)) for k in value)}
        x = d.one_of(0., 1., 0.5, -0.5, 2.) if d.chance(0.2) else d.probability()
        return dict(value, x=x), {}
    return draw


def draw_dirichlet(d):
    n = int(d.rng.integers(2, 5))
    alpha = d.vector(lambda: d.positive(1e-3, 1e8), n)
    if d.chance(0.4):
        alpha = d.vector(lambda: d.positive(1e-1, 1e2), n)
    return dict(alpha=alpha, x=d.simplex(n)), {}


def draw_discretized_logistic(d):
    low, high, n = d.one_of((0., 255., 256), (-1., 1., 257), (0., 1., 2), (0., 15., 16))
    step = (high - low) / (n - 1)
    log_scale = d.round(math.log(step) + d.one_of(d.rng.uniform(-6, 6), d.rng.standard_normal(),
                                                  d.rng.uniform(-20, 20)))
    x = d.one_of(low, high) if d.chance(0.5) else low + step * int(d.rng.integers(n))
    loc = d.round(x + d.z(20) * math.exp(log_scale)) if d.chance(0.4) else d.round(
        low + (high - low) * (0.5 + d.rng.standard_normal()))
    return dict(loc=loc, log_scale=log_scale), dict(x=x, low=low, high=high, n_levels=n)


def draw_exponential(d):
    lam = d.positive(1e-30, 1e8)
    x = d.round(abs(d.z()) / lam)
    if d.chance(0.15):
        x = d.one_of(0., -1.)
    return dict(lam=lam, x=x), {}


def draw_geometric(**one):
    def draw(d):
        value = {name: getattr(d, kind)() for name, kind in one.items()}
        x = 1 + d.count()
        if 'p' in value and d.chance(0.08):
            value['p'], x = 1., 1
        return value, dict(x=x)
    return draw


def draw_half_normal(d):
    scale = d.positive()
    x = d.one_of(0., -scale) if d.chance(0.12) else d.round(abs(d.z()) * scale)
    return dict(scale=scale, x=x), {}


def draw_independent(d):
    pairs = [d.loc_scale() for _ in range(3)]
    return dict(loc=[m for m, _ in pairs], scale=[s for _, s in pairs],
                x=[of_real_line(d, m, s) for m, s in pairs]), {}


def draw_log_normal(names):
    def draw(d):
        mu, sigma = d.round(5 * d.rng.standard_normal()), d.positive(1e-5, 1e2)
        x = d.round(math.exp(min(max(mu + d.z(10) * sigma, -60), 60)))
        if d.chance(0.08):
            x = -1.
        return dict(zip(names, (mu, sigma)), x=x), {}
    return draw


def draw_multivariate_normal(d):
    n = int(d.rng.integers(2, 4))
    tril = d.lower_triangular(n)
    scale = tril[0][0]
    loc = [d.round(scale * 5 * v) for v in d.rng.standard_normal(n)]
    z = d.rng.standard_normal(n) * d.one_of(1, 10)
    x = [d.round(m + sum(w * u for w, u in zip(row, z))) for m, row in zip(loc, tril)]
    return dict(x=x, loc=loc, scale_tril=tril), {}


def draw_negative_binomial(mean_name, concentration_name):
    def draw(d):
        r = d.positive(1e-3, 1e8)
        mean = d.positive(1e-30, 1e8, 5.) if d.chance(0.5) else d.positive(1e-3, 1e7, 20.)
        values = {'mean': mean, 'log_mean': d.round(math.log(mean)),
                  'logit': d.round(math.log(mean / r)),
                  'concentration': r, 'log_concentration': d.round(math.log(r))}
        if d.chance(0.15) and mean_name != 'mean':
            values[mean_name] = d.round(d.rng.uniform(-400, 80))
        x = d.count_near(mean, math.sqrt(mean + mean * mean / r))
        return {k: values[k] for k in (mean_name, concentration_name)}, dict(x=x)
    return draw


def draw_pareto(d):
    scale, alpha = d.positive(), d.positive(1e-5, 1e5)
    x = d.round(scale * math.exp(min(abs(d.z()) / alpha, 40)))
    if d.chance(0.15):
        x = d.one_of(scale, d.round(scale / 2), -1.)
    return dict(scale=scale, alpha=alpha, x=max(x, scale) if x > 0.6 * scale else x), {}


def draw_poisson(d):
    lam = d.positive(1e-30, 1e8, 5.)
    if d.chance(0.06):
        return dict(lam=0.), dict(x=0)
    return dict(lam=lam), dict(x=d.count_near(lam, math.sqrt(lam)))


def draw_poisson_log(d):
    lam = d.positive(1e-30, 1e8, 5.)
    if d.chance(0.15):
        return dict(log_lam=d.round(d.rng.uniform(-1e4, 80))), dict(x=d.count())
    return dict(log_lam=d.round(math.log(lam))), dict(x=d.count_near(lam, math.sqrt(lam)))


def draw_relaxed_bernoulli(d):
    return dict(x=d.probability(), temperature=d.positive(1e-2, 1e2), logit=d.logit()), {}


def draw_relaxed_one_hot(d):
    n = int(d.rng.integers(2, 5))
    return dict(x=d.simplex(n), temperature=d.positive(1e-2, 1e2), logit=d.logits(n)), {}


def draw_student_t(d):
    loc, scale = d.loc_scale()
    z = d.z() if d.chance(0.8) else d.sign() * d.magnitude(1e-8, 1e8)
    return dict(df=d.positive(1e-3, 1e8), loc=loc, scale=scale,
                x=of_real_line(d, loc, scale, z)), {}


def draw_uniform(names):
    def draw(d):
        low = d.real()
        width = d.positive()
        high = d.round(low + width)
        if high <= low:
            return draw(d)
        x = min(max(d.round(low + d.rng.random() * (high - low)), low), high)
        if d.chance(0.2):
            x = d.one_of(low - 1 - abs(low), high + 1 + abs(high))
            if low <= x <= high:
                return draw(d)
        values = dict(low=low, high=high, loc=low, scale=width)
        if names[0] == 'loc' and low <= x <= high:
            x = d.round(low + 0.5 * width * d.rng.random())
        return dict({k: values[k] for k in names}, x=d.round(x)), {}
    return draw


def draw_zero_inflated(gate_name, base):
    def draw(d):
        inputs, fixed = base(d)
        gate = d.logit() if gate_name == 'gate_logit' else d.probability()
        if d.chance(0.5):
            fixed['x'] = 0
        return dict(inputs, **{gate_name: gate}), fixed
    return draw


def draw_mixture_normal(d):
    n = int(d.rng.integers(2, 4))
    scale = d.positive(1e-5, 1e5)
    locs = [d.round(scale * 4 * v) for v in d.rng.standard_normal(n)]
    scales = [d.round(scale * math.exp(v)) for v in d.rng.standard_normal(n)]
    k = int(d.rng.integers(n))
    return dict(weights_logit=d.logits(n), loc=locs, scale=scales,
                x=of_real_line(d, locs[k], scales[k], d.z(10))), {}


def draw_mixture_poisson(d):
    n = int(d.rng.integers(2, 4))
    lams = d.vector(lambda: d.positive(1e-3, 1e5, 5.), n)
    return (dict(weights_logit=d.logits(n), log_lam=[d.round(math.log(v)) for v in lams]),
            dict(x=d.count_near(lams[0], math.sqrt(lams[0]))))


def draw_transformed_sigmoid(d):
    loc, scale = d.round(3 * d.rng.standard_normal()), d.positive(1e-3, 1e3)
    return dict(loc=loc, scale=scale, x=d.probability()), {}


def draw_transformed_softplus(d):
    loc, scale = d.round(3 * d.rng.standard_normal()), d.positive(1e-3, 1e3)
    return dict(loc=loc, scale=scale, x=d.positive(1e-20, 1e4)), {}


def draw_transformed_affine(d):
    loc, scale = d.loc_scale()
    shift, factor = d.round(d.rng.standard_normal()), d.sign() * d.positive(1e-5, 1e5)
    return dict(loc=loc, scale=scale, shift=shift, factor=factor,
                x=of_real_line(d, shift + factor * loc, factor * scale)), {}


def draw_transformed_planar(d):
    def vector(size):
        return [d.round(size * v) for v in d.rng.standard_normal(2)]
    return dict(loc=vector(1), scale=[d.round(math.exp(v)) for v in d.rng.standard_normal(2)],
                w=vector(2), u=vector(d.one_of(1, 3)), b=d.round(d.rng.standard_normal()),
                x=vector(3)), {}


def draw_transformed_coupling(d):
    def vector(size):
        return [d.round(size * v) for v in d.rng.standard_normal(2)]
    return dict(x=vector(2), loc=vector(1), scale=d.vector(lambda: d.positive(1e-3, 1e3), 2),
                a=d.round(d.rng.standard_normal()), b=d.round(d.rng.standard_normal())), {}


# -- the questions: log-probabilities --------------------------------------------------------


def ask_family(name, reference, draw, digits=400):
    """``Family(parameter, ...)``: log_prob, the parameters and x under their own names."""
    def make(x, **params):
        return getattr(D, family(name))(**params).log_prob(x)
    ask(name, make, reference, draw, digits)


ask_family('Bernoulli(logit)', bernoulli_logit, draw_binary(logit='logit'))
ask_family('Bernoulli(p)', bernoulli_p, draw_binary(p='probability'))
ask_family('Beta(a, b)', beta, draw_beta)
ask_family('Binomial(n, logit)', binomial_logit, draw_binomial(logit='logit'))
ask_family('Binomial(n, p)', binomial_p, draw_binomial(p='probability'))
ask_family('Categorical(logit)', lambda x, logit: log_softmax(logit, x), draw_index(logit='logits'))
ask_family('Categorical(p)', lambda x, p: mp.log(p[x]), draw_index(p='probabilities'))
ask_family('Cauchy(loc, scale)', cauchy, draw_loc_scale())
ask_family('Chisquare(k)', chisquare, draw_chisquare)
ask_family('ContinuousBernoulli(logit)', continuous_bernoulli_logit,
           draw_continuous_bernoulli(logit='logit'))
ask_family('ContinuousBernoulli(p)', continuous_bernoulli_p,
           draw_continuous_bernoulli(p='probability'))
ask_family('Dirichlet(alpha)', dirichlet, draw_dirichlet)
ask_family('DiscretizedLogistic(loc, log_scale)', discretized_logistic, draw_discretized_logistic)
ask_family('Exponential(lam)', exponential, draw_exponential)
ask_family('Gamma(k, theta)', gamma_theta, draw_gamma('theta'))
ask_family('Gamma(k, rate)', gamma_rate, draw_gamma('rate'))
ask_family('Geometric(p)', geometric_p, draw_geometric(p='probability'))
ask_family('Geometric(logit)', geometric_logit, draw_geometric(logit='logit'))
ask_family('Gumbel(loc, scale)', gumbel, draw_gumbel)
ask_family('HalfNormal(scale)', half_normal, draw_half_normal)
ask_family('Laplace(loc, scale)', laplace, draw_loc_scale())
ask_family('LogNormal(mu, sigma)', log_normal, draw_log_normal(('mu', 'sigma')))
ask_family('MultivariateNormal(loc, scale_tril)', multivariate_normal, draw_multivariate_normal)
for _mean in ('mean', 'log_mean', 'logit'):
    for _concentration in ('concentration', 'log_concentration'):
        ask_family(f'NegativeBinomial({_mean}, {_concentration})', negative_binomial,
                   draw_negative_binomial(_mean, _concentration))
ask_family('Normal(loc, scale)', normal, draw_loc_scale())
ask_family('Normal(loc, log_scale)',
           lambda x, loc, log_scale: normal(x, loc, mp.exp(log_scale)), draw_log_scale)
ask_family('OneHotCategorical(logit)', lambda x, logit: log_softmax(logit, x.index(1)),
           draw_index(True, logit='logits'))
ask_family('OneHotCategorical(p)', lambda x, p: mp.log(p[x.index(1)]),
           draw_index(True, p='probabilities'))
ask_family('Pareto(scale, alpha)', pareto, draw_pareto)
ask_family('Poisson(lam)', poisson, draw_poisson)
ask_family('Poisson(log_lam)', poisson_log, draw_poisson_log)
ask_family('RelaxedBernoulli(temperature, logit)', relaxed_bernoulli, draw_relaxed_bernoulli)
ask_family('RelaxedOneHotCategorical(temperature, logit)', relaxed_one_hot_categorical,
           draw_relaxed_one_hot)
ask_family('StudentT(df, loc, scale)', student_t, draw_student_t)
ask_family('Uniform(low, high)', uniform, draw_uniform(('low', 'high')))
ask_family('Uniform(loc, scale)', lambda x, loc, scale: uniform(x, loc, loc + scale),
           draw_uniform(('loc', 'scale')))

ask('Independent(Normal)',
    lambda x, loc, scale: D.Independent(D.Normal(loc, scale), 1).log_prob(x),
    lambda x, loc, scale: sum(normal(*v) for v in zip(x, loc, scale)), draw_independent)
ask('Mixture(Normal)',
    lambda x, weights_logit, loc, scale: D.Mixture(
        weights_logit, D.Normal(loc, scale)).log_prob(x),
    lambda x, weights_logit, loc, scale: mixture(
        weights_logit, [normal(x, m, s) for m, s in zip(loc, scale)]), draw_mixture_normal)
ask('Mixture(Poisson)',
    lambda x, weights_logit, log_lam: D.Mixture(
        weights_logit, D.Poisson(log_lam=log_lam)).log_prob(x),
    lambda x, weights_logit, log_lam: mixture(
        weights_logit, [poisson_log(x, v) for v in log_lam]), draw_mixture_poisson)


def _ask_transformed(name, transform, reference, draw):
    def make(x, loc, scale, **params):
        return D.Transformed(
            D.Normal(loc, scale), getattr(transforms, transform)(**params)).log_prob(x)
    ask(name, make, reference, draw)


_ask_transformed('Transformed(Normal, Exp)', 'Exp', transformed_exp,
                 draw_log_normal(('loc', 'scale')))
_ask_transformed('Transformed(Normal, Sigmoid)', 'Sigmoid', transformed_sigmoid,
                 draw_transformed_sigmoid)
_ask_transformed('Transformed(Normal, Softplus)', 'Softplus', transformed_softplus,
                 draw_transformed_softplus)
ask('Transformed(Normal, Affine)',
    lambda x, loc, scale, shift, factor: D.Transformed(
        D.Normal(loc, scale), transforms.Affine(shift, factor)).log_prob(x),
    transformed_affine, draw_transformed_affine)
ask('Transformed(Normal, Planar)',
    lambda x, loc, scale, **wub: D.Transformed(
        D.Normal(loc, scale), transforms.Planar(**wub)).log_prob(x),
    transformed_planar, draw_transformed_planar, digits=120)
ask('Transformed(Normal, AffineCoupling)',
    lambda x, loc, scale, a, b: D.Transformed(
        D.Normal(loc, scale), transforms.AffineCoupling(
            [1, 0], lambda v: (a * v[:, ::-1], F.arctan(b * v[:, ::-1])))).log_prob(x),
    transformed_coupling, draw_transformed_coupling)


def _gated(reference):
    """The reference of a base, inflated at zero by either form of the gate."""
    def zero_inflated_base(x, gate=None, gate_logit=None, **base):
        if gate is None:
            log_gate, log_rest = -softplus(-gate_logit), -softplus(gate_logit)
        else:
            log_gate, log_rest = mp.log(gate), mp.log1p(-gate)
        base_log_prob = reference(x, **base)
        if x:
            return log_rest + base_log_prob
        if log_rest < -1 or base_log_prob > -1:   # P(0) may be close to 1
            return mp.log1p(mp.exp(log_rest) * mp.expm1(base_log_prob))
        return logsumexp([log_gate, log_rest + base_log_prob])
    return zero_inflated_base


for _gate in ('gate', 'gate_logit'):
    ask(f'ZeroInflated(Poisson, {_gate})',
        lambda x, log_lam, **gate: D.ZeroInflated(D.Poisson(log_lam=log_lam), **gate).log_prob(x),
        _gated(poisson_log), draw_zero_inflated(_gate, draw_poisson_log))
    ask(f'ZeroInflated(NegativeBinomial, {_gate})',
        lambda x, log_mean, concentration, **gate: D.ZeroInflated(D.NegativeBinomial(
            log_mean=log_mean, concentration=concentration), **gate).log_prob(x),
        _gated(negative_binomial),
        draw_zero_inflated(_gate, draw_negative_binomial('log_mean', 'concentration')))


# -- the questions: divergences --------------------------------------------------------------


def log_ratio(a, b):
    return mp.log(a) - mp.log(b)


def kl_bernoulli(log_p, log_not_p, log_q, log_not_q):
    return (xlogy_log(log_p, log_p - log_q) + xlogy_log(log_not_p, log_not_p - log_not_q))


def xlogy_log(log_x, y):
    return mpf(0) if log_x == -mpmath.inf else mp.exp(log_x) * y


def logs_of_logit(v):
    return -softplus(-v.logit), -softplus(v.logit)


def logs_of_p(v):
    return mp.log(v.p), mp.log1p(-v.p)


def kl_discrete(log_p, log_q):
    return sum(mp.exp(a) * (a - b) for a, b in zip(log_p, log_q))


def kl_gamma(k1, theta1, k2, theta2):
    return ((k1 - k2) * mp.digamma(k1) - mp.loggamma(k1) + mp.loggamma(k2)
            + k2 * log_ratio(theta2, theta1) + k1 * (theta1 - theta2) / theta2)


def kl_beta(p, q):
    return (log_beta(q.a, q.b) - log_beta(p.a, p.b) + (p.a - q.a) * mp.digamma(p.a)
            + (p.b - q.b) * mp.digamma(p.b)
            + (q.a - p.a + q.b - p.b) * mp.digamma(p.a + p.b))


def kl_cauchy(p, q):
    """Chyzak and Nielsen (2019), eq. 1."""
    return mp.log(((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2) / (4 * p.scale * q.scale))


def kl_continuous_bernoulli(z1, z2):
    mean = mpf(1) / 2 if z1 == 0 else -1 / mp.expm1(-z1) - 1 / z1
    return (z1 - z2) * mean - log_mean_of_growth(z1) + log_mean_of_growth(z2)


def kl_dirichlet(p, q):
    a, b = sum(p.alpha), sum(q.alpha)
    return (mp.loggamma(a) - mp.loggamma(b)
            + sum(mp.loggamma(v) - mp.loggamma(u) + (u - v) * (mp.digamma(u) - mp.digamma(a))
                  for u, v in zip(p.alpha, q.alpha)))


def kl_geometric(p, q):
    (log_p, log_not_p), (log_q, log_not_q) = p, q
    return log_p - log_q + xlogy_log(log_not_p - log_p, log_not_p - log_not_q)


def kl_gumbel(p, q):
    r, d = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return (log_ratio(q.scale, p.scale) - mp.euler - 1 + d + mp.euler * r
            + mp.exp(-d + mp.loggamma(1 + r)))


def kl_laplace(p, q):
    distance = abs(p.loc - q.loc)
    return (log_ratio(q.scale, p.scale) + distance / q.scale
            + p.scale / q.scale * mp.exp(-distance / p.scale) - 1)


def kl_multivariate_normal(p, q):
    def solve(b):
        z = []
        for row, v in zip(q.scale_tril, b):
            z.append((v - sum(w * u for w, u in zip(row, z))) / row[len(z)])
        return z
    n = len(p.loc)
    columns = [[p.scale_tril[i][j] if j <= i else mpf(0) for i in range(n)] for j in range(n)]
    shift = [a - b for a, b in zip(p.loc, q.loc)]
    squares = sum(u ** 2 for b in columns + [shift] for u in solve(b))
    return (squares - n) / 2 + sum(
        log_ratio(q.scale_tril[i][i], p.scale_tril[i][i]) for i in range(n))


def kl_negative_binomial(mean1, mean2, r):
    log_rest = mp.log1p(mean2 / r) - mp.log1p(mean1 / r)
    return r * log_rest + mean1 * (log_ratio(mean1, mean2) + log_rest)


def kl_normal(m1, s1, m2, s2):
    return log_ratio(s2, s1) + (s1 ** 2 + (m1 - m2) ** 2) / (2 * s2 ** 2) - mpf(1) / 2


def kl_pareto(p, q):
    return inside(p.scale >= q.scale, lambda: (
        log_ratio(p.alpha, q.alpha) + q.alpha * log_ratio(p.scale, q.scale)
        + q.alpha / p.alpha - 1))


def kl_poisson(lam1, lam2):
    return xlogy(lam1, lam1) - xlogy(lam1, lam2) + lam2 - lam1


def entropy_of_normal(scale):
    return mp.log(2 * mp.pi * mp.e) / 2 + mp.log(scale)


def cross_normal(square, scale):
    """-E log of a normal density whose squared distance from the mean is expected."""
    return square / (2 * scale ** 2) + mp.log(2 * mp.pi) / 2 + mp.log(scale)


def cross_gumbel(mean, exponential, scale):
    """-E log of a Gumbel density with the expected z and e^-z."""
    return mp.log(scale) + mean + exponential


def kl_normal_laplace(p, q):
    d = p.loc - q.loc
    distance = (p.scale * mp.sqrt(2 / mp.pi) * mp.exp(-(d / p.scale) ** 2 / 2)
                + d * mp.erf(d / p.scale / mp.sqrt(2)))
    return mp.log(2 * q.scale) + distance / q.scale - entropy_of_normal(p.scale)


def kl_laplace_normal(p, q):
    return cross_normal(2 * p.scale ** 2 + (p.loc - q.loc) ** 2, q.scale) - 1 - mp.log(2 * p.scale)


def kl_normal_gumbel(p, q):
    d, r = (p.loc - q.loc) / q.scale, p.scale / q.scale
    return cross_gumbel(d, mp.exp(r ** 2 / 2 - d), q.scale) - entropy_of_normal(p.scale)


def kl_gumbel_normal(p, q):
    square = (mp.pi * p.scale) ** 2 / 6 + (p.loc + mp.euler * p.scale - q.loc) ** 2
    return cross_normal(square, q.scale) - mp.log(p.scale) - mp.euler - 1


def kl_uniform_normal(p, q):
    square = ((p.high - q.loc) ** 3 - (p.low - q.loc) ** 3) / (3 * (p.high - p.low))
    return cross_normal(square, q.scale) - mp.log(p.high - p.low)


def kl_uniform_gumbel(p, q):
    low, high = (p.low - q.loc) / q.scale, (p.high - q.loc) / q.scale
    return cross_gumbel((low + high) / 2, (mp.exp(-low) - mp.exp(-high)) / (high - low),
                        q.scale) - mp.log(p.high - p.low)


def all_log_probs(v, low, high, n_levels):
    step = mpf(high - low) / (n_levels - 1)
    return [discretized_logistic(low + k * step, v.loc, v.log_scale, low, high, n_levels)
            for k in range(n_levels)]


def ask_kl(name, make, reference, draw_p, draw_q=None, digits=400):
    """``make`` is a family's name, or two; ``reference(p, q, **fixed)``.

    Without ``draw_q``, q is close to p in half of the cases, else drawn as p is.
    """
    makes = make if isinstance(make, tuple) else (make, make)

    def build(make, params):
        return getattr(D, make)(**params) if isinstance(make, str) else make(**params)

    def split(values):
        return ({k[2:]: v for k, v in values.items() if k.startswith(side)}
                for side in ('p_', 'q_'))

    def fixed_of(values):
        return {k: v for k, v in values.items() if k[:2] not in ('p_', 'q_')}

    def kl(**values):
        p, q = split(values)
        fixed = fixed_of(values)
        return chainer.kl_divergence(*(
            build(make, {**params, **fixed}) for make, params in zip(makes, (p, q))))

    def exact(**values):
        p, q = split(values)
        return reference(types.SimpleNamespace(**p), types.SimpleNamespace(**q), **fixed_of(values))

    def draw(d):
        p, fixed = _with_fixed(draw_p(d))
        if draw_q:
            q, _ = _with_fixed(draw_q(d, p))
        elif d.chance(0.5):
            q = {k: _near(d, k, v) for k, v in p.items()}
        else:
            q, _ = _with_fixed(draw_p(d, like=p) if 'like' in draw_p.__code__.co_varnames
                               else draw_p(d))
        return {**{f'p_{k}': v for k, v in p.items()}, **{f'q_{k}': v for k, v in q.items()}}, fixed

    ask(f'KL {name}', kl, exact, draw, digits)


def _with_fixed(drawn):
    return drawn if isinstance(drawn, tuple) else (drawn, {})


def _near(d, name, value):
    if isinstance(value, list):
        near = [_near(d, name, v) if v else v for v in value]
        if name == 'p':
            near = [d.round(v / sum(near)) for v in near]
        return near
    near = d.near(value)
    return value if name == 'p' and not 0 < near < 1 else near


def draw_params(**kinds):
    """Each parameter by the name of a method of :class:`Draw`, or by a function of it."""
    def draw(d):
        return {name: kind(d) if callable(kind) else getattr(d, kind)()
                for name, kind in kinds.items()}
    return draw


def concentration(d):
    return d.positive(1e-3, 1e8)


def rate(d):
    return d.positive(1e-30, 1e8)


def moderate(d):
    return d.positive(1e-3, 1e3)


def draw_scaled(d, like=None):
    """loc and scale; the second pair some scales from the first."""
    if like is None:
        return dict(zip(('loc', 'scale'), d.loc_scale()))
    scale = d.round(like['scale'] * d.positive(1e-3, 1e3))
    return dict(loc=of_real_line(d, like['loc'], like['scale']), scale=scale)


def draw_scaled_like(low, high):
    """For a pair of families: q at a scale comparable to that of p."""
    def draw(d, like):
        p_scale = like['scale'] if 'scale' in like else like['high'] - like['low']
        p_loc = like['loc'] if 'loc' in like else like['low']
        return dict(loc=of_real_line(d, p_loc, p_scale, d.z(high)),
                    scale=d.round(p_scale * d.positive(low, high)))
    return draw


def draw_log_scaled(d, like=None):
    if like is None:
        log_scale = d.round(math.log(d.positive()))
        return dict(loc=d.loc_for(math.exp(log_scale)), log_scale=log_scale)
    scale = math.exp(like['log_scale'])
    return dict(loc=of_real_line(d, like['loc'], scale),
                log_scale=d.round(like['log_scale'] + math.log(d.positive(1e-3, 1e3))))


def draw_bounds(d):
    low = d.real(1e3)
    high = d.round(low + d.positive(1e-5, 1e5))
    return dict(low=low, high=high) if low < high else draw_bounds(d)


def draw_wider_bounds(d, p):
    low = p['low'] if d.chance(0.2) else d.round(p['low'] - d.positive(1e-6, 1e5))
    high = p['high'] if d.chance(0.2) else d.round(p['high'] + d.positive(1e-6, 1e5))
    return dict(low=min(low, p['low']), high=max(high, p['high']))


def draw_earlier_pareto(d, p):
    alpha = d.near(p['alpha']) if d.chance(0.5) else d.positive(1e-5, 1e5)
    return dict(scale=min(d.round(p['scale'] / (1 + d.magnitude(1e-6, 1e3))), p['scale']),
                alpha=alpha)


def draw_vector_of(kind):
    def draw(name):
        def one(d, like=None):
            n = int(d.rng.integers(2, 6)) if like is None else len(like[name])
            return {name: kind(d, n)}
        return one
    return draw


def draw_gaussian_vector(d, like=None):
    n = int(d.rng.integers(2, 4)) if like is None else len(like['loc'])
    tril = d.lower_triangular(n)
    scale = tril[0][0]
    if like is not None and d.chance(0.7):
        ratio = like['scale_tril'][0][0] / scale
        tril = [[d.round(v * ratio) for v in row] for row in tril]
        scale = like['scale_tril'][0][0]
    return dict(loc=[d.round(scale * 3 * v) for v in d.rng.standard_normal(n)], scale_tril=tril)


def draw_binomial_pair(**one):
    def draw(d):
        fixed = dict(n=max(1, d.count()))
        return {name: getattr(d, kind)() for name, kind in one.items()}, fixed
    return draw


def draw_negative_binomial_pair(name):
    def draw(d):
        r = concentration(d)
        means = [d.positive(1e-20, 1e8) for _ in range(2)]
        p, q = (d.round({'mean': m, 'log_mean': math.log(m), 'logit': math.log(m / r)}[name])
                for m in means)
        return dict(concentration=r, p=p, q=d.near(p) if d.chance(0.5) else q), {}
    return draw


def draw_levels(d):
    low, high, n = d.one_of((0., 1., 2), (0., 15., 16), (-1., 1., 9))
    step = (high - low) / (n - 1)
    return (dict(loc=d.round(low + (high - low) * (0.5 + d.rng.standard_normal())),
                 log_scale=d.round(math.log(step) + 1.5 * d.rng.standard_normal())),
            dict(low=low, high=high, n_levels=n))


def gamma_of(v):
    """Shape and scale of a member of the gamma family."""
    if hasattr(v, 'lam'):
        return mpf(1), 1 / v.lam
    if not hasattr(v, 'theta') and not hasattr(v, 'rate'):
        return v.k / 2, mpf(2)
    return v.k, v.theta if hasattr(v, 'theta') else 1 / v.rate


ask_kl('Bernoulli(logit)', 'Bernoulli',
       lambda p, q: kl_bernoulli(*logs_of_logit(p), *logs_of_logit(q)), draw_params(logit='logit'))
ask_kl('Bernoulli(p)', 'Bernoulli', lambda p, q: kl_bernoulli(*logs_of_p(p), *logs_of_p(q)),
       draw_params(p='probability'))
ask_kl('Beta(a, b)', 'Beta', kl_beta, draw_params(a=concentration, b=concentration), digits=160)
ask_kl('Binomial(n, logit)', 'Binomial',
       lambda p, q, n: n * kl_bernoulli(*logs_of_logit(p), *logs_of_logit(q)),
       draw_binomial_pair(logit='logit'))
ask_kl('Binomial(n, p)', 'Binomial',
       lambda p, q, n: n * kl_bernoulli(*logs_of_p(p), *logs_of_p(q)),
       draw_binomial_pair(p='probability'))
for _family in ('Categorical', 'OneHotCategorical'):
    ask_kl(f'{_family}(logit)', _family,
           lambda p, q: kl_discrete(*([log_softmax(v.logit, k) for k in range(len(v.logit))]
                                      for v in (p, q))),
           draw_vector_of(Draw.logits)('logit'))
    ask_kl(f'{_family}(p)', _family,
           lambda p, q: sum(xlogy(a, a) - xlogy(a, b) for a, b in zip(p.p, q.p)),
           draw_vector_of(Draw.probabilities)('p'))
ask_kl('Cauchy(loc, scale)', 'Cauchy', kl_cauchy, draw_scaled)
ask_kl('Chisquare(k)', 'Chisquare', lambda p, q: kl_gamma(*gamma_of(p), *gamma_of(q)),
       draw_params(k=concentration), digits=160)
ask_kl('ContinuousBernoulli(logit)', 'ContinuousBernoulli',
       lambda p, q: kl_continuous_bernoulli(p.logit, q.logit), draw_params(logit='logit'))
ask_kl('ContinuousBernoulli(p)', 'ContinuousBernoulli',
       lambda p, q: kl_continuous_bernoulli(logit_of(p.p), logit_of(q.p)),
       draw_params(p='probability'))
ask_kl('Dirichlet(alpha)', 'Dirichlet', kl_dirichlet,
       draw_vector_of(lambda d, n: [concentration(d) for _ in range(n)])('alpha'), digits=160)
ask_kl('DiscretizedLogistic(loc, log_scale)', 'DiscretizedLogistic',
       lambda p, q, **levels: kl_discrete(all_log_probs(p, **levels), all_log_probs(q, **levels)),
       draw_levels, lambda d, p: dict(loc=d.near(p['loc']), log_scale=d.near(p['log_scale']))
       if d.chance(0.5) else dict(loc=d.round(p['loc'] + d.rng.standard_normal()),
                                  log_scale=d.round(p['log_scale'] + d.rng.standard_normal())))
ask_kl('Exponential(lam)', 'Exponential',
       lambda p, q: log_ratio(p.lam, q.lam) + q.lam / p.lam - 1, draw_params(lam=rate))
ask_kl('Gamma(k, theta)', 'Gamma', lambda p, q: kl_gamma(*gamma_of(p), *gamma_of(q)),
       draw_params(k=concentration, theta='positive'), digits=160)
ask_kl('Gamma(k, rate)', 'Gamma', lambda p, q: kl_gamma(*gamma_of(p), *gamma_of(q)),
       draw_params(k=concentration, rate='positive'), digits=160)
ask_kl('Geometric(logit)', 'Geometric',
       lambda p, q: kl_geometric(logs_of_logit(p), logs_of_logit(q)), draw_params(logit='logit'))
ask_kl('Geometric(p)', 'Geometric', lambda p, q: kl_geometric(logs_of_p(p), logs_of_p(q)),
       draw_params(p='probability'))
ask_kl('Gumbel(loc, scale)', 'Gumbel', kl_gumbel, draw_scaled)
ask_kl('HalfNormal(scale)', 'HalfNormal',
       lambda p, q: kl_normal(0, p.scale, 0, q.scale), draw_params(scale='positive'))
ask_kl('Independent(Normal)',
       lambda loc, scale: D.Independent(D.Normal(loc, scale), 1),
       lambda p, q: sum(kl_normal(*v) for v in zip(p.loc, p.scale, q.loc, q.scale)),
       lambda d: dict(zip(('loc', 'scale'), map(list, zip(*(d.loc_scale() for _ in range(3)))))))
ask_kl('Laplace(loc, scale)', 'Laplace', kl_laplace, draw_scaled)
ask_kl('LogNormal(mu, sigma)', 'LogNormal',
       lambda p, q: kl_normal(p.mu, p.sigma, q.mu, q.sigma),
       draw_params(mu='real', sigma=moderate))
ask_kl('MultivariateNormal(loc, scale_tril)', 'MultivariateNormal', kl_multivariate_normal,
       draw_gaussian_vector)
for _mean, _mean_of in (('mean', lambda mean, r: mean), ('log_mean', lambda v, r: mp.exp(v)),
                        ('logit', lambda v, r: r * mp.exp(v))):
    ask(f'KL NegativeBinomial({_mean}, concentration)',
        lambda concentration, p, q, name=_mean: chainer.kl_divergence(*(
            D.NegativeBinomial(**{name: v}, concentration=concentration) for v in (p, q))),
        lambda concentration, p, q, mean_of=_mean_of: kl_negative_binomial(
            mean_of(p, concentration), mean_of(q, concentration), concentration),
        draw_negative_binomial_pair(_mean))
ask_kl('Normal(loc, scale)', 'Normal',
       lambda p, q: kl_normal(p.loc, p.scale, q.loc, q.scale), draw_scaled)
ask_kl('Normal(loc, log_scale)', 'Normal',
       lambda p, q: kl_normal(p.loc, mp.exp(p.log_scale), q.loc, mp.exp(q.log_scale)),
       draw_log_scaled)
ask_kl('Pareto(scale, alpha)', 'Pareto', kl_pareto,
       draw_params(scale='positive', alpha=lambda d: d.positive(1e-5, 1e5)), draw_earlier_pareto)
ask_kl('Poisson(lam)', 'Poisson', lambda p, q: kl_poisson(p.lam, q.lam), draw_params(lam=rate))
ask_kl('Poisson(log_lam)', 'Poisson',
       lambda p, q: mp.exp(p.log_lam) * (p.log_lam - q.log_lam)
       + mp.exp(q.log_lam) - mp.exp(p.log_lam),
       draw_params(log_lam=lambda d: d.round(math.log(rate(d)))))
ask_kl('Transformed(Normal, Exp)',
       lambda loc, scale: D.Transformed(
           D.Normal(loc, scale), transforms.Exp()),
       lambda p, q: kl_normal(p.loc, p.scale, q.loc, q.scale), draw_scaled)
ask_kl('Uniform(low, high)', 'Uniform',
       lambda p, q: mp.log(q.high - q.low) - mp.log(p.high - p.low),
       draw_bounds, draw_wider_bounds)

ask_kl('Normal || Laplace', ('Normal', 'Laplace'), kl_normal_laplace, draw_scaled,
       draw_scaled_like(1e-3, 1e3))
ask_kl('Laplace || Normal', ('Laplace', 'Normal'), kl_laplace_normal, draw_scaled,
       draw_scaled_like(1e-3, 1e3))
ask_kl('Normal || Gumbel', ('Normal', 'Gumbel'), kl_normal_gumbel, draw_scaled,
       draw_scaled_like(0.1, 30))
ask_kl('Gumbel || Normal', ('Gumbel', 'Normal'), kl_gumbel_normal, draw_scaled,
       draw_scaled_like(1e-3, 1e3))
ask_kl('Uniform || Normal', ('Uniform', 'Normal'), kl_uniform_normal, draw_bounds,
       draw_scaled_like(1e-3, 1e3))
ask_kl('Uniform || Gumbel', ('Uniform', 'Gumbel'), kl_uniform_gumbel, draw_bounds,
       draw_scaled_like(0.1, 30))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--cases', type=int, default=1000)
    parser.add_argument('--only', default='', help='questions whose name contains this')
    parser.add_argument('--failures', type=int, default=20, help='how many to list')
    parser.add_argument('--store', type=pathlib.Path, help='write the cases to this file as well')
    options = parser.parse_args()
    for name in [name for name in QUESTIONS if options.only not in name]:
        del QUESTIONS[name]
    score, stored = Score(), []
    for case, solution in draw_cases(options.seed, options.cases):
        if options.store:
            case = case._replace(sums=solution.sums())
            stored.append(case)
        score.add(case, grade(case, solution.sums))
    print(score)
    for case, result in score.failures()[:options.failures]:
        print(describe(case, result))
    if options.store:
        save(options.store, stored)
    sys.exit(not score.passes)


if __name__ == '__main__':
    main()
