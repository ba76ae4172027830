"""A GPU counts only if it computes; everything else falls back to the CPU with one sentence."""
import subprocess
import sys
import warnings

import chainer
import numpy as np
import pytest

from course_lib import devices


def missing_cupy():
    raise ModuleNotFoundError("No module named 'cupy'", name='cupy')


def missing_library():
    raise ImportError('libcublas.so.12: cannot open shared object file: No such file')


def missing_driver():
    warnings.warn('CUDA path could not be detected.')
    raise RuntimeError('cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore')


@pytest.mark.parametrize('wish, failure, expected', [
    ('', missing_cupy, 'Running on the CPU: CuPy is not installed.'),
    ('gpu', missing_cupy, 'Running on the CPU: CuPy is not installed.'),
    ('', missing_library, 'Running on the CPU: CuPy does not import (ImportError: libcublas.so.12: '
     'cannot open shared object file: No such file).'),
    ('', missing_driver, 'Running on the CPU: CuPy is installed but no GPU answers (RuntimeError: '
     'cudaErrorInsufficientDriver: CUDA driver version is insufficient).'),
    ('CPU', missing_driver, 'Running on the CPU: COURSE_DEVICE=cpu asks for it.'),
])
def test_falls_back_to_the_cpu_with_a_sentence(wish, failure, expected):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        choice = devices.decide(wish, failure)
    assert choice.sentence == expected
    assert not choice.is_gpu and choice.device.xp is np


def test_a_gpu_that_computes_is_taken(monkeypatch):
    device = chainer.get_device('@numpy')
    monkeypatch.setattr(devices.chainer, 'get_device', lambda name: device)
    assert devices.decide('', lambda: 'Model X').sentence == 'Running on the GPU (Model X).'


def test_an_unknown_wish_is_refused():
    with pytest.raises(ValueError, match="must be 'cpu' or 'gpu'; got 'tpu'"):
        devices.decide('tpu')


def test_the_environment_variable_is_obeyed_in_a_fresh_process():
    code = 'import course_lib; course_lib.start()'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                         env=dict(__import__('os').environ, COURSE_DEVICE='cpu'))
    assert out.stdout == 'Running on the CPU: COURSE_DEVICE=cpu asks for it.\n'
    assert out.stderr == ''


def test_to_numpy():
    array = np.ones(2)
    assert devices.to_numpy(array) is array
    assert devices.to_numpy(chainer.Variable(array)) is array
    with pytest.raises(TypeError, match='x must be an array or a chainer.Variable; got list'):
        devices.to_numpy([1])
