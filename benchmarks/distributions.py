"""Times course_lib.distributions beside Chainer, torch and SciPy, all in one interleaved run.

    python benchmarks/distributions.py
    python benchmarks/distributions.py --only Normal --seconds 5 --torch-threads 1
    python benchmarks/distributions.py --library chainer      # alone in its process

Prints medians, their ratio to course_lib's (above 1: slower than course_lib) and peak memory, and
writes the same as JSON. See benchmarks/README.md on how to read it.
"""
import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import pathlib
import platform
import random
import statistics
import sys
import time
import tracemalloc
from typing import Callable, NamedTuple, Optional

import chainer
import chainer.distributions
import numpy
import numpy.lib.introspect
import scipy
import scipy.special
import scipy.stats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import course_lib.distributions as D  # noqa: E402
from course_lib.files import write_json  # noqa: E402

torch = None
if importlib.util.find_spec('torch'):
    import torch
    import torch.distributions

C = chainer.distributions
F = chainer.functions
T = torch and torch.distributions
S = scipy.stats
SHAPES = [(), (100, 784), (1000, 784)]
OURS = 'course_lib'
RESULTS = pathlib.Path(__file__).resolve().parent / 'results'


class Case(NamedTuple):
    """One question, and how each library answers it: functions of the data's arrays by name."""

    name: str
    shapes: list
    data: Callable                       # (generator, shape) -> (parameters, observation)
    ours: Callable                       # (x, **parameters) -> variable
    chainer: Optional[Callable] = None
    torch: Optional[Callable] = None     # (validate, x, **parameters) -> tensor
    scipy: Optional[Callable] = None
    gradient: bool = True


def bernoulli(rng, shape):
    return {'logit': 3 * rng.standard_normal(shape)}, rng.random(shape) < 0.5


def decoder(rng, shape):
    """Pixels of a decoder: logits of shape (samples, batch, pixels) and one batch of images."""
    return {'logit': 3 * rng.standard_normal(shape)}, rng.random(shape[1:]) < 0.5


def normal(rng, shape):
    return ({'loc': rng.standard_normal(shape), 'log_scale': rng.standard_normal(shape) / 2},
            rng.standard_normal(shape))


def normal_pair(rng, shape):
    return {name: rng.standard_normal(shape) for name in ('m1', 's1', 'm2', 's2')}, None


def poisson(rng, shape):
    eta = 1 + rng.standard_normal(shape)
    return {'log_lam': eta}, rng.poisson(numpy.exp(eta))


def negative_binomial(rng, shape):
    eta, r = 1 + rng.standard_normal(shape), 0.5 + 5 * rng.random(shape)
    return ({'log_mean': eta, 'concentration': r},
            rng.poisson(numpy.exp(eta) * rng.gamma(r) / r))


def categorical(rng, shape):
    shape = shape or (10,)
    return {'logit': 2 * rng.standard_normal(shape)}, rng.integers(0, shape[-1], shape[:-1])


def multivariate_normal(rng, shape):
    scale_tril = numpy.tril(rng.standard_normal(shape + shape[-1:]), -1) / 3
    scale_tril += numpy.eye(shape[-1]) * (0.5 + rng.random(shape))[..., None]
    return ({'loc': rng.standard_normal(shape), 'scale_tril': scale_tril},
            rng.standard_normal(shape))


def dirichlet(rng, shape):
    return {'alpha': 0.5 + 3 * rng.random(shape)}, None


def _categorical(name, shapes):
    return Case(
        name, shapes, categorical,
        ours=lambda x, logit: D.Categorical(logit=logit).log_prob(x),
        chainer=lambda x, logit: C.Categorical(logit=logit).log_prob(x),
        torch=lambda v, x, logit: T.Categorical(logits=logit, validate_args=v).log_prob(x.long()))


