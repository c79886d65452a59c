"""Moves of memory."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value, channels_last
from keydnn.export.keras.windows import cropped, zero_padded


def flatten(module: Any, site: Site) -> Value:
    """``Flatten``."""
    return site.layer("Flatten", {})


def reshape(module: Any, site: Site) -> Value:
    """``Reshape``."""
    return site.layer("Reshape", {"target_shape": module.shape})


def permute(module: Any, site: Site) -> Value:
    """``Permute``, whose axes count from 1 without the batch's."""
    if len(module.dims) == 1:
        return site.layer("Identity", {})
    return site.layer("Permute", {"dims": module.dims[1:]})


def repeat(module: Any, site: Site) -> Value:
    """``ops.repeat``."""
    return site.operation("numpy.Repeat", site.inputs, {"repeats": module.repeats, "axis": module.dim})


def pad(module: Any, site: Site) -> Value:
    """``ZeroPadding``."""
    return zero_padded(site, site.inputs[0], module.padding)


def crop(module: Any, site: Site) -> Value:
    """``Cropping``."""
    return cropped(site, site.inputs[0], module.cropping)


RULES: Rules = (
    {"Flatten": flatten, "Reshape": reshape, "Permute": permute, "RepeatInterleave": repeat}
    | {f"ZeroPad{axes}d": channels_last(pad) for axes in (1, 2, 3)}
    | {f"Crop{axes}d": channels_last(crop) for axes in (1, 2, 3)}
)
