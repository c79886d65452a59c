"""Axes added, dropped, repeated and split, patches of images: moves of memory that NumPy does; there is no kernel file.

The batch axis 0 stays as it is everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import FAR, Array, Module, Permutation, Shape, integer, module, shape_text, want_rank
from keydnn.modules.geometry import (
    AnyPadding,
    PerAxis,
    axis_tuple,
    canonical_padding,
    resolve_pads,
    window_sizes,
)
from keydnn.modules.shape import Reshaping


def canonical_axes(name: str, value: Any) -> tuple[int, ...]:
    """Give one axis or several, none of them the batch axis 0, in order; ParameterError if they are no such axes."""
    given = value if isinstance(value, (tuple, list)) else (value,)
    axes = tuple(sorted(integer(name, axis) for axis in given))
    if not axes or len(set(axes)) != len(axes):
        raise ParameterError(f"{name} must be different axes, got {value!r}")
    return axes


def canonical_sizes(name: str, value: Any, least: int = 1) -> tuple[int, ...]:
    """Give one integer for each axis behind the batch; ParameterError if they are none."""
    if not isinstance(value, (tuple, list)):
        raise ParameterError(f"{name} must be a tuple of integers, got {value!r}")
    return tuple(integer(name, size, least) for size in value)


def _moved(values: tuple[Any, ...], permutation: Permutation) -> tuple[Any, ...]:
    """Give what belongs to the axes behind the batch in the order of other axes."""
    return tuple(values[axis - 1] for axis in permutation[1:])


@module
class Squeeze(Reshaping):
    """Without some axes of size 1, as ``torch.squeeze``.

    Parameters
    ----------
    dim
        The axes, counted in the input.

    Keras source: ``keras.ops.squeeze``, ``x[:, 0]``.
    """

    dim: Any

    def __post_init__(self) -> None:
        self.set(dim=canonical_axes("dim", self.dim))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.dim[-1] >= len(x) or any(x[axis] not in (None, 1) for axis in self.dim):
            raise ShapeError(f"{self} takes an input with axes {self.dim} of size 1, got {shape_text(x)}")
        return tuple(size for axis, size in enumerate(x) if axis not in self.dim)


@module
class Unsqueeze(Reshaping):
    """With new axes of size 1, as ``torch.unsqueeze``.

    Parameters
    ----------
    dim
        Where the new axes are, counted in the output.

    Keras source: ``keras.ops.expand_dims``, ``x[..., None]``.
    """

    dim: Any

    def __post_init__(self) -> None:
        self.set(dim=canonical_axes("dim", self.dim))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        rank = len(x) + len(self.dim)
        if self.dim[-1] >= rank:
            raise ShapeError(f"{self} takes an input of rank {self.dim[-1] - len(self.dim) + 1}, got {shape_text(x)}")
        sizes = iter(x)
        return tuple(1 if axis in self.dim else next(sizes) for axis in range(rank))


@module
class Expand(Module):
    """Axes of size 1 repeated up to a shape, as ``torch.Tensor.expand``.

    Parameters
    ----------
    shape
        Sizes behind the batch; an axis that has not size 1 has its size already.

    Keras source: ``keras.ops.broadcast_to``.
    """

    shape: Any

    def __post_init__(self) -> None:
        self.set(shape=canonical_sizes("shape", self.shape))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        fits = len(x) == 1 + len(self.shape)
        if not fits or any(old not in (None, 1, new) for old, new in zip(x[1:], self.shape, strict=True)):
            raise ShapeError(f"{self} takes an input that can be repeated up to its shape, got {shape_text(x)}")
        return (*x[:1], *self.shape)

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0])

    def permuted(self, permutation: Permutation) -> Module:
        return Expand(_moved(self.shape, permutation))


@module
class Tile(Module):
    """The whole input several times along its axes, as ``torch.tile``.

    Parameters
    ----------
    dims
        How often along each axis behind the batch.

    Keras source: ``keras.ops.tile``.
    """

    dims: Any

    def __post_init__(self) -> None:
        self.set(dims=canonical_sizes("dims", self.dims))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 1 + len(self.dims), f"of rank {1 + len(self.dims)}")
        sizes = zip(x[1:], self.dims, strict=True)
        return (x[0], *(None if size is None else size * times for size, times in sizes))

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, np.tile(inputs[0], (1, *self.dims)))

    def permuted(self, permutation: Permutation) -> Module:
        return Tile(_moved(self.dims, permutation))


@module
class Roll(Module):
    """Cells moved along axes, and round, as ``torch.roll``.

    Parameters
    ----------
    shifts, dims
        By how many cells, and along which axis; as many of one as of the other.

    Keras source: ``keras.ops.roll``.
    """

    shifts: Any
    dims: Any

    def __post_init__(self) -> None:
        shifts, dims = (value if isinstance(value, (tuple, list)) else (value,) for value in (self.shifts, self.dims))
        self.set(
            shifts=tuple(integer("shifts", shift, -FAR, FAR) for shift in shifts),
            dims=tuple(integer("dims", axis) for axis in dims),
        )
        if not self.dims or len(self.shifts) != len(self.dims):
            raise ParameterError(f"shifts must be as many as dims, got {self.shifts!r} and {self.dims!r}")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if max(self.dims) >= len(x):
            raise ShapeError(f"{self} takes an input that has an axis {max(self.dims)}, got {shape_text(x)}")
        return x

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, np.roll(inputs[0], self.shifts, self.dims))

    def permuted(self, permutation: Permutation) -> Module:
        return dataclasses.replace(self, dims=tuple(permutation.index(axis) for axis in self.dims))


class _Blocks(Module):
    """What DepthToSpace and SpaceToDepth share."""

    block_size: int

    def __post_init__(self) -> None:
        self.set(block_size=integer("block_size", self.block_size))
        super().__post_init__()


@module
class DepthToSpace(_Blocks):
    """(N, H, W, block_size**2 * C) to (N, block_size * H, block_size * W, C), as TensorFlow orders the cells.

    ``torch.nn.PixelShuffle`` takes the channels in another order.  Keras source: ``keras.ops.depth_to_space``.
    """

    block_size: int

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 4, "(N, H, W, C)")
        n, h, w, c = x
        if c is not None and c % self.block_size**2:
            raise ShapeError(f"{self} takes a multiple of {self.block_size**2} channels, got {shape_text(x)}")
        height, width = (None if size is None else size * self.block_size for size in (h, w))
        return (n, height, width, None if c is None else c // self.block_size**2)

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,), b = inputs, self.block_size
        n, h, w, _ = x.shape
        cells = x.reshape(n, h, w, b, b, out.shape[3]).transpose(0, 1, 3, 2, 4, 5)
        np.copyto(out.reshape(cells.shape), cells)


@module
class SpaceToDepth(_Blocks):
    """(N, block_size * H, block_size * W, C) to (N, H, W, block_size**2 * C), the inverse of DepthToSpace.

    Keras source: ``keras.ops.space_to_depth``.
    """

    block_size: int

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 4, "(N, H, W, C)")
        n, h, w, c = x
        if any(size is not None and size % self.block_size for size in (h, w)):
            raise ShapeError(f"{self} takes multiples of {self.block_size} rows and columns, got {shape_text(x)}")
        height, width = (None if size is None else size // self.block_size for size in (h, w))
        return (n, height, width, None if c is None else c * self.block_size**2)

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,), b = inputs, self.block_size
        n, h, w, _ = out.shape
        cells = x.reshape(n, h, b, w, b, x.shape[3]).transpose(0, 1, 3, 2, 4, 5)
        np.copyto(out.reshape(cells.shape), cells)


@module
class Patches(Module):
    """What a sliding window covers: (N, H, W, C) to (N, rows, columns, cells of a window * C); volumes likewise.

    The cells of a window stand in a row, as they stand in it, the C channels of each together.
    ``torch.nn.Unfold`` has them in another order.  Padding is 0.

    Parameters
    ----------
    kernel_size
        The window: an integer for images, or one for each of two or three axes.
    stride, padding, dilation
        As of :class:`Conv2d`.

    Keras source: ``keras.ops.image.extract_patches``.
    """

    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    dilation: PerAxis = 1

    def __post_init__(self) -> None:
        axes = 3 if isinstance(self.kernel_size, (tuple, list)) and len(self.kernel_size) == 3 else 2
        self.set(
            kernel_size=axis_tuple("kernel_size", self.kernel_size, axes),
            stride=axis_tuple("stride", self.stride, axes),
            padding=canonical_padding(self.padding, axes),
            dilation=axis_tuple("dilation", self.dilation, axes),
        )
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, len(self.kernel_size) + 2, "(N, ..., C)")
        channels_first = (x[0], x[-1], *x[1:-1])
        sizes = window_sizes(self, channels_first, self.kernel_size, self.stride, self.padding, self.dilation)
        return (x[0], *sizes, None if x[-1] is None else math.prod(self.kernel_size) * x[-1])

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        pads = resolve_pads(self.padding, x.shape[1:-1], self.kernel_size, self.stride, self.dilation)
        x = np.pad(x, ((0, 0), *pads, (0, 0))) if any(map(any, pads)) else x
        reach = tuple((size - 1) * step + 1 for size, step in zip(self.kernel_size, self.dilation, strict=True))
        axes, rank = range(1, x.ndim - 1), x.ndim
        windows = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(axes))  # (N, places, C, cells)
        places, cells = ([slice(None, None, step) for step in steps] for steps in (self.stride, self.dilation))
        windows = windows[(slice(None), *places, slice(None), *cells)]
        windows = windows.transpose(0, *axes, *range(rank, windows.ndim), rank - 1)
        np.copyto(out.reshape(windows.shape), windows)
