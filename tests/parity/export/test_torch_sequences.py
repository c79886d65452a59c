"""Models of sequences in PyTorch: attention, recurrent layers, masks and states, as people build them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from keydnn import from_keras
from keydnn.export.torch import translate
from tests.parity.export.runtime import within
from tests.parity.export.test_torch import run

pytestmark = pytest.mark.parity

TOKENS = np.float32([[3, 1, 4, 1, 5, 0, 0], [2, 6, 5, 3, 0, 0, 0], [1, 1, 2, 0, 0, 0, 0]])  # 0 is padding
SERIES = np.random.default_rng(0).standard_normal((3, 7, 5)).astype(np.float32)


def transformer(causal, masked):
    """Give a block of attention and one of dense layers, before the norms, over embedded tokens and places."""
    ids = keras.Input((7,))
    x = layers.Embedding(10, 16, mask_zero=masked)(ids)
    x = x + layers.Embedding(7, 16)(ops.arange(7))
    attended = layers.MultiHeadAttention(4, 4)(y := layers.LayerNormalization()(x), y, use_causal_mask=causal)
    x = x + attended
    dense = layers.Dense(32, "gelu")(layers.LayerNormalization()(x))
    x = x + layers.Dense(16)(dense)
    return keras.Model(ids, layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x))), TOKENS


def recurrent(kind, masked, **options):
    """Give two layers, the first in both directions."""
    ids = keras.Input((7,))
    x = layers.Embedding(10, 6, mask_zero=masked)(ids)
    x = layers.Bidirectional(kind(5, return_sequences=True, **options))(x)
    return keras.Model(ids, layers.Dense(2)(kind(4, **options)(x))), TOKENS


def encoder_decoder(kind):
    """Give a layer that begins with the states of another, and all states."""
    x = keras.Input((7, 5))
    _, *states = kind(6, return_state=True)(x)
    decoded, *last = kind(6, return_sequences=True, return_state=True)(x, initial_state=states)
    return keras.Model(x, [layers.Dense(2)(decoded), *last]), SERIES


def grouped():
    """Give attention whose heads share keys."""
    x = keras.Input((7, 5))
    return keras.Model(x, layers.GroupQueryAttention(4, 4, 2)(x, x, use_causal_mask=True)), SERIES


def convolutional():
    """Give a layer of images over time."""
    x = keras.Input((4, 6, 5, 2))
    found = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, go_backwards=True)(x)
    found = layers.ConvLSTM2D(2, (2, 3))(found)
    return keras.Model(x, found), np.random.default_rng(1).standard_normal((2, 4, 6, 5, 2)).astype(np.float32)


MODELS = {
    "transformer": (transformer, False, False),
    "transformer, causal": (transformer, True, False),
    "transformer, masked": (transformer, False, True),
    "transformer, causal, masked": (transformer, True, True),
    "LSTM": (recurrent, layers.LSTM, False),
    "LSTM, masked": (recurrent, layers.LSTM, True),
    "GRU": (recurrent, layers.GRU, False),
    "GRU, masked": (recurrent, layers.GRU, True),
    "SimpleRNN": (recurrent, layers.SimpleRNN, False),
    "LSTM from states": (encoder_decoder, layers.LSTM),
    "GRU from states": (encoder_decoder, layers.GRU),
    "shared heads": (grouped,),
    "convolutional": (convolutional,),
}


def built(name):
    """Give a model with weights of one seed, its input, and what Keras answers."""
    keras.utils.set_random_seed(0)
    build, *arguments = MODELS[name]
    model, x = build(*arguments)
    return from_keras(model, strict=False), x, [np.asarray(array) for array in keras.tree.flatten(model(x))]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_as_keras_does(name):
    model, x, answers = built(name)
    within(run(model.graph, [x]), answers)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN", "LSTM from states", "GRU from states"])
def test_layers_are_those_of_pytorch_where_they_are_the_same(name):
    code = translate(built(name)[0].graph, "model").code
    assert "Keras" not in code.partition("\n")[2]
    assert "with_states" not in code


def test_states_are_left_apart_where_masks_are():
    """A layer with a mask, which PyTorch has not, gives a tuple too."""
    ids = keras.Input((7,))
    x = layers.Embedding(10, 6, mask_zero=True)(ids)
    layer = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")
    model = keras.Model(ids, layer(x))
    graph = from_keras(model, strict=False).graph
    code = translate(graph, "model").code
    assert "self.lstm = KerasLSTM(6, 4, return_sequences=True, return_state=True)" in code
    assert "with_states" not in code
    within(run(graph, [TOKENS]), [np.asarray(array) for array in model(TOKENS)])
