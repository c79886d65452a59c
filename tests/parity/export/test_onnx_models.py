"""What a model of ONNX says of itself: names, free sizes, states; and windows of any kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keydnn.errors import ExportError, MissingWeightsError
from keydnn.export.onnx import activation, to_bytes, translate
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop2d,
    Cumulate,
    Flatten,
    Flip,
    FoldTime,
    GlobalAvgPool2d,
    GroupNorm,
    Identity,
    LayerNorm,
    Linear,
    MaxPool2d,
    Permute,
    ReLU,
    RepeatInterleave,
    Reshape,
    Softmax,
    Sparsemax,
    UnfoldTime,
    Upsample2d,
    ZeroPad2d,
)
from tests.checkpoint import samples
from tests.export.case import Case, filled, numbers
from tests.parity.export.runtime import agree, run, session
from tests.parity.export.windows import convolutions, pools

pytestmark = pytest.mark.parity


def chain(*modules, shape):
    """Give a graph of modules one after the other."""
    names = ["x", *(f"{type(module).__name__}{place}" for place, module in enumerate(modules))]
    nodes = [Node(name, module, (before,)) for before, name, module in zip(names, names[1:], modules, strict=False)]
    return Graph([Input("x", shape)], nodes, [Output("y", names[-1])])


def sizes(info):
    return [size.dim_param or size.dim_value for size in info.type.tensor_type.shape.dim]


FREE = {
    "convolutions": (
        filled(Conv2d(3, 4, 3, 2, "same")),
        filled(Conv2d(4, 4, (2, 3), 1, "same", (2, 1), 2)),
        filled(ConvTranspose2d(4, 3, 3, 2, ((0, 1), (1, 0)))),
        filled(Conv2d(3, 2, 1, 3, "same")),
    ),
    "pools": (
        MaxPool2d(3, 2, "same"),
        AvgPool2d((2, 3), 1, "same", count_include_pad=False),
        AvgPool2d(2, 3, "same", count_include_pad=True),
        MaxPool2d(2, 1),
    ),
    "padding": (ZeroPad2d(((0, 1), (2, 0))), Crop2d(((1, 0), (0, 2))), RepeatInterleave(2, 3), Flip(2)),
    "normalisation": (GroupNorm(3, 3, use_weight=False, use_bias=False), Softmax(1), Sparsemax(3), Sparsemax(2)),
    "upsampling": (Upsample2d((2, 3)), Upsample2d(2, mode="bilinear"), GlobalAvgPool2d()),
    "last axes": (Permute((0, 2, 3, 1)), filled(LayerNorm(3)), filled(Linear(3, 2)), Cumulate("prod", 2)),
    "steps": (FoldTime(), FoldTime()),
}


@pytest.mark.parametrize("name", FREE)
def test_free_sizes_stay_free(name):
    graph = chain(*FREE[name], shape=(None, 3, None, None))
    model, loaded = translate(graph, "model"), session(graph)
    assert sizes(model.graph.input[0]) == ["N", 3, "x.2", "x.3"]
    for batch, height, width in [(1, 9, 8), (3, 7, 7), (2, 8, 11), (2, 4, 4)]:
        x = numbers(batch, 3, height, width)
        agree(graph, [x], run(graph, [x], loaded))


def test_steps_are_unfolded_by_free_sizes():
    nodes = [Node("folded", FoldTime(), ("x",)), Node("steps", UnfoldTime(), ("folded", "x"))]
    graph = Graph([Input("x", (None, None, 4))], nodes, [Output("steps", "steps")])
    x = numbers(2, 3, 4)
    agree(graph, [x], run(graph, [x]))


@pytest.mark.parametrize(
    "module", [AdaptiveAvgPool2d(3), AvgPool2d(2, 3, "same", count_include_pad=False), Upsample2d(2, mode="lanczos3")]
)
def test_what_needs_fixed_sizes_is_refused_for_free_ones_by_name(module):
    nodes = [Node("first", ReLU(), ("x",)), Node("second", module, ("x",)), Node("third", module, ("first",))]
    graph = Graph([Input("x", (None, 3, None, None))], nodes, [Output("a", "second"), Output("b", "third")])
    with pytest.raises(ExportError, match="2 modules cannot be exported to ONNX") as caught:
        translate(graph, "model")
    assert [node.name in str(caught.value) for node in nodes] == [False, True, True]


def test_a_fixed_batch_stays_fixed():
    graph = chain(ReLU(), shape=(4, 3))
    assert sizes(translate(graph, "model").graph.input[0]) == [4, 3]


def test_names_are_the_graphs():
    shared = filled(Linear(3, 3))
    nodes = [Node("one", shared, ("x",)), Node("two", shared, ("one",)), Node("sum", Add(), ("one", "two"))]
    graph = Graph([Input("x", (None, 3))], nodes, [Output("answer", "sum"), Output("one", "one")])
    model = translate(graph, "net", {"file": "net.h5"}).graph
    assert model.name == "net"
    assert [node.name for node in model.node] == ["one", "two", "sum"]
    assert [list(node.output) for node in model.node] == [["one"], ["two"], ["answer"]]
    assert [weight.name for weight in model.initializer] == ["one.weight", "one.bias"]
    assert [output.name for output in model.output] == ["answer", "one"]
    agree(graph, [numbers(2, 3)], run(graph, [numbers(2, 3)]))


def test_an_output_may_have_the_name_of_another_value():
    """The layout pass gives the layer's name to its output, behind a Permute."""
    nodes = [Node("a", ReLU(), ("x",)), Node("b", Permute((0, 2, 1)), ("a",)), Node("a.value", Identity(), ("x",))]
    outputs = [Output("a", "b"), Output("x", "a.value"), Output("again", "b"), Output("given", "x")]
    graph = Graph([Input("x", (None, 3, 2))], nodes, outputs)
    model = translate(graph, "net").graph
    assert [output.name for output in model.output] == ["a", "x.output", "again", "given"]
    assert [node.name for node in model.node][:3] == ["a", "b", "a.value"]
    agree(graph, [numbers(4, 3, 2)], run(graph, [numbers(4, 3, 2)]))


