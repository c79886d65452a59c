"""Upsampling by integer factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.site import Rules, Site
from keydnn.modules.sampling import spans
from keydnn.modules.upsample import REPEATING


def repeated(module: Any, site: Site) -> str:
    """Repeat cells."""
    (x,) = site.inputs
    return site.op(
        "Resize",
        x,
        None,
        np.array([1, 1, *module.scale_factor], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def sampling_matrix(mode: str, size: int, outputs: int) -> Any:
    """Give the float32 weights (outputs, size) of cells for each output along an axis."""
    matrix = np.zeros((outputs, size), np.float32)
    first, counts, weights = spans(mode, size, outputs)
    for output, (start, count) in enumerate(zip(first, counts, strict=True)):
        matrix[output, start : start + count] = weights[output, :count]
    return matrix


def images(module: Any, site: Site) -> str:
    """Give Resize, or matrices of weights along W, then along H, for what only TensorFlow has."""
    (x,) = site.inputs
    if module.mode in REPEATING:
        return repeated(module, site)
    if module.mode == "bilinear":
        scales = np.array([1, 1, *module.scale_factor], np.float32)
        return site.op("Resize", x, None, scales, mode="linear", coordinate_transformation_mode="half_pixel")
    height, width = site.shapes[0][2:]
    if height is None or width is None:
        site.refuse(f"{module.mode} has weights for each size, and ONNX no operator that works them out for a free one")
    down, across = (
        sampling_matrix(module.mode, size, size * factor)
        for size, factor in zip((height, width), module.scale_factor, strict=True)
    )
    return site.op("MatMul", down, site.op("MatMul", x, np.ascontiguousarray(across.T)))


RULES: Rules = {"Upsample1d": repeated, "Upsample2d": images, "Upsample3d": repeated}
