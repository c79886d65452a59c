"""Resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, TINY, AnyArray, Bounded, Rules, f64, gamma
from keydnn.reference.sampling import SAMPLINGS, triangle
from keydnn.reference.windows import Sizes


def resize_matrix(mode: str, antialias: bool, size: int, new: int) -> F64:
    """Give the weights of ``size`` cells in each of ``new`` ones, as tf.image.resize defines them; (new, size).

    Places are float32 by definition: which cell is the nearest, and which of 1024 steps a cubic takes, is decided by
    their roundings.  Everything else is float64.
    """
    f32, matrix = np.float32, np.zeros((new, size))
    step, half = f32(size) / f32(new), f32(0.5)
    between = mode in ("bilinear", "bicubic") and not antialias
    if mode not in ("nearest", "area") and not between:
        step = f32(1 / float(f32(new) / f32(size)))
    for j in range(new):
        centre = (f32(j) + half) * step
        if mode == "nearest":
            matrix[j, min(int(np.floor(centre)), size - 1)] = 1
            continue
        if mode == "area":
            begin, end = float(f32(j) * step), float(f32(j + 1) * step)
            matrix[j] = [max(min(end, i + 1) - max(begin, i), 0) / float(step) for i in range(size)]
            continue
        place, stretch = float(centre) - 0.5, max(float(step), 1) if antialias else 1
        if between:
            place = float(centre - half)
        if between and mode == "bicubic":
            place = math.floor(place) + np.rint((place - math.floor(place)) * 1024) / 1024
        kernel = SAMPLINGS.get(mode, triangle)
        weights = np.array([kernel(abs(place - i) / stretch) for i in range(size)])
        matrix[j] = weights / weights.sum()
    return matrix


def resize(x: npt.ArrayLike, matrices: Sequence[F64], dims: Sizes) -> F64:
    """Multiply two axes by matrices."""
    x = f64(x)
    for matrix, axis in zip(matrices, dims, strict=True):
        x = np.moveaxis(np.tensordot(x, matrix, (axis, 1)), -1, axis)
    return x


def spread(matrix: F64) -> F64:
    """Bound what is wrong with weights, in roundings: that of a row's largest one, for each cell that it may read.

    A distance is off by a rounding of itself, at most 5, times a slope of at most pi; a kernel by 8 roundings; the sum
    that a row is divided by as its terms are.
    """
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    there = np.pad(matrix != 0, ((0, 0), (1, 1)))
    read = there[:, :-2] | there[:, 1:-1] | there[:, 2:]  # and one cell to each side
    return f64((32 + read.sum(axis=1, keepdims=True)) * largest * read)


def bounded_resize(module: Any, x: Bounded) -> Bounded:
    """Fit and resize by a module."""
    given = fitted(x, module.dims, module.size, module.fit, float(np.float32(module.fill)))
    return resized(given, module.dims, module.size, module.mode, module.antialias)


def resized(x: Bounded, dims: Sizes, new: Sizes, mode: str, antialias: bool) -> Bounded:
    """Weigh and sum along both axes: weights that are off, and a rounding for each product and sum."""
    matrices = [resize_matrix(mode, antialias, x.value.shape[axis], size) for axis, size in zip(dims, new, strict=True)]
    value = resize(x.value, matrices, dims)
    if mode == "nearest":
        return Bounded(value, resize(x.error, matrices, dims))
    absolute, wrong = [np.abs(m) for m in matrices], [spread(m) for m in matrices]
    rounded = resize(x.largest, [wrong[0], absolute[1]], dims) + resize(x.largest, [absolute[0], wrong[1]], dims)
    passed = resize(x.error, absolute, dims)
    return Bounded(value, passed * (1 + gamma(8)) + gamma(2) * rounded + TINY)


def fitted(x: Bounded, dims: Sizes, new: Sizes, fit: str, fill: float = 0.0) -> Bounded:
    """Cut or pad an image to the new aspect ratio."""
    (height, width), (new_height, new_width) = (x.value.shape[axis] for axis in dims), new
    if fit == "stretch":
        return x
    bound = min if fit == "crop" else max
    wanted = bound(height, width * new_height // new_width), bound(width, height * new_width // new_height)
    wanted = max(wanted[0], 1), max(wanted[1], 1)
    if fit == "crop":
        return Bounded(*(middle(array, dims, wanted) for array in (x.value, x.error)))
    pads = [(0, 0)] * x.value.ndim
    for axis, size, larger in zip(dims, (height, width), wanted, strict=True):
        pads[axis] = ((larger - size) // 2,) * 2
    return Bounded(np.pad(x.value, pads, constant_values=fill), np.pad(x.error, pads))


def middle(x: AnyArray, dims: Sizes, sizes: Sizes) -> AnyArray:
    """Cut the middle out of an array."""
    for axis, size in zip(dims, sizes, strict=True):
        x = np.take(x, (x.shape[axis] - size) // 2 + np.arange(size), axis)
    return x


def center_crop(module: Any, x: Bounded) -> Bounded:
    """Move what is large enough; resize the rest as RandomCrop does at inference."""
    if all(x.value.shape[axis] >= size for axis, size in zip(module.dims, module.size, strict=True)):
        return Bounded(*(middle(array, module.dims, module.size) for array in (x.value, x.error)))
    return resized(fitted(x, module.dims, module.size, "crop"), module.dims, module.size, "bilinear", False)


RULES: Rules = {"Resize": bounded_resize, "CenterCrop": center_crop}
