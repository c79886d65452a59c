"""Moves of memory over one and three axes in both Kerases and from every source; the rest is in test_layers.py."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.cases import SEQUENCE
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, both_formats = partial(cases.one, CASES), partial(cases.both_formats, CASES)
VOLUME = (4, 5, 6, 3)

for what, amount in {"1": 1, "asymmetric": (2, 3), "front": (2, 0), "back": (0, 3)}.items():
    one(what, "ZeroPadding1D", SEQUENCE, padding=amount)
    one(f"{what}-first", "ZeroPadding1D", SEQUENCE, padding=amount, data_format="channels_first", kerases=("keras3",))
    one(what, "Cropping1D", SEQUENCE, cropping=amount)
for what, amount in {"1": 1, "1-0-2": (1, 0, 2), "asymmetric": ((1, 2), (0, 3), (1, 0))}.items():
    both_formats(what, "ZeroPadding3D", VOLUME, padding=amount)
    both_formats(what, "Cropping3D", VOLUME, cropping=amount)
one("default", "ZeroPadding1D", SEQUENCE)
one("default", "Cropping1D", SEQUENCE)
one("free-length", "Cropping1D", (None, 4))
both_formats("default", "ZeroPadding3D", VOLUME)
both_formats("default", "Cropping3D", VOLUME)

one("3", "RepeatVector", (5,), n=3)
one("1", "RepeatVector", (5,), n=1)
for rank, shape in {5: (2, 3, 4, 5), 6: (2, 1, 3, 2, 2), 8: (1, 2, 1, 2, 3, 1, 2)}.items():
    both_formats(f"rank-{rank}", "Flatten", shape)
    one(f"rank-{rank}", "Reshape", shape, target_shape=(2, -1))
    one(f"to-rank-{rank}", "Reshape", (12, 10) if rank == 5 else (24,), target_shape=shape)
    one(f"rank-{rank}", "Permute", shape, dims=(*range(2, rank), 1))


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_shape_agrees(case, name, source):
    check(case, name, source)
