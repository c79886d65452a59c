"""Upsampling."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, TINY, Bounded, Rule, Rules, f64, gamma
from keydnn.reference.sampling import SAMPLINGS
from keydnn.reference.windows import Sizes


def _distances(mode: str, size: int, factor: int) -> F64:
    """Distances (size * factor, size) of cells to places, in cells.

    TensorFlow has the weights of "bicubic" for 1024 places between two cells, and takes the nearest.
    """
    distances = np.zeros((size * factor, size))
    for output in range(size * factor):
        place = Fraction(2 * output + 1, 2 * factor) - Fraction(1, 2)
        if mode == "bicubic":
            place = math.floor(place) + Fraction(round((place - math.floor(place)) * 1024), 1024)
        distances[output] = [abs(float(place - cell)) for cell in range(size)]
    return distances


def sampling(mode: str, size: int, factor: int) -> F64:
    """Weights (size * factor, size) of cells for places between them; each row sums to 1."""
    weights = np.vectorize(SAMPLINGS[mode], otypes=[float])(_distances(mode, size, factor))
    return f64(weights / weights.sum(1, keepdims=True))


def upsample(x: npt.ArrayLike, scale_factor: Sizes, mode: str = "nearest", absolute: bool = False) -> F64:
    """Repeat cells, or weigh and sum them by their distance (by absolute weights, if so), one axis after the other."""
    x = f64(x)
    for axis, factor in enumerate(scale_factor, start=2):
        size = x.shape[axis]
        if mode in ("nearest", "area"):
            x = np.repeat(x, factor, axis)
            continue
        if mode == "bilinear":
            places, centres = (np.arange(size * factor) + 0.5) / factor, np.arange(size) + 0.5
            weights = np.stack([np.interp(places, centres, unit) for unit in np.eye(size)], axis=1)
        else:
            weights = sampling(mode, size, factor)
        x = np.moveaxis(np.tensordot(x, abs(weights) if absolute else weights, (axis, 1)), -1, axis)
    return x


# Roundings of a weight of at most 1, absolute: of sines and quotients (two sines, their arguments and five more), of an
# exponential, of cubics whose terms cancel (up to 1.5 * 2**3 in Horner's scheme).
ROUNDINGS = {"bicubic": 40, "mitchellcubic": 40, "lanczos3": 24, "lanczos5": 24, "gaussian": 8}


def _axis_bound(mode: str, size: int, factor: int) -> tuple[float, float]:
    """Bound of the absolute errors of an axis' weights and of its sum, all together, and their largest absolute sum."""
    u = 2.0**-24
    if mode == "area":  # shares of cells, from the places of their ends times the factor
        return (8 * size * factor + 10) * u, 1 + 8 * size * factor * u
    function, distances, step = np.vectorize(SAMPLINGS[mode], otypes=[float]), _distances(mode, size, factor), 1e-4
    weights = function(distances)
    total, cells = weights.sum(1), (weights != 0).sum(1)
    # All places of a row are off alike, by the roundings of the factor's inverse and of a product; those of "bicubic"
    # are rounded to table entries anyhow.  Each distance is then rounded.
    slope = abs(function(distances + step) - function(abs(distances - step))).sum(1) / (2 * step)
    off = 0 if mode == "bicubic" else (2 * size + 6) * u
    weight_errors = slope * off + cells * ROUNDINGS[mode] * u
    absolute = abs(weights).sum(1) / total
    rounded = weight_errors * (1 + absolute) / total + (2 * cells + 4) * u * absolute  # the sum, the quotient, products
    return rounded.max(), absolute.max()


def sampling_bound(x: F64, scale_factor: Sizes, mode: str) -> F64:
    """Bound on the error of float32 for "area" and the modes of SAMPLINGS; it broadcasts over the cells of an image."""
    error, growth = 0.0, 1.0
    for size, factor in reversed(list(zip(x.shape[2:], scale_factor, strict=True))):
        rounded, absolute = _axis_bound(mode, size, factor)
        error, growth = error * (absolute + rounded) + rounded * growth, growth * absolute
    return f64(error * abs(f64(x)).max(axis=(2, 3), initial=0, keepdims=True) + TINY)


def bounded_upsample(module: Any, x: Bounded) -> Bounded:
    """Nearest moves; bilinear weighs four neighbours, by weights from places that are off by a rounding of the size."""
    mode, value = getattr(module, "mode", "nearest"), _upsample(module, x.value)
    error, largest = (upsample(array, module.scale_factor, mode, absolute=True) for array in (x.error, x.largest))
    if mode in SAMPLINGS or mode == "area":
        error = error + sampling_bound(x.largest, module.scale_factor, mode)
    if mode == "bilinear":
        size = max(x.value.shape[2:])
        error = error + gamma(8) * largest + gamma(4 * size) * x.largest.max(axis=(2, 3), keepdims=True) + TINY
    return Bounded(value, error)


def _upsample(module: Any, x: F64) -> F64:
    return upsample(x, module.scale_factor, getattr(module, "mode", "nearest"))


RULES: Rules = dict.fromkeys(("Upsample1d", "Upsample2d", "Upsample3d"), Rule(bounded_upsample, _upsample))
