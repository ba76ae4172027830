"""Independent: batch axes declared to be parts of one observation."""
import functools
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions.distribution import Distribution, cached_property, sum_last
from course_lib.numerics import special


class Independent(Distribution):
    r"""A batch of independent variables, taken as one vector (or array) valued variable.

    .. math:: \log p(x) = \sum_i \log p_i(x_i)

    A decoder that outputs 784 pixel probabilities is ``Independent(Bernoulli(logit=z))`` for z of
    shape (batch, 784): ``log_prob`` then is one number an image. Mean, variance, samples and the
    like are those of the base, whose rightmost batch axes have become event axes.

    Args:
        distribution (chainer.distribution.Distribution): The base, one of this package or of
            ``chainer.distributions``.
        reinterpreted_batch_ndims (int): How many of the rightmost batch axes become event axes,
            from 0 to all of them. ``None``: all but the first, as in Chainer.

    Raises:
        TypeError: If ``distribution`` is not a distribution, or the number not an integer.
        ValueError: If the base has fewer batch axes than ``reinterpreted_batch_ndims``.

    Source: Dillon et al. (2017), TensorFlow Distributions, sec. 3.3 (shapes).

    Example:
        >>> import course_lib.distributions as D
        >>> d = Independent(D.Bernoulli(p=[[0.5, 0.5], [0.5, 0.25]]))
        >>> d.batch_shape, d.event_shape, numpy.round(d.prob([1, 1]).array, 3).tolist()
        ((2,), (2,), [0.25, 0.125])
    """

    def __init__(self, distribution, reinterpreted_batch_ndims=None):
        if not isinstance(distribution, chainer.distribution.Distribution):
            raise TypeError('Independent: distribution must be a distribution; '
                            f'got {type(distribution).__name__}')
        available = len(distribution.batch_shape)
        m = max(0, available - 1) if reinterpreted_batch_ndims is None else (
            reinterpreted_batch_ndims)
        if not isinstance(m, (int, numpy.integer)) or isinstance(m, bool):
            raise TypeError('Independent: reinterpreted_batch_ndims must be an integer or None; '
                            f'got {m!r}')
        if not 0 <= m <= available:
            raise ValueError(
                f'Independent: reinterpreted_batch_ndims must be from 0 to {available}, the number '
                f'of axes of the batch_shape {distribution.batch_shape}; got {m}')
        self.distribution = distribution
        self.reinterpreted_batch_ndims = int(m)

    @property
    def batch_shape(self):
        return self.distribution.batch_shape[:self._n_batch]

    @property
    def event_shape(self):
        return self.distribution.batch_shape[self._n_batch:] + self.distribution.event_shape

    @property
    def _n_batch(self):
        return len(self.distribution.batch_shape) - self.reinterpreted_batch_ndims

    @property
    def params(self):
        """dict: The parameters of the base."""
        return self.distribution.params

    @property
    def xp(self):
        return self.distribution.xp

    @property
    def dtype(self):
        return dtype_of(self.distribution)

    @property
    def has_rsample(self):
        """bool: Whether a gradient flows from a sample to the parameters of the base."""
        return getattr(self.distribution, 'has_rsample', False)

    @property
    def observed(self):
        return getattr(self.distribution, 'observed', None)

    @property
    def support(self):
        """str: The support of each part."""
        return self.distribution.support

    @property
    def binary_check(self):
        """That of a Bernoulli base; ``None`` for any other."""
        return getattr(self.distribution, 'binary_check', None)

    def log_prob(self, x):
        """sum_i log p_i(x_i).

        Why this form: a product of 784 probabilities is 0 in float32; a sum of logarithms is not.
        """
        x, base = self._whole_event(x), self.distribution
        if _sums_its_own_log_prob(type(base)):
            return base._sum_of_log_prob(x, self.reinterpreted_batch_ndims)
        return self._sum(base.log_prob(x))

    def prob(self, x):
        """prod_i p_i(x_i), as exp of the sum of logarithms.

        A Bernoulli base with ``binary_check=False``, whose ``log_prob`` of a grey x is not the
        logarithm of its ``prob``, is asked for the latter, as in Chainer.
        """
        if self.binary_check is False:
            return self._product(self.distribution.prob(self._whole_event(x)))
        return special.exp(self.log_prob(x))

    def cdf(self, x):
        """P(X_i <= x_i for all i) = prod_i P(X_i <= x_i)."""
        return self._product(self.distribution.cdf(self._whole_event(x)))

    def log_cdf(self, x):
        """log P(X_i <= x_i for all i)."""
        return self._sum(self.distribution.log_cdf(self._whole_event(x)))

    def survival_function(self, x):
        """P(X_i > x_i for all i) = prod_i P(X_i > x_i); with several parts, not 1 - cdf."""
        return self._product(self.distribution.survival_function(self._whole_event(x)))

    def log_survival_function(self, x):
        """log P(X_i > x_i for all i)."""
        return self._sum(self.distribution.log_survival_function(self._whole_event(x)))

    def icdf(self, x):
        """Always raises: many points of a space have the same cdf.

        Raises:
            RuntimeError: Always, as in Chainer.
        """
        raise RuntimeError('Independent: the cumulative distribution function of several '
                           'variables is not invertible; use .distribution.icdf for each part')

    def sample_n(self, n, rng=None):
        """Draws of the base."""
        return sample_n_of(self.distribution, n, rng)

    @property
    def mean(self):
        """The mean of each part."""
        return self.distribution.mean

    @property
    def variance(self):
        """The variance of each part."""
        return self.distribution.variance

    @property
    def stddev(self):
        """The standard deviation of each part."""
        return self.distribution.stddev

    @property
    def mode(self):
        """The mode of each part."""
        return self.distribution.mode

    @cached_property
    def entropy(self):
        """sum_i H(p_i), in nats."""
        return self._sum(self.distribution.entropy)

    @cached_property
    def covariance(self):
        """Covariance matrix of the flattened event: block diagonal.

        Its blocks are the covariances of the base; for a base of single numbers, the variances.
        Shape ``batch_shape + (d, d)`` for d numbers in an event.
        """
        base = self.distribution
        blocks = base.covariance if base.event_shape else base.variance
        n = math.prod(base.batch_shape[self._n_batch:])
        dim = math.prod(base.event_shape)
        blocks = F.reshape(blocks, self.batch_shape + (n, dim, 1, dim))
        diagonal = self.xp.eye(n, dtype=blocks.dtype)[:, None, :, None]
        return F.reshape(blocks * diagonal, self.batch_shape + (n * dim, n * dim))

    def _whole_event(self, x):
        """``x`` itself, if its last axes can be an event."""
        event = self.event_shape
        try:
            shape = x.shape if hasattr(x, 'shape') else numpy.shape(x)
        except ValueError:
            raise TypeError('Independent: x must consist of real numbers, in rows of one length; '
                            f'got {x!r:.60}') from None
        part = shape[max(0, len(shape) - len(event)):]
        fits = len(part) <= len(event) and all(
            a in (1, b) for a, b in zip(part[::-1], event[::-1]))
        if not fits:
            raise ValueError(f'Independent: x has shape {shape}, whose last axes do not broadcast '
                             f'to event_shape {event}')
        return x

    def _sum(self, parts):
        return sum_last(parts, self.reinterpreted_batch_ndims)

    def _product(self, parts):
        axes = tuple(range(-self.reinterpreted_batch_ndims, 0))
        return F.prod(parts, axis=axes) if axes else parts

    def __repr__(self):
        return (f'Independent({self.distribution!r}, '
                f'reinterpreted_batch_ndims={self.reinterpreted_batch_ndims})')


