"""Functions of the Gamma family: densities, incomplete integrals, the slope of a sample.

All are evaluated in float64. What they have in common is that the naive formulas subtract numbers
of the size of k log k to get a result of size 1; the ones here subtract nothing that large.
"""
from chainer import functions as F
import numpy

from course_lib.numerics import random
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    StirlingError,
    apply,
    data,
    digamma,
    exp,
    expm1mx,
    log,
    log1p,
    log1pmx,
    special_of,
    stirling_error,
    where,
    xp_of,
)

# Gauss-Legendre rules on [0, 1], as pairs (node, weight).
RULE_8, RULE_32 = (
    [((float(z) + 1) / 2, float(w) / 2) for z, w in zip(*numpy.polynomial.legendre.leggauss(n))]
    for n in (8, 32))


def log_ratio(t, k, difference=None):
    """log(t / k), with nothing lost where t and k nearly agree.

    Args:
        t: Positive array or variable.
        k: Positive array or variable.
        difference: t - k, where it is known better than by subtraction.
    """
    u = (t - k if difference is None else difference) / k
    near = abs(data(u)) < 0.5
    return where(near, log1p(where(near, u, 0.)), log(where(near, 1., t / k)))


def itakura_saito(t, k, difference=None):
    """t / k - 1 - log(t / k) >= 0, with nothing lost where t and k nearly agree; of arrays.

    k times this is the deviance of Loader (2000); arguments as for :func:`log_ratio`.
    """
    xp = xp_of(t, k)
    u = (t - k if difference is None else difference) / k
    near = abs(u) < 0.5
    return xp.where(near, -log1pmx(xp.where(near, u, 0)), u - xp.log(xp.where(near, 1, t / k)))


def digamma_minus_log(k):
    """digamma(k) - log(k), about -1 / (2 k)."""
    return apply(StirlingError(1), k) - 0.5 / k


class StirlingRise(Elementwise):
    """d(y) - d(x), d being the derivative of Stirling's error of the given order.

    The third input is y - x, which the caller may know better than by subtraction; the derivatives
    are those in x and y.
    """

    upcast = True

    def __init__(self, order=1):
        super().__init__()
        self.order = order

    def value(self, x, y, change):
        xp = xp_of(x, y)
        slope, curvature = (StirlingError(self.order + i).on_arrays for i in (0, 1))
        near = abs(change) < 0.25 * x
        x0, change0 = xp.where(near, x, 20), xp.where(near, change, 0)
        # The integral of the next derivative instead of a difference of two nearly equal numbers.
        integral = change0 * sum(w * curvature(x0 + z * change0) for z, w in RULE_8)
        return xp.where(near, integral, slope(y) - slope(x))

    def partials(self, x, y, change):
        return [lambda: -apply(StirlingError(self.order + 1), x),
                lambda: apply(StirlingError(self.order + 1), y), lambda: 0 * change]


class StirlingBregman(Elementwise):
    """delta(y) - delta(x) - (y - x) delta'(x) >= 0, where delta is :func:`stirling_error`."""

    upcast = True

    def value(self, x, y):
        xp = xp_of(x, y)
        slope, curvature = (StirlingError(i).on_arrays for i in (1, 2))
        near = abs(y - x) < 0.25 * x
        x0, change = xp.where(near, x, 20), xp.where(near, y - x, 0)
        # Taylor's formula with the remainder as an integral.
        integral = change * change * sum(
            w * (1 - z) * curvature(x0 + z * change) for z, w in RULE_8)
        direct = stirling_error(y) - stirling_error(x) - (y - x) * slope(x)
        return xp.where(near, integral, direct)

    def partials(self, x, y):
        return [lambda: (x - y) * apply(StirlingError(2), x),
                lambda: apply(StirlingRise(), x, y, y - x)]


