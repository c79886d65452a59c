"""Several inputs made one."""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

from keydnn.export.onnx.site import Rules, Site, number


def _pairs(kind: str, module: Any, site: Site) -> str:
    """Give ``((x0 op x1) op x2) ...``."""
    return reduce(partial(site.op, kind), site.inputs)


def average(module: Any, site: Site) -> str:
    return site.op("Div", _pairs("Add", module, site), number(len(site.inputs)))


def concatenate(module: Any, site: Site) -> str:
    return site.op("Concat", *site.inputs, axis=module.dim)


RULES: Rules = {
    "Add": partial(_pairs, "Add"),
    "Subtract": partial(_pairs, "Sub"),
    "Multiply": partial(_pairs, "Mul"),
    "Average": average,
    "Maximum": partial(_pairs, "Max"),
    "Minimum": partial(_pairs, "Min"),
    "Concatenate": concatenate,
}
