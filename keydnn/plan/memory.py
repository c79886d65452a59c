"""Where values live: one block of memory, reused as values come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keydnn.errors import ShapeError
from keydnn.modules.base import Array
from keydnn.plan.values import Blocked, Plain, Storage

if TYPE_CHECKING:
    from keydnn.plan.route import Operation, Route

ALIGN = 16  # float32 numbers: one cache line
KEPT_NUMBERS = 1 << 18  # a part of the second-level cache
SLACK = 1 << 13  # numbers behind the last value: the last tile of a row reads pixels that are not there


@dataclass(frozen=True)
class Lifetime:
    """A value's size in numbers, the step that writes it and the last step that reads it."""

    size: int
    first: int
    last: int


@dataclass(eq=False)
class Scratch:
    """Memory that one operation uses for itself."""

    size: int
    offset: int = -1


Home = Storage | Plain | Scratch


def place(route: Route) -> Array:
    """Give every value of a route its place in the arena, and the arena."""
    homes: dict[int, Home] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    sharing: dict[int, tuple[Home, Home]] = {}  # by the one that shares the other's memory
    for operation in route.operations:
        if operation.is_same_memory:
            (source,) = operation.inputs
            sharing[id(home_of(operation.out))] = (home_of(operation.out), home_of(source))

    def touch(home: Home, when: int) -> None:
        while id(home) in sharing:
            home = sharing[id(home)][1]
        homes[id(home)] = home
        first.setdefault(id(home), when)
        last[id(home)] = when

    for value in route.inputs:
        touch(value, -1)
    for when, operation in enumerate(route.operations):
        for found in (*operation.inputs, operation.out, *([operation.added] if operation.added else [])):
            touch(home_of(found), when)
        if operation.job is not None and operation.job.scratch:
            operation.scratch = Scratch(operation.job.scratch)
            touch(operation.scratch, when)
    for value in route.outputs:
        touch(home_of(value), len(route.operations))
    kept = kept_halos(route.operations)
    for storage in kept:
        first[id(storage)], last[id(storage)] = -1, len(route.operations)
    keys = list(homes)
    offsets, total = offsets_of([Lifetime(homes[key].size, first[key], last[key]) for key in keys])
    for key, offset in zip(keys, offsets, strict=True):
        homes[key].offset = offset
    for home, owner in sharing.values():  # in the order of the operations: an owner has its place
        home.offset = owner.offset
    arena = aligned(total + SLACK)
    arena[total:] = 0
    return arena


def home_of(value: Blocked | Plain) -> Home:
    """Give what holds a value's memory."""
    return value.storage if isinstance(value, Blocked) else value.home


def halos(operations: Sequence[Operation]) -> dict[int, list[Storage]]:
    """Give, for each operation that is the first to write into storages with a halo, those storages."""
    found: dict[int, list[Storage]] = {}
    seen: set[int] = set()
    for when, operation in enumerate(operations):
        if isinstance(operation.out, Blocked) and any(operation.out.storage.halo):
            storage = operation.out.storage
            if id(storage) not in seen:
                seen.add(id(storage))
                found.setdefault(when, []).append(storage)
    return found


def kept_halos(operations: Sequence[Operation]) -> list[Storage]:
    """Give the storages whose halo is written once for all runs: all that have one, if they are small together.

    Their memory is then not used for anything else.
    """
    storages = [storage for each in halos(operations).values() for storage in each]
    return storages if sum(storage.size for storage in storages) <= KEPT_NUMBERS else []


def offsets_of(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
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
