"""Statements on as many lines as they need, broken where ``ruff format`` breaks them."""

from __future__ import annotations

from collections.abc import Iterable

WIDTH = 88


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
        Broken within its last brackets if it is too long; within new ones if it does not end with brackets.
    indent
        Spaces in front.
    """
    return [" " * (indent + deeper) + text for deeper, text in _broken(prefix, expression, "", indent)]


def _broken(prefix: str, expression: str, end: str, indent: int) -> list[tuple[int, str]]:
    """Give the lines without their indents, which stand beside them."""
    whole = f"{prefix}{expression}{end}"
    if fits(whole, indent):
        return [(0, whole)]
    opening = _last_opening(expression)
    if opening is None:
        return [(0, f"{prefix}("), *_parts(expression, indent), (0, f"){end}")]
    head, inner, closing = expression[:opening], expression[opening + 1 : -1], expression[-1]
    return [(0, f"{prefix}{head}{expression[opening]}"), *_parts(inner, indent), (0, f"{closing}{end}")]


def _parts(inner: str, indent: int) -> list[tuple[int, str]]:
    """Give what stands in brackets: on one line, or one element a line."""
    if fits(inner, indent + 4):
        return [(4, inner)]
    elements = [inner[start:end].strip() for start, end in _spans(inner, ",")]
    if len(elements) == 1:
        return [(4 + deeper, text) for deeper, text in _broken("", inner, "", indent + 4)]
    return [(4 + deeper, text) for element in elements for deeper, text in _broken("", element, ",", indent + 4)]


def _last_opening(expression: str) -> int | None:
    """Find the bracket that the last character closes; None if that is none, or closes the first character."""
    if not expression.endswith((")", "]")):
        return None
    depth = 0
    opening = None
    for place, character, outside in _scan(expression):
        if outside and character in "([{" and depth == 0:
            opening = place
        depth += outside * ((character in "([{") - (character in ")]}"))
    return opening or None


def _spans(text: str, separator: str) -> list[tuple[int, int]]:
    """Find the parts between separators that stand in no brackets and no quotes."""
    found, depth, start = [], 0, 0
    for place, character, outside in _scan(text):
        depth += outside * ((character in "([{") - (character in ")]}"))
        if outside and depth == 0 and character == separator:
            found.append((start, place))
            start = place + 1
    return [*found, (start, len(text))]


def _scan(text: str) -> Iterable[tuple[int, str, bool]]:
    """Give each character with its place, and whether it stands outside quotes."""
    quoted = False
    for place, character in enumerate(text):
        quoted ^= character == '"'
        yield place, character, not quoted
