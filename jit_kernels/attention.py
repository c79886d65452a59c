"""Attention kernels, float32: scores of queries and keys, masked softmax, sums of values; and all three in one.

Sequences are (N, length, heads * size): the numbers of a head are neighbours.  A mask is (N, heads, queries, keys), any
of the sizes may be 1, and holds 0 where a key is hidden from a query.  Keys before ``low`` or from ``high`` on, which
follow from a query's place, are hidden too.  What becomes of hidden scores differs by the version of Keras: ``value``
is added to them if ``added``, else it replaces them; their shares are then set to zero if ``zeroed``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.np.numpy_support import carray

from jit_kernels._elementary import ZERO, exact, exp, inlined, tanh
from jit_kernels._gemm import PANEL, ROWS, copy, multiply_panels, pack_columns, pack_rows
from jit_kernels._jit import kernel
from jit_kernels._reduce import largest, total
from jit_kernels.softmax import CELLS, fill, scratch_f32

BLOCK = 4 * ROWS  # queries that are computed together
BLOCK_NUMBERS = 1 << 16  # of their scores at most, unless the keys are very many
MINUS_INFINITY = np.float32(-np.inf)
LINE = 64  # scores come in lines of a multiple of this: LLVM's loops then are whole vectors, of one width


def block_rows(queries: int, keys: int) -> int:
    """Give the number of queries that are computed together."""
    fit = BLOCK_NUMBERS // line_of(keys) // ROWS * ROWS
    return max(ROWS, min(BLOCK, fit, -(-queries // ROWS) * ROWS))


def line_of(keys: int) -> int:
    """Give the length of a line of scores."""
    return -(-keys // LINE) * LINE


def scratch_numbers(rows: int, keys: int, size: int, value_size: int) -> int:
    """Give the numbers of memory that a part of the work needs: one block of queries, and one head."""
    line, all_values = line_of(keys), -(-value_size // PANEL) * PANEL
    return rows * (size + line + all_values + 1) + size * line + keys * all_values + line


@exact
def first_seen(query: Any, window: Any) -> Any:
    """Give the first key that a query may see: none is ``window`` keys away or more, if that is not 0."""
    return max(query - window + 1, 0) if window > 0 else 0


@exact
def last_seen(query: Any, keys: Any, is_causal: Any, window: Any) -> Any:
    """Give the end of the keys that a query may see: none behind it if ``is_causal``."""
    end = min(query + window, keys) if window > 0 else keys
    return min(query + 1, end) if is_causal else end


@inlined
def any_seen(mask: Any) -> Any:
    """Tell whether a row of a mask shows a key."""
    found = False
    for i in range(mask.size):
        found |= mask[i] != ZERO
    return found


@inlined
def all_see(mask: Any, first: Any, count: Any, keys: Any, is_causal: Any, window: Any) -> Any:
    """Tell whether each of some queries sees a key, by a mask (queries, keys) and by its place."""
    every = True
    for query in range(first, first + count):
        low, high = first_seen(query, window), last_seen(query, keys, is_causal, window)
        line = mask[min(query, mask.shape[0] - 1)]
        if mask.shape[1] == 1:
            every &= low < high and line[0] != ZERO
        else:
            every &= any_seen(line[low:high])
    return every


@inlined
def all_finite(values: Any) -> Any:
    """Tell whether there is neither NaN nor an infinity."""
    finite = True
    for i in range(values.size):
        finite &= values[i] - values[i] == ZERO
    return finite


@inlined
def hide(values: Any, count: Any, low: Any, high: Any, shown: Any, added: Any, value: Any) -> None:
    """Add a value to those before ``low``, from ``high`` on, and where ``shown`` is 0, or replace them by it.

    From ``count`` on they are no scores, and become -inf.
    """
    low, high, count = np.int32(low), np.int32(high), np.int32(count)
    for i in range(values.size):
        seen = (low <= np.int32(i)) & (np.int32(i) < high) & (shown[i] != ZERO)
        score = (values[i] if seen | added else ZERO) + (ZERO if seen else value)
        values[i] = score if np.int32(i) < count else MINUS_INFINITY


@inlined
def show(mask: Any, shown: Any) -> None:
    """Copy a row of a mask, which may be one number for all keys."""
    if mask.size == 1:
        fill(shown, mask[0])
    else:
        copy(mask, shown[: mask.size])


@inlined
def scaled_copy(x: Any, factor: Any, out: Any) -> None:
    """Write ``x * factor``."""
    for i in range(out.size):
        out[i] = x[i] * factor


@inlined
def exponentials_below(values: Any, amount: Any) -> None:
    """Replace each by ``exp(value - amount)``."""
    for i in range(values.size):
        values[i] = exp(values[i] - amount)


@inlined
def quotients(x: Any, divisor: Any, out: Any) -> None:
    """Write ``x / divisor``."""
    for i in range(out.size):
        out[i] = x[i] / divisor


@inlined
def shares(
    scores: Any, count: Any, low: Any, high: Any, shown: Any, some: Any, added: Any, value: Any, zeroed: Any
) -> Any:
    """Replace a line of ``count`` scores by ``exp(score - max)``, masked; give their sum before some are set to zero.

    ``shown`` is a row of the mask, ``low`` and ``high`` are relative to it; ``some`` tells whether it may hide keys.
    """
    hidden = some or low > 0 or high < count
    if hidden or count < scores.size:
        hide(scores, count, low, high, shown, added, value)
    exponentials_below(scores, largest(scores))
    whole = np.float32(total(scores))
    if hidden and zeroed:
        hide(scores, count, low, high, shown, False, ZERO)
    return whole


@inlined
def blocks_of(queries: Any, rows: Any) -> Any:
    """Give the number of blocks of queries."""
    return (queries + rows - 1) // rows


@inlined
def rounded(count: Any, step: Any) -> Any:
    """Give a count rounded up to a multiple of ``step``."""
    return (count + step - 1) // step * step


@inlined
def scores_of_block(
    q: Any, start: Any, row: Any, count: Any, scale: Any, size: Any, memory: Any, rows: Any, k_place: Any,
    begin: Any, end: Any, keys: Any, s_place: Any,
) -> None:  # fmt: skip
    """Write the scores of ``count`` queries, from ``start`` of ``q`` on, for the keys from ``begin`` to ``end``."""
    for i in range(count):
        source = start + i * row
        scaled_copy(q[source : source + size], scale, memory[i * size : (i + 1) * size])
    multiply_panels(
        memory, 0, size, rows, k_place, begin, end, keys, size, 0, size, s_place, rounded(keys, LINE)
    )  # fmt: skip


@kernel(
    "void(f4[:,:,::1], f4[:,:,::1], f4[:,:,::1], f4[:,:,:,::1], i8, i8, i8, f4, b1, i8, b1, f4, b1, f4[:,::1],"
    " f4[:,:,::1])",
    writes=2,
)
def attention_f32(
    q: Any, k: Any, v: Any, mask: Any, heads: Any, kv_heads: Any, rows: Any, scale: Any, is_causal: Any, window: Any,
    added: Any, value: Any, zeroed: Any, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Sum values by the softmax of the masked scores ``scale * q . k``.

    Parameters
    ----------
    q, k, v, mask
        (N, T, heads * size), (N, S, kv_heads * size), (N, S, kv_heads * value_size); as the file says.
    heads, kv_heads
        ``heads // kv_heads`` heads of the queries share one of the keys and values.
    rows
        Queries that are computed together, by :func:`block_rows`.
    is_causal, window
        Whether query i sees no key behind i, and none at a distance of ``window`` or more (0: all).
    added, value, zeroed
        As the file says.
    scratch
        (parts, :func:`scratch_numbers`): the work is done in as many parts.
    out
        (N, T, heads * value_size).

    Parallel axis: parts of the blocks of queries of all heads.  Blocks do not depend on the number of parts.
    """
    batch, queries, keys = q.shape[0], q.shape[1], k.shape[1]
    size, value_size = q.shape[2] // heads, v.shape[2] // kv_heads
    line, all_values, blocks = rounded(keys, LINE), rounded(value_size, PANEL), rounded(queries, rows) // rows
    tasks, parts = batch * heads * blocks, scratch.shape[0]
    for part in prange(parts):
        memory = scratch[part]
        k_place = rows * size
        v_place = k_place + size * line
        s_place = v_place + keys * all_values
        o_place = s_place + rows * line
        sums = memory[o_place + rows * all_values : o_place + rows * all_values + rows]
        shown = memory[memory.size - line :]
        packed, checked, finite, restricted = -1, -1, True, is_causal or window > 0
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, head, first = task // blocks // heads, task // blocks % heads, task % blocks * rows
            source = head // (heads // kv_heads)
            if restricted and checked != n:
                checked, finite = n, all_finite(k[n].reshape(-1)) and all_finite(v[n].reshape(-1))
            if packed != n * kv_heads + source:
                packed = n * kv_heads + source
                pack_columns(k[n].reshape(-1), source * size, kv_heads * size, keys, size, memory, k_place)
                pack_rows(
                    v[n].reshape(-1), source * value_size, kv_heads * value_size, keys, value_size, memory, v_place
                )
            count = min(rows, queries - first)
            own_mask = mask[min(n, mask.shape[0] - 1), min(head, mask.shape[1] - 1)]
            begin, end = 0, keys
            if restricted and finite and all_see(own_mask, first, count, keys, is_causal, window):
                begin = first_seen(first, window) // LINE * LINE
                end = last_seen(first + count - 1, keys, is_causal, window)
            scores_of_block(
                q[n].reshape(-1), (first * heads + head) * size, heads * size, count, scale, size, memory, rows,
                k_place, begin, end, keys, s_place,
            )  # fmt: skip
            for row in range(count):
                query = first + row
                if row == 0 or own_mask.shape[0] > 1:
                    show(own_mask[min(query, own_mask.shape[0] - 1)], shown)
                place = s_place + row * line
                low = first_seen(query, window) - begin
                high = last_seen(query, keys, is_causal, window) - begin
                some = own_mask.shape[1] > 1 or shown[0] == ZERO
                scores = memory[place + begin : place + rounded(end, LINE)]
                sums[row] = shares(scores, end - begin, low, high, shown[begin:], some, added, value, zeroed)
            multiply_panels(
                memory, s_place, line, rows, v_place, 0, value_size, value_size, keys, begin, end, o_place, all_values
            )
            for row in range(count):
                numbers = memory[o_place + row * all_values : o_place + row * all_values + value_size]
                quotients(numbers, sums[row], out[n, first + row, head * value_size : (head + 1) * value_size])


