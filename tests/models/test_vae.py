"""The variational autoencoder: shapes, the loss by hand, bounds against exact evidence."""
import copy
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time

import chainer
from chainer import functions as F
import numpy as np
import PIL.Image
import pytest
from scipy import integrate, special, stats

from course_lib import datasets, devices, training
import course_lib.distributions as D
from course_lib.models import vae
from course_lib.models.vae import __main__ as command_line
from course_lib.models.vae import pictures

TRAIN, TEST = datasets.load_digits().split()
X = (TRAIN.images[:6] > 0.5).astype(np.float32)
GREY = TRAIN.images[:6]


def parts(n_in=64, n_latent=2, n_h=16, seed=0, decoder=vae.Decoder, prior=vae.Prior, **options):
    training.set_seed(seed)
    return (vae.Encoder(n_in, n_latent, n_h), decoder(n_in, n_latent, n_h, **options),
            prior(n_latent))


class FixedNoise:
    """An encoder whose q always draws the same noise, so that losses can be compared."""

    def __init__(self, encoder, noise):
        self.encoder, self.noise = encoder, noise

    def __call__(self, x):
        q = self.encoder(x)
        base, noise = q.distribution, self.noise

        class Fixed(D.Independent):
            def sample(self, shape=(), rng=None):
                return base.loc + F.exp(base.log_scale) * noise

        return Fixed(base)


def with_fixed_noise(loss, k, n=len(X), n_latent=2):
    noise = np.random.default_rng(5).standard_normal((k, n, n_latent)).astype(np.float32)
    encoder = loss.encoder
    del loss.encoder
    loss.encoder = FixedNoise(encoder, noise)
    return noise, encoder


# -- networks -------------------------------------------------------------------------------

@pytest.mark.parametrize('n_h', [16, (16, 8), [8]])
@pytest.mark.parametrize('k', [(), (1,), (3,)])
def test_shapes(n_h, k):
    encoder, decoder, prior = parts(n_h=n_h)
    q = encoder(X)
    assert (q.batch_shape, q.event_shape) == ((6,), (2,))
    z = q.sample(k)
    p = decoder(z)
    assert (p.batch_shape, p.event_shape) == (k + (6,), (64,))
    assert p.log_prob(X).shape == k + (6,)
    assert (prior().batch_shape, prior().event_shape) == ((), (2,))
    assert prior().log_prob(z).shape == k + (6,)
    assert isinstance(q, D.Independent) and isinstance(q.distribution, D.Normal)


