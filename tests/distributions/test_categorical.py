"""Categorical: accuracy, identities, defects of other libraries, sampling, and bad input."""
import itertools
import tracemalloc

import accuracy
import chainer
from chainer import functions as F
from chainer import gradient_check
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D
from course_lib.distributions import categorical

SIGNIFICANCE = 1e-4
ROWS = [(0.5, 0.5, 0.5), (1e4, 0, -1e4), (-1e4, 3, 2.5), (20, 0, -3), (60, 0, 1),
        (-800, -801, -800.5),
        (1e-8, 0, -1e-8), (700, -700, 5), (80, 80, 10)]
PS = [(1e-30, 0.3, 0.7), (0.2, 0.3, 0.5), (1e-8, 1e-12, 1.0), (0.999, 0.0005, 0.0005)]


def stack(a, b, c):
    return F.stack([a, b, c], axis=-1)


def exact_log_prob(k, row):
    return -mpmath.log(sum(mpmath.exp(v - row[k]) for v in row))


def probabilities(row):
    return [mpmath.exp(exact_log_prob(k, row)) for k in range(3)]


def exact_kl(p, q):
    return sum(a * mpmath.log(a / b) for a, b in zip(p, q))


@pytest.mark.parametrize('row', ROWS)
@pytest.mark.parametrize('k', [0, 1, 2])
def test_log_prob_of_logit_is_accurate(k, row):
    accuracy.check(lambda x, a, b, c: D.Categorical(logit=stack(a, b, c)).log_prob(x),
                   lambda x, a, b, c: exact_log_prob(x, (a, b, c)), dict(zip('abc', row)), k)


@pytest.mark.parametrize('row', ROWS[::2])
def test_log_prob_of_many_classes_is_accurate(row):
    """Rows of 64 classes or more are summed by another routine: pad with impossible classes."""
    def make(x, a, b, c):
        padding = chainer.Variable(numpy.full(97, -numpy.inf, a.dtype))
        return D.Categorical(logit=F.concat([stack(a, b, c), padding], axis=0)).log_prob(x)
    for k in range(3):
        accuracy.check(make, lambda x, a, b, c: exact_log_prob(x, (a, b, c)),
                       dict(zip('abc', row)), k)


@pytest.mark.parametrize('row', PS)
@pytest.mark.parametrize('k', [0, 1, 2])
def test_log_prob_of_p_is_accurate(k, row):
    accuracy.check(lambda x, a, b, c: D.Categorical(p=stack(a, b, c)).log_prob(x),
                   lambda x, a, b, c: mpmath.log((a, b, c)[x]), dict(zip('abc', row)), k)


@pytest.mark.parametrize('row', ROWS)
def test_entropy_of_logit_is_accurate(row):
    accuracy.check(lambda a, b, c: D.Categorical(logit=stack(a, b, c)).entropy,
                   lambda a, b, c: -sum(p * mpmath.log(p) for p in probabilities((a, b, c))),
                   dict(zip('abc', row)))


@pytest.mark.parametrize('row', PS)
def test_entropy_of_p_is_accurate(row):
    accuracy.check(lambda a, b, c: D.Categorical(p=stack(a, b, c)).entropy,
                   lambda a, b, c: -sum(p * mpmath.log(p) for p in (a, b, c)),
                   dict(zip('abc', row)))


@pytest.mark.parametrize('row', ROWS[::2])
def test_moments_of_the_index_are_accurate(row):
    def moment(order, a, b, c):
        p = probabilities((a, b, c))
        mean = sum(k * v for k, v in enumerate(p))
        return mean if order == 1 else sum((k - mean) ** 2 * v for k, v in enumerate(p))
    for order, name in ((1, 'mean'), (2, 'variance')):
        accuracy.check(lambda a, b, c: getattr(D.Categorical(logit=stack(a, b, c)), name),
                       lambda a, b, c: moment(order, a, b, c), dict(zip('abc', row)),
                       dtypes=(numpy.float32,))


