"""Tables of ``keydnn inspect`` for Keras files."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keydnn.convert import Conversion
from keydnn.errors import Obstacle, StoredArray
from keydnn.modules.base import shape_text
from keydnn.report.tables import parameter_count, short, table_text


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

    stated: dict[str, list[str]] = {}
    for rewrite in conversion.rewrites:
        if rewrite.stated:
            stated.setdefault(rewrite.layer, []).append(rewrite.what)

    def cell(name: str) -> str:
        way = [f"{o.found}: {o.flag or 'not supported'}" for o in obstacles.get(name, ())]
        return "\n".join([*stated.get(name, ()), *modules.get(name, ()), *way])

    rows = []
    for name, class_name, numbers, _ in conversion.layers:
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
