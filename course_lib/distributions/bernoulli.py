"""Bernoulli: one yes-or-no observation."""
import math

import chainer
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import OfProbability, cached_property, sum_last
from course_lib.numerics import random, special
from course_lib.numerics.cuda_graph import surely_all
from course_lib.numerics.elementwise import Elementwise
from course_lib.numerics.gamma import itakura_saito, log_ratio
from course_lib.numerics.special import (
    expm1,
    expm1mx,
    log,
    log1p,
    log1pmx,
    over,
    sigmoid,
    softplus,
    where,
)


class LogProbOfLogit(Elementwise):
    """log p(x; logit z) = x z - log(1 + e^z), and its derivative x - sigmoid(z)."""

    reuses_value = special.EXPM1_IS_VECTORISED   # where it is not, e^z takes less time

    def __init__(self, x):
        # The sign r: -1 for x = 1, 1 for x = 0. Taken once: several samples of z may share an x.
        r = -2 * x
        r += 1
        super().__init__(r)

    def value(self, r, z):
        # Written as -softplus(-z) or -softplus(z), because x z - softplus(z) cancels: for z = 20
        # and x = 1 both terms are 20 in float32 and the answer, -2e-9, is lost.
        return over(special.xp_of(z).negative, special.softplus_of_array(r * z))

    def partials(self, r, z, value=None):
        def in_z():
            if value is not None:
                # The probability of the other outcome, 1 - e^value, without the subtraction.
                return r * expm1(value)
            # For x = 1, sigmoid(-z) is 1 - sigmoid(z) without the subtraction.
            s = -r
            y = s * z
            if special.exp_is_finite(y):
                y = over(numpy.exp, y)
                y += 1
                return s / y
            return s * sigmoid(-y)

        return [in_z]


class LogProbOfP(Elementwise):
    """log p(x; p) = log p for x = 1 and log(1 - p) for x = 0."""

    def value(self, x, p):
        return where(special.data(x) == 1, log(p), log1p(-p))

    def partials(self, x, p):
        return [lambda: where(special.data(x) == 1, 1 / p, -1 / (1 - p))]


class SoftLogProb(Elementwise):
    """x log p + (1 - x) log(1 - p) for 0 <= x <= 1: a cross-entropy, not a log-probability.

    Where p is exactly 0 or 1 it would be -inf for every x in between; as Chainer does, it is then
    log(x) or log(1 - x), the logarithm of x p + (1 - x)(1 - p).
    """

    def value(self, x, z):
        xp = special.xp_of(x, z)
        finite = xp.isfinite(z)
        all_finite = surely_all(finite)
        z0 = z if all_finite else xp.where(finite, z, 0)
        # -x softplus(-z) - (1 - x) softplus(z), with log1p(e^-|z|), which both have, taken once:
        # three terms of one sign, so nothing cancels.
        y = z0.clip(-math.inf, 0) * x
        y -= z0.clip(0, math.inf) * (1 - x)
        y -= softplus(-abs(z0))
        return y if all_finite else xp.where(finite, y, xp.log(xp.where(z > 0, x, 1 - x)))

    def partials(self, x, z):
        # Not x - sigmoid(z), which would cancel for x = 1 and a large z.
        return [lambda: x * sigmoid(-z) - (1 - x) * sigmoid(z)]


class Entropy(Elementwise):
    """H(z) = softplus(z) - z sigmoid(z) for the logit z, in nats."""

    def value(self, z):
        a = abs(z)
        xp = special.xp_of(z)
        # With a = |z|: log(1 + e^-a) + a sigmoid(-a), two positive terms, so nothing cancels.
        far = xp.where(xp.isfinite(a), a, 0)
        return softplus(-a) + far * sigmoid(-a)

    def partials(self, z):
        return [lambda: where(abs(special.data(z)) < math.inf, -z * sigmoid(z) * sigmoid(-z), 0.)]


class EntropyOfP(Elementwise):
    """H(p) = -p log p - (1 - p) log(1 - p), with 0 log 0 = 0; its derivative is -logit(p)."""

    def value(self, p):
        xp = special.xp_of(p)
        q = 1 - p
        return -(p * xp.log(xp.where(p > 0, p, 1)) + q * xp.log1p(-xp.where(p < 1, p, 0)))

    def partials(self, p):
        return [lambda: log1p(-p) - log(p)]


