"""Sequences in onnxruntime: free sizes, transformers and recurrent models of Keras, tokens that are unknown."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import ExportError, ShapeError
from keydnn.export.onnx import translate
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import IntegerLookup, Resize, StringLookup
from tests.export.case import INT, TEXT, Case, numbers
from tests.export.cases import CASES
from tests.parity.export.runtime import agree, run, session, within
from tests.parity.export.special import cases_of, kinds, with_two
from tests.parity.kerases import keras

pytestmark = pytest.mark.parity

FAMILIES = (
    "attention", "category", "conv_lstm", "einsum", "indexing", "lookup", "masking", "matmul", "rearrange", "recurrent",
    "resize", "text",
)  # fmt: skip
EXACT = (
    "attention",
    "conv_lstm",
    "einsum",
    "indexing",
    "locally_connected",
    "masking",
    "matmul",
    "rearrange",
    "resize",
)
FREE = ((), (1,), (2,), (3,), (1, 2), (2, 3), (1, 2, 3, 4))  # axes, besides the batch


def freed(case, axes):
    """Give a graph with free sizes."""
    names = [f"x{place}" for place in range(len(case.inputs))]
    shapes = [tuple(None if axis in (0, *axes) else size for axis, size in enumerate(np.shape(x))) for x in case.inputs]
    given = [Input(name, shape, case.dtype) for name, shape in zip(names, shapes, strict=True)]
    return Graph(given, [Node("layer", case.module, tuple(names))], [Output("layer", "layer")])


def refusal(graph):
    """Say why a graph is refused, if it is."""
    try:
        translate(graph, "model")
    except ExportError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", [name for name in CASES if name.partition("-")[0] in FAMILIES])
def test_free_sizes_are_worked_out_or_refused(name):
    case = CASES[name]
    for axes in FREE:
        try:
            graph = freed(case, axes)
        except ShapeError:  # the module does not take them
            continue
        said = refusal(graph)
        if said:
            assert any(words in said for words in ("free", "hash", "to lower case"))
        else:
            agree(graph, case.inputs, run(graph, case.inputs))


@pytest.mark.parametrize("name", ["rearrange-patches, same", "resize-crop", "resize-middle", "resize-bicubic, larger"])
def test_what_depends_on_a_free_size_is_refused(name):
    with pytest.raises(ExportError, match=r"layer: .*free"):
        translate(freed(CASES[name], (1, 2, 3)), "model")


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_free_image_is_resized_from_any_size(mode):
    case = Case(Resize((224, 37), mode), (numbers(1, 3, 4, 4),))
    graph = freed(case, (2, 3))
    loaded = session(graph)
    for height, width in ((1, 1), (97, 333), (224, 37), (301, 5)):
        x = numbers(2, 3, height, width)
        agree(graph, [x], run(graph, [x], loaded))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", cases_of(*EXACT))
def test_special_values_spread_as_they_should(name, special):
    graph, inputs = CASES[name].graph, with_two(special, CASES[name])
    (found,), (wanted,) = run(graph, inputs), graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))


def operators(name):
    return {node.op_type for node in translate(CASES[name].graph, "model").graph.node}


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_a_usual_layer_is_one_operator(kind):
    assert kind.replace("SimpleRNN", "RNN") in operators(f"recurrent-{kind}, first state, sequences, backwards, state")
    assert "Scan" in operators(f"recurrent-{kind}, mask")
    assert "Scan" in operators(f"recurrent-{kind}, ReLU")


@pytest.mark.parametrize(
    ("module", "known", "unknown", "dtype"),
    [
        (StringLookup(("a", "b"), 0), np.array([["b", "a"]], object), np.array([["b", "c"]], object), TEXT),
        (IntegerLookup((3, 5), 0), np.array([[5, 3]]), np.array([[5, 4]]), INT),
    ],
)
def test_what_has_no_id_is_an_error_there_too(module, known, unknown, dtype):
    graph = Case(module, (known,), dtype).graph
    loaded = session(graph)
    agree(graph, [known], run(graph, [known], loaded))
    with pytest.raises(Exception, match="out of data bounds"):
        run(graph, [unknown], loaded)


def encoder(x, mask=None, causal=False, **options):
    """Give a block of a transformer as Keras' examples write them."""
    attention = keras.layers.MultiHeadAttention(4, 8, dropout=0.1, **options)
    attended = attention(x, x, attention_mask=mask, use_causal_mask=causal)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x + keras.layers.Dropout(0.1)(attended))
    inner = keras.layers.Dense(24, activation="gelu")(x)
    return keras.layers.LayerNormalization(epsilon=1e-6)(x + keras.layers.Dense(x.shape[-1])(inner))


