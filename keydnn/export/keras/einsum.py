"""Sums of products of an input and a weight."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def einsum(module: Any, site: Site) -> Value:
    """``EinsumDense`` without bias."""
    config = {"equation": module.equation, "output_shape": site.shape[1:]}
    return site.layer("EinsumDense", config, {"kernel": module.weight})


RULES: Rules = {"Einsum": einsum}
