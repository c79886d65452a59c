"""Activations along one axis, float32: softmax, log-softmax, sparsemax, gated linear unit.

Arrays are seen as (outer, axis, inner); a line is what one outer and one inner index leave.  Softmax has a kernel for
lines that are contiguous (rows, as ``inner`` is 1) and one for others, which takes the cells of ``inner`` side by side.
Both compute with vector code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.np.numpy_support import carray

from jit_kernels._elementary import F32, ONE, ZERO, exact, exp, inlined, intrinsic
from jit_kernels._jit import kernel
from jit_kernels._reduce import F64, largest, total
from jit_kernels.activation import sigmoid

SPAN = 1024  # numbers in the rows that are taken together, so that short rows too are whole vectors
CELLS = 256  # cells that are taken side by side


@inlined
def less(x: Any, amount: Any, out: Any) -> None:
    """Write ``x - amount``."""
    for i in range(out.size):
        out[i] = x[i] - amount


@inlined
def log_shares(x: Any, largest: Any, log_sum: Any, out: Any) -> None:
    """Write ``(x - largest) - log_sum`` in this order: ``largest + log_sum`` would round ``log_sum`` away."""
    for i in range(out.size):
        out[i] = (x[i] - largest) - log_sum


@inlined
def exponentials(values: Any) -> None:
    """Replace each by its exponential."""
    for i in range(values.size):
        values[i] = exp(values[i])


@inlined
def divide(values: Any, divisor: Any) -> None:
    """Divide each by a number."""
    for i in range(values.size):
        values[i] = values[i] / divisor


@inlined
def exponentials_of_rows(x: Any, size: Any, out: Any) -> None:
    """Write ``exp(x - max)`` of every row of ``size`` numbers; where a row holds NaN, so does its result."""
    for row in range(out.size // size):
        numbers = x[row * size : (row + 1) * size]
        less(numbers, largest(numbers), out[row * size : (row + 1) * size])
    exponentials(out)


@kernel("void(f4[::1], i8, f4[::1])")
def softmax_rows_f32(x: Any, size: Any, out: Any) -> None:
    """Softmax of every row of ``size`` numbers of ``x``: ``exp(x - max) / sum(exp(x - max))``.

    Writes ``out``, of the same shape, which may be ``x``.  The sum is float64.  Parallel axis: groups of rows.
    """
    group = max(SPAN // size, 1) * size
    for block in prange((out.size + group - 1) // group):
        start, stop = block * group, min((block + 1) * group, out.size)
        shares = out[start:stop]
        exponentials_of_rows(x[start:stop], size, shares)
        for row in range(shares.size // size):
            line = shares[row * size : (row + 1) * size]
            divide(line, np.float32(total(line)))


@kernel("void(f4[::1], i8, f4[::1])")
def log_softmax_rows_f32(x: Any, size: Any, out: Any) -> None:
    """Logarithm of the softmax of every row of ``size`` numbers of ``x``: ``x - max - log(sum(exp(x - max)))``.

    Writes ``out``, of the same shape, which must not be ``x``.  The sum is float64.  Parallel axis: groups of rows.
    """
    group = max(SPAN // size, 1) * size
    for block in prange((out.size + group - 1) // group):
        start, stop = block * group, min((block + 1) * group, out.size)
        numbers, results = x[start:stop], out[start:stop]
        exponentials_of_rows(numbers, size, results)
        for row in range(results.size // size):
            line, result = numbers[row * size : (row + 1) * size], results[row * size : (row + 1) * size]
            log_shares(line, largest(line), np.float32(np.log(total(result))), result)


def _scratch(kind: Any) -> Any:
    """Make the code that gives the address of CELLS numbers on the stack of the kernel."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = cgutils.alloca_once(builder, ir.ArrayType(kind, CELLS))
        return builder.bitcast(block, kind.as_pointer())

    return codegen


@intrinsic
def scratch_f32(typing_context: Any) -> Any:
    """Give the address of CELLS float32, for the kernel that calls this itself (a function's would end with it)."""
    return types.CPointer(types.float32)(), _scratch(F32)


@intrinsic
def scratch_f64(typing_context: Any) -> Any:
    """Give the address of CELLS float64, as :func:`scratch_f32`."""
    return types.CPointer(types.float64)(), _scratch(F64)


@inlined
def fill(values: Any, value: Any) -> None:
    """Write one number everywhere."""
    for i in range(values.size):
        values[i] = value


@inlined
def raise_to(x: Any, maxima: Any) -> None:
    """Take the larger of each pair; NaN is passed over."""
    for i in range(maxima.size):
        maxima[i] = x[i] if x[i] > maxima[i] else maxima[i]


@inlined
def exponentials_of_cells(x: Any, maxima: Any, totals: Any, out: Any) -> None:
    """Write ``exp(x - max)`` of each cell, and add it to its sum."""
    for i in range(out.size):
        out[i] = exp(x[i] - maxima[i])
    for i in range(out.size):
        totals[i] += np.float64(out[i])


