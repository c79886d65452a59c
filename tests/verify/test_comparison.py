"""What is no difference: Keras' types that the graph has not, outputs that nothing reads, weights that are derived."""

from __future__ import annotations

import dataclasses

import numpy as np

from keydnn import Graph, Input, Node, Output, modules
from keydnn.graph import Landmark, Origin
from keydnn.verify.comparison import compare
from keydnn.verify.recording import Activation, Numbers, Recording
from keydnn.verify.rows import Tolerance, relative_error

X = np.array([[-1, 2, 3]], np.float32)


def recording(y, *activations, **weights):
    made = tuple(Activation(layer, "Layer", call, 0, "float32", array) for layer, call, array in activations)
    return Recording("keras 3", "numpy", "m.h5", "0" * 64, 0, {"x": X}, {"y": y}, made, weights)


def test_truth_values_are_numbers_to_the_layers_behind():
    nodes = [
        Node("above", modules.Scalar("greater", 0.0), ("x",)),
        Node("y", modules.Scalar("multiply", 2.0), ("above",)),
    ]
    marks = [Landmark(name, "Layer", 0, 0, value) for name, value in (("g", "above"), ("cast", "above"), ("y", "y"))]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("y", "y")], landmarks=marks)
    above = X > 0
    y = 2 * above.astype("f4")
    found = compare(graph, recording(y, ("g", 0, above), ("cast", 0, above.astype("f4")), ("y", 0, y)), Tolerance())
    assert found.agrees
    assert [row.layer for row in found.rows] == ["g", "cast", "y"]
    assert not compare(graph, recording(y, ("g", 0, ~above)), Tolerance()).agrees


def test_outputs_that_nothing_reads_are_not_missed_and_other_layers_are():
    nodes = [Node("y", modules.ReLU(), ("x",))]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("y", "y")], landmarks=[Landmark("l", "LSTM", 0, 1, "y")])
    y = np.maximum(X, 0)
    made = recording(y, ("l", 0, X), ("l", 1, X), ("away", 0, X))
    made = dataclasses.replace(made, activations=(*made.activations, Activation("l", "LSTM", 0, 1, "float32", y)))
    found = compare(graph, made, Tolerance())
    assert found.agrees
    assert found.unmatched == ["away", "l@1"]


def test_deviations_are_roots_of_what_keras_has():
    norm = modules.Standardize((3,), mean=np.zeros(3, "f4"), std=np.full(3, 2, "f4"))
    nodes = [Node("y", norm, ("x",), Origin("norm", "BatchNormalization"))]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("y", "y")], landmarks=[Landmark("norm", "B", 0, 0, "y")])
    made = recording(X / 2, ("norm", 0, X / 2), norm=Numbers(6, "1" * 64))
    assert compare(graph, made, Tolerance()).agrees


def test_denormal_numbers_may_be_zero():
    tiny = np.array([1e-40, 0], np.float32)
    assert relative_error(tiny, 0 * tiny) == 0
    assert relative_error(np.array([1e-30]), np.zeros(1)) == np.inf
