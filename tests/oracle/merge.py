"""Merges."""

from __future__ import annotations

import numpy as np

from tests.oracle.bounds import TINY, Bounded, U, gamma, selected


def _fold(operation, values):
    result = values[0]
    for value in values[1:]:
        result = operation(result, value)
    return result


def add(module, *inputs):
    value = _fold(np.add, [x.value for x in inputs])
    error = _fold(np.add, [x.error for x in inputs])
    return Bounded(value, error + gamma(len(inputs) - 1) * _fold(np.add, [x.largest for x in inputs]) + TINY)


def mean(module, *inputs):
    total = add(module, *inputs)
    return Bounded(total.value / len(inputs), (total.error + U * total.largest) / len(inputs) + TINY)


def subtract(module, x, y):
    return add(module, x, Bounded(-y.value, y.error))


def multiply(module, *inputs):
    value, largest = (_fold(np.multiply, [getattr(x, name) for x in inputs]) for name in ("value", "largest"))
    return Bounded(value, largest - np.abs(value) + gamma(len(inputs) - 1) * largest + TINY)


def extreme(operation):
    """Take the larger or smaller: off by no more than the worst of the inputs (see ``selected``)."""

    def rule(module, *inputs):
        return Bounded(_fold(operation, [x.value for x in inputs]), _fold(np.maximum, [x.error for x in inputs]))

    return rule


RULES = {
    "Add": add,
    "Subtract": subtract,
    "Multiply": multiply,
    "Average": mean,
    "Maximum": extreme(np.maximum),
    "Minimum": extreme(np.minimum),
    "Concatenate": selected(lambda module, *inputs: np.concatenate(inputs, module.dim)),
}
