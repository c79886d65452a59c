"""Convolutions and transposed ones."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site, ints, number
from keydnn.export.onnx.windows import onnx_pads, padding


def _attributes(module: Any) -> dict[str, Any]:
    return {
        "kernel_shape": module.kernel_size,
        "strides": module.stride,
        "dilations": module.dilation,
        "group": module.groups,
    }


def convolution(module: Any, site: Site) -> str:
    """Give Conv, which has KeyDNN's layouts and groups."""
    (x,) = site.inputs
    return site.op(
        "Conv",
        x,
        site.weight("weight"),
        site.optional("bias"),
        **_attributes(module),
        **padding(module, site.shapes[0], module.dilation),
    )


def transposed(module: Any, site: Site) -> str:
    """Give ConvTranspose; cells that are cut off at an end and added there again are not cut off.

    Cells that are added beyond the end of everything hold the bias alone.  As ONNX takes fewer of them than the stride
    or the dilation, more are put there in between.
    """
    (x,) = site.inputs
    weight, bias = site.weight("weight"), site.optional("bias")
    pairs = list(zip(module.padding, module.output_padding, strict=True))
    pads = onnx_pads(tuple((before, max(after - more, 0)) for (before, after), more in pairs))
    beyond = [max(more - after, 0) for (_, after), more in pairs]
    steps = zip(module.stride, module.dilation, strict=True)
    if all(more < max(step) for more, step in zip(beyond, steps, strict=True)):
        return site.op("ConvTranspose", x, weight, bias, **_attributes(module), pads=pads, output_padding=beyond)
    result = site.op("ConvTranspose", x, weight, **_attributes(module), pads=pads)
    axes = ints(*range(2, len(site.shape)))
    result = site.op("Pad", result, ints(*[0] * len(beyond), *beyond), number(0), axes)
    if bias is None:
        return result
    return site.op("Add", result, site.op("Unsqueeze", bias, ints(*range(1, len(site.shape) - 1))))


RULES: Rules = {f"Conv{axes}d": convolution for axes in (1, 2, 3)} | {
    f"ConvTranspose{axes}d": transposed for axes in (1, 2, 3)
}
