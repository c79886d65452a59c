"""Functions of one element that are no activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from keydnn.export.onnx.site import Rules, Site, number

OPERATORS = {
    "abs": "Abs",
    "neg": "Neg",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
    "log": "Log",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "erf": "Erf",
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
}


def square(site: Site, x: str) -> str:
    return site.op("Mul", x, x)


def rsqrt(site: Site, x: str) -> str:
    return site.op("Reciprocal", site.op("Sqrt", x))


def _near_zero(site: Site, x: str, near: str, far: str) -> str:
    """Take one form for x between -1/2 and 1/2, where the other would cancel."""
    return site.op("Where", site.op("Less", site.op("Abs", x), number(0.5)), near, far)


def expm1(site: Site, x: str) -> str:
    """Give ``2 t / (1 - t)`` with ``t = tanh(x / 2)`` near 0, and ``exp(x) - 1`` elsewhere."""
    half = site.op("Tanh", site.op("Mul", x, number(0.5)))
    near = site.op("Div", site.op("Add", half, half), site.op("Sub", number(1), half))
    return _near_zero(site, x, near, site.op("Sub", site.op("Exp", x), number(1)))


def log1p(site: Site, x: str) -> str:
    """Give ``2 atanh(x / (2 + x))`` near 0, and ``log(1 + x)`` elsewhere."""
    half = site.op("Atanh", site.op("Div", x, site.op("Add", x, number(2))))
    return _near_zero(site, x, site.op("Add", half, half), site.op("Log", site.op("Add", x, number(1))))


def trunc(site: Site, x: str) -> str:
    return site.op("Where", site.op("Less", x, number(0)), site.op("Ceil", x), site.op("Floor", x))


def isnan(site: Site, x: str) -> str:
    return site.cast(site.op("IsNaN", x), "float32")


def isinf(site: Site, x: str) -> str:
    return site.cast(site.op("IsInf", x), "float32")


def isfinite(site: Site, x: str) -> str:
    return site.cast(site.op("Less", site.op("Abs", x), number(math.inf)), "float32")


def logical_not(site: Site, x: str) -> str:
    return site.cast(site.op("Equal", x, number(0)), "float32")


COMPOSED: Mapping[str, Callable[[Site, str], str]] = {
    "square": square,
    "rsqrt": rsqrt,
    "expm1": expm1,
    "log1p": log1p,
    "trunc": trunc,
    "isnan": isnan,
    "isinf": isinf,
    "isfinite": isfinite,
    "logical_not": logical_not,
}


def unary(module: Any, site: Site) -> str:
    (x,) = site.inputs
    if module.function in OPERATORS:
        return site.op(OPERATORS[module.function], x)
    return COMPOSED[module.function](site, x)


def full_like(module: Any, site: Site) -> str:
    return site.op("Expand", number(module.value), site.op("Shape", *site.inputs))


RULES: Rules = {"Unary": unary, "FullLike": full_like}