@kernel("void(f4[:,:,::1], f4[:,:,::1], i8, i8, i8, f4, f4[:,::1], f4[:,:,:,::1])", writes=2)
def attention_scores_f32(
    q: Any, k: Any, heads: Any, kv_heads: Any, rows: Any, scale: Any, scratch: Any, out: Any
) -> None:
    """Write ``scale * q . k`` of every head as (N, heads, T, S).

    Arguments and parallel axis are those of :func:`attention_f32`.
    """
    batch, queries, keys, size = q.shape[0], q.shape[1], k.shape[1], q.shape[2] // heads
    line, blocks = rounded(keys, LINE), rounded(queries, rows) // rows
    tasks, parts = batch * heads * blocks, scratch.shape[0]
    for part in prange(parts):
        memory = scratch[part]
        k_place = rows * size
        s_place = k_place + size * line
        packed = -1
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, head, first = task // blocks // heads, task // blocks % heads, task % blocks * rows
            source = head // (heads // kv_heads)
            if packed != n * kv_heads + source:
                packed = n * kv_heads + source
                pack_columns(k[n].reshape(-1), source * size, kv_heads * size, keys, size, memory, k_place)
            count = min(rows, queries - first)
            scores_of_block(
                q[n].reshape(-1), (first * heads + head) * size, heads * size, count, scale, size, memory, rows,
                k_place, 0, keys, keys, s_place,
            )  # fmt: skip
            for row in range(count):
                copy(memory[s_place + row * line : s_place + row * line + keys], out[n, head, first + row])


