"""Products and sums with constants."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import decimal
from keydnn.export.torch.site import Site


def rescale(module: Any, site: Site) -> str:
    (x,) = site.inputs
    scaled = x if module.scale == 1 else f"{x} * {decimal(module.scale)}"
    if not module.offset:
        return scaled
    return f"{scaled} {'-' if module.offset < 0 else '+'} {decimal(abs(module.offset))}"


def affine(module: Any, site: Site) -> str:
    """Leave a bias of zeros out."""
    scaled = f"{site.inputs[0]} * {site.buffer(module.weight, 'weight')}"
    return f"{scaled} + {site.buffer(module.bias, 'bias')}" if module.bias.any() else scaled


RULES = {"Rescale": rescale, "Affine": affine}
