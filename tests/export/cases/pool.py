"""Pooling."""

import numpy as np

from keydnn.modules import (
    MODULE_TYPES,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaskedGlobalAvgPool1d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from tests.export.case import Case, numbers

IMAGE, SEQUENCE, VOLUME = numbers(2, 3, 7, 8), numbers(2, 3, 9), numbers(2, 3, 5, 6, 4)
BY_AXES = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}
MASK = np.array([[1, 1, 0, 1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 0, 0, 0, 0]], np.float32)
SPOILED = SEQUENCE.copy()
SPOILED[0, :, 2] = np.nan

CASES = {
    "max 1d": Case(MaxPool1d(2), (SEQUENCE,)),
    "max 2d": Case(MaxPool2d(2), (IMAGE,)),
    "max 2d overlapping": Case(MaxPool2d(3, 1), (IMAGE,)),
    "max 2d same": Case(MaxPool2d(3, 2, "same"), (IMAGE,)),
    "max 2d same, even": Case(MaxPool2d((2, 4), (1, 3), "same"), (IMAGE,)),
    "max 2d same, negative numbers": Case(MaxPool2d(3, 2, "same"), (-np.abs(IMAGE),)),
    "max 2d asymmetric padding": Case(MaxPool2d(3, 2, ((0, 1), (2, 0))), (IMAGE,)),
    "max 3d same": Case(MaxPool3d((2, 3, 2), (1, 2, 2), "same"), (VOLUME,)),
    "average 1d same": Case(AvgPool1d(3, 2, "same", count_include_pad=False), (SEQUENCE,)),
    "average 2d": Case(AvgPool2d((2, 3), (2, 1)), (IMAGE,)),
    "average 2d same": Case(AvgPool2d(3, 2, "same", count_include_pad=False), (IMAGE,)),
    "average 2d same, even": Case(AvgPool2d((2, 4), (1, 3), "same", count_include_pad=False), (IMAGE,)),
    "average 2d same, padding counted": Case(AvgPool2d(3, 2, "same", count_include_pad=True), (IMAGE,)),
    "average 2d padding counted": Case(AvgPool2d(3, 2, ((0, 1), (2, 0)), count_include_pad=True), (IMAGE,)),
    "average 2d padding not counted": Case(AvgPool2d(3, 2, ((0, 1), (2, 0)), count_include_pad=False), (IMAGE,)),
    "average 3d same": Case(AvgPool3d((2, 3, 2), (1, 2, 2), "same", count_include_pad=False), (VOLUME,)),
    "masked": Case(MaskedGlobalAvgPool1d(), (SEQUENCE, MASK)),
    "masked, a number out of count": Case(MaskedGlobalAvgPool1d(), (SPOILED, MASK)),
    "masked, axis kept, nothing left": Case(
        MaskedGlobalAvgPool1d(keepdims=True), (SEQUENCE, MASK * np.float32([[1], [0]]))
    ),
    "adaptive average 1d": Case(AdaptiveAvgPool1d(4), (SEQUENCE,)),
    "adaptive average 2d": Case(AdaptiveAvgPool2d((3, 5)), (IMAGE,)),
    "adaptive average 2d, a divisor": Case(AdaptiveAvgPool2d((7, 4)), (IMAGE,)),
    "adaptive average 2d, to a larger size": Case(AdaptiveAvgPool2d((9, 8)), (IMAGE,)),
    "adaptive average 3d": Case(AdaptiveAvgPool3d((3, 2, 3)), (VOLUME,)),
    "adaptive max 1d": Case(AdaptiveMaxPool1d(4), (SEQUENCE,)),
    "adaptive max 2d": Case(AdaptiveMaxPool2d((3, 5)), (IMAGE,)),
    "adaptive max 2d, a divisor": Case(AdaptiveMaxPool2d((7, 4)), (IMAGE,)),
    "adaptive max 3d": Case(AdaptiveMaxPool3d((3, 2, 3)), (VOLUME,)),
} | {
    f"global {kind} {axes}d{', axes kept' if keepdims else ''}": Case(
        MODULE_TYPES[f"Global{kind}Pool{axes}d"](keepdims=keepdims), (BY_AXES[axes],)
    )
    for kind in ("Avg", "Max")
    for axes in (1, 2, 3)
    for keepdims in (False, True)
}