@kernel("void(f4[:,:,:,::1], f4[:,:,::1], i8, i8, f4[:,::1], f4[:,:,::1])", writes=2)
def attention_output_f32(weights: Any, v: Any, kv_heads: Any, rows: Any, scratch: Any, out: Any) -> None:
    """Sum the values of every head by ``weights`` (N, heads, T, S).

    Arguments and parallel axis are those of :func:`attention_f32`.
    """
    batch, heads, queries, keys = weights.shape
    value_size = v.shape[2] // kv_heads
    all_values, blocks = rounded(value_size, PANEL), rounded(queries, rows) // rows
    tasks, parts = batch * heads * blocks, scratch.shape[0]
    for part in prange(parts):
        memory = scratch[part]
        s_place = keys * all_values
        o_place = s_place + rows * keys
        packed = -1
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, head, first = task // blocks // heads, task // blocks % heads, task % blocks * rows
            source = head // (heads // kv_heads)
            if packed != n * kv_heads + source:
                packed = n * kv_heads + source
                pack_rows(v[n].reshape(-1), source * value_size, kv_heads * value_size, keys, value_size, memory, 0)
            count = min(rows, queries - first)
            for row in range(count):
                copy(weights[n, head, first + row], memory[s_place + row * keys : s_place + (row + 1) * keys])
            multiply_panels(
                memory, s_place, keys, rows, 0, 0, value_size, value_size, keys, 0, keys, o_place, all_values
            )
            for row in range(count):
                numbers = memory[o_place + row * all_values : o_place + row * all_values + value_size]
                copy(numbers, out[n, first + row, head * value_size : (head + 1) * value_size])


