"""Convolutions and dense layers in a plan: which algorithm, which tile, with which packed weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jit_kernels._simd import LANES
from jit_kernels.blocked import conv, depthwise
from jit_kernels.blocked.tile import tile_cycles, tile_shapes
from keydnn.modules.base import Array
from keydnn.modules.conv import Conv1d, Conv2d
from keydnn.modules.dense import Linear
from keydnn.modules.geometry import resolve_pads
from keydnn.plan import winograd
from keydnn.plan.fuse import Unit, folded, scaled
from keydnn.plan.memory import aligned
from keydnn.plan.step import (
    PARALLEL_CYCLES,
    ImageSizes,
    Job,
    Launch,
    Need,
    activation_name,
    clamp,
    constants,
    described,
    strides,
)
from keydnn.plan.values import Blocked

Offsets = npt.NDArray[np.int64]
PANEL_BYTES = 256 << 10  # of the weight in use at once: a part of the second-level cache
BAND_BYTES = 256 << 10  # of the input in use at once, where it is read again for every group of output channels


class Window(NamedTuple):
    """Kernel size, stride, dilation (height, width each) and padding ((top, bottom), (left, right))."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]

    @property
    def is_plain_3x3(self) -> bool:
        """Whether Winograd applies."""
        return self.size == (3, 3) and self.stride == self.dilation == (1, 1)

    @property
    def is_pixel(self) -> bool:
        """Whether each output pixel reads the input pixel at its place."""
        return self.size == self.stride == (1, 1) and not any(map(any, self.pads))

    @property
    def halo(self) -> tuple[int, int, int, int]:
        """Zeros at the top, bottom, left and right."""
        return (*self.pads[0], *self.pads[1])


def window_of(module: Any, sizes: ImageSizes) -> Window:
    """Give the window of a convolution for an input (N, C, H, W)."""
    if isinstance(module, Linear):
        return Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    pads = resolve_pads(module.padding, sizes[4 - module.axes :], module.kernel_size, module.stride, module.dilation)
    one = (1,) * (2 - module.axes)  # Conv1d is Conv2d on images of one row
    none = ((0, 0),) * (2 - module.axes)
    return Window(one + module.kernel_size, one + module.stride, one + module.dilation, none + pads)


