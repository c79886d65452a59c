"""Linear."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value
from keydnn.export.keras.weights import kernel_and_bias


def linear(module: Any, site: Site) -> Value:
    """``Dense``: the kernel is the weight transposed."""
    config = {"units": module.out_features, "use_bias": module.use_bias}
    return site.layer("Dense", config, kernel_and_bias(module.weight.T, module.bias))


RULES: Rules = {"Linear": linear}
