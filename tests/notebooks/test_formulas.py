"""The summary of formulas: each, written in NumPy, against the library, SciPy or statsmodels.

The check of a formula is found by its heading, so a formula without a check fails. That the NumPy
line says what the page's LaTeX says is for the eye; that it is true is tested here.
"""
import re

import chainer
import nbformat
import numpy as np
import pytest
from scipy import integrate, special, stats
import statsmodels.api as sm

import course_lib.distributions as D

# Headings whose text states no formula that could be evaluated on its own, and why.
PROSE = {
    'Two gaps': 'adds and subtracts one number',
}
RNG = np.random.default_rng(0)
CHECKS = {}


def of(heading):
    """Registers the check of the formula under a heading: a generator of pairs that must agree."""
    def register(check):
        CHECKS[heading] = check
    return register


def log_prob(distribution, x):
    return distribution.log_prob(x).array


def slope(f, x, h=1e-6):
    """The derivative of f at x."""
    return (f(x + h) - f(x - h)) / (2 * h)


def normal(x, mean, variance):
    """The log-density of a Normal distribution of vectors."""
    return stats.multivariate_normal(mean, variance).logpdf(x)


@of('Normal density')
def _():
    x, mu, s = 3., 1., 2.
    yield 1 / (s * np.sqrt(2 * np.pi)) * np.exp(-(x - mu) ** 2 / (2 * s ** 2)), D.Normal(
        mu, s).prob(x).array


@of('Divergence of two Normals of one scale')
def _():
    yield 3 ** 2 / (2 * 2 ** 2), chainer.kl_divergence(D.Normal(1., 2.), D.Normal(4., 2.)).array


@of('Bernoulli likelihood')
def _():
    y, p, n = np.array([1, 0, 1, 1]), 0.3, 4
    k = y.sum()
    yield p ** y * (1 - p) ** (1 - y), D.Bernoulli(p=p).prob(y).array
    yield k * np.log(p) + (n - k) * np.log(1 - p), log_prob(D.Bernoulli(p=p), y).sum()
    grid = np.linspace(0.01, 0.99, 99)
    likelihood = D.Bernoulli(p=grid[:, None]).prob(y).array.prod(axis=1)
    yield grid[likelihood.argmax()], k / n


@of('Logit and sigmoid')
def _():
    p = 0.3
    z = np.log(p / (1 - p))
    yield z, D.Bernoulli(p=p).logit.array
    yield 1 / (1 + np.exp(-z)), p


@of('Bernoulli loss: sigmoid cross-entropy')
def _():
    z, y = np.array([-2., 0.5, 3.]), np.array([1, 0, 1])
    loss = np.log(1 + np.exp(z)) - y * z
    yield loss, -log_prob(D.Bernoulli(logit=z), y)
    yield loss.mean(), chainer.functions.sigmoid_cross_entropy(z, y).array
    yield special.expit(z) - y, slope(lambda z: -log_prob(D.Bernoulli(logit=z), y), z)


@of('Stable log-sigmoid')
def _():
    z = np.array([-800., -3., 0., 2., 800.])
    def log_sigmoid(z):
        return np.minimum(z, 0) - np.log(1 + np.exp(-abs(z)))
    yield log_sigmoid(z), log_prob(D.Bernoulli(logit=z), 1)
    yield log_sigmoid(-z), log_prob(D.Bernoulli(logit=z), 0)


@of('Standard errors of a logistic regression')
def _():
    t = RNG.normal(size=50)
    y = (RNG.uniform(size=50) < special.expit(1 + t)).astype(float)
    fit = sm.Logit(y, sm.add_constant(t)).fit(disp=False, tol=1e-12)
    p = fit.predict()
    information = sum(q * (1 - q) * np.array([[1, s], [s, s * s]]) for q, s in zip(p, t))
    covariance = np.linalg.inv(information)
    yield covariance, fit.cov_params()
    at = np.array([1, 2.5])
    yield np.sqrt(at @ covariance @ at), fit.t_test(at).sd.item()


