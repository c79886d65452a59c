"""Upsampling kernels, float32: by integer factors, and by weighted sums along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import device, kernel


@kernel("void(f4[:,:,:,:,::1], i8, i8, i8, f4[:,:,:,:,::1])")
def upsample_nearest_f32(x: Any, scale_d: int, scale_h: int, scale_w: int, out: Any) -> None:
    """Repeat every cell of ``x`` (N, C, D, H, W), writing ``out`` (N, C, D * scale_d, H * scale_h, W * scale_w).

    Parallel axis: volumes, N * C.
    """
    batch, channels, out_d, out_h, out_w = out.shape
    for volume in prange(batch * channels):
        n, c = volume // channels, volume % channels
        for d in range(out_d):
            for i in range(out_h):
                for j in range(out_w):
                    out[n, c, d, i, j] = x[n, c, d // scale_d, i // scale_h, j // scale_w]


@kernel("void(f4[:,:,::1], i8[::1], i8[::1], f4[:,::1], f4[:,:,::1])")
def resample_f32(x: Any, first: Any, counts: Any, weights: Any, out: Any) -> None:
    """Weigh and sum cells of the middle axis of ``x`` (outer, cells, inner), writing ``out`` (outer, O, inner).

    Output ``i`` is the sum of ``counts[i]`` (O,) cells from ``first[i]`` (O,) on, by ``weights[i]`` (O, most), in that
    order.  Parallel axis: outer.
    """
    outer, outputs, inner = out.shape
    for place in prange(outer):
        for i in range(outputs):
            target = out[place, i]
            for j in range(inner):
                target[j] = 0
            for step in range(counts[i]):
                weight, source = weights[i, step], x[place, first[i] + step]
                for j in range(inner):
                    target[j] += weight * source[j]


@device
def neighbours(position: int, scale: int, size: int) -> Any:
    """Where an output cell's centre falls between the centres of input cells.

    In units of half an output cell, output centre ``position`` is at ``2 * position + 1`` and input centre ``k`` at
    ``scale * (2 * k + 1)``.  Gives the cell before, the cell after and the share of the one after, in [0, 1).  Beyond
    the outermost centres, and on a centre, both cells are the same one (so that 0 * inf does not arise).
    """
    beyond = 2 * position + 1 - scale
    before = beyond // (2 * scale)
    share = np.float32(beyond - before * 2 * scale) / np.float32(2 * scale)
    after = before if beyond == before * 2 * scale else before + 1
    return max(before, 0), min(after, size - 1), share


@kernel("void(f4[:,:,:,::1], i8, i8, f4[:,:,:,::1])")
def upsample_bilinear2d_nchw_f32(x: Any, scale_h: int, scale_w: int, out: Any) -> None:
    """Interpolate ``x`` (N, C, H, W) linearly along W, then along H, between the centres of cells.

    Writes ``out`` (N, C, H * scale_h, W * scale_w).  Parallel axis: planes, N * C.
    """
    batch, channels, out_h, out_w = out.shape
    in_h, in_w = x.shape[2:]
    for plane in prange(batch * channels):
        n, c = plane // channels, plane % channels
        for i in range(out_h):
            top, bottom, down = neighbours(i, scale_h, in_h)
            for j in range(out_w):
                left, right, across = neighbours(j, scale_w, in_w)
                upper = x[n, c, top, left] + (x[n, c, top, right] - x[n, c, top, left]) * across
                lower = x[n, c, bottom, left] + (x[n, c, bottom, right] - x[n, c, bottom, left]) * across
                out[n, c, i, j] = upper + (lower - upper) * down
