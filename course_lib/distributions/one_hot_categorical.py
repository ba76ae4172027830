"""OneHotCategorical: one of K classes, given as a vector of one 1 and K - 1 zeros."""
import chainer

from course_lib.distributions import checks
from course_lib.distributions.categorical import OverCategories, check_rows, kl_of_categories
from course_lib.distributions.distribution import cached_property
from course_lib.numerics.special import expm1


class OneHotCategorical(OverCategories):
    r"""One-hot categorical distribution: P(x = e_k) = p_k for the K unit vectors e_k.

    .. math:: \log p(x) = \sum_k x_k \log p_k, \qquad p_k = e^{l_k} / \sum_j e^{l_j}

    Args:
        p: Probabilities along the last axis: each from 0 to 1, their sum 1 within 0.001. Shape
            ``batch_shape + (K,)``. Either ``p`` or ``logit``.
        logit: Logits along the last axis: any number or -inf, but not -inf for all classes.

    Raises:
        ValueError: If both or neither of ``p`` and ``logit`` are given, or one is out of its
            domain, or has no class axis.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.26.

    Example:
        >>> d = OneHotCategorical(p=[0, 0.5, 0.5])
        >>> f'{d.log_prob([0, 1, 0]).array:.4f}'
        '-0.6931'
    """

    observed = checks.count
    support = 'one-hot vector'

    @property
    def event_shape(self):
        return self._parameter.shape[-1:]

    def log_prob(self, x):
        """log P(x) of one-hot vectors x, of the broadcast batch shapes of x and the parameters.

        Why this form: the entry is picked, not multiplied out, because ``sum(x * log p)`` is
        0 * -inf, NaN, as soon as any class has probability 0.
        """
        x = self._observe(x, domain=checks.extended_real)
        one_hot = ((x == 0) | (x == 1)).all(axis=-1) & (x.sum(axis=-1) == 1)
        if checks.is_enabled():
            check_rows(type(self).__name__, 'x', x, one_hot, 'be one-hot, a single 1 among zeros,')
        label = self.xp.where(one_hot, x.argmax(axis=-1), -1)
        return self._where_possible(label, lambda k: k >= 0, self._log_prob_of_label)

    def sample_n(self, n, rng=None):
        """One-hot vectors in the dtype of the parameters (so that they can enter a loss)."""
        return self._one_hot(self._draw_labels(n, rng))

    def _one_hot(self, label):
        hot = self.xp.arange(self.n_classes) == label[..., None]
        return chainer.Variable(hot.astype(self.dtype))

    @cached_property
    def mean(self):
        """p."""
        return self.p

    @cached_property
    def variance(self):
        """p_k (1 - p_k) for each entry."""
        return -self.p * expm1(self.log_p) if self._is_logit else self.p * (1 - self.p)

    @cached_property
    def mode(self):
        """The unit vector of the most probable class (the first of them)."""
        return self._one_hot(self._most_probable())


@chainer.register_kl(OneHotCategorical, OneHotCategorical)
def _kl_one_hot_categorical_one_hot_categorical(p, q):
    """sum_k p_k log(p_k / q_k); see :func:`kl_of_categories`."""
    return kl_of_categories(p, q)
