"""Exercises of lesson 7: evidence, posterior and bound of one pixel, the diagonal's price, PPCA."""
import math
import tracemalloc

import numpy
from scipy import stats

from course_lib import datasets
from course_lib.check import exercise
from course_lib.check.exercise import Exercise, Mistake

_W, _X = 2., 3.   # sigma is 1
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _normal(x, mean, variance):
    return -0.5 * math.log(2 * math.pi * variance) - (x - mean) ** 2 / (2 * variance)


_LOG_EVIDENCE = _normal(_X, 0, _W ** 2 + 1)
log_evidence_of_3 = Exercise(
    right=_LOG_EVIDENCE,
    shows='The cause adds its variance to that of the noise.',
    mistakes=[
        Mistake(_normal(_X, 0, _W ** 2), 'the noise adds its own variance to that of the cause.'),
        Mistake(_normal(_X, 0, 1), 'this is the density if the cause is 0; average over causes.'),
        Mistake(_normal(_X, 0, _W + 1), 'the variance of W z is the square of W.'),
        Mistake(_normal(_X, 0, (_W + 1) ** 2), 'add the variances of cause and noise, not their '
                'standard deviations.'),
        Mistake(_normal(_X, 0, (_W ** 2 + 1) ** 2), 'the standard deviation is the root of the '
                'variance; here the variance was squared.'),
        Mistake(_normal(_X, 0, (_W ** 2 + 1) ** 0.5), 'this takes the standard deviation for the '
                'variance.'),
        Mistake(_normal(_X, _W, 1), 'this is the density if the cause is 1; average over causes.'),
        Mistake(-0.5 * math.log(2 * math.pi * (_W ** 2 + 1)), 'the part with the square of x - m '
                'is missing.'),
        Mistake(-_X ** 2 / (2 * (_W ** 2 + 1)), 'the part with the logarithm is missing.'),
        Mistake(_LOG_EVIDENCE + _HALF_LOG_2PI, 'the 2 pi is missing.'),
        exercise.sign(_LOG_EVIDENCE, 'the sign is wrong; it is the log-density itself that is '
                      'asked for.'),
        exercise.probability(_LOG_EVIDENCE),
        exercise.log2(_LOG_EVIDENCE),
    ])

_M = _W ** 2 + 1
mean_and_variance = Exercise(
    right=[_W * _X / _M, 1 / _M],
    shows='The prior pulls the mean from x / W = 1.5 towards 0, and seeing x has cut the variance '
          'to a fifth.',
    mistakes=[
        Mistake([1 / _M, _W * _X / _M], 'both numbers are right; the mean comes first.'),
        Mistake([_X / _W, 1 / _W ** 2], 'this forgets the prior: M is the square of W plus the '
                'variance of the noise.'),
        Mistake([_X / _W, 1 / _M], 'the mean forgets the prior: divide W x by M, not by the square '
                'of W.'),
        Mistake([_W * _X / _M, 1 / _M ** 0.5], 'the second number is the standard deviation; give '
                'the variance.'),
        Mistake([_W * _X / _M, _M], 'this is the precision; the variance is its inverse.'),
        Mistake([_W * _X * _M, 1 / _M], 'the mean divides by M.'),
        Mistake([_W * _X, 1 / _M], 'in the mean, the inverse of M is missing.'),
        Mistake([_X / _M, 1 / _M], 'in the mean, the factor W is missing.'),
        Mistake([0, _M], 'this describes x before it is seen; the cause given x is asked for.'),
        Mistake([0, 1], 'this is the prior.'),
    ])

_MEAN, _VARIANCE = 1., 0.2   # of q
_EXPLAINED = _normal(_X, _W * _MEAN, 1) - _W ** 2 * _VARIANCE / 2
_FROM_PRIOR = 0.5 * (_VARIANCE + _MEAN ** 2 - 1 - math.log(_VARIANCE))
_ELBO = _EXPLAINED - _FROM_PRIOR
_GAP = _LOG_EVIDENCE - _ELBO


def _with(bound, hint):
    return Mistake([bound, _LOG_EVIDENCE - bound], hint)


