"""Cells picked, or set beside others: moves of memory that NumPy does; there is no kernel file.

The batch axis 0 stays as it is everywhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import (
    FAR,
    Array,
    Module,
    Permutation,
    Shape,
    choice,
    flag,
    integer,
    module,
    number,
    shape_text,
)
from keydnn.modules.rearrange import canonical_sizes

End = int | None
Ends = tuple[End, End, End]


def _ends(slices: Any) -> tuple[Ends, ...]:
    """Give slices as (start, stop, step), None where an end is open."""
    if not isinstance(slices, (tuple, list)) or not all(isinstance(s, (tuple, list)) and len(s) == 3 for s in slices):
        raise ParameterError(f"slices must be triples (start, stop, step), got {slices!r}")
    made = tuple(_each(one) for one in slices)
    if any(step == 0 for _, _, step in made):
        raise ParameterError(f"slices must not have a step of 0, got {slices!r}")
    return made


def _each(ends: Any) -> Ends:
    start, stop, step = (None if end is None else integer("slices", end, -FAR, FAR) for end in ends)
    return (start, stop, step)


@module
class Slice(Module):
    """Cells of each axis behind the batch from a start to a stop, as ``x[:, start:stop:step, ...]``.

    Parameters
    ----------
    slices
        (start, stop, step) for each axis behind the batch, as Python has them; None for an open end.

    Keras source: ``x[...]``, ``keras.ops.flip``, ``split`` and ``unstack``.
    """

    slices: Any

    def __post_init__(self) -> None:
        self.set(slices=_ends(self.slices))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) != 1 + len(self.slices):
            raise ShapeError(f"{self} takes an input of rank {1 + len(self.slices)}, got {shape_text(x)}")
        sizes = [
            size if ends[:2] == (None, None) and ends[2] in (None, 1, -1) else _length(ends, size)
            for ends, size in zip(self.slices, x[1:], strict=True)
        ]
        if 0 in sizes:
            raise ShapeError(f"{self} leaves nothing of axis {1 + sizes.index(0)} of its input {shape_text(x)}")
        return (x[0], *sizes)

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0][(slice(None), *(slice(*ends) for ends in self.slices))])

    def permuted(self, permutation: Permutation) -> Module:
        return Slice(tuple(self.slices[axis - 1] for axis in permutation[1:]))


def _length(ends: Ends, size: int | None) -> int | None:
    return None if size is None else len(range(*slice(*ends).indices(size)))


@module
class IndexSelect(Module):
    """Cells of an axis by their places, as ``torch.index_select``.

    Parameters
    ----------
    dim
        The axis.
    index
        The places, from 0, negative from the end; in any order, also several times.

    Keras source: ``keras.ops.take``.
    """

    dim: int
    index: Any

    def __post_init__(self) -> None:
        self.set(dim=integer("dim", self.dim), index=canonical_sizes("index", self.index, -FAR))
        if not self.index:
            raise ParameterError("index must name a place")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.dim >= len(x):
            raise ShapeError(f"{self} takes an input that has an axis {self.dim}, got {shape_text(x)}")
        size = x[self.dim]
        wrong = [place for place in self.index if size is not None and not -size <= place < size]
        if wrong:
            raise ShapeError(f"axis {self.dim} of an input {shape_text(x)} has no place {wrong[0]}")
        return (*x[: self.dim], len(self.index), *x[self.dim + 1 :])

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, np.take(inputs[0], self.index, self.dim))

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dim=permutation.index(self.dim))


@module
class Gather(Module):
    """Cells of an axis by the places that a second input holds, as ``torch.gather``.

    Both inputs have equal sizes but for the axis.  Places are float32; a fraction is cut off; negative ones count from
    the end.  One that the axis has not, NaN among them, is a ShapeError.

    Parameters
    ----------
    dim
        The axis.

    Keras source: ``keras.ops.take_along_axis``.
    """

    arity: ClassVar[int | None] = 2
    dim: int

    def __post_init__(self) -> None:
        self.set(dim=integer("dim", self.dim))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        x, places = shapes
        others = [(size, other) for axis, (size, other) in enumerate(zip(x, places, strict=False)) if axis != self.dim]
        if (
            self.dim >= len(x)
            or len(x) != len(places)
            or any(None not in pair and len(set(pair)) > 1 for pair in others)
        ):
            given = f"{shape_text(x)}, {shape_text(places)}"
            raise ShapeError(f"{self} takes inputs that agree but for axis {self.dim}, got {given}")
        return places

    def compute(self, *inputs: Array, out: Array) -> None:
        x, places = inputs
        size = x.shape[self.dim]
        if places.size and not (-size - 1 < float(places.min()) and float(places.max()) < size):
            raise ShapeError(f"{self} takes places from {-size} to {size - 1}, got others")
        np.copyto(out, np.take_along_axis(x, places.astype(np.int64), self.dim))

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dim=permutation.index(self.dim))


@module
class TopK(Module):
    """Places of the k largest cells along an axis, as the ``indices`` of ``torch.topk``: the largest cell's first.

    Of equal cells that with the lower place comes first; NaN comes behind all numbers, the first NaN first.

    Parameters
    ----------
    k
        How many; the axis has as many cells at least.
    dim
        The axis.

    Keras source: ``keras.ops.top_k``.
    """

    k: int
    dim: int

    def __post_init__(self) -> None:
        self.set(k=integer("k", self.k), dim=integer("dim", self.dim))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        size = x[self.dim] if self.dim < len(x) else 0
        if size is not None and size < self.k:
            raise ShapeError(
                f"{self} takes an input with {self.k} or more cells along axis {self.dim}, got {shape_text(x)}"
            )
        return (*x[: self.dim], self.k, *x[self.dim + 1 :])

    def compute(self, *inputs: Array, out: Array) -> None:
        order = np.argsort(-inputs[0], self.dim, kind="stable")
        np.copyto(out, np.take(order, range(self.k), self.dim))

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dim=permutation.index(self.dim))


@module
class Sort(Module):
    """The cells of an axis in order, as the ``values`` of ``torch.sort``; NaN comes behind all numbers.

    Parameters
    ----------
    dim
        The axis.
    descending
        Whether the largest cell comes first.

    Keras source: ``keras.ops.sort``.
    """

    dim: int
    descending: bool = False

    def __post_init__(self) -> None:
        self.set(dim=integer("dim", self.dim), descending=flag("descending", self.descending))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.dim >= len(x):
            raise ShapeError(f"{self} takes an input with an axis {self.dim}, got {shape_text(x)}")
        return x

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        np.copyto(out, -x if self.descending else x)
        out.sort(self.dim, kind="stable")  # equal cells may be zeros of either sign
        if self.descending:
            np.negative(out, out=out)

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dim=permutation.index(self.dim))


@module
class Pad(Module):
    """Cells around the input.

    Parameters
    ----------
    padding
        (before, after) for each axis behind the batch.
    mode
        ``"constant"``, ``"reflect"`` (without the edge cell, so less than the axis has cells) or ``"symmetric"``
        (with it).
    value
        Of the new cells, in mode ``"constant"``.

    Keras source: ``keras.ops.pad``.
    """

    padding: Any
    mode: str = "constant"
    value: float = 0.0

    def __post_init__(self) -> None:
        pairs = self.padding
        if not isinstance(pairs, (tuple, list)) or any(not isinstance(p, (tuple, list)) or len(p) != 2 for p in pairs):
            raise ParameterError(f"padding must be pairs (before, after), got {pairs!r}")
        self.set(
            padding=tuple(canonical_sizes("padding", pair, 0) for pair in pairs),
            mode=choice("mode", self.mode, ("constant", "reflect", "symmetric")),
            value=number("value", self.value),
        )
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) != 1 + len(self.padding):
            raise ShapeError(f"{self} takes an input of rank {1 + len(self.padding)}, got {shape_text(x)}")
        most = {"constant": FAR, "reflect": -1, "symmetric": 0}[self.mode]
        for axis, (size, pads) in enumerate(zip(x[1:], self.padding, strict=True), 1):
            if size is not None and max(pads) > max(size + most, 0):
                raise ShapeError(f"{self} takes more cells of axis {axis} than its input {shape_text(x)} has")
        sizes = zip(x[1:], self.padding, strict=True)
        return (x[0], *(None if size is None else size + sum(pads) for size, pads in sizes))

    def compute(self, *inputs: Array, out: Array) -> None:
        pads = ((0, 0), *self.padding)
        if self.mode == "constant":
            np.copyto(out, np.pad(inputs[0], pads, constant_values=np.float32(self.value)))
        else:
            np.copyto(out, np.pad(inputs[0], pads, "reflect" if self.mode == "reflect" else "symmetric"))

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, padding=tuple(self.padding[axis - 1] for axis in permutation[1:]))
