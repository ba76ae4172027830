"""MNIST, downloaded from a server on this machine that misbehaves in every way a mirror can."""
import errno
import gzip
import hashlib
import http.client
import http.server
import io
import os
import pathlib
import re
import struct
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

from course_lib.datasets import download, mnist

NAMES = tuple(mnist.FILES)
IMAGES, LABELS = NAMES[:2]
MD5 = dict(zip(NAMES, [  # as published with the data
    'f68b3c2dcbeaaa9fbdd348bbdeb94873', 'd53e105ee54ea40749a09fcbcd1e9432',
    '9fb629c4189551a2d022fa330f9573f3', 'ec29112dd5afa0611ce80d1b7f02629c']))
ADVICE = 'do this'
DO = ('; go online and try again, or put the four files there yourself, or use load_digits(), '
      'which needs no download')


def idx(array):
    """A compressed IDX file, written independently of the parser."""
    head = struct.pack('>HBB', 0, 8, array.ndim) + b''.join(struct.pack('>I', n) for n in
                                                            array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def generated():
    rng = np.random.RandomState(1)
    return {name: idx(rng.randint(0, 256 if 'images' in name else 10, shape).astype(np.uint8))
            for name, shape in zip(NAMES, [(300, 28, 28), (300,), (50, 28, 28), (50,)])}


@pytest.fixture(scope='module')
def contents(root):
    """The four files: the real ones where a copy lies beside the project, else small ones."""
    folder = root.parent / 'shared' / 'data' / 'mnist'
    if all((folder / name).is_file() for name in NAMES):
        return {name: (folder / name).read_bytes() for name in NAMES}
    return generated()


def table(contents):
    """What load_mnist() must know of the files."""
    return {name: (len(content), hashlib.sha256(content).hexdigest())
            for name, content in contents.items()}


class Server(http.server.ThreadingHTTPServer):
    """Serves /BEHAVIOUR/NAME; a mirror is the address of one behaviour."""

    daemon_threads = True

    def __init__(self, contents):
        super().__init__(('127.0.0.1', 0), Handler)
        self.contents = contents
        self.requests = []            # (behaviour, name, Range asked for)
        self.ended = threading.Event()
        self.both = threading.Barrier(2)
        self.address = f'http://127.0.0.1:{self.server_port}'

    def mirrors(self, *behaviours):
        return [f'{self.address}/{behaviour}/' for behaviour in behaviours]

    def asked(self, name=IMAGES):
        return [(behaviour, start) for behaviour, n, start in self.requests if n == name]

    def handle_error(self, request, client_address):
        """A client that hangs up is what some tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):

    def log_message(self, *args):
        pass

    def do_GET(self):
        _, behaviour, name = self.path.split('/')
        server, asked = self.server, self.headers.get('Range')
        first = not any(r[:2] == (behaviour, name) for r in server.requests)
        server.requests.append((behaviour, name, asked))
        content = server.contents[name]
        if behaviour == 'missing' or behaviour == 'busy' and first:
            self.send_error(404 if behaviour == 'missing' else 503)
        elif behaviour == 'hangs-up':
            self.close_connection = True
        elif behaviour == 'silent':
            server.ended.wait(10)
        elif behaviour == 'redirect':
            self.redirect(f'/good/{name}')
        elif behaviour == 'circle':
            self.redirect(self.path)
        elif behaviour == 'ftp':
            self.redirect(f'ftp://127.0.0.1/{name}')
        elif behaviour == 'wrong' or behaviour == 'wrong-once' and first:
            self.send(bytes(len(content)))
        elif behaviour == 'longer':
            self.send(b'x' + content)
        elif behaviour == 'page':
            self.send(b'<html>Log in to the Wi-Fi first.</html>')
        elif behaviour == 'together':
            server.both.wait(15)
            self.send(content)
        elif behaviour == 'drip':
            self.head(200, len(content))
            for _ in range(500):
                self.wfile.write(b'x')
                if server.ended.wait(0.02):
                    break
        elif behaviour == 'chunks':
            self.protocol_version = 'HTTP/1.1'
            self.send_response(200)
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            for part in (content[:1000], content[1000:], b''):
                self.wfile.write(b'%x\r\n%s\r\n' % (len(part), part))
            self.close_connection = True
        elif behaviour == 'stalls' and first:
            self.send(content, until=len(content) // 2)
            server.ended.wait(10)
        elif behaviour in ('cut', 'cut-no-range') and first or behaviour == 'always-cut':
            self.send(content, until=len(content) // 3)
        elif behaviour == 'cut-no-range' or not asked:
            self.send(content)
        else:
            start = int(re.fullmatch(r'bytes=(\d+)-', asked)[1])
            self.head(206, len(content) - start,
                      ('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}'))
            self.wfile.write(content[start:])

    def head(self, status, length, *headers):
        self.send_response(status)
        for header in (('Content-Length', str(length)), *headers):
            self.send_header(*header)
        self.end_headers()

    def send(self, content, until=None):
        self.head(200, len(content))
        self.wfile.write(content[:until])
        self.wfile.flush()

    def redirect(self, where):
        self.head(302, 0, ('Location', where))


@pytest.fixture
def server(contents):
    server = Server(contents)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No proxy between a test and its server, and nothing inherited."""
    for name in (download.FOLDER_VARIABLE, download.OFFLINE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.setenv(name, '127.0.0.1,a.example,b.example')


@pytest.fixture
def fetch(server, tmp_path):
    """Fetches the training images from mirrors of the behaviours named."""
    def fetch(*behaviours, folder=tmp_path / 'cache', mirrors=None, stall=20., limit=60.):
        size, sha256 = table(server.contents)[IMAGES]
        return download.fetch(IMAGES, folder, mirrors or server.mirrors(*behaviours), sha256, size,
                              ADVICE, stall, limit)
    return fetch


def start(code, *arguments):
    """A process that imports the downloader alone, which is quick, and runs the code."""
    return subprocess.Popen(
        [sys.executable, '-c', 'import sys, download as d\n' + code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=pathlib.Path(download.__file__).parent)


def left_in(folder):
    return sorted(path.name for path in folder.glob('**/*') if path.is_file())


# What is loaded.


def test_loads_what_the_files_say_and_keeps_them(server, contents, tmp_path, capsys):
    files = table(contents)
    first = mnist.load_mnist(tmp_path, server.mirrors('good'), files)
    output = capsys.readouterr()
    assert output.out == '' and all(f'{name}: 100%' in output.err for name in NAMES)
    assert left_in(tmp_path) == sorted(NAMES) and len(server.requests) == 4

    for part, (images, labels) in zip(first, (NAMES[:2], NAMES[2:])):
        pixels = np.frombuffer(gzip.decompress(contents[images])[16:], np.uint8).reshape(-1, 784)
        assert part.images.dtype == np.float32 and part.labels.dtype == np.int32
        assert part.images.min() == 0 and part.images.max() == 1
        assert np.array_equal(part.images, pixels / np.float32(255))
        assert part.labels.tolist() == list(gzip.decompress(contents[labels])[8:])

    again = mnist.load_mnist(tmp_path, server.mirrors('good'), files)
    assert len(server.requests) == 4 and capsys.readouterr().err == ''
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(first, again))


def test_the_table_is_that_of_the_published_files(contents):
    assert all(mirror.startswith('https://') for mirror in mnist.MIRRORS)
    assert [name.split('-')[0] for name in mnist.FILES] == ['train', 'train', 't10k', 't10k']
    assert all(re.fullmatch('[0-9a-f]{64}', sha256) for _, sha256 in mnist.FILES.values())
    if contents != generated():
        for name, content in contents.items():
            assert hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5[name]
            assert table(contents)[name] == mnist.FILES[name]


def test_files_put_there_by_hand_need_no_network(tmp_path, monkeypatch):
    contents = generated()
    monkeypatch.setenv(download.OFFLINE_VARIABLE, '1')
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / 'mnist').mkdir()
    for name, content in contents.items():
        (tmp_path / 'mnist' / name).write_bytes(content)
    train, test = mnist.load_mnist(files=table(contents))
    assert train.images.shape == (300, 784) and test.labels.shape == (50,)


def test_another_file_of_that_name_is_refused_and_left(fetch, server, tmp_path):
    (tmp_path / IMAGES).write_bytes(b'fashion')
    with pytest.raises(ValueError, match=rf'{IMAGES} is another file: its SHA-256 is \w{{12}}\.\.\.'
                                         r', and \w{12}\.\.\. is wanted; move it away'):
        fetch('good', folder=tmp_path)
    assert (tmp_path / IMAGES).read_bytes() == b'fashion' and not server.requests


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('USERPROFILE', str(tmp_path / 'home'))
    for name in ('LOCALAPPDATA', 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    assert download.cache_folder() == tmp_path / 'home' / '.cache' / 'course_lib'
    monkeypatch.setenv('LOCALAPPDATA' if os.name == 'nt' else 'XDG_CACHE_HOME', str(tmp_path))
    assert download.cache_folder() == tmp_path / 'course_lib'
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tmp_path / 'mine'))
    assert download.cache_folder() == tmp_path / 'mine'