CASES = [
    Case('Bernoulli(logit)', SHAPES, bernoulli,
         ours=lambda x, logit: D.Bernoulli(logit=logit).log_prob(x),
         chainer=lambda x, logit: C.Bernoulli(logit=logit).log_prob(x),
         torch=lambda v, x, logit: T.Bernoulli(logits=logit, validate_args=v).log_prob(x),
         scipy=lambda x, logit: S.bernoulli.logpmf(x, scipy.special.expit(logit))),
    Case('Independent(Bernoulli(logit)), images shared by samples',
         [(1, 100, 784), (5, 100, 784), (50, 100, 784)], decoder,
         ours=lambda x, logit: D.Independent(D.Bernoulli(logit=logit), 1).log_prob(x),
         chainer=lambda x, logit: C.Independent(C.Bernoulli(logit=logit), 1).log_prob(x),
         torch=lambda v, x, logit: T.Independent(
             T.Bernoulli(logits=logit, validate_args=v), 1, validate_args=v).log_prob(x)),
    Case('Normal(log_scale)', SHAPES, normal,
         ours=lambda x, loc, log_scale: D.Normal(loc, log_scale=log_scale).log_prob(x),
         chainer=lambda x, loc, log_scale: C.Normal(loc, log_scale=log_scale).log_prob(x),
         torch=lambda v, x, loc, log_scale: T.Normal(
             loc, log_scale.exp(), validate_args=v).log_prob(x),
         scipy=lambda x, loc, log_scale: S.norm.logpdf(x, loc, numpy.exp(log_scale))),
    Case('Poisson(log_lam)', SHAPES, poisson,
         ours=lambda x, log_lam: D.Poisson(log_lam=log_lam).log_prob(x),
         chainer=lambda x, log_lam: C.Poisson(lam=F.exp(log_lam)).log_prob(x),
         torch=lambda v, x, log_lam: T.Poisson(log_lam.exp(), validate_args=v).log_prob(x),
         scipy=lambda x, log_lam: S.poisson.logpmf(x, numpy.exp(log_lam))),
    Case('NegativeBinomial(log_mean, concentration)', SHAPES, negative_binomial,
         ours=lambda x, log_mean, concentration: D.NegativeBinomial(
             log_mean=log_mean, concentration=concentration).log_prob(x),
         torch=lambda v, x, log_mean, concentration: T.NegativeBinomial(
             concentration, logits=log_mean - concentration.log(), validate_args=v).log_prob(x),
         scipy=lambda x, log_mean, concentration: S.nbinom.logpmf(
             x, concentration, concentration / (concentration + numpy.exp(log_mean)))),
    _categorical('Categorical(logit), classes on the last axis', SHAPES),
    _categorical('Categorical(logit), 10 classes', [(1000, 10), (78400, 10)]),
    Case('KL(Normal || Normal), log_scale', SHAPES, normal_pair,
         ours=lambda x, m1, s1, m2, s2: chainer.kl_divergence(
             D.Normal(m1, log_scale=s1), D.Normal(m2, log_scale=s2)),
         chainer=lambda x, m1, s1, m2, s2: chainer.kl_divergence(
             C.Normal(m1, log_scale=s1), C.Normal(m2, log_scale=s2)),
         torch=lambda v, x, m1, s1, m2, s2: T.kl_divergence(
             T.Normal(m1, s1.exp(), validate_args=v), T.Normal(m2, s2.exp(), validate_args=v))),
    Case('MultivariateNormal(scale_tril)', [(1000, 5)], multivariate_normal,
         ours=lambda x, loc, scale_tril: D.MultivariateNormal(
             loc, scale_tril=scale_tril).log_prob(x),
         chainer=lambda x, loc, scale_tril: C.MultivariateNormal(
             loc, scale_tril=scale_tril).log_prob(x),
         torch=lambda v, x, loc, scale_tril: T.MultivariateNormal(
             loc, scale_tril=scale_tril, validate_args=v).log_prob(x)),
    Case('Dirichlet(alpha).sample', [(1000, 10)], dirichlet, gradient=False,
         ours=lambda x, alpha: D.Dirichlet(alpha).sample(),
         chainer=lambda x, alpha: C.Dirichlet(alpha).sample(),
         torch=lambda v, x, alpha: T.Dirichlet(alpha, validate_args=v).sample()),
    Case('Categorical(logit).sample', [(1000, 10)], categorical, gradient=False,
         ours=lambda x, logit: D.Categorical(logit=logit).sample(),
         chainer=lambda x, logit: C.Categorical(logit=logit).sample(),
         torch=lambda v, x, logit: T.Categorical(logits=logit, validate_args=v).sample()),
]


# -- one library's answer, ready to be timed ------------------------------------------------

class Contestant(NamedTuple):
    """What is timed, and the settings under which (entered outside the timed region)."""

    forward: Callable
    both: Optional[Callable] = None
    settings: Callable = contextlib.nullcontext
    traceable: bool = True               # does tracemalloc see its memory?


