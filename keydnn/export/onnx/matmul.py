"""Products of two inputs."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site


def contract(module: Any, site: Site) -> str:
    return site.op("Einsum", *site.inputs, equation=module.equation)


RULES: Rules = {"Contract": contract}
