"""Pooling: MaxPool1d/2d, AvgPool1d/2d, and the global ones."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from jit_kernels._jit import Kernel
from jit_kernels.pool import avg_pool2d_nchw_f32, global_avg_f32, global_max_f32, max_pool2d_nchw_f32
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, flag, module, shape_text, want_rank
from keydnn.modules.geometry import (
    AnyPadding,
    Ints,
    PerAxis,
    axis_tuple,
    canonical_padding,
    resolve_pads,
    window_sizes,
)

LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)"}


class _Pool(Module):
    """Parameters that all windowed pools share; ``axes`` is the number of spatial axes."""

    axes: ClassVar[int] = 2
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

    def launch(self, kernel: Kernel, x: Array, out: Array, *options: bool | Array) -> None:
        """Run a kernel for images; sequences are images of one row."""
        pads = resolve_pads(self.padding, x.shape[2:], self.kernel_size, self.stride, (1,) * self.axes)
        ones: Ints = (1,) * (2 - self.axes)
        kernel(
            x.reshape(*x.shape[:2], *ones, *x.shape[2:]),
            *ones,
            *self.kernel_size,
            *ones,
            *self.stride,
            *(0,) * (2 - self.axes),
            *(before for before, _ in pads),
            *options,
            out.reshape(*out.shape[:2], *ones, *out.shape[2:]),
        )


class _MaxPool(_Pool):
    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        batch, channels, *_, width = inputs[0].shape
        self.launch(max_pool2d_nchw_f32, inputs[0], out, np.empty((batch * channels, width), np.float32))


class _AvgPool(_Pool):
    count_include_pad: bool

    def __post_init__(self) -> None:
        self.set(count_include_pad=flag("count_include_pad", self.count_include_pad))
        super().__post_init__()

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        self.launch(avg_pool2d_nchw_f32, inputs[0], out, self.count_include_pad)


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
class GlobalAvgPool2d(_GlobalPool):
    """Mean of each channel of (N, C, H, W): (N, C), or (N, C, 1, 1) with ``keepdims``.

    Keras source: ``keras.layers.GlobalAveragePooling2D``.
    """

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
