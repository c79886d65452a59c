"""Cells picked, or set beside others."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.places import places_of
from keydnn.export.onnx.site import END, Rules, Site, ints, number


def slices(module: Any, site: Site) -> str:
    """Give Slice over the axes of which cells are left out, or turned round."""
    (x,) = site.inputs
    taken = [
        (axis, *ends) for axis, ends in enumerate(module.slices, 1) if ends not in ((None, None, None), (None, None, 1))
    ]
    if not taken:
        return site.op("Identity", x)
    starts, stops, steps = [], [], []
    for axis, start, stop, step in taken:
        step = 1 if step is None else step
        size = site.shapes[0][axis]
        if size is not None:
            start, stop, step = slice(start, stop, step).indices(size)
            stop = -END if stop < 0 else stop
        starts.append((0 if step > 0 else END) if start is None else start)
        stops.append((END if step > 0 else -END) if stop is None else stop)
        steps.append(step)
    return site.op("Slice", x, ints(*starts), ints(*stops), ints(*(axis for axis, *_ in taken)), ints(*steps))


def index_select(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Gather", x, ints(*module.index), axis=module.dim)


def gather(module: Any, site: Site) -> str:
    x, places = site.inputs
    return site.op("GatherElements", x, site.cast(places, "int64"), axis=module.dim)


def _filled(site: Site, x: str, value: float) -> tuple[str, str]:
    """Give numbers with a value in the place of NaN, and where that is."""
    missing = site.op("IsNaN", x)
    return site.op("Where", missing, number(value), x), missing


def top_k(module: Any, site: Site) -> str:
    """Give the places of TopK; then those of NaN, of which it says nothing, go behind the others."""
    (x,) = site.inputs
    axis = module.dim
    known, missing = _filled(site, x, -np.inf)
    _, order = site.ops("TopK", 2, known, site.op("Shape", x, start=axis, end=axis + 1), axis=axis)
    behind = site.op("GatherElements", site.cast(missing, "float32"), order, axis=axis)
    _, first = site.ops("TopK", 2, behind, ints(module.k), axis=axis, largest=0)
    return site.cast(site.op("GatherElements", order, first, axis=axis), "float32")


def sort(module: Any, site: Site) -> str:
    """Give the numbers of TopK, and at the end as many NaN, of which it says nothing, as there are."""
    (x,) = site.inputs
    axis, size = module.dim, site.shapes[0][module.dim]
    known, missing = _filled(site, x, -np.inf if module.descending else np.inf)
    count = site.op("Shape", x, start=axis, end=axis + 1)
    ordered, _ = site.ops("TopK", 2, known, count, axis=axis, largest=int(module.descending))
    numbers = site.op("Sub", count, site.op("ReduceSum", site.cast(missing, "int64"), ints(axis)))
    places = places_of(site, x, axis, size)
    behind = len(site.shape) - 1 - axis
    if behind:
        places = site.op("Unsqueeze", places, ints(*range(1, 1 + behind)))
    return site.op("Where", site.op("Less", places, numbers), ordered, number(np.nan))


def pad(module: Any, site: Site) -> str:
    (x,) = site.inputs
    pads = [(axis, *pair) for axis, pair in enumerate(module.padding, 1) if any(pair)]
    if module.mode == "symmetric":
        for axis, before, after in pads:
            x = _mirrored(site, x, axis, before, after)
        return x if pads else site.op("Identity", x)
    axes, befores, afters = zip(*pads, strict=True) if pads else ((), (), ())
    value = number(module.value) if module.mode == "constant" else None
    return site.op("Pad", x, ints(*befores, *afters), value, ints(*axes), mode=module.mode)


def _mirrored(site: Site, x: str, axis: int, before: int, after: int) -> str:
    """Set the first cells before an axis and the last ones behind it, turned round."""
    parts = [x]
    for cells, start, stop in ((before, before - 1, -END), (after, -1, -1 - after)):
        if cells:
            mirrored = site.op("Slice", x, ints(start), ints(stop), ints(axis), ints(-1))
            parts = [mirrored, *parts] if start >= 0 else [*parts, mirrored]
    return site.op("Concat", *parts, axis=axis)


RULES: Rules = {
    "Slice": slices,
    "IndexSelect": index_select,
    "Gather": gather,
    "TopK": top_k,
    "Sort": sort,
    "Pad": pad,
}
