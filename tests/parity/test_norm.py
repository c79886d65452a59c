"""Normalizations in both Kerases and from every source."""

from __future__ import annotations

import importlib
from functools import partial

import pytest

from tests.parity import cases
from tests.parity.cases import RANKED
from tests.parity.kerases import KERASES, Case, adding_to, check, parameters

tf = pytest.importorskip("tensorflow")
spectral_normalization = importlib.import_module("tf_keras.src.layers.normalization.spectral_normalization")
pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

for rank, shape in RANKED.items():
    for axis in (-1, *range(1, rank)):
        one(f"rank-{rank}-axis-{axis}", "BatchNormalization", shape, axis=axis)
    for scale, center in ((False, True), (True, False), (False, False)):
        one(f"rank-{rank}-scale-{scale}-center-{center}", "BatchNormalization", shape, scale=scale, center=center)
for axis in (-1, 1, 2, -2):
    one(f"rank-5-axis-{axis}", "BatchNormalization", (2, 3, 4, 5), axis=axis)
one("epsilon", "BatchNormalization", (4, 3, 5), epsilon=0.3)
one("epsilon-1e-7", "BatchNormalization", (4, 3, 5), epsilon=1e-7)
one("renorm", "BatchNormalization", (4, 3, 5), renorm=True, renorm_clipping={"rmax": 2.0})
one("renorm-no-scale", "BatchNormalization", (4, 3), renorm=True, scale=False)
one("axes-1-3", "BatchNormalization", (4, 3, 5), kerases=("keras2",), axis=[1, 3])
one("axes-3-1", "BatchNormalization", (4, 3, 5), kerases=("keras2",), axis=[3, 1], scale=False)
one("axes-1-2", "BatchNormalization", (4, 3), kerases=("keras2",), axis=[1, 2], scale=False, center=False)
one("axes-3", "BatchNormalization", (4, 3, 5), kerases=("keras2",), axis=[3])

# The mean of squares of few values may cancel: the bound is larger than that of one sum.
for rank, shape in RANKED.items():
    for axis in (-1, *range(1, rank)):
        one(f"rank-{rank}-axis-{axis}", "LayerNormalization", shape, axis=axis)
one("axes-1-2", "LayerNormalization", (6, 5), axis=[1, 2])
one("axes-2-1", "LayerNormalization", (6, 5), axis=[2, 1])
one("axes--1-1", "LayerNormalization", (6, 5), axis=[-1, 1])
one("axes-2-3", "LayerNormalization", (4, 3, 5), axis=[2, 3])
one("axes-1-3", "LayerNormalization", (4, 3, 5), axis=[1, 3])
one("axes-1-2-3", "LayerNormalization", (4, 3, 5), axis=[1, 2, 3])
one("axes--2--1", "LayerNormalization", (4, 3, 5), axis=[-2, -1])
for scale, center in ((False, True), (True, False), (False, False)):
    one(f"scale-{scale}-center-{center}", "LayerNormalization", (6, 5), scale=scale, center=center)
one("epsilon-0.3", "LayerNormalization", (6, 5), epsilon=0.3)
one("epsilon-1e-6", "LayerNormalization", (6, 5), epsilon=1e-6)
for axis in (-1, 1, [1, 2]):
    one(f"rms-axis-{axis}", "LayerNormalization", (6, 5), kerases=("keras3",), rms_scaling=True, axis=axis)
one("rms-no-scale", "LayerNormalization", (6, 5), kerases=("keras3",), rms_scaling=True, scale=False)

for groups in (1, 3, 6, -1):
    one(f"groups-{groups}", "GroupNormalization", (4, 3, 6), groups=groups)
one("rank-2", "GroupNormalization", (6,), groups=2)
one("rank-3", "GroupNormalization", (5, 6), groups=2)
one("rank-5", "GroupNormalization", (2, 3, 4, 6), groups=2)
one("free-sizes", "GroupNormalization", (None, None, 6), groups=2)
for axis in (1, 2, -2):
    one(f"axis-{axis}", "GroupNormalization", (4, 6, 5), groups=2, axis=axis)
for scale, center in ((False, True), (True, False), (False, False)):
    one(f"scale-{scale}-center-{center}", "GroupNormalization", (4, 6), groups=2, scale=scale, center=center)
one("epsilon", "GroupNormalization", (4, 6), groups=2, epsilon=0.3)

for rank, shape in RANKED.items():
    one(f"rank-{rank}", "RMSNormalization", shape, kerases=("keras3",))
one("axes-1-2", "RMSNormalization", (6, 5), kerases=("keras3",), axis=[1, 2])
one("axes--2--1", "RMSNormalization", (4, 6, 5), kerases=("keras3",), axis=(-2, -1))
one("epsilon", "RMSNormalization", (6, 5), kerases=("keras3",), epsilon=0.3)
# The scale is multiplied along the last axis all the same, which must have as many cells.
one("axis-1", "RMSNormalization", (5, 5), kerases=("keras3",), axis=1)
one("axes--1-1", "RMSNormalization", (5, 5), kerases=("keras3",), axis=[1, -1])

for rank, shape in RANKED.items():
    for axis in (-1, *range(1, rank)):
        one(f"rank-{rank}-axis-{axis}", "UnitNormalization", shape, axis=axis)
one("axes-2-1", "UnitNormalization", (4, 3, 5), axis=[2, 1])
one("axes-1-3", "UnitNormalization", (4, 3, 5), axis=[1, 3])


case = adding_to(CASES)


class LegacyTensorFlow:
    """TensorFlow whose ``tf.keras`` is tf-keras: its SpectralNormalization takes InputSpec from there."""

    keras = KERASES["keras2"]

    def __getattr__(self, name):
        return getattr(tf, name)


spectral_normalization.tf = LegacyTensorFlow()


@case((5,))
def spectral_dense(library, x):
    return library.layers.SpectralNormalization(library.layers.Dense(4, activation="relu"))(x)


@case((5, 6, 3))
def spectral_conv2d(library, x):
    layers = library.layers
    return layers.Dense(2)(layers.SpectralNormalization(layers.Conv2D(4, 3, padding="same"), power_iterations=2)(x))


@case((5, 3))
def spectral_steps(library, x):
    layers = library.layers
    return layers.TimeDistributed(layers.SpectralNormalization(layers.Dense(4)))(x)


@case((5,), draw=lambda random, shape: random.integers(0, 9, shape))
def spectral_embedding(library, x):
    return library.layers.SpectralNormalization(library.layers.Embedding(9, 4))(x)


@case((5,))
def spectral_shared(library, x):
    shared = library.layers.SpectralNormalization(library.layers.Dense(5, use_bias=False))
    return shared(shared(x))


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_normalization_agrees(case, name, source):
    check(case, name, source)