elbo_and_gap = Exercise(
    right=[_ELBO, _GAP],
    shows='The gap is the divergence of N(1, 0.2) from the posterior. Both have the variance 0.2, '
          'so only the distance of their means counts.',
    mistakes=[
        Mistake([_GAP, _ELBO], 'both numbers are right; the ELBO comes first.'),
        Mistake([_ELBO, -_GAP], 'the gap is the log-evidence less the bound, so it is positive.'),
        Mistake([_ELBO, _FROM_PRIOR], 'this is the divergence from the prior; the gap is the '
                'divergence from the posterior, the log-evidence less the ELBO.'),
        Mistake([_EXPLAINED, _FROM_PRIOR], 'these are the two parts of the ELBO, which is their '
                'difference. The gap is the log-evidence less the ELBO.'),
        Mistake([_ELBO, _LOG_EVIDENCE], 'the second number is the log-evidence; take the ELBO off '
                'it.'),
        _with(_EXPLAINED + _FROM_PRIOR, 'the divergence from the prior is taken off, not added.'),
        _with(_EXPLAINED, 'the divergence from the prior is missing.'),
        _with(-_FROM_PRIOR, 'the part that explains the picture is missing.'),
        _with(_normal(_X, _W * _MEAN, 1) - _FROM_PRIOR, 'q has a variance, and it adds to the mean '
              'square: the term 4 v is missing.'),
        _with(_normal(_X, _W * _MEAN, 1) - _W ** 2 * _VARIANCE - _FROM_PRIOR, 'the log-density '
              'contains half of the square, so half of 4 v too.'),
        _with(_normal(_X, _W * _MEAN, 1) - _W ** 2 * _VARIANCE ** 2 / 2
              - 0.5 * (_VARIANCE ** 2 + _MEAN ** 2 - 1 - 2 * math.log(_VARIANCE)),
              'in N(1, 0.2) the second number is the variance already.'),
        _with(_EXPLAINED - 0.5 * (_VARIANCE + _MEAN ** 2 - 1 + math.log(_VARIANCE)),
              'in the divergence from the prior, the logarithm has a minus.'),
        _with(_EXPLAINED - 0.5 * (_VARIANCE + _MEAN ** 2 - 1), 'in the divergence from the prior, '
              'the logarithm is missing.'),
        _with(_EXPLAINED - 0.5 * (_VARIANCE + _MEAN ** 2 - math.log(_VARIANCE)), 'in the '
              'divergence from the prior, the minus 1 is missing.'),
        _with(_EXPLAINED - 2 * _FROM_PRIOR, 'the divergence from the prior carries a factor of '
              'one half.'),
        *(Mistake([_ELBO + _HALF_LOG_2PI, gap], 'the 2 pi in the density of x is missing.')
          for gap in (_GAP, _GAP - _HALF_LOG_2PI, _GAP + _HALF_LOG_2PI)),
        Mistake([_ELBO, _GAP + _HALF_LOG_2PI], 'in the log-evidence, the 2 pi is missing.'),
        _with(_ELBO - _HALF_LOG_2PI, 'the logarithm of 2 pi carries a factor of one half.'),
    ])

_P = numpy.array([[5., 4.], [4., 5.]])


def _divergence(p, q):
    """KL(p || q) of two Normals with one mean, given by their covariances."""
    inside = numpy.linalg.solve(q, p)
    return 0.5 * (numpy.trace(inside) - len(p) - numpy.linalg.slogdet(inside)[1])


_COVARIANCE = numpy.linalg.inv(_P)
_BEST = numpy.diag(1 / numpy.diag(_P))
_OWN = numpy.diag(numpy.diag(_COVARIANCE))
_LACKING = _divergence(_BEST, _COVARIANCE)
lacking = Exercise(
    right=_LACKING,
    shows='The stronger the correlation, the larger the gap; without correlation it is 0.',
    mistakes=[
        Mistake(2 * _LACKING, 'the factor of one half is missing.'),
        Mistake(-_LACKING, 'the sign is wrong; a divergence is never negative.'),
        exercise.log2(_LACKING),
        Mistake(math.exp(2 * _LACKING), 'this is a ratio; take half its logarithm.'),
        Mistake(math.exp(_LACKING), 'take the logarithm.'),
        Mistake(0.5 * math.log(25.), 'the determinant of P is missing.'),
        Mistake(-0.5 * math.log(9.), 'the diagonal of P is missing.'),
        Mistake(0.5 * (math.log(25.) - math.log(41.)), 'the determinant of a 2 x 2 matrix takes '
                'the product off the diagonal away.'),
        Mistake(0.5 * (math.log(10.) - math.log(9.)), 'add the logarithms of the diagonal, not its '
                'numbers.'),
        Mistake(0.5 * (math.log(5.) - math.log(9.)), 'the diagonal has two numbers; add both '
                'logarithms.'),
        # The divergence the other way round happens to be the same number.
        Mistake(_divergence(_OWN, _COVARIANCE), "the best q has the variances 1 / P_kk, not the "
                "posterior's own; and the divergence is that of q from the posterior."),
    ])


