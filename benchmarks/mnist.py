"""Trains the models on MNIST whose figures the course states, and writes what they reach.

    python benchmarks/mnist.py                       everything: hours on a laptop's CPU
    python benchmarks/mnist.py --only elbo_30        one run, or several
    python benchmarks/mnist.py --epochs 40           longer runs of table 1 (default 13)
    python benchmarks/mnist.py --together            all at once, on a GPU

Runs ``python -m course_lib.models.vae`` for

* ``elbo_10``, ``elbo_30``: 784-500-20, ELBO, constant step size, 10 and 30 epochs;
* ``vae_1``, ``iwae_5``, ``iwae_50``: one stochastic layer of 50 units, two hidden layers of 200,
  and the beginning, ``--epochs`` long, of the schedule of step sizes of Burda, Grosse and
  Salakhutdinov (2016). Their table 1, after all 3,280 epochs: 86.76, 85.54 and 84.78 nats (minus
  the test log-likelihood).

A run that was interrupted goes on from its last snapshot. Results go to results/mnist.json, run by
run, each with the epochs spent.
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys

from distributions import RESULTS, machine, write
from gpu import describe_gpu

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAPER = {'vae_1': -86.76, 'iwae_5': -85.54, 'iwae_50': -84.78}   # table 1, one stochastic layer
PAPER_EPOCHS = 3280
ONE_LAYER = ['--n-hidden', '500', '--n-latent', '20', '--eval-k', '1000']
TABLE_1 = ['--n-hidden', '200', '200', '--n-latent', '50', '--schedule', 'burda',
           '--eval-k', '5000']


def runs(epochs, images):
    """Arguments of the command line, by name of the run."""
    table_1 = [*TABLE_1, '--epochs', str(epochs)]
    common = {'elbo_10': [*ONE_LAYER, '--epochs', '10'], 'elbo_30': [*ONE_LAYER, '--epochs', '30'],
              'vae_1': table_1,
              'iwae_5': [*table_1, '--objective', 'iwae', '--k', '5'],
              'iwae_50': [*table_1, '--objective', 'iwae', '--k', '50']}
    return {name: [*arguments, '--data', 'mnist', '--eval-images', str(images)]
            for name, arguments in common.items()}


def train(name, arguments):
    """Runs the command line, or goes on with it; returns its final figures."""
    folder = ROOT / 'build' / 'mnist' / name
    command = [sys.executable, '-m', 'course_lib.models.vae', *arguments, '--out', str(folder)]
    if list(folder.glob('snapshot_*.npz')):
        command.append('--resume')
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', choices=runs(1, 1), help='these runs (default: all)')
    parser.add_argument('--epochs', type=int, default=13, help='of table 1 (default 13)')
    parser.add_argument('--images', type=int, default=1000,
                        help='test images whose log-likelihood is estimated (default 1000)')
    parser.add_argument('--together', action='store_true', help='all runs at once')
    parser.add_argument('--output', type=pathlib.Path, default=RESULTS / 'mnist.json')
    arguments = parser.parse_args()
    path = arguments.output
    commands = runs(arguments.epochs, arguments.images)
    names = arguments.only or list(commands)
    pool = concurrent.futures.ThreadPoolExecutor(len(names) if arguments.together else 1)
    started = {pool.submit(train, name, commands[name]): name for name in names}
    for finished in concurrent.futures.as_completed(started):
        name, figures = started[finished], finished.result()
        command = commands[name]
        report = json.loads(path.read_text()) if path.exists() else {}
        row = {'command': ' '.join(command), 'machine': machine() | {'gpu': describe_gpu()},
               **figures}
        if name in PAPER:
            row |= {'paper_log_likelihood': PAPER[name], 'paper_epochs': PAPER_EPOCHS}
        report[name] = row
        write(path, report)
        print(f'{name}: {figures["epochs"]} epochs, ELBO {figures["elbo"]:.2f}, log-likelihood '
              f'{figures["log_likelihood"]:.2f} nats', flush=True)


if __name__ == '__main__':
    main()
