"""Into the blocked layout and out of it; halos; upsampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange, types

from jit_kernels._jit import Kernel, device, kernel
from jit_kernels._simd import LANES, address, intrinsic, load_vector, store_vector, zeros

FIELDS = (
    "batch", "channels", "rows", "width",
    "plain", "plain_image", "plain_channel", "plain_row", "plain_step",  # strides of the plain array
    "blocked", "blocked_image", "blocked_block", "blocked_row", "blocked_step",  # the step is LANES, or fewer channels
    "threads",
)  # fmt: skip
HALO_FIELDS = (
    "batch",
    "blocks",
    "rows",
    "width",
    "top",
    "bottom",
    "left",
    "right",
    "x",
    "image",
    "block",
    "row",
    "step",
)
UPSAMPLE_FIELDS = (
    "batch", "blocks", "rows", "width",  # of the input
    "x", "x_image", "x_block", "x_row",
    "out", "out_image", "out_block", "out_row",
    "scale_h", "scale_w", "threads",
)  # fmt: skip
ZERO = np.float32(0)


@intrinsic
def copy_vector_f32(typing_context: Any, arena: Any, source: Any, target: Any) -> Any:
    """Copy LANES numbers of the arena."""
    signature = types.void(arena, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        read, written = (address(context, builder, signature, arguments, 0, start) for start in arguments[1:])
        store_vector(builder, load_vector(builder, read), written)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def zero_vector_f32(typing_context: Any, arena: Any, target: Any) -> Any:
    """Write LANES zeros into the arena."""
    signature = types.void(arena, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        store_vector(builder, zeros(), address(context, builder, signature, arguments, 0, arguments[1]))
        return context.get_dummy_value()

    return signature, codegen


@device
def zero_run(arena: Any, start: int, size: int) -> None:
    """Write ``size`` zeros."""
    for i in range(0, size - LANES + 1, LANES):
        zero_vector_f32(arena, start + i)
    for i in range(start + size // LANES * LANES, start + size):
        arena[i] = ZERO


@device
def copy_run(arena: Any, source: int, target: int, size: int) -> None:
    """Copy ``size`` numbers."""
    for i in range(0, size - LANES + 1, LANES):
        copy_vector_f32(arena, source + i, target + i)
    for i in range(size // LANES * LANES, size):
        arena[target + i] = arena[source + i]


@device
def transfer(
    arena: Any, source: int, source_step: int, source_channel: int, target: int, target_step: int, target_channel: int,
    channels: int, width: int,
) -> None:  # fmt: skip
    """Copy ``width`` pixels of some channels from one layout to another."""
    if source_channel == 1 and target_channel == 1:
        if source_step == channels and target_step == channels:
            copy_run(arena, source, target, width * channels)
        else:
            for pixel in range(width):
                copy_run(arena, source + pixel * source_step, target + pixel * target_step, channels)
        return
    for channel in range(channels):
        read, written = source + channel * source_channel, target + channel * target_channel
        for pixel in range(width):
            arena[written + pixel * target_step] = arena[read + pixel * source_step]


def _change(name: str, inward: bool) -> Kernel:
    """Make the kernel that copies a plain array of any axis order into the blocked layout, or out of it."""

    @kernel("void(i8[::1], f4[::1])", name=name)
    def change(d: Any, arena: Any) -> None:
        """Copy a value from one layout to the other; inward, lanes beyond the last channel become zeros.

        ``d`` is described by ``FIELDS``.  Parallel axis: rows of all blocks.
        """
        (batch, channels, rows, width, plain, plain_image, plain_channel, plain_row, plain_step, blocked, blocked_image,
         blocked_block, blocked_row, lanes, threads) = (
            d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14])  # fmt: skip
        blocks = (channels + lanes - 1) // lanes
        total = batch * blocks * rows
        for thread in prange(threads):
            for unit in range(thread * total // threads, (thread + 1) * total // threads):
                row, block, n = unit % rows, unit // rows % blocks, unit // rows // blocks
                outside = plain + n * plain_image + block * lanes * plain_channel + row * plain_row
                inside = blocked + n * blocked_image + block * blocked_block + row * blocked_row
                here = min(lanes, channels - block * lanes)
                if not inward:
                    transfer(arena, inside, lanes, 1, outside, plain_step, plain_channel, here, width)
                    continue
                if here < lanes:
                    zero_run(arena, inside, width * lanes)
                transfer(arena, outside, plain_step, plain_channel, inside, lanes, 1, here, width)

    return change


to_blocked_f32 = _change("to_blocked_f32", inward=True)
from_blocked_f32 = _change("from_blocked_f32", inward=False)


@kernel("void(i8[::1], f4[::1])", parallel=False)
def zero_halo_f32(d: Any, arena: Any) -> None:
    """Write the zeros around each plane of a value; ``d`` is described by ``HALO_FIELDS``."""
    batch, blocks, rows, width, top, bottom, left, right, x, image, block, row, step = (
        d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12])  # fmt: skip
    for n in range(batch):
        for b in range(blocks):
            start = x + n * image + b * block - left * step
            zero_run(arena, start - top * row, top * row)
            zero_run(arena, start + rows * row, bottom * row)
            for i in range(rows):
                zero_run(arena, start + i * row, left * step)
                zero_run(arena, start + i * row + (left + width) * step, right * step)


@kernel("void(i8[::1], f4[::1])")
def upsample_nearest_f32(d: Any, arena: Any) -> None:
    """Repeat each pixel ``scale_h`` times ``scale_w`` times; ``d`` is described by ``UPSAMPLE_FIELDS``.

    Parallel axis: input rows of all blocks.
    """
    (batch, blocks, rows, width, x, x_image, x_block, x_row, out, out_image, out_block, out_row, scale_h, scale_w,
     threads) = (
        d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14])  # fmt: skip
    total = batch * blocks * rows
    for thread in prange(threads):
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            row, block, n = unit % rows, unit // rows % blocks, unit // rows // blocks
            source = x + n * x_image + block * x_block + row * x_row
            target = out + n * out_image + block * out_block + row * scale_h * out_row
            for pixel in range(width):
                for j in range(scale_w):
                    copy_vector_f32(arena, source + pixel * LANES, target + (pixel * scale_w + j) * LANES)
            for i in range(1, scale_h):
                copy_run(arena, target, target + i * out_row, width * scale_w * LANES)
