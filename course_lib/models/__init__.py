"""Models that several lessons use.

``glm``     generalised linear models: logistic, Poisson and negative-binomial regression
``layers``  dense layers as one node
``vae``     variational autoencoders: networks, objectives, evaluation, a command line
"""
from course_lib.models.glm import GLM, ConvergenceWarning, NotFittedError, SeparationError

__all__ = ['GLM', 'ConvergenceWarning', 'NotFittedError', 'SeparationError']
