"""Functions of one element that are no activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.activation import elementwise
from keydnn.reference.bounds import F64, FUNCTION, TINY, Bounded, Rules, gamma

_ERF = np.vectorize(math.erf, otypes=[float])


# function in float64, roundings, largest slope if it is not monotone
FUNCTIONS: dict[str, tuple[Callable[[F64], npt.ArrayLike], int, float | None]] = {
    "abs": (np.abs, 0, None),
    "neg": (np.negative, 0, None),
    "sign": (np.sign, 0, None),
    "square": (np.square, 1, None),
    "sqrt": (np.sqrt, 1, None),
    "rsqrt": (lambda x: 1 / np.sqrt(x), FUNCTION, None),
    "reciprocal": (lambda x: 1 / x, 2, None),
    "expm1": (np.expm1, FUNCTION, None),
    "log": (np.log, FUNCTION, None),
    "log1p": (np.log1p, FUNCTION, None),
    "sin": (np.sin, FUNCTION, 1.0),
    "cos": (np.cos, FUNCTION, 1.0),
    "tan": (np.tan, FUNCTION, None),
    "asin": (np.arcsin, FUNCTION, None),
    "acos": (np.arccos, FUNCTION, None),
    "atan": (np.arctan, FUNCTION, None),
    "sinh": (np.sinh, FUNCTION, None),
    "cosh": (np.cosh, FUNCTION, None),
    "asinh": (np.arcsinh, FUNCTION, None),
    "acosh": (np.arccosh, FUNCTION, None),
    "atanh": (np.arctanh, FUNCTION, None),
    "erf": (_ERF, FUNCTION, None),
    "floor": (np.floor, 0, None),
    "ceil": (np.ceil, 0, None),
    "trunc": (np.trunc, 0, None),
    "round": (np.rint, 0, None),
    "isnan": (np.isnan, 0, None),
    "isinf": (np.isinf, 0, None),
    "isfinite": (np.isfinite, 0, None),
    "logical_not": (lambda x: x == 0, 0, None),
}


def _alone(function: Callable[[F64], npt.ArrayLike]) -> Callable[[Any, F64], npt.ArrayLike]:
    return lambda module, x: function(x)


RULES_BY_NAME = {
    name: elementwise(_alone(function), roundings, lipschitz=slope)
    for name, (function, roundings, slope) in FUNCTIONS.items()
}


def root(x: Bounded) -> Bounded:
    """Take the root: of nothing below 0 where the number itself is not."""
    with np.errstate(invalid="ignore"):
        value, low, high = np.sqrt(x.value), np.sqrt(np.maximum(x.value - x.error, 0)), np.sqrt(x.value + x.error)
        spread = np.maximum(value - low, high - value)
    return Bounded(value, np.where(np.isfinite(value), spread + gamma(1) * (value + spread) + TINY, 0))


def unary(module: Any, x: Bounded) -> Bounded:
    if module.function == "sqrt":
        return root(x)
    with np.errstate(all="ignore"):
        found = RULES_BY_NAME[module.function](module, x)
    if FUNCTIONS[module.function][1] == 0:  # nothing is rounded
        return Bounded(found.value, np.where(x.error > 0, found.error, 0))
    return Bounded(found.value, np.where(np.isfinite(found.value), found.error, 0))


def full_like(module: Any, x: Bounded) -> Bounded:
    return Bounded(np.full(x.value.shape, float(np.float32(module.value))), np.zeros(x.value.shape))


RULES: Rules = {"Unary": unary, "FullLike": full_like}
