"""Reductions over axes, and running sums and products along one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from jit_kernels.merge import divide_f32
from jit_kernels.reduce import CUMULATIVE, REDUCTIONS
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, choice, flag, integer, module, shape_text


@module
class Reduce(Module):
    """One number for all cells of some axes.

    Parameters
    ----------
    operation
        ``"sum"``, ``"mean"``, ``"prod"``, ``"max"``, ``"min"`` (NaN where a cell is NaN), or ``"argmax"``,
        ``"argmin"``: the place of the first largest or smallest cell that is not NaN, along one axis.
    dim
        The axes, the batch axis 0 not among them; at least one cell is needed.
    keepdim
        Whether the axes stay, with size 1.

    Keras source: ``keras.ops.sum``, ``mean``, ``prod``, ``max``, ``min``, ``argmax``, ``argmin``.
    """

    operation: str
    dim: Any
    keepdim: bool = False

    def __post_init__(self) -> None:
        given = self.dim if isinstance(self.dim, (tuple, list)) else (self.dim,)
        dim = tuple(sorted(integer("dim", axis) for axis in given))
        self.set(
            operation=choice("operation", self.operation, (*REDUCTIONS, "mean")),
            dim=dim,
            keepdim=flag("keepdim", self.keepdim),
        )
        if not dim or len(set(dim)) != len(dim) or (len(dim) > 1 and self.operation.startswith("arg")):
            raise ParameterError(f"dim must be different axes, one for argmax and argmin, got {self.dim!r}")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.dim[-1] >= len(x) or 0 in [x[axis] for axis in self.dim]:
            raise ShapeError(f"{self} takes an input with cells along axis {self.dim[-1]}, got {shape_text(x)}")
        if self.keepdim:
            return tuple(1 if axis in self.dim else size for axis, size in enumerate(x))
        return tuple(size for axis, size in enumerate(x) if axis not in self.dim)

    def launches_only(self, *shapes: Shape) -> bool:
        return self._are_neighbours

    @property
    def _are_neighbours(self) -> bool:
        return bool(self.dim[-1] - self.dim[0] == len(self.dim) - 1)

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        length, after = math.prod(x.shape[axis] for axis in self.dim), self.dim[-1] + 1
        if not self._are_neighbours:
            x = np.ascontiguousarray(np.moveaxis(x, self.dim, range(-len(self.dim), 0)))
            after = x.ndim
        kernel = REDUCTIONS["sum" if self.operation == "mean" else self.operation]
        kernel(x.reshape(-1), length, math.prod(x.shape[after:]), out.reshape(-1))
        if self.operation == "mean":
            zero = np.float32(0)
            divide_f32(out.reshape(-1), np.float32(length), zero, zero, out.reshape(-1))

    def permuted(self, permutation: Permutation) -> Module | None:
        if not self.keepdim:
            return None
        return dataclasses.replace(self, dim=tuple(permutation.index(axis) for axis in self.dim))


@module
class Cumulate(Module):
    """Sum or product of all cells up to each, along an axis.

    Parameters
    ----------
    operation
        ``"sum"`` or ``"prod"``.
    dim
        The axis, not the batch axis 0.

    Keras source: ``keras.ops.cumsum``, ``cumprod``.
    """

    operation: str
    dim: int

    def __post_init__(self) -> None:
        self.set(operation=choice("operation", self.operation, tuple(CUMULATIVE)), dim=integer("dim", self.dim))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.dim >= len(x) or x[self.dim] == 0:
            raise ShapeError(f"{self} takes an input with cells along axis {self.dim}, got {shape_text(x)}")
        return x

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        inner = math.prod(x.shape[self.dim + 1 :])
        CUMULATIVE[self.operation](x.reshape(-1), x.shape[self.dim], inner, out.reshape(-1))

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dim=permutation.index(self.dim))
