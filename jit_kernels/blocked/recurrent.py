"""Recurrence of LSTM, GRU and simple layers in a plan: a small matrix product and the gates, step by step."""

from __future__ import annotations

import functools
from typing import Any

from numba import prange, types

from jit_kernels._elementary import ONE, ZERO
from jit_kernels._jit import Kernel, device, kernel
from jit_kernels._simd import (
    INDEX,
    LANES,
    VECTOR,
    address,
    constant,
    intrinsic,
    load_vector,
    multiply_add,
    spread,
    store_vector,
)
from jit_kernels._team import ALONE, OTHERS, TOGETHER, disband, join, meet
from jit_kernels.recurrent import GATES, cell_of, copy, fill, kernel_name

FIELDS = (
    "batch", "steps", "size", "wide",  # sequences, steps, units, and units up to whole blocks of LANES
    "x", "x_row",  # what the input gives the gates: a row of gates * wide for each step of each sequence
    "state", "state_row",  # scratch, for each sequence: h twice, c, the gates' sums, and a flag for each part
    "team", "bias", "own_bias",  # scratch for the parts' counters; a GRU's bias of n in ``weight``, and scratch for it
    "mask", "mask_block",  # masks are blocked over the steps; mask = -1: none
    "h0", "h0_block", "c0", "c0_block",  # first states, blocked; -1: zeros
    "out", "out_block", "out_rows",  # rows of outputs and states for each sequence
    "reverse", "sequences", "return_state", "zero_masked",
    "parts", "coupled",  # whether the parts share sequences, and so wait for each other
)  # fmt: skip
(BATCH, STEPS, SIZE, WIDE, X, X_ROW, STATE, STATE_ROW, TEAM, BIAS, OWN_BIAS, MASK, MASK_BLOCK, H0, H0_BLOCK, C0,
 C0_BLOCK, OUT, OUT_BLOCK, OUT_ROWS, REVERSE, SEQUENCES, RETURN_STATE, ZERO_MASKED, PARTS, COUPLED) = (
    range(len(FIELDS)))  # fmt: skip
# Of each part: sequences, units (whole blocks), and where its panels begin: all, or a GRU's r and z, and then n.
PART_FIELDS = ("first", "last", "first_unit", "last_unit", "panel", "second_panel")


@functools.cache
def product_tile_f32(mr: int, nv: int) -> Any:
    """Give the micro-kernel of ``mr`` rows by ``nv`` vectors of outputs."""

    @intrinsic
    def product_tile(
        typing_context: Any, arena: Any, x: Any, x_row: Any, size: Any, weight: Any, panel: Any, start: Any,
        start_row: Any, out: Any, out_row: Any, count: Any, vectors: Any,
    ) -> Any:  # fmt: skip
        """Write ``start + x @ weight`` of ``count`` rows and ``vectors`` vectors; each sum runs over k in order.

        Parameters
        ----------
        arena, x, x_row, size
            Where the first row of x lies, the distance of rows, and their ``size`` (>= 1) numbers.
        weight, panel
            Array and start of the packed weight: ``[size][nv][LANES]``.
        start, start_row, out, out_row
            Where in the arena the sums begin and go to.
        """
        signature = types.void(arena, *(types.intp,) * 3, weight, *(types.intp,) * 7)

        def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            _, x, x_row, size, _, panel, start, start_row, out, out_row, count, vectors = arguments
            # Rows and vectors that do not exist are the last ones, computed again.
            rows, places = [constant(0)], [constant(0)]
            for p in range(1, mr):
                rows.append(b.select(b.icmp_signed("<", constant(p), count), constant(p), rows[-1]))
            for v in range(1, nv):
                places.append(b.select(b.icmp_signed("<", constant(v), vectors), constant(v * LANES), places[-1]))

            def pointer(array: int, first: Any) -> Any:
                return address(context, b, signature, arguments, array, first)

            numbers = [pointer(0, b.add(x, b.mul(row, x_row))) for row in rows]
            begin = [pointer(0, b.add(start, b.mul(row, start_row))) for row in rows]
            target = [pointer(0, b.add(out, b.mul(row, out_row))) for row in rows]
            first = [load_vector(b, b.gep(row, [place])) for row in begin for place in places]
            weights, fma = pointer(4, panel), multiply_add(b)
            before, loop, done = b.block, b.append_basic_block("k"), b.append_basic_block("done")
            b.branch(loop)
            b.position_at_end(loop)
            k, line, sums = b.phi(INDEX), b.phi(weights.type), [b.phi(VECTOR) for _ in first]
            lanes = [load_vector(b, line, v * LANES) for v in range(nv)]
            results = []
            for p in range(mr):
                scalar = spread(b, b.load(b.gep(numbers[p], [k])))
                results += [b.call(fma, [scalar, lanes[v], sums[p * nv + v]]) for v in range(nv)]
            following = b.add(k, constant(1)), b.gep(line, [constant(nv * LANES)])
            for phi, initial, after in zip(
                (k, line, *sums), (constant(0), weights, *first), (*following, *results), strict=True
            ):
                phi.add_incoming(initial, before)
                phi.add_incoming(after, loop)
            b.cbranch(b.icmp_signed("<", following[0], size), loop, done)
            b.position_at_end(done)
            # Backwards: where one is written twice, the sum of its own weights comes last.
            for p in reversed(range(mr)):
                for v in reversed(range(nv)):
                    store_vector(b, results[p * nv + v], b.gep(target[p], [places[v]]))
            return context.get_dummy_value()

        return signature, codegen

    return product_tile


