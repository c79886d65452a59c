"""Layers that act in training only, in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.cases import IMAGE
from tests.parity.kerases import KERASES, SOURCES, Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, both_formats = partial(cases.one, CASES), partial(cases.both_formats, CASES)

for class_name in ("Dropout", "AlphaDropout", "GaussianDropout"):
    one("rank-3", class_name, (6, 5), rate=0.3)
one("rank-3", "SpatialDropout1D", (6, 5), rate=0.3)
both_formats("rank-4", "SpatialDropout2D", IMAGE, rate=0.3)
both_formats("rank-5", "SpatialDropout3D", (2, 3, 4, 5), rate=0.3)
one("rank-3", "GaussianNoise", (6, 5), stddev=0.3)
one("rank-3", "ActivityRegularization", (6, 5), l2=0.3)

AUGMENTATIONS = (
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom",
    "Solarization",
)  # fmt: skip
BY_FACTOR = (
    "Brightness", "ColorDegeneration", "Contrast", "Erasing", "Grayscale", "Height", "Hue", "Invert", "Rotation",
    "Saturation", "Sharpness", "Width",
)  # fmt: skip
OPTIONS = {name: {"factor": 0.2} for name in BY_FACTOR} | {
    "Posterization": {"factor": 4},
    "Shear": {"x_factor": 0.2, "y_factor": 0.2},
    "Translation": {"height_factor": 0.2, "width_factor": 0.2},
    "Zoom": {"height_factor": 0.2},
}
# Keras 3.15 cannot write these to .h5: it copies their configuration, in which a module is.
NOT_H5 = {
    "RandomBrightness", "RandomColorDegeneration", "RandomPosterization", "RandomSaturation", "RandomSharpness",
    "Solarization",
}  # fmt: skip
for class_name in AUGMENTATIONS:
    options = OPTIONS.get(class_name.removeprefix("Random"), {})
    for name, library in KERASES.items():
        if hasattr(library.layers, class_name):
            sources = ("keras", "live") if name == "keras3" and class_name in NOT_H5 else SOURCES
            one(f"images-{name}", class_name, (7, 9, 3), kerases=(name,), case={"sources": sources}, **options)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_layer_does_nothing(case, name, source):
    check(case, name, source)