@inlined
def divide_cells(values: Any, totals: Any) -> None:
    """Divide each by its own number, rounded to float32."""
    for i in range(values.size):
        values[i] = values[i] / np.float32(totals[i])


@inlined
def log_shares_of_cells(x: Any, maxima: Any, logs: Any, out: Any) -> None:
    """Write what :func:`log_shares` writes, each cell with its own numbers."""
    for i in range(out.size):
        out[i] = (x[i] - maxima[i]) - np.float32(logs[i])


@inlined
def logarithms(values: Any) -> None:
    """Replace each by its logarithm, float64."""
    for i in range(values.size):
        values[i] = np.log(values[i])


@kernel("void(f4[:,:,::1], f4[:,:,::1])")
def softmax_cells_f32(x: Any, out: Any) -> None:
    """Softmax of every line of ``x`` (outer, axis, inner), as :func:`softmax_rows_f32`.

    Writes ``out``, of the same shape, which may be ``x``.  Parallel axis: outer and blocks of inner.
    """
    outer, size, inner = x.shape
    blocks = (inner + CELLS - 1) // CELLS
    for task in prange(outer * blocks):
        o, start = task // blocks, task % blocks * CELLS
        stop = min(start + CELLS, inner)
        maxima = carray(scratch_f32(), (CELLS,))[: stop - start]
        totals = carray(scratch_f64(), (CELLS,))[: stop - start]
        fill(maxima, np.float32(-np.inf))
        fill(totals, 0.0)
        for a in range(size):
            raise_to(x[o, a, start:stop], maxima)
        for a in range(size):
            exponentials_of_cells(x[o, a, start:stop], maxima, totals, out[o, a, start:stop])
        for a in range(size):
            divide_cells(out[o, a, start:stop], totals)


@kernel("void(f4[:,:,::1], f4[:,:,::1])")
def log_softmax_cells_f32(x: Any, out: Any) -> None:
    """Logarithm of the softmax of every line of ``x`` (outer, axis, inner), as :func:`log_softmax_rows_f32`.

    Writes ``out``, of the same shape, which must not be ``x``.  Parallel axis: outer and blocks of inner.
    """
    outer, size, inner = x.shape
    blocks = (inner + CELLS - 1) // CELLS
    for task in prange(outer * blocks):
        o, start = task // blocks, task % blocks * CELLS
        stop = min(start + CELLS, inner)
        maxima = carray(scratch_f32(), (CELLS,))[: stop - start]
        totals = carray(scratch_f64(), (CELLS,))[: stop - start]
        fill(maxima, np.float32(-np.inf))
        fill(totals, 0.0)
        for a in range(size):
            raise_to(x[o, a, start:stop], maxima)
        for a in range(size):
            exponentials_of_cells(x[o, a, start:stop], maxima, totals, out[o, a, start:stop])
        logarithms(totals)
        for a in range(size):
            log_shares_of_cells(x[o, a, start:stop], maxima, totals, out[o, a, start:stop])


@exact
def in_support(value: Any, cumulative: Any, count: Any) -> Any:
    """Whether the ``count``-th largest value of a line, at which the running sum is ``cumulative``, is above tau."""
    return value - (cumulative - ONE) / count > ZERO


@exact
def tau(total: Any, count: Any) -> Any:
    """``(total - 1) / count``."""
    return (total - ONE) / count


@kernel("void(f4[:,:,::1], f4[:,:,::1], b1, f4[:,:,::1])")
def sparsemax_f32(x: Any, descending: Any, cumulative: bool, out: Any) -> None:
    """Sparsemax of every line of ``x`` (outer, axis, inner): ``max(x - tau, 0)``.

    ``descending`` holds the same lines, sorted.  ``tau = (total - 1) / k`` where the ``k`` largest values are the
    support and ``total`` is their sum, or the sum of their running sums if ``cumulative``.  Writes ``out``, of the same
    shape.  Parallel axis: lines, outer * inner.
    """
    outer, size, inner = x.shape
    for line in prange(outer * inner):
        o, i = line // inner, line % inner
        running, total, count = ZERO, ZERO, ZERO
        for a in range(size):
            running += descending[o, a, i]
            if in_support(descending[o, a, i], running, np.float32(a + 1)):
                count += ONE
                total += running if cumulative else descending[o, a, i]
        least = tau(total, count)
        for a in range(size):
            y = x[o, a, i] - least
            out[o, a, i] = ZERO if y < ZERO else y


@inlined
def gate(x: Any, y: Any, out: Any) -> None:
    """Write ``x * sigmoid(y)``."""
    for i in range(out.size):
        out[i] = x[i] * sigmoid(y[i], ZERO, ZERO, ZERO)


@kernel("void(f4[:,:,::1], f4[:,::1])")
def glu_f32(x: Any, out: Any) -> None:
    """Gated linear unit of ``x`` (outer, 2, half * inner): the first half times the sigmoid of the second.

    Writes ``out`` (outer, half * inner).  Parallel axis: outer.
    """
    for o in prange(out.shape[0]):
        gate(x[o, 0], x[o, 1], out[o])
