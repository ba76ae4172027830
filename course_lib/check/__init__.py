"""Answers a learner's attempt: not attempted yet, correct, or a hint for the mistake made.

Every lesson has a module of its own with one :class:`Exercise` an exercise; a lesson calls, for
instance, ``check.lesson01.best_p(answer)``.
"""
from course_lib.check import lesson00, lesson01, lesson02, lesson03, lesson04
from course_lib.check.exercise import Exercise, Mistake

__all__ = ['Exercise', 'Mistake', 'lesson00', 'lesson01', 'lesson02', 'lesson03', 'lesson04']
