"""Which steps count, and what stands in the place of those that do not."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def step_mask(module: Any, site: Site) -> Value:
    """``any(x != value)`` over the last axis, as ``Masking`` has it."""
    (x,) = site.inputs
    differs = site.operation("numpy.NotEqual", [x, site.number(module.mask_value)], shape=x.shape, dtype="bool")
    found = site.operation("numpy.Any", [differs], {"axis": [-1], "keepdims": False}, dtype="bool")
    return site.cast(found, "float32")


def masked_fill(module: Any, site: Site) -> Value:
    """``where(mask, x, value)``."""
    x, mask = site.inputs
    seen = site.cast(mask, "bool")
    for _ in range(len(x.shape) - len(mask.shape)):
        seen = site.operation("numpy.ExpandDims", [seen], {"axis": -1}, shape=(*seen.shape, 1), dtype="bool")
    return site.operation("numpy.Where", [seen, x, site.number(module.value)])


RULES: Rules = {"StepMask": step_mask, "MaskedFill": masked_fill}
