"""Reductions over axes, and running sums and products.

Where an axis holds NaN, PyTorch's argmax and argmin give its place; Keras' pass over it.
"""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call, unless
from keydnn.export.torch.site import Site

METHODS = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}


def reduce(module: Any, site: Site) -> str:
    """Write the method; products take one axis at a time, and places are float32 here as in the graph."""
    found, keepdim = site.inputs[0], unless(False, module.keepdim)
    dim = module.dim if len(module.dim) > 1 else module.dim[0]
    if module.operation in METHODS:
        return call(f"{found}.{METHODS[module.operation]}", dim, keepdim=keepdim)
    if module.operation != "prod":
        return call(f"{found}.{module.operation}", dim, keepdim=keepdim) + ".float()"
    for axis in reversed(module.dim):
        found = call(f"{found}.prod", axis, keepdim=keepdim)
    return found


def cumulate(module: Any, site: Site) -> str:
    return call(f"{site.inputs[0]}.cum{module.operation}", module.dim)


RULES = {"Reduce": reduce, "Cumulate": cumulate}
