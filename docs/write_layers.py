"""Writes the table of ``docs/layers/README.md`` from the registry: ``python docs/write_layers.py``.

The options are read off the builders' own code: every ``call.option("units")``, ``call.choice("padding", ...)`` and so
on, also in the functions they hand the call to.  ``tests/test_docs.py`` holds the page against the registry.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from keydnn.convert.build import BUILDERS
from keydnn.convert.build.registry import Builder

PAGE = Path(__file__).parent / "layers" / "README.md"
BEGIN, END = "<!-- written by docs/write_layers.py -->\n", "<!-- end -->\n"
READERS = {
    "axes", "boolean", "channels_last", "choice", "integer", "integers", "number", "numbers", "option", "require",
}  # fmt: skip


def options_of(build: Callable[..., Any]) -> dict[str, str]:
    """Give the options that a builder reads, each with the words it may be, if they are listed."""
    found: dict[str, str] = {}
    _read(build, {}, found, set())
    return dict(sorted(found.items()))


def _read(function: Callable[..., Any], given: Mapping[str, Any], found: dict[str, str], seen: set[Any]) -> None:
    key = (function, tuple(sorted((name, str(value)) for name, value in given.items())))
    if key in seen:
        return
    seen.add(key)
    names = inspect.getclosurevars(inspect.unwrap(function)).globals
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        arguments = [_constant(argument, given) for argument in call.args]
        if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "call":
            if call.func.attr in READERS:
                option = "data_format" if call.func.attr == "channels_last" else arguments[0]
                words = arguments[2] if call.func.attr == "choice" and len(arguments) > 2 else None
                if isinstance(option, str):
                    found[option] = ", ".join(map(str, words)) if isinstance(words, tuple) else found.get(option, "")
        elif isinstance(call.func, ast.Name) and any(getattr(item, "id", None) == "call" for item in call.args):
            helper = names.get(call.func.id)
            if inspect.isfunction(helper):
                parameters = list(inspect.signature(helper).parameters.values())
                bound = {
                    parameter.name: value
                    for parameter, value in zip(parameters, arguments, strict=False)
                    if isinstance(value, str) and parameter.kind is not parameter.VAR_POSITIONAL
                }
                _read(helper, bound, found, seen)


def _constant(node: ast.expr, given: Mapping[str, Any]) -> Any:
    """Give what an argument is, if the code says it: a literal, or a parameter that is one."""
    if isinstance(node, ast.Name):
        return given.get(node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def row(builder: Builder) -> str:
    """Give the row of a class."""
    options = ", ".join(
        f"`{name}` ({words})" if words else f"`{name}`" for name, words in options_of(builder.build).items()
    )
    fused = "yes" if builder.fused_activation else ""
    mask = "passed on" if builder.passes_mask else ""
    page = f"[{builder.stem}]({builder.stem}.md)"
    return f"| `{builder.class_name}` | {options or 'none'} | {fused} | {mask} | {page} |"


def table() -> str:
    """Give the table of all classes."""
    head = ["| Keras class | Options read | Fused activation | Mask | Page |", "|---|---|---|---|---|"]
    rows = [row(BUILDERS[name]) for name in sorted(BUILDERS, key=lambda name: (">" in name, name))]
    return "\n".join([*head, *rows]) + "\n"


def page() -> str:
    """Give the page with today's table in it."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
