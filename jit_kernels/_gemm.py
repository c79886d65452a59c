"""Matrix products of small blocks in vector code: the register tile, and the copies that bring operands in order.

``out = a @ b``: ``a`` (rows, k) lies in rows; ``b`` (k, columns) in *panels* of PANEL columns, each ``[k][PANEL]``, the
last one ``[k][LANES]`` if it has no more columns.  Rows come in groups of ROWS.  What rows and columns hold beyond the
matrices is computed too, and is nobody's.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import types

from jit_kernels._elementary import inlined
from jit_kernels._simd import (
    INDEX,
    LANES,
    REGISTERS,
    VECTOR,
    address,
    constant,
    intrinsic,
    load_vector,
    multiply_add,
    spread,
    store_vector,
    zeros,
)

ROWS = 8 if REGISTERS == 32 else 6  # of a tile: with two vectors of columns the sums fill the registers
PANEL = 2 * LANES


@functools.cache
def gemm_tile_f32(vectors: int) -> Any:
    """Give the micro-kernel for ROWS rows and so many vectors of columns."""

    @intrinsic
    def gemm_tile(
        typing_context: Any, memory: Any, a: Any, a_row: Any, panel: Any, k: Any, out: Any, out_row: Any
    ) -> Any:
        """Write ``a @ panel``, summed over ``k`` (>= 1) in order.

        Parameters
        ----------
        memory
            Array that holds all three.
        a, a_row
            Start of the rows, and the distance of the next one.
        panel
            Start of ``[k][vectors * LANES]``.
        out, out_row
            Where the rows go.
        """

        def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            _, a, a_row, panel, k, out, out_row = arguments
            place = functools.partial(address, context, b, signature, arguments, 0)
            rows = [place(b.add(a, b.mul(a_row, constant(row)))) for row in range(ROWS)]
            sums = _sums(b, rows, place(panel), k, vectors)
            for row in range(ROWS):
                target = place(b.add(out, b.mul(out_row, constant(row))))
                for vector in range(vectors):
                    store_vector(b, sums[row * vectors + vector], target, vector * LANES)
            return context.get_dummy_value()

        return types.void(memory, *(types.intp,) * 6), codegen

    return gemm_tile


def _sums(b: Any, rows: list[Any], panel: Any, k: Any, vectors: int) -> list[Any]:
    """Write the loop over k; give its sums, row by row."""
    before, loop, done = b.block, b.append_basic_block("k"), b.append_basic_block("summed")
    b.branch(loop)
    b.position_at_end(loop)
    step, numbers = b.phi(INDEX), b.phi(panel.type)
    sums = [b.phi(VECTOR) for _ in range(len(rows) * vectors)]
    columns = [load_vector(b, numbers, vector * LANES) for vector in range(vectors)]
    results = []
    for row, start in enumerate(rows):
        scalars = spread(b, b.load(b.gep(start, [step])))
        results += [
            b.call(multiply_add(b), [scalars, columns[vector], sums[row * vectors + vector]])
            for vector in range(vectors)
        ]
    following = b.add(step, constant(1))
    after = [following, b.gep(numbers, [constant(vectors * LANES)]), *results]
    firsts = [constant(0), panel, *[zeros()] * len(sums)]
    for phi, first, value in zip((step, numbers, *sums), firsts, after, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_signed("<", following, k), loop, done)
    b.position_at_end(done)
    return results


tile_of_two, tile_of_one = gemm_tile_f32(2), gemm_tile_f32(1)


@inlined
def padded(columns: Any) -> Any:
    """Give the columns that panels have room for."""
    return (columns + LANES - 1) // LANES * LANES


@inlined
def multiply_panels(
    memory: Any, a: Any, a_row: Any, rows: Any, b: Any, first: Any, last: Any, columns: Any, depth: Any, begin: Any,
    end: Any, out: Any, out_row: Any,
) -> None:  # fmt: skip
    """Write ``a[:, begin:end] @ b[begin:end]`` for the panels from column ``first`` (of a panel) to ``last``.

    Parameters
    ----------
    memory
        Array that holds all three.
    a, a_row, rows
        Start of the rows, the distance of the next one, and how many (a multiple of ROWS).
    b, columns, depth
        Start of the panels, the columns of all of them, and their whole k.
    out, out_row
        Where the first column of the first row goes, and the distance of the next row.
    """
    for column in range(first, last, PANEL):
        panel = b + column * depth
        if padded(columns) - column > LANES:
            for row in range(0, rows, ROWS):
                tile_of_two(
                    memory, a + row * a_row + begin, a_row, panel + begin * PANEL, end - begin,
                    out + row * out_row + column, out_row,
                )  # fmt: skip
        else:
            for row in range(0, rows, ROWS):
                tile_of_one(
                    memory, a + row * a_row + begin, a_row, panel + begin * LANES, end - begin,
                    out + row * out_row + column, out_row,
                )  # fmt: skip


@inlined
def pack_rows(x: Any, start: Any, row: Any, depth: Any, columns: Any, memory: Any, b: Any) -> None:
    """Write (depth, columns) numbers of ``x``, 1-D, whose rows are ``row`` apart, as panels."""
    for column in range(0, columns, PANEL):
        width = PANEL if padded(columns) - column > LANES else LANES
        count = min(width, columns - column)
        for step in range(depth):
            source, target = start + step * row + column, b + column * depth + step * width
            copy(x[source : source + count], memory[target : target + count])


@inlined
def copy(x: Any, out: Any) -> None:
    """Copy numbers."""
    for i in range(out.size):
        out[i] = x[i]


@intrinsic
def transpose_square(typing_context: Any, x: Any, start: Any, row: Any, memory: Any, out: Any, out_row: Any) -> Any:
    """Copy LANES rows of LANES numbers of the memory of ``x``, ``row`` apart, as columns of rows ``out_row`` apart."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, start, row, _, out, out_row = arguments
        vectors = [
            load_vector(b, address(context, b, signature, arguments, 0, b.add(start, b.mul(row, constant(i)))))
            for i in range(LANES)
        ]
        # Each round takes every vector together with the one half the square away, number by number.
        half = LANES // 2
        low, high = (
            ir.Constant(ir.VectorType(ir.IntType(32), LANES), [n for i in range(at, at + half) for n in (i, LANES + i)])
            for at in (0, half)
        )
        for _ in range(LANES.bit_length() - 1):
            pairs = [(vectors[i], vectors[i + half]) for i in range(half)]
            vectors = [b.shuffle_vector(*pair, mask) for pair in pairs for mask in (low, high)]
        for i, vector in enumerate(vectors):
            place = address(context, b, signature, arguments, 3, b.add(out, b.mul(out_row, constant(i))))
            store_vector(b, vector, place)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, memory, types.intp, types.intp), codegen


@inlined
def pack_columns(x: Any, start: Any, row: Any, columns: Any, depth: Any, memory: Any, b: Any) -> None:
    """Write the transpose of (columns, depth) numbers of ``x``, 1-D, whose rows are ``row`` apart, as panels."""
    for column in range(0, columns, LANES):
        wide = padded(columns) - column // PANEL * PANEL > LANES
        width = PANEL if wide else LANES
        panel = b + column // PANEL * PANEL * depth + column % PANEL
        count = min(LANES, columns - column)
        whole = depth // LANES * LANES if count == LANES else 0
        for k in range(0, whole, LANES):
            transpose_square(x, start + column * row + k, row, memory, panel + k * width, width)
        for k in range(whole, depth):
            for i in range(count):
                memory[panel + k * width + i] = x[start + (column + i) * row + k]