class Convolution:
    """A convolution or dense layer of a program: its weight, packed once for each algorithm that some sizes want."""

    def __init__(self, unit: Unit) -> None:
        self.unit, self.module = unit, unit.module
        module: Any = unit.module
        self.is_linear = isinstance(module, Linear)
        self.in_channels = module.in_features if self.is_linear else module.in_channels
        self.out_channels = module.out_features if self.is_linear else module.out_channels
        self.groups = 1 if self.is_linear else module.groups
        self.blocks = -(-self.out_channels // LANES)
        self._packed: dict[Any, Array] = {}

    @property
    def weight_size(self) -> int:
        """Numbers of the weight."""
        module: Any = self.module
        return int(module.weight.size)

    def packed(self, nv: int, kind: str) -> Array:
        """Give the bias and the weight in panels ``[k][nv][LANES]``, k in the order of the taps of a layout."""
        if (nv, kind) not in self._packed:
            self._packed[nv, kind] = self._pack(nv, kind)
        return self._packed[nv, kind]

    def _pack(self, nv: int, kind: str) -> Array:
        """Pack panel by panel: no other copy of the whole weight is made."""
        module: Any = self.module
        factor, bias = folded(module, self.unit.norms)
        panel, packed = nv * LANES, np.empty(0, np.float32)
        panels = -(-self.out_channels // panel)
        for place, first in enumerate(range(0, self.out_channels, panel)):
            part = slice(first, first + panel)
            weight = scaled(module.weight[part], None if factor is None else factor[part])
            weight = weight.reshape(*weight.shape[:2], *(1,) * (4 - weight.ndim), *weight.shape[2:])
            columns = self._columns(weight, first, kind)
            if not packed.size:
                numbers, k, _ = columns.shape
                packed = aligned(panels * panel + numbers * panels * k * panel)
                packed[:] = 0
                packed[: self.out_channels] = bias
                view = packed[panels * panel :].reshape(numbers, panels, k, panel)
            view[:, place, :, : len(weight)] = columns
        return packed

    def _columns(self, weight: Array, first: int, kind: str) -> Array:
        """Give some rows of the weight, from output ``first`` on, as (matrices, k, rows)."""
        if kind == "winograd":
            return winograd.transformed(weight)
        if kind == "diagonal":
            weight = _block_diagonal(weight, first, self.out_channels // self.groups)
        rows, channels = weight.shape[:2]
        if kind == "pixels":  # k runs over row, column, channel
            return weight.transpose(2, 3, 1, 0).reshape(1, -1, rows)
        # over block of channels, row, column, channel of the block
        parts = [weight[:, c : c + LANES].transpose(2, 3, 1, 0).reshape(-1, rows) for c in range(0, channels, LANES)]
        return np.concatenate(parts)[np.newaxis]

    def job(self, sizes: Sequence[ImageSizes], plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        (x,) = sizes
        window = window_of(self.module, x)
        out = self._out_sizes(x, window)
        if window.stride[1] > 16 or 0 in out:
            return None
        kind = self._kind(x, window, out, plain)
        if kind == "depthwise":
            return _DepthwiseJob(self, window, x, out, threads).job()
        if kind == "winograd":
            return winograd.job(self, window, x, out, threads)
        return _DirectJob(self, window, x, out, threads, kind).job() if kind else None

    def _out_sizes(self, x: ImageSizes, window: Window) -> ImageSizes:
        height, width = (
            (x[2 + axis] + sum(window.pads[axis]) - window.dilation[axis] * (window.size[axis] - 1) - 1)
            // window.stride[axis] + 1
            for axis in (0, 1)
        )  # fmt: skip
        return (x[0], self.out_channels, height, width)

    def _kind(self, x: ImageSizes, window: Window, out: ImageSizes, plain: bool) -> str:
        """Name the algorithm; "" if there is none on the blocked layout."""
        if self.groups == self.in_channels == self.out_channels and self.groups > 1:
            return "depthwise"
        if self.groups > 1:
            each_in, each_out = self.in_channels // self.groups, self.out_channels // self.groups
            if each_in % LANES == each_out % LANES == 0:
                return "grouped"
            fits = each_in == each_out and LANES % each_in == 0 and self.in_channels % LANES == 0
            return "diagonal" if fits else ""
        if window.is_plain_3x3 and winograd.wins(self.in_channels, out):
            return "winograd"
        few = self.in_channels <= LANES // 2 and not self.is_linear and x[2:] != (1, 1)
        return "pixels" if plain and few else "direct"


def _block_diagonal(weight: Array, first: int, each: int) -> Array:
    """Write groups of ``each`` channels, several to a block, as one a block: zeros where input and output differ."""
    wide = np.zeros((len(weight), LANES, *weight.shape[2:]), np.float32)
    for row in range(len(weight)):
        start = (first + row) // each * each % LANES
        wide[row, start : start + each] = weight[row]
    return wide


class _DirectJob:
    """A convolution as sums over the taps of each output pixel."""

    def __init__(
        self, owner: Convolution, window: Window, x: ImageSizes, out: ImageSizes, threads: int, kind: str
    ) -> None:
        self.owner, self.window, self.x, self.out, self.threads, self.kind = owner, window, x, out, threads, kind

    def job(self) -> Job:
        lanes = self.x[1] if self.kind == "pixels" else LANES
        need = Need(self.x, lanes, self.window.halo)
        label = "dense" if self.owner.is_linear else f"{self.kind} convolution"
        return Job((need,), self.out, self.launches, label=label)

    def taps(self, x: Blocked) -> tuple[Offsets, int]:
        """Give the taps as pairs (offset, numbers), and how many of them share a block of channels."""
        (kh, kw), (dh, dw) = self.window.size, self.window.dilation
        _, block, row = x.strides
        lanes = x.storage.lanes
        rows, columns = range(0, kh * dh, dh), range(0, kw * dw, dw)
        if self.kind == "pixels":
            if dw == 1:
                return np.array([(i * row, kw * lanes) for i in rows], np.int64), kh
            return np.array([(i * row + j * lanes, lanes) for i in rows for j in columns], np.int64), kh * kw
        each = LANES if self.kind == "diagonal" else self.owner.in_channels // self.owner.groups
        pairs = [
            (c // LANES * block + i * row + j * lanes, min(LANES, each - c))
            for c in range(0, each, LANES) for i in rows for j in columns
        ]  # fmt: skip
        return np.array(pairs, np.int64), kh * kw

    def launches(self, inputs: Sequence[Blocked], added: Blocked | None, out: Blocked, scratch: int) -> list[Launch]:
        (x,) = inputs
        taps, taps_a_block = self.taps(x)
        batch, rows, width = self._run(x, added, out)
        blocks, k = self.owner.blocks, int(taps[:, 1].sum())
        (mr, nv), cycles = self._tile(rows * batch, width, k)
        groups = -(-blocks // nv)
        chunk = max(1, PANEL_BYTES // (4 * nv * LANES * LANES * taps_a_block)) * taps_a_block
        if self.kind == "pixels":
            chunk = len(taps)
        tiles = rows * -(-width // mr)
        threads = self.threads if cycles >= PARALLEL_CYCLES else 1
        band, parts = self._share(batch, tiles, mr, groups, k, threads)
        origin = x.start - self.window.pads[0][0] * x.strides[2] - self.window.pads[1][0] * x.storage.lanes
        each = groups if self.kind not in ("grouped", "diagonal") else groups // (
            self.owner.groups if self.kind == "grouped" else blocks
        )  # fmt: skip
        group_blocks = self.owner.in_channels // self.owner.groups // LANES if self.kind == "grouped" else 1
        places = strides("out", out) | (strides("added", added) if added else dict.fromkeys(
            ("added", "added_image", "added_block", "added_row"), -1))  # fmt: skip
        description = described(
            conv.FIELDS, batch=batch, rows=rows, width=width, x=origin, x_image=x.strides[0],
            x_row=x.strides[2] * self.window.stride[0], x_group=group_blocks * x.strides[1], out_step=LANES,
            blocks=blocks, groups=groups, chunk=chunk, chunk_k=int(taps[:chunk, 1].sum()), k=k, band=band, parts=parts,
            threads=threads, groups_each=each, **places,
        )  # fmt: skip
        kernel = conv.conv_f32(mr, nv, self.window.stride[1] * x.storage.lanes, activation_name(self.owner.unit))
        weight = self.owner.packed(nv, self.kind)
        arguments = (description, taps.reshape(-1), *clamp(self.owner.unit), weight, *constants(self.owner.unit))
        return [Launch(kernel, arguments, threads > 1)]

    def _run(self, x: Blocked, added: Blocked | None, out: Blocked) -> tuple[int, int, int]:
        """Give batch, rows and width, with as long rows as the pixels lie in."""
        batch, _, height, width = self.out
        places = [x.storage, out.storage, *([added.storage] if added else [])]  # pads are a part of the halo
        if self.window.is_pixel and not any(any(storage.halo) for storage in places):
            if height == width == 1:
                return 1, 1, batch
            return batch, 1, height * width
        return batch, height, width

    def _tile(self, rows: int, width: int, k: int) -> tuple[tuple[int, int], float]:
        """Give the tile (MR, NV) with the fewest cycles, and those."""
        blocks = self.owner.blocks
        each = blocks
        if self.kind == "diagonal":
            each = 1
        elif self.kind == "grouped":
            each = self.owner.out_channels // self.owner.groups // LANES
        shapes = [(mr, nv) for mr, nv in tile_shapes() if each % nv == 0 or self.owner.groups == 1]
        if self.kind == "pixels":  # one tile for all: there are many distances of pixels
            shapes = [max(shape for shape in shapes if shape[1] == min(2, blocks))]

        def cycles(shape: tuple[int, int]) -> float:
            mr, nv = shape
            tiles = rows * -(-width // mr) * -(-blocks // nv)
            return float(tiles * (k * tile_cycles(mr, nv, k) + 2 * mr * nv + 20))

        best = min(shapes, key=cycles)
        return best, cycles(best)

    def _share(self, batch: int, tiles: int, mr: int, groups: int, k: int, threads: int) -> tuple[int, int]:
        """Give the tiles of a band, and the parts that the groups are dealt out in, for balanced threads."""
        band = tiles
        weight_bytes = 4 * self.owner.weight_size
        input_bytes = 4 * min(math.prod(self.x[1:]), math.prod(self.out[2:]) * k)  # those that are read
        bands = -(-input_bytes // BAND_BYTES)
        if bands > 2 and groups * input_bytes > bands * weight_bytes:
            band = -(-tiles // bands)
        bands = -(-tiles // band)
        if threads == 1 or batch * bands % threads == 0 or batch * bands >= 8 * threads:
            return band, 1
        by_groups = -(-groups // threads) * threads / groups
        whole = -(-tiles // threads)
        by_tiles = whole * threads / tiles
        if self.owner.groups == 1 and by_tiles <= by_groups and weight_bytes <= 4 * input_bytes:
            return min(band, whole) if bands == 1 else -(-tiles // (-(-bands // threads) * threads)), 1
        if by_groups <= by_tiles:
            return band, min(groups, threads)
        return whole, 1


class _DepthwiseJob:
    """A convolution of each channel by itself."""

    def __init__(self, owner: Convolution, window: Window, x: ImageSizes, out: ImageSizes, threads: int) -> None:
        self.owner, self.window, self.x, self.out, self.threads = owner, window, x, out, threads

    def job(self) -> Job:
        return Job((Need(self.x, LANES, self.window.halo),), self.out, self.launches, label="depthwise convolution")

    def launches(self, inputs: Sequence[Blocked], added: Blocked | None, out: Blocked, scratch: int) -> list[Launch]:
        (x,) = inputs
        assert added is None  # fuse gives depthwise convolutions no residual
        (kh, kw), (dh, dw) = self.window.size, self.window.dilation
        image, block, row = x.strides
        taps = np.array([i * dh * row + j * dw * LANES for i in range(kh) for j in range(kw)], np.int64)
        origin = x.start - self.window.pads[0][0] * row - self.window.pads[1][0] * LANES
        batch, _, rows, width = self.out
        cycles = batch * self.owner.blocks * rows * width * len(taps) * 0.6
        threads = self.threads if cycles >= PARALLEL_CYCLES else 1
        description = described(
            depthwise.FIELDS, batch=batch, blocks=self.owner.blocks, rows=rows, width=width, x=origin, x_image=image,
            x_block=block, x_row=row * self.window.stride[0], threads=threads, **strides("out", out),
        )  # fmt: skip
        kernel = depthwise.depthwise_f32(self.window.stride[1] * LANES, activation_name(self.owner.unit))
        weight = self.owner.packed(1, "depthwise")
        arguments = (description, taps, *clamp(self.owner.unit), weight, *constants(self.owner.unit))
        return [Launch(kernel, arguments, threads > 1)]


STEPS = {Conv1d: Convolution, Conv2d: Convolution, Linear: Convolution}
