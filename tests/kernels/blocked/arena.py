"""Values laid out by hand in an arena where everything else is NaN or a sentinel, which must still be there afterwards.

Rows, blocks and images stand apart by distances of their own, as values inside others do.  Lanes beyond the last
channel and the gaps hold NaN: what a kernel needs of them would show in the result.
"""

from __future__ import annotations

import numpy as np

from jit_kernels._simd import LANES

NAN = np.float32(np.nan)
SENTINEL = np.float32(-12345.5)
MARGIN = 40 * LANES  # before the first value and between values; a tile reads this far beyond its pixels


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def float32(*numbers):
    return tuple(np.float32(number) for number in numbers)


NO_BOUNDS = float32(-np.inf, np.inf)
NO_CONSTANTS = float32(0, 0, 0)


class Place:
    """Where a value (N, C, H, W) lies: start and strides, in numbers."""

    def __init__(self, start, sizes, lanes=LANES, halo=(0, 0, 0, 0), gaps=(1, 2, 1)):
        batch, channels, height, width = sizes
        top, bottom, left, right = halo
        self.sizes, self.lanes, self.halo, self.blocks = sizes, lanes, halo, -(-channels // lanes)
        self.row = (left + width + right + gaps[2]) * lanes
        self.block = (top + height + bottom) * self.row + gaps[1] * lanes
        self.image = self.blocks * self.block + gaps[0] * lanes
        self.start = start + top * self.row + left * lanes
        self.end = start + batch * self.image

    def fields(self, prefix):
        """Give the fields of a description that say where the value lies."""
        names = {prefix: self.start, f"{prefix}_image": self.image, f"{prefix}_block": self.block}
        return names | {f"{prefix}_row": self.row}

    def cells(self, halo=False):
        """Give the places of all numbers, as (N, blocks, H, W, lanes)."""
        batch, _, height, width = self.sizes
        top, bottom, left, right = self.halo if halo else (0, 0, 0, 0)
        axes = [
            np.arange(batch) * self.image, np.arange(self.blocks) * self.block,
            np.arange(-top, height + bottom) * self.row, np.arange(-left, width + right) * self.lanes,
            np.arange(self.lanes),
        ]  # fmt: skip
        return self.start + sum(np.ix_(*axes))


class Arena:
    """The numbers that kernels work on."""

    def __init__(self):
        self._end, self._given = MARGIN, []

    def add(self, array, **options):
        """Put a value in, with zeros around each plane if it has a halo."""
        place = self.room(array.shape, **options)
        self._given.append((place, array))
        return place

    def room(self, sizes, **options):
        """Leave room for a value: sentinels."""
        place = Place(self._end, sizes, **options)
        self._end = place.end + MARGIN
        return place

    def numbers(self, written):
        """Give the arena: sentinels where the place ``written`` has its rows, NaN around all other values."""
        numbers = np.full(self._end, NAN)
        numbers[written.start - MARGIN // 2 : written.end + MARGIN // 2] = SENTINEL
        for place, array in self._given:
            numbers[place.cells(halo=True)] = 0
            numbers[place.cells()] = blocked(array, place.lanes)
        return numbers


def blocked(array, lanes=LANES):
    """Give (N, C, H, W) as (N, blocks, H, W, lanes), NaN in the lanes beyond the last channel."""
    batch, channels, height, width = array.shape
    whole = np.full((batch, -(-channels // lanes) * lanes, height, width), NAN)
    whole[:, :channels] = array
    return whole.reshape(batch, -1, lanes, height, width).transpose(0, 1, 3, 4, 2)


def plain(cells, channels):
    """Give (N, blocks, H, W, lanes) as (N, C, H, W)."""
    batch, blocks, height, width, lanes = cells.shape
    return cells.transpose(0, 1, 4, 2, 3).reshape(batch, blocks * lanes, height, width)[:, :channels]


def described(names, **values):
    """Give a kernel's description."""
    assert set(values) == set(names), f"fields {sorted(set(values) ^ set(names))}"
    return np.array([values[name] for name in names], np.int64)


def launch(kernel, numbers, *arguments):
    """Run a kernel on one thread."""
    kernel.bind((*arguments, numbers), False)()


def written(kernel, arena, place, *arguments, scratch=slice(0)):
    """Run a kernel that writes one value, assert that it writes nothing else but scratch memory, and give the value."""
    numbers = arena.numbers(place)
    before = numbers.copy()
    launch(kernel, numbers, *arguments)
    cells = place.cells()
    found = plain(numbers[cells], place.sizes[1])
    numbers[cells], numbers[scratch] = before[cells], before[scratch]
    np.testing.assert_array_equal(numbers, before, err_msg="numbers beside the output were written")
    return found
