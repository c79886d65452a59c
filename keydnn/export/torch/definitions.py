"""Functions and classes of ``written/``, as text: what models need that torch does not have."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("written")


@dataclass(frozen=True)
class Definition:
    """Text of a function or class, and the names that it uses."""

    text: str
    uses: frozenset[str]


@functools.cache
def known() -> dict[str, Definition]:
    """Give all definitions by name, in the order in which files, by name, have them."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                uses = frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
                found[node.name] = Definition("\n".join(lines[first - 1 : node.end_lineno]), uses)
    return found


def texts(names: Collection[str]) -> list[str]:
    """Give the text of some definitions, and of all that they use; what others use stands before them."""
    needed: list[str] = []

    def need(name: str) -> None:
        if name in needed:
            return
        for other in sorted(known()[name].uses & known().keys() - {name}):
            need(other)
        needed.append(name)

    for name in (name for name in known() if name in names):
        need(name)
    return [known()[name].text for name in needed]
