"""Answers a learner's attempt: not attempted yet, correct, or a hint for the mistake made.

Every lesson has a module of its own with one :class:`Exercise` an exercise; a lesson calls, for
instance, ``check.lesson01.best_p(answer)``. The module is imported, and its right answers are
computed, when it is first used: a lesson does not pay for the others.
"""
import importlib

from course_lib.check.exercise import Exercise, Mistake

__all__ = ['Exercise', 'Mistake']


def __getattr__(name):
    try:
        return importlib.import_module(f'{__name__}.{name}')
    except ModuleNotFoundError as error:
        if error.name != f'{__name__}.{name}':
            raise
        raise AttributeError(f'there are no checks named {name}') from None
