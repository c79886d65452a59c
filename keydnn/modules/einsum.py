"""Einsum: a sum of products of an input and a weight over any of their axes (a kernel of jit_kernels/attention.py)."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from jit_kernels._jit import thread_count
from jit_kernels.attention import attention_output_f32, block_rows, scratch_numbers
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, integer, module, shape_text, sized, tensor


@module
class Einsum(Module):
    """``numpy.einsum(equation, x, weight)``, for what a :class:`Linear` between other modules cannot do.

    Parameters
    ----------
    equation
        Labels of the axes of the input, the weight and the output, ``"abc,bcd->abd"``: letters, each at most once in
        each of the three.  The first one of the input is the batch, which the output has first and the weight has not.
    weight_shape
        Sizes of the weight, each at least 1.
    weight
        (*weight_shape).

    Keras source: ``keras.layers.EinsumDense``.
    """

    equation: str
    weight_shape: Any
    weight: Array | None = tensor()

    def __post_init__(self) -> None:
        found = re.fullmatch(r"([A-Za-z]+),([A-Za-z]+)->([A-Za-z]+)", str(self.equation))
        if not found or any(len(set(labels)) < len(labels) for labels in found.groups()):
            raise ParameterError(f"equation must be like 'abc,bcd->abd', got {self.equation!r}")
        x, weight, out = found.groups()
        if x[0] != out[0] or x[0] in weight or not set(weight) <= set(x + out) or not set(out) <= set(x + weight):
            raise ParameterError(f"equation must keep the batch and use every label, got {self.equation!r}")
        if not isinstance(self.weight_shape, (tuple, list)) or len(self.weight_shape) != len(weight):
            raise ParameterError(f"weight_shape must have {len(weight)} sizes, got {self.weight_shape!r}")
        self.set(weight_shape=tuple(integer("weight_shape", size) for size in self.weight_shape))
        super().__post_init__()

    @property
    def labels(self) -> tuple[str, str, str]:
        """Labels of input, weight and output."""
        x, weight, out = re.split(",|->", self.equation)
        return x, weight, out

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": self.weight_shape}

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        x, weight, out = self.labels
        known = dict(zip(weight, self.weight_shape, strict=True))
        if len(shape) != len(x) or any(
            size not in (None, known.get(label, size)) for label, size in zip(x, shape, strict=True)
        ):
            raise ShapeError(
                f"{self} takes an input ({', '.join(str(known.get(n, n)) for n in x)}), got {shape_text(shape)}"
            )
        sizes = dict(zip(x, shape, strict=True)) | known
        return tuple(sizes[label] for label in out)

    def macs(self, *shapes: Shape) -> int:
        x, weight, _ = self.labels
        sizes = dict(zip(x, sized(self, shapes[0]), strict=True)) | dict(zip(weight, self.weight_shape, strict=True))
        return math.prod(sizes.values())

    def compute(self, *inputs: Array, out: Array) -> None:
        assert self.weight is not None  # the caller has looked
        contract(self.labels, inputs[0], self.weight, out)


def contract(equation: tuple[str, str, str], x: Array, y: Array, out: Array) -> None:
    """Multiply matrices (rows, sums) and (sums, columns), a pair for each cell of the axes that all three have.

    Labels of ``y`` are labels of ``x`` or of ``out``, and so are those of ``x`` that ``y`` has not.
    """
    of_x, of_y, result = equation
    both = [label for label in of_x if label in of_y and label in result]
    rows = [label for label in of_x if label in result and label not in both]
    sums = [label for label in of_x if label not in result and label in of_y]
    alone = [label for label in of_x if label not in result and label not in of_y]
    columns = [label for label in of_y if label not in of_x]
    sizes = dict(zip(of_x, x.shape, strict=True)) | dict(zip(of_y, y.shape, strict=True))

    def matrices(array: Array, labels: str, *axes: list[str]) -> Array:
        """Give an array with its axes in a new order and in groups."""
        order = [labels.index(label) for group in axes for label in group]
        shape = [math.prod(sizes[label] for label in group) for group in axes]
        return np.ascontiguousarray(np.transpose(array, order)).reshape(shape)

    left = matrices(x, of_x, both, rows, sums + alone)
    right = matrices(y, of_y, both, sums, columns)
    if alone:  # each of the sums of ``y`` counts for every cell of the axes that only ``x`` has
        right = np.repeat(right, math.prod(sizes[label] for label in alone), axis=1)
    product = np.empty((left.shape[0], left.shape[1], right.shape[2]), np.float32)
    if product.size and not right.shape[1]:
        product[:] = 0
    elif product.size:
        block = block_rows(left.shape[1], left.shape[2])
        memory = np.empty((thread_count(), scratch_numbers(block, left.shape[2], 0, right.shape[2])), np.float32)
        attention_output_f32(left[:, None], right, 1, block, memory, product)
    order = both + rows + columns
    cells = product.reshape([sizes[label] for label in order])
    np.copyto(out, np.transpose(cells, [order.index(label) for label in result]))
