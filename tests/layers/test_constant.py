"""Constant, alone and in graphs."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import Model
from keydnn.errors import ParameterError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Add, Constant, Linear


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_constant_gives_its_numbers_behind_a_batch_axis_of_1(shape):
    value = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    module = Constant(shape, value=value)
    assert module.output_shape() == (1, *shape)
    np.testing.assert_array_equal(module(), value[None])


def added_to_linear():
    """Give ``linear(x) + (1, 2, 3)``."""
    linear = Linear(2, 3, weight=np.ones((3, 2)), bias=np.zeros(3))
    nodes = [
        Node("linear", linear, ("x",)),
        Node("numbers", Constant((3,), value=[1, 2, 3]), ()),
        Node("sum", Add(), ("linear", "numbers")),
    ]
    return Model(Graph([Input("x", (None, 2))], nodes, [Output("sum", "sum")]))


@pytest.mark.parametrize("batch", [0, 1, 2, 100])
def test_constant_is_broadcast_over_the_batch(batch, tmp_path):
    x = np.arange(2.0 * batch).reshape(batch, 2).astype(np.float32)
    wanted = x.sum(1, keepdims=True) + np.array([1, 2, 3])
    model = added_to_linear()
    np.testing.assert_array_equal(model.predict(x), wanted)
    model.save(tmp_path / "model.json")
    np.testing.assert_array_equal(Model.load_json(tmp_path / "model.json").predict(x, batch_size=7), wanted)


def test_an_empty_constant_is_refused():
    with pytest.raises(ParameterError, match="shape must be an integer >= 1"):
        Constant((0,))
    with pytest.raises(ParameterError, match="shape must be a tuple"):
        Constant(3)
