"""Images in another size.

Resize of ONNX works out where a new cell is with other roundings than TensorFlow, and has not its weights, so that
cells are gathered here, and weighed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.places import size_of
from keydnn.export.onnx.site import Rules, Site, integer, ints, number
from keydnn.modules.resize import aspect_sizes
from keydnn.modules.sampling import HALF, spans


def _behind(site: Site, axis: int) -> tuple[int, ...]:
    """Give the axes behind an axis of an image, as they are to be added behind one of numbers along it."""
    return tuple(range(1, len(site.shape) - axis))


def _sampled(site: Site, x: str, axis: int, size: int, outputs: int, mode: str, antialias: bool) -> str:
    """Weigh and sum the cells of an axis of fixed size."""
    first, counts, weights = spans(mode, size, outputs, antialias)
    if mode == "nearest":
        return site.op("Gather", x, first, axis=axis)
    steps = np.arange(weights.shape[1])
    counted = steps < counts[:, np.newaxis]
    cells = site.op("Gather", x, np.where(counted, first[:, np.newaxis] + steps, 0), axis=axis)
    shape = (*weights.shape, *[1] * len(_behind(site, axis)))
    if not counted.all():
        cells = site.op("Where", counted.reshape(shape), cells, number(0))
    return site.op("ReduceSum", site.op("Mul", cells, weights.reshape(shape)), ints(axis + 1), keepdims=0)


def _sampled_free(site: Site, x: str, axis: int, outputs: int, mode: str) -> str:
    """Give the cell that is nearest, or the two to both sides by their weights, for an axis of free size."""
    size = size_of(site, x, axis)
    last = site.op("Sub", size, integer(1))
    step = site.op("Div", site.cast(size, "float32"), number(outputs))
    places = site.op("Mul", np.arange(outputs, dtype=np.float32) + HALF, step)
    if mode == "nearest":
        return site.op("Gather", x, site.op("Min", site.cast(site.op("Floor", places), "int64"), last), axis=axis)
    places = site.op("Sub", places, number(0.5))
    below = site.op("Floor", places)
    share = site.op("Sub", places, below)
    if _behind(site, axis):
        share = site.op("Unsqueeze", share, ints(*_behind(site, axis)))
    before, after = (
        site.op("Gather", x, site.op("Clip", site.cast(place, "int64"), integer(0), last), axis=axis)
        for place in (below, site.op("Ceil", places))
    )
    near = site.op("Mul", before, site.op("Sub", number(1), share))
    far = site.op("Where", site.op("Equal", share, number(0)), number(0), site.op("Mul", after, share))
    return site.op("Add", near, far)


def _cut(site: Site, x: str, dims: tuple[int, ...], sizes: tuple[int, ...], new: tuple[int, ...]) -> str:
    """Cut the middle out of an image; of an odd rest the smaller half is before it."""
    starts = [(size - wanted) // 2 for size, wanted in zip(sizes, new, strict=True)]
    ends = [start + wanted for start, wanted in zip(starts, new, strict=True)]
    return site.op("Slice", x, ints(*starts), ints(*ends), ints(*dims))


def _fixed(module: Any, site: Site) -> tuple[int, ...]:
    """Give the sizes of the image; refuse free ones."""
    sizes = tuple(size for size in (site.shapes[0][axis] for axis in module.dims) if size is not None)
    if len(sizes) < 2:
        site.refuse("the size of its input is free, and what becomes of it depends on that")
    return sizes


def resize(module: Any, site: Site) -> str:
    (x,) = site.inputs
    sizes: tuple[int | None, ...] = tuple(site.shapes[0][axis] for axis in module.dims)
    if module.fit != "stretch":
        fixed = _fixed(module, site)
        sizes = fitted = aspect_sizes(fixed, module.size, min if module.fit == "crop" else max)
        if module.fit == "crop":
            x = _cut(site, x, module.dims, fixed, fitted)
        else:
            pads = [(new - size) // 2 for size, new in zip(fixed, fitted, strict=True)]
            sizes = tuple(size + 2 * pad for size, pad in zip(fixed, pads, strict=True))
            x = site.op("Pad", x, ints(*pads, *pads), number(module.fill), ints(*module.dims))
    for axis, size, outputs in zip(module.dims, sizes, module.size, strict=True):
        if size is not None:
            x = _sampled(site, x, axis, size, outputs, module.mode, module.antialias)
        elif module.mode == "nearest" or (module.mode == "bilinear" and not module.antialias):
            x = _sampled_free(site, x, axis, outputs, module.mode)
        else:
            kind = f"{module.mode}{', antialias' if module.antialias else ''}"
            site.refuse(f"{kind} has weights for each size, and the size of its input is free")
    return x


def center_crop(module: Any, site: Site) -> str:
    """Cut the middle out; resize what is smaller."""
    (x,) = site.inputs
    sizes = _fixed(module, site)
    if all(size >= new for size, new in zip(sizes, module.size, strict=True)):
        return _cut(site, x, module.dims, sizes, module.size)
    fitted = aspect_sizes(sizes, module.size, min)
    x = _cut(site, x, module.dims, sizes, fitted)
    for axis, size, outputs in zip(module.dims, fitted, module.size, strict=True):
        x = _sampled(site, x, axis, size, outputs, "bilinear", False)
    return x


RULES: Rules = {"Resize": resize, "CenterCrop": center_crop}
