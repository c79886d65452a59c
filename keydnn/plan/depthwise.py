"""Depthwise convolutions in a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jit_kernels._simd import LANES
from jit_kernels.blocked import depthwise
from keydnn.plan.step import (
    PARALLEL_CYCLES,
    ImageSizes,
    Job,
    Launch,
    Need,
    activation_name,
    clamp,
    constants,
    described,
    strides,
)
from keydnn.plan.values import Blocked
from keydnn.plan.window import Window

if TYPE_CHECKING:
    from keydnn.plan.conv import Convolution


def job(owner: Convolution, window: Window, x: ImageSizes, out: ImageSizes, threads: int) -> Job:
    """Give the job of a convolution of each channel by itself."""
    (kh, kw), (dh, dw) = window.size, window.dilation
    batch, _, rows, width = out
    cycles = batch * owner.blocks * rows * width * kh * kw * 0.6
    threads = threads if cycles >= PARALLEL_CYCLES else 1

    def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
        (value,) = inputs
        assert added is None  # fuse gives depthwise convolutions no residual
        image, block, row = value.strides
        taps = np.array([i * dh * row + j * dw * LANES for i in range(kh) for j in range(kw)], np.int64)
        origin = value.start - window.pads[0][0] * row - window.pads[1][0] * LANES
        description = described(
            depthwise.FIELDS, batch=batch, blocks=owner.blocks, rows=rows, width=width, x=origin, x_image=image,
            x_block=block, x_row=row * window.stride[0], threads=threads, **strides("out", result),
        )  # fmt: skip
        kernel = depthwise.depthwise_f32(window.stride[1] * LANES, activation_name(owner.unit))
        weight = owner.packed(1, "depthwise")
        arguments = (description, taps, *clamp(owner.unit), weight, *constants(owner.unit))
        return [Launch(kernel, arguments, threads > 1)]

    return Job((Need(x, LANES, window.halo),), out, launches, label="depthwise convolution")
