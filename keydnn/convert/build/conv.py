"""Conv1D, Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Array
from keydnn.modules.conv import Conv1d, Conv2d, ConvTranspose2d
from keydnn.modules.geometry import Ints


@dataclass(frozen=True)
class Window:
    """The options that all convolutions share."""

    kernel_size: Ints
    stride: Ints
    padding: str
    dilation: Ints
    use_bias: bool
    last: bool  # whether the channels are last

    def bias_shape(self, out_channels: int) -> tuple[int, ...] | None:
        """Give the bias' shape, as LayerCall.weights takes it."""
        return (out_channels,) if self.use_bias else None


def read_window(call: LayerCall, axes: int, *paddings: str) -> Window:
    """Read the shared options of a convolution over some spatial axes."""
    call.ignore("activation")
    return Window(
        call.integers("kernel_size", axes),
        call.integers("strides", axes, 1),
        call.choice("padding", "valid", ("valid", "same", *paddings)),
        call.integers("dilation_rate", axes, 1),
        call.boolean("use_bias", True),
        call.channels_last(),
    )


def bias_of(arrays: Sequence[Array]) -> Array | None:
    """Give the bias, which is read last, if there is one."""
    return arrays[0] if arrays else None


def as_correlation(call: LayerCall, kernel: Array, axes: int) -> Array:
    """Give a kernel as the modules use it: Keras on Theano mirrored those of Conv1D, Conv2D, Conv2DTranspose."""
    if call.backend != "theano":
        return kernel
    call.rewrite("kernel of the Theano backend mirrored")
    return np.flip(kernel, tuple(range(axes)))


@builds("Conv1D", fused_activation=True)
def conv1d(call: LayerCall) -> Value:
    """Kernel (length, in / groups, out) -> weight (out, in / groups, length); causal padding is made explicit."""
    out_channels, groups = call.integer("filters"), call.integer("groups", 1)
    window = read_window(call, 1, "causal")
    x = call.to_channels_first(call.input(rank=3), window.last)
    in_channels = call.size(x, 1)
    kernel, *bias = call.weights(
        kernel=(*window.kernel_size, in_channels // groups, out_channels), bias=window.bias_shape(out_channels)
    )
    reach = window.dilation[0] * (window.kernel_size[0] - 1)
    module = Conv1d(
        in_channels,
        out_channels,
        window.kernel_size,
        window.stride,
        ((reach, 0),) if window.padding == "causal" else window.padding,
        window.dilation,
        groups,
        window.use_bias,
        weight=as_correlation(call, kernel, 1).transpose(2, 1, 0),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, x), window.last)


@builds("Conv2D", fused_activation=True)
def conv2d(call: LayerCall) -> Value:
    """Kernel (height, width, in / groups, out) -> weight (out, in / groups, height, width)."""
    out_channels, groups = call.integer("filters"), call.integer("groups", 1)
    window = read_window(call, 2)
    x = call.to_channels_first(call.input(rank=4), window.last)
    in_channels = call.size(x, 1)
    kernel, *bias = call.weights(
        kernel=(*window.kernel_size, in_channels // groups, out_channels), bias=window.bias_shape(out_channels)
    )
    module = Conv2d(
        in_channels,
        out_channels,
        window.kernel_size,
        window.stride,
        window.padding,
        window.dilation,
        groups,
        window.use_bias,
        weight=as_correlation(call, kernel, 2).transpose(3, 2, 0, 1),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, x), window.last)


def depthwise(window: Window, kernel: Array, bias: Array | None) -> Conv2d:
    """Kernel (height, width, in, multiplier) -> weight (in * multiplier, 1, height, width), groups = in."""
    *_, channels, multiplier = kernel.shape
    return Conv2d(
        channels,
        channels * multiplier,
        window.kernel_size,
        window.stride,
        window.padding,
        window.dilation,
        channels,
        bias is not None,
        weight=kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, *window.kernel_size),
        bias=bias,
    )


@builds("DepthwiseConv2D", fused_activation=True)
def depthwise_conv2d(call: LayerCall) -> Value:
    """A Conv2d with as many groups as channels."""
    multiplier = call.integer("depth_multiplier", 1)
    window = read_window(call, 2)
    call.ignore("filters")
    call.require("groups", 1, None)
    x = call.to_channels_first(call.input(rank=4), window.last)
    channels = call.size(x, 1)
    kernel, *bias = call.weights(
        depthwise_kernel=(*window.kernel_size, channels, multiplier), bias=window.bias_shape(channels * multiplier)
    )
    return call.to_channels_last(call.emit(depthwise(window, kernel, bias_of(bias)), x), window.last)


@builds("SeparableConv2D", fused_activation=True)
def separable_conv2d(call: LayerCall) -> Value:
    """Two modules: ``<name>.depthwise`` without bias, then the 1x1 convolution."""
    out_channels, multiplier = call.integer("filters"), call.integer("depth_multiplier", 1)
    window = read_window(call, 2)
    call.require("groups", 1, None)
    x = call.to_channels_first(call.input(rank=4), window.last)
    channels = call.size(x, 1)
    first, second, *bias = call.weights(
        depthwise_kernel=(*window.kernel_size, channels, multiplier),
        pointwise_kernel=(1, 1, channels * multiplier, out_channels),
        bias=window.bias_shape(out_channels),
    )
    middle = call.emit(depthwise(window, first, None), x, part="depthwise")
    module = Conv2d(
        channels * multiplier,
        out_channels,
        1,
        use_bias=window.use_bias,
        weight=second.transpose(3, 2, 0, 1),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, middle), window.last)


@builds("Conv2DTranspose", fused_activation=True)
def conv2d_transpose(call: LayerCall) -> Value:
    """Kernel (height, width, out, in) -> weight (in, out, height, width); Keras' sizes as cropping and output_padding.

    Source: ``_get_output_shape_given_tf_padding`` in ``keras/src/backend/common/backend_utils.py``; where the result is
    smaller than the full one, TensorFlow cuts the smaller half off in front.
    """
    out_channels = call.integer("filters")
    window = read_window(call, 2)
    extra = call.option("output_padding")
    extras = (None, None) if extra is None else call.integers("output_padding", 2, least=0)
    call.require("groups", 1, None)
    x = call.to_channels_first(call.input(rank=4), window.last)
    in_channels = call.size(x, 1)
    kernel, *bias = call.weights(
        kernel=(*window.kernel_size, out_channels, in_channels), bias=window.bias_shape(out_channels)
    )
    pads, output_padding = [], []
    for size, stride, dilation, more in zip(window.kernel_size, window.stride, window.dilation, extras, strict=True):
        reach = dilation * (size - 1) + 1
        if window.padding == "same":
            grows = stride - reach if more is None else reach % 2 + more - reach
        else:
            grows = max(stride - reach, 0) if more is None else more
        cut = max(-grows, 0)
        pads.append((cut // 2, cut - cut // 2))
        output_padding.append(max(grows, 0))
    module = ConvTranspose2d(
        in_channels,
        out_channels,
        window.kernel_size,
        window.stride,
        tuple(pads),
        tuple(output_padding),
        window.dilation,
        use_bias=window.use_bias,
        weight=as_correlation(call, kernel, 2).transpose(3, 2, 0, 1),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, x), window.last)
