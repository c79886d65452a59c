"""Functions of one element that are no activations."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value

NAMES = {
    "abs": "numpy.Absolute",
    "acos": "numpy.Arccos",
    "acosh": "numpy.Arccosh",
    "asin": "numpy.Arcsin",
    "asinh": "numpy.Arcsinh",
    "atan": "numpy.Arctan",
    "atanh": "numpy.Arctanh",
    "erf": "math.Erf",
    "neg": "numpy.Negative",
    "rsqrt": "math.Rsqrt",
}
TRUTHS = {"isfinite": "Isfinite", "isinf": "Isinf", "isnan": "Isnan", "logical_not": "LogicalNot"}


def unary(module: Any, site: Site) -> Value:
    """``ops`` of the name; what is true is 1."""
    name = module.function
    if name in TRUTHS:
        return site.cast(site.operation(f"numpy.{TRUTHS[name]}", site.inputs, dtype="bool"), "float32")
    return site.operation(NAMES.get(name, f"numpy.{name.capitalize()}"), site.inputs)


def full_like(module: Any, site: Site) -> Value:
    """``ops.full_like``."""
    return site.operation("numpy.FullLike", [*site.inputs, module.value])


RULES: Rules = {"Unary": unary, "FullLike": full_like}