class LogDensity(Elementwise):
    """log(t^(k-1) e^-t / Gamma(k)) for t >= 0: the log-density of a standard Gamma variable."""

    upcast = True

    def value(self, k, t):
        xp = xp_of(k, t)
        special = special_of(xp)
        small = k <= 10
        k0 = xp.where(small, k, 1)
        direct = special.xlogy(k0 - 1, t) - t - special.gammaln(k0)
        # For k and t both near 0, -log t and log Gamma(k) = log Gamma(k + 1) - log k cancel.
        tiny = (k < 0.5) & (t > 0)
        t0 = xp.where(tiny, t, 1)
        direct = xp.where(
            tiny, k0 * xp.log(t0) + xp.log(k0 / t0) - t - special.gammaln(k0 + 1), direct)
        # For large k three terms of size k log k cancel. Loader's (2000) saddle-point form has
        # them cancelled on paper: what is left is Stirling's error and k times the distance of t/k
        # from 1, both small.
        usual = ~small & (t > 0)
        k1, t1 = xp.where(usual, k, 11), xp.where(usual, t, 11)
        saddle = (xp.log(xp.sqrt(k1) / t1) - HALF_LOG_2PI - stirling_error(k1)
                  - k1 * itakura_saito(t1, k1))
        return xp.where(small, direct, xp.where(usual, saddle, -numpy.inf))

    def partials(self, k, t):
        def in_t():
            # (k - 1) / t - 1, also where t = 0 and k = 1.
            flat = (data(t) == 0) & (data(k) == 1)
            return where(flat, -1., (k - 1 - t) / where(flat, 1., t))
        return [lambda: log_ratio(t, k) - digamma_minus_log(k), in_t]


def log_density(k, t):
    """log(t^(k-1) e^-t / Gamma(k)) for k > 0 and finite t >= 0."""
    return apply(LogDensity(), k, t)


class LogSampleSlope(Elementwise):
    """How the logarithm y of a standard Gamma(k) sample moves with k at a fixed probability.

    dy/dk = -(dP/dk) / (dP/dy), P(k, e^y) being the regularised lower incomplete gamma function
    (Figurnov, Mohamed and Mnih 2018, eq. 7).
    """

    upcast = True

    def value(self, k, y):
        xp = xp_of(k, y)
        low = y <= 0
        return xp.where(low, _slope_by_series(k, xp.where(low, y, -1)),
                        _slope_by_quadrature(k, xp.where(low, 1, y)))

    def partials(self, k, y):
        raise NotImplementedError(
            'a Gamma sample or distribution function can be differentiated once in its shape, '
            'not twice')


def _slope_by_series(k, y):
    # P = sum of x^(k+n) e^-x / Gamma(k + n + 1), differentiated term by term; for x = e^y <= 1.
    xp = xp_of(k, y)
    x, coefficient = xp.exp(y), 1 / k
    psi = digamma(k + 1)
    total = coefficient * (psi - y)
    for n in range(1, 20):
        coefficient = coefficient * x / (k + n)
        psi = psi + 1 / (k + n)
        total = total + coefficient * (psi - y)
    return total


def _slope_by_quadrature(k, y):
    # With t = x e^(sign s): dy/dk = integral over s > 0 of (sign (log x - psi(k)) + s) e^-phi(s),
    # phi(s) = |x - k| s + x (e^(sign s) - 1 - sign s). Taken over the tail that x = e^y lies in,
    # every term is positive, and phi tells where the integrand has died out.
    xp = xp_of(k, y)
    x = xp.exp(y)
    upper = x >= k
    sign = xp.where(upper, 1., -1.)
    distance = abs(x - k)
    offset = sign * (log_ratio(x, k) - digamma_minus_log(k))
    end = 40.  # e^-40 is below rounding
    b = 2 * distance - end
    below = 4 * end / (b + xp.sqrt(b * b + 8 * k * end))
    above = 2 * end / (distance + xp.sqrt(distance * distance + 2 * x * end))
    for _ in range(2):
        above = xp.minimum(above, xp.log1p((end + above * k) / x))
    reach = xp.where(upper, above, below)
    total = 0
    for node, weight in RULE_32:
        s = reach * node
        total = total + weight * (offset + s) * xp.exp(-distance * s - x * expm1mx(sign * s))
    return reach * total


