"""LocallyConnected1d and LocallyConnected2d: convolutions whose weights differ from place to place."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from jit_kernels.locally_connected import locally_connected2d_nchw_f32
from keydnn.errors import ShapeError
from keydnn.modules.base import (
    Array,
    Module,
    Shape,
    flag,
    integer,
    module,
    shape_text,
    sized,
    tensor,
    want_rank,
    want_size,
)
from keydnn.modules.geometry import LAYOUTS, AnyPadding, Pads, PerAxis, axis_tuple, canonical_pads, window_sizes


class _LocallyConnected(Module):
    """What both share; ``axes`` is the number of spatial axes."""

    axes: ClassVar[int] = 2
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    output_size: PerAxis
    stride: PerAxis
    padding: Pads
    use_bias: bool
    weight: Array | None
    bias: Array | None

    def __post_init__(self) -> None:
        self.set(
            in_channels=integer("in_channels", self.in_channels),
            out_channels=integer("out_channels", self.out_channels),
            kernel_size=axis_tuple("kernel_size", self.kernel_size, self.axes),
            output_size=axis_tuple("output_size", self.output_size, self.axes),
            stride=axis_tuple("stride", self.stride, self.axes),
            padding=canonical_pads("padding", self.padding, self.axes),
            use_bias=flag("use_bias", self.use_bias),
        )
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"weight": (*self.output_size, self.out_channels, self.in_channels, *self.kernel_size)}
        return shapes | ({"bias": (self.out_channels, *self.output_size)} if self.use_bias else {})

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        layout = LAYOUTS[self.axes].replace("C", str(self.in_channels))
        want_rank(self, x, 2 + self.axes, layout)
        want_size(self, x, 1, self.in_channels, layout)
        sizes = window_sizes(self, x, self.kernel_size, self.stride, self.padding, (1,) * self.axes)
        if any(size not in (None, wanted) for size, wanted in zip(sizes, self.output_size, strict=True)):
            raise ShapeError(f"{self} has no weights for the {sizes} places of its input {shape_text(x)}")
        return (x[0], self.out_channels, *self.output_size)

    def macs(self, *shapes: Shape) -> int:
        return math.prod(sized(self, self.output_shape(*shapes))) * self.in_channels * math.prod(self.kernel_size)

    def launches_only(self, *shapes: Shape) -> bool:
        return not any(map(any, self.padding))

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        if any(map(any, self.padding)):
            x = np.pad(x, ((0, 0), (0, 0), *self.padding))
        assert self.weight is not None  # forward has checked
        one = (1,) * (2 - self.axes)  # a sequence is an image of one row
        bias = np.zeros((self.out_channels, *self.output_size), np.float32) if self.bias is None else self.bias
        locally_connected2d_nchw_f32(
            x.reshape(*x.shape[:2], *one, *x.shape[2:]),
            self.weight.reshape(*one, *self.weight.shape[: self.axes + 2], *one, *self.kernel_size),
            bias.reshape(self.out_channels, *one, *self.output_size),
            *one,
            *self.stride,
            out.reshape(*out.shape[:2], *one, *out.shape[2:]),
        )


@module
class LocallyConnected1d(_LocallyConnected):
    """A convolution of (N, C, L) with other weights at each place; parameters as of :class:`LocallyConnected2d`.

    ``weight`` is (output length, out_channels, in_channels, kernel length), ``bias`` (out_channels, output length).
    Keras source: ``keras.layers.LocallyConnected1D`` (Keras 1 and 2).
    """

    axes = 1
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    output_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()


@module
class LocallyConnected2d(_LocallyConnected):
    """A convolution of (N, C, H, W) with other weights at each place.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride
        As of :class:`Conv2d`.
    output_size
        Rows and columns of the output: an integer, or a pair.  Inputs of another size than gives these are refused.
    padding
        Cells of zeros added: an integer, one an axis, or ((top, bottom), (left, right)).
    use_bias
        Whether there is a bias (``bias=`` gives its values).
    weight
        (output height, output width, out_channels, in_channels, kernel height, kernel width).
    bias
        (out_channels, output height, output width).

    Keras source: ``keras.layers.LocallyConnected2D`` (Keras 1 and 2).
    """

    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    output_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()
