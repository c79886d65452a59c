"""Arithmetic, comparisons and logic."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value

NUMBERS = {
    "add": "Add",
    "atan2": "Arctan2",
    "divide": "Divide",
    "divide_no_nan": "DivideNoNan",
    "floor_divide": "FloorDivide",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "multiply": "Multiply",
    "power": "Power",
    "remainder": "Mod",
    "subtract": "Subtract",
}
TRUTHS = {
    "equal": "Equal",
    "greater": "Greater",
    "greater_equal": "GreaterEqual",
    "less": "Less",
    "less_equal": "LessEqual",
    "logical_and": "LogicalAnd",
    "logical_or": "LogicalOr",
    "logical_xor": "LogicalXor",
    "not_equal": "NotEqual",
}


def _pair(operation: str, site: Site, x: Value, y: Value) -> Value:
    """``ops`` of the name; what is true is 1."""
    if operation == "squared_difference":
        return site.operation("numpy.Square", [site.operation("numpy.Subtract", [x, y])])
    if operation in NUMBERS:
        return site.operation(f"numpy.{NUMBERS[operation]}", [x, y])
    return site.cast(site.operation(f"numpy.{TRUTHS[operation]}", [x, y], dtype="bool"), "float32")


def binary(module: Any, site: Site) -> Value:
    """An operation of two values."""
    return _pair(module.operation, site, *site.inputs)


def scalar(module: Any, site: Site) -> Value:
    """An operation of a value and a number."""
    pair = (*site.inputs, site.number(module.value))
    return _pair(module.operation, site, *(pair[::-1] if module.reverse else pair))


def where(module: Any, site: Site) -> Value:
    """``ops.where``."""
    condition, *others = site.inputs
    return site.operation("numpy.Where", [site.cast(condition, "bool"), *others])


RULES: Rules = {"Binary": binary, "Scalar": scalar, "Where": where}
