"""Convolutions and transposed ones."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site, ints, number
from keydnn.export.onnx.windows import cropped, onnx_pads, windows


def convolution(module: Any, site: Site) -> str:
    """Give Conv, which has KeyDNN's layouts and groups."""
    x, attributes = windows(module, site, module.dilation, number(0))
    weight, bias = site.weight("weight"), site.optional("bias")
    return site.op("Conv", x, weight, bias, **attributes, dilations=module.dilation, group=module.groups)


def transposed(module: Any, site: Site) -> str:
    """Give ConvTranspose; cells that are cut off at an end and added there again are not cut off.

    Cells that are added beyond the end of everything hold the bias alone.  As onnxruntime takes fewer of them than the
    stride, more are put there before the bias is added.
    """
    (x,) = site.inputs
    weight, bias = site.weight("weight"), site.optional("bias")
    attributes = {
        "kernel_shape": module.kernel_size,
        "strides": module.stride,
        "dilations": module.dilation,
        "group": module.groups,
    }
    pairs = list(zip(module.padding, module.output_padding, strict=True))
    crops = tuple((before, max(after - more, 0)) for (before, after), more in pairs)
    beyond = [max(more - after, 0) for (_, after), more in pairs]
    if all(more < stride for more, stride in zip(beyond, module.stride, strict=True)):
        pads = onnx_pads(crops)
        return site.op("ConvTranspose", x, weight, bias, **attributes, pads=pads, output_padding=beyond)
    axes = ints(*range(2, len(site.shape)))
    whole = site.op("ConvTranspose", x, weight, **attributes)
    padded = site.op("Pad", whole, ints(*[0] * len(beyond), *beyond), number(0), axes)
    result = cropped(site, padded, crops)
    if bias is None:
        return result
    return site.op("Add", result, site.op("Unsqueeze", bias, ints(*range(1, len(site.shape) - 1))))


RULES: Rules = {f"Conv{axes}d": convolution for axes in (1, 2, 3)} | {
    f"ConvTranspose{axes}d": transposed for axes in (1, 2, 3)
}
