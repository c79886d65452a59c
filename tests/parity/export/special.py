"""NaN, infinities and numbers near them, given to the cases."""

from __future__ import annotations

import numpy as np

from tests.export.cases import CASES

BETWEEN = (-2.5, -0.3, 0.4, 3.0)
SPECIAL = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0, 3e38, -3e38, *BETWEEN])
ELEMENT_BY_ELEMENT = ("activation", "unary", "rescale", "merge", "arithmetic")
SPREADING = ("conv", "dense", "norm", "softmax", "shape", "standardize", "time")


def kinds(values):
    """Tell NaN, inf, -inf and numbers apart."""
    return np.select([np.isnan(values), values == np.inf, values == -np.inf], [1, 2, 3], 0)


def cases_of(*families):
    """Give the cases of families, without Sparsemax, which has no answer for a line of such values."""
    return [name for name in CASES if name.partition("-")[0] in families and "sparsemax" not in name]


def full_of_special(case):
    """Give inputs of nothing else: all pairs, where there are two."""
    return [
        np.resize(SPECIAL if place == 0 else np.repeat(SPECIAL, len(SPECIAL)), np.shape(x))
        for place, x in enumerate(case.inputs)
    ]


def with_two(special, case):
    """Give the case's inputs with two special values in the first."""
    first = case.inputs[0].copy()
    first.reshape(-1)[[3, -2]] = special
    return [first, *case.inputs[1:]]
