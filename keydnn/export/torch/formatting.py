"""Statements on as many lines as they need, broken where ``ruff format`` breaks most of them."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

WIDTH = 88
Lines = list[tuple[int, str]]  # with the indent of each


def fits(statement: str, indent: int) -> bool:
    """Tell whether a statement has room on one line."""
    return indent + len(statement) <= WIDTH


def wrapped(prefix: str, expression: str, indent: int) -> list[str]:
    """Give the lines of a statement.

    Parameters
    ----------
    prefix
        What stands before the expression: ``"x = "``.
    expression
        Broken within its last brackets if it is too long; at its operators, within new brackets, if it has any.
    indent
        Spaces in front.
    """
    operands = _operands(expression)
    closing = next((closing for opening, closing in _brackets(expression) if not opening), 0)
    if fits(prefix + expression, indent) or not (operands or _separated(expression)):
        lines = _broken(prefix, expression, "", indent)
    elif len(operands) == 2 and closing and fits(expression[closing:], indent):
        inner = _parts(expression[1:closing], indent + 4)
        lines = [(indent, f"{prefix}("), *inner, (indent, expression[closing:])]
    else:
        lines = [(indent, f"{prefix}("), *_parts(expression, indent + 4), (indent, ")")]
    return [" " * deep + text for deep, text in lines]


def _broken(prefix: str, expression: str, end: str, indent: int) -> Lines:
    """Give the lines of an expression, with what stands before and behind it."""
    whole = f"{prefix}{expression}{end}"
    if fits(whole, indent):
        return [(indent, whole)]
    operands = _operands(expression)
    if operands:
        first, *others = operands
        rest = [line for operand in others[:-1] for line in _broken("", operand, "", indent)]
        return [*_broken(prefix, first, "", indent), *rest, *_broken("", others[-1], end, indent)]
    pairs = [(opening, closing) for opening, closing in _brackets(expression) if closing > opening + 1]
    roomy = [pair for pair in pairs if fits(prefix + expression[: pair[0] + 1], indent)]
    if not pairs:
        return [(indent, whole)]
    if not roomy and prefix and not end and fits(f"{prefix}(", indent) and fits(expression, indent + 4):
        return [(indent, f"{prefix}("), (indent + 4, expression), (indent, ")")]
    opening, closing = (roomy or pairs)[-1]
    inner = _parts(expression[opening + 1 : closing], indent + 4)
    return [(indent, prefix + expression[: opening + 1]), *inner, (indent, expression[closing:] + end)]


def _parts(inner: str, indent: int) -> Lines:
    """Give what stands in brackets: on one line, or one element a line."""
    if fits(inner, indent):
        return [(indent, inner)]
    elements = _separated(inner)
    if not elements:
        return _broken("", inner, "", indent)
    return [line for element in elements for line in _broken("", element, ",", indent)]


def _operands(expression: str) -> list[str]:
    """Split a sum or product into its operands, each with the operator before it; [] for anything else."""
    try:
        body = ast.parse(expression, mode="eval").body
    except SyntaxError:  # arguments with names
        return []
    starts: list[int] = []
    node = body
    while isinstance(node, ast.BinOp) and (node is body or _binds_alike(node, body)):
        assert node.left.end_col_offset is not None  # ast.parse gives all ends
        behind = expression[node.left.end_col_offset :]
        starts.append(len(expression) - len(behind.lstrip(" )")))
        node = node.left
    places = [0, *reversed(starts), len(expression)]
    return [expression[start:end].strip() for start, end in itertools.pairwise(places)] if starts else []


def _binds_alike(node: ast.BinOp, other: ast.expr) -> bool:
    sums = (ast.Add, ast.Sub)
    return isinstance(other, ast.BinOp) and isinstance(node.op, sums) == isinstance(other.op, sums)


def _separated(text: str) -> list[str]:
    """Split at the commas that stand in no brackets; [] if there are none."""
    depth, places = 0, [-1]
    for place, character in _unquoted(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and character == ",":
            places.append(place)
    ends = [*places[1:], len(text)]
    return [text[start + 1 : end].strip() for start, end in zip(places, ends, strict=True)] if places[1:] else []


def _brackets(text: str) -> list[tuple[int, int]]:
    """Give where brackets that stand in no others open and close."""
    found, opened = [], []
    for place, character in _unquoted(text):
        if character in "([{":
            opened.append(place)
        elif character in ")]}":
            opening = opened.pop()
            if not opened:
                found.append((opening, place))
    return found


def _unquoted(text: str) -> Iterator[tuple[int, str]]:
    """Give the characters outside quotes, with their places."""
    quoted = False
    for place, character in enumerate(text):
        quoted ^= character == '"'
        if not quoted:
            yield place, character
