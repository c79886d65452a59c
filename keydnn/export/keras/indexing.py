"""Cells picked, or set beside others."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value

MOST = 2**31 - 1  # TensorFlow's places are int32


def slices(module: Any, site: Site) -> Value:
    """``x[...]``."""
    (x,) = site.inputs
    here = [_within(ends, size) for ends, size in zip(module.slices, x.shape[1:], strict=True)]
    return site.operation("numpy.GetItem", [x, (slice(None), *here)])


def _within(ends: tuple[int | None, int | None, int | None], size: int | None) -> slice:
    """Give a slice that has the same cells and whose numbers int32 holds."""
    if ends[:2] == (None, None) and ends[2] in (None, 1):
        return slice(None)
    if size is None:
        return slice(*(None if end is None else max(-MOST, min(end, MOST)) for end in ends))
    start, stop, step = slice(*ends).indices(size)
    return slice(start, None if stop < 0 else stop, max(-MOST, min(step, MOST)))


def index_select(module: Any, site: Site) -> Value:
    """``ops.take``."""
    if max(map(abs, module.index)) > MOST:
        site.refuse("places that int32 does not hold")
    return site.operation("numpy.Take", [*site.inputs, np.array(module.index, np.int32)], {"axis": module.dim})


def gather(module: Any, site: Site) -> Value:
    """``ops.take_along_axis``."""
    x, places = site.inputs
    return site.operation("numpy.TakeAlongAxis", [x, site.cast(places, "int32")], {"axis": module.dim})


def _order(site: Site, x: Value, axis: int, descending: bool) -> Value:
    """Give the places of the cells of an axis in order, equal ones as they are.

    ``ops.argsort`` says nothing of NaN: these are zeros for it, and once more sorted behind all others.
    """
    along = {"axis": axis}
    missing = site.operation("numpy.Isnan", [x], shape=x.shape, dtype="bool")
    known = site.operation("numpy.Where", [missing, site.number(0), x], shape=x.shape)
    if descending:
        known = site.operation("numpy.Negative", [known], shape=x.shape)
    order = site.operation("numpy.Argsort", [known], along, shape=x.shape, dtype="int32")
    behind = site.operation("numpy.TakeAlongAxis", [site.cast(missing, "float32"), order], along, shape=x.shape)
    again = site.operation("numpy.Argsort", [behind], along, shape=x.shape, dtype="int32")
    return site.operation("numpy.TakeAlongAxis", [order, again], along, shape=x.shape, dtype="int32")


def top_k(module: Any, site: Site) -> Value:
    """The first places of cells in order."""
    (x,) = site.inputs
    places = _order(site, x, module.dim, descending=True)
    key = (*[slice(None)] * module.dim, slice(None, module.k))
    shape = site.shape if x.shape[module.dim] is not None else x.shape
    return site.cast(site.operation("numpy.GetItem", [places, key], shape=shape, dtype="int32"), "float32")


def sort(module: Any, site: Site) -> Value:
    """Cells in order."""
    (x,) = site.inputs
    return site.operation(
        "numpy.TakeAlongAxis", [x, _order(site, x, module.dim, module.descending)], {"axis": module.dim}
    )


def pad(module: Any, site: Site) -> Value:
    """``ops.pad``."""
    value = {"constant_values": module.value} if module.mode == "constant" else {}
    config = {"pad_width": [(0, 0), *module.padding], "mode": module.mode}
    return site.operation("numpy.Pad", site.inputs, config, kwargs=value)


RULES: Rules = {
    "Slice": slices,
    "IndexSelect": index_select,
    "Gather": gather,
    "TopK": top_k,
    "Sort": sort,
    "Pad": pad,
}
