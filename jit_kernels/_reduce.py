"""Sums and maxima of an array as vector code, in an order that depends on nothing but the array's size.

Numbers are taken sixteen at a time, in turns by two vectors of sixteen accumulators, which are then combined in pairs;
the rest, fewer than sixteen, follow one by one.  LLVM would choose the number of accumulators by the CPU and by the
loop around.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from jit_kernels._elementary import F32, intrinsic

WIDTH = 16  # accumulators in a vector
F64 = ir.DoubleType()


def _reduction(
    start: float,
    kind: Any,
    prepare: Callable[[Any, Any, Any], Any],
    combine: Callable[[Any, Any, Any], Any],
) -> Callable[..., Any]:
    """Make the code of a reduction of a 1-D contiguous array of float32.

    Parameters
    ----------
    start
        What the accumulators, of the LLVM type ``kind``, hold at first.
    prepare
        Takes a builder, float32 numbers (a vector or one) and the reduction's other arguments, and gives what is
        combined.
    combine
        Takes a builder, accumulators and what is combined.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        (size,) = cgutils.unpack_tuple(builder, array.shape, 1)
        vector = ir.VectorType(kind, WIDTH)
        totals = [cgutils.alloca_once_value(builder, ir.Constant(vector, [start] * WIDTH)) for _ in range(2)]

        def add(place: Any, total: Any) -> None:
            pointer = builder.bitcast(builder.gep(array.data, [place]), ir.VectorType(F32, WIDTH).as_pointer())
            prepared = prepare(builder, builder.load(pointer, align=4), arguments[1:])
            builder.store(combine(builder, builder.load(total), prepared), total)

        zero, one, width, pair = (ir.Constant(size.type, value) for value in (0, 1, WIDTH, 2 * WIDTH))
        pairs = builder.and_(size, ir.Constant(size.type, -2 * WIDTH))
        whole = builder.and_(size, ir.Constant(size.type, -WIDTH))
        with cgutils.for_range_slice(builder, zero, pairs, pair, size.type) as (place, _):
            add(place, totals[0])
            add(builder.add(place, width), totals[1])
        with cgutils.for_range_slice(builder, pairs, whole, width, size.type) as (place, _):
            add(place, totals[0])
        result = combine(builder, *map(builder.load, totals))
        for half in (8, 4, 2, 1):
            low, high = (ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(n, n + half))) for n in (0, half))
            undefined = ir.Constant(result.type, ir.Undefined)
            parts = [builder.shuffle_vector(result, undefined, mask) for mask in (low, high)]
            result = combine(builder, *parts)
        last = cgutils.alloca_once_value(builder, builder.extract_element(result, ir.Constant(ir.IntType(32), 0)))
        with cgutils.for_range_slice(builder, whole, size, one, size.type) as (place, _):
            number = builder.load(builder.gep(array.data, [place]))
            builder.store(combine(builder, builder.load(last), prepare(builder, number, arguments[1:])), last)
        return builder.load(last)

    return codegen


def _as_they_are(builder: Any, numbers: Any, others: Any) -> Any:
    return numbers


def _larger(builder: Any, largest: Any, numbers: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", numbers, largest), numbers, largest)


def _wide(builder: Any, numbers: Any, others: Any) -> Any:
    return builder.fpext(numbers, ir.VectorType(F64, WIDTH) if isinstance(numbers.type, ir.VectorType) else F64)


def _square(builder: Any, numbers: Any, others: Any) -> Any:
    wide, (centre,) = _wide(builder, numbers, others), others
    if isinstance(wide.type, ir.VectorType):
        one = builder.insert_element(ir.Constant(wide.type, ir.Undefined), centre, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        centre = builder.shuffle_vector(one, ir.Constant(wide.type, ir.Undefined), everywhere)
    difference = builder.fsub(wide, centre)
    return builder.fmul(difference, difference)


def _sum(builder: Any, total: Any, numbers: Any) -> Any:
    return builder.fadd(total, numbers)


@intrinsic
def largest(typing_context: Any, values: Any) -> Any:
    """Give the largest of a 1-D contiguous array of float32; NaN is passed over, nothing but NaN or none gives -inf."""
    return types.float32(values), _reduction(-math.inf, F32, _as_they_are, _larger)


@intrinsic
def total(typing_context: Any, values: Any) -> Any:
    """Give the sum of a 1-D contiguous array of float32, in float64."""
    return types.float64(values), _reduction(0.0, F64, _wide, _sum)


@intrinsic
def total_of_squares(typing_context: Any, values: Any, centre: Any) -> Any:
    """Give the sum of ``(value - centre)**2`` of a 1-D contiguous array of float32, in float64."""
    return types.float64(values, types.float64), _reduction(0.0, F64, _square, _sum)
