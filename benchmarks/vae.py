"""Times one training step of a variational autoencoder beside Chainer's example and PyTorch.

    python benchmarks/vae.py
    python benchmarks/vae.py --batch 100 --k 1 --seconds 20

A step is forward, backward and Adam on 784-500-20 (tanh, Bernoulli pixels), float32, one thread
each. Prints medians of interleaved runs, their ratio to course_lib's (above 1: slower than
course_lib), the share of the step that the matrix products alone would take, and the peak memory of
a process that does nothing else. See benchmarks/README.md on how to read it.
"""
import argparse
import contextlib
import functools
import json
import os
import pathlib
import subprocess
import sys

for variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[variable] = '1'

import chainer
import chainer.distributions as C
import chainer.functions as F
import chainer.links as L
from distributions import OURS, RESULTS, interleaved, machine, torch, write
import numpy

from course_lib import training
import course_lib.distributions as D
from course_lib.models import vae

N_IN, N_H, N_LATENT = 784, 500, 20


def of_course_lib(x, k):
    """The step of the course's own model."""
    loss = vae.AvgELBOLoss(vae.Encoder(N_IN, N_LATENT, N_H), vae.Decoder(N_IN, N_LATENT, N_H),
                           vae.Prior(N_LATENT), k=k)
    optimizer = training.Adam().setup(loss)
    return lambda: optimizer.update(loss, x)


class ChainerExample(chainer.Chain):
    """The model of Chainer's VAE example: its layers, distributions and loss."""

    def __init__(self, k):
        super().__init__()
        self.k = k
        with self.init_scope():
            self.hidden, self.output = L.Linear(N_IN, N_H), L.Linear(N_H, N_IN)
            self.mu, self.ln_sigma = L.Linear(N_H, N_LATENT), L.Linear(N_H, N_LATENT)
            self.back = L.Linear(N_LATENT, N_H)

    def forward(self, x):
        h = F.tanh(self.hidden(x))
        q = C.Independent(C.Normal(loc=self.mu(h), log_scale=self.ln_sigma(h)))
        z = q.sample(self.k)
        h = F.tanh(self.back(z, n_batch_axes=2))
        p_x = C.Independent(C.Bernoulli(logit=self.output(h, n_batch_axes=2)),
                            reinterpreted_batch_ndims=1)
        p_z = C.Independent(C.Normal(numpy.zeros((len(x), N_LATENT), 'f'),
                                     scale=numpy.ones((len(x), N_LATENT), 'f')))
        reconstr = F.mean(p_x.log_prob(F.broadcast_to(x[None, :], (self.k,) + x.shape)))
        return F.mean(chainer.kl_divergence(q, p_z)) - reconstr


def of_chainer(x, k):
    """The step of Chainer's example, with Chainer's Adam."""
    loss = ChainerExample(k)
    optimizer = chainer.optimizers.Adam().setup(loss)
    return lambda: optimizer.update(loss, x)


def of_torch(x, k):
    """The step written plainly in PyTorch, eager, with its own Adam."""
    torch.set_num_threads(1)
    n, t = torch.nn, torch
    encoder, mu, ln_sigma = n.Linear(N_IN, N_H), n.Linear(N_H, N_LATENT), n.Linear(N_H, N_LATENT)
    decoder = n.Sequential(n.Linear(N_LATENT, N_H), n.Tanh(), n.Linear(N_H, N_IN))
    modules = n.ModuleList([encoder, mu, ln_sigma, decoder])
    optimizer = t.optim.Adam(modules.parameters())
    x = t.from_numpy(x)

    def step():
        h = t.tanh(encoder(x))
        loc, log_scale = mu(h), ln_sigma(h)
        z = loc + log_scale.exp() * t.randn((k,) + loc.shape)
        cross_entropy = n.functional.binary_cross_entropy_with_logits(
            decoder(z), x.expand((k,) + x.shape), reduction='none').sum(-1).mean()
        kl = 0.5 * (loc ** 2 + (2 * log_scale).exp() - 2 * log_scale - 1).sum(-1).mean()
        loss = cross_entropy + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return step


