"""Activations along one axis, float32: softmax, log-softmax, sparsemax, gated linear unit.

Arrays are seen as (outer, axis, inner); a line is what one outer and one inner index leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from jit_kernels._elementary import ONE, ZERO, exact
from jit_kernels._jit import device, kernel
from jit_kernels.activation import sigmoid


@device
def line_maximum(x: Any, o: int, i: int) -> Any:
    """Largest value of a line; with a NaN in it any value, as the sum of the line is NaN anyway."""
    largest = x[o, 0, i]
    for a in range(1, x.shape[1]):
        if x[o, a, i] > largest:
            largest = x[o, a, i]
    return largest


@exact
def log_share(value: Any, largest: Any, log_sum: Any) -> Any:
    """``(value - largest) - log_sum`` in this order: ``largest + log_sum`` would round ``log_sum`` away."""
    return (value - largest) - log_sum


@kernel("void(f4[:,:,::1], f4[:,:,::1])")
def softmax_f32(x: Any, out: Any) -> None:
    """Softmax of every line of ``x`` (outer, axis, inner): ``exp(x - max) / sum(exp(x - max))``.

    Writes ``out``, of the same shape.  The sum is float64.  Parallel axis: lines, outer * inner.
    """
    outer, size, inner = x.shape
    for line in prange(outer * inner):
        o, i = line // inner, line % inner
        largest = line_maximum(x, o, i)
        total = 0.0
        for a in range(size):
            e = np.exp(x[o, a, i] - largest)
            out[o, a, i] = e
            total += np.float64(e)
        divisor = np.float32(total)
        for a in range(size):
            out[o, a, i] = out[o, a, i] / divisor


@kernel("void(f4[:,:,::1], f4[:,:,::1])")
def log_softmax_f32(x: Any, out: Any) -> None:
    """Logarithm of the softmax of every line of ``x`` (outer, axis, inner): ``x - max - log(sum(exp(x - max)))``.

    Writes ``out``, of the same shape.  The sum is float64.  Parallel axis: lines, outer * inner.
    """
    outer, size, inner = x.shape
    for line in prange(outer * inner):
        o, i = line // inner, line % inner
        largest = line_maximum(x, o, i)
        total = 0.0
        for a in range(size):
            total += np.float64(np.exp(x[o, a, i] - largest))
        log_sum = np.float32(np.log(total))
        for a in range(size):
            out[o, a, i] = log_share(x[o, a, i], largest, log_sum)


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


@kernel("void(f4[:,:,::1], f4[:,::1])")
def glu_f32(x: Any, out: Any) -> None:
    """Gated linear unit of ``x`` (outer, 2, half * inner): the first half times the sigmoid of the second.

    Writes ``out`` (outer, half * inner).  Parallel axis: outer.
    """
    outer, size = out.shape
    for o in prange(outer):
        for i in range(size):
            out[o, i] = x[o, 0, i] * sigmoid(x[o, 1, i], ZERO, ZERO, ZERO)
