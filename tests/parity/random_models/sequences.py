"""Steps for sequences (N, T, F): convolutions, pooling, recurrent layers, attention, masks."""

from __future__ import annotations

from tests.parity.random_models import grows, step

SEQUENCE = (3,)
RECURRENT = ("LSTM", "GRU", "SimpleRNN")


@step("Conv1D", ranks=SEQUENCE, weight=2)
def conv1d(make, x):
    options = {"padding": make.choose("same", "valid", "causal"), "activation": make.activation()}
    size = make.choose(1, 2, 3)
    stride, dilation = make.choose((1, 1), (2, 1), (1, 2))
    if (size - 1) * dilation >= x.shape[1]:
        return None
    layer = make.layers.Conv1D(make.integer(2, 6), size, stride, dilation_rate=dilation, **options)
    return make.call(layer, x)


@step("SeparableConv1D", "DepthwiseConv1D", "Conv1DTranspose", ranks=SEQUENCE)
def other_convolutions(make, x):
    layers = make.layers
    layer = make.choose(
        layers.SeparableConv1D(3, 2, padding="same", activation=make.activation()),
        layers.DepthwiseConv1D(3, padding="same", depth_multiplier=make.choose(1, 2)),
        layers.Conv1DTranspose(3, make.choose(2, 3), make.choose(1, 2), padding=make.choose("same", "valid")),
    )
    return None if grows(x, 2) else make.call(layer, x)


@step("LocallyConnected1D", ranks=SEQUENCE, kerases=("keras2",), weight=0.5)
def locally_connected(make, x):
    return make.layers.LocallyConnected1D(3, 2, activation=make.activation())(x) if x.shape[1] > 1 else None


@step("MaxPooling1D", "AveragePooling1D", ranks=SEQUENCE)
def pool1d(make, x):
    name = make.choose("MaxPooling1D", "AveragePooling1D")
    return getattr(make.layers, name)(2, make.choose(1, 2), padding="same", **make.format())(x)


@step("AdaptiveMaxPooling1D", "AdaptiveAveragePooling1D", ranks=SEQUENCE, kerases=("keras3",), weight=0.5)
def adaptive_pool1d(make, x):
    if x.shape[1] < 2:  # TensorFlow would crash
        return None
    return getattr(make.layers, make.choose("AdaptiveMaxPooling1D", "AdaptiveAveragePooling1D"))(2)(x)


@step("GlobalAveragePooling1D", "GlobalMaxPooling1D", ranks=SEQUENCE)
def global_pool1d(make, x):
    name = make.choose("GlobalAveragePooling1D", "GlobalMaxPooling1D")
    return getattr(make.layers, name)(keepdims=make.chance(0.4))(x)


@step("UpSampling1D", "ZeroPadding1D", "Cropping1D", "SpatialDropout1D", ranks=SEQUENCE)
def shapes1d(make, x):
    layers = make.layers
    if grows(x, 2) or make.chance(0.3):
        return layers.Cropping1D((1, 0))(x) if x.shape[1] > 2 else layers.SpatialDropout1D(0.2)(x)
    return make.choose(layers.UpSampling1D(2), layers.ZeroPadding1D((2, 1)), layers.SpatialDropout1D(0.1))(x)


def recurrent_options(make, name):
    options = {"return_sequences": make.chance(0.5), "go_backwards": make.chance(0.3), "use_bias": make.chance(0.8)}
    if name == "GRU":
        options["reset_after"] = make.chance(0.5)
    if make.chance(0.3):
        options["activation"] = make.choose("relu", "sigmoid")
    return options


@step(*RECURRENT, ranks=SEQUENCE, weight=2)
def recurrent(make, x):
    name = make.choose(*RECURRENT)
    layer = getattr(make.layers, name)(make.integer(2, 5), **recurrent_options(make, name))
    return make.call(layer, x)


@step(*RECURRENT, ranks=SEQUENCE, weight=0.5)
def recurrent_with_states(make, x):
    """The states go into another layer of the same kind."""
    name, size = make.choose(*RECURRENT), make.integer(2, 4)
    options = {"activation": "tanh"}
    first = getattr(make.layers, name)(size, return_sequences=True, return_state=True, **options)
    y, *states = first(x)
    return getattr(make.layers, name)(size, return_sequences=True, **options)(y, initial_state=states)


