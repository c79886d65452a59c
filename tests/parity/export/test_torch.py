"""Every rule of the exporter to PyTorch, and whole models, in PyTorch."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.export import torch as target
from keydnn.export.rules import rules_of
from keydnn.export.torch import Translation, pt_bytes, translate
from keydnn.export.torch.naming import MODULE_ATTRIBUTES
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    FoldTime,
    Linear,
    MaxPool2d,
    Permute,
    UnfoldTime,
    Upsample2d,
)
from tests.checkpoint import samples
from tests.export.case import Case, filled, numbers
from tests.export.cases import CASES
from tests.parity.export.files import DATA, FILES, needs_data
from tests.parity.export.runtime import agree, within
from tests.parity.export.special import ELEMENT_BY_ELEMENT, SPREADING, cases_of, full_of_special, kinds, with_two
from tests.parity.export.windows import convolutions, pools
from tests.parity.export.zoo import NAMES, made

pytestmark = pytest.mark.parity

RULES = rules_of(target)


def module_of(translation: Translation) -> Any:
    """Give what a user has after ``load("model.pt")``."""
    names: dict[str, Any] = {}
    exec(compile(translation.code, "model.py", "exec"), names)
    return names["load"](io.BytesIO(pt_bytes(translation.state)))


def run(graph: Graph, arrays: Any, **options: Any) -> list[np.ndarray]:
    """Give PyTorch's outputs."""
    with torch.inference_mode():
        found = module_of(translate(graph, "model", **options))(*(torch.from_numpy(np.array(x)) for x in arrays))
    tensors = found if isinstance(found, tuple) else (found,)
    dtypes = [f"torch.{graph.dtypes[output.value]}" for output in graph.outputs]
    assert [str(tensor.dtype) for tensor in tensors] == dtypes
    return [tensor.numpy() for tensor in tensors]


def exports(graph):
    """Tell whether a graph has rules for all of its modules; fail unless it is refused by their names if not."""
    missing = {type(node.module).__name__ for node in graph.nodes} - set(RULES)
    text = [given.name for given in graph.inputs if given.dtype == "string"]
    if missing or text:
        with pytest.raises(ExportError) as caught:
            translate(graph, "model")
        assert all(name in str(caught.value) for name in text or missing)
    return not missing and not text


REFUSED = {"lookup-integers, several unknown, hash": "a hash of digits"}  # options that PyTorch cannot express


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    graph, inputs = CASES[name].graph, CASES[name].inputs
    if name in REFUSED:
        with pytest.raises(ExportError, match=REFUSED[name]):
            translate(graph, "model")
    elif exports(graph):
        agree(graph, inputs, run(graph, inputs))


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
    (again,) = run(graph, [x.transpose(0, 3, 1, 2)], input_layout="nchw")
    assert (again.argmax(axis=1) == labels.reshape(-1)).sum() == 742


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_answers_as_keras_does(name):
    model, x, answer = made(name)
    within(run(model.graph, [x]), [answer])
    within(run(model.graph, [x[:1].transpose(0, 3, 1, 2)], input_layout="nchw"), [answer[:1]])


# What PyTorch computes otherwise than Keras: NaN of infinity, 0 of -inf where Keras has NaN, infinity of 3e38.
LARGE = np.float32(3e38)
OWN = {
    "activation-GELU": (np.inf, LARGE),
    "activation-HardSiLU": (LARGE,),
    "activation-ReLU with a threshold": (-np.inf,),
    "activation-ReLU with a top and a threshold": (-np.inf,),
}


@pytest.mark.parametrize("name", cases_of(*ELEMENT_BY_ELEMENT))
def test_special_values_stay_in_place(name):
    case = CASES[name]
    inputs = full_of_special(case)
    (found,), (wanted,) = run(case.graph, inputs), case.graph.forward(inputs)
    compared = ~np.isin(inputs[0], OWN[name]) if name in OWN else np.full(found.shape, True)
    assert compared.any()
    np.testing.assert_array_equal(kinds(found)[compared], kinds(wanted)[compared])


@pytest.mark.parametrize("name", cases_of(*SPREADING))
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values_spread_as_they_should(name, special):
    case = CASES[name]
    inputs = with_two(special, case)
    (found,), (wanted,) = run(case.graph, inputs), case.graph.forward(inputs)
    np.testing.assert_array_equal(kinds(found), kinds(wanted))


