"""Categorical: one of K classes, given as its index 0, ..., K - 1."""
import functools
import math

import chainer
from chainer import functions as F
import numpy

from course_lib.distributions import checks
from course_lib.distributions.distribution import Distribution, _brief, cached_property
from course_lib.numerics import random, special
from course_lib.numerics.elementwise import BLOCK, Elementwise
from course_lib.numerics.node import Node, constant, setting
from course_lib.numerics.rowwise import (
    Rowwise,
    gather,
    log_mean_exp,
    log_softmax,
    row_sum,
    scatter,
    softmax,
)
from course_lib.numerics.special import expm1, expm1mx, log, log1pmx, where

SUM_TOLERANCE = 1e-3  # how far from 1 probabilities may sum: enough for rounding and for 0.333


class LogProbOfLogit(Node):
    """log p(k; logits l) = l_k - log sum_j e^l_j, and its derivative onehot(k) - softmax(l).

    Args:
        index: For each observation, the position of its class in the flattened logits.

    Shapes: logits ``(..., K)``; the output has the shape of ``index``. Nothing of the shape of
    ``index`` times K is ever made, nor a second array of the shape of the logits but the gradient.
    """

    def __init__(self, index):
        super().__init__()
        self.index = index

    def forward(self, inputs):
        logit, = inputs
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        xp = special.xp_of(logit)
        rows = _native(logit).reshape(-1, logit.shape[-1])
        parts = [_top_and_others(rows[block]) for block in _blocks(rows)]
        top, others = parts[0] if len(parts) == 1 else map(numpy.concatenate, zip(*parts))
        self.top, self.others = top, others
        shape = logit.shape[:-1]
        picked = rows.reshape(-1)[self.index] - top.reshape(shape)
        # The largest term of the sum is exactly 1 and enters through log1p. For a class that is
        # nearly certain the answer is -log1p(the others), -1e-9, say; l_k - logsumexp would be 0.
        self.log_prob = picked - xp.log1p(others.reshape(shape))
        return xp.asarray(self.log_prob, dtype=logit.dtype),

    def backward(self, indexes, grad_outputs):
        gy, = grad_outputs
        logit = self.inputs[0].data
        if setting('enable_backprop') or gy.shape != logit.shape[:-1]:
            return self._general_gradient(*self.get_retained_inputs(), gy),
        xp = special.xp_of(logit)
        rows = _native(logit).reshape(-1, logit.shape[-1])
        weight = -_native(gy.array).reshape(-1) / (1 + self.others)
        gradient = xp.empty_like(rows)
        for block in _blocks(rows):
            g = xp.subtract(rows[block], self.top[block, None], out=gradient[block])
            xp.exp(g, out=g)
            g *= weight[block, None]
        # 1 - softmax_k of the observed class as -expm1(log p_k): without the subtraction.
        gradient.reshape(-1)[self.index] = -xp.expm1(self.log_prob) * gy.array
        gradient = gradient.reshape(logit.shape)
        return constant(gradient.astype(logit.dtype, copy=False)),

    def _general_gradient(self, logit, gy):
        """The gradient for any number of observations a row, itself differentiable."""
        y, = self.get_retained_outputs()
        wide, shape = numpy.float64, logit.shape
        gy = F.cast(gy, wide)
        observed = scatter(-gy * expm1(F.cast(y, wide)), self.index, shape)
        weight = scatter(gy, self.index, shape)
        weight_of_others = row_sum(weight) - weight
        return F.cast(observed - softmax(F.cast(logit, wide)) * weight_of_others, logit.dtype)


class LogProbOfP(Node):
    """log p_k, and its derivative 1 / p_k in the observed class.

    Args:
        index: For each observation, the position of its class in the flattened probabilities.
    """

    def __init__(self, index):
        super().__init__()
        self.index = index

    def forward(self, inputs):
        p, = inputs
        self.retain_inputs((0,))
        xp = special.xp_of(p)
        with numpy.errstate(divide='ignore'):
            return xp.asarray(xp.log(p.reshape(-1)[self.index])),

    def backward(self, indexes, grad_outputs):
        gy, = grad_outputs
        p, = self.get_retained_inputs()
        # Where no gradient arrives none must leave, although 1 / p may be infinite: 0 * inf = NaN.
        idle = gy.array == 0
        with numpy.errstate(divide='ignore'):
            g = where(idle, 0., gy) / where(idle, 1., gather(p, self.index))
        return scatter(g, self.index, p.shape),


