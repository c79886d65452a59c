"""The oracle: every operation in plain NumPy, float64, written from its definition and sharing no code with keydnn.

Conventions: images are (N, C, H, W), sequences (N, C, L); ``pads`` is ((before, after), ...), one pair a spatial axis.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

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


def locally_connected(x, weight, bias, stride, pads):
    """Weigh each window of (N, C, *spatial) by its own part of (*outputs, O, C, *kernel); bias (O, *outputs)."""
    x, weight = np.pad(f64(x), [(0, 0), (0, 0), *pads]), f64(weight)
    axes = len(stride)
    outputs, kernel_size = weight.shape[:axes], weight.shape[axes + 2 :]
    if not len(x):
        return np.empty((0, weight.shape[axes], *outputs))
    out = np.empty((x.shape[0], weight.shape[axes], *outputs))
    for index in itertools.product(*map(range, outputs)):
        window = tuple(slice(i * s, i * s + k) for i, s, k in zip(index, stride, kernel_size, strict=True))
        out[(..., *index)] = x[(..., *window)].reshape(len(x), -1) @ weight[index].reshape(out.shape[1], -1).T
    return out + f64(bias)


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


# --- pooling ---------------------------------------------------------------------------------------------------------


def windows(x, kernel_size, stride, pads):
    """Give (output index, window as (N, C, cells that exist), full size of the window) for every window."""
    sizes = x.shape[2:]
    counts = [(n + sum(p) - k) // s + 1 for n, k, s, p in zip(sizes, kernel_size, stride, pads, strict=True)]
    for index in itertools.product(*map(range, counts)):
        cells = [
            [c for c in range(i * s - p[0], i * s - p[0] + k) if 0 <= c < n]
            for i, s, p, k, n in zip(index, stride, pads, kernel_size, sizes, strict=True)
        ]
        yield index, x[np.ix_(range(x.shape[0]), range(x.shape[1]), *cells)].reshape(*x.shape[:2], -1)


def pool(x, kernel_size, stride, pads, reduce):
    """Reduce every window, each given as (N, C, cells that exist)."""
    results = [(index, reduce(window)) for index, window in windows(f64(x), kernel_size, stride, pads)]
    counts = [last + 1 for last in results[-1][0]]
    out = np.empty((*x.shape[:2], *counts))
    for index, result in results:
        out[(..., *index)] = result
    return out


def largest(window):
    """Give the largest value of each window as Keras does: NaN passed over, nothing below the lowest finite float32."""
    return np.fmax.reduce(window, axis=-1, initial=f64(np.finfo(np.float32).min))


def max_pool(x, kernel_size, stride, pads):
    """Keras' max pooling: NaN is passed over, and nothing is below the lowest finite float32."""
    return pool(x, kernel_size, stride, pads, largest)


def avg_pool(x, kernel_size, stride, pads, count_include_pad):
    """Mean of every window; absent cells count as zeros, or not at all."""
    full = math.prod(kernel_size)
    return pool(
        x, kernel_size, stride, pads, lambda window: window.sum(-1) / (full if count_include_pad else window.shape[-1])
    )


def adaptive_windows(size, outputs):
    """Cells of each of the windows that cover an axis, by exact division."""
    starts = [math.floor(Fraction(i * size, outputs)) for i in range(outputs)]
    ends = [math.ceil(Fraction((i + 1) * size, outputs)) for i in range(outputs)]
    return [list(range(start, end)) for start, end in zip(starts, ends, strict=True)]


def adaptive_pool(x, output_size, reduce):
    """Reduce as many windows as are asked for, each given as (N, C, cells)."""
    per_axis = [adaptive_windows(*sizes) for sizes in zip(x.shape[2:], output_size, strict=True)]
    out = np.empty((*x.shape[:2], *output_size))
    for index in itertools.product(*map(range, output_size)):
        cells = [windows[i] for windows, i in zip(per_axis, index, strict=True)]
        out[(..., *index)] = reduce(f64(x)[np.ix_(*map(range, x.shape[:2]), *cells)].reshape(*x.shape[:2], -1))
    return out


# --- normalisation and matrix products -------------------------------------------------------------------------------


