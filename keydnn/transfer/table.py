"""What went where: rows, and the table that people see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keydnn.report.tables import Align, table_text


@dataclass(frozen=True)
class Row:
    """One tensor that was written.

    Attributes
    ----------
    tensor
        The model's name of it: ``"features.0.weight"``.
    shape
        Of the tensor.
    layer
        The Keras layer, with its part where it has several.
    array
        What it is there (``"kernel"``); empty where the tensor was filled with a number.
    stored
        Name of the array in the file; empty likewise.
    stored_shape
        Of the array.
    layout
        What became of it, in words.
    how
        How module and layer were found to belong together.
    """

    tensor: str
    shape: tuple[int, ...]
    layer: str
    array: str
    stored: str
    stored_shape: tuple[int, ...]
    layout: str
    how: str


@dataclass(frozen=True, eq=False)
class LoadedWeights:
    """What :func:`keydnn.load_keras_weights` has done; ``str()`` gives a table.

    Attributes
    ----------
    model
        What has the weights: the model that was given, or of a graph a new one.
    source
        The file's name.
    rows
        Every tensor that was written, in the model's order.
    kept
        Modules that keep the weights that they had.
    unused
        Keras layers that went nowhere.
    warnings
        What no shape can tell, and where such models usually go wrong.
    """

    model: Any
    source: str
    rows: tuple[Row, ...]
    kept: tuple[str, ...]
    unused: tuple[str, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """Give the table, what was left alone, and the warnings."""
        rows, before = [], ""
        for row in self.rows:
            how = row.how if row.layer != before else ""
            before = row.layer
            array = f"{row.layer} {row.array}".strip()
            rows.append((row.tensor, _sizes(row.shape), array, _sizes(row.stored_shape), row.layout, how))
        lines = [f"{len({row.layer for row in self.rows})} layers of the file, {len(self.rows)} tensors"]
        lines += [f"kept as it was: {name}" for name in self.kept]
        lines += [f"not used: {name}" for name in self.unused]
        lines += [f"look at this: {warning}" for warning in self.warnings]
        columns: list[tuple[str, Align]] = [
            ("tensor", "left"), ("shape", "left"), ("from", "left"), ("shape", "left"), ("layout", "left"),
            ("found", "left"),
        ]  # fmt: skip
        return table_text(f"{self.source} into {type(self.model).__name__}", columns, rows, "\n".join(lines))


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
