"""Products and sums with constants."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def rescale(module: Any, site: Site) -> Value:
    """``Rescaling``."""
    return site.layer("Rescaling", {"scale": module.scale, "offset": module.offset})


def affine(module: Any, site: Site) -> Value:
    """``Rescaling`` by lists where only the last axis has several numbers; else a product and a sum."""
    if module.weight.size == module.shape[-1]:
        numbers = {"scale": module.weight.reshape(-1).tolist(), "offset": module.bias.reshape(-1).tolist()}
        return site.layer("Rescaling", numbers)
    return site.operation("numpy.Add", [site.operation("numpy.Multiply", [*site.inputs, module.weight]), module.bias])


RULES: Rules = {"Rescale": rescale, "Affine": affine}
