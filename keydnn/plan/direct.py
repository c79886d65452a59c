"""Convolutions and dense layers in a plan as sums over the taps of each output pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from jit_kernels._simd import LANES
from jit_kernels.blocked import conv
from jit_kernels.blocked.tile import tile_cycles, tile_shapes
from keydnn.plan.merge import combine
from keydnn.plan.planes import Planes
from keydnn.plan.step import (
    PARALLEL_CYCLES,
    Halo,
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
from keydnn.plan.window import Window

if TYPE_CHECKING:
    from keydnn.plan.conv import Convolution

Offsets = npt.NDArray[np.int64]
PANEL_BYTES = 256 << 10  # of the weight in use at once: a part of the second-level cache
BAND_BYTES = 256 << 10  # of the input in use at once, where it is read again for every group of output channels


class Phase(NamedTuple):
    """Output pixels at equal distances, which read the same taps.

    Attributes
    ----------
    rows, columns
        The taps: index in the kernel, and the input pixel it reads relative to the output's (times the stride).  Of
        volumes the rows of all planes of the kernel are counted in one, and the input's plane stands before its row.
    stride
        Input pixels from one output pixel to the next.
    first, step
        Row and column of the first output pixel, and the distance of the next.
    size
        Rows and columns of output pixels.
    planes
        The images of them: of volumes, those planes that read the same ones.
    """

    rows: tuple[tuple[int, int, int], ...]
    columns: tuple[tuple[int, int], ...]
    stride: tuple[int, int]
    first: tuple[int, int]
    step: tuple[int, int]
    size: tuple[int, int]
    planes: Planes

    @property
    def selection(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Rows and columns of the kernel that are read, in order."""
        return tuple(index for index, _, _ in self.rows), tuple(index for index, _ in self.columns)

    @property
    def apart(self) -> bool:
        """Whether the pixels that are written are not neighbours."""
        return self.step != (1, 1)


def phases_of(window: Window, planes: Sequence[Planes], out: ImageSizes) -> list[Phase]:
    """Give the phases of a convolution: one for images."""
    rows, columns = (
        tuple((i, i * window.dilation[axis] - window.pads[axis][0]) for i in range(window.size[axis]))
        for axis in (0, 1)
    )
    return [
        Phase(rows_of(group, rows, window), columns, window.stride, (0, 0), (1, 1), out[2:], group) for group in planes
    ]


def rows_of(planes: Planes, rows: Sequence[tuple[int, int]], window: Window) -> tuple[tuple[int, int, int], ...]:
    """Give the taps of rows in all planes of the kernel that are read."""
    return tuple((index * window.size[0] + i, plane, row) for index, plane in planes.taps for i, row in rows)


