"""Activations along an axis."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle import activation
from tests.oracle.bounds import FUNCTION, TINY, Bounded, gamma
from tests.oracle.merge import multiply


def _softmax_wrong(x, axis):
    """Bound the relative errors: what the inputs have wrong (the subtracted maximum cancels), differences, exp, sum.

    Keras subtracts the logarithm of the sum where there are several axes: what it rounds, exp makes a relative error.
    """
    count = x.value.shape[axis]
    subtracted = np.abs(x.value.max(axis, keepdims=True)) + np.log(count)
    distance = x.value.max(axis, keepdims=True) - x.value
    p = naive.softmax(x.value, axis)
    # exp(error) of a term, and of the sum by its shares: what is far below the largest may be as wrong as it likes
    grown = np.exp(x.error)
    passed = grown / (1 - np.minimum((p * (grown - 1)).sum(axis, keepdims=True), 0.5)) - 1
    total = gamma(1) * (p * distance).sum(axis, keepdims=True) + gamma(FUNCTION + count) + gamma(2) * subtracted
    return passed, gamma(1) * distance, total


def softmax(module, x):
    passed, difference, total = _softmax_wrong(x, module.dim)
    value = naive.softmax(x.value, module.dim)
    relative = (1 + passed) * (1 + difference + total + gamma(FUNCTION + 1)) - 1
    return Bounded(value, value * relative + TINY)


def log_softmax(module, x):
    _, difference, total = _softmax_wrong(x, module.dim)
    value = naive.log_softmax(x.value, module.dim)
    passed = 2 * x.error.max(module.dim, keepdims=True)
    log = np.log(np.exp(x.value - x.value.max(module.dim, keepdims=True)).sum(module.dim, keepdims=True))
    return Bounded(value, passed + difference + total + gamma(FUNCTION) * log + gamma(1) * np.abs(value) + TINY)


def sparsemax(module, x):
    """tau is a sum over the support (of running sums, in Keras' way) less 1, divided by their number."""
    assert not x.error.any(), "only of exact inputs: the support may change"
    moved = np.moveaxis(x.value, module.dim, -1)
    ordered = -np.sort(-moved, axis=-1)
    count = moved.shape[-1]
    support = ordered * np.arange(1, count + 1) - (np.cumsum(ordered, axis=-1) - 1) > 0
    if module.threshold == "sum":
        terms, value = ordered, naive.sparsemax(x.value, module.dim)
    else:
        terms = np.cumsum(ordered, axis=-1)
        tau = (np.where(support, terms, 0).sum(-1, keepdims=True) - 1) / support.sum(-1, keepdims=True)
        value = np.moveaxis(np.maximum(moved - tau, 0), -1, module.dim)
    size = np.where(support, np.cumsum(np.abs(ordered), axis=-1) if terms is not ordered else np.abs(ordered), 0)
    size = (size.sum(-1, keepdims=True) + 1) / support.sum(-1, keepdims=True) + np.abs(moved)
    return Bounded(value, np.moveaxis(gamma(2 * count + 3) * size, -1, module.dim) + TINY)


def glu(module, x):
    halves = [
        Bounded(*parts)
        for parts in zip(np.split(x.value, 2, module.dim), np.split(x.error, 2, module.dim), strict=True)
    ]
    return multiply(module, halves[0], activation.RULES["Sigmoid"](module, halves[1]))


RULES = {"Softmax": softmax, "LogSoftmax": log_softmax, "Sparsemax": sparsemax, "GLU": glu}
