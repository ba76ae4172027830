"""Training with Chainer's ``Trainer``, and what it lacks.

``iterators``     batches cut from an array at once, without a Python loop over examples
``adam``          Chainer's Adam, evaluated block by block in cache
``progress``      a progress bar with the time that is left
``random_state``  seeds, and a random state that a snapshot carries
``snapshots``     snapshots from which an interrupted run goes on bit for bit
``trainer``       all of it put together
``recorded``      training steps recorded as a CUDA graph
``parallel``      the same on several processes, with ChainerMN
"""
from course_lib.training.adam import Adam
from course_lib.training.iterators import ArrayIterator, to_device
from course_lib.training.progress import Progress
from course_lib.training.random_state import RandomState, set_seed
from course_lib.training.recorded import RecordedStep, RecordedUpdater
from course_lib.training.snapshots import Snapshots, latest, resume
from course_lib.training.trainer import curves, make_trainer

__all__ = ['Adam', 'ArrayIterator', 'Progress', 'RandomState', 'RecordedStep',
           'RecordedUpdater', 'Snapshots', 'curves', 'latest', 'make_trainer', 'resume',
           'set_seed', 'to_device']
