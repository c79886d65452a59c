"""Reductions and running sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keydnn.reference.bounds import F64, TINY, Bounded, Rules, f64, gamma


def _sum(x: Bounded, terms: int, operation: Callable[[F64], F64]) -> Bounded:
    """Add in any order."""
    error = operation(x.error + gamma(terms) * x.largest) + TINY
    return Bounded(operation(x.value), error)


def _product(x: Bounded, terms: int, operation: Callable[[F64], F64]) -> Bounded:
    value, largest = operation(x.value), operation(x.largest)
    return Bounded(value, largest - np.abs(value) + gamma(terms) * largest + TINY)


def _place(module: Any, x: Bounded) -> Bounded:
    """Find the best place; where errors leave several, all of them are right."""
    axis, sign = module.dim[0], 1 if module.operation == "argmax" else -1
    value = sign * x.value
    found = np.argmax(value, axis=axis, keepdims=True)
    best = np.take_along_axis(value - x.error, found, axis)
    places = np.arange(x.value.shape[axis]).reshape(-1, *(1,) * (x.value.ndim - axis - 1))
    possible = (value + x.error >= best) & (x.error.any(axis=axis, keepdims=True))
    error = np.where(possible, np.abs(places - found), 0).max(axis=axis, keepdims=True)
    shape = found.shape if module.keepdim else [size for place, size in enumerate(found.shape) if place != axis]
    return Bounded(found.reshape(shape).astype(np.float64), error.reshape(shape).astype(np.float64))


def reduce(module: Any, x: Bounded) -> Bounded:
    options = {"axis": module.dim, "keepdims": module.keepdim}
    terms = math.prod(x.value.shape[axis] for axis in module.dim)
    if module.operation == "sum":
        return _sum(x, terms - 1, lambda values: np.sum(values, **options))
    if module.operation == "mean":
        return _sum(x, terms + 1, lambda values: np.mean(values, **options))
    if module.operation == "prod":
        return _product(x, terms - 1, lambda values: np.prod(values, **options))
    if module.operation in ("max", "min"):
        extreme = np.max if module.operation == "max" else np.min
        return Bounded(extreme(x.value, **options), np.max(x.error, **options))
    return _place(module, x)


def cumulate(module: Any, x: Bounded) -> Bounded:
    terms = x.value.shape[module.dim] - 1
    if module.operation == "sum":
        return _sum(x, terms, lambda values: np.cumsum(values, module.dim))
    return _product(x, terms, lambda values: f64(np.cumprod(values, module.dim)))


RULES: Rules = {"Reduce": reduce, "Cumulate": cumulate}
