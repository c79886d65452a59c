"""Products of two inputs, summed over axes that both have (a kernel of jit_kernels/attention.py)."""

from __future__ import annotations

import math
import re
from typing import ClassVar

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, module, shape_text, sized
from keydnn.modules.einsum import contract


@module
class Contract(Module):
    """``numpy.einsum(equation, x, y)``, of two inputs with the same batch.

    Parameters
    ----------
    equation
        Labels of the axes of both inputs and the output, ``"nij,njk->nik"``: letters, each at most once in each of the
        three.  The first one of all three is the batch; what the output has not, both inputs have.

    Keras source: ``keras.ops.matmul``, ``einsum``.
    """

    arity: ClassVar[int | None] = 2
    equation: str

    def __post_init__(self) -> None:
        found = re.fullmatch(r"([A-Za-z]+),([A-Za-z]+)->([A-Za-z]+)", str(self.equation))
        if not found or any(len(set(labels)) < len(labels) for labels in found.groups()):
            raise ParameterError(f"equation must be like 'nij,njk->nik', got {self.equation!r}")
        x, y, out = (set(labels) for labels in found.groups())
        if len({labels[0] for labels in found.groups()}) > 1 or not out <= x | y or (x | y) - out != (x & y) - out:
            raise ParameterError(f"equation must keep the batch and sum what both inputs have, got {self.equation!r}")
        super().__post_init__()

    @property
    def labels(self) -> tuple[str, str, str]:
        """Labels of both inputs and the output."""
        x, y, out = re.split(",|->", self.equation)
        return x, y, out

    def _sizes(self, *shapes: Shape) -> dict[str, int | None]:
        sizes: dict[str, int | None] = {}
        given = ", ".join(map(shape_text, shapes))
        for labels, shape in zip(self.labels, shapes, strict=False):
            if len(labels) != len(shape):
                raise ShapeError(f"{self} takes inputs of rank {len(labels)}, got {given}")
            for label, size in zip(labels, shape, strict=True):
                known = sizes.get(label)
                if None not in (known, size) and known != size:
                    raise ShapeError(f"{self} takes inputs that agree on {label!r}, got {given}")
                sizes[label] = size if known is None else known
        return sizes

    def output_shape(self, *shapes: Shape) -> Shape:
        sizes = self._sizes(*shapes)
        return tuple(sizes[label] for label in self.labels[2])

    def macs(self, *shapes: Shape) -> int:
        return math.prod(sized(self, tuple(self._sizes(*shapes).values())))

    def compute(self, *inputs: Array, out: Array) -> None:
        x, y = inputs
        contract(self.labels, x, y, out)
