"""The web edition: built once, then every page in a real browser, wide, narrow, light, dark."""
import contextlib
import functools
import html.parser
import http.server
import importlib.util
import json
import os
import pathlib
import re
import shutil
import threading
import urllib.parse

import pytest
import release
import website

CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'))), None)
MISSING = [text for text, is_there in {
    'what builds the web edition (make web)': website.is_prepared(),
    'Chromium': CHROMIUM,
    'the package axe-playwright-python': importlib.util.find_spec('axe_playwright_python'),
    'the package playwright': importlib.util.find_spec('playwright'),
}.items() if not is_there]
REQUIRED = os.environ.get('COURSE_REQUIRE_WEB') == '1'
needs_site = pytest.mark.skipif(
    bool(MISSING) and not REQUIRED,
    reason=f'the web edition was not tried; this machine lacks {" and ".join(MISSING)}')

SOURCES = [name for part in website.pages().values() for name in part]
PAGES = ['index.html', 'search.html',
         *(str(pathlib.PurePosixPath(name).with_suffix('.html')) for name in SOURCES)]
# Keeps Chromium from calling home, which an offline machine would refuse many times over.
ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync']

# Axe takes its time over every element. So a formula is a box to it, and code is plain: its colours
# are judged by COLORS_OF_CODE. For contrast it gets one leaf of each kind.
SIMPLIFY = '''() => {
    for (const formula of document.querySelectorAll('mjx-container')) formula.replaceChildren();
    for (const code of document.querySelectorAll('pre')) {
        code.querySelectorAll('span').forEach(word => word.replaceWith(...word.childNodes));
    }
}'''
ONE_OF_EACH_KIND = '''() => {
    const kind = e => e ? kind(e.parentElement) + '>' + e.tagName + '.' + e.className : '';
    const seen = new Set();
    for (const element of document.querySelectorAll('article :not(:has(*))')) {
        if (seen.has(kind(element))) element.remove();
        seen.add(kind(element));
    }
}'''
COLORS_OF_CODE = '''() => {
    const pairs = [...document.querySelectorAll('.highlight span')].map(word =>
        getComputedStyle(word).color + ';'
        + getComputedStyle(word.closest('.highlight')).backgroundColor);
    return [...new Set(pairs)];
}'''
# Every box of which more is to the right has a shadow there, and no other.
MARKS_ARE_RIGHT = '''() => [...document.querySelectorAll(
    'article :is(pre, div.math, span.math, .table-wrapper)')].every(box => {
        const hidden = box.scrollWidth - box.clientWidth - box.scrollLeft;
        return hidden > 1 == getComputedStyle(box).boxShadow.includes('inset');
    })'''
RAW_MATHEMATICS = r'''() => {
    const copy = document.querySelector('article').cloneNode(true);
    copy.querySelectorAll('pre, code, mjx-container, script').forEach(e => e.remove());
    return copy.textContent.match(/.{0,30}(\$|\\\(|\\\[|\\[a-z]{2,}).{0,30}/g);
}'''


# --- The sources ------------------------------------------------------------------

def test_a_link_leads_to_a_page_or_to_the_repository(monkeypatch):
    monkeypatch.setattr(website, 'repository', lambda: 'https://example.org/course')
    text = website.markdown(
        '[a](01_estimate_launch_risk.ipynb) [b](../README.md#start) [c](../course_lib/plots.py#L3) '
        '[d](../course_lib) [e](https://example.org/x) [f](#here) `x[0](y)`', 'notebooks/a.ipynb')
    assert text == (
        '[a](01_estimate_launch_risk.ipynb) [b](../index.md#start) '
        '[c](https://example.org/course/blob/main/course_lib/plots.py#L3) '
        '[d](https://example.org/course/tree/main/course_lib) [e](https://example.org/x) '
        '[f](#here) `x[0](y)`')


@pytest.fixture(params=[f'https://github.com/{owner}/course' for owner in
                        (release.PLACEHOLDER, 'owner')])
def is_published(request, monkeypatch):
    """Sets one address of the repository after the other; tells whether it is a real one."""
    monkeypatch.setattr(website, 'repository', lambda: request.param)
    return release.PLACEHOLDER not in request.param


def test_a_badge_becomes_words_once_there_is_an_address(is_published):
    badge = '[![Open in Colab](https://a.b/c.svg)](https://a.b/d)'
    words = '[Open in Colab](https://a.b/d)' if is_published else ''
    assert website.markdown(f'# A\n\n{badge}\n\nB', 'README.md') == f'# A\n\n{words}\n\nB'
    assert website.markdown(badge.replace('Colab', 'x'), 'README.md') == '[Open in x](https://a.b/d)'


