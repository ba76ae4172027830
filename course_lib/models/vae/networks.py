"""Encoders, decoders and priors: links that return distributions."""

import chainer
from chainer import functions as F
import numpy

import course_lib.distributions as D
from course_lib.distributions import checks
from course_lib.models.layers import Linear


def binarize(images):
    """Draws black-or-white images: a pixel is 1 with probability its grey level.

    Drawn anew at every step ("dynamic binarisation"), this makes of a grey image as many binary
    observations as one likes, and the Bernoulli decoder a likelihood.

    Args:
        images: NumPy or CuPy array of grey levels from 0 to 1, any shape.

    Returns:
        float32 array of that shape, of zeros and ones, drawn from the global random state.

    Source: Burda, Grosse and Salakhutdinov (2016), Importance Weighted Autoencoders, sec. 5.1;
    Salakhutdinov and Murray (2008).
    """
    xp = chainer.backend.get_array_module(images)
    return (xp.random.random_sample(images.shape) < images).astype(numpy.float32)


class _MLP(chainer.ChainList):
    """tanh layers of the sizes ``n_h``, over the last axis of an array of any number of axes."""

    def __init__(self, n_in, n_h):
        sizes = (n_in, *n_h)
        super().__init__(*[Linear(a, b, is_tanh=True) for a, b in zip(sizes, sizes[1:])])

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x


def _size(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, (int, numpy.integer)) or value < 1:
        raise ValueError(f'{owner}: {name} must be a whole number, 1 or more; got {value!r}')
    return int(value)


def _sizes(owner, name, value):
    values = value if isinstance(value, (tuple, list)) else (value,)
    if not values:
        raise ValueError(f'{owner}: {name} must name at least one layer; got {value!r}')
    return tuple(_size(owner, name, v) for v in values)


class Encoder(chainer.Chain):
    r"""Maps an image to a distribution of its latent code, q(z | x).

    .. math:: h = \tanh(W x + b), \quad
        q(z \mid x) = \prod_j \mathcal N(z_j;\ \mu_j(h),\ e^{2 \ln\sigma_j(h)})

    Args:
        n_in (int): Number of pixels of an image.
        n_latent (int): Number of latent dimensions.
        n_h (int or tuple of int): Units of the hidden layer, or of each of several.

    Raises:
        ValueError: If a size is not a whole number, 1 or more.

    Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes, appendix C.2; the names are
    those of Chainer's VAE example.

    Example:
        >>> encoder = Encoder(n_in=64, n_latent=2, n_h=100)
        >>> encoder(numpy.zeros((5, 64), numpy.float32)).batch_shape
        (5,)
    """

    def __init__(self, n_in, n_latent, n_h):
        super().__init__()
        self.n_in = _size('Encoder', 'n_in', n_in)
        self.n_latent = _size('Encoder', 'n_latent', n_latent)
        n_h = _sizes('Encoder', 'n_h', n_h)
        with self.init_scope():
            self.hidden = _MLP(n_in, n_h)
            self.mu = Linear(n_h[-1], n_latent)
            self.ln_sigma = Linear(n_h[-1], n_latent)

    def forward(self, x):
        """q(z | x): Independent Normal of batch shape ``(n,)`` and event shape ``(n_latent,)``.

        Args:
            x: Array of shape ``(n, n_in)``, each pixel from 0 to 1.

        Raises:
            ValueError: If ``x`` has another shape, or a pixel is not a number from 0 to 1.
        """
        if x.ndim != 2 or x.shape[1] != self.n_in:
            raise ValueError(f'Encoder: x must have the shape (number of images, {self.n_in}); '
                             f'got {x.shape}')
        if checks.is_enabled():
            array = x.array if isinstance(x, chainer.Variable) else x
            checks.check('Encoder', 'every pixel of x', array, _grey)
        h = self.hidden(x)
        return D.Independent(D.Normal(loc=self.mu(h), log_scale=self.ln_sigma(h)))


_grey = checks.probability._replace(words='a grey level from 0 to 1')


