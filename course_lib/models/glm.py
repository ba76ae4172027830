"""Generalised linear models: a distribution, a linear predictor, and Newton's method."""
import math
from typing import Callable, NamedTuple
import warnings

import chainer
import numpy
import scipy.linalg
import scipy.special

import course_lib.distributions as D
from course_lib.numerics import special

BLOCK = 1 << 18       # numbers of X converted to float64 at a time: 2 MB, to stay in cache
BLOCK_ON_GPU = 1 << 24
MAX_OFFSET = 300.     # a rate of e^300 = 1e130 is a mistake
MAX_X = 1e50          # squares of larger numbers, times a rate, overflow
COLLINEAR = 1e-12     # part of a column's square that the columns before it leave unexplained
STEP_TOLERANCE = 1e-8  # largest change of a linear predictor in the step that is the last
FLAT = 1e-8           # rise of the log-likelihood, in nats, below which the step is looked at
SEPARATING = 1e-6     # relative size below which a component of a direction counts as zero


class NotFittedError(ValueError, AttributeError):
    """The model is asked for what only :meth:`GLM.fit` can tell."""


class SeparationError(ValueError):
    """No finite coefficients are most likely: along some direction the likelihood rises for ever.

    A. Albert and J. A. Anderson (1984), "On the existence of maximum likelihood estimates in
    logistic regression models", Biometrika 71(1), 1-10; for counts, J. M. C. Santos Silva and S.
    Tenreyro (2010), Economics Letters 107(2), 310-312.
    """


class ConvergenceWarning(UserWarning):
    """Newton's method stopped before it arrived."""


class Family(NamedTuple):
    """What a family is: its distribution by linear predictor (a link each) and by mean."""

    links: dict        # name: (linear predictor, *log concentration) -> distribution; default first
    by_mean: Callable  # (mean, *log concentration) -> distribution
    observed: NamedTuple  # what y must be: a domain of course_lib.distributions.checks


FAMILIES = {
    'bernoulli': Family(
        {'logit': lambda eta: D.Bernoulli(logit=eta),
         'probit': lambda eta: D.Bernoulli(
             logit=special.log_ndtr(eta) - special.log_ndtr(-eta))},
        lambda mean: D.Bernoulli(p=mean), D.Bernoulli.observed),
    'poisson': Family(
        {'log': lambda eta: D.Poisson(log_lam=eta)},
        lambda mean: D.Poisson(lam=mean), D.Poisson.observed),
    'negative_binomial': Family(
        {'log': lambda eta, log_r: D.NegativeBinomial(log_mean=eta, log_concentration=log_r)},
        lambda mean, log_r: D.NegativeBinomial(mean=mean, log_concentration=log_r),
        D.NegativeBinomial.observed),
}