@pytest.mark.parametrize('first, second', [
    (ROWS[0], (0.1, 0.1, 0.1)), (ROWS[0], (-1e4, 1e4, 0)), (ROWS[1], (1e4, 0, -1e4)),
    (ROWS[1], (-1e4, 1e4, 0)), (ROWS[1], (1e-4, 1, 0.7)), (ROWS[2], (0.1, 0.1, 0.1)),
    (ROWS[2], (1e-4, 1, 0.7)), (ROWS[3], (20.001, 0, -3)), (ROWS[3], (1e4, 0, -1e4)),
    (ROWS[4], (0.1, 0.1, 0.1)), (ROWS[5], (-800.001, -801, -800.5)), (ROWS[6], (1e-4, 1, 0.7))])
def test_kl_of_logits_is_accurate(first, second):
    accuracy.check(
        lambda a, b, c, d, e, f: chainer.kl_divergence(
            D.Categorical(logit=stack(a, b, c)), D.Categorical(logit=stack(d, e, f))),
        lambda a, b, c, d, e, f: exact_kl(probabilities((a, b, c)), probabilities((d, e, f))),
        dict(zip('abcdef', first + second)))


@pytest.mark.parametrize('ways', [('p', 'p'), ('p', 'logit'), ('logit', 'p')])
@pytest.mark.parametrize('first, second', [
    ((0.2, 0.3, 0.5), (0.3, 0.3, 0.4)), ((1e-30, 0.4, 0.6), (0.5, 0.2, 0.3)),
    ((0.2, 0.3, 0.5), (0.2001, 0.2999, 0.5)), ((0.25, 0.25, 0.5), (1e-20, 0.5, 0.5))])
def test_kl_with_probabilities_is_accurate(ways, first, second):
    def parameter(way, values):
        return tuple(numpy.log(values)) if way == 'logit' else values

    def exact(way, row):
        return probabilities(row) if way == 'logit' else row
    accuracy.check(
        lambda a, b, c, d, e, f: chainer.kl_divergence(
            D.Categorical(**{ways[0]: stack(a, b, c)}), D.Categorical(**{ways[1]: stack(d, e, f)})),
        lambda a, b, c, d, e, f: exact_kl(exact(ways[0], (a, b, c)), exact(ways[1], (d, e, f))),
        dict(zip('abcdef', parameter(ways[0], first) + parameter(ways[1], second))))


def test_kl_with_zero_probabilities():
    """Defect 10: 0 log 0 is 0, not NaN; an outcome that q excludes makes the divergence +inf."""
    half, third, certain = [0, 0.5, 0.5], [1 / 3] * 3, [1, 0, 0]
    ways = (lambda p: D.Categorical(p=p),
            lambda p: D.Categorical(logit=numpy.log(numpy.maximum(p, 1e-300)) + numpy.where(
                numpy.equal(p, 0), -numpy.inf, 0)))
    for p, q in itertools.product(ways, ways):
        assert float(chainer.kl_divergence(p(half), q(third)).array) == pytest.approx(0.405465)
        assert float(chainer.kl_divergence(p(half), q(half)).array) == pytest.approx(0, abs=1e-7)
        assert float(chainer.kl_divergence(p(half), q(certain)).array) == numpy.inf
        assert float(chainer.kl_divergence(p(certain), q(third)).array) == pytest.approx(1.098612)


@pytest.mark.parametrize('first', ['p', 'logit'])
@pytest.mark.parametrize('second', ['p', 'logit'])
def test_gradients_of_kl_with_zeros_are_never_nan(first, second):
    rows = {'p': ([0, 0.5, 0.5], [0.5, 0.5, 0], [0, 1, 0], [0.2, 0.3, 0.5]),
            'logit': ([-numpy.inf, 0, 0], [0, 0, -numpy.inf], [-numpy.inf, 0, -numpy.inf],
                      [1, 2, 3])}
    for a, b in itertools.product(rows[first], rows[second]):
        a, b = (chainer.Variable(numpy.array(v, numpy.float64)) for v in (a, b))
        kl = chainer.kl_divergence(D.Categorical(**{first: a}), D.Categorical(**{second: b}))
        kl.backward()
        assert kl.array >= 0
        assert not numpy.isnan(a.grad).any() and not numpy.isnan(b.grad).any()


