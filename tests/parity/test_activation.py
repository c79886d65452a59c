"""Activation layers in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.parity import cases
from tests.parity.cases import COVERED, RANKED, leaky
from tests.parity.kerases import Case, adding_to, check, parameters

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

for what, options in {
    "plain": {},
    "max": {"max_value": 1.5},
    "max-6": {"max_value": 6.0},
    "slope": {"negative_slope": 0.1},
    "threshold": {"threshold": 0.4},
    "slope-threshold": {"negative_slope": 0.1, "threshold": 0.4},
    "max-threshold": {"max_value": 1.5, "threshold": 0.4},
    "max-slope": {"max_value": 1.5, "negative_slope": 0.1},
    "all": {"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.4},
}.items():
    one(what, "ReLU", (3, 40), **options)
one("plain", "LeakyReLU", (3, 40))
one("slope", "LeakyReLU", (3, 40), negative_slope=0.1, kerases=("keras3",))
one("alpha", "LeakyReLU", (3, 40), alpha=0.1, kerases=("keras2",))
one("plain", "ELU", (3, 40))
one("alpha", "ELU", (3, 40), alpha=0.3)
one("theta", "ThresholdedReLU", (3, 40), theta=0.7, kerases=("keras2",))
for rank, shape in RANKED.items():
    one(f"rank-{rank}", "PReLU", shape)
    for axis in range(1, rank):
        one(f"rank-{rank}-shared-{axis}", "PReLU", shape, shared_axes=[axis])
one("rank-5", "PReLU", (2, 3, 4, 5), shared_axes=[1, 2, 3])
one("shared-1-2", "PReLU", (4, 3, 5), shared_axes=[1, 2])
one("shared-1-2-free", "PReLU", (None, None, 5), shared_axes=[1, 2])
one("shared-2-3", "PReLU", (4, 3, 5), shared_axes=[2, 3])
one("shared-all", "PReLU", (4, 3, 5), shared_axes=[1, 2, 3])
one("shared-number", "PReLU", (4, 3, 5), shared_axes=2)
for rank, shape in RANKED.items():
    for axis in (-1, *range(1, rank)):
        one(f"rank-{rank}-axis-{axis}", "Softmax", shape, axis=axis)
one("axis-list-of-one", "Softmax", (4, 3, 5), axis=[2])
for axes in ([1, 2], [2, 3], [-1, -2], [3, 1], [1, 2, 3]):
    one(f"axes-{axes}", "Softmax", (4, 3, 5), axis=axes)
one("axes-1-2-free", "Softmax", (None, 5), axis=[1, 2])
one("relu", "Activation", (3, 40), activation="relu")
one("object", "Activation", (3, 40), activation=leaky)
one("function", "Activation", (3, 40), activation=lambda library: library.activations.gelu)
one("function-of-tensorflow", "Activation", (3, 40), activation=lambda library: tf.nn.relu6)
one("softmax-of-tensorflow", "Activation", (3, 40), activation=lambda library: tf.nn.softmax)
one("log-softmax-of-tensorflow", "Activation", (3, 40), activation=lambda library: tf.nn.log_softmax)
one("rank-3", "Identity", (3, 40))

# Keras 3 writes calls of these functions on tensors as operations; tf-keras writes code, which is refused.
COVERED |= {"ops>ReLU", "ops>Softmax"}
for what, function in {
    "relu": lambda library, x: library.activations.relu(x),
    "relu-all": lambda library, x: library.activations.relu(x, negative_slope=0.1, max_value=1.5, threshold=0.4),
    "softmax": lambda library, x: library.activations.softmax(x),
    "softmax-axis-1": lambda library, x: library.ops.softmax(library.layers.Dense(3)(x), axis=1),
}.items():
    CASES.append(Case(f"operation-{what}", ((3, 40),), function, ("keras3",)))

case = adding_to(CASES)


def bits(random, shape):
    """Draw zeros and ones, with a one in every line."""
    drawn = random.integers(0, 2, shape)
    drawn[:, 0] = drawn[..., 0] = 1
    return drawn


def masked_softmax(what, shape, mask_shape, kerases=("keras3", "keras2"), draw=bits, **options):
    """Add the case of a Softmax of numbers with a mask, which is the second input."""

    def build(library, x, mask):
        return library.layers.Softmax(**options)(library.layers.Dense(shape[-1])(x), mask=mask)

    CASES.append(Case(f"Softmax-mask-{what}", (shape, mask_shape), build, kerases, draw=draw))


masked_softmax("rank-2", (6,), (6,))
masked_softmax("rank-3", (4, 6), (4, 6))
masked_softmax("broadcast", (4, 6), (1, 6))
masked_softmax("scores", (2, 3, 6), (1, 1, 6))
masked_softmax("axis-1", (4, 6), (4, 6), axis=1)
masked_softmax("axes-1-2", (4, 6), (4, 6), axis=[1, 2])
masked_softmax("robust", (4, 6), (4, 6), ("keras2",), robust_masking=True)
masked_softmax(
    "hidden-lines",
    (4, 6),
    (4, 6),
    ("keras3",),
    lambda random, shape: random.integers(0, 2, (*shape[:-1], 1)) * np.ones(shape),
)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_activation_layer_agrees(case, name, source):
    check(case, name, source)
