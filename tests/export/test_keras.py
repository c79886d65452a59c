"""The exporter to Keras without Keras: KeyDNN opens what it writes, and what a person sees in the file is right."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import ExportError, MissingWeightsError
from keydnn.export import keras as target
from keydnn.export.keras import activation, translate
from keydnn.export.rules import rules_of
from keydnn.graph import Graph, Input, Node, Origin, Output
from keydnn.modules import MODULE_TYPES, Add, Conv2d, Dropout, Linear, Permute, ReLU, Sparsemax, Upsample2d
from tests.checkpoint import samples
from tests.export.case import filled, numbers
from tests.export.cases import CASES
from tests.export.refused_by_keras import REFUSED

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_FILES = sorted(path for path in GOLDEN.iterdir() if path.suffix in (".h5", ".keras"))


def described(document):
    """Give the model in ``config.json``."""
    with zipfile.ZipFile(io.BytesIO(document.archive())) as archive:
        return json.loads(archive.read("config.json"))["config"]


def dense(*origins):
    """Give a graph of a Linear and a ReLU; the origins of both."""
    nodes = [Node("d", filled(Linear(3, 2)), ("x",), origins[0]), Node("d.activation", ReLU(), ("d",), origins[1])]
    return Graph([Input("x", (None, 3))], nodes, [Output("y", "d.activation")])


def test_rules_are_of_modules_in_the_files_of_their_stems():
    for name, rule in rules_of(target).items():
        stem = MODULE_TYPES[name].__module__.rpartition(".")[2]
        written = getattr(rule, "rule", rule)
        assert getattr(written, "func", written).__module__ == f"keydnn.export.keras.{stem}"


def test_every_rule_has_a_case():
    assert set(rules_of(target)) <= {type(case.module).__name__ for case in CASES.values()}


@pytest.mark.parametrize("path", GOLDEN_FILES, ids=lambda path: path.stem)
def test_keydnn_opens_it_and_answers_the_same(path, tmp_path):
    graph = from_keras(path, strict=False).graph
    written = tmp_path / "again.keras"
    written.write_bytes(translate(graph, "again").archive())
    again = from_keras(written, strict=False).graph
    shapes = [[2 if size is None else size for size in given.shape] for given in graph.inputs]
    arrays = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    for found, wanted in zip(again.forward(arrays), graph.forward(arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


# KeyDNN takes no Keras operation that mixes examples, and no model as an activation.
NOT_OPENED = {
    "time-fold", "time-fold, rank 2", "time-unfold", "hashing-crossed texts", "hashing-crossed integers",
    "recurrent-LSTM, HardSigmoid", "recurrent-GRU, HardSigmoid",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CASES if name not in {*NOT_OPENED, *REFUSED}])
def test_keydnn_opens_every_case(name, tmp_path):
    case = CASES[name]
    if type(case.module).__name__ not in rules_of(target):
        pytest.skip(f"{type(case.module).__name__} is not exported to Keras")
    written = tmp_path / "case.keras"
    written.write_bytes(translate(case.graph, "case").archive())
    found, wanted = from_keras(written, strict=False).graph.forward(case.inputs), case.graph.forward(case.inputs)
    if wanted[0].dtype != np.float32:
        np.testing.assert_array_equal(found[0], wanted[0])
        return
    largest = np.abs(wanted[0][np.isfinite(wanted[0])]).max(initial=0)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5, atol=3e-6 * largest)


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_functional_model_expresses_is_refused(name):
    with pytest.raises(ExportError, match=REFUSED[name]):
        translate(CASES[name].graph, "model")


def test_the_same_graph_gives_the_same_bytes():
    one, other = (translate(dense(None, None), "model") for _ in range(2))
    assert one.archive() == other.archive()
    with pytest.raises(ExportError, match="of no layer of a Keras model"):
        one.legacy_weights()
    origins = Origin("d", "Dense"), Origin("d", "Dense")
    one, other = (translate(dense(*origins), "model").legacy_weights() for _ in range(2))
    assert one == other


def test_activations_go_back_into_their_layers():
    origin = Origin("encoder/d", "Dense")
    (given, layer) = described(translate(dense(origin, origin), "model"))["layers"]
    assert (layer["name"], layer["config"]["activation"]) == ("d", "relu")
    names = [layer["name"] for layer in described(translate(dense(origin, None), "model"))["layers"]]
    assert names == ["x", "d", "d_activation"]
    assert given["config"]["batch_shape"] == [None, 3]


def test_an_activation_whose_layer_is_read_otherwise_stays():
    origin = Origin("d", "Dense")
    nodes = [*dense(origin, origin).nodes, Node("sum", Add(), ("d", "d.activation"))]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("y", "sum")])
    layers = described(translate(graph, "model"))["layers"]
    assert [layer["name"] for layer in layers] == ["x", "d", "d_activation", "sum"]
    assert "activation" not in layers[1]["config"]


def test_a_layer_may_read_what_comes_to_be_an_option_of_a_later_one():
    shared, (first, second) = filled(Linear(3, 3)), (Origin("first", "Dense"), Origin("second", "Dense"))
    nodes = [
        Node("first", shared, ("x",), first),
        Node("second", filled(Linear(3, 3)), ("first",), second),
        Node("second.activation", ReLU(), ("second",), second),
        Node("first@1", shared, ("second.activation",), first),
    ]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("y", "first@1")])
    layers = described(translate(graph, "model"))["layers"]
    reads = [[call["args"][0]["config"]["keras_history"] for call in layer["inbound_nodes"]] for layer in layers]
    assert [layer["name"] for layer in layers] == ["x", "first", "second"]
    assert reads == [[], [["x", 0, 0], ["second", 0, 0]], [["first", 0, 0]]]


def test_halves_of_a_separable_convolution_are_one_layer():
    path = next(path for path in GOLDEN_FILES if path.stem == "keras2_separable_keras")
    layers = described(translate(from_keras(path, strict=False).graph, "model"))["layers"]
    assert [layer["class_name"] for layer in layers[:3]] == ["InputLayer", "SeparableConv2D", "DepthwiseConv2D"]
    config = layers[1]["config"]
    assert (config["filters"], config["depth_multiplier"], config["activation"]) == (6, 2, "elu")


def test_names_are_the_originals_and_legal():
    nodes = [
        Node("a/b", filled(Linear(3, 3)), ("x",), Origin("a/b", "Dense")),
        Node("a_b", filled(Linear(3, 3)), ("a/b",), Origin("a_b", "Dense")),
        Node("layer1.0", filled(Linear(3, 3)), ("a_b",), Origin("layer1.0", "Dense")),
    ]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("y", "layer1.0")])
    model = described(translate(graph, "m/n"))
    assert model["name"] == "m_n"
    assert [layer["name"] for layer in model["layers"]] == ["x", "a_b", "a_b_2", "layer1.0"]


def test_no_layer_moves_axes_where_the_original_has_channels_last():
    conv = filled(Conv2d(3, 4, 3, 1, "same"))
    nodes = [
        Node("first", Permute((0, 3, 1, 2)), ("x",)),
        Node("conv", conv, ("first",)),
        Node("act", ReLU(), ("conv",)),
        Node("again", filled(Conv2d(4, 4, 3)), ("act",)),
        Node("last", Permute((0, 2, 3, 1)), ("again",)),
    ]
    graph = Graph([Input("x", (None, 5, 6, 3))], nodes, [Output("y", "last")])
    classes = [layer["class_name"] for layer in described(translate(graph, "model"))["layers"]]
    assert classes == ["InputLayer", "Conv2D", "Activation", "Conv2D"]
    graph = Graph([Input("first", (None, 3, 5, 6))], nodes[1:4], [Output("y", "again")])
    classes = [layer["class_name"] for layer in described(translate(graph, "model"))["layers"]]
    assert classes == ["InputLayer", "Permute", "Conv2D", "Activation", "Conv2D", "Permute"]


def test_a_permute_of_the_original_stays():
    nodes = [
        Node(name, Permute((0, 2, 1)), (before,), Origin(name, "Permute")) for name, before in (("p", "x"), ("q", "p"))
    ]
    graph = Graph([Input("x", (None, 2, 3))], nodes, [Output("y", "q")])
    assert [layer["name"] for layer in described(translate(graph, "model"))["layers"]] == ["x", "p", "q"]


def test_weights_by_layer_have_the_names_of_keras_2():
    path = next(path for path in GOLDEN_FILES if path.stem == "keras2_separable_keras")
    content = translate(from_keras(path, strict=False).graph, "model").legacy_weights()
    with h5py.File(io.BytesIO(content)) as file:
        assert next(name.decode() for name in file.attrs["layer_names"]) == "separable_conv2d"
        names = [name.decode() for name in file["separable_conv2d"].attrs["weight_names"]]
        assert names == [f"separable_conv2d/{name}:0" for name in ("depthwise_kernel", "pointwise_kernel", "bias")]
        assert file[f"separable_conv2d/{names[1]}"].shape == (1, 1, 8, 6)


def test_states_of_random_numbers_are_no_weights():
    origin = Origin("drop", "SpatialDropout1D")
    nodes = [
        Node("d", filled(Linear(3, 2)), ("x",), Origin("d", "Dense")),
        Node("drop", Dropout(0.25), ("d",), origin),
    ]
    document = translate(Graph([Input("x", (None, 4, 3))], nodes, [Output("y", "drop")]), "model")
    assert described(document)["layers"][-1]["config"]["rate"] == 0.25
    assert described(document)["layers"][-1]["class_name"] == "SpatialDropout1D"
    with h5py.File(io.BytesIO(document.legacy_weights())) as file:
        assert list(file) == ["d"]


def test_all_that_is_refused_is_named_at_once(monkeypatch):
    nodes = [
        Node("gaussian", Upsample2d(2, mode="gaussian"), ("x",)),
        Node("unknown", Sparsemax(), ("gaussian",)),
        Node("again", Upsample2d(2, mode="gaussian"), ("unknown",)),
    ]
    graph = Graph([Input("x", (None, 3, None, None))], nodes, [Output("y", "again")])
    monkeypatch.setattr("keydnn.export.keras.softmax.RULES", {})
    with pytest.raises(ExportError, match="3 modules cannot be exported to Keras") as caught:
        translate(graph, "net")
    assert "\n  unknown: Sparsemax" in str(caught.value)
    assert str(caught.value).count("of free sizes") == 2


def test_a_module_without_weights_is_named():
    graph = Graph([Input("x", (None, 3))], [Node("d", Linear(3, 2), ("x",))], [Output("y", "d")])
    with pytest.raises(MissingWeightsError, match="Linear"):
        translate(graph, "net")


def test_states_are_refused():
    with pytest.raises(ExportError, match="states"):
        translate(samples.stateful(), "net")


def test_names_of_activations_have_the_parameters_of_the_modules():
    for kind, (_, parameters) in activation.NAMED.items():
        assert set(parameters) == set(MODULE_TYPES[kind]().parameters()), kind


def test_many_names_are_split_as_keras_reads_them():
    nodes, before = [], "x"
    for place in range(2):
        name = f"layer{place}" + "n" * 40000
        nodes.append(Node(name, filled(Linear(3, 3)), (before,), Origin(name, "Dense")))
        before = name
    content = translate(Graph([Input("x", (None, 3))], nodes, [Output("y", before)]), "m").legacy_weights()
    with h5py.File(io.BytesIO(content)) as file:
        assert {key: len(value) for key, value in file.attrs.items() if "names" in key} == {
            "layer_names0": 1,
            "layer_names1": 1,
        }
