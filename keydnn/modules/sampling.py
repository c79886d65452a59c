"""An axis in another size: which cells each new cell is a weighted sum of, as TensorFlow's image resizing has it.

Sources: TensorFlow's ``resize_*_op.cc``, ``scale_and_translate_op.cc`` and ``sampling_kernels.h``, with half-pixel
centres.  Places are rounded to float32 as there: on long axes that is more than the rounding of the sums.
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


def _triangle(x: Numbers) -> Numbers:
    return np.maximum(1 - x, 0)


# The weight of a cell by its distance, and the distance up to which cells count.
KERNELS: dict[str, tuple[Callable[[Numbers], Numbers], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_keys, 2.0),
    "lanczos3": (_lanczos(3), 3.0),
    "lanczos5": (_lanczos(5), 5.0),
    "gaussian": (_gaussian, 1.5),
    "mitchellcubic": (_mitchell, 2.0),
}
SAMPLINGS = tuple(name for name in KERNELS if name != "bilinear")
MODES = ("nearest", "area", *KERNELS)
HALF = np.float32(0.5)


def spans(mode: str, size: int, outputs: int, antialias: bool = False) -> Spans:
    """Give the cells of an axis of ``size``, and their weights, for each of the ``outputs`` cells it is to have.

    With ``antialias`` the kernels grow with the cells where these are fewer than before; nearest and area have none.
    """
    if mode == "nearest":
        cells = np.minimum(np.floor(_places(size, outputs)).astype(np.int64), size - 1)
        return Spans(cells, np.ones_like(cells), np.ones((outputs, 1), np.float32))
    if mode == "area":
        return _area(size, outputs)
    kernel, radius = KERNELS[mode]
    if mode in ("bilinear", "bicubic") and not antialias:
        places = _places(size, outputs) - HALF
        first, last = np.floor(places) - radius + 1, np.ceil(places) + radius - 1
        share = (places - np.floor(places)).astype(np.float64)
        if mode == "bicubic":
            share = np.rint(share * STEPS) / STEPS
        middle, stretch = np.floor(places).astype(np.float64) + share, np.float32(1)
    else:
        step = np.float32(1 / np.float64(np.float32(outputs) / np.float32(size)))
        places = (np.arange(outputs, dtype=np.float32) + HALF) * step
        stretch = max(step, np.float32(1)) if antialias else np.float32(1)
        reach = np.float32(radius) * stretch
        first, last = np.ceil(places - reach - HALF), np.floor(places + reach - HALF)
        middle = places.astype(np.float64) - 0.5
    start, end = (np.clip(edge.astype(np.int64), 0, size - 1) for edge in (first, last))
    distance = np.abs(_cells(start, end) - middle[:, np.newaxis]) / stretch
    return _spans(start, end, kernel(distance))


def _places(size: int, outputs: int) -> Array:
    """Give the centres of the new cells, in cells of the axis."""
    return (np.arange(outputs, dtype=np.float32) + HALF) * (np.float32(size) / np.float32(outputs))


def _area(size: int, outputs: int) -> Spans:
    """Weigh the cells that a new cell covers by the parts of them that it covers."""
    step = np.float32(size) / np.float32(outputs)
    begin, end = np.arange(outputs, dtype=np.float32) * step, np.arange(1, outputs + 1, dtype=np.float32) * step
    first, last = np.floor(begin), np.ceil(end) - 1
    start, stop = (np.clip(edge.astype(np.int64), 0, size - 1) for edge in (first, last))
    cells = _cells(start, stop)
    covered = np.minimum(end[:, np.newaxis], cells + 1) - np.maximum(begin[:, np.newaxis], cells)
    inside = (cells < begin[:, np.newaxis]) & (end[:, np.newaxis] < cells + 1)  # it covers step, but for its roundings
    return _spans(start, stop, np.where(inside, step, np.maximum(covered, 0)), total=float(step))


def _cells(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give the cells from the starts on, as many as the longest span has; (outputs, most)."""
    return start[:, np.newaxis] + np.arange((end - start).max(initial=0) + 1)


def _spans(
    start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], weights: Numbers, total: float | None = None
) -> Spans:
    """Give spans with weights, without those behind the end, divided by their total."""
    counts = end - start + 1
    counted = np.where(np.arange(weights.shape[1]) < counts[:, np.newaxis], weights, 0.0)
    return Spans(start, counts, (counted / (total or counted.sum(axis=1, keepdims=True))).astype(np.float32))