@settings(max_examples=300, deadline=None)
@given(st.one_of(convolutions(), pools()), st.booleans())
def test_windows_of_any_kind(drawn, free):
    module, shape = drawn
    case = Case(filled(module), (numbers(*shape),))
    try:
        sizes = (None, shape[1], *[None] * len(shape[2:])) if free else (None, *shape[1:])
        graph = Graph([Input("x", sizes)], [Node("layer", case.module, ("x",))], [Output("y", "layer")])
        case.module.output_shape(shape)
    except ValueError:  # crops leave nothing
        return
    agree(graph, case.inputs, run(graph, case.inputs))


FREE = {
    "same": (filled(Conv2d(3, 3, (3, 4), 2, "same")), MaxPool2d(3, 2, "same")),
    "same, dilated": (filled(Conv2d(3, 3, 3, 1, "same", (2, 3))), filled(Conv2d(3, 3, 1, 2, "same"))),
    "means": (AvgPool2d((2, 3), 2, "same", count_include_pad=False), AvgPool2d(2, 3, "same")),
    "larger": (Upsample2d((2, 7)), Upsample2d((2, 3), mode="bilinear"), Permute((0, 2, 3, 1))),
}


@pytest.mark.parametrize("name", FREE)
def test_free_sizes(name):
    names = [f"layer_{place}" for place in range(len(FREE[name]))]
    nodes = [Node(n, m, (b,)) for n, m, b in zip(names, FREE[name], ["x", *names], strict=False)]
    graph = Graph([Input("x", (None, 3, None, None))], nodes, [Output("y", names[-1])])
    for batch, height, width in [(1, 9, 8), (3, 7, 7), (2, 8, 11)]:
        x = numbers(batch, 3, height, width)
        agree(graph, [x], run(graph, [x]))


def test_steps_are_unfolded_by_free_sizes():
    nodes = [Node("folded", FoldTime(), ("x",)), Node("steps", UnfoldTime(), ("folded", "x"))]
    graph = Graph([Input("x", (None, None, 4))], nodes, [Output("steps", "steps")])
    agree(graph, [numbers(2, 3, 4)], run(graph, [numbers(2, 3, 4)]))


def test_a_layer_shared_by_inputs_of_different_sizes_is_padded_for_each():
    shared = filled(Conv1d(3, 3, 3, 2, "same"))
    nodes = [Node("one", shared, ("x",)), Node("two", shared, ("one",)), Node("three", shared, ("two",))]
    graph = Graph([Input("x", (None, 3, 9))], nodes, [Output("y", "three")])
    agree(graph, [numbers(2, 3, 9)], run(graph, [numbers(2, 3, 9)]))


def test_states_are_arguments_and_results():
    graph = samples.stateful()
    x = np.arange(6, dtype=np.float32).reshape(2, 3) - 1
    (state,) = graph.zero_states()
    for count in (1, 2, 3):
        found, state = run(graph, [x, state])
        np.testing.assert_array_equal(found, np.maximum(count * x, 0))


def test_what_modules_have_themselves_is_known():
    """New ones in PyTorch would be overwritten by a layer of their name."""
    own = {name for name in {*dir(torch.nn.Module), *vars(torch.nn.Module())} if not name.startswith(("_", "register"))}
    assert own <= MODULE_ATTRIBUTES


def test_a_state_dict_is_the_same_bytes_in_another_process():
    translation = translate(CASES["norm-batch, rank 4"].graph, "model")
    assert pt_bytes(translation.state) == pt_bytes(translation.state)
    code = """if True:
        import hashlib
        from keydnn.export.torch import pt_bytes, translate
        from tests.export.cases import CASES
        state = translate(CASES["norm-batch, rank 4"].graph, "model").state
        print(hashlib.sha256(pt_bytes(state)).hexdigest())
    """
    done = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)]
    assert done[0] == done[1]


def test_a_state_dict_without_torch_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExportError, match=r"pip install keydnn\[torch\]"):
        pt_bytes({})


def test_a_model_can_be_trained_further():
    """Dropout and running statistics live again, and every weight has a gradient."""
    graph = CASES["dense-rank 2"].graph
    model = module_of(translate(graph, "model")).train()
    model(torch.from_numpy(CASES["dense-rank 2"].inputs[0])).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_weights_are_loaded_bit_for_bit():
    module = filled(Linear(5, 3))
    graph = Graph([Input("x", (None, 5))], [Node("dense", module, ("x",))], [Output("y", "dense")])
    state = module_of(translate(graph, "model")).state_dict()
    assert {name: tensor.numpy().tobytes() for name, tensor in state.items()} == {
        "dense.weight": module.weight.tobytes(),
        "dense.bias": module.bias.tobytes(),
    }
