"""3x3 convolution of stride 1 by Winograd's F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144.

    Y = A^T [ (G g G^T) . (B^T d B) ] A            for each 6x6 input tile d and 3x3 kernel g, summed over channels

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).  Their points (0, +-1, +-2) lose ten
times more to rounding than the direct sum; with (0, +-2/3, +-3/2) it is two to three times (Barabasz et al., "Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020, search for such points).

The transformed tiles are values of the blocked layout, whose pixels are tiles: one for each of the 36 numbers, which
are 36 matrix products.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import prange, types

from jit_kernels._jit import Kernel, device, kernel
from jit_kernels._simd import (
    LANES,
    address,
    clamped,
    constant,
    constants,
    intrinsic,
    load_vector,
    multiply_add,
    spread,
    store_vector,
)
from jit_kernels.blocked.tile import conv_tile_f32

TILE, KERNEL = 4, 3
SIZE = TILE + KERNEL - 1
NUMBERS = SIZE * SIZE
POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)  # and infinity
FIELDS = (
    "batch", "out_h", "out_w", "tile_rows", "tile_columns",
    "x", "x_image", "x_block", "x_row", "in_blocks",
    "out", "out_image", "out_block", "out_row", "out_blocks",
    "added", "added_image", "added_block", "added_row",  # the residual; added = -1: none
    "groups", "k",  # groups of NV blocks of output channels; input channels
    "tiles",  # transformed at a time
    "inputs", "inputs_number", "products", "products_number", "work",  # scratch: starts, strides; work: of a thread
    "threads",
)  # fmt: skip


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
    fma = multiply_add(builder)

    def total(row: Any, columns: Any) -> Any:
        result = None
        for column in columns:
            factor = np.float32(row[column])
            if factor == 0:
                continue
            if result is None:
                result = vectors[column] if factor == 1 else builder.fmul(constants(factor), vectors[column])
            elif factor == 1:
                result = builder.fadd(result, vectors[column])
            else:
                result = builder.call(fma, [constants(factor), vectors[column], result])
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
def transform_input_f32(typing_context: Any, arena: Any, start: Any, row: Any, place: Any, step: Any) -> Any:
    """Write B^T d B of one tile of a block: its 36 numbers to ``arena[place + i * step]``, LANES channels each.

    ``arena[start]`` is the tile's first pixel, ``row`` the distance of its rows.
    """
    signature = types.void(arena, *(types.intp,) * 4)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, start, row, place, step = arguments
        read = address(context, builder, signature, arguments, 0, start)
        written = address(context, builder, signature, arguments, 0, place)
        rows = [builder.gep(read, [builder.mul(row, constant(r))]) for r in range(SIZE)]
        columns = [
            _combine(builder, BT, [load_vector(builder, rows[r], c * LANES) for r in range(SIZE)]) for c in range(SIZE)
        ]
        for r in range(SIZE):
            for c, result in enumerate(_combine(builder, BT, [column[r] for column in columns])):
                target = builder.gep(written, [builder.mul(step, constant(r * SIZE + c))])
                store_vector(builder, result, target)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transform_output_f32(
    typing_context: Any, arena: Any, start: Any, step: Any, out: Any, row: Any, rows: Any, columns: Any, weight: Any,
    bias: Any, added: Any, added_row: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """Write ``clamp(A^T m A + bias + added, low, high)`` of one tile of a block: ``rows`` by ``columns`` pixels, 1..4.

    ``arena[start + i * step]`` is the i-th of the 36 numbers; ``arena[added]`` the residual's first pixel (-1: none).
    """
    signature = types.void(arena, *(types.intp,) * 6, weight, *(types.intp,) * 3, *(types.float32,) * 2)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        _, start, step, out, row, rows, columns, _, bias, added, added_row, low, high = arguments
        read = address(context, b, signature, arguments, 0, start)
        written = address(context, b, signature, arguments, 0, out)
        residual = address(context, b, signature, arguments, 0, added)
        biases = load_vector(b, address(context, b, signature, arguments, 7, bias))
        low, high = spread(b, low), spread(b, high)
        has_residual = b.icmp_signed(">=", added, constant(0))
        halves = []
        for c in range(SIZE):
            places = [b.mul(step, constant(r * SIZE + c)) for r in range(SIZE)]
            halves.append(_combine(b, AT, [load_vector(b, b.gep(read, [place])) for place in places]))
        after = b.append_basic_block("stored")
        for r in range(TILE):
            row_exists = b.append_basic_block("row")
            b.cbranch(b.icmp_signed("<", constant(r), rows), row_exists, after)
            b.position_at_end(row_exists)
            next_row = b.append_basic_block("row.end")
            for c, output in enumerate(_combine(b, AT, [half[r] for half in halves])):
                pixel_exists, plain = b.append_basic_block("pixel"), b.fadd(output, biases)
                b.cbranch(b.icmp_signed("<", constant(c), columns), pixel_exists, next_row)
                b.position_at_end(pixel_exists)
                with_residual, finish = b.append_basic_block("residual"), b.append_basic_block("finish")
                b.cbranch(has_residual, with_residual, finish)
                b.position_at_end(with_residual)
                summed = b.fadd(plain, load_vector(b, b.gep(residual, [b.mul(added_row, constant(r))]), c * LANES))
                b.branch(finish)
                b.position_at_end(finish)
                value = b.phi(plain.type)
                value.add_incoming(plain, pixel_exists)
                value.add_incoming(summed, with_residual)
                target = b.gep(written, [b.mul(row, constant(r))])
                store_vector(b, clamped(b, value, low, high), target, c * LANES)
            b.branch(next_row)
            b.position_at_end(next_row)
        b.branch(after)
        b.position_at_end(after)
        return context.get_dummy_value()

    return signature, codegen


@device
def _transform_inputs(d: Any, arena: Any, first: int, start: int, stop: int, inputs: int) -> None:
    """Transform the tiles ``start..stop``; those worked on together begin with ``first``."""
    tile_rows, tile_columns, x, x_image, x_block, x_row = d[3], d[4], d[5], d[6], d[7], d[8]
    for block in range(d[9]):
        for tile in range(start, stop):
            n, row, column = tile // tile_columns // tile_rows, tile // tile_columns % tile_rows, tile % tile_columns
            source = x + n * x_image + block * x_block + row * TILE * x_row + column * TILE * LANES
            transform_input_f32(arena, source, x_row, inputs + (block * d[21] + tile - first) * LANES, d[23])


@device
def _transform_outputs(
    d: Any, arena: Any, weight: Any, low: Any, high: Any, first: int, start: int, stop: int, products: int
) -> None:
    """Give the outputs of the tiles ``start..stop``; those worked on together begin with ``first``."""
    out_h, out_w, tile_rows, tile_columns, out, out_image, out_block, out_row = (
        d[1], d[2], d[3], d[4], d[10], d[11], d[12], d[13])  # fmt: skip
    added, added_image, added_block, added_row = d[15], d[16], d[17], d[18]
    for block in range(d[14]):
        for tile in range(start, stop):
            n, row, column = tile // tile_columns // tile_rows, tile // tile_columns % tile_rows, tile % tile_columns
            row, column = row * TILE, column * TILE
            target = out + n * out_image + block * out_block + row * out_row + column * LANES
            residual = added + n * added_image + block * added_block + row * added_row + column * LANES
            transform_output_f32(
                arena, products + (block * d[21] + tile - first) * LANES, d[25], target, out_row,
                min(TILE, out_h - row), min(TILE, out_w - column), weight, block * LANES,
                residual if added >= 0 else -1, added_row, low, high,
            )  # fmt: skip


@functools.cache
def winograd_f32(mr: int, nv: int, by_number: bool) -> Kernel:
    """Give the kernel whose matrix products have tiles of ``mr`` by ``nv``.

    ``by_number``: threads share all tiles, and deal the 36 products out; else each has tiles of its own.
    """
    multiply = conv_tile_f32(mr, nv, LANES)
    panel = nv * LANES

    @device
    def products_of(
        d: Any, taps: Any, weight: Any, arena: Any, count: int, start: int, stop: int, inputs: int, products: int
    ) -> None:
        """Multiply ``count`` transformed tiles by the weights of the numbers ``start..stop``, all groups of blocks."""
        groups, k = d[19], d[20]
        zero = weight[0]
        for unit in range(start, stop):
            number, group = unit // groups, unit % groups
            source = inputs + number * d[23]
            target = products + number * d[25] + group * nv * d[21] * LANES
            first = groups * panel + unit * k * panel
            here = min(nv, d[14] - group * nv)
            for tile in range(0, count, mr):
                multiply(
                    arena, source + tile * LANES, taps, 0, taps.size // 2, weight, first, target + tile * LANES,
                    d[21] * LANES, LANES, min(mr, count - tile), here, True, False, 0, -1, 0, zero, zero,
                )  # fmt: skip

    if by_number:

        @kernel("void(i8[::1], i8[::1], f4, f4, f4[::1], f4[::1])", name=f"winograd_numbers_f32_{mr}x{nv}")
        def winograd_numbers(d: Any, taps: Any, low: Any, high: Any, weight: Any, arena: Any) -> None:
            """As ``winograd_tiles``, all tiles at a time.  Parallel axes: tiles; numbers; tiles."""
            count, units, threads, inputs, products = d[21], NUMBERS * d[19], d[27], d[22], d[24]
            for thread in prange(threads):
                start, stop = thread * count // threads, (thread + 1) * count // threads
                _transform_inputs(d, arena, 0, start, stop, inputs)
            for thread in prange(threads):
                start, stop = thread * units // threads, (thread + 1) * units // threads
                products_of(d, taps, weight, arena, count, start, stop, inputs, products)
            for thread in prange(threads):
                start, stop = thread * count // threads, (thread + 1) * count // threads
                _transform_outputs(d, arena, weight, low, high, 0, start, stop, products)

        return winograd_numbers

    @kernel("void(i8[::1], i8[::1], f4, f4, f4[::1], f4[::1])", name=f"winograd_tiles_f32_{mr}x{nv}")
    def winograd_tiles(d: Any, taps: Any, low: Any, high: Any, weight: Any, arena: Any) -> None:
        """Convolve, add bias and residual, clamp to [low, high].

        ``d`` is described by ``FIELDS``; ``taps`` are the blocks of input channels, pairs as in ``conv_tile_f32``.
        ``weight`` holds the bias, LANES a block, then for each of the 36 numbers and each group of blocks a panel
        ``[k][nv][LANES]``.  Parallel axis: groups of tiles.
        """
        tiles, each, threads = d[0] * d[3] * d[4], d[21], d[27]
        units = (tiles + each - 1) // each
        for thread in prange(threads):
            inputs, products = d[22] + thread * d[26], d[24] + thread * d[26]
            for unit in range(thread * units // threads, (thread + 1) * units // threads):
                first, last = unit * each, min((unit + 1) * each, tiles)
                _transform_inputs(d, arena, first, first, last, inputs)
                products_of(d, taps, weight, arena, last - first, 0, NUMBERS * d[19], inputs, products)
                _transform_outputs(d, arena, weight, low, high, first, first, last, products)

    return winograd_tiles
