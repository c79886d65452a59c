"""Elementwise operations of two arrays, float32: one scalar function each, and the factory that makes a kernel of it.

As in ``activation.py`` the scalar functions are compiled without fastmath, so that they round as Keras does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import prange

from jit_kernels._broadcast import BLOCK
from jit_kernels._elementary import exact
from jit_kernels._jit import Kernel, kernel
from jit_kernels.activation import elementwise


def pairwise(name: str, scalar: Callable[..., Any]) -> Kernel:
    """Make the kernel ``out[i] = scalar(x[i], y[i])``."""

    @kernel("void(f4[::1], f4[::1], f4[::1])", name=name)
    def compute(x: Any, y: Any, out: Any) -> None:
        """Apply the scalar function to ``x`` and ``y`` (as many elements), writing ``out``, which may be one of them.

        Parallel axis: blocks of elements, as in ``activation.py``.
        """
        size = out.size
        for block in prange((size + BLOCK - 1) // BLOCK):
            start, stop = block * BLOCK, min((block + 1) * BLOCK, size)
            first, second, results = x[start:stop], y[start:stop], out[start:stop]
            for i in range(stop - start):
                results[i] = scalar(first[i], second[i])

    return compute


@exact
def add(x: Any, y: Any) -> Any:
    """``x + y``."""
    return x + y


@exact
def subtract(x: Any, y: Any) -> Any:
    """``x - y``."""
    return x - y


@exact
def multiply(x: Any, y: Any) -> Any:
    """``x * y``."""
    return x * y


@exact
def maximum(x: Any, y: Any) -> Any:
    """``max(x, y)``; NaN if either is."""
    return x if x >= y or x != x else y


@exact
def minimum(x: Any, y: Any) -> Any:
    """``min(x, y)``; NaN if either is."""
    return x if x <= y or x != x else y


@exact
def divide(x: Any, divisor: Any, b: Any, c: Any) -> Any:
    """``x / divisor``."""
    return x / divisor


add_f32 = pairwise("add_f32", add)
subtract_f32 = pairwise("subtract_f32", subtract)
multiply_f32 = pairwise("multiply_f32", multiply)
maximum_f32 = pairwise("maximum_f32", maximum)
minimum_f32 = pairwise("minimum_f32", minimum)
divide_f32 = elementwise("divide_f32", divide)
