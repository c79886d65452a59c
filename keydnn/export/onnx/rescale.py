"""Products and sums with constants."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site, number


def rescale(module: Any, site: Site) -> str:
    (x,) = site.inputs
    product = site.op("Mul", x, number(module.scale))
    return site.op("Add", product, number(module.offset)) if module.offset else product


def affine(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Add", site.op("Mul", x, site.weight("weight")), site.weight("bias"))


RULES: Rules = {"Rescale": rescale, "Affine": affine}
