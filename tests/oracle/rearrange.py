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


RULES = {
    "Squeeze": selected(lambda module, x: np.squeeze(x, module.dim)),
    "Unsqueeze": selected(lambda module, x: np.expand_dims(x, module.dim)),
    "Expand": selected(lambda module, x: np.broadcast_to(x, (len(x), *module.shape))),
    "Tile": selected(lambda module, x: np.tile(x, (1, *module.dims))),
    "Roll": selected(lambda module, x: np.roll(x, module.shifts, module.dims)),
    "DepthToSpace": selected(_depth_to_space),
    "SpaceToDepth": selected(_space_to_depth),
}
