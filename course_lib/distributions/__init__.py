"""A drop-in superset of ``chainer.distributions`` that is right everywhere."""
from course_lib.distributions.bernoulli import Bernoulli
from course_lib.distributions.distribution import Distribution
from course_lib.distributions.kl import (
    MonteCarloKL, cross_entropy, kl_divergence, register_kl)
from course_lib.distributions.normal import Normal
from course_lib.distributions.validation import validation
