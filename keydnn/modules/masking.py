"""StepMask and MaskedFill: which steps of a sequence count, and what stands in the place of those that do not."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from jit_kernels.masking import masked_fill_f32, step_mask_f32
from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Shape, module, number, shape_text


@module
class StepMask(Module):
    """(N, T, ..., C) to (N, T, ...): 1 where any of the C numbers is not ``mask_value``, else 0.

    Parameters
    ----------
    mask_value
        What a step that does not count is filled with.

    Keras source: ``keras.layers.Masking``, the mask.
    """

    mask_value: float = 0.0

    def __post_init__(self) -> None:
        self.set(mask_value=number("mask_value", self.mask_value))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise ShapeError(f"{self} takes an input (N, ..., C), got {shape_text(x)}")
        return x[:-1]

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        step_mask_f32(x.reshape(out.size, x.shape[-1]), np.float32(self.mask_value), out.reshape(-1))


@module
class MaskedFill(Module):
    """The first input, (N, T, ...), with ``value`` in the steps where the second, a mask (N, T), is 0.

    A mask of more axes says the same of parts of steps.

    Parameters
    ----------
    value
        What is filled in.

    Keras source: ``keras.layers.Masking``, and merges of masked inputs in Keras 3.
    """

    arity: ClassVar[int | None] = 2
    value: float = 0.0

    def __post_init__(self) -> None:
        self.set(value=number("value", self.value))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        x, mask = shapes
        pairs = list(zip(x, mask, strict=False))
        if not mask or len(mask) > len(x) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise ShapeError(
                f"{self} takes an input (N, T, ...) and a mask (N, T), got {shape_text(x)} and {shape_text(mask)}"
            )
        return x

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        x, mask = inputs
        shape = (mask.size, math.prod(x.shape[mask.ndim :]))
        masked_fill_f32(x.reshape(shape), mask.reshape(-1), np.float32(self.value), out.reshape(shape))
