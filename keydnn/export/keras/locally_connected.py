"""Convolutions whose weights differ from place to place, which Keras 3 has no layer for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keydnn.export.keras.rearrange import windows
from keydnn.export.keras.site import Rules, Site, Value, channels_last


def locally_connected(module: Any, site: Site) -> Value:
    """Windows, and ``EinsumDense`` with a kernel for each place."""
    axes = len(module.kernel_size)
    covered, outputs = windows(site, site.inputs[0], module.kernel_size, module.stride, module.padding, (1,) * axes)
    kernel = np.moveaxis(module.weight, (axes, axes + 1), (-1, -2))
    cells = math.prod(module.kernel_size) * module.in_channels
    weights = {"kernel": kernel.reshape(*outputs, cells, module.out_channels)}
    places = "hw"[:axes]
    config: dict[str, Any] = {"equation": f"n{places}i,{places}io->n{places}o", "output_shape": site.shape[1:]}
    if module.use_bias:
        config["bias_axes"] = f"{places}o"
        weights["bias"] = np.moveaxis(module.bias, 0, -1)
    return site.layer("EinsumDense", config, weights, inputs=[covered])


RULES: Rules = {f"LocallyConnected{axes}d": channels_last(locally_connected) for axes in (1, 2)}
