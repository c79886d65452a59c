"""Depthwise convolution, NCHW, float32: direct, vectorised along the row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._jit import device, kernel

ZERO = np.float32(0)


@device
def pad_plane(plane: Any, pad_top: int, pad_left: int, padded: Any) -> None:
    """Copy a plane (H, W) into the middle of ``padded``, with zeros around it."""
    in_h, in_w = plane.shape
    padded_h, padded_w = padded.shape
    for i in range(padded_h):
        row = i - pad_top
        if row < 0 or row >= in_h:
            for j in range(padded_w):
                padded[i, j] = ZERO
            continue
        for j in range(min(pad_left, padded_w)):
            padded[i, j] = ZERO
        last = min(in_w, padded_w - pad_left)
        for j in range(last):
            padded[i, j + pad_left] = plane[row, j]
        for j in range(pad_left + last, padded_w):
            padded[i, j] = ZERO


@device
def rows_3x3(padded: Any, w: Any, stride_h: int, stride_w: int, bias: Any, low: Any, high: Any, out: Any) -> None:
    """Convolve a padded plane with a 3x3 kernel (9 numbers), all nine products of a pixel at once."""
    w00, w01, w02, w10, w11, w12, w20, w21, w22 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    out_h, out_w = out.shape
    for i in range(out_h):
        a, b, c = padded[i * stride_h], padded[i * stride_h + 1], padded[i * stride_h + 2]
        target = out[i]
        if stride_w == 1:
            for j in range(out_w):
                value = bias + w00 * a[j] + w01 * a[j + 1] + w02 * a[j + 2]
                value += w10 * b[j] + w11 * b[j + 1] + w12 * b[j + 2]
                value += w20 * c[j] + w21 * c[j + 1] + w22 * c[j + 2]
                value = low if value < low else value
                target[j] = high if value > high else value
        else:
            for j in range(out_w):
                s = j * stride_w
                value = bias + w00 * a[s] + w01 * a[s + 1] + w02 * a[s + 2]
                value += w10 * b[s] + w11 * b[s + 1] + w12 * b[s + 2]
                value += w20 * c[s] + w21 * c[s + 1] + w22 * c[s + 2]
                value = low if value < low else value
                target[j] = high if value > high else value


@device
def rows_any(
    padded: Any, w: Any, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, dilation_h: int, dilation_w: int,
    bias: Any, low: Any, high: Any, out: Any,
) -> None:  # fmt: skip
    """Convolve a padded plane with any kernel, a product at a time along the row."""
    out_h, out_w = out.shape
    for i in range(out_h):
        target = out[i]
        for j in range(out_w):
            target[j] = bias
        for kh in range(kernel_h):
            source = padded[i * stride_h + kh * dilation_h]
            for kw in range(kernel_w):
                factor = w[kh * kernel_w + kw]
                shift = kw * dilation_w
                if stride_w == 1:
                    for j in range(out_w):
                        target[j] += factor * source[shift + j]
                else:
                    for j in range(out_w):
                        target[j] += factor * source[shift + j * stride_w]
        for j in range(out_w):
            value = target[j]
            value = low if value < low else value
            target[j] = high if value > high else value


@kernel(
    "void(f4[:,:,:,::1], f4[:,::1], f4[::1], i8, i8, i8, i8, i8, i8, i8, i8, f4, f4, i8, f4[:,:,::1], f4[:,:,:,::1])",
    writes=2,
)
def depthwise_conv2d_nchw_f32(
    x: Any, weight: Any, bias: Any,
    kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, dilation_h: int, dilation_w: int,
    pad_top: int, pad_left: int, low: Any, high: Any, threads: int, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Convolve each plane of ``x`` (N, C, H, W) with its own kernels, ``weight`` (C * multiplier, KH * KW).

    Add ``bias`` (C * multiplier,), clamp to [low, high], write ``out`` (N, C * multiplier, OH, OW).  ``scratch``
    holds a padded plane for each thread.  Parallel axis: output planes.
    """
    batch, out_channels, _, _ = out.shape
    multiplier = out_channels // x.shape[1]
    total = batch * out_channels
    for thread in prange(threads):
        padded = scratch[thread]
        for plane in range(thread * total // threads, (thread + 1) * total // threads):
            n, o = plane // out_channels, plane % out_channels
            pad_plane(x[n, o // multiplier], pad_top, pad_left, padded)
            if kernel_h == 3 and kernel_w == 3 and dilation_h == 1 and dilation_w == 1:
                rows_3x3(padded, weight[o], stride_h, stride_w, bias[o], low, high, out[n, o])
            else:
                rows_any(
                    padded, weight[o], kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, bias[o],
                    low, high, out[n, o],
                )  # fmt: skip