def _ppca(x, W, mu, sigma):
    return stats.multivariate_normal(mu, W @ W.T + sigma ** 2 * numpy.eye(len(W))).logpdf(x)


def _from_parts(x, W, mu, sigma, at_mean=False, prior=1, posterior=1, scale=lambda s: s,
                covariance=None):
    """log p(x | z) + log p(z) - log p(z | x) at z = 0, or the posterior mean, with mistakes."""
    inverse = numpy.linalg.inv(W.T @ W + sigma ** 2 * numpy.eye(W.shape[1]))
    spread = sigma ** 2 * inverse if covariance is None else covariance(inverse, sigma)
    mean = (x - mu) @ W @ inverse
    z = at_mean * mean
    log_posterior = stats.multivariate_normal(cov=spread).logpdf(z - mean)
    return (stats.norm(z @ W.T + mu, scale(sigma)).logpdf(x).sum(axis=1)
            + prior * stats.norm.logpdf(z).sum(axis=1) - posterior * log_posterior)


class _WithoutLargeMatrix(Exercise):
    """Refuses functions that take the lesson's sizes, or memory for pixels x pixels numbers."""

    n_pixels = 1000

    def judge(self, answer):
        verdict = super().judge(answer)
        if verdict.startswith('Not yet: your function raised'):
            names = getattr(getattr(answer, '__code__', None), 'co_names', ())
            for name in 'log_joint', 'prior', 'post', 'K':
                if name in names:
                    return (f"Not yet: `{name}` belongs to the lesson's *W*, not to the argument. "
                            'Compute what you need from the arguments.')
        elif verdict.startswith('Correct') and self._peak_bytes(answer) > self.n_pixels ** 2:
            return ('Not yet: the numbers are right, but a pixels x pixels matrix was built. With '
                    'a million pixels it would not fit into memory.')
        return verdict

    def _peak_bytes(self, function):
        rng = numpy.random.default_rng(0)
        photo = (rng.normal(size=(2, self.n_pixels)), rng.normal(size=(self.n_pixels, 3)),
                 rng.normal(size=self.n_pixels), 0.2)
        tracemalloc.start()
        try:
            function(*photo)
        except Exception:  # what it had allocated until then says enough
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak


