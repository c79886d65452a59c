"""Linear."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site


def linear(module: Any, site: Site) -> str:
    """Give Gemm, which takes matrices only, or MatMul."""
    (x,) = site.inputs
    weight, bias = site.weight("weight"), site.optional("bias")
    if len(site.shape) == 2:
        return site.op("Gemm", x, weight, bias, transB=1)
    product = site.op("MatMul", x, site.op("Transpose", weight, perm=[1, 0]))
    return product if bias is None else site.op("Add", product, bias)


RULES: Rules = {"Linear": linear}
