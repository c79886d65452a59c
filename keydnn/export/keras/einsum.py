"""Sums of products of an input and a weight."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def einsum(module: Any, site: Site) -> Value:
    """``EinsumDense`` without bias."""
    read, weight, _ = module.labels
    if any(size is None and label in weight for label, size in zip(read, site.shapes[0], strict=True)):
        site.refuse("a free size of an axis that its weight has, too")
    config = {"equation": module.equation, "output_shape": site.shape[1:]}
    return site.layer("EinsumDense", config, {"kernel": module.weight})


RULES: Rules = {"Einsum": einsum}
