"""Where the outputs of Keras' layers are found in a graph."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import keydnn
from keydnn import Graph, Input, Node, Output, ParameterError, modules
from keydnn.graph import Landmark
from tests.convert import files

GOLDEN = sorted(Path(__file__).parents[1].glob("golden/*.h5")) + sorted(
    Path(__file__).parents[1].glob("golden/*.keras")
)


def marks(graph):
    return {(mark.layer, mark.call, mark.tensor): mark for mark in graph.landmarks}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_every_layer_that_is_in_the_graph_has_one_that_fits(path):
    graph = keydnn.from_keras(path, strict=False).graph
    found = marks(graph)
    assert {node.origin.layer for node in graph.nodes if node.origin} <= {layer for layer, _, _ in found}
    for output in graph.outputs:  # outputs have Keras' order of axes: what comes of a layer is marked
        shapes = {mark.value: mark for mark in graph.landmarks}
        assert output.value in shapes or output.value.endswith(".output")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_checkpoints_keep_them(path, tmp_path):
    model = keydnn.from_keras(path, strict=False)
    model.save(tmp_path / "model.json")
    assert keydnn.load(tmp_path / "model.json").graph.landmarks == model.graph.landmarks


def test_a_layer_that_reads_itself_has_one_at_each_call(tmp_path):
    given = {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [None, 3]}}
    class_name, config = files.dense("d", 3, activation="tanh")
    calls = [[["x", 0, 0, {}]], [["d", 0, 0, {}]]]
    shared = {"class_name": class_name, "name": "d", "config": config, "inbound_nodes": calls}
    layers = [{**given, "inbound_nodes": []}, shared]
    ends = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["d", 1, 0]]}
    path = files.write_h5(tmp_path / "m.h5", {"class_name": "Model", "config": ends}, {"d": files.dense_weights(3, 3)})
    found = marks(keydnn.from_keras(path, strict=False).graph)
    assert found["d", 0, 0].value == "d.activation"
    assert found["d", 1, 0].value == "d.activation@1"


def graph_with(*landmarks):
    node = Node("y", modules.ReLU(), ("x",))
    return Graph([Input("x", (None, 2, 3))], [node], [Output("y", "y")], landmarks=landmarks)


@pytest.mark.parametrize(
    "mark",
    [
        Landmark("y", "ReLU", 0, 0, "z"),
        Landmark("y", "ReLU", 0, 0, "y", (0, 1)),
        Landmark("y", "ReLU", 0, 0, "y", (0, 1, 1)),
    ],
    ids=["of-no-value", "of-another-rank", "that-is-no-permutation"],
)
def test_a_landmark_that_does_not_fit_is_refused(mark, tmp_path):
    graph_with(Landmark("y", "ReLU", 0, 0, "y", (0, 2, 1)))
    with pytest.raises(ParameterError, match="landmark 'y'"):
        graph_with(mark)


def test_checkpoints_say_what_is_unusual_only(tmp_path):
    keydnn.Model(graph_with(Landmark("y", "ReLU", 0, 0, "y"), Landmark("y", "ReLU", 1, 2, "y", (0, 2, 1)))).save(
        tmp_path / "model.json"
    )
    assert json.loads((tmp_path / "model.json").read_text())["landmarks"] == [
        {"layer": "y", "class_name": "ReLU", "value": "y"},
        {"layer": "y", "class_name": "ReLU", "value": "y", "call": 1, "tensor": 2, "order": [0, 2, 1]},
    ]
