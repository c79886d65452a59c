"""Two checkpoints beside each other: a table, plain data for JSON, and the first divergent layer in a sentence."""

from __future__ import annotations

import dataclasses
from typing import Any

from keydnn.modules.base import shape_text
from keydnn.report.tables import Align, table_text
from keydnn.verify.side_by_side import Pair, SideBySide


def side_by_side_table(title: str, found: SideBySide) -> str:
    """Give one row a layer, marked where it diverges; then what differs, and what only one of the two has."""
    columns: list[tuple[str, Align]] = [
        ("", "left"), ("layer", "left"), ("class", "left"), ("output shape", "left"), ("max abs", "right"),
        ("max rel", "right"), ("cosine", "right"),
    ]  # fmt: skip
    rows = []
    for pair in found.pairs:
        row = pair.row
        name = row.layer if pair.other in (row.layer, "") else f"{row.layer} = {pair.other}"
        shape = shape_text(row.shape) if row.shape else ""
        numbers = (_number(row.max_abs_error), _number(row.max_rel_error), f"{row.cosine:.7f}")
        mark = "" if row.agrees else "✗"
        rows.append((mark, name, row.class_name, shape, *numbers))
    diverging = sum(not pair.row.agrees for pair in found.pairs)
    lines = [f"{pair.row.layer}: {what}" for pair in found.pairs for what in pair.changes]
    if lines:
        lines = ["what differs:", *(f"  {line}" for line in lines), ""]
    lines.append(f"{len(rows)} compared, {diverging} beyond the tolerance")
    for which, names in (("first", found.only_first), ("second", found.only_second)):
        if names:
            lines.append(f"only in the {which}: {', '.join(names)}")
    return table_text(title, columns, rows, "\n".join(lines))


def _number(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def divergence_text(pair: Pair) -> str:
    """Name the first divergent layer, and what differs there."""
    row = pair.row
    why = "; ".join((*pair.changes, *(f"before it, {text}" for text in pair.before)))
    size = f"largest difference {row.max_abs_error:.3g}"
    if row.max_rel_error != float("inf"):
        size += f", {row.max_rel_error:.2g} of the largest number"
    return f"the first divergent layer is {row.layer} {_class(row.class_name)}: {size}{f'; {why}' if why else ''}"


def _class(name: str) -> str:
    return name if name.startswith("(") else f"({name})"


def side_by_side_data(found: SideBySide) -> dict[str, Any]:
    """Give everything as plain data."""
    first = found.divergent
    layers = [
        {**dataclasses.asdict(pair.row), "other": pair.other, "changes": pair.changes, "before": pair.before}
        for pair in found.pairs
    ]
    return {
        "agrees": first is None,
        "first_divergent": None if first is None else first.row.layer,
        "layers": layers,
        "only_in_first": found.only_first,
        "only_in_second": found.only_second,
    }
