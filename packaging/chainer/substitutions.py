"""What Chainer 7.8.1 needs on Python >= 3.11, NumPy 2, CuPy 13.6-14 and mpi4py 4.

Each record names a file of Chainer's, what to replace in it, with what, and
why.  `Substitution` and how it is applied are in ``substitute.py``.
"""

from substitute import Substitution as S

SUBSTITUTIONS = (
    # --- The package -------------------------------------------------------
    S('chainer/_version.py',
      "__version__ = '7.8.1'",
      "__version__ = '7.8.1+patched.1'",
      'The local version tells people that this is a patched build.'),
    S('setup.py',
      'import pkg_resources\nimport sys\n',
      'import sys\n\nfrom importlib import metadata\n',
      'pkg_resources left setuptools in version 81.'),
    S('setup.py',
      'pkg_resources.get_distribution(pkg)',
      'metadata.distribution(pkg)',
      'pkg_resources left setuptools in version 81.'),
    S('setup.py',
      'pkg_resources.DistributionNotFound',
      'metadata.PackageNotFoundError',
      'pkg_resources left setuptools in version 81.'),
    S('setup.py',
      "        'setuptools',\n        'typing_extensions',\n",
      "        'typing_extensions',\n",
      'Nothing imports setuptools or pkg_resources at run time any more.'),
    S('setup.py',
      '    tests_require=tests_require,\n',
      '',
      'setuptools 72 dropped this argument, and warns of it.'),
    S('setup.py',
      "'numpy>=1.9.0',",
      "'numpy>=2.1',\n        'scipy>=1.14.1',",
      'The oldest NumPy this build is tested with; Poisson, Beta, Gamma, '
      'Dirichlet and MultivariateNormal import SciPy.'),
    S('setup.py',
      "'protobuf>=3.0.0',",
      "'protobuf>=5.29',",
      'The oldest protobuf that Python 3.13 supports and that imports quietly.'),
    S('setup.py',
      "python_requires='>=3.5.0',",
      "python_requires='>=3.11',",
      'The oldest Python this build is tested with.'),

    # --- Import ------------------------------------------------------------
    S('chainer/_environment_check.py',
      'import warnings\n\nimport numpy.distutils.system_info\n'
      'import pkg_resources\n\nimport chainer\n',
      '',
      'numpy.distutils left NumPy with Python 3.12, pkg_resources left '
      'setuptools in version 81.'),
    S('chainer/_environment_check.py',
      'def _check_osx_numpy_backend():',
      'def check():\n    _check_python_350()\n',
      'The other checks only warn, of a BLAS that macOS no longer has and of '
      'any CuPy but version 7.',
      to_end=True),
    S('chainer/backends/cuda.py',
      'try:\n    import cupy\n',
      'try:\n'
      '    with warnings.catch_warnings():\n'
      '        warnings.filterwarnings(\n'
      "            'ignore', 'CUDA path could not be detected')\n"
      '        import cupy\n',
      'CuPy warns so on every Windows machine without the CUDA toolkit; a '
      'library that is really missing is reported on its own.'),
    S('chainer/backends/cuda.py',
      "    if (not cudnn_enabled and\n"
      "            not _cudnn_disabled_by_user and\n"
      "            not getattr(check_cuda_available, '_already_warned', False)):\n"
      "        warnings.warn(\n"
      "            'cuDNN is not enabled.\\n'\n"
      "            'Please reinstall CuPy after you install cudnn\\n'\n"
      "            '(see https://docs-cupy.chainer.org/en/stable/install.html'\n"
      "            '#install-cudnn).')\n"
      "        check_cuda_available._already_warned = True\n",
      '',
      'It warns at every import, and CuPy 14 has no cuDNN to install.'),
    S('chainer/backends/cuda.py',
      '    try:\n'
      '        if 7 < _cupy_major:\n'
      '            import cupy.cuda.cudnn\n'
      '        import cupy.cudnn\n',
      '    try:\n'
      '        with warnings.catch_warnings():\n'
      "            warnings.simplefilter('ignore')\n"
      '            import cupy.cuda.cudnn\n'
      '            import cupy.cudnn\n',
      'CuPy 13 warns at import where the optional cuDNN is missing.'),
    S('chainer/training/updaters/multiprocess_parallel_updater.py',
      '    from cupy.cuda import nccl\n',
      '    with warnings.catch_warnings():\n'
      "        warnings.simplefilter('ignore')\n"
      '        from cupy.cuda import nccl\n',
      'CuPy warns at import where the optional NCCL is missing.'),

    # --- Names and arguments that NumPy, SciPy and Python took away ---------
    S('chainer/functions/array/as_strided.py',
      "np.sctypes['int']",
      '(np.int8, np.int16, np.int32, np.int64)',
      'NumPy 2 removed numpy.sctypes.'),
    S('chainer/functions/array/as_strided.py',
      "np.sctypes['float']",
      '(np.float16, np.float32, np.float64)',
      'NumPy 2 removed numpy.sctypes.'),
    S('chainer/functions/array/resize_images.py',
      'dtype=numpy.float)',
      'dtype=numpy.float64)',
      'NumPy 1.24 removed numpy.float.',
      count=6),
    S('chainer/distribution.py',
      'return dist1.entropy() + kl_divergence(dist1, dist2)',
      'return dist1.entropy + kl_divergence(dist1, dist2)',
      'entropy is a property of every distribution: chainer.cross_entropy '
      'called its value, and so always raised.'),
    S('chainer/distributions/categorical.py',
      "        mg = numpy.meshgrid(\n"
      "            *(range(i) for i in self.batch_shape),\n"
      "            indexing='ij')\n",
      "        mg = tuple(numpy.meshgrid(\n"
      "            *(range(i) for i in self.batch_shape),\n"
      "            indexing='ij'))\n",
      'numpy.meshgrid returned a list before NumPy 2 and returns a tuple now.'),
    S('chainer/distributions/categorical.py',
      'self.log_p[mg + [x.data.astype(numpy.int32)]]',
      'self.log_p[mg + (x.data.astype(numpy.int32),)]',
      'numpy.meshgrid returned a list before NumPy 2 and returns a tuple now.'),
    S('chainer/distributions/categorical.py',
      'self.log_p[mg + [x.astype(numpy.int32)]]',
      'self.log_p[mg + (x.astype(numpy.int32),)]',
      'numpy.meshgrid returned a list before NumPy 2 and returns a tuple now.'),
    S('chainer/variable.py',
      "device = getattr(array, 'device', 'CPU')",
      "device = ('CPU' if isinstance(array, numpy.ndarray)\n"
      "                          else array.device)",
      'Arrays have a device attribute since NumPy 2: it reads "cpu".'),
    S('chainer/dataset/convert.py',
      'numpy.maximum(shape, array.shape, shape)',
      'numpy.maximum(shape, array.shape, out=shape)',
      'NumPy 2.5 deprecates out as a positional argument.'),
    S('chainer/iterators/multiprocess_iterator.py',
      'thread.setDaemon(True)',
      'thread.daemon = True',
      'Thread.setDaemon is deprecated since Python 3.10.'),
    S('chainer/iterators/multiprocess_iterator.py',
      'lambda k, v: state.__setitem__(k, v)',
      'state.setdefault',
      'The serializer must return the value: with None in its place, pickling '
      'an iterator kills its prefetch thread and loses its position.'),
    S('chainer/functions/math/fix.py',
      'xp.fix(x)',
      'xp.trunc(x)',
      'NumPy 2.5 deprecates numpy.fix, which is numpy.trunc.'),
    S('chainer/links/activation/maxout.py',
      '                array.shape = (out_size, pool_size, in_size)\n'
      '                initialW_orig(array)\n'
      '                array.shape = (linear_out_size, in_size)\n',
      '                initialW_orig(\n'
      '                    array.reshape(out_size, pool_size, in_size))\n',
      'NumPy 2.5 deprecates setting the shape of an array.'),
    S('chainer/links/activation/maxout.py',
      '                array.shape = (out_size, pool_size)\n'
      '                initial_bias_orig(array)\n'
      '                array.shape = linear_out_size,\n',
      '                initial_bias_orig(array.reshape(out_size, pool_size))\n',
      'NumPy 2.5 deprecates setting the shape of an array.'),
    S('chainer/serializers/hdf5.py',
      '        else:\n            value = type(value)(numpy.asarray(dataset))\n',
      '        elif isinstance(value, str):\n'
      '            value = dataset.asstr()[()]\n'
      '        else:\n            value = type(value)(numpy.asarray(dataset))\n',
      'h5py 3 reads strings as bytes: b"abc" became "b\'abc\'".'),

    # --- chainer.testing ---------------------------------------------------
    S('chainer/testing/helper.py',
      'import pkg_resources\ntry:\n',
      'from importlib import metadata\ntry:\n',
      'pkg_resources left setuptools in version 81.'),
    S('chainer/testing/helper.py',
      'def with_requires(*requirements):',
      'def _are_installed(*requirements):\n'
      '    from packaging.requirements import Requirement\n'
      '    for requirement in map(Requirement, requirements):\n'
      '        try:\n'
      '            version = metadata.version(requirement.name)\n'
      '        except metadata.PackageNotFoundError:\n'
      '            return False\n'
      '        if not requirement.specifier.contains(\n'
      '                version, prereleases=True):\n'
      '            return False\n'
      '    return True\n'
      '\n\n'
      'def with_requires(*requirements):',
      'pkg_resources left setuptools in version 81.'),
    S('chainer/testing/helper.py',
      '    ws = pkg_resources.WorkingSet()\n'
      '    try:\n'
      '        ws.require(*requirements)\n'
      '        skip = False\n'
      '    except pkg_resources.ResolutionError:\n'
      '        skip = True\n',
      '    skip = not _are_installed(*requirements)\n',
      'pkg_resources left setuptools in version 81.'),
    S('chainer/testing/helper.py',
      '    ws = pkg_resources.WorkingSet()\n'
      '    try:\n'
      '        ws.require(*requirements)\n'
      '        skip = True\n'
      '    except pkg_resources.ResolutionError:\n'
      '        skip = False\n',
      '    skip = _are_installed(*requirements)\n',
      'pkg_resources left setuptools in version 81.'),
    S('chainer/testing/doctest_helper.py',
      'import pkg_resources\n',
      'from chainer.testing import helper\n',
      'pkg_resources left setuptools in version 81.'),
    S('chainer/testing/doctest_helper.py',
      '    ws = pkg_resources.WorkingSet()\n'
      '    try:\n'
      '        ws.require(*requirements)\n'
      '    except pkg_resources.ResolutionError:\n'
      '        return False\n'
      '    return skipif(True)\n',
      '    return skipif(helper._are_installed(*requirements))\n',
      'pkg_resources left setuptools in version 81.'),

    # --- Values that no longer convert silently ------------------------------
    S('chainer/functions/math/sparse_matmul.py',
      'def _coo_matmul_cpu(A_data, A_row, A_col, A_shape, B, dtype):\n',
      'def _coo_matmul_cpu(A_data, A_row, A_col, A_shape, B, dtype):\n'
      '    if A_data.dtype == numpy.float16:\n'
      '        A_data = A_data.astype(numpy.float32)\n'
      '    if B.dtype == numpy.float16:\n'
      '        B = B.astype(numpy.float32)\n',
      'SciPy refuses float16 in sparse products; the result is cast to the '
      'wanted type below.'),
    S('chainer/functions/array/pad_sequence.py',
      '            return y,  # y is an empty array\n',
      '            return y,  # y is an empty array\n'
      '        padding = numpy.asarray(self.padding).astype(y.dtype)[()]\n',
      'NumPy 2 refuses a Python int out of the range of the array, such as -1 '
      'in an unsigned one, instead of wrapping it.'),
    S('chainer/functions/array/pad_sequence.py',
      'y[i, l:] = self.padding',
      'y[i, l:] = padding',
      'NumPy 2 refuses a Python int out of the range of the array, such as -1 '
      'in an unsigned one, instead of wrapping it.'),
    S('chainer/functions/array/pad_sequence.py',
      ')(ptrs, lengths, self.padding, base, length, y)',
      ')(ptrs, lengths, padding, base, length, y)',
      'NumPy 2 refuses a Python int out of the range of the array, such as -1 '
      'in an unsigned one, instead of wrapping it.'),

    # --- The Caffe reader ----------------------------------------------------
    S('chainer/links/caffe/protobuf3/caffe_pb2.py',
      'from google.protobuf.internal import enum_type_wrapper\n'
      'from google.protobuf import descriptor as _descriptor\n'
      'from google.protobuf import message as _message\n'
      'from google.protobuf import reflection as _reflection\n'
      'from google.protobuf import symbol_database as _symbol_database\n'
      'from google.protobuf import descriptor_pb2\n',
      'from google.protobuf.internal import builder as _builder\n'
      'from google.protobuf import descriptor_pool as _descriptor_pool\n'
      'from google.protobuf import symbol_database as _symbol_database\n',
      'protobuf 4 refuses descriptors written out in Python; it builds them '
      'from the serialized ones in the same file.'),
    S('chainer/links/caffe/protobuf3/caffe_pb2.py',
      "DESCRIPTOR = _descriptor.FileDescriptor(\n"
      "  name='caffe.proto',\n"
      "  package='caffe',\n"
      "  syntax='proto2',\n"
      "  serialized_pb=_b(",
      'DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(\n  _b(',
      'protobuf 4 refuses descriptors written out in Python; it builds them '
      'from the serialized ones in the same file.'),
    S('chainer/links/caffe/protobuf3/caffe_pb2.py',
      '_sym_db.RegisterFileDescriptor(DESCRIPTOR)\n',
      '_builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())\n'
      '_builder.BuildTopDescriptorsAndMessages(\n'
      '    DESCRIPTOR, __name__, globals())\n',
      'protobuf 4 refuses descriptors written out in Python; it builds them '
      'from the serialized ones in the same file.',
      to_end=True),

    # --- ChainerMN ------------------------------------------------------------
    S('chainermn/iterators/multi_node_iterator.py',
      'self.dataset_size = int(_size)',
      'self.dataset_size = int(_size[0])',
      'NumPy 2.4 refuses to make a number of an array with one axis.'),
    S('chainermn/extensions/observation_aggregator.py',
      'value.to_device("native")',
      'value.to_device("native" if chx.is_available() else "@numpy")',
      'The device "native" is that of ChainerX: without it, every variable '
      'that was reported raised an error.'),
    S('chainermn/communicators/_memory_utility.py',
      '#include <cupy/carray.cuh>\n',
      '#include <cuda_fp16.h>\n#include <cupy/carray.cuh>\n',
      'cupy/carray.cuh no longer declares half since CuPy 14.',
      count=2),
    S('chainermn/communicators/_memory_utility.py',
      'v = xp.array(v, copy=False, dtype=transfer_dtype)',
      'v = v.astype(transfer_dtype)',
      'NumPy 2 and CuPy 14 raise for copy=False where a copy is needed.'),
)