def test_the_lessons_lead_to_colab_once_there_is_an_address(is_published, tmp_path):
    website.lay_out(tmp_path / 'source')
    count = len(website.pages()['Lessons'])
    front = (tmp_path / 'source' / 'index.md').read_text(encoding='utf-8')
    assert front.count('[Open in Colab](') == is_published * count
    assert ('| Colab |\n' in front) == ('**On Colab.**' in front) == is_published
    readme = (website.ROOT / 'README.md').read_text(encoding='utf-8')
    columns = [[row.count('|') for row in re.findall(r'^\| \d+ \|.*$', text, flags=re.M)]
               for text in (readme, front)]
    assert columns[0] == [n + (not is_published) for n in columns[1]]
    for name in website.pages()['Lessons']:
        cells = json.loads((tmp_path / 'source' / name).read_text(encoding='utf-8'))['cells']
        assert cells[0]['source'].count('[Open in Colab](') == is_published, name


def test_the_front_page_does_not_tell_how_to_build_it():
    readme = (website.ROOT / 'README.md').read_text(encoding='utf-8')
    front = website.markdown(readme, 'README.md')
    assert 'build/web/index.html' not in front, (
        'the paragraph that tells how to build the web edition must begin with "To read only"')
    assert '\n## Lessons\n' in front and '\n## What is where\n' in front
    assert website.without_paragraph('A\n\nTo b\nc\n\nD\n', 'To b') == 'A\n\nD\n'
    assert website.without_paragraph('A\n\nD\n', 'To b') == 'A\n\nD\n'


@pytest.mark.parametrize('display, parts', [
    (r'a = b', [r'a = b']),
    (r'a,\qquad b; \qquad c', ['a,', 'b;', 'c']),
    (r'a,\quad b, \qquad\qquad c', [r'a,\quad b,', 'c']),
    (r'\{a, \qquad b\}', [r'\{a,', r'b\}']),
    (r'\text{if $a \qquad b$}', [r'\text{if $a \qquad b$}']),
    (r'\left(a \qquad b\right) \qquad c', [r'\left(a \qquad b\right)', 'c']),
    ('\\begin{aligned} a &= b, \\qquad c \\\\[1ex]\nd &= e \\end{aligned}',
     ['\\begin{aligned} a &= b, \\qquad c \\\\[1ex]\nd &= e \\end{aligned}'])])
def test_a_display_is_split_where_statements_end(display, parts):
    assert website.statements(display) == parts


def test_the_glossary_has_an_anchor_for_each_term_and_a_row_of_letters():
    text = (website.ROOT / 'notebooks' / 'glossary.md').read_text(encoding='utf-8')
    page = website.markdown(text, 'notebooks/glossary.md')
    terms = re.findall(r'^\*\*(.+?)\*\*', text, flags=re.M)
    anchors = re.findall(r'^<dfn id="([^" ]+)">\*\*(.+?)\*\*</dfn>', page, flags=re.M)
    assert anchors == [(term.replace(' ', '-'), term) for term in terms]
    assert len({anchor for anchor, _ in anchors}) == len(terms) >= 200
    letters = re.findall(r'^## (.+)$', text, flags=re.M)
    assert re.findall(r'\[(.)\]\(#\1\)', page.split('\n## ')[0]) == letters


def test_a_page_has_the_notebooks_text_and_says_when_it_is_worked():
    name = 'notebooks/solutions/01_estimate_launch_risk.ipynb'
    text = (website.ROOT / name).read_text(encoding='utf-8')
    stored, page = json.loads(text), json.loads(website.notebook(text, name))
    assert [cell['source'] for cell in page['cells'] if cell['cell_type'] == 'code'] == (
        [cell['source'] for cell in stored['cells'] if cell['cell_type'] == 'code'])
    assert page['cells'][0]['source'].splitlines()[0].endswith(' (worked)')


def test_a_line_below_the_sliders_says_where_they_work():
    names = [name for name in SOURCES if name.endswith('.ipynb')]
    found = 0
    for name in names:
        text = (website.ROOT / name).read_text(encoding='utf-8')
        cells = json.loads(website.notebook(text, name))['cells']
        for cell, following in zip(cells, cells[1:]):
            if cell['cell_type'] == 'code':
                has_sliders = 'explore.' in ''.join(cell['source'])
                assert has_sliders == (following['source'] == website.SLIDERS['source']), name
                found += has_sliders
    assert found >= 10


# --- The site ---------------------------------------------------------------------

@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The folder of the site, under another one, as a project's site lies on a server."""
    assert not MISSING, f'COURSE_REQUIRE_WEB=1, but this machine lacks {" and ".join(MISSING)}'
    folder = tmp_path_factory.mktemp('server') / 'course'
    website.build(folder)
    return folder