@of('Likelihood interval')
def _():
    yield stats.norm.ppf(0.975) ** 2 / 2, stats.chi2(1).ppf(0.95) / 2
    yield round(1.96 ** 2 / 2, 2), 1.92


@of('Normal loss: squared error')
def _():
    y, mu, s = 3., 1., 1.7
    z = (y - mu) / s
    def loss(mu, log_scale):
        return -log_prob(D.Normal(mu, log_scale=log_scale), y)
    yield z ** 2 / 2 + np.log(s) + np.log(2 * np.pi) / 2, loss(mu, np.log(s))
    yield (mu - y) / s ** 2, slope(lambda m: loss(m, np.log(s)), mu)
    yield 1 - z ** 2, slope(lambda v: loss(mu, v), np.log(s))


@of('Laplace loss: absolute error')
def _():
    y, mu, b = 3., 1., np.float64(1.7)
    yield abs(y - mu) / b + np.log(2 * b), -log_prob(D.Laplace(mu, b), y)
    yield np.sign(mu - y) / b, slope(lambda m: -log_prob(D.Laplace(m, b), y), mu)


@of("Student's t loss")
def _():
    y, mu, s, nu = 3., 1., 1.7, 4.
    z = (y - mu) / s
    yield ((nu + 1) / 2 * np.log(1 + z ** 2 / nu) + np.log(s) + np.log(nu * np.pi) / 2
           + special.gammaln(nu / 2) - special.gammaln((nu + 1) / 2),
           -log_prob(D.StudentT(df=nu, loc=mu, scale=s), y))


@of('Categorical loss: softmax cross-entropy')
def _():
    z, y = np.array([1., -2., 0.5]), 2
    def loss(z):
        return -log_prob(D.Categorical(logit=z), y)
    yield np.log(np.exp(z).sum()) - z[y], loss(z)
    p = np.exp(z) / np.exp(z).sum()
    for k in range(3):
        unit = np.eye(3)[k]
        yield p[k] - (k == y), slope(lambda h: loss(z + h * unit), 0.)


@of('Scatter of honest confidences')
def _():
    c = np.array([0.5, 0.9, 0.7])
    yield np.sqrt((c * (1 - c)).sum()), np.sqrt(D.Bernoulli(p=c).variance.array.sum())


@of('Prior as a penalty')
def _():
    w, n, tau = np.array([-1.5, 0.3]), 20, 2.
    for distribution, by_hand in ((D.Normal(0., tau), w / (n * tau ** 2)),
                                  (D.Laplace(0., tau), np.sign(w) / (n * tau))):
        yield by_hand, slope(lambda w: -log_prob(distribution, w) / n, w)


@of('Log-normal density')
def _():
    y, mu, s = 3., 0.4, 0.7
    yield (-(np.log(y) - mu) ** 2 / (2 * s ** 2) - np.log(s) - np.log(2 * np.pi) / 2 - np.log(y),
           log_prob(D.LogNormal(mu=mu, sigma=s), y))
    yield np.exp(mu + s ** 2 / 2), D.LogNormal(mu=mu, sigma=s).mean.array


@of('Poisson loss')
def _():
    y, lam = np.array([0, 3, 5]), 2.5
    yield (lam - y * np.log(lam) + special.gammaln(y + 1), -log_prob(D.Poisson(lam), y))
    yield lam - y, slope(lambda e: -log_prob(D.Poisson(log_lam=e), y), np.log(lam))
    def log_likelihood(lam):
        return log_prob(D.Poisson(lam), y).sum()
    best = np.float64(y.mean())
    yield slope(log_likelihood, best), 0
    yield np.sqrt(best / 3), (-slope(lambda v: slope(log_likelihood, v, 1e-4), best, 1e-4)) ** -0.5


def poisson_data():
    X = np.column_stack([np.ones(40), RNG.normal(size=40)])
    t = RNG.uniform(1, 3, size=40)
    return X, t, RNG.poisson(t * np.exp(X @ [0.5, 0.3]))


