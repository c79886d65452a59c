"""The micro-kernel: a register tile of a convolution, written as LLVM vector code through a Numba intrinsic.

The tile is ``MR`` neighbouring pixels by ``NV`` blocks of LANES output channels.  One loop over k holds all MR x NV
accumulators in registers; each step loads NV vectors of the packed weight, broadcasts one number of each pixel, and
issues MR x NV fused multiply-adds.  The input is read where it lies: k runs over taps, each an offset and a number of
neighbouring numbers (the channels of a block).
"""

from __future__ import annotations

import functools
from typing import Any

from numba import types

from jit_kernels._simd import (
    INDEX,
    LANES,
    REGISTERS,
    VECTOR,
    address,
    clamped,
    constant,
    intrinsic,
    load_vector,
    multiply_add,
    prefetch,
    spread,
    store_vector,
    zeros,
)

FIRST_LEVEL_BYTES = 32 << 10


def tile_shapes() -> list[tuple[int, int]]:
    """Give the tiles (MR, NV) that fit the registers: accumulators, the vectors of the weight, and one pixel."""
    rows = {2: (8, 7, 6, 5, 4, 2), 1: (16, 8, 4, 1), 4: (4, 3, 2, 1), 8: (1,)}
    return [(mr, nv) for nv, sizes in rows.items() for mr in sizes if mr * nv + nv + 1 <= REGISTERS]


def tile_cycles(mr: int, nv: int, k: int) -> float:
    """Estimate the cycles of each of ``k`` steps.

    Two multiply-adds and two loads a cycle, four cycles until a sum is ready; a panel of the weight that is larger than
    the first-level cache comes from the second-level one for every tile.
    """
    from_second_level = nv * LANES / 7 if 4 * k * nv * LANES > FIRST_LEVEL_BYTES else 0.0
    return max(mr * nv / 2, (mr + nv) / 2, 4.0, from_second_level) + 0.15


@functools.cache
def conv_tile_f32(mr: int, nv: int, step: int) -> Any:
    """Give the micro-kernel of a tile of ``mr`` pixels, ``step`` numbers apart, and ``nv`` blocks of channels."""

    @intrinsic
    def conv_tile(
        typing_context: Any, arena: Any, x: Any, taps: Any, first: Any, last: Any, weight: Any, panel: Any, out: Any,
        out_block: Any, out_step: Any, count: Any, blocks: Any, begin: Any, end: Any, bias: Any, added: Any,
        added_block: Any, low: Any, high: Any,
    ) -> Any:  # fmt: skip
        """Sum over the taps ``first..last`` and write ``count`` pixels of ``blocks`` blocks.

        Parameters
        ----------
        arena, x
            Input of the first pixel.  Pixels from ``count`` on are read too, but not written.
        taps
            Pairs: where a tap reads, relative to the pixel, and how many neighbouring numbers (>= 1).
        weight, panel
            Array and start of the packed weight: ``[k][nv][LANES]``.
        out, out_block, out_step
            Where in the arena the first pixel goes, and the distance of the next block and of the next pixel.
        begin, end
            Whether the sum starts at these taps (else it goes on from what is in ``out``) and whether it ends with
            them: then ``clamp(sum + bias + added, low, high)`` is written.  NaN passes the clamp.
        bias
            Start of the bias in ``weight``.
        added, added_block
            Where in the arena the first pixel of a residual lies (-1: none), and the distance of its next block.
        """
        signature = types.void(
            arena, *(types.intp,), taps, *(types.intp,) * 2, weight, *(types.intp,) * 11, *(types.float32,) * 2
        )

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (_, x, _, first, last, _, panel, out, out_block, out_step, count, blocks, begin, end, bias, added,
             added_block, low, high) = arguments  # fmt: skip
            tile = Tile(builder, mr, nv, out_step)
            target = address(context, builder, signature, arguments, 0, out)
            residual = address(context, builder, signature, arguments, 0, added)
            has_residual = builder.icmp_signed(">=", added, constant(0))
            with builder.if_then(has_residual):
                tile.prefetch(residual, added_block)
            sums = tile.multiply(
                address(context, builder, signature, arguments, 0, x),
                address(context, builder, signature, arguments, 2, constant(0)),
                (first, last),
                address(context, builder, signature, arguments, 5, panel),
                lambda: tile.load(target, out_block, blocks),
                begin,
                step,
            )
            finished = builder.icmp_signed("!=", end, constant(0))
            with builder.if_else(finished) as (ends, goes_on):
                with ends:
                    biases = address(context, builder, signature, arguments, 5, bias)
                    bounds = spread(builder, low), spread(builder, high)
                    tile.finish(
                        sums, biases, residual, added_block, has_residual, bounds, target, out_block, count, blocks
                    )
                with goes_on:
                    tile.store(sums, target, out_block, count, blocks)
            return context.get_dummy_value()

        return signature, codegen

    return conv_tile


AHEAD = 2048  # numbers: the processor's own prefetching stops at the end of each page