# Mirrors that misbehave.


@pytest.mark.parametrize('behaviours, asked', [
    (['missing', 'good'], ['missing', 'good']),                    # 404: no use in asking again
    (['busy'], ['busy', 'busy']),
    (['hangs-up', 'good'], ['hangs-up', 'hangs-up', 'good']),
    (['wrong', 'good'], ['wrong', 'wrong', 'good']),
    (['longer', 'good'], ['longer', 'longer', 'good']),
    (['page', 'good'], ['page', 'page', 'good']),
    (['redirect'], ['redirect', 'good']),
    (['ftp', 'good'], ['ftp', 'good']),
    (['chunks'], ['chunks']),
])
def test_finds_the_right_file_all_the_same(fetch, server, contents, tmp_path, behaviours, asked):
    assert fetch(*behaviours) == contents[IMAGES]
    assert [behaviour for behaviour, _ in server.asked()] == asked
    assert left_in(tmp_path) == [IMAGES]
    assert (tmp_path / 'cache' / IMAGES).read_bytes() == contents[IMAGES]


def test_resumes_where_it_broke_off(fetch, server, contents):
    assert fetch('cut') == contents[IMAGES]
    third = len(contents[IMAGES]) // 3
    assert server.asked() == [('cut', None), ('cut', f'bytes={third}-')]