@of("Poisson regression and Newton's step")
def _():
    X, t, y = poisson_data()
    b = np.zeros(2)
    for _ in range(20):
        mu = t * np.exp(X @ b)
        information = X.T @ np.diag(mu) @ X
        b = b + np.linalg.solve(information, X.T @ (y - mu))
    fit = sm.GLM(y, X, sm.families.Poisson(), offset=np.log(t)).fit(tol=1e-12)
    yield b, fit.params
    yield np.linalg.inv(information), fit.cov_params()


@of('Rate ratio')
def _():
    (d0, d1), (t0, t1) = (30, 12), (10, 2)
    X = np.array([[1, 0], [1, 0], [1, 1]])   # the first group's events in two rows
    fit = sm.GLM([d0 / 3, d0 * 2 / 3, d1], X, sm.families.Poisson(),
                 exposure=[t0 / 2, t0 / 2, t1]).fit()
    yield (d1 / t1) / (d0 / t0), np.exp(fit.params[1])
    yield np.sqrt(1 / d0 + 1 / d1), fit.bse[1]


@of('Deviance of counts')
def _():
    X, t, y = poisson_data()
    fit = sm.GLM(y, X, sm.families.Poisson(), offset=np.log(t)).fit()
    mu = fit.mu
    d = 2 * (special.xlogy(y, y / mu) - (y - mu))
    yield d.sum(), fit.deviance
    yield np.sign(y - mu) * np.sqrt(d), fit.resid_deviance


@of('Dispersion')
def _():
    X, t, y = poisson_data()
    fit = sm.GLM(y, X, sm.families.Poisson(), offset=np.log(t)).fit()
    yield ((y - fit.mu) ** 2 / fit.mu).sum() / (40 - 2), fit.pearson_chi2 / fit.df_resid


@of('Gamma density')
def _():
    x, k, theta = 3., 2.5, 1.7
    gamma = D.Gamma(k=k, theta=theta)
    yield (x ** (k - 1) * np.exp(-x / theta) / (special.gamma(k) * theta ** k),
           gamma.prob(x).array)
    yield [k * theta, k * theta ** 2], [gamma.mean.array, gamma.variance.array]


@of('Negative binomial')
def _():
    y, mu, r = np.arange(6), 2., 0.7
    def prob(y, mu, r):
        return (special.gamma(y + r) / (special.gamma(r) * special.factorial(y))
                * (r / (r + mu)) ** r * (mu / (r + mu)) ** y)
    ours = D.NegativeBinomial(mean=mu, concentration=r)
    yield prob(y, mu, r), ours.prob(y).array
    yield mu + mu ** 2 / r, ours.variance.array
    factor = stats.gamma(r, scale=1 / r)
    yield [1, 1 / r], factor.stats()
    def both_years(g):
        return stats.poisson(mu * g).pmf(3) * stats.poisson(mu * g).pmf(2) * factor.pdf(g)
    joint = integrate.quad(both_years, 0, np.inf)[0]
    yield joint / prob(3, mu, r), prob(2, mu * (r + 3) / (r + mu), r + 3)


@of('Zero-inflated Poisson')
def _():
    y, gate, lam = np.arange(5), 0.3, 2.
    poisson = lam ** y * np.exp(-lam) / special.factorial(y)
    yield (np.where(y == 0, gate + (1 - gate) * np.exp(-lam), (1 - gate) * poisson),
           D.ZeroInflated(D.Poisson(lam), gate=gate).prob(y).array)


@of('Standard error with clusters')
def _():
    s, cluster = RNG.normal(size=12), np.repeat(np.arange(4), 3)
    by_hand = np.sqrt(sum((s - s.mean())[cluster == c].sum() ** 2 for c in range(4))) / 12
    fit = sm.OLS(s, np.ones(12)).fit(
        cov_type='cluster', cov_kwds={'groups': cluster, 'use_correction': False})
    yield by_hand, fit.bse.item()


