"""Products of two inputs."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call, quoted
from keydnn.export.torch.site import Site


def contract(module: Any, site: Site) -> str:
    """Write a product of matrices where it is one."""
    x, y = site.inputs
    *batch, row, middle = module.labels[0]
    columns = [label for label in module.labels[1] if label not in module.labels[0]]
    if len(columns) == 1 and [*module.labels[2]] == [*batch, row, *columns]:
        if [*module.labels[1]] == [*batch, middle, *columns]:
            return f"{x} @ {y}"
        if [*module.labels[1]] == [*batch, *columns, middle]:
            return f"{x} @ {y}.transpose(-2, -1)"
    return call("torch.einsum", quoted(module.equation), x, y)


RULES = {"Contract": contract}