class KLOfLogits(Elementwise):
    """KL between Bernoullis with logits z1 and z2: the Bregman divergence of softplus."""

    upcast = True

    def value(self, z1, z2):
        # softplus(z2) - softplus(z1) - p (z2 - z1), with p = sigmoid(z1) and d = z2 - z1, equals
        # log1p(u) - u + p (e^d - 1 - d) for u = p (e^d - 1): the first-order terms are gone
        # before anything is subtracted. Flipping signs so that p <= 1/2 keeps 1 - p accurate.
        xp = special.xp_of(z1)
        flip = xp.where(z1 > 0, -1, 1)
        p, d = sigmoid(flip * z1), flip * (z2 - z1)
        near = abs(d) < 2
        d0 = xp.where(near, d, 0)
        u = p * xp.expm1(d0)
        close = log1pmx(u) + p * expm1mx(d0)
        far = softplus(flip * z2) - softplus(flip * z1) - p * d
        same = z1 == z2
        # An infinite logit is p = 0 or 1: only the other term of the sum remains.
        certain = xp.isinf(z1)
        known = softplus(xp.where(certain, flip * z2, 0))
        uncertain = xp.where(xp.isinf(z2), math.inf, xp.where(near, close, far))
        return xp.where(same, 0, xp.where(certain, known, uncertain))

    def partials(self, z1, z2):
        def in_z1():
            slope = sigmoid(z1) * sigmoid(-z1)
            certain = special.data(slope) == 0   # then z1 - z2 may be infinite, and 0 * inf NaN
            return where(certain, 0., slope * where(certain, 0., z1 - z2))

        def in_z2():
            # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)), for a >= b.
            ordered = special.data(z2) >= special.data(z1)
            a, b = where(ordered, z2, z1), where(ordered, z1, z2)
            return where(ordered, -1., 1.) * sigmoid(a) * sigmoid(-b) * expm1(b - a)

        return [in_z1, in_z2]


class KLOfPs(Elementwise):
    """KL between Bernoullis of probabilities p and q: the deviances of the two outcomes."""

    upcast = True

    def value(self, p, q):
        # x log(x / m) + m - x of either outcome is 0 or more, so nothing cancels; and (1 - q) less
        # (1 - p) is taken as p - q, which is exact where 1 - p and 1 - q have been rounded.
        xp = special.xp_of(p, q)

        def deviance(x, m, rise):
            possible = x > 0
            return xp.where(possible, x * itakura_saito(m, xp.where(possible, x, 1), rise), m)

        return deviance(p, q, q - p) + deviance(1 - p, 1 - q, p - q)

    def partials(self, p, q):
        def in_p():
            same = special.data(p) == special.data(q)   # both may be 0 or 1, and a ratio 0 / 0
            a, b = where(same, 0.5, p), where(same, 0.5, q)
            return log_ratio(a, b, a - b) + log_ratio(1 - b, 1 - a, a - b)

        def in_q():
            # (q - p) / (q (1 - q)), which is 1 / (1 - q) for p = 0 and -1 / q for p = 1.
            never, always = special.data(p) == 0, special.data(p) == 1
            inner = (q - p) / where(never | always, 1., q * (1 - q))
            edge = where(never, 1 / where(never, 1 - q, 1.), -1 / where(never, 1., q))
            return where(never | always, edge, inner)

        return [in_p, in_q]


