"""Where values live: one block of memory, reused as values come and go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keydnn.errors import ShapeError
from keydnn.modules.base import Array

ALIGN = 16  # float32 numbers: one cache line


@dataclass(frozen=True)
class Lifetime:
    """A value's size in numbers, the step that writes it and the last step that reads it."""

    size: int
    first: int
    last: int


def place(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """Give each value an offset, so that no two that live at once overlap; and the size of the block.

    Large values are placed first, each at the lowest offset that is free for its whole life.
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    total = 0
    for index in sorted(range(len(lifetimes)), key=lambda i: -lifetimes[i].size):
        own = lifetimes[index]
        rivals = sorted(
            (offsets[other], offsets[other] + _rounded(lifetimes[other].size))
            for other in placed
            if lifetimes[other].first <= own.last and own.first <= lifetimes[other].last
        )
        start = 0
        for begin, end in rivals:
            if begin - start >= _rounded(own.size):
                break
            start = max(start, end)
        offsets[index] = start
        placed.append(index)
        total = max(total, start + _rounded(own.size))
    return offsets, total


def _rounded(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def aligned(size: int) -> Array:
    """Allocate ``size`` numbers, the first on a cache line; ShapeError if there is no memory for them."""
    try:
        block = np.empty(size + ALIGN, np.float32)
    except (MemoryError, ValueError):
        raise ShapeError(f"no memory for {4 * size:,} bytes of values; give fewer or smaller examples") from None
    shift = -block.ctypes.data // 4 % ALIGN
    return block[shift : shift + size]


class Scratch:
    """Memory that one step uses and no other may rely on, shared by the steps of a plan."""

    def __init__(self) -> None:
        self._blocks: dict[str, Array] = {}

    def take(self, kind: str, shape: tuple[int, ...]) -> Array:
        """Give an array of a shape; steps that ask for the same kind share its memory."""
        size = math.prod(shape)
        block = self._blocks.get(kind)
        if block is None or block.size < size:
            self._blocks[kind] = block = aligned(size)
        return block[:size].reshape(shape)
