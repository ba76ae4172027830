"""Work on a GPU, recorded once as a CUDA graph and replayed without Python.

A training step of a small network is a hundred or two kernels of a few microseconds each. Python
needs longer to launch one than the GPU to run it, and the GPU waits. A CUDA graph is the list of
those kernels, with the addresses that they read and write; one call launches them all.

Three things cannot be recorded as they are. :class:`Graph` provides for each:

* **Matrix products.** CuPy refuses to call cuBLAS while a stream is being recorded
  (github.com/cupy/cupy/issues/6290); cuBLAS itself allows it. :func:`dot` calls it directly then.
* **Random numbers.** A replay would repeat those of the recording. They are drawn before every
  replay instead, by the same calls in the same order, into memory that the graph reads.
* **Numbers that Python computes anew for every step**, such as the step size of Adam:
  :meth:`Graph.number`. Every other number is fixed at its value while recording.

What is recorded may not read from the GPU: no ``float(array)``, no ``if array.any()``. So the
checks of ``course_lib.distributions`` are switched off meanwhile.

Source: CUDA C++ Programming Guide, sec. "CUDA Graphs"; cuBLAS documentation, sec. "CUDA Graphs
Support".
"""
import contextlib
import ctypes
import os
import threading

import numpy

_state = threading.local()


class NotRecordable(RuntimeError):
    """What a function does cannot be recorded as a CUDA graph."""


def recording():
    """The :class:`Graph` that is being recorded in this thread, or ``None``."""
    return getattr(_state, 'graph', None)


def dot(a, b):
    """The product of two matrices; the same as ``a.dot(b)``, but it can be recorded.

    Args:
        a: NumPy or CuPy array of shape ``(m, k)``.
        b: Array of shape ``(k, n)``. While recording, both must be float32.

    Returns:
        Array of shape ``(m, n)``.
    """
    graph = recording()
    return a.dot(b) if graph is None else graph.blas.dot(a, b)


def surely_all(condition):
    """Whether all elements hold, for a formula with a shorter way where they do.

    While recording it cannot be known, because a replay may meet other numbers: then False, so
    that the way which is always right is taken.

    Args:
        condition: Array of bool.
    """
    return recording() is None and bool(condition.all())


class Graph:
    """Records what a function does on the current GPU; :meth:`replay` does it again.

    The function is called once, in order to be recorded; its kernels do not run then. Call it
    before, at least once, on inputs of the same shapes: compiling a kernel cannot be recorded.

    Args:
        function: Called without arguments. The arrays that it reads and writes from outside must
            stay where they are; those that it makes live as long as the graph.

    Attributes:
        result: What the function returned. Arrays in it hold new numbers after every replay.

    Raises:
        NotRecordable: If something in the function cannot be recorded.
    """

    def __init__(self, function):
        import cupy
        self._cupy = cupy
        self._draws, self._numbers = [], []
        self._buffer = cupy.empty(_N_NUMBERS, numpy.float32)
        # Memory of its own: whatever else reused an array that the function freed would be
        # overwritten by the next replay.
        self._pool = cupy.cuda.MemoryPool()
        stream = cupy.cuda.Stream(non_blocking=True)
        self.blas = _Blas(cupy, stream)
        cupy.cuda.runtime.deviceSynchronize()
        try:
            with cupy.cuda.using_allocator(self._pool.malloc), stream:
                stream.begin_capture()
                try:
                    with _recorded_by(self):
                        self.result = function()
                finally:
                    self._graph = stream.end_capture()
        except (NotImplementedError, RuntimeError, cupy.cuda.runtime.CUDARuntimeError) as error:
            first = error
            while first.__context__ is not None:   # ending the recording fails too
                first = first.__context__
            raise NotRecordable(
                'this cannot be recorded as a CUDA graph: it reads a number back from the GPU, or '
                f'calls a library that CuPy does not record ({first})') from error
        self._graph.upload(cupy.cuda.get_current_stream())

    def replay(self):
        """Launches everything again, after drawing new random numbers; does not wait for it."""
        for method, shape, values in self._draws:
            values[...] = getattr(self._cupy.random, method)(size=shape)
        if self._numbers:
            values = numpy.array([number() for number in self._numbers], numpy.float32)
            self._buffer[:len(values)].set(values, self._cupy.cuda.get_current_stream())
        self._graph.launch()

    def number(self, function):
        """A float32 array of shape () that is set to ``function()`` before every replay."""
        i = len(self._numbers)
        if i == _N_NUMBERS:
            raise RuntimeError(f'a graph takes up to {_N_NUMBERS} numbers that change')
        self._numbers.append(function)
        return self._buffer[i]

    def standard_normal(self, size):
        """Stands for ``cupy.random.standard_normal`` while recording."""
        return self._drawn('standard_normal', size)

    def random(self, size):
        """Stands for ``cupy.random.random`` while recording."""
        return self._drawn('random', size)

    def __getattr__(self, name):
        raise AttributeError(f'random draws of {name} cannot be recorded in a CUDA graph')

    def _drawn(self, method, shape):
        # Not from the graph's own pool, where an array freed before may have had the same place.
        with self._cupy.cuda.using_allocator(self._cupy.get_default_memory_pool().malloc):
            values = self._cupy.empty(shape, numpy.float64)
        self._draws.append((method, shape, values))
        return values