def batch_norm(x, weight, bias, mean, variance, eps):
    """Normalise (N, C, ...) by given statistics."""
    weight, bias, mean, variance = (f64(v).reshape(-1, *[1] * (x.ndim - 2)) for v in (weight, bias, mean, variance))
    return (f64(x) - mean) / np.sqrt(variance + eps) * weight + bias


def layer_norm(x, weight, bias, eps):
    """Normalise over the last axes, as many as the weight has."""
    axes = tuple(range(-np.ndim(weight), 0))
    x = f64(x)
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps) * f64(weight) + f64(bias)


def group_norm(x, groups, weight, bias, eps):
    """Normalise (N, C, ...) over the cells of each group of channels."""
    x = f64(x)
    grouped = x.reshape(len(x), groups, math.prod(x.shape[1:]) // groups)
    plain = layer_norm(grouped, np.ones(grouped.shape[-1:]), 0, eps).reshape(x.shape)
    weight, bias = (f64(v).reshape(-1, *[1] * (x.ndim - 2)) for v in (weight, bias))
    return plain * weight + bias


def rms_norm(x, weight, eps, centered):
    """Divide by the root of the mean square, or of the variance, of the last axes, as many as the weight has."""
    axes = tuple(range(-np.ndim(weight), 0))
    x = f64(x)
    middle = x.mean(axes, keepdims=True) if centered else 0
    return x / np.sqrt(np.square(x - middle).mean(axes, keepdims=True) + eps) * f64(weight)


def unit_norm(x, start_dim, eps):
    """Divide by the length of the rows from an axis on."""
    axes = tuple(range(start_dim % x.ndim, x.ndim))
    x = f64(x)
    return x / np.maximum(np.sqrt(np.square(x).sum(axes, keepdims=True)), eps)


def linear(x, weight, bias):
    """Weigh and sum the last axis."""
    return np.einsum("...i,oi->...o", f64(x), f64(weight)) + f64(bias)


# --- activations -----------------------------------------------------------------------------------------------------


def relu(x, max_value, negative_slope, threshold):
    """Keras' relu, written as its documentation's cases; NaN as its code has it."""
    x = f64(x)
    below = x <= threshold if threshold else x < 0
    y = np.where(below, negative_slope * np.where(below, x - threshold, 0), np.minimum(x, max_value))
    return np.where(np.isnan(x), 0.0 if threshold and not negative_slope else np.nan, y)


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -f64(x)))


def softplus(x):
    return np.logaddexp(0, f64(x))


def elu(x, alpha):
    return np.where(f64(x) > 0, f64(x), alpha * np.expm1(np.minimum(f64(x), 0)))


def gelu(x):
    return f64(x) * 0.5 * np.vectorize(math.erfc, otypes=[float])(-f64(x) / math.sqrt(2))


