"""Sequences in Keras again: free sizes, transformers and recurrent models, texts without an id."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ExportError, ShapeError
from keydnn.export.keras import translate
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import AttentionScores, IntegerLookup, InverseStringLookup, MaskedSoftmax, StringLookup
from tests.export.case import INT, TEXT, Case, numbers
from tests.export.cases import CASES
from tests.export.refused_by_keras import REFUSED
from tests.parity.export.runtime import agree, within
from tests.parity.export.sequences import FREE, MODELS, answered, freed, refusal
from tests.parity.export.special import cases_of, kinds, with_two
from tests.parity.export.test_keras import exported, run
from tests.parity.kerases import keras

pytestmark = pytest.mark.parity

FAMILIES = (
    "attention", "category", "einsum", "indexing", "lookup", "masking", "matmul", "rearrange", "recurrent", "resize",
    "text",
)  # fmt: skip
EXACT = ("attention", "einsum", "indexing", "locally_connected", "masking", "matmul", "rearrange")


def names_of(*families):
    """Give the cases of families that are not refused."""
    return [name for name in cases_of(*families) if name not in REFUSED]


@pytest.mark.parametrize("name", names_of(*FAMILIES))
def test_free_sizes_are_worked_out_or_refused(name, tmp_path):
    case = CASES[name]
    for axes in FREE:
        try:
            graph = freed(case, axes)
        except ShapeError:  # the module does not take them
            continue
        said = refusal(translate, graph)
        if said:
            assert "free" in said
        else:
            agree(graph, case.inputs, run(exported(graph, tmp_path), case.inputs))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [name for name in names_of(*EXACT) if "softmax" not in name])  # 0 beside NaN there
def test_special_values_spread_as_they_should(name, special, tmp_path):
    graph, inputs = CASES[name].graph, with_two(special, CASES[name])
    (found,), (wanted,) = run(exported(graph, tmp_path), inputs), graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_keras_model_answers_as_it_does_there(made, count, tmp_path):
    keras.utils.set_random_seed(1)
    graph, arrays, answers = answered(made(), count)
    within(run(exported(graph, tmp_path), arrays), answers)


CONV_LSTMS = {
    "sequences": {"return_sequences": True},
    "mask": {"return_sequences": True, "zero_output_for_mask": True},
    "states": {"return_sequences": True, "return_state": True},
    "last state": {"return_state": True, "padding": "same"},
    "backwards": {"go_backwards": True, "return_sequences": True, "use_bias": False},
    "strides": {"strides": 2, "padding": "same"},
    "dilated": {"dilation_rate": 2, "recurrent_activation": "hard_sigmoid", "activation": "relu"},
    "channels first": {"data_format": "channels_first", "padding": "same"},
}


@pytest.mark.parametrize("name", CONV_LSTMS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("steps", [4, None])
def test_convolutional_lstms_are_layers_again(name, axes, steps, tmp_path):
    keras.utils.set_random_seed(1)
    options = CONV_LSTMS[name]
    if options.get("data_format") and axes == 2:
        pytest.skip("TensorFlow has no such convolution on a CPU")
    given = keras.Input((steps, *(7, 6, 5)[:axes], 3))
    layer = getattr(keras.layers, f"ConvLSTM{axes}D")(2, 2, **options, name="layer")
    mask = keras.ops.any(given > 1.9, axis=tuple(range(2, axes + 3))) if name == "mask" else None
    model = keras.Model(given, layer(given, mask=mask))
    graph, arrays, answers = answered(model, 2)
    again = exported(graph, tmp_path)
    within(run(again, arrays), answers)
    assert [type(made).__name__ for made in again.layers if made.weights] == [type(layer).__name__]


def test_a_convolutional_lstm_with_another_convolution_is_refused():
    with pytest.raises(ExportError, match="not one convolution of all steps"):
        translate(CASES["conv_lstm-2d"].graph, "model")


@pytest.mark.parametrize(
    ("module", "known", "unknown", "dtype"),
    [
        (StringLookup(("a", "b"), 0), np.array([["b", "a"]], object), np.array([["b", "c"]], object), TEXT),
        (IntegerLookup((3, 5), 0), np.array([[5, 3]]), np.array([[5, 4]]), INT),
    ],
)
def test_what_has_no_id_is_an_error_there_too(module, known, unknown, dtype, tmp_path):
    graph = Case(module, (known,), dtype).graph
    model = exported(graph, tmp_path)
    agree(graph, [known], run(model, [known]))
    with pytest.raises(Exception, match="all inputs should be in vocabulary"):
        run(model, [unknown])


def test_the_mask_of_one_head_and_scores_without_heads(tmp_path):
    given = [Input("q", (None, 4, 6)), Input("k", (None, 5, 6)), Input("mask", (None, 1, 4, 5))]
    nodes = [
        Node("scores", AttentionScores(), ("q", "k")),
        Node("shares", MaskedSoftmax(has_mask=True, window=3), ("scores", "mask")),
    ]
    graph = Graph(given, nodes, [Output("y", "shares")])
    seen = np.float32(numbers(2, 1, 4, 5, seed=3) > -0.5)
    arrays = [numbers(2, 4, 6), numbers(2, 5, 6, seed=1), seen]
    within(run(exported(graph, tmp_path), arrays), graph.forward(arrays))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (InverseStringLookup(("a", "b"), "b"), "with the token of unknown ids"),
        (InverseStringLookup(("a", "b"), "?", "[MASK]", 0), "first_index=0 with a mask"),
        (InverseStringLookup(("a\0",)), "ends with a zero"),
        (StringLookup(("a", "\udcff")), "no UTF-8"),
    ],
)
def test_vocabularies_that_keras_does_not_take_are_refused(module, words):
    text = isinstance(module, StringLookup)
    x = np.array([["a"]], object) if text else np.float32([[1]])
    with pytest.raises(ExportError, match=words):
        translate(Case(module, (x,), TEXT if text else "float32").graph, "model")
