"""FoldTime, UnfoldTime, Flip: sequences as batches of steps and back, and backwards.  NumPy does them: no kernel."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, integer, module, shape_text


@module
class FoldTime(Module):
    """(N, T, ...) to (N * T, ...): every step an example of its own, the steps of a sequence one behind the other.

    Keras source: ``keras.layers.TimeDistributed``.
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise ShapeError(f"{self} takes an input (N, T, ...), got {shape_text(x)}")
        return (None if None in x[:2] else math.prod(size for size in x[:2] if size is not None), *x[2:])

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0].reshape(out.shape))


@module
class UnfoldTime(Module):
    """(N * T, ...) to (N, T, ...): what :class:`FoldTime` does, undone.

    The second input, (N, T, ...), says what N and T are; only its sizes count.

    Keras source: ``keras.layers.TimeDistributed``.
    """

    arity: ClassVar[int | None] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        x, like = shapes
        steps = FoldTime().output_shape(like)[0]
        if not x or (None not in (x[0], steps) and x[0] != steps):
            raise ShapeError(
                f"{self} takes an input (N * T, ...) and one (N, T, ...), got {shape_text(x)} and {shape_text(like)}"
            )
        return (*like[:2], *x[1:])

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0].reshape(out.shape))


@module
class Flip(Module):
    """The elements along an axis in reverse order, as ``torch.flip``.

    Parameters
    ----------
    dim
        The axis, 1 or more: never the batch's.

    Keras source: ``keras.layers.Bidirectional`` with ``return_sequences``, whose second direction is turned round.
    """

    dim: int

    def __post_init__(self) -> None:
        self.set(dim=integer("dim", self.dim))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.dim >= len(x):
            raise ShapeError(f"{self} takes an input of rank {self.dim + 1} or more, got {shape_text(x)}")
        return x

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, np.flip(inputs[0], self.dim))

    def permuted(self, permutation: Permutation) -> Module:
        return Flip(permutation.index(self.dim))
