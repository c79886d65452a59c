"""Convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, Rules, f64, or_zeros, weighted
from keydnn.reference.windows import Pads, Sizes, cells, counts, padded, same_pads

BLOCK = 1 << 22  # numbers of unrolled windows that are held at a time: 32 MB


def conv(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    stride: Sizes,
    pads: Pads,
    dilation: Sizes,
    groups: int,
) -> F64:
    """Convolve (N, C, *spatial) with (O, C / groups, *kernel), any number of spatial axes.

    The windows of some rows are unrolled, and multiplied by the weights of all outputs at once.
    """
    x, weight = padded(x, pads), f64(weight)
    kernel_size = weight.shape[2:]
    sizes = counts(x.shape[2:], kernel_size, stride, dilation)
    out = np.empty((x.shape[0], groups, weight.shape[0] // groups, *sizes))
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    matrices = weight.reshape(groups, weight.shape[0] // groups, math.prod(weight.shape[1:]))
    row = matrices.shape[2] * groups * math.prod(sizes[1:])
    rows = max(1, BLOCK // max(1, row))
    for image in range(x.shape[0]):
        for first in range(0, sizes[0], rows):
            block = out[image, :, :, first : first + rows]
            unrolled = np.empty((groups, grouped.shape[2], math.prod(kernel_size), *block.shape[2:]))
            start = grouped[image][:, :, first * stride[0] :]
            for place, cell in enumerate(cells(kernel_size, stride, dilation, block.shape[2:])):
                unrolled[:, :, place] = start[cell]
            columns = unrolled.reshape(groups, matrices.shape[2], math.prod(block.shape[2:]))
            block[...] = np.matmul(matrices, columns).reshape(block.shape)
    found = out.reshape(x.shape[0], weight.shape[0], *sizes)
    found += f64(bias).reshape(-1, *[1] * len(sizes))
    return found


def conv_transpose(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    stride: Sizes,
    crops: Pads,
    output_padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> F64:
    """Scatter (N, C, *spatial) with (C, O / groups, *kernel), then cut ``crops`` off the full result."""
    x, weight = f64(x), f64(weight)
    kernel_size, sizes = weight.shape[2:], x.shape[2:]
    full_sizes = [
        (n - 1) * s + d * (k - 1) + 1 + p
        for n, s, d, k, p in zip(sizes, stride, dilation, kernel_size, output_padding, strict=True)
    ]
    per_in, per_out = x.shape[1] // groups, weight.shape[1]
    full = np.zeros((x.shape[0], groups, per_out, *full_sizes))
    columns = x.reshape(x.shape[0], groups, per_in, math.prod(sizes))
    by_cell = weight.reshape(groups, per_in, per_out, math.prod(kernel_size))
    for place, cell in enumerate(cells(kernel_size, stride, dilation, sizes)):
        scattered = np.matmul(by_cell[..., place].swapaxes(1, 2), columns)
        full[cell] += scattered.reshape(*full.shape[:3], *sizes)
    cut: tuple[Any, ...] = (
        ...,
        *(slice(before, n - after) for (before, after), n in zip(crops, full_sizes, strict=True)),
    )
    whole = full.reshape(x.shape[0], groups * per_out, *full_sizes)
    return f64(whole[cut] + f64(bias).reshape(-1, *[1] * len(sizes)))


def _conv(module: Any, x: F64, weight: F64, bias: F64) -> F64:
    pads = module.padding
    if pads == "same":
        pads = same_pads(x.shape[2:], module.kernel_size, module.stride, module.dilation)
    return conv(x, weight, bias, module.stride, pads, module.dilation, module.groups)


def _conv_transpose(module: Any, x: F64, weight: F64, bias: F64) -> F64:
    return conv_transpose(
        x, weight, bias, module.stride, module.padding, module.output_padding, module.dilation, module.groups
    )


def _bias(module: Any) -> F64:
    return f64(or_zeros(module.bias, module.out_channels))


RULES: Rules = {
    f"Conv{axes}d": weighted(_conv, lambda module, shape: module.weight[0].size, _bias) for axes in (1, 2, 3)
} | {
    f"ConvTranspose{axes}d": weighted(_conv_transpose, lambda module, shape: module.weight[:, 0].size, _bias)
    for axes in (1, 2, 3)
}
