"""Encodings of ids, which are exact, and sums of weights."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import TINY, Bounded, exact, gamma


def classes_of(module, ids):
    """Give (..., num_classes): whether an id is of a class."""
    assert not ids.error.any(), "ids that may be off by a rounding say nothing"
    return np.trunc(ids.value)[..., None] == np.arange(module.num_classes)


def weighted_count(module, ids, weights):
    """Sum float32 numbers in any order; section 3.1 of Higham."""
    picked = classes_of(module, ids)

    def total(values):
        return (picked * values[..., None]).sum(-2)

    error = total(weights.error) + gamma(ids.value.shape[-1] + 1) * total(weights.largest) + TINY
    return Bounded(total(weights.value), error)


def bucketize(module, x):
    """Count boundaries; numbers so near to one that they may be on either side say nothing."""
    boundaries = naive.f64(module.boundaries)
    assert not x.error.any()
    return exact(np.where(np.isnan(x.value), len(boundaries), (x.value[..., None] >= boundaries).sum(-1)))


RULES = {
    "OneHot": lambda module, ids: exact(classes_of(module, ids)),
    "MultiHot": lambda module, ids: exact(classes_of(module, ids).any(-2)),
    "Count": lambda module, ids: exact(classes_of(module, ids).sum(-2)),
    "WeightedCount": weighted_count,
    "Bucketize": bucketize,
}
