"""Several inputs made one: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate.

Concatenate is a pure move of memory and has no kernel.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from jit_kernels._jit import Kernel
from jit_kernels.merge import add_f32, divide_f32, maximum_f32, minimum_f32, multiply_f32, subtract_f32
from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, integer, module, shape_text


class Merge(Module):
    """``((x0 op x1) op x2) ...`` element by element, of inputs of equal rank, broadcast as in NumPy.

    ``kernel`` is the operation.  A size that is free in one input takes the number that another gives, if that is not
    1; a call with other sizes is refused.
    """

    arity: ClassVar[int | None] = None
    kernel: ClassVar[Kernel]

    def output_shape(self, *shapes: Shape) -> Shape:
        if len({len(shape) for shape in shapes}) != 1:
            raise ShapeError(f"{self} takes inputs of equal rank, got {', '.join(map(shape_text, shapes))}")
        sizes: list[int | None] = []
        for axis, found in enumerate(zip(*shapes, strict=True)):
            fixed = set(found) - {None, 1}
            if len(fixed) > 1:
                given = ", ".join(map(shape_text, shapes))
                raise ShapeError(f"{self} cannot broadcast axis {axis} of its inputs {given}")
            sizes.append(fixed.pop() if fixed else None if None in found else 1)
        return tuple(sizes)

    def launches_only(self, *shapes: Shape) -> bool:
        return len(set(shapes)) == 1  # otherwise inputs are copied as they are broadcast

    def compute(self, *inputs: Array, out: Array) -> None:
        result, *others = (np.ascontiguousarray(np.broadcast_to(x, out.shape)).reshape(-1) for x in inputs)
        for other in others:
            self.kernel(result, other, out.reshape(-1))
            result = out.reshape(-1)

    def permuted(self, permutation: Permutation) -> Module:
        return self


@module
class Add(Merge):
    """Sum of two or more inputs, in order.  Keras source: ``keras.layers.Add``."""

    kernel = add_f32


@module
class Subtract(Merge):
    """First input less the second.  Keras source: ``keras.layers.Subtract``."""

    arity = 2
    kernel = subtract_f32


@module
class Multiply(Merge):
    """Product of two or more inputs, in order.  Keras source: ``keras.layers.Multiply``."""

    kernel = multiply_f32


@module
class Average(Merge):
    """Sum of two or more inputs, in order, divided by their number.  Keras source: ``keras.layers.Average``."""

    kernel = add_f32

    def compute(self, *inputs: Array, out: Array) -> None:
        super().compute(*inputs, out=out)
        flat, zero = out.reshape(-1), np.float32(0)
        divide_f32(flat, np.float32(len(inputs)), zero, zero, flat)


@module
class Maximum(Merge):
    """Largest of two or more inputs; NaN where one is NaN.  Keras source: ``keras.layers.Maximum``."""

    kernel = maximum_f32


@module
class Minimum(Merge):
    """Smallest of two or more inputs; NaN where one is NaN.  Keras source: ``keras.layers.Minimum``."""

    kernel = minimum_f32


@module
class Concatenate(Module):
    """Two or more inputs one after the other along an axis, as ``torch.cat``; all other sizes are equal.

    Parameters
    ----------
    dim
        Axis, the batch axis counted; negative from the end.

    Keras source: ``keras.layers.Concatenate`` (whose default axis is -1).
    """

    arity = None
    moves = True
    dim: int

    def __post_init__(self) -> None:
        self.set(dim=integer("dim", self.dim, least=-64))  # NumPy has 64 axes at most
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        given = ", ".join(map(shape_text, shapes))
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank <= self.dim < rank:
            raise ShapeError(f"{self} takes inputs of equal rank that have an axis {self.dim}, got {given}")
        sizes: list[int | None] = []
        for axis, found in enumerate(zip(*shapes, strict=True)):
            fixed = [size for size in found if size is not None]
            if axis == self.dim % rank:
                sizes.append(sum(fixed) if len(fixed) == len(found) else None)
            elif len(set(fixed)) > 1:
                raise ShapeError(f"{self} takes inputs that agree but for axis {self.dim}, got {given}")
            else:
                sizes.append(fixed[0] if fixed else None)
        return tuple(sizes)

    def by_example(self, *shapes: Shape) -> bool:
        return self.dim % len(shapes[0]) != 0

    def compute(self, *inputs: Array, out: Array) -> None:
        np.concatenate(inputs, axis=self.dim, out=out)

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dim=permutation.index(self.dim % len(permutation)))