class EntropyOfLogit(Rowwise):
    """H(l) = -sum_k p_k log p_k with p = softmax(l); its derivative is p_j (-log p_j - H)."""

    def value(self, logit):
        xp = special.xp_of(logit)
        below = _below_top(logit)
        p = softmax(logit)
        is_top = xp.arange(logit.shape[-1]) == logit.argmax(axis=-1)[..., None]
        others = xp.where(is_top, 0, xp.exp(below))
        # -log p_k = (l_top - l_k) + log1p(others): two sums of positive terms, so nothing cancels.
        return xp.log1p(row_sum(others)) - row_sum(p * _finite(below))

    def partials(self, logit):
        def derivative():
            below = _finite(_below_top(logit))
            p = softmax(logit)
            return p * (row_sum(p * below) - below)
        return [derivative]


class EntropyTerm(Elementwise):
    """-p log p, with 0 log 0 = 0; its derivative is -1 - log p."""

    upcast = True

    def value(self, p):
        xp = special.xp_of(p)
        return -p * xp.log(xp.where(p > 0, p, 1))

    def partials(self, p):
        return [lambda: -1 - log(p)]


class KLOfLogits(Rowwise):
    """KL(softmax(a) || softmax(b)): the Bregman divergence of logsumexp."""

    def value(self, a, b):
        xp = special.xp_of(a, b)
        p = softmax(a)
        d, likeliest, mean = _centred_difference(a, b, p)

        def there(x):
            return xp.take_along_axis(xp.broadcast_to(x, d.shape), likeliest, axis=-1)
        # With d = b - a shifted so that E_p[d] = 0, KL = log E_p[e^d] = log1p(E_p[e^d - 1 - d]):
        # the mean of terms that are never negative, and exactly 0 for equal logits.
        near = (d < 30) & (a > -math.inf)
        exponent = b - there(b) + there(log_softmax(a)) - mean   # log(p e^d), with one rounding
        far = xp.exp(xp.minimum(exponent, 700)) - p * (1 + d)
        terms = xp.where(near, p * expm1mx(xp.where(near, d, 0)), far)
        top = exponent.max(axis=-1, keepdims=True)
        huge = top + xp.log(row_sum(xp.exp(exponent - top)))
        kl = xp.where(top > 30, huge, xp.log1p(row_sum(terms)))
        excluded = ((b == -math.inf) & (a > -math.inf)).any(axis=-1, keepdims=True)
        return xp.where(excluded, math.inf, kl)

    def partials(self, a, b):
        p, q = softmax(a), softmax(b)

        def in_a():
            return -p * _centred_difference(a, b, p)[0]

        def in_b():
            possible = special.data(a) > -math.inf
            difference = where(possible, b - where(possible, a, 0.), math.inf)
            _, d, log_mean = log_mean_exp(a, difference, b)
            log_ratio = d - log_mean
            # q - p cancels where q is close to p; p (q / p - 1) does not.
            close = possible & (abs(special.data(d)) < 1) & (abs(special.data(log_ratio)) < 1)
            return where(close, p * expm1(where(close, log_ratio, 0.)), q - p)

        return [in_a, in_b]


