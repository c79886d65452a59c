"""Files beside the two usual ones, written by the real Kerases: weights only, folders, shards, other precisions.

``tests/convert/test_containers.py`` has the same layouts assembled by hand, for what goes wrong in them.
"""

from __future__ import annotations

import json
import zipfile
from unittest import mock

import h5py
import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.parity.kerases import KERASES, answer, assert_agrees, filled, quiet

pytestmark = pytest.mark.parity

BOTH = pytest.mark.parametrize("name", list(KERASES))


def ready(model):
    """Give a model random weights, one input and its answer."""
    model = filled(model, 1)
    random = np.random.default_rng(2)
    x = [random.standard_normal((2, *given.shape[1:])).astype(np.float32) for given in model.inputs]
    x = x if len(x) > 1 else x[0]
    return model, x, answer(model, x)


def assert_opens(path, x, wanted, **options):
    """Assert that KeyDNN opens a file and gives Keras' answer."""
    assert_agrees(from_keras(path, strict=False, **options), x, wanted, 0.01)


# --- models -----------------------------------------------------------------------------------------------------------


def encoder(library):
    """Give a model with frozen layers in between, whose weights a legacy file puts behind the others."""
    layers = library.layers
    x = library.Input((5,))
    y = layers.Dense(5, name="dense", trainable=False)(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Dense(5, name="second", activation="relu")(y)
    y = layers.BatchNormalization(name="frozen_norm", trainable=False)(y)
    return library.Model(x, layers.Dense(5, name="last")(y), name="encoder")


def nested(library):
    """Two levels, with the names of layers again in each; the inner model is called twice."""
    layers = library.layers
    x = library.Input((5,))
    inner = encoder(library)
    deep = library.Sequential([library.Input((5,)), inner, layers.Dense(5, name="head")], name="deep")
    y = layers.Dense(5, name="outside")(deep(inner(x)))
    return library.Model(x, [y, deep(x)])


def sequential(library):
    """Layers of one class in a row, some without weights."""
    layers = library.layers
    made = [layers.Dense(6), layers.ReLU(), layers.Dense(5), layers.Dropout(0.5), layers.BatchNormalization()]
    return library.Sequential([library.Input((5,)), *made, layers.Dense(4, activation="tanh")])


def wrappers(library):
    """Layers that hold layers, in a nested model too."""
    layers = library.layers
    x = library.Input((4, 5))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    inner = library.Sequential([library.Input((6,)), layers.Dense(4), layers.BatchNormalization()])
    y = layers.TimeDistributed(inner)(layers.TimeDistributed(layers.Dense(6))(y))
    return library.Model(x, layers.Bidirectional(layers.GRU(2), merge_mode="sum")(y))


def cells(library):
    """Cells in a list, of one class and of another, and a layer whose weights another layer divides."""
    layers = library.layers
    x = library.Input((4, 5))
    stack = [layers.LSTMCell(3), layers.LSTMCell(4), layers.GRUCell(3)]
    y = layers.RNN(layers.SimpleRNNCell(3))(layers.RNN(stack, return_sequences=True)(x))
    last = layers.Dense(4)  # tf-keras 2.21 cannot build SpectralNormalization
    return library.Model(x, (layers.SpectralNormalization(last) if library is KERASES["keras3"] else last)(y))


def attention(library):
    """A layer of several Dense-like ones, called ``_query_dense`` in tf-keras."""
    layers = library.layers
    x = library.Input((4, 6))
    y = layers.MultiHeadAttention(2, 3)(x, x)
    return library.Model(x, layers.LayerNormalization()(layers.Add()([x, y])))


def several(library):
    """Several inputs and outputs, a shared layer."""
    layers = library.layers
    x, y = library.Input((5,), name="x"), library.Input((5,), name="y")
    shared = layers.Dense(4, name="shared")
    return library.Model([x, y], [shared(x), layers.Add()([shared(y), shared(x)])])


def shared_with_nested(library):
    """Layers that are also part of a nested model, stored where they come first, among others of their class."""
    layers = library.layers
    first, second = layers.Dense(5, name="first"), layers.Dense(5, name="second")
    a = library.Input((5,))
    inner = library.Model(a, layers.Dense(5, name="own")(second(first(a))), name="inner")
    x = library.Input((5,))
    y = layers.Dense(5, name="before")(first(x))
    return library.Model(x, layers.Dense(5, name="after")(second(inner(y))))


def nested_first(library):
    """The nested model comes before the layers that are also outside of it."""
    layers = library.layers
    shared = layers.Dense(5, name="shared")
    inner = library.Sequential([library.Input((5,)), layers.Dense(5, name="own"), shared], name="inner")
    x = library.Input((5,))
    return library.Model(x, layers.Dense(5, name="after")(shared(inner(x))))


BUILDS = [sequential, nested, wrappers, cells, several, attention, shared_with_nested, nested_first]
MODELS = pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)


