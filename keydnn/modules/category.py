"""Categories: OneHot, MultiHot, Count, WeightedCount, Bucketize.  They have no kernel: NumPy scatters and searches."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, flag, integer, module, number, shape_text

LARGEST = float(np.finfo(np.float32).max)


class _Encoding(Module):
    """Parameters and the check of ids that all encodings share."""

    negative: ClassVar[bool] = False  # whether a negative id is passed over
    num_classes: int
    strict: bool

    def __post_init__(self) -> None:
        self.set(num_classes=integer("num_classes", self.num_classes), strict=flag("strict", self.strict))
        super().__post_init__()

    def known(self, ids: Array) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Tell which ids have a class, and give them as integers; ShapeError where one is refused."""
        rows = np.trunc(ids)  # as Keras casts
        found = (rows >= 0) & (rows < self.num_classes)
        refused = ~found if self.strict else np.zeros_like(found) if self.negative else ~(rows >= 0)
        if refused.any():
            most = f" to {self.num_classes - 1}" if self.strict else ""
            raise ShapeError(f"{self} takes ids from 0{most}, got {ids[refused].flat[0]:.9g}")
        return found, np.where(found, rows, 0).astype(np.int64)

    def example(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return random.integers(0, self.num_classes, shape).astype(np.float32)


@module
class OneHot(_Encoding):
    """A row of zeros with a one for every id: (N, ...) gives (N, ..., num_classes), as ``torch.nn.functional.one_hot``.

    Parameters
    ----------
    num_classes
        Number of classes; ids count from 0, a fraction is cut off.
    strict
        Whether an id without a class is a ShapeError, as in Keras 2; if not, its row is all zeros, as in Keras 3.

    Keras source: ``output_mode="one_hot"`` of ``keras.layers.CategoryEncoding`` and its kin.
    """

    negative = True
    num_classes: int
    strict: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0], self.num_classes)

    def compute(self, *inputs: Array, out: Array) -> None:
        found, rows = self.known(inputs[0].reshape(-1))
        out.fill(0)
        out.reshape(-1, self.num_classes)[np.flatnonzero(found), rows[found]] = 1


class _Bag(_Encoding):
    """Encodings of the last axis: (N, ..., ids) gives (N, ..., num_classes)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        x = shapes[0]
        if len(x) < 2:
            raise ShapeError(f"{self} takes an input (N, ..., ids), got {shape_text(x)}")
        return (*x[:-1], self.num_classes)

    def compute(self, *inputs: Array, out: Array) -> None:
        ids = inputs[0]
        found, places = self.known(ids)
        bags = out.size // self.num_classes
        places += (np.arange(bags) * self.num_classes).reshape(*ids.shape[:-1], 1)
        weights = inputs[1][found].astype(np.float64) if len(inputs) > 1 else None
        counts = np.bincount(places[found], weights, minlength=out.size)
        out[...] = self.finished(counts).reshape(out.shape)

    @staticmethod
    def finished(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give the output for the sums by class."""
        return counts


@module
class MultiHot(_Bag):
    """Ones at all ids of a row: (N, ..., ids) gives (N, ..., num_classes).

    Parameters
    ----------
    num_classes
        Number of classes; ids count from 0, a fraction is cut off, a negative id is a ShapeError.
    strict
        Whether an id of ``num_classes`` or more is a ShapeError, as in Keras 2; if not, it is left out, as in Keras 3.

    Keras source: ``output_mode="multi_hot"`` of ``keras.layers.CategoryEncoding`` and its kin.
    """

    num_classes: int
    strict: bool = False

    @staticmethod
    def finished(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return counts > 0


@module
class Count(_Bag):
    """How often every id stands in a row: (N, ..., ids) gives (N, ..., num_classes); parameters as of ``MultiHot``.

    Keras source: ``output_mode="count"`` of ``keras.layers.CategoryEncoding`` and its kin.
    """

    num_classes: int
    strict: bool = False


@module
class WeightedCount(_Bag):
    """The sum of the weights of every id: ids and weights (N, ..., ids) give (N, ..., num_classes).

    Parameters as of :class:`MultiHot`.

    Keras source: ``count_weights`` of ``keras.layers.CategoryEncoding``.
    """

    arity: ClassVar[int | None] = 2
    num_classes: int
    strict: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        ids, weights = shapes
        fits = len(ids) == len(weights)
        if not fits or any(None not in pair and pair[0] != pair[1] for pair in zip(ids, weights, strict=True)):
            raise ShapeError(f"{self} takes weights of the ids' shape {shape_text(ids)}, got {shape_text(weights)}")
        return super().output_shape(ids)


@module
class Bucketize(Module):
    """How many boundaries are not above a number, element by element, as ``torch.bucketize`` with ``right=True``.

    Parameters
    ----------
    boundaries
        Numbers in ascending order, held as the nearest float32.

    NaN is behind all boundaries, as in TensorFlow.

    Keras source: ``keras.layers.Discretization``.
    """

    boundaries: Any

    def __post_init__(self) -> None:
        if not isinstance(self.boundaries, (list, tuple, np.ndarray)):
            raise ParameterError(f"boundaries must be a list of numbers, got {self.boundaries!r}")
        numbers = [number("boundaries", item) for item in self.boundaries]
        if any(abs(item) > LARGEST for item in numbers):
            raise ParameterError("boundaries must be numbers that float32 can hold")
        held = tuple(float(np.float32(item)) for item in numbers)
        if any(before > after for before, after in itertools.pairwise(held)):
            raise ParameterError(f"boundaries must be in ascending order, got {held}")
        self.set(boundaries=held)
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, *inputs: Array, out: Array) -> None:
        out[...] = np.searchsorted(np.array(self.boundaries, np.float32), inputs[0], side="right")