@device
def spread_out(row: Any, arena: Any, out: int, block: int, is_zero: bool) -> None:
    """Copy a row to a blocked value, or zeros."""
    for place in range(row.size // LANES):
        target = out + place * block
        if is_zero:
            fill(ZERO, arena[target : target + LANES])
        else:
            copy(row[place * LANES : place * LANES + LANES], arena[target : target + LANES])


@device
def gather(arena: Any, source: int, block: int, row: Any) -> None:
    """Copy a row from a blocked value; zeros if there is none, at -1."""
    if source < 0:
        fill(ZERO, row)
    else:
        for place in range(row.size // LANES):
            begin = source + place * block
            copy(arena[begin : begin + LANES], row[place * LANES : place * LANES + LANES])


@device
def is_masked(d: Any, arena: Any, n: int, t: int) -> Any:
    """Tell whether a step of a sequence is to be passed over."""
    return d[MASK] >= 0 and arena[d[MASK] + t // LANES * d[MASK_BLOCK] + n * LANES + t % LANES] == ZERO


@functools.cache
def recurrence_f32(cell: str, mr: int, nv: int, activation: str, gate: str) -> Kernel:
    """Give the kernel of a cell of ``jit_kernels/recurrent.py`` with tiles of ``mr`` sequences by ``nv`` vectors."""
    tile = product_tile_f32(mr, nv)
    gates, output = cell_of(cell, activation, gate)
    is_gru, is_before, states = output is not None, cell == "gru_reset_before", 2 if cell == "lstm" else 1
    count = GATES[cell]
    early = 2 if is_gru else count  # gates whose sums come first

    @device
    def product(
        arena: Any, weight: Any, panel: int, size: int, wide: int, x: int, row: int, start: int, start_row: int,
        out: int, first: int, last: int, backwards: bool,
    ) -> None:  # fmt: skip
        """Multiply rows of states, ``row`` apart, by the weight of ``wide`` outputs, in panels.

        The panels are taken in turns forwards and backwards, so that those in the caches are used again at once.
        """
        for place in range(0, wide, nv * LANES):
            shift = (wide - 1) // (nv * LANES) * (nv * LANES) - place if backwards else place
            for n in range(first, last, mr):
                tile(
                    arena, x + n * row, row, size, weight, panel + shift * size, start + n * start_row + shift,
                    start_row, out + n * row + shift, row, min(mr, last - n), min(nv, (wide - shift) // LANES),
                )  # fmt: skip

    @device
    def begin(d: Any, share: Any, part: int, arena: Any) -> None:
        """Take the first state."""
        low, high, wide = share[2], share[3], d[WIDE]
        for n in range(share[0], share[1]):
            start, shift = d[STATE] + n * d[STATE_ROW], n * LANES
            row = arena[start : start + d[STATE_ROW]]
            gather(arena, d[H0] + shift + low // LANES * d[H0_BLOCK] if d[H0] >= 0 else -1, d[H0_BLOCK], row[low:high])
            c = row[2 * wide + low : 2 * wide + high]
            gather(arena, d[C0] + shift + low // LANES * d[C0_BLOCK] if d[C0] >= 0 else -1, d[C0_BLOCK], c)
            row[row.size - 1 - part] = ZERO

    @device
    def sum_up(d: Any, share: Any, weight: Any, p: Any, arena: Any, place: int) -> None:
        """Compute the gates; of a GRU r and z alone, and r h, or what the state gives n."""
        first, last, low, high, wide = share[0], share[1], share[2], share[3], d[WIDE]
        t = d[STEPS] - 1 - place if d[REVERSE] else place
        h, sums, own = place % 2 * wide, 3 * wide + count * low, high - low
        backwards = place % 2 == 1
        product(
            arena, weight, share[4], d[SIZE], early * own, d[STATE] + h, d[STATE_ROW],
            d[X] + t * d[X_ROW] + count * low, d[STEPS] * d[X_ROW], d[STATE] + sums, first, last, backwards,
        )  # fmt: skip
        if is_gru and not is_before:
            product(
                arena, weight, share[5], d[SIZE], own, d[STATE] + h, d[STATE_ROW], d[OWN_BIAS] + low, 0,
                d[STATE] + sums + 2 * own, first, last, backwards,
            )  # fmt: skip
        target = h if is_gru else wide - h
        for n in range(first, last):
            if not is_masked(d, arena, n, t):
                start = d[STATE] + n * d[STATE_ROW]
                row = arena[start : start + d[STATE_ROW]]
                c = row[2 * wide + low : 2 * wide + high]
                gates(row[sums : sums + count * own], p, row[target + low : target + high], c)

    @device
    def go_on(d: Any, share: Any, part: int, weight: Any, p: Any, arena: Any, place: int) -> None:
        """Compute the next state, and give it out."""
        first, last, low, high, wide = share[0], share[1], share[2], share[3], d[WIDE]
        t = d[STEPS] - 1 - place if d[REVERSE] else place
        h, sums, own = place % 2 * wide, 3 * wide + count * low, high - low
        x = d[X] + t * d[X_ROW] + count * low + 2 * own
        if is_before:
            product(
                arena, weight, share[5], d[SIZE], own, d[STATE] + 2 * wide, d[STATE_ROW], x, d[STEPS] * d[X_ROW],
                d[STATE] + sums + 2 * own, first, last, place % 2 == 1,
            )  # fmt: skip
        for n in range(first, last):
            start = d[STATE] + n * d[STATE_ROW]
            row = arena[start : start + d[STATE_ROW]]
            old, new, seen = row[h + low : h + high], row[wide - h + low : wide - h + high], row.size - 1 - part
            masked = is_masked(d, arena, n, t)
            if masked:
                copy(old, new)
            elif is_gru:
                source = x + n * d[STEPS] * d[X_ROW]
                output(arena[source : source + own], row[sums : sums + count * own], p, old, new)
            if not masked:
                row[seen] = ONE
            elif d[ZERO_MASKED]:
                row[seen] = ZERO
            if d[SEQUENCES] or place == d[STEPS] - 1:
                target = d[OUT] + (n * d[OUT_ROWS] + (place if d[SEQUENCES] else 0)) * LANES
                spread_out(new, arena, target + low // LANES * d[OUT_BLOCK], d[OUT_BLOCK], row[seen] == ZERO)

    @device
    def end(d: Any, share: Any, arena: Any) -> None:
        """Give the last state out."""
        low, high, wide = share[2], share[3], d[WIDE]
        h = d[STEPS] % 2 * wide
        for n in range(share[0], share[1]):
            start = d[STATE] + n * d[STATE_ROW]
            row = arena[start : start + d[STATE_ROW]]
            target = d[OUT] + (n * d[OUT_ROWS] + d[OUT_ROWS] - states) * LANES + low // LANES * d[OUT_BLOCK]
            spread_out(row[h + low : h + high], arena, target, d[OUT_BLOCK], False)
            if states == 2:
                spread_out(row[2 * wide + low : 2 * wide + high], arena, target + LANES, d[OUT_BLOCK], False)

    name = kernel_name("recurrence", cell, f"{mr}x{nv}", activation, gate)

    @kernel("void(i8[::1], i8[:,::1], f4[::1], f4[::1], f4[::1])", name=name, counted=False)
    def run(d: Any, shares: Any, weight: Any, p: Any, arena: Any) -> None:
        """Run a layer over all steps.

        ``d`` is described by ``FIELDS``, each row of ``shares`` by ``PART_FIELDS``.  ``weight`` holds panels
        ``[size][nv][LANES]`` of the rows of the gates; the units of a part lie together, gate after gate, also in x
        and in the sums.  ``p``: three parameters of the activation, three of the gates' function.

        Parallel axis: parts; each sum is made by one thread, in the order of k.
        """
        parts, team = d[PARTS], d[TEAM]
        disband(arena, team)
        copy(weight[d[BIAS] : d[BIAS] + d[WIDE]], arena[d[OWN_BIAS] : d[OWN_BIAS] + d[WIDE]])
        for part in prange(parts):
            company = join(arena, team, parts) if d[COUPLED] else TOGETHER
            if company != OTHERS:
                low, high = (0, parts) if company == ALONE else (part, part + 1)
                waits, meetings = d[COUPLED] and company == TOGETHER, 0
                for own in range(low, high):
                    begin(d, shares[own], own, arena)
                for place in range(d[STEPS]):
                    if waits:
                        meetings += 1
                        meet(arena, team, parts, meetings)
                    for own in range(low, high):
                        sum_up(d, shares[own], weight, p, arena, place)
                    if waits and is_before:
                        meetings += 1
                        meet(arena, team, parts, meetings)
                    for own in range(low, high):
                        go_on(d, shares[own], own, weight, p, arena, place)
                if d[RETURN_STATE]:
                    for own in range(low, high):
                        end(d, shares[own], arena)

    return run
