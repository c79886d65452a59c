"""Elementwise operations, batch normalization that stands alone, concatenation and upsampling in a plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from jit_kernels._simd import LANES
from jit_kernels.blocked import layout, merge, norm
from keydnn.modules.base import Array
from keydnn.modules.merge import Add, Concatenate, Maximum, Minimum, Multiply, Subtract
from keydnn.modules.upsample import REPEATING, Upsample1d, Upsample2d
from keydnn.plan.fuse import BATCH_NORMS, Unit
from keydnn.plan.step import (
    PARALLEL_NUMBERS,
    ImageSizes,
    Job,
    Launch,
    Need,
    activation_name,
    aligned_copy,
    clamp,
    constants,
    described,
    strides,
)
from keydnn.plan.values import Blocked

OPERATIONS: dict[type, str] = {
    Add: "add",
    Subtract: "subtract",
    Multiply: "multiply",
    Maximum: "maximum",
    Minimum: "minimum",
}


def combine(
    operation: str, unit: Unit, x: Blocked, y: Blocked, out: Blocked, threads: int, *, last: bool = True
) -> Launch:
    """Give the call of an operation on two values; one pixel of ``y`` for all of ``x`` where it has no more."""
    batch, _, height, width = out.sizes
    size = batch * height * width * out.blocks * LANES
    threads = threads if size >= PARALLEL_NUMBERS else 1
    places = strides("x", x) | strides("y", y) | strides("out", out) | {"y_step": LANES}
    if y.sizes[2:] != x.sizes[2:]:
        places |= {"y_row": 0, "y_step": 0}
    description = described(
        merge.FIELDS, batch=batch, blocks=out.blocks, rows=height, width=width, threads=threads, **places
    )
    bounds = clamp(unit) if last else (np.float32(-np.inf), np.float32(np.inf))
    kernel = merge.combine_f32(operation, activation_name(unit) if last else "")
    return Launch(kernel, (description, *bounds, *constants(unit)), threads > 1)


class Merge:
    """``((x0 op x1) op x2) ...``; an input of one pixel stands for all pixels."""

    def __init__(self, unit: Unit) -> None:
        self.unit, self.operation = unit, OPERATIONS[type(unit.module)]

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        first = sizes[0]
        others = {size for size in sizes if size != first}
        if 0 in first or others - {(*first[:2], 1, 1)}:
            return None

        def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
            x, *rest = inputs
            calls = []
            for place, y in enumerate(rest):
                last = place == len(rest) - 1
                calls.append(combine(self.operation, self.unit, x, y, result, threads, last=last))
                x = result
            return calls

        return Job(tuple(Need(size) for size in sizes), out, launches, label=self.operation)


class Activation:
    """An elementwise activation that no other step takes in."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        (x,) = sizes
        if 0 in x or plain:
            return None

        def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
            return [combine("copy", self.unit, inputs[0], inputs[0], result, threads)]

        return Job((Need(x),), out, launches, label="activation")


class Norm:
    """A batch normalization that no convolution takes in."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.module: Any = unit.module

    @cached_property
    def numbers(self) -> Array:
        """Means, factors and biases, each up to whole blocks."""
        module = self.module
        bias = np.zeros(module.num_features, np.float32) if module.bias is None else module.bias
        rows = np.zeros((3, -(-module.num_features // LANES) * LANES), np.float32)
        rows[:, : module.num_features] = module.running_mean, module.factor, bias
        return aligned_copy(rows)

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        (x,) = sizes
        if 0 in x or plain:
            return None
        threads = threads if math.prod(x) >= PARALLEL_NUMBERS else 1

        def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
            description = described(
                norm.FIELDS, batch=x[0], blocks=result.blocks, rows=x[2], width=x[3], threads=threads,
                **strides("x", inputs[0]), **strides("out", result),
            )  # fmt: skip
            arguments = (description, *clamp(self.unit), self.numbers, *constants(self.unit))
            return [Launch(norm.normalize_f32(activation_name(self.unit)), arguments, threads > 1)]

        return Job((Need(x),), out, launches, label="batch normalization")


class Concatenation:
    """A concatenation of channels; parts that lie in its storage already are not copied."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.module: Any = unit.module

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        if self.module.dim % self.unit.rank != 1 or any(size[1] % LANES for size in sizes[:-1]) or 0 in sizes[0]:
            return None

        def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
            calls, place = [], result.first
            for x in inputs:
                part = Blocked(result.storage, x.channels, place)
                if (x.storage, x.first) != (part.storage, part.first):
                    calls.append(combine("copy", self.unit, x, x, part, threads))
                place += x.blocks
            return calls

        return Job(tuple(Need(size) for size in sizes), out, launches, label="concatenation")


class Upsample:
    """Upsampling that repeats cells."""

    def __init__(self, unit: Unit) -> None:
        self.module: Any = unit.module

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        (x,) = sizes
        if getattr(self.module, "mode", "nearest") not in REPEATING or 0 in x:
            return None
        scale_h, scale_w = (1,) * (2 - self.module.axes) + self.module.scale_factor
        threads = threads if math.prod(out) >= PARALLEL_NUMBERS else 1

        def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
            description = described(
                layout.UPSAMPLE_FIELDS, batch=x[0], blocks=result.blocks, rows=x[2], width=x[3], scale_h=scale_h,
                scale_w=scale_w, threads=threads, **strides("x", inputs[0]), **strides("out", result),
            )  # fmt: skip
            return [Launch(layout.upsample_nearest_f32, (description,), threads > 1)]

        return Job((Need(x),), out, launches, label="upsampling")


STEPS: dict[type, Any] = {
    **dict.fromkeys(OPERATIONS, Merge), **dict.fromkeys(BATCH_NORMS, Norm), Concatenate: Concatenation,
    Upsample1d: Upsample, Upsample2d: Upsample,
}  # fmt: skip
