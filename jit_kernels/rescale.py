"""Rescaling kernels, float32."""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._broadcast import BLOCK, broadcasting
from jit_kernels._elementary import exact
from jit_kernels._jit import kernel


@exact
def affine(x: Any, weight: Any, bias: Any) -> Any:
    """``x * weight + bias``, rounded twice as in Keras."""
    return x * weight + bias


@kernel("void(f4[::1], f4, f4, f4[::1])")
def rescale_f32(x: Any, scale: float, offset: float, out: Any) -> None:
    """Write ``x * scale + offset`` into ``out``; both (size,), C order.

    Parallel axis: blocks of elements.
    """
    for block in prange((x.size + BLOCK - 1) // BLOCK):
        numbers, results = x[block * BLOCK : (block + 1) * BLOCK], out[block * BLOCK : (block + 1) * BLOCK]
        for i in range(results.size):
            results[i] = affine(numbers[i], scale, offset)


affine_f32 = broadcasting("affine_f32", affine)