def gelu_tanh(x):
    x = f64(x)
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def softmax(x, axis):
    x = f64(x)
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis):
    x = f64(x) - f64(x).max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def sparsemax(x, axis):
    """Project every line onto the simplex by bisection for the tau with sum(max(x - tau, 0)) = 1."""
    x = np.moveaxis(f64(x), axis, -1)
    low, high = x.max(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        too_small = np.maximum(x - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    return np.moveaxis(np.maximum(x - high, 0), -1, axis)


def glu(x, axis):
    first, second = np.split(f64(x), 2, axis)
    return first * sigmoid(second)


# --- attention -------------------------------------------------------------------------------------------------------


def heads(x, count, repeats=1):
    """Give (N, T, count * size) as (N, count * repeats, T, size), every head several times."""
    x = np.asarray(x)
    return np.repeat(np.moveaxis(x.reshape(*x.shape[:2], count, x.shape[2] // count), 2, 1), repeats, axis=1)


def attention_scores(q, k, count, few, scale):
    """Multiply queries and keys, head by head: (N, count, T, S)."""
    return scale * np.einsum("nhtd,nhsd->nhts", heads(q, count), heads(k, few, count // few))


def attention_seen(queries, keys, is_causal, window, mask=None):
    """Tell which query sees which key."""
    i, j = np.arange(queries)[:, None], np.arange(keys)
    seen = (j <= i) | (not is_causal)
    seen = seen & ((np.abs(i - j) < window) if window else True)
    return seen if mask is None else seen & (np.asarray(mask) != 0)


def masked_softmax(scores, seen, if_none):
    """Softmax over the keys that are seen; ``if_none``, each one's share where none is."""
    scores, seen = f64(scores), np.broadcast_to(seen, np.shape(scores))
    some = seen.any(-1, keepdims=True)
    largest = np.max(scores, -1, keepdims=True, where=seen, initial=-np.inf)
    e = np.exp(np.where(seen, scores - np.where(some, largest, 0), -np.inf))
    return np.where(some, e / np.where(some, e.sum(-1, keepdims=True), 1), if_none)


def attention_output(weights, v, few):
    """Sum values by weights (N, count, T, S), head by head: (N, T, count * size)."""
    summed = np.einsum("nhts,nhsd->nthd", weights, heads(v, few, weights.shape[1] // few))
    return summed.reshape(*summed.shape[:2], np.prod(summed.shape[2:], dtype=int))


# --- images ----------------------------------------------------------------------------------------------------------


def keys(x):
    """Weight of a cell by its distance: the cubic of Keys, 1981, with a = -1/2."""
    if x >= 2:
        return 0.0
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


def mitchell(x):
    """Weight of a cell by its distance: the cubic of Mitchell and Netravali, 1988, with B = C = 1/3."""
    if x >= 2:
        return 0.0
    return (21 * x**3 - 36 * x**2 + 16) / 18 if x < 1 else (-7 * x**3 + 36 * x**2 - 60 * x + 32) / 18


def lanczos(radius):
    return lambda x: float(np.sinc(x) * np.sinc(x / radius)) if x <= radius else 0.0


SAMPLINGS = {
    "bicubic": keys,
    "mitchellcubic": mitchell,
    "lanczos3": lanczos(3),
    "lanczos5": lanczos(5),
    "gaussian": lambda x: math.exp(-2 * x**2) if x < 1.5 else 0.0,
}


def _distances(mode, size, factor):
    """Distances (size * factor, size) of cells to places, in cells.

    TensorFlow has the weights of "bicubic" for 1024 places between two cells, and takes the nearest.
    """
    distances = np.zeros((size * factor, size))
    for output in range(size * factor):
        place = Fraction(2 * output + 1, 2 * factor) - Fraction(1, 2)
        if mode == "bicubic":
            place = math.floor(place) + Fraction(round((place - math.floor(place)) * 1024), 1024)
        distances[output] = [abs(float(place - cell)) for cell in range(size)]
    return distances


def sampling(mode, size, factor):
    """Weights (size * factor, size) of cells for places between them; each row sums to 1."""
    weights = np.vectorize(SAMPLINGS[mode], otypes=[float])(_distances(mode, size, factor))
    return weights / weights.sum(1, keepdims=True)


def upsample(x, scale_factor, mode="nearest", absolute=False):
    """Repeat cells, or weigh and sum them by their distance (by absolute weights, if so), one axis after the other."""
    x = f64(x)
    for axis, factor in enumerate(scale_factor, start=2):
        size = x.shape[axis]
        if mode in ("nearest", "area"):
            x = np.repeat(x, factor, axis)
            continue
        if mode == "bilinear":
            places, centres = (np.arange(size * factor) + 0.5) / factor, np.arange(size) + 0.5
            weights = np.stack([np.interp(places, centres, unit) for unit in np.eye(size)], axis=1)
        else:
            weights = sampling(mode, size, factor)
        x = np.moveaxis(np.tensordot(x, abs(weights) if absolute else weights, (axis, 1)), -1, axis)
    return x


# Roundings of a weight of at most 1, absolute: of sines and quotients (two sines, their arguments and five more), of an
# exponential, of cubics whose terms cancel (up to 1.5 * 2**3 in Horner's scheme).
ROUNDINGS = {"bicubic": 40, "mitchellcubic": 40, "lanczos3": 24, "lanczos5": 24, "gaussian": 8}


def _axis_bound(mode, size, factor):
    """Bound of the absolute errors of an axis' weights and of its sum, all together, and their largest absolute sum."""
    u = 2.0**-24
    if mode == "area":  # shares of cells, from the places of their ends times the factor
        return (8 * size * factor + 10) * u, 1 + 8 * size * factor * u
    function, distances, step = np.vectorize(SAMPLINGS[mode], otypes=[float]), _distances(mode, size, factor), 1e-4
    weights = function(distances)
    total, cells = weights.sum(1), (weights != 0).sum(1)
    # All places of a row are off alike, by the roundings of the factor's inverse and of a product; those of "bicubic"
    # are rounded to table entries anyhow.  Each distance is then rounded.
    slope = abs(function(distances + step) - function(abs(distances - step))).sum(1) / (2 * step)
    off = 0 if mode == "bicubic" else (2 * size + 6) * u
    weight_errors = slope * off + cells * ROUNDINGS[mode] * u
    absolute = abs(weights).sum(1) / total
    rounded = weight_errors * (1 + absolute) / total + (2 * cells + 4) * u * absolute  # the sum, the quotient, products
    return rounded.max(), absolute.max()


def sampling_bound(x, scale_factor, mode):
    """Bound on the error of float32 for "area" and the modes of SAMPLINGS; it broadcasts over the cells of an image."""
    error, growth = 0.0, 1.0
    for size, factor in reversed(list(zip(x.shape[2:], scale_factor, strict=True))):
        rounded, absolute = _axis_bound(mode, size, factor)
        error, growth = error * (absolute + rounded) + rounded * growth, growth * absolute
    return error * abs(f64(x)).max(axis=(2, 3), initial=0, keepdims=True) + np.finfo(np.float32).tiny


def resize_matrix(mode, antialias, size, new):
    """Give the weights of ``size`` cells in each of ``new`` ones, as tf.image.resize defines them; (new, size).

    Places are float32 by definition: which cell is the nearest, and which of 1024 steps a cubic takes, is decided by
    their roundings.  Everything else is float64.
    """
    f32, matrix = np.float32, np.zeros((new, size))
    step, half = f32(size) / f32(new), f32(0.5)
    between = mode in ("bilinear", "bicubic") and not antialias
    if mode not in ("nearest", "area") and not between:
        step = f32(1 / float(f32(new) / f32(size)))
    for j in range(new):
        centre = (f32(j) + half) * step
        if mode == "nearest":
            matrix[j, min(int(np.floor(centre)), size - 1)] = 1
            continue
        if mode == "area":
            begin, end = float(f32(j) * step), float(f32(j + 1) * step)
            matrix[j] = [max(min(end, i + 1) - max(begin, i), 0) / float(step) for i in range(size)]
            continue
        place, stretch = float(centre) - 0.5, max(float(step), 1) if antialias else 1
        if between:
            place = float(centre - half)
        if between and mode == "bicubic":
            place = math.floor(place) + np.rint((place - math.floor(place)) * 1024) / 1024
        kernel = SAMPLINGS.get(mode, lambda x: max(1 - x, 0))
        weights = np.array([kernel(abs(place - i) / stretch) for i in range(size)])
        matrix[j] = weights / weights.sum()
    return matrix


def resize(x, matrices, dims):
    """Multiply two axes by matrices."""
    x = f64(x)
    for matrix, axis in zip(matrices, dims, strict=True):
        x = np.moveaxis(np.tensordot(x, matrix, (axis, 1)), -1, axis)
    return x


# --- tolerance of single functions -----------------------------------------------------------------------------------


def ulps(count, wanted):
    """Bound of so many units in the last place of float32 at each value wanted.

    A result within k roundings (each a relative 2**-24) is within k ulps: an ulp is 2**-24 to 2**-23 of its number.
    """
    finite = np.where(np.isfinite(wanted), np.abs(wanted), 0)
    return count * np.spacing(np.minimum(finite, np.finfo(np.float32).max).astype(np.float32)).astype(np.float64)


def overflow(wanted):
    """Give values beyond float32 as the infinities they become."""
    largest = f64(np.finfo(np.float32).max)
    return np.where(np.abs(wanted) > largest, np.copysign(np.inf, wanted), wanted)