_N_NUMBERS = 1024


@contextlib.contextmanager
def _recorded_by(graph):
    if recording() is not None:
        raise RuntimeError('a graph is being recorded already')
    _state.graph = graph
    try:
        yield
    finally:
        _state.graph = None


class _Blas:
    """The single-precision product of cuBLAS on one stream, called without CuPy."""

    def __init__(self, cupy, stream):
        self._cupy = cupy
        version = cupy.cuda.cublas.getVersion(cupy.cuda.device.get_cublas_handle())
        major = version // 10000
        # CuPy has loaded the library: by its name, the loader finds that very one.
        self._library = (ctypes.WinDLL(f'cublas64_{major}.dll') if os.name == 'nt'
                         else ctypes.CDLL(f'libcublas.so.{major}'))
        self._workspace = cupy.empty(32 << 20, numpy.uint8)   # or cuBLAS would allocate its own
        self._handle = ctypes.c_void_p()
        self._call('Create', ctypes.byref(self._handle))
        self._call('SetStream', self._handle, ctypes.c_void_p(stream.ptr))
        self._call('SetWorkspace', self._handle, ctypes.c_void_p(self._workspace.data.ptr),
                   ctypes.c_size_t(self._workspace.nbytes))

    def dot(self, a, b):
        """See :func:`dot`."""
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or not (
                a.dtype == b.dtype == numpy.float32):
            raise RuntimeError('a CUDA graph records products of float32 matrices; got '
                               f'{a.dtype} {a.shape} times {b.dtype} {b.shape}')
        (m, k), n = a.shape, b.shape[1]
        c = self._cupy.empty((m, n), numpy.float32)
        (b, transpose_b, stride_b), (a, transpose_a, stride_a) = (
            self._by_columns(b), self._by_columns(a))
        # cuBLAS counts by columns, so it sees the transposes: c' = b' a'.
        integer, one, zero = ctypes.c_int, ctypes.c_float(1), ctypes.c_float(0)
        self._call('Sgemm', self._handle, integer(transpose_b), integer(transpose_a),
                   integer(n), integer(m), integer(k), ctypes.byref(one),
                   ctypes.c_void_p(b.data.ptr), integer(stride_b),
                   ctypes.c_void_p(a.data.ptr), integer(stride_a), ctypes.byref(zero),
                   ctypes.c_void_p(c.data.ptr), integer(n))
        return c

    def _by_columns(self, x):
        """The matrix, whether cuBLAS must transpose what it sees to get x', and the stride."""
        if not x.flags.c_contiguous and not x.flags.f_contiguous:
            x = self._cupy.ascontiguousarray(x)
        return (x, 0, x.shape[1]) if x.flags.c_contiguous else (x, 1, x.shape[0])

    def _call(self, name, *arguments):
        status = getattr(self._library, f'cublas{name}_v2')(*arguments)
        if status:
            raise RuntimeError(f'cublas{name} failed with status {status}')

    def __del__(self):
        if getattr(self, '_handle', None):
            self._library.cublasDestroy_v2(self._handle)
