"""Time and peak memory of every lesson: Run All of the worked version, in a fresh kernel.

    python benchmarks/course_time.py                prints a table
    python benchmarks/course_time.py --write        and writes it: results/course_time.json, the
                                                    README's table, the box of every lesson
    python benchmarks/course_time.py 03 08          some lessons

Run it on an idle machine. The lessons use one thread, as they do in the tests, and lesson 11 two
processes. *Peak memory* is the most that the kernel held at once, and of the processes that it
started the most that one of them did; libraries included (Linux and macOS; elsewhere 0). Times in
README and lessons are rounded up to 5 s.
"""
import argparse
import json
import pathlib
import sys

from distributions import RESULTS, machine, write
import nbformat

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'packaging'))
import notebooks  # noqa: E402

PROBE = '''\
import json
try:
    import resource, sys
    unit = 1 if sys.platform == 'darwin' else 1024
    print(json.dumps([unit * resource.getrusage(who).ru_maxrss
                      for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]))
except ImportError:
    print([0, 0])
'''


def measure(path):
    """Runs one lesson; returns its seconds and bytes.

    Args:
        path (pathlib.Path): The worked lesson.

    Returns:
        dict: ``seconds``, ``kernel_peak_bytes``, ``largest_child_peak_bytes``.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    seconds = notebooks.execute(notebook, path.parent)
    kernel, child = json.loads(notebook.cells[-1].outputs[0].text)
    return {'seconds': round(seconds, 1), 'kernel_peak_bytes': kernel,
            'largest_child_peak_bytes': child}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('lessons', nargs='*', default=[''], help='beginnings of file names')
    parser.add_argument('--write', action='store_true', help='write the results')
    arguments = parser.parse_args()
    paths = [path for prefix in arguments.lessons for path in notebooks.masters(prefix)]
    if not paths:
        parser.error(f'no lesson starts with {" or ".join(arguments.lessons)}')
    report = {'machine': machine(), 'lessons': {}}
    print(f'{"":36}{"Run All":>10}{"peak memory":>14}{"of a child":>14}')
    for path in paths:
        row = report['lessons'][path.stem] = measure(path)
        print(f'{path.stem:36}{row["seconds"]:8.1f} s'
              f'{row["kernel_peak_bytes"] / 1e6:11.0f} MB'
              f'{row["largest_child_peak_bytes"] / 1e6:11.0f} MB', flush=True)
        if arguments.write:
            notebooks.write_time(path, row['seconds'])
    total = sum(row['seconds'] for row in report['lessons'].values())
    print(f'{"all of them":36}{total:8.1f} s')
    if arguments.write and arguments.lessons == ['']:
        write(RESULTS / 'course_time.json', report)


if __name__ == '__main__':
    main()
