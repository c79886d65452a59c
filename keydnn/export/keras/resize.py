"""Images in another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keydnn.export.keras.site import Axes, Rules, Site, Value, channels_last
from keydnn.modules.base import Shape

FITS = {"stretch": {}, "crop": {"crop_to_aspect_ratio": True}, "pad": {"pad_to_aspect_ratio": True}}
MODES = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")  # of the layer


def channels_beside(module: Any, shapes: Sequence[Shape], shape: Shape) -> Axes:
    """Say that channels are what is neither the batch nor height or width."""
    axes = {1, 2, 3} - set(module.dims)
    return [axes.pop() if len(axes) == 1 and len(shape) == 4 else None] * 2


def _size(module: Any, site: Site) -> dict[str, Any]:
    """Give height and width."""
    if len(site.shape) != 4 or 0 in module.dims:
        site.refuse("of other values than images (N, H, W, C)")
    first, second = module.size if module.dims[0] < module.dims[1] else module.size[::-1]
    return {"height": first, "width": second, "data_format": "channels_last"}


def resize(module: Any, site: Site) -> Value:
    """``Resizing``."""
    config = _size(module, site) | FITS[module.fit]
    if module.mode not in MODES:
        site.refuse(f"mode={module.mode!r}, which Keras 3 does not have")
    config |= {"interpolation": module.mode, "antialias": module.antialias, "fill_value": module.fill}
    return site.layer("Resizing", config)


def center_crop(module: Any, site: Site) -> Value:
    """``CenterCrop``."""
    return site.layer("CenterCrop", _size(module, site))


RULES: Rules = {
    "Resize": channels_last(resize, channels_beside),
    "CenterCrop": channels_last(center_crop, channels_beside),
}