def test_starts_again_if_the_mirror_cannot_resume(fetch, server, contents):
    assert fetch('cut-no-range') == contents[IMAGES]
    assert [start is None for _, start in server.asked()] == [True, False]


def test_starts_again_after_a_wrong_file(fetch, server, contents):
    assert fetch('wrong-once') == contents[IMAGES]
    assert server.asked() == [('wrong-once', None)] * 2


def test_what_one_mirror_sent_is_not_mixed_with_what_another_sends(fetch, server, contents):
    assert fetch('always-cut', 'good') == contents[IMAGES]
    assert server.asked()[-1] == ('good', None)


def test_a_stall_is_noticed(fetch, server, contents):
    began = time.monotonic()
    assert fetch('stalls', stall=1.) == contents[IMAGES]
    assert 1 <= time.monotonic() - began < 8
    assert server.asked()[1] == ('stalls', f'bytes={len(contents[IMAGES]) // 2}-')


@pytest.mark.parametrize('behaviours, limits, failures', [
    (['missing'], {}, ['HTTP 404, Not Found']),
    (['silent'], {'stall': 0.2}, [r'nothing came for 0\.2 s']),
    (['drip', 'good'], {'limit': 0.5}, [r'not done within 0\.5 s'] * 2),
    (['wrong'], {}, [r'sent a file with SHA-256 \w{12}\.\.\., not \w{12}\.\.\.']),
    (['page', 'always-cut'], {}, [r'sent 39 of [\d,]+ bytes', r'sent [\d,]+ of [\d,]+ bytes']),
    (['ftp'], {}, ['HTTP 302, refused to follow from http to ftp']),
    (['circle'], {}, ['HTTP 302, The HTTP server returned a redirect error .*']),
    (['hangs-up'], {}, ['Remote end closed connection without response|.*reset.*']),
])
def test_says_what_each_mirror_did_and_leaves_nothing(fetch, server, tmp_path, behaviours, limits,
                                                      failures):
    began = time.monotonic()
    with pytest.raises(ConnectionError) as caught:
        fetch(*behaviours, **limits)
    assert time.monotonic() - began < 8
    assert not any(behaviour == 'good' for behaviour, _ in server.asked())  # out of time
    reasons = '; '.join(f'{re.escape(mirror)}: ({failure})' for mirror, failure in
                        zip(server.mirrors(*behaviours), failures))
    assert re.fullmatch(
        rf'{IMAGES} is not in {re.escape(str(tmp_path / "cache"))} and cannot be downloaded '
        rf'\({reasons}\); {ADVICE}', str(caught.value), re.DOTALL)
    assert left_in(tmp_path) == []


