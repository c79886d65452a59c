"""Moves of memory: Flatten, Reshape, Permute, repeating, padding, cropping.  NumPy does them; there is no kernel."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, integer, module, shape_text, want_rank
from keydnn.modules.geometry import LAYOUTS, AnyPadding, canonical_pads


def count(sizes: Shape) -> int | None:
    """Multiply sizes; None if one is free."""
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


class Reshaping(Module):
    """A module whose output has the elements of its input in the same order."""

    moves = True

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0].reshape(out.shape))


@module
class Flatten(Reshaping):
    """(N, ...) to (N, product of the other sizes), as ``torch.nn.Flatten``; (N,) to (N, 1).

    Parameters
    ----------
    start_dim
        1: the batch axis is kept.

    Keras source: ``keras.layers.Flatten`` (with ``data_format="channels_first"`` Keras moves the channels last before).
    """

    start_dim: int = 1

    def __post_init__(self) -> None:
        self.set(start_dim=integer("start_dim", self.start_dim))
        if self.start_dim != 1:
            raise ParameterError(f"start_dim must be 1, got {self.start_dim}")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not x:
            raise ShapeError(f"{self} takes an input (N, ...), got {shape_text(x)}")
        return (x[0], count(x[1:]))


@module
class Reshape(Reshaping):
    """(N, ...) to (N, *shape), the elements in the same order.

    Parameters
    ----------
    shape
        Sizes after the batch axis; one may be -1: what is left.

    Keras source: ``keras.layers.Reshape``.
    """

    shape: Any

    def __post_init__(self) -> None:
        if not isinstance(self.shape, (tuple, list)):
            raise ParameterError(f"shape must be a tuple of integers, got {self.shape!r}")
        sizes = tuple(integer("shape", size, least=-1) for size in self.shape)
        if 0 in sizes or sizes.count(-1) > 1:
            raise ParameterError(f"shape must have positive sizes and at most one -1, got {self.shape!r}")
        self.set(shape=sizes)
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not x:
            raise ShapeError(f"{self} takes an input (N, ...), got {shape_text(x)}")
        cells, known = count(x[1:]), math.prod(size for size in self.shape if size != -1)
        if cells is None:
            return (x[0], *(None if size == -1 else size for size in self.shape))
        if cells % known if -1 in self.shape else cells != known:
            raise ShapeError(f"{self} cannot hold the {cells} elements of each example of its input {shape_text(x)}")
        return (x[0], *(cells // known if size == -1 else size for size in self.shape))


@module
class Permute(Module):
    """Axes in another order, as ``numpy.transpose``: axis ``i`` of the output is axis ``dims[i]`` of the input.

    Parameters
    ----------
    dims
        All axes, the batch axis 0 first, where it stays.

    Keras source: ``keras.layers.Permute``, whose ``dims`` lack the leading 0.
    """

    moves = True
    dims: Any

    def __post_init__(self) -> None:
        if not isinstance(self.dims, (tuple, list)):
            raise ParameterError(f"dims must be a tuple of integers, got {self.dims!r}")
        dims = tuple(integer("dims", axis, least=0) for axis in self.dims)
        if dims[:1] != (0,) or sorted(dims) != list(range(len(dims))):
            raise ParameterError(f"dims must be 0 and then a permutation of the other axes, got {self.dims!r}")
        self.set(dims=dims)
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) != len(self.dims):
            raise ShapeError(f"{self} takes an input of rank {len(self.dims)}, got {shape_text(x)}")
        return tuple(x[axis] for axis in self.dims)

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, np.transpose(inputs[0], self.dims))


@module
class RepeatInterleave(Module):
    """Every element of an axis several times, one after another, as ``torch.repeat_interleave``.

    Parameters
    ----------
    repeats
        How often.
    dim
        The axis, not the batch axis 0; negative ones count from the end.

    Keras source: ``keras.layers.RepeatVector``, behind a ``Reshape`` of (N, F) to (N, 1, F).
    """

    repeats: int
    dim: int = -1

    def __post_init__(self) -> None:
        self.set(repeats=integer("repeats", self.repeats), dim=integer("dim", self.dim, least=-32))
        if self.dim == 0:
            raise ParameterError("dim must not be the batch axis 0")
        super().__post_init__()

    def _axis(self, rank: int) -> int:
        axis = self.dim + rank if self.dim < 0 else self.dim
        if not 0 < axis < rank:
            raise ShapeError(f"{self} takes an input with an axis {self.dim} behind the batch axis, got rank {rank}")
        return axis

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        axis = self._axis(len(x))
        size = x[axis]
        return (*x[:axis], None if size is None else size * self.repeats, *x[axis + 1 :])

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        before, inner = x.shape[: self._axis(x.ndim) + 1], x.shape[self._axis(x.ndim) + 1 :]
        np.copyto(out.reshape(*before, self.repeats, *inner), x.reshape(*before, 1, *inner))

    def permuted(self, permutation: Permutation) -> Module | None:
        return dataclasses.replace(self, dim=permutation.index(self._axis(len(permutation))))


class _ZeroPad(Module):
    """What the modules that pad with zeros share."""

    axes: ClassVar[int] = 2
    padding: AnyPadding

    def __post_init__(self) -> None:
        self.set(padding=canonical_pads("padding", self.padding, self.axes))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 2 + self.axes, LAYOUTS[self.axes])
        sizes = zip(x[2:], self.padding, strict=True)
        return (*x[:2], *(None if size is None else size + sum(pads) for size, pads in sizes))

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        out[:] = 0
        sizes = zip(self.padding, x.shape[2:], strict=True)
        inner = tuple(slice(before, before + size) for (before, _), size in sizes)
        out[(slice(None), slice(None), *inner)] = x


@module
class ZeroPad1d(_ZeroPad):
    """Zeros around (N, C, L).

    Parameters
    ----------
    padding
        Cells added: an integer, or one pair ``((before, after),)``.

    Keras source: ``keras.layers.ZeroPadding1D``.
    """

    axes = 1
    padding: AnyPadding


@module
class ZeroPad2d(_ZeroPad):
    """Zeros around (N, C, H, W).

    Parameters
    ----------
    padding
        Cells added: an integer, one an axis, or ((top, bottom), (left, right)) as for :class:`Conv2d`.  This is *not*
        the order of ``torch.nn.ZeroPad2d``, which is (left, right, top, bottom) and is refused.

    Keras source: ``keras.layers.ZeroPadding2D``.
    """

    padding: AnyPadding


@module
class ZeroPad3d(_ZeroPad):
    """Zeros around (N, C, D, H, W).

    Parameters
    ----------
    padding
        Cells added: an integer, one an axis, or ((front, back), (top, bottom), (left, right)).

    Keras source: ``keras.layers.ZeroPadding3D``.
    """

    axes = 3
    padding: AnyPadding


class _Crop(Module):
    """What the modules that crop share."""

    axes: ClassVar[int] = 2
    cropping: AnyPadding

    def __post_init__(self) -> None:
        self.set(cropping=canonical_pads("cropping", self.cropping, self.axes))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 2 + self.axes, LAYOUTS[self.axes])
        for axis, (size, cuts) in enumerate(zip(x[2:], self.cropping, strict=True)):
            if size is not None and size <= sum(cuts):
                raise ShapeError(f"{self} leaves nothing of spatial axis {axis} of its input {shape_text(x)}")
        sizes = zip(x[2:], self.cropping, strict=True)
        return (*x[:2], *(None if size is None else size - sum(cuts) for size, cuts in sizes))

    def compute(self, *inputs: Array, out: Array) -> None:
        sizes = zip(self.cropping, out.shape[2:], strict=True)
        kept = tuple(slice(before, before + size) for (before, _), size in sizes)
        np.copyto(out, inputs[0][(slice(None), slice(None), *kept)])


@module
class Crop1d(_Crop):
    """(N, C, L) without its ends.

    Parameters
    ----------
    cropping
        Cells cut off: an integer, or one pair ``((before, after),)``; at least one cell must remain.

    Keras source: ``keras.layers.Cropping1D``.
    """

    axes = 1
    cropping: AnyPadding


@module
class Crop2d(_Crop):
    """(N, C, H, W) without its edges.

    Parameters
    ----------
    cropping
        Cells cut off: an integer, one an axis, or ((top, bottom), (left, right)); at least one cell must remain.

    Keras source: ``keras.layers.Cropping2D``.
    """

    cropping: AnyPadding


@module
class Crop3d(_Crop):
    """(N, C, D, H, W) without its faces.

    Parameters
    ----------
    cropping
        Cells cut off: an integer, one an axis, or ((front, back), (top, bottom), (left, right)); at least one cell must
        remain.

    Keras source: ``keras.layers.Cropping3D``.
    """

    axes = 3
    cropping: AnyPadding
