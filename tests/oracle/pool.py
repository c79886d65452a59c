"""Pooling."""

from __future__ import annotations

import math

import numpy as np

from tests import naive
from tests.oracle.bounds import TINY, Bounded, average, gamma, selected


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


def _masked_average(module, x, mask):
    """Any mask is exact, and where it is not 0 counts as 1."""
    counts = (mask.value != 0)[:, np.newaxis]

    def mean(values):
        with np.errstate(invalid="ignore"):  # of nothing
            found = np.where(counts, values, 0).sum(2) / counts.sum(2)
        return found[..., np.newaxis] if module.keepdims else found

    return Bounded(mean(x.value), mean(x.error) + gamma(x.value.shape[2] + 1) * mean(x.largest) + TINY)


def _adaptive(reduce):
    return lambda module, x: naive.adaptive_pool(x, module.output_size, reduce)


def _cells(module, x):
    """Cells of a window, and one division more for each axis: Keras takes the mean of means, axis by axis."""
    axes = list(zip(x.value.shape[2:], module.output_size, strict=True))
    return math.prod(size // outputs + 2 for size, outputs in axes) + len(axes)


_AXES = (1, 2, 3)
RULES = (
    {f"MaxPool{axes}d": selected(_max_pool) for axes in _AXES}
    | {f"AvgPool{axes}d": average(_avg_pool, lambda module, x: math.prod(module.kernel_size)) for axes in _AXES}
    | {f"GlobalMaxPool{axes}d": selected(_global(np.max)) for axes in _AXES}
    | {
        f"GlobalAvgPool{axes}d": average(_global(np.mean), lambda module, x: math.prod(x.value.shape[2:]))
        for axes in _AXES
    }
    | {"MaskedGlobalAvgPool1d": _masked_average}
    | {f"AdaptiveMaxPool{axes}d": selected(_adaptive(naive.largest)) for axes in _AXES}
    | {f"AdaptiveAvgPool{axes}d": average(_adaptive(lambda window: window.mean(-1)), _cells) for axes in _AXES}
)
