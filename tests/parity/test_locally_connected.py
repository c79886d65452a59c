"""Locally connected layers of Keras 2: every implementation, from every source."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
both_formats = partial(cases.both_formats, CASES, kerases=("keras2",))

for class_name, shape, unequal in (
    ("LocallyConnected1D", (9, 3), {"kernel_size": 3, "strides": 2}),
    ("LocallyConnected2D", (5, 6, 3), {"kernel_size": (2, 3), "strides": (2, 1)}),
):
    for implementation in (1, 2, 3):
        options = {"filters": 4, "implementation": implementation}
        both_formats(f"{implementation}-valid", class_name, shape, kernel_size=3, **options)
        both_formats(f"{implementation}-strides", class_name, shape, **unequal, **options)
        both_formats(f"{implementation}-no-bias", class_name, shape, kernel_size=2, use_bias=False, **options)
        both_formats(f"{implementation}-one", class_name, shape, kernel_size=1, **options)
        if implementation == 1:  # has no padding
            continue
        for size, stride in ((3, 1), (2, 1), (4, 3), (5, 2)):
            both_formats(
                f"{implementation}-same-{size}-stride-{stride}", class_name, shape,
                kernel_size=size, strides=stride, padding="same", **options,
            )  # fmt: skip
    both_formats("fused-relu", class_name, shape, filters=4, kernel_size=3, activation="relu")


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_locally_connected_layer_agrees(case, name, source):
    check(case, name, source)
