"""The micro-kernel: a register tile of a matrix product, written as LLVM vector code through a Numba intrinsic.

The tile is ``MR`` rows by ``NV`` vectors of ``LANES`` float32.  One loop over k holds all MR x NV accumulators in
registers; each step loads NV vectors of packed B, broadcasts MR scalars of packed A, and issues MR x NV fused
multiply-adds.  LLVM schedules the rest.  The shape is chosen from the CPU at import:

=========  =====  ==  ==  ===================================================
CPU        LANES  MR  NV  registers: accumulators + B vectors + one of A
=========  =====  ==  ==  ===================================================
AVX-512    16     12  2   24 + 2 + 1 of 32
AVX2, FMA  8      6   2   12 + 2 + 1 of 16
others     4      6   2   12 + 2 + 1 of 16 or more (SSE, NEON)
=========  =====  ==  ==  ===================================================

Packed panels: A is ``[k][MR]``, B is ``[k][NR]`` with ``NR = NV * LANES``, both contiguous and padded with zeros, so
the micro-kernel has no edges and reads nothing out of bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic as numba_intrinsic

# Numba's own type counts the typing context as an argument of the call.
intrinsic: Callable[[Callable[..., Any]], Any] = numba_intrinsic


def _features() -> set[str]:
    """Give the CPU's features, or those that numba is told to compile for (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES)."""
    told: Any = config
    if told.CPU_NAME is not None:
        return {feature[1:] for feature in (told.CPU_FEATURES or "").split(",") if feature.startswith("+")}
    return {name for name, present in llvm.get_host_cpu_features().items() if present}


_FEATURES = _features()
if "avx512f" in _FEATURES:
    LANES, MR, NV = 16, 12, 2
elif {"avx2", "fma"} <= _FEATURES:
    LANES, MR, NV = 8, 6, 2
else:
    LANES, MR, NV = 4, 6, 2
NR = NV * LANES

F32 = ir.FloatType()
VECTOR = ir.VectorType(F32, LANES)
INDEX = ir.IntType(64)


