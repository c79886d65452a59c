"""Cells picked, or set beside others."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import Bounded, Rules, exact, f64, selected


def _pad(module: Any, x: Bounded) -> Bounded:
    pads, options = ((0, 0), *module.padding), {}
    if module.mode == "constant":
        options = {"constant_values": float(np.float32(module.value))}
    found = np.pad(x.value, pads, module.mode, **options)
    return Bounded(found, np.pad(x.error, pads, module.mode))


def _gather(module: Any, x: Bounded, places: Bounded) -> Bounded:
    """Take cells; where a place may be another one, any cell from the first to the last that it may be."""
    found = places.value.astype(int)
    value, error = (np.take_along_axis(part, found, module.dim) for part in (x.value, x.error))
    furthest = min(float(np.ceil(places.error.max(initial=0))), x.value.shape[module.dim])
    for step in range(1, int(furthest) + 1):
        for place in (found - step, found + step):
            other = [
                np.take_along_axis(part, place.clip(0, part.shape[module.dim] - 1), module.dim)
                for part in (x.value, x.error)
            ]
            error = np.where(places.error > step - 1, np.maximum(error, np.abs(other[0] - value) + other[1]), error)
    return Bounded(value, error)


def _top_k(module: Any, x: Bounded) -> Bounded:
    """Order cells; where float32 may order others there, as their values differ by no more than the errors.

    The j-th largest of float32 is within the largest error of the j-th largest value, and the cell that it is in is
    within that of its own value.
    """
    order = np.argsort(-x.value, axis=module.dim, kind="stable")
    found = np.take(order, range(module.k), module.dim)
    largest = x.error.max(axis=module.dim, keepdims=True, initial=0)
    if not largest.any():
        return exact(found)
    places = np.arange(x.value.shape[module.dim])
    values, near = (np.moveaxis(part, module.dim, -1) for part in (x.value, 2 * largest))
    chosen = np.moveaxis(found, module.dim, -1)
    distance = np.abs(values[..., None, :] - np.take_along_axis(values, chosen, -1)[..., None])
    possible = (distance <= near[..., None]) & (near[..., None] > 0)
    error = np.where(possible, np.abs(places - chosen[..., None]), 0).max(axis=-1)
    return Bounded(f64(found), np.moveaxis(f64(error), -1, module.dim))


def _sort(module: Any, x: Bounded) -> Bounded:
    """Sort: the j-th cell moves by no more than the cell that moves most, whatever their order becomes."""
    sign = -1.0 if module.descending else 1.0
    found = sign * np.sort(sign * x.value, axis=module.dim, kind="stable")
    largest = x.error.max(axis=module.dim, keepdims=True, initial=0)
    return Bounded(found, np.broadcast_to(largest, found.shape).copy())


RULES: Rules = {
    "Slice": selected(lambda module, x: x[(slice(None), *(slice(*ends) for ends in module.slices))]),
    "IndexSelect": selected(lambda module, x: np.take(x, module.index, module.dim)),
    "Gather": _gather,
    "TopK": _top_k,
    "Sort": _sort,
    "Pad": _pad,
}
