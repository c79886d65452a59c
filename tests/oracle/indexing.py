"""Cells picked, or set beside others."""

from __future__ import annotations

import numpy as np

from tests.oracle.bounds import Bounded, selected


def _pad(module, x):
    pads, options = ((0, 0), *module.padding), {}
    if module.mode == "constant":
        options = {"constant_values": float(np.float32(module.value))}
    found = np.pad(x.value, pads, module.mode, **options)
    return Bounded(found, np.pad(x.error, pads, module.mode))


def _gather(module, x, places):
    found = places.value.astype(int)
    return Bounded(*(np.take_along_axis(part, found, module.dim) for part in (x.value, x.error)))


RULES = {
    "Slice": selected(lambda module, x: x[(slice(None), *(slice(*ends) for ends in module.slices))]),
    "IndexSelect": selected(lambda module, x: np.take(x, module.index, module.dim)),
    "Gather": _gather,
    "Pad": _pad,
}
