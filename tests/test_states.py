"""States: values that a model keeps from one prediction to the next."""

from __future__ import annotations

import json

import numpy as np
import pytest

import keydnn.checkpoint as checkpoint
from keydnn import Graph, Input, Model, Node, Output, ParameterError, ShapeError, load
from keydnn.commandline import execute
from keydnn.convert.layout import move_permutes
from keydnn.errors import CheckpointError
from keydnn.examples import random_inputs
from keydnn.modules import Add, Identity, Linear, Permute, ReLU
from keydnn.profile import measure, measure_plan
from keydnn.warmup import warm_up
from tests.checkpoint import samples

X = np.arange(6, dtype=np.float32).reshape(2, 3) - 1


def test_a_prediction_begins_where_the_last_one_ended():
    model = Model(samples.stateful())
    for count in (1, 2, 3):
        np.testing.assert_array_equal(model.predict(X), np.maximum(count * X, 0))
    np.testing.assert_array_equal(model(X), np.maximum(4 * X, 0))
    model.reset_states()
    np.testing.assert_array_equal(model.predict({"x": X}), np.maximum(X, 0))


def test_two_models_of_one_graph_keep_states_of_their_own():
    graph = samples.stateful()
    one, other = Model(graph), Model(graph)
    one.predict(X)
    np.testing.assert_array_equal(other.predict(X), np.maximum(X, 0))


def test_states_are_neither_asked_for_nor_given():
    model = Model(samples.stateful())
    assert [given.name for given in model.graph.given] == ["x"]
    assert [output.name for output in model.graph.results] == ["y"]
    with pytest.raises(ShapeError, match="inputs are named x"):
        model.predict({"x": X, "s": X})
    rows = model.summary().splitlines()
    assert any(row.split()[:2] == ["s", "state"] for row in rows)
    assert rows[-1].endswith("outputs: y (2, 3)")


def test_a_result_that_is_changed_does_not_change_the_state():
    nodes = [Node("sum", Add(), ("x", "s"))]
    given = [Input("x", (2, 3)), Input("s", (2, 3))]
    model = Model(Graph(given, nodes, [Output("y", "sum"), Output("s", "sum")], ["s"]))
    model.predict(X)[:] = 100
    np.testing.assert_array_equal(model.predict(X), 2 * X)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_the_number_of_examples_is_fixed_whatever_the_batch_size(batch_size):
    model = Model(samples.stateful())
    with pytest.raises(ShapeError, match=r"input 'x' must have shape \(2, 3\), got \(1, 3\)"):
        model.predict(X[:1], batch_size)
    np.testing.assert_array_equal(model.predict(X, batch_size), np.maximum(X, 0))


def test_a_prediction_that_fails_leaves_the_states_as_they_are():
    model = Model(samples.stateful())
    model.predict(X)
    with pytest.raises(ShapeError):
        model.predict(X[:1])
    np.testing.assert_array_equal(model.predict(X), np.maximum(2 * X, 0))


def test_new_weights_leave_the_states_as_they_are():
    dense = samples.filled(Linear(3, 3))
    nodes = [Node("dense", dense, ("x",)), Node("sum", Add(), ("dense", "s"))]
    given = [Input("x", (2, 3)), Input("s", (2, 3))]
    model = Model(Graph(given, nodes, [Output("y", "sum"), Output("s", "sum")], ["s"]))
    first = model.predict(X)
    model.load_state_dict({"dense.weight": np.zeros((3, 3)), "dense.bias": np.ones(3)})
    np.testing.assert_array_equal(model.predict(X), first + 1)


def test_the_graph_itself_is_pure_and_begins_with_zeros():
    graph = samples.stateful()
    for _ in range(2):
        _, state = graph.forward([X])
        np.testing.assert_array_equal(state, X)
    _, state = graph.forward([X, state])
    np.testing.assert_array_equal(state, 2 * X)


def test_the_layout_pass_carries_states_along():
    nodes = [
        Node("first", Permute((0, 2, 1)), ("x",)),
        Node("sum", Add(), ("first", "s")),
        Node("last", Permute((0, 2, 1)), ("sum",)),
        Node("dead", ReLU(), ("sum",)),
    ]
    given = [Input("x", (2, 3, 4)), Input("s", (2, 4, 3))]
    graph = Graph(given, nodes, [Output("y", "last"), Output("s", "sum")], ["s"])
    moved = move_permutes(graph, {"first", "last"})
    assert moved.states == ("s",)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    one, other = Model(graph), Model(moved)
    for _ in range(3):
        np.testing.assert_array_equal(one.predict(x), other.predict(x))


