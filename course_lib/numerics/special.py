"""Stable elementary and special functions, for arrays and for Chainer variables alike.

Given arrays, each function returns an array at once; given a variable, it returns a variable that
can be differentiated any number of times. ``value`` is the formula, ``partials`` its derivative:
reading the two side by side is reading the mathematics.

Where NumPy or SciPy has a function to working precision, it is used. What is added here is what
they lack: differences that would cancel (``log1pmx``, ``expm1mx``, ``stirling_error``) and
logarithms of quantities that would underflow (``softplus``, ``log1mexp``).
"""
import functools
import math

import chainer
from chainer import backend
from chainer import functions as F
import numpy
from numpy.lib import introspect
import scipy.special

from course_lib.numerics.cuda_graph import recording, surely_all
from course_lib.numerics.elementwise import Elementwise

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def data(x):
    """The array inside a variable, or the array itself."""
    return x.array if isinstance(x, chainer.Variable) else x


def xp_of(*arrays):
    """:mod:`numpy` or :mod:`cupy`, whichever the arrays (or variables) live in."""
    return backend.get_array_module(*arrays)


def special_of(xp):
    """:mod:`scipy.special` for NumPy, :mod:`cupyx.scipy.special` for CuPy."""
    if xp is numpy:
        return scipy.special
    import cupyx.scipy.special
    return cupyx.scipy.special


def apply(node, *inputs):
    """Runs a node on arrays without a graph, or on variables with one."""
    for x in inputs:
        if isinstance(x, chainer.Variable):
            return node(*inputs)
    return node.on_arrays(*inputs)


def _unary(node, x):
    """Like :func:`apply`, without its overhead: the formula is one ufunc, whatever the dtype."""
    if isinstance(x, chainer.Variable):
        return node()(x)
    return getattr(xp_of(x), node.ufunc)(x)


@numpy.errstate(over='ignore')
def cast(x, dtype):
    """The variable in a dtype; what that cannot hold becomes infinite without a warning."""
    return F.cast(x, dtype)


def where(condition, x, y):
    """``x`` where the (array) condition holds, ``y`` elsewhere; broadcasts; numbers are welcome.

    A gradient reaches only the chosen side, but beware: if the side *not* chosen has an infinite
    derivative, 0 · inf makes it NaN. Make the other side harmless first (``where`` its argument).
    """
    if isinstance(x, chainer.Variable) or isinstance(y, chainer.Variable):
        like = x if isinstance(x, chainer.Variable) else y
        xp = like.xp
        x, y = (v if isinstance(v, chainer.Variable)
                else xp.full((), v, like.dtype) if isinstance(v, (int, float))
                else xp.asarray(v, dtype=like.dtype) for v in (x, y))
        return F.where(condition, x, y)
    return xp_of(condition, x, y).where(condition, x, y)


class _Unary(Elementwise):
    """A function that NumPy has under the name ``ufunc``, with its derivative."""

    def value(self, x):
        return getattr(xp_of(x), self.ufunc)(x)


class Identity(Elementwise):
    def value(self, x):
        return x

    def partials(self, x):
        return [lambda: 1.]


class Exp(_Unary):
    ufunc = 'exp'

    def partials(self, x):
        return [lambda: exp(x)]


class Log(_Unary):
    ufunc = 'log'

    def partials(self, x):
        return [lambda: 1 / x]


class Log1p(_Unary):
    ufunc = 'log1p'

    def partials(self, x):
        return [lambda: 1 / (1 + x)]


class Expm1(_Unary):
    ufunc = 'expm1'

    def partials(self, x):
        return [lambda: exp(x)]


class Sqrt(_Unary):
    ufunc = 'sqrt'

    def partials(self, x):
        return [lambda: 0.5 / sqrt(x)]


class Tanh(_Unary):
    ufunc = 'tanh'

    def partials(self, x):
        return [lambda: 4 * sigmoid(2 * x) * sigmoid(-2 * x)]   # 1 - tanh(x)^2 would cancel