def test_kl_refuses_different_numbers_of_classes():
    with pytest.raises(ValueError, match='same number of classes; got 3 and 2'):
        chainer.kl_divergence(D.Categorical([0.2, 0.3, 0.5]), D.Categorical([0.5, 0.5]))


@pytest.mark.parametrize('label', [[2, 0], [[0], [1], [1]], 1, numpy.zeros((5, 2), int)])
def test_double_backward_of_log_prob(label):
    rng = numpy.random.default_rng(1)
    logit = rng.normal(size=(2, 4))
    shape = numpy.broadcast_shapes(numpy.shape(label), (2,))
    for f, x in ((lambda l: D.Categorical(logit=l).log_prob(label), logit),
                 (lambda l: categorical.LogProbOfP(_index(label, 2, 4)).apply((l,))[0],
                  rng.uniform(0.2, 1, (2, 4)))):
        gradient_check.check_backward(f, x, rng.normal(size=shape), dtype='d', eps=1e-5)
        gradient_check.check_double_backward(
            f, x, rng.normal(size=shape), rng.normal(size=(2, 4)), dtype='d', eps=1e-5)


def _index(label, n, k):
    return numpy.asarray(label) + k * numpy.arange(n)


def test_double_backward_of_entropy_and_kl():
    rng = numpy.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 4))
    p, q = (numpy.exp(v) / numpy.exp(v).sum(axis=-1, keepdims=True) for v in (a, b))
    gy, gg = rng.normal(size=3), rng.normal(size=(3, 4))
    gradient_check.check_double_backward(
        lambda l: D.Categorical(logit=l).entropy, a, gy, gg, dtype='d', eps=1e-5)
    with D.validation(False):  # finite differences leave the simplex
        gradient_check.check_double_backward(
            lambda p: D.Categorical(p=p).entropy, p, gy, gg, dtype='d', eps=1e-5)
        for first, second in itertools.product(('p', 'logit'), ('p', 'logit')):
            gradient_check.check_double_backward(
                lambda x, y: chainer.kl_divergence(D.Categorical(**{first: x}),
                                                   D.Categorical(**{second: y})),
                (p if first == 'p' else a, q if second == 'p' else b), gy, (gg, -gg),
                dtype='d', eps=1e-5, atol=1e-3, rtol=1e-3)


def test_first_gradient_is_the_same_with_a_graph():
    logit = numpy.float32([[30, 0, -5], [1, 2, 3]])
    gradients = []
    for graph in (False, True):
        x = chainer.Variable(logit)
        F.sum(D.Categorical(logit=x).log_prob([0, 1])).backward(enable_double_backprop=graph)
        gradients.append(x.grad)
    numpy.testing.assert_allclose(*gradients, rtol=1e-6)


def test_zero_probability_and_infinite_logit():
    """The excluded class has log_prob -inf, the others are fine, no gradient is NaN."""
    for name, row in (('logit', [-numpy.inf, 0., 1.]), ('p', [0, 0.5, 0.5])):
        x = chainer.Variable(numpy.float32(row))
        y = D.Categorical(**{name: x}).log_prob([0, 1, 2])
        assert y.array[0] == -numpy.inf and numpy.isfinite(y.array[1:]).all()
        y.grad = numpy.float32([0, 1, 1])
        y.backward()
        assert numpy.isfinite(x.grad).all()
    x = chainer.Variable(numpy.float32([-numpy.inf, 0, 0]))
    y = D.Categorical(logit=x).entropy
    y.backward()
    assert float(y.array) == pytest.approx(numpy.log(2)) and x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize('dtype', [numpy.int8, numpy.uint8, numpy.int32, numpy.int64,
                                   numpy.float32, numpy.float64, bool])
def test_labels_of_any_dtype_backpropagate(dtype):
    """Defects 24 and 26: log_prob runs on NumPy 2, whatever the labels' dtype, and so does
    backward."""
    logit = chainer.Variable(numpy.float32([[1, 2, 3], [0, 0, 0]]))
    y = D.Categorical(logit=logit).log_prob(numpy.array([1, 0], dtype))
    assert y.dtype == numpy.float32
    F.sum(y).backward()
    numpy.testing.assert_allclose(y.array, [-1.4076060, -1.0986123], rtol=1e-6)
    numpy.testing.assert_allclose(logit.grad.sum(axis=1), [0, 0], atol=1e-6)


