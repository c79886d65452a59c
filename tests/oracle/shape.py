"""Moves of memory."""

from __future__ import annotations

import numpy as np

from tests.oracle.bounds import selected


def _pad(module, x):
    return np.pad(x, [(0, 0), (0, 0), *module.padding])


def _crop(module, x):
    sizes = zip(module.cropping, x.shape[2:], strict=True)
    return x[(..., *(slice(before, size - after) for (before, after), size in sizes))]


def _reshape(module, x):
    return x.reshape(x.shape[0], *module.shape)


RULES = {
    "Flatten": selected(lambda module, x: x.reshape(x.shape[0], -1)),
    "Reshape": selected(_reshape),
    "Permute": selected(lambda module, x: np.transpose(x, module.dims)),
    "RepeatInterleave": selected(lambda module, x: np.repeat(x, module.repeats, module.dim)),
    **dict.fromkeys(("ZeroPad1d", "ZeroPad2d", "ZeroPad3d"), selected(_pad)),
    **dict.fromkeys(("Crop1d", "Crop2d", "Crop3d"), selected(_crop)),
}