# --- weights only -----------------------------------------------------------------------------------------------------


@MODELS
@pytest.mark.parametrize(
    ("name", "file"),
    [("keras2", "w.h5"), ("keras2", "m.weights.h5"), ("keras3", "m.weights.h5")],
    ids=["keras2-legacy", "keras2-v3", "keras3-v3"],
)
def test_weights_only(tmp_path, build, name, file):
    model, x, wanted = ready(build(KERASES[name]))
    with quiet():
        model.save_weights(tmp_path / file)
        model.save(tmp_path / "m.keras")
    assert_opens(tmp_path / file, x, wanted, architecture=model.to_json())
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        config = archive.read("config.json").decode()
    assert_opens(tmp_path / file, x, wanted, architecture=config)


@MODELS
def test_weights_taken_out_of_a_whole_file(tmp_path, build):
    """The layout inside of an .h5 of Keras 3 is the legacy one still."""
    model, x, wanted = ready(build(KERASES["keras3"]))
    with quiet():
        model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as whole, h5py.File(tmp_path / "w.h5", "w") as weights:
        for name, group in whole["model_weights"].items():
            whole.copy(group, weights, name)
        weights.attrs.update(whole["model_weights"].attrs)
    assert_opens(tmp_path / "w.h5", x, wanted, architecture=model.to_json())


def test_layers_that_have_other_names_in_another_session(tmp_path):
    """Keras goes by the order in legacy files, and counts per class in others."""
    library = KERASES["keras2"]
    model, x, wanted = ready(sequential(library))
    again = sequential(library).to_json()
    assert [layer["config"]["name"] for layer in json.loads(again)["config"]["layers"][1:]] != [
        layer.name for layer in model.layers
    ]
    for file in ("w.h5", "m.weights.h5"):
        with quiet():
            model.save_weights(tmp_path / file)
        assert_opens(tmp_path / file, x, wanted, architecture=again)


# --- other containers -------------------------------------------------------------------------------------------------


@MODELS
def test_a_keras_folder(tmp_path, build):
    model, x, wanted = ready(build(KERASES["keras3"]))
    with quiet():
        KERASES["keras3"].saving.save_model(model, tmp_path / "folder", zipped=False)
    assert_opens(tmp_path / "folder", x, wanted)


@MODELS
def test_sharded_weights(tmp_path, build):
    model, x, wanted = ready(build(KERASES["keras3"]))
    largest = max(np.asarray(weight).nbytes for weight in model.weights)
    with quiet():
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=(largest + 4) / 1024**3)
    assert len(list(tmp_path.glob("*.h5"))) > 1
    assert_opens(tmp_path / "m.weights.json", x, wanted, architecture=model.to_json())


@MODELS
def test_a_file_of_windows(tmp_path, build):
    """Keras 2.15 joined the names of groups as paths are joined on Windows."""
    from tf_keras.src.saving import saving_lib

    model, x, wanted = ready(build(KERASES["keras2"]))
    with quiet(), mock.patch.object(saving_lib.tf.io.gfile, "join", lambda *names: "\\".join(filter(None, names))):
        model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive, h5py.File(archive.open("model.weights.h5")) as file:
        assert any("\\" in name for name in file)
    assert_opens(tmp_path / "m.keras", x, wanted)


