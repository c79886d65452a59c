"""Several inputs made one."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value
from keydnn.modules.merge import Add

OPERATIONS = {"Average": "Add"}  # of two; others have the name of the layer


def merge(module: Any, site: Site) -> Value:
    """The layer of the name; operations, one after the other, where one of the inputs is a constant."""
    kind = type(module).__name__
    if not any(isinstance(value, np.ndarray) for value in site.inputs):
        return site.layer(kind, {}, listed=True)
    first, *others = site.inputs
    for other in others:
        shape = Add().output_shape(first.shape, other.shape)
        first = site.operation(f"numpy.{OPERATIONS.get(kind, kind)}", [first, other], shape=shape)
    if kind != "Average":
        return first
    return site.operation("numpy.Divide", [first, site.number(len(site.inputs))])


def concatenate(module: Any, site: Site) -> Value:
    """``Concatenate``."""
    if any(isinstance(value, np.ndarray) for value in site.inputs):
        return site.operation("numpy.Concatenate", [list(site.inputs)], {"axis": module.dim})
    return site.layer("Concatenate", {"axis": module.dim}, listed=True)


RULES: Rules = dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), merge) | {
    "Concatenate": concatenate
}
