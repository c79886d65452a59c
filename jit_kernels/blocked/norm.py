"""Batch normalization that no convolution takes in, on the blocked layout."""

from __future__ import annotations

import functools
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
    multiply_add,
    spread,
    store_vector,
)
from jit_kernels.blocked.activation import row_pass

FIELDS = (
    "batch", "blocks", "rows", "width",
    "x", "x_image", "x_block", "x_row",
    "out", "out_image", "out_block", "out_row",
    "threads",
)  # fmt: skip


@intrinsic
def normalize_run_f32(
    typing_context: Any, arena: Any, x: Any, weight: Any, first: Any, second: Any, third: Any, out: Any, count: Any,
    low: Any, high: Any,
) -> Any:  # fmt: skip
    """Write ``clamp((x - mean) * factor + bias, low, high)`` of ``count`` pixels (>= 1) of a block.

    ``weight[first]``, ``weight[second]`` and ``weight[third]`` start the means, factors and biases, LANES each.
    """
    signature = types.void(arena, types.intp, weight, *(types.intp,) * 5, *(types.float32,) * 2)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        _, x, _, first, second, third, out, count, low, high = arguments
        source, target = (address(context, b, signature, arguments, 0, start) for start in (x, out))
        mean, factor, bias = (
            load_vector(b, address(context, b, signature, arguments, 2, start)) for start in (first, second, third)
        )
        low, high, fma = spread(b, low), spread(b, high), multiply_add(b)

        def write(pixel: Any) -> None:
            shift = b.mul(pixel, constant(LANES))
            value = b.call(fma, [b.fsub(load_vector(b, b.gep(source, [shift])), mean), factor, bias])
            store_vector(b, clamped(b, value, low, high), b.gep(target, [shift]))

        each_pixel(b, count, write)
        return context.get_dummy_value()

    return signature, codegen


@functools.cache
def normalize_f32(activation: str = "") -> Kernel:
    """Give the kernel; ``activation`` as in ``conv_f32``."""
    activate = row_pass(activation)

    @kernel(
        "void(i8[::1], f4, f4, f4[::1], f4, f4, f4, f4[::1])",
        name="blocked_norm_f32" + f"_{activation}" * bool(activation),
    )
    def normalize(d: Any, low: Any, high: Any, weight: Any, a: Any, b: Any, c: Any, arena: Any) -> None:
        """Normalize with a mean, factor and bias for each channel, clamp to [low, high], apply the activation.

        ``d`` is described by ``FIELDS``; ``weight`` holds all means, then all factors, then all biases, LANES a block.
        Parallel axis: rows of all blocks.
        """
        batch, blocks, rows, width, x, x_image, x_block, x_row, out, out_image, out_block, out_row, threads = (
            d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12])  # fmt: skip
        total = batch * blocks * rows
        for thread in prange(threads):
            for unit in range(thread * total // threads, (thread + 1) * total // threads):
                row, block, n = unit % rows, unit // rows % blocks, unit // rows // blocks
                target = out + n * out_image + block * out_block + row * out_row
                normalize_run_f32(
                    arena, x + n * x_image + block * x_block + row * x_row, weight, block * LANES,
                    (blocks + block) * LANES, (2 * blocks + block) * LANES, target, width, low, high,
                )  # fmt: skip
                if activation:
                    activate(arena, target, width * LANES, a, b, c)

    return normalize
