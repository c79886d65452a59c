"""Reductions and running sums along an axis, float32.

An array is seen as (outer, length, inner), flat.  Where ``inner`` is 1 a result comes from a row of neighbours, else
the cells of ``inner`` are combined side by side, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from jit_kernels._broadcast import BLOCK
from jit_kernels._elementary import exact
from jit_kernels._jit import Kernel, kernel
from jit_kernels._reduce import total
from jit_kernels.merge import add, maximum, minimum, multiply

HUGE = np.float32(np.inf)


def _reduction(name: str, combine: Callable[..., Any], along_row: Callable[..., Any]) -> Kernel:
    """Make the kernel ``out[o, i] = combine(combine(x[o, 0, i], x[o, 1, i]), ...)``."""

    @kernel("void(f4[::1], i8, i8, f4[::1])", name=name)
    def compute(x: Any, length: int, inner: int, out: Any) -> None:
        """Combine the ``length`` (>= 1) cells of every line of ``x``, (outer, length, inner), flat.

        Writes ``out``, (outer, inner), flat.  Parallel axis: blocks of results.
        """
        if inner == 1:
            for row in prange(out.size):
                out[row] = along_row(x[row * length : (row + 1) * length])
        else:
            blocks = (inner + BLOCK - 1) // BLOCK
            for unit in prange(out.size // inner * blocks):
                outer, start = unit // blocks, unit % blocks * BLOCK
                stop = min(start + BLOCK, inner)
                results = out[outer * inner + start : outer * inner + stop]
                source = x[outer * length * inner + start : outer * length * inner + stop]
                for i in range(stop - start):
                    results[i] = source[i]
                for place in range(1, length):
                    first = (outer * length + place) * inner
                    numbers = x[first + start : first + stop]
                    for i in range(stop - start):
                        results[i] = combine(results[i], numbers[i])

    return compute


def _row(combine: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function that combines the numbers of a row in order."""

    @exact
    def along_row(numbers: Any) -> Any:
        result = numbers[0]
        for i in range(1, numbers.size):
            result = combine(result, numbers[i])
        return result

    return along_row


@exact
def row_sum(numbers: Any) -> Any:
    """Sum of a row, in float64, rounded once."""
    return np.float32(total(numbers))


def _place(name: str, better: Callable[..., Any], worst: Any) -> Kernel:
    """Make the kernel that gives the place of the first number that is better than all others."""

    @kernel("void(f4[::1], i8, i8, f4[::1])", name=name)
    def compute(x: Any, length: int, inner: int, out: Any) -> None:
        """Find the first best cell of every line of ``x``, (outer, length, inner), flat; NaN is passed over.

        Writes its place, 0 if there is none, into ``out``, (outer, inner), flat.  Parallel axis: results.
        """
        for result in prange(out.size):
            start = result // inner * length * inner + result % inner
            best, where = worst, 0
            for place in range(length):
                number = x[start + place * inner]
                if better(number, best):
                    best, where = number, place
            out[result] = np.float32(where)

    return compute


@exact
def above(x: Any, y: Any) -> Any:
    """``x > y``."""
    return x > y


@exact
def below(x: Any, y: Any) -> Any:
    """``x < y``."""
    return x < y


def _running(name: str, combine: Callable[..., Any]) -> Kernel:
    """Make the kernel ``out[o, k, i] = combine(out[o, k - 1, i], x[o, k, i])``."""

    @kernel("void(f4[::1], i8, i8, f4[::1])", name=name)
    def compute(x: Any, length: int, inner: int, out: Any) -> None:
        """Combine the cells of every line of ``x``, (outer, length, inner), flat, up to each one.

        Writes ``out``, as large as ``x``.  Parallel axis: outer.
        """
        line = length * inner
        for outer in prange(x.size // line):
            numbers, results = x[outer * line : (outer + 1) * line], out[outer * line : (outer + 1) * line]
            for i in range(inner):
                results[i] = numbers[i]
            for i in range(inner, line):
                results[i] = combine(results[i - inner], numbers[i])

    return compute


REDUCTIONS = {
    "sum": _reduction("sum_f32", add, row_sum),
    "prod": _reduction("prod_f32", multiply, _row(multiply)),
    "max": _reduction("max_f32", maximum, _row(maximum)),
    "min": _reduction("min_f32", minimum, _row(minimum)),
    "argmax": _place("argmax_f32", above, -HUGE),
    "argmin": _place("argmin_f32", below, HUGE),
}
CUMULATIVE = {"sum": _running("cumsum_f32", add), "prod": _running("cumprod_f32", multiply)}