def test_the_network_by_hand():
    encoder, decoder, _ = parts()
    h = np.tanh(X @ encoder.hidden[0].W.array.T + encoder.hidden[0].b.array)
    q = encoder(X).distribution
    np.testing.assert_allclose(q.loc.array, h @ encoder.mu.W.array.T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(q.scale.array, np.exp(h @ encoder.ln_sigma.W.array.T), rtol=1e-4)
    z = np.float32([[0.5, -1.]])
    h = np.tanh(z @ decoder.hidden[0].W.array.T)
    np.testing.assert_allclose(decoder(z).distribution.logit.array, h @ decoder.output.W.array.T,
                               rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('decoder, options, x', [
    (vae.Decoder, {}, X), (vae.Decoder, {}, GREY), (vae.ContinuousBernoulliDecoder, {}, GREY),
    (vae.DiscretizedLogisticDecoder, {'n_levels': 17}, GREY)])
@pytest.mark.parametrize('prior', [vae.Prior, lambda n: vae.MixturePrior(n, 3), vae.FlowPrior])
def test_every_combination_has_finite_loss_and_gradients(decoder, options, x, prior):
    for make in (lambda *a: vae.AvgELBOLoss(*a, k=2), lambda *a: vae.IWAELoss(*a, k=3)):
        loss = make(*parts(decoder=decoder, prior=prior, **options))
        loss.cleargrads()
        value = loss(x)
        value.backward()
        assert np.isfinite(value.array)
        for name, parameter in loss.namedparams():
            assert parameter.grad is not None and np.isfinite(parameter.grad).all(), name


def test_a_prior_follows_its_arrays():
    prior, other = vae.Prior(2), vae.Prior(2)
    before = float(prior().entropy.array)
    other.log_scale[...] = 1
    for same in prior, copy.deepcopy(prior), pickle.loads(pickle.dumps(prior)), prior.copy('copy'):
        assert float(same().entropy.array) == pytest.approx(before)
        same.log_scale[...] = other.log_scale   # as a snapshot does
        assert float(same().entropy.array) == pytest.approx(before + 2)
        same.log_scale[...] = 0


@pytest.mark.parametrize('make', [vae.Prior, lambda n: vae.MixturePrior(n, 4), vae.FlowPrior])
def test_priors_are_normalised(make):
    prior = make(2)
    for parameter in prior.params():       # away from the initial identity
        parameter.array += np.random.default_rng(0).normal(
            0, 0.1, parameter.shape).astype(np.float32)
    t = np.linspace(-30, 30, 601, dtype=np.float32)
    grid = np.stack(np.meshgrid(t, t), axis=-1).reshape(-1, 2)
    total = prior().prob(grid).array.astype(np.float64).sum() * (t[1] - t[0]) ** 2
    assert total == pytest.approx(1, abs=5e-3)


def test_mixture_and_flow_priors_train():
    """Both find the two clusters of a fixed set of codes that a standard Normal cannot."""
    rng = np.random.default_rng(0)
    codes = (rng.normal(size=(400, 2)) * 0.3 + np.where(rng.random((400, 1)) < 0.5, 2, -2)).astype(
        np.float32)
    scores = {}
    for name, make in (('normal', vae.Prior), ('mixture', lambda n: vae.MixturePrior(n, 2)),
                       ('flow', lambda n: vae.FlowPrior(n, 16, 4))):
        training.set_seed(0)
        prior = make(2)
        optimizer = training.Adam(alpha=0.02).setup(prior)
        for _ in range(0 if name == 'normal' else 200):
            optimizer.update(lambda: -F.mean(prior().log_prob(codes)))
        scores[name] = float(prior().log_prob(codes).array.mean())
    assert scores['mixture'] > scores['normal'] + 2 and scores['flow'] > scores['normal'] + 2


def test_binarize_draws_with_the_probability_of_the_grey_level():
    # 4 standard errors of a mean of 20,000 draws: a false alarm in some 16,000 seeds a level.
    levels = np.float32([0, 0.1, 0.5, 0.9, 1])
    drawn = vae.binarize(np.tile(levels, (20_000, 1)))
    assert drawn.dtype == np.float32 and set(np.unique(drawn)) == {0, 1}
    error = np.sqrt(levels * (1 - levels) / 20_000)
    assert (abs(drawn.mean(axis=0) - levels) <= 4 * error).all()


def test_chainers_example_gives_the_same_numbers():
    """The same weights in Chainer's own distributions: distribution for distribution."""
    import chainer.distributions as C
    encoder, decoder, prior = parts()
    q = encoder(X)
    theirs = C.Independent(C.Normal(loc=q.distribution.loc, log_scale=q.distribution.log_scale))
    z = np.random.default_rng(0).standard_normal((3, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(q.log_prob(z).array, theirs.log_prob(z).array, rtol=1e-4)
    logit = decoder(z).distribution.logit
    p = C.Independent(C.Bernoulli(logit=logit), reinterpreted_batch_ndims=1)
    for x in (X, GREY):
        tiled = np.broadcast_to(x, (3,) + x.shape)
        np.testing.assert_allclose(decoder(z).log_prob(x).array, p.log_prob(tiled).array,
                                   rtol=1e-5)


# -- objectives -----------------------------------------------------------------------------

@pytest.mark.parametrize('k', [1, 4])
@pytest.mark.parametrize('beta', [0., 1., 2.5])
def test_elbo_by_hand(k, beta):
    loss = vae.AvgELBOLoss(*parts(), beta=beta, k=k)
    noise, encoder = with_fixed_noise(loss, k)
    reporter, observation = chainer.Reporter(), {}
    reporter.add_observer('main', loss)
    with reporter.scope(observation):
        value = float(loss(X).array)
    q = encoder(X).distribution
    loc, log_scale = (a.array.astype(np.float64) for a in (q.loc, q.log_scale))
    z = loc + np.exp(log_scale) * noise
    logit = loss.decoder(z.astype(np.float32)).distribution.logit.array.astype(np.float64)
    cross_entropy = (np.logaddexp(0, logit) - X * logit).sum(axis=-1).mean()
    kl = 0.5 * (loc ** 2 + np.exp(2 * log_scale) - 1 - 2 * log_scale).sum(axis=-1).mean()
    assert value == pytest.approx(cross_entropy + beta * kl, rel=1e-5)
    for key, expected in (('loss', cross_entropy + beta * kl), ('reconstr', -cross_entropy),
                          ('kl_penalty', kl)):
        reported = float(chainer.as_array(observation[f'main/{key}']))
        assert reported == pytest.approx(expected, rel=1e-5)


def test_reports_three_figures():
    loss = vae.AvgELBOLoss(*parts(), beta=0.5)
    reporter, observation = chainer.Reporter(), {}
    reporter.add_observer('main', loss)
    with reporter.scope(observation):
        value = loss(X)
    assert set(observation) == {'main/loss', 'main/reconstr', 'main/kl_penalty'}
    figures = {key[5:]: float(chainer.as_array(v)) for key, v in observation.items()}
    assert figures['loss'] == float(value.array)
    assert figures['loss'] == pytest.approx(0.5 * figures['kl_penalty'] - figures['reconstr'],
                                            rel=1e-5)


@pytest.mark.parametrize('make', [lambda p: vae.AvgELBOLoss(*p, k=2),
                                  lambda p: vae.FreeBitsLoss(*p, free_nats=0.02, k=2),
                                  lambda p: vae.IWAELoss(*p, k=2)])
def test_gradient_of_the_loss_against_finite_differences(make):
    loss = make(parts(n_h=4))
    _, encoder = with_fixed_noise(loss, 2)
    parameters = [encoder.mu.W, encoder.ln_sigma.b, loss.decoder.output.W]
    loss.cleargrads()
    encoder.cleargrads()
    loss(X).backward()
    rng = np.random.default_rng(0)
    for parameter in parameters:
        direction = rng.standard_normal(parameter.shape).astype(np.float32)
        slope, start, eps = float((parameter.grad * direction).sum()), parameter.array.copy(), 3e-3
        values = []
        for sign in (1, -1):
            parameter.array[...] = start + sign * eps * direction
            values.append(float(loss(X).array))
        parameter.array[...] = start
        assert (values[0] - values[1]) / (2 * eps) == pytest.approx(slope, rel=5e-3, abs=5e-3)


def test_iwae_with_one_sample_is_the_elbo_by_monte_carlo():
    p = parts()
    elbo, iwae = vae.AvgELBOLoss(*p), vae.IWAELoss(*p, k=1)
    values = []
    for loss in (elbo, iwae):
        np.random.seed(3)
        with chainer.no_backprop_mode():
            values.append(np.mean([float(loss(X).array) for _ in range(300)]))
    assert values[0] == pytest.approx(values[1], abs=0.3)   # they differ in log q - log p only


def test_free_bits_by_hand():
    p = parts()
    q = p[0](X).distribution
    each = chainer.kl_divergence(q, D.Normal(np.zeros(2, 'f'), np.ones(2, 'f'))).array.mean(axis=0)
    for free in (0., float(each.mean()), 5.):
        kl, penalty = vae.FreeBitsLoss(*p, free_nats=free).penalty(
            p[0](X), p[2](), p[0](X).sample(1))
        assert kl.array.mean() == pytest.approx(each.sum(), rel=1e-5)
        assert float(penalty.array) == pytest.approx(np.maximum(each, free).sum(), rel=1e-5)


def test_penalty_of_a_prior_without_closed_form_agrees_with_the_closed_form():
    """A mixture of one Normal is that Normal: Monte Carlo within 4 standard errors."""
    encoder, decoder, prior = parts()
    mixture = vae.MixturePrior(2, 1)
    mixture.loc.array[...] = 0
    with chainer.no_backprop_mode():
        q = encoder(X)
        z = q.sample(4000)
        loss = vae.AvgELBOLoss(encoder, decoder, mixture)
        estimate = loss.penalty(q, mixture(), z)[0].array.mean()
        each = (q.log_prob(z) - prior().log_prob(z)).array.mean(axis=1)
        exact = float(F.mean(chainer.kl_divergence(q, prior())).array)
    assert abs(estimate - exact) < 4 * each.std() / math.sqrt(len(each))


# -- evaluation -----------------------------------------------------------------------------

class LinearGaussian:
    """A decoder whose evidence is known: x | z ~ N(W z, 1), z ~ N(0, I); q is not the posterior."""

    def __init__(self, n_in=3, n_latent=2):
        rng = np.random.default_rng(0)
        self.W = rng.normal(size=(n_in, n_latent)).astype(np.float32)
        self.prior = vae.Prior(n_latent)
        self.exact = stats.multivariate_normal(np.zeros(n_in), np.eye(n_in) + self.W @ self.W.T)

    def decoder(self, z):
        return D.Independent(D.Normal(F.matmul(z.reshape(-1, 2), self.W.T).reshape(
            z.shape[:-1] + (3,)), scale=1.), reinterpreted_batch_ndims=1)

    def encoder(self, x):
        precision = np.eye(2) + self.W.T @ self.W
        mean = (np.linalg.solve(precision, self.W.T @ x.T).T + 0.2).astype(np.float32)
        return D.Independent(D.Normal(mean, log_scale=np.zeros_like(mean) - 0.2))


@pytest.mark.parametrize('k', [1, 10, 5000])
def test_log_likelihood_against_the_exact_evidence(k):
    model = LinearGaussian()
    x = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    exact = model.exact.logpdf(x)
    result = vae.log_likelihood(model, x, k=k, rng=2)
    assert result.estimate.shape == (200,) and result.estimate.dtype == np.float64
    gap = (exact - result.estimate).mean()
    if k == 5000:
        np.testing.assert_allclose(result.estimate, exact, atol=0.2)
        assert abs(gap) < 0.01
    else:
        assert gap > 0.02 / k        # a lower bound on average
    assert (result.effective_samples <= k + 1e-6).all()
    assert (result.effective_samples >= 1 - 1e-6).all()
    if k == 1:
        np.testing.assert_array_equal(result.estimate, result.elbo)


def test_bound_rises_with_k():
    model = LinearGaussian()
    x = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
    bounds = [vae.log_likelihood(model, x, k=k, rng=3).estimate.mean() for k in (1, 4, 16, 64)]
    assert bounds == sorted(bounds)


def test_log_likelihood_does_not_depend_on_how_it_is_cut(monkeypatch):
    from course_lib.models.vae import evaluation
    loss = vae.AvgELBOLoss(*parts())
    results = []
    for budget in (evaluation._BUDGET, 64 * 6 * 50):      # all at once; 50 samples at a time
        monkeypatch.setattr(evaluation, '_BUDGET', budget)
        results.append(vae.log_likelihood(loss, X, k=420, rng=0))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


def test_log_likelihood_streams():
    """Memory does not grow with k: NumPy's peak for 50 times as many samples is the same."""
    import tracemalloc
    loss, peaks = vae.AvgELBOLoss(*parts()), []
    x = np.tile(X, (50, 1))
    vae.log_likelihood(loss, x, k=2)
    for k in (300, 3000):
        tracemalloc.start()
        vae.log_likelihood(loss, x, k=k)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_log_likelihood_of_a_vae_by_quadrature():
    loss = vae.AvgELBOLoss(*parts(seed=3))
    t = np.linspace(-6, 6, 241, dtype=np.float32)
    grid = np.stack(np.meshgrid(t, t), axis=-1).reshape(-1, 2)
    with chainer.no_backprop_mode():
        log_joint = (loss.decoder(grid[:, None]).log_prob(X) + loss.prior().log_prob(grid)[:, None]
                     ).array.astype(np.float64)
    exact = special.logsumexp(log_joint, axis=0) + 2 * math.log(t[1] - t[0])
    np.testing.assert_allclose(vae.log_likelihood(loss, X, k=5000, rng=0).estimate, exact,
                               atol=0.05)


def test_rate_distortion_adds_up_to_the_elbo():
    loss = vae.AvgELBOLoss(*parts())
    result = vae.rate_distortion(loss, X, k=2000, rng=0)
    expected = vae.log_likelihood(loss, X, k=2000, rng=1).elbo
    np.testing.assert_allclose(-(result.rate + result.distortion), expected, atol=0.5)
    exact = chainer.kl_divergence(loss.encoder(X), loss.prior()).array
    np.testing.assert_allclose(result.rate, exact, rtol=1e-5)


def test_active_units():
    loss = vae.AvgELBOLoss(*parts(n_latent=3))
    loss.encoder.mu.W.array[1] = 0                   # the second dimension says nothing
    result = vae.active_units(loss, TRAIN.images)
    assert result.is_active.tolist() == [True, False, True]
    assert result.variance[1] == 0


def test_bits_per_dim():
    assert vae.bits_per_dim(-64 * math.log(17), 64) == pytest.approx(math.log2(17))
    assert vae.bits_per_dim(np.array([0., -math.log(2)]), 1).tolist() == [0, 1]


# -- bad input ------------------------------------------------------------------------------

@pytest.mark.parametrize('make, words', [
    (lambda: vae.Encoder(64, 0, 8), 'Encoder: n_latent must be a whole number, 1 or more; got 0'),
    (lambda: vae.Encoder(0, 2, 8), 'n_in must be a whole number'),
    (lambda: vae.Encoder(64, 2, ()), 'n_h must name at least one layer'),
    (lambda: vae.Encoder(64, 2, (8, 0)), 'n_h must be a whole number, 1 or more; got 0'),
    (lambda: vae.Decoder(64, 2.5, 8), 'Decoder: n_latent must be a whole number'),
    (lambda: vae.Prior(0), 'Prior: n_latent must be'),
    (lambda: vae.MixturePrior(2, 0), 'n_components must be'),
    (lambda: vae.FlowPrior(1), 'n_latent must be 2 or more'),
    (lambda: vae.DiscretizedLogisticDecoder(64, 2, 8, 1), 'n_levels must be 2 or more; got 1'),
    (lambda: vae.AvgELBOLoss(*parts(), k=0), 'k must be a whole number of samples, 1 or more'),
    (lambda: vae.AvgELBOLoss(*parts(), k=True), 'k must be a whole number of samples'),
    (lambda: vae.IWAELoss(*parts(), k=-1), 'k must be a whole number of samples'),
    (lambda: vae.AvgELBOLoss(*parts(), beta=-1), 'beta must be a finite number, 0 or more'),
    (lambda: vae.AvgELBOLoss(*parts(), beta=math.nan), 'beta must be a finite number'),
    (lambda: vae.FreeBitsLoss(*parts(), free_nats=-1), 'free_nats must be a finite number'),
    (lambda: vae.log_likelihood(vae.AvgELBOLoss(*parts()), X, k=0), 'k must be a whole number'),
    (lambda: vae.log_likelihood(vae.AvgELBOLoss(*parts()), X[:0]), 'at least one image'),
    (lambda: vae.rate_distortion(vae.AvgELBOLoss(*parts()), X[0]), 'x must have the shape'),
    (lambda: vae.bits_per_dim(-3., 0), 'n_pixels must be 1 or more'),
    (lambda: pictures.mosaic(np.zeros((2, 63))), 'images must have the shape'),
    (lambda: pictures.mosaic(X, 0), 'n_columns must be 1 or more'),
    (lambda: pictures.latent_plane(vae.AvgELBOLoss(*parts(n_latent=3))), '2 latent dimensions'),
])
def test_bad_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_bad_types():
    with pytest.raises(TypeError, match='decoder must be a chainer.Link'):
        vae.AvgELBOLoss(vae.Encoder(64, 2, 8), 3, vae.Prior(2))
    with pytest.raises(TypeError, match='beta must be a number'):
        vae.AvgELBOLoss(*parts(), beta='1')


@pytest.mark.parametrize('x, words', [
    (X[:, :63], r'Encoder: x must have the shape \(number of images, 64\); got \(6, 63\)'),
    (X[0], r'got \(64,\)'),
    (X.reshape(6, 8, 8), r'got \(6, 8, 8\)'),
    (X * 255, 'Encoder: every pixel of x must be a grey level from 0 to 1; got 255'),
    (-X, 'must be a grey level from 0 to 1; got -1'),
    (np.where(X > 0, np.nan, X), 'must be a grey level from 0 to 1; got nan'),
])
@pytest.mark.parametrize('make', [vae.AvgELBOLoss, lambda *p: vae.IWAELoss(*p, k=2)])
def test_bad_images(make, x, words):
    with pytest.raises(ValueError, match=words):
        make(*parts())(x.astype(np.float32))


class PixelsApart(vae.Decoder):
    """A decoder whose author forgot that an image is one observation."""

    def forward(self, z):
        return super().forward(z).distribution


class CodesApart(vae.Encoder):
    def forward(self, x):
        return super().forward(x).distribution


@pytest.mark.parametrize('make', [vae.AvgELBOLoss, lambda *p: vae.IWAELoss(*p, k=2)])
def test_a_forgotten_independent(make):
    encoder, decoder, prior = parts()
    with pytest.raises(ValueError, match=r'decoder must return a distribution of batch_shape '
                                         r'\(\d, 6\), .*; got \(\d, 6, 64\): wrap it'):
        make(encoder, PixelsApart(64, 2, 16), prior)(X)
    with pytest.raises(ValueError, match=r'encoder must return .*; got \(6, 2\): wrap it'):
        make(CodesApart(64, 2, 16), decoder, prior)(X)


def test_bad_codes():
    words = r'Decoder: z must have the shape \(..., 2\); got \(4, 3\)'
    with pytest.raises(ValueError, match=words):
        parts()[1](np.zeros((4, 3), np.float32))


def test_mixed_precision_gives_each_parameter_a_gradient_of_its_own_dtype():
    with chainer.using_config('dtype', chainer.mixed16):
        loss = vae.AvgELBOLoss(*parts(), k=2)
        y = loss(GREY.round().astype(np.float16))
        loss.cleargrads()
        y.backward()
    for parameter in loss.params():
        assert parameter.dtype == parameter.grad.dtype == np.float16


def test_the_loss_can_be_differentiated_twice():
    loss = vae.AvgELBOLoss(*parts(), beta=0.5)
    y = loss(GREY.round(), rng=np.random.default_rng(0))
    b = loss.decoder.output.b
    g, = chainer.grad([y], [b], enable_double_backprop=True)
    second, = chainer.grad([chainer.functions.sum(g)], [b])
    eps, results = np.float32(1e-2), []
    for sign in 1, -1:
        b.array += sign * eps
        y = loss(GREY.round(), rng=np.random.default_rng(0))
        results.append(chainer.grad([y], [b])[0].array.sum())
        b.array -= sign * eps
    assert second.array.sum() == pytest.approx((results[0] - results[1]) / (2 * eps), rel=2e-2)


# -- on a GPU -------------------------------------------------------------------------------

needs_gpu = pytest.mark.skipif(not devices.choose().is_gpu, reason='no GPU answers')


@needs_gpu
def test_training_goes_on_after_a_move_to_the_gpu_and_back():
    loss = vae.AvgELBOLoss(*parts(n_in=784, n_h=500))
    x = np.random.default_rng(0).integers(0, 2, (5, 784)).astype(np.float32)
    optimizer, losses = training.Adam().setup(loss), []
    for where in ('@numpy', devices.choose().device) * 2:
        loss.to_device(where)
        for _ in range(5):
            optimizer.update(loss, loss.device.send(x))
        losses.append(float(loss(loss.device.send(x)).array))
    assert losses == sorted(losses, reverse=True)


@needs_gpu
@pytest.mark.parametrize('decoder, options', [
    (vae.Decoder, {}), (vae.ContinuousBernoulliDecoder, {}),
    (vae.DiscretizedLogisticDecoder, {'n_levels': 17})])
@pytest.mark.parametrize('prior', [vae.Prior, lambda n: vae.MixturePrior(n, 3), vae.FlowPrior])
def test_the_gpu_agrees_with_the_cpu(decoder, options, prior):
    device = devices.choose().device
    loss = vae.AvgELBOLoss(*parts(decoder=decoder, prior=prior, **options), k=2)
    on_cpu = vae.log_likelihood(loss, GREY, k=20, rng=np.random.default_rng(0))
    loss.to_device(device)
    on_gpu = vae.log_likelihood(loss, device.send(GREY), k=20, rng=np.random.default_rng(0))
    for a, b in zip(on_cpu, on_gpu):
        np.testing.assert_allclose(a, b, rtol=1e-3)
    loss.cleargrads()
    loss(device.send(GREY)).backward()
    for parameter in loss.params():
        assert bool(device.xp.isfinite(parameter.grad).all())


@needs_gpu
def test_a_run_on_the_gpu_resumes_bit_for_bit(tmp_path):
    device = devices.choose().device
    x = device.send(TRAIN.images)

    def trainer(folder, epochs):
        training.set_seed(1)
        return training.make_trainer(vae.AvgELBOLoss(*parts()), x, epochs=epochs, out=folder,
                                     device=device, progress=None, snapshots=True,
                                     transform=vae.binarize, cuda_graph=False)

    whole, first = trainer(tmp_path / 'a', 4), trainer(tmp_path / 'b', 2)
    training.set_seed(1)
    whole.run()
    training.set_seed(1)
    first.run()
    resumed = trainer(tmp_path / 'b', 4)
    training.resume(training.latest(tmp_path / 'b'), resumed)
    resumed.run()
    targets = [t.updater.get_optimizer('main').target for t in (whole, resumed)]
    for a, b in zip(*[target.params() for target in targets], strict=True):
        assert bool((a.array == b.array).all())


# -- pictures -------------------------------------------------------------------------------

def test_mosaic_puts_each_image_in_its_place():
    images = np.arange(3 * 4, dtype=np.float32).reshape(3, 4)
    canvas = pictures.mosaic(images, n_columns=2)
    assert canvas.shape == (5, 5)
    np.testing.assert_array_equal(canvas[:2, 3:], images[1].reshape(2, 2))
    np.testing.assert_array_equal(canvas[3:, :2], images[2].reshape(2, 2))
    gap = np.float32(pictures.GAP)
    assert (canvas[3:, 3:] == gap).all() and (canvas[2] == gap).all()


# -- the command line -----------------------------------------------------------------------

QUICK = ['--n-hidden', '16', '--eval-k', '20', '--eval-images', '50', '--device', 'cpu']


def run(capsys, folder, *arguments):
    status = command_line.main(['--out', str(folder), *QUICK, *arguments])
    captured = capsys.readouterr()
    return status, (json.loads(captured.out) if status == 0 else captured.err)


@pytest.mark.parametrize('arguments', [
    (), ('--objective', 'iwae', '--k', '3', '--n-hidden', '16', '8', '--n-latent', '5'),
    ('--beta', '0.5', '--schedule', 'burda')])
def test_trains_and_tells(tmp_path, capsys, arguments):
    status, figures = run(capsys, tmp_path, '--epochs', '3', *arguments)
    assert status == 0
    assert figures == json.loads((tmp_path / 'result.json').read_text())
    assert figures['elbo'] == pytest.approx(-figures['rate'] - figures['distortion'])
    assert figures['log_likelihood'] < 0 < figures['bits_per_dim'] < 1.5
    for name in figures['pictures']:
        with PIL.Image.open(tmp_path / name) as picture:
            assert len(picture.text['Description'].split()) >= 8
    assert ('latent_plane.png' in figures['pictures']) == ('--n-latent' not in arguments)


def test_resumed_run_ends_as_one_that_was_not_interrupted(tmp_path, capsys):
    _, whole = run(capsys, tmp_path / 'a', '--epochs', '4', '--schedule', 'burda')
    # The schedule depends on the number of epochs, so the first part is stopped by hand.
    options = command_line.parser().parse_args(
        ['--out', str(tmp_path / 'b'), *QUICK, '--epochs', '4', '--schedule', 'burda'])

    class Stop(chainer.training.Extension):
        trigger, priority, name = (2, 'epoch'), -200, 'stop'

        def __call__(self, trainer):
            raise KeyboardInterrupt

    make_trainer = training.make_trainer

    def interrupted(*args, **kwargs):
        trainer = make_trainer(*args, **kwargs)
        trainer.extend(Stop())
        return trainer

    training.make_trainer = interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            command_line.run(options)
    finally:
        training.make_trainer = make_trainer
    status, resumed = run(capsys, tmp_path / 'b', '--epochs', '4', '--schedule', 'burda',
                          '--resume')
    assert status == 0
    assert resumed == whole
    # Once more: nothing is left to train, and the figures are the same.
    assert run(capsys, tmp_path / 'b', '--epochs', '4', '--schedule', 'burda',
               '--resume')[1] == whole


def test_refuses_to_mix_runs(tmp_path, capsys):
    assert run(capsys, tmp_path, '--epochs', '1')[0] == 0
    status, message = run(capsys, tmp_path, '--epochs', '1')
    assert status == 2 and 'add --resume' in message
    status, message = run(capsys, tmp_path, '--epochs', '2', '--resume', '--n-latent', '3')
    assert status == 2 and 'snapshot of something else' in message
    newest = training.latest(tmp_path)
    newest.write_bytes(newest.read_bytes()[:1000])
    status, message = run(capsys, tmp_path, '--epochs', '2', '--resume')
    assert status == 2 and 'is damaged or no snapshot' in message


def test_nothing_to_resume(tmp_path, capsys):
    status, message = run(capsys, tmp_path, '--resume')
    assert status == 2 and '--resume finds no snapshot' in message


@pytest.mark.parametrize('arguments', [('--k', '0'), ('--n-latent', '-1'), ('--epochs', 'x'),
                                       ('--objective', 'map')])
def test_bad_options(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit):
        run(capsys, tmp_path, *arguments)
    assert arguments[0] in capsys.readouterr().err


def test_bad_beta(tmp_path, capsys):
    status, message = run(capsys, tmp_path, '--beta', '-1')
    assert status == 2 and 'beta must be a finite number, 0 or more; got -1.0' in message


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no SIGINT for a child process')
def test_control_c_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        [sys.executable, '-m', 'course_lib.models.vae', '--epochs', '100000', '--out',
         str(tmp_path), *QUICK], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not list(tmp_path.glob('snapshot_*.npz')) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 'Interrupted.' in message and '--resume' in message and 'Traceback' not in message
    assert training.latest(tmp_path) is not None


def test_burdas_schedule():
    """3^i epochs of 3,280 at 10^(-i/7) of the step size."""
    schedule, seen = command_line.BurdaSchedule(1e-3), {}

    class Optimizer:
        alpha = None

    class Trainer:
        class updater:
            optimizer = Optimizer()
            epoch_detail = 0

            @classmethod
            def get_optimizer(cls, name):
                return cls.optimizer

    for epoch in range(3280):
        Trainer.updater.epoch_detail = epoch
        schedule(Trainer)
        seen[round(Trainer.updater.optimizer.alpha, 9)] = seen.get(
            round(Trainer.updater.optimizer.alpha, 9), 0) + 1
    assert list(seen.values()) == [3 ** i for i in range(8)]
    assert list(seen) == [round(1e-3 * 10 ** (-i / 7), 9) for i in range(8)]


def test_the_evidence_of_one_dimension_by_adaptive_quadrature():
    """An oracle that shares no code with the library: SciPy's quad over the latent variable."""
    encoder, decoder, prior = parts(n_latent=1, seed=7)
    loss = vae.AvgELBOLoss(encoder, decoder, prior)
    W, b = decoder.hidden[0].W.array, decoder.hidden[0].b.array
    V, c = decoder.output.W.array, decoder.output.b.array

    def joint(z, x):
        logit = np.tanh(W[:, 0] * z + b) @ V.T + c
        return math.exp((x * logit - np.logaddexp(0, logit)).sum() - z * z / 2) / math.sqrt(
            2 * math.pi)

    exact = [math.log(integrate.quad(joint, -10, 10, args=(x,), epsabs=0, epsrel=1e-6)[0])
             for x in X]
    estimate = vae.log_likelihood(loss, X, k=5000, rng=0).estimate
    np.testing.assert_allclose(estimate, exact, atol=0.05)
