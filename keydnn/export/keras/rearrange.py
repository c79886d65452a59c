"""Axes added, dropped, repeated and split, patches of images."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from keydnn.export.keras.indexing import MOST
from keydnn.export.keras.site import Rules, Site, Value
from keydnn.export.keras.windows import zero_padded
from keydnn.modules.geometry import Ints, Padding, resolve_pads


def squeeze(module: Any, site: Site) -> Value:
    """``ops.squeeze``, or the first cell of axes with a free size."""
    (x,) = site.inputs
    if all(x.shape[axis] == 1 for axis in module.dim):
        return site.operation("numpy.Squeeze", [x], {"axis": module.dim})
    key = tuple(0 if axis in module.dim else slice(None) for axis in range(len(x.shape)))
    return site.operation("numpy.GetItem", [x, key])


def unsqueeze(module: Any, site: Site) -> Value:
    """``ops.expand_dims``."""
    return site.operation("numpy.ExpandDims", site.inputs, {"axis": module.dim})


def expand(module: Any, site: Site) -> Value:
    """``ops.tile``: of a free batch ``ops.broadcast_to`` would have to know the size."""
    sizes = site.shapes[0][1:]
    if None in sizes:
        site.refuse("axes of a free size, which may have to be repeated or not")
    repeats = [1, *(1 if old == new else new for old, new in zip(sizes, module.shape, strict=True))]
    return site.operation("numpy.Tile", site.inputs, {"repeats": repeats})


def tile(module: Any, site: Site) -> Value:
    """``ops.tile``."""
    return site.operation("numpy.Tile", site.inputs, {"repeats": [1, *module.dims]})


def roll(module: Any, site: Site) -> Value:
    """``ops.roll``."""
    total: Counter[int] = Counter()
    for shift, axis in zip(module.shifts, module.dims, strict=True):
        total[axis] += shift
    shifts = {axis: _rounded(shift, site.shape[axis]) for axis, shift in total.items()}
    if max(map(abs, shifts.values())) > MOST:
        site.refuse("a shift that int32 does not hold")
    return site.operation("numpy.Roll", site.inputs, {"shift": list(shifts.values()), "axis": list(shifts)})


def _rounded(shift: int, size: int | None) -> int:
    """Give a shift without whole rounds."""
    return shift % size if size else shift


def blocks(module: Any, site: Site) -> Value:
    """``ops.depth_to_space`` and ``ops.space_to_depth``, which take blocks of two cells or more."""
    if module.block_size == 1:
        return site.layer("Identity", {})
    config = {"block_size": module.block_size, "data_format": "channels_last"}
    return site.operation(f"nn.{type(module).__name__}", site.inputs, config)


def windows(
    site: Site, x: Value, kernel_size: Ints, stride: Ints, padding: Padding, dilation: Ints
) -> tuple[Value, Ints]:
    """Give what windows cover, (N, *places, cells * C), and the places of each axis.

    ``ops.take`` of the cells of all windows, axis by axis: ``ops.extract_patches`` is a convolution, in which one NaN
    or infinity fills its window.
    """
    batch, *sizes, channels = x.shape
    if None in (*sizes, channels):
        site.refuse("windows of images with free sizes")
    known = tuple(size for size in sizes if size is not None)
    pads = resolve_pads(padding, known, kernel_size, stride, dilation)
    x = zero_padded(site, x, pads)
    outputs = []
    for axis, (kernel, step, gap) in enumerate(zip(kernel_size, stride, dilation, strict=True), 1):
        size = x.shape[axis]
        assert size is not None  # as those before padding
        count = (size - (kernel - 1) * gap - 1) // step + 1
        outputs.append(count)
        cells = np.arange(count)[:, np.newaxis] * step + np.arange(kernel) * gap
        if cells.size == size and (cells.ravel() == np.arange(size)).all():
            continue
        shape = (*x.shape[:axis], cells.size, *x.shape[axis + 1 :])
        x = site.operation("numpy.Take", [x, cells.ravel().astype(np.int32)], {"axis": axis}, shape=shape)
    axes = len(kernel_size)
    split = tuple(size for pair in zip(outputs, kernel_size, strict=True) for size in pair)
    x = site.layer("Reshape", {"target_shape": (*split, channels)}, inputs=[x], shape=(batch, *split, channels))
    dims = (*range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1)
    shape = (batch, *(x.shape[axis] for axis in dims))
    x = site.layer("Permute", {"dims": dims}, inputs=[x], shape=shape)
    target = (*outputs, math.prod(kernel_size) * (channels or 1))
    return site.layer("Reshape", {"target_shape": target}, inputs=[x], shape=(batch, *target)), tuple(outputs)


def patches(module: Any, site: Site) -> Value:
    """Windows of images and volumes."""
    found, _ = windows(site, site.inputs[0], module.kernel_size, module.stride, module.padding, module.dilation)
    return found


RULES: Rules = {
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
    "Roll": roll,
    "DepthToSpace": blocks,
    "SpaceToDepth": blocks,
    "Patches": patches,
}
