"""Live models, with stand-ins for Keras' own: the real ones are compared in ``tests/parity``."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.convert import files

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


class Variable:
    """What both Keras have: a name, a shape, and NumPy's numbers."""

    def __init__(self, name, value):
        self.name, self.shape, self._value = name, value.shape, value

    def __array__(self, dtype=None, copy=None):
        return self._value


def variables(weights):
    return [Variable(name, array) for name, array in weights.items()]


def live(config, layers, name="m"):
    """Give a model that says what ``to_json`` of a real one says."""
    return SimpleNamespace(name=name, to_json=lambda: json.dumps(config), layers=layers, weights=[])


def test_a_dense_layer():
    weights = files.dense_weights()
    config = files.sequential(files.dense()) | {"keras_version": "2.15.0"}
    layer = SimpleNamespace(name="d", weights=variables({f"d/{name}": array for name, array in weights.items()}))
    found = from_keras(live(config, [layer])).predict(X)
    np.testing.assert_allclose(found, X @ weights["kernel:0"] + weights["bias:0"], rtol=1e-6)


def test_a_model_in_a_model_and_a_version_that_to_json_leaves_out():
    weights = files.dense_weights()
    inner = files.keras3_sequential(files.dense())
    inner["config"]["name"] = "inner"
    config = files.keras3_sequential()
    config["config"]["layers"].append(inner)
    layer = SimpleNamespace(name="d", weights=variables({"kernel": weights["kernel:0"], "bias": weights["bias:0"]}))
    owner = SimpleNamespace(name="inner", layers=[layer], weights=[])
    found = from_keras(live(config, [owner])).predict(X)
    np.testing.assert_allclose(found, X @ weights["kernel:0"] + weights["bias:0"], rtol=1e-6)


def test_wrappers_and_vocabularies():
    options = {"units": 3, "use_bias": True, "activation": "linear", "trainable": True}
    inside = {"class_name": "Dense", "config": {"name": "d", **options}}
    weights = files.dense_weights()
    config = files.sequential(("TimeDistributed", {"name": "t", "layer": inside}), shape=(None, 5, 4))
    stored = variables({f"d/{name}": array for name, array in weights.items()})
    layer = SimpleNamespace(name="t", weights=stored, layer=SimpleNamespace(name="d", weights=stored))
    x = np.stack([X, -X, X, X, X], axis=1)
    found = from_keras(live(config | {"keras_version": "2.15.0"}, [layer])).predict(x)
    np.testing.assert_allclose(found, x @ weights["kernel:0"] + weights["bias:0"], rtol=1e-5, atol=1e-6)


def test_what_a_lookup_has_learnt():
    options = {"name": "l", "max_tokens": None, "num_oov_indices": 1, "mask_token": None, "oov_token": "[UNK]"}
    config = files.sequential(("StringLookup", {**options, "output_mode": "int"}), shape=(None, 2))
    config["config"]["layers"][0]["config"]["dtype"] = "string"
    table = SimpleNamespace(name="l", weights=[object()], get_vocabulary=lambda: ["[UNK]", "a", "b"])
    found = from_keras(live(config | {"keras_version": "2.15.0"}, [table])).predict(np.array([["b", "z"]]))
    assert found.tolist() == [[2, 0]]


def test_a_model_written_as_a_class_and_what_is_no_model():
    def refuse():
        raise NotImplementedError

    with pytest.raises(KerasInteropError, match="is written as a class"):
        from_keras(SimpleNamespace(name="m", to_json=refuse, layers=[], weights=[]))
    with pytest.raises(KerasInteropError, match=r"a path or a keras\.Model is needed"):
        from_keras(SimpleNamespace(name="m"))