def tokens(**options):
    given = keras.Input((None,), dtype="int32")
    return given, keras.layers.Embedding(20, 16, **options)(given)


def translator():
    """A decoder that sees its past, and what an encoder gives."""
    source, x = tokens(mask_zero=True)
    target, y = tokens(mask_zero=True)
    memory = encoder(x)
    own = keras.layers.MultiHeadAttention(2, 8)(y, y, use_causal_mask=True)
    y = keras.layers.LayerNormalization()(y + own)
    y = keras.layers.LayerNormalization()(y + keras.layers.MultiHeadAttention(2, 8)(y, memory, memory))
    return keras.Model([source, target], keras.layers.Dense(20, activation="softmax")(y))


def classifier():
    given, x = tokens(mask_zero=True)
    x = keras.layers.GlobalAveragePooling1D()(encoder(encoder(x)))
    return keras.Model(given, keras.layers.Dense(3, activation="softmax")(x))


def vision():
    given = keras.Input((12, 12, 3))
    x = keras.layers.Reshape((9, 16))(keras.layers.Conv2D(16, 4, 4)(given))
    x = encoder(keras.layers.Dense(16)(x), value_dim=6, output_shape=16)
    return keras.Model(given, keras.layers.Flatten()(x))


def language():
    given, x = tokens()
    x = keras.layers.GroupQueryAttention(8, 4, 2)(x, x, use_causal_mask=True)
    return keras.Model(given, keras.layers.Dense(20)(encoder(x, causal=True)))


def with_scores():
    given, x = tokens()
    y, scores = keras.layers.MultiHeadAttention(2, 8)(x, x, return_attention_scores=True)
    additive = keras.layers.AdditiveAttention()([x, y])
    return keras.Model(given, [keras.layers.Attention(use_scale=True)([additive, y]), scores])


def bidirectional():
    given, x = tokens(mask_zero=True)
    x = keras.layers.Bidirectional(keras.layers.LSTM(6, return_sequences=True))(x)
    x = keras.layers.Bidirectional(keras.layers.GRU(5), merge_mode="sum")(x)
    return keras.Model(given, keras.layers.Dense(3)(x))


def seq2seq():
    source, target = keras.Input((None, 4)), keras.Input((None, 5))
    _, h, c = keras.layers.LSTM(6, return_state=True)(source)
    y = keras.layers.LSTM(6, return_sequences=True)(target, initial_state=[h, c])
    y = keras.layers.GRU(3, reset_after=False, activation="relu", return_sequences=True)(y)
    return keras.Model([source, target], keras.layers.TimeDistributed(keras.layers.Dense(2))(y))


def video():
    given = keras.Input((3, 8, 9, 2))
    x = keras.layers.ConvLSTM2D(4, 3, strides=2, padding="same", return_sequences=True)(given)
    return keras.Model(given, keras.layers.Bidirectional(keras.layers.ConvLSTM2D(3, (2, 3)))(x))


MODELS = (translator, classifier, vision, language, with_scores, bidirectional, seq2seq, video)


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_keras_model_answers_as_it_does_there(made, count):
    keras.utils.set_random_seed(1)
    model, random = made(), np.random.default_rng(count)
    inputs = []
    for place, given in enumerate(model.inputs):
        shape = [count, *(7 - place if size is None else size for size in given.shape[1:])]
        if given.dtype == "int32":
            ids = random.integers(1, 20, shape)
            ids[:, 5:] = 0
            inputs.append(ids)
        else:
            inputs.append(random.standard_normal(shape).astype(np.float32))
    wanted = model(inputs if len(inputs) > 1 else inputs[0])
    graph = from_keras(model, strict=False).graph
    given = [x.astype(np.int64 if input_.dtype == "int64" else np.float32)
             for x, input_ in zip(inputs, graph.inputs, strict=True)]  # fmt: skip
    within(run(graph, given), [np.asarray(y) for y in (wanted if isinstance(wanted, (list, tuple)) else [wanted])])


def test_a_stateful_layer_goes_on_where_it_was():
    keras.utils.set_random_seed(2)
    layers = [keras.layers.LSTM(4, stateful=True, return_sequences=True), keras.layers.GRU(3, stateful=True)]
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), *layers])
    graph = from_keras(model, strict=False).graph
    loaded, states = session(graph), graph.zero_states()
    for seed in range(3):
        x = numbers(2, 5, 3, seed=seed)
        found, *states = run(graph, [x, *states], loaded)
        within([found], [np.asarray(model(x))])
    assert len(states) == 3
