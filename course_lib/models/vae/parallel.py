"""Trains a variational autoencoder on several processes at once, with ChainerMN.

    mpiexec -n 2 python -m mpi4py -m course_lib.models.vae.parallel
    mpiexec -n 2 python -m mpi4py -m course_lib.models.vae.parallel --resume
    mpiexec -n 4 python -m mpi4py -m course_lib.models.vae.parallel --data mnist --n-hidden 500

With GPUs, start one process for each. Every process takes a batch of its own, so that a step
learns from n times as many images. Into the output folder go the model (model.npz), the figures
(result.json) and for each process a folder with its log and checkpoints.
"""
import argparse
import json
import os
import pathlib
import signal
import sys
import time

import numpy

from course_lib import training
from course_lib.files import write_json
from course_lib.models import vae
from course_lib.models.vae import __main__ as single
from course_lib.training import parallel, snapshots


def parser():
    """The command line's arguments: those of ``python -m course_lib.models.vae`` that fit."""
    arguments = argparse.ArgumentParser(
        prog='python -m course_lib.models.vae.parallel', description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add, positive = arguments.add_argument, single._positive
    add('--data', choices=('digits', 'mnist'), default='digits',
        help='8 x 8 digits that ship with the course, or MNIST, downloaded once')
    add('--n-latent', type=positive, default=2, help='latent dimensions')
    add('--n-hidden', type=positive, nargs='+', default=[128], help='tanh units of each layer')
    add('--epochs', type=positive, default=40, help='passes through the training data')
    add('--batch', type=positive, default=100, help='images a step, of each process')
    add('--alpha', type=float, default=1e-3, help='step size of Adam')
    add('--seed', type=int, default=0, help='of weights, order and samples')
    add('--fixed-noise', action='store_true',
        help='draw pixels, order and noise once for all epochs, the same for any number of '
             'processes of one global batch, so that runs can be compared number by number')
    add('--device', choices=('auto', 'cpu', 'gpu'), default='auto', help='where to compute')
    add('--patience', type=float, default=120., help='seconds without a step that end the run')
    add('--fail-at', type=positive, metavar='STEP',
        help='the last process kills itself at this step, to try out what happens then')
    add('--out', type=pathlib.Path, default=pathlib.Path('vae_parallel'), help='output folder')
    add('--resume', action='store_true',
        help='go on from the last complete checkpoint, or start if there is none')
    return arguments


class GivenNoiseLoss(vae.AvgELBOLoss):
    """The ELBO of rows that bring their noise along: the pixels, then the noise of z."""

    def forward(self, rows):
        n_in = self.encoder.n_in
        return super().forward(rows[:, :n_in], rng=_Given(rows[:, n_in:]))


class _Given:
    """A generator whose draws were made before."""

    def __init__(self, noise):
        self.noise = noise

    def standard_normal(self, size):
        return self.noise.reshape(size)


def with_noise(images, n_latent, seed):
    """Rows for :class:`GivenNoiseLoss`: black or white pixels, and standard normal noise."""
    rng = numpy.random.default_rng(seed)
    pixels = rng.random(images.shape) < images
    return numpy.hstack([pixels, rng.standard_normal((len(images), n_latent))]).astype('f')


def load(name, comm):
    """The images; worker 0 loads them first, so that they are downloaded only once."""
    if comm.rank == 0:
        images = single.load(name)
    comm.mpi_comm.barrier()
    return images if comm.rank == 0 else single.load(name)


def run(options, comm, device):
    """Trains one worker.

    Args:
        options (argparse.Namespace): As :func:`parser` makes.
        comm: ChainerMN's communicator.
        device (chainer.backend.Device): This worker's.

    Returns:
        dict or None: What result.json says, on worker 0.

    Raises:
        ValueError: If the options cannot be met; the message says which and why.
    """
    holds = comm.bcast_obj(parallel.holds_checkpoints(options.out) if comm.rank == 0 else None)
    if holds and not options.resume:
        raise ValueError(f'--out {options.out} holds checkpoints of an earlier run; add --resume '
                         'to go on with it, or name another folder')
    folder = parallel.worker_folder(options.out, comm.rank)
    with parallel.Watchdog(comm, options.patience) as watchdog:
        train, test = load(options.data, comm)
        parts = dict(n_in=train.shape[1], n_latent=options.n_latent, n_h=tuple(options.n_hidden))
        training.set_seed(options.seed)
        make_loss = GivenNoiseLoss if options.fixed_noise else vae.AvgELBOLoss
        loss = make_loss(vae.Encoder(**parts), vae.Decoder(**parts), vae.Prior(options.n_latent))
        transform, global_batch = vae.binarize, None
        if options.fixed_noise:
            train, test = (with_noise(x, options.n_latent, options.seed) for x in (train, test))
            transform, global_batch = None, comm.size * options.batch
        train = parallel.scatter(train, comm, options.seed, global_batch)
        test = parallel.scatter(test, comm)
        folder.mkdir(parents=True, exist_ok=True)
        training.set_seed(parallel.worker_seed(options.seed, comm))
        trainer = parallel.make_trainer(
            loss, device.send(train), device.send(test), comm=comm, epochs=options.epochs,
            batch_size=options.batch, out=options.out, transform=transform, device=device,
            optimizer=training.Adam(alpha=options.alpha), shuffle=not options.fixed_noise,
            progress=f'process 1 of {comm.size}')
        trainer.extend(watchdog)
        if options.fail_at and comm.rank == comm.size - 1:
            trainer.extend(_die, trigger=(options.fail_at, 'iteration'), name='fail')
        start = parallel.resume(trainer, comm, options.out) if options.resume else 0
        began = time.perf_counter()
        if trainer.updater.epoch < options.epochs:
            trainer.run(show_loop_exception_msg=False)
        seconds = time.perf_counter() - began
        if comm.rank == 0:
            result = figures(trainer, comm, options, start, seconds, len(train))
            snapshots.save(options.out / 'model.npz', loss)
            write_json(options.out / 'result.json', result)
        comm.mpi_comm.barrier()
    return result if comm.rank == 0 else None


def _die(trainer):
    os.kill(os.getpid(), signal.SIGKILL)


def figures(trainer, comm, options, start, seconds, n_train):
    """What result.json says."""
    steps = trainer.updater.iteration
    curves = training.curves(trainer)
    return {'processes': comm.size, 'batch': options.batch,
            'global_batch': comm.size * options.batch, 'images_each': n_train,
            'epochs': trainer.updater.epoch, 'steps': steps, 'resumed_from': start,
            'loss': float(curves['main/loss'][-1]),
            'validation_loss': float(curves['validation/main/loss'][-1]),
            'seconds': seconds,
            'images_per_second': (steps - start) * comm.size * options.batch / seconds}


def main(arguments=None):
    """Runs the command line in one worker; returns the exit status."""
    options = parser().parse_args(arguments)

    def work():
        result = run(options, *parallel.create_communicator(options.device))
        if result:
            print(json.dumps(result, indent=1))

    return parallel.main(work)


if __name__ == '__main__':
    sys.exit(main())
