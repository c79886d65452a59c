"""The report of a conversion: what became of each Keras layer, every rewrite made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from keydnn.convert import Conversion
from keydnn.errors import Obstacle, StoredArray
from keydnn.graph import Graph
from keydnn.modules.base import shape_text
from keydnn.report.tables import parameter_count, short, table_text


def report_data(conversion: Conversion, graph: Graph) -> dict[str, Any]:
    """Give the report as plain data, JSON's types only."""
    nodes = [
        {
            "name": node.name,
            "keras_layer": node.origin.layer if node.origin else None,
            "keras_class": node.origin.class_name if node.origin else None,
            "module": short(node.module),
            "inputs": list(node.inputs),
            "output_shape": list(graph.shapes[node.name]),
            "parameters": parameter_count(node.module),
        }
        for node in graph.nodes
    ]
    return {
        "source": conversion.source,
        "model": conversion.name,
        "keras_version": conversion.keras_version,
        "inputs": [{"name": given.name, "shape": list(given.shape), "dtype": given.dtype} for given in graph.given],
        "outputs": [{"name": out.name, "shape": list(graph.shapes[out.value])} for out in graph.results],
        "nodes": nodes,
        "rewrites": [{"layer": r.layer, "class": r.class_name, "what": r.what} for r in conversion.rewrites],
    }


def report_json(conversion: Conversion, graph: Graph) -> str:
    """Give the report as JSON."""
    return json.dumps(report_data(conversion, graph), indent=1, ensure_ascii=True) + "\n"


def report_markdown(conversion: Conversion, graph: Graph) -> str:
    """Give the report as Markdown."""
    data = report_data(conversion, graph)
    ends = [
        f"- {kind} `{end['name']}`: {shape_text(end['shape'])}"
        for kind, key in (("input", "inputs"), ("output", "outputs"))
        for end in data[key]
    ]
    lines = [
        f"# {data['model']}",
        "",
        f"Converted from `{data['source']}` (Keras {data['keras_version']}).",
        "",
        *ends,
        "",
        "## Modules",
        "",
        *_table(("Keras layer", "class", "module", "output shape", "parameters"), map(_node_cells, data["nodes"])),
        "",
        f"## Rewrites ({len(data['rewrites'])})",
        "",
        *_table(("Keras layer", "class", "what"), ((r["layer"], r["class"], r["what"]) for r in data["rewrites"])),
    ]
    return "\n".join(lines) + "\n"


def _node_cells(node: Mapping[str, Any]) -> tuple[str, ...]:
    layer = node["keras_layer"] or f"({node['name']})"
    return (
        layer,
        node["keras_class"] or "",
        f"`{node['module']}`",
        shape_text(node["output_shape"]),
        f"{node['parameters']:,}",
    )


def _table(head: tuple[str, ...], rows: Any) -> list[str]:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *cells)]


def arrays_table(source: str, arrays: Sequence[StoredArray]) -> str:
    """Give the table of ``keydnn inspect`` for a file of weights only."""
    rows = [(array.name, str(array.shape), array.dtype) for array in arrays]
    numbers = sum(math.prod(array.shape) for array in arrays)
    return table_text(
        source,
        [("array", "left"), ("shape", "left"), ("type", "left")],
        rows,
        f"weights only: {len(arrays)} arrays, {numbers:,} numbers; missing: the architecture (Keras' model.to_json())",
    )


def inspection_table(conversion: Conversion) -> str:
    """Give the table of ``keydnn inspect``: every Keras layer, what it becomes, and what stands in its way."""
    modules: dict[str, list[str]] = {}
    shapes: dict[str, str] = {}
    counts: dict[str, int] = {}
    seen: set[int] = set()
    for node in conversion.nodes:
        if node.origin is None:
            continue
        layer = node.origin.layer
        modules.setdefault(layer, []).append(short(node.module))
        if node.name == layer or layer not in conversion.shapes:  # else it is a part of the layer, or its mask
            shapes[layer] = shape_text(conversion.shapes[node.name])
        if id(node.module) not in seen:
            seen.add(id(node.module))
            counts[layer] = counts.get(layer, 0) + parameter_count(node.module)
    obstacles: dict[str, list[Obstacle]] = {}
    for obstacle in conversion.obstacles:
        obstacles.setdefault(obstacle.layer, []).append(obstacle)

    def cell(name: str) -> str:
        way = [f"{o.found}: {o.flag or 'not supported'}" for o in obstacles.get(name, ())]
        return "\n".join([*modules.get(name, ()), *way])

    rows = []
    for name, class_name, numbers in conversion.layers:
        count = counts.get(name, 0) or (0 if name in modules else numbers)
        if name in conversion.shapes and name not in modules:
            shapes[name] = shape_text(conversion.shapes[name])  # an input
        rows.append((name, class_name, cell(name), shapes.get(name, ""), f"{count:,}" if count else ""))
    title = f"{conversion.source}: {conversion.name}, Keras {conversion.keras_version}"
    summary = f"{sum(counts.values()):,} parameters; " if conversion.graph else ""
    return table_text(
        title,
        [("layer", "left"), ("class", "left"), ("becomes", "left"), ("output shape", "left"), ("parameters", "right")],
        rows,
        f"{summary}things in the way without switches: {len(conversion.obstacles)}",
    )
