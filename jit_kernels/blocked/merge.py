"""Elementwise operations on the blocked layout: of two values, and of a value and a number for each channel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numba import prange, types

from jit_kernels._jit import Kernel, kernel
from jit_kernels._simd import (
    LANES,
    address,
    clamped,
    constant,
    each_pixel,
    intrinsic,
    load_vector,
    spread,
    store_vector,
)
from jit_kernels.blocked.activation import row_pass

FIELDS = (
    "batch", "blocks", "rows", "width",
    "x", "x_image", "x_block", "x_row",
    "y", "y_image", "y_block", "y_row", "y_step",  # y_row = y_step = 0: one pixel for all
    "out", "out_image", "out_block", "out_row",
    "threads",
)  # fmt: skip


def _maximum(b: Any, x: Any, y: Any) -> Any:
    """Take the larger; NaN if either is."""
    keeps = b.or_(b.fcmp_ordered(">=", x, y), b.fcmp_unordered("uno", x, x))
    return b.select(keeps, x, y)


def _minimum(b: Any, x: Any, y: Any) -> Any:
    """Take the smaller; NaN if either is."""
    keeps = b.or_(b.fcmp_ordered("<=", x, y), b.fcmp_unordered("uno", x, x))
    return b.select(keeps, x, y)


OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda b, x, y: b.fadd(x, y),
    "subtract": lambda b, x, y: b.fsub(x, y),
    "multiply": lambda b, x, y: b.fmul(x, y),
    "maximum": _maximum,
    "minimum": _minimum,
    "copy": lambda b, x, y: x,
}


@functools.cache
def combine_run_f32(operation: str) -> Any:
    """Give the intrinsic that combines two runs of pixels."""
    combine = OPERATIONS[operation]

    @intrinsic
    def combine_run(
        typing_context: Any, arena: Any, x: Any, y: Any, y_step: Any, out: Any, count: Any, low: Any, high: Any
    ) -> Any:
        """Write ``clamp(operation(x, y), low, high)`` of ``count`` pixels (>= 1); ``y_step`` is LANES or 0."""
        signature = types.void(arena, *(types.intp,) * 5, *(types.float32,) * 2)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            b = builder
            _, x, y, y_step, out, count, low, high = arguments
            left, right, target = (address(context, b, signature, arguments, 0, start) for start in (x, y, out))
            low, high = spread(b, low), spread(b, high)

            def write(pixel: Any) -> None:
                shift = b.mul(pixel, constant(LANES))
                first = load_vector(b, b.gep(left, [shift]))
                second = load_vector(b, b.gep(right, [b.mul(pixel, y_step)]))
                store_vector(b, clamped(b, combine(b, first, second), low, high), b.gep(target, [shift]))

            each_pixel(b, count, write)
            return context.get_dummy_value()

        return signature, codegen

    return combine_run


@functools.cache
def combine_f32(operation: str, activation: str = "") -> Kernel:
    """Give the kernel of an operation of ``OPERATIONS``; ``activation`` as in ``conv_f32``."""
    combine_run, activate = combine_run_f32(operation), row_pass(activation)
    name = f"blocked_{operation}_f32" + f"_{activation}" * bool(activation)

    @kernel("void(i8[::1], f4, f4, f4, f4, f4, f4[::1])", name=name)
    def combine(d: Any, low: Any, high: Any, a: Any, b: Any, c: Any, arena: Any) -> None:
        """Combine two values, clamp to [low, high], apply the activation; ``out`` may be one of them.

        ``d`` is described by ``FIELDS``.  Parallel axis: rows of all blocks.
        """
        (batch, blocks, rows, width, x, x_image, x_block, x_row, y, y_image, y_block, y_row, y_step, out, out_image,
         out_block, out_row, threads) = (
            d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14], d[15],
            d[16], d[17])  # fmt: skip
        total = batch * blocks * rows
        for thread in prange(threads):
            for unit in range(thread * total // threads, (thread + 1) * total // threads):
                row, block, n = unit % rows, unit // rows % blocks, unit // rows // blocks
                target = out + n * out_image + block * out_block + row * out_row
                combine_run(
                    arena, x + n * x_image + block * x_block + row * x_row, y + n * y_image + block * y_block +
                    row * y_row, y_step, target, width, low, high,
                )  # fmt: skip
                if activation:
                    activate(arena, target, width * LANES, a, b, c)

    return combine