def of_chainer(function, parameters, x, gradient, settings=contextlib.nullcontext):
    variables = {name: chainer.Variable(value) for name, value in parameters.items()}

    def forward():
        return function(x, **variables)

    def both():
        for variable in variables.values():
            variable.cleargrad()
        y = forward()
        y.grad = ones
        y.backward()

    ones = numpy.ones_like(forward().array)
    return Contestant(forward, both if gradient else None, settings)


def of_torch(function, validate, parameters, x, gradient):
    tensors = {name: torch.tensor(value, requires_grad=gradient)
               for name, value in parameters.items()}
    x = None if x is None else torch.tensor(x)

    def forward():
        return function(validate, x, **tensors)

    def both():
        for tensor in tensors.values():
            tensor.grad = None
        forward().backward(ones)

    ones = torch.ones_like(forward())
    return Contestant(forward, both if gradient else None, traceable=False)


def contestants(case, shape):
    """Each library's contestant by name; a sentence in place of one that cannot take part."""
    parameters, x = case.data(numpy.random.default_rng(0), shape)
    parameters = {name: numpy.asarray(v, numpy.float32) for name, v in parameters.items()}
    if x is not None:
        x = numpy.asarray(x, numpy.int32 if case.data is categorical else numpy.float32)
    missing = 'torch is not installed' if torch is None else None
    makers = {
        OURS: (case.ours, lambda f: of_chainer(f, parameters, x, case.gradient)),
        OURS + ', validation off': (
            case.ours, lambda f: of_chainer(f, parameters, x, case.gradient,
                                            lambda: D.validation(False))),
        'chainer': (case.chainer, lambda f: of_chainer(f, parameters, x, case.gradient)),
        'torch': (missing or case.torch,
                  lambda f: of_torch(f, True, parameters, x, case.gradient)),
        'torch, validation off': (
            missing or case.torch, lambda f: of_torch(f, False, parameters, x, case.gradient)),
        'scipy': (case.scipy, lambda f: Contestant(lambda: f(x, **parameters))),
    }
    entered = {}
    for name, (function, make) in makers.items():
        if function is None or isinstance(function, str):
            entered[name] = function or 'does not offer it'
            continue
        try:
            entered[name] = make(function)
        except Exception as error:  # a library that fails on the task is a result, not a crash
            entered[name] = f'fails: {type(error).__name__}'
    return entered


# -- measuring ------------------------------------------------------------------------------

CLOCKS = {'wall': time.perf_counter, 'cpu': time.process_time}


def interleaved(functions, seconds, clock=time.perf_counter):
    """Median time of a call in seconds, by name; every round calls each, in a random order.

    ``functions`` maps a name to a pair (function, settings). What is quick is called several times
    a round, so that neither the clock's resolution nor who ran before it matters much.
    """
    order = random.Random(0)
    calls, times = {}, {name: [] for name in functions}
    for name, (function, settings) in functions.items():
        with settings():
            function()   # the first call pays for imports and caches
            calls[name] = max(1, min(100, int(3e-4 / _timed(function, 1, clock))))
    end = time.perf_counter() + seconds
    while functions and (time.perf_counter() < end or len(times[name]) < 5):
        for name in order.sample(list(functions), len(functions)):
            function, settings = functions[name]
            with settings():
                times[name].append(_timed(function, calls[name], clock))
    return {name: statistics.median(values) for name, values in times.items()}


def _timed(function, n_calls, clock):
    start = clock()
    for _ in range(n_calls):
        function()
    return (clock() - start) / n_calls


def peak_memory(contestant):
    """Most bytes that the call holds at once, its result included; ``None`` if not visible."""
    if not contestant.traceable:
        return None
    function = contestant.both or contestant.forward
    with contestant.settings():
        function()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        function()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak - before


def measure(case, shape, seconds, library='', clock=time.perf_counter):
    """Rows by library: times, ratios to course_lib and peak memory, or a remark."""
    entered = {name: c for name, c in contestants(case, shape).items() if library in name}
    running = {name: c for name, c in entered.items() if isinstance(c, Contestant)}
    forward = interleaved({n: (c.forward, c.settings) for n, c in running.items()}, seconds, clock)
    both = interleaved(
        {n: (c.both, c.settings) for n, c in running.items() if c.both}, seconds, clock)
    rows = {}
    for name, contestant in entered.items():
        if name not in running:
            rows[name] = {'remark': contestant}
            continue
        row = {'forward_s': forward[name], 'peak_bytes': peak_memory(contestant)}
        if OURS in forward:
            row['forward_ratio'] = forward[name] / forward[OURS]
        if name in both:
            row['both_s'] = both[name]
            if OURS in both:
                row['both_ratio'] = both[name] / both[OURS]
        rows[name] = row
    return rows


