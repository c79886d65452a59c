"""Arithmetic, comparisons and logic of two values; ``where``.

Where a result jumps (comparisons, roundings), the error is the largest jump that the errors of the inputs allow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, FUNCTION, TINY, Bounded, Rules, exact, gamma

COMPARISONS: dict[str, Callable[[F64, F64], npt.NDArray[np.bool_]]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


def _divide_no_nan(x: F64, y: F64) -> F64:
    return np.where(y == 0, 0, np.divide(x, np.where(y == 0, 1, y)))


def _floor_divide(x: F64, y: F64) -> F64:
    """Floor the quotient that float32 rounds."""
    return np.floor((x / y).astype(np.float32).astype(np.float64))


def _remainder(x: F64, y: F64) -> F64:
    return x - np.floor(x / y) * y


def _comparison(compare: Callable[[F64, F64], npt.NDArray[np.bool_]]) -> Callable[[F64, F64], F64]:
    return lambda x, y: compare(x, y).astype(np.float64)


# function in float64, roundings relative to the result
FUNCTIONS: dict[str, tuple[Callable[[F64, F64], F64], int]] = {
    "add": (np.add, 1),
    "subtract": (np.subtract, 1),
    "multiply": (np.multiply, 1),
    "divide": (np.divide, 2),  # TensorFlow's graphs multiply by the reciprocal of a constant
    "divide_no_nan": (_divide_no_nan, 1),
    "floor_divide": (_floor_divide, 0),
    "remainder": (_remainder, 3),
    "power": (np.power, FUNCTION),
    "atan2": (np.arctan2, FUNCTION),
    "squared_difference": (lambda x, y: (x - y) ** 2, 3),
    "maximum": (np.maximum, 0),
    "minimum": (np.minimum, 0),
    **{name: (_comparison(compare), 0) for name, compare in COMPARISONS.items()},
}
DIVISIONS = {"divide", "divide_no_nan", "floor_divide", "remainder"}
JUMPS = {"equal", "not_equal", "logical_and", "logical_or", "logical_xor"}  # at one point, which corners may miss


def of_two(name: str, x: Bounded, y: Bounded) -> Bounded:
    """Apply an operation to the values, and to the corners of what float32 may have in their place."""
    function, roundings = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        value = np.asarray(function(x.value, y.value), np.float64)
        spread = np.zeros(value.shape)
        if x.error.any() or y.error.any():
            for a, b in itertools.product((-1, 0, 1), repeat=2):
                found = function(x.value + a * x.error, y.value + b * y.error)
                spread = np.maximum(spread, np.nan_to_num(np.abs(found - value), nan=0, posinf=np.inf))
            if name in DIVISIONS:  # by what may be 0
                spread = np.where((y.error > 0) & (y.error >= np.abs(y.value)), np.inf, spread)
            if name == "atan2":  # the origin has any angle
                origin = (np.abs(x.value) <= x.error) & (np.abs(y.value) <= y.error) & (x.error + y.error > 0)
                spread = np.where(origin, 2 * np.pi, spread)
            if name in JUMPS:
                near = np.abs(x.value - y.value) <= x.error + y.error
                touched = np.broadcast_to(x.error + y.error > 0, value.shape)
                spread = np.where(near & touched, 1, spread)
        if name in COMPARISONS:
            return Bounded(value, spread)
        size = np.abs(value) + spread
        if name == "remainder":  # TensorFlow's graphs work out x - floor(x / y) * y
            size = size + x.largest + y.largest
        rounded = gamma(roundings) * size + TINY
        return Bounded(value, np.where(np.isfinite(value), spread + rounded, 0))


def binary(module: Any, x: Bounded, y: Bounded) -> Bounded:
    return of_two(module.operation, x, y)


def scalar(module: Any, x: Bounded) -> Bounded:
    number = exact(np.float32(module.value))
    return of_two(module.operation, number, x) if module.reverse else of_two(module.operation, x, number)


def where(module: Any, condition: Bounded, x: Bounded, y: Bounded) -> Bounded:
    """Take one or the other; where the condition may be wrong, both are possible."""
    chosen = condition.value != 0
    doubtful = (condition.error > 0) & (np.abs(condition.value) <= condition.error)
    value = np.where(chosen, x.value, y.value)
    error = np.where(chosen, x.error, y.error)
    both = np.abs(x.value - y.value) + x.error + y.error
    return Bounded(value, np.where(doubtful, both, error))


RULES: Rules = {"Binary": binary, "Scalar": scalar, "Where": where}
