"""Convolutions and transposed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value, channels_last
from keydnn.export.keras.weights import channels_trailing, kernel_and_bias
from keydnn.export.keras.windows import channels, cropped, is_same, pads_of, per_axis, strided, zero_padded
from keydnn.modules.base import Shape
from keydnn.modules.geometry import Ints, Pads, window_sizes


def convolution(module: Any, site: Site) -> Value:
    """``Conv``, or ``DepthwiseConv`` where every channel is a group.

    Padding of other than Keras' kinds is a layer of its own.  Keras' layers have a stride or a dilation: for both, all
    cells are computed, and those taken that the stride reaches.
    """
    (x,) = site.inputs
    window = x.shape[1:-1], module.kernel_size, module.stride, module.dilation
    both = max(module.stride) > 1 and max(module.dilation) > 1
    reach = module.dilation[0] * (module.kernel_size[0] - 1)
    pads: Pads = ()
    if both:
        padding, pads = "valid", pads_of(site, module.padding, *window)
    elif module.padding == "same" or (any(map(any, module.padding)) and is_same(module.padding, *window)):
        padding = "same"
    elif module.padding == ((reach, 0),) and reach and module.groups == 1:
        padding = "causal"
    else:
        padding, pads = "valid", module.padding
    x = zero_padded(site, x, pads)
    stride = (1,) * module.axes if both else module.stride
    shape = _shape(module, x.shape, stride) if padding == "valid" else site.shape
    config = {
        "kernel_size": per_axis(module.kernel_size),
        "strides": per_axis(stride),
        "padding": padding,
        "dilation_rate": per_axis(module.dilation),
        "use_bias": module.use_bias,
    }
    found = _windows(module, site, x, config, shape)
    return strided(site, found, module.stride) if both else found


def _windows(module: Any, site: Site, x: Value, config: Mapping[str, Any], shape: Shape) -> Value:
    """Call the layer; TensorFlow takes depthwise convolutions of one stride only."""
    named = site.origin.class_name if site.origin else ""
    depthwise = module.groups == module.in_channels and module.axes < 3 and len({*module.stride}) == 1
    if depthwise and not named.startswith("Conv") and (module.groups > 1 or named.startswith("Depthwise")):
        multiplier = module.out_channels // module.groups
        grouped = module.weight.reshape(module.groups, multiplier, *module.kernel_size)
        weights = kernel_and_bias(np.moveaxis(grouped, (0, 1), (-2, -1)), module.bias, "depthwise_kernel")
        name, own = f"DepthwiseConv{module.axes}D", {"depth_multiplier": multiplier}
    else:
        weights = kernel_and_bias(channels_trailing(module.weight), module.bias)
        name, own = f"Conv{module.axes}D", {"filters": module.out_channels, "groups": module.groups}
    return site.layer(name, {**own, **config}, weights, inputs=[x], shape=shape)


def _shape(module: Any, shape: Shape, stride: Ints) -> Shape:
    """Give the shape that a convolution without padding gives, channels last."""
    first = (shape[0], module.in_channels, *shape[1:-1])
    nothing = ((0, 0),) * module.axes
    sizes = window_sizes(module, first, module.kernel_size, stride, nothing, module.dilation)
    return (shape[0], *sizes, module.out_channels)


def transposed(module: Any, site: Site) -> Value:
    """``ConvTranspose``, a layer for each group; sizes other than Keras' kinds give are made by padding and cropping.

    Without padding Keras gives an axis ``(size - 1) * stride + max(reach, stride)`` cells.  Where more are wanted, the
    input gets zeros behind; what is too much is cut off.
    """
    (x,) = site.inputs
    if max(module.stride) > 1 and max(module.dilation) > 1:
        site.refuse("Keras has no transposed convolution with both a stride and a dilation")
    reaches = [step * (size - 1) + 1 for step, size in zip(module.dilation, module.kernel_size, strict=True)]
    axes = list(zip(module.stride, reaches, module.padding, module.output_padding, strict=True))
    extra = [max(stride - reach, 0) for stride, reach, _, _ in axes]
    if all(_same(*axis) for axis in axes):
        return _groups(module, site, x, "same", site.shape)
    more = [max(-(-(out - room) // stride), 0) for (stride, _, _, out), room in zip(axes, extra, strict=True)]
    x = zero_padded(site, x, tuple((0, cells) for cells in more))
    sizes = [
        None if size is None else (size - 1) * stride + max(reach, stride)
        for size, (stride, reach, _, _) in zip(x.shape[1:-1], axes, strict=True)
    ]
    found = _groups(module, site, x, "valid", (x.shape[0], *sizes, module.out_channels))
    cuts = tuple(
        (before, room + cells * stride + after - out)
        for (stride, _, (before, after), out), room, cells in zip(axes, extra, more, strict=True)
    )
    return cropped(site, found, cuts)


def _same(stride: int, reach: int, pads: tuple[int, int], output_padding: int) -> bool:
    """Tell whether an axis has the sizes that Keras' SAME gives."""
    cut = max(reach - stride, 0)
    return pads == (cut // 2, cut - cut // 2) and output_padding == max(stride - reach, 0)


def _groups(module: Any, site: Site, x: Value, padding: str, shape: Shape) -> Value:
    inside, outside = module.in_channels // module.groups, module.out_channels // module.groups
    config = {
        "filters": outside,
        "kernel_size": per_axis(module.kernel_size),
        "strides": per_axis(module.stride),
        "padding": padding,
        "dilation_rate": per_axis(module.dilation),
        "use_bias": module.use_bias,
    }
    found = []
    for group in range(module.groups):
        taken, given = slice(group * inside, (group + 1) * inside), slice(group * outside, (group + 1) * outside)
        weights = kernel_and_bias(
            channels_trailing(module.weight[taken]), None if module.bias is None else module.bias[given]
        )
        read = x if module.groups == 1 else channels(site, x, taken)
        part = (*shape[:-1], outside)
        found.append(site.layer(f"Conv{module.axes}DTranspose", config, weights, inputs=[read], shape=part))
    if len(found) == 1:
        return found[0]
    return site.layer("Concatenate", {"axis": -1}, inputs=found, shape=shape, listed=True)


RULES: Rules = {f"Conv{axes}d": channels_last(convolution) for axes in (1, 2, 3)} | {
    f"ConvTranspose{axes}d": channels_last(transposed) for axes in (1, 2, 3)
}
