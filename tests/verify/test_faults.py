"""Twelve faults put into a converted model: each is found, and the right layer named first."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from keydnn import Graph, Input, Model, Node, Output, modules
from keydnn.errors import RecordingError
from keydnn.graph import Landmark, Origin
from keydnn.verify import selfcheck
from keydnn.verify.comparison import compare
from keydnn.verify.fingerprints import numbers_of
from keydnn.verify.recording import Activation, Recording
from keydnn.verify.rows import Tolerance


def weights(seed, *shape):
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:], initial=1))).astype("f4")


def positive(seed, *shape):
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype("f4")


def node(name, module, *inputs, layer=None, class_name=None):
    return Node(name, module, inputs, Origin(layer or name, class_name or type(module).__name__))


def model():
    """Give a small residual network: two branches, every kind of layer that the faults are for."""
    conv = modules.Conv2d(3, 3, 3, stride=2, padding="same", weight=weights(0, 3, 3, 3, 3), bias=weights(1, 3))
    norm = modules.BatchNorm2d(
        3, eps=1e-3, weight=positive(2, 3), bias=weights(3, 3), running_mean=weights(4, 3), running_var=positive(5, 3)
    )
    conv_2 = modules.Conv2d(3, 3, 3, padding="same", weight=weights(6, 3, 3, 3, 3), bias=weights(7, 3))
    nodes = [
        Node("first", modules.Permute((0, 3, 1, 2)), ("x",)),
        node("conv", conv, "first", class_name="Conv2D"),
        node("conv.activation", modules.ReLU(), "conv", layer="conv", class_name="Conv2D"),
        node("norm", norm, "conv.activation", class_name="BatchNormalization"),
        node("gate", modules.HardSigmoid(slope=0.2, offset=0.5, top=1.0), "norm", class_name="Activation"),
        node("conv_2", conv_2, "gate", class_name="Conv2D"),
        node("add", modules.Add(), "conv_2", "norm"),
        node("pool", modules.AvgPool2d(3, 2, padding=((1, 1), (1, 1)), count_include_pad=False), "add"),
        Node("back", modules.Permute((0, 2, 3, 1)), ("pool",)),
        node("flatten", modules.Flatten(), "back"),
        node(
            "dense", modules.Linear(27, 9, weight=weights(8, 9, 27), bias=weights(9, 9)), "flatten", class_name="Dense"
        ),
        node("rows", modules.Reshape((3, 3)), "dense"),
        node("softmax", modules.Softmax(-1), "rows"),
    ]
    last = (0, 2, 3, 1)
    marks = [
        Landmark("conv", "Conv2D", 0, 0, "conv.activation", last),
        *(Landmark(n, "Layer", 0, 0, n, last) for n in ("norm", "gate", "conv_2", "add", "pool")),
        *(Landmark(n, "Layer", 0, 0, n) for n in ("flatten", "dense", "rows", "softmax")),
    ]
    return Graph([Input("x", (None, 12, 12, 3))], nodes, [Output("y", "softmax")], landmarks=marks)


def recorded(graph, seed=0):
    """Give what Keras would have computed for this graph."""
    x = np.random.default_rng(seed).standard_normal((2, 12, 12, 3)).astype("f4")
    values = {}
    (y,) = graph.forward([x], lambda node, inputs, output: values.update({node.name: output}))
    activations = tuple(
        Activation(
            m.layer, m.class_name, m.call, m.tensor, "float32",
            values[m.value].transpose(m.order) if m.order else values[m.value],
        )
        for m in graph.landmarks
    )  # fmt: skip
    layers = {}
    for one in graph.nodes:
        if one.origin and one.module.tensors():
            layers[one.origin.layer] = numbers_of([one.module])
    return Recording("keras 3", "numpy", "model.h5", "0" * 64, seed, {"x": x}, {"y": y}, activations, layers)


def changed(graph, name, module=None, inputs=None):
    nodes = [
        Node(n.name, module or n.module, inputs or n.inputs, n.origin) if n.name == name else n for n in graph.nodes
    ]
    return Graph(graph.inputs, nodes, graph.outputs, landmarks=graph.landmarks)


def with_tensors(graph, name, **arrays):
    module = next(n.module for n in graph.nodes if n.name == name)
    return changed(graph, name, dataclasses.replace(module, **arrays))


def tensors(graph, name):
    return next(n.module for n in graph.nodes if n.name == name).tensors()


def option(graph, name, **options):
    module = next(n.module for n in graph.nodes if n.name == name)
    return changed(graph, name, dataclasses.replace(module, **options))


def without(graph, name):
    """Leave a node out."""
    (source,) = next(n.inputs for n in graph.nodes if n.name == name)
    nodes = [
        Node(n.name, n.module, tuple(source if i == name else i for i in n.inputs), n.origin)
        for n in graph.nodes
        if n.name != name
    ]
    marks = [dataclasses.replace(m, value=source) if m.value == name else m for m in graph.landmarks]
    return Graph(graph.inputs, nodes, graph.outputs, landmarks=marks)


def one_bit(array, place, bit):
    array = array.copy()
    array.view(np.uint32).ravel()[place] ^= np.uint32(1 << bit)
    return array


FAULTS = {  # fault, layer, node that changes, words of the cause
    "one transposed kernel": (
        lambda g: with_tensors(g, "conv_2", weight=np.ascontiguousarray(tensors(g, "conv_2")["weight"].swapaxes(2, 3))),
        "conv_2", "conv_2", "weight transposed",
    ),
    "epsilon 1e-5 for 1e-3": (lambda g: option(g, "norm", eps=1e-5), "norm", "norm", "eps=0.001"),
    "a dropped activation": (
        lambda g: without(g, "conv.activation"), "conv", "conv.activation", "missing activation: ReLU",
    ),
    "SAME as symmetric padding": (
        lambda g: option(g, "conv", padding=((1, 1), (1, 1))), "conv", "conv", "padding",
    ),
    "swapped gamma and beta": (
        lambda g: with_tensors(g, "norm", weight=tensors(g, "norm")["bias"], bias=tensors(g, "norm")["weight"]),
        "norm", "norm", "weight and bias exchanged",
    ),
    "mean and variance swapped": (
        lambda g: with_tensors(
            g, "norm", running_mean=tensors(g, "norm")["running_var"],
            running_var=np.abs(tensors(g, "norm")["running_mean"]),
        ),
        "norm", "norm", "its weights are not the numbers that Keras has",
    ),
    "one bit in one weight": (
        lambda g: with_tensors(g, "dense", weight=one_bit(tensors(g, "dense")["weight"], 5, 0)),
        "dense", "dense", "weights are not the numbers",
    ),
    "order of channels": (
        lambda g: with_tensors(g, "conv", weight=np.ascontiguousarray(tensors(g, "conv")["weight"][:, ::-1])),
        "conv", "conv", None,  # the same numbers, in an order that no known mistake gives
    ),
    "average pool counting padding": (
        lambda g: option(g, "pool", count_include_pad=True), "pool", "pool", "count_include_pad=False",
    ),
    "hard_sigmoid of the wrong version": (
        lambda g: option(g, "gate", slope=1.0, offset=3.0, top=6.0), "gate", "gate", "hard_sigmoid of Keras 2",
    ),
    "wrong branch wired": (
        lambda g: changed(g, "add", inputs=("conv_2", "gate")), "add", "add", "reads norm as its input 1",
    ),
    "softmax axis": (lambda g: option(g, "softmax", dim=1), "softmax", "softmax", "axis -1 in place of 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_comparison_names_the_layer_first_and_why(name):
    graph, (fault, layer, _, cause) = model(), FAULTS[name]
    found = compare(fault(graph), recorded(graph), Tolerance())
    assert not found.agrees
    assert found.first is not None
    assert found.first.layer == layer
    assert found.cause == "" if cause is None else cause in found.cause
    assert [row.layer for row in found.rows if not row.agrees] == [layer]  # those behind are judged by themselves


@pytest.mark.parametrize("name", FAULTS)
def test_the_check_of_the_checkpoint_names_the_node_first(name):
    graph, (fault, _, node_name, _) = model(), FAULTS[name]
    found = selfcheck.replay(fault(graph), selfcheck.make(graph), Tolerance())
    assert found.first == node_name
    assert found.problem


def test_untouched_models_agree():
    graph = model()
    found = compare(graph, recorded(graph), Tolerance())
    assert found.agrees
    assert found.problem == ""
    assert [row.layer for row in found.rows] == [mark.layer for mark in graph.landmarks]
    again = selfcheck.replay(graph, selfcheck.make(graph), Tolerance())
    assert (again.first, again.problem, again.findings) == (None, "", {})


def test_a_tolerance_lets_small_differences_pass():
    graph = model()
    other = option(graph, "norm", eps=1.01e-3)
    assert not compare(other, recorded(graph), Tolerance()).agrees
    assert compare(other, recorded(graph), Tolerance(rtol=1e-3)).agrees


def test_wrong_numbers_of_a_kernel_are_found(monkeypatch):
    graph = model()
    check = selfcheck.make(graph)
    monkeypatch.setattr(modules.Softmax, "forward", lambda self, x: np.full_like(x, 0.3))
    assert selfcheck.replay(graph, check, Tolerance()).first == "softmax"


def test_models_give_their_check_to_checkpoints_and_lose_it_with_other_weights(tmp_path):
    made = Model(model())
    made.save(tmp_path / "model.json", check=True)
    import keydnn

    loaded = keydnn.load(tmp_path / "model.json", verify=True)
    assert loaded.check is not None
    assert loaded.check.digests == made.check.digests
    loaded.load_state_dict(loaded.state_dict())
    assert loaded.check is None


def test_what_float64_rounds_does_not_show_in_a_check():
    """A mean of nothing but roundings is 0, whatever the machine."""
    norm = modules.LayerNorm((64,), weight=np.ones(64, "f4"), bias=np.zeros(64, "f4"))
    graph = Graph([Input("x", (None, 64))], [Node("y", norm, ("x",))], [Output("y", "y")])
    digest = selfcheck.make(graph).digests["y"]
    assert digest.mean == 0
    assert digest.largest == round(digest.largest, 6)


def test_recordings_of_other_models_are_refused_and_missing_layers_listed():
    graph = model()
    whole = recorded(graph)
    other = dataclasses.replace(
        whole, activations=tuple(dataclasses.replace(a, layer=f"{a.layer}_9") for a in whole.activations)
    )
    with pytest.raises(RecordingError, match="none of the layers"):
        compare(graph, other, Tolerance())
    found = compare(graph, dataclasses.replace(whole, activations=whole.activations[1:]), Tolerance())
    assert (found.agrees, found.unrecorded, found.unmatched) == (True, ["conv"], [])


# --- what a verdict must not be fooled by -----------------------------------------------------------------------------


def gru(seed=0, activation="Tanh", units=32, steps=64):
    random = np.random.default_rng(seed)
    recurrent = np.concatenate([np.linalg.qr(random.standard_normal((units, units)))[0] for _ in range(3)])
    return modules.GRU(
        8, units, activation=activation, return_sequences=True,
        weight_ih=weights(1, 3 * units, 8), weight_hh=recurrent.astype("f4"),
        bias_ih=weights(2, 3 * units), bias_hh=weights(3, 3 * units),
    )  # fmt: skip


def line(*made, shape=(None, 64, 8)):
    """Give a graph of modules one behind the other, each a layer."""
    names = ["x", *(f"n{place}" for place in range(len(made)))]
    nodes = [node(names[place + 1], module, names[place]) for place, module in enumerate(made)]
    marks = [Landmark(name, "Layer", 0, 0, name) for name in names[1:]]
    return Graph([Input("x", shape)], nodes, [Output("y", names[-1])], landmarks=marks)


def recording_of(graph, x):
    values = {}
    (y,) = graph.forward([x], lambda node, inputs, output: values.update({node.name: output}))
    activations = tuple(Activation(m.layer, "Layer", 0, 0, "float32", values[m.value]) for m in graph.landmarks)
    return Recording("keras 3", "numpy", "m.h5", "0" * 64, 0, {"x": x}, {"y": y}, activations, {})


def draw(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype("f4")


def test_a_bound_that_tells_nothing_lets_no_wrong_recurrent_layer_pass():
    right, wrong = line(gru()), line(gru(activation="ReLU"))
    recording = recording_of(right, draw(2, 64, 8))
    assert compare(right, recording, Tolerance()).agrees
    assert compare(wrong, recording, Tolerance()).first.layer == "n0"


def test_nan_at_the_same_places_agrees():
    graph = line(
        modules.Unary("log"), modules.Linear(8, 3, weight=weights(0, 3, 8), bias=weights(1, 3)), modules.Tanh()
    )
    assert compare(graph, recording_of(graph, draw(2, 64, 8)), Tolerance()).problem == ""
    assert selfcheck.replay(graph, selfcheck.make(graph), Tolerance()).problem == ""


def test_numbers_beyond_float32_are_infinite_in_both():
    graph = line(*[modules.Scalar("multiply", 1e30)] * 2)
    assert compare(graph, recording_of(graph, draw(2, 64, 8)), Tolerance()).problem == ""
    assert selfcheck.replay(graph, selfcheck.make(graph), Tolerance()).problem == ""


def test_outputs_that_cancel_have_the_roundings_of_what_they_are_made_of():
    norm = modules.LayerNorm((8,), weight=np.ones(8, "f4"), bias=np.zeros(8, "f4"))
    graph = line(norm, modules.Reduce("mean", (2,)))
    assert compare(graph, recording_of(graph, draw(2, 64, 8)), Tolerance()).problem == ""
    assert selfcheck.replay(graph, selfcheck.make(graph), Tolerance()).problem == ""


def test_a_tolerance_counts_for_the_outputs_too():
    graph = line(modules.Linear(8, 3, weight=weights(0, 3, 8), bias=weights(1, 3)))
    recording = recording_of(graph, draw(2, 64, 8))
    off = {"y": recording.outputs["y"] * np.float32(1.01)}
    recording = dataclasses.replace(
        recording, outputs=off, activations=(dataclasses.replace(recording.activations[0], array=off["y"]),)
    )
    assert not compare(graph, recording, Tolerance()).agrees
    assert compare(graph, recording, Tolerance(rtol=0.05)).agrees


def test_a_cause_explains_every_example_or_is_none():
    graph = line(modules.Identity(), shape=(None, 4))
    x = np.abs(draw(3, 4))
    recording = recording_of(graph, x)
    wrong = recording.activations[0].array.copy()
    wrong[1] = 77
    recording = dataclasses.replace(
        recording, activations=(dataclasses.replace(recording.activations[0], array=wrong),), outputs={"y": wrong}
    )
    found = compare(graph, recording, Tolerance())
    assert (found.first.layer, found.cause) == ("n0", "")


def test_changed_weights_of_a_layer_without_a_place_are_told():
    graph = line(modules.Linear(8, 3, weight=weights(0, 3, 8), bias=weights(1, 3)), modules.Tanh())
    linear = graph.nodes[0].module
    whole = recording_of(graph, draw(2, 64, 8))
    whole = dataclasses.replace(whole, weights={"n0": numbers_of([linear])})
    marks = graph.landmarks[1:]
    bare = Graph(graph.inputs, graph.nodes, graph.outputs, landmarks=marks)
    assert compare(bare, whole, Tolerance()).agrees
    changed_one = dataclasses.replace(linear, weight=one_bit(linear.weight, 0, 0))
    nodes = [Node(n.name, changed_one if n.name == "n0" else n.module, n.inputs, n.origin) for n in graph.nodes]
    found = compare(Graph(graph.inputs, nodes, graph.outputs, landmarks=marks), whole, Tolerance())
    assert (found.first.layer, found.cause) == ("n0", "its weights are not the numbers that Keras has")


def test_the_first_of_two_faults_keeps_its_own_cause():
    """Weights that changed in a layer whose outputs were not recorded are no explanation of another layer."""
    made = [modules.Linear(8, 8, weight=weights(n, 8, 8), bias=weights(n + 1, 8)) for n in (0, 2)]
    graph = line(*made)
    whole = dataclasses.replace(recording_of(graph, draw(2, 64, 8)), weights={"n1": numbers_of(made[1:])})
    marks = [graph.landmarks[0]]
    odd = [dataclasses.replace(made[0], weight=made[0].weight * np.float32(1.5))]
    odd.append(dataclasses.replace(made[1], weight=one_bit(made[1].weight, 0, 0)))
    nodes = [Node(n.name, module, n.inputs, n.origin) for n, module in zip(graph.nodes, odd, strict=True)]
    found = compare(Graph(graph.inputs, nodes, graph.outputs, landmarks=marks), whole, Tolerance())
    assert [row.layer for row in found.rows if not row.agrees] == ["n0", "n1"]
    assert (found.first.layer, found.cause) == ("n0", "")
