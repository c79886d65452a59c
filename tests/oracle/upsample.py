"""Upsampling."""

from __future__ import annotations

from tests import naive
from tests.oracle.bounds import TINY, Bounded, gamma


def upsample(module, x):
    """Nearest moves; bilinear weighs four neighbours, by weights from places that are off by a rounding of the size."""
    value, error, largest = (
        naive.upsample(array, module.scale_factor, module.mode) for array in (x.value, x.error, x.largest)
    )
    if module.mode == "bilinear":
        size = max(x.value.shape[2:])
        error = error + gamma(8) * largest + gamma(4 * size) * x.largest.max(axis=(2, 3), keepdims=True) + TINY
    return Bounded(value, error)


RULES = {"Upsample2d": upsample}
