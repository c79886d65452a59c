"""Reductions over axes, and running sums and products."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def reduce(module: Any, site: Site) -> Value:
    """``ops.sum`` and the like; places are int32 there."""
    name = module.operation.capitalize()
    config = {"axis": list(module.dim), "keepdims": module.keepdim}
    if not name.startswith("Arg"):
        return site.operation(f"numpy.{name}", site.inputs, config)
    place = site.operation(f"numpy.{name}", site.inputs, {**config, "axis": module.dim[0]}, dtype="int32")
    return site.cast(place, "float32")


def cumulate(module: Any, site: Site) -> Value:
    """``ops.cumsum`` and ``ops.cumprod``."""
    return site.operation(f"numpy.Cum{module.operation}", site.inputs, {"axis": module.dim})


RULES: Rules = {"Reduce": reduce, "Cumulate": cumulate}
