"""Axes added, dropped, repeated and split."""

from __future__ import annotations

import numpy as np

from tests.oracle.bounds import selected


def _depth_to_space(module, x):
    b, (n, h, w, c) = module.block_size, x.shape
    found = np.zeros((n, h * b, w * b, c // b**2))
    for row in range(b):
        for column in range(b):
            first = (row * b + column) * found.shape[3]
            found[:, row::b, column::b] = x[..., first : first + found.shape[3]]
    return found


def _space_to_depth(module, x):
    b = module.block_size
    return np.concatenate([x[:, row::b, column::b] for row in range(b) for column in range(b)], axis=3)


def _patches(module, x):
    """Cut one patch after the other out of an array."""
    axes, found = range(len(module.kernel_size)), []
    sizes = module.output_shape(x.shape)[1:-1]
    reach = [step * (size - 1) + 1 for size, step in zip(module.kernel_size, module.dilation, strict=True)]
    behind = [
        max((size - 1) * module.stride[axis] + reach[axis] - x.shape[axis + 1], 0) for axis, size in enumerate(sizes)
    ]
    pads = [(rest // 2, rest - rest // 2) for rest in behind] if module.padding == "same" else module.padding
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    for place in np.ndindex(*sizes):
        starts = [place[axis] * module.stride[axis] for axis in axes]
        cut = [slice(starts[axis], starts[axis] + reach[axis], module.dilation[axis]) for axis in axes]
        found.append(x[(slice(None), *cut)].reshape(len(x), -1))
    return np.stack(found, axis=1).reshape(len(x), *sizes, -1)


RULES = {
    "Squeeze": selected(lambda module, x: np.squeeze(x, module.dim)),
    "Unsqueeze": selected(lambda module, x: np.expand_dims(x, module.dim)),
    "Expand": selected(lambda module, x: np.broadcast_to(x, (len(x), *module.shape))),
    "Tile": selected(lambda module, x: np.tile(x, (1, *module.dims))),
    "Roll": selected(lambda module, x: np.roll(x, module.shifts, module.dims)),
    "DepthToSpace": selected(_depth_to_space),
    "SpaceToDepth": selected(_space_to_depth),
    "Patches": selected(_patches),
}
