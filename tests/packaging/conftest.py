"""Put the recipe and the installer, which are no installed packages, on the path."""

from pathlib import Path
import sys

_PACKAGING = Path(__file__).resolve().parents[2] / 'packaging'

for folder in (_PACKAGING, _PACKAGING / 'chainer'):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
