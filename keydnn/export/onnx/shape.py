"""Moves of memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.site import Rules, Site, integer, ints, number
from keydnn.export.onnx.windows import cropped, onnx_pads


def flatten(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Flatten", x, axis=1)


def reshape(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Reshape", x, ints(0, *module.shape))


def permute(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Transpose", x, perm=module.dims)


def repeat_interleave(module: Any, site: Site) -> str:
    """Gather each cell several times."""
    (x,) = site.inputs
    axis = module.dim % len(site.shape)
    size = site.shapes[0][axis]
    if size is not None:
        return site.op("Gather", x, np.repeat(np.arange(size), module.repeats), axis=axis)
    cells = site.op("Squeeze", site.op("Mul", site.op("Shape", x, start=axis, end=axis + 1), ints(module.repeats)))
    numbers = site.op("Range", integer(0), cells, integer(1))
    return site.op("Gather", x, site.op("Div", numbers, ints(module.repeats)), axis=axis)


def zero_pad(module: Any, site: Site) -> str:
    (x,) = site.inputs
    axes = range(2, len(site.shape))
    return site.op("Pad", x, ints(*onnx_pads(module.padding)), number(0), ints(*axes))


def crop(module: Any, site: Site) -> str:
    return cropped(site, site.inputs[0], module.cropping)


RULES: Rules = (
    {"Flatten": flatten, "Reshape": reshape, "Permute": permute, "RepeatInterleave": repeat_interleave}
    | {f"ZeroPad{axes}d": zero_pad for axes in (1, 2, 3)}
    | {f"Crop{axes}d": crop for axes in (1, 2, 3)}
)
