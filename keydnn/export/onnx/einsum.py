"""Sums of products of an input and a weight."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site


def einsum(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Einsum", x, site.weight("weight"), equation=module.equation)


RULES: Rules = {"Einsum": einsum}