def test_a_redirect_from_https_to_http_is_refused(fetch, server, contents, tmp_path, monkeypatch):
    def https_open(self, request):
        """Mirror a.example redirects to the local server; b.example, safely, to c.example."""
        places = {'a.example': f'{server.address}/good/{IMAGES}',
                  'b.example': f'https://c.example/{IMAGES}'}
        headers = http.client.HTTPMessage()
        body = b'' if request.host in places else contents[IMAGES]
        headers['Location'] = places.get(request.host, '')
        answer = urllib.request.addinfourl(
            io.BytesIO(body), headers, request.full_url, 302 if request.host in places else 200)
        answer.msg, answer.read1 = 'Found', answer.read
        return answer

    monkeypatch.setattr(urllib.request.HTTPSHandler, 'https_open', https_open)
    with pytest.raises(ConnectionError, match='HTTP 302, refused to follow from https to http'):
        fetch(mirrors=['https://a.example'])
    assert not server.requests and left_in(tmp_path) == []
    assert fetch(mirrors=['https://a.example', 'https://b.example']) == contents[IMAGES]
    assert not server.requests


# No network.


def offline_message(folder, reason):
    return f'{IMAGES} is not in {folder} and cannot be downloaded ({reason}){DO}'


@pytest.mark.parametrize('value, forbidden', [
    ('1', True), ('yes', True), ('0', False), ('', False)])
def test_the_environment_variable_forbids_the_network(server, contents, tmp_path, monkeypatch,
                                                      value, forbidden):
    monkeypatch.setenv(download.OFFLINE_VARIABLE, value)
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tmp_path))
    mirrors = server.mirrors('missing')
    reason = 'COURSE_OFFLINE forbids it' if forbidden else f'{mirrors[0]}: HTTP 404, Not Found'
    with pytest.raises(ConnectionError) as caught:
        mnist.load_mnist(mirrors=mirrors)
    assert str(caught.value) == offline_message(tmp_path / 'mnist', reason)
    assert caught.value.__suppress_context__  # one sentence, not a chain of tracebacks
    assert bool(server.requests) is not forbidden and left_in(tmp_path) == []