class Decoder(chainer.Chain):
    r"""Maps a latent code to a distribution of images, p(x | z): one Bernoulli a pixel.

    .. math:: h = \tanh(W z + b), \quad
        p(x \mid z) = \prod_i \mathrm{Bernoulli}(x_i;\ \mathrm{logit}_i(h))

    Args:
        n_in (int): Number of pixels of an image.
        n_latent (int): Number of latent dimensions.
        n_h (int or tuple of int): Units of the hidden layer, or of each of several, in the order
            of the encoder (they are used in reverse).
        binary_check (bool): As in :class:`course_lib.distributions.Bernoulli`: ``False`` takes
            grey levels too, and ``log_prob`` is then minus a cross-entropy, not a log-probability.

    Raises:
        ValueError: If a size is not a whole number, 1 or more.

    Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes, appendix C.1; the names are
    those of Chainer's VAE example.
    """

    n_outputs = 1   # numbers that the distribution of one pixel needs

    def __init__(self, n_in, n_latent, n_h, binary_check=False):
        super().__init__()
        owner = type(self).__name__
        self.n_in = _size(owner, 'n_in', n_in)
        self.n_latent = _size(owner, 'n_latent', n_latent)
        n_h = _sizes(owner, 'n_h', n_h)
        self.binary_check = binary_check
        with self.init_scope():
            self.hidden = _MLP(n_latent, n_h[::-1])
            self.output = Linear(n_h[0], self.n_outputs * n_in)

    def forward(self, z):
        """p(x | z), of batch shape ``z.shape[:-1]`` and event shape ``(n_in,)``.

        Args:
            z: Array of shape ``(..., n_latent)``.

        Raises:
            ValueError: If the last axis of ``z`` is of another length.
        """
        if not z.ndim or z.shape[-1] != self.n_latent:
            raise ValueError(f'{type(self).__name__}: z must have the shape (..., {self.n_latent});'
                             f' got {z.shape}')
        h = self.output(self.hidden(z))
        return D.Independent(self.pixels(h), reinterpreted_batch_ndims=1)

    def pixels(self, h):
        """The distribution of the single pixels, given the outputs of the network."""
        return D.Bernoulli(logit=h, binary_check=self.binary_check)


class ContinuousBernoulliDecoder(Decoder):
    """A decoder of real grey levels from 0 to 1: one continuous Bernoulli a pixel.

    Arguments, shapes and errors are those of :class:`Decoder`. ``log_prob`` is a log-density.

    Source: Loaiza-Ganem and Cunningham (2019), The continuous Bernoulli: fixing a pervasive error
    in variational autoencoders, eq. 8.
    """

    def __init__(self, n_in, n_latent, n_h):
        super().__init__(n_in, n_latent, n_h)

    def pixels(self, h):
        return D.ContinuousBernoulli(logit=h)


class DiscretizedLogisticDecoder(Decoder):
    """A decoder of grey levels 0, 1 / (n - 1), ..., 1: one discretised logistic a pixel.

    The network gives ``loc`` and ``log_scale`` of every pixel. ``log_prob`` is the logarithm of
    the probability of a level, so it compares with that of any other model of the same levels.

    Args:
        n_in, n_latent, n_h: As for :class:`Decoder`.
        n_levels (int): Number of grey levels, 2 or more: 17 for the 8 x 8 digits, 256 for MNIST.

    Raises:
        ValueError: As :class:`Decoder`; if ``n_levels`` is less than 2.

    Source: Kingma et al. (2016), Improved variational inference with inverse autoregressive flow,
    sec. 5.2; with open ends at 0 and 1, Salimans et al. (2017), PixelCNN++, eq. 2.
    """

    n_outputs = 2

    def __init__(self, n_in, n_latent, n_h, n_levels):
        super().__init__(n_in, n_latent, n_h)
        self.n_levels = _size(type(self).__name__, 'n_levels', n_levels)
        if self.n_levels < 2:
            raise ValueError('DiscretizedLogisticDecoder: n_levels must be 2 or more; '
                             f'got {n_levels!r}')

    def pixels(self, h):
        loc, log_scale = F.split_axis(h, 2, axis=-1)
        # Centred on mid-grey and half a grey scale wide at first, whatever the initial weights.
        return D.DiscretizedLogistic(
            loc + 0.5, F.clip(log_scale - 2., -7., 2.), low=0., high=1., n_levels=self.n_levels)


