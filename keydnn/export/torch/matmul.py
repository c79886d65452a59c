"""Products of two inputs."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call, quoted
from keydnn.export.torch.site import Site


def contract(module: Any, site: Site) -> str:
    """Write a product of matrices where it is one."""
    x, y = site.inputs
    left, right, out = module.labels
    (column, *others) = [label for label in right if label not in left] or [""]
    batch, row, middle = left[:-2], left[-2:-1], left[-1]
    if len(left) > 2 and not others and out == batch + row + column:
        if right == batch + middle + column:
            return f"{x} @ {y}"
        if right == batch + column + middle:
            return f"{x} @ {y}.transpose(-2, -1)"
    return call("torch.einsum", quoted(module.equation), x, y)


RULES = {"Contract": contract}
