"""The layout pass: where Permutes stand, and that nothing but their places changes."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import Graph, Input, Node, Output, from_keras
from keydnn.convert.layout import move_permutes
from keydnn.modules import Add, Concatenate, Flatten, MaxPool2d, Permute, ReLU, Softmax
from tests.convert import files

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
X = np.random.default_rng(0).standard_normal((2, 6, 5, 3)).astype(np.float32)


def build(*nodes, output, inputs=("x",)):
    made = [Node(name, module, tuple(reads)) for name, module, reads in nodes]
    return Graph([Input(name, (None, 6, 5, 3)) for name in inputs], made, [Output("y", output)])


def run(graph, movable):
    """Give the pass's graph, after checking that it computes the same bits."""
    moved = move_permutes(graph, movable)
    arrays = [X + i for i in range(len(graph.inputs))]
    for before, after in zip(graph.forward(arrays), moved.forward(arrays), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [moved.shapes[o.value] for o in moved.outputs] == [graph.shapes[o.value] for o in graph.outputs]
    return moved


def kinds(graph):
    return [type(node.module).__name__ for node in graph.nodes]


def channels_last_pool(name, read):
    """A channels_last pooling layer as builders emit it, and the names of its movable Permutes."""
    nodes = [
        (f"{name}.channels_first", Permute(FIRST), [read]),
        (name, MaxPool2d(2), [f"{name}.channels_first"]),
        (f"{name}.channels_last", Permute(LAST), [name]),
    ]
    return nodes, {f"{name}.channels_first", f"{name}.channels_last"}


def test_two_layers_in_a_row_need_one_permute_at_each_end():
    a, moves_a = channels_last_pool("a", "x")
    b, moves_b = channels_last_pool("b", "r")
    graph = build(*a, ("r", ReLU(), ["a.channels_last"]), *b, output="b.channels_last")
    moved = run(graph, moves_a | moves_b)
    assert kinds(moved) == ["Permute", "MaxPool2d", "ReLU", "MaxPool2d", "Permute"]


def test_a_residual_branch_from_the_input_is_permuted_once():
    a, moves = channels_last_pool("a", "x")
    b, more = channels_last_pool("b", "x")
    graph = build(*a, *b, ("s", Add(), ["a.channels_last", "b.channels_last"]), output="s")
    moved = run(graph, moves | more)
    assert kinds(moved) == ["Permute", "MaxPool2d", "MaxPool2d", "Add", "Permute"]


def test_axes_follow_the_values():
    a, moves = channels_last_pool("a", "x")
    graph = build(*a, ("c", Concatenate(3), ["a.channels_last"] * 2), ("s", Softmax(-1), ["c"]), output="s")
    moved = run(graph, moves)
    assert kinds(moved) == ["Permute", "MaxPool2d", "Concatenate", "Softmax", "Permute"]
    assert next(node.module.dim for node in moved.nodes if node.name == "c") == 1


def test_flatten_gets_the_order_that_keras_had():
    a, moves = channels_last_pool("a", "x")
    moved = run(build(*a, ("f", Flatten(), ["a.channels_last"]), output="f"), moves)
    assert kinds(moved) == ["Permute", "MaxPool2d", "Permute", "Flatten"]


def test_the_models_own_permute_layers_stay_where_they_are():
    a, moves = channels_last_pool("a", "p")
    graph = build(("p", Permute((0, 2, 1, 3)), ["x"]), *a, output="a.channels_last")
    moved = run(graph, moves)
    assert moved.nodes[0].name == "p"
    assert moved.nodes[0].module.dims == (0, 2, 1, 3)


def test_a_value_read_in_both_orders_is_given_in_both():
    a, moves = channels_last_pool("a", "x")
    nodes = [*a, ("f", Flatten(), ["a.channels_last"]), ("r", ReLU(), ["a.channels_last"])]
    made = [Node(name, module, tuple(reads)) for name, module, reads in nodes]
    graph = Graph([Input("x", (None, 6, 5, 3))], made, [Output("f", "f"), Output("r", "r")])
    moved = run(graph, moves)
    assert kinds(moved).count("Permute") == 3


@pytest.mark.parametrize("shape", [(None, 6, 5, 3), (None, None, None, 3)], ids=["fixed", "free-height-and-width"])
def test_inputs_and_outputs_keep_their_shapes(tmp_path, shape):
    pool = {"name": "p", "pool_size": [2, 2], "padding": "same", "data_format": "channels_last"}
    path = files.write_h5(tmp_path / "m.h5", files.sequential(("MaxPooling2D", pool), shape=shape), {"p": {}})
    model = from_keras(path, channels_last="transpose")
    found = model.predict(X)
    assert found.shape == (2, 3, 3, 3)
    wanted = np.full((2, 6, 6, 3), -np.inf, np.float32)
    wanted[:, :, :5] = X
    np.testing.assert_array_equal(found, wanted.reshape(2, 3, 2, 3, 2, 3).max(axis=(2, 4)))
