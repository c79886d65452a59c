"""Several inputs made one."""

from __future__ import annotations

import functools
from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site


def infix(operator: str, module: Any, site: Site) -> str:
    """Write the inputs with a sign between them."""
    return f" {operator} ".join(site.inputs)


def average(module: Any, site: Site) -> str:
    """Divide the sum."""
    return f"({' + '.join(site.inputs)}) / {len(site.inputs)}"


def nested(function: str, module: Any, site: Site) -> str:
    """Apply a function of two again and again."""
    return functools.reduce(lambda result, x: call(function, result, x), site.inputs)


def concatenate(module: Any, site: Site) -> str:
    """Write ``torch.cat``."""
    return call("torch.cat", list(site.inputs), dim=module.dim)


RULES = {
    "Add": functools.partial(infix, "+"),
    "Subtract": functools.partial(infix, "-"),
    "Multiply": functools.partial(infix, "*"),
    "Average": average,
    "Maximum": functools.partial(nested, "torch.maximum"),
    "Minimum": functools.partial(nested, "torch.minimum"),
    "Concatenate": concatenate,
}
