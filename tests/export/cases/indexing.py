"""Cells picked, or set beside others."""

import numpy as np

from keydnn.modules import Gather, IndexSelect, Pad, Slice, Sort, TopK
from tests.export.case import Case, numbers

X = numbers(2, 5, 6, 3)
PLACES = np.random.default_rng(1).integers(-5, 5, (2, 4, 6, 3)).astype(np.float32)
TIES = np.float32([[1, 3, 3, 2, 1, 3], [0, -1, 0, -2, -1, -1]])
HOLES = np.float32([[np.nan, 1, -np.inf, np.nan, np.inf, 2], [-np.inf, np.nan, 0, 1, -np.inf, np.nan]])
ENDS = {
    "nothing": ((None, None, None), (None, None, 1), (0, None, None)),
    "ends": ((1, 4, 1), (None, -1, None), (-2, None, None)),
    "steps": ((None, None, 2), (1, None, 3), (0, 2, 1)),
    "backwards": ((None, None, -1), (4, 0, -2), (-1, None, -1)),
    "backwards to the first": ((3, None, -1), (2, -9, -1), (9, None, -1)),
    "beyond": ((-9, 99, 1), (99, -99, -1), (None, 2**62, 1)),
}

CASES = {f"slice, {name}": Case(Slice(ends), (X,)) for name, ends in ENDS.items()} | {
    "select": Case(IndexSelect(1, (0, 3)), (X,)),
    "select, several times, from the end": Case(IndexSelect(3, (-1, 0, 0, -3, 2)), (X,)),
    "gather": Case(Gather(1), (X, PLACES)),
    "gather, cut off": Case(Gather(1), (TIES, np.float32([[0.9, -0.9, 3.5], [-1.5, 5, -6]]))),
    "top": Case(TopK(3, 2), (X,)),
    "top, last axis": Case(TopK(1, 3), (X,)),
    "top of ties": Case(TopK(4, 1), (TIES,)),
    "top beside NaN": Case(TopK(6, 1), (HOLES,)),
    "sort": Case(Sort(1), (X,)),
    "sort, last axis": Case(Sort(3), (X,)),
    "sort down": Case(Sort(2, True), (X,)),
    "sort ties": Case(Sort(1), (TIES,)),
    "sort beside NaN": Case(Sort(1), (HOLES,)),
    "sort down beside NaN": Case(Sort(1, True), (HOLES,)),
    "pad": Case(Pad(((1, 2), (0, 0), (3, 0))), (X,)),
    "pad with a value": Case(Pad(((0, 1), (2, 0), (0, 0)), value=-1.5), (X,)),
    "pad nothing": Case(Pad(((0, 0),) * 3), (X,)),
    "pad nothing, symmetric": Case(Pad(((0, 0),) * 3, "symmetric"), (X,)),
    "reflect": Case(Pad(((1, 4), (2, 0), (0, 0)), "reflect"), (X,)),
    "reflect, every axis": Case(Pad(((1, 2), (0, 5), (2, 1)), "reflect"), (X,)),
    "symmetric": Case(Pad(((1, 5), (2, 0), (0, 0)), "symmetric"), (X,)),
    "symmetric, every axis": Case(Pad(((1, 2), (0, 6), (3, 1)), "symmetric"), (X,)),
}
