"""The checks of lesson 0."""
import math

from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

coin = Exercise(
    right=math.log(0.8 ** 2 * 0.2),
    shows='The log-probability of independent observations is a sum of log_prob values.',
    mistakes=[
        exercise.probability(math.log(0.8 ** 2 * 0.2)),
        exercise.mean_for_sum(math.log(0.8 ** 2 * 0.2), 3),
        exercise.log2(math.log(0.8 ** 2 * 0.2)),
        exercise.sign(math.log(0.8 ** 2 * 0.2),
                      'the sign is wrong. The logarithm of a probability is never above 0.'),
        Mistake(math.log(0.2 ** 2 * 0.8),
                'p is the probability of a 1, and two of the three observations are 1.'),
    ])
