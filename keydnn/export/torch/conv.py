"""Convolutions: ``nn.Conv*`` and ``nn.ConvTranspose*``."""

from __future__ import annotations

from typing import Any, NamedTuple

from keydnn.export.torch.expressions import call, per_axis, unless
from keydnn.export.torch.site import Site
from keydnn.export.torch.windows import around, crop, pad, resolved, symmetric


def conv(module: Any, site: Site) -> str:
    """Pad within the layer where both sides of each axis get the same at every call; by ``F.pad`` before it if not."""
    pads = resolved(module, site.shapes[0])
    every = {resolved(module, shape) for (shape,) in site.calls}
    inside = symmetric(pads) if len(every) == 1 else None
    layer = site.attribute(
        call(
            f"nn.Conv{module.axes}d",
            module.in_channels,
            module.out_channels,
            per_axis(module.kernel_size),
            stride=unless(1, per_axis(module.stride)),
            padding=unless(0, inside),
            dilation=unless(1, per_axis(module.dilation)),
            groups=unless(1, module.groups),
            bias=unless(True, module.use_bias),
        ),
        weight=module.weight,
        bias=module.bias,
    )
    x = site.inputs[0] if inside is not None else around(module, site, pads, "zeros")
    return f"{layer}({x})"


def transposed(module: Any, site: Site) -> str:
    """Give the layer the padding that PyTorch takes, and cut off the rest."""
    axes = [_crops(module, axis) for axis in range(module.axes)]
    layer = site.attribute(
        call(
            f"nn.ConvTranspose{module.axes}d",
            module.in_channels,
            module.out_channels,
            per_axis(module.kernel_size),
            stride=unless(1, per_axis(module.stride)),
            padding=unless(0, per_axis([axis.padding for axis in axes])),
            output_padding=unless(0, per_axis([axis.output_padding for axis in axes])),
            groups=unless(1, module.groups),
            bias=unless(True, module.use_bias),
            dilation=unless(1, per_axis(module.dilation)),
        ),
        weight=module.weight,
        bias=module.bias,
    )
    x = pad(site.inputs[0], tuple((0, axis.zeros) for axis in axes))
    return crop(f"{layer}({x})", [axis.cut for axis in axes])


class _Crops(NamedTuple):
    """What gives the cells of an axis: zeros behind the input, the layer's own crops, and what is cut off after it."""

    zeros: int
    padding: int
    output_padding: int
    cut: tuple[int, int]


def _crops(module: Any, axis: int) -> _Crops:
    """Work out how PyTorch gets the cells of an axis.

    The layer gives the full result from ``padding`` on, up to ``output_padding - padding`` cells behind its end; that
    is less than the stride or the dilation.  A zero behind the input makes the full result longer by the stride.
    """
    before, after = module.padding[axis]
    stride = module.stride[axis]
    beyond, most = module.output_padding[axis] - after, max(stride, module.dilation[axis]) - 1
    zeros = max(0, -(-(beyond - most) // stride))
    beyond -= zeros * stride
    padding = min(before, most - beyond)
    output_padding = max(padding + beyond, 0)
    return _Crops(zeros, padding, output_padding, (before - padding, output_padding - padding - beyond))


RULES = {
    "Conv1d": conv,
    "Conv2d": conv,
    "Conv3d": conv,
    "ConvTranspose1d": transposed,
    "ConvTranspose2d": transposed,
    "ConvTranspose3d": transposed,
}
