"""Sequences as batches of steps and back, and backwards."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site


def fold(module: Any, site: Site) -> str:
    return call(f"{site.inputs[0]}.flatten", 0, 1)


def unfold(module: Any, site: Site) -> str:
    """Read the second input only where it alone knows how many steps there are."""
    x, like = site.inputs
    steps = site.shapes[1][1]
    return call(f"{x}.unflatten", 0, f"{like}.shape[:2]" if steps is None else (-1, steps))


def flip(module: Any, site: Site) -> str:
    return call(f"{site.inputs[0]}.flip", module.dim)


RULES = {"FoldTime": fold, "UnfoldTime": unfold, "Flip": flip}
