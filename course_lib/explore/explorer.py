"""What all explorers share: sliders, a figure that is redrawn in place, and a sentence."""
import html
import io
import math
import numbers
import sys
from typing import NamedTuple, Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
import numpy
import PIL.Image

from course_lib import plots

WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json'


class Slider(NamedTuple):
    """What can be moved: a slider over numbers, or a menu of words."""

    label: str        # with the unit of the numbers
    values: Sequence  # those it can take, in order: numbers, or words
    start: object     # the one that the figure shows at first


class Explorer:
    """A figure with sliders.

    Where a notebook is live it shows sliders above a picture, and below it the sentence that
    describes the picture; all three follow the mouse and the arrow keys. Everywhere else (a web
    page, a notebook that is only read, no ``ipywidgets``) it is the figure at the first positions
    of the sliders, with its sentence as the alternative text, as :func:`course_lib.show` makes it.

    The picture is drawn by the kernel and sent as a PNG, so it needs no extension of the front end
    but that of ``ipywidgets``, which Colab and the course's JupyterLab have.

    Args:
        figure (matplotlib.figure.Figure): What is redrawn; made with :class:`Figure`, not with
            pyplot, so that nothing else shows it. Titles and labels as for :func:`course_lib.show`.
            The artists that move carry the flag ``animated``: all others are drawn only once.
        move: A function with the sliders' names as arguments. It moves these artists
            (``set_data`` and the like) and returns a sentence computed from what they now show.
        **sliders (Slider): The sliders by name, in the order in which they are shown.

    Raises:
        TypeError: If ``figure`` is not a figure, or a slider not a :class:`Slider`.
        ValueError: If there is no slider, or one has fewer than two values or starts at none of
            them.

    Example:
        >>> figure = matplotlib.figure.Figure()
        >>> line, = figure.subplots().plot([0, 1], [0, 1], animated=True)
        >>> def move(slope):
        ...     line.set_ydata([0, slope])
        ...     return f'A line from 0 to {line.get_ydata()[1]} at the right end.'
        >>> Explorer(figure, move, slope=Slider('slope (no unit)', (1, 2, 3), 1)).move(slope=2)
        'A line from 0 to 2 at the right end.'
    """

    def __init__(self, figure, move, **sliders):
        if not isinstance(figure, matplotlib.figure.Figure):
            raise TypeError(f'figure must be a Matplotlib figure; got {type(figure).__name__}')
        if not sliders:
            raise ValueError('an explorer needs at least one slider; got none')
        for name, slider in sliders.items():
            if not isinstance(slider, Slider):
                raise TypeError(f'{name} must be a Slider(label, values, start); '
                                f'got {type(slider).__name__}')
            if len(slider.values) < 2:
                raise ValueError(f'{name} must have two values or more to move between; '
                                 f'got {len(slider.values)}')
            if slider.start not in list(slider.values):
                raise ValueError(f'{name} must start at one of its values; got {slider.start!r}')
        self.figure, self.sliders = figure, sliders
        self._move = move
        self._canvas = FigureCanvasAgg(figure)
        self._background = None

    @property
    def start(self):
        """dict: The first value of each slider, by name."""
        return {name: slider.start for name, slider in self.sliders.items()}

    def move(self, **values):
        """Moves the figure's artists; a slider that is not named is at its first position.

        Args:
            **values: Values of sliders, by name.

        Returns:
            str: The sentence that describes the figure as it is now.

        Raises:
            TypeError: If there is no slider of that name.
            ValueError: If the slider does not take that value.
        """
        for name, value in values.items():
            if name not in self.sliders:
                raise TypeError(f'this explorer moves {", ".join(self.sliders)}; got {name!r}')
            allowed = list(self.sliders[name].values)
            if value not in allowed:
                raise ValueError(f'{name} must be one of the {len(allowed)} values from '
                                 f'{allowed[0]} to {allowed[-1]}; got {value!r}')
        return self._move(**{**self.start, **values})

    def frame(self, **values):
        """One picture of the film: the figure after :meth:`move`, as PNG.

        Returns:
            tuple of bytes and str: The picture and its sentence.
        """
        sentence = self.move(**values)
        if self._background is None:
            self._canvas.draw()   # finds places for the axes, draws what stands still
            self.figure.set_layout_engine('none')
            self._background = self._canvas.copy_from_bbox(self.figure.bbox)
            moving = self.figure.findobj(lambda artist: artist.get_animated())
            self._moving = sorted(moving, key=lambda artist: artist.get_zorder())
        else:
            self._canvas.restore_region(self._background)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        png = io.BytesIO()
        picture = PIL.Image.fromarray(numpy.asarray(self._canvas.buffer_rgba())).convert('RGB')
        picture.save(png, format='png', compress_level=1)
        return png.getvalue(), sentence

    def widget(self):
        """The sliders, the picture and the sentence as one widget of ``ipywidgets`` (7 or 8).

        Raises:
            ImportError: If ``ipywidgets`` is not installed.
        """
        import ipywidgets
        controls = {name: _control(ipywidgets, slider) for name, slider in self.sliders.items()}
        width, height = self._canvas.get_width_height()
        picture = ipywidgets.Image(format='png', width=width, height=height)
        caption = ipywidgets.HTML()

        def redraw(_):
            picture.value, sentence = self.frame(**{k: c.value for k, c in controls.items()})
            caption.value = html.escape(sentence)

        redraw(None)
        for control in controls.values():
            control.observe(redraw, 'value')
        return ipywidgets.VBox([*controls.values(), picture, caption])

    def _ipython_display_(self):
        sentence = self.move()
        try:
            widget = self.widget()
        except ImportError:
            print('The sliders need ipywidgets (python -m pip install ipywidgets). Without it, '
                  'this is the figure at their first positions.')
            plots.show(self.figure, sentence)
            return
        # One output in several forms: a live notebook shows the widget, any other the picture.
        output = {WIDGET_VIEW: {'version_major': 2, 'version_minor': 0,
                                'model_id': widget.model_id},
                  'image/png': plots._png(self.figure), 'text/plain': sentence}
        if 'google.colab' in sys.modules:
            del output['image/png']   # which of several forms Colab shows is documented nowhere
        from IPython.display import display
        display(output, metadata={'image/png': {'alt': sentence}}, raw=True)


