"""Activations of one element."""

import numpy as np

from keydnn.modules import (
    CELU,
    ELU,
    GELU,
    HardShrink,
    HardSigmoid,
    HardTanh,
    LeakyReLU,
    PReLU,
    ReLU,
    SoftShrink,
    Squareplus,
    Threshold,
)
from keydnn.modules.activation import Elementwise
from tests.export.case import Case, filled, numbers

# around 0, at the edges of what is piecewise, and far out
X = np.concatenate([numbers(200), numbers(100, seed=1) * 8, np.arange(-4, 5), [0.5, -0.5, 30, -30]]).astype(np.float32)
ROWS = X.reshape(1, -1)
PLAIN = [
    kind for kind in Elementwise.__subclasses__() if kind.__module__ == Elementwise.__module__ and kind is not Threshold
]

CASES = {kind.__name__: Case(kind(), (ROWS,)) for kind in PLAIN} | {
    "ReLU6": Case(ReLU(6.0), (ROWS,)),
    "ReLU with a slope": Case(ReLU(None, 0.25), (ROWS,)),
    "ReLU with a threshold": Case(ReLU(None, 0.0, 0.5), (ROWS,)),
    "ReLU with a slope and a top": Case(ReLU(2.0, 0.25), (ROWS,)),
    "ReLU with a top and a threshold": Case(ReLU(2.0, 0.0, 0.5), (ROWS,)),
    "ReLU with everything": Case(ReLU(2.0, 0.25, 0.5), (ROWS,)),
    "LeakyReLU 0.3": Case(LeakyReLU(0.3), (ROWS,)),
    "PReLU": Case(filled(PReLU((3, 4))), (numbers(2, 3, 4),)),
    "PReLU, a slope for an axis": Case(filled(PReLU((3, 1))), (numbers(2, 3, 4),)),
    "ELU 0.3": Case(ELU(0.3), (ROWS,)),
    "CELU 0.3": Case(CELU(0.3), (ROWS,)),
    "CELU -0.7": Case(CELU(-0.7), (np.clip(ROWS, -20, None),)),
    "GELU by tanh": Case(GELU("tanh"), (ROWS,)),
    "HardSigmoid of Keras 2": Case(HardSigmoid(0.2, 0.5, 1.0), (ROWS,)),
    "HardTanh between others": Case(HardTanh(-0.5, 2.0), (ROWS,)),
    "HardShrink 1.5": Case(HardShrink(1.5), (ROWS,)),
    "SoftShrink 1.5": Case(SoftShrink(1.5), (ROWS,)),
    "Threshold": Case(Threshold(0.5, -2.0), (ROWS,)),
    "Squareplus 1": Case(Squareplus(1.0), (ROWS,)),
}
