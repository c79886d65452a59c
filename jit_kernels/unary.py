"""Functions of one number, float32, beside the activations.

Rounding and roots are single instructions; logarithms, trigonometric and hyperbolic functions and ``erf`` call the C
library, one number after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jit_kernels import _elementary as elementary
from jit_kernels._elementary import ONE, ZERO, copy_sign, exact
from jit_kernels.activation import elementwise

HUGE = np.float32(np.inf)


def _of_c(function: Callable[[float], float]) -> Callable[..., Any]:
    """Make a scalar function of one of the C library's."""

    @exact
    def scalar(x: Any, a: Any, b: Any, c: Any) -> Any:
        return np.float32(function(x))

    return scalar


@exact
def absolute(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``|x|``."""
    return abs(x)


@exact
def negative(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``-x``."""
    return -x


@exact
def sign(x: Any, a: Any, b: Any, c: Any) -> Any:
    """-1, 0 or 1; NaN for NaN."""
    return x if x == ZERO or x != x else copy_sign(ONE, x)


@exact
def square(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x * x``."""
    return x * x


@exact
def sqrt(x: Any, a: Any, b: Any, c: Any) -> Any:
    """Square root; NaN below 0."""
    return elementary.square_root(x)


@exact
def rsqrt(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``1 / sqrt(x)``."""
    return ONE / elementary.square_root(x)


@exact
def reciprocal(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``1 / x``."""
    return ONE / x


@exact
def expm1(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``exp(x) - 1``."""
    return elementary.expm1(x)


@exact
def floor(x: Any, a: Any, b: Any, c: Any) -> Any:
    """The next whole number below."""
    return elementary.floor(x)


@exact
def ceil(x: Any, a: Any, b: Any, c: Any) -> Any:
    """The next whole number above."""
    return elementary.ceil(x)


@exact
def trunc(x: Any, a: Any, b: Any, c: Any) -> Any:
    """Without the digits behind the point."""
    return elementary.trunc(x)


@exact
def round_even(x: Any, a: Any, b: Any, c: Any) -> Any:
    """The nearest whole number, the even one of two."""
    return elementary.round_even(x)


@exact
def is_nan(x: Any, a: Any, b: Any, c: Any) -> Any:
    """Whether it is NaN."""
    return ONE if x != x else ZERO


@exact
def is_inf(x: Any, a: Any, b: Any, c: Any) -> Any:
    """Whether it is infinite."""
    return ONE if abs(x) == HUGE else ZERO


@exact
def is_finite(x: Any, a: Any, b: Any, c: Any) -> Any:
    """Whether it is neither NaN nor infinite."""
    return ONE if abs(x) < HUGE else ZERO


@exact
def logical_not(x: Any, a: Any, b: Any, c: Any) -> Any:
    """Whether it is 0."""
    return ONE if x == ZERO else ZERO


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": absolute,
    "neg": negative,
    "sign": sign,
    "square": square,
    "sqrt": sqrt,
    "rsqrt": rsqrt,
    "reciprocal": reciprocal,
    "expm1": expm1,
    "log": _of_c(math.log),
    "log1p": _of_c(math.log1p),
    "sin": _of_c(math.sin),
    "cos": _of_c(math.cos),
    "tan": _of_c(math.tan),
    "asin": _of_c(math.asin),
    "acos": _of_c(math.acos),
    "atan": _of_c(math.atan),
    "sinh": _of_c(math.sinh),
    "cosh": _of_c(math.cosh),
    "asinh": _of_c(math.asinh),
    "acosh": _of_c(math.acosh),
    "atanh": _of_c(math.atanh),
    "erf": _of_c(math.erf),
    "floor": floor,
    "ceil": ceil,
    "trunc": trunc,
    "round": round_even,
    "isnan": is_nan,
    "isinf": is_inf,
    "isfinite": is_finite,
    "logical_not": logical_not,
}
KERNELS = {name: elementwise(f"{name}_f32", function) for name, function in FUNCTIONS.items()}


@exact
def full(x: Any, value: Any, b: Any, c: Any) -> Any:
    """The same number whatever ``x`` is."""
    return value


full_f32 = elementwise("full_f32", full)
