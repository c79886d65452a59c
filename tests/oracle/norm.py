"""Normalization."""

from __future__ import annotations

import math

import numpy as np

from keydnn.modules import LayerNorm
from tests import naive
from tests.oracle.bounds import FUNCTION, TINY, Bounded, U, gamma


def batch_norm(module, x):
    """``(x - mean) * factor + bias`` or ``x * factor + (bias - mean * factor)``: ten roundings of each term.

    Half of the one of ``variance + eps``, FUNCTION / 2 of rsqrt, the product with the weight, and three operations.
    """
    ones, zeros = np.ones(module.num_features), np.zeros(module.num_features)
    weight = ones if module.weight is None else naive.f64(module.weight)
    bias = zeros if module.bias is None else naive.f64(module.bias)
    mean, variance = naive.f64(module.running_mean), naive.f64(module.running_var)
    value = naive.batch_norm(x.value, weight, bias, mean, variance, module.eps)
    shape = (-1, *[1] * (x.value.ndim - 2))
    factor = (np.abs(weight) / np.sqrt(variance + module.eps)).reshape(shape)
    terms = factor * (x.largest + np.abs(mean).reshape(shape)) + np.abs(bias).reshape(shape)
    return Bounded(value, factor * x.error + gamma(10) * terms + TINY)


def layer_norm(module, x):
    """Mean, differences, variance and inverse root, each with what the ones before it had wrong.

    Keras multiplies x and the mean by the factor apart, so its last roundings are relative to both.
    """
    axes = tuple(range(-len(module.normalized_shape), 0))
    count = math.prod(module.normalized_shape)
    weight = np.ones(module.normalized_shape) if module.weight is None else naive.f64(module.weight)
    bias = np.zeros(module.normalized_shape) if module.bias is None else naive.f64(module.bias)

    def mean_of(array):
        return array.mean(axes, keepdims=True)

    mean, size = mean_of(x.value), mean_of(x.largest)
    mean_error = mean_of(x.error) + gamma(count + 1) * size
    difference = np.abs(x.value - mean)
    difference_error = x.error + mean_error + U * (difference + x.error + mean_error)
    squares = (difference + difference_error) ** 2
    variance = mean_of(difference**2) + module.eps
    variance_error = mean_of(squares - difference**2) + gamma(count + 3) * mean_of(squares) + U * variance
    wrong = np.minimum(variance_error / variance, 0.5)
    inverse = 1 / np.sqrt(variance)
    inverse_wrong = 1 / np.sqrt(1 - wrong) - 1 + gamma(FUNCTION)
    error = difference_error * inverse * (1 + inverse_wrong) + difference * inverse * inverse_wrong
    rounded = gamma(4) * ((x.largest + size) * inverse * (1 + inverse_wrong) * np.abs(weight) + np.abs(bias))
    value = naive.layer_norm(x.value, weight, bias, module.eps)
    return Bounded(value, error * np.abs(weight) + rounded + TINY)


def group_norm(module, x):
    """Normalise the rows that groups are, then scale each channel."""
    rows = (len(x.value), module.num_groups, -1)
    grouped = Bounded(x.value.reshape(rows), x.error.reshape(rows))
    plain = layer_norm(LayerNorm(grouped.value.shape[-1], module.eps, use_weight=False, use_bias=False), grouped)
    shape = (-1, *[1] * (x.value.ndim - 2))
    weight = np.ones(1) if module.weight is None else naive.f64(module.weight).reshape(shape)
    bias = np.zeros(1) if module.bias is None else naive.f64(module.bias).reshape(shape)
    value, error = plain.value.reshape(x.value.shape), plain.error.reshape(x.value.shape)
    # layer_norm counts the roundings of a weight of 1 and no bias
    rounded = gamma(3) * (np.abs(value * weight) + np.abs(bias))
    return Bounded(value * weight + bias, error * np.abs(weight) + rounded + TINY)


def _divided(x, length, length_error, length_roundings, weight):
    """Divide by a root: of ``length`` squared, whose relative error is given; the product with the weight follows."""
    wrong = np.minimum(length_error, 0.5)
    inverse = (1 / np.sqrt(1 - wrong) - 1) + gamma(FUNCTION + length_roundings)
    factor = np.abs(weight) / length
    error = factor * (x.error * (1 + inverse) + x.largest * (inverse + gamma(2)))
    return Bounded(x.value / length * weight, error + TINY)


def rms_norm(module, x):
    """Squares (of distances from a mean, if centered), their mean, its root and two products."""
    axes = tuple(range(-len(module.normalized_shape), 0))
    count = math.prod(module.normalized_shape)
    weight = np.ones(module.normalized_shape) if module.weight is None else naive.f64(module.weight)
    mean, size = x.value.mean(axes, keepdims=True), x.largest.mean(axes, keepdims=True)
    mean_error = x.error.mean(axes, keepdims=True) + gamma(count + 1) * size
    mean, mean_error = (mean, mean_error) if module.centered else (0, 0)
    distance = np.abs(x.value - mean)
    distance_error = x.error + mean_error + U * (distance + x.error + mean_error)
    squares = (distance + distance_error) ** 2
    square = (distance**2).mean(axes, keepdims=True) + module.eps
    wrong = (squares - distance**2).mean(axes, keepdims=True) + gamma(count + 3) * squares.mean(axes, keepdims=True)
    return _divided(x, np.sqrt(square), (wrong + U * square) / square, 1, weight)


def unit_norm(module, x):
    """Squares, their sum, its root and a product."""
    axes = tuple(range(module.start_dim % x.value.ndim, x.value.ndim))
    count = math.prod(x.value.shape[axes[0] :])
    square = np.maximum(np.square(x.value).sum(axes, keepdims=True), module.eps**2)
    largest = np.square(x.largest).sum(axes, keepdims=True)
    wrong = largest - np.square(x.value).sum(axes, keepdims=True) + gamma(count + 1) * largest
    return _divided(x, np.sqrt(square), wrong / square, 1, np.ones(1))


RULES = {
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"), batch_norm),
    "GroupNorm": group_norm,
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "UnitNorm": unit_norm,
}
