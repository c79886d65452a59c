"""Random functional models in both Kerases; see ``random_models``.  KEYDNN_RANDOM_SEEDS says how many (40)."""

from __future__ import annotations

import os

import pytest

from keydnn.convert.build import BUILDERS
from tests.parity.kerases import KERASES
from tests.parity.random_models import STEPS
from tests.parity.random_models.comparison import compare

pytestmark = pytest.mark.parity

SEEDS = range(int(os.environ.get("KEYDNN_RANDOM_SEEDS", "40")))
# Layers that random models have not; each has tests of its own.
ELSEWHERE = {
    "text": {"HashedCrossing", "StringLookup", "TextVectorization"},
    "sound": {"MelSpectrogram", "STFTSpectrogram"},
    "of keras.applications": {"CustomScaleLayer", "Custom>CustomScaleLayer", "LayerScale", "StochasticDepth"},
    "of old Kerases, or another name": {"CuDNNGRU", "CuDNNLSTM", "GroupedQueryAttention"},
    "slow": {"ConvLSTM3D"},
    "augmentation, of which a few are drawn": {
        "AugMix", "CutMix", "MixUp", "RandAugment", "RandomColorDegeneration", "RandomColorJitter", "RandomCrop",
        "RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight",
        "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomSaturation",
        "RandomSharpness", "RandomShear", "RandomWidth", "Solarization",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_random_model_agrees(seed, name):
    compare(seed, name)


def test_the_bounds_of_most_outputs_say_something():
    counts = [compare(seed, "keras3") for seed in range(3)]
    said, outputs = (sum(numbers) for numbers in zip(*counts, strict=True))
    assert said > 0.8 * outputs


def test_random_models_have_every_layer():
    drawn = {name for step in STEPS for name in step.classes}
    layers = {name for name, builder in BUILDERS.items() if not name.startswith("ops>") and not builder.gone}
    elsewhere = set().union(*ELSEWHERE.values())
    assert drawn <= set(BUILDERS)
    assert layers - drawn == elsewhere & layers