@intrinsic
def gemm_micro_f32(
    typing_context: Any, a: Any, a_start: Any, b: Any, b_start: Any, k: Any, tile: Any, tile_start: Any
) -> Any:
    """Multiply one panel of A by one panel of B: ``tile[i, j] = sum over k of A[k, i] * B[k, j]``.

    Parameters
    ----------
    a, b
        1-D float32 arrays that hold the panels, ``k * MR`` and ``k * NR`` numbers from ``a_start`` and ``b_start`` on.
    k
        Length of the sum, >= 0.
    tile
        1-D float32 array; ``MR * NR`` numbers from ``tile_start`` on are written, row by row.
    """
    signature = types.void(a, types.intp, b, types.intp, types.intp, tile, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(INDEX, 0)
        a_data = address(context, builder, signature, arguments, 0, arguments[1])
        b_data = address(context, builder, signature, arguments, 2, arguments[3])
        tile_data = address(context, builder, signature, arguments, 5, arguments[6])
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32"
        )
        before = builder.block
        loop, after = builder.append_basic_block("k.loop"), builder.append_basic_block("k.end")
        nothing = ir.Constant(VECTOR, [0.0] * LANES)
        builder.cbranch(builder.icmp_signed(">", arguments[4], zero), loop, after)

        builder.position_at_end(loop)
        step = builder.phi(INDEX)
        step.add_incoming(zero, before)
        sums = [builder.phi(VECTOR) for _ in range(MR * NV)]
        a_row = builder.gep(a_data, [builder.mul(step, ir.Constant(INDEX, MR))])
        b_row = builder.gep(b_data, [builder.mul(step, ir.Constant(INDEX, NR))])
        vectors = [load_vector(builder, b_row, v * LANES) for v in range(NV)]
        results = []
        for row in range(MR):
            scalar = builder.load(builder.gep(a_row, [ir.Constant(INDEX, row)]))
            scalars = spread(builder, scalar)
            results += [builder.call(fma, [scalars, vectors[v], sums[row * NV + v]]) for v in range(NV)]
        following = builder.add(step, ir.Constant(INDEX, 1))
        step.add_incoming(following, loop)
        for total, result in zip(sums, results, strict=True):
            total.add_incoming(nothing, before)
            total.add_incoming(result, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[4]), loop, after)

        builder.position_at_end(after)
        for place, result in enumerate(results):
            final = builder.phi(VECTOR)
            final.add_incoming(nothing, before)
            final.add_incoming(result, loop)
            results[place] = final
        for place, final in enumerate(results):
            store_vector(builder, final, tile_data, place * LANES)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_row_f32(typing_context: Any, source: Any, start: Any, target: Any, place: Any) -> Any:
    """Copy NR numbers, ``target[place + j] = source[start + j]``, as NV vectors.

    Numba's own loop would ask of every index whether it counts from the end, and so not be vectorised.
    """
    signature = types.void(source, types.intp, target, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        read = address(context, builder, signature, arguments, 0, arguments[1])
        written = address(context, builder, signature, arguments, 2, arguments[3])
        for vector in [load_vector(builder, read, v * LANES) for v in range(NV)]:
            store_vector(builder, vector, written, 0)
            written = builder.gep(written, [ir.Constant(INDEX, LANES)])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_run_f32(typing_context: Any, source: Any, start: Any, target: Any, place: Any, run: Any) -> Any:
    """Copy ``run`` (0..NR) numbers, ``target[place + j] = source[start + j]``; no others are touched."""
    signature = types.void(source, types.intp, target, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        read = address(context, builder, signature, arguments, 0, arguments[1])
        written = address(context, builder, signature, arguments, 2, arguments[3])
        for v in range(NV):
            mask = _first_lanes(builder, arguments[4], v * LANES)
            _masked_store(builder, _masked_load(builder, read, v * LANES, mask), written, v * LANES, mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def zero_run_f32(typing_context: Any, target: Any, place: Any, run: Any) -> Any:
    """Write ``run`` (0..NR) zeros from ``target[place]`` on."""
    signature = types.void(target, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        written = address(context, builder, signature, arguments, 0, arguments[1])
        for v in range(NV):
            mask = _first_lanes(builder, arguments[2], v * LANES)
            _masked_store(builder, ir.Constant(VECTOR, [0.0] * LANES), written, v * LANES, mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def finish_row_f32(
    typing_context: Any, tile: Any, place: Any, run: Any, bias: Any, low: Any, high: Any, added: Any, out: Any,
    start: Any,
) -> Any:  # fmt: skip
    """Finish ``run`` (1..NR) numbers: ``out[start + j] = clamp(tile[place + j] + bias + added[start + j], low, high)``.

    ``added`` of size 0 adds nothing.  NaN passes the clamp.  The tile is read up to ``place + NR``; ``added`` and
    ``out`` are touched at ``run`` numbers only.
    """
    signature = types.void(
        tile, types.intp, types.intp, types.float32, types.float32, types.float32, added, out, types.intp
    )

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, place, run, bias, low, high, _, _, start = arguments
        read = address(context, builder, signature, arguments, 0, place)
        residual = address(context, builder, signature, arguments, 6, start)
        written = address(context, builder, signature, arguments, 7, start)
        added = context.make_array(signature.args[6])(context, builder, arguments[6])
        has_residual = builder.icmp_signed(">", added.nitems, ir.Constant(INDEX, 0))
        bias, low, high = (spread(builder, value) for value in (bias, low, high))
        for v in range(NV):
            mask = _first_lanes(builder, run, v * LANES)
            value = builder.fadd(load_vector(builder, read, v * LANES), bias)
            some = builder.and_(mask, spread(builder, has_residual, ir.IntType(1)))
            value = builder.fadd(value, _masked_load(builder, residual, v * LANES, some))
            value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
            value = builder.select(builder.fcmp_ordered(">", value, high), high, value)
            _masked_store(builder, value, written, v * LANES, mask)
        return context.get_dummy_value()

    return signature, codegen


def _split_rows(stride: int) -> Any:
    """Make the intrinsic that takes every ``stride``-th number: a power of two."""

    def split(typing_context: Any, source: Any, start: Any, target: Any, place: Any, step: Any, count: Any) -> Any:
        signature = types.void(source, types.intp, target, types.intp, types.intp, types.intp)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, start, _, place, step, count = arguments
            read = address(context, builder, signature, arguments, 0, start)
            written = address(context, builder, signature, arguments, 2, place)
            parts = [load_vector(builder, read, v * LANES) for v in range(stride)]
            width = LANES
            while len(parts) > 1:  # halve the number of ever wider vectors
                mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * width), list(range(2 * width)))
                parts = [builder.shuffle_vector(parts[i], parts[i + 1], mask) for i in range(0, len(parts), 2)]
                width *= 2
            kept = _first_lanes(builder, count, 0)
            for phase in range(stride):
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(phase, width, stride)))
                vector = builder.shuffle_vector(parts[0], parts[0], mask)
                _masked_store(
                    builder, vector, builder.gep(written, [builder.mul(step, ir.Constant(INDEX, phase))]), 0, kept
                )
            return context.get_dummy_value()

        return signature, codegen

    split.__name__ = split.__qualname__ = f"split_by_{stride}_f32"
    split.__doc__ = f"""Write ``target[place + p * step + j] = source[start + {stride} * j + p]``, all p, j < count.

    ``count`` is 1..LANES; {stride} * LANES numbers are read.
    """
    return intrinsic(split)


split_by_2_f32, split_by_4_f32 = _split_rows(2), _split_rows(4)


def address(context: Any, builder: Any, signature: Any, arguments: Any, place: int, start: Any) -> Any:
    """Give the address of element ``start`` of an array argument."""
    array = context.make_array(signature.args[place])(context, builder, arguments[place])
    return builder.gep(array.data, [start])


def spread(builder: Any, scalar: Any, kind: Any = F32) -> Any:
    """Put a scalar into all lanes."""
    vector = ir.VectorType(kind, LANES)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def load_vector(builder: Any, pointer: Any, offset: int) -> Any:
    """Load one vector, at whatever address."""
    source = builder.gep(pointer, [ir.Constant(INDEX, offset)])
    return builder.load(builder.bitcast(source, VECTOR.as_pointer()), align=4)


def store_vector(builder: Any, vector: Any, pointer: Any, offset: int) -> None:
    target = builder.gep(pointer, [ir.Constant(INDEX, offset)])
    builder.store(vector, builder.bitcast(target, VECTOR.as_pointer()), align=4)


def _first_lanes(builder: Any, count: Any, offset: int) -> Any:
    """Give the mask of the lanes whose number, counted from ``offset``, is below ``count``."""
    lanes = ir.Constant(ir.VectorType(INDEX, LANES), list(range(offset, offset + LANES)))
    return builder.icmp_signed("<", lanes, spread(builder, count, INDEX))


def _masked_load(builder: Any, pointer: Any, offset: int, mask: Any) -> Any:
    """Load the lanes of a mask; the others are 0 and not touched."""
    source = builder.bitcast(builder.gep(pointer, [ir.Constant(INDEX, offset)]), VECTOR.as_pointer())
    kinds = [source.type, ir.IntType(32), mask.type, VECTOR]
    load = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, kinds), f"llvm.masked.load.v{LANES}f32.p0"
    )
    nothing = ir.Constant(VECTOR, [0.0] * LANES)
    return builder.call(load, [source, ir.Constant(ir.IntType(32), 4), mask, nothing])


def _masked_store(builder: Any, vector: Any, pointer: Any, offset: int, mask: Any) -> None:
    target = builder.bitcast(builder.gep(pointer, [ir.Constant(INDEX, offset)]), VECTOR.as_pointer())
    kinds = [VECTOR, target.type, ir.IntType(32), mask.type]
    store = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), kinds), f"llvm.masked.store.v{LANES}f32.p0"
    )
    builder.call(store, [vector, target, ir.Constant(ir.IntType(32), 4), mask])
