"""Numerical primitives: stable scalar functions that work on arrays and on Chainer variables.

``node``         the node of Chainer's graph that all of the package's functions are
``elementwise``  the one fused node that every log-density is built on
``special``      log1p-like, gamma-like and normal-like functions with their derivatives
``random``       draws that follow a seed, a generator or the global state, on CPU and GPU
"""
