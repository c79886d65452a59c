"""Less a mean, divided by a standard deviation."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site


def standardize(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Div", site.op("Sub", x, site.weight("mean")), site.weight("std"))


RULES: Rules = {"Standardize": standardize}
