"""Arithmetic, comparisons and logic."""

import numpy as np

from jit_kernels.arithmetic import OPERATIONS
from keydnn.modules import Binary, Scalar, Where
from tests.export.case import Case, numbers

SOME = np.float32([[-2.5, -2, -0.5, 0, 0.5, 2, 2.5, 3]])
X, Y = np.repeat(SOME, 8, axis=1), np.tile(SOME, 8)  # all pairs
MASK = np.float32([[1, 0, 2], [0, 0, -1]])

CASES = (
    {f"{name}": Case(Binary(name), (X, Y)) for name in OPERATIONS}
    | {f"{name} by a number": Case(Scalar(name, 2.5), (SOME,)) for name in OPERATIONS}
    | {f"{name} of a number": Case(Scalar(name, -2.0, reverse=True), (SOME,)) for name in OPERATIONS}
    | {
        "broadcast": Case(Binary("divide"), (numbers(2, 3, 1), numbers(2, 1, 4, seed=1))),
        "where": Case(Where(), (MASK, numbers(2, 3), numbers(2, 3, seed=1))),
        "where, broadcast": Case(Where(), (MASK[..., np.newaxis], numbers(2, 3, 4), numbers(2, 1, 4, seed=1))),
    }
)
