"""A learner's first minute: JupyterLab in a real browser, lesson 1, Run All."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / 'notebooks'
CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'))), None)
REQUIRED = os.environ.get('COURSE_REQUIRE_BROWSER') == '1'
# Keeps Chromium from calling home, which an offline machine would refuse many times over.
ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync']
ERROR = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'


@pytest.fixture
def served_copy(tmp_path):
    """JupyterLab over a copy of the lessons whose outputs are cleared. Yields (folder, address)."""
    folder = tmp_path / 'notebooks'
    shutil.copytree(NOTEBOOKS, folder)
    for path in folder.glob('*.ipynb'):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == 'code':
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)
    settings = tmp_path / 'settings' / '@jupyterlab' / 'notebook-extension'
    settings.mkdir(parents=True)
    # Keep every cell in the page, so that the test can count them.
    (settings / 'tracker.jupyterlab-settings').write_text(json.dumps({'windowingMode': 'none'}))
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    environment = dict(
        os.environ, JUPYTERLAB_SETTINGS_DIR=str(tmp_path / 'settings'),
        JUPYTER_CONFIG_DIR=str(tmp_path / 'config'), JUPYTER_DATA_DIR=str(tmp_path / 'data'),
        JUPYTER_RUNTIME_DIR=str(tmp_path / 'runtime'))
    environment.pop('MPLBACKEND', None)  # a learner's kernel has none
    log = (tmp_path / 'jupyter.log').open('w')
    server = subprocess.Popen(
        [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--port={port}',
         '--ip=127.0.0.1', '--ServerApp.token=', '--ServerApp.port_retries=0',
         '--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate',
         '--LabApp.news_url=None', '--LabApp.extension_manager=readonly', str(folder)],
        env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f'http://127.0.0.1:{port}'
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f'{address}/api/status', timeout=5)
                break
            assert server.poll() is None, (tmp_path / 'jupyter.log').read_text()
            time.sleep(0.5)
        else:
            pytest.fail('JupyterLab did not answer within two minutes')
        yield folder, address
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def wait_for_kernel(address):
    """Waits until the kernel is connected to the page and idle.

    JupyterLab shows "idle" before it is, and drops the cells that are run meanwhile.
    """
    for _ in range(240):
        kernels = json.load(urllib.request.urlopen(f'{address}/api/kernels', timeout=5))
        if kernels and kernels[0]['connections'] and kernels[0]['execution_state'] == 'idle':
            return
        time.sleep(0.5)
    pytest.fail(f'the kernel was not ready within two minutes: {kernels}')


@pytest.mark.skipif(CHROMIUM is None and not REQUIRED,
                    reason='no Chromium on this machine: JupyterLab was not tried in a browser')
def test_lesson_1_runs_to_the_end_in_the_browser(served_copy):
    assert CHROMIUM, 'COURSE_REQUIRE_BROWSER=1, but there is no Chromium on this machine'
    from playwright.sync_api import expect, sync_playwright
    folder, address = served_copy
    path = folder / '01_estimate_launch_risk.ipynb'
    stored = nbformat.read(NOTEBOOKS / path.name, as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == 'code']
    n_figures = sum('image/png' in output.get('data', {}) for c in code for output in c.outputs)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={'width': 1280, 'height': 1000})
        page.goto(f'{address}/lab/tree/{path.name}?reset', timeout=120_000)
        expect(page.locator('.jp-CodeCell')).to_have_count(len(code), timeout=120_000)
        wait_for_kernel(address)
        expect(page.get_by_text('Python 3 (ipykernel) | Idle')).to_be_visible(timeout=60_000)
        page.get_by_role('menuitem', name='Run', exact=True).click()
        page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
        # The end is a number beside the last cell, or an error output that stopped the run.
        finished = page.locator('.jp-CodeCell').last.locator(
            '.jp-InputPrompt', has_text=f'[{len(code)}]:')
        expect(finished.or_(page.locator(ERROR)).first).to_be_attached(timeout=240_000)
        errors = page.locator(ERROR).all_inner_texts()
        assert not errors, errors[0]
        assert page.locator('.jp-InputPrompt', has_text='[*]').count() == 0
        images = page.locator('.jp-OutputArea-output img')
        expect(images).to_have_count(n_figures, timeout=30_000)
        for image in images.all():
            assert image.evaluate('image => image.complete && image.naturalWidth > 300')
        numbers = page.locator('.jp-CodeCell .jp-InputPrompt').all_inner_texts()
        assert [int(text.strip('[]:')) for text in numbers] == list(range(1, len(code) + 1))
        browser.close()
