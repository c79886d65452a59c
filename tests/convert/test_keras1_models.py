"""Whole models of Keras 1: Merge, branches of a Sequential model, functional and nested models, files before 1.0."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.convert import files

RANDOM = np.random.default_rng(7)


def numbers(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


NORM = {"gamma": numbers(4), "beta": numbers(4), "running_mean": numbers(4), "running_std": abs(numbers(4))}


def dense(name, inputs, units, **options):
    """Give a Dense layer of Keras 1 and its weights."""
    config = {"name": name, "output_dim": units, "bias": True, "init": "uniform", **options}
    return {"class_name": "Dense", "config": config}, {"W": numbers(inputs, units), "b": numbers(units)}


def apply(x, weights):
    return x @ weights["W"] + weights["b"]


# --- Merge ------------------------------------------------------------------------------------------------------------

A, B = numbers(2, 3), numbers(2, 3)
MODES = {
    "sum": A + B,
    "mul": A * B,
    "ave": (A + B) / 2,
    "max": np.maximum(A, B),
    "concat": np.concatenate([A, B], -1),
    "dot": (A * B).sum(-1, keepdims=True),
    "cos": ((A * B).sum(-1) / np.sqrt((A * A).sum(-1) * (B * B).sum(-1))).reshape(2, 1, 1),
}


def functional(layers, inputs, outputs):
    config = {"name": "m", "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config}


def given(name, *shape):
    config = {"name": name, "batch_input_shape": [None, *shape], "input_dtype": "float32", "sparse": False}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


def merge(mode, **options):
    config = {
        "name": "merge_1", "mode": mode, "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "arguments": {},
        "output_shape": None, "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw", **options,
    }  # fmt: skip
    return {"class_name": "Merge", "name": "merge_1", "config": config}


@pytest.mark.parametrize("mode", MODES)
def test_merge_in_a_functional_model(tmp_path, mode):
    layers = [given("a", 3), given("b", 3), {**merge(mode), "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]}]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    model = from_keras(files.write_keras1(tmp_path / "m.h5", config, {"a": {}, "b": {}, "merge_1": {}}))
    np.testing.assert_allclose(model.predict([A, B]), MODES[mode], rtol=1e-6)


@pytest.mark.parametrize("axes", [1, [1, 1], [[1], [1]]], ids=str)
def test_the_axes_of_a_dot_product_in_all_spellings(tmp_path, axes):
    layers = [
        given("a", 3), given("b", 3), {**merge("dot", dot_axes=axes), "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]},
    ]  # fmt: skip
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    model = from_keras(files.write_keras1(tmp_path / "m.h5", config, {"a": {}, "b": {}, "merge_1": {}}))
    np.testing.assert_allclose(model.predict([A, B]), MODES["dot"], rtol=1e-6)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        pytest.param(
            {"mode": "4wEAAA==", "mode_type": "lambda"}, "Python code in the file, which is never run", id="code"
        ),
        pytest.param(
            {"mode": "sum", "mode_type": "function"}, "Python code in the file, which is never run", id="name"
        ),
    ],
)
def test_modes_that_are_refused(tmp_path, changed, word):
    entry = merge("sum")
    entry["config"].update(changed)
    layers = [given("a", 3), given("b", 3), {**entry, "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]}]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    with pytest.raises(KerasInteropError, match=word):
        from_keras(files.write_keras1(tmp_path / "m.h5", config, {"a": {}, "b": {}, "merge_1": {}}))


def branches(*sequentials, mode="sum"):
    """Give a Sequential model that begins with a Merge of Sequential models."""
    entry = merge(mode)
    layers = [{"class_name": "Sequential", "config": layers} for layers in sequentials]
    return {"class_name": "Merge", "config": {**entry["config"], "layers": layers}}


@pytest.mark.parametrize("version", ["1.2.2", "2.0.3"])
def test_a_sequential_model_that_begins_with_a_merge_of_sequential_models(tmp_path, version):
    """The weights of all branches lie side by side, and Merge has no group."""
    left, w_left = dense("left", 4, 3, batch_input_shape=[None, 4], activation="linear")
    right, w_right = dense("right", 5, 3, batch_input_shape=[None, 5])
    last, w_last = dense("last", 6, 2)
    if version == "2.0.3":
        for entry in (left, right, last):
            entry["config"]["units"] = entry["config"].pop("output_dim")
            entry["config"]["use_bias"] = entry["config"].pop("bias")
            del entry["config"]["init"]
    stored = {"left": w_left, "right": w_right, "last": w_last}
    config = [branches([left], [right], mode="concat"), last]
    if version == "1.2.2":
        path = files.write_keras1(tmp_path / "m.h5", config, stored)
    else:
        today = {k: {"kernel:0": v["W"], "bias:0": v["b"]} for k, v in stored.items()}
        path = files.write_h5(tmp_path / "m.h5", {"class_name": "Sequential", "config": config}, today, version)
    x, y = numbers(2, 4), numbers(2, 5)
    both = np.concatenate([apply(x, w_left), apply(y, w_right)], -1)
    np.testing.assert_allclose(from_keras(path).predict([x, y]), apply(both, w_last), rtol=1e-5, atol=1e-6)


def test_a_layer_that_two_branches_share_is_one_layer(tmp_path):
    shared, weights = dense("shared", 3, 3)
    first, w_first = dense("first", 4, 3, batch_input_shape=[None, 4])
    second, w_second = dense("second", 5, 3, batch_input_shape=[None, 5])
    config = [branches([first, shared], [second, shared, shared])]
    model = from_keras(
        files.write_keras1(tmp_path / "m.h5", config, {"first": w_first, "shared": weights, "second": w_second})
    )
    x, y = numbers(2, 4), numbers(2, 5)
    wanted = apply(apply(x, w_first), weights) + apply(apply(apply(y, w_second), weights), weights)
    np.testing.assert_allclose(model.predict([x, y]), wanted, rtol=1e-4, atol=1e-5)
    assert set(model.state_dict()) == {
        f"{name}.{kind}" for name in ("first", "shared", "second") for kind in ("weight", "bias")
    }


def test_a_merge_of_merges(tmp_path):
    entries = [dense(name, 4, 3, batch_input_shape=[None, 4]) for name in "abc"]
    stored = dict(zip("abc", (weights for _, weights in entries), strict=True))
    inner = [branches([entries[0][0]], [entries[1][0]], mode="mul")]
    inner[0]["config"]["name"] = "merge_2"
    config = [branches(inner, [entries[2][0]])]
    model = from_keras(files.write_keras1(tmp_path / "m.h5", config, stored))
    x = [numbers(2, 4) for _ in range(3)]
    a, b, c = (apply(each, weights) for each, weights in zip(x, stored.values(), strict=True))
    np.testing.assert_allclose(model.predict(x), a * b + c, rtol=1e-5, atol=1e-6)


# --- models -----------------------------------------------------------------------------------------------------------


def test_functional_models_with_shared_layers(tmp_path):
    """Nodes have no keywords, and the class is Model."""
    shared, weights = dense("shared", 3, 3)
    layers = [
        given("a", 3),
        given("b", 3),
        {**shared, "name": "shared", "inbound_nodes": [[["a", 0, 0]], [["b", 0, 0]]]},
        {**merge("mul"), "inbound_nodes": [[["shared", 0, 0], ["shared", 1, 0]]]},
    ]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    model = from_keras(
        files.write_keras1(tmp_path / "m.h5", config, {"a": {}, "b": {}, "shared": weights, "merge_1": {}})
    )
    np.testing.assert_allclose(model.predict([A, B]), apply(A, weights) * apply(B, weights), rtol=1e-5)


def test_a_nested_model_whose_weights_are_named_after_its_layers(tmp_path):
    """Trainable ones first, then the others; a layer's name may be the beginning of another's."""
    first, w_first = dense("d", 4, 4)
    second, w_second = dense("d_1", 4, 4)
    norm = {"class_name": "BatchNormalization", "config": {"name": "n", "mode": 0, "axis": -1, "epsilon": 0.001}}
    inner = [{**first, "config": {**first["config"], "batch_input_shape": [None, 4]}}, norm, second]
    last, w_last = dense("last", 4, 2)
    entries = [{"class_name": "Sequential", "config": inner}, last]
    path = files.write_keras1(tmp_path / "m.h5", entries, {"sequential_1": {}, "last": w_last})
    trained, fixed = dict(list(NORM.items())[:2]), dict(list(NORM.items())[2:])
    with h5py.File(path, "a") as file:
        group = file["model_weights/sequential_1"]
        names = []
        for layer, arrays in (("d", w_first), ("n", trained), ("d_1", w_second), ("n", fixed)):
            for name, array in arrays.items():
                names.append(f"{layer}_{name}:0".encode())
                group[f"{layer}_{name}:0"] = array
        group.attrs["weight_names"] = np.array(names)
    x = numbers(2, 4)
    y = (apply(x, w_first) - NORM["running_mean"]) / np.sqrt(NORM["running_std"] + 0.001) * NORM["gamma"] + NORM["beta"]
    wanted = apply(apply(y, w_second), w_last)
    np.testing.assert_allclose(from_keras(path, strict=False).predict(x), wanted, rtol=1e-4, atol=1e-4)


def test_hard_sigmoid_is_that_of_keras_1(tmp_path):
    config = [
        {
            "class_name": "Activation",
            "config": {"name": "a", "activation": "hard_sigmoid", "batch_input_shape": [None, 4]},
        }
    ]
    model = from_keras(files.write_keras1(tmp_path / "m.h5", config, {"a": {}}))
    np.testing.assert_allclose(model.predict([[-2.75, -1, 1, 2.75]]), [[0, 0.3, 0.7, 1]], atol=1e-7)


def test_layers_before_1_0_are_counted(tmp_path):
    """Keras 0.3: ``nb_layers`` and ``layer_0/param_0``, with the architecture beside it."""
    first, w_first = dense("dense_1", 4, 3, batch_input_shape=[None, 4])
    second, w_second = dense("dense_2", 3, 2)
    act = {"class_name": "Activation", "config": {"name": "act", "activation": "relu"}}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["nb_layers"] = 3
        for number, arrays in enumerate((w_first, {}, w_second)):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = len(arrays)
            for place, array in enumerate(arrays.values()):
                group[f"param_{place}"] = array
    text = json.dumps({"class_name": "Sequential", "config": [first, act, second]})
    x = numbers(2, 4)
    wanted = apply(np.maximum(apply(x, w_first), 0), w_second)
    np.testing.assert_allclose(
        from_keras(tmp_path / "w.h5", architecture=text).predict(x), wanted, rtol=1e-5, atol=1e-6
    )
