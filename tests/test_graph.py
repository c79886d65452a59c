"""Graph: wiring is checked when it is built; values live as long as they are read."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import Graph, Input, Node, Output, ParameterError, ShapeError
from keydnn.modules import Add, Linear, ReLU

X = Input("x", (None, 3))


@pytest.mark.parametrize(
    ("nodes", "outputs", "error", "word"),
    [
        pytest.param([], [], ParameterError, "at least one", id="no-output"),
        pytest.param([Node("a", ReLU(), ("b",))], [Output("y", "a")], ParameterError, "reads 'b'", id="unknown"),
        pytest.param([Node("a", ReLU(), ("a",))], [Output("y", "a")], ParameterError, "reads 'a'", id="itself"),
        pytest.param([Node("x", ReLU(), ("x",))], [Output("y", "x")], ParameterError, "named 'x'", id="name-twice"),
        pytest.param([Node("a", Add(), ("x",))], [Output("y", "a")], ParameterError, "two or more", id="too-few"),
        pytest.param([Node("a", ReLU(), ("x", "x"))], [Output("y", "a")], ParameterError, "takes 1", id="too-many"),
        pytest.param([Node("a", Linear(4, 2), ("x",))], [Output("y", "a")], ShapeError, "node 'a'", id="shape"),
        pytest.param([], [Output("y", "z")], ParameterError, "no node computes", id="unknown-output"),
        pytest.param([], [Output("y", "x")] * 2, ParameterError, "same name", id="output-twice"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(nodes, outputs, error, word):
    with pytest.raises(error, match=word):
        Graph([X], nodes, outputs)


def test_shapes_are_known_before_anything_runs():
    graph = Graph([Input("x", (None, 5, 3))], [Node("a", Linear(3, 7), ("x",))], [Output("y", "a")])
    assert graph.shapes == {"x": (None, 5, 3), "a": (None, 5, 7)}


def test_the_observer_sees_every_node_with_its_values():
    nodes = [Node("a", ReLU(), ("x",)), Node("b", Add(), ("a", "x")), Node("c", Add(), ("b", "a"))]
    graph = Graph([X], nodes, [Output("y", "c"), Output("given", "x")])
    seen = []
    x = np.array([[-1, 0, 2]], np.float32)
    y, given = graph.forward([x], lambda node, inputs, output: seen.append((node.name, len(inputs), output.copy())))
    assert [(name, count) for name, count, _ in seen] == [("a", 1), ("b", 2), ("c", 2)]
    np.testing.assert_array_equal(seen[1][2], [[-1, 0, 4]])
    np.testing.assert_array_equal(y, [[-1, 0, 6]])
    np.testing.assert_array_equal(given, x)


def test_a_module_in_two_nodes_is_one_module():
    relu = Linear(3, 3)
    graph = Graph([X], [Node("a", relu, ("x",)), Node("b", relu, ("a",))], [Output("y", "b")])
    assert [name for name, _ in graph.modules()] == ["a"]
    replaced = graph.with_modules({"a": ReLU()})
    assert {type(node.module) for node in replaced.nodes} == {ReLU}
