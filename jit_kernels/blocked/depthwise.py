"""Depthwise convolution on the blocked layout: a vector holds one pixel of LANES channels, each with its own kernel."""

from __future__ import annotations

import functools
from typing import Any

from numba import prange, types

from jit_kernels._jit import Kernel, kernel
from jit_kernels._simd import (
    INDEX,
    LANES,
    VECTOR,
    address,
    constant,
    intrinsic,
    load_vector,
    multiply_add,
    spread,
    zeros,
)
from jit_kernels.blocked.activation import row_pass
from jit_kernels.blocked.tile import Tile

PIXELS = 8  # of a tile
FIELDS = (
    "batch", "blocks", "rows", "width",  # of the output
    "x", "x_image", "x_block", "x_row",  # start of the first pixel's first tap, and strides
    "out", "out_image", "out_block", "out_row",
    "threads",
)  # fmt: skip


@functools.cache
def depthwise_tile_f32(step: int) -> Any:
    """Give the micro-kernel of a tile of PIXELS pixels of one block, ``step`` numbers apart in the input."""

    @intrinsic
    def depthwise_tile(
        typing_context: Any, arena: Any, x: Any, taps: Any, weight: Any, first: Any, bias: Any, out: Any, count: Any,
        low: Any, high: Any,
    ) -> Any:  # fmt: skip
        """Write ``count`` pixels: ``clamp(sum over t of weight[first + t] * x[taps[t] + pixel] + bias, low, high)``.

        Pixels from ``count`` on are read too, but not written.
        """
        signature = types.void(arena, types.intp, taps, weight, *(types.intp,) * 4, *(types.float32,) * 2)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, x, taps, _, first, bias, out, count, low, high = arguments
            b, tile = builder, Tile(builder, PIXELS, 1, constant(LANES))
            pixels = address(context, b, signature, arguments, 0, x)
            offsets = address(context, b, signature, arguments, 2, constant(0))
            kernel = address(context, b, signature, arguments, 3, first)
            length = context.make_array(signature.args[2])(context, b, taps).nitems
            fma = multiply_add(b)
            before, loop, done = b.block, b.append_basic_block("taps"), b.append_basic_block("done")
            b.branch(loop)
            b.position_at_end(loop)
            tap, sums = b.phi(INDEX), [b.phi(VECTOR) for _ in range(PIXELS)]
            numbers = b.gep(pixels, [b.load(b.gep(offsets, [tap]))])
            factor = load_vector(b, b.gep(kernel, [b.mul(tap, constant(LANES))]))
            following = b.add(tap, constant(1))
            tap.add_incoming(constant(0), before)
            tap.add_incoming(following, loop)
            results = [b.call(fma, [factor, load_vector(b, numbers, p * step), sums[p]]) for p in range(PIXELS)]
            for total, result in zip(sums, results, strict=True):
                total.add_incoming(zeros(), before)
                total.add_incoming(result, loop)
            b.cbranch(b.icmp_signed("<", following, length), loop, done)
            b.position_at_end(done)
            biases = address(context, b, signature, arguments, 3, bias)
            target = address(context, b, signature, arguments, 0, out)
            no = b.icmp_signed("<", constant(1), constant(0))
            bounds = spread(b, low), spread(b, high)
            one = constant(1)
            tile.finish(results, biases, target, constant(0), no, bounds, target, constant(0), count, one)
            return context.get_dummy_value()

        return signature, codegen

    return depthwise_tile


@functools.cache
def depthwise_f32(step: int, activation: str = "") -> Kernel:
    """Give the kernel for pixels ``step`` numbers apart in the input; ``activation`` as in ``conv_f32``."""
    tile, activate = depthwise_tile_f32(step), row_pass(activation)
    name = f"depthwise_f32_{step}" + f"_{activation}" * bool(activation)

    @kernel("void(i8[::1], i8[::1], f4, f4, f4[::1], f4, f4, f4, f4[::1])", name=name)
    def depthwise(d: Any, taps: Any, low: Any, high: Any, weight: Any, a: Any, b: Any, c: Any, arena: Any) -> None:
        """Convolve each block with its kernels, add the bias, clamp to [low, high], apply the activation.

        ``d`` is described by ``FIELDS``; ``taps`` say where each tap reads.  ``weight`` holds the bias, LANES a block,
        then for each block ``[tap][LANES]``.  Parallel axis: output rows of all blocks.
        """
        batch, blocks, rows, width, x, x_image, x_block, x_row, out, out_image, out_block, out_row, threads = (
            d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12])  # fmt: skip
        total = batch * blocks * rows
        for thread in prange(threads):
            for unit in range(thread * total // threads, (thread + 1) * total // threads):
                row, block, n = unit % rows, unit // rows % blocks, unit // rows // blocks
                source = x + n * x_image + block * x_block + row * x_row
                target = out + n * out_image + block * out_block + row * out_row
                start = (blocks + block * taps.size) * LANES
                for column in range(0, width, PIXELS):
                    tile(
                        arena, source + column * step, taps, weight, start, block * LANES, target + column * LANES,
                        min(PIXELS, width - column), low, high,
                    )  # fmt: skip
                if activation:
                    activate(arena, target, width * LANES, a, b, c)

    return depthwise
