"""Files that Keras 3.15 refuses, or answers otherwise than the Keras that wrote them: KeyDNN gives the writer's answer.

Each test shows both: what the installed Keras 3 does, and what KeyDNN does.  ``docs/files.md`` cites this list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import h5py
import numpy as np
import pytest

from keydnn import from_keras
from tests.convert import files
from tests.parity.kerases import KERASES, answer, assert_agrees, filled, quiet

pytestmark = pytest.mark.parity

saving_lib = pytest.importorskip("tf_keras.src.saving.saving_lib")
keras, tf_keras = KERASES["keras3"], KERASES["keras2"]


@dataclass
class Refused:
    """A file that Keras 3 does not open as its writer meant it.

    Attributes
    ----------
    build
        From the Keras that writes it to a model.
    suffix
        Of the file.
    writer
        The Keras that writes it.
    edit
        What is changed in the file's JSON afterwards, where today's tf-keras writes it otherwise than Keras 2 did.
    differs
        Keras 3 opens it, and answers otherwise.
    arrays
        Gives the inputs, where they are not random numbers.
    """

    build: Any
    suffix: str = "h5"
    writer: str = "keras2"
    edit: Any = None
    differs: bool = False
    arrays: Any = field(default=None)


def sequential(library, *layers, shape=(8, 8, 3)):
    return library.Sequential([library.Input(shape), *layers])


def functional(call, shape=(8, 8, 3)):
    """Give the builder of a model of one input."""

    def build(library):
        x = library.Input(shape)
        return library.Model(x, call(library, x))

    return build


def submodel(library, size=5):
    x = library.Input((size,))
    return library.Model(x, library.layers.Dense(size, activation="tanh")(x), name="inner")


def called_twice(library, x):
    inner = submodel(library)
    return library.layers.Subtract()([inner(inner(x)), x])


def one_of_two_calls(library, x):
    """Keras 3 takes the second call for the first."""
    inner = submodel(library)
    return [library.layers.ReLU()(inner(x)), inner(library.layers.Dense(5)(x))]


def masked(library, x):
    return library.layers.LSTM(3)(library.layers.Masking()(x))


def bare_list(config):
    config["config"] = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]


def initializer_dtype(config):
    for layer in config["config"]["layers"]:
        for key, value in layer["config"].items():
            if key.endswith("_initializer"):
                value["config"]["dtype"] = "float32"
                value.pop("module", None)
                value.pop("registered_name", None)


def keys_of_today(value):
    """Take the keys out that Keras 2 wrote since 2.12 only."""
    if isinstance(value, dict):
        for key in ("module", "registered_name", "build_config"):
            value.pop(key, None)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        keys_of_today(item)


def with_padding(random):
    x = random.standard_normal((2, 6, 4)).astype(np.float32)
    x[0, 4:] = 0
    return x


CASES = {
    "groups-of-depthwise": Refused(lambda k: sequential(k, k.layers.DepthwiseConv2D(3))),
    "groups-of-separable": Refused(lambda k: sequential(k, k.layers.SeparableConv2D(4, 3))),
    "groups-of-transposed": Refused(lambda k: sequential(k, k.layers.Conv2DTranspose(4, 3))),
    "time-major-of-lstm": Refused(lambda k: sequential(k, k.layers.LSTM(3), shape=(6, 4))),
    "time-major-of-gru": Refused(lambda k: sequential(k, k.layers.GRU(3), shape=(6, 4))),
    "lstm-in-a-keras-archive": Refused(lambda k: sequential(k, k.layers.LSTM(3), shape=(6, 4)), "keras"),
    "bidirectional": Refused(
        lambda k: sequential(k, k.layers.Bidirectional(k.layers.SimpleRNN(3)), shape=(6, 4)), edit=keys_of_today
    ),
    "time-distributed": Refused(
        lambda k: sequential(k, k.layers.TimeDistributed(k.layers.Dense(3)), shape=(6, 4)), edit=keys_of_today
    ),
    "batch-normalization-in-a-keras-archive": Refused(lambda k: sequential(k, k.layers.BatchNormalization()), "keras"),
    "a-functional-keras-archive": Refused(functional(lambda k, x: k.layers.Dense(3)(x), (5,)), "keras"),
    "a-submodel-that-feeds-a-layer": Refused(functional(lambda k, x: k.layers.Dense(3)(submodel(k)(x)), (5,))),
    "a-submodel-called-twice": Refused(functional(called_twice, (5,))),
    "one-of-two-calls-of-a-submodel": Refused(functional(one_of_two_calls, (5,)), differs=True),
    "a-plus-one": Refused(functional(lambda k, x: k.layers.Dense(3)(x + 1.0), (5,))),
    "config-is-a-list": Refused(
        lambda k: k.Sequential([k.layers.Dense(3, input_shape=(5,)), k.layers.Dense(2)]), edit=bare_list
    ),
    "dtype-of-initializers": Refused(lambda k: sequential(k, k.layers.Dense(3), shape=(5,)), edit=initializer_dtype),
    "slash-in-a-name": Refused(lambda k: sequential(k, k.layers.Dense(3, name="block/dense"), shape=(5,))),
    "hard-sigmoid": Refused(
        lambda k: sequential(k, k.layers.Dense(3, activation="hard_sigmoid"), shape=(5,)), differs=True
    ),
    "thresholded-relu": Refused(lambda k: sequential(k, k.layers.ThresholdedReLU(0.5), shape=(5,))),
    "its-own-file-with-masking": Refused(functional(masked, (6, 4)), writer="keras3", arrays=with_padding),
    "its-own-file-with-a-plus-one": Refused(functional(lambda k, x: k.layers.Dense(3)(x + 1.0), (5,)), writer="keras3"),
    "its-own-file-with-reshape": Refused(
        functional(lambda k, x: k.layers.Dense(3)(k.ops.reshape(x, (-1, 2, 3))), (6,)), writer="keras3"
    ),
}


def written(case, path):
    """Write a case's file; give inputs and the writer's answer."""
    library = KERASES[case.writer]
    library.backend.clear_session()
    with quiet():
        model = filled(case.build(library), 3)
        model.save(path)
    if case.edit:
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            case.edit(config)
            file.attrs["model_config"] = json.dumps(config)
    random = np.random.default_rng(4)
    shapes = [given.shape[1:] for given in model.inputs]
    x = [case.arrays(random)] if case.arrays else [random.standard_normal((2, *s)).astype(np.float32) for s in shapes]
    x = x if len(x) > 1 else x[0]
    return x, answer(model, x)


def answers_otherwise(path, x, wanted):
    """Tell whether Keras 3 refuses a file, or answers otherwise by more than a hundredth of the largest number."""
    try:
        with quiet():
            found = answer(keras.models.load_model(path, compile=False), x)
    except Exception as error:  # whatever it raises, of any type
        return f"{type(error).__name__}: {error}"
    pairs = zip(*(value if isinstance(value, list) else [value] for value in (found, wanted)), strict=True)
    worst = max(np.abs(one - other).max() / np.abs(other).max() for one, other in pairs)
    return float(worst) if worst > 0.01 else None


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_keras_3_does_not_open_opens_here(tmp_path, name):
    case = CASES[name]
    path = tmp_path / f"m.{case.suffix}"
    x, wanted = written(case, path)
    trouble = answers_otherwise(path, x, wanted)
    assert isinstance(trouble, float) if case.differs else isinstance(trouble, str), trouble
    assert_agrees(from_keras(path, strict=False), x, wanted, 0.01)


# --- files that neither Kerases of today write ------------------------------------------------------------------------


def test_a_file_of_keras_1(tmp_path):
    """Assembled from its layout; ``tests/convert/test_keras1.py`` has all of its layers."""
    random = np.random.default_rng(5)
    weights = {"W": random.standard_normal((4, 3)).astype(np.float32), "b": np.ones(3, np.float32)}
    entry = {"name": "d", "output_dim": 3, "bias": True, "init": "uniform", "batch_input_shape": [None, 4]}
    path = files.write_keras1(tmp_path / "m.h5", [{"class_name": "Dense", "config": entry}], {"d": weights})
    x = random.standard_normal((2, 4)).astype(np.float32)
    wanted = x @ weights["W"] + weights["b"]
    assert isinstance(answers_otherwise(path, x, wanted), str)
    np.testing.assert_allclose(from_keras(path).predict(x), wanted, rtol=1e-5, atol=1e-6)


def test_a_keras_archive_of_windows(tmp_path):
    """tf-keras itself does not find the weights again."""
    model = filled(sequential(tf_keras, tf_keras.layers.Dense(3), shape=(5,)), 6)
    with quiet(), mock.patch.object(saving_lib.tf.io.gfile, "join", lambda *names: "\\".join(filter(None, names))):
        model.save(tmp_path / "m.keras")
    x = np.random.default_rng(7).standard_normal((2, 5)).astype(np.float32)
    wanted = answer(model, x)
    assert isinstance(answers_otherwise(tmp_path / "m.keras", x, wanted), str)
    with pytest.raises(ValueError, match="received 0 variables"), quiet():
        tf_keras.models.load_model(tmp_path / "m.keras", compile=False)
    assert_agrees(from_keras(tmp_path / "m.keras", strict=False), x, wanted, 0.01)


def test_an_architecture_of_keras_2_with_its_weights(tmp_path):
    model = filled(sequential(tf_keras, tf_keras.layers.Dense(3), shape=(5,)), 8)
    with quiet():
        model.save_weights(tmp_path / "w.h5")
    with pytest.raises(TypeError, match="Could not locate class 'Sequential'"):
        keras.models.model_from_json(model.to_json())
    x = np.random.default_rng(9).standard_normal((2, 5)).astype(np.float32)
    assert_agrees(from_keras(tmp_path / "w.h5", architecture=model.to_json()), x, answer(model, x), 0.01)


@pytest.mark.parametrize("name", list(KERASES))
def test_bfloat16_in_hdf5(tmp_path, name):
    library = KERASES[name]
    with quiet():
        model = sequential(library, library.layers.Dense(3, dtype="bfloat16", name="d"), shape=(5,))
        model.save(tmp_path / "m.h5")
        with pytest.raises(ValueError, match="No cast function"):
            keras.models.load_model(tmp_path / "m.h5", compile=False)
    kernel = np.asarray(model.weights[0]).astype(np.float32)
    np.testing.assert_array_equal(from_keras(tmp_path / "m.h5").state_dict()["d.weight"], kernel.T)
