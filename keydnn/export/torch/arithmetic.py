"""Arithmetic, comparisons and logic: of two inputs, or of an input and a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.torch.expressions import call, literal
from keydnn.export.torch.site import Site

SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
COMPARISONS = {"equal": "==", "not_equal": "!=", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="}
LOGIC = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}
FUNCTIONS = {"remainder": "torch.remainder", "power": "torch.pow"}  # of tensors, and of a tensor and a number
OF_TENSORS = {"atan2": "torch.atan2", "maximum": "torch.maximum", "minimum": "torch.minimum"}


def operation(name: str, x: str, y: str) -> str:
    """Write an operation of two tensors, or of a tensor and a number; truths become 1 and 0."""
    if name in SIGNS:
        return f"{x} {SIGNS[name]} {y}"
    if name in COMPARISONS:
        return f"({x} {COMPARISONS[name]} {y}).float()"
    if name in LOGIC:
        return f"(({x} != 0) {LOGIC[name]} ({y} != 0)).float()"
    if name == "divide_no_nan":
        return f"torch.where({y} == 0, 0.0, {x} / {y})"
    if name == "floor_divide":
        return f"torch.floor({x} / {y})"
    if name == "squared_difference":
        return f"({x} - {y}).square()"
    return call((FUNCTIONS | OF_TENSORS)[name], x, y)


def binary(module: Any, site: Site) -> str:
    return operation(module.operation, *site.inputs)


def scalar(module: Any, site: Site) -> str:
    """Write the number on its side; what takes tensors only, and truths of a number, in another form."""
    (x,), name, number = site.inputs, module.operation, literal(module.value)
    nought = np.float32(module.value) == 0
    if name in ("maximum", "minimum"):
        return f"{x}.clamp({'min' if name == 'maximum' else 'max'}={number})"
    if name in LOGIC:
        return _logic_with(name, x, nought)
    if name == "divide_no_nan" and not module.reverse:
        return f"torch.zeros_like({x})" if nought else f"{x} / {number}"
    if name in OF_TENSORS:
        number = f"torch.full_like({x}, {number})"
    return operation(name, number, x) if module.reverse else operation(name, x, number)


def _logic_with(name: str, x: str, nought: bool) -> str:
    """Write what is left of an operation whose other side is known: false if it is 0."""
    if name == "logical_and" and nought:
        return f"torch.zeros_like({x})"
    if name == "logical_or" and not nought:
        return f"torch.ones_like({x})"
    return f"({x} {'==' if name == 'logical_xor' and not nought else '!='} 0).float()"


def where(module: Any, site: Site) -> str:
    condition, x, y = site.inputs
    return call("torch.where", f"{condition} != 0", x, y)


RULES = {"Binary": binary, "Scalar": scalar, "Where": where}
