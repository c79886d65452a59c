"""Several inputs made one."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value

OPERATIONS = {"Add": "Add", "Subtract": "Subtract", "Multiply": "Multiply", "Maximum": "Maximum", "Minimum": "Minimum"}


def merge(module: Any, site: Site) -> Value:
    """The layer of the name; operations where one of the inputs is a constant."""
    kind = type(module).__name__
    if not any(isinstance(value, np.ndarray) for value in site.inputs):
        return site.layer(kind, {}, listed=True)
    first, *others = site.inputs
    for other in others:
        shape = np.broadcast_shapes(*(tuple(-1 if s is None else s for s in v.shape) for v in (first, other)))
        first = site.operation(f"numpy.{OPERATIONS[kind]}", [first, other], shape=shape)
    return first


def concatenate(module: Any, site: Site) -> Value:
    """``Concatenate``."""
    if any(isinstance(value, np.ndarray) for value in site.inputs):
        return site.operation("numpy.Concatenate", [list(site.inputs)], {"axis": module.dim})
    return site.layer("Concatenate", {"axis": module.dim}, listed=True)


RULES: Rules = dict.fromkeys((*OPERATIONS, "Average"), merge) | {"Concatenate": concatenate}
