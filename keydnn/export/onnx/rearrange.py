"""Axes added, dropped, repeated and split, patches of images."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from keydnn.export.onnx.places import places_of, size_of, windows
from keydnn.export.onnx.site import Rules, Site, integer, ints, number
from keydnn.modules.geometry import resolve_pads


def _with_axes(kind: str, module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op(kind, x, ints(*module.dim))


def expand(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Expand", x, ints(1, *module.shape))


def tile(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Tile", x, ints(1, *module.dims))


def roll(module: Any, site: Site) -> str:
    """Gather the cells of each axis from where they come from."""
    (x,) = site.inputs
    for shift, axis in zip(module.shifts, module.dims, strict=True):
        size = site.shapes[0][axis]
        if size is not None:
            x = site.op("Gather", x, np.roll(np.arange(size), shift), axis=axis)
            continue
        moved = site.op("Sub", places_of(site, x, axis, size), integer(shift))
        x = site.op("Gather", x, site.op("Mod", moved, size_of(site, x, axis)), axis=axis)
    return x


def _blocks(kind: str, module: Any, site: Site) -> str:
    """Give the operator, which has the channels first, and the cells of a block in the same order."""
    (x,) = site.inputs
    moved = site.op(kind, site.op("Transpose", x, perm=(0, 3, 1, 2)), blocksize=module.block_size)
    return site.op("Transpose", moved, perm=(0, 2, 3, 1))


def patches(module: Any, site: Site) -> str:
    (x,) = site.inputs
    shape, count = site.shapes[0], len(module.kernel_size)
    axes, sizes, pads = range(1, count + 1), shape[1:-1], module.padding
    fixed = tuple(size for size in sizes if size is not None)
    if pads == "same" and len(fixed) < count:
        site.refuse("SAME padding of free sizes")
    pads = resolve_pads(pads, fixed, module.kernel_size, module.stride, module.dilation)
    if any(map(any, pads)):
        x = site.op("Pad", x, ints(*(pad[0] for pad in pads), *(pad[1] for pad in pads)), number(0), ints(*axes))
    padded = [None if size is None else size + sum(pad) for size, pad in zip(sizes, pads, strict=True)]
    x = windows(site, x, axes, padded, module.kernel_size, module.stride, module.dilation)
    order = [0, *range(1, 2 * count, 2), *range(2, 2 * count + 1, 2), 2 * count + 1]
    moved = site.op("Transpose", x, perm=order)
    return site.op("Reshape", moved, ints(*[0] * (count + 1), -1))


RULES: Rules = {
    "Squeeze": partial(_with_axes, "Squeeze"),
    "Unsqueeze": partial(_with_axes, "Unsqueeze"),
    "Expand": expand,
    "Tile": tile,
    "Roll": roll,
    "DepthToSpace": partial(_blocks, "DepthToSpace"),
    "SpaceToDepth": partial(_blocks, "SpaceToDepth"),
    "Patches": patches,
}
