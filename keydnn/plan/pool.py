"""Pooling in a plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jit_kernels.blocked import pool
from keydnn.modules.geometry import Pads, resolve_pads
from keydnn.modules.pool import (
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    MaxPool1d,
    MaxPool2d,
)
from keydnn.plan.fuse import Unit
from keydnn.plan.step import PARALLEL_NUMBERS, ImageSizes, Job, Launch, Need, described, strides
from keydnn.plan.values import Blocked

MAXIMA, MEANS = (MaxPool1d, MaxPool2d), (AvgPool1d, AvgPool2d)


class Pool:
    """A pooling of a program, over windows or whole images."""

    def __init__(self, unit: Unit) -> None:
        self.module: Any = unit.module
        self.is_global = not isinstance(self.module, MAXIMA + MEANS)
        self.reduction = "mean"
        if isinstance(self.module, MAXIMA):
            self.reduction = "max"
        elif isinstance(self.module, (GlobalMaxPool1d, GlobalMaxPool2d)):
            self.reduction = "global_max"

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says."""
        (x,) = sizes
        batch, _, height, width = x
        if self.is_global:
            size, stride = (height, width), (1, 1)
            pads: Pads = ((0, 0), (0, 0))
        else:
            module, one = self.module, (1,) * (2 - self.module.axes)
            near = (1,) * module.axes
            found = resolve_pads(module.padding, x[4 - module.axes :], module.kernel_size, module.stride, near)
            size, stride = one + module.kernel_size, one + module.stride
            pads = ((0, 0),) * len(one) + found
        if 0 in out or 0 in x:
            return None
        threads = threads if math.prod(x) >= PARALLEL_NUMBERS else 1

        def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
            description = described(
                pool.FIELDS, batch=batch, blocks=result.blocks, rows=out[2], width=out[3], in_rows=height,
                in_width=width, kernel_h=size[0], kernel_w=size[1], stride_h=stride[0], stride_w=stride[1],
                pad_top=pads[0][0], pad_left=pads[1][0],
                count_pads=int(getattr(self.module, "count_include_pad", False)), threads=threads,
                **strides("x", inputs[0]), **strides("out", result),
            )  # fmt: skip
            return [Launch(pool.pool_f32(self.reduction), (description,), threads > 1)]

        return Job((Need(x),), out, launches, label=f"{'global ' * self.is_global}pooling")


STEPS = dict.fromkeys(
    (*MAXIMA, *MEANS, GlobalAvgPool1d, GlobalAvgPool2d, GlobalMaxPool1d, GlobalMaxPool2d), Pool
)  # fmt: skip
