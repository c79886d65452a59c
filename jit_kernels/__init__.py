"""Numba kernels: plain loops over checked, contiguous float32 arrays.  They import nothing of keydnn."""
