"""Convolution kernels, NCHW, float32: plain direct loops.

Inputs are padded already, so that no loop has a border case.
"""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._jit import kernel


@kernel("void(f4[:,:,:,::1], f4[:,:,:,::1], f4[::1], i8, i8, i8, i8, i8, f4[:,:,:,::1])")
def conv2d_nchw_f32(
    x: Any,
    weight: Any,
    bias: Any,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    out: Any,
) -> None:
    """Convolve ``x`` (N, C, H, W), padded, with ``weight`` (O, C / groups, KH, KW) and add ``bias`` (O,).

    Writes ``out`` (N, O, OH, OW).  Parallel axis: output planes N * O; each is summed over C, KH, KW in that order.
    """
    batch, out_channels, out_h, out_w = out.shape
    _, group_channels, kernel_h, kernel_w = weight.shape
    group_outputs = out_channels // groups
    for plane in prange(batch * out_channels):
        n, o = plane // out_channels, plane % out_channels
        first_channel = o // group_outputs * group_channels
        target = out[n, o]
        target[:] = bias[o]
        for c in range(group_channels):
            source = x[n, first_channel + c]
            for kh in range(kernel_h):
                for kw in range(kernel_w):
                    w = weight[o, c, kh, kw]
                    for i in range(out_h):
                        row = i * stride_h + kh * dilation_h
                        for j in range(out_w):
                            target[i, j] += w * source[row, j * stride_w + kw * dilation_w]


@kernel("void(f4[:,:,:,::1], f4[:,:,:,::1], f4[::1], i8, i8, i8, i8, i8, i8, i8, f4[:,:,:,::1])")
def conv_transpose2d_nchw_f32(
    x: Any,
    weight: Any,
    bias: Any,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    crop_top: int,
    crop_left: int,
    groups: int,
    out: Any,
) -> None:
    """Transposed convolution of ``x`` (N, C, H, W) with ``weight`` (C, O / groups, KH, KW), plus ``bias`` (O,).

    Cell (i, j) adds to row ``i * stride_h + kh * dilation_h - crop_top`` of ``out`` (N, O, OH, OW), where there is one.
    Parallel axis: output planes N * O; each is summed over C, H, W, KH, KW in that order.
    """
    batch, out_channels, out_h, out_w = out.shape
    _, channels, in_h, in_w = x.shape
    _, group_outputs, kernel_h, kernel_w = weight.shape
    group_channels = channels // groups
    for plane in prange(batch * out_channels):
        n, o = plane // out_channels, plane % out_channels
        group = o // group_outputs
        target = out[n, o]
        target[:] = bias[o]
        for c in range(group * group_channels, (group + 1) * group_channels):
            for i in range(in_h):
                for kh in range(kernel_h):
                    row = i * stride_h + kh * dilation_h - crop_top
                    if row < 0 or row >= out_h:
                        continue
                    for j in range(in_w):
                        value = x[n, c, i, j]
                        for kw in range(kernel_w):
                            column = j * stride_w + kw * dilation_w - crop_left
                            if 0 <= column < out_w:
                                target[row, column] += value * weight[c, o - group * group_outputs, kh, kw]
