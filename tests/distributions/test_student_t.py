"""StudentT: accuracy, the normal limit, defects of other libraries, and bad input."""
import warnings

import accuracy
import chainer
import continuous
import mpmath
import numpy
import pytest
import scipy.stats

import course_lib.distributions as D

CASES = [(0.7, 3, 0.2, 1.3), (0, 1, 0, 1), (1.5, 1e8, 0, 1), (1.5, 1e10, 0, 1), (-1e10, 0.01, 0, 1),
         (1e10, 2, 0, 1e-10), (1e10, 1e10, 0, 1), (-40, 1e6, 1, 2), (1e-10, 19.9, 0, 1e10),
         (3, 20.1, 1, 1), (1.00001, 5, 1, 1e-3), (2, 1e-2, 0, 1), (3, 1e4, 0, 1), (1e-30, 4, 0, 1)]
DFS = [1e-2, 0.5, 1, 4, 19.9, 20.1, 1e3, 1e8, 1e10]


def log_prob(x, df, loc, scale):
    z = (x - loc) / scale
    return (mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2)
            - mpmath.log(df * mpmath.pi) / 2 - mpmath.log(scale)
            - (df + 1) / 2 * mpmath.log1p(z * z / df))


def entropy(df, scale):
    h = df / 2
    return ((h + 0.5) * (mpmath.digamma(h + 0.5) - mpmath.digamma(h)) + mpmath.log(df) / 2
            + mpmath.loggamma(h) + mpmath.loggamma(mpmath.mpf(1) / 2) - mpmath.loggamma(h + 0.5)
            + mpmath.log(scale))


@pytest.mark.parametrize('x,df,loc,scale', CASES)
def test_log_prob_is_accurate(x, df, loc, scale):
    accuracy.check(lambda x, df, loc, scale: D.StudentT(df, loc, scale).log_prob(x), log_prob,
                   {'df': df, 'loc': loc, 'scale': scale}, x, continuous=True)


@pytest.mark.parametrize('df', DFS)
def test_entropy_is_accurate(df):
    accuracy.check(lambda df, scale: D.StudentT(df, 0., scale).entropy, entropy,
                   {'df': df, 'scale': 3e5})


def test_the_normal_limit_where_torch_fails():
    """torch: log_prob -1.125 and entropy 9.21 at df = 1e8 in float32."""
    t, normal = D.StudentT(numpy.float32(1e8)), D.Normal(numpy.float32(0), 1.)
    assert t.log_prob(1.5).array == pytest.approx(normal.log_prob(1.5).array, 1e-6)
    assert t.entropy.array == pytest.approx(normal.entropy.array, 1e-6)


def test_nothing_overflows_far_out():
    v = [chainer.Variable(numpy.array(a)) for a in (1e200, 3., 0., 1e-50)]
    y = D.StudentT(*v[1:]).log_prob(v[0])
    y.backward()
    exact = log_prob(*[mpmath.mpf(float(a.array)) for a in v])
    assert y.array == pytest.approx(float(exact), 1e-12)
    assert v[0].grad == pytest.approx(-4e-200) and v[3].grad == pytest.approx(3e50)
    assert v[1].grad == pytest.approx(float(mpmath.diff(
        lambda df: log_prob(mpmath.mpf(1e200), df, 0, mpmath.mpf(1e-50)), 3)), 1e-10)
    for x in (-numpy.inf, numpy.inf):
        continuous.check_outside(lambda x, *v: D.StudentT(*v).log_prob(x), x, 3., 0., 1.)


@pytest.mark.parametrize('df', [0.3, 2.5, 40, 1e10])
def test_curves(df):
    d, exact = D.StudentT(numpy.float64(df), 1., 2.), scipy.stats.t(df, 1, 2)
    p = numpy.array([1e-6, 0.01, 0.5, 0.9, 0.999])
    x = exact.ppf(p)
    numpy.testing.assert_allclose(d.cdf(x).array, p, 1e-9)
    numpy.testing.assert_allclose(d.survival_function(x).array, exact.sf(x), 1e-9)
    numpy.testing.assert_allclose(d.icdf(p).array, x, 1e-9)


@pytest.mark.parametrize('df', [0.01, 0.3, 3, 30, 1e6])
@pytest.mark.parametrize('p', [1e-300, 1e-20, 1e-3, 0.3, 0.4999999])
def test_icdf_is_accurate(df, p):
    d = D.StudentT(numpy.float64(df))
    x = d.icdf(numpy.float64(p)).array
    assert d.icdf([0., 1.]).array.tolist() == [-numpy.inf, numpy.inf]
    with mpmath.workdps(50):
        def lower_tail(t):
            w = df / (df + mpmath.mpf(float(t)) ** 2)
            return mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, w, regularized=True) / 2
        if numpy.isinf(x):
            assert lower_tail(numpy.finfo(float).max) > p
        else:
            size = min(mpmath.mpf(p), 0.5 - mpmath.mpf(p))
            assert abs(lower_tail(x) - p) < 1e-12 * size


def test_the_curves_are_flat_at_infinity():
    x = chainer.Variable(numpy.array([-numpy.inf, numpy.inf]))
    for name, ends in (('cdf', [0, 1]), ('survival_function', [1, 0])):
        loc, scale = chainer.Variable(numpy.zeros(2)), chainer.Variable(numpy.ones(2))
        y = getattr(D.StudentT(3., loc, scale), name)(x)
        gradients = chainer.grad([chainer.functions.sum(y)], [x, loc, scale])
        assert y.array.tolist() == ends
        assert [g.array.tolist() for g in gradients] == [[0, 0]] * 3


