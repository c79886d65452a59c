"""Masks through whole models: where they come from, which layers hand them on, use them or end them."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import KerasInteropError
from tests.parity.cases import COVERED
from tests.parity.kerases import Case, adding_to, check, parameters, tensorflow

pytestmark = pytest.mark.parity

CASES: list[Case] = []
COVERED.update(("Masking",))

STEPS = (5, 3)
UNITS = 4


def padded(random, shape):
    """Draw sequences with steps of zeros, anywhere but in one place of each."""
    x = random.standard_normal(shape) * (random.random((*shape[:-1], 1)) < 0.5)
    x[:, shape[1] // 2] = random.standard_normal(x[:, 0].shape)
    return x


case = adding_to(CASES)


def chain(what, *makers, shape=STEPS, **options):
    """Add the case of layers one behind the other, after a Masking."""

    def build(library, x):
        layers = [library.layers.Masking(), *(make(library.layers) for make in makers)]
        return library.Sequential([library.Input(shape), *layers])

    CASES.append(Case(what, (shape,), build, draw=padded, sources=("keras",), **options))


def lstm(layers, **options):
    return layers.LSTM(UNITS, **options)


def sequence(layers):
    return layers.LSTM(UNITS, return_sequences=True)


# --- where masks come from --------------------------------------------------------------------------------------------

chain("masking-alone")
chain("masking-of-parts-of-steps", shape=(4, 2, 3))


@case((6,), draw=lambda random, shape: random.integers(0, 3, shape))
def embedding_of_a_functional_model_read_both_ways(library, x):
    layers = library.layers
    return layers.Bidirectional(layers.LSTM(UNITS))(layers.Embedding(3, 4, mask_zero=True)(x))


@case(STEPS, draw=lambda random, shape: np.where(random.random((*shape[:-1], 1)) < 0.5, -1.5, random.random(shape)))
def another_mask_value(library, x):
    return library.Sequential([library.Input(STEPS), library.layers.Masking(-1.5), lstm(library.layers)])


@case(STEPS, draw=lambda random, shape: random.choice([0, -1.5, 2], (*shape[:-1], 1)) * np.ones(shape))
def the_last_masking_counts(library, x):
    layers = library.layers
    return library.Sequential([library.Input(STEPS), layers.Masking(), layers.Masking(2.0), lstm(layers)])


# --- which layers use them --------------------------------------------------------------------------------------------

for name in ("LSTM", "GRU", "SimpleRNN"):
    for options in ({}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True}):
        what = "-".join((name, *options))
        chain(what, lambda layers, name=name, options=options: getattr(layers, name)(UNITS, **options))
for mode in ("concat", "sum", "ave", "mul"):
    for options in ({}, {"return_sequences": True}):
        made = lambda layers, mode=mode, options=options: layers.Bidirectional(  # noqa: E731  # one of many
            layers.GRU(UNITS, **options), merge_mode=mode
        )
        chain("-".join(("Bidirectional", mode, *options)), made)


def stack(layers, **options):
    return layers.RNN([layers.LSTMCell(UNITS), layers.GRUCell(UNITS)], **options)


chain("cells", stack)
chain("cells-sequence", lambda layers: stack(layers, return_sequences=True))
chain("cells-backwards", lambda layers: stack(layers, return_sequences=True, go_backwards=True))
chain("cells-zeros", lambda layers: stack(layers, return_sequences=True, zero_output_for_mask=True))
chain("cells-both-ways", lambda layers: layers.Bidirectional(stack(layers, return_sequences=True)), sequence)

chain("mean-of-steps-that-count", lambda layers: layers.GlobalAveragePooling1D())
chain("mean-of-what-follows", sequence, lambda layers: layers.GlobalAveragePooling1D())

# --- which hand them on, and which end them ---------------------------------------------------------------------------

PASSING = {
    "Dense": lambda layers: layers.Dense(UNITS, activation="tanh"),
    "Activation": lambda layers: layers.Activation("softmax"),
    "ReLU": lambda layers: layers.ReLU(),
    "LeakyReLU": lambda layers: layers.LeakyReLU(),
    "ELU": lambda layers: layers.ELU(),
    "PReLU": lambda layers: layers.PReLU(),
    "BatchNormalization": lambda layers: layers.BatchNormalization(),
    "LayerNormalization": lambda layers: layers.LayerNormalization(),
    "UnitNormalization": lambda layers: layers.UnitNormalization(),
    "Dropout": lambda layers: layers.Dropout(0.5),
    "SpatialDropout1D": lambda layers: layers.SpatialDropout1D(0.5),
    "GaussianDropout": lambda layers: layers.GaussianDropout(0.5),
    "GaussianNoise": lambda layers: layers.GaussianNoise(0.5),
    "Rescaling": lambda layers: layers.Rescaling(0.5, 0.1),  # these three hand it on in Keras 3 alone
    "Identity": lambda layers: layers.Identity(),
    "Normalization": lambda layers: layers.Normalization(mean=0.5, variance=2.0),
    "ActivityRegularization": lambda layers: layers.ActivityRegularization(0.5),
    "LSTM": sequence,
    "Bidirectional": lambda layers: layers.Bidirectional(sequence(layers)),
    "TimeDistributed-Dense": lambda layers: layers.TimeDistributed(layers.Dense(UNITS)),
    "TimeDistributed-LayerNormalization": lambda layers: layers.TimeDistributed(layers.LayerNormalization()),
    "backwards": lambda layers: lstm(layers, return_sequences=True, go_backwards=True),
}
for name, make in PASSING.items():
    chain(f"through-{name}", make, lstm)
for name, make in {
    "Flatten": lambda layers: layers.Flatten(),
    "GlobalMaxPooling1D": lambda layers: layers.GlobalMaxPooling1D(),
}.items():
    chain(f"ended-by-{name}", make)
for name, make in {
    "Reshape": lambda layers: layers.Reshape((5, 3)),
    "Permute": lambda layers: layers.Permute((2, 1)),
    "Conv1D": lambda layers: layers.Conv1D(3, 3, padding="same"),
    "MaxPooling1D": lambda layers: layers.MaxPooling1D(2),
}.items():
    chain(f"ended-by-{name}", make, lstm)
chain("of-steps-of-steps", lambda layers: layers.TimeDistributed(lstm(layers)), shape=(4, 2, 3), kerases=("keras2",))


# --- beside first states: Keras 3 heeds no mask but one that the call names, and hands the other on all the same ------

DECODERS = {
    "LSTM": (2, lambda layers, **options: layers.LSTM(UNITS, **options)),
    "GRU": (1, lambda layers, **options: layers.GRU(UNITS, **options)),
    "Bidirectional": (2, lambda layers, **options: layers.Bidirectional(layers.SimpleRNN(UNITS, **options))),
    "cell": (1, lambda layers, **options: layers.RNN(layers.GRUCell(UNITS), **options)),
    "cells": (2, lambda layers, **options: layers.RNN([layers.GRUCell(UNITS), layers.SimpleRNNCell(UNITS)], **options)),
}


def steps_and_mask(random, shape):
    return random.random(shape) < 0.5 if shape[1:] == STEPS[:1] else padded(random, shape)


for name, (count, make) in DECODERS.items():

    def mean_of_what_follows(library, x, *states, make=make):
        layers = library.layers
        y = make(layers, return_sequences=True)(layers.Masking()(x), initial_state=list(states))
        return layers.GlobalAveragePooling1D()(y)

    def with_a_mask_of_its_own(library, x, mask, *states, make=make):
        return make(library.layers, return_sequences=True)(x, mask=mask, initial_state=list(states))

    CASES.append(Case(f"beside-states-{name}", (STEPS, *[(UNITS,)] * count), mean_of_what_follows, draw=padded))
    shapes = (STEPS, STEPS[:1], *[(UNITS,)] * count)
    dtypes = ("float32", "bool", *["float32"] * count)
    CASES.append(
        Case(f"beside-states-and-named-{name}", shapes, with_a_mask_of_its_own, dtypes=dtypes, draw=steps_and_mask)
    )


def turned_round(library, x, mask, *states):
    layers = library.layers
    cells = [layers.GRUCell(UNITS), layers.SimpleRNNCell(UNITS)]
    return layers.RNN(cells, return_sequences=True, go_backwards=True)(x, mask=mask, initial_state=list(states))


BACKWARDS = {"dtypes": ("float32", "bool", "float32", "float32"), "draw": steps_and_mask}
BACKWARDS_SHAPES = (STEPS, STEPS[:1], (UNITS,), (UNITS,))
CASES.append(Case("beside-states-backwards", BACKWARDS_SHAPES, turned_round, ("keras2",), **BACKWARDS))


@case((3, 32), (3, 3, 3), (3, 3, 3), draw=padded, kerases=("keras3",))  # Reshape takes no mask in Keras 2
def beside_states_of_images(library, x, *states):
    layers = library.layers
    images = layers.TimeDistributed(layers.Reshape((4, 4, 2)))(layers.Masking()(x))
    return layers.ConvLSTM2D(3, 2)(images, initial_state=list(states))


# --- as graphs: Keras 3 writes masks as operations, Keras 2 does not --------------------------------------------------


@case((5, 3), (5, 3), draw=padded)
def merged_masks(library, x, y):
    layers = library.layers
    x, y = layers.Masking()(x), layers.Masking()(y)
    kinds = (layers.Add, layers.Subtract, layers.Average, layers.Multiply, layers.Maximum, layers.Minimum)
    made = [kind()([x, y]) for kind in kinds]
    made.append(layers.Concatenate()([x, y]))
    return [lstm(layers)(one) for one in made]


@case((5, 3), (5, 3), draw=padded)
def merged_with_what_has_no_mask(library, x, y):
    layers = library.layers
    x = layers.Masking()(x)
    made = [kind()([x, y]) for kind in (layers.Add, layers.Multiply, layers.Maximum, layers.Concatenate)]
    return [lstm(layers)(one) for one in made]


@case((5, 3), (4, 3), draw=padded)
def sequences_one_behind_the_other(library, x, y):
    layers = library.layers
    return lstm(layers)(layers.Concatenate(axis=1)([layers.Masking()(x), layers.Masking()(y)]))


@case((5, 3), draw=padded)
def a_product_of_masked_inputs(library, x):
    layers = library.layers
    y = layers.Masking()(x)
    return layers.Multiply()([layers.Dense(4)(y), layers.Dense(4)(y)])


def with_mask(random, shape):
    """Draw a mask of two axes, and numbers otherwise."""
    return random.integers(0, 2, shape) if len(shape) == 2 else random.standard_normal(shape)


@case((5, 3), (5,), draw=with_mask, kerases=("keras3",))
def masks_by_position(library, x, mask):
    layers = library.layers
    made = [layers.GRU(5), layers.Bidirectional(layers.LSTM(UNITS)), stack(layers), layers.RNN(layers.GRUCell(5))]
    return [one(x, None, mask) for one in made]


@case((5, 3), draw=padded, kerases=("keras3",))
def operations_beside_masks(library, x):
    """Those that give the same tensor give it with its mask."""
    ops, y = library.ops, library.layers.Masking()(x)
    made = [ops.cast(y, "float32"), ops.cast(y, "float64"), ops.convert_to_tensor(y), ops.stop_gradient(y), ops.copy(y)]
    return [lstm(library.layers)(one) for one in [*made, ops.einsum("nts->nts", y), ops.softmax(y)]]


@case((5, 3), draw=padded, kerases=("keras2",))
def operations_beside_masks_in_keras_2(library, x):
    y = library.layers.Masking()(x)
    made = [tensorflow.cast(y, "float32"), tensorflow.convert_to_tensor(y), tensorflow.identity(y), y[:, :]]
    return [lstm(library.layers)(one) for one in [*made, tensorflow.stop_gradient(y), tensorflow.nn.softmax(y)]]


@case((5, 3), draw=padded, kerases=("keras2",))
def merges_of_one(library, x):
    layers, y = library.layers, library.layers.Masking()(x)
    return [lstm(layers)(kind()([y])) for kind in (layers.Add, layers.Maximum, layers.Concatenate)]


@case((5, 3), draw=padded)
def a_masked_branch(library, x):
    layers = library.layers
    y = layers.Masking()(x)
    left = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True))(y)
    right = layers.TimeDistributed(layers.Dense(2 * UNITS, activation="relu"))(y)
    return layers.GlobalAveragePooling1D()(layers.Add()([left, right]))


@case((5, 3), draw=padded)
def a_model_of_masked_sequences(library, x):
    layers = library.layers
    inner = library.Sequential([library.Input(STEPS), layers.Dropout(0.1), sequence(layers), layers.Dense(3)])
    return layers.GRU(UNITS)(inner(layers.Masking()(x)))


@case((5, 3), draw=padded)
def masks_made_inside_of_a_model(library, x):
    layers = library.layers
    given = library.Input(STEPS)
    inner = library.Model(given, layers.Dense(3)(layers.Masking()(given)))
    return layers.Bidirectional(layers.SimpleRNN(UNITS))(inner(x))


def words(random, shape):
    """Draw ids, many of them 0."""
    return random.integers(0, 3, shape)


@case((6,), draw=words)
def words_and_padding(library, x):
    layers = library.layers
    y = layers.Embedding(3, 4, mask_zero=True)(x)
    y = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(layers.Dropout(0.1)(y))
    return [layers.GRU(3)(y), layers.GlobalAveragePooling1D()(layers.Dense(2)(y))]


@case((6,), draw=words)
def words_of_a_sequential_model(library, x):
    layers = library.layers
    return library.Sequential(
        [library.Input((6,)), layers.Embedding(3, 4, mask_zero=True), layers.SpatialDropout1D(0.2), lstm(layers)]
    )


@case((3, 6), draw=words, kerases=("keras2",))
def words_of_sentences_of_a_text(library, x):
    layers = library.layers
    y = layers.TimeDistributed(layers.Embedding(3, 4, mask_zero=True))(x)
    y = layers.TimeDistributed(layers.Bidirectional(layers.GRU(UNITS)))(y)
    return lstm(layers)(y)


@case((3, 6), draw=words)
def words_of_sentences_by_a_model(library, x):
    layers = library.layers
    sentence = library.Input((6,))
    inner = library.Model(sentence, layers.GRU(UNITS)(layers.Embedding(3, 4, mask_zero=True)(sentence)))
    return lstm(layers)(layers.TimeDistributed(inner)(x))


@case((2, 5, 3), draw=padded, kerases=("keras2",))
def a_masking_of_every_step(library, x):
    layers = library.layers
    y = layers.TimeDistributed(layers.Masking())(x)
    y = layers.TimeDistributed(lstm(layers))(y)
    return lstm(layers)(y)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_masks_mean_what_they_mean_in_keras(case, name, source):
    check(case, name, source)


def test_cells_backwards_with_states_and_a_mask_of_their_own_are_refused_for_keras_3():
    case = Case("backwards", BACKWARDS_SHAPES, turned_round, ("keras3",), **BACKWARDS)
    with pytest.raises(KerasInteropError, match="backwards, with mask and states"):
        check(case, "keras3", "keras")