@of('Probability integral transform of a count')
def _():
    # Given the count, u is uniform from F(y - 1) to F(y): intervals as long as they are probable.
    d, y, q = D.Poisson(2.5), np.arange(40), np.linspace(0, 1, 1001)[:, None]
    u = d.cdf(y - 1).array + q * d.prob(y).array
    weights = np.broadcast_to(d.prob(y).array / len(q), u.shape)
    for edge in 0.1, 0.5, 0.95:
        yield round(weights[u <= edge].sum(), 2), edge


@of('Best reserve')
def _():
    need, a, b = np.arange(60), 190., 10.
    p = stats.poisson(20).pmf(need)
    cost = [(p * np.where(need > r, a * (need - r), b * (r - need))).sum() for r in need]
    yield np.argmin(cost), stats.poisson(20).ppf(a / (a + b))


def normal_mean(f, m, s):
    """The expectation of f under a Normal distribution, by quadrature."""
    return integrate.quad(lambda z: f(z) * stats.norm(m, s).pdf(z), m - 12 * s, m + 12 * s)[0]


@of('Monte Carlo')
def _():
    values = special.expit(RNG.normal(1, 2, size=(4000, 100)))
    m = normal_mean(special.expit, 1, 2)
    deviation = np.sqrt(normal_mean(lambda z: (special.expit(z) - m) ** 2, 1, 2))
    yield round(float(values.mean()), 2), round(m, 2)
    yield pytest.approx(deviation / 10, rel=0.05), values.mean(axis=1).std()
    shifted = values.mean(axis=1) + 0.05
    yield pytest.approx(0.05 ** 2 + deviation ** 2 / 100, rel=0.1), ((shifted - m) ** 2).mean()


@of('Score-function estimator')
def _():
    m, s, f = 0.5, 1.5, special.expit
    def g(z):
        return (z - m) / s ** 2
    exact = slope(lambda m: normal_mean(f, m, s), m, 1e-4)
    yield g(2.), slope(lambda m: stats.norm(m, s).logpdf(2.), m)
    best = (normal_mean(lambda z: f(z) * g(z) ** 2, m, s) / normal_mean(lambda z: g(z) ** 2, m, s))
    for c in 0, 0.7, best:
        yield normal_mean(lambda z: (f(z) - c) * g(z), m, s), exact
    def noise(c):
        return normal_mean(lambda z: ((f(z) - c) * g(z)) ** 2, m, s)
    yield slope(noise, best, 1e-3), 0


@of('Reparameterisation')
def _():
    def m(t):
        return 1 - 2 * t
    def s(t):
        return 1 + t ** 2
    t = 0.4
    exact = slope(lambda t: normal_mean(np.sin, m(t), s(t)), t, 1e-4)
    yield normal_mean(lambda e: np.cos(m(t) + s(t) * e) * (-2 + 2 * t * e), 0, 1), exact


@of('Implicit reparameterisation')
def _():
    k, z = 2.3, 1.7
    u = stats.gamma(k).cdf(z)
    by_hand = -slope(lambda k: stats.gamma(k).cdf(z), k) / stats.gamma(k).pdf(z)
    yield by_hand, slope(lambda k: stats.gamma(k).ppf(u), k)


@of('Relaxed draws')
def _():
    u, z, tau = RNG.uniform(size=100_000), np.float64(0.7), np.float64(0.5)
    x = special.expit((z + np.log(u / (1 - u))) / tau)
    coin = D.RelaxedBernoulli(temperature=tau, logit=z)
    yield stats.kstest(x, lambda v: coin.cdf(v).array).statistic < 0.01, True
    l = np.array([1., 0., -1.])
    x = special.softmax((l - np.log(-np.log(RNG.uniform(size=(100_000, 3))))) / tau, axis=1)
    yield np.abs((x.argmax(axis=1)[:, None] == range(3)).mean(axis=0)
                 - special.softmax(l)).max() < 0.01, True
    d = D.RelaxedOneHotCategorical(temperature=tau, logit=l)
    yield np.abs(x.mean(axis=0) - d.sample(100_000, rng=1).array.mean(axis=0)).max() < 0.01, True