class Sin(_Unary):
    ufunc = 'sin'

    def partials(self, x):
        return [lambda: cos(x)]


class Cos(_Unary):
    ufunc = 'cos'

    def partials(self, x):
        return [lambda: -sin(x)]


class Arctan(_Unary):
    ufunc = 'arctan'

    def partials(self, x):
        return [lambda: 1 / (1 + x * x)]


class Abs(Elementwise):
    def value(self, x):
        return abs(x)

    def partials(self, x):
        return [lambda: xp_of(data(x)).sign(data(x))]


class Sigmoid(Elementwise):
    def value(self, x):
        # e^x / (1 + e^x) keeps the relative precision of the left tail; at 40 it is already 1, in
        # float64 too, so that clipping there changes nothing but the overflow.
        y = over(xp_of(x).exp, x.clip(-math.inf, 40))
        y /= 1 + y
        return y

    def partials(self, x):
        return [lambda: sigmoid(x) * sigmoid(-x)]


class Softplus(Elementwise):
    def value(self, x):
        return softplus_of_array(x)

    def partials(self, x):
        return [lambda: sigmoid(x)]


class LogSigmoid(Elementwise):
    def value(self, x):
        return over(xp_of(x).negative, softplus_of_array(-x))

    def partials(self, x):
        return [lambda: sigmoid(-x)]


class Log1mExp(Elementwise):
    def value(self, x):
        xp = xp_of(x)
        # Near 0, 1 - exp(-x) cancels and expm1 does not; far out log1p keeps the tail exp(-x).
        # (Maechler 2012, "Accurately computing log(1 - exp(-|a|))", eq. 7: switch at log 2.)
        near = xp.log(-xp.expm1(-x))
        far = xp.log1p(-xp.exp(-x))
        return xp.where(x < math.log(2), near, far)

    def partials(self, x):
        return [lambda: -exp(-x) / expm1(-x)]


class Log1pMx(Elementwise):
    def value(self, x):
        xp = xp_of(x)
        small = abs(x) < 0.25
        # log1p(x) = 2 atanh(r), r = x / (2 + x); the series in r^2 converges twice as fast as in x.
        r = xp.where(small, x, 0) / (2 + xp.where(small, x, 0))
        s = r * r
        tail = polynomial(s, [2 / (2 * k + 1) for k in range(1, 10)]) * s
        return xp.where(small, r * (tail - xp.where(small, x, 0)), xp.log1p(x) - x)

    def partials(self, x):
        return [lambda: -x / (1 + x)]


class Expm1Mx(Elementwise):
    def value(self, x):
        xp = xp_of(x)
        small = abs(x) < 1
        t = xp.where(small, x, 0)
        series = t * t * polynomial(t, [1 / math.factorial(k) for k in range(2, 20)])
        return xp.where(small, series, xp.expm1(x) - x)

    def partials(self, x):
        return [lambda: expm1(x)]


class Logit(Elementwise):
    def value(self, p):
        xp = xp_of(p)
        # log p - log(1 - p) cancels near p = 1/2, where 2p - 1 is exact.
        centre = abs(p - 0.5) < 0.25
        near = xp.log1p((2 * p - 1) / (1 - p))
        return xp.where(centre, near, xp.log(p) - xp.log1p(-p))

    def partials(self, p):
        return [lambda: 1 / (p * (1 - p))]


class Lgamma(Elementwise):
    def value(self, x):
        return special_of(xp_of(x)).gammaln(x)

    def partials(self, x):
        return [lambda: digamma(x)]


class Digamma(Elementwise):
    def value(self, x):
        return special_of(xp_of(x)).digamma(x)

    def partials(self, x):
        return [lambda: polygamma(1, x)]


class Polygamma(Elementwise):
    upcast = True

    def __init__(self, n):
        super().__init__()
        self.n = n

    def value(self, x):
        xp = xp_of(x)
        # (-1)^(n+1) n! zeta(n+1, x): the Hurwitz zeta function keeps full relative precision.
        factor = (-1) ** (self.n + 1) * math.factorial(self.n)
        return factor * special_of(xp).zeta(xp.asarray(self.n + 1, x.dtype), x)

    def partials(self, x):
        return [lambda: polygamma(self.n + 1, x)]


