"""Proves that the notebooks' stored outputs hold on other machines.

    python packaging/portability.py

Runs every notebook under strict nbval with the NumPy of this environment and with NumPy 2.1, on
two of OpenBLAS's code paths (one with AVX2, one of 2004) and with one and two threads. The other
NumPy is installed into ``build/``, beside the environment and not into it.
"""
import itertools
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OTHER = ROOT / 'build' / 'numpy-2.1'
CORES = 'Haswell', 'Prescott'
THREADS = '1', '2'


def main():
    """Runs all combinations; the exit status is the number of those that failed."""
    if not (OTHER / 'numpy').exists():
        subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
                        '--target', str(OTHER), 'numpy==2.1.*'], check=True)
    failures = 0
    for path, core, threads in itertools.product(('', str(OTHER)), CORES, THREADS):
        environment = dict(
            os.environ, PYTHONPATH=path, OPENBLAS_CORETYPE=core, OPENBLAS_NUM_THREADS=threads,
            OMP_NUM_THREADS=threads)
        version = subprocess.run(
            [sys.executable, '-c', 'import numpy; print(numpy.__version__)'],
            env=environment, capture_output=True, text=True, check=True).stdout.strip()
        result = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'notebooks'],
            cwd=ROOT, env=environment, capture_output=True, text=True)
        closing = result.stdout.strip().splitlines()[-1] if result.stdout else result.stderr
        print(f'NumPy {version:7} {core:9} {threads} thread(s): {closing}', flush=True)
        if result.returncode:
            failures += 1
            print(result.stdout[-4000:])
    return failures


if __name__ == '__main__':
    sys.exit(main())
