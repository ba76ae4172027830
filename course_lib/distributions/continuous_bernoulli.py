"""Continuous Bernoulli: a number from 0 to 1, such as the grey value of a pixel."""
import math

import chainer
from chainer import functions as F
import numpy
import scipy.special

from course_lib.distributions import checks
from course_lib.distributions.distribution import OfProbability, cached_property, sum_last
from course_lib.numerics import random, special
from course_lib.numerics.cuda_graph import surely_all
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import log_ratio
from course_lib.numerics.special import apply, exp, logit, polynomial, where

# log(sinh(z/2) / (z/2)) = sum over n >= 1 of SERIES[n - 1] z^(2n), |z| < 2 pi (DLMF 4.19.7).
SERIES = [(-1) ** (n + 1) * float(scipy.special.zeta(2 * n)) / (n * (2 * math.pi) ** (2 * n))
          for n in range(1, 26)]
NODES, WEIGHTS = ([float(v) / 2 for v in values] for values in
                  (numpy.polynomial.legendre.leggauss(12)[0] + 1,
                   numpy.polynomial.legendre.leggauss(12)[1]))


class LogProb(Elementwise):
    """log p(x; z) = z (x - 1/2) - log(sinh(z/2) / (z/2)), for 0 <= x <= 1."""

    def value(self, x, z):
        xp = special.xp_of(x, z)
        a = abs(z)
        # Near z = 0 the logarithm is 0/0: take its series. Far out sinh overflows: with y the
        # distance of x from the favoured end, log p = log(a / (1 - e^-a)) - a y.
        near = z * ((x - 0.5) - z * polynomial(z * z, SERIES[:_n_terms(z)]))
        far = xp.log(a / (1 - xp.exp(-a))) - a * _distance(x, z)
        return xp.where(a < 1, near, far)

    def partials(self, x, z):
        return [lambda: z, lambda: apply(Residual(), x, z)]


class Residual(Elementwise):
    """x - mean(z), the derivative of log p(x; z) in z, with nothing lost where both are near 1."""

    def value(self, x, z):
        xp = special.xp_of(x, z)
        a = abs(z)
        t = xp.exp(-a)
        slopes = [2 * n * c for n, c in enumerate(SERIES[:_n_terms(z)], 1)]
        near = (x - 0.5) - z * polynomial(z * z, slopes)
        far = xp.sign(z) * (1 / a - t / (1 - t) - _distance(x, z))
        return xp.where(a < 1, near, far)

    def partials(self, x, z):
        return [lambda: 1., lambda: -mean_of_logit(z, 1)]


class Mean(Elementwise):
    """mean(z) = 1 / (1 - e^-z) - 1 / z, or its derivative of the given order (1: the variance).

    In physics this is the Langevin function: mean(z) = 1/2 + (coth(z/2) - 2/z) / 2.
    """

    upcast = True

    def __init__(self, order=0):
        super().__init__()
        self.order = order

    def value(self, z):
        xp = special.xp_of(z)
        k = self.order
        a = abs(z)
        small = a < 3
        # The two terms cancel near 0, where the series is exact instead.
        s = xp.where(small, z, 0)
        coefficients = [0.5 if k == 0 else 0] + [0] * (2 * len(SERIES))
        for n, c in enumerate(SERIES, 1):
            if 2 * n > k:
                coefficients[2 * n - k - 1] += c * math.perm(2 * n, k + 1)
        near = polynomial(s, coefficients)
        a = xp.where(small, 3, a)
        h = 1 / xp.expm1(a)
        # With h = 1 / (e^a - 1), h' = -h (1 + h): every derivative is a polynomial in h.
        derivative = numpy.polynomial.Polynomial([0, 1])
        for _ in range(k):
            derivative = derivative.deriv() * numpy.polynomial.Polynomial([0, -1, -1])
        far = polynomial(h, derivative.coef.tolist()) - (-1) ** k * math.factorial(k) / a ** (k + 1)
        if k == 0:
            far = xp.where(z > 0, 1 + far, -far)
        elif k % 2 == 0:
            far = xp.sign(z) * far
        return xp.where(small, near, far)

    def partials(self, z):
        return [lambda: mean_of_logit(z, self.order + 1)]


def mean_of_logit(z, order=0):
    """The mean of a continuous Bernoulli with logit z, or a derivative of it in z."""
    return apply(Mean(order), z)


class Exprel(Elementwise):
    """(e^t - 1) / t, 1 at t = 0. The logarithm of it has the derivative mean(t)."""

    upcast = True

    def value(self, t):
        xp = special.xp_of(t)
        return xp.where(t == 0, 1, xp.expm1(t) / xp.where(t == 0, 1, t))

    def partials(self, t):
        return [lambda: apply(Exprel(), t) * mean_of_logit(t)]