@step("Bidirectional", ranks=SEQUENCE)
def bidirectional(make, x):
    name = make.choose(*RECURRENT)
    options = recurrent_options(make, name) | {"go_backwards": False}
    inner = getattr(make.layers, name)(make.integer(2, 4), **options)
    return make.call(make.layers.Bidirectional(inner, merge_mode=make.choose("concat", "sum", "mul", "ave")), x)


@step("RNN", ranks=SEQUENCE, weight=0.5)
def cells(make, x):
    layers = make.layers
    inside = [layers.GRUCell(3), layers.LSTMCell(2), layers.SimpleRNNCell(4)]
    chosen = inside[: make.integer(1, 3)]
    return make.call(layers.RNN(chosen if len(chosen) > 1 else chosen[0], return_sequences=make.chance(0.5)), x)


@step("TimeDistributed", ranks=(3, 4, 5))
def time_distributed(make, x):
    layers = make.layers
    if len(x.shape) == 3:
        inner = make.choose(layers.Dense(3, activation="relu"), layers.LayerNormalization(epsilon=0.1))
    elif len(x.shape) == 4:
        inner = make.choose(layers.Conv1D(3, 2, padding="same"), layers.Flatten(), layers.GRU(3), layers.Dense(2))
    else:
        inner = make.choose(layers.Conv2D(2, 2, padding="same"), layers.GlobalAveragePooling2D(), layers.Dense(2))
    return make.call(layers.TimeDistributed(inner), x)


@step("MultiHeadAttention", ranks=SEQUENCE)
def multi_head_attention(make, x):
    layer = make.layers.MultiHeadAttention(make.choose(1, 2), make.choose(2, 3), use_bias=make.chance(0.7))
    return layer(x, x, use_causal_mask=make.chance(0.3))


@step("GroupQueryAttention", ranks=SEQUENCE, kerases=("keras3",), weight=0.5)
def group_query_attention(make, x):
    return make.layers.GroupQueryAttention(2, 4, 2)(x, x)


@step("Attention", "AdditiveAttention", ranks=SEQUENCE)
def attention(make, x):
    layers = make.layers
    if make.chance(0.5):
        return layers.Attention(use_scale=make.chance(0.5))([x, x], use_causal_mask=make.chance(0.3))
    return layers.AdditiveAttention(use_scale=make.chance(0.5))([x, x])


@step("Masking", ranks=SEQUENCE)
def masked(make, x):
    """Steps of nothing but 0 are made, and passed over by what follows."""
    layers = make.layers
    y = layers.ZeroPadding1D((0, 2))(abs(x) + 0.3)
    y = layers.Masking()(y)
    if make.chance(0.4):
        y = make.choose(layers.Dropout(0.2), layers.Activation("tanh"), layers.SpatialDropout1D(0.1))(y)
    return make.choose(
        layers.LSTM(3, return_sequences=make.chance(0.5)), layers.Bidirectional(layers.GRU(2)),
        layers.GlobalAveragePooling1D(), layers.SimpleRNN(3, go_backwards=True),
    )(y)  # fmt: skip


@step("Embedding", "ReversibleEmbedding", ranks=(2, 3), weight=1)
def embedding(make, x):
    """Of ids, which are inputs of their own: numbers that are worked out are no ids."""
    layers, ids = make.layers, make.ids()
    if ids is None:
        return None
    kind = make.choose("Embedding", "ReversibleEmbedding") if make.name == "keras3" else "Embedding"
    y = getattr(layers, kind)(12, make.integer(2, 4), mask_zero=make.chance(0.5))(ids)
    return make.choose(layers.LSTM(3), layers.GlobalAveragePooling1D(), layers.GRU(2, return_sequences=True))(y)


@step("CategoryEncoding", "Hashing", "IntegerLookup", "Discretization", ranks=(2, 3), weight=0.5)
def categories(make, x):
    layers, ids = make.layers, make.ids()
    if ids is None:
        return None
    kind = make.choose("encoded", "hashed", "found", "cut")
    if kind == "encoded":
        return layers.CategoryEncoding(12, output_mode=make.choose("multi_hot", "count"))(ids)
    if kind == "hashed":
        return layers.Embedding(5, 3)(layers.Hashing(5)(ids))
    if kind == "found":
        return layers.Embedding(9, 3)(layers.IntegerLookup(vocabulary=[3, 1, 4, 5, 9, 2, 6])(ids))
    return layers.Embedding(4, 2)(layers.Discretization(bin_boundaries=[0.5, 3.5, 7.5])(ids))
