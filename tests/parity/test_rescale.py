"""Rescaling in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.parity import cases
from tests.parity.cases import IMAGE
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

one("both", "Rescaling", IMAGE, scale=1 / 127.5, offset=-1.0)
one("scale", "Rescaling", (None, None, 3), scale=2)
one("rank-2", "Rescaling", (5,), scale=0.1, offset=0.3)
for what, options in {
    "lists": {"scale": [1.0, -2, 0.3], "offset": [0.1, 0.2, 3]},
    "list-and-number": {"scale": [1.0, -2, 0.3], "offset": 0.7},
    "number-and-list": {"scale": 0.7, "offset": [1.0, -2, 0.3]},
    "array": {"scale": np.array([1.0, -2, 0.3]), "offset": np.float32(0.7)},
    "array-of-rank-2": {"scale": np.linspace(-1, 1, 12).reshape(4, 3)},
}.items():
    one(what, "Rescaling", (2, 4, 3), **options)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_rescaling_agrees(case, name, source):
    check(case, name, source)
