"""What a comparison of two runs of a model says about each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keydnn.graph import Node
from keydnn.modules.typed import AnyArray
from keydnn.reference import TINY, Bounded
from keydnn.reference.bounds import of_any_type

OUTPUT_RTOL = 1e-4  # of what predict gives: roundings add up through a model, differently in any order of sums
SHARE = 1e-4  # of the largest number that a layer reads or gives: a bound above it tells nothing, and this counts
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Tolerance:
    """How far a layer's output may be from what it should be, beyond what float32 roundings explain.

    Attributes
    ----------
    rtol
        Relative to the largest absolute number of the output.
    atol
        Absolute.
    """

    rtol: float = 0.0
    atol: float = 0.0

    def agrees(self, found: Bounded, wanted: AnyArray) -> bool:
        """Tell whether the numbers wanted are close enough to the value found."""
        if found.value.shape != wanted.shape:
            return False
        if not _are_numbers(found.value, wanted):
            return bool(np.array_equal(found.value.astype(str), wanted.astype(str)))
        apart, allowed = distance(found.value, wanted), found.error + self.atol + self.rtol * largest_of(wanted)
        return bool(np.all((apart == 0) | (apart <= allowed)))


@dataclass(frozen=True)
class LayerRow:
    """How far one output of one call of a layer is from what it should be.

    Attributes
    ----------
    layer
        Path of the Keras layer in its model (``"encoder/conv2d"``), with ``@1`` for its second call; the node's name
        in graphs that come from no Keras file.
    class_name
        Keras' class; the module's type in such graphs.
    modules
        What the layer became, in order, e.g. ``("Conv2d", "ReLU")``.
    shape
        Of the output, with the batch, in Keras' order of axes.
    max_abs_error
        Largest absolute difference.
    max_rel_error
        Largest absolute difference, relative to the largest absolute number that there should be.
    cosine
        Cosine of the angle between the two as vectors; 1.0 where they are equal, NaN where one is NaN.
    bounds
        Largest difference in units of the bound that float32 roundings explain (``keydnn.reference``), element by
        element; None where there is no bound.
    agrees
        Whether it is within the tolerance.
    """

    layer: str
    class_name: str
    modules: tuple[str, ...]
    shape: tuple[int, ...]
    max_abs_error: float
    max_rel_error: float
    cosine: float
    bounds: float | None
    agrees: bool


def differences(found: AnyArray, wanted: AnyArray) -> tuple[float, float, float]:
    """Give the largest absolute and relative difference of two arrays of one shape, and the cosine.

    Equal infinities, and NaN at the same places, are no difference; NaN or an infinity at one place alone is an
    infinite one.
    """
    x, y = np.asarray(found, np.float64).ravel(), np.asarray(wanted, np.float64).ravel()
    apart, largest = distance(x, y), largest_of(y)
    absolute = float(np.max(apart, initial=0.0))
    relative = _share(absolute, largest)
    if not apart.any():
        return absolute, relative, 1.0
    with np.errstate(all="ignore"):
        cosine = float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
    return absolute, relative, cosine


def distance(found: npt.ArrayLike, wanted: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Give the absolute differences, cell by cell; see :func:`differences`."""
    x, y = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(x - y))
    return np.where(np.isnan(apart), np.inf, apart)


def largest_of(numbers: AnyArray) -> float:
    """Give the largest absolute number that is finite."""
    numbers = np.asarray(numbers, np.float64)
    return float(np.max(np.abs(numbers[np.isfinite(numbers)]), initial=0.0))


def largest_of_any(array: AnyArray) -> float:
    """Give the largest absolute number; 0 of text."""
    return largest_of(array) if _are_numbers(array) else 0.0


def limited(found: Bounded, scale: float) -> Bounded:
    """Give a value as float32 has it, with a bound that tells something.

    Bounds take every rounding at its worst.  Of what feeds back on itself (recurrent layers) they grow beyond all
    measure; then ``SHARE`` of the largest number counts, which float32 stays far below.  Numbers that float32 does not
    have are infinite.

    Parameters
    ----------
    found
        A value and its bound.
    scale
        The largest number that the layer reads or gives (see :func:`made_of`).
    """
    if not _are_numbers(found.value):
        return found
    value = np.asarray(found.value, np.float64)
    beyond = np.abs(value) > LARGEST
    error = np.minimum(np.where(np.isnan(found.error), np.inf, found.error), SHARE * scale + TINY)
    return Bounded(np.where(beyond, np.copysign(np.inf, value), value), np.where(beyond, 0.0, error))


def made_of(node: Node, value: AnyArray, inputs: Sequence[AnyArray], scales: Sequence[float]) -> float:
    """Give the largest number of what a node reads and gives; of what only moves numbers, where they come from."""
    if node.module.moves and scales:
        return max(scales)
    return max(map(largest_of_any, (value, *inputs)))


def judge(
    layer: str,
    class_name: str,
    modules: Sequence[str],
    found: AnyArray,
    wanted: AnyArray,
    tolerance: Tolerance,
    alone: Bounded | None = None,
) -> LayerRow:
    """Say how far a layer is from what it should give.

    Parameters
    ----------
    layer, class_name, modules
        As in :class:`LayerRow`.
    found
        What it gives, in a whole run of the graph in float32.
    wanted
        What it should give.
    tolerance
        What is allowed, beyond the bound if there is one.
    alone
        What the layer gives by itself in float64, and how far float32 may be from it: then this is what must agree.
    """
    names, shape = tuple(modules), tuple(wanted.shape)
    agrees = tolerance.agrees(of_any_type(found) if alone is None else alone, wanted)
    if found.shape != wanted.shape or (alone is not None and alone.value.shape != wanted.shape):
        return LayerRow(layer, class_name, names, shape, np.inf, np.inf, np.nan, None, False)
    if not _are_numbers(found, wanted):
        apart = 0.0 if np.array_equal(found.astype(str), wanted.astype(str)) else np.inf
        return LayerRow(layer, class_name, names, shape, apart, apart, np.nan if apart else 1.0, None, agrees)
    return LayerRow(layer, class_name, names, shape, *differences(found, wanted), _units(alone, wanted), agrees)


def _are_numbers(*arrays: AnyArray) -> bool:
    return all(array.dtype.kind in "fiub" for array in arrays)


def _units(alone: Bounded | None, wanted: AnyArray) -> float | None:
    """Give the largest difference in units of the bound; None without one."""
    if alone is None:
        return None
    apart = distance(alone.value, wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.where(apart == 0, 0.0, apart / alone.error), initial=0.0))


def relative_error(found: AnyArray, wanted: AnyArray, scale: float = 0.0, atol: float = 0.0) -> float:
    """Give the largest difference by the largest number; infinite if the shapes or texts differ.

    Parameters
    ----------
    found, wanted
        Two arrays.
    scale
        The largest number that they are made of, if it is larger: sums that cancel have its roundings.
    atol
        What is not counted.
    """
    if found.shape != wanted.shape:
        return float("inf")
    if not _are_numbers(found, wanted):
        return 0.0 if np.array_equal(found.astype(str), wanted.astype(str)) else float("inf")
    absolute = float(np.max(distance(found, wanted), initial=0.0)) - TINY - atol  # some flush denormal numbers to zero
    return _share(max(0.0, absolute), max(largest_of(wanted), scale))


def _share(part: float, whole: float) -> float:
    return 0.0 if part == 0 else part / whole if whole else float("inf")
