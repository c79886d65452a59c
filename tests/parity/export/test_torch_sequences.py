"""Sequences in PyTorch: free sizes, special values, transformers and recurrent models of Keras, states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from keydnn import from_keras
from keydnn.errors import ExportError, ShapeError
from keydnn.export.torch import translate
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import LSTM, IntegerLookup, Resize, Slice, Steps
from tests.export.case import INT, Case, filled, numbers
from tests.export.cases import CASES
from tests.parity.export.runtime import agree, within
from tests.parity.export.sequences import FREE, MODELS, answered, classic, freed, refusal, seq2seq, shared_states
from tests.parity.export.special import cases_of, kinds, with_two
from tests.parity.export.test_torch import RULES, module_of, run
from tests.parity.kerases import keras

pytestmark = pytest.mark.parity

EXACT = (
    "attention", "conv_lstm", "einsum", "indexing", "locally_connected", "masking", "matmul", "rearrange", "resize"
)  # fmt: skip
FAMILIES = (*EXACT, "category", "lookup", "recurrent")
# PyTorch weighs a second cell by 0 where there is but one, which is NaN where that cell is infinite.
OWN = ("resize-from one cell", "resize-middle of a smaller image", "resize-pad, one cell more")


def written(name):
    """Tell whether there is a rule for a case of the families here."""
    return name.partition("-")[0] in FAMILIES and type(CASES[name].module).__name__ in RULES


@pytest.mark.parametrize("name", [name for name in CASES if written(name)])
def test_free_sizes_are_worked_out_or_refused(name):
    case = CASES[name]
    for axes in FREE:
        try:
            graph = freed(case, axes)
        except ShapeError:  # the module does not take them
            continue
        said = refusal(translate, graph)
        if said:
            assert any(words in said for words in ("free size", "hash"))
        else:
            agree(graph, case.inputs, run(graph, case.inputs))


@pytest.mark.parametrize("name", ["resize-crop", "resize-middle", "resize-bicubic, larger"])
def test_what_depends_on_a_free_size_is_refused(name):
    with pytest.raises(ExportError, match=r"layer: .*free size"):
        translate(freed(CASES[name], (1, 2, 3)), "model")


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_free_image_is_resized_from_any_size(mode):
    graph = freed(Case(Resize((224, 37), mode), (numbers(1, 3, 4, 4),)), (2, 3))
    for height, width in ((1, 1), (97, 333), (224, 37), (301, 5)):
        x = numbers(2, 3, height, width)
        agree(graph, [x], run(graph, [x]))


def test_nearest_cells_are_the_same_for_all_sizes():
    """Rounding to a whole place would give another cell."""
    for size in range(1, 70):
        x = np.arange(size * size, dtype=np.float32).reshape(1, 1, size, size)
        for outputs in range(1, 70):
            graph = Case(Resize((outputs, outputs), "nearest"), (x,)).graph
            found = torch.nn.functional.interpolate(torch.from_numpy(x), outputs, mode="nearest-exact")
            np.testing.assert_array_equal(found.numpy(), graph.forward([x])[0])


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [name for name in cases_of(*EXACT) if name not in OWN])
def test_special_values_spread_as_they_should(name, special):
    graph, inputs = CASES[name].graph, with_two(special, CASES[name])
    (found,), (wanted,) = run(graph, inputs), graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))


@pytest.mark.parametrize("size", [6, None])
def test_slices_of_any_kind(size):
    """Steps back are steps forth along a flipped axis."""
    x = numbers(2, 6)
    for start in (None, 0, 2, 5, 9, -1, -4, -9):
        for stop in (None, 0, 3, 6, 8, -2, -6, -9):
            for step in (None, 1, 2, 4, -1, -2, -5):
                if not range(6)[start:stop:step]:
                    continue
                nodes = [Node("slice", Slice([(start, stop, step)]), ("x",))]
                graph = Graph([Input("x", (None, size))], nodes, [Output("y", "slice")])
                np.testing.assert_array_equal(run(graph, [x])[0], x[:, start:stop:step])


def test_an_integer_without_an_id_is_an_error_there_too():
    known = np.array([[5, 3]])
    graph = Case(IntegerLookup((3, 5), 0), (known,), INT).graph
    agree(graph, [known], run(graph, [known]))
    with pytest.raises(ValueError, match="no id"):
        run(graph, [known + 1])


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_keras_model_answers_as_it_does_there(made, count):
    keras.utils.set_random_seed(1)
    graph, inputs, wanted = answered(made(), count)
    within(run(graph, inputs), wanted)


def test_layers_are_those_of_pytorch_where_they_are_the_same():
    code = translate(answered(classic(), 1)[0], "model").code
    assert all(f"nn.{kind}(" in code for kind in ("LSTM", "GRU", "RNN"))
    assert "class Keras" not in code
    code = translate(answered(seq2seq(), 1)[0], "model").code
    assert code.count("nn.LSTM(") == 2
    assert "with_states" not in code


def test_outputs_and_states_are_left_apart():
    code = translate(answered(shared_states(), 1)[0], "model").code
    assert "KerasGRU(16, 5, return_sequences=True, return_state=True" in code
    assert "with_states" not in code


def test_a_shared_layer_is_the_same_for_all_calls():
    """One call's value is an output as it is: no call leaves the states apart."""
    shared = filled(LSTM(3, 4, return_state=True))
    nodes = [Node("a", shared, ("x",)), Node("b", shared, ("x",)), Node("h", Steps(-2), ("a",))]
    graph = Graph([Input("x", (None, 5, 3))], nodes, [Output("h", "h"), Output("b", "b")])
    x = numbers(2, 5, 3)
    agree(graph, [x], run(graph, [x]))
    assert translate(graph, "model").code.count("KerasLSTM(3") == 1


def test_a_stateful_layer_goes_on_where_it_was():
    keras.utils.set_random_seed(2)
    layers = [keras.layers.LSTM(4, stateful=True, return_sequences=True), keras.layers.GRU(3, stateful=True)]
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), *layers])
    graph = from_keras(model, strict=False).graph
    loaded, states = module_of(translate(graph, "model")), graph.zero_states()
    for seed in range(3):
        x = numbers(2, 5, 3, seed=seed)
        with torch.inference_mode():
            found, *states = (y.numpy() for y in loaded(*map(torch.from_numpy, [x, *states])))
        within([found], [np.asarray(model(x))])
    assert len(states) == 3
