"""Locally connected layers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, Rules, f64, or_zeros, weighted
from keydnn.reference.windows import Pads, Sizes, padded


def locally_connected(x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike, stride: Sizes, pads: Pads) -> F64:
    """Weigh each window of (N, C, *spatial) by its own part of (*outputs, O, C, *kernel); bias (O, *outputs)."""
    x, weight = padded(x, pads), f64(weight)
    axes = len(stride)
    outputs, kernel_size = weight.shape[:axes], weight.shape[axes + 2 :]
    if not len(x):
        return np.empty((0, weight.shape[axes], *outputs))
    out = np.empty((x.shape[0], weight.shape[axes], *outputs))
    for index in itertools.product(*map(range, outputs)):
        place: tuple[Any, ...] = ..., *index
        window: tuple[Any, ...] = (
            ...,
            *(slice(i * s, i * s + k) for i, s, k in zip(index, stride, kernel_size, strict=True)),
        )
        out[place] = x[window].reshape(len(x), -1) @ weight[index].reshape(out.shape[1], -1).T
    return out + f64(bias)


def _operation(module: Any, x: F64, weight: F64, bias: F64) -> F64:
    return locally_connected(x, weight, bias, module.stride, module.padding)


_RULE = weighted(
    _operation,
    lambda module, shape: module.in_channels * math.prod(module.kernel_size),
    lambda module: or_zeros(module.bias, module.out_channels, *module.output_size),
)
RULES: Rules = {"LocallyConnected1d": _RULE, "LocallyConnected2d": _RULE}
