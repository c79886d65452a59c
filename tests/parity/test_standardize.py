"""Normalization, the preprocessing layer, in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.parity import cases
from tests.parity.cases import RANKED
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

for invert in (False, True):
    end = "-invert" * invert
    for rank, shape in RANKED.items():
        one(f"adapted-rank-{rank}{end}", "Normalization", shape, invert=invert)
    one(f"adapted-axis-1{end}", "Normalization", (4, 3, 5), axis=1, invert=invert)
    one(f"adapted-axes-1-3{end}", "Normalization", (4, 3, 5), axis=(1, 3), invert=invert)
    one(f"adapted-no-axis{end}", "Normalization", (4, 3, 5), axis=None, invert=invert)
    one(f"adapted-free{end}", "Normalization", (None, None, 5), invert=invert)
    for what, options in {
        "lists": {"mean": [1.0, -2, 3], "variance": [0.0, 2, 1e-20]},
        "numbers": {"mean": 3.0, "variance": 2},
        "numbers-no-axis": {"mean": 3.0, "variance": 2.0, "axis": None},
        "arrays": {"mean": np.array([1.0, -2, 3]), "variance": np.array([1.0, 2, 3])},
        "lists-axes-1-3": {"mean": [1.0, -2, 3], "variance": [1.0, 2, 3], "axis": (1, 3)},
        "arrays-axes-1-3": {"mean": np.ones((2, 3)), "variance": np.full((2, 3), 2.0), "axis": (1, 3)},
    }.items():
        one(f"{what}{end}", "Normalization", (2, 4, 3), invert=invert, **options)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_normalization_agrees(case, name, source):
    check(case, name, source)
