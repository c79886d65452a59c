"""Resizing."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import TINY, Bounded, gamma, selected


def matrices_of(module, sizes):
    """Give the weights along both axes for an input that has been fitted."""
    return [
        naive.resize_matrix(module.mode, module.antialias, size, new)
        for size, new in zip(sizes, module.size, strict=True)
    ]


def spread(matrix):
    """Bound what is wrong with weights, in roundings: that of a row's largest one, for each cell that it may read.

    A distance is off by a rounding of itself, at most 5, times a slope of at most pi; a kernel by 8 roundings; the sum
    that a row is divided by as its terms are.
    """
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    there = np.pad(matrix != 0, ((0, 0), (1, 1)))
    read = there[:, :-2] | there[:, 1:-1] | there[:, 2:]  # and one cell to each side
    return (32 + read.sum(axis=1, keepdims=True)) * largest * read


def resize(module, x):
    """Weigh and sum along both axes: weights that are off, and a rounding for each product and sum."""
    given = fitted(module, x)
    sizes = [given.value.shape[axis] for axis in module.dims]
    matrices = matrices_of(module, sizes)
    value = naive.resize(given.value, matrices, module.dims)
    if module.mode == "nearest":
        return Bounded(value, naive.resize(given.error, matrices, module.dims))
    absolute, wrong = [np.abs(m) for m in matrices], [spread(m) for m in matrices]
    rounded = sum(
        naive.resize(given.largest, pair, module.dims) for pair in ([wrong[0], absolute[1]], [absolute[0], wrong[1]])
    )
    passed = naive.resize(given.error, absolute, module.dims)
    return Bounded(value, passed * (1 + gamma(8)) + gamma(2) * rounded + TINY)


def fitted(module, x):
    """Cut or pad an image to the new aspect ratio."""
    (height, width), (new_height, new_width) = (x.value.shape[axis] for axis in module.dims), module.size
    if module.fit == "stretch":
        return x
    bound = min if module.fit == "crop" else max
    wanted = bound(height, width * new_height // new_width), bound(width, height * new_width // new_height)
    wanted = tuple(max(size, 1) for size in wanted)
    if module.fit == "crop":
        return Bounded(*(middle(array, module.dims, wanted) for array in (x.value, x.error)))
    pads = [(0, 0)] * x.value.ndim
    for axis, size, new in zip(module.dims, (height, width), wanted, strict=True):
        pads[axis] = ((new - size) // 2,) * 2
    return Bounded(np.pad(x.value, pads, constant_values=module.fill), np.pad(x.error, pads))


def middle(x, dims, sizes):
    """Cut the middle out of an array."""
    for axis, size in zip(dims, sizes, strict=True):
        x = np.take(x, (x.shape[axis] - size) // 2 + np.arange(size), axis)
    return x


def center_crop(module, x):
    """Move what is large enough; resize the rest as RandomCrop does at inference."""
    if all(x.value.shape[axis] >= size for axis, size in zip(module.dims, module.size, strict=True)):
        return selected(lambda module, x: middle(x, module.dims, module.size))(module, x)
    from keydnn.modules import Resize

    return resize(Resize(module.size, fit="crop", dims=module.dims), x)


RULES = {"Resize": resize, "CenterCrop": center_crop}
