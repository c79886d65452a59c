"""3x3 convolution of stride 1 by Winograd's F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144.

    Y = A^T [ (G g G^T) . (B^T d B) ] A            for each 6x6 input tile d and 3x3 kernel g, summed over channels

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).  Their points (0, +-1, +-2) lose ten
times more to rounding than the direct sum; with (0, +-2/3, +-3/2) it is two to three times (Barabasz et al., "Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020, search for such points).

The input is laid out by ``layout.py`` with a stride of 4: number (r, c) of
neighbouring tiles then lies in neighbouring places, and a vector holds one number of LANES tiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils

from jit_kernels._jit import kernel
from jit_kernels._simd import (
    INDEX,
    LANES,
    MR,
    NR,
    NV,
    VECTOR,
    address,
    finish_row_f32,
    gemm_micro_f32,
    intrinsic,
    load_vector,
    store_vector,
)

TILE, KERNEL = 4, 3
SIZE = TILE + KERNEL - 1
POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)  # and infinity


def transforms() -> tuple[Any, Any, Any]:
    """Work out A^T (4x6), G (6x3) and B^T (6x6) in float64 from the points (Toom-Cook, the last point at infinity)."""
    finite = len(POINTS)
    at, g, bt = np.zeros((TILE, SIZE)), np.zeros((SIZE, KERNEL)), np.zeros((SIZE, SIZE))
    for i, point in enumerate(POINTS):
        others = [other for j, other in enumerate(POINTS) if j != i]
        at[:, i] = point ** np.arange(TILE)
        g[i] = point ** np.arange(KERNEL) / np.prod([point - other for other in others])
        bt[i, :finite] = np.poly(others)[::-1]
    at[TILE - 1, finite] = g[finite, KERNEL - 1] = 1
    bt[finite] = np.poly(POINTS)[::-1]
    bt[np.abs(bt) < 1e-12] = 0
    return at, g, bt


AT, G, BT = transforms()


def _combine(builder: Any, matrix: Any, vectors: list[Any]) -> list[Any]:
    """Multiply a constant matrix by vectors; rows that differ in the sign of odd columns only share both halves."""
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32")

    def total(row: Any, columns: Any) -> Any:
        result = None
        for column in columns:
            factor = np.float32(row[column])
            if factor == 0:
                continue
            constant = ir.Constant(VECTOR, [float(factor)] * LANES)
            if result is None:
                result = vectors[column] if factor == 1 else builder.fmul(constant, vectors[column])
            elif factor == 1:
                result = builder.fadd(result, vectors[column])
            else:
                result = builder.call(fma, [constant, vectors[column], result])
        return result

    results: list[Any] = []
    halves: dict[tuple[Any, ...], tuple[Any, Any]] = {}
    for row in matrix:
        even, odd = tuple(row[0::2]), tuple(row[1::2])
        minus = (even, tuple(-value for value in odd))
        if minus in halves and any(even) and any(odd):
            first, second = halves[minus]
            results.append(builder.fsub(first, second))
            continue
        first, second = total(row, range(0, len(row), 2)), total(row, range(1, len(row), 2))
        halves[(even, odd)] = (first, second)
        results.append(builder.fadd(first, second) if first and second else first or second)
    return results


@intrinsic
def transform_input_f32(
    typing_context: Any, source: Any, start: Any, plane: Any, row: Any, target: Any, place: Any, step: Any
) -> Any:
    """Write B^T d B of NR tiles: its 36 numbers to ``target[place + i * step]``, NR at a time.

    ``source[start]`` is number (0, 0) of the first tile as laid out; ``plane`` and ``row`` are the lengths of a plane
    (one of 16 phases) and of its rows.
    """
    signature = types.void(source, types.intp, types.intp, types.intp, target, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, start, plane, row, _, place, step = arguments
        read = address(context, builder, signature, arguments, 0, start)
        written = address(context, builder, signature, arguments, 4, place)
        for v in range(NV):
            columns = []
            for c in range(SIZE):
                numbers = []
                for r in range(SIZE):
                    phase = builder.mul(plane, ir.Constant(INDEX, r % TILE * TILE + c % TILE))
                    shift = builder.add(builder.mul(row, ir.Constant(INDEX, r // TILE)), ir.Constant(INDEX, c // TILE))
                    numbers.append(load_vector(builder, builder.gep(read, [builder.add(phase, shift)]), v * LANES))
                columns.append(_combine(builder, BT, numbers))
            for r in range(SIZE):
                for c, result in enumerate(_combine(builder, BT, [column[r] for column in columns])):
                    target = builder.gep(written, [builder.mul(step, ir.Constant(INDEX, r * SIZE + c))])
                    store_vector(builder, result, target, v * LANES)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transform_output_f32(typing_context: Any, source: Any, start: Any, step: Any, target: Any, place: Any) -> Any:
    """Write A^T m A of NR tiles as four rows of 4 * NR neighbouring outputs, from ``target[place]`` on.

    ``source[start + i * step]`` is the i-th of the 36 numbers of the first tile.
    """
    signature = types.void(source, types.intp, types.intp, target, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, start, step, _, place = arguments
        read = address(context, builder, signature, arguments, 0, start)
        written = address(context, builder, signature, arguments, 3, place)
        for v in range(NV):
            columns = []
            for c in range(SIZE):
                places = [builder.mul(step, ir.Constant(INDEX, r * SIZE + c)) for r in range(SIZE)]
                numbers = [load_vector(builder, builder.gep(read, [place]), v * LANES) for place in places]
                columns.append(_combine(builder, AT, numbers))
            for r in range(TILE):
                outputs = _combine(builder, AT, [column[r] for column in columns])
                _store_interleaved(builder, outputs, written, (r * NR + v * LANES) * TILE)
        return context.get_dummy_value()

    return signature, codegen


def _store_interleaved(builder: Any, vectors: list[Any], pointer: Any, offset: int) -> None:
    """Store four vectors so that lane 0 of all comes first, then lane 1 of all, ..."""

    def shuffled(first: Any, second: Any, mask: list[int]) -> Any:
        kind = ir.VectorType(ir.IntType(32), len(mask))
        return builder.shuffle_vector(first, second, ir.Constant(kind, mask))

    def interleaved(first: Any, second: Any, lanes: int, width: int) -> Any:
        mask = []
        for lane in range(0, lanes, width):
            mask += [lane + i for i in range(width)] + [lanes + lane + i for i in range(width)]
        return shuffled(first, second, mask)

    left = interleaved(vectors[0], vectors[1], LANES, 1)
    right = interleaved(vectors[2], vectors[3], LANES, 1)
    whole = interleaved(left, right, 2 * LANES, 2)
    for part in range(TILE):
        piece = shuffled(whole, whole, list(range(part * LANES, (part + 1) * LANES)))
        store_vector(builder, piece, pointer, offset + part * LANES)


@kernel(
    "void(f4[::1], i8, i8, i8, i8, i8, i8, i8, f4[::1], f4[::1], f4, f4, i8, f4[::1], f4[:,::1], f4[::1])", writes=2
)
def conv3x3_winograd_f32(
    x: Any, batch: int, channels: int, plane: int, plane_w: int, out_channels: int, out_h: int, out_w: int, weight: Any,
    bias: Any, low: Any, high: Any, threads: int, residual: Any, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Convolve ``batch`` images ``x``, one behind the other as laid out by 4, with the transformed, packed weight.

    ``plane`` and ``plane_w`` are the numbers of one phase of a channel and of its rows.  ``weight`` holds, for each of
    the 36 numbers, the row panels of (O, C).  Then bias, residual (as ``out``; or of size 0) and clamp, written to
    ``out``, (N, O, H, W) flattened.  ``scratch`` holds for each thread 36 panels of the input, 36 tiles of every row
    panel, and 17 rows.  Parallel axis: panels of NR tiles.
    """
    tile_rows, tile_columns = (out_h + TILE - 1) // TILE, (out_w + TILE - 1) // TILE
    counted = tile_rows * plane_w - (plane_w - tile_columns)
    panels = (counted + NR - 1) // NR
    row_panels = (out_channels + MR - 1) // MR
    total = batch * panels
    numbers = SIZE * SIZE
    image = channels * TILE * TILE * plane
    for thread in prange(threads):
        work = scratch[thread]
        tiles = numbers * channels * NR
        rows = tiles + numbers * row_panels * MR * NR
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            n, first = unit // panels, unit % panels * NR
            for c in range(channels):
                start = n * image + c * TILE * TILE * plane + first
                transform_input_f32(x, start, plane, plane_w, work, c * NR, channels * NR)
            for number in range(numbers):
                for row_panel in range(row_panels):
                    block = number * row_panels + row_panel
                    gemm_micro_f32(
                        weight, block * channels * MR, work, number * channels * NR, channels, work,
                        tiles + block * MR * NR,
                    )  # fmt: skip
            count = min(NR, counted - first)
            for o in range(out_channels):
                transform_output_f32(work, tiles + o * NR, row_panels * MR * NR, work, rows)
                done = 0
                while done < count:
                    tile_row, tile_column = (first + done) // plane_w, (first + done) % plane_w
                    run = min(plane_w - tile_column, count - done)
                    kept = min(min(tile_columns - tile_column, run) * TILE, out_w - tile_column * TILE)
                    for r in range(min(TILE, out_h - tile_row * TILE)):
                        start = ((n * out_channels + o) * out_h + tile_row * TILE + r) * out_w + tile_column * TILE
                        for column in range(0, kept, NR):
                            place, count_here = rows + (r * NR + done) * TILE + column, min(NR, kept - column)
                            finish_row_f32(
                                work, place, count_here, bias[o], low, high, residual, out, start + column
                            )  # fmt: skip
                    done += run
