"""Direct convolution and matrix product on the blocked layout."""

from __future__ import annotations

import functools
from typing import Any

from numba import prange

from jit_kernels._jit import Kernel, kernel
from jit_kernels._simd import LANES
from jit_kernels.blocked.activation import row_pass
from jit_kernels.blocked.tile import conv_tile_f32

FIELDS = (
    "batch", "rows", "width",  # of the output; rows = 1 where whole planes are one run of pixels
    "x", "x_image", "x_row", "x_group",  # start of the first pixel's first tap, and strides
    "out", "out_image", "out_block", "out_row", "out_step",
    "added", "added_image", "added_block", "added_row",  # the residual; added = -1: none
    "blocks", "groups",  # of output channels: blocks of LANES, groups of NV blocks that share a panel of the weight
    "chunk",  # taps whose part of the weight is used for a whole band before the next
    "chunk_k", "k",  # numbers k of a chunk, and of all taps
    "band", "parts", "threads",  # tiles of a band; parts that the groups are dealt out in
    "groups_each",  # groups that read the same channels
)  # fmt: skip


@functools.cache
def conv_f32(mr: int, nv: int, step: int, activation: str = "") -> Kernel:
    """Give the kernel for tiles of ``mr`` pixels, ``step`` numbers apart in the input, and ``nv`` blocks of channels.

    ``activation`` names a function of ``jit_kernels/activation.py`` that is applied to the output, if any.
    """
    conv_tile = conv_tile_f32(mr, nv, step)
    activate = row_pass(activation)
    panel = nv * LANES
    name = f"conv_f32_{mr}x{nv}_{step}" + f"_{activation}" * bool(activation)

    @kernel("void(i8[::1], i8[::1], f4, f4, f4[::1], f4, f4, f4, f4[::1])", name=name)
    def conv(d: Any, taps: Any, low: Any, high: Any, weight: Any, a: Any, b: Any, c: Any, arena: Any) -> None:
        """Convolve, add bias and residual, clamp to [low, high], apply the activation (parameters a, b, c).

        ``d`` is described by ``FIELDS``; ``taps`` are pairs as in ``conv_tile_f32``.  ``weight`` holds the bias, LANES
        a block, then for each group of blocks a panel ``[k][nv][LANES]``.  Parallel axis: bands of tiles, and parts of
        the groups; each output is summed by one thread, in the order of the taps.
        """
        (batch, rows, width, x, x_image, x_row, x_group, out, out_image, out_block, out_row, out_step, added,
         added_image, added_block, added_row, blocks, groups, chunk, chunk_k, k, band, parts, threads, groups_each) = (
            d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12],
            d[13], d[14], d[15], d[16], d[17], d[18], d[19], d[20], d[21], d[22], d[23], d[24])  # fmt: skip
        across, all_taps = (width + mr - 1) // mr, taps.size // 2
        tiles = rows * across
        bands = (tiles + band - 1) // band
        chunks = (all_taps + chunk - 1) // chunk
        total = batch * bands * parts
        for thread in prange(threads):
            for unit in range(thread * total // threads, (thread + 1) * total // threads):
                part, first_tile, n = unit % parts, unit // parts % bands * band, unit // parts // bands
                last_tile = min(first_tile + band, tiles)
                for part_of_k in range(chunks):
                    first, last = part_of_k * chunk, min((part_of_k + 1) * chunk, all_taps)
                    for group in range(part * groups // parts, (part + 1) * groups // parts):
                        source = x + n * x_image + group // groups_each * x_group
                        target = out + n * out_image + group * nv * out_block
                        residual = added + n * added_image + group * nv * added_block
                        start = groups * panel + (group * k + part_of_k * chunk_k) * panel
                        here = min(nv, blocks - group * nv)
                        row, column = first_tile // across, first_tile % across * mr
                        for _ in range(first_tile, last_tile):
                            conv_tile(
                                arena, source + row * x_row + column * step, taps, first, last, weight, start,
                                target + row * out_row + column * out_step, out_block, out_step,
                                min(mr, width - column), here, part_of_k == 0, part_of_k == chunks - 1, group * panel,
                                residual + row * added_row + column * LANES if added >= 0 else -1, added_block, low,
                                high,
                            )  # fmt: skip
                            column += mr
                            if column >= width:
                                column = 0
                                row += 1
                        if activation and part_of_k == chunks - 1:
                            for block in range(here):
                                for tile in range(first_tile, last_tile):
                                    if tile == first_tile or tile % across == 0:
                                        run = min(across - tile % across, last_tile - tile)
                                        left = tile % across * mr
                                        start = target + block * out_block + tile // across * out_row + left * LANES
                                        size = min(run * mr, width - left) * LANES
                                        activate(arena, start, size, a, b, c)

    return conv