class Tile:
    """Writes the code of one tile."""

    def __init__(self, builder: Any, mr: int, nv: int, out_step: Any) -> None:
        self.builder, self.mr, self.nv, self.out_step = builder, mr, nv, out_step

    def _cell(self, start: Any, block_size: Any, pixel: int, block: int) -> Any:
        """Address of a pixel of a block."""
        b = self.builder
        shift = b.add(b.mul(self.out_step, constant(pixel)), b.mul(block_size, constant(block)))
        return b.gep(start, [shift])

    def load(self, start: Any, block_size: Any, blocks: Any) -> list[Any]:
        """Load all accumulators; those of blocks that do not exist from the first one, for there is no memory."""
        b = self.builder
        sizes = [b.select(b.icmp_signed("<", constant(v), blocks), block_size, constant(0)) for v in range(self.nv)]
        cells = [self._cell(start, sizes[v], p, v) for p in range(self.mr) for v in range(self.nv)]
        return [load_vector(b, cell, 0) for cell in cells]

    def prefetch(self, residual: Any, block_size: Any) -> None:
        """Ask for the residual, which is wanted when the sums are there."""
        for v in range(self.nv):
            block = self.builder.gep(residual, [self.builder.mul(block_size, constant(v))])
            for p in range(self.mr):
                prefetch(self.builder, self.builder.gep(block, [constant(p * LANES)]))

    def multiply(
        self, x: Any, taps: Any, bounds: tuple[Any, Any], panel: Any, resume: Any, begin: Any, step: int
    ) -> list[Any]:
        """Write the loops over taps and over the numbers of a tap; give the accumulators behind them."""
        b, size = self.builder, self.mr * self.nv
        fma = multiply_add(b)
        entry = b.block
        resumed, tap_loop, loop, tap_end, done = (
            b.append_basic_block(name) for name in ("resume", "tap", "k", "tap.end", "done")
        )
        b.cbranch(b.icmp_signed("!=", begin, constant(0)), tap_loop, resumed)
        b.position_at_end(resumed)
        loaded = resume()
        b.branch(tap_loop)

        b.position_at_end(tap_loop)
        tap, row, totals = b.phi(INDEX), b.phi(panel.type), [b.phi(VECTOR) for _ in range(size)]
        for block, values in ((entry, [zeros()] * size), (resumed, loaded)):
            tap.add_incoming(bounds[0], block)
            row.add_incoming(panel, block)
            for total, value in zip(totals, values, strict=True):
                total.add_incoming(value, block)
        pair = b.gep(taps, [b.mul(tap, constant(2))])
        numbers = b.gep(x, [b.load(pair)])
        length = b.load(b.gep(pair, [constant(1)]))
        b.branch(loop)

        b.position_at_end(loop)
        k, k_row, sums = b.phi(INDEX), b.phi(panel.type), [b.phi(VECTOR) for _ in range(size)]
        vectors = [load_vector(b, k_row, v * LANES) for v in range(self.nv)]
        for v in range(self.nv):
            prefetch(b, b.gep(k_row, [constant(AHEAD + v * LANES)]))
        pixel = b.gep(numbers, [k])
        results = []
        for p in range(self.mr):
            scalars = spread(b, b.load(b.gep(pixel, [constant(p * step)])))
            results += [b.call(fma, [scalars, vectors[v], sums[p * self.nv + v]]) for v in range(self.nv)]
        next_k, next_row = b.add(k, constant(1)), b.gep(k_row, [constant(self.nv * LANES)])
        for phi, before, after in zip(
            (k, k_row, *sums), (constant(0), row, *totals), (next_k, next_row, *results), strict=True
        ):
            phi.add_incoming(before, tap_loop)
            phi.add_incoming(after, loop)
        b.cbranch(b.icmp_signed("<", next_k, length), loop, tap_end)

        b.position_at_end(tap_end)
        next_tap = b.add(tap, constant(1))
        for phi, after in zip((tap, row, *totals), (next_tap, next_row, *results), strict=True):
            phi.add_incoming(after, tap_end)
        b.cbranch(b.icmp_signed("<", next_tap, bounds[1]), tap_loop, done)
        b.position_at_end(done)
        return results

    def store(self, sums: list[Any], target: Any, block_size: Any, count: Any, blocks: Any) -> None:
        """Write the accumulators as they are."""
        for v in range(self.nv):
            self._store_block([sums[p * self.nv + v] for p in range(self.mr)], target, block_size, v, count, blocks)

    def _store_block(self, values: list[Any], target: Any, block_size: Any, v: int, count: Any, blocks: Any) -> None:
        """Write the pixels of block ``v`` that exist."""
        b = self.builder
        after = b.append_basic_block("stored")
        for p, value in enumerate(values):
            exists = b.icmp_signed("<", constant(p), count)
            if p == 0:
                exists = b.icmp_signed("<", constant(v), blocks)
            store = b.append_basic_block("store")
            b.cbranch(exists, store, after)
            b.position_at_end(store)
            store_vector(b, value, self._cell(target, block_size, p, v), 0)
        b.branch(after)
        b.position_at_end(after)

    def finish(
        self, sums: list[Any], biases: Any, residual: Any, residual_block: Any, has_residual: Any,
        bounds: tuple[Any, Any], target: Any, block_size: Any, count: Any, blocks: Any,
    ) -> None:  # fmt: skip
        """Add bias and residual, clamp, write."""
        b = self.builder
        for v in range(self.nv):
            bias = load_vector(b, biases, v * LANES)
            plain = [b.fadd(sums[p * self.nv + v], bias) for p in range(self.mr)]
            before, with_residual = b.block, b.append_basic_block("residual")
            after = b.append_basic_block("clamp")
            b.cbranch(b.and_(has_residual, b.icmp_signed("<", constant(v), blocks)), with_residual, after)
            b.position_at_end(with_residual)
            cells = [
                b.gep(residual, [b.add(b.mul(residual_block, constant(v)), constant(p * LANES))])
                for p in range(self.mr)
            ]
            summed = [b.fadd(value, load_vector(b, cell, 0)) for value, cell in zip(plain, cells, strict=True)]
            b.branch(after)
            b.position_at_end(after)
            values = [b.phi(VECTOR) for _ in plain]
            for phi, without, value in zip(values, plain, summed, strict=True):
                phi.add_incoming(without, before)
                phi.add_incoming(value, with_residual)
            values = [clamped(b, value, *bounds) for value in values]
            self._store_block(values, target, block_size, v, count, blocks)
