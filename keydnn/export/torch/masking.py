"""Masks of steps."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site


def step_mask(module: Any, site: Site) -> str:
    """Write the mask as numbers, which it is in the graph."""
    return f"({site.inputs[0]} != {module.mask_value}).any(-1).float()"


def masked_fill(module: Any, site: Site) -> str:
    """Give the mask the axes that the input has more."""
    x, mask = site.inputs
    more = len(site.shapes[0]) - len(site.shapes[1])
    hidden = f"({mask} == 0){'.unsqueeze(-1)' if more == 1 else '[' + ', '.join(['...', *['None'] * more]) + ']'}"
    return call(f"{x}.masked_fill", hidden if more else f"{mask} == 0", module.value)


RULES = {"StepMask": step_mask, "MaskedFill": masked_fill}
