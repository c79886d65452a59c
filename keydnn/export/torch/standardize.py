"""Less a mean, divided by a standard deviation."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.site import Site


def standardize(module: Any, site: Site) -> str:
    return f"({site.inputs[0]} - {site.buffer(module.mean, 'mean')}) / {site.buffer(module.std, 'std')}"


RULES = {"Standardize": standardize}
