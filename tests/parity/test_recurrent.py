"""Recurrent layers against both Kerases: options, masks, states, and the classes that run on cuDNN alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn import from_keras
from tests.parity import cases
from tests.parity.cases import COVERED, layer
from tests.parity.kerases import (
    SOURCES,
    Case,
    adding_to,
    answer,
    assert_agrees,
    check,
    filled,
    keras,
    parameters,
    quiet,
    save,
    tf_keras,
)

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)
case = adding_to(CASES)

CLASSES = ("LSTM", "GRU", "SimpleRNN")
STEPS = (5, 3)  # steps and features: short, as errors grow from step to step
UNITS = 4

for name in CLASSES:
    one("last", name, STEPS, units=UNITS)
    one("sequence", name, STEPS, units=UNITS, return_sequences=True)
    one("free-length", name, (None, 3), units=UNITS, return_sequences=True)
    one("one-step", name, (1, 3), units=UNITS)
    one("no-bias", name, STEPS, units=UNITS, use_bias=False)
    one("backwards", name, STEPS, units=UNITS, go_backwards=True, return_sequences=True)
    one("unrolled", name, STEPS, units=UNITS, unroll=True)
    one("dropout", name, STEPS, units=UNITS, dropout=0.3, recurrent_dropout=0.2)
one("reset-before", "GRU", STEPS, units=UNITS, reset_after=False)
one("reset-before-no-bias", "GRU", STEPS, units=UNITS, reset_after=False, use_bias=False)
one("reset-after-no-bias", "GRU", STEPS, units=UNITS, reset_after=True, use_bias=False)

# hard_sigmoid means another function in each Keras; three steps, as states may grow without bound
FUNCTIONS = (("relu", "sigmoid"), ("tanh", "hard_sigmoid"), ("elu", "relu"), (None, "softsign"), ("softmax", "sigmoid"))
for activation, gate in FUNCTIONS:
    for name in ("LSTM", "GRU"):
        options = {"activation": activation, "recurrent_activation": gate}
        one(f"{activation}-{gate}", name, (3, 3), units=UNITS, **options)
for activation in ("relu", "sigmoid", "linear", "gelu"):
    one(activation, "SimpleRNN", (3, 3), units=UNITS, activation=activation)


# --- states -----------------------------------------------------------------------------------------------------------


def with_states(class_name, sequences):
    """Add cases of a layer that gives its states, and of one that begins with states."""
    count = 2 if class_name == "LSTM" else 1

    def gives(library, x):
        return layer(library, class_name, {"units": UNITS, "return_state": True, "return_sequences": sequences})(x)

    def takes(library, x, *states):
        made = layer(library, class_name, {"units": UNITS, "return_sequences": sequences})
        return made(x, initial_state=list(states))

    def hands_on(library, x, y):
        options = {"units": UNITS, "return_state": True, "return_sequences": sequences}
        _, *states = layer(library, class_name, options)(x)
        return layer(library, class_name, {**options, "go_backwards": True})(y, initial_state=states)

    what = "sequence" if sequences else "last"
    CASES.append(Case(f"{class_name}-gives-states-{what}", (STEPS,), gives))
    CASES.append(Case(f"{class_name}-takes-states-{what}", (STEPS, *[(UNITS,)] * count), takes))
    CASES.append(Case(f"{class_name}-hands-states-on-{what}", (STEPS, (7, 2)), hands_on))


for name in CLASSES:
    with_states(name, False)
    with_states(name, True)


@case(STEPS, (UNITS,))
def gru_with_its_state_alone(library, x, state):
    return library.layers.GRU(UNITS)(x, initial_state=state)


@case((None, 3))
def states_of_sequences_of_any_length(library, x):
    y, h, _ = library.layers.LSTM(UNITS, return_sequences=True, return_state=True)(x)
    return [library.layers.Dense(2)(y), h]


# --- masks ------------------------------------------------------------------------------------------------------------

MASKS = np.array(
    [
        [1, 1, 1, 0, 0],  # right-padded
        [0, 0, 1, 1, 1],  # left-padded
        [1, 0, 1, 0, 1],  # with holes
        [0, 1, 0, 1, 0],
        [0, 0, 0, 0, 0],  # nothing
        [1, 1, 1, 1, 1],  # everything
    ],
    bool,
)
OPTIONS = {
    "last": {},
    "sequence": {"return_sequences": True},
    "backwards": {"return_sequences": True, "go_backwards": True},
    "backwards-last": {"go_backwards": True},
    "zeros": {"return_sequences": True, "zero_output_for_mask": True},
    "zeros-last": {"zero_output_for_mask": True},
    "zeros-backwards": {"return_sequences": True, "zero_output_for_mask": True, "go_backwards": True},
    "unrolled": {"return_sequences": True, "unroll": True},
    "unrolled-backwards": {"go_backwards": True, "unroll": True},
    "states": {"return_sequences": True, "return_state": True},
}


def masked_model(library, class_name, options, states):
    """Build a model of a sequence, its mask, and maybe the first states."""
    count = (2 if class_name == "LSTM" else 1) * states
    x, mask = library.Input(STEPS), library.Input(STEPS[:1], dtype="bool")
    first = [library.Input((UNITS,)) for _ in range(count)]
    made = layer(library, class_name, {"units": UNITS, **options})
    given = {"initial_state": first} if states else {}
    y = made(x, mask=mask, **given)
    return filled(library.Model([x, mask, *first], y), seed=len(class_name))


@pytest.mark.parametrize("states", [False, True], ids=["zero-state", "given-state"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
def test_masked_steps_keep_the_state_as_in_keras(library, class_name, options, states):
    with quiet():
        model = masked_model(library, class_name, options, states)
    random = np.random.default_rng(3)
    shapes = [(len(MASKS), *STEPS), *[(len(MASKS), UNITS)] * (len(model.inputs) - 2)]
    x, *first = (random.standard_normal(shape).astype(np.float32) for shape in shapes)
    inputs = [x, MASKS, *first]
    wanted = answer(model, inputs)
    name = f"{library.__name__}-{class_name}-{states}-{'-'.join(options)}"
    for source in save(model, f"masked-{name}").values():
        assert_agrees(from_keras(source, strict=False), inputs, wanted, 1e-3)


# --- classes of Keras 2 that run on cuDNN alone -----------------------------------------------------------------------

COVERED.update(("CuDNNLSTM", "CuDNNGRU"))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "return_state": True, "go_backwards": True}])
@pytest.mark.parametrize(("class_name", "plain"), [("CuDNNLSTM", "LSTM"), ("CuDNNGRU", "GRU")])
def test_a_layer_for_cudnn_gives_what_its_plain_class_gives(class_name, plain, options, source):
    """Without a GPU Keras cannot run it: the answer is the plain layer's, whose weights Keras itself converts."""
    from tf_keras.src.layers.rnn import cudnn_gru, cudnn_lstm
    from tf_keras.src.saving.legacy.hdf5_format import _convert_rnn_weights

    kinds = {"CuDNNLSTM": cudnn_lstm.CuDNNLSTM, "CuDNNGRU": cudnn_gru.CuDNNGRU}
    models = []
    for kind in (getattr(tf_keras.layers, plain), kinds[class_name]):
        x = tf_keras.Input(STEPS)
        models.append(tf_keras.Model(x, kind(UNITS, **options)(x)))
    filled(models[0], seed=1)
    models[1].set_weights(_convert_rnn_weights(models[1].layers[1], models[0].get_weights()))
    x = np.random.default_rng(2).standard_normal((2, *STEPS)).astype(np.float32)
    found = from_keras(save(models[1], f"{class_name}-{len(options)}")[source], strict=False)
    assert_agrees(found, x, answer(models[0], x), 1e-3)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_a_recurrent_layer_agrees_with_keras(case, name, source):
    check(case, name, source)
