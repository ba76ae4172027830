"""Draws: the open interval, seeds, generators, and the global state."""
import numpy
import pytest
import scipy.stats

from course_lib.numerics import random


class Lowest(numpy.random.Generator):
    """A generator whose uniforms are the worst that can come."""

    def __init__(self, value):
        super().__init__(numpy.random.PCG64(0))
        self.worst = value

    def random(self, size=None):
        return numpy.full(size, self.worst)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float32, numpy.float64])
@pytest.mark.parametrize('worst', [0., numpy.nextafter(1, 0), numpy.nextafter(0.5, 0)])
def test_uniform_never_touches_0_or_1(dtype, worst):
    u = random.uniform(numpy, Lowest(worst), (3,), dtype)
    assert u.dtype == dtype and (u > 0).all() and (u < 1).all()
    assert numpy.isfinite(numpy.log(u)).all() and numpy.isfinite(numpy.log1p(-u)).all()


@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_distributions_of_the_draws(dtype):
    # One-sample Kolmogorov-Smirnov tests with fixed seeds; false-alarm rate 1e-4 each.
    u = random.uniform(numpy, 1, (20000,), dtype)
    z = random.normal(numpy, 2, (20000,), dtype)
    assert u.dtype == z.dtype == dtype
    assert scipy.stats.kstest(u, 'uniform').pvalue > 1e-4
    assert scipy.stats.kstest(z, 'norm').pvalue > 1e-4


def test_a_seed_repeats_and_leaves_the_global_state_alone():
    before = numpy.random.get_state()[1].copy()
    a = random.uniform(numpy, 7, (5,), numpy.float32)
    b = random.uniform(numpy, numpy.int64(7), (5,), numpy.float32)
    assert a.tolist() == b.tolist() != random.uniform(numpy, 8, (5,), numpy.float32).tolist()
    assert (numpy.random.get_state()[1] == before).all()


def test_a_generator_moves_on():
    rng = numpy.random.default_rng(7)
    first, second = (random.normal(numpy, rng, (5,), numpy.float64) for _ in range(2))
    assert first.tolist() == numpy.random.default_rng(7).standard_normal(5).tolist()
    assert first.tolist() != second.tolist()


def test_without_rng_the_global_state_decides():
    numpy.random.seed(3)
    a = random.normal(numpy, None, (4,), numpy.float64)
    numpy.random.seed(3)
    assert a.tolist() == numpy.random.standard_normal(4).tolist()


def test_a_legacy_random_state_is_accepted():
    a = random.draw(numpy, numpy.random.RandomState(5), 'standard_normal', size=(4,))
    assert a.tolist() == numpy.random.RandomState(5).standard_normal(4).tolist()


def test_parameters_broadcast():
    k = numpy.array([1., 1000.])
    g = random.draw(numpy, 0, 'standard_gamma', k, size=(500, 2))
    assert g.shape == (500, 2)
    # Standard error of the two means: sqrt(k / 500); five of them are a false alarm of 6e-7.
    assert (abs(g.mean(axis=0) - k) < 5 * numpy.sqrt(k / 500)).all()


@pytest.mark.parametrize('rng', ['seed', 1.5, True, [1]], ids=repr)
def test_another_kind_of_rng_is_refused(rng):
    with pytest.raises(TypeError, match='rng must be None, an integer seed'):
        random.generator(numpy, rng)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match='rng, as a seed, must be 0 or more; got -1'):
        random.generator(numpy, -1)


class OtherModule:
    """Stands in for cupy: an array module that is not numpy and records what it was handed."""

    @staticmethod
    def asarray(array):
        assert isinstance(array, numpy.ndarray)
        return 'on the device', array


def test_a_cpu_generator_serves_another_device_with_the_same_numbers():
    class OnDevice:
        def get(self):
            return numpy.array([2., 3.])
    where, draws = random.draw(
        OtherModule, numpy.random.default_rng(1), 'standard_gamma', OnDevice(), size=(4, 2))
    same = numpy.random.default_rng(1).standard_gamma([2., 3.], size=(4, 2))
    assert where == 'on the device' and draws.tolist() == same.tolist()
