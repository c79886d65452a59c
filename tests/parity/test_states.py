"""Stateful layers in both Kerases: states that go on from one prediction to the next, and begin anew."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras, load
from keydnn.errors import KerasInteropError, ShapeError
from tests.parity.kerases import FOLDER, KERASES, SOURCES, answer, filled, keras, quiet, save, tensorflow
from tests.within import assert_informative, assert_within, outputs_of

pytestmark = pytest.mark.parity

BATCH, UNITS = 3, 4


def sequential(make):
    """Give a model of layers one behind the other, on sequences of any length."""

    def build(library):
        return library.Sequential([library.Input(batch_shape=(BATCH, None, 2)), *make(library.layers)])

    return build


def functional(library):
    x = library.Input(batch_shape=(BATCH, None, 2))
    layers = library.layers
    y, *states = layers.LSTM(UNITS, stateful=True, return_sequences=True, return_state=True)(x)
    y = layers.Bidirectional(layers.GRU(UNITS, stateful=True))(y)
    return library.Model(x, [y, states[1], layers.Dense(2)(states[0])])


def nested(library):
    layers = library.layers
    inner = library.Sequential([library.Input(batch_shape=(BATCH, None, 2)), layers.GRU(UNITS, stateful=True)])
    x = library.Input(batch_shape=(BATCH, None, 2))
    return library.Model(x, layers.Dense(2)(inner(x)))


MODELS = {
    "LSTM": sequential(lambda layers: [layers.LSTM(UNITS, stateful=True)]),
    "GRU": sequential(lambda layers: [layers.GRU(UNITS, stateful=True, return_sequences=True)]),
    "SimpleRNN": sequential(lambda layers: [layers.SimpleRNN(UNITS, stateful=True)]),
    "two-layers": sequential(
        lambda layers: [
            layers.LSTM(UNITS, stateful=True, return_sequences=True),
            layers.Dropout(0.2),
            layers.LSTM(UNITS, stateful=True),
            layers.Dense(2),
        ]
    ),
    "one-of-two": sequential(
        lambda layers: [layers.GRU(UNITS, return_sequences=True), layers.GRU(UNITS, stateful=True)]
    ),
    "both-ways": sequential(lambda layers: [layers.Bidirectional(layers.LSTM(UNITS, stateful=True))]),
    "cells": sequential(lambda layers: [layers.RNN([layers.LSTMCell(UNITS), layers.GRUCell(UNITS)], stateful=True)]),
    "masked": sequential(lambda layers: [layers.Masking(), layers.LSTM(UNITS, stateful=True)]),
    "convolutional": lambda library: library.Sequential(
        [
            library.Input(batch_shape=(BATCH, 2, 3, 2)),
            library.layers.ConvLSTM1D(2, 2, padding="same", stateful=True),
        ]
    ),
    "functional": functional,
    "nested": nested,
}


def steps(lengths, seed=0):
    """Draw sequences, some steps of them zeros."""
    random = np.random.default_rng(seed)
    drawn = [random.standard_normal((BATCH, length, 2)) for length in lengths]
    return [(x * (random.random((*x.shape[:2], 1)) < 0.7)).astype(np.float32) for x in drawn]


def reset(model):
    """Begin anew; Keras 3 has no word for it that does so in all layers."""
    if hasattr(model, "reset_states"):
        model.reset_states()
        return
    for layer in model.layers:
        if hasattr(layer, "layers"):
            reset(layer)
        for state in keras.tree.flatten(getattr(layer, "states", None) or ()):
            state.assign(np.zeros(state.shape))


def fed(model, x):
    """Give sequences in the shape that a model takes: images for the convolutional ones, always of two steps."""
    wanted = model.graph.given[0].shape
    return x if len(wanted) == 3 else np.resize(x, wanted).astype(np.float32)


def assert_goes_on(model, kerases, sequences):
    """Assert that every prediction begins where the one before has ended, in KeyDNN as in Keras."""
    states = []
    for x in (fed(model, x) for x in sequences):
        bounds = outputs_of(model.graph, [x, *states])
        count = len(model.graph.results)
        states = bounds[count:]
        found, wanted = (
            value if isinstance(value, list) else [value] for value in (model.predict(x), answer(kerases, x))
        )
        for mine, theirs, bounded in zip(found, wanted, bounds[:count], strict=True):
            assert_informative(bounded, 2e-3)
            assert_within(theirs, bounded.value, bounded.error)
            assert_within(mine, bounded.value, bounded.error)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_predictions_begin_where_the_last_one_ended(build, name, source):
    with quiet():
        kerases = filled(build(KERASES[name]), seed=1)
        model = from_keras(save(kerases, f"stateful-{name}", [source])[source], strict=False)
        reset(kerases)
    assert_goes_on(model, kerases, steps([2, 1, 1, 3]))
    model.reset_states()
    reset(kerases)
    assert_goes_on(model, kerases, steps([1, 2], seed=1))


@pytest.mark.parametrize("name", KERASES)
def test_a_checkpoint_begins_with_zeros_and_goes_on(name):
    kerases = filled(functional(KERASES[name]), seed=2)
    model = from_keras(kerases, strict=False)
    model.predict(steps([2])[0])
    model.save(FOLDER / "stateful.json")
    reset(kerases)
    assert_goes_on(load(FOLDER / "stateful.json"), kerases, steps([1, 2]))


@pytest.mark.parametrize("name", KERASES)
def test_another_number_of_examples_is_refused_where_keras_refuses_it(name):
    kerases = filled(MODELS["LSTM"](KERASES[name]), seed=3)
    x = np.zeros((BATCH + 1, 2, 2), np.float32)
    with pytest.raises((ValueError, tensorflow.errors.InvalidArgumentError)), quiet():
        kerases(x)
    with pytest.raises(ShapeError, match=r"must have shape \(3, \?, 2\), got \(4, 2, 2\)"):
        from_keras(kerases).predict(x)


@pytest.mark.parametrize("name", KERASES)
def test_a_stateful_layer_that_is_called_twice_is_refused(name):
    library = KERASES[name]
    x = library.Input(batch_shape=(BATCH, 3, 2))
    shared = library.layers.GRU(UNITS, stateful=True)
    with pytest.raises(KerasInteropError, match="stateful=True, called more than once"):
        from_keras(library.Model(x, library.layers.Add()([shared(x), shared(x)])))


def test_states_given_to_a_stateful_layer_count_once_in_keras_2_and_are_refused():
    library = KERASES["keras2"]
    x, h = library.Input(batch_shape=(BATCH, 3, 2)), library.Input(batch_shape=(BATCH, UNITS))
    model = library.Model([x, h], library.layers.GRU(UNITS, stateful=True)(x, initial_state=h))
    with pytest.raises(KerasInteropError, match="stateful=True and initial states"):
        from_keras(model)


def test_states_given_to_a_stateful_layer_are_what_counts_in_keras_3():
    library = KERASES["keras3"]
    x, h = library.Input(batch_shape=(BATCH, None, 2)), library.Input(batch_shape=(BATCH, UNITS))
    kerases = filled(library.Model([x, h], library.layers.GRU(UNITS, stateful=True)(x, initial_state=h)), seed=4)
    model = from_keras(kerases)
    assert not model.graph.states
    first = np.random.default_rng(5).standard_normal((BATCH, UNITS)).astype(np.float32)
    for x in steps([2, 1]):
        (bounded,) = outputs_of(model.graph, [x, first])
        assert_within(answer(kerases, [x, first]), bounded.value, bounded.error)
        assert_within(model.predict([x, first]), bounded.value, bounded.error)


@pytest.mark.parametrize("name", KERASES)
def test_a_stateful_layer_for_every_step_is_refused(name):
    library = KERASES[name]
    layers = library.layers
    with quiet():
        inner = library.Sequential([library.Input(batch_shape=(BATCH, 3, 2)), layers.GRU(UNITS, stateful=True)])
        x = library.Input(batch_shape=(BATCH, 1, 3, 2))
        model = library.Model(x, layers.TimeDistributed(inner)(x))
    with pytest.raises(KerasInteropError, match="TimeDistributed of a stateful layer"):
        from_keras(model)
