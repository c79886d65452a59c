"""Pooling kernels, float32, on volumes (D, H, W), one a channel; images and sequences are volumes of one plane or row.

A window is given by where it begins and ends on each axis, cut to the cells that exist, so no input is padded; every
window has at least one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import kernel

LOWEST = np.finfo(np.float32).min


@kernel("void(f4[:,:,:,::1], i8[:,::1], i8[:,::1], i8[:,::1], f4[:,::1], f4[:,:,:,::1])", writes=2)
def max_pool_f32(x: Any, planes: Any, rows: Any, columns: Any, scratch: Any, out: Any) -> None:
    """Largest value of each window of ``x`` (volumes, D, H, W), written to ``out`` (volumes, OD, OH, OW).

    ``planes`` (OD, 2), ``rows`` (OH, 2) and ``columns`` (OW, 2) hold first and last + 1.  As in TensorFlow the search
    starts from the lowest finite number and NaN is passed over: a window of nothing but NaN and -inf gives
    -3.4028235e38.  The rows of a window come first, all columns at once, into ``scratch`` (volumes, W).  Parallel axis:
    volumes.
    """
    volumes, _, _, in_w = x.shape
    _, out_d, out_h, out_w = out.shape
    for volume in prange(volumes):
        highest = scratch[volume]
        for d in range(out_d):
            for i in range(out_h):
                for column in range(in_w):
                    highest[column] = LOWEST
                for plane in range(planes[d, 0], planes[d, 1]):
                    for row in range(rows[i, 0], rows[i, 1]):
                        source = x[volume, plane, row]
                        for column in range(in_w):
                            value, so_far = source[column], highest[column]
                            highest[column] = value if value > so_far else so_far
                target = out[volume, d, i]
                for j in range(out_w):
                    largest = LOWEST
                    for column in range(columns[j, 0], columns[j, 1]):
                        largest = max(largest, highest[column])
                    target[j] = largest


@kernel("void(f4[:,:,:,::1], i8[:,::1], i8[:,::1], i8[:,::1], i8, f4[:,:,:,::1])")
def avg_pool_f32(x: Any, planes: Any, rows: Any, columns: Any, cells: int, out: Any) -> None:
    """Mean of each window of ``x`` (volumes, D, H, W), written to ``out`` (volumes, OD, OH, OW).

    ``planes`` (OD, 2), ``rows`` (OH, 2) and ``columns`` (OW, 2) hold first and last + 1.  The sum is divided by
    ``cells``, or by the number of cells of the window if that is 0.  Parallel axis: volumes; each window is summed in
    float32, row by row.
    """
    volumes, out_d, out_h, out_w = out.shape
    for volume in prange(volumes):
        for d in range(out_d):
            first_plane, last_plane = planes[d, 0], planes[d, 1]
            for i in range(out_h):
                first_row, last_row = rows[i, 0], rows[i, 1]
                for j in range(out_w):
                    first, last = columns[j, 0], columns[j, 1]
                    total = np.float32(0)
                    for plane in range(first_plane, last_plane):
                        for row in range(first_row, last_row):
                            for column in range(first, last):
                                total += x[volume, plane, row, column]
                    count = (last_plane - first_plane) * (last_row - first_row) * (last - first)
                    out[volume, d, i, j] = total / np.float32(cells if cells else count)


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


@kernel("void(f4[:,:,::1], f4[:,::1], f4[:,::1])")
def masked_avg_f32(x: Any, mask: Any, out: Any) -> None:
    """Mean of the cells of each row of ``x`` (N, C, L) at which ``mask`` (N, L) is not 0, summed in float64.

    Writes ``out`` (N, C): NaN where there is no such cell.  Parallel axis: rows, N * C.
    """
    batch, channels, length = x.shape
    for row in prange(batch * channels):
        n, c = row // channels, row % channels
        total, count = 0.0, 0.0
        for cell in range(length):
            if mask[n, cell] != 0:
                total += np.float64(x[n, c, cell])
                count += 1.0
        out[n, c] = total / count
