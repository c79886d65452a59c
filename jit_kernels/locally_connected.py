"""Locally connected layers, NCHW, float32: convolutions whose weights differ from place to place."""

from __future__ import annotations

from typing import Any

from numba import prange

from jit_kernels._jit import kernel


@kernel("void(f4[:,:,:,::1], f4[:,:,:,:,:,::1], f4[:,:,::1], i8, i8, f4[:,:,:,::1])")
def locally_connected2d_nchw_f32(x: Any, weight: Any, bias: Any, stride_h: int, stride_w: int, out: Any) -> None:
    """Weigh each window of ``x`` (N, C, H, W), padded, by its own ``weight`` (OH, OW, O, C, KH, KW).

    Adds ``bias`` (O, OH, OW), writing ``out`` (N, O, OH, OW).  Parallel axis: places, OH * OW; each cell is summed over
    C, KH, KW in that order.
    """
    batch, out_channels, out_h, out_w = out.shape
    _, _, _, channels, kernel_h, kernel_w = weight.shape
    for place in prange(out_h * out_w):
        i, j = place // out_w, place % out_w
        for o in range(out_channels):
            taps = weight[i, j, o]
            for n in range(batch):
                total = bias[o, i, j]
                for c in range(channels):
                    for kh in range(kernel_h):
                        source = x[n, c, i * stride_h + kh]
                        for kw in range(kernel_w):
                            total += taps[c, kh, kw] * source[j * stride_w + kw]
                out[n, o, i, j] = total