# -- reporting ------------------------------------------------------------------------------

def machine():
    """What the figures depend on."""
    cpu = platform.processor()
    with contextlib.suppress(OSError, StopIteration):
        with open('/proc/cpuinfo') as lines:
            cpu = next(line.split(':')[1].strip() for line in lines if 'model name' in line)
    log1p = numpy.lib.introspect.opt_func_info(func_name='^log1p$', signature='float32')
    return {
        'date': datetime.date.today().isoformat(),
        'cpu': cpu,
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity')
        else os.cpu_count(),
        'numpy_log1p': [v['current'] for v in log1p.get('log1p', {}).values()],
        'load_before': os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        'threads': {'course_lib': 1, 'chainer': 1, 'scipy': 1,
                    'torch': torch.get_num_threads() if torch else None},
        'versions': {'python': platform.python_version(), 'numpy': numpy.__version__,
                     'chainer': chainer.__version__, 'scipy': scipy.__version__,
                     'torch': torch.__version__ if torch else None},
    }


def _time(row, key):
    if f'{key}_s' not in row:
        return ' ' * 20
    ratio = row.get(f'{key}_ratio')
    ratio = '' if ratio is None else f'{ratio:8.2f}'
    return f'{row[f"{key}_s"] * 1e3:9.3f} ms{ratio:>8}'


def _memory(row):
    peak = row.get('peak_bytes')
    return f'{"n/a":>9}' if peak is None else f'{peak / 1e6:9.2f}'


def show(case, shape, rows):
    """Prints one table."""
    print(f'\n{case.name}, shape {shape}, float32')
    print(f'  {"":28}{"forward":>12}{"ratio":>8}{"+ backward":>12}{"ratio":>8}{"peak MB":>9}')
    for name, row in rows.items():
        if 'remark' in row:
            print(f'  {name:28}{row["remark"]:>12}')
        else:
            print(f'  {name:28}{_time(row, "forward")}{_time(row, "both")}{_memory(row)}')
    sys.stdout.flush()


def write(path, content):
    """Writes JSON, and the folder if need be: an interrupted run loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='run the cases whose name contains this')
    parser.add_argument('--library', default='', help='time the libraries whose name contains this')
    parser.add_argument('--seconds', type=float, default=2,
                        help='time to spend on each table, twice (default 2)')
    parser.add_argument('--torch-threads', type=int, help='threads for torch (default: its own)')
    parser.add_argument('--clock', choices=CLOCKS, default='wall',
                        help='wall: time that passes (default); cpu: time that this process '
                             'computes, for busy machines and --torch-threads 1')
    parser.add_argument('--output', type=pathlib.Path,
                        help='where to write the JSON (default, for a full run: '
                             'benchmarks/results/distributions.json)')
    arguments = parser.parse_args()
    if torch and arguments.torch_threads:
        torch.set_num_threads(arguments.torch_threads)
    report = {'machine': machine() | {'clock': arguments.clock}, 'cases': []}
    print(json.dumps(report['machine'], indent=1))
    if arguments.clock == 'wall' and (report['machine']['load_before'] or 0) > 0.5:
        print('Other programs keep this machine busy: torch, which uses several threads, suffers '
              'most.\nRun this again when it is idle.')
    for case in CASES:
        if arguments.only not in case.name:
            continue
        for shape in case.shapes:
            rows = measure(case, shape, arguments.seconds, arguments.library,
                           CLOCKS[arguments.clock])
            show(case, shape, rows)
            report['cases'].append({'name': case.name, 'shape': shape, 'rows': rows})
    if not report['cases']:
        parser.error(f'no case has {arguments.only!r} in its name; there are: '
                     + '; '.join(case.name for case in CASES))
    output = arguments.output
    if output is None and not (arguments.only or arguments.library):
        output = RESULTS / 'distributions.json'
    if output is not None:
        write(output, report)
        print(f'\nWritten to {output}')


if __name__ == '__main__':
    main()
