"""Strictness: what is refused, in which words, all at once, and which switch allows it."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import KerasInteropError, MissingWeightsError, from_keras
from tests.convert import files

CONV = {
    "name": "c", "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "use_bias": False,
    "data_format": "channels_last", "activation": "relu",
}  # fmt: skip
KERNEL = {"kernel:0": np.ones((3, 3, 1, 2), np.float32)}


@pytest.fixture
def image_model(tmp_path):
    """Conv2D (fused, channels_last), BatchNormalization (last axis), Flatten, Dense (fused)."""
    layers = [
        ("Conv2D", CONV),
        ("BatchNormalization", {"name": "b", "axis": [3], "epsilon": 0.001, "scale": False, "center": False}),
        ("Flatten", {"name": "f", "data_format": "channels_last"}),
        files.dense("d", 2, activation="softmax"),
    ]
    weights = {
        "c": KERNEL,
        "b": {"moving_mean:0": np.zeros(2, np.float32), "moving_variance:0": np.ones(2, np.float32)},
        "d": files.dense_weights(32, 2),
    }
    return files.write_h5(tmp_path / "m.h5", files.sequential(*layers, shape=(None, 4, 4, 1)), weights)


def test_all_obstacles_are_listed_at_once_with_their_switches(image_model):
    with pytest.raises(KerasInteropError) as caught:
        from_keras(image_model)
    found = [(o.layer, o.class_name, o.found, o.flag) for o in caught.value.obstacles]
    assert sorted(found) == [
        ("b", "BatchNormalization", "axis=3", "--channels-last transpose"),
        ("c", "Conv2D", "activation='relu'", "--allow-non-linear-activation"),
        ("c", "Conv2D", "data_format='channels_last'", "--channels-last transpose"),
        ("d", "Dense", "activation='softmax'", "--allow-non-linear-activation"),
    ]
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("Non-linear activation fused into Conv2D is not allowed")
    assert "4 things stand in the way in m.h5" in first
    assert "--nostrict (strict=False) allows all" in first
    assert len(rest) == 4


def test_the_documented_wording_of_channels_last(image_model):
    with pytest.raises(KerasInteropError) as caught:
        from_keras(image_model, allow_non_linear_activation=True)
    wording = "Keras Conv2D with data_format='channels_last' is not supported in Phase 1. 2 things stand in the way"
    assert str(caught.value).startswith(wording)


def test_the_two_switches_together_are_strict_false(image_model):
    x = np.random.default_rng(1).standard_normal((3, 4, 4, 1)).astype(np.float32)
    one = from_keras(image_model, allow_non_linear_activation=True, channels_last="transpose")
    two = from_keras(image_model, strict=False)
    np.testing.assert_array_equal(one.predict(x), two.predict(x))
    assert one.source == two.source
    assert {(r["layer"], r["class"]) for r in two.source["rewrites"]} == {
        ("c", "Conv2D"), ("b", "BatchNormalization"), ("d", "Dense"),
    }  # fmt: skip


def test_unknown_layers_have_no_switch_and_do_not_hide_what_follows(tmp_path):
    layers = [
        files.dense("a", 3),
        ("Mystery", {"name": "m"}),
        files.dense("d", 2, activation="relu"),
        ("Other", {"name": "o"}),
    ]
    weights = {"a": files.dense_weights(), "m": {}, "d": files.dense_weights(3, 2), "o": {}}
    path = files.write_h5(tmp_path / "m.h5", files.sequential(*layers), weights)
    for options in ({}, {"strict": False}):
        with pytest.raises(KerasInteropError) as caught:
            from_keras(path, **options)
        unknown = [o for o in caught.value.obstacles if o.switch is None]
        assert [o.message for o in unknown] == ["Unsupported Keras layer: Mystery", "Unsupported Keras layer: Other"]
        assert len(caught.value.obstacles) == (2 if options else 3)


def test_a_dense_activation_is_never_dropped(tmp_path):
    path = files.write_h5(
        tmp_path / "m.h5", files.sequential(files.dense(activation="relu")), {"d": files.dense_weights()}
    )
    model = from_keras(path, allow_non_linear_activation=True)
    assert [type(node.module).__name__ for node in model.graph.nodes] == ["Linear", "ReLU"]
    assert model.graph.outputs[0].name == "d"
    assert model.predict(-np.ones((5, 4), np.float32)).min() >= 0


def test_keras_2_and_3_mean_different_hard_sigmoids(tmp_path):
    layer = ("Activation", {"name": "a", "trainable": True, "activation": "hard_sigmoid"})
    x = np.array([[-2.75, -1, 1, 2.75]], np.float32)
    two = from_keras(files.write_h5(tmp_path / "2.h5", files.sequential(layer), {"a": {}}, version="2.4.0"))
    three = from_keras(files.write_h5(tmp_path / "3.h5", files.sequential(layer), {"a": {}}, version="3.4.0"))
    np.testing.assert_allclose(two.predict(x), [[0, 0.3, 0.7, 1]], atol=1e-7)
    np.testing.assert_allclose(three.predict(x), [[0.25 / 6, 2 / 6, 4 / 6, 5.75 / 6]], atol=1e-7)


def test_training_true_is_refused_and_never_ignored(tmp_path):
    given = {
        "class_name": "InputLayer",
        "name": "x",
        "config": {"name": "x", "batch_input_shape": [None, 4]},
        "inbound_nodes": [],
    }
    drop = {
        "class_name": "Dropout", "name": "drop", "config": {"name": "drop", "rate": 0.5},
        "inbound_nodes": [[["x", 0, 0, {"training": True}]]],
    }  # fmt: skip
    config = {
        "class_name": "Functional",
        "config": {
            "name": "f",
            "layers": [given, drop],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["drop", 0, 0]],
        },
    }
    path = files.write_h5(tmp_path / "m.h5", config, {"drop": {}})
    with pytest.raises(KerasInteropError, match="Dropout called with training=True"):
        from_keras(path, strict=False)


def test_missing_weights_are_found_also_behind_obstacles(image_model):
    import h5py

    with h5py.File(image_model, "a") as file:
        file["model_weights/d"].attrs["weight_names"] = np.zeros(0)
    with pytest.raises(MissingWeightsError, match="No weights found for module Dense"):
        from_keras(image_model)


def with_call(tmp_path, entry, inbound, version):
    given = {
        "class_name": "InputLayer",
        "name": "x",
        "config": {"name": "x", "batch_shape": [None, 4]},
        "inbound_nodes": [],
    }
    layer = {**entry, "name": "l", "inbound_nodes": inbound}
    config = {"name": "f", "layers": [given, layer], "input_layers": [["x", 0, 0]], "output_layers": [["l", 0, 0]]}
    return files.write_h5(tmp_path / "m.h5", {"class_name": "Functional", "config": config}, {"l": {}}, version)


TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "keras_history": ["x", 0, 0]}}


@pytest.mark.parametrize(
    ("entry", "inbound", "version", "words"),
    [
        pytest.param(
            {"class_name": "Kron", "module": "keras.src.ops.numpy", "config": {"name": "l"}},
            [{"args": [TENSOR, 1.0], "kwargs": {}}], "3.7.0", "ops>Kron", id="keras-3-op-with-its-module",
        ),
        pytest.param(
            {"class_name": "View", "config": {"name": "l", "dtype": "int32"}},
            [{"args": [TENSOR], "kwargs": {}}], "3.7.0", "ops>View", id="keras-3-op-in-h5-without-module",
        ),
        pytest.param(
            {"class_name": "Add", "config": {"name": "l", "trainable": True}},
            [{"args": [[TENSOR, 1.0]], "kwargs": {}}], "3.7.0", "the constant 1.0", id="layer-and-constant",
        ),
        pytest.param(
            {"class_name": "TFOpLambda", "config": {"name": "l", "trainable": True, "function": "strings.split"}},
            [["x", 0, 0, {}]], "2.9.0", "tf>strings.split", id="keras-2-function",
        ),
        pytest.param(
            {"class_name": "TFOpLambda", "config": {"name": "l", "trainable": True, "function": "einsum"}},
            [["_CONSTANT_VALUE", -1, "nij,njk->nik", {}]], "2.9.0", "does not save", id="keras-2-tensors-not-saved",
        ),
        pytest.param(
            {"class_name": "TFOpLambda", "config": {"name": "l", "trainable": True, "function": "__operators__.eq"}},
            [["x", 0, 0, {}]], "2.9.0", "Equal called without x2", id="keras-2-operand-that-is-not-saved",
        ),
        pytest.param(
            {"class_name": "Add", "config": {"name": "l", "trainable": True}},
            [[["x", 0, 0, {}], ["_CONSTANT_VALUE", -1, 2.0, {}]]], "2.9.0", "the constant 2.0", id="keras-2-constant",
        ),
    ],
)  # fmt: skip
def test_operations_and_constants_are_not_taken_for_layers(tmp_path, entry, inbound, version, words):
    with pytest.raises(KerasInteropError, match=words):
        from_keras(with_call(tmp_path, entry, inbound, version), strict=False)


@pytest.mark.parametrize(
    ("policy", "noted"),
    [
        pytest.param("float32", False, id="float32"),
        pytest.param({"class_name": "DTypePolicy", "config": {"name": "float32"}}, False, id="policy-object"),
        pytest.param("mixed_float16", True, id="mixed"),
        pytest.param({"class_name": "Policy", "config": {"name": "mixed_bfloat16"}}, True, id="keras-2-policy"),
    ],
)
def test_another_precision_is_said(tmp_path, policy, noted):
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense(dtype=policy)), {"d": files.dense_weights()})
    rewrites = from_keras(path).source["rewrites"]
    assert any("computed in float32" in rewrite["what"] for rewrite in rewrites) is noted


def test_quantized_layers_are_refused(tmp_path):
    policy = {
        "class_name": "QuantizedDTypePolicy",
        "config": {"mode": "int8", "source_name": "float32", "name": "int8_from_float32"},
    }
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense(dtype=policy)), {"d": files.dense_weights()})
    with pytest.raises(KerasInteropError, match="Dense with dtype="):
        from_keras(path, strict=False)
