"""How a convolution's input is laid out: padded with zeros, and split by phase so that a stride becomes a step of 1."""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._jit import device, kernel
from jit_kernels._simd import LANES, NR, copy_run_f32, split_by_2_f32, split_by_4_f32, zero_run_f32


@device
def zero(target: Any, place: int, count: int) -> None:
    """Write zeros."""
    for j in range(0, count, NR):
        zero_run_f32(target, place + j, min(NR, count - j))


@device
def copy(source: Any, start: int, target: Any, place: int, count: int) -> None:
    """Copy numbers."""
    for j in range(0, count, NR):
        copy_run_f32(source, start + j, target, place + j, min(NR, count - j))


@device
def split_row(row: Any, stride: int, width: int, out: Any, place: int, step: int) -> None:
    """Deal a padded row out to its phases: number j * stride + q goes to out[place + q * step + j]."""
    if stride == 2:
        for j in range(0, width, LANES):
            split_by_2_f32(row, 2 * j, out, place + j, step, min(LANES, width - j))
    elif stride == 4:
        for j in range(0, width, LANES):
            split_by_4_f32(row, 4 * j, out, place + j, step, min(LANES, width - j))
    else:
        for q in range(stride):
            for j in range(width):
                out[place + q * step + j] = row[j * stride + q]


@device
def lay_out_plane(
    x: Any, start: int, in_h: int, in_w: int, pad_top: int, pad_left: int, stride_h: int, stride_w: int, plane_h: int,
    plane_w: int, row: Any, out: Any, place: int,
) -> None:  # fmt: skip
    """Lay out the plane (H, W) at ``x[start]``: (stride_h, stride_w, plane_h, plane_w) numbers from ``out[place]`` on.

    ``row`` is a padded row's worth of scratch, zeros but for the middle.
    """
    width = min(in_w, plane_w * stride_w - pad_left)
    phase = plane_h * plane_w
    for padded_row in range(plane_h * stride_h):
        i, p = padded_row // stride_h, padded_row % stride_h
        target = place + (p * stride_w * plane_h + i) * plane_w
        source_row = padded_row - pad_top
        source = start + source_row * in_w
        if source_row < 0 or source_row >= in_h:
            for q in range(stride_w):
                zero(out, target + q * phase, plane_w)
        elif stride_w == 1:
            zero(out, target, pad_left)
            copy(x, source, out, target + pad_left, width)
            zero(out, target + pad_left + width, plane_w - pad_left - width)
        else:
            copy(x, source, row, pad_left, width)
            split_row(row, stride_w, plane_w, out, target, phase)


@kernel("void(f4[::1], i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, f4[:,::1], f4[::1])", writes=2)
def lay_out_nchw_f32(
    x: Any, planes: int, in_h: int, in_w: int, pad_top: int, pad_left: int, stride_h: int, stride_w: int, plane_h: int,
    plane_w: int, threads: int, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Pad ``planes`` planes (H, W) and split them by phase.

    Row i * stride_h + p, column j * stride_w + q of plane c, padded, goes to [c, p, q, i, j] of ``out``, (planes,
    stride_h, stride_w, plane_h, plane_w) flattened; zeros where there is no cell.  ``scratch`` holds a padded row for
    each thread, and room for the vectors that reach beyond it.  Parallel axis: planes.
    """
    size = stride_h * stride_w * plane_h * plane_w
    for thread in prange(threads):
        row = scratch[thread]
        zero(row, 0, row.size)
        for c in range(thread * planes // threads, (thread + 1) * planes // threads):
            lay_out_plane(
                x, c * in_h * in_w, in_h, in_w, pad_top, pad_left, stride_h, stride_w, plane_h, plane_w, row, out,
                c * size,
            )  # fmt: skip
