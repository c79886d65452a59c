"""Convolutions with other weights at each place: windows, and sums of products."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call, quoted
from keydnn.export.torch.site import Site
from keydnn.export.torch.windows import pad

EQUATIONS = {1: "nclk,lock->nol", 2: "nchwij,hwocij->nohw"}


def locally_connected(module: Any, site: Site) -> str:
    """Unfold axis by axis."""
    x = pad(site.inputs[0], module.padding)
    for axis, (size, stride) in enumerate(zip(module.kernel_size, module.stride, strict=True), 2):
        x = call(f"{x}.unfold", axis, size, stride)
    product = call("torch.einsum", quoted(EQUATIONS[module.axes]), x, site.parameter(module.weight, "weight"))
    return f"{product} + {site.parameter(module.bias, 'bias')}" if module.use_bias else product


RULES = {"LocallyConnected1d": locally_connected, "LocallyConnected2d": locally_connected}
