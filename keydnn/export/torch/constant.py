"""Numbers of the model itself."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.site import Site


def constant(module: Any, site: Site) -> str:
    return site.buffer(module.value.reshape(1, *module.shape))


RULES = {"Constant": constant}
