"""Products and sums with constants: Rescale by two numbers, Affine by numbers of an example's shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from jit_kernels.rescale import affine_f32, rescale_f32
from keydnn.modules.base import Array, Module, Permutation, Shape, module, number, tensor
from keydnn.modules.broadcast import Broadcast


@module
class Rescale(Module):
    """``x * scale + offset``, on an input of any shape.

    Parameters
    ----------
    scale, offset
        Finite numbers.

    Keras source: ``keras.layers.Rescaling`` by numbers.
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        self.set(scale=number("scale", self.scale), offset=number("offset", self.offset))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        rescale_f32(inputs[0].reshape(-1), np.float32(self.scale), np.float32(self.offset), out.reshape(-1))

    def permuted(self, permutation: Permutation) -> Module:
        return self


@module
class Affine(Broadcast):
    """``x * weight + bias``, with a weight and a bias for each cell of an example.

    Parameters
    ----------
    shape
        Sizes behind the batch axis; 1 where one weight and bias serve the whole axis.
    weight, bias
        (*shape).

    Keras source: ``keras.layers.Rescaling`` by lists, ``Normalization`` with ``invert``.
    """

    shape: Any
    weight: Array | None = tensor()
    bias: Array | None = tensor()
    kernel = affine_f32