class LogTail(Elementwise):
    """log P(X <= x) = log((e^(z x) - 1) / (e^z - 1)), or with ``upper`` log P(X > x)."""

    upcast = True

    def __init__(self, upper=False):
        super().__init__()
        self.upper = upper

    def value(self, x, z):
        xp = special.xp_of(x, z)
        # 1 - X has the logit -z, so that one formula gives both tails. The larger is taken from
        # the smaller by log1p: near 1 it would otherwise be known to rounding only.
        this, other = _log_cdf(x, z), _log_cdf(1 - x, -z)
        if self.upper:
            this, other = other, this
        return xp.where(this < -math.log(2), this, xp.log1p(-xp.exp(other)))

    def partials(self, x, z):
        def in_x():
            if self.upper:
                return -1 / ((1 - x) * apply(Exprel(), z * (1 - x)))
            return 1 / (x * apply(Exprel(), -z * x))

        def in_z():
            smaller, is_upper, slope = _smaller_tail(x, z)
            larger = where(is_upper == self.upper, 0., apply(LogTail(self.upper), x, z))
            ratio = exp(where(is_upper == self.upper, 0., smaller) - larger)
            return ratio * (slope if self.upper else -slope)

        return [in_x, in_z]


class Tail(Elementwise):
    """P(X <= x), or with ``upper`` P(X > x)."""

    upcast = True

    def __init__(self, upper=False):
        super().__init__()
        self.upper = upper

    def value(self, x, z):
        return special.xp_of(x, z).exp(apply(LogTail(self.upper), x, z))

    def partials(self, x, z):
        sign = -1. if self.upper else 1.

        def in_z():
            smaller, _, slope = _smaller_tail(x, z)
            return -sign * exp(smaller) * slope

        return [lambda: sign * exp(apply(LogProb(), x, z)), in_z]


class Icdf(Elementwise):
    """The x with P(X <= x) = u, log(1 + u (e^z - 1)) / z; or with ``mirrored`` 1 - x."""

    upcast = True

    def __init__(self, mirrored=False):
        super().__init__()
        self.mirrored = mirrored

    def value(self, u, z):
        xp = special.xp_of(u, z)
        v = 1 - u
        if self.mirrored:
            u, v, z = v, u, -z
        # log1p serves all z but three: at 0 it is 0/0; far above 0, e^z overflows; and below 0
        # with u near 1 its argument is near -1, where 1 + u (e^z - 1) = v + u e^z is exact.
        t = xp.log(u) + z
        above = xp.where(t > 0, t + xp.log1p(v * xp.exp(-t)),
                         xp.log1p(xp.exp(xp.minimum(t, 0)) - u))
        below = xp.log(v + u * xp.exp(xp.minimum(z, 0)))
        middle = xp.log1p(u * xp.expm1(xp.minimum(z, 30)))
        log = xp.where(z > 30, above, xp.where((z < -0.7) & (u > 0.5), below, middle))
        return xp.where(z == 0, u, log / xp.where(z == 0, 1, z))

    def partials(self, u, z):
        sign = -1. if self.mirrored else 1.

        def in_u():
            positive = special.data(z) > 0
            a = where(positive, -z, z)   # -|z|
            w = where(positive, u, 1 - u)
            return sign * apply(Exprel(), a) / (w + (1 - w) * exp(a))

        def in_z():
            # (F(x; -z) - x) / z, which near z = 0 is taken from the derivative of log F instead;
            # and for x > 1/2 everything is written in terms of 1 - x and -z.
            x = apply(Icdf(), u, z)
            mirror = special.data(x) > 0.5
            w = where(mirror, apply(Icdf(mirrored=True), u, z), x)
            k = where(mirror, -z, z)
            small = abs(special.data(z)) < 3
            far = (exp(apply(LogTail(), w, -k)) - w) / where(small, 1., k)
            k = where(small, k, 0.)
            near = w * apply(Exprel(), -k * w) * (mean_of_logit(k) - w * mean_of_logit(k * w))
            return sign * where(small, near, far)

        return [in_u, in_z]


class Entropy(Elementwise):
    """H(z) = log(sinh(z/2) / (z/2)) - z (mean(z) - 1/2), in nats: 0 at z = 0, else negative."""

    upcast = True

    def value(self, z):
        xp = special.xp_of(z)
        a = abs(z)
        s = xp.where(a < 3, z, 0) ** 2
        near = s * polynomial(s, [c * (1 - 2 * n) for n, c in enumerate(SERIES, 1)])
        t = xp.exp(-a)
        far = 1 - a * t / (1 - t) + xp.log((1 - t) / a)
        return xp.where(a < 3, near, far)

    def partials(self, z):
        return [lambda: -z * mean_of_logit(z, 1)]