class StirlingError(Elementwise):
    """lgamma(x + 1) - (x + 1/2) log x + x - log(2 pi)/2, or its derivative of the given order."""

    upcast = True
    SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156,
              -3617 / 122400)

    def __init__(self, order=0):
        super().__init__()
        self.order = order

    def value(self, x):
        xp = xp_of(x)
        large = x > 10
        t = 1 / xp.where(large, x, 11)
        m = self.order
        # The m-th derivative of sum_j c_j x^-(2j+1), the asymptotic series (NIST DLMF 5.11.1).
        coefficients = [c * math.prod(-(2 * j + 1) - i for i in range(m))
                        for j, c in enumerate(self.SERIES)]
        series = t ** (1 + m) * polynomial(t * t, coefficients)
        return xp.where(large, series, self.exact(xp.where(large, 1, x)))

    def exact(self, x):
        """The definition, for x up to 10, where it loses few digits."""
        m = self.order
        if m == 0:
            return lgamma(x + 1) - (x + 0.5) * xp_of(x).log(x) + x - HALF_LOG_2PI
        if m == 1:
            return digamma(x + 1) - xp_of(x).log(x) - 0.5 / x
        return polygamma(m - 1, x + 1) - (-1) ** m * x ** (1 - m) * (
            math.factorial(m - 2) - 0.5 * math.factorial(m - 1) / x)

    def partials(self, x):
        return [lambda: apply(type(self)(self.order + 1), x)]


class GammaHalfStep(StirlingError):
    """log Gamma(x + 1/2) - log Gamma(x) - log(x)/2, or its derivative of the given order."""

    # Stirling's series at x + 1/2 less that at x (NIST DLMF 5.11.8 with h = 1/2 and h = 0).
    SERIES = tuple(c * (2.0 ** -(2 * j + 1) - 2) for j, c in enumerate(StirlingError.SERIES))

    def exact(self, x):
        m = self.order
        if m == 0:
            return lgamma(x + 0.5) - lgamma(x) - 0.5 * xp_of(x).log(x)
        if m == 1:
            return digamma(x + 0.5) - digamma(x) - 0.5 / x
        return (polygamma(m - 1, x + 0.5) - polygamma(m - 1, x)
                + 0.5 * (-1) ** m * math.factorial(m - 1) / x ** m)


class Deviance(Elementwise):
    upcast = True

    def value(self, x, m):
        xp = xp_of(x, m)
        near = abs(m - x) < 0.5 * x
        # Near x = m three terms of size x cancel to (m - x)^2 / (2x); -x log1pmx((m - x) / x) is
        # the same thing with the cancellation done on paper.
        close = -x * log1pmx(xp.where(near, m - x, 0) / xp.where(near, x, 1))
        apart = xp.where(x > 0, x * (xp.log(x) - xp.log(m)), 0) + (m - x)
        return xp.where(near, close, apart)

    def partials(self, x, m):
        both_zero = (data(x) == 0) & (data(m) == 0)
        x, m = where(both_zero, 1., x), where(both_zero, 1., m)
        return [lambda: log_ratio(x, m), lambda: (m - x) / m]


class LogRatio(Elementwise):
    upcast = True

    def value(self, x, m):
        xp = xp_of(x, m)
        near = abs(x - m) < 0.5 * m
        u = xp.where(near, x - m, 0) / xp.where(near, m, 1)
        return xp.where(near, xp.log1p(u), xp.log(x) - xp.log(m))

    def partials(self, x, m):
        return [lambda: 1 / x, lambda: -1 / m]


class Ndtr(Elementwise):
    def value(self, x):
        return special_of(xp_of(x)).ndtr(x)

    def partials(self, x):
        return [lambda: exp(-0.5 * x * x - HALF_LOG_2PI)]


class LogNdtr(Elementwise):
    upcast = True

    def value(self, x):
        return special_of(xp_of(x)).log_ndtr(x)

    def partials(self, x):
        return [lambda: normal_hazard(-x)]