def test_without_a_network_the_sentence_is_the_same(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError(errno.ENETUNREACH, 'Network is unreachable')

    monkeypatch.setattr('socket.create_connection', no_network)
    for name in ('https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConnectionError) as caught:
        mnist.load_mnist(tmp_path)
    reason = '; '.join(f'{mirror}: [Errno {errno.ENETUNREACH}] Network is unreachable'
                       for mirror in mnist.MIRRORS)
    assert str(caught.value) == offline_message(tmp_path, reason)
    assert left_in(tmp_path) == []


# The disk.


def test_is_written_under_a_name_of_its_own_and_renamed(fetch, tmp_path, monkeypatch):
    written, replace = [], os.replace

    def spy(temporary, path):
        temporary = pathlib.Path(temporary)
        assert left_in(temporary.parent) == [temporary.name]
        written.append(temporary.name)
        return replace(temporary, path)

    monkeypatch.setattr(os, 'replace', spy)
    for folder in (tmp_path / 'a', tmp_path / 'b'):
        fetch('good', folder=folder)
    assert len(set(written)) == 2
    assert all(name.startswith(IMAGES) and name != IMAGES for name in written)


def test_a_full_disk_is_named_and_nothing_is_left(fetch, contents, tmp_path, monkeypatch):
    def full(descriptor):
        assert len(left_in(tmp_path)) == 1
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError) as caught:
        fetch('good')
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.strerror == (
        f'{IMAGES} needs {len(contents[IMAGES]):,} bytes in {tmp_path / "cache"}, which cannot be '
        'written (No space left on device); make room there, or let COURSE_DATA name another '
        'folder')
    assert left_in(tmp_path) == []


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no limit on the size of a file')
def test_a_limit_of_the_operating_system_is_named_and_nothing_is_left(server, contents, tmp_path):
    code = ('import resource\n'
            'half = int(sys.argv[5]) // 2\n'
            'resource.setrlimit(resource.RLIMIT_FSIZE, (half, resource.RLIM_INFINITY))\n'
            'try: d.fetch(*sys.argv[1:3], sys.argv[3:4], sys.argv[4], int(sys.argv[5]), "")\n'
            'except OSError as error: print(error.strerror)\n')
    size, sha256 = table(contents)[LABELS]
    process = start(code, LABELS, tmp_path, *server.mirrors('good'), sha256, size)
    out, err = process.communicate(timeout=60)
    assert (f'{LABELS} needs {size:,} bytes in {tmp_path}, which cannot be written ('
            f'{os.strerror(errno.EFBIG)})') in out, err
    assert server.asked(LABELS) and left_in(tmp_path) == []


def test_a_folder_that_is_a_file(fetch, tmp_path):
    (tmp_path / 'cache').write_text('mine')
    with pytest.raises(OSError, match='which cannot be written'):
        fetch('good')
    assert (tmp_path / 'cache').read_text() == 'mine'


def test_if_another_process_was_quicker_its_file_stays(fetch, contents, tmp_path, monkeypatch):
    def denied(source, target):
        """As Windows answers while the other process has the file open."""
        pathlib.Path(target).write_bytes(contents[IMAGES])
        raise PermissionError(errno.EACCES, 'Access is denied')

    monkeypatch.setattr(os, 'replace', denied)
    assert fetch('good') == contents[IMAGES]
    assert left_in(tmp_path) == [IMAGES]


def test_two_processes_at_once(server, contents, tmp_path):
    code = ('import hashlib\n'
            'content = d.fetch(*sys.argv[1:3], sys.argv[3:4], sys.argv[4], int(sys.argv[5]), "")\n'
            'print(hashlib.sha256(content).hexdigest())')
    size, sha256 = table(contents)[IMAGES]
    processes = [start(code, IMAGES, tmp_path, *server.mirrors('together'), sha256, size)
                 for _ in range(2)]
    seen, deadline = set(), time.monotonic() + 60
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        if (tmp_path / IMAGES).is_file():
            seen.add((tmp_path / IMAGES).stat().st_size)
        time.sleep(0.001)
    for process in processes:
        process.kill()
        out, err = process.communicate()
        assert out.split() == [sha256], err
    assert seen <= {size} and len(server.asked()) == 2
    assert left_in(tmp_path) == [IMAGES]
    assert (tmp_path / IMAGES).read_bytes() == contents[IMAGES]


# Arguments and formats.


@pytest.mark.parametrize('change, error, words', [
    ({'folder': 3}, TypeError, 'folder must be a str or a pathlib.Path; got int'),
    ({'mirrors': 'https://a.example'}, ValueError, "mirrors must be a list of addresses, https://"),
    ({'mirrors': [3]}, ValueError, r'mirrors must be a list.*got \[3\]'),
    ({'mirrors': 3}, ValueError, 'mirrors must be a list.*got 3'),
    ({'mirrors': ['file:///etc/']}, ValueError, 'mirrors must be a list'),
    ({'mirrors': ()}, ValueError, r'mirrors must be a list of addresses, https://\.\.\.; got \(\)'),
    ({'stall': 0}, ValueError, 'stall and limit must be positive numbers of seconds; got 0 and 5'),
    ({'limit': float('nan')}, ValueError, 'must be positive numbers of seconds; got 1 and nan'),
])
def test_bad_arguments_are_refused(tmp_path, change, error, words):
    arguments = {'folder': tmp_path, 'mirrors': ['https://a.example'], 'stall': 1, 'limit': 5}
    with pytest.raises(error, match=words):
        download.fetch(IMAGES, sha256='0' * 64, size=1, advice=ADVICE, **arguments | change)


@pytest.mark.parametrize('content, ndim, words', [
    (b'', 1, 'an IDX file of bytes with 1 dimensions, which starts with 00 00 08 01; it starts '
             'with $'),
    (b'\0\0\x08\x01\0\0\0\x01\x07', 3, 'starts with 00 00 08 03; it starts with 00 00 08 01$'),
    (b'\0\0\x0d\x01\0\0\0\x01\x07', 1, 'starts with 00 00 08 01; it starts with 00 00 0d 01$'),
    (b'\0\0\x08\x01\0\0', 1, 'must be an IDX file'),
    (b'\0\0\x08\x01\0\0\0\x02\x07', 1, r'must have 10 bytes for shape \(2,\); it has 9$'),
    (b'\0\0\x08\x01\0\0\0\0\x07', 1, r'must have 8 bytes for shape \(0,\); it has 9$'),
    (b'\0\0\x08\x03' + b'\xff' * 12, 3, r'must have [\d,]+ bytes for shape .*; it has 16$'),
])
def test_a_malformed_idx_file_is_refused(content, ndim, words):
    with pytest.raises(ValueError, match=words):
        mnist.parse_idx(content, ndim)


def test_an_empty_idx_file_is_an_empty_array():
    assert mnist.parse_idx(b'\0\0\x08\x03' + bytes(12), 3).shape == (0, 0, 0)


def test_as_many_labels_as_images(tmp_path):
    contents = generated()
    contents[LABELS] = contents[NAMES[3]]
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match='as many labels as images; got 300 images and 50 labels'):
        mnist.load_mnist(tmp_path, files=table(contents))
