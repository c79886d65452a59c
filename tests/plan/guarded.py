"""Run by test_algorithms.py in a process of its own: all memory of plans ends and begins at pages of no access.

A kernel that reads or writes beyond what a plan has ends the process.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import sys
from functools import partial

import numpy as np

from jit_kernels._simd import LANES
from keydnn.modules import Conv2d, SiLU
from keydnn.plan import Program, memory
from tests.plan.algorithms import CASES, Seeded, arrays_of, graph_of, settings_of
from tests.plan.choices import SHAPES, everywhere, few_tiles, tiles, winograd

PAGE, GUARD, LINE = mmap.PAGESIZE, 1 << 24, 64
NO_ACCESS, READ_WRITE, PRIVATE = 0, 3, 0x22  # Linux: PROT_NONE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS

library = ctypes.CDLL(None, use_errno=True)
library.mmap.restype = ctypes.c_void_p
library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(size, at_the_end):
    """Do as memory.aligned does; the array ends at a guard, or begins at one, holds NaN, and is never given back."""
    wanted = -(-4 * size // LINE) * LINE
    room = -(-wanted // PAGE) * PAGE
    start = library.mmap(None, room + 2 * GUARD, NO_ACCESS, PRIVATE, -1, 0)
    assert start is not None
    assert start + 1 != 0
    assert library.mprotect(start + GUARD, room, READ_WRITE) == 0
    first = start + GUARD + (room - wanted if at_the_end else 0)
    array = np.frombuffer((ctypes.c_float * size).from_address(first), np.float32)
    array[:] = np.nan
    return array


def absent_block(out_blocks):
    """A sum in several parts where a tile has more blocks than there are, and the output is last in memory."""
    make = Seeded(x=(LANES, 40, 40))
    make("before", Conv2d(LANES, 4 * LANES, 1), "x")
    make("y", Conv2d(4 * LANES, out_blocks * LANES, 3, padding="same"), "before")
    return make.graph("y")


def far_apart():
    """The largest distance of pixels that a kernel is made for."""
    make = Seeded(x=(LANES, 3, 180))
    make("before", Conv2d(LANES, 2 * LANES, 1), "x")
    make("y", Conv2d(2 * LANES, 1, (1, 3), (1, 16), "same"), "before")
    make("z", SiLU(), "y")
    return make.graph("z")


def run(name, graph, batch=1):
    print(json.dumps([name, batch]), flush=True)
    arrays = arrays_of(graph, batch)
    found = Program(graph).run(arrays)
    assert all(np.isfinite(array).all() for array in found)


def main():
    for at_the_end in (True, False):
        memory.aligned = partial(guarded, at_the_end=at_the_end)
        for name in CASES:
            for batch in (1, 3):
                with few_tiles(), settings_of(name):
                    run(name, graph_of(name), batch)
        run("far-apart", far_apart())
        for tile in sorted({max(shape for shape in SHAPES if shape[1] == nv) for _, nv in SHAPES if nv > 1}):
            with winograd(False), everywhere("PANEL_BYTES", 1), tiles(tile):
                for out_blocks in (1, 3):
                    run(f"absent-block-{tile}", absent_block(out_blocks))


if __name__ == "__main__":
    sys.exit(main())
