"""Masks of steps."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site, ints, number


def step_mask(module: Any, site: Site) -> str:
    """Count the numbers that are not the value, up to one."""
    (x,) = site.inputs
    differ = site.op("Not", site.op("Equal", x, number(module.mask_value)))
    count = site.op("ReduceSum", site.cast(differ, "float32"), ints(-1), keepdims=0)
    return site.op("Min", count, number(1))


def masked_fill(module: Any, site: Site) -> str:
    x, mask = site.inputs
    of_x, of_mask = site.shapes
    here = site.cast(mask, "bool")
    if len(of_mask) < len(of_x):
        here = site.op("Unsqueeze", here, ints(*range(len(of_mask), len(of_x))))
    return site.op("Where", here, x, number(module.value))


RULES: Rules = {"StepMask": step_mask, "MaskedFill": masked_fill}
