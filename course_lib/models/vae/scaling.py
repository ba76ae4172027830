"""Measures how the training step of a variational autoencoder scales with the number of processes.

    mpiexec -n 2 python -m mpi4py -m course_lib.models.vae.scaling
    mpiexec -n 2 python -m mpi4py -m course_lib.models.vae.scaling --n-in 784 --n-hidden 500 \\
        --n-latent 20 --batch 100 500 --seconds 20

Prints JSON: ``steps``, the seconds of a step and of its all-reduce, for each model and number of
processes; and ``all_reduce``, the seconds by message length. All cases take turns in one run,
because the speed of a machine changes from minute to minute. The mean of the fastest tenth counts;
the others had to wait for other programs, which says nothing about ours. The median is there too.

``processes`` 0 is a step with Chainer's optimiser alone, without ChainerMN. The seconds of the
all-reduce contain those in which a worker waits for a slower one.
"""
import argparse
import itertools
import json
import statistics
import sys
import time

import numpy

from course_lib import training
from course_lib.models import vae
from course_lib.models.vae.__main__ import _positive
from course_lib.training import parallel

BLOCK_S = 0.03                                   # seconds of a turn, about
LENGTHS = tuple(4 ** i for i in range(0, 11, 2)) + (4 ** 11,)   # float32 numbers of a message


def parser():
    """The command line's arguments."""
    arguments = argparse.ArgumentParser(
        prog='python -m course_lib.models.vae.scaling', description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = arguments.add_argument
    add('--n-in', type=_positive, default=64, help='pixels')
    add('--n-latent', type=_positive, default=2, help='latent dimensions')
    add('--n-hidden', type=_positive, nargs='+', default=[100, 500], help='units, one model each')
    add('--batch', type=_positive, nargs='+', default=[200], help='images a step and process')
    add('--seconds', type=float, default=5., help='for all steps together')
    add('--device', choices=('auto', 'cpu', 'gpu'), default='auto', help='where to compute')
    return arguments


class Clock:
    """Stands in front of a communicator's averaging of gradients, and adds up its seconds."""

    def __init__(self, comm, device):
        self.seconds = 0.
        self._average = comm.multi_node_mean_grad
        self._device = device
        comm.multi_node_mean_grad = self

    def __call__(self, *arguments):
        synchronize(self._device)
        start = time.perf_counter()
        self._average(*arguments)
        synchronize(self._device)
        self.seconds += time.perf_counter() - start


def synchronize(device):
    """Waits until the device has done what it was asked to."""
    if device.xp is not numpy:
        device.xp.cuda.Stream.null.synchronize()


class Case:
    """A model, trained by the first so many processes with a batch each; the others sleep."""

    def __init__(self, comm, device, shape, processes, batch):
        import chainermn
        n_in, n_hidden, n_latent = shape
        self.is_mine = comm.rank < max(processes, 1)
        self.clock, self.times, self.communications = None, [], []
        group = comm.split(int(self.is_mine), comm.rank)
        training.set_seed(comm.rank)
        sizes = dict(n_in=n_in, n_latent=n_latent, n_h=n_hidden)
        loss = vae.AvgELBOLoss(vae.Encoder(**sizes), vae.Decoder(**sizes), vae.Prior(n_latent))
        self.about = {'n_hidden': n_hidden, 'processes': processes, 'batch': batch,
                      'parameters': sum(p.size for p in loss.params())}
        if not self.is_mine:
            return
        loss.to_device(device)
        pixels = device.send((numpy.random.random((batch, n_in)) < 0.2).astype('f'))
        optimizer = training.Adam()
        if processes:
            self.clock = Clock(group, device)
            optimizer = chainermn.create_multi_node_optimizer(optimizer, group)
        optimizer.setup(loss)
        self.step = lambda: optimizer.update(loss, pixels)
        for _ in range(3):
            self.step()

    def run(self, n, device):
        """Takes ``n`` steps and notes the seconds of each. Returns those of all."""
        for _ in range(n):
            if self.clock:
                self.clock.seconds = 0.
            start = time.perf_counter()
            self.step()
            synchronize(device)
            self.times.append(time.perf_counter() - start)
            self.communications.append(self.clock.seconds if self.clock else 0.)
        return sum(self.times[-n:])

    def row(self):
        """What is reported."""
        fastest = sorted(zip(self.times, self.communications))[:1 + len(self.times) // 10]
        step, communication = (statistics.mean(column) for column in zip(*fastest))
        return {**self.about, 'step_s': step, 'communication_s': communication,
                'median_step_s': statistics.median(self.times)}


def sleep_until_all_are_here(comm):
    """A barrier that, unlike MPI's, leaves the core to those who still work."""
    request = comm.mpi_comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def counts(n):
    """The numbers of processes that are tried: powers of two up to ``n``."""
    return [2 ** i for i in range(n.bit_length()) if 2 ** i <= n]


def measure_steps(comm, device, options):
    """Rows of :meth:`Case.row`, of worker 0."""
    cases = []
    for n_hidden, batch in itertools.product(options.n_hidden, options.batch):
        wanted = {(0, batch)}
        for p in counts(comm.size):
            wanted |= {(p, batch), (p, max(1, batch // p))}   # weak scaling, strong scaling
        cases += [Case(comm, device, (options.n_in, n_hidden, options.n_latent), *pair)
                  for pair in sorted(wanted)]
    n_steps = {}
    end = time.perf_counter() + options.seconds
    for turn in itertools.count():
        for case in cases:
            if case not in n_steps:
                sleep_until_all_are_here(comm)
                seconds = case.run(1, device) if case.is_mine else None
                case.times.clear(), case.communications.clear()
                n_steps[case] = comm.bcast_obj(
                    min(20, max(1, round(BLOCK_S / seconds))) if comm.rank == 0 else None)
            sleep_until_all_are_here(comm)
            if case.is_mine:
                case.run(n_steps[case], device)
        is_over = time.perf_counter() > end and turn >= 4
        if comm.bcast_obj(is_over if comm.rank == 0 else None):
            return [case.row() for case in cases] if comm.rank == 0 else None


def measure_all_reduce(comm):
    """Seconds of an all-reduce of float32 numbers over MPI, by their number."""
    from mpi4py import MPI
    rows = []
    for length in LENGTHS:
        numbers, times = numpy.zeros(length, numpy.float32), []
        for _ in range(5 + max(15, min(200, 10 ** 6 // length))):
            comm.mpi_comm.Barrier()
            start = time.perf_counter()
            comm.mpi_comm.Allreduce(MPI.IN_PLACE, numbers)
            times.append(time.perf_counter() - start)
        fastest = sorted(times[5:])[:1 + len(times) // 10]
        rows.append({'bytes': numbers.nbytes, 'seconds': statistics.mean(fastest),
                     'median_seconds': statistics.median(times[5:])})
    return rows


def main(arguments=None):
    """Runs the command line in one worker; returns the exit status."""
    options = parser().parse_args(arguments)

    def work():
        comm, device = parallel.create_communicator(options.device)
        report = {'processes': comm.size, 'device': device.name,
                  'steps': measure_steps(comm, device, options),
                  'all_reduce': measure_all_reduce(comm)}
        if comm.rank == 0:
            print(json.dumps(report, indent=1))

    return parallel.main(work)


if __name__ == '__main__':
    sys.exit(main())
