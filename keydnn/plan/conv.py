"""Convolutions in a plan: which algorithm, with which packed weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from jit_kernels._simd import MR, NR
from jit_kernels.depthwise import depthwise_conv2d_nchw_f32
from jit_kernels.implicit_gemm import conv_gemm_f32, lay_out_nchw_f32
from jit_kernels.winograd import TILE, G, conv3x3_winograd_f32
from keydnn.modules.base import Array
from keydnn.modules.conv import Conv1d, Conv2d
from keydnn.modules.geometry import resolve_pads
from keydnn.plan.fuse import Unit
from keydnn.plan.memory import Scratch

GROUP_BYTES = 192 << 10  # packed panels that stay in a second-level cache of 512 KB or more


class Convolution:
    """A convolution of a program: its weights, packed once for each algorithm that some size of input wants."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        module: Any = unit.module
        self.module = module
        self.bias: Array = module.bias_or_zeros()
        self.depthwise = module.groups > 1

    @cached_property
    def rows(self) -> Array:
        """The weight as (out_channels, k)."""
        weight: Array = self.module.weight
        return weight.reshape(self.module.out_channels, -1)

    @cached_property
    def packed(self) -> Array:
        """For the implicit product: row panels."""
        return pack_rows(self.rows)

    @cached_property
    def winograd(self) -> Array:
        """For Winograd: G g G^T in float64, rounded once; the 36 numbers in turn, each in row panels."""
        weight = self.module.weight.astype(np.float64)
        numbers = np.einsum("ai,ocij,bj->aboc", G, weight, G).astype(np.float32)
        return np.concatenate([pack_rows(matrix) for matrix in numbers.reshape(-1, *numbers.shape[2:])])


