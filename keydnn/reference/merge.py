"""Merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keydnn.reference.bounds import F64, TINY, Bounded, Rule, Rules, U, gamma, selected


def _fold(operation: Callable[[F64, F64], F64], values: Sequence[F64]) -> F64:
    result = values[0]
    for value in values[1:]:
        result = operation(result, value)
    return result


def add(module: Any, *inputs: Bounded) -> Bounded:
    value = _fold(np.add, [x.value for x in inputs])
    error = _fold(np.add, [x.error for x in inputs])
    return Bounded(value, error + gamma(len(inputs) - 1) * _fold(np.add, [x.largest for x in inputs]) + TINY)


def mean(module: Any, *inputs: Bounded) -> Bounded:
    total = add(module, *inputs)
    return Bounded(total.value / len(inputs), (total.error + U * total.largest) / len(inputs) + TINY)


def subtract(module: Any, x: Bounded, y: Bounded) -> Bounded:
    return add(module, x, Bounded(-y.value, y.error))


def multiply(module: Any, *inputs: Bounded) -> Bounded:
    value, largest = (_fold(np.multiply, [getattr(x, name) for x in inputs]) for name in ("value", "largest"))
    return Bounded(value, largest - np.abs(value) + gamma(len(inputs) - 1) * largest + TINY)


def extreme(operation: Callable[[F64, F64], F64]) -> Rule:
    """Take the larger or smaller: off by no more than the worst of the inputs (see ``selected``)."""

    def rule(module: Any, *inputs: Bounded) -> Bounded:
        return Bounded(_fold(operation, [x.value for x in inputs]), _fold(np.maximum, [x.error for x in inputs]))

    return Rule(rule, lambda module, *arrays: _fold(operation, arrays))


RULES: Rules = {
    "Add": Rule(add, lambda module, *arrays: _fold(np.add, arrays)),
    "Subtract": subtract,
    "Multiply": Rule(multiply, lambda module, *arrays: _fold(np.multiply, arrays)),
    "Average": mean,
    "Maximum": extreme(np.maximum),
    "Minimum": extreme(np.minimum),
    "Concatenate": selected(lambda module, *inputs: np.concatenate(inputs, module.dim)),
}
