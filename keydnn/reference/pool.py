"""Pooling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, TINY, Bounded, Rules, average, f64, gamma, selected
from keydnn.reference.windows import Pads, Sizes, cells, counts, padded, same_pads

LOWEST = float(np.finfo(np.float32).min)


def largest(window: F64) -> F64:
    """Give the largest value of each window as Keras does: NaN passed over, nothing below the lowest finite float32."""
    return f64(np.fmax.reduce(window, axis=-1, initial=LOWEST))


def max_pool(x: npt.ArrayLike, kernel_size: Sizes, stride: Sizes, pads: Pads) -> F64:
    """Keras' max pooling: NaN is passed over, and so are absent cells; nothing is below the lowest finite float32."""
    x, ones = padded(x, pads, np.nan), [1] * len(kernel_size)
    sizes = counts(x.shape[2:], kernel_size, stride, ones)
    out = np.full((*x.shape[:2], *sizes), LOWEST)
    for cell in cells(kernel_size, stride, ones, sizes):
        np.fmax(out, x[cell], out=out)
    return out


def avg_pool(x: npt.ArrayLike, kernel_size: Sizes, stride: Sizes, pads: Pads, count_include_pad: bool) -> F64:
    """Mean of every window; absent cells count as zeros, or not at all."""
    x = f64(x)
    there = padded(np.ones((1, 1, *x.shape[2:])), pads)
    x, ones = padded(x, pads), [1] * len(kernel_size)
    sizes = counts(x.shape[2:], kernel_size, stride, ones)
    total, count = np.zeros((*x.shape[:2], *sizes)), np.zeros((1, 1, *sizes))
    for cell in cells(kernel_size, stride, ones, sizes):
        total += x[cell]
        count += there[cell]
    return total / (math.prod(kernel_size) if count_include_pad else count)


def adaptive_windows(size: int, outputs: int) -> list[list[int]]:
    """Cells of each of the windows that cover an axis, by exact division."""
    starts = [math.floor(Fraction(i * size, outputs)) for i in range(outputs)]
    ends = [math.ceil(Fraction((i + 1) * size, outputs)) for i in range(outputs)]
    return [list(range(start, end)) for start, end in zip(starts, ends, strict=True)]


def adaptive_pool(x: npt.ArrayLike, output_size: Sizes, reduce: Callable[[F64], F64]) -> F64:
    """Reduce as many windows as are asked for, each given as (N, C, cells)."""
    x = f64(x)
    per_axis = [adaptive_windows(*sizes) for sizes in zip(x.shape[2:], output_size, strict=True)]
    out = np.empty((*x.shape[:2], *output_size))
    for index in itertools.product(*map(range, output_size)):
        window = [windows[i] for windows, i in zip(per_axis, index, strict=True)]
        place: tuple[Any, ...] = ..., *index
        out[place] = reduce(x[np.ix_(*map(range, x.shape[:2]), *window)].reshape(*x.shape[:2], -1))
    return out


def _pads(module: Any, x: F64) -> Pads:
    ones = (1,) * len(module.kernel_size)
    same = module.padding == "same"
    found: Pads = same_pads(x.shape[2:], module.kernel_size, module.stride, ones) if same else module.padding
    return found


def _max_pool(module: Any, x: F64) -> F64:
    return max_pool(x, module.kernel_size, module.stride, _pads(module, x))


def _avg_pool(module: Any, x: F64) -> F64:
    return avg_pool(x, module.kernel_size, module.stride, _pads(module, x), module.count_include_pad)


def _global(reduce: Callable[..., F64]) -> Callable[[Any, F64], F64]:
    def operation(module: Any, x: F64) -> F64:
        return reduce(x, axis=tuple(range(2, x.ndim)), keepdims=module.keepdims)

    return operation


def _masked_average(module: Any, x: Bounded, mask: Bounded) -> Bounded:
    """Any mask is exact, and where it is not 0 counts as 1."""
    counted = (mask.value != 0)[:, np.newaxis]

    def mean(values: F64) -> F64:
        with np.errstate(invalid="ignore"):  # of nothing
            found: F64 = np.where(counted, values, 0).sum(2) / counted.sum(2)
        return found[..., np.newaxis] if module.keepdims else found

    return Bounded(mean(x.value), mean(x.error) + gamma(x.value.shape[2] + 1) * mean(x.largest) + TINY)


def _adaptive(reduce: Callable[[F64], F64]) -> Callable[[Any, F64], F64]:
    return lambda module, x: adaptive_pool(x, module.output_size, reduce)


def _cells(module: Any, shape: tuple[int, ...]) -> int:
    """Cells of a window, and one division more for each axis: Keras takes the mean of means, axis by axis."""
    axes = list(zip(shape[2:], module.output_size, strict=True))
    return int(math.prod(size // outputs + 2 for size, outputs in axes)) + len(axes)


_AXES = (1, 2, 3)
RULES: Rules = (
    {f"MaxPool{axes}d": selected(_max_pool) for axes in _AXES}
    | {f"AvgPool{axes}d": average(_avg_pool, lambda module, shape: math.prod(module.kernel_size)) for axes in _AXES}
    | {f"GlobalMaxPool{axes}d": selected(_global(np.max)) for axes in _AXES}
    | {f"GlobalAvgPool{axes}d": average(_global(np.mean), lambda module, shape: math.prod(shape[2:])) for axes in _AXES}
    | {"MaskedGlobalAvgPool1d": _masked_average}
    | {f"AdaptiveMaxPool{axes}d": selected(_adaptive(largest)) for axes in _AXES}
    | {f"AdaptiveAvgPool{axes}d": average(_adaptive(lambda window: window.mean(-1)), _cells) for axes in _AXES}
)
