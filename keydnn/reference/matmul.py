"""Products of two values, summed over axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keydnn.reference.attention import product
from keydnn.reference.bounds import F64, Bounded, Rule, Rules


def _summed(labels: str, array: F64, others: Sequence[str]) -> tuple[str, F64]:
    """Sum over labels that nothing else has."""
    alone = [axis for axis, label in enumerate(labels) if label not in "".join(others)]
    return "".join(la for axis, la in enumerate(labels) if axis not in alone), array.sum(tuple(alone))


def contract(labels: tuple[str, str, str], x: F64, y: F64) -> F64:
    """Give ``numpy.einsum`` of the labels of x, y and the result, as a product of matrices."""
    (of_x, x), (of_y, y), result = _summed(labels[0], x, labels[1:]), _summed(labels[1], y, labels[::2]), labels[2]
    sizes = dict(zip(of_x, x.shape, strict=True)) | dict(zip(of_y, y.shape, strict=True))
    shared = [label for label in of_x if label in of_y]
    batch, summed = [la for la in shared if la in result], [la for la in shared if la not in result]
    rows, columns = [la for la in of_x if la not in of_y], [la for la in of_y if la not in of_x]

    def matrices(array: F64, names: str, *groups: Sequence[str]) -> F64:
        order = [names.index(label) for group in groups for label in group]
        return array.transpose(order).reshape([math.prod(sizes[label] for label in group) for group in groups])

    found = np.matmul(matrices(x, of_x, batch, rows, summed), matrices(y, of_y, batch, summed, columns))
    order = [*batch, *rows, *columns]
    arranged: F64 = found.reshape([sizes[label] for label in order])
    return arranged.transpose([order.index(label) for label in result])


def terms_of(module: Any, shape: tuple[int, ...]) -> int:
    labels, _, result = module.labels
    return math.prod(size for label, size in zip(labels, shape, strict=True) if label not in result)


def bounded_contract(module: Any, x: Bounded, y: Bounded) -> Bounded:
    """Bound a sum of products of two values that are off."""
    return product(lambda a, b: contract(module.labels, a, b), terms_of(module, x.value.shape), x, y)


RULES: Rules = {"Contract": Rule(bounded_contract, lambda module, x, y: contract(module.labels, x, y))}
