"""Student's t: like the Normal distribution, but outliers surprise it less."""
import math
import warnings

from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions.location_scale import Affine
from course_lib.numerics import gamma, random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    GammaHalfStep,
    apply,
    exp,
    gamma_half_step,
    log,
    log1p,
    log1pmx,
    sqrt,
    where,
)


class LogDensity(Elementwise):
    """log p(z; df) for loc 0 and scale 1: c(df/2) - log(2 pi)/2 - (df + 1)/2 log(1 + z^2/df).

    c(h) = log(Gamma(h + 1/2) / (Gamma(h) sqrt(h))) vanishes as df grows: the normal limit.
    """

    upcast = True

    def value(self, df, z):
        # lgamma((df + 1)/2) - lgamma(df/2) would cancel to nothing for large df; c(h) is computed
        # as one function. z^2 is never formed where it could overflow.
        return (gamma_half_step(0.5 * df) - HALF_LOG_2PI
                - (0.5 * df + 0.5) * _log1p_square(z / sqrt(df)))

    def partials(self, df, z):
        y = z / sqrt(df)
        tail = abs(special.data(y)) > 1e100
        y = where(tail, 1., y)
        share = y * y / (1 + y * y)

        def in_df():
            # -log(1 + y^2) + share is -y^4 / 2 for small y, hence log1p(-share) + share.
            small = abs(special.data(y)) < 0.5
            bend = where(small, log1pmx(-where(small, share, 0.)), share - log1p(y * y))
            bend = where(tail, 1 - _log1p_square(z / sqrt(df)), bend)
            return 0.5 * (apply(GammaHalfStep(1), 0.5 * df) + bend + where(tail, 1., share) / df)

        def in_z():
            inner = -(1 + 1 / df) * where(tail, 1., z) / (1 + y * y)
            return where(tail, -(df + 1) / where(tail, z, 1.), inner)

        return [in_df, in_z]


def _log1p_square(y):
    """log(1 + y^2) without overflow."""
    tail = abs(special.data(y)) > 1e100
    y0 = where(tail, 0., y)
    return where(tail, 2 * log(special.absolute(where(tail, y, 1.))), log1p(y0 * y0))


class LogProb(Elementwise):
    """log p(x; df, loc, scale) = log p((x - loc) / scale; df) - log scale."""

    upcast = True

    def value(self, x, df, loc, scale):
        return apply(LogDensity(), df, (x - loc) / scale) - log(scale)

    def partials(self, x, df, loc, scale):
        # At an infinite x the density is 0; that is not to reach the gradients.
        finite = abs(special.data(x)) < math.inf
        z = (where(finite, x, 0.) - loc) / scale
        in_df, in_z = LogDensity().partials(df, z)

        def in_scale():
            # -1 - z (d log p / dz) = (z^2 - 1) df / (df + z^2), by a factor that cannot overflow.
            far = abs(special.data(z)) > 1e100
            z0 = where(far, 2., z)
            inner = (z0 - 1) * (z0 + 1) / (1 + z0 * z0 / df)
            return where(far, df, inner) / scale

        return [lambda: where(finite, in_z() / scale, 0.), lambda: where(finite, in_df(), 0.),
                lambda: where(finite, -in_z() / scale, 0.), lambda: where(finite, in_scale(), 0.)]


class Entropy(Elementwise):
    """(df+1)/2 (digamma((df+1)/2) - digamma(df/2)) + log(sqrt(df) B(df/2, 1/2)) + log scale."""

    upcast = True

    def value(self, df, scale):
        h = 0.5 * df
        # In terms of c and its derivative: both vanish for large df, and the normal entropy stays.
        return (log(scale) + (HALF_LOG_2PI + 0.5) + 0.25 / h - gamma_half_step(h)
                + (h + 0.5) * apply(GammaHalfStep(1), h))

    def partials(self, df, scale):
        h = 0.5 * df
        return [lambda: 0.5 * ((h + 0.5) * apply(GammaHalfStep(2), h) - 0.25 / (h * h)),
                lambda: 1 / scale]