class KLOfP(Rowwise):
    """KL = sum_k p_k (log p_k - log q_k), with 0 log 0 = 0, from probabilities p and q."""

    first_is_logit = False
    second_is_logit = False

    def value(self, a, b):
        xp = special.xp_of(a, b)
        p, log_p = _pair(a, self.first_is_logit)
        q, log_q = _pair(b, self.second_is_logit)
        possible = log_p > -math.inf
        # p log(p / q) + q - p is never negative and, with q = p (1 + t), equals
        # -p (log(1 + t) - t): where p and q are close, nothing of first order has to cancel.
        t = (q - p) / xp.where(p > 0, p, 1)
        near = possible & (abs(t) < 0.5) & (p > 0)
        far = p * xp.where(possible, log_p - log_q, 0) + (q - p)
        terms = xp.where(near, -p * log1pmx(xp.where(near, t, 0)), far)
        terms = xp.where(possible & (log_q == -math.inf), math.inf, terms)
        return row_sum(terms) - row_sum(q - p)

    def partials(self, a, b):
        p, log_p = _pair(a, self.first_is_logit)
        q, log_q = _pair(b, self.second_is_logit)
        possible_p, possible_q = special.data(log_p) > -math.inf, special.data(log_q) > -math.inf

        def log_ratio():
            both = possible_p & possible_q
            ratio = where(both, log_p, 0.) - where(both, log_q, 0.)
            limit = where(possible_p, math.inf, where(possible_q, -math.inf, -1.))
            return where(both, ratio, limit)

        def in_a():
            if not self.first_is_logit:
                return log_ratio() + 1
            kl = self.keep(a, b)
            finite = possible_p & (special.data(kl) < math.inf)
            return where(finite, p * (where(finite, log_ratio(), 0.) - where(finite, kl, 0.)), 0.)

        def in_b():
            if self.second_is_logit:
                return q * row_sum(p) - p
            return -where(possible_p, p / where(possible_p, q, 1.), 0.)

        return [in_a, in_b]


class KLOfPAndLogit(KLOfP):
    """The same, from probabilities p and logits of q."""

    second_is_logit = True


class KLOfLogitAndP(KLOfP):
    """The same, from logits of p and probabilities q."""

    first_is_logit = True


def _native(array):
    """float16 as float32; anything else as it is."""
    return array.astype(numpy.float32) if array.dtype == numpy.float16 else array


