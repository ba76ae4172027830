"""Files that are written whole or not at all."""
import contextlib
import json
import os
import pathlib
import uuid


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
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / 'figures.txt'
        >>> with replacing(path) as file:
        ...     _ = file.write('complete')
        >>> path.read_text()
        'complete'
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f'{path.name}.{uuid.uuid4().hex}.tmp')
    try:
        with (open(temporary, 'xb') if binary else
              open(temporary, 'x', encoding='utf-8', newline='\n')) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
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
