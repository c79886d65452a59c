"""Convolution as an implicit matrix product, NCHW, float32.

    out[o, q] = sum over k of weight[o, k] * x[offset[k] + q]

``k`` runs over channel, kernel row, kernel column.  The input is first laid out so that, for every k, neighbouring
output pixels read neighbouring numbers (``layout.py``): planes are padded with zeros and split by phase, so
that a stride becomes a step of 1.  Output pixels are counted in the width of those planes; the few beyond the output's
own width are computed and dropped.  A 1x1 convolution of stride 1 reads its input as it is.

For each panel of NR pixels the rows are copied once (``[k][NR]``), then multiplied with all row panels of the packed
weight.  Panels are independent: each output element is summed by one thread, in the order of k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import device, kernel
from jit_kernels._simd import MR, NR, copy_row_f32, finish_row_f32, gemm_micro_f32

ZERO = np.float32(0)


@device
def pack_panel(source: Any, start: int, offsets: Any, count: int, panels: Any, place: int) -> None:
    """Copy NR numbers for every k into the panel at ``place``; those from ``count`` on are zeros and not read."""
    if count == NR:
        for k in range(offsets.size):
            copy_row_f32(source, start + offsets[k], panels, place + k * NR)
        return
    for k in range(offsets.size):
        row = panels[place + k * NR : place + (k + 1) * NR]
        numbers = source[start + offsets[k] : start + offsets[k] + count]
        for j in range(count):
            row[j] = numbers[j]
        for j in range(count, NR):
            row[j] = ZERO


@kernel(
    "void(f4[::1], i8, i8[::1], i8, i8, i8, i8, f4[::1], f4[::1], f4, f4, i8, i8, f4[::1], f4[:,::1], f4[::1])",
    writes=2,
)
def conv_gemm_f32(
    x: Any, batch: int, offsets: Any, plane_w: int, out_w: int, out_channels: int, pixels: int, weight: Any, bias: Any,
    low: Any, high: Any, group: int, threads: int, residual: Any, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Convolve ``batch`` images ``x``, one behind the other as laid out, with the packed weight.

    ``offsets`` (K,) say where each k starts in an image; ``plane_w`` and ``out_w`` are the width of a laid-out row and
    of an output row.  Then add ``bias`` (O,) and ``residual`` (as ``out``; or of size 0), clamp to [low, high], write
    ``out``, (N, O, pixels) flattened.  ``scratch`` holds for each thread ``group`` panels, a tile and a row: as many
    panels are multiplied by a row panel while it is in the first-level cache.  Parallel axis: groups of panels.
    """
    length, image = offsets.size, x.size // batch
    counted = pixels // out_w * plane_w - (plane_w - out_w)
    panels = (counted + NR - 1) // NR
    groups = (panels + group - 1) // group
    row_panels = (out_channels + MR - 1) // MR
    total = batch * groups
    for thread in prange(threads):
        packed = scratch[thread]
        tile = group * length * NR
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            n, first_panel = unit // groups, unit % groups * group
            last_panel = min(first_panel + group, panels)
            for p in range(first_panel, last_panel):
                count = min(NR, counted - p * NR)
                pack_panel(x, n * image + p * NR, offsets, count, packed, (p - first_panel) * length * NR)
            for row_panel in range(row_panels):
                first_row = row_panel * MR
                rows = min(MR, out_channels - first_row)
                for p in range(first_panel, last_panel):
                    place = (p - first_panel) * length * NR
                    gemm_micro_f32(weight, first_row * length, packed, place, length, packed, tile)
                    first = p * NR
                    count = min(NR, counted - first)
                    done = 0
                    while done < count:
                        row, column = (first + done) // plane_w, (first + done) % plane_w
                        run = min(plane_w - column, count - done)
                        kept = min(out_w - column, run)
                        start = (n * out_channels + first_row) * pixels + row * out_w + column
                        if kept > 0:
                            for i in range(rows):
                                finish_row_f32(
                                    packed, tile + i * NR + done, kept, bias[first_row + i], low, high, residual, out,
                                    start + i * pixels,
                                )  # fmt: skip
                        done += run
