"""Operations with parameters of an example's shape, or broadcast to it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Self

import numpy as np

from jit_kernels._broadcast import BLOCK
from jit_kernels._jit import Kernel
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, integer, shape_text


class Broadcast(Module):
    """An operation of an input (N, ...) and one or two weights of shape ``shape``, the sizes behind the batch axis.

    A size of 1 in ``shape`` stands for any size of the input.  ``kernel`` takes both weights, or the only one twice.
    """

    kernel: ClassVar[Kernel]
    shape: Any

    def __post_init__(self) -> None:
        if not isinstance(self.shape, (tuple, list)) or not self.shape:
            raise ParameterError(f"shape must be a tuple of integers, got {self.shape!r}")
        self.set(shape=tuple(integer("shape", size) for size in self.shape))
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self.tensor_names(), self.shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) != 1 + len(self.shape) or any(
            mine not in (1, size) and size is not None for mine, size in zip(self.shape, x[1:], strict=True)
        ):
            wanted = ", ".join("?" if size == 1 else str(size) for size in self.shape)
            raise ShapeError(f"{self} takes an input (N, {wanted}), got {shape_text(x)}")
        return (x[0], *(size if mine == 1 else mine for mine, size in zip(self.shape, x[1:], strict=True)))

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        self.kernel(x.reshape(-1), *self._lines(x.shape), out.reshape(-1))

    def _lines(self, sizes: tuple[int, ...]) -> tuple[Array, Array, int]:
        """Give the weights, a number for each channel, and the cells of a channel, as ``broadcasting`` takes them.

        A channel is one place in the axes from the first to the last that ``shape`` gives a size.
        """
        axes = [axis for axis, size in enumerate(self.shape) if size > 1]
        span = slice(axes[0], axes[-1] + 1) if axes else slice(0, 0)
        cells = max(math.prod(sizes[1 + span.stop :] if axes else sizes), 1)
        channels = [
            np.ascontiguousarray(np.broadcast_to(tensor.reshape(self.shape[span]), sizes[1:][span])).reshape(-1)
            for tensor in self.tensors().values()
        ]
        if cells == 1:  # short rows become longer ones
            repeats = min(BLOCK, math.prod(sizes)) // channels[0].size
            channels = [np.tile(tensor, max(repeats, 1)) for tensor in channels]
        return channels[0], channels[-1], cells

    def permuted(self, permutation: Permutation) -> Self:
        behind = [axis - 1 for axis in permutation[1:]]
        moved = {name: np.transpose(value, behind) for name, value in self.tensors().items()}
        return dataclasses.replace(self, shape=tuple(self.shape[axis] for axis in behind), **moved)  # type: ignore[type-var]  # subclasses are dataclasses
