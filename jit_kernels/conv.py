"""Convolution kernels, NCDHW, float32: plain direct loops.  Sequences and images are volumes of one row or plane.

Inputs are padded already, so that no loop has a border case.
"""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._jit import kernel


@kernel("void(f4[:,:,:,:,::1], f4[:,:,:,:,::1], f4[::1], i8, i8, i8, i8, i8, i8, i8, f4[:,:,:,:,::1])")
def conv_ncdhw_f32(
    x: Any,
    weight: Any,
    bias: Any,
    stride_d: int,
    stride_h: int,
    stride_w: int,
    dilation_d: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    out: Any,
) -> None:
    """Convolve ``x`` (N, C, D, H, W), padded, with ``weight`` (O, C / groups, KD, KH, KW) and add ``bias`` (O,).

    Writes ``out`` (N, O, OD, OH, OW).  Parallel axis: output channels of volumes, N * O; each cell is summed over C,
    KD, KH, KW in that order.
    """
    batch, out_channels, out_d, out_h, out_w = out.shape
    _, group_channels, kernel_d, kernel_h, kernel_w = weight.shape
    group_outputs = out_channels // groups
    for volume in prange(batch * out_channels):
        n, o = volume // out_channels, volume % out_channels
        first_channel = o // group_outputs * group_channels
        for d in range(out_d):
            target = out[n, o, d]
            target[:] = bias[o]
            for c in range(group_channels):
                for kd in range(kernel_d):
                    source = x[n, first_channel + c, d * stride_d + kd * dilation_d]
                    for kh in range(kernel_h):
                        for kw in range(kernel_w):
                            w = weight[o, c, kd, kh, kw]
                            for i in range(out_h):
                                row = i * stride_h + kh * dilation_h
                                for j in range(out_w):
                                    target[i, j] += w * source[row, j * stride_w + kw * dilation_w]


@kernel("void(f4[:,:,:,:,::1], f4[:,:,:,:,::1], f4[::1], i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, f4[:,:,:,:,::1])")
def conv_transpose_ncdhw_f32(
    x: Any,
    weight: Any,
    bias: Any,
    stride_d: int,
    stride_h: int,
    stride_w: int,
    dilation_d: int,
    dilation_h: int,
    dilation_w: int,
    crop_front: int,
    crop_top: int,
    crop_left: int,
    groups: int,
    out: Any,
) -> None:
    """Transposed convolution of ``x`` (N, C, D, H, W) with ``weight`` (C, O / groups, KD, KH, KW), plus ``bias`` (O,).

    Cell (d, i, j) adds to plane ``d * stride_d + kd * dilation_d - crop_front`` of ``out`` (N, O, OD, OH, OW), where
    there is one, and likewise to rows and columns.  Parallel axis: output channels of volumes, N * O; each cell is
    summed over C, D, KD, H, KH, W, KW in that order.
    """
    batch, out_channels, out_d, out_h, out_w = out.shape
    _, channels, in_d, in_h, in_w = x.shape
    _, group_outputs, kernel_d, kernel_h, kernel_w = weight.shape
    group_channels = channels // groups
    for volume in prange(batch * out_channels):
        n, o = volume // out_channels, volume % out_channels
        group = o // group_outputs
        out[n, o] = bias[o]
        for c in range(group * group_channels, (group + 1) * group_channels):
            for d in range(in_d):
                for kd in range(kernel_d):
                    plane = d * stride_d + kd * dilation_d - crop_front
                    if plane < 0 or plane >= out_d:
                        continue
                    taps = weight[c, o - group * group_outputs, kd]
                    target = out[n, o, plane]
                    for i in range(in_h):
                        for kh in range(kernel_h):
                            row = i * stride_h + kh * dilation_h - crop_top
                            if row < 0 or row >= out_h:
                                continue
                            for j in range(in_w):
                                value = x[n, c, d, i, j]
                                for kw in range(kernel_w):
                                    column = j * stride_w + kw * dilation_w - crop_left
                                    if 0 <= column < out_w:
                                        target[row, column] += value * taps[kh, kw]
