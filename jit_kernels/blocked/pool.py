"""Pooling on the blocked layout: a vector holds one pixel of LANES channels."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import prange, types

from jit_kernels._jit import Kernel, kernel
from jit_kernels._simd import (
    INDEX,
    LANES,
    VECTOR,
    address,
    constant,
    constants,
    intrinsic,
    load_vector,
    spread,
    store_vector,
    zeros,
)

FIELDS = (
    "batch", "blocks", "rows", "width",  # of the output
    "x", "x_image", "x_block", "x_row", "in_rows", "in_width",
    "out", "out_image", "out_block", "out_row",
    "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left",
    "count_pads",  # whether a mean is divided by the window's size even where it reaches beyond the input
    "threads",
)  # fmt: skip


def _larger(builder: Any, total: Any, value: Any) -> Any:
    """Take the larger; a NaN is passed over."""
    return builder.select(builder.fcmp_ordered(">", value, total), value, total)


def _larger_or_nan(builder: Any, total: Any, value: Any) -> Any:
    """Take the larger; a NaN stays, and wins."""
    wins = builder.or_(builder.fcmp_ordered(">", value, total), builder.fcmp_unordered("uno", value, value))
    holds = builder.fcmp_unordered("uno", total, total)
    return builder.select(builder.and_(wins, builder.not_(holds)), value, total)


def _sum(builder: Any, total: Any, value: Any) -> Any:
    return builder.fadd(total, value)


# As in TensorFlow the search of a window starts from the lowest finite number, that of a whole plane from -inf.
REDUCTIONS = {
    "max": (float(np.finfo(np.float32).min), _larger),
    "global_max": (-np.inf, _larger_or_nan),
    "mean": (0.0, _sum),
}


@functools.cache
def reduce_window_f32(reduction: str) -> Any:
    """Give the intrinsic that reduces a window of one block to a pixel."""
    start_value, combine = REDUCTIONS[reduction]

    @intrinsic
    def reduce_window(
        typing_context: Any, arena: Any, x: Any, rows: Any, columns: Any, row: Any, factor: Any, out: Any
    ) -> Any:
        """Reduce ``rows`` by ``columns`` pixels (both >= 1) from ``arena[x]`` on, times ``factor``, to ``arena[out]``.

        Each row is reduced first, then the rows' results: a sum of many pixels loses less to rounding.
        """
        signature = types.void(arena, *(types.intp,) * 4, types.float32, types.intp)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            b = builder
            _, x, rows, columns, row, factor, out = arguments
            first = address(context, b, signature, arguments, 0, x)
            target = address(context, b, signature, arguments, 0, out)
            initial = zeros() if reduction == "mean" else constants(start_value)
            before, outer, inner, row_end, done = (
                b.block, *(b.append_basic_block(name) for name in ("rows", "columns", "row.end", "done"))
            )  # fmt: skip
            b.branch(outer)
            b.position_at_end(outer)
            i, total = b.phi(INDEX), b.phi(VECTOR)
            i.add_incoming(constant(0), before)
            total.add_incoming(initial, before)
            line = b.gep(first, [b.mul(i, row)])
            b.branch(inner)
            b.position_at_end(inner)
            j, part = b.phi(INDEX), b.phi(VECTOR)
            j.add_incoming(constant(0), outer)
            part.add_incoming(initial, outer)
            reduced = combine(b, part, load_vector(b, b.gep(line, [b.mul(j, constant(LANES))])))
            next_j = b.add(j, constant(1))
            j.add_incoming(next_j, inner)
            part.add_incoming(reduced, inner)
            b.cbranch(b.icmp_signed("<", next_j, columns), inner, row_end)
            b.position_at_end(row_end)
            whole, next_i = combine(b, total, reduced), b.add(i, constant(1))
            i.add_incoming(next_i, row_end)
            total.add_incoming(whole, row_end)
            b.cbranch(b.icmp_signed("<", next_i, rows), outer, done)
            b.position_at_end(done)
            store_vector(b, b.fdiv(whole, spread(b, factor)) if reduction == "mean" else whole, target)
            return context.get_dummy_value()

        return signature, codegen

    return reduce_window


@functools.cache
def pool_f32(reduction: str) -> Kernel:
    """Give the kernel of a reduction: ``max``, ``global_max`` (NaN wins) or ``mean``."""
    reduce_window = reduce_window_f32(reduction)

    @kernel("void(i8[::1], f4[::1])", name=f"{reduction}_pool_f32")
    def pool(d: Any, arena: Any) -> None:
        """Reduce each window, cut to the pixels that exist.  Parallel axis: output rows of all blocks.

        ``d`` is described by ``FIELDS``.
        """
        (batch, blocks, rows, width, x, x_image, x_block, x_row, in_rows, in_width, out, out_image, out_block, out_row,
         kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, count_pads, threads) = (
            d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14], d[15],
            d[16], d[17], d[18], d[19], d[20], d[21])  # fmt: skip
        total = batch * blocks * rows
        for thread in prange(threads):
            for unit in range(thread * total // threads, (thread + 1) * total // threads):
                row, block, n = unit % rows, unit // rows % blocks, unit // rows // blocks
                top = row * stride_h - pad_top
                first_row, last_row = max(top, 0), min(top + kernel_h, in_rows)
                source = x + n * x_image + block * x_block + first_row * x_row
                target = out + n * out_image + block * out_block + row * out_row
                for column in range(width):
                    left = column * stride_w - pad_left
                    first, last = max(left, 0), min(left + kernel_w, in_width)
                    cells = kernel_h * kernel_w if count_pads != 0 else (last_row - first_row) * (last - first)
                    reduce_window(
                        arena, source + first * LANES, last_row - first_row, last - first, x_row, np.float32(cells),
                        target + column * LANES,
                    )  # fmt: skip

    return pool