@pytest.mark.parametrize('name', ['log_prob', 'cdf', 'survival_function', 'icdf'])
def test_an_observation_of_another_precision(name):
    x = numpy.array([0.2, 0.7])
    numpy.testing.assert_allclose(getattr(D.StudentT(3.), name)(x).array,
                                  getattr(D.StudentT(numpy.float64(3)), name)(x).array, 1e-14)
    assert getattr(D.StudentT(3.), name)(x.astype('e')).dtype == numpy.float32


def test_moments():
    for df in (2.5, 7., 1e9):
        d, exact = D.StudentT(numpy.float64(df), 1., 2.), scipy.stats.t(df, 1, 2)
        for ours, theirs in ((d.mean, exact.mean()), (d.variance, exact.var()),
                             (d.stddev, exact.std()), (d.mode, 1)):
            numpy.testing.assert_allclose(ours.array, theirs, 1e-12)
    d = D.StudentT([1.5, 2., 4.])
    assert d.mean.array.tolist() == [0, 0, 0]
    assert d.variance.array.tolist() == [numpy.inf, numpy.inf, 2]


@pytest.mark.parametrize('name', ['mean', 'variance', 'stddev'])
def test_an_undefined_moment_is_announced(name):
    with pytest.warns(RuntimeWarning, match='undefined for df of 1 or less'):
        value = getattr(D.StudentT([0.5, 1., 3.]), name).array
    assert numpy.isnan(value).tolist() == [True, True, False]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        getattr(D.StudentT(3.), name)


def test_double_backward():
    x, df, loc, s = [0.4, -1.1, 5.], [0.3, 4., 25.], [0.1, 0.2, 0.3], [0.3, 1.5, 1.]
    continuous.check_double_backward(lambda x, *v: D.StudentT(*v).log_prob(x), x, df, loc, s)
    continuous.check_double_backward(lambda df, s: D.StudentT(df, 0., s).entropy, df, s)
    for method, at in (('cdf', [x, [3, -9, 0]]), ('survival_function', x),
                       ('icdf', [0.1, 0.6, 0.9])):
        continuous.check_double_backward(
            lambda x, m, s: getattr(D.StudentT(2.5, m, s), method)(x), at, loc, s)
    variable = chainer.Variable(numpy.array(2.))
    with pytest.raises(NotImplementedError, match='not in df'):
        D.StudentT(variable).cdf(0.5).backward()


def test_samplers():
    continuous.check_sampler(lambda dtype: D.StudentT(dtype(2.5), dtype(1), dtype(2)),
                             scipy.stats.t(2.5, 1, 2))
    for df in (0.3, 1e8):
        x = D.StudentT(numpy.float64(df)).sample(20000, rng=1).array
        assert scipy.stats.kstest(x, scipy.stats.t(df).cdf).pvalue > continuous.SIGNIFICANCE
    continuous.check_seeds(D.StudentT(numpy.full(3, 2.)))
    x = D.StudentT(numpy.full(1000, 1e-3, 'f')).sample(rng=1).array
    assert numpy.isfinite(x).all()


def test_a_sample_is_differentiable():
    df, loc, scale = (chainer.Variable(numpy.full(100000, v)) for v in (5., 0.3, 1.4))
    x = D.StudentT(df, loc, scale).sample(rng=4)
    chainer.functions.sum(abs(x - loc)).backward()
    # E|T| = 2 sqrt(df) Gamma((df + 1)/2) / (Gamma(df/2) sqrt(pi) (df - 1))
    slope = float(1.4 * mpmath.diff(lambda v: 2 * mpmath.sqrt(v / mpmath.pi) * mpmath.gamma(
        (v + 1) / 2) / mpmath.gamma(v / 2) / (v - 1), 5))
    assert abs(df.grad.mean() - slope) < 4 * df.grad.std() / len(df) ** 0.5
    size = abs(x.array - 0.3) / 1.4
    numpy.testing.assert_allclose(scale.grad, size, 1e-9)


def test_shapes_and_dtypes():
    d = D.StudentT(2., numpy.zeros(1, 'f'), numpy.ones(3, 'f'))
    assert d.batch_shape == d.mode.shape == d.sample(4).shape[1:] == d.entropy.shape == (3,)
    assert len(set(d.sample_n(2).array.ravel())) == 6
    for dtype in (numpy.float16, numpy.float32, numpy.float64):
        d = D.StudentT(chainer.Variable(numpy.full(2, 3, dtype)))
        results = [d.log_prob(1), d.cdf(1), d.icdf(0.5), d.mean, d.variance, d.mode, d.entropy,
                   d.sample()]
        assert {r.dtype for r in results} == {numpy.dtype(dtype)}
        assert all(r.shape == (2,) for r in results)


@pytest.mark.parametrize('make,fragment', [
    (lambda: D.StudentT(0.), 'StudentT: df must be a finite number above 0; got 0'),
    (lambda: D.StudentT(1., float('nan')), 'StudentT: loc must be a finite real number; got nan'),
    (lambda: D.StudentT(1., 0., -1.), 'StudentT: scale must be a finite number above 0; got -1'),
    (lambda: D.StudentT(1.).log_prob(float('nan')), 'x must be a number, not NaN'),
    (lambda: D.StudentT(1.).icdf(2.), 'x must be a probability')])
def test_bad_input(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
