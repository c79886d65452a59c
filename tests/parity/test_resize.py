"""Resizing, CenterCrop and RandomCrop in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn import from_keras
from tests.parity import cases
from tests.parity.kerases import KERASES, Case, answer, check, parameters, quiet, save

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

IMAGE = (7, 9, 3)
BOTH = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5")
for mode in BOTH:
    one(mode, "Resizing", IMAGE, height=5, width=12, interpolation=mode)
    one(
        f"{mode}-antialias",
        "Resizing",
        IMAGE,
        kerases=("keras3",),
        height=4,
        width=5,
        interpolation=mode,
        antialias=True,
    )
for mode in ("gaussian", "mitchellcubic", "Bilinear"):
    one(mode, "Resizing", IMAGE, kerases=("keras2",), height=5, width=12, interpolation=mode)
one("free-sizes", "Resizing", (None, None, 3), height=8, width=4)
one("channels-first", "Resizing", (3, 7, 9), kerases=("keras3",), height=5, width=4, data_format="channels_first")
for height, width in ((5, 12), (12, 5), (7, 9), (3, 3)):
    options = {"height": height, "width": width}
    one(f"crop-{height}-{width}", "Resizing", IMAGE, crop_to_aspect_ratio=True, **options)
    one(f"pad-{height}-{width}", "Resizing", IMAGE, kerases=("keras3",), pad_to_aspect_ratio=True, **options)
one("pad-value", "Resizing", IMAGE, kerases=("keras3",), height=8, width=8, pad_to_aspect_ratio=True, fill_value=2.5)
for what, height, width in (
    ("inside", 4, 6),
    ("the-same", 7, 9),
    ("higher", 9, 6),
    ("wider", 5, 11),
    ("larger", 13, 11),
):
    one(what, "CenterCrop", IMAGE, height=height, width=width)
    one(f"{what}-free", "CenterCrop", (None, None, 3), height=height, width=width)
    one(what, "RandomCrop", IMAGE, height=height, width=width)
one("channels-first", "CenterCrop", (3, 7, 9), kerases=("keras3",), height=4, width=6, data_format="channels_first")
one(
    "channels-first-larger",
    "CenterCrop",
    (3, 7, 9),
    kerases=("keras3",),
    height=8,
    width=6,
    data_format="channels_first",
)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_resizing_agrees(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_resizing_of_integers_gives_what_keras_gives(mode, name):
    """Keras 3 rounds to integers, Keras 2 does not."""
    library = KERASES[name]
    with quiet():
        x = library.Input(IMAGE, dtype="uint8")
        model = library.Model(x, library.layers.Resizing(5, 12, interpolation=mode)(x))
    arrays = np.random.default_rng(0).integers(0, 256, (2, *IMAGE)).astype(np.uint8)
    wanted = answer(model, arrays)
    assert wanted.dtype == ("uint8" if name == "keras3" else "float32")
    found = from_keras(save(model, f"integers-{mode}-{name}")["keras"])(arrays)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0 if name == "keras3" else 1e-4)
