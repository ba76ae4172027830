"""Pictures that move: a Matplotlib figure with sliders, for what a standing picture cannot show.

``likelihood``    the likelihood of one probability, as answers arrive
``shape``         the shape of a density against its family and parameters
``divergences``   both directions of the Kullback-Leibler divergence from a Normal to a target
``elbo_gap``      the evidence lower bound and its gap, for any guess of the posterior
``latent_plane``  what a variational autoencoder decodes from each code of two numbers

Each returns an :class:`Explorer`, which a notebook shows where it ends a cell. Write your own from
a figure and a function that moves its artists and returns a sentence.
"""
from course_lib.explore.bound import elbo_gap
from course_lib.explore.directions import divergences
from course_lib.explore.explorer import Explorer, Slider
from course_lib.explore.family import shape
from course_lib.explore.plane import latent_plane
from course_lib.explore.record import likelihood

__all__ = ['Explorer', 'Slider', 'divergences', 'elbo_gap', 'latent_plane', 'likelihood', 'shape']