class Bernoulli(OfProbability):
    r"""Bernoulli distribution: P(x = 1) = p, P(x = 0) = 1 - p.

    .. math:: \log p(x) = x z - \log(1 + e^z), \qquad z = \log\frac{p}{1 - p}

    Give the logit z where you can: it is what a network outputs, and it can say "one in 10^40",
    which a float32 p cannot (p rounds to 0 or 1).

    Args:
        p: Probability of a 1, between 0 and 1, any shape. Either ``p`` or ``logit``.
        logit: Log-odds z, any number but NaN, any shape.
        binary_check (bool): ``None`` (default): an observation other than 0 or 1 is an error.
            ``False``: any x from 0 to 1 is taken, and ``log_prob`` is the cross-entropy
            x log p + (1 - x) log(1 - p), as in Chainer. ``True``: another value has log_prob -inf,
            as in Chainer.

    Raises:
        ValueError: If both or neither of ``p`` and ``logit`` are given, or one is out of its
            domain.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.2.

    Example:
        >>> import numpy
        >>> float(Bernoulli(logit=numpy.float32(-100)).log_prob(1).array)
        -100.0
    """

    domains = {'p': checks.probability, 'logit': checks.extended_real}
    parameter_names = ('logit',)
    observed = checks.binary
    support = '{0, 1}'

    def __init__(self, p=None, logit=None, binary_check=None):
        self._take(**self._exactly_one(p=p, logit=logit))
        if not isinstance(binary_check, (bool, numpy.bool_, type(None))):
            raise TypeError('Bernoulli: binary_check must be None, True or False; '
                            f'got {binary_check!r}')
        self.binary_check = None if binary_check is None else bool(binary_check)

    def log_prob(self, x):
        """log P(x), of the broadcast shape of x and the batch.

        Why this form: ``log(sigmoid(z))`` is -inf in float32 as soon as z < -104, while
        -softplus(-z) is exact for every z; see :class:`LogProbOfLogit`.
        """
        return self._sum_of_log_prob(x, 0)

    def _sum_of_log_prob(self, x, n_axes):
        if self.binary_check is None:
            return self._where_possible(
                self._observe(x), self.observed.contains, self._log_prob, n_axes)
        x = self._observe(x, domain=checks.unchecked)
        is_binary = (x == 0) | (x == 1)
        if surely_all(is_binary):
            return self._log_prob(x, n_axes)
        if checks.is_enabled():
            checks.check('Bernoulli', 'x', x, checks.extended_real)
        return self._relaxed_log_prob(x, is_binary, n_axes)

    def _log_prob(self, x, n_axes=0):
        name, = self._given
        node = LogProbOfP if name == 'p' else LogProbOfLogit
        return node(x).summed(n_axes)(self._given[name])

    def _relaxed_log_prob(self, x, is_binary, n_axes):
        if not self.binary_check:
            if checks.is_enabled():
                checks.check('Bernoulli', 'x', x, checks.probability)
            return SoftLogProb(x).summed(n_axes)(self.logit)
        binary_part = Bernoulli(logit=self.logit).log_prob(self.xp.where(is_binary, x, 0))
        return sum_last(where(self.xp.broadcast_to(is_binary, binary_part.shape), binary_part,
                              -math.inf), n_axes)

    def prob(self, x):
        """P(x): p for 1 and 1 - p for 0."""
        if self.binary_check is False:
            x = self._observe(x, domain=checks.probability)
            return x * self.p + (1 - x) * sigmoid(-self.logit)
        return super().prob(x)

    def sample_n(self, n, rng=None):
        """Draws of 0 or 1, in the dtype of the parameters (so that they can enter a loss)."""
        u = random.uniform(self.xp, rng, (n,) + self.batch_shape,
                           numpy.promote_types(self.dtype, 'f'))
        return chainer.Variable((u < self.p.array).astype(self.dtype))

    @cached_property
    def mean(self):
        """p."""
        return self._full(self.p)

    @cached_property
    def variance(self):
        """p (1 - p)."""
        if 'p' in self._given:
            return self._full(self.p * (1 - self.p))
        return self._full(sigmoid(self.logit) * sigmoid(-self.logit))

    @cached_property
    def mode(self):
        """1 where p > 1/2, else 0."""
        given = next(iter(self._given.values())).array
        half = 0.5 if 'p' in self._given else 0
        return self._full(chainer.as_variable(self.xp.asarray(given > half, self.dtype)))

    @cached_property
    def entropy(self):
        """-p log p - (1 - p) log(1 - p), in nats."""
        if 'p' in self._given:
            return self._full(EntropyOfP()(self.p))
        return self._full(Entropy()(self.logit))


def _bernoulli_log_prob(logit, x, binary_check=False):
    """Chainer's module-level function of the same name: log-probability from a logit."""
    return Bernoulli(logit=logit, binary_check=binary_check).log_prob(x)


@chainer.register_kl(Bernoulli, Bernoulli)
def _kl_bernoulli_bernoulli(p, q):
    """sum over x of p(x) log(p(x) / q(x)); see :class:`KLOfLogits` and :class:`KLOfPs`."""
    if 'p' in p._given and 'p' in q._given:
        return KLOfPs()(p.p, q.p)
    return KLOfLogits()(p.logit, q.logit)
