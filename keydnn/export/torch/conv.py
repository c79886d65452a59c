"""Convolutions: ``nn.Conv*`` and ``nn.ConvTranspose*``."""

from __future__ import annotations

from typing import Any

from keydnn.errors import ExportError
from keydnn.export.torch.expressions import call, per_axis, unless
from keydnn.export.torch.site import Site
from keydnn.export.torch.windows import around, crop, resolved, symmetric


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
    axes = [_split_crops(module, axis) for axis in range(module.axes)]
    layer = site.attribute(
        call(
            f"nn.ConvTranspose{module.axes}d",
            module.in_channels,
            module.out_channels,
            per_axis(module.kernel_size),
            stride=unless(1, per_axis(module.stride)),
            padding=unless(0, per_axis([padding for padding, _, _ in axes])),
            output_padding=unless(0, per_axis([more for _, more, _ in axes])),
            groups=unless(1, module.groups),
            bias=unless(True, module.use_bias),
            dilation=unless(1, per_axis(module.dilation)),
        ),
        weight=module.weight,
        bias=module.bias,
    )
    return crop(f"{layer}({site.inputs[0]})", [left for _, _, left in axes])


def _split_crops(module: Any, axis: int) -> tuple[int, int, tuple[int, int]]:
    """Give PyTorch's padding and output_padding of an axis, and the cells to cut off at both ends afterwards.

    The layer computes the full result's cells from ``padding`` on, up to ``padding`` less ``output_padding`` from its end.
    """
    before, after = module.padding[axis]
    wanted, most = module.output_padding[axis] - after, max(module.stride[axis], module.dilation[axis]) - 1
    padding = min(before, most - wanted)
    if padding < 0:
        raise ExportError(f"output_padding={module.output_padding} is beyond what PyTorch computes")
    more = max(padding + wanted, 0)
    return padding, more, (before - padding, more - padding - wanted)


RULES = {
    "Conv1d": conv,
    "Conv2d": conv,
    "Conv3d": conv,
    "ConvTranspose1d": transposed,
    "ConvTranspose2d": transposed,
    "ConvTranspose3d": transposed,
}
