"""Convolutions and transposed ones over one, two and three axes.  Depthwise is a Conv with groups = in_channels."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from jit_kernels._jit import Kernel
from jit_kernels.conv import conv_ncdhw_f32, conv_transpose_ncdhw_f32
from keydnn.errors import ParameterError, ShapeError
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
from keydnn.modules.geometry import (
    LAYOUTS,
    AnyPadding,
    Pads,
    PerAxis,
    as_volume,
    axis_tuple,
    canonical_padding,
    canonical_pads,
    in_volume,
    resolve_pads,
    window_sizes,
)


class _Convolution(Module):
    """Parameters that all convolutions share; ``axes`` is the number of spatial axes."""

    axes: ClassVar[int] = 2
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis
    padding: AnyPadding
    dilation: PerAxis
    groups: int
    use_bias: bool
    weight: Array | None
    bias: Array | None

    def __post_init__(self) -> None:
        self.set(
            in_channels=integer("in_channels", self.in_channels),
            out_channels=integer("out_channels", self.out_channels),
            kernel_size=axis_tuple("kernel_size", self.kernel_size, self.axes),
            stride=axis_tuple("stride", self.stride, self.axes),
            dilation=axis_tuple("dilation", self.dilation, self.axes),
            groups=integer("groups", self.groups),
            use_bias=flag("use_bias", self.use_bias),
        )
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ParameterError(
                f"groups={self.groups} must divide in_channels={self.in_channels} and out_channels={self.out_channels}"
            )
        super().__post_init__()

    def check_input(self, shape: Shape) -> None:
        """Raise ShapeError unless an input has the rank and the channels."""
        layout = LAYOUTS[self.axes].replace("C", str(self.in_channels))
        want_rank(self, shape, 2 + self.axes, layout)
        want_size(self, shape, 1, self.in_channels, layout)

    def bias_or_zeros(self) -> Array:
        """Give the bias as the kernels want it."""
        return np.zeros(self.out_channels, np.float32) if self.bias is None else self.bias

    def launch(self, kernel: Kernel, x: Array, crops: tuple[int, ...], out: Array) -> None:
        """Run a kernel for volumes."""
        assert self.weight is not None  # forward has checked
        kernel(
            as_volume(x),
            as_volume(self.weight),
            self.bias_or_zeros(),
            *in_volume(self.stride),
            *in_volume(self.dilation),
            *crops,
            self.groups,
            as_volume(out),
        )


class _Forward(_Convolution):
    """What convolutions share that are not transposed."""

    def __post_init__(self) -> None:
        self.set(padding=canonical_padding(self.padding, self.axes))
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"weight": (self.out_channels, self.in_channels // self.groups, *self.kernel_size)}
        return shapes | ({"bias": (self.out_channels,)} if self.use_bias else {})

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        self.check_input(x)
        sizes = window_sizes(self, x, self.kernel_size, self.stride, self.padding, self.dilation)
        return (x[0], self.out_channels, *sizes)

    def macs(self, *shapes: Shape) -> int:
        return math.prod(sized(self, self.output_shape(*shapes))) * math.prod(self.tensor_shapes()["weight"][1:])

    def launches_only(self, *shapes: Shape) -> bool:
        sizes = sized(self, shapes[0])[2:]
        return not any(map(any, resolve_pads(self.padding, sizes, self.kernel_size, self.stride, self.dilation)))

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        pads = resolve_pads(self.padding, x.shape[2:], self.kernel_size, self.stride, self.dilation)
        if any(map(any, pads)):
            x = np.pad(x, ((0, 0), (0, 0), *pads))
        self.launch(conv_ncdhw_f32, x, (), out)


@module
class Conv1d(_Forward):
    """1-D convolution (cross-correlation) of (N, C, L), as ``torch.nn.Conv1d``.

    Parameters are those of :class:`Conv2d`; ``weight`` is (out_channels, in_channels / groups, kernel length).
    Keras source: ``keras.layers.Conv1D``.
    """

    axes = 1
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()


@module
class Conv2d(_Forward):
    """2-D convolution (cross-correlation) of (N, C, H, W), as ``torch.nn.Conv2d``.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, dilation, groups
        As in PyTorch; ``groups = in_channels`` is a depthwise convolution.
    padding
        Cells added on each side, as in PyTorch; or ((top, bottom), (left, right)); or ``"same"``: Keras' SAME for the
        size of each call, also with strides and even kernels; or ``"valid"``.
    use_bias
        Whether there is a bias (``bias=`` gives its values).
    weight
        (out_channels, in_channels / groups, kernel height, kernel width).
    bias
        (out_channels,).

    Keras source: ``keras.layers.Conv2D``, ``DepthwiseConv2D``, ``SeparableConv2D``.
    """

    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()


@module
class Conv3d(_Forward):
    """3-D convolution (cross-correlation) of (N, C, D, H, W), as ``torch.nn.Conv3d``.

    Parameters are those of :class:`Conv2d`, with depth first; ``weight`` is (out_channels, in_channels / groups, kernel
    depth, height, width).  Keras source: ``keras.layers.Conv3D``.
    """

    axes = 3
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()


class _Transposed(_Convolution):
    """What transposed convolutions share."""

    padding: Pads
    output_padding: PerAxis

    def __post_init__(self) -> None:
        self.set(
            padding=canonical_pads("padding", self.padding, self.axes),
            output_padding=axis_tuple("output_padding", self.output_padding, self.axes, least=0),
        )
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"weight": (self.in_channels, self.out_channels // self.groups, *self.kernel_size)}
        return shapes | ({"bias": (self.out_channels,)} if self.use_bias else {})

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        self.check_input(x)
        sizes: list[int | None] = []
        for axis, size in enumerate(x[2:]):
            if size is None:
                sizes.append(None)
                continue
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
            grown = (size - 1) * self.stride[axis] + reach - sum(self.padding[axis]) + self.output_padding[axis]
            if size < 1 or grown < 1:
                raise ShapeError(f"{self} leaves nothing of spatial axis {axis} of its input {shape_text(x)}")
            sizes.append(grown)
        return (x[0], self.out_channels, *sizes)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def macs(self, *shapes: Shape) -> int:
        return math.prod(sized(self, shapes[0])) * math.prod(self.tensor_shapes()["weight"][1:])

    def compute(self, *inputs: Array, out: Array) -> None:
        crops = in_volume(tuple(before for before, _ in self.padding), neutral=0)
        self.launch(conv_transpose_ncdhw_f32, inputs[0], crops, out)


@module
class ConvTranspose1d(_Transposed):
    """1-D transposed convolution of (N, C, L), as ``torch.nn.ConvTranspose1d``.

    Parameters are those of :class:`ConvTranspose2d`; ``weight`` is (in_channels, out_channels / groups, kernel length).
    Keras source: ``keras.layers.Conv1DTranspose``.
    """

    axes = 1
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    output_padding: PerAxis = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()


@module
class ConvTranspose2d(_Transposed):
    """2-D transposed convolution of (N, C, H, W), as ``torch.nn.ConvTranspose2d``.

    Size of an axis: ``(size - 1) * stride + dilation * (kernel_size - 1) + 1 - before - after + output_padding``.

    Parameters
    ----------
    padding
        Cells cut off on each side of the full result, as in PyTorch, or ((top, bottom), (left, right)).
    output_padding
        Cells added at the end of each axis; they hold what the full result has there, and the bias beyond it.
    weight
        (in_channels, out_channels / groups, kernel height, kernel width).
    bias
        (out_channels,), unless ``use_bias`` is False.

    Keras source: ``keras.layers.Conv2DTranspose``.
    """

    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    output_padding: PerAxis = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()


@module
class ConvTranspose3d(_Transposed):
    """3-D transposed convolution of (N, C, D, H, W), as ``torch.nn.ConvTranspose3d``.

    Parameters are those of :class:`ConvTranspose2d`, with depth first; ``weight`` is (in_channels, out_channels /
    groups, kernel depth, height, width).  Keras source: ``keras.layers.Conv3DTranspose``.
    """

    axes = 3
    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: AnyPadding = 0
    output_padding: PerAxis = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()
