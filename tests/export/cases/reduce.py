"""Reductions over axes, and running sums and products."""

import numpy as np

from keydnn.modules import Cumulate, Reduce
from tests.export.case import Case, numbers

X = numbers(2, 3, 4, 5)
SUMS = ("sum", "mean", "prod", "max", "min")
TIES = np.float32([[[3, 1, 3], [2, 2, 1]], [[1, 1, 1], [0, -1, -1]]])

CASES = (
    {f"{name}": Case(Reduce(name, 2), (X,)) for name in SUMS}
    | {f"{name} of neighbouring axes": Case(Reduce(name, (2, 3)), (X,)) for name in SUMS}
    | {f"{name} of axes apart, which stay": Case(Reduce(name, (1, 3), True), (X,)) for name in SUMS}
    | {f"{name}": Case(Reduce(name, 2), (X,)) for name in ("argmax", "argmin")}
    | {f"{name} of ties, the axis stays": Case(Reduce(name, 2, True), (TIES,)) for name in ("argmax", "argmin")}
    | {f"running {name}": Case(Cumulate(name, 1), (X,)) for name in ("sum", "prod")}
    | {f"running {name}, the last axis": Case(Cumulate(name, 3), (X,)) for name in ("sum", "prod")}
)
