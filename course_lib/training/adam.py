"""Adam, evaluated block by block in cache."""
import types

import chainer
from chainer.optimizers import adam
import numpy
from scipy.linalg.blas import saxpy  # saxpy(x, y, a=a): y += a x, in one pass

from course_lib.numerics import cuda_graph

BLOCK = 1 << 15  # numbers updated at a time: four arrays of 128 kB stay in a core's own cache


class BlockedAdamRule(adam.AdamRule):
    """Chainer's update rule; on the CPU, all its steps are taken on one block after the other.

    Chainer's writes nine temporaries of the size of the parameter. For a weight matrix of 784 x
    500 they do not fit a cache, and the update waits for memory instead of computing. And it looks
    for hooks, new states and other devices at every step of every parameter, which takes longer
    than the update of a bias.
    """

    @property
    def alpha_t(self):
        """The step size, corrected for the bias of m and v; recorded as a number that changes."""
        graph, plain = cuda_graph.recording(), super()
        return plain.alpha_t if graph is None else graph.number(lambda: plain.alpha_t)

    def update(self, param):
        """See :meth:`chainer.UpdateRule.update`."""
        hooks = self._hookable
        if self.enabled and self.state and param._loss_scale is None and not (
                hooks._pre_update_hooks or hooks._post_update_hooks):
            arrays = self._flat_arrays(param)
            if arrays:
                self.t += 1
                self._update_in_blocks(*arrays)
                return
        super().update(param)

    def update_core_cpu(self, param):
        arrays = self._flat_arrays(param)
        if arrays:
            self._update_in_blocks(*arrays)
        else:
            super().update_core_cpu(param)

    def _flat_arrays(self, param):
        """What a step reads and writes, as vectors; ``None`` where it has to be Chainer's."""
        hp = self.hyperparam
        if not self.state:   # of a parameter that has no shape yet
            return None
        arrays = [param.array, param.grad, self.state['m'], self.state['v']]
        if hp.amsgrad or hp.adabound or not all([
                type(a) is numpy.ndarray and a.dtype == numpy.float32 and a.flags.c_contiguous
                for a in arrays]):
            return None
        return [a.reshape(-1) for a in arrays]

    def _update_in_blocks(self, *arrays):
        hp = self.hyperparam.get_dict()
        if not numpy.float32(hp['eps']):
            self._check_eps(numpy.float32)
        # As alpha_t, which looks them up one by one.
        alpha_t = adam._learning_rate(types.SimpleNamespace(**hp), self.t) * hp['eta']
        beta1, beta2, eps = hp['beta1'], hp['beta2'], hp['eps']
        decay = hp['eta'] * hp['weight_decay_rate']
        size = arrays[0].size
        step = numpy.empty(min(BLOCK, size), numpy.float32)
        for start in range(0, size, BLOCK):
            p, g, m, v = (a[start:start + BLOCK] for a in arrays) if size > BLOCK else arrays
            s = step[:p.size]
            m *= beta1                            # m = beta1 m + (1 - beta1) g
            saxpy(g, m, a=1 - beta1)
            v *= beta2                            # v = beta2 v + (1 - beta2) g^2
            numpy.multiply(g, g, out=s)
            saxpy(s, v, a=1 - beta2)
            numpy.sqrt(v, out=s)                  # p -= alpha_t m / (sqrt(v) + eps) + decay p
            s += eps
            numpy.divide(m, s, out=s)
            if decay:
                p *= 1 - decay
            saxpy(s, p, a=-alpha_t)


class Adam(chainer.optimizers.Adam):
    """``chainer.optimizers.Adam``, same arguments, same numbers up to rounding, faster on the CPU.

    .. math::
        m \\leftarrow m + (1 - \\beta_1)(g - m), \\quad
        v \\leftarrow v + (1 - \\beta_2)(g^2 - v), \\quad
        \\theta \\leftarrow \\theta - \\alpha_t \\frac{m}{\\sqrt v + \\epsilon}, \\quad
        \\alpha_t = \\alpha \\frac{\\sqrt{1 - \\beta_2^t}}{1 - \\beta_1^t}

    Float32 parameters on the CPU take the fast path; all others, AMSGrad and AdaBound are
    Chainer's own.

    Source: Kingma and Ba (2015), Adam, algorithm 1 and the remark at the end of section 2.
    """

    def create_update_rule(self):
        return BlockedAdamRule(self.hyperparam)

    def reallocate_cleared_grads(self):
        """See Chainer's, which enters a context for each parameter, twice a step, to find none."""
        if any([parameter.grad is None for parameter in self.target.params(False)]):
            super().reallocate_cleared_grads()
