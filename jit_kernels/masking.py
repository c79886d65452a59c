"""Masks of steps, float32: 1 where a step counts and 0 where not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import kernel


@kernel("void(f4[:,::1], f4, f4[::1])")
def step_mask_f32(x: Any, value: float, out: Any) -> None:
    """Write 1 into ``out`` (rows,) where any number of the row of ``x`` (rows, size) is not ``value``, else 0.

    NaN is no number's equal.  Parallel axis: rows.
    """
    rows, size = x.shape
    for row in prange(rows):
        differs = np.float32(0)
        for place in range(size):
            if x[row, place] != value:
                differs = np.float32(1)
        out[row] = differs


@kernel("void(f4[:,::1], f4[::1], f4, f4[:,::1])")
def masked_fill_f32(x: Any, mask: Any, value: float, out: Any) -> None:
    """Write ``x`` (rows, size) into ``out``, and ``value`` into the rows where ``mask`` (rows,) is 0.

    Parallel axis: rows.
    """
    rows, size = x.shape
    for row in prange(rows):
        counts = mask[row] != 0
        for place in range(size):
            out[row, place] = x[row, place] if counts else value
