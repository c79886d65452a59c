"""Terminal tables, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from keydnn.graph import Graph, Input, Node
from keydnn.modules.base import Module, shape_text

Align = Literal["left", "right"]
NO_TERMINAL_WIDTH = 120
MOST_SHOWN = 8  # of a list of parameters, such as a vocabulary


def table_text(
    title: str, columns: Sequence[tuple[str, Align]], rows: Iterable[Sequence[str]], footer: str = ""
) -> str:
    """Give a table as text, as wide as the terminal."""
    from rich import box  # not needed to predict
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name, align in columns:
        table.add_column(name, justify=align, overflow="fold", no_wrap=align == "right")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console = Console(width=None if Console().is_terminal else NO_TERMINAL_WIDTH, highlight=False)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().rstrip().splitlines()]
    return "\n".join([*lines, *(["", footer] if footer else [])])


def parameter_count(module: Module) -> int:
    """Count the numbers in a module's weights, present or not."""
    total = 0
    for shape in module.tensor_shapes().values():
        count = 1
        for size in shape:
            count *= size
        total += count
    return total


def short(module: Module) -> str:
    """Write a module on one line, as PyTorch does: what is required, then what is not the default."""
    shown = []
    for name, value in module.parameters().items():
        if not hasattr(type(module), name):
            shown.append(_number(value))
        elif not _same(getattr(type(module), name), value):
            shown.append(f"{name}={_number(value)}")
    return f"{type(module).__name__}({', '.join(shown)})"


def _same(default: object, value: object) -> bool:
    """Tell whether a canonical value is the default, which may be one number for all axes."""
    while isinstance(value, tuple) and value and all(item == value[0] for item in value):
        if default == value:
            return True
        value = value[0]
    return default == value


def _number(value: object) -> str:
    if isinstance(value, tuple) and len(value) > 1 and all(item == value[0] for item in value):
        return _number(value[0])
    if isinstance(value, tuple) and len(value) > MOST_SHOWN:
        return f"{len(value)} values"
    return str(value)


def kind_of(given: Input) -> str:
    """Say that something is an input, and of what, unless it is float32."""
    return "input" if given.dtype == "float32" else f"input, {given.dtype}"


def graph_rows(graph: Graph) -> Iterable[tuple[str, str, str, str]]:
    """Give name, module, output shape and parameters of everything in a graph."""
    for given in graph.inputs:
        yield given.name, "state" if given.name in graph.states else kind_of(given), shape_text(given.shape), ""
    counted: set[int] = set()
    for node in graph.nodes:
        count = "shared" if id(node.module) in counted else f"{parameter_count(node.module):,}"
        counted.add(id(node.module))
        yield node.name, short(node.module), shape_text(graph.shapes[node.name]), count if count != "0" else ""


def graph_table(title: str, graph: Graph) -> str:
    """Give the summary of a graph."""
    total = sum(parameter_count(module) for _, module in graph.modules())
    outputs = ", ".join(f"{output.name} {shape_text(graph.shapes[output.value])}" for output in graph.results)
    columns: list[tuple[str, Align]] = [
        ("name", "left"), ("module", "left"), ("output shape", "left"), ("parameters", "right"),
    ]  # fmt: skip
    footer = f"{total:,} parameters ({total * 4 / 1e6:.2f} MB as float32); outputs: {outputs}"
    return table_text(title, columns, graph_rows(graph), footer)


def layer_of(node: Node) -> str:
    """Name the Keras layer that a node stands for, as users know it."""
    return f"{node.origin.layer} ({node.origin.class_name})" if node.origin else node.name
