"""Fetches a file that does not ship with the course, once, and keeps it in a cache folder.

A file counts as fetched only when its SHA-256 is right. Until then it lives in memory, so whatever
breaks off leaves nothing behind; then it is written under a temporary name and renamed, so another
process sees all of it or nothing.
"""
import hashlib
import http.client
import os
import pathlib
import time
import urllib.error
import urllib.request

from tqdm import tqdm

from course_lib.files import replacing

FOLDER_VARIABLE = 'COURSE_DATA'
OFFLINE_VARIABLE = 'COURSE_OFFLINE'
TRIES = 2  # per mirror
_CHUNK = 1 << 16  # bytes


def cache_folder():
    """The folder for what is downloaded.

    Returns:
        pathlib.Path: What the environment variable ``COURSE_DATA`` names; else ``course_lib`` in
        the user's cache folder: ``LOCALAPPDATA`` on Windows, elsewhere ``XDG_CACHE_HOME`` or
        ``~/.cache``. It need not exist yet.
    """
    if os.environ.get(FOLDER_VARIABLE):
        return pathlib.Path(os.environ[FOLDER_VARIABLE]).expanduser()
    caches = os.environ.get('LOCALAPPDATA' if os.name == 'nt' else 'XDG_CACHE_HOME')
    return pathlib.Path(caches or '~/.cache').expanduser() / 'course_lib'


def fetch(name, folder, mirrors, sha256, size, advice, stall=20., limit=600.):
    """The bytes of a file: from the folder if it is there, else from the first mirror that has it.

    Each mirror is tried twice, unless it answers that it will not serve the file (HTTP 4xx). The
    second try asks for what is still missing (a Range request) and starts again if the mirror sends
    the whole file all the same. A mirror may redirect, but not from https to http. Nothing is
    downloaded if the environment variable ``COURSE_OFFLINE`` is set to anything but 0.

    Args:
        name (str): Name of the file, in the folder and at the mirrors.
        folder (str or pathlib.Path): Where it is kept; made if it is missing.
        mirrors (sequence of str): Addresses that ``name`` is appended to, best first.
        sha256 (str): Checksum of the right content, hexadecimal.
        size (int): Its length in bytes; no more than that is read.
        advice (str): What to do if no mirror helps; ends the sentence that says so.
        stall (float): Give a mirror up when nothing comes for so many seconds.
        limit (float): Give up after so many seconds in all. Checked whenever bytes come, so it may
            take ``stall`` seconds more.

    Returns:
        bytes: The content, verified.

    Raises:
        ConnectionError: If no mirror delivers, or none may be asked.
        OSError: If the folder cannot be written to.
        TypeError, ValueError: If an argument makes no sense, or the file in the folder is another
            one. It is left as it is.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f'folder must be a str or a pathlib.Path; got {type(folder).__name__}')
    if not (isinstance(mirrors, (list, tuple)) and mirrors and all(
            isinstance(m, str) and m.startswith(('https://', 'http://')) for m in mirrors)):
        raise ValueError(f'mirrors must be a list of addresses, https://...; got {mirrors!r}')
    if not (stall > 0 and limit > 0):
        raise ValueError(
            f'stall and limit must be positive numbers of seconds; got {stall} and {limit}')

    path = pathlib.Path(folder).expanduser() / name
    if path.is_file():
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ValueError(f'{path} is another file: its SHA-256 is {found[:12]}..., and '
                             f'{sha256[:12]}... is wanted; move it away and try again')
        return content
    try:
        if os.environ.get(OFFLINE_VARIABLE, '') not in ('', '0'):
            raise ConnectionError(f'{OFFLINE_VARIABLE} forbids it')
        content = _download(name, mirrors, sha256, size, stall, limit)
    except ConnectionError as error:
        raise ConnectionError(
            f'{name} is not in {path.parent} and cannot be downloaded ({error}); {advice}'
        ) from None
    _keep(path, content)
    return content


def _download(name, mirrors, sha256, size, stall, limit):
    """The verified content from the first mirror that delivers; ConnectionError if none does."""
    deadline = time.monotonic() + limit
    failures = []
    with tqdm(total=size, desc=name, unit='B', unit_scale=True) as bar:
        for mirror in mirrors:
            content = bytearray()  # what an earlier mirror sent may be wrong
            for _ in range(TRIES):
                if time.monotonic() >= deadline:
                    break
                try:
                    _receive(f'{mirror.rstrip("/")}/{name}', content, size, stall, deadline, bar)
                except urllib.error.HTTPError as error:
                    error.close()
                    failure = f'HTTP {error.code}, {error.reason}'
                    if error.code < 500:
                        break
                except (OSError, ValueError, http.client.HTTPException) as error:
                    cause = error.reason if isinstance(error, urllib.error.URLError) else error
                    stalled = isinstance(cause, TimeoutError)
                    failure = f'nothing came for {stall:g} s' if stalled else str(cause)
                else:
                    if len(content) < size:
                        failure = f'sent {len(content):,} of {size:,} bytes'
                        continue
                    found = hashlib.sha256(content).hexdigest()
                    if found == sha256:
                        return bytes(content)
                    failure = f'sent a file with SHA-256 {found[:12]}..., not {sha256[:12]}...'
                    content.clear()
            if time.monotonic() >= deadline:
                failure = f'not done within {limit:g} s'
            failures.append(f'{mirror}: {failure}')
    raise ConnectionError('; '.join(failures))


def _receive(url, content, size, stall, deadline, bar):
    """Appends to the content what is missing of it, until all is there or the body or time ends."""
    start = len(content)
    request = urllib.request.Request(url, headers={'Range': f'bytes={start}-'} if start else {})
    opener = urllib.request.build_opener(_RedirectHandler)
    with opener.open(request, timeout=stall) as response:
        if not response.headers.get('Content-Range', '').startswith(f'bytes {start}-'):
            content.clear()
        bar.reset()
        bar.update(len(content))
        while len(content) < size and time.monotonic() < deadline:
            chunk = response.read1(min(_CHUNK, size - len(content)))  # waits for one packet only
            if not chunk:
                break
            content += chunk
            bar.update(len(chunk))


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not to an address less safe than the one that was asked."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new.type not in ('https', req.type):
            raise urllib.error.HTTPError(
                req.full_url, code, f'refused to follow from {req.type} to {new.type}', headers, fp)
        return new


def _keep(path, content):
    """Writes a file whole, or leaves nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, binary=True) as file:
            file.write(content)
    except OSError as error:
        if path.is_file():
            return  # another process was quicker; Windows will not replace a file that is open
        raise OSError(
            error.errno, f'{path.name} needs {len(content):,} bytes in {path.parent}, which cannot '
            f'be written ({error.strerror}); make room there, or let {FOLDER_VARIABLE} name '
            'another folder') from None