def _blocks(rows):
    """Slices of a matrix's rows that fit in the processor's cache; on a GPU, one for all."""
    n = len(rows)
    if rows.size <= BLOCK or not isinstance(rows, numpy.ndarray):
        return [slice(None)]
    step = max(1, BLOCK // rows.shape[1])
    return [slice(start, start + step) for start in range(0, n, step)]


def _top_and_others(rows):
    """The largest entry of each row, and the sum of e^(entry - largest) over the other entries."""
    xp = special.xp_of(rows)
    if len(rows) == 1 and xp is numpy:
        row, = rows
        largest = row.argmax()
        e = numpy.exp(row - row[largest])
        e[largest] = 0
        return row[largest:largest + 1], e.sum(keepdims=True)
    if rows.shape[1] >= 64:
        largest = xp.arange(len(rows)), rows.argmax(axis=1)
        top = rows[largest]
        e = rows - top[:, None]
        xp.exp(e, out=e)
        e[largest] = 0
        return top, e.sum(axis=1)
    # Short rows: NumPy reduces over the first axis of a transposed copy many times faster.
    columns = rows.T.copy()
    top = columns.max(axis=0)
    columns -= top
    xp.exp(columns, out=columns)
    ones = columns == 1  # the largest, and any that differ from it by less than rounding
    columns -= ones
    return top, columns.sum(axis=0) + (ones.sum(axis=0, dtype=rows.dtype) - 1)


def _below_top(logit):
    """The logits less the largest of their row, which is held constant."""
    return logit - special.data(logit).max(axis=-1, keepdims=True)


def _finite(x):
    """``x`` with 0 in place of infinities: the limit of p x as p goes to 0."""
    return where(special.xp_of(x).isfinite(special.data(x)), x, 0.)


def _centred_difference(a, b, p):
    """b - a less its mean under p = softmax(a); infinite logits do not take part.

    Returns the difference, the index of the likeliest class, and the mean, where the difference at
    that class was subtracted before the mean was taken: a class of probability 1 - 1e-20 is then
    left with its own 1e-20. It is held constant, as the mean removes any shift.
    """
    xp = special.xp_of(a, b)
    finite = xp.isfinite(special.data(a)) & xp.isfinite(special.data(b))
    d = where(finite, _finite(b) - _finite(a), 0.)
    likeliest = xp.broadcast_to(special.data(p), d.shape).argmax(axis=-1)[..., None]
    d = where(finite, d - xp.take_along_axis(special.data(d), likeliest, axis=-1), 0.)
    mean = row_sum(p * d)
    return d - mean, likeliest, mean


def _pair(parameter, is_logit):
    """Probabilities and their logarithms."""
    if is_logit:
        return softmax(parameter), log_softmax(parameter)
    return parameter, log(parameter)


def _are_logits(a):
    return checks.real.contains_all(a) or (
        bool(a.max() < math.inf) and bool((a.max(axis=-1) > -math.inf).all()))


logits = checks.Domain(
    'a number below infinity, not -inf for every class at once', _are_logits,
    lambda a: (a < math.inf) & (a.max(axis=-1, keepdims=True) != -math.inf))


@functools.cache
def _labels(n_classes):
    def contains(a):
        return (a >= 0) & (a < n_classes) & checks.is_whole(a)
    return checks.Domain(
        f'a class index, a whole number from 0 to {n_classes - 1}',
        lambda a: bool(contains(a).all()), contains)


def check_rows(owner, name, array, good, words):
    """Raises a sentence unless every row (last axis) is good.

    Args:
        owner (str): Name of the distribution.
        name (str): Name of the argument.
        array: A NumPy or CuPy array of rows.
        good: Array of bool, one for each row.
        words (str): What a row must do.

    Raises:
        ValueError: If a row is not good.
    """
    if not good.all():
        row = array[~good][0]
        raise ValueError(f'{owner}: {name} must {words} along its last axis; '
                         f'got {_brief(row)}, whose sum is {float(row.sum()):.6g}')


class OverCategories(Distribution):
    """What :class:`Categorical` and :class:`OneHotCategorical` share: K probabilities a batch."""

    domains = {'p': checks.probability, 'logit': logits}
    parameter_names = ('p',)
    _event_ndim = {'p': 1, 'logit': 1}

    def __init__(self, p=None, logit=None):
        self._take(**self._exactly_one(p=p, logit=logit))
        (name, self._parameter), = self._given.items()
        self._is_logit = name == 'logit'
        shape = self._parameter.shape
        if not shape or not shape[-1]:
            raise ValueError(f'{type(self).__name__}: {name} must have the classes, at least one, '
                             f'along its last axis; got shape {shape}')
        if name == 'p' and checks.is_enabled():
            array = self.p.array
            total = array.sum(axis=-1, dtype=numpy.promote_types(self.dtype, 'f'))
            check_rows(type(self).__name__, 'p', array, abs(total - 1) <= SUM_TOLERANCE,
                       f'sum to 1 (within {SUM_TOLERANCE})')

    @property
    def n_classes(self):
        """int: K."""
        return self._parameter.shape[-1]

    @cached_property
    def p(self):
        """Probabilities, of shape ``batch_shape + (K,)``."""
        return softmax(self._parameter) if self._is_logit else self._parameter

    @cached_property
    def logit(self):
        """Logits; where probabilities were given, their logarithms."""
        return self._parameter if self._is_logit else log(self._parameter)

    @cached_property
    def log_p(self):
        """Logarithms of the probabilities, of shape ``batch_shape + (K,)``."""
        if not self._is_logit:
            return log(self.p)
        labels = self.xp.arange(self.n_classes).reshape((-1,) + (1,) * len(self.batch_shape))
        return F.moveaxis(self._log_prob_of_label(labels), 0, -1)

    @cached_property
    def entropy(self):
        """-sum_k p_k log p_k, in nats, with 0 log 0 = 0."""
        if self._is_logit:
            return EntropyOfLogit()(self._parameter)
        return F.sum(EntropyTerm()(self.p), axis=-1)

    def _log_prob_of_label(self, label):
        index = label.astype(numpy.intp)
        if self.batch_shape:
            rows = self.xp.arange(math.prod(self.batch_shape)).reshape(self.batch_shape)
            index = index + self.n_classes * rows
        node = LogProbOfLogit(index) if self._is_logit else LogProbOfP(index)
        return node.apply((self._parameter,))[0]

    def _draw_labels(self, n, rng):
        """Inverse distribution function: the number of cumulative sums that u exceeds."""
        xp, last = self.xp, self.n_classes - 1
        wide = self._parameter.array.astype(numpy.float64)
        # In float64, and never rounded past a neighbour: the cumulative sum does not move at a
        # class of probability 0, so no u can fall into it.
        cumulative = xp.cumsum(softmax(wide) if self._is_logit else wide, axis=-1)
        cumulative = (cumulative / cumulative[..., -1:]).ravel()
        u = random.uniform(xp, rng, (n,) + self.batch_shape, numpy.float64)
        start = (last + 1) * xp.arange(math.prod(self.batch_shape)).reshape(self.batch_shape)
        label = xp.zeros(u.shape, numpy.int64)
        step = 1 << last.bit_length()
        while step > 1:  # bisection, for all draws at once
            step //= 2
            candidate = label + step
            exceeded = cumulative[start + xp.minimum(candidate - 1, last)] <= u
            label = xp.where(exceeded, candidate, label)
        return label

    def _most_probable(self):
        return self.xp.asarray(self._parameter.array.argmax(axis=-1))


class Categorical(OverCategories):
    r"""Categorical distribution: P(x = k) = p_k for k = 0, ..., K - 1.

    .. math:: \log p(k) = l_k - \log \sum_j e^{l_j}, \qquad p_k = e^{l_k} / \sum_j e^{l_j}

    An observation is an integer array of class indices (floats that are whole are taken too) that
    broadcasts against ``batch_shape``. Samples are int64, as in Chainer.

    Args:
        p: Probabilities along the last axis: each from 0 to 1, their sum 1 within 0.001. Shape
            ``batch_shape + (K,)``. Used as they are, not normalised. Either ``p`` or ``logit``.
        logit: Logits along the last axis, what a network outputs: any number or -inf (a class
            that cannot occur), but not -inf for all classes. Shape ``batch_shape + (K,)``.

    Raises:
        ValueError: If both or neither of ``p`` and ``logit`` are given, or one is out of its
            domain, or has no class axis.
        TypeError: If a parameter is not made of real numbers.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, sec. 2.2 and eq. 4.62.

    Example:
        A network that is 20 nats sure of class 0 is wrong with probability 2e-9; in float32,
        ``l_0 - logsumexp(l)`` says 0.

        >>> import numpy
        >>> d = Categorical(logit=numpy.float32([20, 0]))
        >>> f'{d.log_prob(0).array:.4g}'
        '-2.061e-09'
    """

    observed = checks.count
    support = '{0, ..., K - 1}'

    def log_prob(self, x):
        """log P(x) of class indices x, of the broadcast shape of x and the batch.

        Why this form: the largest term of the sum is kept out of the logarithm, so that the small
        loss of a confident and right prediction survives; see :class:`LogProbOfLogit`.
        """
        labels = _labels(self.n_classes)
        x = self._observe(x, domain=labels)
        return self._where_possible(x, labels.contains, self._log_prob_of_label)

    def sample_n(self, n, rng=None):
        """Class indices (int64), drawn by inverting the distribution function."""
        return chainer.Variable(self._draw_labels(n, rng))

    @cached_property
    def mean(self):
        """sum_k k p_k: meaningful only where the order of the classes is (a grade, a pixel)."""
        return F.cast(self._moments[0], self.dtype)

    @cached_property
    def variance(self):
        """sum_k p_k (k - mean)^2; see :attr:`mean`."""
        return F.cast(self._moments[1], self.dtype)

    @cached_property
    def _moments(self):
        p = F.cast(self._parameter, numpy.float64)
        p = softmax(p) if self._is_logit else p
        # Counted from the likeliest class, so that a variance near 0 does not cancel.
        mode = self._most_probable()[..., None]
        k = (self.xp.arange(self.n_classes) - mode).astype(numpy.float64)
        mean = row_sum(p * k)
        return (mean + mode)[..., 0], row_sum(p * (k - mean) ** 2)[..., 0]

    @cached_property
    def mode(self):
        """The class of the largest probability (the first of them), int64."""
        return chainer.Variable(self._most_probable())


def kl_of_categories(p, q):
    """sum_k p_k log(p_k / q_k), whichever way either distribution was given."""
    if p.n_classes != q.n_classes:
        raise ValueError(f'KL({type(p).__name__} || {type(q).__name__}): the distributions must '
                         f'have the same number of classes; got {p.n_classes} and {q.n_classes}')
    node = {(True, True): KLOfLogits, (True, False): KLOfLogitAndP,
            (False, True): KLOfPAndLogit, (False, False): KLOfP}[p._is_logit, q._is_logit]
    return node()(p._parameter, q._parameter)


@chainer.register_kl(Categorical, Categorical)
def _kl_categorical_categorical(p, q):
    """sum_k p_k log(p_k / q_k); see :class:`KLOfLogits` and :class:`KLOfP`."""
    return kl_of_categories(p, q)
