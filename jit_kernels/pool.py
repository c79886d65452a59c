"""Pooling kernels, NCHW, float32.

Windows are cut to the cells that exist, so no input is padded; every window has at least one (each side's padding is
less than the window).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import kernel

LOWEST = np.finfo(np.float32).min


@kernel("void(f4[:,:,:,::1], i8, i8, i8, i8, i8, i8, f4[:,::1], f4[:,:,:,::1])", writes=2)
def max_pool2d_nchw_f32(
    x: Any,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    scratch: Any,
    out: Any,
) -> None:
    """Largest value of each window of ``x`` (N, C, H, W), written to ``out`` (N, C, OH, OW).

    As in TensorFlow the search starts from the lowest finite number and NaN is passed over: a window of nothing but
    NaN and -inf gives -3.4028235e38.  The rows of a window come first, all columns at once, into ``scratch``
    (N * C, W).  Parallel axis: planes, N * C.
    """
    _, channels, in_h, in_w = x.shape
    batch, _, out_h, out_w = out.shape
    for plane in prange(batch * channels):
        n, c = plane // channels, plane % channels
        highest = scratch[plane]
        for i in range(out_h):
            top = i * stride_h - pad_top
            for column in range(in_w):
                highest[column] = LOWEST
            for row in range(max(top, 0), min(top + kernel_h, in_h)):
                source = x[n, c, row]
                for column in range(in_w):
                    value, so_far = source[column], highest[column]
                    highest[column] = value if value > so_far else so_far
            target = out[n, c, i]
            for j in range(out_w):
                left = j * stride_w - pad_left
                largest = LOWEST
                for column in range(max(left, 0), min(left + kernel_w, in_w)):
                    largest = max(largest, highest[column])
                target[j] = largest


@kernel("void(f4[:,:,:,::1], i8, i8, i8, i8, i8, i8, b1, f4[:,:,:,::1])")
def avg_pool2d_nchw_f32(
    x: Any,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    count_include_pad: bool,
    out: Any,
) -> None:
    """Mean of each window of ``x`` (N, C, H, W), written to ``out`` (N, C, OH, OW).

    The sum is divided by the window's size, or by the number of cells it has in ``x`` unless ``count_include_pad``.
    Parallel axis: planes, N * C; each window is summed in float32, row by row.
    """
    _, channels, in_h, in_w = x.shape
    batch, _, out_h, out_w = out.shape
    for plane in prange(batch * channels):
        n, c = plane // channels, plane % channels
        for i in range(out_h):
            first_row, last_row = max(i * stride_h - pad_top, 0), min(i * stride_h - pad_top + kernel_h, in_h)
            for j in range(out_w):
                first, last = max(j * stride_w - pad_left, 0), min(j * stride_w - pad_left + kernel_w, in_w)
                total = np.float32(0)
                for row in range(first_row, last_row):
                    for column in range(first, last):
                        total += x[n, c, row, column]
                cells = kernel_h * kernel_w if count_include_pad else (last_row - first_row) * (last - first)
                out[n, c, i, j] = total / np.float32(cells)


@kernel("void(f4[:,::1], f4[::1])")
def global_max_f32(x: Any, out: Any) -> None:
    """Largest value of each row of ``x`` (rows, cells), written to ``out`` (rows,); NaN if there is one.

    Parallel axis: rows.
    """
    rows, cells = x.shape
    for row in prange(rows):
        largest = x[row, 0]
        for cell in range(1, cells):
            value = x[row, cell]
            if value > largest or value != value:
                largest = value
            if largest != largest:
                break
        out[row] = largest


@kernel("void(f4[:,::1], f4[::1])")
def global_avg_f32(x: Any, out: Any) -> None:
    """Mean of each row of ``x`` (rows, cells), summed in float64, written to ``out`` (rows,).

    Parallel axis: rows.
    """
    rows, cells = x.shape
    for row in prange(rows):
        total = 0.0
        for cell in range(cells):
            total += np.float64(x[row, cell])
        out[row] = total / cells