def test_labels_as_variable_list_and_number():
    d = D.Categorical(logit=numpy.float32([1, 2, 3]))
    for label in (2, [2], numpy.int64(2), chainer.Variable(numpy.array(2, numpy.int32))):
        numpy.testing.assert_allclose(d.log_prob(label).array, -0.4076060, rtol=1e-6)


def test_labels_broadcast_both_ways():
    logit = numpy.random.default_rng(0).normal(size=(4, 1, 3))
    label = numpy.array([[0, 1, 2, 2, 1]])
    y = D.Categorical(logit=logit).log_prob(label)
    expected = logit - numpy.log(numpy.exp(logit).sum(axis=-1, keepdims=True))
    numpy.testing.assert_allclose(y.array, expected[:, 0][:, label[0]], rtol=1e-12)


def test_gradient_of_many_labels_of_one_row():
    """Maximum likelihood: a million labels and one row; the gradient is counts - n softmax."""
    rng = numpy.random.default_rng(0)
    label = rng.integers(0, 3, size=10 ** 6)
    x = chainer.Variable(numpy.float32([0.1, -0.2, 0.3]))
    F.sum(D.Categorical(logit=x).log_prob(label)).backward()
    wide = x.array.astype(numpy.float64)
    p = numpy.exp(wide) / numpy.exp(wide).sum()
    expected = numpy.bincount(label) - label.size * p
    numpy.testing.assert_allclose(x.grad, expected, rtol=1e-5)


def test_float16_takes_labels_beyond_its_whole_numbers():
    logit = numpy.zeros(5000, numpy.float16)
    logit[4099] = 10
    y = D.Categorical(logit=logit).log_prob([4099, 4100])
    assert y.dtype == numpy.float16
    assert float(y.array[0]) == pytest.approx(-0.2045, rel=1e-2) and y.array[1] < -10


def test_log_prob_makes_no_temporary_of_the_size_of_the_logits():
    logit = numpy.random.default_rng(0).normal(size=(1000, 784)).astype(numpy.float32)
    d, label = D.Categorical(logit=logit), numpy.arange(1000) % 784
    tracemalloc.start()
    d.log_prob(label)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * logit.nbytes


def test_shapes_params_and_repr():
    d = D.Categorical(logit=numpy.zeros((2, 3, 5), numpy.float32))
    assert (d.batch_shape, d.event_shape, d.n_classes) == ((2, 3), (), 5)
    assert set(d.params) == {'p'} and d.params['p'].shape == (2, 3, 5)
    assert d.log_p.shape == (2, 3, 5) and d.p.dtype == numpy.float32
    numpy.testing.assert_allclose(d.log_p.array, -numpy.log(5), rtol=1e-6)
    assert d.mode.shape == d.mean.shape == d.variance.shape == d.entropy.shape == (2, 3)
    assert repr(D.Categorical(p=[0.25, 0.75])) == 'Categorical(p=[0.25, 0.75])'
    assert D.Categorical(p=[0.2, 0.5, 0.3]).mode.array == 1


def test_what_chainers_users_lacked():
    d = D.Categorical(p=numpy.float64([0.2, 0.5, 0.3]))
    numpy.testing.assert_allclose(d.prob([0, 1, 2]).array, [0.2, 0.5, 0.3])
    numpy.testing.assert_allclose(d.mean.array, 1.1)
    numpy.testing.assert_allclose(d.variance.array, 0.49)
    assert d.support == '{0, ..., K - 1}'


@pytest.mark.parametrize('name', ['p', 'logit'])
def test_samples_have_the_right_frequencies(name):
    """Chi-square test of every row at a false-alarm rate of 1e-4."""
    p = numpy.array([[0.1, 0.2, 0, 0.7, 0], [0.05, 0.05, 0.8, 0.05, 0.05], [0, 0, 0, 0, 1]])
    with numpy.errstate(divide='ignore'):
        d = D.Categorical(**{name: p if name == 'p' else numpy.log(p) + 3})
    x = d.sample(30000, rng=5)
    assert x.dtype == numpy.int64 and x.shape == (30000, 3)
    for row in range(3):
        counts = numpy.bincount(x.array[:, row], minlength=5)
        assert (counts[p[row] == 0] == 0).all()
        if (p[row] > 0).sum() > 1:
            test = scipy.stats.chisquare(counts[p[row] > 0], 30000 * p[row][p[row] > 0])
            assert test.pvalue > SIGNIFICANCE