class Cdf(Elementwise):
    """P(X <= x), or with ``upper`` P(X > x); differentiable in x, loc and scale."""

    upcast = True

    def __init__(self, upper=False):
        super().__init__()
        self.sign = -1 if upper else 1

    def value(self, x, df, loc, scale):
        xp = special.xp_of(x, df)
        z = self.sign * ((x - loc) / scale)
        if xp is numpy:
            return special.special_of(xp).stdtr(df, z)
        # CuPy has only the incomplete beta function.
        w = 1 / (1 + z * z / df)
        half = xp.asarray(0.5, w.dtype)
        lower = 0.5 * special.special_of(xp).betainc(0.5 * df, half, w)
        return xp.where(z < 0, lower, 1 - lower)

    def partials(self, x, df, loc, scale):
        z = (x - loc) / scale
        finite = abs(special.data(z)) < math.inf
        z = where(finite, z, 0.)

        def in_x():
            # An infinite x is the flat end of the curve.
            return self.sign * where(finite, exp(apply(LogDensity(), df, z)), 0.) / scale

        return [in_x, _refuse, lambda: -in_x(), lambda: -in_x() * z]


class StandardIcdf(Elementwise):
    """The z at which P(T <= z) = q; differentiable in q."""

    upcast = True

    def value(self, df, q):
        xp = special.xp_of(df, q)
        functions = special.special_of(xp)
        # By the inverse of the incomplete beta function, I_x(df/2, 1/2) = 2 P(T < -|t|) with
        # x = 1 / (1 + t^2 / df); and where x is near 1, its complement, by the symmetry of I.
        h, half, tail = 0.5 * df, xp.asarray(0.5, q.dtype), xp.minimum(q, 1 - q)
        x = functions.betaincinv(h, half, 2 * tail)
        if xp is numpy:
            near, rest = x > 0.5, functions.betainccinv(half, h, 2 * tail)
        else:
            near, rest = tail > 0.25, functions.betaincinv(half, h, 1 - 2 * tail)
        size = xp.sqrt(df * xp.where(near, rest / (1 - rest), (1 - x) / x))
        # Far out, where x underflows, its logarithm is known: 2 P = x^h / (h B(h, 1/2)).
        log_x = (xp.log(2 * tail) + xp.log(h) + functions.betaln(h, half)) / h
        far = xp.exp(0.5 * (xp.log(df) - log_x))
        return xp.sign(q - 0.5) * xp.where(x < 1e-200, far, size)

    def partials(self, df, q):
        return [_refuse, lambda: exp(-apply(LogDensity(), df, apply(StandardIcdf(), df, q)))]


def _refuse():
    raise NotImplementedError('StudentT: cdf, survival_function and icdf can be differentiated in '
                              'x, loc and scale, not in df')


