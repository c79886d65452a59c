"""Masks of steps."""

import numpy as np

from keydnn.modules import MaskedFill, StepMask
from tests.export.case import Case, numbers

X = numbers(2, 4, 3)
X[0, 1] = X[1, 3] = 0
X[0, 2, :2] = 0  # not all of it
NINES = np.where(X == 0, np.float32(-99), X)
MASK = np.float32([[0, 1, 1, 0], [1, 0, 1, 1]])
HOLES = np.float32([np.nan, np.inf, -np.inf]) * np.ones((2, 4, 1), np.float32)

CASES = {
    "mask": Case(StepMask(), (X,)),
    "mask of another value": Case(StepMask(-99), (NINES,)),
    "mask of images": Case(StepMask(), (np.stack([X, np.zeros_like(X)], 2),)),
    "mask, rank 2": Case(StepMask(), (X[:, 1],)),
    "mask beside NaN": Case(StepMask(), (np.where(X == 0, np.float32(np.nan), 0),)),
    "fill": Case(MaskedFill(), (X, MASK)),
    "fill with another value": Case(MaskedFill(-1.5), (X, MASK)),
    "fill, of equal rank": Case(MaskedFill(2.0), (X, np.float32(X > 0))),
    "fill, rank 4": Case(MaskedFill(), (numbers(2, 4, 3, 2), MASK)),
    "fill what is no number": Case(MaskedFill(), (HOLES, MASK)),
}