@pytest.fixture(scope='module')
def address(site):
    """Serves the site under ``/course/``."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass
    with http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), functools.partial(Quiet, directory=site.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/course'
        server.shutdown()


@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:  # one context, so that files are cached
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS).new_context()


@contextlib.contextmanager
def opened(browser, url, allowed):
    """A page once its formulas are drawn. Nothing on it may fail, or come from elsewhere."""
    with browser.new_page() as page:
        troubles = []
        page.set_viewport_size({'width': 1280, 'height': 900})
        page.on('console', lambda message: troubles.append(message.text)
                if message.type in ('error', 'warning') else None)
        page.on('pageerror', lambda error: troubles.append(str(error)))
        page.on('requestfailed', lambda request: troubles.append(f'failed: {request.url}'))
        page.on('response', lambda response: troubles.append(f'{response.status}: {response.url}')
                if response.status >= 400 else None)
        page.on('request', lambda request: troubles.append(f'from elsewhere: {request.url}')
                if not request.url.startswith((allowed, 'data:')) else None)
        page.goto(url)
        page.evaluate('async () => { await window.MathJax?.startup?.promise }')
        yield page
        assert troubles == []


def violations(page, **options):
    """What axe-core finds, as lines that say where and why."""
    from axe_playwright_python.sync_playwright import Axe
    found = Axe().run(page, options={'resultTypes': ['violations'], **options}).response
    return [f'{violation["id"]}: {node["html"][:200]}: {node["failureSummary"]}'
            for violation in found['violations'] for node in violation['nodes']]


def contrast(first, second):
    """The contrast of two colours, as WCAG 2.1 defines it, from 1 to 21."""
    def luminance(color):
        parts = [int(part) / 255 for part in color.strip('rgb()').split(',')]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@needs_site
@pytest.mark.parametrize('name', PAGES)
def test_page_in_the_browser(browser, address, name):
    with opened(browser, f'{address}/{name}', address) as page:
        assert page.locator('h1').count() == 1
        for image in page.locator('article img').all():
            assert image.evaluate('image => image.decode().then(() => image.naturalWidth)') > 0
            assert len(image.get_attribute('alt').split()) >= 8
        formulas = page.locator('.math')
        assert formulas.count() == page.locator('.math > mjx-container').count()
        assert page.locator('mjx-merror, [data-mjx-error]').count() == 0
        unknown = page.locator('mjx-assistive-mml', has_text=re.compile(r'\\[a-zA-Z]'))
        assert unknown.all_text_contents() == []
        assert page.evaluate(RAW_MATHEMATICS) is None

        page.set_viewport_size({'width': 360, 'height': 740})
        assert page.evaluate('document.documentElement.scrollWidth') <= 360
        narrow = page.evaluate('''[...document.querySelectorAll('article *')].filter(element =>
            element.getBoundingClientRect().right > 361 && !element.closest(
                'pre, .math, .table-wrapper')).map(element => element.outerHTML.slice(0, 200))''')
        assert narrow == []
        page.wait_for_function(MARKS_ARE_RIGHT)

        page.set_viewport_size({'width': 1280, 'height': 900})
        colors = {}
        for scheme in 'light', 'dark':
            page.emulate_media(color_scheme=scheme)
            colors[scheme] = page.evaluate(COLORS_OF_CODE)
            assert all(contrast(*pair.split(';')) >= 4.5 for pair in colors[scheme]), colors[scheme]
        assert not colors['light'] or colors['light'] != colors['dark']
        page.evaluate(SIMPLIFY)
        assert violations(page, rules={'color-contrast': {'enabled': False}}) == []
        page.evaluate(ONE_OF_EACH_KIND)
        for scheme in 'light', 'dark':
            page.emulate_media(color_scheme=scheme)
            assert violations(page, runOnly=['color-contrast']) == []


@needs_site
def test_every_figure_of_the_notebooks_is_on_its_page(site):
    for name in SOURCES:
        if name.endswith('.ipynb'):
            cells = json.loads((website.ROOT / name).read_text(encoding='utf-8'))['cells']
            outputs = [output for cell in cells for output in cell.get('outputs', [])]
            wanted = [output['metadata']['image/png']['alt'] for output in outputs
                      if 'image/png' in output.get('data', {})]
            page = parsed(site / pathlib.PurePosixPath(name).with_suffix('.html'))
            assert page.alts == page.captions == wanted, name
            assert page.pictures == page.pictures_behind_links, name


@needs_site
def test_every_link_and_anchor_leads_somewhere(site):
    pages = {path: parsed(path) for path in site.rglob('*.html')}
    assert set(PAGES) <= {path.relative_to(site).as_posix() for path in pages}
    for path, page in pages.items():
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                assert url.scheme == 'https', f'{path.name}: {link}'
                continue
            target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            assert target.is_relative_to(site) and target.is_file(), f'{path.name}: {link}'
            if url.fragment and target in pages:
                anchor = urllib.parse.unquote(url.fragment)
                assert anchor in pages[target].ids, f'{path.name}: {link}'


class Parsed(html.parser.HTMLParser):
    """The links and anchors of one page, its pictures, and what stands with them."""

    def __init__(self):
        super().__init__()
        self.links, self.ids, self.alts, self.captions = [], {''}, [], []
        self.pictures, self.pictures_behind_links = [], []
        self.is_caption = False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get('id', ''))
        if tag == 'img':
            self.alts.append(attributes.get('alt'))
            self.pictures.append(attributes['src'])
        if tag == 'a' and attributes.get('href', '').endswith('.png'):
            self.pictures_behind_links.append(attributes['href'])
        if tag == 'figcaption':
            self.captions.append('')
        self.is_caption = tag == 'span' and self.captions[-1:] == ['']
        for key in 'href', 'src':
            if key in attributes and tag != 'use' and not attributes[key].startswith('data:'):
                self.links.append(attributes[key])

    def handle_data(self, data):
        if self.is_caption:
            self.captions[-1] += data

    def handle_endtag(self, tag):
        self.is_caption = False


def parsed(path):
    """The page in a file."""
    page = Parsed()
    page.feed(path.read_text(encoding='utf-8'))
    return page


@needs_site
def test_the_search_finds_a_word_and_leads_to_its_page(browser, address):
    from playwright.sync_api import expect
    with opened(browser, f'{address}/index.html', address) as page:
        box = page.get_by_role('searchbox').or_(page.get_by_placeholder('Search')).first
        box.fill('Poisson')
        box.press('Enter')
        page.wait_for_url('**/search.html?q=Poisson*')
        lesson = page.locator('#search-results ul.search li a').filter(
            has_text='Count doctor visits: Poisson regression').first
        expect(lesson).to_be_visible()
        expect(page.locator('#search-results .search-summary')).to_contain_text('found')
        page.wait_for_load_state('networkidle')  # the excerpts are fetched
        assert page.locator('#search-results .context').count() >= 5
        assert not re.search(r'\\[(\[a-z]', page.locator('#search-results').inner_text())
        assert violations(page) == []
        lesson.click()
        expect(page.get_by_role('heading', level=1)).to_contain_text('Count doctor visits')


@needs_site
def test_the_menu_opens_on_a_phone(browser, address):
    from playwright.sync_api import expect
    with opened(browser, f'{address}/index.html', address) as page:
        page.set_viewport_size({'width': 360, 'height': 740})
        menu = page.locator('.sidebar-drawer')
        link = menu.get_by_role('link', name='3 Count doctor visits').first
        expect(link).not_to_be_in_viewport()
        page.locator('label.nav-overlay-icon').click()
        link.click()
        page.wait_for_url('**/notebooks/03_count_doctor_visits.html')


@needs_site
def test_formulas_tables_and_code_show_on_a_phone_that_there_is_more(browser, address):
    for name, box in (('formulas', 'div.math.more'), ('other_libraries', '.table-wrapper.more'),
                      ('other_libraries', 'pre.more'), ('../index', '.table-wrapper.more')):
        with opened(browser, f'{address}/notebooks/{name}.html', address) as page:
            page.set_viewport_size({'width': 360, 'height': 740})
            page.wait_for_selector(box)
            page.locator(box).first.evaluate('box => { box.id = "b"; box.scrollLeft = 9999 }')
            page.wait_for_selector('#b:not(.more)')


@needs_site
def test_several_formulas_in_a_row_take_several_on_a_phone(browser, address):
    with opened(browser, f'{address}/notebooks/formulas.html', address) as page:
        row = page.locator('.formulas').first
        wide = row.bounding_box()['height']
        page.set_viewport_size({'width': 360, 'height': 740})
        assert row.bounding_box()['height'] > 2 * wide
        assert row.locator('.math').count() == 3
        page.wait_for_function(MARKS_ARE_RIGHT)
        assert row.locator('.more').count() == 0


@needs_site
def test_the_glossary_leads_to_its_terms(browser, address):
    with opened(browser, f'{address}/notebooks/glossary.html#active-unit', address) as page:
        assert page.locator('dfn:target').inner_text() == 'active unit'
        page.locator('.letters').get_by_role('link', name='Z').click()
        page.wait_for_url('**/glossary.html#*')
        assert page.locator(':target > h2').inner_text().startswith('Z')


@needs_site
def test_opens_from_a_folder_without_a_server(browser, site):
    url = (site / 'notebooks' / '01_estimate_launch_risk.html').as_uri()
    with opened(browser, url, 'file://') as page:
        assert page.locator('.math > mjx-container').count() > 50
        page.get_by_role('link', name='worked version').click()
        page.wait_for_url('**/solutions/01_estimate_launch_risk.html')
