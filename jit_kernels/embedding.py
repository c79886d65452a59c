"""Embedding kernel, float32."""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._jit import kernel


@kernel("void(f4[::1], f4[:,::1], f4[:,::1])")
def embedding_f32(ids: Any, weight: Any, out: Any) -> None:
    """Copy row ``ids[i]`` of ``weight`` (rows, size) to row i of ``out`` (ids, size).

    Ids lose their fraction; negative ones count from the end.  Parallel axis: ids.
    """
    rows, size = weight.shape
    for i in prange(ids.size):
        row = int(ids[i])
        if row < 0:
            row += rows
        for j in range(size):
            out[i, j] = weight[row, j]
