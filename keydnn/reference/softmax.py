"""Activations along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference import activation
from keydnn.reference.bounds import F64, FUNCTION, TINY, Bounded, Rule, Rules, f64, gamma
from keydnn.reference.merge import multiply


def softmax(x: npt.ArrayLike, axis: int) -> F64:
    """Give the shares of exp(x) along an axis."""
    x = f64(x)
    e = np.exp(x - x.max(axis, keepdims=True))
    found: F64 = e / e.sum(axis, keepdims=True)
    return found


def log_softmax(x: npt.ArrayLike, axis: int) -> F64:
    """Give the logarithms of :func:`softmax`."""
    x = f64(x) - f64(x).max(axis, keepdims=True)
    return f64(x - np.log(np.exp(x).sum(axis, keepdims=True)))


def sparsemax(x: npt.ArrayLike, axis: int) -> F64:
    """Project every line onto the simplex by bisection for the tau with sum(max(x - tau, 0)) = 1."""
    x = np.moveaxis(f64(x), axis, -1)
    low, high = x.max(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        too_small = np.maximum(x - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    return np.moveaxis(np.maximum(x - high, 0), -1, axis)


def glu(x: npt.ArrayLike, axis: int) -> F64:
    """Multiply the first half by the sigmoid of the second."""
    first, second = np.split(f64(x), 2, axis)
    return first * activation.sigmoid(second)


def _softmax_wrong(x: Bounded, axis: int) -> tuple[F64, F64, F64]:
    """Bound the relative errors: what the inputs have wrong (the subtracted maximum cancels), differences, exp, sum.

    Keras subtracts the logarithm of the sum where there are several axes: what it rounds, exp makes a relative error.
    """
    count = x.value.shape[axis]
    subtracted = np.abs(x.value.max(axis, keepdims=True)) + np.log(count)
    distance = x.value.max(axis, keepdims=True) - x.value
    p = softmax(x.value, axis)
    # exp(error) of a term, and of the sum by its shares: what is far below the largest may be as wrong as it likes
    grown = np.exp(x.error)
    passed = grown / (1 - np.minimum((p * (grown - 1)).sum(axis, keepdims=True), 0.5)) - 1
    total = gamma(1) * (p * distance).sum(axis, keepdims=True) + gamma(FUNCTION + count) + gamma(2) * subtracted
    return passed, gamma(1) * distance, total


def bounded_softmax(module: Any, x: Bounded) -> Bounded:
    passed, difference, total = _softmax_wrong(x, module.dim)
    value = softmax(x.value, module.dim)
    relative = (1 + passed) * (1 + difference + total + gamma(FUNCTION + 1)) - 1
    return Bounded(value, value * relative + TINY)


def bounded_log_softmax(module: Any, x: Bounded) -> Bounded:
    _, difference, total = _softmax_wrong(x, module.dim)
    value = log_softmax(x.value, module.dim)
    passed = 2 * x.error.max(module.dim, keepdims=True)
    log = np.log(np.exp(x.value - x.value.max(module.dim, keepdims=True)).sum(module.dim, keepdims=True))
    return Bounded(value, passed + difference + total + gamma(FUNCTION) * log + gamma(1) * np.abs(value) + TINY)


def bounded_sparsemax(module: Any, x: Bounded) -> Bounded:
    """Bound by tau, a sum over the support (of running sums, in Keras' way) less 1, divided by their number.

    Of an input that is off, nothing can be told: the support may change.
    """
    moved = np.moveaxis(x.value, module.dim, -1)
    ordered = -np.sort(-moved, axis=-1)
    count = moved.shape[-1]
    support = ordered * np.arange(1, count + 1) - (np.cumsum(ordered, axis=-1) - 1) > 0
    if module.threshold == "sum":
        terms, value = ordered, sparsemax(x.value, module.dim)
    else:
        terms = np.cumsum(ordered, axis=-1)
        tau = (np.where(support, terms, 0).sum(-1, keepdims=True) - 1) / support.sum(-1, keepdims=True)
        value = np.moveaxis(np.maximum(moved - tau, 0), -1, module.dim)
    size = np.where(support, np.cumsum(np.abs(ordered), axis=-1) if terms is not ordered else np.abs(ordered), 0)
    size = (size.sum(-1, keepdims=True) + 1) / support.sum(-1, keepdims=True) + np.abs(moved)
    error = np.moveaxis(gamma(2 * count + 3) * size, -1, module.dim) + TINY
    return Bounded(value, np.where(x.error.any(module.dim, keepdims=True), np.inf, error))


def bounded_glu(module: Any, x: Bounded) -> Bounded:
    halves = [
        Bounded(*parts)
        for parts in zip(np.split(x.value, 2, module.dim), np.split(x.error, 2, module.dim), strict=True)
    ]
    return multiply(module, halves[0], activation.RULES["Sigmoid"](module, halves[1]))


RULES: Rules = {
    "Softmax": Rule(bounded_softmax, lambda module, x: softmax(x, module.dim)),
    "LogSoftmax": Rule(bounded_log_softmax, lambda module, x: log_softmax(x, module.dim)),
    "Sparsemax": bounded_sparsemax,
    "GLU": Rule(bounded_glu, lambda module, x: glu(x, module.dim)),
}