@pytest.mark.parametrize(
    ("inputs", "value", "states", "words"),
    [
        pytest.param([Input("x", (2, 3))], "x", ["s"], "at least one input", id="nothing-but-states"),
        pytest.param([Input("s", (2, 3)), Input("x", (2, 3))], "y", ["s"], "the last inputs", id="another-order"),
        pytest.param([Input("x", (2, 3)), Input("s", (2, 3))], "y", ["s", "s"], "one input and", id="twice"),
        pytest.param([Input("x", (2, 3)), Input("s", (2, None))], "s", ["s"], "one fixed shape", id="free-size"),
        pytest.param([Input("x", (2, 3)), Input("s", (2, 4))], "y", ["s"], "one fixed shape", id="another-shape"),
        pytest.param([Input("x", (None, 3)), Input("s", (2, 3))], "s", ["s"], "number of examples", id="free-batch"),
        pytest.param([Input("x", (3, 3)), Input("s", (2, 3))], "s", ["s"], "number of examples", id="another-batch"),
        pytest.param([Input("x", (2, 3)), Input("s", ())], "s", ["s"], "one fixed shape", id="no-axes"),
        pytest.param([Input("x", (2, 3)), Input("s", (2,), "int64")], "s", ["s"], "must be float32", id="dtype"),
        pytest.param([Input("x", (2, 3)), Input("t", (2, 3))], "y", ["t"], "the last inputs", id="no-such-output"),
    ],
)
def test_states_that_do_not_fit_are_refused(inputs, value, states, words):
    nodes = [Node("y", Identity(), ("x",))]
    with pytest.raises(ParameterError, match=words):
        Graph(inputs, nodes, [Output("out", "y"), Output("s", value)], states)


def test_profile_and_warmup_leave_states_alone():
    model = Model(samples.stateful())
    arrays = random_inputs(model.graph, batch=5)
    assert [array.shape for array in arrays] == [(2, 3)]
    assert len(measure(model.graph, arrays, 2)) == 2
    assert measure_plan(model.graph, arrays, 2).seconds > 0
    warm_up(model, 5)
    np.testing.assert_array_equal(model.predict(X), np.maximum(X, 0))


# --- checkpoints and the command line ---------------------------------------------------------------------------------


def test_a_checkpoint_without_states_does_not_mention_them(tmp_path):
    Model(samples.tiny()).save(tmp_path / "m.json")
    assert "states" not in json.loads((tmp_path / "m.json").read_text())


@pytest.mark.parametrize("weights", ["inline", "sidecar"])
def test_a_checkpoint_begins_with_zeros(tmp_path, weights):
    model = Model(samples.stateful())
    model.predict(X)
    model.save(tmp_path / "m.json", weights)
    loaded = load(tmp_path / "m.json")
    assert loaded.graph.states == ("s",)
    np.testing.assert_array_equal(loaded.predict(X), np.maximum(X, 0))
    np.testing.assert_array_equal(loaded.predict(X), np.maximum(2 * X, 0))


HOSTILE = {
    "empty": (lambda d: d.update(states=[]), r"states: is empty"),
    "no-list": (lambda d: d.update(states="s"), "states: must be a list"),
    "no-text": (lambda d: d.update(states=[1]), r"states\[0\]: must be text"),
    "unknown": (lambda d: d.update(states=["t"]), "the states t are not"),
    "too-many": (lambda d: d.update(states=["x", "s"]), "at least one input"),
    "not-listed-as-output": (lambda d: d["outputs"].pop(), "at least one input and one output"),
    "not-listed-as-input": (lambda d: d["inputs"].pop(), "at least one input and one output"),
    "free": (lambda d: d["inputs"][1].update(shape=[2, None]), "one fixed shape"),
    "huge": (lambda d: [given.update(shape=[2, 1 << 40]) for given in d["inputs"]], None),
}


@pytest.mark.parametrize(("edit", "words"), HOSTILE.values(), ids=HOSTILE)
def test_states_of_strangers_are_refused_with_their_place(tmp_path, edit, words):
    path = tmp_path / "m.json"
    checkpoint.write(samples.stateful(), path)
    samples.edited(path, lambda document: edit(document) and None)
    if words:
        with pytest.raises(CheckpointError, match=words):
            load(path)
    else:  # nothing is allocated before it is called
        with pytest.raises(ShapeError, match=r"does not fit|no memory"):
            load(path).graph.forward([np.zeros((1, 1))])


def test_a_run_takes_the_number_of_examples_that_the_states_are_for(tmp_path, capsys):
    Model(samples.stateful()).save(tmp_path / "m.json")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "more.npy", np.zeros((4, 3)))
    assert execute(["run", str(tmp_path / "m.json"), str(tmp_path / "x.npy"), "--batch-size", "1"]) == 0
    assert "y: float32 (2, 3)" in capsys.readouterr().out
    assert execute(["run", str(tmp_path / "m.json"), str(tmp_path / "more.npy")]) == 1
    assert "must have shape (2, 3), got (4, 3)" in capsys.readouterr().err