@of('Beta posterior of a probability')
def _():
    p, k, n = np.linspace(0.1, 0.9, 5), 7, 23
    ratio = p ** k * (1 - p) ** (n - k) / D.Beta(k + 1., n - k + 1.).prob(p).array
    yield ratio / ratio[0], np.ones(5)


@of('Kullback–Leibler divergence')
def _():
    p, q = D.Categorical(p=[0.2, 0.3, 0.5]), D.Categorical(p=[0.6, 0.3, 0.1])
    P, Q = p.p.array, q.p.array
    kl = (P * (np.log(P) - np.log(Q))).sum()
    yield kl, chainer.kl_divergence(p, q).array
    yield -(P * np.log(Q)).sum() - p.entropy.array, kl
    yield chainer.cross_entropy(p, q).array, -(P * np.log(Q)).sum()


@of('Divergence of two Normals')
def _():
    m1, s1, m2, s2 = 1., 2., -0.5, 0.7
    yield (np.log(s2 / s1) + (s1 ** 2 + (m1 - m2) ** 2) / (2 * s2 ** 2) - 0.5,
           chainer.kl_divergence(D.Normal(m1, s1), D.Normal(m2, s2)).array)


@of('Divergence of two coins')
def _():
    p, q = 0.3, 0.8
    yield (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)),
           chainer.kl_divergence(D.Bernoulli(p=p), D.Bernoulli(p=q)).array)


@of('Estimate of a divergence')
def _():
    p, q = D.LogNormal(mu=0., sigma=0.5), D.HalfNormal(1.)
    estimate = D.kl_divergence(p, q, n_samples=500, rng=3)
    x = p.sample(500, rng=3).array
    d = log_prob(p, x) - log_prob(q, x)
    yield d.mean(), estimate.value.array
    yield d.std(ddof=1) / np.sqrt(500), estimate.standard_error


@of('Moment matching')
def _():
    w, m, tau = np.array([0.3, 0.7]), np.array([-2., 3.]), np.array([1., 0.5])
    mixture = D.Mixture(np.log(w), D.Normal(m, tau))
    mean = (w * m).sum()
    yield mean, mixture.mean.array
    yield (w * (tau ** 2 + (m - mean) ** 2)).sum(), mixture.variance.array


@of('Divergence from a log-normal to a Gamma')
def _():
    mu, s, k, theta = 0.3, 0.6, 2.5, 0.8
    p, q = D.LogNormal(mu=mu, sigma=s), D.Gamma(k=k, theta=theta)
    entropy = mu + np.log(2 * np.pi * np.e * s ** 2) / 2
    yield entropy, p.entropy.array
    kl = (-entropy + special.gammaln(k) + k * np.log(theta) - (k - 1) * mu
          + np.exp(mu + s ** 2 / 2) / theta)
    yield kl, integrate.quad(
        lambda x: p.prob(x).array * (log_prob(p, x) - log_prob(q, x)), 1e-6, 60)[0]


@of('Mutual information')
def _():
    p = RNG.uniform(0.1, 0.9, size=10)
    kl = chainer.kl_divergence(D.Bernoulli(p=p), D.Bernoulli(p=p.mean())).array
    joint = np.array([p, 1 - p]) / 10
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    yield kl.sum() / 10, special.rel_entr(joint, independent).sum()


def ppca(d=4, n_causes=2):
    W, mu, s = RNG.normal(size=(d, n_causes)), RNG.normal(size=d), 0.7
    return W, mu, s, RNG.normal(size=d), W @ W.T + s ** 2 * np.eye(d)


