"""What course_lib.files promises: a file is whole, or what was there before."""
import errno
import json
import os

import pytest

from course_lib.files import replacing, write_json


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / 'figures.json'
    for content in ({'a': 1}, [2, None]):
        write_json(path, content)
        assert json.loads(path.read_text()) == content
    assert os.listdir(tmp_path) == ['figures.json']


def test_bytes_are_written_as_they_are(tmp_path):
    with replacing(tmp_path / 'raw', binary=True) as file:
        file.write(b'a\r\nb\0')
    assert (tmp_path / 'raw').read_bytes() == b'a\r\nb\0'


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no such permissions')
@pytest.mark.parametrize('mask, mode', [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_it_is_the_users_choice(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_json(tmp_path / 'figures.json', 1)
    finally:
        os.umask(before)
    assert (tmp_path / 'figures.json').stat().st_mode & 0o777 == mode


def test_nothing_appears_before_it_is_complete(tmp_path):
    with replacing(str(tmp_path / 'text')) as file:
        file.write('half')
        assert not (tmp_path / 'text').exists()
    assert (tmp_path / 'text').read_text() == 'half'


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / 'figures.json'
    write_json(path, 'old')
    with pytest.raises(TypeError, match='not JSON serializable'):
        write_json(path, ['half of it', object()])
    assert json.loads(path.read_text()) == 'old'
    assert os.listdir(tmp_path) == ['figures.json']


def test_a_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / 'figures.json'
    write_json(path, 'old')

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        write_json(path, 'new')
    assert json.loads(path.read_text()) == 'old'
    assert os.listdir(tmp_path) == ['figures.json']


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_json(tmp_path / 'missing' / 'figures.json', 1)
