"""What measures a GPU: its rows, its formulas, and how it copes without a GPU or with a failure."""
import json
import time
import types

import chainer
import numpy as np
import pytest

from course_lib import devices
import course_lib.distributions as D
from course_lib.models.vae import on_gpu

CPU = chainer.get_device('@numpy')
needs_gpu = pytest.mark.skipif(not devices.choose().is_gpu, reason=devices.choose().sentence)


class SlowDevice:
    """Queues in no time and needs 20 ms for the work."""

    def __init__(self):
        device = types.SimpleNamespace(synchronize=lambda: time.sleep(0.02))
        self.xp = types.SimpleNamespace(cuda=types.SimpleNamespace(Device=lambda: device))


def test_queued_and_finished_are_two_times():
    times = on_gpu.time_of(lambda: None, SlowDevice(), seconds=0.01)
    assert times['queued_s'] < 0.01 < 0.018 < times['finished_s']


def test_the_first_run_is_not_counted():
    pauses = iter([0.2, *[0.001] * 1000])
    assert on_gpu.time_of(lambda: time.sleep(next(pauses)), CPU, 0.01)['finished_s'] < 0.1


def test_a_cpu_has_no_events():
    with pytest.raises(ValueError, match='device must be a GPU; got the CPU'):
        on_gpu.gpu_time_of(lambda: None, CPU)


@pytest.mark.parametrize('arguments, sentence', [
    ({'model': 'digit'}, "model must be one of digits, mnist; got 'digit'"),
    ({'data': 'gpu'}, "data must be one of host, device; got 'gpu'"),
    ({'dtype': 'half'}, "dtype must be one of float32, mixed16; got 'half'")])
def test_a_step_refuses_other_words(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_gpu.Step(CPU, **arguments)


@pytest.mark.parametrize('distribution', ['Bernoulli', 'Normal'])
def test_every_form_of_a_log_density_is_the_same(distribution):
    operands = on_gpu._operands(distribution, (5, 7))
    exact = on_gpu._exact(distribution, operands)
    x, *parameters = operands
    reference = (D.Bernoulli(logit=parameters[0]) if distribution == 'Bernoulli'
                 else D.Normal(parameters[0], log_scale=parameters[1])).log_prob(x).array
    np.testing.assert_allclose(exact, reference, rtol=1e-5, atol=1e-6)
    for form in on_gpu._forms(distribution, CPU).values():
        np.testing.assert_allclose(form(*operands).array, exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('dtype', ['float32', 'mixed16'])
def test_phases_take_the_same_step_as_the_whole(dtype):
    one, other = (on_gpu.Step(CPU, 'digits', 4, dtype=dtype) for _ in range(2))
    np.random.seed(0)
    one()
    np.random.seed(0)
    phases = other.phases()
    assert set(phases) == {'transfer_s', 'forward_s', 'backward_s', 'update_s'}
    for (name, a), (_, b) in zip(sorted(one.loss.namedparams()), sorted(other.loss.namedparams())):
        assert a.dtype == (np.float32 if dtype == 'float32' else np.float16)
        np.testing.assert_array_equal(a.array, b.array, err_msg=name)


def test_a_step_lowers_the_loss():
    step = on_gpu.Step(CPU, 'digits', 50)
    before = float(step.loss(step.images).array)
    for _ in range(20):
        step()
    assert float(step.loss(step.images).array) < before - 1


def test_loss_and_gradient_repeat_themselves():
    loss, gradient = on_gpu.loss_and_gradient(CPU, 'digits', 5)
    again, same = on_gpu.loss_and_gradient(CPU, 'digits', 5)
    assert loss == again and np.array_equal(gradient, same) and abs(gradient).max() > 0


def test_on_a_cpu_it_measures_the_cpu_and_says_so(tmp_path, monkeypatch):
    choice = devices.decide('cpu')
    monkeypatch.setattr(devices, 'choose', lambda: choice)
    path = tmp_path / 'times.json'
    assert on_gpu.main(['--out', str(path), '--max-batch', '4', '--seconds', '0.001']) == 0
    assert [p.name for p in tmp_path.iterdir()] == ['times.json']
    report = json.loads(path.read_text())
    assert report['machine']['gpu'] is None and 'COURSE_DEVICE' in report['machine']['sentence']
    assert set(on_gpu.SECTIONS) <= set(report)
    for name in 'copies', 'agreement', 'memory':
        assert report[name] == []
    for name in 'launches', 'log_probs', 'steps', 'products', 'precision':
        assert report[name]
        for row in report[name]:
            assert 'error' not in row and row['device'] == 'cpu'
    assert {(row['model'], row['batch']) for row in report['steps']} == {
        (m, b) for m in ('digits', 'mnist') for b in (1, 4)}
    half, single = [row for row in report['precision'] if row['form'] == 'log of sigmoid']
    assert half['not_finite'] > 100 and single['not_finite'] == 0


def test_a_failure_leaves_a_row_and_the_others_go_on(monkeypatch):
    monkeypatch.setitem(on_gpu.MODELS, 'digits', (64, 0, 128))   # no latent dimension: refused
    rows = on_gpu.measure_steps(CPU, batches=[1], seconds=0.001)
    broken, whole = rows
    assert broken['model'] == 'digits' and broken['error'].startswith('ValueError: Encoder')
    assert whole['model'] == 'mnist' and whole['step_s'] > 0
    lost = on_gpu._row({'batch': 1}, lambda: {'a': 1., 'b': float('nan')})
    assert lost == {'batch': 1, 'error': 'ValueError: not a finite number: b'}


def test_a_section_that_fails_is_reported(monkeypatch, capsys):
    def fail(device):
        raise RuntimeError('no more memory')
    monkeypatch.setattr(on_gpu, 'sections', lambda *a: {'copies': fail})
    monkeypatch.setattr(devices, 'choose', lambda: devices.decide('cpu'))
    assert on_gpu.main([]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['copies'] == [{'device': 'cpu', 'error': 'RuntimeError: no more memory'}]


@needs_gpu
@pytest.mark.parametrize('distribution', ['Bernoulli', 'Normal'])
def test_kernels_on_a_gpu(distribution):
    device = devices.choose().device
    operands = on_gpu._operands(distribution, (50, 70))
    exact = on_gpu._exact(distribution, operands)
    for form in on_gpu._forms(distribution, device).values():
        y = devices.to_numpy(form(*[device.send(a) for a in operands]))
        np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-5)


@needs_gpu
def test_agreement_on_a_gpu():
    for row in on_gpu.measure_agreement(devices.choose().device):
        assert row['max_difference'] < 1e-4, row