@kernel(
    "void(f4[:,:,:,::1], f4[:,:,:,::1], b1, i8, b1, f4, b1, f4[:,::1], f4[:,:,:,::1])",
    writes=2,
)
def masked_softmax_f32(
    scores: Any, mask: Any, is_causal: Any, window: Any, added: Any, value: Any, zeroed: Any, scratch: Any, out: Any
) -> None:
    """Softmax of every row of the masked ``scores`` (N, heads, T, S).

    Writes ``out``, of the same shape.  ``scratch`` is (parts, 2 * ``line_of(S)``), the other arguments are those of
    :func:`attention_f32`.  Parallel axis: parts of the rows.
    """
    batch, heads, queries, keys = scores.shape
    tasks, parts = batch * heads * queries, scratch.shape[0]
    for part in prange(parts):
        line = scratch.shape[1] // 2
        numbers, shown = scratch[part, :line], scratch[part, line:]
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, head, query = task // queries // heads, task // queries % heads, task % queries
            low, high = first_seen(query, window), last_seen(query, keys, is_causal, window)
            show(mask[min(n, mask.shape[0] - 1), min(head, mask.shape[1] - 1), min(query, mask.shape[2] - 1)], shown)
            copy(scores[n, head, query], numbers[:keys])
            quotients(numbers, shares(numbers, keys, low, high, shown, True, added, value, zeroed), out[n, head, query])


@inlined
def weighted_tanh(q: Any, k: Any, weight: Any, factor: Any, out: Any) -> None:
    """Write ``weight * tanh(factor * (q + k))``."""
    for i in range(out.size):
        out[i] = weight[i] * tanh(factor * (q[i] + k[i]))


@kernel("void(f4[:,:,::1], f4[:,:,::1], f4[::1], f4, f4[:,:,::1])")
def additive_scores_f32(q: Any, k: Any, weight: Any, factor: Any, out: Any) -> None:
    """Write ``sum(weight * tanh(factor * (q + k)))`` of all queries (N, T, size) and keys (N, S, size).

    Writes ``out`` (N, T, S).  The sum is float64.  Parallel axis: queries.
    """
    batch, queries, size = q.shape
    for task in prange(batch * queries):
        n, query = task // queries, task % queries
        products = carray(scratch_f32(), (CELLS,))
        for key in range(k.shape[1]):
            score = 0.0
            for start in range(0, size, CELLS):
                stop = min(start + CELLS, size)
                weighted_tanh(
                    q[n, query, start:stop], k[n, key, start:stop], weight[start:stop], factor, products[: stop - start]
                )
                score += total(products[: stop - start])
            out[n, query, key] = score
