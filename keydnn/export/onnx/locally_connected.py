"""Convolutions whose weights differ from place to place: a product of matrices for each place."""

from __future__ import annotations

import math
from typing import Any

from keydnn.export.onnx.places import windows
from keydnn.export.onnx.site import Rules, Site, ints, number
from keydnn.export.onnx.windows import onnx_pads


def locally_connected(module: Any, site: Site) -> str:
    (x,) = site.inputs
    count, sizes = module.axes, site.shapes[0][2:]
    if None in sizes:
        site.refuse("its weights are of places, and the size of its input is free")
    axes = range(2, count + 2)
    if any(map(any, module.padding)):
        x = site.op("Pad", x, ints(*onnx_pads(module.padding)), number(0), ints(*axes))
    padded = [(size or 0) + sum(pads) for size, pads in zip(sizes, module.padding, strict=True)]
    x = windows(site, x, axes, padded, module.kernel_size, module.stride, [1] * count)
    places, cells = range(2, 2 + 2 * count, 2), range(3, 3 + 2 * count, 2)
    columns = math.prod((module.in_channels, *module.kernel_size))
    rows = site.op("Transpose", x, perm=(*places, 0, 1, *cells))
    rows = site.op("Reshape", rows, ints(math.prod(module.output_size), -1, columns))
    weight = module.weight.reshape(-1, module.out_channels, columns).transpose(0, 2, 1)
    product = site.op("Transpose", site.op("MatMul", rows, site.weight("weight", weight)), perm=(1, 2, 0))
    result = site.op("Reshape", product, ints(0, 0, *module.output_size))
    bias = site.optional("bias")
    return result if bias is None else site.op("Add", result, bias)


RULES: Rules = {f"LocallyConnected{axes}d": locally_connected for axes in (1, 2)}
