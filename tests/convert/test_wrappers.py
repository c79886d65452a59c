"""Wrappers written out: names, weights of old files, what is refused, and configurations of strangers."""

from __future__ import annotations

import time

import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, from_keras
from keydnn.convert import Options, convert
from tests.convert import files

LSTM = {"class_name": "LSTM", "config": {"name": "lstm", "units": 5, "return_sequences": True}}


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def lstm_weights(prefix="", features=3, units=5, seed=0):
    shapes = {"kernel:0": (features, 4 * units), "recurrent_kernel:0": (units, 4 * units), "bias:0": (4 * units,)}
    return {f"{prefix}{name}": random(seed + place, *shape) for place, (name, shape) in enumerate(shapes.items())}


def written(path, class_name, config, weights=None, version="2.4.0", shape=(None, 4, 3)):
    entry = (class_name, {"name": "w", **config})
    return files.write_h5(path / "m.h5", files.sequential(entry, shape=shape), {"w": weights or {}}, version)


def nodes(model):
    return [(node.name, type(node.module).__name__) for node in model.graph.nodes]


def test_layers_inside_of_wrappers_are_named_by_their_path_and_listed_in_the_report(tmp_path):
    weights = lstm_weights("forward_lstm/") | lstm_weights("backward_lstm/", seed=5)
    path = written(tmp_path, "Bidirectional", {"layer": LSTM}, weights)
    conversion = convert(path, Options(True, True))
    assert [node.name for node in conversion.graph.nodes] == ["w/lstm", "w/backward_lstm", "w.flip", "w"]
    assert {(node.origin.layer, node.origin.class_name) for node in conversion.graph.nodes} == {
        ("w/lstm", "LSTM"),
        ("w/backward_lstm", "LSTM"),
        ("w", "Bidirectional"),
    }
    assert [(r.layer, r.what) for r in conversion.rewrites] == [("w", "written out as two layers, LSTM and LSTM")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("w/forward_lstm/", "w/backward_lstm/", id="keras-2.2"),
        pytest.param("w/forward_lstm/lstm_cell_1/", "w/backward_lstm/lstm_cell_2/", id="tf-keras"),
        pytest.param("w_1/", "w_1_1/", id="before-the-ways-had-names"),
    ],
)
def test_weights_of_both_ways_are_found_under_any_names_that_keras_has_given_them(tmp_path, first, second):
    there, back = lstm_weights(), lstm_weights(seed=5)
    weights = {first + name: array for name, array in there.items()}
    weights |= {second + name: array for name, array in back.items()}
    path = written(tmp_path, "Bidirectional", {"layer": LSTM}, weights)
    found = dict(from_keras(path, strict=False).graph.modules())
    np.testing.assert_array_equal(found["w/lstm"].weight_ih, there["kernel:0"].T)
    np.testing.assert_array_equal(found["w/backward_lstm"].weight_ih, back["kernel:0"].T)


def test_an_option_of_bidirectional_that_is_not_there_has_its_default(tmp_path):
    path = written(tmp_path, "Bidirectional", {"layer": LSTM}, lstm_weights("f/") | lstm_weights("b/"), "2.0.0")
    assert nodes(from_keras(path, strict=False))[-1] == ("w", "Concatenate")


@pytest.mark.parametrize(
    ("version", "config", "zeros"),
    [
        pytest.param("2.2.4", {}, False, id="keras"),
        pytest.param("2.2.4-tf", {"time_major": False}, True, id="tf-keras"),
        pytest.param("2.4.0", {}, True, id="tf-keras-2.4"),
    ],
)
def test_masked_steps_of_both_ways_give_zeros_except_in_multi_backend_keras_2(tmp_path, version, config, zeros):
    layer = {**LSTM, "config": {**LSTM["config"], **config}}
    weights = lstm_weights("f/") | lstm_weights("b/")
    model = from_keras(written(tmp_path, "Bidirectional", {"layer": layer}, weights, version), strict=False)
    assert [node.module.zero_output_for_mask for node in model.graph.nodes[:2]] == [zeros, zeros]


def test_a_layer_for_cudnn_runs_both_ways(tmp_path):
    layer = {"class_name": "CuDNNGRU", "config": {"name": "gru", "units": 5, "return_sequences": True}}
    shapes = {"kernel:0": (3, 15), "recurrent_kernel:0": (5, 15), "bias:0": (30,)}
    weights = {f"{way}/{name}": random(3, *shape) for way in "fb" for name, shape in shapes.items()}
    path = written(tmp_path, "Bidirectional", {"layer": layer}, weights, "2.4.0")
    assert [kind for _, kind in nodes(from_keras(path, strict=False))] == ["GRU", "GRU", "Flip", "Concatenate"]


def test_a_layer_that_does_the_same_to_every_step_takes_the_place_of_its_wrapper(tmp_path):
    weights = {"kernel:0": random(0, 3, 2), "bias:0": random(1, 2)}
    layer = {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "relu"}}
    model = from_keras(written(tmp_path, "TimeDistributed", {"layer": layer}, weights), strict=False)
    assert nodes(model) == [("w", "Linear"), ("w.activation", "ReLU")]


