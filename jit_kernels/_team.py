"""Threads of one parallel loop that wait for each other at each step of their work.

A parallel region costs more than a step of a recurrent layer; a barrier of spinning threads, a few cache misses.  But
an iteration of ``prange`` may not wait for another, which the same thread may have to compute afterwards.  So the
iterations first find out whether they run at once: :func:`join`.  If they do not, the first one does the work of all.

The counters are three cache lines of the arena, which :func:`disband` sets to zero before the loop.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from jit_kernels._jit import device
from jit_kernels._simd import address, intrinsic

TOGETHER, ALONE, OTHERS = 1, 2, 3  # what join() gives
LINE = 16  # numbers in a cache line
TEAM = 3 * LINE
ARRIVED, DECISION, PASSED = 0, LINE, 2 * LINE
JOIN_TURNS = 4_000  # of the waiting loop until others are taken not to come, some 0.05 ms
YIELD_TURNS = 2_000  # until the core is offered to other threads, for as long as nothing comes

I32 = ir.IntType(32)


def _counter(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Give the address of a counter in the arena, whose numbers are as wide."""
    return builder.bitcast(address(context, builder, signature, arguments, 0, arguments[1]), I32.as_pointer())


@intrinsic
def add_one(typing_context: Any, arena: Any, place: Any) -> Any:
    """Add 1 to a counter and give what it was."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = _counter(context, builder, signature, arguments)
        return builder.atomic_rmw("add", counter, ir.Constant(I32, 1), "seq_cst")

    return types.int32(arena, types.intp), codegen


@intrinsic
def current(typing_context: Any, arena: Any, place: Any) -> Any:
    """Give a counter; what other threads wrote before they changed it is then there to be read."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_counter(context, builder, signature, arguments), "acquire", 4)

    return types.int32(arena, types.intp), codegen


@intrinsic
def settle(typing_context: Any, arena: Any, place: Any, value: Any) -> Any:
    """Set a counter that is 0; give what it was."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = _counter(context, builder, signature, arguments)
        new = builder.trunc(arguments[2], I32)
        return builder.extract_value(builder.cmpxchg(target, ir.Constant(I32, 0), new, "seq_cst", "seq_cst"), 0)

    return types.int32(arena, types.intp, types.intp), codegen


@intrinsic
def disband(typing_context: Any, arena: Any, team: Any) -> Any:
    """Set the counters to zero."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = _counter(context, builder, signature, arguments)
        for place in (ARRIVED, DECISION, PASSED):
            counter = builder.gep(start, [ir.Constant(ir.IntType(64), place)])
            builder.store_atomic(ir.Constant(I32, 0), counter, "seq_cst", 4)
        return context.get_dummy_value()

    return types.void(arena, types.intp), codegen


@intrinsic
def pause(typing_context: Any) -> Any:
    """Wait some cycles."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if platform.machine() in ("x86_64", "AMD64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def offer_core(typing_context: Any) -> Any:
    """Let another thread run on this core, if one wants to."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if os.name == "posix":
            kind = ir.FunctionType(I32, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@device
def join(arena: Any, team: int, size: int) -> int:
    """Meet the other iterations: TOGETHER, or ALONE with the work of all, or OTHERS: another does this one's work."""
    if add_one(arena, team + ARRIVED) + 1 == size:
        return TOGETHER if settle(arena, team + DECISION, TOGETHER) == 0 else OTHERS
    for _ in range(JOIN_TURNS):
        if current(arena, team + DECISION) != 0:
            break
        pause()
    found = settle(arena, team + DECISION, ALONE)
    return ALONE if found == 0 else TOGETHER if found == TOGETHER else OTHERS


@device
def meet(arena: Any, team: int, size: int, count: int) -> None:
    """Wait until all have come here for the ``count``-th time."""
    add_one(arena, team + PASSED)
    goal, turns = size * count, 0
    while current(arena, team + PASSED) < goal:
        turns += 1
        pause()
        if turns > YIELD_TURNS:
            offer_core()
