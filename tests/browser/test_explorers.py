"""An explorer in JupyterLab, in a real browser: a key moves the slider, and the picture follows."""
import statistics

import pytest
import test_jupyterlab as lab

served_copy = lab.served_copy   # the fixture
LESSON = '01_estimate_launch_risk.ipynb'
# Milliseconds between a key and each picture that it brings, measured in the page.
WATCH = """image => {
    window.pressed = 0;
    window.delays = [];
    document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
    image.addEventListener('load',
                           () => window.delays.push(performance.now() - window.pressed));
}"""


@pytest.mark.skipif(lab.CHROMIUM is None and not lab.REQUIRED,
                    reason='no Chromium on this machine: no explorer was tried in a browser')
def test_a_key_moves_the_slider_and_the_picture(served_copy, record_property):
    from playwright.sync_api import expect, sync_playwright
    _, address = served_copy
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=lab.ARGUMENTS)
        page = browser.new_page(viewport={'width': 1280, 'height': 1000})
        page.goto(f'{address}/lab/tree/{LESSON}?reset', timeout=120_000)
        cell = page.locator('.jp-CodeCell', has_text='explore.likelihood')
        expect(cell).to_have_count(1, timeout=120_000)
        lab.wait_for_kernel(address)
        expect(page.get_by_text('Python 3 (ipykernel) | Idle')).to_be_visible(timeout=60_000)
        cell.locator('.jp-InputArea-editor').click()
        page.get_by_role('menuitem', name='Run', exact=True).click()
        page.get_by_role('menuitem', name='Run All Above Selected Cell', exact=True).click()
        cell.locator('.jp-InputArea-editor').click()
        page.keyboard.press('Control+Enter')

        # The widget, and not the picture beside it; at the slider's first position.
        image, slider = cell.locator('img'), cell.get_by_role('slider')
        expect(image.or_(page.locator(lab.ERROR)).first).to_be_visible(timeout=120_000)
        assert not page.locator(lab.ERROR).all_inner_texts()
        expect(slider).to_have_count(1, timeout=30_000)
        expect(image).to_have_count(1)
        expect(cell.get_by_text('answers seen, n')).to_be_visible()
        expect(cell.get_by_text('After 4 of 23 answers, 1 of them yes')).to_be_visible()
        assert image.evaluate('image => image.complete && image.naturalWidth > 600')

        image.evaluate(WATCH)
        before = image.get_attribute('src')
        slider.focus()
        for n in range(5, 24):
            page.keyboard.press('ArrowRight')
            page.wait_for_function(f'window.delays.length == {n - 4}', timeout=30_000)
        delays = page.evaluate('window.delays')
        expect(cell.get_by_text('After 23 of 23 answers, 7 of them yes')).to_be_visible()
        assert image.get_attribute('src') != before
        page.keyboard.press('Home')
        expect(cell.get_by_text('After 1 of 23 answers')).to_be_visible(timeout=30_000)
        browser.close()
    median = statistics.median(delays)
    record_property('median_ms', median)
    print(f'{len(delays)} pictures, median {median:.0f} ms after the key')
    # The aim is 100 ms on an idle laptop; a busy machine of two cores may take longer.
    assert median < 500
