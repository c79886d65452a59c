"""Upsampling by integer factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import AnyArray, Rules, Site, Value, channels_last
from keydnn.export.keras.windows import per_axis
from keydnn.modules.sampling import spans
from keydnn.modules.upsample import REPEATING

INTERPOLATIONS = ("bilinear", "bicubic", "lanczos3", "lanczos5")


def repeating(module: Any, site: Site) -> Value:
    """``UpSampling``."""
    return site.layer(f"UpSampling{module.axes}D", {"size": per_axis(module.scale_factor)})


def upsample(module: Any, site: Site) -> Value:
    """``UpSampling2D``; modes that it has not are products with the weights of cells, along W and then along H."""
    if module.mode in REPEATING:
        return repeating(module, site)
    if module.mode in INTERPOLATIONS:
        return site.layer("UpSampling2D", {"size": per_axis(module.scale_factor), "interpolation": module.mode})
    (x,) = site.inputs
    batch, height, width, count = x.shape
    if height is None or width is None:
        site.refuse(f"mode={module.mode!r}, which Keras has not, of free sizes")
    rows, columns = (size * factor for size, factor in zip((height, width), module.scale_factor, strict=True))
    wide = site.operation(
        "numpy.Einsum",
        [x, weights_of_cells(module.mode, width, columns)],
        {"subscripts": "nhwc,vw->nhvc"},
        shape=(batch, height, columns, count),
    )
    return site.operation(
        "numpy.Einsum", [wide, weights_of_cells(module.mode, height, rows)], {"subscripts": "nhwc,vh->nvwc"}
    )


def weights_of_cells(mode: str, size: int, outputs: int, antialias: bool = False) -> AnyArray:
    """Give the weight of each cell of an axis in each of its new cells, (outputs, size)."""
    start, counts, weights = spans(mode, size, outputs, antialias)
    found = np.zeros((outputs, size), np.float32)
    for place in range(outputs):
        first, count = int(start[place]), int(counts[place])
        found[place, first : first + count] = weights[place, :count]
    return found


RULES: Rules = {
    "Upsample1d": channels_last(repeating),
    "Upsample2d": channels_last(upsample),
    "Upsample3d": channels_last(repeating),
}
