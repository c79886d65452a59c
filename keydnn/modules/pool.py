"""Pooling over one, two and three axes: by windows of a size, by windows of a count (adaptive), and of all cells."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from jit_kernels._jit import Kernel
from jit_kernels.pool import avg_pool_f32, global_avg_f32, global_max_f32, masked_avg_f32, max_pool_f32
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, flag, module, shape_text, want_rank
from keydnn.modules.geometry import (
    LAYOUTS,
    AnyPadding,
    Bounds,
    PerAxis,
    adaptive_bounds,
    as_volume,
    axis_tuple,
    canonical_padding,
    resolve_pads,
    window_bounds,
    window_sizes,
)

WHOLE = np.array([[0, 1]])  # of an axis that is not there


class _Windows(Module):
    """Pools over windows; ``axes`` is the number of spatial axes."""

    axes: ClassVar[int] = 2

    def bounds(self, x: Array, out: Array) -> list[Bounds]:
        """Give the cells of the windows on each spatial axis."""
        raise NotImplementedError

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def launch(self, kernel: Kernel, x: Array, out: Array, *options: int | Array) -> None:
        """Run a kernel for volumes."""
        bounds = [WHOLE] * (3 - self.axes) + self.bounds(x, out)
        volumes, targets = (as_volume(array).reshape(-1, *as_volume(array).shape[2:]) for array in (x, out))
        kernel(volumes, *bounds, *options, targets)

    def find_largest(self, x: Array, out: Array) -> None:
        """Write the largest value of each window."""
        self.launch(max_pool_f32, x, out, np.empty((x.shape[0] * x.shape[1], x.shape[-1]), np.float32))


class _Pool(_Windows):
    """Windows of a size, at equal distances."""

    kernel_size: PerAxis
    stride: PerAxis  # given as None, held as kernel_size
    padding: AnyPadding

    def __post_init__(self) -> None:
        kernel_size = axis_tuple("kernel_size", self.kernel_size, self.axes)
        padding = canonical_padding(self.padding, self.axes)
        self.set(
            kernel_size=kernel_size,
            stride=kernel_size if self.stride is None else axis_tuple("stride", self.stride, self.axes),
            padding=padding,
        )
        if padding != "same" and any(max(pads) >= size for pads, size in zip(padding, kernel_size, strict=True)):
            raise ParameterError(f"padding={padding} must be less than kernel_size={kernel_size} on every side")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 2 + self.axes, LAYOUTS[self.axes])
        return (*x[:2], *window_sizes(self, x, self.kernel_size, self.stride, self.padding, (1,) * self.axes))

    def bounds(self, x: Array, out: Array) -> list[Bounds]:
        pads = resolve_pads(self.padding, x.shape[2:], self.kernel_size, self.stride, (1,) * self.axes)
        axes = zip(x.shape[2:], self.kernel_size, self.stride, pads, out.shape[2:], strict=True)
        return [window_bounds(size, window, stride, pad[0], outputs) for size, window, stride, pad, outputs in axes]


class _MaxPool(_Pool):
    def compute(self, *inputs: Array, out: Array) -> None:
        self.find_largest(inputs[0], out)


class _AvgPool(_Pool):
    count_include_pad: bool

    def __post_init__(self) -> None:
        self.set(count_include_pad=flag("count_include_pad", self.count_include_pad))
        super().__post_init__()

    def compute(self, *inputs: Array, out: Array) -> None:
        cells = math.prod(self.kernel_size) if self.count_include_pad else 0
        self.launch(avg_pool_f32, inputs[0], out, cells)


@module
class MaxPool1d(_MaxPool):
    """Largest value in each window of (N, C, L); parameters as of :class:`MaxPool2d`.

    Keras source: ``keras.layers.MaxPooling1D``.
    """

    axes = 1
    kernel_size: PerAxis
    stride: PerAxis = None
    padding: AnyPadding = 0


@module
class MaxPool2d(_MaxPool):
    """Largest value in each window of (N, C, H, W), as ``torch.nn.MaxPool2d`` but for NaN and -inf.

    As in Keras (TensorFlow on CPU, outside XLA) the search starts from the lowest finite number and passes NaN over:
    a window of nothing but NaN and -inf gives -3.4028235e38.

    Parameters
    ----------
    kernel_size
        The window: an integer, or one an axis.
    stride
        As ``kernel_size``; None takes the window's own size.
    padding
        As in :class:`Conv2d`, less than the window on each side; padded cells never win.

    Keras source: ``keras.layers.MaxPooling2D``.
    """

    kernel_size: PerAxis
    stride: PerAxis = None
    padding: AnyPadding = 0


@module
class MaxPool3d(_MaxPool):
    """Largest value in each window of (N, C, D, H, W); parameters as of :class:`MaxPool2d`, with depth first.

    Keras source: ``keras.layers.MaxPooling3D``.
    """

    axes = 3
    kernel_size: PerAxis
    stride: PerAxis = None
    padding: AnyPadding = 0


@module
class AvgPool1d(_AvgPool):
    """Mean of each window of (N, C, L); parameters as of :class:`AvgPool2d`.

    Keras source: ``keras.layers.AveragePooling1D``.
    """

    axes = 1
    kernel_size: PerAxis
    stride: PerAxis = None
    padding: AnyPadding = 0
    count_include_pad: bool = dataclasses.field(default=True, kw_only=True)


@module
class AvgPool2d(_AvgPool):
    """Mean of each window of (N, C, H, W), as ``torch.nn.AvgPool2d``.

    Parameters
    ----------
    kernel_size, stride, padding
        As in :class:`MaxPool2d`.
    count_include_pad
        Whether padded cells count as zeros (PyTorch's default); if not, the sum is divided by the number of real cells,
        which is what Keras does.  By keyword only: PyTorch has ``ceil_mode`` at its place.

    Keras source: ``keras.layers.AveragePooling2D`` (``count_include_pad=False``).
    """

    kernel_size: PerAxis
    stride: PerAxis = None
    padding: AnyPadding = 0
    count_include_pad: bool = dataclasses.field(default=True, kw_only=True)


@module
class AvgPool3d(_AvgPool):
    """Mean of each window of (N, C, D, H, W); parameters as of :class:`AvgPool2d`, with depth first.

    Keras source: ``keras.layers.AveragePooling3D``.
    """

    axes = 3
    kernel_size: PerAxis
    stride: PerAxis = None
    padding: AnyPadding = 0
    count_include_pad: bool = dataclasses.field(default=True, kw_only=True)


class _GlobalPool(Module):
    """A number a channel from all its cells."""

    axes: ClassVar[int] = 2
    kernel: ClassVar[Kernel]
    keepdims: bool

    def __post_init__(self) -> None:
        self.set(keepdims=flag("keepdims", self.keepdims))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 2 + self.axes, LAYOUTS[self.axes])
        if 0 in x[2:]:
            raise ShapeError(f"{self} takes an input with cells in it, got {shape_text(x)}")
        return (*x[:2], *((1,) * self.axes if self.keepdims else ()))

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        self.kernel(x.reshape(out.size, math.prod(x.shape[2:])), out.reshape(-1))


@module
class GlobalAvgPool1d(_GlobalPool):
    """Mean of each channel of (N, C, L): (N, C), or (N, C, 1) with ``keepdims``.

    Keras source: ``keras.layers.GlobalAveragePooling1D``.
    """

    axes = 1
    kernel = global_avg_f32
    keepdims: bool = False


@module
class MaskedGlobalAvgPool1d(Module):
    """Mean of the cells of each channel of (N, C, L) at which a mask (N, L) is not 0: (N, C), or (N, C, 1).

    NaN where the mask leaves nothing.  What the other cells hold plays no part, NaN included; in Keras 2 a NaN there
    spoils the mean.

    Parameters
    ----------
    keepdims
        Whether the last axis stays, of size 1.

    Keras source: ``keras.layers.GlobalAveragePooling1D`` of a masked input.
    """

    arity = 2
    keepdims: bool = False

    def __post_init__(self) -> None:
        self.set(keepdims=flag("keepdims", self.keepdims))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        x, mask = shapes
        want_rank(self, x, 3, f"{LAYOUTS[1]} and a mask (N, L)")
        sizes = (x[0], x[2])
        if len(mask) != 2 or any(None not in pair and pair[0] != pair[1] for pair in zip(mask, sizes, strict=True)):
            raise ShapeError(f"{self} takes an input {shape_text(x)} and a mask (N, L), got {shape_text(mask)}")
        return (*x[:2], *((1,) if self.keepdims else ()))

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        x, mask = inputs
        masked_avg_f32(x, mask, out.reshape(x.shape[:2]))


@module
class GlobalAvgPool2d(_GlobalPool):
    """Mean of each channel of (N, C, H, W): (N, C), or (N, C, 1, 1) with ``keepdims``.

    Keras source: ``keras.layers.GlobalAveragePooling2D``.
    """

    kernel = global_avg_f32
    keepdims: bool = False


@module
class GlobalAvgPool3d(_GlobalPool):
    """Mean of each channel of (N, C, D, H, W): (N, C), or (N, C, 1, 1, 1) with ``keepdims``.

    Keras source: ``keras.layers.GlobalAveragePooling3D``.
    """

    axes = 3
    kernel = global_avg_f32
    keepdims: bool = False


@module
class GlobalMaxPool1d(_GlobalPool):
    """Largest value of each channel of (N, C, L), NaN if it holds one: (N, C), or (N, C, 1) with ``keepdims``.

    Keras source: ``keras.layers.GlobalMaxPooling1D``.
    """

    axes = 1
    kernel = global_max_f32
    keepdims: bool = False


@module
class GlobalMaxPool2d(_GlobalPool):
    """Largest value of each channel of (N, C, H, W), NaN if it holds one: (N, C), or (N, C, 1, 1) with ``keepdims``.

    Unlike :class:`MaxPool2d`, as in Keras.  Keras source: ``keras.layers.GlobalMaxPooling2D``.
    """

    kernel = global_max_f32
    keepdims: bool = False


@module
class GlobalMaxPool3d(_GlobalPool):
    """Largest value of each channel of (N, C, D, H, W), NaN if it holds one: (N, C), or (N, C, 1, 1, 1).

    Keras source: ``keras.layers.GlobalMaxPooling3D``.
    """

    axes = 3
    kernel = global_max_f32
    keepdims: bool = False


class _AdaptivePool(_Windows):
    """As many windows as the output has cells, which cover the input."""

    output_size: PerAxis

    def __post_init__(self) -> None:
        self.set(output_size=axis_tuple("output_size", self.output_size, self.axes))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 2 + self.axes, LAYOUTS[self.axes])
        if 0 in x[2:]:
            raise ShapeError(f"{self} takes an input with cells in it, got {shape_text(x)}")
        return (*x[:2], *self.output_size)

    def bounds(self, x: Array, out: Array) -> list[Bounds]:
        return [adaptive_bounds(*sizes) for sizes in zip(x.shape[2:], self.output_size, strict=True)]


class _AdaptiveAvgPool(_AdaptivePool):
    def compute(self, *inputs: Array, out: Array) -> None:
        self.launch(avg_pool_f32, inputs[0], out, 0)


class _AdaptiveMaxPool(_AdaptivePool):
    def compute(self, *inputs: Array, out: Array) -> None:
        self.find_largest(inputs[0], out)


@module
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Mean of each of the windows that cover (N, C, L); they are those of :class:`AdaptiveAvgPool2d`.

    Keras source: ``keras.layers.AdaptiveAveragePooling1D``.
    """

    axes = 1
    output_size: PerAxis


@module
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Mean of each of the windows that cover (N, C, H, W), as ``torch.nn.AdaptiveAvgPool2d``.

    Window ``i`` of an axis runs from ``i * size / output_size``, rounded down, to ``(i + 1) * size / output_size``,
    rounded up; windows may share cells.

    Parameters
    ----------
    output_size
        Cells of the output: an integer, or one an axis.

    Keras source: ``keras.layers.AdaptiveAveragePooling2D``.
    """

    output_size: PerAxis


@module
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Mean of each of the windows that cover (N, C, D, H, W); they are those of :class:`AdaptiveAvgPool2d`.

    Keras source: ``keras.layers.AdaptiveAveragePooling3D``.
    """

    axes = 3
    output_size: PerAxis


@module
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Largest value of each of the windows that cover (N, C, L); they are those of :class:`AdaptiveAvgPool2d`.

    NaN is passed over as in :class:`MaxPool2d`.  Keras source: ``keras.layers.AdaptiveMaxPooling1D``.
    """

    axes = 1
    output_size: PerAxis


@module
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Largest value of each of the windows that cover (N, C, H, W); they are those of :class:`AdaptiveAvgPool2d`.

    NaN is passed over as in :class:`MaxPool2d`.  Keras source: ``keras.layers.AdaptiveMaxPooling2D``.
    """

    output_size: PerAxis


@module
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Largest value of each of the windows that cover (N, C, D, H, W); they are those of :class:`AdaptiveAvgPool2d`.

    NaN is passed over as in :class:`MaxPool2d`.  Keras source: ``keras.layers.AdaptiveMaxPooling3D``.
    """

    axes = 3
    output_size: PerAxis
