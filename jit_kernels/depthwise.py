"""Depthwise convolution, NCHW, float32: direct, vectorised along the row."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import prange, types
from numba.core import cgutils

from jit_kernels._jit import kernel
from jit_kernels._simd import (
    F32,
    INDEX,
    LANES,
    NR,
    NV,
    VECTOR,
    address,
    finish_row_f32,
    intrinsic,
    load_vector,
    spread,
    store_vector,
)
from jit_kernels.layout import lay_out_plane, zero


@intrinsic
def sum_taps_f32(
    typing_context: Any, source: Any, start: Any, offsets: Any, weight: Any, first: Any, tile: Any, place: Any
) -> Any:
    """Write NR sums: ``tile[place + j] = sum over t of weight[first + t] * source[start + offsets[t] + j]``."""
    signature = types.void(source, types.intp, offsets, weight, types.intp, tile, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, start, taps, _, first, _, place = arguments
        zero = ir.Constant(INDEX, 0)
        read = address(context, builder, signature, arguments, 0, start)
        offset = address(context, builder, signature, arguments, 2, zero)
        factor = address(context, builder, signature, arguments, 3, first)
        written = address(context, builder, signature, arguments, 5, place)
        count = context.make_array(signature.args[2])(context, builder, taps).nitems
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32"
        )
        before = builder.block
        loop, after = builder.append_basic_block("taps"), builder.append_basic_block("taps.end")
        builder.branch(loop)
        builder.position_at_end(loop)
        tap = builder.phi(INDEX)
        tap.add_incoming(zero, before)
        sums = [builder.phi(VECTOR) for _ in range(NV)]
        numbers = builder.gep(read, [builder.load(builder.gep(offset, [tap]))])
        scalars = spread(builder, builder.load(builder.gep(factor, [tap])), F32)
        for v, total in enumerate(sums):
            total.add_incoming(ir.Constant(VECTOR, [0.0] * LANES), before)
            total.add_incoming(builder.call(fma, [scalars, load_vector(builder, numbers, v * LANES), total]), loop)
        following = builder.add(tap, ir.Constant(INDEX, 1))
        tap.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        for v, total in enumerate(sums):
            result = next(value for value, block in total.incomings if block is loop)
            store_vector(builder, result, written, v * LANES)
        return context.get_dummy_value()

    return signature, codegen


@kernel(
    "void(f4[::1], i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8[::1], i8, i8, i8, f4[::1], f4[::1], f4, f4, i8, "
    "f4[:,::1], f4[::1])",
    writes=2,
)
def depthwise_conv2d_nchw_f32(
    x: Any, batch: int, channels: int, in_h: int, in_w: int, pad_top: int, pad_left: int, stride_h: int, stride_w: int,
    plane_h: int, plane_w: int, offsets: Any, out_channels: int, out_h: int, out_w: int, weight: Any, bias: Any,
    low: Any, high: Any, threads: int, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Convolve each plane of ``x``, (N, C, H, W) flattened, with its own kernels.

    ``weight`` is (O, taps) flattened, O a multiple of C; ``offsets`` (taps,) say where each tap reads in a plane as
    laid out by phase.  Add ``bias`` (O,), clamp to [low, high], write ``out``, (N, O, OH, OW) flattened.  ``scratch``
    holds, for each thread, a laid-out plane, a tile and a padded row.  Parallel axis: input planes.
    """
    taps, multiplier = offsets.size, out_channels // channels
    plane_size = stride_h * stride_w * plane_h * plane_w + NR + plane_w
    counted = (out_h - 1) * plane_w + out_w
    total = batch * channels
    for thread in prange(threads):
        plane = scratch[thread]
        tile = plane_size
        row, nothing = plane[tile + 2 * NR :], bias[:0]
        zero(row, 0, row.size)
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            n, c = unit // channels, unit % channels
            lay_out_plane(
                x,
                unit * in_h * in_w,
                in_h,
                in_w,
                pad_top,
                pad_left,
                stride_h,
                stride_w,
                plane_h,
                plane_w,
                row,
                plane,
                0,
            )
            for o in range(c * multiplier, (c + 1) * multiplier):
                for first in range(0, counted, NR):
                    sum_taps_f32(plane, first, offsets, weight, o * taps, plane, tile)
                    count = min(NR, counted - first)
                    done = 0
                    while done < count:
                        i, j = (first + done) // plane_w, (first + done) % plane_w
                        run = min(plane_w - j, count - done)
                        kept = min(out_w - j, run)
                        if kept > 0:
                            start = ((n * out_channels + o) * out_h + i) * out_w + j
                            finish_row_f32(plane, tile + done, kept, bias[o], low, high, nothing, out, start)
                        done += run