class StudentT(Distribution):
    r"""Student's t distribution with df degrees of freedom, shifted by loc and stretched by scale.

    .. math:: p(x) = \frac{\Gamma(\frac{\nu + 1}{2})}{\Gamma(\frac{\nu}{2}) \sqrt{\pi \nu}\, \sigma}
        \left(1 + \frac{z^2}{\nu}\right)^{-\frac{\nu + 1}{2}}, \qquad z = \frac{x - \mu}{\sigma}

    with :math:`\nu` = df, :math:`\mu` = loc, :math:`\sigma` = scale. For df = 1 it is the Cauchy
    distribution; as df grows it tends to the normal one.

    Args:
        df: Degrees of freedom, above 0, any shape. The mean exists for df > 1, the variance is
            finite for df > 2.
        loc: Location, any finite number, any shape.
        scale: Scale, above 0, any shape.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.159.

    Example:
        >>> f'{float(StudentT(1e8).log_prob(1.5).array):.6f}'   # the normal limit
        '-2.043939'
    """

    domains = {'df': checks.positive, 'loc': checks.real, 'scale': checks.positive}
    parameter_names = ('df', 'loc', 'scale')
    support = 'real'
    has_rsample = True

    def __init__(self, df, loc=0., scale=1.):
        self._take(df=df, loc=loc, scale=scale)

    @property
    def df(self):
        """Degrees of freedom."""
        return self._given['df']

    @property
    def loc(self):
        """Location."""
        return self._given['loc']

    @property
    def scale(self):
        """Scale."""
        return self._given['scale']

    def log_prob(self, x):
        """log p(x).

        Why this form: two lgammas of size df log df leave a number of size 1/df; their difference
        is computed as one function, so the normal limit is reached instead of noise.
        """
        return LogProb()(self._observe(x), self.df, self.loc, self.scale)

    def cdf(self, x):
        """P(X <= x), by the incomplete beta function; differentiable in x, loc and scale."""
        return Cdf()(self._observe(x), self.df, self.loc, self.scale)

    def survival_function(self, x):
        """P(X > x), which is the cdf of the mirror image, with its tail."""
        return Cdf(upper=True)(self._observe(x), self.df, self.loc, self.scale)

    def icdf(self, x):
        """The quantile of the probability x; differentiable in x, loc and scale."""
        q = self._observe(x, domain=checks.probability)
        return Affine()(StandardIcdf()(self.df, q), self.loc, self.scale)

    def sample_n(self, n, rng=None):
        """loc + scale z / sqrt(g / (df/2)), z normal and g Gamma(df/2): differentiable."""
        rng = random.generator(self.xp, rng)
        z = random.normal(self.xp, rng, (n,) + self.batch_shape, numpy.float64)
        half_df, loc, scale = (F.cast(self._full(p), numpy.float64)
                               for p in (0.5 * self.df, self.loc, self.scale))
        log_g = gamma.log_sample(half_df, n, rng)
        half_df, loc, scale = (F.broadcast_to(p, z.shape) for p in (half_df, loc, scale))
        x = loc + scale * z * exp(0.5 * (log(half_df) - log_g))
        largest = float(numpy.finfo(self.dtype).max)
        return gamma.representable(x, self.dtype, low=-largest, high=largest)

    def _above_one(self, what):
        """Where df > 1; warns if that is not everywhere."""
        above = self.df.array > 1
        if not above.all():
            warnings.warn(f'StudentT: the {what} is undefined for df of 1 or less; it is NaN there',
                          RuntimeWarning, stacklevel=3)
        return self.xp.broadcast_to(above, self.batch_shape)

    @cached_property
    def mean(self):
        """loc for df > 1. Undefined for df <= 1: NaN, with a warning (as for Chainer's Cauchy)."""
        return where(self._above_one('mean'), self._full(self.loc), math.nan)

    @cached_property
    def variance(self):
        """scale^2 df / (df - 2) for df > 2, infinite for 1 < df <= 2.

        Undefined, as the mean, for df <= 1: NaN, with a warning.
        """
        return where(self._above_one('variance'), self._spread()[0], math.nan)

    @cached_property
    def stddev(self):
        """The square root of the variance, of which the same is to be said."""
        return where(self._above_one('standard deviation'), self._spread()[1], math.nan)

    def _spread(self):
        finite = self.df.array > 2
        excess = where(finite, self.df - 2, 1.)
        width = self._full(self.scale * sqrt(1 + 2 / excess))
        square = self._full(self.scale * self.scale * (1 + 2 / excess))
        finite = self.xp.broadcast_to(finite, self.batch_shape)
        return where(finite, square, math.inf), where(finite, width, math.inf)

    @cached_property
    def mode(self):
        """loc."""
        return self._full(self.loc)

    @cached_property
    def entropy(self):
        """Of the standard distribution, plus log scale; in nats. See :class:`Entropy`."""
        return self._full(Entropy()(self.df, self.scale))
