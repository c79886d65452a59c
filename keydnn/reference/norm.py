"""Normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, FUNCTION, TINY, Bounded, Rule, Rules, U, f64, gamma, or_zeros


def batch_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    eps: float,
) -> F64:
    """Normalise (N, C, ...) by given statistics."""
    x = f64(x)
    weight, bias, mean, variance = (f64(v).reshape(-1, *[1] * (x.ndim - 2)) for v in (weight, bias, mean, variance))
    return (x - mean) * (weight / np.sqrt(variance + eps)) + bias


def layer_norm(x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike, eps: float) -> F64:
    """Normalise over the last axes, as many as the weight has."""
    axes = tuple(range(-np.ndim(weight), 0))
    x = f64(x)
    mean = x.mean(axes, keepdims=True)
    return f64((x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps) * f64(weight) + f64(bias))


def group_norm(x: npt.ArrayLike, groups: int, weight: npt.ArrayLike, bias: npt.ArrayLike, eps: float) -> F64:
    """Normalise (N, C, ...) over the cells of each group of channels."""
    x = f64(x)
    grouped = x.reshape(len(x), groups, math.prod(x.shape[1:]) // groups)
    plain = layer_norm(grouped, np.ones(grouped.shape[-1:]), 0, eps).reshape(x.shape)
    weight, bias = (f64(v).reshape(-1, *[1] * (x.ndim - 2)) for v in (weight, bias))
    return plain * weight + bias


def rms_norm(x: npt.ArrayLike, weight: npt.ArrayLike, eps: float, centered: bool) -> F64:
    """Divide by the root of the mean square, or of the variance, of the last axes, as many as the weight has."""
    axes = tuple(range(-np.ndim(weight), 0))
    x = f64(x)
    middle = x.mean(axes, keepdims=True) if centered else 0
    return f64(x / np.sqrt(np.square(x - middle).mean(axes, keepdims=True) + eps) * f64(weight))


def unit_norm(x: npt.ArrayLike, start_dim: int, eps: float) -> F64:
    """Divide by the length of the rows from an axis on."""
    x = f64(x)
    axes = tuple(range(start_dim % x.ndim, x.ndim))
    return f64(x / np.maximum(np.sqrt(np.square(x).sum(axes, keepdims=True)), eps))


def _batch_norm(module: Any, x: F64) -> F64:
    count = module.num_features
    weight = np.ones(count) if module.weight is None else module.weight
    return batch_norm(x, weight, or_zeros(module.bias, count), module.running_mean, module.running_var, module.eps)


def bounded_batch_norm(module: Any, x: Bounded) -> Bounded:
    """``(x - mean) * factor + bias`` or ``x * factor + (bias - mean * factor)``: ten roundings of each term.

    Half of the one of ``variance + eps``, FUNCTION / 2 of rsqrt, the product with the weight, and three operations.
    """
    shape = (-1, *[1] * (x.value.ndim - 2))
    weight = 1.0 if module.weight is None else np.abs(f64(module.weight))
    factor = (weight / np.sqrt(f64(module.running_var) + module.eps)).reshape(shape)
    bias = np.abs(f64(or_zeros(module.bias, module.num_features))).reshape(shape)
    terms = factor * np.abs(f64(module.running_mean)).reshape(shape) + bias
    error = factor * (x.error + gamma(10) * x.largest) + (gamma(10) * terms + TINY)
    return Bounded(_batch_norm(module, x.value), error)


def bounded_layer_norm(module: Any, x: Bounded) -> Bounded:
    """Mean, differences, variance and inverse root, each with what the ones before it had wrong.

    Keras multiplies x and the mean by the factor apart, so its last roundings are relative to both.
    """
    shape = module.normalized_shape
    weight = np.ones(shape) if module.weight is None else f64(module.weight)
    return normalized(x, weight, f64(or_zeros(module.bias, *shape)), module.eps)


def normalized(x: Bounded, weight: F64, bias: F64, eps: float) -> Bounded:
    """Bound :func:`layer_norm`."""
    axes = tuple(range(-weight.ndim, 0))
    count = weight.size

    def mean_of(array: F64) -> F64:
        return f64(array.mean(axes, keepdims=True))

    mean, size = mean_of(x.value), mean_of(x.largest)
    mean_error = mean_of(x.error) + gamma(count + 1) * size
    difference = np.abs(x.value - mean)
    difference_error = x.error + mean_error + U * (difference + x.error + mean_error)
    squares = (difference + difference_error) ** 2
    variance = mean_of(difference**2) + eps
    variance_error = mean_of(squares - difference**2) + gamma(count + 3) * mean_of(squares) + U * variance
    wrong = np.minimum(variance_error / variance, 0.5)
    inverse = 1 / np.sqrt(variance)
    inverse_wrong = 1 / np.sqrt(1 - wrong) - 1 + gamma(FUNCTION)
    error = difference_error * inverse * (1 + inverse_wrong) + difference * inverse * inverse_wrong
    rounded = gamma(4) * ((x.largest + size) * inverse * (1 + inverse_wrong) * np.abs(weight) + np.abs(bias))
    value = layer_norm(x.value, weight, bias, eps)
    return Bounded(value, error * np.abs(weight) + rounded + TINY)


def bounded_group_norm(module: Any, x: Bounded) -> Bounded:
    """Normalise the rows that groups are, then scale each channel."""
    rows = (len(x.value), module.num_groups, math.prod(x.value.shape[1:]) // module.num_groups)
    grouped = Bounded(x.value.reshape(rows), x.error.reshape(rows))
    plain = normalized(grouped, np.ones(rows[2]), np.zeros(rows[2]), module.eps)
    shape = (-1, *[1] * (x.value.ndim - 2))
    weight = np.ones(1) if module.weight is None else f64(module.weight).reshape(shape)
    bias = np.zeros(1) if module.bias is None else f64(module.bias).reshape(shape)
    value, error = plain.value.reshape(x.value.shape), plain.error.reshape(x.value.shape)
    # normalized() counts the roundings of a weight of 1 and no bias
    rounded = gamma(3) * (np.abs(value * weight) + np.abs(bias))
    return Bounded(value * weight + bias, error * np.abs(weight) + rounded + TINY)


def _divided(x: Bounded, length: F64, length_error: F64, length_roundings: int, weight: F64) -> Bounded:
    """Divide by a root: of ``length`` squared, whose relative error is given; the product with the weight follows."""
    wrong = np.minimum(length_error, 0.5)
    inverse = (1 / np.sqrt(1 - wrong) - 1) + gamma(FUNCTION + length_roundings)
    factor = np.abs(weight) / length
    error = factor * (x.error * (1 + inverse) + x.largest * (inverse + gamma(2)))
    return Bounded(x.value / length * weight, error + TINY)


def bounded_rms_norm(module: Any, x: Bounded) -> Bounded:
    """Squares (of distances from a mean, if centered), their mean, its root and two products."""
    axes = tuple(range(-len(module.normalized_shape), 0))
    count = math.prod(module.normalized_shape)
    weight = np.ones(module.normalized_shape) if module.weight is None else f64(module.weight)
    mean, size = x.value.mean(axes, keepdims=True), x.largest.mean(axes, keepdims=True)
    mean_error = x.error.mean(axes, keepdims=True) + gamma(count + 1) * size
    if not module.centered:
        mean, mean_error = np.zeros(()), np.zeros(())
    distance = np.abs(x.value - mean)
    distance_error = x.error + mean_error + U * (distance + x.error + mean_error)
    squares = (distance + distance_error) ** 2
    square = (distance**2).mean(axes, keepdims=True) + module.eps
    wrong = (squares - distance**2).mean(axes, keepdims=True) + gamma(count + 3) * squares.mean(axes, keepdims=True)
    return _divided(x, np.sqrt(square), (wrong + U * square) / square, 1, weight)


def bounded_unit_norm(module: Any, x: Bounded) -> Bounded:
    """Squares, their sum, its root and a product."""
    axes = tuple(range(module.start_dim % x.value.ndim, x.value.ndim))
    count = math.prod(x.value.shape[axes[0] :])
    square = np.maximum(np.square(x.value).sum(axes, keepdims=True), module.eps**2)
    largest = np.square(x.largest).sum(axes, keepdims=True)
    wrong = largest - np.square(x.value).sum(axes, keepdims=True) + gamma(count + 1) * largest
    return _divided(x, np.sqrt(square), wrong / square, 1, np.ones(1))


RULES: Rules = {
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"), Rule(bounded_batch_norm, _batch_norm)),
    "GroupNorm": bounded_group_norm,
    "LayerNorm": bounded_layer_norm,
    "RMSNorm": bounded_rms_norm,
    "UnitNorm": bounded_unit_norm,
}