class DirectJob:
    """The work of a convolution, phase by phase."""

    def __init__(
        self, owner: Convolution, phases: Sequence[Phase], x: ImageSizes, out: ImageSizes, threads: int, kind: str
    ) -> None:
        self.owner, self.phases, self.x, self.out, self.threads, self.kind = owner, phases, x, out, threads, kind

    def job(self, halo: Halo) -> Job:
        """Give the job, which wants zeros around its input."""
        need = Need(self.x, self.x[1] if self.kind == "pixels" else LANES, halo)
        label = "dense" if self.owner.is_linear else f"{self.kind} convolution"
        return Job((need,), self.out, self.launches, label=label)

    def launches(self, inputs: Sequence[Blocked], added: Blocked | None, out: Blocked, scratch: int) -> list[Launch]:
        """Give the kernel calls; an activation has its own where the pixels written are not neighbours."""
        apart = any(phase.apart for phase in self.phases)
        name = "" if apart else activation_name(self.owner.unit)
        calls = [
            self._launch(phase, example, inputs[0], added, out, name)
            for phase in self.phases
            for example in range(phase.planes.examples)
        ]
        if apart and activation_name(self.owner.unit):
            calls.append(combine("copy", self.owner.unit, out, out, out, self.threads))
        return calls

    def _taps(self, phase: Phase, x: Blocked) -> tuple[Offsets, int]:
        """Give the taps as pairs (offset, numbers), and how many of them share a block of channels."""
        image, block, row = x.strides
        lanes, count = x.storage.lanes, len(phase.rows) * len(phase.columns)
        starts = [plane * image + i * row for _, plane, i in phase.rows]
        if self.kind == "pixels":
            first, reach = phase.columns[0][1], phase.columns[-1][1] - phase.columns[0][1] + 1
            if reach == len(phase.columns):  # the pixels of a row are neighbours
                return np.array([(start + first * lanes, reach * lanes) for start in starts], np.int64), count
            pairs = [(start + j * lanes, lanes) for start in starts for _, j in phase.columns]
            return np.array(pairs, np.int64), count
        each = LANES if self.kind == "diagonal" else self.owner.in_channels // self.owner.groups
        pairs = [
            (c // LANES * block + start + j * lanes, min(LANES, each - c))
            for c in range(0, each, LANES) for start in starts for _, j in phase.columns
        ]  # fmt: skip
        return np.array(pairs, np.int64), count

    def _launch(
        self, phase: Phase, example: int, x: Blocked, added: Blocked | None, out: Blocked, activation: str
    ) -> Launch:
        taps, taps_a_block = self._taps(phase, x)
        batch, rows, width = self._run(phase, x, added, out)
        blocks, k = self.owner.blocks, int(taps[:, 1].sum())
        (mr, nv), cycles = self._tile(rows * batch, width, k)
        groups = -(-blocks // nv)
        chunk = max(1, PANEL_BYTES // (4 * nv * LANES * LANES * taps_a_block)) * taps_a_block
        if self.kind == "pixels":
            chunk = len(taps)
        tiles = rows * -(-width // mr)
        threads = self.threads if cycles >= PARALLEL_CYCLES else 1
        band, parts = self._share(phase, batch, tiles, groups, k, threads)
        each, group_blocks = groups, 1  # groups that read the same channels, and their blocks
        if self.kind == "grouped":
            each, group_blocks = groups // self.owner.groups, self.owner.in_channels // self.owner.groups // LANES
        elif self.kind == "diagonal":
            each = 1
        places = self._places(phase, example, added, out)
        examples, (plane, plane_step) = phase.planes.examples, phase.planes.source
        start = x.start + (example * (self.x[0] // examples) + plane) * x.strides[0]
        description = described(
            conv.FIELDS, batch=batch, rows=rows, width=width, x=start, x_image=x.strides[0] * plane_step,
            x_row=x.strides[2] * phase.stride[0], x_group=group_blocks * x.strides[1], out_step=LANES * phase.step[1],
            blocks=blocks, groups=groups, chunk=chunk, chunk_k=int(taps[:chunk, 1].sum()), k=k, band=band, parts=parts,
            threads=threads, groups_each=each, **places,
        )  # fmt: skip
        kernel = conv.conv_f32(mr, nv, phase.stride[1] * x.storage.lanes, activation)
        weight = self.owner.packed(nv, self.kind, phase.selection)
        arguments = (description, taps.reshape(-1), *clamp(self.owner.unit), weight, *constants(self.owner.unit))
        return Launch(kernel, arguments, threads > 1)

    def _places(self, phase: Phase, example: int, added: Blocked | None, out: Blocked) -> dict[str, int]:
        """Give the fields of the output's first pixel of a phase, and of the residual's."""
        places = strides("out", out) | strides("added", added)
        plane, plane_step = phase.planes.target
        for name, value in (("out", out), ("added", added)):
            if value is not None:
                places[name] += (example * (self.out[0] // phase.planes.examples) + plane) * value.strides[0]
                places[f"{name}_image"] *= plane_step
        places["out"] += phase.first[0] * out.strides[2] + phase.first[1] * LANES
        places["out_row"] *= phase.step[0]
        return places

    def _run(self, phase: Phase, x: Blocked, added: Blocked | None, out: Blocked) -> tuple[int, int, int]:
        """Give batch, rows and width, with as long rows as the pixels lie in."""
        (height, width), planes = phase.size, phase.planes
        places = [x.storage, out.storage, *([added.storage] if added else [])]  # pads are a part of the halo
        near = phase.columns == ((0, 0),) and not any(row for _, _, row in phase.rows)
        if near and phase.stride == phase.step == (1, 1) and not any(any(storage.halo) for storage in places):
            if height > 1 or width > 1:
                return planes.outputs, 1, height * width
            if planes.source[1] == planes.target[1] == 1:
                return 1, 1, planes.outputs
        return planes.outputs, height, width

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

    def _share(self, phase: Phase, batch: int, tiles: int, groups: int, k: int, threads: int) -> tuple[int, int]:
        """Give the tiles of a band, and the parts that the groups are dealt out in, for balanced threads."""
        band = tiles
        weight_bytes = 4 * self.owner.weight_size
        input_bytes = 4 * min(math.prod(self.x[1:]), math.prod(phase.size) * k)  # those that are read
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