def pack_rows(matrix: Array) -> Array:
    """Pack (rows, k) into panels of MR rows, ``[k][MR]`` each, zeros behind the last row."""
    rows, k = matrix.shape
    padded = np.zeros((-(-rows // MR) * MR, k), np.float32)
    padded[:rows] = matrix
    return np.ascontiguousarray(padded.reshape(-1, MR, k).transpose(0, 2, 1)).reshape(-1)


def prepare(unit: Unit) -> Convolution | None:
    """Give the convolution of a unit; None if it is none, or one that only the plain kernel computes."""
    module = unit.module
    if not isinstance(module, (Conv1d, Conv2d)):
        return None
    if module.groups == 1 or (module.groups == module.in_channels and unit.residual is None):
        return Convolution(unit)
    return None


def bind(
    convolution: Convolution, x: Array, residual: Array | None, out: Array, threads: int, scratch: Scratch
) -> list[Callable[[], None]]:
    """Give the kernel calls for arrays of known sizes."""
    module = convolution.module
    one = (1,) * (2 - module.axes)  # Conv1d is Conv2d on images of one row
    pads = ((0, 0),) * len(one)
    pads += resolve_pads(module.padding, x.shape[2:], module.kernel_size, module.stride, module.dilation)
    x = x.reshape(*x.shape[:2], *one, *x.shape[2:])
    out = out.reshape(*out.shape[:2], *one, *out.shape[2:])
    window = Window(one + module.kernel_size, one + module.stride, one + module.dilation, pads)
    if convolution.depthwise:
        return _depthwise(convolution, window, x, out, threads, scratch)
    added = np.empty((len(x), 0, 0), np.float32) if residual is None else residual.reshape(*out.shape[:2], -1)
    if window.is_plain_3x3 and _winograd_wins(x.shape[1], out.shape):
        return _winograd(convolution, window, x, added, out, threads, scratch)
    return _implicit_gemm(convolution, window, x, added, out, threads, scratch)


@dataclass(frozen=True)
class Window:
    """Kernel size, stride, dilation (height, width each) and padding ((top, bottom), (left, right))."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def is_plain_3x3(self) -> bool:
        """Whether Winograd applies."""
        return self.size == (3, 3) and self.stride == self.dilation == (1, 1)


def _clamp(convolution: Convolution) -> tuple[Any, Any]:
    return np.float32(convolution.unit.low), np.float32(convolution.unit.high)


def _depthwise(
    convolution: Convolution, window: Window, x: Array, out: Array, threads: int, scratch: Scratch
) -> list[Callable[[], None]]:
    (top, bottom), (left, right) = window.pads
    padded = scratch.take("threads", (threads, x.shape[2] + top + bottom, x.shape[3] + left + right))
    geometry = (*window.size, *window.stride, *window.dilation, top, left)
    clamp = _clamp(convolution)
    return [
        partial(
            depthwise_conv2d_nchw_f32, x, convolution.rows, convolution.bias, *geometry, *clamp, threads, padded, out
        )
    ]


def _implicit_gemm(
    convolution: Convolution, window: Window, x: Array, added: Array, out: Array, threads: int, scratch: Scratch
) -> list[Callable[[], None]]:
    batch, channels, in_h, in_w = x.shape
    out_h, out_w = out.shape[2:]
    calls: list[Callable[[], None]] = []
    if window.size == (1, 1) and window.stride == (1, 1) and not any(map(any, window.pads)):
        offsets = np.arange(channels) * (in_h * in_w)
        source, plane_w, row_w = x.reshape(batch, -1), in_h * in_w, out_h * out_w
    else:
        (sh, sw), (dh, dw) = window.stride, window.dilation
        plane_h, plane_w = out_h + dh * (window.size[0] - 1) // sh, out_w + dw * (window.size[1] - 1) // sw
        laid = scratch.take("layout", (batch, channels, sh, sw, plane_h, plane_w))
        calls.append(partial(lay_out_nchw_f32, x, window.pads[0][0], window.pads[1][0], sh, sw, threads, laid))
        c, kh, kw = np.meshgrid(np.arange(channels), *map(np.arange, window.size), indexing="ij")
        row, column = kh * dh, kw * dw
        phase = (c * sh + row % sh) * sw + column % sw
        offsets = ((phase * plane_h + row // sh) * plane_w + column // sw).ravel()
        source, row_w = laid.reshape(batch, -1), out_w
    length = len(offsets)
    group = max(1, min(8, GROUP_BYTES // (4 * NR * length), -(-out_h * plane_w // (NR * threads))))
    panels = scratch.take("threads", (threads, (group * length + MR + 1) * NR))  # one row is read beyond the tile
    flat = out.reshape(batch, out.shape[1], -1)
    calls.append(
        partial(
            conv_gemm_f32, source, offsets, plane_w, row_w, convolution.packed, convolution.bias,
            *_clamp(convolution), group, threads, added, panels, flat,
        )
    )  # fmt: skip
    return calls


def _winograd_wins(channels: int, out_shape: tuple[int, ...]) -> bool:
    """Compare both algorithms by a count of cycles: products, transforms, and lanes that stay empty."""
    _, out_channels, out_h, out_w = out_shape
    row_panels = -(-out_channels // MR)
    direct_panels = -(-(out_h * (out_w + 2) - 2) // NR)
    tile_rows, tile_columns = -(-out_h // TILE), -(-out_w // TILE)
    panels = -(-(tile_rows * (tile_columns + 1) - 1) // NR)
    direct = direct_panels * channels * (9 * row_panels * MR + 40)
    tiled = panels * (channels * (36 * row_panels * MR + 350) + out_channels * 500)
    return tiled < 0.9 * direct


def _winograd(
    convolution: Convolution, window: Window, x: Array, added: Array, out: Array, threads: int, scratch: Scratch
) -> list[Callable[[], None]]:
    batch, channels = x.shape[:2]
    out_channels, out_h, out_w = out.shape[1:]
    plane_h, plane_w = -(-out_h // TILE) + 1, -(-out_w // TILE) + 1
    numbers = channels * TILE * TILE * plane_h * plane_w
    # the last vectors of the last image reach beyond it
    laid = scratch.take("layout", (batch * numbers + NR + plane_w,))[: batch * numbers]
    shaped = laid.reshape(batch, channels, TILE, TILE, plane_h, plane_w)
    row_panels = -(-out_channels // MR)
    size = 36 * (channels + row_panels * MR) * NR + (TILE * TILE + 1) * NR
    work = scratch.take("threads", (threads, size))
    top, left = window.pads[0][0], window.pads[1][0]
    return [
        partial(lay_out_nchw_f32, x, top, left, TILE, TILE, threads, shaped),
        partial(
            conv3x3_winograd_f32, laid.reshape(batch, -1), channels, plane_h * plane_w, plane_w, convolution.winograd,
            convolution.bias, *_clamp(convolution), threads, added, work, out,
        ),
    ]  # fmt: skip