def test_time_folded_twice_in_a_row_is_unfolded_once(tmp_path):
    wrap = ("TimeDistributed", {"layer": {"class_name": "MaxPooling1D", "config": {"name": "p", "pool_size": 2}}})
    layers = [(kind, {"name": f"w{place}", **config}) for place, (kind, config) in enumerate([wrap, wrap])]
    config = files.sequential(*layers, shape=(None, 3, 8, 2))
    model = from_keras(files.write_h5(tmp_path / "m.h5", config, {}), strict=False)
    assert [name for name, _ in nodes(model)] == ["w0.fold", "w0/p.in0", "w0/p", "w1/p", "w1.in0", "w1"]
    x = random(0, 2, 3, 8, 2)
    np.testing.assert_array_equal(model(x), x.reshape(2, 3, 2, 4, 2).max(axis=3))


# --- refused ----------------------------------------------------------------------------------------------------------

CELL = {"class_name": "GRUCell", "config": {"name": "cell", "units": 5, "use_bias": False}}
CUSTOM = {"class_name": "mine>Cell", "config": {"name": "cell"}}
PEEPHOLE = {"class_name": "PeepholeLSTMCell", "config": {"name": "cell", "units": 5}}
STACK = {"class_name": "StackedRNNCells", "config": {"name": "stack", "cells": [CELL, CELL]}}


@pytest.mark.parametrize(
    ("class_name", "config", "words"),
    [
        pytest.param("RNN", {"cell": CUSTOM}, "Unsupported Keras layer: mine>Cell", id="cell-of-ones-own"),
        pytest.param("RNN", {"cell": PEEPHOLE}, "Unsupported Keras layer: PeepholeLSTMCell", id="unknown-cell"),
        pytest.param("RNN", {"cell": CELL, "num_constants": 1}, "RNN with constants", id="constants"),
        pytest.param("RNN", {"cell": STACK, "return_state": True}, "states of several cells", id="states-of-a-stack"),
        pytest.param(
            "Bidirectional",
            {"layer": LSTM, "merge_mode": "max"},
            "Bidirectional with merge_mode='max'",
            id="merge-mode",
        ),
        pytest.param("Bidirectional", {"layer": LSTM, "window": 3}, "window=3", id="unknown-option"),
        pytest.param(
            "TimeDistributed", {"layer": CUSTOM}, "Unsupported Keras layer: mine>Cell", id="layer-of-ones-own"
        ),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(tmp_path, class_name, config, words):
    weights = {} if class_name == "RNN" else lstm_weights("f/") | lstm_weights("b/")
    features = (3, 5) if config.get("cell") is STACK else (3,) * (class_name == "RNN")
    for place, size in enumerate(features):
        weights |= {f"{place}/kernel:0": np.zeros((size, 15)), f"{place}/recurrent_kernel:0": np.zeros((5, 15))}
    with pytest.raises(KerasInteropError, match=words):
        from_keras(written(tmp_path, class_name, config, weights, "2.2.4"), strict=False)


def test_a_softmax_layer_with_a_mask_is_refused(tmp_path):
    layers = ("Masking", {"name": "m"}), ("Softmax", {"name": "s", "axis": -1})
    path = files.write_h5(tmp_path / "m.h5", files.sequential(*layers, shape=(None, 4, 3)), {})
    with pytest.raises(KerasInteropError, match="Softmax with a mask of another rank"):
        from_keras(path, strict=False)


def test_a_softmax_layer_of_keras_up_to_2_3_does_not_look_at_masks(tmp_path):
    layers = ("Masking", {"name": "m"}), ("Softmax", {"name": "s", "axis": -1})
    config = files.sequential(*layers, shape=(None, 4, 3))
    path = files.write_h5(tmp_path / "m.h5", config, {}, version="2.3.0-tf")
    found = from_keras(path, strict=False)(np.zeros((1, 4, 3)))
    np.testing.assert_array_equal(found, np.full((1, 4, 3), np.float32(1 / 3)))


# --- strangers' configurations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", ["TimeDistributed", "Bidirectional", "RNN"])
@pytest.mark.parametrize("config", [{}, {"layer": 3, "cell": []}, {"layer": {"class_name": "LSTM"}}])
def test_a_wrapper_without_what_it_wraps_is_refused(tmp_path, class_name, config):
    with pytest.raises(KerasFileError, match="no usable"):
        from_keras(written(tmp_path, class_name, config), strict=False)


def test_a_stack_without_cells_is_refused(tmp_path):
    cell = {"class_name": "StackedRNNCells", "config": {"name": "stack", "cells": []}}
    with pytest.raises(KerasFileError, match="no cells"):
        from_keras(written(tmp_path, "RNN", {"cell": cell}), strict=False)


def test_both_ways_of_both_ways_do_not_multiply(tmp_path):
    layer = LSTM
    for _ in range(25):
        layer = {"class_name": "Bidirectional", "config": {"name": "b", "layer": layer}}
    start = time.perf_counter()
    with pytest.raises(KerasFileError, match="no recurrent layer"):
        from_keras(written(tmp_path, "Bidirectional", {"layer": layer}), strict=False)
    assert time.perf_counter() - start < 5


def test_steps_of_steps_of_steps_are_written_out_in_good_time(tmp_path):
    layer = {"class_name": "Flatten", "config": {"name": "f"}}
    for _ in range(10):
        layer = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": layer}}
    config = files.sequential(("TimeDistributed", {"name": "w", "layer": layer}), shape=(None, *[1] * 12))
    with pytest.raises(KerasFileError, match="no usable shape"):  # of more than 8 axes
        from_keras(files.write_h5(tmp_path / "m.h5", config, {}), strict=False)
