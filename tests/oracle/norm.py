"""Normalization."""

from __future__ import annotations

import math

import numpy as np

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


RULES = {"BatchNorm1d": batch_norm, "BatchNorm2d": batch_norm, "LayerNorm": layer_norm}
