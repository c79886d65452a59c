"""How an axis is made longer: which cells each new cell is a weighted sum of, as TensorFlow's image resizing has it.

Sources: TensorFlow's ``resize_bicubic_op.cc``, ``scale_and_translate_op.cc`` and ``sampling_kernels.h``, with
half-pixel centres and without antialiasing.  Places are rounded to float32 as there: on long axes that is more than
the rounding of the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keydnn.modules.base import Array

Numbers = npt.NDArray[np.float64]
STEPS = 1024  # TensorFlow's bicubic weights are those of the nearest of so many places between two cells


class Spans(NamedTuple):
    """The neighbouring cells that each new cell is a sum of.

    Attributes
    ----------
    first, counts
        (outputs,): the first cell, and how many there are.
    weights
        (outputs, largest count), with zeros behind the counted.
    """

    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    weights: Array


def _lanczos(radius: int) -> Callable[[Numbers], Numbers]:
    def weight(x: Numbers) -> Numbers:
        wave = np.sinc(x) * np.sinc(x / radius)
        return np.where(x <= 1e-3, 1.0, np.where(x > radius, 0.0, wave))

    return weight


def _gaussian(x: Numbers) -> Numbers:
    return np.where(x >= 1.5, 0.0, np.exp(-2 * x * x))


def _cubic(x: Numbers, inner: tuple[float, float, float], outer: tuple[float, float, float, float]) -> Numbers:
    near = (inner[0] * x + inner[1]) * x * x + inner[2]
    far = ((outer[0] * x + outer[1]) * x + outer[2]) * x + outer[3]
    return np.where(x >= 2, 0.0, np.where(x >= 1, far, near))


def _keys(x: Numbers) -> Numbers:
    return _cubic(x, (1.5, -2.5, 1.0), (-0.5, 2.5, -4.0, 2.0))


def _mitchell(x: Numbers) -> Numbers:
    return _cubic(x, (7 / 6, -2.0, 8 / 9), (-7 / 18, 2.0, -10 / 3, 16 / 9))


# The weight of a cell by its distance, and the distance up to which cells count.
KERNELS: dict[str, tuple[Callable[[Numbers], Numbers], float]] = {
    "bicubic": (_keys, 2.0),
    "lanczos3": (_lanczos(3), 3.0),
    "lanczos5": (_lanczos(5), 5.0),
    "gaussian": (_gaussian, 1.5),
    "mitchellcubic": (_mitchell, 2.0),
}
SAMPLINGS = tuple(KERNELS)


def spans(mode: str, size: int, outputs: int) -> Spans:
    """Give the cells of an axis of ``size``, and their weights, for each of the ``outputs`` cells it is to have."""
    kernel, radius = KERNELS[mode]
    half, centres = np.float32(0.5), np.arange(outputs, dtype=np.float32) + np.float32(0.5)
    if mode == "bicubic":
        places = centres * (np.float32(size) / np.float32(outputs)) - half
        whole = np.floor(places)
        share = np.rint((places - whole) * np.float32(STEPS)).astype(np.float64) / STEPS
        first, last = whole - 1, whole + 2
    else:
        places = centres * np.float32(1 / np.float64(np.float32(outputs) / np.float32(size)))
        reach = np.float32(radius)
        first, last = np.ceil(places - reach - half), np.floor(places + reach - half)
    start, end = (np.clip(edge.astype(np.int64), 0, size - 1) for edge in (first, last))
    counts = end - start + 1
    steps = np.arange(counts.max(initial=0))
    cells = start[:, np.newaxis] + steps
    if mode == "bicubic":
        distance = cells - (whole.astype(np.float64) + share)[:, np.newaxis]
    else:
        distance = (cells.astype(np.float32) + half - places[:, np.newaxis]).astype(np.float64)
    weights = np.where(steps < counts[:, np.newaxis], kernel(np.abs(distance)), 0.0)
    return Spans(start, counts, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
