"""Activations along one axis."""

from __future__ import annotations

from functools import partial
from typing import Any

from keydnn.export.onnx.site import Rules, Site, integer, ints, number


def _along(kind: str, module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op(kind, x, axis=module.dim)


def sparsemax(module: Any, site: Site) -> str:
    """Sort the lines, find the support and its tau: see :class:`keydnn.modules.softmax.Sparsemax`."""
    (x,) = site.inputs
    axis = module.dim % len(site.shape)
    size = site.op("Shape", x, start=axis, end=axis + 1)
    ordered, _ = site.ops("TopK", 2, x, size, axis=axis)
    behind = ints(*range(1, len(site.shape) - axis))
    last = site.op("Add", site.op("Squeeze", size), integer(1))
    places = site.cast(site.op("Range", integer(1), last, integer(1)), "float32")
    if behind.size:
        places = site.op("Unsqueeze", places, behind)
    sums = site.op("CumSum", ordered, integer(axis))
    supported = site.op("Greater", site.op("Mul", ordered, places), site.op("Sub", sums, number(1)))
    terms = sums if module.threshold == "cumulative" else ordered
    total = site.op("ReduceSum", site.op("Where", supported, terms, number(0)), ints(axis))
    cells = site.op("ReduceSum", site.cast(supported, "float32"), ints(axis))
    tau = site.op("Div", site.op("Sub", total, number(1)), cells)
    return site.op("Relu", site.op("Sub", x, tau))


def glu(module: Any, site: Site) -> str:
    (x,) = site.inputs
    first, second = site.ops("Split", 2, x, axis=module.dim, num_outputs=2)
    return site.op("Mul", first, site.op("Sigmoid", second))


RULES: Rules = {
    "Softmax": partial(_along, "Softmax"),
    "LogSoftmax": partial(_along, "LogSoftmax"),
    "Sparsemax": sparsemax,
    "GLU": glu,
}
