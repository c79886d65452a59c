"""Cases of operations on tensors: models with many outputs, one an operation."""

from __future__ import annotations

import numpy as np

from tests.parity.kerases import Case, keras, tensorflow

SHAPE = (4, 5)
VECTOR = np.array([-2, 0.5, 3, -1, 4], np.float32)
COLUMN = np.array([[2], [-3], [0.5], [7]], np.float32)


def normal(random, shape):
    return random.standard_normal(shape)


def positive(random, shape):
    return random.uniform(0.2, 3, shape)


def whole(random, shape):
    return random.integers(-3, 4, shape)


def share(random, shape):
    return random.uniform(-0.9, 0.9, shape)


def outputs_in(cases, what, *shapes, keras3=None, keras2=None, both=None, **options):
    """Add a case: functions of ``keras.ops`` or ``tensorflow`` and the inputs, which give lists of outputs."""
    makers = {"keras3": keras3 or both, "keras2": keras2 or both}

    def build(library, *inputs):
        name = "keras3" if library is keras else "keras2"
        return makers[name](library.ops if library is keras else tensorflow, *inputs)

    kerases = tuple(name for name, make in makers.items() if make)
    cases.append(Case(what, shapes or (SHAPE,), build, kerases, **options))
