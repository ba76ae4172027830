"""Models that several lessons use.

``glm``  generalised linear models: logistic, Poisson and negative-binomial regression
"""
from course_lib.models.glm import GLM, ConvergenceWarning, NotFittedError, SeparationError

__all__ = ['GLM', 'ConvergenceWarning', 'NotFittedError', 'SeparationError']
