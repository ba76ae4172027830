"""Compares a log-density and its gradients with mpmath, at the limit of the working precision."""
import chainer
import mpmath
from mpmath import mp
import numpy

DIGITS = 150
TOLERANCE = {numpy.float32: 1e-5, numpy.float64: 1e-12}


def check(make, reference, params, x=None, continuous=False, dtypes=(numpy.float32, numpy.float64)):
    """Asserts that value and every gradient are right in both precisions.

    The reference is evaluated at exactly the numbers that the code under test received (the
    parameters rounded to the dtype). The tolerance is 1e-5 (float32) or 1e-12 (float64) relative,
    or, where that is larger, 8 units of rounding times the case's condition number, the factor by
    which a rounding of the inputs alone changes the answer.

    Args:
        make: ``make(x, **params)`` returns the variable under test, for scalar parameters.
        reference: ``reference(x, **params)``, the same in mpmath.
        params (dict): Parameters by name, Python floats.
        x: The observation, a float or an integer; ``None`` for functions of parameters only.
        continuous (bool): Whether the gradient in ``x`` is checked too.
    """
    for dtype in dtypes:
        variables = {k: chainer.Variable(numpy.array(v, dtype)) for k, v in params.items()}
        if continuous:
            variables['x'] = chainer.Variable(numpy.array(x, dtype))
        arguments = dict(variables) if continuous or x is None else dict(variables, x=x)
        y = make(**arguments)
        assert y.dtype == dtype, f'{params}, x={x}: dtype {y.dtype}, expected {dtype}'
        y.backward()
        exact = {k: mpmath.mpf(float(v.array)) for k, v in variables.items()}

        def f(**changed):
            values = dict(exact, **changed)
            if not continuous and x is not None:
                values['x'] = x
            return reference(**values)

        with mp.workdps(DIGITS):
            _compare(f'{params}, x={x}, {dtype.__name__}: value', y.array, f(), dtype,
                     _condition(f, exact))
            for name, variable in variables.items():
                def df(name=name, **changed):
                    return _derivative(f, dict(exact, **changed), name)
                _compare(f'{params}, x={x}, {dtype.__name__}: gradient in {name}',
                         variable.grad, df(), dtype, _condition(df, exact))


def _derivative(f, at, name):
    z = at[name]
    h = abs(z) * mpmath.mpf(10) ** -25 if z else mpmath.mpf(10) ** -25
    return (f(**dict(at, **{name: z + h})) - f(**dict(at, **{name: z - h}))) / (2 * h)


def _condition(f, at):
    value = f(**at)
    if not value or not mpmath.isfinite(value):
        return 0
    return sum(abs(at[name] * _derivative(f, at, name)) for name in at) / abs(value)


def _compare(what, got, true, dtype, condition):
    info = numpy.finfo(dtype)
    got = float(got)
    if mpmath.isinf(true) or abs(true) > info.max:
        assert got == float(true) or abs(got) == numpy.inf and (got > 0) == (true > 0), (
            f'{what}: got {got}, true {mpmath.nstr(true, 8)}')
        return
    tolerance = max(TOLERANCE[dtype], 8 * float(info.eps) * float(condition))
    # Near the smallest numbers only the fixed spacing of the subnormals can be asked for; and a
    # reference that is 0 by symmetry comes out as noise of 1e-100 or less.
    slack = tolerance * abs(true) + 2 * mpmath.mpf(float(info.smallest_subnormal))
    if abs(true) < float(info.tiny):
        slack += abs(true) / 4
    slack += mpmath.mpf(10) ** -100
    assert abs(got - true) <= slack, (
        f'{what}: got {got:.9g}, true {mpmath.nstr(true, 12)}, '
        f'condition number {mpmath.nstr(condition, 3)}')