@functools.lru_cache(maxsize=None)
def _sums_its_own_log_prob(family):
    """Whether the class that defines ``log_prob`` also says how to sum it in one pass.

    A learner's subclass that overrides ``log_prob`` alone inherits the sum of another formula.
    """
    owner = next((c for c in family.__mro__ if 'log_prob' in vars(c)), None)
    return owner is not None and '_sum_of_log_prob' in vars(owner)


def dtype_of(distribution):
    """The dtype of the parameters of a distribution of this package or of Chainer's."""
    if isinstance(distribution, Distribution):
        return distribution.dtype
    return numpy.result_type(*[v.dtype for v in distribution.params.values()])


def sample_n_of(distribution, n, rng):
    """``sample_n`` of a distribution of this package, or of one of Chainer's, which has no rng."""
    if isinstance(distribution, Distribution):
        return distribution.sample_n(n, rng=rng)
    if rng is not None:
        raise TypeError(f'{type(distribution).__module__}.{type(distribution).__name__} cannot '
                        'follow an rng; use the class of that name in course_lib.distributions')
    return distribution.sample_n(n)


@chainer.register_kl(Independent, Independent)
def _kl_independent_independent(p, q):
    """sum_i KL(p_i || q_i)."""
    if p.event_shape != q.event_shape:
        raise ValueError('KL(Independent || Independent): the events must have the same shape; '
                         f'got {p.event_shape} and {q.event_shape}')
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            'KL(Independent || Independent): the two must treat the same axes as independent; '
            f'reinterpreted_batch_ndims is {p.reinterpreted_batch_ndims} and '
            f'{q.reinterpreted_batch_ndims}')
    p_i, q_i = p.distribution, q.distribution
    closed_form = chainer.distribution._KLDIVERGENCE[type(p_i), type(q_i)]
    if getattr(closed_form, 'can_sum', False):
        return closed_form(p_i, q_i, p.reinterpreted_batch_ndims)
    return p._sum(closed_form(p_i, q_i))