class Prior(chainer.Link):
    """p(z), the distribution of latent codes before anything is seen: a standard Normal.

    Args:
        n_latent (int): Number of latent dimensions.

    Raises:
        ValueError: If ``n_latent`` is not a whole number, 1 or more.
    """

    def __init__(self, n_latent):
        super().__init__()
        n_latent = _size('Prior', 'n_latent', n_latent)
        self.loc = numpy.zeros(n_latent, numpy.float32)
        self.log_scale = numpy.zeros(n_latent, numpy.float32)
        self.register_persistent('loc')
        self.register_persistent('log_scale')

    def forward(self):
        """p(z): Independent Normal of batch shape ``()`` and event shape ``(n_latent,)``."""
        return D.Independent(D.Normal(self.loc, log_scale=self.log_scale),
                             reinterpreted_batch_ndims=1)


class MixturePrior(chainer.Link):
    """p(z): a mixture of Normals whose weights, means and scales are learnt.

    Args:
        n_latent (int): Number of latent dimensions.
        n_components (int): Number of Normals.

    Raises:
        ValueError: If a size is not a whole number, 1 or more.

    Source: Dilokthanakul et al. (2016), Deep unsupervised clustering with Gaussian mixture VAEs;
    Tomczak and Welling (2018), VAE with a VampPrior, sec. 2 ("MoG").
    """

    def __init__(self, n_latent, n_components):
        shape = (_size('MixturePrior', 'n_components', n_components),
                 _size('MixturePrior', 'n_latent', n_latent))
        super().__init__()
        with self.init_scope():
            self.weights_logit = chainer.Parameter(0., shape[:1])
            self.loc = chainer.Parameter(chainer.initializers.Normal(1.), shape)
            self.log_scale = chainer.Parameter(0., shape)

    def forward(self):
        """p(z): Mixture of batch shape ``()`` and event shape ``(n_latent,)``."""
        return D.Mixture(self.weights_logit,
                         D.Independent(D.Normal(self.loc, log_scale=self.log_scale)))


class FlowPrior(chainer.Chain):
    """p(z): a standard Normal bent by affine coupling layers ("real NVP"), which are learnt.

    Args:
        n_latent (int): Number of latent dimensions, 2 or more.
        n_h (int): Hidden units of the network in each coupling layer.
        n_layers (int): Number of coupling layers.

    Raises:
        ValueError: If a size is not a whole number, or too small.

    Source: Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP, eqs. 4 to 9.
    """

    def __init__(self, n_latent, n_h=32, n_layers=4):
        n_latent = _size('FlowPrior', 'n_latent', n_latent)
        if n_latent < 2:
            raise ValueError('FlowPrior: n_latent must be 2 or more, because one half of the '
                             f'dimensions bends the other; got {n_latent}')
        n_h, n_layers = _size('FlowPrior', 'n_h', n_h), _size('FlowPrior', 'n_layers', n_layers)
        super().__init__()
        with self.init_scope():
            self.base = Prior(n_latent)
            self.nets = chainer.ChainList(*[_Coupling(n_latent, n_h) for _ in range(n_layers)])
        masks = [numpy.arange(n_latent) % 2 == i % 2 for i in range(n_layers)]
        self.transforms = [D.transforms.AffineCoupling(mask.astype(numpy.float32), net)
                           for mask, net in zip(masks, self.nets)]

    def forward(self):
        """p(z): Transformed, of batch shape ``()`` and event shape ``(n_latent,)``."""
        return D.Transformed(self.base(), self.transforms)


class _Coupling(chainer.Chain):
    """The network of a coupling layer; it starts as the identity."""

    def __init__(self, n_latent, n_h):
        super().__init__()
        with self.init_scope():
            self.hidden = _MLP(n_latent, (n_h,))
            self.output = Linear(n_h, 2 * n_latent, initialW=0)

    def forward(self, x):
        shift, log_scale = F.split_axis(self.output(self.hidden(x)), 2, axis=-1)
        return shift, 2 * F.tanh(log_scale)
