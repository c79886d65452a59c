"""Linear."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call, unless
from keydnn.export.torch.site import Site


def linear(module: Any, site: Site) -> str:
    """Write the layer; it works on the last axis, too."""
    constructor = call("nn.Linear", module.in_features, module.out_features, bias=unless(True, module.use_bias))
    return f"{site.attribute(constructor, weight=module.weight, bias=module.bias)}({site.inputs[0]})"


RULES = {"Linear": linear}
