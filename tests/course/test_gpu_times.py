"""The stored times are complete, plausible, and say what lesson 10 says about them."""
import json

import numpy as np
import pytest

from course_lib import datasets
from course_lib.files import write_json
from course_lib.models.vae import on_gpu

TIMES = datasets.load_gpu_times()


def test_the_machine_is_named():
    for key in ('gpu', 'cpu', 'cpu_cores', 'cupy', 'numpy', 'chainer', 'python', 'cuda_driver',
                'driver', 'date'):
        assert TIMES.machine[key], key


def test_its_sections_are_those_that_are_measured():
    assert set(TIMES._fields) == {'machine', *on_gpu.SECTIONS}


@pytest.mark.parametrize('section', on_gpu.SECTIONS)
def test_no_measurement_failed(section):
    rows = getattr(TIMES, section)
    assert rows
    for row in rows:
        assert 'error' not in row, row
        for name, number in row.items():
            if name.endswith('_s') and name != 'operations_per_s':
                assert 0 < number < 100, (name, row)


@pytest.mark.parametrize('device', ['cpu', 'gpu'])
@pytest.mark.parametrize('model', on_gpu.MODELS)
def test_every_batch_was_timed_on_both(device, model):
    batch = TIMES.column('steps', 'batch', device=device, model=model, data='device',
                         dtype='float32', checks=True)
    assert batch.tolist() == list(on_gpu.BATCHES)


def test_a_step_is_not_finished_before_it_is_queued():
    for section in TIMES.launches, TIMES.log_probs:
        for row in section:
            assert row['queued_s'] <= row['finished_s']


def test_what_every_machine_must_show():
    # Orders of magnitude only: another GPU may be measured one day.
    cpu, gpu = (TIMES.column('steps', 'step_s', device=d, model='mnist', data='device',
                             dtype='float32', checks=True) for d in ('cpu', 'gpu'))
    assert gpu[0] > cpu[0] and gpu[-1] < cpu[-1] / 5
    chain, kernel = (TIMES.column('log_probs', 'gpu_s', form=form, batch=4096,
                                  distribution='Bernoulli')[0] for form in ('functions', 'kernel'))
    assert 3 < chain / kernel < 12
    assert max(TIMES.column('agreement', 'max_difference')) < 1e-5
    after = [TIMES.column('memory', 'after_forward_bytes', model='mnist', dtype=dtype)[-1]
             for dtype in ('float32', 'mixed16')]
    assert 1.5 < after[0] / after[1] < 2.5


def test_column_picks_rows_in_order():
    batch = TIMES.column('memory', 'batch', model='digits')
    assert batch.dtype == np.float64 and (np.diff(batch) > 0).all()


@pytest.mark.parametrize('arguments, labels, sentence', [
    (('step', 'step_s'), {}, "section must be one of copies, .*; got 'step'"),
    (('machine', 'gpu'), {}, "section must be one of copies, .*; got 'machine'"),
    (('steps', 'step_s'), {'device': 'tpu'}, "must have a row with step_s and device='tpu'"),
    (('steps', 'seconds'), {}, 'must have a row with seconds and no condition')])
def test_column_refuses_what_is_not_there(arguments, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        TIMES.column(*arguments, **labels)


def test_it_loads_a_file_measured_elsewhere(tmp_path):
    report = {'machine': {'gpu': None}, **{name: [] for name in on_gpu.SECTIONS}}
    write_json(tmp_path / 'mine.json', report)
    assert datasets.load_gpu_times(tmp_path / 'mine.json').machine == {'gpu': None}


@pytest.mark.parametrize('content', ['', '[]', json.dumps({'machine': {}}), '{"machine": 1,'])
def test_it_refuses_another_file(tmp_path, content):
    (tmp_path / 'other.json').write_text(content)
    with pytest.raises(ValueError, match='path must be a file written by python -m'):
        datasets.load_gpu_times(tmp_path / 'other.json')


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        datasets.load_gpu_times(tmp_path / 'none.json')
