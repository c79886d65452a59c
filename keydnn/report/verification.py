"""Tables of what a verification found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keydnn.graph import Graph
from keydnn.report.tables import Align, table_text
from keydnn.verify.comparison import Comparison
from keydnn.verify.rows import LayerRow
from keydnn.verify.selfcheck import Replay, by_layer

MOST_NAMED = 5
COLUMNS: Sequence[tuple[str, Align]] = (
    ("layer", "left"), ("became", "left"), ("output", "right"), ("max abs", "right"), ("max rel", "right"),
    ("cosine", "right"), ("of bound", "right"), ("", "left"),
)  # fmt: skip


def rows_table(title: str, rows: Sequence[LayerRow], footer: str = "") -> str:
    """Give a table, one row an output of a layer.

    ``of bound`` is the largest difference of the layer by itself in units of what float32 roundings explain; the other
    errors are those of the whole model up to there.
    """
    cells = [
        (
            row.layer, ", ".join(row.modules), "x".join(map(str, row.shape)),
            f"{row.max_abs_error:.1e}", f"{row.max_rel_error:.1e}", f"{row.cosine:.6f}",
            "" if row.bounds is None else f"{row.bounds:.2g}", "" if row.agrees else "DIFFERS",
        )
        for row in rows
    ]  # fmt: skip
    return table_text(title, COLUMNS, cells, footer)


def row_record(row: LayerRow) -> dict[str, Any]:
    """Give a row as JSON has it: infinities and NaN as text."""
    record: dict[str, Any] = {"layer": row.layer, "class_name": row.class_name, "modules": list(row.modules)}
    record["shape"] = list(row.shape)
    for name in ("max_abs_error", "max_rel_error", "cosine", "bounds"):
        value = getattr(row, name)
        record[name] = value if value is None or abs(value) < float("inf") else str(value)
    return record | {"agrees": row.agrees}


def comparison_text(title: str, found: Comparison) -> str:
    """Give the table of a comparison with Keras, and what there is to say about it."""
    return rows_table(title, found.rows, "\n".join(comparison_lines(found)))


def comparison_lines(found: Comparison) -> list[str]:
    """Say how many layers agree, which is the first that does not, and why."""
    agree = sum(row.agrees for row in found.rows)
    lines = [f"{agree} of {len(found.rows)} outputs of layers agree with Keras"]
    for names, what in (
        (found.unmatched, "recorded, but not in the graph (not read, or inside of others)"),
        (found.unrecorded, "in the graph, but not recorded"),
    ):
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            lines.append(f"{what}: {', '.join(names[:MOST_NAMED])}{more}")
    if found.first is not None:
        lines.append(f"first divergent layer: {found.first.layer} ({found.first.class_name})")
        lines.append(f"likely cause: {found.cause}" if found.cause else "no known cause explains it")
    lines += _output_lines(found.outputs)
    return lines


def _output_lines(errors: Mapping[str, float]) -> list[str]:
    return [f"output {name!r}: largest difference {error:.1e} of the largest number" for name, error in errors.items()]


def replay_text(title: str, graph: Graph, found: Replay) -> str:
    """Give the table of a self-check, and what there is to say about it."""
    return rows_table(title, by_layer(graph, found.rows), "\n".join(replay_lines(found)))


def replay_lines(found: Replay) -> list[str]:
    """Say what is not as it was when the model was converted."""
    good = sum(row.agrees and row.layer not in found.findings for row in found.rows)
    lines = [f"{good} of {len(found.rows)} nodes are those that were converted, and compute what the reference does"]
    said = list(found.findings.items())
    lines += [f"node {name!r}: {text}" for name, text in said[:1]]
    if len(said) > 1:
        lines.append(f"and {len(said) - 1} more that are not as they were, perhaps because of this one")
    lines += _output_lines(found.outputs)
    if found.first is not None:
        lines.append(f"first divergent node: {found.first}")
    return lines


def comparison_record(found: Comparison) -> dict[str, Any]:
    """Give a comparison as JSON has it."""
    first = found.first
    return {
        "agrees": found.agrees,
        "first_divergent_layer": first.layer if first else None,
        "cause": found.cause or None,
        "outputs": dict(found.outputs),
        "unmatched": list(found.unmatched),
        "unrecorded": list(found.unrecorded),
        "layers": [row_record(row) for row in found.rows],
    }


def replay_record(found: Replay) -> dict[str, Any]:
    """Give a self-check as JSON has it."""
    return {
        "agrees": not found.problem,
        "first_divergent_node": found.first,
        "findings": dict(found.findings),
        "outputs": dict(found.outputs),
        "nodes": [row_record(row) for row in found.rows],
    }
