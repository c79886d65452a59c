"""Quirks of the legacy layout and of old configurations, on files assembled from the documented layouts."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, MissingWeightsError, from_keras
from tests.convert import files

RANDOM = np.random.default_rng(9)
X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


def apply(x, weights):
    kernel, bias = weights.values()
    return x @ kernel + bias


def assert_gives(path, wanted, x=X, **options):
    np.testing.assert_allclose(from_keras(path, strict=False, **options).predict(x), wanted, rtol=1e-5, atol=1e-6)


# --- attributes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes", "text", "numpy-bytes", "array-of-bytes", "array-of-text"])
def test_attributes_are_bytes_text_or_arrays_of_them(tmp_path, kind):
    weights = files.dense_weights()
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights})
    text = json.dumps(files.sequential(files.dense()))
    with h5py.File(path, "a") as file:
        root = file["model_weights"]
        one = {"bytes": str.encode, "text": str, "numpy-bytes": lambda t: np.bytes_(t.encode())}.get(kind, str.encode)
        file.attrs["model_config"], file.attrs["keras_version"] = one(text), one("2.4.0")
        several = list if kind in ("text", "array-of-text") else np.array
        root.attrs["layer_names"] = several(["d"] if "text" in kind else [b"d"])
        names = ["d/kernel:0", "d/bias:0"]
        root["d"].attrs["weight_names"] = several(names if "text" in kind else [name.encode() for name in names])
    assert_gives(path, apply(X, weights))


def test_weight_names_split_into_parts(tmp_path):
    weights = files.dense_weights()
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights})
    with h5py.File(path, "a") as file:
        attributes = file["model_weights/d"].attrs
        names = attributes["weight_names"]
        del attributes["weight_names"]
        attributes["weight_names0"], attributes["weight_names1"] = names[:1], names[1:]
    assert_gives(path, apply(X, weights))


def test_weights_are_those_that_are_listed_not_those_that_are_there(tmp_path):
    """HDF5 lists ``bias`` before ``kernel``; and other datasets may lie in the group."""
    weights = files.dense_weights(4, 4)
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense(units=4)), {"d": weights})
    with h5py.File(path, "a") as file:
        file["model_weights/d/d/a_stranger:0"] = np.ones(3)
    assert_gives(path, apply(X, weights))


def test_a_weight_that_is_listed_but_missing_is_named(tmp_path):
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": files.dense_weights()})
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/bias:0"]
    with pytest.raises(MissingWeightsError, match=r"lists 'd/bias:0', but does not have it in m\.h5"):
        from_keras(path)


# --- names of weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "version"),
    [
        pytest.param(("d/kernel:0", "d/bias:0"), "2.4.0", id="keras-2"),
        pytest.param(("d_1/kernel:0", "d_1/bias:0"), "2.1.6", id="loaded-twice-in-tensorflow-1"),
        pytest.param(("model_1/d/kernel:0", "model_1/d/bias:0"), "2.3.1", id="scope-of-a-model"),
        pytest.param(("kernel", "bias"), "3.0.5", id="keras-3.0"),
        pytest.param(("sequential/d/kernel", "sequential/d/bias"), "3.3.0", id="keras-3.3"),
        pytest.param(("d/kernel", "d/bias"), "2.1.3", id="theano"),
    ],
)
def test_the_ways_in_which_weights_have_been_named(tmp_path, names, version):
    weights = files.dense_weights()
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": {}}, version)
    with h5py.File(path, "a") as file:
        group = file["model_weights/d"]
        group.attrs["weight_names"] = list(names)
        for name, array in zip(names, weights.values(), strict=True):
            group[name] = array
    assert_gives(path, apply(X, weights))


@pytest.mark.parametrize("name", ["block/conv/d", "a b", "ü", "1", "d:0", "d_1"])
def test_unusual_names_of_layers(tmp_path, name):
    weights = files.dense_weights()
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense(name)), {name: weights})
    assert_gives(path, apply(X, weights))


# --- nested models ----------------------------------------------------------------------------------------------------


def nested(tmp_path, inner, names, arrays, version="2.2.0"):
    """Write a model that holds one nested model, whose group has the weights named."""
    config = files.sequential(("Sequential", inner["config"]))
    path = files.write_h5(tmp_path / "m.h5", config, {"inner": {}}, version)
    with h5py.File(path, "a") as file:
        group = file["model_weights/inner"]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, arrays, strict=True):
            group[name] = array
    return path


def norm_weights(size=4):
    random = RANDOM.uniform(0.5, 2, (4, size)).astype(np.float32)
    return dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), random, strict=True))


def normalized(x, weights):
    gamma, beta, mean, variance = weights.values()
    return (x - mean) / np.sqrt(variance + 0.001) * gamma + beta


NORM = {"axis": -1, "epsilon": 0.001, "scale": True, "center": True}


def test_weights_of_a_nested_model_are_found_by_name_not_by_place(tmp_path):
    """A frozen layer's weights stand behind all others, and so the rest is shifted."""
    first, last, norm = files.dense_weights(4, 4, 1), files.dense_weights(4, 4, 2), norm_weights()
    inner = files.sequential(
        files.dense("first", 4), ("BatchNormalization", {"name": "norm", **NORM}), files.dense("last", 4), name="inner"
    )
    names = ["norm/gamma:0", "norm/beta:0", "last/kernel:0", "last/bias:0"]
    names += ["first/kernel:0", "first/bias:0", "norm/moving_mean:0", "norm/moving_variance:0"]
    gamma, beta, *moments = norm.values()
    path = nested(tmp_path, inner, names, [gamma, beta, *last.values(), *first.values(), *moments])
    assert_gives(path, apply(normalized(apply(X, first), norm), last))


