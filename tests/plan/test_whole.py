"""What is computed of a batch as a whole is not computed in parts."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import Model
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Concatenate, Constant, ReLU, Softmax
from keydnn.plan import Program
from keydnn.reference import evaluate
from tests.within import assert_within

X = np.random.default_rng(0).standard_normal((200_000, 6)).astype(np.float32)


def one(module, shape=(None, 6), inputs=("x",)):
    return Graph([Input("x", shape)], [Node("y", module, inputs)], [Output("y", "y")])


@pytest.mark.parametrize("shape", [(None, 6), (len(X), 6)], ids=["free", "fixed"])
@pytest.mark.parametrize("dim", [0, -2])
def test_a_softmax_over_the_batch(dim, shape):
    graph = one(Softmax(dim), shape)
    assert not graph.by_example
    (found,) = Program(graph).run([X])
    bounded = evaluate(graph, [X])["y"]
    assert_within(found, bounded.value, bounded.error)


def test_what_depends_on_no_input_is_there_once():
    value = np.arange(12, dtype=np.float32).reshape(3, 4)
    (found,) = Program(one(Constant((3, 4), value=value), inputs=())).run([X])
    np.testing.assert_array_equal(found, value[None])


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        (one(ReLU()), True),
        (one(ReLU(), (4, 6)), False),
        (one(Softmax(1)), True),
        (one(Concatenate(0), inputs=("x", "x")), False),
        (one(Concatenate(1), inputs=("x", "x")), True),
    ],
    ids=["free", "fixed", "softmax", "concat-batch", "concat"],
)
def test_a_graph_knows(graph, wanted):
    assert graph.by_example == wanted


def test_predict_takes_a_fixed_number_of_examples_in_one_go():
    x = X[:6]
    found = Model(one(Softmax(0), x.shape)).predict(x, batch_size=2)
    np.testing.assert_allclose(found.sum(0), np.ones(6), rtol=1e-6)