_rng = numpy.random.default_rng(0)
ppca_log_evidence = _WithoutLargeMatrix(
    right=_ppca,
    probes=[(numpy.array([[0.5, -1., 2., 0.3], [1., 0., -0.2, 1.4], [0., 0., 0., 0.]]),
             numpy.array([[1., 0.5], [-0.3, 0.8], [0.6, -1.], [0., 0.2]]),
             numpy.array([0.1, -0.2, 0.4, 0.]), 0.7),
            (_rng.normal(size=(2, 30)), _rng.normal(size=(30, 3)), _rng.normal(size=30), 0.2)],
    shows='It took neither an integral nor a large determinant. This works wherever the '
          'posterior is known.',
    mistakes=[
        exercise.sign(_ppca, 'the sign is wrong: the log-evidence itself is asked for.'),
        exercise.log2(_ppca),
        Mistake(lambda *probe: _ppca(*probe).sum(), 'this is the sum; give one number for each '
                'row.'),
        Mistake(lambda *probe: _ppca(*probe).mean(), 'this is the mean; give one number for each '
                'row.'),
        Mistake(lambda x, W, mu, sigma: _ppca(x, W, 0 * mu, sigma), 'mu is missing.'),
        Mistake(lambda x, W, mu, sigma: _ppca(x, W, mu, sigma ** 0.5), 'sigma is the standard '
                'deviation of the noise; its square is the variance.'),
        Mistake(lambda *probe: _from_parts(*probe, prior=0), 'the log-density of z under the prior '
                'is missing.'),
        Mistake(lambda *probe: _from_parts(*probe, posterior=0), 'this is log p(x, z); take '
                'log p(z | x) off it.'),
        Mistake(lambda *probe: _from_parts(*probe, at_mean=True, posterior=0), 'this is '
                'log p(x, z) at the mean of the posterior; take log p(z | x) off it.'),
        Mistake(lambda *probe: _from_parts(*probe, at_mean=True, prior=0), 'the log-density of z '
                'under the prior is missing.'),
        Mistake(lambda *probe: _from_parts(*probe, at_mean=True, prior=0, posterior=0), 'this is '
                'log p(x | z) alone; the prior and the posterior of z are missing.'),
        Mistake(lambda *probe: _from_parts(*probe, prior=0, posterior=0), 'this is log p(x | z) '
                'alone; the prior and the posterior of z are missing.'),
        Mistake(lambda *probe: _from_parts(*probe, posterior=-1), 'log p(z | x) is taken off, not '
                'added.'),
        Mistake(lambda *probe: _from_parts(*probe, prior=-1), 'log p(z) is added, not taken off.'),
        Mistake(lambda *probe: _from_parts(*probe, covariance=lambda inverse, s: inverse),
                'the covariance of the posterior is the inverse of M times the square of sigma.'),
        Mistake(lambda *probe: _from_parts(*probe, covariance=lambda inverse, s: s * inverse),
                'the covariance of the posterior has the square of sigma, not sigma.'),
        Mistake(lambda *probe: _from_parts(*probe, scale=lambda s: s ** 2), 'in log p(x | z) the '
                'standard deviation is sigma; its square was taken.'),
        Mistake(lambda *probe: numpy.exp(_ppca(*probe)), 'this is the density itself; its '
                'logarithm is asked for.'),
    ])

_train, _test = datasets.load_digits().split()
_DIGITS = range(10)


def _fitted(x, causes=10):
    x = x.astype(numpy.float64)
    values, vectors = numpy.linalg.eigh(numpy.cov(x.T, bias=True))
    variance = values[:-causes].mean()
    W = vectors[:, -causes:] * numpy.sqrt(values[-causes:] - variance)
    return stats.multivariate_normal(
        x.mean(axis=0), W @ W.T + variance * numpy.eye(x.shape[1]))


def _scores(learned, read):
    models = [_fitted(learned.images[learned.labels == digit]) for digit in _DIGITS]
    return numpy.array([model.logpdf(read.images) for model in models])


def _share(scores, read):
    return (scores.argmax(axis=0) == read.labels).mean()


_ON_TEST = _scores(_train, _test)
_SHARE = _share(_ON_TEST, _test)
_NEAREST = -numpy.array([
    ((_test.images - _train.images[_train.labels == digit].mean(axis=0)) ** 2).sum(axis=1)
    for digit in _DIGITS])
share_read = Exercise(
    right=_SHARE,
    shows='No model saw another digit than its own, or these writers. To choose a digit is to '
          'compare ten evidences.',
    mistakes=[
        Mistake(1 - _SHARE, 'this is the share that is read wrongly.'),
        Mistake(100 * _SHARE, 'this is in per cent; give it as a fraction.'),
        Mistake(len(_test.labels) * _SHARE, 'this is a number of pictures; divide it by all 382.'),
        Mistake(_share(_scores(_train, _train), _train), 'this is the share on the training '
                'pictures; the test pictures are asked for.'),
        Mistake(_share(_scores(_test, _test), _test), 'these models were fitted to the test '
                'pictures; fit them to the training pictures.'),
        Mistake(_share(-_ON_TEST, _test), 'this takes the digit with the lowest evidence.'),
        Mistake(_share(_NEAREST, _test), 'this takes the nearest mean picture; use the whole '
                'evidence of each model.'),
        Mistake(0.1, 'this is the share that chance reads; does each picture get the row of its '
                'highest evidence?'),
    ])
