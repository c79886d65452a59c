"""The most that the micro-kernel of convolutions does on this machine, measured on numbers in the first-level cache."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import numpy as np

from jit_kernels._jit import LAUNCH
from jit_kernels._simd import LANES
from jit_kernels.blocked import conv
from jit_kernels.blocked.tile import tile_cycles, tile_shapes
from keydnn.plan.memory import aligned
from keydnn.plan.step import described
from keydnn.threads import get_num_threads

K = 128  # multiply-adds a number of the output
SECONDS = 0.001  # of a call: short, so that some are not disturbed
CALLS = 100


@dataclass(frozen=True)
class Peak:
    """Billions of floating-point operations a second, two for a multiply-add: of one thread, and of all."""

    one: float
    all: float
    threads: int

    @property
    def most(self) -> float:
        """The larger one: other work on the machine may take the other threads' cores."""
        return max(self.one, self.all)


def measure_peak() -> Peak:
    """Measure with the number of threads there is now; the best of some short calls counts."""
    threads = get_num_threads()
    one = _gflops(1)
    return Peak(one, _gflops(threads) if threads > 1 else one, threads)


@functools.cache
def _shape() -> tuple[int, int]:
    """Give the tile that does the most in a cycle."""
    return min(tile_shapes(), key=lambda s: tile_cycles(s[0], s[1], K) / (s[0] * s[1]))


def _gflops(threads: int) -> float:
    """Run a convolution whose rows all read the same pixels and write the same place, one image a thread."""
    mr, nv = _shape()
    panel, pixels = nv * LANES, mr * LANES
    taps = np.array([(place * pixels, LANES) for place in range(K // LANES)], np.int64)
    image = pixels * (len(taps) + nv)  # what is read, then what is written
    arena, weight = aligned(threads * image), aligned(panel + K * panel)
    arena[:], weight[:] = 1, 1e-3
    kernel = conv.conv_f32(mr, nv, LANES)

    def seconds(rows: int, calls: int) -> float:
        description = described(
            conv.FIELDS, batch=threads, rows=rows, width=mr, x=0, x_image=image, x_row=0, x_group=0,
            out=pixels * len(taps), out_image=image, out_block=pixels, out_row=0, out_step=LANES, added=-1,
            added_image=-1, added_block=-1, added_row=-1, blocks=nv, groups=1, chunk=len(taps), chunk_k=K, k=K,
            band=rows, parts=1, threads=threads, groups_each=1,
        )  # fmt: skip
        scalars = [np.float32(number) for number in (-np.inf, np.inf)], [np.float32(0)] * 3
        arguments = (description, taps.reshape(-1), *scalars[0], weight, *scalars[1], arena)
        call, taken = kernel.bind(arguments, threads > 1), []
        with LAUNCH:
            for _ in range(calls):
                start = time.perf_counter()
                call()
                taken.append(time.perf_counter() - start)
        return min(taken)

    operations = 2 * mr * panel * K * threads  # of a row
    few = 100
    rows = max(few, int(few * SECONDS / seconds(few, 10)))
    return rows * operations / seconds(rows, CALLS) / 1e9
