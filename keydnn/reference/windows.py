"""Windows that slide over the axes of images: padding, how many there are, and what each of their cells sees.

Images are (N, C, *spatial); ``pads`` is ((before, after), ...), one pair a spatial axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import AnyArray, f64

Sizes = Sequence[int]
Pads = Sequence[tuple[int, int]]


def same_pads(sizes: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> list[tuple[int, int]]:
    """SAME padding from its definition: as many outputs as ceil(size / stride), the odd cell behind."""
    pads = []
    for size, k, s, d in zip(sizes, kernel_size, stride, dilation, strict=True):
        total = max(0, (math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size)
        pads.append((total // 2, math.ceil(total / 2)))
    return pads


def padded(x: npt.ArrayLike, pads: Pads, value: float = 0.0) -> AnyArray:
    """Put cells around images, in float64."""
    x = f64(x)
    return np.pad(x, [(0, 0), (0, 0), *pads], constant_values=value) if np.any(pads) else x


def counts(sizes: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> list[int]:
    """Give the number of windows along each axis."""
    return [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernel_size, stride, dilation, strict=True)]


def cells(kernel_size: Sizes, stride: Sizes, dilation: Sizes, count: Sizes) -> Iterator[tuple[Any, ...]]:
    """For each cell of a window, in C order, give the index of what it sees in all the windows."""
    for cell in itertools.product(*map(range, kernel_size)):
        axes = zip(cell, stride, dilation, count, strict=True)
        yield ..., *(slice(i * d, i * d + (n - 1) * s + 1 if n > 0 else 0, s) for i, s, d, n in axes)
