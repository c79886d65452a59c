"""Functions of one element that are no activations."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site

TRUTHS = {"isnan": "{x}.isnan()", "isinf": "{x}.isinf()", "isfinite": "{x}.isfinite()", "logical_not": "({x} == 0)"}


def unary(module: Any, site: Site) -> str:
    """Write the function of the same name; truths become 1 and 0."""
    (x,) = site.inputs
    if module.function in TRUTHS:
        return TRUTHS[module.function].format(x=x) + ".float()"
    if module.function == "sign":  # PyTorch's is 0 for NaN
        return call("torch.where", f"{x}.isnan()", x, f"torch.sign({x})")
    return f"-{x}" if module.function == "neg" else call(f"torch.{module.function}", x)


def full_like(module: Any, site: Site) -> str:
    return call("torch.full_like", site.inputs[0], module.value)


RULES = {"Unary": unary, "FullLike": full_like}
