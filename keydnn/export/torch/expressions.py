"""Python expressions as text: calls, options, and one expression put into another."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

Value = str | bool | int | float | tuple[object, ...] | list[object] | None


def call(function: str, *values: Value, **options: Value) -> str:
    """Write a call; text stands as it is, other values by ``repr``, and options that are None are left out."""
    named = [f"{name}={literal(value)}" for name, value in options.items() if value is not None]
    return f"{function}({', '.join([*map(literal, values), *named])})"


def literal(value: object) -> str:
    """Write a value: text as it is (it is code), numbers of float32 as short as they are the same in float32."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return decimal(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def decimal(value: float) -> str:
    """Write a number: one of float32 (0.10000000149) as short as it is the same in float32 (0.1), others in full."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return repr(float(str(single)) if float(single) == value else value)


def quoted(text: str) -> str:
    """Write text as a string of Python, in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unless(default: Value, value: Value) -> Value:
    """Give a value, or None if it is the default."""
    return None if value == default else value


def per_axis(values: Sequence[int]) -> int | tuple[int, ...]:
    """Give one value an axis as PyTorch's users write it: (3, 3) as 3."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def count(expression: str, name: str) -> int:
    """Count how often a name stands in an expression."""
    return len(re.findall(rf"\b{name}\b", expression))


def put(template: str, expressions: Mapping[str, str]) -> str:
    """Put expressions in the place of names, in brackets where precedence wants them."""
    tree = ast.parse(template, mode="eval")
    parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in expressions]
    for node in sorted(names, key=lambda name: name.col_offset, reverse=True):
        found = expressions[node.id]
        if not (_is_primary(found) or _stands_alone(node, parents[id(node)])):
            found = f"({found})"
        template = template[: node.col_offset] + found + template[node.end_col_offset :]
    return template


def _is_primary(expression: str) -> bool:
    """Tell whether an expression binds at least as tightly as a call."""
    body = ast.parse(expression, mode="eval").body
    return isinstance(body, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))


def _stands_alone(node: ast.AST, parent: ast.AST) -> bool:
    """Tell whether an expression has brackets, or commas, around it anyway."""
    if isinstance(parent, (ast.Expression, ast.keyword, ast.Tuple, ast.List)):
        return True
    return (isinstance(parent, ast.Call) and node is not parent.func) or (
        isinstance(parent, ast.Subscript) and node is not parent.value
    )
