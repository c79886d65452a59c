"""TensorFlow's raw operations in models, as Keras 2.0 to 2.3 in TensorFlow saved them: ``TensorFlowOpLayer``.

Today's tf-keras still reads them and writes them again.  The operations of a function are taken from TensorFlow's own
graph of it; inputs that are constants go into the layers, as they did then.
"""

from __future__ import annotations

import functools
import json

import h5py
import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.parity.kerases import FOLDER, SOURCES, answer, assert_agrees, quiet, save, tensorflow, tf_keras

pytestmark = pytest.mark.parity

layer_module = pytest.importorskip("tf_keras.src.engine.base_layer")
json_format = pytest.importorskip("google.protobuf.json_format")
SHAPES = ((4, 5), (4, 5))


def on_layers(function, *tensors):
    """Give a function's results on Keras tensors, every operation of it a TensorFlowOpLayer."""
    graph = tensorflow.Graph()
    with graph.as_default():
        given = [tensorflow.compat.v1.placeholder(tensor.dtype, tensor.shape) for tensor in tensors]
        results = function(tensorflow, *given)
    values = {place.name: tensor for place, tensor in zip(given, tensors, strict=True)}
    for operation in graph.get_operations():
        if operation.type in ("Placeholder", "Const"):
            continue
        constants, inputs = {}, []
        for place, tensor in enumerate(operation.inputs):
            if tensor.op.type == "Const":
                constants[place] = tensorflow.get_static_value(tensor)
            else:
                inputs.append(values[tensor.name])
        layer = layer_module.TensorFlowOpLayer(
            json_format.MessageToDict(operation.node_def), f"{operation.name}_{len(LAYERS)}", constants
        )
        LAYERS.append(layer)
        made = layer(inputs[0] if len(inputs) == 1 else inputs)
        made = made if isinstance(made, (list, tuple)) else [made]
        values |= {tensor.name: value for tensor, value in zip(operation.outputs, made, strict=True)}
    return [values[tensor.name] for tensor in results]


LAYERS: list[object] = []
CASES = {
    "arithmetic": lambda tf, x, y: [x + 1.0, 2.0 - x, x * y, x / 3.0, x // 0.3, x % 0.7, tf.maximum(x, y), x**2.0, -x],
    "comparisons": lambda tf, x, y: [
        *(tf.cast(x > y, tf.float32), tf.cast(tf.logical_and(x > 0.0, y < 1.0), tf.int32)),
        *(tf.where(x > 0.0, x, y), tf.cast(tf.not_equal(x, 0.0), tf.float32)),
    ],
    "functions": lambda tf, x, y: [
        *(tf.exp(x), tf.square(x), tf.sqrt(tf.abs(x)), tf.nn.relu(x), tf.nn.relu6(x), tf.tanh(x), tf.sigmoid(x)),
        *(tf.nn.softmax(x), tf.nn.leaky_relu(x, 0.3), tf.round(x), tf.math.erf(x), tf.clip_by_value(x, -0.5, 0.5)),
    ],
    "reductions": lambda tf, x, y: [
        *(tf.reduce_mean(x, 1), tf.reduce_sum(x, [1, 2], keepdims=True), tf.reduce_max(x, -1), tf.argmax(x, 1)),
        *(tf.cumsum(x, 1), tf.math.l2_normalize(x, -1)),
    ],
    "axes": lambda tf, x, y: [
        *(tf.reshape(x, [-1, 20]), tf.transpose(x, [0, 2, 1]), tf.expand_dims(x, 1)),
        *(tf.squeeze(tf.expand_dims(x, -1), [3]), tf.tile(x, [1, 2, 1]), tf.pad(x, [[0, 0], [1, 0], [0, 2]])),
        *(tf.pad(x, [[0, 0], [1, 0], [0, 2]], "REFLECT"), tf.concat([x, y], 2), tf.stack([x, y], 1)),
        *(*tf.split(x, 2, 1), *tf.unstack(x, axis=1), *tf.split(x, [1, 3], 1)),
        *(tf.gather(x, [0, 2], axis=1), tf.reverse(x, [1]), tf.add_n([x, y, x])),
    ],
    "slices": lambda tf, x, y: [
        *(x[:, 1], x[:, -1], x[:, 1:3], x[:, ::2, 0], x[..., None], x[:, None, :, 1:], x[:, 1:, ..., -2:]),
        x[:, ::-1],
    ],
    "sizes-of-tensors": lambda tf, x, y: [
        *(tf.reshape(x, [tf.shape(x)[0], -1]), tf.reshape(x, tf.stack([tf.shape(x)[0], 5, 4]))),
    ],
    "patches": lambda tf, x, y: [
        tf.image.extract_patches(x[..., None], [1, 2, 3, 1], [1, 2, 1, 1], [1, 1, 2, 1], padding)
        for padding in ("VALID", "SAME")
    ],
    "largest": lambda tf, x, y: [*tf.math.top_k(x, 2), *tf.nn.top_k(tf.round(y), 5)],
    "angles": lambda tf, x, y: [tf.atan2(x, y), tf.atan2(x, 0.5), tf.atan2(-1.0, y)],
    "products": lambda tf, x, y: [tf.matmul(x, y, transpose_b=True), tf.matmul(x, tf.transpose(y, [0, 2, 1]))],
}


@functools.cache
def made(name):
    with quiet():
        inputs = [tf_keras.Input(shape) for shape in SHAPES]
        return tf_keras.Model(inputs, on_layers(CASES[name], *inputs))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CASES)
def test_raw_operations_agree(name, source):
    model = made(name)
    given = save(model, f"raw-{name}", (source,))[source]
    arrays = [np.random.default_rng(place).standard_normal((2, 4, 5)).astype(np.float32) for place in range(2)]
    assert_agrees(from_keras(given, strict=False), arrays, answer(model, arrays), 1e-3)


def edited(name, edit):
    """Write a model, and change the NodeDef of its last layer."""
    path = FOLDER / "raw-edited.h5"
    with quiet():
        made(name).save(path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        layer = config["config"]["layers"][-1]["config"]
        layer["node_def"] = edit(layer["node_def"])
        file.attrs["model_config"] = json.dumps(config)
    return path


def test_a_node_def_may_be_a_text_of_json():
    model = from_keras(edited("products", json.dumps), strict=False)
    x, y = (np.random.default_rng(place).standard_normal((2, 4, 5)).astype(np.float32) for place in range(2))
    np.testing.assert_allclose(model([x, y])[0], x @ y.transpose(0, 2, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(lambda node: {**node, "op": "MatrixInverse"}, "tf>MatrixInverse", id="another-operation"),
        pytest.param(lambda node: "\n\x03add\x12\x05AddV2", "tf>TensorFlowOpLayer", id="bytes-of-protobuf"),
        pytest.param(lambda node: None, "tf>TensorFlowOpLayer", id="nothing"),
        pytest.param(lambda node: {**node, "op": "Abs"}, "abs with 1 inputs too many", id="too-many-inputs"),
        pytest.param(lambda node: {**node, "attr": {"new": {"b": True}}}, "an option that", id="a-new-attribute"),
        pytest.param(lambda node: {**node, "attr": {"new": 3}}, "that Keras does not write", id="no-attribute"),
    ],
)
def test_what_is_no_raw_operation_is_refused(edit, words):
    with pytest.raises(KerasInteropError, match=words):
        from_keras(edited("products", edit), strict=False)
