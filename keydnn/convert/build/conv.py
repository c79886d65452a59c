"""Conv, DepthwiseConv, SeparableConv and ConvTranspose layers over one, two and three axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.lora import lora_of, with_lora
from keydnn.convert.build.registry import builds
from keydnn.convert.build.spectrum import fourier, mel_table, window_of
from keydnn.modules.arithmetic import Binary, Scalar
from keydnn.modules.base import Array, as_float32
from keydnn.modules.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from keydnn.modules.geometry import AnyPadding, Ints
from keydnn.modules.indexing import Pad
from keydnn.modules.merge import Add
from keydnn.modules.rearrange import Unsqueeze
from keydnn.modules.rescale import Affine
from keydnn.modules.shape import Permute, Reshape
from keydnn.modules.unary import Unary

Convolution = Conv1d | Conv2d | Conv3d
PLAIN: dict[str, type[Convolution]] = {"Conv1D": Conv1d, "Conv2D": Conv2d, "Conv3D": Conv3d}
DEPTHWISE: dict[str, type[Convolution]] = {"DepthwiseConv1D": Conv1d, "DepthwiseConv2D": Conv2d}
SEPARABLE: dict[str, type[Convolution]] = {"SeparableConv1D": Conv1d, "SeparableConv2D": Conv2d}
TRANSPOSED = {
    "Conv1DTranspose": ConvTranspose1d,
    "Conv2DTranspose": ConvTranspose2d,
    "Conv3DTranspose": ConvTranspose3d,
}


@dataclass(frozen=True)
class Window:
    """The options that all convolutions share."""

    kernel_size: Ints
    stride: Ints
    padding: AnyPadding
    dilation: Ints
    use_bias: bool
    last: bool  # whether the channels are last

    def bias_shape(self, out_channels: int) -> tuple[int, ...] | None:
        """Give the bias' shape, as LayerCall.weights takes it."""
        return (out_channels,) if self.use_bias else None


def read_window(call: LayerCall, axes: int, *paddings: str) -> Window:
    """Read the shared options of a convolution over some spatial axes; causal padding is made explicit."""
    call.ignore("activation")
    window = Window(
        call.integers("kernel_size", axes),
        call.integers("strides", axes, 1),
        call.choice("padding", "valid", ("valid", "same", *paddings)),
        call.integers("dilation_rate", axes, 1),
        call.boolean("use_bias", True),
        call.channels_last(),
    )
    if window.padding != "causal":
        return window
    reach = window.dilation[0] * (window.kernel_size[0] - 1)
    return replace(window, padding=((reach, 0),))


def bias_of(arrays: Sequence[Array]) -> Array | None:
    """Give the bias, which is read last, if there is one."""
    return arrays[0] if arrays else None


