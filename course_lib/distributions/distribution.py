"""The base class of all distributions: parameters, shapes, sampling, and what every one offers."""
import math

import chainer
from chainer import functions as F
from chainer.utils.cache import cached_property
import numpy

from course_lib.distributions import checks
from course_lib.numerics import special
from course_lib.numerics.cuda_graph import surely_all
from course_lib.numerics.node import constant

__all__ = ['Distribution', 'OfProbability', 'cached_property']


class Distribution(chainer.distribution.Distribution):
    """A batch of independent distributions of one family.

    A subclass names its parameters' domains and writes down formulas; this class takes care of
    everything that is the same for all: Python numbers, lists, NumPy and CuPy arrays and
    :class:`chainer.Variable` as parameters, promotion to one dtype, broadcasting, and checks.

    Shapes: a sample has shape ``sample_shape + batch_shape + event_shape``. ``batch_shape`` is the
    broadcast shape of the parameters. Observations broadcast against it as NumPy arrays do.

    Dtypes: parameters are promoted to one floating dtype; Python numbers and integers adopt it.
    Where no parameter is a floating array, it is ``chainer.config.dtype`` (float32).

    Attributes:
        domains (dict): Domain of each parameter, by name.
        parameter_names (tuple): The names under which ``params`` lists the parameters.
        has_rsample (bool): Whether a gradient flows from a sample to the parameters.
        observed (checks.Domain): What an observation can be at all; anything else is an error.
            ``None`` for continuous distributions, whose ``log_prob`` is -inf outside the support.
    """

    domains = {}
    parameter_names = ()
    has_rsample = False
    observed = None
    _event_ndim = {}   # number of event dimensions of each parameter that has any

    # -- parameters ------------------------------------------------------------------------

    def _take(self, **given):
        """Promotes, checks and keeps the parameters."""
        owner = type(self).__name__
        arrays = [special.data(value) for value in given.values()]
        dtypes = {a.dtype if type(a) is numpy.ndarray else None for a in arrays}
        if len(dtypes) == 1 and (dtype := dtypes.pop()) is not None and dtype.kind == 'f':
            self._dtype = dtype      # the commonest case: nothing to promote or to move
            self._given = {name: value if isinstance(value, chainer.Variable) else constant(value)
                           for name, value in given.items()}
        else:
            self._promote(owner, given, dict(zip(given, arrays)))
        if checks.is_enabled():
            for name, variable in self._given.items():
                checks.check(owner, name, variable.array, self.domains[name])
        shapes = {name: v.shape for name, v in self._given.items()}
        for name, n_event in self._event_ndim.items():
            if name in shapes:
                shapes[name] = shapes[name][:max(0, len(shapes[name]) - n_event)]
        self._batch_shape = _broadcast_shape(owner, shapes)

    def _promote(self, owner, given, arrays):
        """Keeps the parameters in the dtype, and in the place, that they have in common."""
        self._dtype = dtype = _common_dtype(arrays.values())
        xp = _common_xp(owner, arrays)
        self._given = {name: as_variable(owner, name, value, dtype, xp)
                       for name, value in given.items()}

    def _exactly_one(self, **given):
        """The one of the alternative parameters that is given, by its name; or raises."""
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) != 1:
            names = ' or '.join(given)
            got = ' and '.join(chosen) if chosen else 'neither' if len(given) == 2 else 'none'
            raise ValueError(
                f'{type(self).__name__}: give either {names}, exactly one of them; got {got}')
        return chosen

    @property
    def params(self):
        """dict: The parameters by name, as variables (the names that Chainer uses)."""
        return {name: getattr(self, name) for name in self.parameter_names}

    @property
    def xp(self):
        """:mod:`numpy` or :mod:`cupy`: where the parameters live."""
        # Looked up, not kept: a module cannot be pickled or copied.
        array = next(iter(self._given.values())).array
        return numpy if type(array) is numpy.ndarray else special.xp_of(array)

    @property
    def dtype(self):
        """numpy.dtype: The common floating dtype of the parameters."""
        return self._dtype

    @property
    def batch_shape(self):
        return self._batch_shape

    @property
    def event_shape(self):
        return ()

    def _full(self, variable):
        """The variable broadcast to the shape of the batch."""
        shape = self.batch_shape + self.event_shape
        return variable if variable.shape == shape else F.broadcast_to(variable, shape)

    def _constant(self, value):
        """A variable of the batch's shape that holds one number."""
        return chainer.as_variable(
            self.xp.full(self.batch_shape + self.event_shape, value, self.dtype))

    # -- observations ----------------------------------------------------------------------

    def _observe(self, x, name='x', domain=None):
        """An observation as an array or variable of the right dtype, checked.

        Returns a variable for a continuous distribution (it may carry a gradient), an array for a
        discrete one.
        """
        owner, xp = type(self).__name__, self.xp
        domain = domain or self.observed
        if self.observed is None:
            x = as_variable(owner, name, x, self.dtype, xp, promote=True)
            array = x.array
        else:
            x = array = as_array(owner, name, special.data(x),
                                 numpy.promote_types(self.dtype, numpy.float32), xp, promote=True)
        if special.xp_of(array) is not xp:
            raise TypeError(
                f'{owner}: {name} is a {special.xp_of(array).__name__} array but the parameters '
                f'are {xp.__name__} arrays; move one with chainer.get_device(...).send')
        batch_shape, event_shape = self.batch_shape, self.event_shape
        shape = batch_shape + event_shape
        if array.shape != shape and not (
                _broadcastable(array.shape, shape)
                and array.shape[array.ndim - len(event_shape):] == event_shape):
            raise ValueError(
                f'{owner}: {name} has shape {array.shape}, which does not broadcast with '
                f'batch_shape {batch_shape} + event_shape {event_shape}')
        if checks.is_enabled():
            checks.check(owner, name, array, domain or checks.extended_real)
        return x

    def _where_possible(self, x, possible, log_prob, *n_axes, filler=0):
        """``log_prob(x)``; -inf, without a gradient, for an ``x`` that cannot be observed.

        Only with checks off: with checks on, ``_observe`` has raised an error already. If
        ``log_prob`` sums over its last ``n_axes`` axes, so does this.
        """
        if checks.is_enabled():
            return log_prob(x, *n_axes)
        allowed = possible(x)
        if surely_all(allowed):
            return log_prob(x, *n_axes)
        y = log_prob(special.where(allowed, x, filler))
        y = special.where(self.xp.broadcast_to(allowed, y.shape), y, -math.inf)
        return sum_last(y, *n_axes)

    # -- sampling --------------------------------------------------------------------------

    def sample(self, sample_shape=(), rng=None):
        """Draws from the distribution.

        Args:
            sample_shape (int or tuple of int): How many draws of the whole batch, as a shape.
            rng: ``None`` for the global state of ``numpy.random`` (or ``cupy.random``), an integer
                seed, or a NumPy or CuPy generator.

        Returns:
            chainer.Variable: Draws of shape ``sample_shape + batch_shape + event_shape``. A
            gradient flows through them where :attr:`has_rsample` is true.

        Raises:
            TypeError: If ``sample_shape`` is not made of integers, or ``rng`` is of another kind.
            ValueError: If a length is negative.
        """
        shape = _as_shape(sample_shape)
        draws = self.sample_n(math.prod(shape), rng=rng)
        return F.reshape(draws, shape + self.batch_shape + self.event_shape)

    def sample_n(self, n, rng=None):
        """Draws ``n`` times: shape ``(n,) + batch_shape + event_shape``. See :meth:`sample`."""
        raise NotImplementedError(self._no('sampling'))

    # -- what every distribution offers ----------------------------------------------------

    def log_prob(self, x):
        raise NotImplementedError(self._no('log_prob'))

    def _sum_of_log_prob(self, x, n_axes):
        """``log_prob(x)`` summed over its last ``n_axes`` axes; some families do both in one pass.
        """
        return sum_last(self.log_prob(x), n_axes)

    def prob(self, x):
        """exp(log_prob(x)): the probability, or the density, of an observation."""
        return special.exp(self.log_prob(x))

    @cached_property
    def stddev(self):
        """The square root of the variance."""
        return special.sqrt(self.variance)

    def _no(self, what):
        return (f'{type(self).__name__} has no closed form for {what}; '
                'estimate it from samples, or use SciPy')

    def __repr__(self):
        parts = [f'{name}={_brief(v.array)}' for name, v in self._given.items()]
        return f'{type(self).__name__}({", ".join(parts)})'


