"""Sphinx's settings for the web edition; ``website.py`` says how it is built."""
import importlib.util
import pathlib
import sys

from docutils import nodes

sys.path.append(str(pathlib.Path(__file__).resolve().parent))
import website  # noqa: E402

project = 'Probability distributions in deep learning, with Chainer'
author = 'The authors of the course'
copyright = ('the authors of the course. Code: MIT. Text and figures: CC BY 4.0. '
             'Formulas drawn by MathJax (Apache 2.0)')
language = 'en-GB'

extensions = ['myst_nb']
nb_execution_mode = 'off'  # the stored outputs are the tested ones
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
myst_heading_slug_func = 'website.anchor'
smartquotes = False

html_theme = 'furo'
html_title = 'Probability distributions in deep learning'
html_static_path = ['_static']
html_css_files = ['custom.css']
html_js_files = ['custom.js']
html_favicon = '_static/favicon.svg'
html_copy_source = False
html_use_index = False
templates_path = ['_templates']
html_theme_options = {'top_of_page_buttons': []}
pygments_style = 'a11y-high-contrast-light'
pygments_dark_style = 'a11y-high-contrast-dark'

# One local file that draws formulas as SVG: no font and no other file is fetched.
_MATHJAX = pathlib.Path(importlib.util.find_spec('sphinx-mathjax-offline').origin).parent
html_static_path.append(str(_MATHJAX / 'static' / 'mathjax' / 'tex-svg.js'))
mathjax_path = 'tex-svg.js'
mathjax3_config = {
    'options': {'enableMenu': False},  # a menu would make each formula a stop of the Tab key
    'svg': {'scale': 0.95},
}


def setup(app):
    """Connects what the theme leaves to be mended; Sphinx calls it."""
    app.connect('doctree-read', formulas_side_by_side)
    app.connect('html-page-context', without_headings_in_menu, priority=900)  # after the theme's


def without_headings_in_menu(app, pagename, templatename, context, doctree):
    """The menu's captions are no headings of the page: a heading needs a level, and h1 is first."""
    tree = context.get('furo_navigation_tree', '')
    context['furo_navigation_tree'] = tree.replace(' role="heading"', '')


def formulas_side_by_side(app, doctree):
    r"""A display of several statements, with \qquad between them, wraps on a narrow screen."""
    for display in list(doctree.findall(nodes.math_block)):
        parts = website.statements(display.astext())
        if len(parts) > 1:
            row = nodes.container(classes=['formulas'])
            for part in parts:
                row += nodes.math_block(part, part, **{**display.attributes, 'ids': []})
            display.replace_self(row)