class GLM:
    r"""A generalised linear model, fitted by maximum likelihood.

    Row i of the design matrix X and its offset make a linear predictor, and that makes the mean of
    the observation through the inverse of the link:

    .. math:: \eta_i = o_i + x_i^\top \beta, \qquad
        y_i \sim \mathrm{family}(\text{mean} = \mathrm{link}^{-1}(\eta_i))

    ============================  ====================  =========================================
    family                        links, default first  distribution
    ============================  ====================  =========================================
    ``'bernoulli'``, y 0 or 1     logit, probit         ``Bernoulli(logit=eta)``
    ``'poisson'``, y 0, 1, 2...   log                   ``Poisson(log_lam=eta)``
    ``'negative_binomial'``       log                   ``NegativeBinomial(log_mean=eta,
                                                        log_concentration=...)``
    ============================  ====================  =========================================

    X is used as given: put a column of ones into it if you want an intercept. An exposure t enters
    a model of counts as ``offset=log(t)``.

    The log-likelihood is the distribution's ``log_prob``; Chainer differentiates it twice by the
    linear predictor, and Newton's method does the rest, in float64 whatever the dtype of X. X is
    never copied as a whole: blocks of its rows are converted one at a time. NumPy and CuPy arrays
    alike; what is learned about the coefficients is kept in NumPy arrays.

    Args:
        family (str): ``'bernoulli'``, ``'poisson'`` or ``'negative_binomial'``.
        link (str): One of the family's links; ``None`` for its default.
        max_iter (int): The most steps that Newton's method may take.

    Attributes:
        coef_ (numpy.ndarray): Estimates, float64, shape (p,).
        standard_errors_ (numpy.ndarray): Square roots of the diagonal of ``covariance_``.
        covariance_ (numpy.ndarray): Inverse of the observed Fisher information (minus the second
            derivative of the log-likelihood at its maximum), shape (p, p). Of the negative binomial
            it is the coefficients' part of the joint inverse, so it allows for the concentration
            being estimated too.
        concentration_ (float): Of the negative binomial, the estimate of r in the variance
            mean + mean^2 / r (statsmodels' alpha is 1 / r).
        concentration_standard_error_ (float): Its standard error, by the delta method from log r.
        log_likelihood_ (float): Log-likelihood at the estimates, in nats.
        names_ (tuple of str): Names of the columns.
        n_rows_ (int): Number of rows that were fitted.
        n_iter_ (int): Number of Newton steps taken.
        converged_ (bool): Whether the last step would have moved no linear predictor by 1e-8.

    Raises:
        ValueError: If ``family``, ``link`` or ``max_iter`` is none of these.

    Source: P. McCullagh and J. A. Nelder (1989), Generalized Linear Models, 2nd ed., chapter 2; for
    the negative binomial, A. C. Cameron and P. K. Trivedi (2013), Regression Analysis of Count
    Data, 2nd ed., section 3.3 (their NB2).

    Example:
        >>> X = numpy.array([[1, 0], [1, 0], [1, 1], [1, 1]])
        >>> model = GLM('poisson').fit(X, [2, 4, 5, 7], names=['const', 'treated'])
        >>> [f'{rate:.2f}' for rate in numpy.exp(model.coef_)]   # mean, and ratio of the means
        ['3.00', '2.00']
    """

    def __init__(self, family, link=None, max_iter=100):
        if family not in tuple(FAMILIES):
            raise ValueError(f'family must be {_listed(FAMILIES, "or")}; got {family!r}')
        links = FAMILIES[family].links
        if link is not None and link not in tuple(links):
            raise ValueError(f'link must be {_listed(links, "or")} for the family {family!r}; '
                             f'got {link!r}')
        if isinstance(max_iter, bool) or not isinstance(max_iter, int) or max_iter < 1:
            raise ValueError(f'max_iter must be a whole number, 1 or more; got {max_iter!r}')
        self.family = family
        self.link = link or next(iter(links))
        self.max_iter = max_iter

    def __repr__(self):
        return f'GLM({self.family!r}, link={self.link!r}, max_iter={self.max_iter})'

    def fit(self, X, y, offset=None, names=None):
        """Estimates the coefficients (and the concentration) by maximum likelihood.

        Args:
            X: Design matrix, shape (n, p), real numbers of any dtype; NumPy or CuPy.
            y: Observations, shape (n,), on the same device: 0 or 1, or counts.
            offset: Known part of the linear predictor, shape (n,) or one number; for counts the
                logarithm of the exposure. ``None`` for 0.
            names: Names of the p columns for messages and :meth:`summary`; by default x0, x1...

        Returns:
            GLM: This object.

        Raises:
            TypeError: If an argument is not made of real numbers, or is on another device than X.
            ValueError: If shapes do not fit, X or offset is not finite, columns of X are linearly
                dependent, y is not what the family can observe, or y varies too little for a
                negative binomial.
            SeparationError: If no finite coefficients maximise the likelihood.

        Warns:
            ConvergenceWarning: If ``max_iter`` steps were not enough; see ``converged_``.
        """
        table = _Table(X, offset, FAMILIES[self.family].observed, y)
        names = _checked_names(names, table.n_columns)
        fit = _Newton(self.family, self.link, table, names, self.max_iter).run()
        p = table.n_columns
        covariance = fit.covariance()
        self.names_, self.n_rows_ = names, table.n_rows
        self.coef_ = fit.parameters[:p]
        self.covariance_ = covariance[:p, :p]
        self.standard_errors_ = numpy.sqrt(numpy.diag(self.covariance_))
        self._log_concentration = fit.parameters[p:]
        if self._log_concentration.size:
            self.concentration_ = math.exp(self._log_concentration[0])
            self.concentration_standard_error_ = (
                self.concentration_ * math.sqrt(covariance[p, p]))
        self.log_likelihood_, self.n_iter_ = fit.log_likelihood, fit.n_iter
        self.converged_ = fit.converged
        if not self.converged_:
            warnings.warn(
                f'Newton\'s method has not converged after {self.n_iter_} steps (max_iter='
                f'{self.max_iter}); do not use the estimates', ConvergenceWarning, stacklevel=2)
        return self

    def predict_distribution(self, X, offset=None):
        """The fitted distribution of the observation of each row.

        Its ``log_prob(y)`` is the log-likelihood of held-out rows, one each, its ``cdf`` gives
        predictive intervals, its ``sample`` simulated data.

        Args:
            X: Design matrix, shape (m, p).
            offset: As for :meth:`fit`.

        Returns:
            course_lib.distributions.Distribution: A batch of shape (m,), on X's device, in X's
            dtype if that is float32 or float64, else in float64.

        Raises:
            NotFittedError: Before :meth:`fit`.
            TypeError, ValueError: As for :meth:`fit`.
        """
        table = self._checked(X, offset)
        with chainer.using_device(table.device):
            eta = table.xp.empty(table.n_rows, table.dtype)
            coef = table.send(self.coef_)
            for rows, x, o, _ in table.blocks():
                eta[rows] = x @ coef + o
            return self._distribution(eta, *self._log_r(table))

    def predict(self, X, offset=None):
        """The fitted mean of each row: a probability, or an expected count.

        Args:
            X: Design matrix, shape (m, p).
            offset: As for :meth:`fit`.

        Returns:
            array: Shape (m,), on X's device, in X's dtype if that is float32 or float64, else in
            float64.

        Raises:
            NotFittedError: Before :meth:`fit`.
            TypeError, ValueError: As for :meth:`fit`.
        """
        return self.predict_distribution(X, offset).mean.array

    def deviance(self, X, y, offset=None):
        r"""Twice what the log-likelihood lacks to that of a model that predicts every y exactly.

        .. math:: \sum_i d_i, \qquad d_i = 2\,[\log p(y_i; \text{mean} = y_i) - \log p(y_i;
            \text{mean} = \mu_i)]

        Args:
            X: Design matrix, shape (m, p).
            y: Observations, shape (m,).
            offset: As for :meth:`fit`.

        Returns:
            float: 0 or more, without a unit.

        Raises:
            NotFittedError: Before :meth:`fit`.
            TypeError, ValueError: As for :meth:`fit`.
        """
        return float((self.residuals(X, y, offset) ** 2).sum())

    def residuals(self, X, y, offset=None, kind='deviance'):
        r"""How far each observation lies from its fitted mean.

        Args:
            X: Design matrix, shape (m, p).
            y: Observations, shape (m,).
            offset: As for :meth:`fit`.
            kind (str): ``'deviance'``: :math:`\mathrm{sign}(y_i - \mu_i) \sqrt{d_i}`, whose
                squares sum to :meth:`deviance`; ``'pearson'``: :math:`(y_i - \mu_i)` divided by the
                fitted standard deviation; ``'response'``: :math:`y_i - \mu_i`.

        Returns:
            array: float64, shape (m,), on X's device.

        Raises:
            NotFittedError: Before :meth:`fit`.
            TypeError, ValueError: As for :meth:`fit`, and if ``kind`` is another word.
        """
        if kind not in tuple(RESIDUALS):
            raise ValueError(f'kind must be {_listed(RESIDUALS, "or")}; got {kind!r}')
        table = self._checked(X, offset, y)
        saturated = FAMILIES[self.family].by_mean
        with chainer.using_device(table.device), D.validation(False), chainer.no_backprop_mode():
            result = table.xp.empty(table.n_rows)
            coef, log_r = table.send(self.coef_), self._log_r(table, 'd')
            for rows, x, o, observed in table.blocks():
                result[rows] = RESIDUALS[kind](observed, self._distribution(x @ coef + o, *log_r),
                                               saturated(observed, *log_r))
        return result

    def summary(self):
        """The fit as a table in plain text.

        One row a coefficient: estimate, standard error, z = estimate / standard error, the
        two-sided p-value of "the coefficient is 0" (Wald test), and the 95 % interval
        estimate -+ 1.96 standard errors.

        Returns:
            str: Several lines, to be printed.

        Raises:
            NotFittedError: Before :meth:`fit`.
        """
        self._require_fit()
        z = self.coef_ / self.standard_errors_
        p_values = 2 * scipy.special.ndtr(-abs(z))
        margin = scipy.special.ndtri(0.975) * self.standard_errors_
        smallest = min(self.standard_errors_.min(), 1)
        digits = int(numpy.clip(1 - math.floor(math.log10(smallest)), 4, 12))
        rows = [('', 'estimate', 'std error', 'z', 'p-value', '95 % from', 'to')]
        for name, *numbers, z_j, p_j, low, high in zip(
                self.names_, self.coef_, self.standard_errors_, z, p_values,
                self.coef_ - margin, self.coef_ + margin):
            rows.append((name, *(f'{v:.{digits}f}' for v in numbers), f'{z_j:.2f}',
                         '<0.001' if p_j < 0.001 else f'{p_j:.3f}',
                         f'{low:.{digits}f}', f'{high:.{digits}f}'))
        widths = [max(map(len, column)) for column in zip(*rows)]
        state = 'converged' if self.converged_ else 'NOT converged'
        lines = [f'{self.family} regression, {self.link} link: {self.n_rows_} rows, '
                 f'{state} after {self.n_iter_} steps',
                 f'log-likelihood {self.log_likelihood_:.2f}', '']
        for name, *cells in rows:
            lines.append(name.ljust(widths[0]) + ''.join(
                '  ' + cell.rjust(width) for cell, width in zip(cells, widths[1:])))
        if self._log_concentration.size:
            lines += ['', f'concentration {self.concentration_:.4g}, standard error '
                          f'{self.concentration_standard_error_:.2g} '
                          '(variance = mean + mean^2 / concentration)']
        return '\n'.join(lines)

    def _distribution(self, eta, *log_r):
        return FAMILIES[self.family].links[self.link](eta, *log_r)

    def _log_r(self, table, dtype=None):
        return [table.send(r.astype(dtype or table.dtype)) for r in self._log_concentration]

    def _require_fit(self):
        if not hasattr(self, 'coef_'):
            raise NotFittedError('this GLM has not been fitted; call fit(X, y) first')

    def _checked(self, X, offset, *y):
        self._require_fit()
        table = _Table(X, offset, FAMILIES[self.family].observed, *y)
        if table.n_columns != len(self.coef_):
            raise ValueError(f'X must have {len(self.coef_)} columns, as when the model was '
                             f'fitted; got {table.n_columns}')
        table.check(self.names_)
        return table