class OfProbability(Distribution):
    """A family of a probability, given as ``p`` or as ``logit``."""

    @cached_property
    def p(self):
        """The probability, sigmoid of the logit."""
        return self._given['p'] if 'p' in self._given else special.sigmoid(self.logit)

    @cached_property
    def logit(self):
        """The log-odds, log(p / (1 - p))."""
        return self._given['logit'] if 'logit' in self._given else special.logit(self.p)


def _refusing(name, is_property):
    """A member that refuses with a sentence until a subclass defines it."""
    def refuse(self, *args, **kwargs):
        raise NotImplementedError(self._no(name))
    refuse.__name__ = name
    refuse.__doc__ = getattr(chainer.distribution.Distribution, name).__doc__
    return property(refuse) if is_property else refuse


for _name in ('mean', 'variance', 'mode', 'entropy', 'covariance', 'support'):
    setattr(Distribution, _name, _refusing(_name, is_property=True))
for _name in ('cdf', 'icdf', 'log_cdf', 'survival_function', 'log_survival_function'):
    setattr(Distribution, _name, _refusing(_name, is_property=False))


def sum_last(x, n_axes=0):
    """The sum of a variable over its last ``n_axes`` axes."""
    return special.Identity().summed(n_axes)(x) if n_axes else x


def as_variable(owner, name, value, dtype, xp, promote=False):
    """A floating variable of ``dtype`` made of a number, list, array or variable.

    Args:
        owner (str): Name of the distribution, for error messages.
        name (str): Name of the argument.
        value: A number, a nested list of numbers, an array or a variable.
        dtype (numpy.dtype): The dtype wanted.
        xp: :mod:`numpy` or :mod:`cupy`: where numbers and lists are put. An array stays in place.
        promote (bool): Keep a floating array of another dtype as it is.

    Raises:
        TypeError: If the value does not consist of real numbers.
    """
    if isinstance(value, chainer.Variable):
        if value.dtype == dtype or promote and value.dtype.kind == 'f':
            return value
        if value.dtype.kind == 'f':
            return F.cast(value, dtype)
        value = value.array
    return constant(as_array(owner, name, value, dtype, xp, promote))


