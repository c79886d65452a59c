"""Sums of products of an input and a weight: ``torch.einsum``."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call, quoted
from keydnn.export.torch.site import Site


def einsum(module: Any, site: Site) -> str:
    """Write the equation as it is."""
    return call("torch.einsum", quoted(module.equation), site.inputs[0], site.parameter(module.weight, "weight"))


RULES = {"Einsum": einsum}
