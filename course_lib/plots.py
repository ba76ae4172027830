"""Figures that describe themselves, in colours that everyone can tell apart."""
import io

import matplotlib
from matplotlib import pyplot as plt
import PIL.Image

# Okabe and Ito (2008), "Color Universal Design": distinct for every kind of colour vision.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, BLACK = COLORS


def set_style():
    """Sets the style of all figures: the palette, readable sizes, light grid."""
    matplotlib.rcParams.update({
        'axes.prop_cycle': matplotlib.cycler(color=COLORS),
        'axes.grid': True, 'axes.axisbelow': True, 'grid.alpha': 0.3,
        'axes.spines.top': False, 'axes.spines.right': False,
        'figure.figsize': (6.4, 3.6), 'figure.dpi': 100, 'figure.constrained_layout.use': True,
        'font.size': 10, 'axes.titlesize': 11, 'legend.frameon': False, 'lines.linewidth': 2,
    })


def show(figure, sentence):
    """Shows a figure together with one sentence that says what is in it.

    The sentence is stored as the output's text and as the picture's alternative text: a screen
    reader reads it, and the notebooks' tests compare it. So compute it from the plotted data.

    Args:
        figure (matplotlib.figure.Figure): A figure in which every axes has a title and two labels.
        sentence (str): What the figure shows, 8 words or more, ending with a full stop.

    Raises:
        TypeError: If ``figure`` is not a Matplotlib figure.
        ValueError: If the sentence is too short, or a title or an axis label is missing.
    """
    if not isinstance(figure, matplotlib.figure.Figure):
        raise TypeError(f'figure must be a Matplotlib figure; got {type(figure).__name__}')
    if len(sentence.split()) < 8 or not sentence.endswith('.'):
        raise ValueError('sentence must describe the figure in 8 words or more and end with a full '
                         f'stop; got {sentence!r}')
    for axes in figure.axes:
        if axes.get_label() == '<colorbar>':
            if not (axes.get_ylabel() or axes.get_xlabel()):
                raise ValueError('figure must label its colour bar; it has no label')
        else:
            for what, text in (('a title', axes.get_title() or figure.get_suptitle()),
                               ('a label on the x axis', axes.get_xlabel()),
                               ('a label on the y axis', axes.get_ylabel())):
                if not text:
                    raise ValueError(f'figure must have {what} on each of its axes; one has none')
    picture = _png(figure)
    plt.close(figure)
    from IPython.display import display
    display({'image/png': picture, 'text/plain': sentence},
            metadata={'image/png': {'alt': sentence}}, raw=True)


def _png(figure):
    """The figure as a PNG of 128 colours, a third of the usual size, without metadata."""
    full = io.BytesIO()
    figure.savefig(full, format='png')
    small = io.BytesIO()
    PIL.Image.open(full).convert('RGB').quantize(128).save(small, format='png', optimize=True)
    return small.getvalue()
