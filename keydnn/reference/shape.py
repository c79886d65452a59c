"""Moves of memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import AnyArray, Rules, selected


def _pad(module: Any, x: AnyArray) -> AnyArray:
    return np.pad(x, [(0, 0), (0, 0), *module.padding])


def _crop(module: Any, x: AnyArray) -> AnyArray:
    sizes = zip(module.cropping, x.shape[2:], strict=True)
    middle: tuple[Any, ...] = ..., *(slice(before, size - after) for (before, after), size in sizes)
    found: AnyArray = x[middle]
    return found


def _reshape(module: Any, x: AnyArray) -> AnyArray:
    return x.reshape(x.shape[0], *module.shape)


RULES: Rules = {
    "Flatten": selected(lambda module, x: x.reshape(x.shape[0], -1)),
    "Reshape": selected(_reshape),
    "Permute": selected(lambda module, x: np.transpose(x, module.dims)),
    "RepeatInterleave": selected(lambda module, x: np.repeat(x, module.repeats, module.dim)),
    **dict.fromkeys(("ZeroPad1d", "ZeroPad2d", "ZeroPad3d"), selected(_pad)),
    **dict.fromkeys(("Crop1d", "Crop2d", "Crop3d"), selected(_crop)),
}
