"""Activations along one axis: Softmax, LogSoftmax, Sparsemax, GLU."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

import numpy as np

from jit_kernels.softmax import (
    glu_f32,
    log_softmax_cells_f32,
    log_softmax_rows_f32,
    softmax_cells_f32,
    softmax_rows_f32,
    sparsemax_f32,
)
from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, choice, integer, module, shape_text


class _AlongAxis(Module):
    """A function of the lines along the axis ``dim``."""

    dim: int

    def __post_init__(self) -> None:
        self.set(dim=integer("dim", self.dim, least=-64))  # NumPy has 64 axes at most
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not -len(x) <= self.dim < len(x):
            raise ShapeError(f"{self} takes an input that has an axis {self.dim}, got {shape_text(x)}")
        if x[self.dim] == 0:
            raise ShapeError(f"{self} takes an input with cells along axis {self.dim}, got {shape_text(x)}")
        return x

    def by_example(self, *shapes: Shape) -> bool:
        return self.dim % len(shapes[0]) != 0

    def permuted(self, permutation: Permutation) -> Self:
        dim = permutation.index(self.dim % len(permutation))
        return dataclasses.replace(self, dim=dim)  # type: ignore[type-var]  # subclasses are dataclasses


def lines(x: Array, dim: int) -> Array:
    """Give an array as (outer, axis, inner)."""
    dim %= x.ndim
    return x.reshape(math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :]))


@module
class Softmax(_AlongAxis):
    """``exp(x) / sum(exp(x))`` along an axis, as ``torch.nn.Softmax``.

    A line that holds NaN or +inf, or nothing but -inf, gives NaN throughout.  (TensorFlow's oneDNN build gives 0
    beside the NaN in the first two cases; its log-softmax gives NaN throughout.)

    Parameters
    ----------
    dim
        Axis, the batch axis counted; negative from the end.

    Keras source: ``keras.layers.Softmax``, ``keras.activations.softmax``.
    """

    dim: int = -1

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        x, results = lines(inputs[0], self.dim), lines(out, self.dim)
        if x.shape[2] == 1:
            softmax_rows_f32(x.reshape(-1), x.shape[1], results.reshape(-1))
        else:
            softmax_cells_f32(x, results)


@module
class LogSoftmax(_AlongAxis):
    """Logarithm of the softmax along an axis, as ``torch.nn.LogSoftmax``.

    Parameters and special values are those of :class:`Softmax`.  Keras source: ``keras.activations.log_softmax``.
    """

    dim: int = -1

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        x, results = lines(inputs[0], self.dim), lines(out, self.dim)
        if x.shape[2] == 1:
            log_softmax_rows_f32(x.reshape(-1), x.shape[1], results.reshape(-1))
        else:
            log_softmax_cells_f32(x, results)


@module
class Sparsemax(_AlongAxis):
    """Projection onto the probability simplex along an axis: ``max(x - tau, 0)`` (Martins and Astudillo 2016).

    Parameters
    ----------
    dim
        Axis, the batch axis counted; negative from the end.
    threshold
        How tau follows from the ``k`` values of the support.  ``"sum"``: their sum less 1, divided by ``k``, which is
        the paper's.  ``"cumulative"``: the sum of their *running* sums less 1, divided by ``k``, which is what Keras
        computed up to 3.15 (github.com/keras-team/keras/issues/23425); such lines do not sum to 1.

    Keras source: ``keras.activations.sparsemax``.
    """

    dim: int = -1
    threshold: str = "sum"

    def __post_init__(self) -> None:
        self.set(threshold=choice("threshold", self.threshold, ("sum", "cumulative")))
        super().__post_init__()

    def compute(self, *inputs: Array, out: Array) -> None:
        x = lines(inputs[0], self.dim)
        descending = np.ascontiguousarray(np.sort(x, axis=1)[:, ::-1])
        sparsemax_f32(x, descending, self.threshold == "cumulative", lines(out, self.dim))


@module
class GLU(_AlongAxis):
    """The first half along an axis times the sigmoid of the second, as ``torch.nn.GLU``.

    The axis must have an even size; the output has half of it.  Keras source: ``keras.activations.glu``.

    Parameters
    ----------
    dim
        Axis, the batch axis counted; negative from the end.
    """

    dim: int = -1

    def output_shape(self, *shapes: Shape) -> Shape:
        x = super().output_shape(*shapes)
        size = x[self.dim]
        if size is not None and size % 2:
            raise ShapeError(f"{self} takes an input of even size along axis {self.dim}, got {shape_text(x)}")
        halved = list(x)
        halved[self.dim] = None if size is None else size // 2
        return tuple(halved)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        outer, half, inner = lines(out, self.dim).shape
        glu_f32(inputs[0].reshape(outer, 2, half * inner), out.reshape(outer, half * inner))
