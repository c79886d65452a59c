"""Convolutions and dense layers in a plan: which algorithm, with which packed weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jit_kernels._simd import LANES
from keydnn.modules.base import Array
from keydnn.modules.dense import Linear
from keydnn.plan import depthwise, transposed, winograd
from keydnn.plan.direct import DirectJob, phases_of
from keydnn.plan.fuse import CONVOLUTIONS, TRANSPOSED, Unit, folded, scaled
from keydnn.plan.memory import aligned
from keydnn.plan.planes import planes_of
from keydnn.plan.step import ImageSizes, Job
from keydnn.plan.window import Window, window_of

Selection = tuple[tuple[int, ...], tuple[int, ...]]
ALL: Selection = ((), ())


class Convolution:
    """A convolution or dense layer of a program: its weight, packed once for each algorithm that some sizes want."""

    def __init__(self, unit: Unit) -> None:
        self.unit, self.module = unit, unit.module
        module: Any = unit.module
        self.is_linear, self.is_transposed = isinstance(module, Linear), isinstance(module, TRANSPOSED)
        self.in_channels = module.in_features if self.is_linear else module.in_channels
        self.out_channels = module.out_features if self.is_linear else module.out_channels
        self.groups = 1 if self.is_linear else module.groups
        self.blocks = -(-self.out_channels // LANES)
        self._selects = self.is_transposed or (not self.is_linear and module.axes == 3)  # parts of the kernel
        self._packed: dict[Any, Array] = {}

    @property
    def weight_size(self) -> int:
        """Numbers of the weight."""
        module: Any = self.module
        return int(module.weight.size)

    def packed(self, nv: int, kind: str, selection: Selection = ALL) -> Array:
        """Give the bias and the weight in panels ``[k][nv][LANES]``, k in the order of the taps of a layout.

        ``selection``: the rows and columns of the kernel.
        """
        selection = selection if self._selects else ALL
        key = (nv, kind, selection)
        if key not in self._packed:
            self._packed[key] = self._pack(nv, kind, selection)
        return self._packed[key]

    def _pack(self, nv: int, kind: str, selection: Selection) -> Array:
        """Pack panel by panel: no other copy of the whole weight is made."""
        module: Any = self.module
        factor, bias = folded(module, self.unit.norms)
        panel, packed = nv * LANES, np.empty(0, np.float32)
        panels = -(-self.out_channels // panel)
        for place, first in enumerate(range(0, self.out_channels, panel)):
            part = slice(first, first + panel)
            weight = module.weight[:, part].swapaxes(0, 1) if self.is_transposed else module.weight[part]
            weight = scaled(weight, None if factor is None else factor[part])
            columns_a_row = weight.shape[-1] if weight.ndim > 2 else 1  # the rows of volumes' planes follow each other
            weight = weight.reshape(*weight.shape[:2], -1, columns_a_row)
            if selection != ALL:
                weight = weight[:, :, selection[0]][:, :, :, selection[1]]
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

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        (x,) = sizes
        if 0 in out:
            return None
        examples = 1 if self.is_linear else examples
        window = window_of(self.module, x, examples)
        planes = planes_of(window.depth, x[0] // examples, out[0] // examples, examples, self.is_transposed)
        if not planes:
            return None
        if self.is_transposed:
            return transposed.job(self, window, planes, x, out, threads)
        if window.stride[1] > 16:
            return None
        kind = self._kind(x, window, out, plain)
        if kind == "depthwise":
            return depthwise.job(self, window, x, out, threads)
        if kind == "winograd":
            return winograd.job(self, window, x, out, threads)
        if not kind:
            return None
        return DirectJob(self, phases_of(window, planes, out), x, out, threads, kind).job(window.halo)

    def _kind(self, x: ImageSizes, window: Window, out: ImageSizes, plain: bool) -> str:
        """Name the algorithm; "" if there is none on the blocked layout."""
        if self.groups == self.in_channels == self.out_channels and self.groups > 1:
            return "depthwise" if window.depth.is_flat else ""
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


STEPS = dict.fromkeys((*CONVOLUTIONS, *TRANSPOSED, Linear), Convolution)
