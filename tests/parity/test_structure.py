"""Operations in graphs of every structure: inside of nested models, shared, between them; unusual calls of layers."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.parity.kerases import KERASES, Case, adding_to, check, filled, keras, parameters, quiet, save, tensorflow

pytestmark = pytest.mark.parity

CASES: list[Case] = []
case = adding_to(CASES)


def ops_of(library):
    return library.ops if library is keras else tensorflow


def mean_of(library):
    return library.ops.mean if library is keras else tensorflow.reduce_mean


def residual(library, size=4, name=None):
    """Give a model with operations between its layers: a constant, a slice, a join, a product with itself."""
    x = library.Input((size,))
    concatenate = library.ops.concatenate if library is keras else tensorflow.concat
    y = library.layers.Dense(size)(x) * 0.5 + np.arange(size, dtype=np.float32)
    y = concatenate([y[:, 1:], y[:, :1] - x[:, -1:]], 1)
    return library.Model(x, y * y + x, name=name)


@case((4,))
def operations_in_a_nested_model(library, x):
    return library.layers.Dense(2)(1 - residual(library)(x))


@case((4,), (4,))
def a_model_with_operations_called_twice(library, x, y):
    inner = residual(library)
    return [inner(x) - inner(y), inner(x + y)]


@case((4,))
def a_model_with_operations_called_on_its_own_output(library, x):
    inner = residual(library)
    return inner(inner(x) / 3)


@case((4,))
def models_in_models_in_models(library, x):
    a = library.Input((4,))
    middle = library.Model(a, residual(library, name="inner")(a * 2) - a, name="middle")
    b = library.Input((4,))
    outer = library.Model(b, [middle(b) + 1, middle(middle(b))], name="outer")
    first, second = outer(x)
    return [first * second, outer(second / 10)[0]]


@case((4,))
def two_models_that_share_one_with_operations(library, x):
    shared = residual(library, name="shared")
    models = []
    for name in ("left", "right"):
        a = library.Input((4,))
        models.append(library.Model(a, library.layers.Dense(4)(shared(a)) - 1, name=name))
    return models[0](x) + models[1](x)


@case((4,))
def an_operation_on_one_of_several_outputs(library, x):
    a = library.Input((4,))
    inner = library.Model(a, [a + 1, library.layers.Dense(3)(a), a * 2], name="inner")
    first, second, third = inner(x)
    return [third - first, second, first]


@case((4,))
def a_model_that_gives_its_input_and_a_number_more(library, x):
    a = library.Input((4,))
    inner = library.Model(a, [a, a + 1], name="inner")
    same, more = inner(x)
    return [same, more, inner(more)[0]]


@case((4,))
def nothing_but_operations(library, x):
    return [x + 1, x]


@case((4,))
def an_operation_as_two_outputs(library, x):
    y = x * 3
    return [y, y]


@case((3, 4))
def parts_of_a_split_in_another_order(library, x):
    ops = ops_of(library)
    a, b, c = ops.split(x, 3, axis=1)
    return library.layers.Concatenate(axis=1)([c, a, b, c])


@case((6, 5, 3))
def operations_between_convolutions(library, x):
    """Channels stay first through all of them but the last."""
    layers, ops = library.layers, ops_of(library)
    y = layers.Conv2D(4, 3, padding="same")(x)
    y = ops.maximum(y * 2 - np.array([1, 2, 3, 4], np.float32), 0.1)
    y = layers.Conv2D(5, 2)(y[:, 1:, ::2] / 3)
    y = layers.Conv2D(2, 1)(y - mean_of(library)(y, (1, 2), keepdims=True))
    return y[:, :, 0] + y[:, :, -1]


@case((6, 5, 3))
def a_hard_swish_by_hand(library, x):
    """As MobileNetV3 has it."""
    y = library.layers.Conv2D(4, 1)(x)
    y = library.layers.Multiply()([y, library.layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)])
    return library.layers.GlobalAveragePooling2D()(y)


@case((6, 5, 3))
def squeeze_and_excite_by_hand(library, x):
    y = library.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    gate = library.layers.Dense(4, activation="sigmoid")(mean_of(library)(y, (1, 2)))
    return library.layers.Conv2D(2, 1)(y * gate[:, None, None, :])


@case((5, 4))
def attention_by_hand(library, x):
    ops = ops_of(library)
    q, k, v = (library.layers.Dense(6)(x) for _ in range(3))
    heads = [ops.transpose(ops.reshape(y, (-1, 5, 2, 3)), (0, 2, 1, 3)) for y in (q, k, v)]
    scores = ops.matmul(heads[0], ops.transpose(heads[1], (0, 1, 3, 2))) / np.sqrt(3).astype(np.float32)
    y = ops.matmul(ops.nn.softmax(scores), heads[2])
    return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, 5, 6))


@case((5, 4))
def layer_normalization_by_hand(library, x):
    mean, var = mean_of(library), library.ops.var if library is keras else tensorflow.math.reduce_variance
    y = (x - mean(x, -1, keepdims=True)) / (var(x, -1, keepdims=True) + 1e-3) ** 0.5
    return library.layers.Dense(3)(y)


@case((4,))
def tensors_by_keyword(library, x):
    a = library.Input((4,))
    inner = library.Model(a, library.layers.Dense(4)(inputs=a), name="inner")
    return library.layers.Dense(2)(inputs=inner(inputs=x))


@case((5, 4), (5, 4))
def queries_by_position_and_keys_by_keyword(library, x, y):
    return library.layers.MultiHeadAttention(2, 3)(x, value=y, key=x)


@case((4,))
def training_that_is_false_or_not_said(library, x):
    y = library.layers.Dropout(0.5)(library.layers.BatchNormalization()(x, training=False), training=False)
    return residual(library)(y, training=False)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_structures_agree(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("what", ["dropout", "batch-normalization", "nested", "nested-sequential"])
def test_training_that_is_true_is_refused(what, name):
    library = KERASES[name]
    with quiet():
        x, a = library.Input((4,)), library.Input((4,))
        inner = library.layers.Dropout(0.5)
        y = {
            "dropout": lambda: library.layers.Dropout(0.5)(x, training=True),
            "batch-normalization": lambda: library.layers.BatchNormalization()(x, training=True),
            "nested": lambda: library.Model(a, inner(a))(x, training=True),
            "nested-sequential": lambda: library.Sequential([library.layers.Input((4,)), inner])(x, training=True),
        }[what]()
        model = filled(library.Model(x, library.layers.Dense(2)(y)), 1)
    for source in save(model, f"training-{what}-{name}").values():
        with pytest.raises(KerasInteropError, match="called with training=True"):
            from_keras(source, strict=False)
