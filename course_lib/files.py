"""Files that are written whole or not at all."""
import contextlib
import json
import os
import pathlib
import tempfile


@contextlib.contextmanager
def replacing(path, binary=False):
    """Opens a temporary file that takes the place of ``path`` once it is complete.

    If the block ends with an error, what was there before stays, and the temporary file goes.

    Args:
        path (str or pathlib.Path): The file to replace, or to make; its folder must exist.
        binary (bool): Whether bytes are written to it, and not text.

    Raises:
        OSError: If it cannot be written.

    Example:
        >>> path = pathlib.Path(tempfile.mkdtemp()) / 'figures.txt'
        >>> with replacing(path) as file:
        ...     _ = file.write('complete')
        >>> path.read_text()
        'complete'
    """
    path = pathlib.Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'{path.name}.', suffix='.tmp')
    try:
        with (open(descriptor, 'wb') if binary else
              open(descriptor, 'w', encoding='utf-8', newline='\n')) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)   # a temporary file is its owner's alone
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path, content):
    """Writes ``content`` as JSON to ``path``, whole or not at all; see :func:`replacing`.

    Args:
        path (str or pathlib.Path): The file to replace, or to make; its folder must exist.
        content: What :func:`json.dump` takes.

    Raises:
        OSError: If it cannot be written.
        TypeError: If something in ``content`` has no place in JSON.
    """
    with replacing(path) as file:
        json.dump(content, file, indent=1)
        file.write('\n')