class MeanDifference(Elementwise):
    """mean(z2) - mean(z1), from logits or, with ``of_p``, from the probabilities."""

    upcast = True

    def __init__(self, of_p=False):
        super().__init__()
        self.of_p = of_p

    def value(self, a, b):
        z1, z2, d = _logits(a, b, self.of_p)
        near = d * _integrate(lambda s: mean_of_logit(z1 + s * _where_near(z1, z2, d), 1))
        flip = special.xp_of(z1).where(z1 > 0, -1, 1)   # 1 - mean(z) = mean(-z), exact near 1
        far = flip * (mean_of_logit(flip * z2) - mean_of_logit(flip * z1))
        return special.xp_of(z1).where(_is_near(z1, z2), near, far)

    def partials(self, a, b):
        z1, z2, _ = _logits(a, b, self.of_p)
        return [lambda: -mean_of_logit(z1, 1) * _slope(a, self.of_p),
                lambda: mean_of_logit(z2, 1) * _slope(b, self.of_p)]


class KL(Elementwise):
    """KL of logits z1 and z2: the Bregman divergence of log(sinh(z/2) / (z/2)).

    With ``of_p`` the inputs are the probabilities.
    """

    upcast = True

    def __init__(self, of_p=False):
        super().__init__()
        self.of_p = of_p

    def value(self, a, b):
        z1, z2, d = _logits(a, b, self.of_p)
        xp = special.xp_of(z1, z2)
        # Taylor's theorem: d^2 times the integral of (1 - s) variance(z1 + s d) over 0 < s < 1.
        # Gauss and Legendre's rule adds positive terms; the textbook difference would cancel.
        near = d * d * _integrate(
            lambda s: (1 - s) * mean_of_logit(z1 + s * _where_near(z1, z2, d), 1))
        flip = xp.where(z1 < 0, -1, 1)
        normaliser = [-xp.log(apply(Exprel(), -abs(z))) for z in (z1, z2)]
        far = (xp.maximum(-flip * z2, 0) + normaliser[0] - normaliser[1]
               + flip * mean_of_logit(-abs(z1)) * d)
        return xp.where(_is_near(z1, z2), near, far)

    def partials(self, a, b):
        z1, _, d = _logits(a, b, self.of_p)
        return [lambda: -d * mean_of_logit(z1, 1) * _slope(a, self.of_p),
                lambda: apply(MeanDifference(self.of_p), a, b) * _slope(b, self.of_p)]


def _logits(a, b, of_p):
    """Both logits and their difference, which cancels unless it is taken of probabilities."""
    if not of_p:
        return a, b, b - a
    return logit(a), logit(b), log_ratio(b, a, b - a) + log_ratio(1 - a, 1 - b, b - a)


def _slope(x, of_p):
    """The derivative of the logit in what was given."""
    return 1 / (x * (1 - x)) if of_p else 1.


def _log_cdf(x, z):
    # With exprel(t) = (e^t - 1)/t neither the 0/0 at z = 0 nor an e^z that overflows is left.
    xp = special.xp_of(x, z)
    a = abs(z)
    return (xp.log(x) - xp.maximum(z, 0) * (1 - x)
            + xp.log(apply(Exprel(), -a * x)) - xp.log(apply(Exprel(), -a)))


def _smaller_tail(x, z):
    """The smaller of log P(X <= x) and log P(X > x); whether it is the latter; its |slope| in z."""
    lower, upper = apply(LogTail(False), x, z), apply(LogTail(True), x, z)
    is_upper = special.data(lower) > special.data(upper)
    w, k = where(is_upper, 1 - x, x), where(is_upper, -z, z)
    slope = mean_of_logit(k) - w * mean_of_logit(k * w)
    return where(is_upper, upper, lower), is_upper, slope


def _n_terms(z):
    return 10 if z.dtype == numpy.float64 else 5


def _distance(x, z):
    """How far x is from the end that the logit z favours."""
    return abs(x - (special.data(z) > 0))


def _is_near(z1, z2):
    xp = special.xp_of(z1, z2)
    return abs(z2 - z1) < xp.maximum(4, abs(z1) / 2)


def _where_near(z1, z2, d):
    return special.xp_of(d).where(_is_near(z1, z2), d, 0)


def _integrate(f):
    """The integral of f from 0 to 1."""
    return sum(w * f(s) for s, w in zip(NODES, WEIGHTS))


