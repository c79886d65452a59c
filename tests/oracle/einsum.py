"""Einsum."""

from __future__ import annotations

import math

import numpy as np

from tests.oracle.bounds import linear_sum


def einsum(module, x):
    labels, _, result = module.labels
    sums = [size for label, size in zip(labels, x.value.shape, strict=True) if label not in result]

    def operation(x, weight, _):
        return np.einsum(module.equation, x, weight)

    return linear_sum(operation, math.prod(sums), x, module.weight, np.zeros(()))


RULES = {"Einsum": einsum}
