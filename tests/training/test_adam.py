"""The blocked Adam: Chainer's numbers, for every size of parameter and option."""
import chainer
import numpy as np
import pytest

from course_lib import training
from course_lib.training import adam


def link_with(w):
    link = chainer.Link()
    with link.init_scope():
        link.w = chainer.Parameter(w)
    return link


def updated(optimizer, shape, dtype=np.float32, order='C', order_of_gradient='C', n_steps=5):
    """A parameter after some steps on gradients that span many orders of magnitude."""
    rng = np.random.default_rng(0)
    link = link_with(np.asarray(rng.standard_normal(shape), dtype=dtype, order=order))
    optimizer.setup(link)
    for _ in range(n_steps):
        link.w.grad = np.asarray(rng.standard_normal(shape) * 10. ** rng.uniform(-8, 4, shape),
                                 dtype=dtype, order=order_of_gradient)
        optimizer.update()
    state = link.w.update_rule.state
    return link.w.array, state['m'], state['v']


@pytest.mark.parametrize('options', [
    {}, {'alpha': 0.1, 'beta1': 0.5, 'beta2': 0.9, 'eps': 1e-4}, {'weight_decay_rate': 0.1},
    {'eta': 0.5, 'weight_decay_rate': 0.01}, {'amsgrad': True}, {'adabound': True}])
@pytest.mark.parametrize('shape', [(), (1,), (3, 5), (adam.BLOCK,), (2, adam.BLOCK + 7)])
def test_agrees_with_chainers(shape, options):
    ours = updated(training.Adam(**options), shape)
    theirs = updated(chainer.optimizers.Adam(**options), shape)
    for a, b in zip(ours, theirs):
        # A sum of terms of either sign is as accurate as its largest term.
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6 * np.abs(b).max())


@pytest.mark.parametrize('dtype, order, order_of_gradient', [
    (np.float64, 'C', 'C'), (np.float16, 'C', 'C'), (np.float32, 'C', 'F'), (np.float32, 'F', 'C'),
    (np.float32, 'F', 'F')])
def test_what_has_no_fast_path_is_chainers_own(dtype, order, order_of_gradient):
    orders = {'order': order, 'order_of_gradient': order_of_gradient}
    with np.errstate(over='ignore', invalid='ignore'):
        ours = updated(training.Adam(eps=1e-4), (3, 4), dtype, **orders)
        theirs = updated(chainer.optimizers.Adam(eps=1e-4), (3, 4), dtype, **orders)
    for a, b in zip(ours, theirs):
        np.testing.assert_array_equal(a, b)


def test_first_step_by_hand():
    # After one step m / (1 - beta1) = g and v / (1 - beta2) = g^2: the step is alpha sign(g).
    link = link_with(np.zeros(3, np.float32))
    optimizer = training.Adam(alpha=0.25).setup(link)
    link.w.grad = np.float32([3., -0.01, 0.])
    optimizer.update()
    np.testing.assert_allclose(link.w.array, [-0.25, 0.25, 0.], rtol=1e-4)


def test_a_parameter_without_a_gradient_stays():
    link = link_with(np.ones(3, np.float32))
    optimizer = training.Adam().setup(link)
    link.cleargrads()
    optimizer.update()
    np.testing.assert_array_equal(link.w.array, 1)


@pytest.mark.parametrize('kind', [
    'plain', 'hook', 'dynamic loss scaling', 'another rule', 'no rule'])
def test_a_gradient_that_is_missing_counts_as_zero_as_in_chainer(kind):
    outcomes = []
    for make in training.Adam, chainer.optimizers.Adam:
        link = link_with(np.float32([1., -2.]))
        with link.init_scope():
            link.unused = chainer.Parameter()   # of no shape yet
        link.cleargrads()
        optimizer = make(alpha=0.1).setup(link)
        if kind == 'hook':
            optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(0.5))
        elif kind == 'dynamic loss scaling':
            del link.unused   # on which Chainer's check for NaN fails
            optimizer.loss_scaling()
        elif kind == 'another rule':
            link.w.update_rule = chainer.optimizers.momentum_sgd.MomentumSGDRule()
        elif kind == 'no rule':
            link.w.update_rule = None
        for gradient in np.float32([0.5, 3.]), None, None:
            link.w.grad = gradient
            optimizer.update()
        outcomes.append((link.w.array, link.w.grad))
    np.testing.assert_allclose(outcomes[0][0], outcomes[1][0], rtol=1e-6)
    np.testing.assert_array_equal(outcomes[0][1], [0, 0])
    np.testing.assert_array_equal(outcomes[1][1], [0, 0])


@pytest.mark.parametrize('kind', ['plain', 'hook of the rule', 'disabled', 'loss scale', 'none'])
def test_what_chainer_does_around_an_update_is_done(kind):
    """Hooks are called, what is disabled stays, gradients are unscaled, steps are counted."""
    outcomes = []
    for make in training.Adam, chainer.optimizers.Adam:
        link = link_with(np.float32([1., -2.]))
        optimizer, calls = make(alpha=0.1).setup(link), []
        rule = link.w.update_rule
        if kind == 'hook of the rule':
            rule.add_hook(lambda rule, param: calls.append(rule.t), name='count')
        for step in range(4):
            rule.enabled = kind != 'disabled' or step != 2
            link.w.grad = None if kind == 'none' and step == 2 else np.float32([0.5, step])
            link.w._loss_scale = 4. if kind == 'loss scale' else None
            optimizer.update()
        outcomes.append((rule.t, optimizer.t, calls, link.w.array))
    np.testing.assert_allclose(outcomes[0][-1], outcomes[1][-1], rtol=1e-6)
    assert outcomes[0][:-1] == outcomes[1][:-1]
