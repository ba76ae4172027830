"""The shared package of the course *Probability distributions in deep learning, with Chainer*.

``numerics``       stable primitives that everything else is made of
``distributions``  a drop-in superset of ``chainer.distributions``
``training``       training with Chainer's ``Trainer``, and what it lacks
``models``         generalised linear models, variational autoencoders
``datasets``       data that ships with the course or is downloaded once, checked when loaded
``devices``        which device the lessons use, and why
``plots``          figures that describe themselves
``explore``        figures with sliders
``check``          answers to the exercises' attempts
"""
from course_lib.devices import to_numpy
from course_lib.lessons import start
from course_lib.plots import show

__all__ = ['show', 'start', 'to_numpy']
__version__ = '0.1.0'
