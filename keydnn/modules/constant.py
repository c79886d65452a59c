"""Constant: numbers of the model itself.  It has no kernel: NumPy copies them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from keydnn.errors import ParameterError
from keydnn.modules.base import Array, Module, Shape, integer, module, tensor


@module
class Constant(Module):
    """The same numbers at every call, of shape (1, *shape): beside a batch, merges broadcast them.

    Parameters
    ----------
    shape
        Sizes without the batch axis; () for one number.
    value
        (*shape).

    Keras source: constants among the arguments of operations and layers, as in ``x + 1``.
    """

    arity: ClassVar[int | None] = 0
    shape: Any
    value: Any = tensor()

    def __post_init__(self) -> None:
        if not isinstance(self.shape, (tuple, list)):
            raise ParameterError(f"shape must be a tuple of integers, got {self.shape!r}")
        self.set(shape=tuple(integer("shape", size) for size in self.shape))
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"value": self.shape}

    def output_shape(self, *shapes: Shape) -> Shape:
        return (1, *self.shape)

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, self.value)
