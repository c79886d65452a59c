"""Upsampling by integer factors: ``F.interpolate``, or weighted sums where its weights are not Keras'."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.errors import ExportError
from keydnn.export.torch.expressions import call, per_axis, quoted
from keydnn.export.torch.site import Site
from keydnn.modules.sampling import spans
from keydnn.modules.upsample import REPEATING


def upsample(module: Any, site: Site) -> str:
    """Repeat cells; PyTorch's "nearest" rounds places down that are whole numbers, but for powers of 2."""
    exact = all(factor & (factor - 1) == 0 for factor in module.scale_factor)
    mode = None if exact else quoted("nearest-exact")
    return call("F.interpolate", site.inputs[0], scale_factor=per_axis(module.scale_factor), mode=mode)


def upsample_2d(module: Any, site: Site) -> str:
    if module.mode in REPEATING:
        return upsample(module, site)
    if module.mode == "bilinear":
        factor = per_axis(module.scale_factor)
        return call("F.interpolate", site.inputs[0], scale_factor=factor, mode=quoted("bilinear"), align_corners=False)
    sizes, outputs = site.shapes[0][2:], site.shape[2:]
    found = site.inputs[0]
    for axis, name in ((3, "width"), (2, "height")):
        found = resampled(module.mode, site, found, axis, sizes[axis - 2], outputs[axis - 2], name)
    return found


def resampled(
    mode: str,
    site: Site,
    x: str,
    axis: int,
    size: int | None,
    outputs: int | None,
    name: str,
    antialias: bool = False,
) -> str:
    """Write the weighted sums that give an axis another size."""
    if size is None or outputs is None:
        raise ExportError(f"mode {mode!r} of an axis of free size, whose weights are not known before")
    first, counts, weights = spans(mode, size, outputs, antialias)
    places = np.arange(weights.shape[1])
    cells = np.where(places < counts[:, np.newaxis], first[:, np.newaxis] + places, -1)  # -1: no term
    tables = (site.buffer(cells.astype(np.int64), f"{name}_cells"), site.buffer(weights, f"{name}_weights"))
    return call(site.define("resample"), x, axis, *tables)


RULES = {"Upsample1d": upsample, "Upsample2d": upsample_2d, "Upsample3d": upsample}
