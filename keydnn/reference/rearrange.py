"""Axes added, dropped, repeated and split."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import AnyArray, Rules, selected
from keydnn.reference.windows import cells, counts, same_pads


def _depth_to_space(module: Any, x: AnyArray) -> AnyArray:
    b, (n, h, w, c) = module.block_size, x.shape
    found = np.zeros((n, h * b, w * b, c // b**2))
    for row in range(b):
        for column in range(b):
            first = (row * b + column) * found.shape[3]
            found[:, row::b, column::b] = x[..., first : first + found.shape[3]]
    return found


def _space_to_depth(module: Any, x: AnyArray) -> AnyArray:
    b = module.block_size
    return np.concatenate([x[:, row::b, column::b] for row in range(b) for column in range(b)], axis=3)


def _patches(module: Any, x: AnyArray) -> AnyArray:
    """Cut one patch after the other out of (N, *spatial, C)."""
    kernel_size, stride, dilation, sizes = module.kernel_size, module.stride, module.dilation, x.shape[1:-1]
    pads = same_pads(sizes, kernel_size, stride, dilation) if module.padding == "same" else module.padding
    x = np.moveaxis(np.pad(x, ((0, 0), *pads, (0, 0))), -1, 1)
    count = counts(x.shape[2:], kernel_size, stride, dilation)
    seen = [np.moveaxis(x[cell], 1, -1) for cell in cells(kernel_size, stride, dilation, count)]
    return np.concatenate(seen, axis=-1)


RULES: Rules = {
    "Squeeze": selected(lambda module, x: np.squeeze(x, module.dim)),
    "Unsqueeze": selected(lambda module, x: np.expand_dims(x, module.dim)),
    "Expand": selected(lambda module, x: np.broadcast_to(x, (len(x), *module.shape))),
    "Tile": selected(lambda module, x: np.tile(x, (1, *module.dims))),
    "Roll": selected(lambda module, x: np.roll(x, module.shifts, module.dims)),
    "DepthToSpace": selected(_depth_to_space),
    "SpaceToDepth": selected(_space_to_depth),
    "Patches": selected(_patches),
}
