"""Numbers of the model itself."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def constant(module: Any, site: Site) -> Value:
    """The numbers: operations have them among their arguments."""
    found: Value = module.value[None]
    return found


RULES: Rules = {"Constant": constant}
