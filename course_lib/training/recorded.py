"""Training steps recorded as a CUDA graph."""
import chainer
import numpy

from course_lib.distributions import checks
from course_lib.numerics import cuda_graph
from course_lib.training.adam import Adam

WARM_UP = 2   # ordinary steps before the recording: kernels are compiled, states are allocated


class RecordedStep:
    """``optimizer.update(loss, x)``, recorded as a CUDA graph and from then on replayed.

    Every call is a step, and the numbers are those of ordinary steps up to the rounding of matrix
    products: random samples, Adam's step size and what the loss reports included. The first
    :data:`WARM_UP` calls with a new shape of ``x`` are ordinary steps. A step is recorded anew when
    a number that it depends on changes: an attribute of a link, such as ``loss.beta``, or a
    hyperparameter of the optimiser. (Adam's step size, ``alpha``, may change at no cost.) If that
    happens in more than a tenth of the steps, all further steps are ordinary ones. What the loss
    takes from elsewhere, such as a global variable, stays what it was. In a recorded step
    distributions are not checked. A run resumed from a snapshot agrees with one that was never
    interrupted up to the rounding of products, not bit for bit: it begins with ordinary steps.

    Args:
        optimizer (chainer.Optimizer): One of :class:`course_lib.training.Adam`, set up.
        loss (chainer.Chain): Called with ``x``; by default, the optimiser's target. It may draw
            normal and uniform random numbers through :mod:`course_lib.numerics.random`.
        fall_back (bool): Whether to go on with ordinary steps, instead of raising an error, if
            the loss does what cannot be recorded.

    Raises:
        TypeError: If ``optimizer`` is not an :class:`~course_lib.training.Adam`: the step sizes of
            others would stay what they were when recorded.
        course_lib.numerics.cuda_graph.NotRecordable: When called, if the loss does what cannot be
            recorded; see :mod:`course_lib.numerics.cuda_graph`.
    """

    def __init__(self, optimizer, loss=None, fall_back=False):
        if not can_be_recorded(optimizer):
            raise TypeError('optimizer must be a course_lib.training.Adam without amsgrad and '
                            f'adabound; got {type(optimizer).__name__}')
        self.optimizer = optimizer
        self.loss = optimizer.target if loss is None else loss
        self.fall_back = fall_back
        self._calls, self._recordings = {}, {}
        self._n_steps = self._n_recorded = 0
        self._is_ordinary = False

    def __call__(self, x):
        """Takes a step on a batch, a CuPy array.

        Raises:
            TypeError: If ``x`` is not a CuPy array.
        """
        if not isinstance(x, chainer.backends.cuda.ndarray):
            raise TypeError(f'x must be a CuPy array; got {type(x).__name__}')
        key = x.shape, x.dtype.char
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._is_ordinary or self._calls[key] <= WARM_UP:
            self.optimizer.update(self.loss, x)
            return
        recording, settings = self._recordings.get(key), self._settings()
        self._n_steps += 1
        if recording is not None and recording.settings == settings:
            self._set_counts([t + 1 for t in self._counts()])
        else:
            recording = self._record(x)
            if recording is None:
                self.optimizer.update(self.loss, x)
                return
            self._recordings[key] = recording
        recording.replay(x)

    def _record(self, x):
        """A new recording; ``None`` if the step shall be an ordinary one."""
        self._n_recorded += 1
        if self._n_recorded > max(10, self._n_steps / 10):
            self._is_ordinary = True
            return None
        counts = self._counts()
        try:
            recording = _Recording(self.optimizer, self.loss, x)
        except cuda_graph.NotRecordable:
            self._set_counts(counts)
            self._is_ordinary = self.fall_back
            if not self.fall_back:
                raise
            return None
        recording.settings = self._settings()
        return recording

    def _counts(self):
        """The numbers of steps that Chainer's optimiser and its rules have counted."""
        return [self.optimizer.t, *[rule.t for rule in self._rules()]]

    def _set_counts(self, counts):
        self.optimizer.t = counts[0]
        for rule, t in zip(self._rules(), counts[1:]):
            rule.t = t

    def _rules(self):
        return [parameter.update_rule for parameter in self.optimizer.target.params()]

    def _settings(self):
        """All that a recording takes for granted: numbers, and the places of arrays."""
        numbers = [(name, value) for link in self.loss.links()
                   for name, value in vars(link).items()
                   if isinstance(value, (bool, int, float, str, numpy.number))]
        places = []
        for parameter in self.optimizer.target.params():
            rule = parameter.update_rule
            hyperparameters = rule.hyperparam
            numbers.append((rule.enabled, hyperparameters.beta1, hyperparameters.beta2,
                            hyperparameters.eps, hyperparameters.eta,
                            hyperparameters.weight_decay_rate))
            places.append(parameter.array.data.ptr)
            places += [state.data.ptr for state in (rule.state or {}).values()]
        return numbers, places, chainer.config.train


class _Recording:
    """One recorded step: a graph, the array it reads its batch from, and what it reports."""

    def __init__(self, optimizer, loss, x):
        self.x = x.copy()
        self.links = list(loss.links())
        self.reported = {}   # of the form {'3/loss': array}, by number of the link

        def step():
            reporter = chainer.Reporter()
            reporter.add_observers('', [(str(i), link) for i, link in enumerate(self.links)])
            with checks.validation(False), reporter, reporter.scope(self.reported):
                optimizer.update(loss, self.x)

        self.graph = cuda_graph.Graph(step)

    def replay(self, x):
        self.x[...] = x
        self.graph.replay()
        for key, value in self.reported.items():
            i, name = key.split('/', 1)
            array = value.array if isinstance(value, chainer.Variable) else value
            # A copy, because the next replay writes its own number in the same place.
            chainer.report({name: getattr(array, 'copy', lambda: array)()}, self.links[int(i)])


def can_be_recorded(optimizer):
    """Whether :class:`RecordedStep` takes this optimiser."""
    return isinstance(optimizer, Adam) and not optimizer.amsgrad and not optimizer.adabound


class RecordedUpdater(chainer.training.updaters.StandardUpdater):
    """Chainer's ``StandardUpdater`` whose steps are those of a :class:`RecordedStep`.

    Args:
        iterator, optimizer, **kwargs: As for ``chainer.training.updaters.StandardUpdater``.
        fall_back (bool): As for :class:`RecordedStep`.

    Raises:
        ValueError: If the device is not a GPU.
        TypeError: As :class:`RecordedStep`.
    """

    def __init__(self, iterator, optimizer, fall_back=False, **kwargs):
        super().__init__(iterator, optimizer, **kwargs)
        if self.device is None or self.device.xp is numpy:
            raise ValueError(f'RecordedUpdater: device must be a GPU; got {self.device}')
        self._step = RecordedStep(self.get_optimizer('main'), fall_back=fall_back)

    def update_core(self):
        self._step(self.converter(self.get_iterator('main').next(), self.device))