def test_numbers_that_tensorflow_1_put_behind_the_names_of_scopes(tmp_path):
    first, last = files.dense_weights(4, 4, 1), files.dense_weights(4, 4, 2)
    inner = files.sequential(files.dense("d_1", 4), files.dense("d_2", 4), name="inner")
    names = ["d_1_1/kernel:0", "d_1_1/bias:0", "d_2_1/kernel:0", "d_2_1/bias:0"]
    assert_gives(nested(tmp_path, inner, names, [*first.values(), *last.values()]), apply(apply(X, first), last))


def test_a_weight_that_no_layer_can_own_is_an_error(tmp_path):
    inner = files.sequential(files.dense("d_1", 4), name="inner")
    names = ["other/kernel:0", "other/bias:0"]
    with pytest.raises(KerasFileError, match="no layer of 'inner' is named in the weight 'other/kernel:0'"):
        from_keras(nested(tmp_path, inner, names, files.dense_weights(4, 4).values()))


def test_equal_names_at_two_levels_are_told_apart_by_the_models_around_them(tmp_path):
    """Keras 3 writes the path through all models."""
    outer, deep = files.dense_weights(4, 4, 1), files.dense_weights(4, 4, 2)
    innermost = files.sequential(files.dense("d", 4), name="deep")
    inner = files.sequential(files.dense("d", 4), ("Sequential", innermost["config"]), name="inner")
    names = ["inner/d/kernel", "inner/d/bias", "inner/deep/d/kernel", "inner/deep/d/bias"]
    path = nested(tmp_path, inner, names, [*outer.values(), *deep.values()], "3.4.0")
    assert_gives(path, apply(apply(X, outer), deep))


@pytest.mark.parametrize("version", ["2.0.9", "2.2.2"])
def test_models_in_sequential_models_had_no_names_before_2_2_3(tmp_path, version):
    """Their groups are found by their order."""
    first, second, last = (files.dense_weights(4, 4, seed) for seed in range(3))
    models = [
        {"class_name": "Sequential", "config": [entry("a", batch_input_shape=[None, 4])]},
        {"class_name": "Sequential", "config": [entry("b", batch_input_shape=[None, 4])]},
        entry("last"),
    ]
    path = files.write_h5(tmp_path / "m.h5", {"class_name": "Sequential", "config": models}, {}, version)
    with h5py.File(path, "a") as file:
        root = file["model_weights"]
        root.attrs["layer_names"] = np.array([b"sequential_1", b"sequential_2", b"last"])
        groups = ("sequential_1", "sequential_2", "last")
        for name, layer, weights in zip(groups, ("a", "b", "last"), (first, second, last), strict=True):
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{layer}/{role}" for role in weights]
            for role, array in weights.items():
                group[f"{layer}/{role}"] = array
    assert_gives(path, apply(apply(apply(X, first), second), last))


def entry(name, units=4, **options):
    kind, config = files.dense(name, units, **options)
    return {"class_name": kind, "config": config}


# --- configurations ---------------------------------------------------------------------------------------------------


def one_layer(tmp_path, class_name, config, weights, shape=(None, 4), version="2.4.0"):
    return files.write_h5(
        tmp_path / "m.h5", files.sequential((class_name, config), shape=shape), {config["name"]: weights}, version
    )


@pytest.mark.parametrize("axis", [-1, 1, [1], [-1]], ids=str)
@pytest.mark.parametrize("true", [True, 1], ids=str)
def test_an_axis_may_be_a_list_and_true_may_be_one(tmp_path, axis, true):
    weights = norm_weights()
    config = {"name": "n", "axis": axis, "epsilon": 0.001, "scale": true, "center": true}
    named = {f"{role}:0": array for role, array in weights.items()}
    assert_gives(one_layer(tmp_path, "BatchNormalization", config, named), normalized(X, weights))


