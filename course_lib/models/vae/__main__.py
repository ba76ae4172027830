"""Trains a variational autoencoder from the command line.

    python -m course_lib.models.vae
    python -m course_lib.models.vae --data mnist --n-hidden 500 --n-latent 20 --epochs 30
    python -m course_lib.models.vae --data mnist --objective iwae --k 5 --n-hidden 200 200
    python -m course_lib.models.vae --resume

Pixels are drawn anew at every step, black with the probability of their ink. Into the output folder
go the log, a snapshot an epoch, the final figures (result.json) and pictures.
"""
import argparse
import json
import pathlib
import sys

import chainer
import matplotlib

from course_lib import datasets, devices, plots, training
from course_lib.files import write_json
from course_lib.models import vae
from course_lib.models.vae import pictures


def parser():
    """The command line's arguments."""
    arguments = argparse.ArgumentParser(
        prog='python -m course_lib.models.vae', description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = arguments.add_argument
    add('--data', choices=('digits', 'mnist'), default='digits',
        help='8 x 8 digits that ship with the course, or MNIST, downloaded once')
    add('--objective', choices=('elbo', 'iwae'), default='elbo', help='what is maximised')
    add('--k', type=_positive, default=1, help='samples of z an image and step')
    add('--beta', type=float, default=1., help='weight of the KL term (objective elbo)')
    add('--n-latent', type=_positive, default=2, help='latent dimensions')
    add('--n-hidden', type=_positive, nargs='+', default=[128],
        help='tanh units of each hidden layer of the encoder; the decoder mirrors it')
    add('--epochs', type=_positive, default=40, help='passes through the training data')
    add('--batch', type=_positive, default=100, help='images a step')
    add('--alpha', type=float, default=1e-3, help='step size of Adam')
    add('--schedule', choices=('constant', 'burda'), default='constant',
        help='step size over time; burda: 1, 3, 9, 27 ... epochs, each stage 10^(1/7) lower')
    add('--seed', type=int, default=0, help='of weights, order and samples')
    add('--eval-k', type=_positive, default=500,
        help='importance samples of the log-likelihood, for each test image')
    add('--eval-images', type=_positive, help='test images for that; all of them if not given')
    add('--device', choices=('auto', 'cpu', 'gpu'), default='auto', help='where to compute')
    add('--cuda-graph', action=argparse.BooleanOptionalAction,
        help='record the training step as a CUDA graph (default: on a GPU)')
    add('--out', type=pathlib.Path, default=pathlib.Path('vae_result'), help='output folder')
    add('--resume', action='store_true', help='go on from the newest snapshot in the folder')
    return arguments


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number, 1 or more; got {text}')
    return int(text)


def load(name):
    """The images to learn from and to test on, arrays of shape ``(n, n_pixels)``."""
    train, test = datasets.load_mnist() if name == 'mnist' else datasets.load_digits().split()
    return train.images, test.images


def make_loss(n_in, options):
    """An untrained model with the objective that the command line asks for."""
    n_h = tuple(options.n_hidden)
    parts = (vae.Encoder(n_in, options.n_latent, n_h), vae.Decoder(n_in, options.n_latent, n_h),
             vae.Prior(options.n_latent))
    if options.objective == 'iwae':
        return vae.IWAELoss(*parts, k=options.k)
    return vae.AvgELBOLoss(*parts, beta=options.beta, k=options.k)


class BurdaSchedule(chainer.training.Extension):
    """Step size alpha 10^(-i/7) for 3^i epochs, i = 0 ... 7; a shorter run is the beginning of it.

    Source: Burda, Grosse and Salakhutdinov (2016), Importance Weighted Autoencoders, sec. 5 (3,280
    epochs in all).
    """

    trigger = 1, 'iteration'
    name = 'burda_schedule'

    def __init__(self, alpha):
        self.alpha = alpha

    def initialize(self, trainer):
        self(trainer)

    def __call__(self, trainer):
        epoch = trainer.updater.epoch_detail
        stage = next((i for i in range(7) if epoch < (3 ** (i + 1) - 1) / 2), 7)
        trainer.updater.get_optimizer('main').alpha = self.alpha * 10 ** (-stage / 7)


def final_figures(model, x, options):
    """What result.json says of the trained model, on the test images, black or white."""
    training.set_seed(options.seed + 1)
    x = vae.binarize(x)
    parts = vae.rate_distortion(model, x, k=1)
    scored = x[:options.eval_images]
    likelihood = vae.log_likelihood(model, scored, k=options.eval_k)
    return {
        'test_images': len(x), 'epochs': options.epochs,
        'elbo': float(-(parts.rate + parts.distortion).mean()),
        'rate': float(parts.rate.mean()), 'distortion': float(parts.distortion.mean()),
        'log_likelihood': float(likelihood.estimate.mean()),
        'log_likelihood_images': len(scored), 'log_likelihood_k': options.eval_k,
        'effective_samples': float(likelihood.effective_samples.mean()),
        'bits_per_dim': float(vae.bits_per_dim(likelihood.estimate.mean(), x.shape[1])),
        'active_units': int(vae.active_units(model, x).is_active.sum()),
    }


def write_pictures(folder, model, x, curves, seed):
    """Draws what has been learnt, as PNG files."""
    drawn = {'reconstructions': pictures.reconstructions(model, x),
             'samples': pictures.samples(model, rng=seed),
             'curves': pictures.training_curves(curves)}
    if model.decoder.n_latent == 2:
        drawn['latent_plane'] = pictures.latent_plane(model)
    for name, (figure, sentence) in drawn.items():
        figure.savefig(folder / f'{name}.png', metadata={'Description': sentence})
        matplotlib.pyplot.close(figure)
    return sorted(f'{name}.png' for name in drawn)


def run(options):
    """Trains, evaluates, draws; returns the final figures.

    Raises:
        ValueError: If the options cannot be met; the message says which and why.
    """
    snapshot = training.latest(options.out) if options.out.exists() else None
    if snapshot and not options.resume:
        raise ValueError(f'--out {options.out} holds snapshots of an earlier run; add --resume to '
                         'go on with it, or name another folder')
    if options.resume and not snapshot:
        raise ValueError(f'--resume finds no snapshot in {options.out}; leave it out to start')
    choice = devices.decide('' if options.device == 'auto' else options.device)
    if options.device == 'gpu' and not choice.is_gpu:
        raise ValueError(f'--device gpu: no GPU can be used. {choice.sentence}')
    if options.cuda_graph and not choice.is_gpu:
        raise ValueError(f'--cuda-graph needs a GPU. {choice.sentence}')
    print(choice.sentence, file=sys.stderr)
    choice.device.use()
    plots.set_style()
    training.set_seed(options.seed)
    train, test = (choice.device.send(images) for images in load(options.data))
    loss = make_loss(train.shape[1], options)
    trainer = training.make_trainer(
        loss, train, test, epochs=options.epochs, batch_size=options.batch, out=options.out,
        optimizer=training.Adam(alpha=options.alpha), transform=vae.binarize,
        device=choice.device, progress=options.objective, snapshots=True,
        cuda_graph=options.cuda_graph)
    if options.schedule == 'burda':
        trainer.extend(BurdaSchedule(options.alpha))
    if snapshot:
        training.resume(snapshot, trainer)
    if trainer.updater.epoch < options.epochs:
        trainer.run()
    figures = final_figures(loss, test, options)
    curves = training.curves(trainer)
    figures['pictures'] = write_pictures(options.out, loss, test, curves, options.seed)
    write_json(options.out / 'result.json', figures)
    return figures


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    matplotlib.use('agg')
    options = parser().parse_args(arguments)
    try:
        print(json.dumps(run(options), indent=1))
    except KeyboardInterrupt:
        print('\nInterrupted. What was finished of the last whole epoch is saved; add --resume to '
              'go on.', file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
