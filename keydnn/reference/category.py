"""Encodings of ids, which are exact, and sums of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, TINY, Bounded, Rules, f64, gamma, known, whole


def classes_of(module: Any, ids: Bounded) -> npt.NDArray[np.bool_]:
    """Give (..., num_classes): whether an id is of a class."""
    found: npt.NDArray[np.bool_] = np.trunc(ids.value)[..., None] == np.arange(module.num_classes)
    return found


def weighted_count(module: Any, ids: Bounded, weights: Bounded) -> Bounded:
    """Sum float32 numbers in any order; section 3.1 of Higham."""
    picked = classes_of(module, ids)

    def total(values: F64) -> F64:
        found: F64 = (picked * values[..., None]).sum(-2)
        return found

    error = total(weights.error) + gamma(ids.value.shape[-1] + 1) * total(weights.largest) + TINY
    return Bounded(total(weights.value), np.where(whole(ids).all(-1, keepdims=True), error, np.inf))


def bucketize(module: Any, x: Bounded) -> Bounded:
    """Count boundaries; of numbers that may be on either side of one, nothing can be told."""
    boundaries = f64(module.boundaries)
    first, last = ((end[..., None] >= boundaries).sum(-1) for end in (x.value - x.error, x.value + x.error))
    places = (x.value[..., None] >= boundaries).sum(-1)
    return known(np.where(np.isnan(x.value), len(boundaries), places), first == last)


RULES: Rules = {
    "OneHot": lambda module, ids: known(classes_of(module, ids), whole(ids)[..., None]),
    "MultiHot": lambda module, ids: known(classes_of(module, ids).any(-2), whole(ids).all(-1, keepdims=True)),
    "Count": lambda module, ids: known(classes_of(module, ids).sum(-2), whole(ids).all(-1, keepdims=True)),
    "WeightedCount": weighted_count,
    "Bucketize": bucketize,
}
