"""Chi-square: the sum of k squared standard normal variables."""
import chainer

from course_lib.distributions import checks
from course_lib.distributions.distribution import cached_property
from course_lib.distributions.gamma import Gamma


class Chisquare(Gamma):
    r"""Chi-square distribution with k degrees of freedom: the Gamma with shape k/2 and scale 2.

    .. math:: p(x) = \frac{x^{k/2-1} e^{-x/2}}{2^{k/2}\,\Gamma(k/2)}

    Being a Gamma, it takes its formulas and its Kullback-Leibler divergences from there. ``k`` is
    the number of degrees of freedom, as in Chainer, twice the Gamma's shape.

    Args:
        k: Degrees of freedom, above 0, any shape.

    Raises:
        ValueError: If ``k`` is out of its domain.
        TypeError: If ``k`` is not made of real numbers.

    Source: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, eq. 26.4.1.

    Example:
        >>> float(Chisquare(2).log_prob(0.).array)   # the density starts at 1/2
        -0.6931471824645996
    """

    domains = {'k': checks.positive}
    parameter_names = ('k',)
    _is_rate = False

    def __init__(self, k):
        self._take(k=k)

    @cached_property
    def _shape(self):
        return 0.5 * self.k

    @cached_property
    def theta(self):
        """Scale of the Gamma that this is: 2."""
        return chainer.as_variable(self.xp.asarray(2, self.dtype))

    @cached_property
    def mean(self):
        """k."""
        return self._full(self.k)
