"""Sequences in onnxruntime: free sizes, transformers and recurrent models of Keras, tokens that are unknown."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import ExportError, ShapeError
from keydnn.export.onnx import translate
from keydnn.modules import IntegerLookup, Resize, StringLookup
from tests.export.case import INT, TEXT, Case, numbers
from tests.export.cases import CASES
from tests.parity.export.runtime import agree, run, session, within
from tests.parity.export.sequences import FREE, MODELS, answered, freed, refusal
from tests.parity.export.special import cases_of, kinds, with_two
from tests.parity.kerases import keras

pytestmark = pytest.mark.parity

FAMILIES = (
    "attention", "category", "conv_lstm", "einsum", "indexing", "lookup", "masking", "matmul", "rearrange", "recurrent",
    "resize", "text",
)  # fmt: skip
EXACT = (
    "attention",
    "conv_lstm",
    "einsum",
    "indexing",
    "locally_connected",
    "masking",
    "matmul",
    "rearrange",
    "resize",
)


@pytest.mark.parametrize("name", [name for name in CASES if name.partition("-")[0] in FAMILIES])
def test_free_sizes_are_worked_out_or_refused(name):
    case = CASES[name]
    for axes in FREE:
        try:
            graph = freed(case, axes)
        except ShapeError:  # the module does not take them
            continue
        said = refusal(translate, graph)
        if said:
            assert any(words in said for words in ("free", "hash", "to lower case"))
        else:
            agree(graph, case.inputs, run(graph, case.inputs))


@pytest.mark.parametrize("name", ["rearrange-patches, same", "resize-crop", "resize-middle", "resize-bicubic, larger"])
def test_what_depends_on_a_free_size_is_refused(name):
    with pytest.raises(ExportError, match=r"layer: .*free"):
        translate(freed(CASES[name], (1, 2, 3)), "model")


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_free_image_is_resized_from_any_size(mode):
    case = Case(Resize((224, 37), mode), (numbers(1, 3, 4, 4),))
    graph = freed(case, (2, 3))
    loaded = session(graph)
    for height, width in ((1, 1), (97, 333), (224, 37), (301, 5)):
        x = numbers(2, 3, height, width)
        agree(graph, [x], run(graph, [x], loaded))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", cases_of(*EXACT))
def test_special_values_spread_as_they_should(name, special):
    graph, inputs = CASES[name].graph, with_two(special, CASES[name])
    (found,), (wanted,) = run(graph, inputs), graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))


def operators(name):
    return {node.op_type for node in translate(CASES[name].graph, "model").graph.node}


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_a_usual_layer_is_one_operator(kind):
    assert kind.replace("SimpleRNN", "RNN") in operators(f"recurrent-{kind}, first state, sequences, backwards, state")
    assert "Scan" in operators(f"recurrent-{kind}, mask")
    assert "Scan" in operators(f"recurrent-{kind}, ReLU")


@pytest.mark.parametrize(
    ("module", "known", "unknown", "dtype"),
    [
        (StringLookup(("a", "b"), 0), np.array([["b", "a"]], object), np.array([["b", "c"]], object), TEXT),
        (IntegerLookup((3, 5), 0), np.array([[5, 3]]), np.array([[5, 4]]), INT),
    ],
)
def test_what_has_no_id_is_an_error_there_too(module, known, unknown, dtype):
    graph = Case(module, (known,), dtype).graph
    loaded = session(graph)
    agree(graph, [known], run(graph, [known], loaded))
    with pytest.raises(Exception, match="out of data bounds"):
        run(graph, [unknown], loaded)


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_keras_model_answers_as_it_does_there(made, count):
    keras.utils.set_random_seed(1)
    graph, given, wanted = answered(made(), count)
    within(run(graph, given), wanted)


def test_a_stateful_layer_goes_on_where_it_was():
    keras.utils.set_random_seed(2)
    layers = [keras.layers.LSTM(4, stateful=True, return_sequences=True), keras.layers.GRU(3, stateful=True)]
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), *layers])
    graph = from_keras(model, strict=False).graph
    loaded, states = session(graph), graph.zero_states()
    for seed in range(3):
        x = numbers(2, 5, 3, seed=seed)
        found, *states = run(graph, [x, *states], loaded)
        within([found], [np.asarray(model(x))])
    assert len(states) == 3
