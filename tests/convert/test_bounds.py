"""Small configurations that ask for much work; versions, back ends and classes that are not what they seem."""

from __future__ import annotations

import itertools
import json
import time

import h5py
import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, from_keras
from tests.convert import files


def node(kind, name, calls, **config):
    """Give a layer of a functional configuration of Keras 2; each call is a list of names it reads."""
    inbound = [[[read, number, 0, {}] for read, number in call] for call in calls]
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


def functional(layers, outputs, name="f"):
    given = node("InputLayer", "x", [], batch_input_shape=[None, 4])
    config = {"name": name, "layers": [given, *layers], "input_layers": [["x", 0, 0]], "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def convert_within(seconds, path, **options):
    start = time.process_time()
    try:
        return from_keras(path, **options)
    finally:
        assert time.process_time() - start < seconds


def test_models_in_models_cannot_multiply_without_end(tmp_path):
    model = functional([node("Flatten", "l", [[("x", 0)]])], [["l", 0, 0]])
    for depth in range(8):
        inner = {**model, "name": "m", "inbound_nodes": [[["x", 0, 0, {}]]] + [[["m", k, 0, {}]] for k in range(1, 10)]}
        model = functional([inner], [["m", 10, 0]], name=f"f{depth}")
    path = files.write_h5(tmp_path / "m.h5", model, {"m": {}})
    with pytest.raises(KerasFileError, match="models in models make"):
        convert_within(5, path)


def test_layers_in_reverse_order_take_no_quadratic_time(tmp_path):
    names = ["x", *(f"l{i}" for i in range(3000))]
    layers = [node("Flatten", name, [[(read, 0)]]) for read, name in itertools.pairwise(names)]
    path = files.write_h5(tmp_path / "m.h5", functional(layers[::-1], [[names[-1], 0, 0]]), {})
    model = convert_within(5, path)
    assert len(model.graph.nodes) == 3000


def test_an_output_listed_often_is_named_in_good_time(tmp_path):
    layer = node("Flatten", "l", [[("x", 0)]])
    model = convert_within(5, files.write_h5(tmp_path / "m.h5", functional([layer], [["l", 0, 0]] * 2000), {}))
    assert [output.name for output in model.graph.outputs[:3]] == ["l", "l_2", "l_3"]


@pytest.mark.parametrize("version", ["9" * 5000, "nightly", "", "3", "2.x"], ids=lambda text: text[:8] or "empty")
def test_any_version_text_is_read(tmp_path, version):
    members = {
        "metadata.json": json.dumps({"keras_version": version}),
        "config.json": json.dumps(files.keras3_sequential(files.dense())),
        "model.weights.h5": files.archive_weights({"layers/dense": list(files.dense_weights().values())}),
    }
    assert from_keras(files.write_archive(tmp_path / "m.keras", members)).predict(np.zeros((1, 4))).shape == (1, 3)


def test_kernels_of_the_theano_backend_are_mirrored(tmp_path):
    kernel = np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1)
    options = {
        "filters": 1,
        "kernel_size": [3, 3],
        "use_bias": False,
        "data_format": "channels_first",
        "padding": "valid",
    }
    config = files.sequential(("Conv2D", {"name": "c", **options}), shape=(None, 1, 3, 3))
    path = files.write_h5(tmp_path / "m.h5", config, {"c": {"kernel:0": kernel}}, version="2.1.6")
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 0] = 1
    assert from_keras(path).predict(x).item() == 0
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = "theano"
    model = from_keras(path)
    assert model.predict(x).item() == 8
    assert [rewrite["what"] for rewrite in model.source["rewrites"]] == ["kernel of the Theano backend mirrored"]


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param({"module": "keras_contrib.layers"}, id="another-package"),
        pytest.param({"module": None, "registered_name": "Dense"}, id="not-registered"),
        pytest.param({"module": "keras.layers", "registered_name": "mine>Dense"}, id="registered"),
    ],
)
def test_a_strangers_class_of_a_known_name_is_not_taken_for_it(tmp_path, marks):
    config = files.sequential(files.dense())
    config["config"]["layers"][1].update(marks)
    path = files.write_h5(tmp_path / "m.h5", config, {"d": files.dense_weights()})
    with pytest.raises(KerasInteropError, match=r"Unsupported Keras layer: .*>Dense"):
        from_keras(path, strict=False)


@pytest.mark.parametrize(
    "said", [{"mask": None}, {"mask": {"a": None}}, {"training": None}, {"training": False}], ids=str
)
def test_keywords_that_say_nothing_are_allowed(tmp_path, said):
    layer = node("Flatten", "l", [[("x", 0)]])
    layer["inbound_nodes"][0][0][3] = said
    assert from_keras(files.write_h5(tmp_path / "m.h5", functional([layer], [["l", 0, 0]]), {})).graph


def test_an_axis_that_must_be_known_is_an_obstacle_among_the_others(tmp_path):
    config = files.sequential(files.dense("d", 2), ("Mystery", {"name": "m"}), shape=(None, None))
    path = files.write_h5(tmp_path / "m.h5", config, {"d": files.dense_weights(), "m": {}})
    with pytest.raises(KerasInteropError) as caught:
        from_keras(path)
    assert [o.layer for o in caught.value.obstacles] == ["d", "m"]
    assert "must be fixed" in caught.value.obstacles[0].found


def test_a_layer_that_is_never_called_is_named(tmp_path):
    path = files.write_h5(tmp_path / "m.h5", functional([node("Flatten", "l", [])], [["x", 0, 0]]), {})
    with pytest.raises(KerasFileError, match=r"'l' \(Flatten\) is never called"):
        from_keras(path)
