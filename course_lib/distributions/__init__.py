"""A drop-in superset of ``chainer.distributions`` that is right everywhere.

The table of all distributions is in the README beside this file.
"""
from chainer.distributions import utils

from course_lib.distributions import transforms
from course_lib.distributions.bernoulli import Bernoulli
from course_lib.distributions.beta import Beta
from course_lib.distributions.binomial import Binomial
from course_lib.distributions.categorical import Categorical
from course_lib.distributions.cauchy import Cauchy
from course_lib.distributions.checks import validation
from course_lib.distributions.chisquare import Chisquare
from course_lib.distributions.continuous_bernoulli import ContinuousBernoulli
from course_lib.distributions.dirichlet import Dirichlet
from course_lib.distributions.discretized_logistic import DiscretizedLogistic
from course_lib.distributions.distribution import Distribution
from course_lib.distributions.exponential import Exponential
from course_lib.distributions.gamma import Gamma
from course_lib.distributions.geometric import Geometric
from course_lib.distributions.gumbel import Gumbel
from course_lib.distributions.half_normal import HalfNormal
from course_lib.distributions.independent import Independent
from course_lib.distributions.kl import MonteCarloKL, cross_entropy, kl_divergence, register_kl
from course_lib.distributions.laplace import Laplace
from course_lib.distributions.log_normal import LogNormal
from course_lib.distributions.mixture import Mixture
from course_lib.distributions.multivariate_normal import MultivariateNormal
from course_lib.distributions.negative_binomial import NegativeBinomial
from course_lib.distributions.normal import Normal
from course_lib.distributions.one_hot_categorical import OneHotCategorical
from course_lib.distributions.pareto import Pareto
from course_lib.distributions.poisson import Poisson
from course_lib.distributions.relaxed_bernoulli import RelaxedBernoulli
from course_lib.distributions.relaxed_one_hot_categorical import RelaxedOneHotCategorical
from course_lib.distributions.student_t import StudentT
from course_lib.distributions.transformed import Transformed
from course_lib.distributions.uniform import Uniform
from course_lib.distributions.zero_inflated import ZeroInflated
