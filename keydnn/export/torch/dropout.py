"""Dropout: without effect in ``eval`` mode, and there to be trained with."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site


def dropout(module: Any, site: Site) -> str:
    """Write the layer."""
    return f"{site.attribute(call('nn.Dropout', module.p))}({site.inputs[0]})"


RULES = {"Dropout": dropout}
