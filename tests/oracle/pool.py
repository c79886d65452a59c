"""Pooling."""

from __future__ import annotations

import math

import numpy as np

from tests import naive
from tests.oracle.bounds import average, selected


def _pads(module, x):
    ones = (1,) * len(module.kernel_size)
    same = module.padding == "same"
    return naive.same_pads(x.shape[2:], module.kernel_size, module.stride, ones) if same else module.padding


def _max_pool(module, x):
    return naive.max_pool(x, module.kernel_size, module.stride, _pads(module, x))


def _avg_pool(module, x):
    return naive.avg_pool(x, module.kernel_size, module.stride, _pads(module, x), module.count_include_pad)


def _global(reduce):
    def operation(module, x):
        return reduce(x, axis=tuple(range(2, x.ndim)), keepdims=module.keepdims)

    return operation


AVERAGE = average(_avg_pool, lambda module, x: math.prod(module.kernel_size))
GLOBAL_AVERAGE = average(_global(np.mean), lambda module, x: math.prod(x.value.shape[2:]))
MAX, GLOBAL_MAX = selected(_max_pool), selected(_global(np.max))

RULES = {
    "MaxPool1d": MAX,
    "MaxPool2d": MAX,
    "AvgPool1d": AVERAGE,
    "AvgPool2d": AVERAGE,
    "GlobalAvgPool1d": GLOBAL_AVERAGE,
    "GlobalAvgPool2d": GLOBAL_AVERAGE,
    "GlobalMaxPool1d": GLOBAL_MAX,
    "GlobalMaxPool2d": GLOBAL_MAX,
}
