"""Compiled kernels (numba, Triton), each with a plain twin."""
