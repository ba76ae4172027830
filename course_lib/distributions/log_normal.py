"""LogNormal: a positive quantity whose logarithm is normal."""
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, cached_property
from course_lib.distributions.location_scale import Affine, NormalCurves, OfStandardized
from course_lib.distributions.normal import KLOfScales
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.special import (
    HALF_LOG_2PI,
    exp,
    expm1,
    log,
    ndtri,
    sqrt,
    where,
)


class LogProb(Elementwise):
    """log p(x) = -z^2 / 2 - log(sigma) - log(2 pi) / 2 - log(x), z = (log x - mu) / sigma."""

    upcast = True

    def value(self, x, mu, sigma):
        inside = (x > 0) & (x < math.inf)
        log_x = log(where(inside, x, 1.))
        z = (log_x - mu) / sigma
        return where(inside, -0.5 * z * z - log(sigma) - log_x - HALF_LOG_2PI, -math.inf)

    def partials(self, x, mu, sigma):
        inside = (special.data(x) > 0) & (special.data(x) < math.inf)
        x0 = where(inside, x, 1.)
        z = (log(x0) - mu) / sigma
        return [lambda: where(inside, -(1 + z / sigma) / x0, 0.),
                lambda: where(inside, z / sigma, 0.),
                lambda: where(inside, (z - 1) / sigma * (z + 1), 0.)]


class Mean(Elementwise):
    """e^(mu + sigma^2 / 2)."""

    upcast = True

    def value(self, mu, sigma):
        return exp(mu + 0.5 * sigma * sigma)

    def partials(self, mu, sigma):
        return [lambda: self.value(mu, sigma), lambda: sigma * self.value(mu, sigma)]


class Stddev(Elementwise):
    """e^(mu + sigma^2 / 2) sqrt(e^(sigma^2) - 1)."""

    upcast = True

    def value(self, mu, sigma):
        # With e^sigma^2 drawn out of the root, what is left, 1 - e^-sigma^2, cannot overflow, and
        # expm1 keeps it for a small sigma, where e^sigma^2 rounds to 1.
        s = sigma * sigma
        return exp(mu + s) * sqrt(-expm1(-s))

    def partials(self, mu, sigma):
        s = sigma * sigma
        return [lambda: self.value(mu, sigma),
                lambda: sigma * exp(mu + s) * (2 - exp(-s)) / sqrt(-expm1(-s))]


class LogNormal(NormalCurves, Distribution):
    r"""Log-normal distribution: log x is normal with mean mu and standard deviation sigma.

    .. math:: \log p(x) = -\frac{z^2}{2} - \log\sigma - \frac{1}{2}\log 2\pi - \log x,
        \qquad z = \frac{\log x - \mu}{\sigma}, \quad x > 0

    Args:
        mu: Mean of log x, any finite number, any shape.
        sigma: Standard deviation of log x, above 0, any shape.

    Raises:
        ValueError: If a parameter is out of its domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, ch. 14.

    Example:
        >>> import numpy
        >>> f'{LogNormal(0, numpy.float32(1e-4)).variance.array:.4g}'
        '1e-08'
    """

    domains = {'mu': checks.real, 'sigma': checks.positive}
    parameter_names = ('mu', 'sigma')
    support = 'positive'
    has_rsample = True

    def __init__(self, mu, sigma):
        self._take(mu=mu, sigma=sigma)

    @cached_property
    def mu(self):
        """The mean of log x."""
        return self._given['mu']

    @cached_property
    def sigma(self):
        """The standard deviation of log x."""
        return self._given['sigma']

    def log_prob(self, x):
        """-z^2 / 2 - log(sigma) - log(2 pi) / 2 - log(x); -inf for x <= 0.

        Why this form: x <= 0 is replaced before the logarithm, since a NaN that is only masked
        afterwards comes back in the gradient as 0 * NaN.
        """
        return LogProb()(self._observe(x), self.mu, self.sigma)

    def _of_z(self, curve, slope, x):
        x = self._observe(x)
        dtype = numpy.result_type(x.dtype, self.dtype)
        x = F.cast(x, 'float64')
        inside = x.array > 0
        log_x = where(inside, log(where(inside, x, 1.)), -math.inf)
        return F.cast(OfStandardized(curve, slope)(log_x, self.mu, self.sigma), dtype)

    def icdf(self, x):
        """The quantile e^(mu + sigma Phi^-1(x)) of a probability x."""
        x = self._observe(x, domain=checks.probability)
        return exp(Affine()(ndtri(x), self.mu, self.sigma))

    def sample_n(self, n, rng=None):
        """e^(mu + sigma * eps) with standard normal eps: a gradient flows to both."""
        eps = random.normal(self.xp, rng, (n,) + self.batch_shape, self.dtype)
        return exp(Affine()(eps, self.mu, self.sigma))

    @cached_property
    def mean(self):
        """e^(mu + sigma^2 / 2)."""
        return Mean()(self.mu, self.sigma)

    @cached_property
    def mode(self):
        """e^(mu - sigma^2)."""
        return exp(self.mu - self.sigma * self.sigma)

    @cached_property
    def variance(self):
        """e^(2 mu + sigma^2) (e^(sigma^2) - 1)."""
        return self.stddev * self.stddev

    @cached_property
    def stddev(self):
        """The square root of the variance; see :class:`Stddev`."""
        return Stddev()(self.mu, self.sigma)

    @cached_property
    def entropy(self):
        """mu + log(sigma) + log(2 pi e) / 2, in nats."""
        return self.mu + log(self.sigma) + (HALF_LOG_2PI + 0.5)


@chainer.register_kl(LogNormal, LogNormal)
def _kl_log_normal_log_normal(p, q):
    """That of the two normals: a divergence does not change under x -> e^x."""
    return KLOfScales()(p.mu, p.sigma, q.mu, q.sigma)
