"""Where values lie in a plan's arena: plainly, as modules see them, or blocked, as the fast kernels want them.

A blocked value is a storage, or some neighbouring blocks of one: the parts of a concatenation lie in its storage.  The
planes of volumes are images of their own, one after another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from jit_kernels._simd import LANES

Sizes = tuple[int, ...]
PAGE = 1024  # numbers; strides that are a multiple of it would fall into the same few lines of the cache


def image_sizes(shape: Sizes) -> tuple[int, int, int, int] | None:
    """Give (N, C, H, W) of a value (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W); None for other ranks."""
    if len(shape) == 2:
        return (shape[0], shape[1], 1, 1)
    if len(shape) == 3:
        return (shape[0], shape[1], 1, shape[2])
    if len(shape) == 5:
        return (shape[0] * shape[2], shape[1], shape[3], shape[4])
    return (shape[0], shape[1], shape[2], shape[3]) if len(shape) == 4 else None


class Strides(NamedTuple):
    """Distances, in numbers, of the images, channels, rows and pixels of a plain array.

    Where the planes of volumes do not follow each other at equal distances, ``examples`` is their number, ``example``
    their distance, and ``image`` that of the planes of one.
    """

    image: int
    channel: int
    row: int
    step: int
    examples: int = 1
    example: int = 0


def image_strides(sizes: Sizes, strides: tuple[int, ...]) -> Strides:
    """Give the strides of (N, C, H, W) from those of the axes (N, C, ...) of a value of these sizes."""
    if len(strides) == 5:
        batch, _, depth, _, _ = sizes
        example, channel, plane, row, step = strides
        equal = batch == 1 or example == depth * plane
        return Strides(plane, channel, row, step, *(() if equal else (batch, example)))
    if len(strides) == 4:
        return Strides(*strides)
    return Strides(strides[0], strides[1], 0, strides[2] if len(strides) == 3 else 0)


@dataclass(eq=False)
class Storage:
    """Memory of blocks of channels.

    Attributes
    ----------
    batch, blocks, height, width
        Sizes, without the halo.
    lanes
        Numbers of a pixel in a block: LANES, or the number of channels where there are few.
    halo
        Pixels of zeros at the top, bottom, left and right.
    offset
        Where it begins in the arena, once it is placed.
    """

    batch: int
    blocks: int
    height: int
    width: int
    lanes: int = LANES
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)
    offset: int = -1

    def widen(self, halo: tuple[int, int, int, int]) -> None:
        """Make room for a halo."""
        top, bottom, left, right = (max(pair) for pair in zip(self.halo, halo, strict=True))
        self.halo = (top, bottom, left, right)

    @property
    def one_pixel(self) -> bool:
        """Whether the images of a batch lie side by side, as pixels of one row."""
        return self.height == self.width == 1 and not any(self.halo)

    @property
    def row(self) -> int:
        """Distance of rows."""
        return (self.width + self.halo[2] + self.halo[3]) * self.lanes

    @property
    def block(self) -> int:
        """Distance of blocks."""
        if self.one_pixel:
            return self.batch * self.lanes
        plane = (self.height + self.halo[0] + self.halo[1]) * self.row
        return plane + (self.lanes if plane % PAGE == 0 else 0)

    @property
    def image(self) -> int:
        """Distance of images."""
        return self.lanes if self.one_pixel else self.blocks * self.block

    @property
    def size(self) -> int:
        """Numbers in all."""
        return self.blocks * self.block * (1 if self.one_pixel else self.batch)

    @property
    def start(self) -> int:
        """Where its first pixel lies in the arena."""
        return self.offset + self.halo[0] * self.row + self.halo[2] * self.lanes


@dataclass(eq=False)
class Blocked:
    """A value (N, C, H, W) in a storage, from block ``first`` on.

    ``pads`` are the zeros at the top, bottom, left and right that belong to it: a part of the storage's halo.
    """

    storage: Storage
    channels: int
    first: int = 0
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def of(cls, sizes: tuple[int, int, int, int], lanes: int = LANES) -> Blocked:
        """Give a value with a storage of its own."""
        batch, channels, height, width = sizes
        return cls(Storage(batch, -(-channels // lanes), height, width, lanes), channels)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Sizes (N, C, H, W)."""
        top, bottom, left, right = self.pads
        return (
            self.storage.batch, self.channels, self.storage.height + top + bottom, self.storage.width + left + right
        )  # fmt: skip

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.channels // self.storage.lanes)

    @property
    def start(self) -> int:
        """Where its first pixel lies in the arena."""
        pads = self.pads[0] * self.storage.row + self.pads[2] * self.storage.lanes
        return self.storage.start + self.first * self.storage.block - pads

    def widen(self, halo: tuple[int, int, int, int]) -> None:
        """Make room for a halo around the value."""
        top, bottom, left, right = (own + more for own, more in zip(self.pads, halo, strict=True))
        self.storage.widen((top, bottom, left, right))

    def padded(self, pads: tuple[int, int, int, int]) -> Blocked:
        """Give the value with zeros around it: the same numbers in the same place."""
        top, bottom, left, right = (own + more for own, more in zip(self.pads, pads, strict=True))
        value = Blocked(self.storage, self.channels, self.first, (top, bottom, left, right))
        value.widen((0, 0, 0, 0))
        return value

    @property
    def strides(self) -> tuple[int, int, int]:
        """Distances of images, blocks and rows."""
        return self.storage.image, self.storage.block, self.storage.row


@dataclass(eq=False)
class Plain:
    """A value as modules see it, C-contiguous; ``shares`` names the value whose memory it has, if not its own."""

    sizes: Sizes
    offset: int = -1
    shares: Plain | None = None

    @property
    def home(self) -> Plain:
        """The value that has the memory."""
        return self.shares or self

    @property
    def start(self) -> int:
        """Where it begins in the arena, once it is placed."""
        return self.home.offset

    @property
    def size(self) -> int:
        """Numbers in all."""
        return math.prod(self.sizes)


def contiguous_strides(sizes: Sizes) -> tuple[int, ...]:
    """Give the distances, in numbers, of a C-contiguous array's axes."""
    return tuple(math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))