def of_matrix_products(x, k):
    """The matrix products of a step and nothing else: no implementation on NumPy can be faster."""
    rng = numpy.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape, dtype=numpy.float32)

    rows = len(x) * k
    w_in, w_out, w_code, w_back = (draw(N_H, N_IN), draw(N_IN, N_H), draw(N_LATENT, N_H),
                                   draw(N_H, N_LATENT))
    h, z, h_back, gx = draw(len(x), N_H), draw(rows, N_LATENT), draw(rows, N_H), draw(rows, N_IN)
    g_code = draw(len(x), N_LATENT)

    def step():
        x @ w_in.T
        h.T @ x                                           # gradient of w_in
        for _ in range(2):                                # mu and ln_sigma
            h @ w_code.T, g_code @ w_code, g_code.T @ h
        z @ w_back.T, h_back @ w_back, h_back.T @ z
        h_back @ w_out.T, gx @ w_out, gx.T @ h_back
    return step


UNCHECKED = f'{OURS}, validation off'
CONTESTANTS = {OURS: of_course_lib, UNCHECKED: of_course_lib,
               'chainer example': of_chainer, 'matrix products only': of_matrix_products}
if torch:
    CONTESTANTS['torch eager'] = of_torch


def images(batch):
    """Binary images with a share of ink like MNIST's."""
    return (numpy.random.default_rng(1).random((batch, N_IN)) < 0.13).astype(numpy.float32)


def settings(name):
    """The context in which a contestant runs."""
    return functools.partial(D.validation, False) if name == UNCHECKED else contextlib.nullcontext


def peak_memory(name, batch, k):
    """Bytes by which three steps raise the highest resident memory of a fresh process."""
    command = [sys.executable, __file__, '--memory-of', name, '--batch', str(batch), '--k', str(k)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak_memory(name, batch, k):
    """What :func:`peak_memory` runs in a process of its own."""
    CONTESTANTS[name](images(2), 1)()                     # libraries loaded, kernels chosen
    before = high_water_mark()
    step = CONTESTANTS[name](images(batch), k)
    with settings(name)():
        for _ in range(3):
            step()
    print(high_water_mark() - before)


def high_water_mark():
    """Most bytes of memory that this process has held so far (Linux only, else 0)."""
    with contextlib.suppress(OSError), open('/proc/self/status') as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith('VmHWM'))
    return 0


def measure(batch, k, seconds):
    """One row a contestant: median seconds, ratio to course_lib's, peak bytes."""
    steps = {name: (make(images(batch), k), settings(name)) for name, make in CONTESTANTS.items()}
    medians = interleaved(steps, seconds)
    return {name: {'step_s': s, 'ratio': s / medians[OURS],
                   'peak_bytes': peak_memory(name, batch, k)} for name, s in medians.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=int, nargs='+', default=[100, 500])
    parser.add_argument('--k', type=int, nargs='+', default=[1, 5, 50])
    parser.add_argument('--seconds', type=float, default=20, help='for each table (default 20)')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    parser.add_argument('--output', type=pathlib.Path, help='where to write the figures as JSON '
                        '(default, for a full run: benchmarks/results/vae.json)')
    arguments = parser.parse_args()
    if arguments.memory_of:
        return print_peak_memory(arguments.memory_of, arguments.batch[0], arguments.k[0])
    report = {'machine': machine(), 'cases': []}
    report['machine']['threads'] = {'all': 1}
    print(json.dumps(report['machine'], indent=1))
    for k in arguments.k:
        for batch in arguments.batch:
            rows = measure(batch, k, arguments.seconds)
            floor = rows['matrix products only']['step_s'] / rows[OURS]['step_s']
            print(f'\nbatch {batch}, k = {k}: matrix products are {floor:.0%} of our step')
            print(f'  {"":28}{"step":>12}{"ratio":>8}{"peak MB":>10}')
            for name, row in rows.items():
                print(f'  {name:28}{row["step_s"] * 1e3:9.2f} ms{row["ratio"]:8.2f}'
                      f'{row["peak_bytes"] / 1e6:10.1f}', flush=True)
            report['cases'].append({'batch': batch, 'k': k, 'rows': rows})
    full = arguments.batch == [100, 500] and arguments.k == [1, 5, 50]
    output = arguments.output or (RESULTS / 'vae.json' if full else None)
    if output:
        write(output, report)
        print(f'\nWritten to {output}')


if __name__ == '__main__':
    main()