class LogGammaSample(Elementwise):
    """Passes on the constant log-samples y that were drawn, with the implicit gradient in k."""

    upcast = True

    def value(self, y, k):
        return y

    def partials(self, y, k):
        return [lambda: apply(LogSampleSlope(), k, y)]


def log_sample(k, n, rng):
    """``n`` draws of the logarithm of standard Gamma variables, differentiable in the shapes k.

    The logarithm, because at k = 0.001 nearly half of the draws are 0 in float64. For k so small
    that this can happen it is log x + log(u) / k, with x drawn at k + 1 and u uniform (Marsaglia
    and Tsang 2000, section 6).

    Args:
        k (chainer.Variable): Shapes, of any dtype.
        n (int): Number of draws.
        rng: See :mod:`course_lib.numerics.random`.

    Returns:
        chainer.Variable: float64, of shape ``(n,) + k.shape``.
    """
    k = F.cast(k, numpy.float64)
    xp, shapes = k.xp, k.array
    size = (n,) + k.shape
    rng = random.generator(xp, rng)  # once: a seed must not start both draws below alike
    boosted = shapes < 0.05
    x = random.draw(xp, rng, 'standard_gamma', shapes + boosted, size=size)
    y = xp.log(x)
    if boosted.any():
        u = random.uniform(xp, rng, size, numpy.float64)
        y = y + xp.where(boosted, xp.log(u) / shapes, 0)
    return LogGammaSample(y)(k)


def representable(x, dtype, low=None, high=None):
    """A float64 sample as ``dtype``, never rounded to 0 or to infinity.

    Args:
        x (chainer.Variable): float64 samples.
        dtype (numpy.dtype): The dtype wanted.
        low (float): The smallest value allowed; ``None`` for the smallest normal number.
        high (float): The largest value allowed; ``None`` for the largest number.
    """
    info = numpy.finfo(dtype)
    low = float(info.tiny) if low is None else low
    high = float(info.max) if high is None else high
    return F.cast(F.clip(x, low, high), dtype)


class LowerIncomplete(Elementwise):
    """P(k, t), the distribution function of a standard Gamma variable; t in [0, inf]."""

    upcast = True
    sign = 1

    def value(self, k, t):
        return special_of(xp_of(k, t)).gammainc(k, t)

    def partials(self, k, t):
        inside = (data(t) > 0) & (data(t) < numpy.inf)

        def in_k():
            t0 = where(inside, t, 1.)
            slope = t0 * exp(log_density(k, t0)) * apply(LogSampleSlope(), k, log(t0))
            return where(inside, -self.sign * slope, 0.)

        def in_t():
            t0 = where(data(t) < numpy.inf, t, 1.)
            return where(data(t) < numpy.inf, self.sign * exp(log_density(k, t0)), 0.)

        return [in_k, in_t]


class UpperIncomplete(LowerIncomplete):
    """Q(k, t) = 1 - P(k, t), with its tail."""

    sign = -1

    def value(self, k, t):
        return special_of(xp_of(k, t)).gammaincc(k, t)


class LowerIncompleteInverse(Elementwise):
    """The t at which P(k, t) = q."""

    upcast = True

    def value(self, k, q):
        return special_of(xp_of(k, q)).gammaincinv(k, q)

    def partials(self, k, q):
        t = apply(LowerIncompleteInverse(), k, q)
        finite = data(t) < numpy.inf

        def in_k():
            inside = finite & (data(t) > 0)
            t0 = where(inside, t, 1.)
            return where(inside, t0 * apply(LogSampleSlope(), k, log(t0)), 0.)

        def in_q():
            return where(finite, exp(-log_density(k, where(finite, t, 1.))), numpy.inf)

        return [in_k, in_q]
