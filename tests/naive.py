"""The oracle: every operation in plain NumPy, float64, written from its definition and sharing no code with keydnn.

Conventions: images are (N, C, H, W), sequences (N, C, L); ``pads`` is ((before, after), ...), one pair a spatial axis.
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def f64(x):
    return np.asarray(x, dtype=np.float64)


def same_pads(sizes, kernel_size, stride, dilation):
    """SAME padding from its definition: as many outputs as ceil(size / stride), the odd cell behind."""
    pads = []
    for size, k, s, d in zip(sizes, kernel_size, stride, dilation, strict=True):
        total = max(0, (math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size)
        pads.append((total // 2, math.ceil(total / 2)))
    return pads


def conv(x, weight, bias, stride, pads, dilation, groups):
    """Convolve (N, C, *spatial) with (O, C / groups, *kernel), any number of spatial axes."""
    x, weight = f64(x), f64(weight)
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    kernel_size, sizes = weight.shape[2:], x.shape[2:]
    out_sizes = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernel_size, stride, dilation, strict=True)
    ]
    out = np.zeros((x.shape[0], weight.shape[0], *out_sizes))
    per_in, per_out = x.shape[1] // groups, weight.shape[0] // groups
    for g in range(groups):
        xs, ws = x[:, g * per_in : (g + 1) * per_in], weight[g * per_out : (g + 1) * per_out]
        for tap in itertools.product(*map(range, kernel_size)):
            window = tuple(
                slice(t * d, t * d + (o - 1) * s + 1, s)
                for t, d, o, s in zip(tap, dilation, out_sizes, stride, strict=True)
            )
            out[:, g * per_out : (g + 1) * per_out] += np.einsum("nc...,oc->no...", xs[(..., *window)], ws[(..., *tap)])
    return out + f64(bias).reshape(-1, *[1] * len(sizes))


def conv_transpose(x, weight, bias, stride, crops, output_padding, dilation, groups):
    """Scatter (N, C, *spatial) with (C, O / groups, *kernel), then cut ``crops`` off the full result."""
    x, weight = f64(x), f64(weight)
    kernel_size, sizes = weight.shape[2:], x.shape[2:]
    full_sizes = [
        (n - 1) * s + d * (k - 1) + 1 + p
        for n, s, d, k, p in zip(sizes, stride, dilation, kernel_size, output_padding, strict=True)
    ]
    per_in, per_out = x.shape[1] // groups, weight.shape[1]
    full = np.zeros((x.shape[0], per_out * groups, *full_sizes))
    for g in range(groups):
        xs, ws = x[:, g * per_in : (g + 1) * per_in], weight[g * per_in : (g + 1) * per_in]
        for tap in itertools.product(*map(range, kernel_size)):
            window = tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(tap, dilation, sizes, stride, strict=True)
            )
            full[(slice(None), slice(g * per_out, (g + 1) * per_out), *window)] += np.einsum(
                "nc...,co->no...", xs, ws[(..., *tap)]
            )
    cut = tuple(slice(before, n - after) for (before, after), n in zip(crops, full_sizes, strict=True))
    return full[(..., *cut)] + f64(bias).reshape(-1, *[1] * len(sizes))


# --- tolerance -------------------------------------------------------------------------------------------------------


def sum_bound(terms, magnitude):
    """Bound on the error of a float32 sum of products in any order.

    Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1: |error| <= gamma_n * sum |a_i b_i| with
    gamma_n = n u / (1 - n u), u = 2**-24, n the number of roundings (a product, then each addition, and the bias).

    Parameters
    ----------
    terms
        Number of products summed.
    magnitude
        Sum of the absolute products (float64), element by element: the same operation on absolute values.
    """
    n = terms + 2
    u = 2.0**-24
    return n * u / (1 - n * u) * magnitude + np.finfo(np.float32).tiny


def assert_within(found, wanted, bound):
    """Assert |found - wanted| <= bound element by element, and that NaN and infinities stand at the same places."""
    found, wanted = f64(found), f64(wanted)
    assert found.shape == wanted.shape, f"shape {found.shape}, wanted {wanted.shape}"
    special = ~np.isfinite(wanted)
    np.testing.assert_array_equal(found[special], wanted[special])
    error = np.abs(np.where(special, 0, found) - np.where(special, 0, wanted))
    worst = np.max(error - np.broadcast_to(bound, error.shape), initial=-1.0)
    assert worst <= 0, f"largest error {error.max():.3g}, beyond its bound by {worst:.3g}"