@of('Evidence of PPCA')
def _():
    W, mu, s, x, covariance = ppca(n_causes=1)
    def joint(z):
        return np.exp(normal(x, W[:, 0] * z + mu, s ** 2 * np.eye(4))) * stats.norm.pdf(z)
    yield integrate.quad(joint, -10, 10)[0], np.exp(normal(x, mu, covariance))
    data = RNG.normal(size=(200, 4)) @ RNG.normal(size=(4, 4))
    values, vectors = np.linalg.eigh(np.cov(data.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = values[2:].mean()
    best = vectors[:, :2] * np.sqrt(values[:2] - noise)
    def mean_log_evidence(W, noise):
        return normal(data, data.mean(axis=0), W @ W.T + noise * np.eye(4)).mean()
    for change in RNG.normal(size=(5, 4, 2)):
        yield slope(lambda h: mean_log_evidence(best + h * change, noise), 0., 1e-5), 0
    yield slope(lambda v: mean_log_evidence(best, v), noise, 1e-5), 0


@of('Posterior of PPCA')
def _():
    W, mu, s, x, covariance = ppca()
    M = W.T @ W + s ** 2 * np.eye(2)
    mean, variance = np.linalg.solve(M, W.T @ (x - mu)), s ** 2 * np.linalg.inv(M)
    for z in RNG.normal(size=(3, 2)):   # Bayes' rule
        yield (normal(x, W @ z + mu, s ** 2 * np.eye(4)) + normal(z, np.zeros(2), np.eye(2))
               - normal(x, mu, covariance), normal(z, mean, variance))


@of('Evidence lower bound')
def _():
    # One pixel, one cause: W = 2, sigma = 1, x = 3; the guess q = N(1, 0.2).
    m, v = 1., 0.2
    q, posterior, prior = D.Normal(m, v ** 0.5), D.Normal(6 / 5, 0.2 ** 0.5), D.Normal(0., 1.)
    expected = -np.log(2 * np.pi) / 2 - ((3 - 2 * m) ** 2 + 4 * v) / 2
    elbo = expected - chainer.kl_divergence(q, prior).array
    yield elbo + chainer.kl_divergence(q, posterior).array, stats.norm(0, 5 ** 0.5).logpdf(3)
    yield elbo, normal_mean(lambda z: stats.norm(2 * z).logpdf(3) + stats.norm.logpdf(z)
                            - stats.norm(m, v ** 0.5).logpdf(z), m, v ** 0.5)


@of('Gap of the best diagonal Normal')
def _():
    A = RNG.normal(size=(3, 3))
    P = A @ A.T + np.eye(3)
    posterior = D.MultivariateNormal(loc=np.zeros(3),
                                     scale_tril=np.linalg.cholesky(np.linalg.inv(P)))
    def gap(log_variance):
        q = D.MultivariateNormal(loc=np.zeros(3), scale_tril=np.diag(np.exp(log_variance / 2)))
        return chainer.kl_divergence(q, posterior).array
    best = -np.log(np.diag(P))
    yield (np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1]) / 2, gap(best)
    for k in range(3):
        yield slope(lambda h: gap(best + h * np.eye(3)[k]), 0.), 0


@of('Evidence by quadrature')
def _():
    z = np.linspace(-8, 8, 161)
    terms = 0.1 * stats.norm(2 * z).pdf(3) * stats.norm.pdf(z)
    yield terms.sum(), stats.norm(0, 5 ** 0.5).pdf(3)
    plane = 0.1 ** 2 * stats.norm(2 * z[:, None]).pdf(3) * stats.norm.pdf(z[:, None]) * (
        stats.norm.pdf(z))
    yield plane.sum(), stats.norm(0, 5 ** 0.5).pdf(3)


@of('Loss of a variational autoencoder')
def _():
    from course_lib.models import vae
    encoder, decoder = vae.Encoder(6, 2, 4), vae.Decoder(6, 2, 4)
    prior = vae.Prior(2)
    x = (RNG.uniform(size=(5, 6)) < 0.5).astype(np.float32)
    loss = vae.AvgELBOLoss(encoder, decoder, prior, beta=0.5)(x, rng=7)
    q = encoder(x)
    mu, sigma, z = q.mean.array, q.stddev.array, q.sample(1, rng=7).array[0]
    kl = 0.5 * (mu ** 2 + sigma ** 2 - 1 - 2 * np.log(sigma)).sum(axis=1)
    yield kl, chainer.kl_divergence(q, prior()).array
    yield (-log_prob(decoder(z), x) + 0.5 * kl).mean(), loss.array


@of('Bernoulli pixels')
def _():
    x, l = np.array([1, 0, 1]), np.array([0.3, -2., 1.])
    yield ((x * l - np.log(1 + np.exp(l))).sum(),
           log_prob(D.Independent(D.Bernoulli(logit=l), 1), x))


@of('Importance-weighted bound')
def _():
    # One pixel, one cause: W = 2, sigma = 1, x = 3; the guess q = N(1, 0.5^2).
    z = 1 + 0.5 * RNG.normal(size=(20_000, 5))
    log_w = (stats.norm(2 * z).logpdf(3) + stats.norm.logpdf(z) - stats.norm(1, 0.5).logpdf(z))
    bounds = [log_w.mean(), *((special.logsumexp(log_w[:, :k], axis=1) - np.log(k)).mean()
                              for k in (2, 5)), stats.norm(0, 5 ** 0.5).logpdf(3)]
    yield bounds, sorted(bounds)
    kl = chainer.kl_divergence(D.Normal(1., 0.5), D.Normal(6 / 5, 0.2 ** 0.5)).array
    yield pytest.approx(bounds[-1] - kl, abs=0.01), bounds[0]
    a, b = np.array([-1., -2., -5.]), np.array([0.3, -1., 2.])      # log w_j = a_j + b_j t
    w = np.exp(a)
    yield (w / w.sum() * b).sum(), slope(lambda t: np.log(np.exp(a + b * t).mean()), 0.)
    yield [v.sum() ** 2 / (v ** 2).sum() for v in (np.ones(7), np.array([1., 0., 0.]))], [7, 1]


@of('Bits per pixel')
def _():
    nats, d = -30., 64
    yield -np.log2(np.exp(nats)) / d, -nats / (d * np.log(2))


@of('Binomial pixels')
def _():
    y, N, p = np.arange(17), 16, 0.3
    yield (y * np.log(p) + (N - y) * np.log(1 - p) + np.log(special.comb(N, y)),
           log_prob(D.Binomial(n=N, p=p), y))


@of('Continuous Bernoulli density')
def _():
    def f(x, z):
        return z * np.exp(z * x) / (np.exp(z) - 1)
    x, z, m, b = np.array([0.1, 0.6]), 2.5, 0.4, 1 / 16
    ours = D.ContinuousBernoulli(logit=z)
    yield f(x, z), ours.prob(x).array
    yield b * f(m, z) / f(0.5, z * b), ours.cdf(m + b / 2).array - ours.cdf(m - b / 2).array


@of('Discretised logistic')
def _():
    mu, s, levels = 0.3, 0.1, np.linspace(0, 1, 17)
    a = np.r_[-np.inf, levels[1:] - 1 / 32]
    b = np.r_[levels[:-1] + 1 / 32, np.inf]
    ours = D.DiscretizedLogistic(mu, np.log(s), low=0., high=1., n_levels=17)
    yield special.expit((b - mu) / s) - special.expit((a - mu) / s), ours.prob(levels).array


@of('Beta-binomial')
def _():
    y, N, m, s = np.arange(17), 16, 0.3, 2.
    a, b = m * s, (1 - m) * s
    def B(a, b):
        return special.gamma(a) * special.gamma(b) / special.gamma(a + b)
    yield special.comb(N, y) * B(y + a, N - y + b) / B(a, b), stats.betabinom(N, a, b).pmf(y)
    yield a / (a + b), m


@of('Rate and distortion')
def _():
    # Two images, one latent dimension: the mean rate is information plus KL to the aggregate.
    m, s = np.array([-1., 1.5]), np.array([0.5, 0.8])
    prior = D.Normal(0., 1.)
    rate = chainer.kl_divergence(D.Normal(m, s), prior).array.mean()
    def aggregate(z):
        return stats.norm(m, s).pdf(z).mean()
    information = np.mean([normal_mean(
        lambda z: stats.norm(*q).logpdf(z) - np.log(aggregate(z)), *q) for q in zip(m, s)])
    excess = integrate.quad(
        lambda z: aggregate(z) * (np.log(aggregate(z)) - stats.norm.logpdf(z)), -9, 9)[0]
    yield rate, information + excess


@of('Time of a copy')
def _():
    a, B, m = 1e-5, 1e10, 313_600
    yield a + m / B, 41.36e-6


@of('Queue of kernels')
def _():
    for launch, work in ((5., 50.), (5., 4.)):
        clock = end = 0.
        for i in range(1, 101):
            clock += launch                     # Python goes on at once
            end = max(i * launch, end) + work   # the GPU takes one kernel after the other
        yield clock, 100 * launch
        yield pytest.approx(100 * max(launch, work), rel=0.02), end


@of('Floor of a time')
def _():
    launch, B, m, K = 5e-6, 1e12, 3e6, 7
    yield max(K * launch, m / B), 35e-6
    yield max(1 * launch, 100 * m / B), 300e-6


@of('Break-even batch')
def _():
    (a, b), (c, d) = (3e-3, 1e-6), (0.5e-3, 41e-6)      # GPU, CPU
    batch = (a - c) / (d - b)
    yield a + b * batch, c + d * batch


@of('Half precision')
def _():
    half = np.finfo(np.float16)
    yield 2. ** -10, half.eps
    yield [(2 - 2 ** -10) * 2 ** 15, 65504], [half.max] * 2
    yield np.log2(2. ** -24), np.log2(float(half.smallest_subnormal))


@of('Largest batch')
def _():
    c, d = 20e6, 20e3
    yield [c + d * 1000, c + d * 5000], [40e6, 120e6]
    yield c + d * ((16e9 - c) / d), 16e9


@of('Bytes of a ring')
def _():
    n, m = 8, 800
    sent = sum(m / n for round_ in ('add', 'hand round') for turn in range(n - 1))
    yield 2 * (n - 1) * m / n, sent


@of("Amdahl's law")
def _():
    s, n, work = 0.25, 4, 8.
    yield 1 / (s + (1 - s) / n), work / (s * work + (1 - s) * work / n)


@of('Best number of workers')
def _():
    n = np.arange(1, 400)
    C, a, transfer = 0.1, 5e-5, 0.002
    times = C / n + 2 * (n - 1) * a + 2 * (n - 1) / n * transfer
    yield n[times.argmin()], round(np.sqrt((C - 2 * transfer) / (2 * a)))
    yield n[(times + 2 * (n - 1) / n * (C / 2 - transfer)).argmin()], 1   # where C = 2 m / B
    yield slope(lambda n: C / n + 2 * a * np.log2(n), C * np.log(2) / (2 * a), 1e-2), 0


def headings(root):
    text = (root / 'notebooks' / 'formulas.md').read_text(encoding='utf-8')
    return re.findall(r'^### (.*)$', text, flags=re.M)


def test_every_formula_has_a_check(root):
    assert sorted(headings(root)) == sorted([*CHECKS, *PROSE])


@pytest.mark.parametrize('heading', CHECKS)
def test_formula(heading):
    pairs = list(CHECKS[heading]())
    assert pairs
    for by_hand, expected in pairs:
        if isinstance(by_hand, (int, float, list, np.ndarray, np.generic)):
            np.testing.assert_allclose(by_hand, expected, rtol=2e-5, atol=2e-6)
        else:
            assert by_hand == expected


def test_the_lessons_stand_in_order_and_every_link_leads_somewhere(root):
    folder = root / 'notebooks'
    text = (folder / 'formulas.md').read_text(encoding='utf-8')
    lessons = re.findall(r'^## Lesson (\d+): \[.*\]\((.*)\)$', text, flags=re.M)
    numbers = [int(number) for number, _ in lessons]
    assert numbers == sorted(set(numbers))
    assert all(int(file[:2]) == int(number) for number, file in lessons)
    for target in re.findall(r'\]\(([^)#]+)', text):
        assert (folder / target).exists(), target
    with_formulas = {path.name for path in folder.glob('[0-9]*.ipynb') if any(
        '**Formula.**' in cell.source for cell in nbformat.read(path, as_version=4).cells)}
    assert with_formulas == {file for _, file in lessons}
