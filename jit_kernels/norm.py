"""Normalisation kernels, float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import kernel
from jit_kernels._reduce import total, total_of_squares


@kernel("void(f4[:,:,::1], f4[::1], f4[::1], f4[::1], f4[:,:,::1])")
def batch_norm_f32(x: Any, mean: Any, factor: Any, bias: Any, out: Any) -> None:
    """``(x - mean) * factor + bias`` of ``x`` (N, C, cells), with a number each for every channel (C,).

    Writes ``out`` (N, C, cells).  Parallel axis: planes, N * C.
    """
    batch, channels, cells = x.shape
    for plane in prange(batch * channels):
        n, c = plane // channels, plane % channels
        for cell in range(cells):
            out[n, c, cell] = (x[n, c, cell] - mean[c]) * factor[c] + bias[c]


@kernel("void(f4[:,::1], f4[::1], f4[::1], f8, f4[:,::1])")
def layer_norm_f32(x: Any, weight: Any, bias: Any, eps: Any, out: Any) -> None:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` of each row of ``x`` (rows, size).

    ``weight`` and ``bias`` are (size,).  Two passes over a row, then the result, all in float64: the cells nearly
    cancel against the mean where it is large.  Writes ``out`` (rows, size).  Parallel axis: rows.
    """
    rows, size = x.shape
    for row in prange(rows):
        mean = total(x[row]) / size
        factor = 1.0 / np.sqrt(total_of_squares(x[row], mean) / size + eps)
        for i in range(size):
            out[row, i] = (np.float64(x[row, i]) - mean) * factor * np.float64(weight[i]) + np.float64(bias[i])


@kernel("void(f4[:,::1], f4[::1], b1, f8, f4[:,::1])")
def rms_norm_f32(x: Any, weight: Any, centered: bool, eps: Any, out: Any) -> None:
    """``x / sqrt(mean(x**2) + eps) * weight`` of each row of ``x`` (rows, size); ``weight`` is (size,).

    With ``centered`` the squares are of the distances from the row's mean, which makes their mean the variance.
    Computed in float64.  Writes ``out`` (rows, size).  Parallel axis: rows.
    """
    rows, size = x.shape
    for row in prange(rows):
        mean = total(x[row]) / size if centered else 0.0
        factor = 1.0 / np.sqrt(total_of_squares(x[row], mean) / size + eps)
        for i in range(size):
            out[row, i] = np.float64(x[row, i]) * factor * np.float64(weight[i])


@kernel("void(f4[:,::1], f8, f4[:,::1])")
def unit_norm_f32(x: Any, eps: Any, out: Any) -> None:
    """``x / max(sqrt(sum(x**2)), eps)`` of each row of ``x`` (rows, size), in float64.

    Writes ``out`` (rows, size).  Parallel axis: rows.
    """
    rows, size = x.shape
    for row in prange(rows):
        length = np.sqrt(total_of_squares(x[row], 0.0))
        factor = 1.0 / (eps if length < eps else length)
        for i in range(size):
            out[row, i] = np.float64(x[row, i]) * factor


@kernel("void(f4[:,::1], i8, f4[::1], f4[::1], f8, f4[:,::1])")
def group_norm_f32(x: Any, cells: int, weight: Any, bias: Any, eps: Any, out: Any) -> None:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` of each group of channels.

    A row of ``x`` (N * groups, channels of a group * cells) is a group of one example; ``weight`` and ``bias`` have a
    number for each channel of all groups.  Computed as ``layer_norm_f32`` does.  Writes ``out``, of the same shape.
    Parallel axis: rows.
    """
    rows, size = x.shape
    channels = size // cells
    groups = weight.size // channels
    for row in prange(rows):
        mean = total(x[row]) / size
        factor = 1.0 / np.sqrt(total_of_squares(x[row], mean) / size + eps)
        for channel in range(channels):
            place = row % groups * channels + channel
            scale, shift = factor * np.float64(weight[place]), np.float64(bias[place])
            for i in range(channel * cells, (channel + 1) * cells):
                out[row, i] = (np.float64(x[row, i]) - mean) * scale + shift