@MODELS
def test_the_walk_of_keras_2_12(tmp_path, build):
    """It went through attributes in their order, and found layers in ``_layer_checkpoint_dependencies`` first."""
    from tf_keras.src.saving import saving_lib

    def walk(trackable):
        for name in sorted(dir(trackable)):
            if name.startswith("__") or name in saving_lib.ATTR_SKIPLIST - {"_layer_checkpoint_dependencies"}:
                continue
            try:
                child = getattr(trackable, name)
            except Exception:  # as there
                continue
            yield name, child

    def save_container(container, weights_store, assets_store, inner_path, visited_trackables):
        names = {}
        for trackable in list(container.values()) if isinstance(container, dict) else container:
            if not saving_lib._is_keras_trackable(trackable):
                continue
            name = saving_lib.generic_utils.to_snake_case(type(trackable).__name__)
            names[name] = names.get(name, -1) + 1
            inner = f"{inner_path}/{name}_{names[name]}" if names[name] else f"{inner_path}/{name}"
            saving_lib._save_state(trackable, weights_store, assets_store, inner, visited_trackables)

    model, x, wanted = ready(build(KERASES["keras2"]))
    patches = {"_walk_trackable": walk, "_save_container_state": save_container}
    with quiet(), mock.patch.multiple(saving_lib, **patches):
        model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive, h5py.File(archive.open("model.weights.h5")) as file:
        assert "_layer_checkpoint_dependencies" in file
        assert "layers" not in file
    assert_opens(tmp_path / "m.keras", x, wanted)


@BOTH
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_the_state_of_training_is_ignored(tmp_path, name, suffix):
    library = KERASES[name]
    model = sequential(library)
    model.compile("adam", "mse", metrics=["mae"])
    with quiet():
        model.fit(np.ones((4, 5)), np.ones((4, 4)), verbose=0)
        model.save(tmp_path / f"m.{suffix}")
    x = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)
    assert_opens(tmp_path / f"m.{suffix}", x, answer(model, x))


@BOTH
def test_npz_weights_are_refused(tmp_path, name):
    """They hold pickles; neither Keras reads what it wrote."""
    library = KERASES[name]
    if name == "keras3":
        from keras.src.saving import saving_lib
    else:
        from tf_keras.src.saving import saving_lib
    with quiet():
        saving_lib.save_model(sequential(library), tmp_path / "m.keras", weights_format="npz")
        with pytest.raises(ValueError, match="allow_pickle=False"):
            saving_lib.load_model(tmp_path / "m.keras")
    with pytest.raises(KerasInteropError, match=r"model\.weights\.npz holds Python pickles"):
        from_keras(tmp_path / "m.keras")


# --- numbers ----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_other_precisions_are_widened_exactly(tmp_path, name, suffix, dtype):
    library = KERASES[name]
    with quiet():
        x = library.Input((5,))
        model = library.Model(x, library.layers.Dense(3, dtype=dtype, name="d")(x))
        model.save(tmp_path / f"m.{suffix}")
    kernel, bias = (np.asarray(library.ops.cast(w, "float64") if name == "keras3" else w) for w in model.weights)
    state = from_keras(tmp_path / f"m.{suffix}").state_dict()
    np.testing.assert_array_equal(state["d.weight"], kernel.astype(np.float32).T)
    np.testing.assert_array_equal(state["d.bias"], bias.astype(np.float32))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized_layers_are_refused(tmp_path, suffix, mode):
    with quiet():
        model = sequential(KERASES["keras3"])
        model.quantize(mode)
        model.save(tmp_path / f"m.{suffix}")
    with pytest.raises(KerasInteropError, match="a quantized layer"):
        from_keras(tmp_path / f"m.{suffix}", strict=False)
