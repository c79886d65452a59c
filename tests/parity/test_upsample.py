"""Upsampling in both Kerases and from every source; nearest and bilinear of images are in test_layers.py."""

from __future__ import annotations

from functools import partial

import pytest

from keydnn.modules.sampling import SAMPLINGS
from tests.parity import cases
from tests.parity.cases import SEQUENCE
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, both_formats = partial(cases.one, CASES), partial(cases.both_formats, CASES)

one("default", "UpSampling1D", SEQUENCE)
one("3", "UpSampling1D", SEQUENCE, size=3)
one("free-length", "UpSampling1D", (None, 4), size=2)
both_formats("default", "UpSampling3D", (2, 3, 4, 3))
both_formats("unequal", "UpSampling3D", (2, 3, 4, 3), size=(1, 3, 2))
for mode in ("area", *SAMPLINGS):
    kerases = ("keras3", "keras2") if mode in ("bicubic", "lanczos3", "lanczos5") else ("keras2",)
    both_formats(f"{mode}-3-5", "UpSampling2D", (5, 6, 4), size=(3, 5), interpolation=mode, kerases=kerases)
    for what, size in {"1": 1, "2": 2, "7-1": (7, 1)}.items():
        one(f"{mode}-{what}", "UpSampling2D", (5, 6, 4), size=size, interpolation=mode, kerases=kerases)
    for what, shape in {"one-cell": (1, 1, 3), "few-cells": (2, 3, 3), "long": (1, 100, 2)}.items():
        one(f"{mode}-{what}", "UpSampling2D", shape, size=3, interpolation=mode, kerases=kerases)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_upsampling_agrees(case, name, source):
    check(case, name, source)
