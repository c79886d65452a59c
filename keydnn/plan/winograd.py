"""3x3 convolutions by Winograd's algorithm in a plan: when, how the tiles are shared out, with which weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jit_kernels._simd import LANES
from jit_kernels.blocked import winograd
from jit_kernels.blocked.tile import tile_cycles, tile_shapes
from jit_kernels.blocked.winograd import NUMBERS, TILE, G
from keydnn.modules.base import Array
from keydnn.plan.merge import combine
from keydnn.plan.step import (
    PARALLEL_CYCLES,
    ImageSizes,
    Job,
    Launch,
    Need,
    clamp,
    described,
    strides,
)
from keydnn.plan.values import Blocked

if TYPE_CHECKING:
    from keydnn.plan.conv import Convolution
    from keydnn.plan.window import Window

# Estimated cycles: of a transformation of one tile of one block, and of a byte of weight read from memory.
INPUT_CYCLES, OUTPUT_CYCLES, BYTE_CYCLES = 110.0, 100.0, 0.12
WORK_BYTES = 1 << 20  # of transformed tiles and products that a thread works on


def transformed(weight: Array) -> Array:
    """Give G g G^T of some rows of a weight, worked out in float64 and rounded once; (36, in_channels, rows)."""
    numbers: npt.NDArray[np.float64] = np.einsum("ai,ocij,bj->abco", G, weight.astype(np.float64), G, optimize=True)
    return numbers.reshape(NUMBERS, *numbers.shape[2:]).astype(np.float32)


def tile_counts(out: ImageSizes) -> tuple[int, int]:
    """Give the rows and columns of tiles of an image."""
    return -(-out[2] // TILE), -(-out[3] // TILE)


def wins(channels: int, out: ImageSizes) -> bool:
    """Compare with the direct sum by a count of cycles: products, transformations, weights from memory."""
    if channels <= LANES // 2:
        return False
    batch, out_channels, height, width = out
    in_blocks, out_blocks = -(-channels // LANES), -(-out_channels // LANES)
    tiles = batch * math.prod(tile_counts(out))
    products = 36 * product_cycles(tiles, channels, out_blocks)
    transformations = tiles * (in_blocks * INPUT_CYCLES + out_blocks * OUTPUT_CYCLES)
    direct = batch * height * product_cycles(width, 9 * channels, out_blocks)
    extra = 27 * 4 * channels * out_channels * BYTE_CYCLES
    return products + transformations + extra < 0.9 * direct


def product_cycles(pixels: int, k: int, blocks: int) -> float:
    """Estimate the cycles of a product with the best tile."""
    return min(-(-pixels // mr) * -(-blocks // nv) * k * tile_cycles(mr, nv, k) for mr, nv in tile_shapes())


def job(owner: Convolution, window: Window, x: ImageSizes, out: ImageSizes, threads: int) -> Job:
    """Give the job of a convolution."""
    batch = x[0]
    tile_rows, tile_columns = tile_counts(out)
    tiles = batch * tile_rows * tile_columns
    in_blocks, out_blocks = -(-x[1] // LANES), owner.blocks
    cycles = NUMBERS * product_cycles(tiles, x[1], out_blocks)
    threads = threads if cycles >= PARALLEL_CYCLES else 1
    a_tile = 4 * NUMBERS * LANES * (in_blocks + out_blocks)
    each = max(WORK_BYTES // a_tile, 24)
    by_number = threads > 1 and tiles < 2 * threads * each
    each = tiles if by_number else min(each, -(-tiles // threads))
    shapes = [(mr, nv) for mr, nv in tile_shapes() if nv <= 4]
    mr, nv = min(
        shapes, key=lambda s: -(-each // s[0]) * -(-out_blocks // s[1]) * (tile_cycles(s[0], s[1], x[1]) + 0.1)
    )
    if not by_number and each > mr:
        each -= each % mr
    inputs_number, products_number = (in_blocks * each + 1) * LANES, (out_blocks * each + 1) * LANES
    work = NUMBERS * (inputs_number + products_number) + 16 * LANES
    pads = window.pads
    bottom = TILE * tile_rows + 2 - x[2] - pads[0][0]
    right = TILE * tile_columns + 2 - x[3] - pads[1][0]
    halo = (pads[0][0], max(bottom, 0), pads[1][0], max(right, 0))

    def launches(inputs: Sequence[Blocked], added: Blocked | None, result: Blocked, scratch: int) -> list[Launch]:
        (value,) = inputs
        image, block, row = value.strides
        description = described(
            winograd.FIELDS, batch=batch, out_h=out[2], out_w=out[3], tile_rows=tile_rows, tile_columns=tile_columns,
            x=value.start - pads[0][0] * row - pads[1][0] * LANES, x_image=image, x_block=block, x_row=row,
            in_blocks=in_blocks, out_blocks=out_blocks, groups=-(-out_blocks // nv), k=x[1], tiles=each,
            inputs=scratch, inputs_number=inputs_number, products=scratch + NUMBERS * inputs_number,
            products_number=products_number, work=work, threads=threads, **strides("out", result),
            **strides("added", added),
        )  # fmt: skip
        taps = [(c // LANES * each * LANES, min(LANES, x[1] - c)) for c in range(0, x[1], LANES)]
        weight = owner.packed(nv, "winograd")
        arguments = (description, np.array(taps, np.int64).reshape(-1), *clamp(owner.unit), weight)
        calls = [Launch(winograd.winograd_f32(mr, nv, by_number), arguments, threads > 1)]
        if owner.unit.activation is not None:
            calls.append(combine("copy", owner.unit, result, result, result, threads))
        return calls

    scratch = work if by_number else work * threads
    return Job((Need(x, LANES, halo),), out, launches, scratch, "Winograd convolution")
