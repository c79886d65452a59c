"""Reductions over axes, and running sums and products.

Of the place of the largest or smallest cell ONNX does not say what it is beside NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keydnn.export.onnx.site import Rules, Site, integer, ints, number

OPERATORS = {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "prod": "ReduceProd",
    "max": "ReduceMax",
    "min": "ReduceMin",
}
PLACES = {"argmax": "ArgMax", "argmin": "ArgMin"}


def reduction(module: Any, site: Site) -> str:
    (x,) = site.inputs
    keepdims = int(module.keepdim)
    if module.operation in PLACES:
        return site.cast(site.op(PLACES[module.operation], x, axis=module.dim[0], keepdims=keepdims), "float32")
    return site.op(OPERATORS[module.operation], x, ints(*module.dim), keepdims=keepdims)


def cumulation(module: Any, site: Site) -> str:
    """Give CumSum, or a Scan, as there is no product."""
    (x,) = site.inputs
    if module.operation == "sum":
        return site.op("CumSum", x, integer(module.dim))
    line = tuple(size for axis, size in enumerate(site.shape) if axis != module.dim)

    def step(body: Site) -> Sequence[str]:
        product = body.op("Mul", *body.inputs)
        return product, body.op("Identity", product)

    first = site.op("Expand", number(1), site.op("Shape", site.op("Gather", x, integer(0), axis=module.dim)))
    lines = [("float32", line)] * 2
    _, products = site.ops(
        "Scan",
        2,
        first,
        x,
        body=site.body(lines, lines, step),
        num_scan_inputs=1,
        scan_input_axes=[module.dim],
        scan_output_axes=[module.dim],
    )
    return products


RULES: Rules = {"Reduce": reduction, "Cumulate": cumulation}