def _deviance_residual(y, fitted, saturated):
    d = 2 * (saturated.log_prob(y) - fitted.log_prob(y)).array
    return special.xp_of(y).sign(y - fitted.mean.array) * special.sqrt(d.clip(0, math.inf))


RESIDUALS = {
    'deviance': _deviance_residual,
    'pearson': lambda y, fitted, _: (y - fitted.mean.array) / fitted.stddev.array,
    'response': lambda y, fitted, _: y - fitted.mean.array,
}


class _Table:
    """The rows of a regression, handed out in blocks of float64."""

    def __init__(self, X, offset, observed, *y):
        self.X = _real_array('X', X)
        if self.X.ndim != 2:
            raise ValueError(f'X must have 2 dimensions, (rows, columns); got shape {self.X.shape}')
        self.n_rows, self.n_columns = self.X.shape
        if not self.X.size:
            raise ValueError('X must have at least one row and one column; got shape '
                             f'{self.X.shape}')
        self.xp = special.xp_of(self.X)
        self.device = chainer.backend.get_device_from_array(self.X)
        self.dtype = self.X.dtype if self.X.dtype in ('f', 'd') else numpy.dtype('d')
        self.y = self._column('y', *y) if y else None
        self.offset = self._column('offset', 0. if offset is None else offset, may_be_number=True)
        self.observed = observed

    def send(self, array):
        """A small array, sent to where the rows are."""
        return self.device.send(numpy.asarray(array))

    def blocks(self):
        """Yields slices of rows with their X, offset and y in float64 (y is None if not given)."""
        size = BLOCK if self.xp is numpy else BLOCK_ON_GPU
        step = max(1, size // self.n_columns)
        for start in range(0, self.n_rows, step):
            rows = slice(start, start + step)
            yield (rows, *(a if a is None else a[rows].astype('d', copy=False)
                           for a in (self.X, self.offset, self.y)))

    def check(self, names):
        """Raises if a number is not finite, or y is not what the family observes."""
        xp = self.xp
        for rows, x, offset, y in self.blocks():
            if not (abs(x) < MAX_X).all():
                i, j = (int(k[0]) for k in xp.nonzero(~(abs(x) < MAX_X)))
                raise ValueError('X must hold finite numbers below 1e50 in size; got '
                                 f'{float(x[i, j])} in row {rows.start + i}, column {names[j]!r}')
            if not (abs(offset) <= MAX_OFFSET).all():
                i = int(xp.nonzero(~(abs(offset) <= MAX_OFFSET))[0][0])
                raise ValueError('offset must hold finite numbers from -300 to 300 (the logarithm '
                                 f'of an exposure); got {float(offset[i])} in row {rows.start + i}')
            if y is not None and not self.observed.contains_all(y):
                i = int(xp.nonzero(~self.observed.contains(y))[0][0])
                raise ValueError(f'y must be {self.observed.words}; got {float(y[i]):g} in row '
                                 f'{rows.start + i}')

    def _column(self, name, value, may_be_number=False):
        column = _real_array(name, value)
        if may_be_number and not column.ndim:
            return self.xp.broadcast_to(self.xp.asarray(column, 'd'), (self.n_rows,))
        if column.ndim != 1:
            raise ValueError(f'{name} must have 1 dimension, a number for each row of X; got shape '
                             f'{column.shape}')
        if len(column) != self.n_rows:
            raise ValueError(f'{name} must have as many numbers as X has rows, {self.n_rows}; got '
                             f'{len(column)}')
        if special.xp_of(column) is not self.xp:
            raise TypeError(f'{name} is a {special.xp_of(column).__name__} array but X is a '
                            f'{self.xp.__name__} array; move one with chainer.get_device(...).send')
        return column


class _Newton:
    """One fit: Newton's method for the coefficients, and log r if the family has one, jointly."""

    def __init__(self, family, link, table, names, max_iter):
        self.family, self.table, self.names, self.max_iter = family, table, names, max_iter
        self.distribution = FAMILIES[family].links[link]
        self.n_iter, self.converged = 0, False

    def run(self):
        """Maximises the likelihood from a simple start."""
        table = self.table
        table.check(self.names)
        if table.n_rows < table.n_columns:
            raise ValueError('X must have at least as many rows as columns; got '
                             f'{table.n_rows} rows and {table.n_columns} columns')
        gram, start = self._gram()
        self.scale = _checked_scale(gram, self.names)
        start = numpy.linalg.solve(gram / numpy.outer(self.scale, self.scale),
                                   start / self.scale) / self.scale
        if self.family == 'negative_binomial':
            poisson = _Newton('poisson', 'log', table, self.names, self.max_iter)
            poisson.scale = self.scale
            poisson._maximise(start)
            self.n_iter = poisson.n_iter
            start = numpy.append(poisson.parameters, self._log_concentration(poisson.parameters))
        self._maximise(start)
        return self

    def covariance(self):
        """The inverse of the information; infinite variances where there is none."""
        with numpy.errstate(all='ignore'):
            scale = numpy.sqrt(numpy.diag(self.information))
            scaled = self.information / numpy.outer(scale, scale)
        try:
            factor = scipy.linalg.cho_factor(scaled)
        except (ValueError, scipy.linalg.LinAlgError):
            self.converged = False
            return numpy.full_like(scaled, math.inf)
        return scipy.linalg.cho_solve(factor, numpy.eye(len(scale))) / numpy.outer(scale, scale)

    def _gram(self):
        """X'X, and X'1 times the linear predictor of a model that has only an intercept."""
        table, counted, exposed = self.table, 0., 0.
        gram, ones = numpy.zeros((table.n_columns,) * 2), numpy.zeros(table.n_columns)
        with chainer.using_device(table.device):
            for _, x, offset, y in table.blocks():
                gram += _on_cpu(x.T @ x)
                ones += _on_cpu(x.sum(axis=0))
                counted += float(y.sum())
                exposed += float(special.exp(offset).sum())
        if self.family == 'bernoulli':
            return gram, 0 * ones
        return gram, ones * math.log((counted + 0.5) / exposed)

    def _log_concentration(self, coef):
        """A first log r, from the variance that a Poisson fit leaves unexplained."""
        table, excess, squares, total = self.table, 0., 0., 0.
        with chainer.using_device(table.device):
            b = table.send(coef)
            for _, x, offset, y in table.blocks():
                mean = special.exp(x @ b + offset)
                excess += float(((y - mean) ** 2 - y).sum())
                squares += float((mean * mean).sum())
                total += float(y.sum())
        if excess <= 0:
            # The derivative of the log-likelihood in 1 / r at 1 / r = 0 is half of the excess.
            raise ValueError(
                'y varies too little for a negative binomial: around the fitted means its variance '
                f'is {1 + excess / total:.3g} times that of a Poisson variable, so the '
                "concentration would grow for ever; Poisson is that limit: use family='poisson'")
        return math.log(squares / excess)

    def _maximise(self, start):
        if not self._move_to(start):
            self._move_to(0 * start)
        while True:
            step = _ascent(self.information, self.gradient)
            if self.gradient @ step < FLAT and self._has_arrived(step):
                self.converged = True
                self.parameters = self.parameters + step   # too short to change the derivatives
                return
            if self.n_iter >= self.max_iter or not self._climb(step):
                return
            self.n_iter += 1

    def _climb(self, step):
        """Moves by the step or, if the log-likelihood would fall, by a half, a quarter..."""
        start, before = self.parameters, self.log_likelihood
        lost_in_rounding = 1e-11 * (1 + abs(before))
        for _ in range(60):
            if self._move_to(start + step, least=before - lost_in_rounding):
                return True
            step = step / 2
        return False

    def _has_arrived(self, step):
        """Whether the step moves no linear predictor; raises if it would go on for ever."""
        p = self.table.n_columns
        largest, separates = self._follow(step[:p])
        if largest < STEP_TOLERANCE:
            return bool((abs(step[p:]) < STEP_TOLERANCE).all())
        direction = step[:p]
        if not separates and self.family == 'bernoulli':
            direction = self.parameters[:p]
            separates = self._follow(direction)[1]
        if separates:
            raise SeparationError(self._separation(direction))
        return False

    def _follow(self, direction):
        """The largest |x d|, and whether no row's probability falls along the direction d.

        Yes-or-no data: x d >= 0 where y = 1, x d <= 0 where y = 0. Counts: x d = 0 where y > 0,
        x d <= 0 where y = 0.
        """
        table, largest, wrong = self.table, 0., 0.
        with chainer.using_device(table.device):
            d = table.send(direction)
            for _, x, _, y in table.blocks():
                change = x @ d
                largest = max(largest, float(abs(change).max()))
                if self.family == 'bernoulli':
                    wrong = max(wrong, float((change * (1 - 2 * y)).max()))
                else:
                    wrong = max(wrong, float(change.max()), float((abs(change) * (y > 0)).max()))
        return largest, wrong < SEPARATING * largest

    def _separation(self, direction):
        size = abs(direction) * self.scale
        names = [n for n, s in zip(self.names, size) if s > 1e-3 * size.max()]
        involved = ('columns ' if names[1:] else 'column ') + _listed(names, 'and')
        never = ('the likelihood rises for ever and no finite coefficients maximise it; leave a '
                 'column out, merge groups or get more data')
        if self.family == 'bernoulli':
            return f'y is separated perfectly by the {involved} of X: {never}'
        if not any(float(y.max()) for *_, y in self.table.blocks()):
            return f'y is 0 in every row, so the rate falls towards 0: {never}'
        return (f'y is 0 in every row that differs from the rest in the {involved} of X, so their '
                f'rate falls towards 0: {never}')

    def _move_to(self, parameters, least=-math.inf):
        """Evaluates the log-likelihood and its derivatives there; stays put if it is too low."""
        table, p = self.table, self.table.n_columns
        total, gradient, information = 0., numpy.zeros(len(parameters)), 0.
        with (chainer.using_device(table.device), D.validation(False),
              chainer.force_backprop_mode(), numpy.errstate(all='ignore')):
            coef, *log_r = table.send(parameters[:p]), *map(table.send, parameters[p:])
            for _, x, offset, y in table.blocks():
                log_prob, first, second = self._derivatives(y, x @ coef + offset, *log_r)
                total += float(log_prob.sum())
                if not total > -math.inf:
                    return False
                # Chain rule: the linear predictor is linear in the coefficients with slope x.
                gradient += _on_cpu(table.xp.concatenate(
                    [x.T @ first[0]] + [g.reshape(1) for g in first[1:]]))
                information = information - _bordered(x, second)
        if total < least or not numpy.isfinite(gradient).all() or not numpy.isfinite(
                information).all():
            return False
        self.parameters, self.log_likelihood = parameters, total
        self.gradient, self.information = gradient, information
        return True

    def _derivatives(self, y, eta, *log_r):
        """log_prob by row; its first and second derivatives in eta (by row) and log r (summed)."""
        inputs = [chainer.Variable(v) for v in (eta, *log_r)]
        log_prob = self.distribution(*inputs).log_prob(y)
        first = chainer.grad([log_prob], inputs, enable_double_backprop=True)
        second = [[h.array for h in chainer.grad([g], inputs[:i + 1])]
                  for i, g in enumerate(first)]
        return log_prob.array, [g.array for g in first], second


def _bordered(x, second):
    """The second derivative in (coefficients, log r) from those in (linear predictor, log r)."""
    (by_eta,), *rest = second
    hessian = _on_cpu((x.T * by_eta) @ x)
    for by_eta_and_r, by_r in rest:
        border = _on_cpu(x.T @ by_eta_and_r)[:, None]
        hessian = numpy.block([[hessian, border], [border.T, _on_cpu(by_r).reshape(1, 1)]])
    return hessian


def _ascent(information, gradient):
    """The Newton step; where the log-likelihood is not concave, a damped one that still climbs."""
    diagonal = numpy.diag(information)
    scale = numpy.sqrt(numpy.where(diagonal > 0, diagonal, 1))
    scaled = information / numpy.outer(scale, scale)
    for damping in [0, *10. ** numpy.arange(-12, 20)]:
        try:
            factor = scipy.linalg.cho_factor(scaled + damping * numpy.eye(len(scale)))
        except scipy.linalg.LinAlgError:
            continue
        return scipy.linalg.cho_solve(factor, gradient / scale) / scale
    raise ArithmeticError('the information matrix cannot be made positive by damping')


def _checked_scale(gram, names):
    """The root of the sum of squares of each column of X; raises if columns are dependent."""
    scale = numpy.sqrt(numpy.diag(gram))
    if not scale.all():
        raise ValueError(f'X must not have a column of zeros; column {names[scale.argmin()]!r} is')
    scaled = gram / numpy.outer(scale, scale)
    lower = numpy.zeros_like(scaled)
    for j, row in enumerate(scaled):   # Cholesky's factor, one row at a time
        if j:
            lower[j, :j] = scipy.linalg.solve_triangular(lower[:j, :j], row[:j], lower=True)
        unexplained = 1 - lower[j, :j] @ lower[j, :j]
        if unexplained < COLLINEAR:
            weights = abs(scipy.linalg.solve_triangular(lower[:j, :j].T, lower[j, :j]))
            others = _listed([names[i] for i in range(j) if weights[i] > 1e-5 * weights.max()],
                             'and')
            raise ValueError(f'X must have linearly independent columns; column {names[j]!r} is a '
                             f'combination of {others}: leave one of them out')
        lower[j, j] = math.sqrt(unexplained)
    return scale


def _checked_names(names, n_columns):
    if names is None:
        return tuple(f'x{j}' for j in range(n_columns))
    if isinstance(names, str) or not numpy.iterable(names) or not all(
            isinstance(name, str) for name in names) or len(names) != n_columns:
        raise ValueError(f'names must be {n_columns} strings, one a column of X; got {names!r}')
    return tuple(names)


def _real_array(name, value):
    array = value.array if isinstance(value, chainer.Variable) else value
    if not isinstance(array, chainer.get_array_types()):
        try:
            array = numpy.asarray(array)
        except ValueError:
            raise ValueError(f'{name} must have rows of equal length') from None
    if array.dtype.kind not in 'fiub':
        raise TypeError(f'{name} must consist of real numbers; got dtype {array.dtype}')
    return array


def _on_cpu(array):
    return chainer.get_device('@numpy').send(array)


def _listed(names, conjunction):
    """'a', 'b' and 'c'."""
    *most, last = map(repr, names)
    return f'{", ".join(most)} {conjunction} {last}' if most else last
