"""Functions of one element that are no activations."""

import numpy as np

from keydnn.modules import FullLike, Unary
from keydnn.reference.unary import FUNCTIONS
from tests.export.case import Case, numbers

SMALL = np.concatenate([np.linspace(-0.99, 0.99, 41), [1e-4, -1e-6, 0.5, -0.5]]).astype(np.float32).reshape(1, -1)
ALL = np.concatenate([SMALL, numbers(1, 60) * 3, np.float32([[-2.5, -1.5, 1.5, 2.5]])], axis=1)
POSITIVE = np.abs(ALL) + np.float32(1e-3)
DOMAINS = {
    **dict.fromkeys(("sqrt", "rsqrt", "log", "log1p"), POSITIVE),
    **dict.fromkeys(("asin", "acos", "atanh"), SMALL),
    "acosh": POSITIVE + 1,
    "reciprocal": POSITIVE,
}

CASES = {name: Case(Unary(name), (DOMAINS.get(name, ALL),)) for name in FUNCTIONS} | {
    "log1p below 0": Case(Unary("log1p"), (SMALL,)),
    "reciprocal below 0": Case(Unary("reciprocal"), (-POSITIVE,)),
    "full like": Case(FullLike(2.5), (numbers(2, 3, 4),)),
}
