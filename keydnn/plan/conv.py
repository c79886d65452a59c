"""Convolutions in a plan: which algorithm, with which packed weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from jit_kernels._jit import Kernel
from jit_kernels._simd import LANES, MR, NR
from jit_kernels.depthwise import depthwise_conv2d_nchw_f32
from jit_kernels.implicit_gemm import conv_gemm_f32
from jit_kernels.layout import lay_out_nchw_f32
from jit_kernels.winograd import TILE, G, conv3x3_winograd_f32
from keydnn.modules.base import Array
from keydnn.modules.conv import Conv1d, Conv2d
from keydnn.modules.geometry import resolve_pads
from keydnn.plan.fuse import Unit
from keydnn.plan.memory import Scratch

Offsets = npt.NDArray[np.int64]
Launch = tuple[Kernel, tuple[Any, ...]]  # a kernel and its arguments
GROUP_BYTES = 2 << 20  # of packed panels at once: the weights are read again for every group


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
    if module.groups in (1, module.in_channels):
        return Convolution(unit)
    return None


def bind(
    convolution: Convolution, x: Array, residual: Array | None, out: Array, threads: int, scratch: Scratch
) -> list[Launch]:
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
    added = np.empty(0, np.float32) if residual is None else residual.reshape(-1)
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


def _phases(window: Window, out_shape: tuple[int, ...], channels: int) -> tuple[tuple[int, int], Offsets]:
    """Give the size of a laid-out plane, and where each tap of each channel reads in them."""
    (sh, sw), (dh, dw) = window.stride, window.dilation
    plane_h = out_shape[2] + dh * (window.size[0] - 1) // sh
    plane_w = out_shape[3] + dw * (window.size[1] - 1) // sw
    c, kh, kw = np.meshgrid(np.arange(channels), *map(np.arange, window.size), indexing="ij")
    row, column = kh * dh, kw * dw
    phase = (c * sh + row % sh) * sw + column % sw
    return (plane_h, plane_w), ((phase * plane_h + row // sh) * plane_w + column // sw).astype(np.int64).ravel()


def _depthwise(
    convolution: Convolution, window: Window, x: Array, out: Array, threads: int, scratch: Scratch
) -> list[Launch]:
    batch, channels, in_h, in_w = x.shape
    (plane_h, plane_w), offsets = _phases(window, out.shape, 1)
    (sh, sw), pads = window.stride, (window.pads[0][0], window.pads[1][0])
    # the last vectors reach beyond a plane; then a tile, which is read beyond its end, and a padded row
    size = (sh * sw * plane_h * plane_w + NR + plane_w) + 2 * NR + (plane_w + LANES) * sw
    work = scratch.take("threads", (threads, size))
    weights = convolution.rows.reshape(-1), convolution.bias, *_clamp(convolution)
    geometry = (batch, channels, in_h, in_w, *pads, sh, sw, plane_h, plane_w, offsets, *out.shape[1:])
    arguments = (x.reshape(-1), *geometry, *weights, threads, work, out.reshape(-1))
    return [(depthwise_conv2d_nchw_f32, arguments)]


def _implicit_gemm(
    convolution: Convolution, window: Window, x: Array, added: Array, out: Array, threads: int, scratch: Scratch
) -> list[Launch]:
    batch, channels, in_h, in_w = x.shape
    out_h, out_w = out.shape[2:]
    calls: list[Launch] = []
    if window.size == (1, 1) and window.stride == (1, 1) and not any(map(any, window.pads)):
        offsets = np.arange(channels) * (in_h * in_w)
        source, plane_w, row_w = x.reshape(-1), in_h * in_w, out_h * out_w
    else:
        (sh, sw), ((plane_h, plane_w), offsets) = window.stride, _phases(window, out.shape, channels)
        laid = scratch.take("layout", (batch * channels * sh * sw * plane_h * plane_w,))
        rows = scratch.take("rows", (threads, (plane_w + LANES) * sw))
        calls.append(_lay_out(x, window, (sh, sw), (plane_h, plane_w), threads, rows, laid))
        source, row_w = laid, out_w
    length = len(offsets)
    group = max(1, min(8, GROUP_BYTES // (4 * NR * length), -(-out_h * plane_w // (NR * threads))))
    panels = scratch.take("threads", (threads, (group * length + MR + 1) * NR))  # one row is read beyond the tile
    sizes = out.shape[1], out_h * out_w
    weights = convolution.packed, convolution.bias, *_clamp(convolution)
    arguments = (source, batch, offsets, plane_w, row_w, *sizes, *weights, group, threads, added, panels)
    return [*calls, (conv_gemm_f32, (*arguments, out.reshape(-1)))]


def _lay_out(
    x: Array, window: Window, split: tuple[int, int], plane: tuple[int, int], threads: int, rows: Array, out: Array
) -> Launch:
    batch, channels, in_h, in_w = x.shape
    pads = window.pads[0][0], window.pads[1][0]
    return lay_out_nchw_f32, (
        x.reshape(-1), batch * channels, in_h, in_w, *pads, *split, *plane, threads, rows, out,
    )  # fmt: skip


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
) -> list[Launch]:
    batch, channels = x.shape[:2]
    out_channels, out_h, out_w = out.shape[1:]
    plane_h, plane_w = -(-out_h // TILE) + 1, -(-out_w // TILE) + 1
    numbers = channels * TILE * TILE * plane_h * plane_w
    # the last vectors of the last image reach beyond it
    laid = scratch.take("layout", (batch * numbers + NR + plane_w,))[: batch * numbers]
    row_panels = -(-out_channels // MR)
    size = 36 * (channels + row_panels * MR) * NR + (TILE * TILE + 1) * NR
    work = scratch.take("threads", (threads, size))
    rows = scratch.take("rows", (threads, (plane_w + LANES) * TILE))
    weights = convolution.winograd, convolution.bias, *_clamp(convolution)
    sizes = plane_h * plane_w, plane_w, out_channels, out_h, out_w
    arguments = (laid, batch, channels, *sizes, *weights, threads, added, work, out.reshape(-1))
    return [
        _lay_out(x, window, (TILE, TILE), (plane_h, plane_w), threads, rows, laid),
        (conv3x3_winograd_f32, arguments),
    ]