def as_array(owner, name, value, dtype, xp, promote=False):
    """A floating array of ``dtype`` made of a number, list or array; see :func:`as_variable`."""
    if type(value) is numpy.ndarray and value.dtype == dtype:
        return value
    if isinstance(value, numpy.ma.MaskedArray):
        raise TypeError(f'{owner}: {name} must not be a masked array, whose mask would be lost; '
                        'leave the masked entries out, or fill them')
    kind = type(value).__name__
    if not hasattr(value, 'dtype'):
        try:
            value = numpy.asarray(value)
        except ValueError:
            value = numpy.asarray(None)
        promote = False
        is_array = False
    else:
        is_array = not isinstance(value, numpy.generic)
    if value.dtype.kind not in 'fiub':
        raise TypeError(f'{owner}: {name} must consist of real numbers; '
                        f'got {kind} of dtype {value.dtype}')
    if value.dtype != dtype and not (promote and value.dtype.kind == 'f'):
        value = value.astype(dtype)
    return value if is_array else xp.asarray(value)


def _common_dtype(values):
    kinds = {v.dtype for v in values if hasattr(v, 'dtype') and v.dtype.kind == 'f'}
    if not kinds:
        return numpy.dtype(chainer.get_dtype())
    return kinds.pop() if len(kinds) == 1 else numpy.result_type(*kinds)


def _common_xp(owner, arrays):
    """Where the arrays among the parameters live; numbers and lists follow them."""
    modules = {name: special.xp_of(value) for name, value in arrays.items()
               if hasattr(value, 'dtype') and not isinstance(value, numpy.generic)}
    if len(set(modules.values())) > 1:
        where = ', '.join(f'{name} is a {xp.__name__} array' for name, xp in modules.items())
        raise TypeError(f'{owner}: all parameters must live on one device; {where}')
    return next(iter(modules.values()), numpy)


def _broadcast_shape(owner, shapes):
    distinct = set(shapes.values())
    if len(distinct) == 1:
        return distinct.pop()
    try:
        return numpy.broadcast_shapes(*distinct)
    except ValueError:
        text = ', '.join(f'{name} {shape}' for name, shape in shapes.items())
        raise ValueError(
            f'{owner}: the shapes of the parameters do not broadcast: {text}') from None


def _broadcastable(*shapes):
    try:
        numpy.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _as_shape(sample_shape):
    if isinstance(sample_shape, (int, numpy.integer)):
        sample_shape = (sample_shape,)
    try:
        shape = tuple(int(n) for n in sample_shape)
        exact = all(n == m and not isinstance(m, (bool, numpy.bool_))
                    for n, m in zip(shape, sample_shape))
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise TypeError(
            f'sample_shape must be an integer or a tuple of integers; got {sample_shape!r}')
    if any(n < 0 for n in shape):
        raise ValueError(f'sample_shape must not contain a negative length; got {shape}')
    return shape


def _brief(array):
    if array.size > 6:
        return f'<{array.dtype} array of shape {array.shape}>'
    array = chainer.get_device('@numpy').send(array)
    return numpy.array2string(array, precision=4, separator=', ').replace('\n', '')