def _control(ipywidgets, slider):
    look = {'description': slider.label, 'style': {'description_width': '16em'},
            'layout': {'width': '36em', 'max_width': '100%'}}
    if isinstance(slider.values[0], str):
        return ipywidgets.Dropdown(options=list(slider.values), value=slider.start, **look)
    return ipywidgets.SelectionSlider(
        options=[(f'{value:g}', value) for value in slider.values], value=slider.start, **look)


def number_slider(name, label, values, near, above=-math.inf):
    """A slider over numbers, which starts at the one nearest to ``near``.

    Args:
        name (str): Name of the argument, for error messages.
        label (str): What stands beside the slider, with the unit.
        values: Numbers in rising order, two or more, all above ``above``.
        near (float): Where to start.
        above (float): A bound.

    Raises:
        TypeError: If ``values`` are not numbers.
        ValueError: If there are fewer than two, they do not rise, or one is not finite or too low.
    """
    given = values
    values = list(values) if hasattr(values, '__iter__') else [None]
    if not all(isinstance(v, numbers.Real) for v in values):
        raise TypeError(f'{name} must be a range or a list of numbers; got {given!r}')
    if len(values) < 2 or not numpy.isfinite(values).all() or (numpy.diff(values) <= 0).any():
        raise ValueError(f'{name} must be two finite numbers or more, in rising order; got '
                         f'{values[:5]}')
    if values[0] <= above:
        raise ValueError(f'{name} must be above {above:g}; got {values[0]:g}')
    return Slider(label, values, min(values, key=lambda v: abs(v - near)))
