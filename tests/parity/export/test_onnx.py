"""Every rule of the exporter to ONNX, and whole models, in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.helper import get_attribute_value
from onnx.reference import ReferenceEvaluator

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.export import onnx as target
from keydnn.export.onnx import translate
from keydnn.export.rules import rules_of
from tests.export.cases import CASES
from tests.parity.export.files import DATA, FILES, needs_data
from tests.parity.export.runtime import agree, named, run, session, within
from tests.parity.export.special import ELEMENT_BY_ELEMENT, SPREADING, cases_of, full_of_special, kinds, with_two
from tests.parity.export.zoo import NAMES, made
from tests.parity.kerases import keras, tf_keras

pytestmark = pytest.mark.parity

RULES = rules_of(target)
LOWER, HASH = "to lower case", "by a hash"
REFUSED = {
    **{f"lookup-{name}, several unknown{more}": HASH for name, more in (("texts", ""), ("texts", ", salt"))},
    "lookup-integers, several unknown, hash": HASH,
    **{
        f"text-{name}": LOWER
        for name in (
            "words", "words, rank 1", "words, length", "words, longer, other ids", "lower", "no punctuation",
            "as it is", "characters", "pairs", "tokens, pairs", "tokens, lower",
        )
    },
}  # fmt: skip


def exports(graph):
    """Tell whether a graph has rules for all of its modules; fail unless it is refused by their names if not."""
    missing = {type(node.module).__name__ for node in graph.nodes} - set(RULES)
    if missing:
        with pytest.raises(ExportError) as caught:
            translate(graph, "model")
        assert all(name in str(caught.value) for name in missing)
    return not missing


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    graph, inputs = CASES[name].graph, CASES[name].inputs
    if name in REFUSED:
        with pytest.raises(ExportError, match=REFUSED[name]):
            translate(graph, "model")
    elif exports(graph):
        agree(graph, inputs, run(graph, inputs))


DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def evaluable(node):
    """Tell whether onnx's evaluator has it: no groups of ConvTranspose, usual activations, Scan by the first axis."""
    options = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Scan":
        return not any(options.get("scan_input_axes", []))
    if node.op_type in DEFAULTS:
        return [name.decode() for name in options.get("activations", [])] in ([], DEFAULTS[node.op_type])
    return node.op_type != "ConvTranspose" or options["group"] == 1


@pytest.mark.parametrize("name", sorted(set(CASES) - set(REFUSED)))
def test_the_definitions_of_the_operators_give_the_same(name):
    """What onnxruntime takes may be more than ONNX says."""
    graph, inputs = CASES[name].graph, CASES[name].inputs
    if not exports(graph):
        return
    model = translate(graph, "model")
    if all(map(evaluable, model.graph.node)):
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(model).run(None, named(graph, inputs))
        agree(graph, inputs, found)


@pytest.mark.parametrize("file", FILES)
def test_a_keras_file_answers_as_keras_did(file):
    model = file.model()
    inputs, answers = file.arrays(model)
    if exports(model.graph):
        found = run(model.graph, [*inputs, *model.graph.zero_states()])
        within(found[: len(model.graph.results)], answers)


@needs_data
def test_resnet8_classifies_as_keras_does():
    with np.load(DATA / "cifar10_test_846.npz", allow_pickle=False) as images:
        x, labels = images["images"].astype(np.float32), images["labels"]
    graph = from_keras(DATA / "models" / "pretrainedResnet.h5", strict=False).graph
    (found,) = run(graph, [x])
    assert (found.argmax(axis=1) == labels.reshape(-1)).sum() == 742


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_answers_as_keras_does(name):
    model, x, answer = made(name)
    loaded = session(model.graph)
    within(run(model.graph, [x], loaded), [answer])
    three = np.concatenate([x, x[:1]])
    within(run(model.graph, [x[:1]], loaded), [answer[:1]])
    within(run(model.graph, [three], loaded), [np.concatenate([answer, answer[:1]])])


def test_states_are_carried_on_as_keras_does():
    layers = tf_keras.layers
    first = layers.LSTM(4, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 5))
    model = tf_keras.Sequential([first, layers.GRU(3, stateful=True)])
    graph = from_keras(model, strict=False).graph
    loaded, states, random = session(graph), graph.zero_states(), np.random.default_rng(0)
    assert len(states) == 3
    for _ in range(3):
        x = random.standard_normal((2, 3, 5)).astype(np.float32)
        found, *states = run(graph, [x, *states], loaded)
        within([found], [np.asarray(model(x))])


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_is_the_one_that_the_model_has(approximate):
    """Keras' own export writes the approximation for both."""
    x = np.linspace(-4, 4, 400, dtype=np.float32).reshape(4, 100)
    given = keras.Input((100,))
    model = keras.Model(given, keras.ops.gelu(given, approximate=approximate))
    other = keras.ops.convert_to_numpy(keras.ops.gelu(x, approximate=not approximate))
    answer = np.asarray(model(x))
    assert np.abs(other - answer).max() > 1e-4 * np.abs(answer).max()
    within(run(from_keras(model, strict=False).graph, [x]), [answer])


def test_grouped_convolutions_stay_one_operator():
    """Keras' own export splits them, or fails."""
    given = keras.Input((9, 8, 6))
    model = keras.Model(given, keras.layers.Conv2D(4, 3, strides=2, padding="same", groups=2)(given))
    x = np.random.default_rng(0).standard_normal((3, 9, 8, 6)).astype(np.float32)
    graph = from_keras(model, strict=False).graph
    (node,) = [node for node in translate(graph, "model").graph.node if node.op_type == "Conv"]
    assert {a.name: a.i for a in node.attribute}["group"] == 2
    within(run(graph, [x]), [np.asarray(model(x))])


@pytest.mark.parametrize("name", cases_of(*ELEMENT_BY_ELEMENT))
def test_special_values_stay_in_place(name):
    """Numbers that nothing else overflows to infinity: the reference, in float64, does not; KeyDNN does."""
    case = CASES[name]
    inputs = full_of_special(case)
    (found,), (wanted,) = run(case.graph, inputs), case.graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", cases_of(*SPREADING))
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values_spread_as_they_should(name, special):
    case = CASES[name]
    inputs = with_two(special, case)
    (found,), (wanted,) = run(case.graph, inputs), case.graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))