def channels_leading(kernel: Array) -> Array:
    """Give a kernel (*sizes, a, b) as (b, a, *sizes)."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def one_channel_each(kernel: Array) -> Array:
    """Give a depthwise kernel (*sizes, in, multiplier) as (in * multiplier, 1, *sizes)."""
    *sizes, channels, multiplier = kernel.shape
    return np.moveaxis(kernel, (-2, -1), (0, 1)).reshape(channels * multiplier, 1, *sizes)


@builds(*PLAIN, fused_activation=True)
def convolution(call: LayerCall) -> Value:
    """Kernel (*sizes, in / groups, out) -> weight (out, in / groups, *sizes)."""
    module_type = PLAIN[call.class_name]
    axes = module_type.axes
    out_channels, groups = call.integer("filters"), call.integer("groups", 1)
    window = read_window(call, axes, *(["causal"] if axes == 1 else []))
    lora = lora_of(call)
    x = call.to_channels_first(call.input(rank=2 + axes), window.last)
    in_channels = call.size(x, 1)
    kernel, *bias = call.weights(
        kernel=(*window.kernel_size, in_channels // groups, out_channels), bias=window.bias_shape(out_channels)
    )
    module = module_type(
        in_channels,
        out_channels,
        window.kernel_size,
        window.stride,
        window.padding,
        window.dilation,
        groups,
        window.use_bias,
        weight=channels_leading(with_lora(call, "kernel", kernel, lora)),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, x), window.last)


def depthwise(module_type: type[Convolution], window: Window, kernel: Array, bias: Array | None) -> Convolution:
    """Kernel (*sizes, in, multiplier) -> weight (in * multiplier, 1, *sizes), groups = in."""
    *_, channels, multiplier = kernel.shape
    return module_type(
        channels,
        channels * multiplier,
        window.kernel_size,
        window.stride,
        window.padding,
        window.dilation,
        channels,
        bias is not None,
        weight=one_channel_each(kernel),
        bias=bias,
    )


@builds(*DEPTHWISE, fused_activation=True)
def depthwise_convolution(call: LayerCall) -> Value:
    """A convolution with as many groups as channels."""
    module_type = DEPTHWISE[call.class_name]
    multiplier = call.integer("depth_multiplier", 1)
    window = read_window(call, module_type.axes)
    call.ignore("filters")
    call.require("groups", 1, None)
    x = call.to_channels_first(call.input(rank=2 + module_type.axes), window.last)
    channels = call.size(x, 1)
    kernel, *bias = call.weights(
        depthwise_kernel=(*window.kernel_size, channels, multiplier), bias=window.bias_shape(channels * multiplier)
    )
    return call.to_channels_last(call.emit(depthwise(module_type, window, kernel, bias_of(bias)), x), window.last)


@builds(*SEPARABLE, fused_activation=True)
def separable_convolution(call: LayerCall) -> Value:
    """Two modules: ``<name>.depthwise`` without bias, then the convolution of single cells."""
    module_type = SEPARABLE[call.class_name]
    axes = module_type.axes
    out_channels, multiplier = call.integer("filters"), call.integer("depth_multiplier", 1)
    window = read_window(call, axes, *(["causal"] if axes == 1 else []))
    call.require("groups", 1, None)
    x = call.to_channels_first(call.input(rank=2 + axes), window.last)
    channels = call.size(x, 1)
    first, second, *bias = call.weights(
        depthwise_kernel=(*window.kernel_size, channels, multiplier),
        pointwise_kernel=(*[1] * axes, channels * multiplier, out_channels),
        bias=window.bias_shape(out_channels),
    )
    middle = call.emit(depthwise(module_type, window, first, None), x, part="depthwise")
    module = module_type(
        channels * multiplier,
        out_channels,
        1,
        use_bias=window.use_bias,
        weight=channels_leading(second),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, middle), window.last)


@builds(*TRANSPOSED, fused_activation=True)
def transposed_convolution(call: LayerCall) -> Value:
    """Kernel (*sizes, out, in) -> weight (in, out, *sizes); Keras' sizes as cropping and output_padding.

    Source: ``_get_output_shape_given_tf_padding`` in ``keras/src/backend/common/backend_utils.py``; where the result is
    smaller than the full one, TensorFlow cuts the smaller half off in front.
    """
    module_type = TRANSPOSED[call.class_name]
    axes = module_type.axes
    out_channels = call.integer("filters")
    window = read_window(call, axes)
    extra = call.option("output_padding")
    extras = (None,) * axes if extra is None else call.integers("output_padding", axes, least=0)
    named = _named_sizes(call, axes, window.last)
    call.require("groups", 1, None)
    x = call.to_channels_first(call.input(rank=2 + axes), window.last)
    in_channels = call.size(x, 1)
    kernel, *bias = call.weights(
        kernel=(*window.kernel_size, out_channels, in_channels), bias=window.bias_shape(out_channels)
    )
    pads, output_padding = [], []
    for axis, (size, stride, dilation, more) in enumerate(
        zip(window.kernel_size, window.stride, window.dilation, extras, strict=True)
    ):
        reach = dilation * (size - 1) + 1
        if named:
            grows = named[axis] - (call.size(x, 2 + axis) - 1) * stride - reach
        elif window.padding == "same":
            grows = stride - reach if more is None else reach % 2 + more - reach
        else:
            grows = max(stride - reach, 0) if more is None else more
        cut = max(-grows, 0)
        pads.append((cut // 2, cut - cut // 2))
        output_padding.append(max(grows, 0))
    module = module_type(
        in_channels,
        out_channels,
        window.kernel_size,
        window.stride,
        tuple(pads),
        tuple(output_padding),
        window.dilation,
        use_bias=window.use_bias,
        weight=channels_leading(kernel),
        bias=bias_of(bias),
    )
    return call.to_channels_last(call.emit(module, x), window.last)


def _named_sizes(call: LayerCall, axes: int, last: bool) -> Sequence[int]:
    """Read the output's sizes, which Keras 1 names in ``output_shape``; nothing where they follow from the input's."""
    shape = call.option("output_shape")
    if shape is None:
        return ()
    sizes = shape[1:-1] if last else shape[2:]
    if len(shape) != axes + 2 or any(type(size) is not int or size < 1 for size in sizes):
        call.refuse("output_shape", f"{axes + 2} sizes are expected")
    return list(sizes)


@builds("STFTSpectrogram")
def stft_spectrogram(call: LayerCall) -> Value:
    """Every channel by the same kernels of cosines and sines: the real and the imaginary part of each frequency."""
    mode = call.choice("mode", "log", ("log", "magnitude", "psd", "real", "imag", "angle", "stft"))
    length = call.integer("frame_length", 256)
    step = call.integer("frame_step") if call.option("frame_step") is not None else length // 2
    padding, expand = call.choice("padding", "valid", ("valid", "same")), call.boolean("expand_dims", False)
    whole = call.integer("fft_length") if call.option("fft_length") is not None else 1 << (length - 1).bit_length()
    call.ignore("window", "periodic", "scaling")  # which the kernels began with
    last = call.channels_last()
    x = call.to_channels_first(call.input(rank=3), last)
    channels, bins = call.size(x, 1), whole // 2 + 1
    shape = (length, 1, bins)
    kernels = call.weights(real_kernel=None if mode == "imag" else shape, imag_kernel=None if mode == "real" else shape)

    def signal(kernel: Array, part: str = "") -> Value:
        weight = np.tile(channels_leading(kernel), (channels, 1, 1))
        return call.emit(
            Conv1d(channels, len(weight), length, step, padding, 1, channels, False, weight=weight), x, part=part
        )

    if mode in ("real", "imag", "stft"):
        bins *= len(kernels)
        spectrum = signal(np.concatenate(kernels, axis=2))
    elif mode == "angle":
        real, imaginary = signal(kernels[0], "real"), signal(kernels[1], "imag")
        spectrum = call.emit(Binary("atan2"), imaginary, real, part="angle")
    else:
        squares = [
            call.emit(Unary("square"), signal(kernel, part), part=f"{part}_square")
            for kernel, part in zip(kernels, ("real", "imag"), strict=True)
        ]
        spectrum = _scaled_power(call, call.emit(Add(), *squares, part="power"), mode, channels, bins)
    if not expand:
        return call.to_channels_last(spectrum, last)
    y = call.emit(Reshape((channels, bins, -1)), spectrum, part="apart")
    return call.emit(Permute((0, 3, 2, 1) if last else (0, 1, 3, 2)), y, part="turned")


@builds("MelSpectrogram")
def mel_spectrogram(call: LayerCall) -> Value:
    """The power of each frequency, in bands of mels; without decibels, which Keras cuts by the loudest of the batch."""
    if call.boolean("power_to_db", True):
        call.refuse("power_to_db", "it compares every cell with the loudest of the batch; use power_to_db=False")
    whole, step = call.integer("fft_length", 2048), call.integer("sequence_stride", 512)
    length = call.integer("sequence_length") if call.option("sequence_length") is not None else whole
    kind = call.choice("window", "hann", ("hann", "hamming")) if call.option("window", "hann") is not None else None
    rate, mels = call.number("sampling_rate", 16000), call.integer("num_mel_bins", 128)
    lowest, exponent = call.number("min_freq", 20.0), call.number("mag_exp", 2.0)
    highest = call.number("max_freq", 0.0) if call.option("max_freq") else float(int(rate / 2))
    if length > whole or not 0 <= lowest < highest:
        call.refuse("fft_length", f"sequence_length={length}, min_freq={lowest:g} and max_freq={highest:g} do not fit")
    call.ignore("top_db", "min_power", "ref_power")  # of decibels
    x = call.input(rank=2)
    bins = whole // 2 + 1
    half = whole // 2
    padded = call.emit(Pad(((half, half),), "reflect"), x, part="padded")
    signal = call.emit(Unsqueeze((1,)), padded, part="channel")
    squares = []
    for kernel, part in zip(fourier(window_of(kind, length), whole), ("real", "imag"), strict=True):
        weight = as_float32(kernel[:, None])
        side = call.emit(Conv1d(1, bins, whole, step, use_bias=False, weight=weight), signal, part=part)
        squares.append(call.emit(Unary("square"), side, part=f"{part}_square"))
    spectrum = call.emit(Add(), *squares, part="power")
    if exponent != 2:
        spectrum = call.emit(Unary("sqrt"), spectrum, part="magnitude")
        spectrum = call.emit(Scalar("power", exponent), spectrum, part="exponent")
    table = as_float32(mel_table(bins, mels, rate, lowest, highest)[:, :, None])
    return call.emit(Conv1d(bins, mels, 1, use_bias=False, weight=table), spectrum)


def _scaled_power(call: LayerCall, power: Value, mode: str, channels: int, bins: int) -> Value:
    """Give the power as the mode wants it: its root, the logarithm of that, or for both signs of each frequency."""
    if mode == "psd":
        both = np.full((bins, 1), 2, np.float32)
        both[[0, -1]] = 1
        weight = np.tile(both, (channels, 1))
        return call.emit(Affine(weight.shape, weight=weight, bias=0 * weight), power, part="density")
    root = call.emit(Unary("sqrt"), call.emit(Scalar("maximum", 1e-7), power, part="floor"), part="magnitude")
    return root if mode == "magnitude" else call.emit(Unary("log"), root, part="log")