class ContinuousBernoulli(OfProbability):
    r"""Continuous Bernoulli distribution: the density p^x (1 - p)^(1 - x), normalised on [0, 1].

    .. math:: \log p(x) = z \left(x - \tfrac12\right) - \log\frac{\sinh(z/2)}{z/2},
              \qquad z = \log\frac{p}{1 - p}

    A decoder that treats grey values as Bernoulli observations leaves out the second term and
    with it the normalisation.

    Args:
        p: Shape parameter, strictly between 0 and 1, any shape; not the mean, except at 1/2.
            Either ``p`` or ``logit``.
        logit: Log-odds z of ``p``, any finite number, any shape.

    Raises:
        ValueError: If both or neither of ``p`` and ``logit`` are given, or one is out of its
            domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Loaiza-Ganem and Cunningham (2019), The continuous Bernoulli: fixing a pervasive error
    in variational autoencoders, eqs. 5 to 8.

    Example:
        >>> import numpy
        >>> round(float(ContinuousBernoulli(logit=numpy.float32(30)).log_prob(1).array), 4)
        3.4012
    """

    domains = {'p': checks.open_probability, 'logit': checks.real}
    parameter_names = ('logit',)
    support = '[0, 1]'
    has_rsample = True

    def __init__(self, p=None, logit=None):
        self._take(**self._exactly_one(p=p, logit=logit))

    def log_prob(self, x):
        """z (x - 1/2) - log(sinh(z/2) / (z/2)); -inf outside [0, 1].

        Why this form: the normaliser 2 atanh(1 - 2p) / (1 - 2p) of the paper is 0/0 at p = 1/2
        and saturates for p near 0 and 1, so that others clamp p; see :class:`LogProb`.
        """
        return self._sum_of_log_prob(x, 0)

    def _sum_of_log_prob(self, x, n_axes):
        x = self._observe(x)
        inside = (x.array >= 0) & (x.array <= 1)
        if surely_all(inside):
            return LogProb().summed(n_axes)(x, self.logit)
        y = LogProb()(where(inside, x, 0.5), self.logit)
        return sum_last(where(self.xp.broadcast_to(inside, y.shape), y, -math.inf), n_axes)

    def cdf(self, x):
        """P(X <= x) = (e^(z x) - 1) / (e^z - 1)."""
        return self._tail(Tail(), x)

    def log_cdf(self, x):
        """log P(X <= x), exact also where the probability underflows."""
        return self._tail(LogTail(), x)

    def survival_function(self, x):
        """P(X > x)."""
        return self._tail(Tail(upper=True), x)

    def log_survival_function(self, x):
        """log P(X > x)."""
        return self._tail(LogTail(upper=True), x)

    def _tail(self, node, x):
        x = self._observe(x)
        inside = (x.array >= 0) & (x.array <= 1)
        if surely_all(inside):
            return node(x, self.logit)
        y = node(where(inside, x, 0.5), self.logit)
        beyond = apply(node, x.array.clip(0, 1), self.logit.array)
        return where(self.xp.broadcast_to(inside, y.shape), y, beyond)

    def icdf(self, u):
        """log(1 + u (e^z - 1)) / z, for 0 <= u <= 1."""
        return Icdf()(self._observe(u, 'u', checks.probability), self.logit)

    def sample_n(self, n, rng=None):
        """The inverse cdf of uniform draws; differentiable in the parameter."""
        u = random.uniform(self.xp, rng, (n,) + self.batch_shape, self.dtype)
        return Icdf()(u, self.logit)

    @cached_property
    def mean(self):
        """1 / (1 - e^-z) - 1 / z."""
        return self._full(mean_of_logit(self.logit))

    @cached_property
    def variance(self):
        """1 / z^2 - 1 / (4 sinh(z/2)^2)."""
        return self._full(mean_of_logit(self.logit, 1))

    @cached_property
    def mode(self):
        """The favoured end: 1 for z > 0, 0 for z < 0; 1/2 for the uniform distribution, z = 0."""
        mode = 0.5 + 0.5 * self.xp.sign(self.logit.array)
        return self._full(chainer.as_variable(self.xp.asarray(mode, self.dtype)))

    @cached_property
    def entropy(self):
        """log(sinh(z/2) / (z/2)) - z (mean - 1/2), in nats."""
        return self._full(Entropy()(self.logit))


@chainer.register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _kl_continuous_bernoulli_continuous_bernoulli(p, q):
    """The Bregman divergence of the log-normaliser; see :class:`KL`."""
    if 'p' in p._given and 'p' in q._given:
        return KL(of_p=True)(p.p, q.p)
    z1, z2 = (d.logit if 'logit' in d._given else logit(F.cast(d.p, numpy.float64))
              for d in (p, q))
    return F.cast(KL()(z1, z2), numpy.result_type(p.dtype, q.dtype))
