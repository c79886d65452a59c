"""ConvLSTM1D, 2D and 3D in both Kerases and from every source."""

from __future__ import annotations

import pytest

from tests.parity.cases import COVERED, layer
from tests.parity.kerases import Case, adding_to, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
case = adding_to(CASES)
COVERED.update(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"))

SIZES = {1: (5,), 2: (4, 5), 3: (3, 2, 4)}
KERNELS = {1: 3, 2: (3, 2), 3: (2, 1, 3)}
RELATIVE = 1e-2  # errors grow from step to step


def steps_or_mask(random, shape):
    """Draw a mask of two axes, and numbers otherwise."""
    return random.integers(0, 2, shape) if len(shape) == 2 else random.standard_normal(shape)


def one(what, axes, steps=3, kerases=("keras3", "keras2"), wrap=None, **options):
    """Add the case of one layer; ``wrap`` is given the layers and the layer."""
    first = options.get("data_format") == "channels_first"
    shape = (steps, 2, *SIZES[axes]) if first else (steps, *SIZES[axes], 2)

    def build(library, x):
        options_of_all = {"filters": 2, "kernel_size": KERNELS[axes], **options}
        made = layer(library, f"ConvLSTM{axes}D", options_of_all)
        found = (wrap(library.layers, made) if wrap else made)(x)
        return list(found) if isinstance(found, (list, tuple)) else found

    CASES.append(Case(f"ConvLSTM{axes}D-{what}", (shape,), build, kerases, relative=RELATIVE))


for axes in (1, 2, 3):
    one("last", axes)
    one("sequence", axes, padding="same", return_sequences=True)
    one("sequence-and-states", axes, return_sequences=True, return_state=True)
one("first", 2, data_format="channels_first", return_sequences=True, return_state=True)
one("first-last-step", 2, data_format="channels_first")
one("any-number-of-steps", 2, steps=None, return_sequences=True)
one("strides", 2, strides=(2, 1), padding="same", return_sequences=True)
one("dilation", 2, dilation_rate=(1, 2), padding="same")
one("backwards", 2, go_backwards=True, return_sequences=True, return_state=True)
one("no-bias", 1, use_bias=False, dropout=0.2, recurrent_dropout=0.3)
one("functions", 1, activation="relu", recurrent_activation="hard_sigmoid")
one("states-alone", 1, return_state=True)
one("unrolled", 1, kerases=("keras3",), unroll=True, return_sequences=True)
one("both-ways", 2, wrap=lambda layers, made: layers.Bidirectional(made, merge_mode="sum"), return_sequences=True)
one("both-ways-joined", 1, wrap=lambda layers, made: layers.Bidirectional(made))


@case((3, 4, 5, 2), (4, 5, 2), (4, 5, 2), relative=RELATIVE)
def given_states(library, x, h, c):
    made = library.layers.ConvLSTM2D(2, (3, 2), padding="same", return_sequences=True)
    return made(x, initial_state=[h, c])


@case((3, 4, 5, 2), relative=RELATIVE)
def layers_one_behind_the_other(library, x):
    layers = library.layers
    y = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True)(x)
    y = layers.TimeDistributed(layers.BatchNormalization())(y)
    y = layers.ConvLSTM2D(2, 2)(y)
    return layers.Conv2D(2, 2, activation="relu")(y)


@case((4, 3, 2), (4,), draw=steps_or_mask, relative=RELATIVE)
def masked_steps(library, x, mask):
    layers, options = library.layers, {"padding": "same", "return_sequences": True}
    found = [layers.ConvLSTM1D(2, 2, **options)(x, mask=mask), layers.ConvLSTM1D(2, 2)(x, mask=mask)]
    return [*found, layers.Bidirectional(layers.ConvLSTM1D(2, 2, **options))(x, mask=mask)]


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_a_convolutional_lstm_agrees_with_keras(case, name, source):
    check(case, name, source)
