"""Products of two inputs."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def contract(module: Any, site: Site) -> Value:
    """``ops.einsum``."""
    return site.operation("numpy.Einsum", site.inputs, {"subscripts": module.equation})


RULES: Rules = {"Contract": contract}
