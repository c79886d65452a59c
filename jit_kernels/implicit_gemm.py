"""Convolution as an implicit matrix product, NCHW, float32.

    out[o, q] = sum over k of weight[o, k] * x[offset[k] + q]

``k`` runs over channel, kernel row, kernel column.  The input is first laid out so that, for every k, neighbouring
output pixels read neighbouring numbers (:func:`lay_out_nchw_f32`): planes are padded with zeros and split by phase, so
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


@kernel("void(f4[:,:,:,::1], i8, i8, i8, i8, i8, f4[:,:,:,:,:,::1])")
def lay_out_nchw_f32(
    x: Any, pad_top: int, pad_left: int, stride_h: int, stride_w: int, threads: int, out: Any
) -> None:  # fmt: skip
    """Pad ``x`` (N, C, H, W) and split it by phase: row i * stride_h + p, column j * stride_w + q to [.., p, q, i, j].

    Writes ``out`` (N, C, stride_h, stride_w, PH, PW), zeros where there is no cell.  Parallel axis: planes, N * C.
    """
    batch, channels, in_h, in_w = x.shape
    plane_h, plane_w = out.shape[4], out.shape[5]
    total = batch * channels
    for thread in prange(threads):
        for plane in range(thread * total // threads, (thread + 1) * total // threads):
            n, c = plane // channels, plane % channels
            for p in range(stride_h):
                for q in range(stride_w):
                    # the columns j whose source j * stride_w + q - pad_left exists
                    first = min(max(-((q - pad_left) // stride_w), 0), plane_w)
                    last = max(min((in_w - 1 + pad_left - q) // stride_w + 1, plane_w), first)
                    for i in range(plane_h):
                        row = i * stride_h + p - pad_top
                        target = out[n, c, p, q, i]
                        if row < 0 or row >= in_h:
                            for j in range(plane_w):
                                target[j] = ZERO
                            continue
                        source = x[n, c, row]
                        shift = q - pad_left
                        for j in range(first):
                            target[j] = ZERO
                        if stride_w == 1:
                            for j in range(first, last):
                                target[j] = source[j + shift]
                        else:
                            for j in range(first, last):
                                target[j] = source[j * stride_w + shift]
                        for j in range(last, plane_w):
                            target[j] = ZERO


@device
def pack_panel(source: Any, start: int, offsets: Any, count: int, panel: Any) -> None:
    """Copy NR numbers for every k; those from ``count`` on are zeros and not read."""
    if count == NR:
        for k in range(offsets.size):
            copy_row_f32(source, start + offsets[k], panel, k * NR)
        return
    for k in range(offsets.size):
        first = start + offsets[k]
        for j in range(count):
            panel[k * NR + j] = source[first + j]
        for j in range(count, NR):
            panel[k * NR + j] = ZERO


@device
def store_rows(
    tile: Any, column: int, rows: int, first_row: int, bias: Any, low: Any, high: Any, residual: Any, out: Any,
    start: int, run: int,
) -> None:  # fmt: skip
    """Finish ``run`` columns of a tile from ``column`` on, and write them from ``out[row, start]`` on."""
    for i in range(rows):
        o = first_row + i
        added = residual[o] if residual.size > 0 else residual[0:0].reshape(0)
        finish_row_f32(tile, i * NR + column, run, bias[o], low, high, added, out[o], start)


@kernel(
    "void(f4[:,::1], i8[::1], i8, i8, f4[::1], f4[::1], f4, f4, i8, i8, f4[:,:,::1], f4[:,::1], f4[:,:,::1])", writes=2
)
def conv_gemm_f32(
    x: Any, offsets: Any, plane_w: int, out_w: int, weight: Any, bias: Any, low: Any, high: Any, group: int,
    threads: int, residual: Any, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Convolve ``x`` (N, numbers of one image as laid out) with the packed weight.

    ``offsets`` (K,) say where each k starts; ``plane_w`` and ``out_w`` are the width of a laid-out row and of an
    output row.  Then add ``bias`` (O,) and ``residual`` (N, O, pixels; or (N, 0, 0) for none), clamp to [low, high],
    write ``out`` (N, O, pixels).  ``scratch`` holds ``group`` panels and a tile for each thread: as many panels are
    multiplied by a row panel while it is in the first-level cache, and output rows are written in longer runs.
    Parallel axis: groups of panels.
    """
    batch, out_channels, pixels = out.shape
    length = offsets.size
    counted = pixels // out_w * plane_w - (plane_w - out_w)
    panels = (counted + NR - 1) // NR
    groups = (panels + group - 1) // group
    row_panels = (out_channels + MR - 1) // MR
    total = batch * groups
    for thread in prange(threads):
        packed = scratch[thread]
        tile = packed[group * length * NR :]
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            n, first_panel = unit // groups, unit % groups * group
            last_panel = min(first_panel + group, panels)
            for p in range(first_panel, last_panel):
                start = p * NR
                pack_panel(x[n], start, offsets, min(NR, counted - start), packed[(p - first_panel) * length * NR :])
            for row_panel in range(row_panels):
                rows = min(MR, out_channels - row_panel * MR)
                for p in range(first_panel, last_panel):
                    gemm_micro_f32(
                        weight, row_panel * length * MR, packed, (p - first_panel) * length * NR, length, tile
                    )
                    first = p * NR
                    count = min(NR, counted - first)
                    done = 0
                    while done < count:
                        row, column = (first + done) // plane_w, (first + done) % plane_w
                        run = min(plane_w - column, count - done)
                        kept = min(out_w - column, run)
                        if kept > 0:
                            store_rows(
                                tile, done, rows, row_panel * MR, bias, low, high, residual[n], out[n],
                                row * out_w + column, kept,
                            )  # fmt: skip
                        done += run
