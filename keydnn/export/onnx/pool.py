"""Pooling.

Of windows that hold NaN ONNX says nothing; onnxruntime's maximum of one is not Keras', which passes NaN over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keydnn.export.onnx.site import Rules, Site, ints, number
from keydnn.export.onnx.windows import windows
from keydnn.modules.geometry import adaptive_bounds


def max_pool(module: Any, site: Site) -> str:
    x, attributes = windows(module, site, (1,) * len(module.stride), number(-math.inf))
    return site.op("MaxPool", x, **attributes)


def average_pool(module: Any, site: Site) -> str:
    fill = number(0) if module.count_include_pad else None
    x, attributes = windows(module, site, (1,) * len(module.stride), fill)
    return site.op("AveragePool", x, **attributes, count_include_pad=int(module.count_include_pad))


def _all_cells(kind: str, module: Any, site: Site) -> str:
    """Reduce all spatial axes."""
    (x,) = site.inputs
    axes = ints(*range(2, len(site.shapes[0])))
    return site.op(kind, x, axes, keepdims=int(module.keepdims))


def masked_average(module: Any, site: Site) -> str:
    """Divide the sum of the counted cells by their number; what the other cells hold plays no part."""
    x, mask = site.inputs
    counted = site.op("Unsqueeze", site.cast(mask, "bool"), ints(1))
    keepdims = int(module.keepdims)
    total = site.op("ReduceSum", site.op("Where", counted, x, number(0)), ints(2), keepdims=keepdims)
    return site.op("Div", total, site.op("ReduceSum", site.cast(counted, "float32"), ints(2), keepdims=keepdims))


def _adaptive(kind: str, ragged: Callable[[Site, str, int, int, int], str], module: Any, site: Site) -> str:
    """Give a pool where all windows are of one size, or else one axis after the other."""
    (value,) = site.inputs
    sizes = [size for size in site.shapes[0][2:] if size is not None]
    if len(sizes) < len(module.output_size):
        site.refuse("windows of a number that does not divide a free size have no operator in ONNX")
    pairs = list(zip(sizes, module.output_size, strict=True))
    if not any(size % outputs for size, outputs in pairs):
        window = [size // outputs for size, outputs in pairs]
        return site.op(kind, value, kernel_shape=window, strides=window)
    for axis, (size, outputs) in enumerate(pairs, 2):
        value = ragged(site, value, axis, size, outputs)
    return value


def _gathered(site: Site, value: str, axis: int, bounds: Any, beyond: Any) -> str:
    """Give the cells of each window on a new axis behind; ``beyond`` are the cells that fill short windows."""
    width = int((bounds[:, 1] - bounds[:, 0]).max())
    cells = bounds[:, :1] + np.arange(width)
    return site.op("Gather", value, np.where(cells < bounds[:, 1:], cells, beyond), axis=axis)


def _ragged_average(site: Site, value: str, axis: int, size: int, outputs: int) -> str:
    """Sum the windows, filled with a cell of zero that is put behind, and divide by their sizes."""
    bounds = adaptive_bounds(size, outputs)
    padded = site.op("Pad", value, ints(0, 1), number(0), ints(axis))
    total = site.op("ReduceSum", _gathered(site, padded, axis, bounds, size), ints(axis + 1), keepdims=0)
    counts = (bounds[:, 1] - bounds[:, 0]).astype(np.float32)
    return site.op("Div", total, counts.reshape(-1, *[1] * (len(site.shape) - axis - 1)))


def _ragged_maximum(site: Site, value: str, axis: int, size: int, outputs: int) -> str:
    """Take the largest cell of the windows, filled with their last cell."""
    bounds = adaptive_bounds(size, outputs)
    return site.op("ReduceMax", _gathered(site, value, axis, bounds, bounds[:, 1:] - 1), ints(axis + 1), keepdims=0)


_AXES = (1, 2, 3)
RULES: Rules = (
    {f"MaxPool{axes}d": max_pool for axes in _AXES}
    | {f"AvgPool{axes}d": average_pool for axes in _AXES}
    | {f"GlobalMaxPool{axes}d": partial(_all_cells, "ReduceMax") for axes in _AXES}
    | {f"GlobalAvgPool{axes}d": partial(_all_cells, "ReduceMean") for axes in _AXES}
    | {"MaskedGlobalAvgPool1d": masked_average}
    | {f"AdaptiveMaxPool{axes}d": partial(_adaptive, "MaxPool", _ragged_maximum) for axes in _AXES}
    | {f"AdaptiveAvgPool{axes}d": partial(_adaptive, "AveragePool", _ragged_average) for axes in _AXES}
)