def test_weights_are_written_bit_for_bit():
    import onnx

    module = filled(Conv2d(4, 6, 3, groups=2))
    graph = chain(module, shape=(None, 4, 5, 5))
    found = {weight.name: onnx.numpy_helper.to_array(weight) for weight in translate(graph, "net").graph.initializer}
    assert {name: array.tobytes() for name, array in found.items()} == {
        f"Conv2d0.{name}": array.tobytes() for name, array in module.tensors().items()
    }


def test_the_same_graph_gives_the_same_bytes():
    graphs = [chain(filled(GroupNorm(3, 6)), Sparsemax(1), shape=(None, 6, 4)) for _ in range(2)]
    one, other = (to_bytes(translate(graph, "net", {"file": "a.h5"})) for graph in graphs)
    assert one == other


def test_a_model_says_where_it_came_from():
    model = translate(chain(ReLU(), shape=(None, 3)), "net", {"file": "net.h5"})
    assert "net.h5" in model.doc_string
    assert model.producer_name == "keydnn"
    assert [(imported.domain, imported.version) for imported in model.opset_import] == [("", 20)]


def test_text_is_moved():
    nodes = [
        Node("permuted", Permute((0, 2, 1)), ("x",)),
        Node("joined", Concatenate(1), ("permuted", "permuted")),
        Node("shaped", Reshape((2, -1)), ("joined",)),
        Node("flat", Flatten(), ("shaped",)),
        Node("same", Identity(), ("flat",)),
    ]
    graph = Graph([Input("x", (None, 2, 3), "string")], nodes, [Output("y", "same")])
    x = np.array([[["a", "b", "c"], ["d", "", "\u4e2d"]]], object)
    np.testing.assert_array_equal(run(graph, [x])[0], graph.forward([x])[0])


def test_states_are_inputs_and_outputs():
    graph = samples.stateful()
    model, loaded = translate(graph, "net"), session(graph)
    assert [given.name for given in model.graph.input] == ["x", "s"]
    assert [output.name for output in model.graph.output] == ["y", "s.next"]
    assert "s.next" in model.doc_string
    x = np.arange(6, dtype=np.float32).reshape(2, 3) - 1
    (state,) = graph.zero_states()
    for count in (1, 2, 3):
        found, state = run(graph, [x, state], loaded)
        np.testing.assert_array_equal(found, np.maximum(count * x, 0))


def test_all_that_is_refused_is_named_at_once(monkeypatch):
    nodes = [Node("lanczos", Upsample2d(2, mode="lanczos3"), ("x",)), Node("unknown", ReLU(), ("lanczos",))]
    graph = Graph([Input("x", (None, 3, None, None))], nodes, [Output("y", "unknown")])
    monkeypatch.delitem(activation.RULES, "ReLU")
    with pytest.raises(ExportError, match="2 modules") as caught:
        translate(graph, "net")
    assert "\n  lanczos: lanczos3 has weights" in str(caught.value)
    assert "\n  unknown: ReLU" in str(caught.value)


def test_a_module_without_weights_is_named():
    with pytest.raises(MissingWeightsError, match="Linear"):
        translate(chain(Linear(3, 2), shape=(None, 3)), "net")


def test_weights_that_no_file_holds_are_refused(monkeypatch):
    monkeypatch.setattr("keydnn.export.onnx.writer.LARGEST", 100)
    with pytest.raises(ExportError, match="2 GiB"):
        translate(chain(filled(Linear(9, 3)), shape=(None, 9)), "net")


@settings(max_examples=300, deadline=None)
@given(st.one_of(convolutions(), pools()), st.booleans())
def test_windows_of_any_kind(drawn, free):
    module, shape = drawn
    case = Case(filled(module), (numbers(*shape),))
    try:
        graph = chain(case.module, shape=(None, shape[1], *[None] * len(shape[2:]))) if free else case.graph
        case.module.output_shape(shape)
    except ValueError:  # crops leave nothing
        return
    steps = list(zip(module.stride, module.kernel_size, strict=True))
    unknown = any(stride > 1 and size > 1 for stride, size in steps) and any(stride > size for stride, size in steps)
    if free and unknown and module.padding == "same" and not getattr(module, "count_include_pad", True):
        with pytest.raises(ExportError, match="left out of means"):
            translate(graph, "model")
        return
    agree(graph, case.inputs, run(graph, case.inputs))
