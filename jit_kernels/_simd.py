"""Vectors: how many float32 numbers one holds on this CPU, and how kernels write LLVM vector code for them.

=========  =====  =========
CPU        LANES  REGISTERS
=========  =====  =========
AVX-512    16     32
AVX2, FMA  8      16
others     4      16 (SSE, NEON)
=========  =====  =========
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
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
    LANES, REGISTERS = 16, 32
elif {"avx2", "fma"} <= _FEATURES:
    LANES, REGISTERS = 8, 16
else:
    LANES, REGISTERS = 4, 16

F32 = ir.FloatType()
VECTOR = ir.VectorType(F32, LANES)
INDEX = ir.IntType(64)


def constant(value: int) -> Any:
    """Give an index as an LLVM constant."""
    return ir.Constant(INDEX, value)


def constants(value: Any) -> Any:
    """Give a vector with the same number in all lanes."""
    return ir.Constant(VECTOR, [float(value)] * LANES)


def zeros() -> Any:
    """Give the vector of zeros."""
    return constants(0.0)


def multiply_add(builder: Any) -> Any:
    """Give LLVM's fused multiply-add of vectors."""
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )


def address(context: Any, builder: Any, signature: Any, arguments: Any, place: int, start: Any) -> Any:
    """Give the address of element ``start`` of an array argument."""
    array = context.make_array(signature.args[place])(context, builder, arguments[place])
    return builder.gep(array.data, [start])


def spread(builder: Any, scalar: Any) -> Any:
    """Put a float32 into all lanes."""
    first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(VECTOR, ir.Undefined), lanes)


def load_vector(builder: Any, pointer: Any, offset: int = 0) -> Any:
    """Load one vector, at whatever address."""
    source = builder.gep(pointer, [constant(offset)])
    return builder.load(builder.bitcast(source, VECTOR.as_pointer()), align=4)


def store_vector(builder: Any, vector: Any, pointer: Any, offset: int = 0) -> None:
    """Store one vector, at whatever address."""
    target = builder.gep(pointer, [constant(offset)])
    builder.store(vector, builder.bitcast(target, VECTOR.as_pointer()), align=4)


def clamped(builder: Any, value: Any, low: Any, high: Any) -> Any:
    """Clamp a vector; NaN passes."""
    value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
    return builder.select(builder.fcmp_ordered(">", value, high), high, value)


def prefetch(builder: Any, pointer: Any) -> None:
    """Ask for the cache line at an address, which need not be one of the program's."""
    number = ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number]), "llvm.prefetch.p0"
    )
    read, keep, data = (ir.Constant(number, value) for value in (0, 2, 1))
    builder.call(function, [pointer, read, keep, data])


def each_pixel(builder: Any, count: Any, body: Callable[[Any], None]) -> None:
    """Write a loop over ``count`` pixels (>= 1); ``body`` is given each one's number."""
    before, loop, done = builder.block, builder.append_basic_block("pixels"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    pixel = builder.phi(INDEX)
    body(pixel)
    following = builder.add(pixel, constant(1))
    pixel.add_incoming(constant(0), before)
    pixel.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    builder.position_at_end(done)
