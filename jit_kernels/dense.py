"""Matrix product kernels, float32: plain loops."""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._jit import kernel


@kernel("void(f4[:,::1], f4[:,::1], f4[::1], f4[:,::1])")
def linear_f32(x: Any, weight: Any, bias: Any, out: Any) -> None:
    """Multiply ``x`` (rows, inputs) by ``weight`` (outputs, inputs) transposed and add ``bias`` (outputs,).

    Writes ``out`` (rows, outputs).  Parallel axis: cells of ``out``; each is one float32 sum over the inputs.
    """
    rows, outputs = out.shape
    inputs = x.shape[1]
    for cell in prange(rows * outputs):
        row, o = cell // outputs, cell % outputs
        total = bias[o]
        for i in range(inputs):
            total += x[row, i] * weight[o, i]
        out[row, o] = total
