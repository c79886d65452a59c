"""Upsampling."""

from __future__ import annotations

from tests import naive
from tests.oracle.bounds import TINY, Bounded, gamma


def upsample(module, x):
    """Nearest moves; bilinear weighs four neighbours, by weights from places that are off by a rounding of the size."""
    mode = getattr(module, "mode", "nearest")
    value = naive.upsample(x.value, module.scale_factor, mode)
    error, largest = (naive.upsample(array, module.scale_factor, mode, absolute=True) for array in (x.error, x.largest))
    if mode in naive.SAMPLINGS or mode == "area":
        error = error + naive.sampling_bound(x.largest, module.scale_factor, mode)
    if mode == "bilinear":
        size = max(x.value.shape[2:])
        error = error + gamma(8) * largest + gamma(4 * size) * x.largest.max(axis=(2, 3), keepdims=True) + TINY
    return Bounded(value, error)


RULES = dict.fromkeys(("Upsample1d", "Upsample2d", "Upsample3d"), upsample)
