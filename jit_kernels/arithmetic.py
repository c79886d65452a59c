"""Arithmetic, comparisons and logic of two numbers, float32: one function each, and kernels that apply it.

Truth is 1 and falsehood 0; every number but 0, also NaN, is true.  As in ``activation.py`` the functions are compiled
without fastmath, so that they round as Keras does.  ``power``, ``atan2`` and the remainder call the C library.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from jit_kernels._broadcast import BLOCK
from jit_kernels._elementary import ONE, ZERO, exact, floor
from jit_kernels._jit import Kernel, kernel
from jit_kernels.activation import elementwise
from jit_kernels.merge import add, maximum, minimum, multiply, pairwise, subtract


@exact
def divide(x: Any, y: Any) -> Any:
    """``x / y``."""
    return x / y


@exact
def divide_no_nan(x: Any, y: Any) -> Any:
    """``x / y``; 0 where ``y`` is 0."""
    return ZERO if y == ZERO else x / y


@exact
def floor_divide(x: Any, y: Any) -> Any:
    """``floor(x / y)``, of the rounded quotient."""
    return floor(x / y)


@exact
def remainder(x: Any, y: Any) -> Any:
    """``x - floor(x / y) * y``, exact, with the sign of ``y``; NaN where ``y`` is 0 or ``x`` infinite."""
    rest = np.float32(np.fmod(x, y))
    return rest + y if rest != ZERO and (rest < ZERO) != (y < ZERO) else rest


@exact
def power(x: Any, y: Any) -> Any:
    """``x ** y``, as the C library computes it."""
    return np.float32(math.pow(x, y))


@exact
def atan2(y: Any, x: Any) -> Any:
    """Give the angle of the point (x, y), from -pi to pi, as the C library computes it."""
    return np.float32(math.atan2(y, x))


@exact
def squared_difference(x: Any, y: Any) -> Any:
    """``(x - y) ** 2``."""
    return (x - y) * (x - y)


@exact
def equal(x: Any, y: Any) -> Any:
    """``x == y``."""
    return ONE if x == y else ZERO


@exact
def not_equal(x: Any, y: Any) -> Any:
    """``x != y``; NaN differs from everything."""
    return ONE if x != y else ZERO


@exact
def greater(x: Any, y: Any) -> Any:
    """``x > y``."""
    return ONE if x > y else ZERO


@exact
def greater_equal(x: Any, y: Any) -> Any:
    """``x >= y``."""
    return ONE if x >= y else ZERO


@exact
def less(x: Any, y: Any) -> Any:
    """``x < y``."""
    return ONE if x < y else ZERO


@exact
def less_equal(x: Any, y: Any) -> Any:
    """``x <= y``."""
    return ONE if x <= y else ZERO


@exact
def logical_and(x: Any, y: Any) -> Any:
    """Whether both are true."""
    return ONE if x != ZERO and y != ZERO else ZERO


@exact
def logical_or(x: Any, y: Any) -> Any:
    """Whether one or both are true."""
    return ONE if x != ZERO or y != ZERO else ZERO


@exact
def logical_xor(x: Any, y: Any) -> Any:
    """Whether one is true, not both."""
    return ONE if (x != ZERO) != (y != ZERO) else ZERO


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "divide_no_nan": divide_no_nan,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "power": power,
    "atan2": atan2,
    "squared_difference": squared_difference,
    "maximum": maximum,
    "minimum": minimum,
    "equal": equal,
    "not_equal": not_equal,
    "greater": greater,
    "greater_equal": greater_equal,
    "less": less,
    "less_equal": less_equal,
    "logical_and": logical_and,
    "logical_or": logical_or,
    "logical_xor": logical_xor,
}


@functools.cache
def pairs_f32(operation: str) -> Kernel:
    """Give the kernel ``out[i] = operation(x[i], y[i])``."""
    return pairwise(f"{operation}_pairs_f32", OPERATIONS[operation])


@functools.cache
def scalar_f32(operation: str, reverse: bool) -> Kernel:
    """Give the kernel ``out[i] = operation(x[i], a)``, or ``operation(a, x[i])``."""
    function = OPERATIONS[operation]

    @exact
    def behind(x: Any, a: Any, b: Any, c: Any) -> Any:
        return function(x, a)

    @exact
    def before(x: Any, a: Any, b: Any, c: Any) -> Any:
        return function(a, x)

    return elementwise(f"{operation}_{'from' if reverse else 'scalar'}_f32", before if reverse else behind)


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1])")
def where_f32(condition: Any, x: Any, y: Any, out: Any) -> None:
    """Take ``x[i]`` where ``condition[i]`` is true, else ``y[i]``; all as many elements as ``out``.

    Parallel axis: blocks of elements, as in ``activation.py``.
    """
    size = out.size
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, size)
        chosen, first, second = condition[start:stop], x[start:stop], y[start:stop]
        results = out[start:stop]
        for i in range(stop - start):
            results[i] = first[i] if chosen[i] != ZERO else second[i]
