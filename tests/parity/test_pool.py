"""Pooling over volumes, adaptive and masked, in both Kerases and from every source; the rest is in test_layers.py."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.kerases import Case, adding_to, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, both_formats = partial(cases.one, CASES), partial(cases.both_formats, CASES)
VOLUME = (5, 6, 7, 3)

both_formats("default", "MaxPooling3D", VOLUME)
for class_name in ("MaxPooling3D", "AveragePooling3D"):
    for what, options in {
        "2": {"pool_size": 2},
        "same": {"pool_size": 3, "padding": "same"},
        "same-even": {"pool_size": 2, "padding": "same"},
        "stride-1-same": {"pool_size": 3, "strides": 1, "padding": "same"},
        "stride-3": {"pool_size": 2, "strides": 3},
        "unequal": {"pool_size": (1, 2, 3), "strides": (2, 1, 2), "padding": "same"},
    }.items():
        both_formats(what, class_name, VOLUME, **options)
for class_name in ("GlobalMaxPooling3D", "GlobalAveragePooling3D"):
    for what, options in {"plain": {}, "keepdims": {"keepdims": True}}.items():
        both_formats(what, class_name, VOLUME, **options)
for class_name, shape in {
    "AdaptiveMaxPooling1D": (11, 3),
    "AdaptiveMaxPooling2D": (7, 10, 3),
    "AdaptiveMaxPooling3D": VOLUME,
    "AdaptiveAveragePooling1D": (11, 3),
    "AdaptiveAveragePooling2D": (7, 10, 3),
    "AdaptiveAveragePooling3D": VOLUME,
}.items():
    sizes = {"4": 4, "5": 5, "whole": shape[:-1], "unequal": (3, 2, 5)[: len(shape) - 1]}
    if "Average" in class_name:  # Keras 3.15 ends in a floating point exception where one maximum is taken of all cells
        sizes["1"] = 1
    for what, output_size in sizes.items():
        both_formats(what, class_name, shape, output_size=output_size, kerases=("keras3",))

MASKED = {
    "draw": lambda random, shape: random.integers(0, 2, shape) if len(shape) == 2 else random.standard_normal(shape)
}
for what, options in {"last": {}, "first": {"data_format": "channels_first"}, "keepdims": {"keepdims": True}}.items():
    shape = (3, 40) if what == "first" else (40, 3)

    def masked(library, x, mask, options=options):
        return library.layers.GlobalAveragePooling1D(**options)(x, mask=mask)

    CASES.append(Case(f"masked-{what}", (shape, (40,)), masked, **MASKED))

case = adding_to(CASES)


@case((9, 3), draw=lambda random, shape: random.standard_normal(shape) * random.integers(0, 2, (*shape[:2], 1)))
def masking_before_the_mean(library, x):
    layers = library.layers
    return library.Sequential([layers.Input((9, 3)), layers.Masking(), layers.GlobalAveragePooling1D()])


IDS = {"draw": lambda random, shape: random.integers(0, 4, shape)}


@case((9,), **IDS)
def padding_ids_before_the_mean(library, x):
    return library.layers.GlobalAveragePooling1D()(library.layers.Embedding(4, 5, mask_zero=True)(x))


@case((9,), **IDS)
def a_convolution_between_ends_the_mask(library, x):
    embedded = library.layers.Embedding(4, 5, mask_zero=True)(x)
    return library.layers.GlobalAveragePooling1D()(library.layers.Conv1D(3, 2)(embedded))


@case((9,), **IDS)
def a_mask_plays_no_part_in_a_maximum(library, x):
    return library.layers.GlobalMaxPooling1D()(library.layers.Embedding(4, 5, mask_zero=True)(x))


@case((8,), **IDS)
def a_mask_plays_no_part_in_windows(library, x):
    embedded = library.layers.Embedding(4, 5, mask_zero=True)(x)
    layers = library.layers
    pooled = layers.AveragePooling1D(2)(embedded), layers.MaxPooling1D(2)(embedded)
    return [*pooled, layers.ZeroPadding1D(1)(embedded), layers.UpSampling1D(2)(embedded), layers.Flatten()(embedded)]


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_pooling_agrees(case, name, source):
    check(case, name, source)