class NormalHazard(Elementwise):
    upcast = True

    def value(self, x):
        xp = xp_of(x)
        # The scaled erfcx(x) = e^(x^2) erfc(x): neither density nor tail underflows in it.
        return math.sqrt(2 / math.pi) / special_of(xp).erfcx(x * math.sqrt(0.5))

    def partials(self, x):
        def derivative():
            y = normal_hazard(x)
            return y * (y - x)
        return [derivative]


class Erf(Elementwise):
    upcast = True

    def value(self, x):
        return special_of(xp_of(x)).erf(x)

    def partials(self, x):
        return [lambda: 2 / math.sqrt(math.pi) * exp(-x * x)]


class Erfinv(Elementwise):
    upcast = True

    def value(self, x):
        return special_of(xp_of(x)).erfinv(x)

    def partials(self, x):
        def derivative():
            y = erfinv(x)
            return math.sqrt(math.pi) / 2 * exp(y * y)
        return [derivative]


class Ndtri(Elementwise):
    upcast = True

    def value(self, x):
        return special_of(xp_of(x)).ndtri(x)

    def partials(self, x):
        def derivative():
            y = ndtri(x)
            return exp(0.5 * y * y + HALF_LOG_2PI)
        return [derivative]


def exp(x):
    """e^x."""
    return _unary(Exp, x)


def log(x):
    """Natural logarithm; -inf at 0."""
    return _unary(Log, x)


def log1p(x):
    """log(1 + x), exact for small x."""
    return _unary(Log1p, x)


def expm1(x):
    """e^x - 1, exact for small x."""
    return _unary(Expm1, x)


def sqrt(x):
    """Square root."""
    return _unary(Sqrt, x)


def tanh(x):
    """Hyperbolic tangent."""
    return _unary(Tanh, x)


def sin(x):
    """Sine of x radians."""
    return _unary(Sin, x)


def cos(x):
    """Cosine of x radians."""
    return _unary(Cos, x)


def arctan(x):
    """Inverse tangent, in radians."""
    return _unary(Arctan, x)


def absolute(x):
    """|x|, with derivative 0 at 0."""
    return apply(Abs(), x)


def sigmoid(x):
    """The logistic function 1 / (1 + e^-x), with both tails to full relative precision.

    >>> f'{sigmoid(numpy.float32(-80)):.4g}'
    '1.805e-35'
    """
    return apply(Sigmoid(), _array(x))


