"""Arithmetic, comparisons and logic: of two inputs, and of an input and a number; one input where another is true."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from keydnn.export.onnx.site import Argument, Rules, Site, number

Operation = Callable[[Site, Argument, Argument], str]


def _plain(kind: str, site: Site, x: Argument, y: Argument) -> str:
    return site.op(kind, x, y)


def _compared(kind: str, site: Site, x: Argument, y: Argument) -> str:
    return site.cast(site.op(kind, x, y), "float32")


def _logical(kind: str, site: Site, x: Argument, y: Argument) -> str:
    return _compared(kind, site, site.cast(x, "bool"), site.cast(y, "bool"))


def not_equal(site: Site, x: Argument, y: Argument) -> str:
    return site.cast(site.op("Not", site.op("Equal", x, y)), "float32")


def divide_no_nan(site: Site, x: Argument, y: Argument) -> str:
    return site.op("Where", site.op("Equal", y, number(0)), number(0), site.op("Div", x, y))


def floor_divide(site: Site, x: Argument, y: Argument) -> str:
    return site.op("Floor", site.op("Div", x, y))


def remainder(site: Site, x: Argument, y: Argument) -> str:
    """Give the rest with the sign of x, which Mod works out exactly, and y more where the signs differ."""
    rest = site.op("Mod", x, y, fmod=1)
    differ = site.op("Xor", site.op("Less", rest, number(0)), site.op("Less", y, number(0)))
    some = site.op("Not", site.op("Equal", rest, number(0)))
    return site.op("Where", site.op("And", some, differ), site.op("Add", rest, y), rest)


def _negative(site: Site, x: Argument) -> str:
    """Tell whether a number is below 0, or -0."""
    return site.op("Or", site.op("Less", x, number(0)), site.op("Less", site.op("Div", number(1), x), number(0)))


def atan2(site: Site, y: Argument, x: Argument) -> str:
    """Give the angle from the nearer axis, then from the axis of positive x, then with the sign of y."""
    height, width = site.op("Abs", y), site.op("Abs", x)
    largest = site.op("Max", height, width)
    ratio = site.op("Div", site.op("Min", height, width), largest)
    ratio = site.op("Where", site.op("Equal", height, width), number(1), ratio)  # of infinities, too
    ratio = site.op("Where", site.op("Equal", largest, number(0)), number(0), ratio)
    angle = site.op("Atan", ratio)
    steep = site.op("Greater", height, width)
    angle = site.op("Where", steep, site.op("Sub", number(math.pi / 2), angle), angle)
    angle = site.op("Where", _negative(site, x), site.op("Sub", number(math.pi), angle), angle)
    return site.op("Where", _negative(site, y), site.op("Neg", angle), angle)


def squared_difference(site: Site, x: Argument, y: Argument) -> str:
    difference = site.op("Sub", x, y)
    return site.op("Mul", difference, difference)


OPERATIONS: Mapping[str, Operation] = {
    "add": partial(_plain, "Add"),
    "subtract": partial(_plain, "Sub"),
    "multiply": partial(_plain, "Mul"),
    "divide": partial(_plain, "Div"),
    "power": partial(_plain, "Pow"),
    "maximum": partial(_plain, "Max"),
    "minimum": partial(_plain, "Min"),
    "divide_no_nan": divide_no_nan,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "atan2": atan2,
    "squared_difference": squared_difference,
    "equal": partial(_compared, "Equal"),
    "not_equal": not_equal,
    "greater": partial(_compared, "Greater"),
    "greater_equal": partial(_compared, "GreaterOrEqual"),
    "less": partial(_compared, "Less"),
    "less_equal": partial(_compared, "LessOrEqual"),
    "logical_and": partial(_logical, "And"),
    "logical_or": partial(_logical, "Or"),
    "logical_xor": partial(_logical, "Xor"),
}


def binary(module: Any, site: Site) -> str:
    return OPERATIONS[module.operation](site, *site.inputs)


def scalar(module: Any, site: Site) -> str:
    (x,) = site.inputs
    value = number(module.value)
    operation = OPERATIONS[module.operation]
    return operation(site, value, x) if module.reverse else operation(site, x, value)


def where(module: Any, site: Site) -> str:
    condition, x, y = site.inputs
    return site.op("Where", site.cast(condition, "bool"), x, y)


RULES: Rules = {"Binary": binary, "Scalar": scalar, "Where": where}