ACTIVATIONS = {
    "text": "relu",
    "function": {"class_name": "function", "config": "relu", "registered_name": "relu", "module": "builtins"},
    "layer": {"class_name": "ReLU", "config": {"name": "r", "max_value": None, "threshold": 0.0}},
    "activation-layer": {"class_name": "Activation", "config": {"name": "a", "activation": "relu"}},
}


@pytest.mark.parametrize("form", ACTIVATIONS)
def test_the_forms_of_an_activation(tmp_path, form):
    weights = files.dense_weights()
    kind, config = files.dense(activation=ACTIVATIONS[form])
    assert_gives(one_layer(tmp_path, kind, config, weights), np.maximum(apply(X, weights), 0))


@pytest.mark.parametrize(
    "activation", ["Custom>swish", "my_function", {"class_name": "Custom>F", "config": {}}], ids=str
)
def test_functions_of_ones_own_are_refused(tmp_path, activation):
    kind, config = files.dense(activation=activation)
    with pytest.raises(KerasInteropError, match=r"Unsupported Keras layer: (Dense|Activation|Custom)"):
        from_keras(one_layer(tmp_path, kind, config, files.dense_weights()), strict=False)


DTYPES = {
    "text": "float32",
    "policy-of-keras-2": {"class_name": "Policy", "config": {"name": "float32"}},
    "policy-of-keras-3": {
        "module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None,
        "shared_object_id": 12,
    },
    "none": None,
}  # fmt: skip


@pytest.mark.parametrize("form", DTYPES)
def test_the_forms_of_a_dtype(tmp_path, form):
    weights = files.dense_weights()
    kind, config = files.dense(dtype=DTYPES[form])
    assert_gives(one_layer(tmp_path, kind, config, weights), apply(X, weights))


def test_initializers_with_a_dtype_and_shared_objects_say_nothing(tmp_path):
    """TensorFlow 1.13 wrote a dtype into initializers; Keras 3 refuses it."""
    weights = files.dense_weights()
    initializer = {"class_name": "VarianceScaling", "config": {"scale": 1.0, "seed": None, "dtype": "float32"}}
    kind, config = files.dense(kernel_initializer=initializer, shared_object_id=3)
    assert_gives(one_layer(tmp_path, kind, config, weights, version="2.2.4-tf"), apply(X, weights))


def test_embeddings_of_integers_up_to_2_0_5(tmp_path):
    """Their ``dtype`` was that of the ids."""
    table = RANDOM.standard_normal((7, 3)).astype(np.float32)
    config = {"name": "e", "input_dim": 7, "output_dim": 3, "input_length": 4, "dtype": "int32", "mask_zero": False}
    path = one_layer(tmp_path, "Embedding", config, {"embeddings:0": table}, version="2.0.5")
    ids = RANDOM.integers(0, 7, (2, 4))
    assert_gives(path, table[ids], ids)


# --- input shapes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["batch_input_shape", "batch_shape"])
@pytest.mark.parametrize("batch", [None, 25], ids=["free", "fixed"])
def test_the_shape_may_stand_on_the_first_layer_and_fix_the_batch(tmp_path, key, batch):
    """A batch size that was fixed for training is free here."""
    weights = files.dense_weights()
    kind, config = files.dense(**{key: [batch, 4]})
    whole = {"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": kind, "config": config}]}}
    model = from_keras(files.write_h5(tmp_path / "m.h5", whole, {"d": weights}))
    assert model.graph.inputs[0].shape == (None, 4)
    np.testing.assert_allclose(model.predict(X), apply(X, weights), rtol=1e-6)


@pytest.mark.parametrize("where", ["model", "layer", "build_input_shape"])
def test_a_shape_that_only_build_config_has(tmp_path, where):
    weights = files.dense_weights()
    kind, config = files.dense()
    layer = {"module": "keras.layers", "class_name": kind, "config": config}
    whole = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
    if where == "build_input_shape":
        whole["config"]["build_input_shape"] = [None, 4]
    else:
        (whole if where == "model" else layer)["build_config"] = {"input_shape": [None, 4]}
    members = {
        "config.json": json.dumps(whole),
        "metadata.json": '{"keras_version": "3.4.0"}',
        "model.weights.h5": files.archive_weights({"layers/dense": list(weights.values())}),
    }
    assert_gives(files.write_archive(tmp_path / "m.keras", members), apply(X, weights))


def test_a_free_shape_gives_way_to_the_one_the_model_was_built_with(tmp_path):
    """``InputLayer`` says ``[None, None]``, ``build_config`` says what Dense needs to know."""
    weights = files.dense_weights()
    whole = files.keras3_sequential(files.dense(), shape=(None, None))
    whole["build_config"] = {"input_shape": [None, 4]}
    members = {
        "config.json": json.dumps(whole),
        "metadata.json": '{"keras_version": "3.4.0"}',
        "model.weights.h5": files.archive_weights({"layers/dense": list(weights.values())}),
    }
    assert_gives(files.write_archive(tmp_path / "m.keras", members), apply(X, weights))