def test_rows_are_drawn_independently():
    """Defect 39: vectorised, and yet every row has draws of its own."""
    x = D.Categorical(logit=numpy.zeros((2, 2))).sample(20000, rng=2).array
    table = numpy.histogram2d(x[:, 0], x[:, 1], bins=2)[0]
    assert scipy.stats.chi2_contingency(table).pvalue > SIGNIFICANCE


def test_own_samples_can_be_trained_on():
    """Defect 25: log_prob of a sample, and its gradient."""
    logit = chainer.Variable(numpy.float32([[1, 2, 3], [0, 0, 0]]))
    d = D.Categorical(logit=logit)
    F.sum(d.log_prob(d.sample((4, 5), rng=1))).backward()
    assert numpy.isfinite(logit.grad).all()


def test_seed_reproduces_and_leaves_the_global_state_alone():
    d = D.Categorical(logit=numpy.zeros((3, 7)))
    before = numpy.random.get_state()[1].copy()
    assert (d.sample(9, rng=7).array == d.sample(9, rng=7).array).all()
    assert (numpy.random.get_state()[1] == before).all()


def test_one_class_only():
    d = D.Categorical(logit=[[5.], [-3.]])
    assert d.log_prob(0).array.tolist() == [0, 0] and d.entropy.array.tolist() == [0, 0]
    assert d.sample(3, rng=0).array.tolist() == [[0, 0]] * 3


@pytest.mark.parametrize('make, fragments', [
    (lambda: D.Categorical(), ['give either p or logit', 'got neither']),
    (lambda: D.Categorical(p=[1.], logit=[1.]), ['exactly one', 'p and logit']),
    (lambda: D.Categorical(p=[2, 3]), ['Categorical: p', 'from 0 to 1', 'got 2']),      # defect 22
    (lambda: D.Categorical(p=[[0.5, 0.5], [0.5, 0.4]]), ['p must sum to 1', '0.9']),
    (lambda: D.Categorical(p=[0.5, numpy.nan]), ['p must be', 'nan']),
    (lambda: D.Categorical(logit=[0, numpy.nan]), ['logit must be', 'nan']),
    (lambda: D.Categorical(logit=[0, numpy.inf]), ['logit must be', 'got inf']),
    (lambda: D.Categorical(logit=[[0, 1], [-numpy.inf] * 2]), ['-inf for every class']),
    (lambda: D.Categorical(logit=3.), ['logit must have the classes', '()']),
    (lambda: D.Categorical(logit=numpy.zeros((2, 0))), ['at least one', '(2, 0)']),
    (lambda: D.Categorical([0.5, 0.5]).log_prob(2), ['x must be', '0 to 1', 'got 2']),
    (lambda: D.Categorical([0.5, 0.5]).log_prob(-1), ['x must be', 'got -1']),
    (lambda: D.Categorical([0.5, 0.5]).log_prob(0.5), ['x must be', 'got 0.5']),
    (lambda: D.Categorical([0.5, 0.5]).log_prob(numpy.nan), ['x must be', 'nan']),
    (lambda: D.Categorical([[0.5, 0.5]] * 2).log_prob([0, 1, 0]), ['(3,)', 'batch_shape (2,)']),
])
def test_bad_input_is_a_sentence(make, fragments):
    with pytest.raises(ValueError) as error:
        make()
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize('name, row', [('logit', [1., 2.]), ('p', [0., 1.])])
def test_impossible_labels_without_validation(name, row):
    x = chainer.Variable(numpy.float32(row))
    with D.validation(False):
        y = D.Categorical(**{name: x}).log_prob([7, -1, 0.5, numpy.nan, 1])
    assert (y.array[:4] == -numpy.inf).all() and y.array[4] > -numpy.inf
    y.grad = numpy.float32([1, 1, 1, 1, 0])
    y.backward()
    assert x.grad.tolist() == [0, 0]
