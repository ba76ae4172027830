"""Times data-parallel training of a variational autoencoder: two processes, one, and none.

    python benchmarks/parallel.py
    python benchmarks/parallel.py --batch 100 --seconds 20

A step is forward, backward, all-reduce and Adam on 784-500-20 (tanh, Bernoulli pixels), float32,
one thread a process, with ChainerMN over MPI. Prints the samples per second of two processes over
those of one (weak scaling: each process takes a batch of its own), and what ChainerMN adds to the
step of a process that is alone. See benchmarks/README.md on how to read it.
"""
import argparse
import json
import pathlib

from distributions import RESULTS, machine, write

from course_lib.training import parallel

GOALS = {'ratio': 1.8, 'overhead': 0.03}


def measure(n, batches, seconds):
    """What ``course_lib.models.vae.scaling`` reports."""
    return json.loads(parallel.launch(
        n, 'course_lib.models.vae.scaling', '--n-in', 784, '--n-hidden', 500, '--n-latent', 20,
        '--batch', *batches, '--seconds', seconds, '--device', 'cpu', timeout=60 + 20 * seconds))


def compare(rows, batch, key):
    """Samples per second of two processes over those of one, and the overhead of one over none.

    Args:
        rows (list of dict): The steps of the report.
        batch (int): Images a step and process.
        key (str): ``'step_s'``, the fastest tenth, or ``'median_step_s'``.

    Returns:
        dict: ``ratio`` and ``overhead``.
    """
    seconds = {row['processes']: row[key] for row in rows if row['batch'] == batch}
    return {'ratio': 2 * seconds[1] / seconds[2], 'overhead': seconds[1] / seconds[0] - 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=int, nargs='+', default=[100, 500])
    parser.add_argument('--seconds', type=float, default=60., help='for all steps together')
    parser.add_argument('--output', type=pathlib.Path, default=RESULTS / 'parallel.json')
    arguments = parser.parse_args()
    report = {'machine': machine(), 'goals': GOALS}
    report['machine']['threads'] = {'each process': 1}
    report.update(measure(2, arguments.batch, arguments.seconds))
    report['comparisons'] = {
        str(batch): {key: compare(report['steps'], batch, key)
                     for key in ('step_s', 'median_step_s')} for batch in arguments.batch}
    print(json.dumps(report['machine'], indent=1))
    for batch, found in report['comparisons'].items():
        for key, words in ('step_s', 'fastest tenth'), ('median_step_s', 'median'):
            print(f'batch {batch}, {words}: two processes {found[key]["ratio"]:.2f} times the '
                  f'samples per second of one (goal {GOALS["ratio"]}); one under ChainerMN '
                  f'{found[key]["overhead"]:+.1%} (goal {GOALS["overhead"]:.0%})')
    write(arguments.output, report)
    print(f'Written to {arguments.output}')


if __name__ == '__main__':
    main()
