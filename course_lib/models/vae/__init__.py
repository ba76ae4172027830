"""The variational autoencoder (VAE): an encoder, a decoder and a prior, each a distribution.

``networks``    encoders, decoders and priors: links that return distributions
``objectives``  what is maximised: the ELBO, with free bits, the importance-weighted bound
``evaluation``  how good a trained model is: log-likelihood, rate and distortion, active units
``pictures``    what it has learnt, drawn

``python -m course_lib.models.vae --help`` trains one from the command line;
``course_lib.models.vae.parallel`` does so on several processes, and ``scaling`` times them;
``on_gpu`` times a GPU beside the CPU.
"""
from course_lib.models.vae.evaluation import (
    Likelihood,
    RateDistortion,
    active_units,
    bits_per_dim,
    log_likelihood,
    rate_distortion,
)
from course_lib.models.vae.networks import (
    ContinuousBernoulliDecoder,
    Decoder,
    DiscretizedLogisticDecoder,
    Encoder,
    FlowPrior,
    MixturePrior,
    Prior,
    binarize,
)
from course_lib.models.vae.objectives import AvgELBOLoss, FreeBitsLoss, IWAELoss

__all__ = ['AvgELBOLoss', 'ContinuousBernoulliDecoder', 'Decoder', 'DiscretizedLogisticDecoder',
           'Encoder', 'FlowPrior', 'FreeBitsLoss', 'IWAELoss', 'Likelihood', 'MixturePrior',
           'Prior', 'RateDistortion', 'active_units', 'binarize', 'bits_per_dim',
           'log_likelihood', 'rate_distortion']