def softplus(x):
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|): no overflow, no lost tail.

    >>> y = softplus(numpy.float32([-20, 0, 1000]))
    >>> [f'{v:.4g}' for v in y]
    ['2.061e-09', '0.6931', '1000']
    """
    return apply(Softplus(), _array(x))


def log_sigmoid(x):
    """log sigmoid(x) = -softplus(-x) = min(x, 0) - log1p(e^-|x|)."""
    return apply(LogSigmoid(), _array(x))


def logit(p):
    """log(p / (1 - p)), the inverse of :func:`sigmoid`; -inf at 0 and inf at 1."""
    return apply(Logit(), p)


def log1mexp(x):
    """log(1 - e^-x) for x > 0 (Maechler 2012, eq. 7)."""
    return apply(Log1mExp(), x)


def log1pmx(x):
    """log(1 + x) - x, without the cancellation at small x."""
    return apply(Log1pMx(), x)


def expm1mx(x):
    """e^x - 1 - x, without the cancellation at small x."""
    return apply(Expm1Mx(), x)


def lgamma(x):
    """log Gamma(x) for x > 0."""
    return apply(Lgamma(), x)


def digamma(x):
    """The derivative of log Gamma."""
    return apply(Digamma(), x)


def polygamma(n, x):
    """The ``n``-th derivative of digamma, n >= 1, for x > 0."""
    return apply(Polygamma(n), x)


def stirling_error(x):
    """log Gamma(x + 1) minus Stirling's formula: what Loader (2000) calls delta(x).

    delta(x) = lgamma(x + 1) - (x + 1/2) log x + x - log(2 pi) / 2, about 1 / (12 x).
    """
    return apply(StirlingError(), x)


def gamma_half_step(x):
    """log(Gamma(x + 1/2) / (Gamma(x) sqrt(x))), about -1 / (8 x)."""
    return apply(GammaHalfStep(), x)


def deviance(x, m):
    """x log(x / m) + m - x, 0 or more: how badly a mean of m fits a count of x (Loader 2000, D0).

    It is KL(Poisson(x) || Poisson(m)), and the x-dependent part of every log-probability of
    counts; small when x is near m, and then free of cancellation. 0 log 0 is 0.

    >>> f'{deviance(1e7, 1e7 + 1):.6g}'
    '5e-08'
    """
    return apply(Deviance(), _array(x), _array(m))


def log_ratio(x, m):
    """log(x / m), which neither overflows nor loses digits where x is near m."""
    return apply(LogRatio(), _array(x), _array(m))


def log_peak(k):
    """log of the probability k^k e^-k / k! of the count k at mean k, for an array of counts.

    It is k log k - k - log k!, 0 for k = 0 and about -log(2 pi k) / 2 beyond. A table look-up for
    small counts, Stirling's series beyond.
    """
    xp = xp_of(k)
    if _in_table(k):
        return _look_up(_LOG_PEAK, k)
    small = k < TABLE_SIZE
    peak = _log_peaks(xp)[xp.where(small, k, 0).astype(numpy.intp)]
    if not surely_all(small):
        large = xp.where(small, 1, k)
        series = -stirling_error(large) - HALF_LOG_2PI - 0.5 * xp.log(large)
        peak = xp.where(small, peak, series)
    return peak.astype(k.dtype, copy=False)


@functools.lru_cache(maxsize=None)
def _log_peaks(xp):
    return xp.asarray(_LOG_PEAK)


def refined(rough, exact, *operands):
    """A quick formula, with the elements it declares doubtful redone by a slow one in float64.

    Args:
        rough: ``rough(*operands)`` returns the values and where they lost digits, two arrays.
        exact: ``exact(*operands)`` is right everywhere; for arrays of float64 and for variables.
        *operands: Arrays, or variables: these are always given to ``exact``, in float64.

    Returns:
        An array or a variable of the operands' dtype.
    """
    if any(isinstance(x, chainer.Variable) for x in operands):
        dtype = numpy.result_type(*(x.dtype for x in operands))
        return F.cast(exact(*(F.cast(x, numpy.float64) for x in operands)), dtype)
    xp = xp_of(*operands)
    values, doubtful = map(xp.asarray, rough(*operands))
    if recording():
        redone = exact(*(x.astype(numpy.float64) for x in operands)).astype(values.dtype)
        return xp.where(doubtful, redone, values)
    if doubtful.any():
        values[doubtful] = exact(*(xp.broadcast_to(x, values.shape)[doubtful].astype(numpy.float64)
                                   for x in operands))
    return values


def ndtr(x):
    """The standard Normal distribution function."""
    return apply(Ndtr(), x)


def log_ndtr(x):
    """The logarithm of the standard Normal distribution function, finite far into the left tail."""
    return apply(LogNdtr(), x)


def erf(x):
    """The error function, 2 ndtr(sqrt(2) x) - 1, exact for small x."""
    return apply(Erf(), x)


def erfinv(x):
    """The inverse of :func:`erf`, for -1 <= x <= 1."""
    return apply(Erfinv(), x)


def normal_density(x):
    """The standard normal density e^(-x^2 / 2) / sqrt(2 pi)."""
    return exp(-0.5 * x * x - HALF_LOG_2PI)


def normal_hazard(x):
    """Density over upper tail of the standard normal, phi(x) / ndtr(-x): about x for large x."""
    return apply(NormalHazard(), x)


def ndtri(x):
    """The standard normal quantile function, the inverse of :func:`ndtr`."""
    return apply(Ndtri(), x)


def over(ufunc, x):
    """``ufunc(x)``, written over ``x``: for an intermediate result that is not needed again.

    Memory that is in cache is reused, instead of more being fetched. NumPy's scalars are values
    and have no memory to reuse.
    """
    return ufunc(x, out=x) if isinstance(x, numpy.ndarray) else ufunc(x)


def exp_is_finite(x):
    """Whether e^x is finite all over a NumPy array of float32 or wider: then no formula avoids it.

    False of a variable, and of an array on a GPU, where to look would be to wait for it.
    """
    if isinstance(x, numpy.ndarray):
        return x.size > 0 and bool(x.max() < 80)
    return isinstance(x, numpy.generic) and bool(x < 80)


def exp_of_minus_abs(x):
    """e^-|x| of an array: what overflows nowhere."""
    xp = xp_of(x)
    return over(xp.exp, over(xp.negative, abs(x)))


def softplus_of_array(x):
    """:func:`softplus` of a floating array, as part of a longer formula."""
    if _LOG1P_IS_VECTORISED and exp_is_finite(x):
        return over(numpy.log1p, numpy.exp(x))
    y = x.clip(0, math.inf)
    y += log1p_of_unit(exp_of_minus_abs(x))
    return y


def log1p_of_unit(u):
    """log(1 + u) for an array 0 <= u <= 1, to working precision, written over ``u``.

    NumPy's ``log`` is vectorised on every processor and its ``log1p`` on few. On the others: with
    w = 1 + u rounded, log(w) lacks only what the rounding lost, u - (w - 1), which is added back;
    the error of doing so to first order is below half a unit in the last place (Kahan's trick).
    """
    xp = xp_of(u)
    if xp is not numpy or _LOG1P_IS_VECTORISED:
        return over(xp.log1p, u)
    w = 1 + u
    u -= w - 1
    u += over(numpy.log, w)
    return u


def vectorised_expm1(x):
    """e^x - 1 of an array or a variable, by functions that are vectorised on this processor."""
    if EXPM1_IS_VECTORISED or isinstance(x, chainer.Variable) or xp_of(x) is not numpy:
        return expm1(x)
    return tanh(0.5 * x) * (exp(x) + 1)


def _is_vectorised(name):
    """Whether NumPy has a version of this float32 function for the vector units of this processor.
    """
    versions = introspect.opt_func_info(func_name=f'^{name}$', signature='float32')
    return any(not version['current'].startswith('baseline')
               for version in versions.get(name, {}).values())


_LOG1P_IS_VECTORISED = _is_vectorised('log1p')
EXPM1_IS_VECTORISED = _is_vectorised('expm1')


def log_factorial(k):
    """log k! of an array of non-negative whole numbers: a table look-up where the table reaches."""
    if _in_table(k):
        return _look_up(_LOG_FACTORIAL, k)
    return special_of(xp_of(k)).gammaln(k + 1.)


def _in_table(k):
    return isinstance(k, numpy.ndarray) and k.size and k.max() < TABLE_SIZE


def _look_up(table, k):
    # Looked up in the precision of k: casting the result costs more than the look-up.
    in_precision = table.astype(numpy.float32) if k.dtype == numpy.float32 else table
    return in_precision.take(k.astype(numpy.intp))


def polynomial(x, coefficients):
    """Horner's rule: coefficients[0] + coefficients[1] x + ..."""
    result = coefficients[-1] * x
    for c in reversed(coefficients[1:-1]):
        result += c
        result *= x
    result += coefficients[0]
    return result


def _array(x):
    return x if isinstance(x, chainer.Variable) or hasattr(x, 'dtype') else numpy.asarray(x)


TABLE_SIZE = 1 << 12
_COUNTS = numpy.arange(1, TABLE_SIZE, dtype=numpy.float64)
_LOG_PEAK = numpy.append(0, -stirling_error(_COUNTS) - HALF_LOG_2PI - 0.5 * numpy.log(_COUNTS))
_LOG_FACTORIAL = numpy.append(0, scipy.special.gammaln(_COUNTS + 1))
