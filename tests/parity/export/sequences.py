"""What exporters of sequences are tried on: models of Keras, and cases with free sizes."""

from __future__ import annotations

import numpy as np

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.graph import Graph, Input, Node, Output
from tests.parity.kerases import keras

FREE = ((), (1,), (2,), (3,), (1, 2), (2, 3), (1, 2, 3, 4))  # axes, besides the batch


def freed(case, axes):
    """Give a graph with free sizes."""
    names = [f"x{place}" for place in range(len(case.inputs))]
    shapes = [tuple(None if axis in (0, *axes) else size for axis, size in enumerate(np.shape(x))) for x in case.inputs]
    given = [Input(name, shape, case.dtype) for name, shape in zip(names, shapes, strict=True)]
    return Graph(given, [Node("layer", case.module, tuple(names))], [Output("layer", "layer")])


def refusal(translate, graph):
    """Say why an exporter refuses a graph, if it does."""
    try:
        translate(graph, "model")
    except ExportError as error:
        return str(error)
    return ""


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


def shared_states():
    """Give sequences and states of two layers, one of which has a mask."""
    given, x = tokens(mask_zero=True)
    y, h = keras.layers.GRU(5, return_sequences=True, return_state=True)(x)
    z, *states = keras.layers.LSTM(4, return_sequences=True, return_state=True)(keras.ops.multiply(y, 2.0))
    return keras.Model(given, [z, h, *states])


def classic():
    """Three kinds of layers; embeddings so large that outputs are not small beside their roundings."""
    given, x = tokens(embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))
    x = keras.layers.Bidirectional(keras.layers.SimpleRNN(5, return_sequences=True))(x)
    x = keras.layers.GRU(4, return_sequences=True)(x)
    return keras.Model(given, keras.layers.Dense(2)(keras.layers.LSTM(4)(x)))


MODELS = (translator, classifier, vision, language, with_scores, bidirectional, seq2seq, video, shared_states, classic)


def answered(model, count):
    """Give the graph of a model, inputs of so many examples, and what Keras answers."""
    random = np.random.default_rng(count)
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
    arrays = [x.astype(given.dtype) for x, given in zip(inputs, graph.inputs, strict=True)]
    return graph, arrays, [np.asarray(y) for y in (wanted if isinstance(wanted, (list, tuple)) else [wanted])]
