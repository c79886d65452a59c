"""Two checkpoints beside each other: which layer is which, what differs in it, where their outputs part."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from keydnn import Graph, Input, Model, Node, Output, from_keras
from keydnn.commandline import execute
from keydnn.errors import ShapeError
from keydnn.graph import Landmark, Origin
from keydnn.modules import Add, BatchNorm2d, Conv2d, Flatten, Linear, Permute, ReLU, Tanh
from keydnn.report.side_by_side import divergence_text, side_by_side_data, side_by_side_table
from keydnn.verify.changes import changes
from keydnn.verify.rows import Tolerance, judge
from keydnn.verify.side_by_side import side_by_side
from keydnn.verify.sites import matched, sites_of
from tests.convert import files

DIGITS = Path(__file__).parents[1] / "keydnn" / "data" / "digits.h5"
PADDING = "padding ((0, 0), (0, 0)) and ((1, 1), (1, 1))"
CHANGED = "weight differs in 1 of 432 numbers, largest difference 0.5"


def filled(module, seed=0):
    random = np.random.default_rng(seed)
    shapes = module.tensor_shapes()
    return module.with_tensors(
        {name: random.uniform(0.5, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    )


def layer(name, class_name, module, *inputs, node=None):
    return Node(node or name, module, inputs, Origin(name, class_name))


def small(seed=0, eps=1e-3, prefix="", skip=()):
    """Give a network as a conversion makes it: channels-last outside, a Permute without an origin."""
    nodes = [
        Node("conv.in0", Permute((0, 3, 1, 2)), ("x",)),
        layer(f"{prefix}conv", "Conv2D", filled(Conv2d(3, 16, 3), seed), "conv.in0"),
        layer(f"{prefix}bn", "BatchNormalization", filled(BatchNorm2d(16, eps), seed), f"{prefix}conv"),
        layer(f"{prefix}act", "Activation", Tanh(), f"{prefix}bn"),
        layer(f"{prefix}flat", "Flatten", Flatten(), f"{prefix}act"),
        layer(f"{prefix}dense", "Dense", filled(Linear(64, 4), seed), f"{prefix}flat"),
        layer(f"{prefix}dense", "Dense", ReLU(), f"{prefix}dense", node="dense.activation"),
    ]
    names = {name: f"{prefix}{name}" for name in skip}
    by_name = {node.name: node for node in nodes}
    instead = {name: by_name[name].inputs[0] for name in names.values()}
    kept = [
        Node(n.name, n.module, tuple(instead.get(i, i) for i in n.inputs), n.origin)
        for n in nodes
        if n.name not in instead
    ]
    last = kept[-1].name
    found = {n.origin.layer: n for n in kept if n.origin}
    marks = [
        Landmark(
            name,
            n.origin.class_name,
            0,
            0,
            n.name,
            (0, 2, 3, 1) if name[len(prefix) :] in ("conv", "bn", "act") else (),
        )
        for name, n in found.items()
    ]
    return Graph([Input("x", (None, 4, 4, 3))], kept, [Output("y", last)], landmarks=marks)


def example(shape=(1, 4, 4, 3)):
    return [np.random.default_rng(7).normal(size=shape).astype(np.float32)]


def replaced(graph, name, **tensors):
    module = dict(graph.modules())[name]
    return graph.with_modules({name: module.with_tensors(tensors)})


def one_weight(graph, name="conv", by=0.5):
    weight = dict(graph.modules())[name].weight.copy()
    weight.flat[5] += by
    return replaced(graph, name, weight=weight)


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_a_graph_agrees_with_itself():
    found = side_by_side(small(), small(), example())
    assert found.divergent is None
    assert [pair.row.layer for pair in found.pairs] == ["conv", "bn", "act", "flat", "dense", "y"]
    assert found.pairs[0].row.shape == (1, 2, 2, 16)  # Keras' order of axes
    assert found.pairs[4].row.modules == ("Linear", "ReLU")
    for pair in found.pairs:
        assert (pair.row.max_abs_error, pair.row.max_rel_error, pair.row.cosine) == (0, 0, 1)
        assert pair.changes == ()


def test_the_first_layer_beyond_the_tolerance_is_named_with_what_differs():
    found = side_by_side(small(), one_weight(small()), example())
    first = found.divergent
    assert first.row.layer == "conv"
    assert first.changes == (CHANGED,)
    assert [pair.changes for pair in found.pairs[1:]] == [()] * 5
    text = divergence_text(first)
    assert text.startswith("the first divergent layer is conv (Conv2D): largest difference ")
    assert text.endswith(CHANGED)


def test_what_differs_is_named_where_outputs_agree_all_the_same():
    found = side_by_side(small(eps=1e-3), small(eps=1e-5), example(), Tolerance(rtol=1.0))
    assert found.divergent is None
    assert found.pairs[1].changes == ("eps 0.001 and 1e-05",)
    strict = side_by_side(small(eps=1e-3), small(eps=1e-5), example())
    assert strict.divergent.row.layer == "bn"


def test_errors_are_those_of_the_arrays():
    wanted, found = np.array([[3.0, -4.0]], np.float32), np.array([[3.0, -3.5]], np.float32)
    row = judge("d", "Dense", (), found, wanted, Tolerance(0.0, 0.5))
    assert (row.max_abs_error, row.max_rel_error, row.agrees) == (0.5, 0.125, True)
    assert row.cosine == pytest.approx(23 / (5 * math.hypot(3, 3.5)))
    assert not judge("d", "Dense", (), found, wanted, Tolerance(0.0, 0.49)).agrees
    assert judge("d", "Dense", (), found, wanted, Tolerance(0.125, 0.0)).agrees
    assert not judge("d", "Dense", (), found, wanted, Tolerance(0.124, 0.0)).agrees


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_not_finite_must_be_so_in_both(odd):
    x, y = np.array([1, odd], np.float32), np.array([1, 2], np.float32)
    assert judge("a", "A", (), x, x, Tolerance()).agrees
    for pair in ((x, y), (y, x)):
        row = judge("a", "A", (), *pair, Tolerance(1.0, 1.0))
        assert (row.agrees, row.max_abs_error) == (False, math.inf)


def test_text_and_shapes_are_equal_or_infinitely_apart():
    text, other = np.array(["a", "b"], object), np.array(["a", "c"], object)
    assert judge("t", "T", (), text, text, Tolerance()).agrees
    for pair in ((text, other), (text, text[:1]), (np.zeros((1, 2), np.float32), np.zeros((2, 1), np.float32))):
        row = judge("t", "T", (), *pair, Tolerance(1.0, 1.0))
        assert (row.agrees, row.max_abs_error) == (False, math.inf)


def test_the_model_that_does_not_take_the_input_is_named():
    other = Graph([Input("x", (None, 4))], [Node("relu", ReLU(), ("x",))], [Output("y", "relu")])
    with pytest.raises(ShapeError, match=r"the second model: input 'x' must have shape \(N, 4\)"):
        side_by_side(small(), other, example())
    with pytest.raises(ShapeError, match=r"the first model: input 'x'"):
        side_by_side(other, small(), example())


def test_an_output_more_does_not_agree():
    graph = small()
    more = Graph(graph.inputs, graph.nodes, [*graph.outputs, Output("z", "flat")], landmarks=graph.landmarks)
    for pair, which in (((graph, more), "second"), ((more, graph), "first")):
        found = side_by_side(*pair, example())
        assert (found.divergent.row.layer, found.divergent.changes) == ("z", (f"only in the {which}",))
        json.dumps(side_by_side_data(found))


# --- which layer is which ---------------------------------------------------------------------------------------------


def names_of(pairs):
    return [tuple(site and site.name for site in pair) for pair in pairs]


def test_a_dropped_layer_is_listed_before_the_layer_that_it_changes():
    for pair, which in (((small(), small(skip=["act"])), "first"), ((small(skip=["act"]), small()), "second")):
        found = side_by_side(*pair, example())
        assert (found.only_first, found.only_second)[which == "second"] == ["act (Activation)"]
        assert found.divergent.row.layer == "flat"
        reads = ("reads act; in the second bn", "reads bn; in the second act")[which == "second"]
        assert found.divergent.changes == (reads,)
        assert found.divergent.before == (f"act (Activation) only in the {which}",)
        assert f"before it, act (Activation) only in the {which}" in divergence_text(found.divergent)
        assert f"only in the {which}: act (Activation)" in side_by_side_table("t", found)


def test_other_names_are_paired_by_class_and_order():
    found = side_by_side(small(), small(prefix="my_"), example())
    assert [(pair.row.layer, pair.other) for pair in found.pairs[:2]] == [("conv", "my_conv"), ("bn", "my_bn")]
    assert found.divergent is None
    assert "conv = my_conv" in side_by_side_table("t", found)
    assert [pair.changes for pair in found.pairs] == [()] * 6
    found = side_by_side(small(), small(prefix="my_", skip=["act"]), example())
    assert [pair.other for pair in found.pairs[:-1]] == ["my_conv", "my_bn", "my_flat", "my_dense"]
    assert found.only_first == ["act (Activation)"]


def branches(read):
    nodes = [layer("a", "A", ReLU(), "x"), layer("b", "B", Tanh(), "x"), layer("sum", "Add", Add(), *read)]
    return Graph([Input("x", (None, 4))], nodes, [Output("y", "sum")])


def test_a_layer_that_reads_other_layers_is_named():
    found = side_by_side(branches("ab"), branches("aa"), example((1, 4)))
    assert found.divergent.row.layer == "sum"
    assert found.divergent.changes == ("reads a, b; in the second a, a",)
    assert [pair.changes for pair in found.pairs if pair.row.layer != "sum"] == [(), (), ()]


def chain(*entries):
    nodes, last = [], "x"
    for name, class_name in entries:
        nodes.append(layer(name, class_name, ReLU(), last))
        last = name
    return Graph([Input("x", (None, 4))], nodes, [Output("y", last)])


def test_numbers_that_go_on_in_a_second_model_do_not_mislead():
    first = sites_of(chain(("d", "Dense"), ("d_1", "Dense"), ("d_2", "Dense")), keras_order=False)
    second = sites_of(chain(("d_1", "Dense"), ("d_2", "Dense"), ("d_3", "Dense")), keras_order=False)
    assert names_of(matched(first, second)) == [("d", "d_1"), ("d_1", "d_2"), ("d_2", "d_3")]


def test_names_win_where_all_are_there():
    first = sites_of(chain(("a", "Dense"), ("b", "Dense")), keras_order=False)
    second = sites_of(chain(("b", "Dense"), ("a", "Dense")), keras_order=False)
    assert names_of(matched(first, second)) == [("a", "a"), ("b", "b")]


def test_what_only_the_second_has_stands_where_it_is_there():
    first = sites_of(chain(("a", "A"), ("c", "C")), keras_order=False)
    second = sites_of(chain(("n", "N"), ("a", "A"), ("b", "B"), ("c", "C"), ("e", "E")), keras_order=False)
    assert names_of(matched(first, second)) == [(None, "n"), ("a", "a"), (None, "b"), ("c", "c"), (None, "e")]


def test_graphs_without_landmarks_are_compared_at_the_last_node_of_each_layer():
    bare = Graph(small().inputs, small().nodes, small().outputs)
    for pair in ((bare, small()), (small(), bare), (bare, bare)):
        found = side_by_side(*pair, example())
        assert found.divergent is None
        assert [p.row.layer for p in found.pairs] == ["conv", "bn", "act", "flat", "dense", "y"]
        assert found.pairs[0].row.shape == (1, 16, 2, 2)


def test_graphs_made_by_hand_are_compared_node_by_node():
    nodes = [Node("a", Tanh(), ("x",)), Node("p", Permute((0, 2, 1)), ("a",)), Node("s", Add(), ("p", "p"))]
    graph = Graph([Input("x", (None, 2, 3))], nodes, [Output("y", "s")])
    found = side_by_side(graph, graph, example((1, 2, 3)))
    assert [(p.row.layer, p.row.class_name) for p in found.pairs[:-1]] == [
        ("a", "Tanh"),
        ("p", "Permute"),
        ("s", "Add"),
    ]


def test_a_shared_layer_is_compared_at_each_call_and_its_weights_once():
    shared = filled(Linear(4, 4))
    nodes = [layer("d", "Dense", shared, "x"), layer("d", "Dense", shared, "d", node="d@1")]
    marks = [Landmark("d", "Dense", 0, 0, "d"), Landmark("d", "Dense", 1, 0, "d@1")]
    graph = Graph([Input("x", (None, 4))], nodes, [Output("y", "d@1")], landmarks=marks)
    found = side_by_side(graph, one_weight(graph, "d"), example((1, 4)))
    assert [(p.row.layer, len(p.changes)) for p in found.pairs] == [("d", 1), ("d@1", 0), ("y", 0)]


# --- what differs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        pytest.param([ReLU()], [ReLU()], [], id="equal"),
        pytest.param([Conv2d(1, 2, 3)], [Conv2d(1, 2, 3, padding=1)], [PADDING], id="padding"),
        pytest.param([Linear(2, 3), ReLU()], [Linear(2, 3)], ["only in the first: ReLU"], id="dropped"),
        pytest.param([Linear(2, 3)], [Linear(2, 3), Tanh()], ["only in the second: Tanh"], id="added"),
        pytest.param([Linear(2, 3), ReLU()], [Linear(2, 3), Tanh()], ["ReLU became Tanh"], id="other-activation"),
        pytest.param([BatchNorm2d(2, 1e-3)], [BatchNorm2d(2, 1e-5)], ["eps 0.001 and 1e-05"], id="eps"),
    ],
)  # fmt: skip
def test_parameters_and_modules_that_differ_are_named(first, second, wanted):
    assert changes(first, second) == wanted


def test_weights_that_differ_are_counted():
    one = filled(Linear(2, 3))
    bias = one.bias.copy()
    bias[1] = np.nextafter(bias[1], 9, dtype=np.float32)
    (text,) = changes([one], [one.with_tensors({"bias": bias})])
    assert text.startswith("bias differs in 1 of 3 numbers, largest difference ")
    (text,) = changes([one, ReLU()], [one.with_tensors({"bias": one.bias + 1}), ReLU()])
    assert text.startswith("Linear: bias differs in all 3 numbers, largest difference 1")
    assert changes([one], [filled(Linear(2, 4))])[1:] == [
        "weight of shape (3, 2) and (4, 2)",
        "bias of shape (3,) and (4,)",
    ]
    without = dataclasses.replace(one, use_bias=False, bias=None)
    assert changes([one], [without]) == ["use_bias True and False", "bias only in the first"]


def test_weights_that_are_nan_in_both_are_the_same():
    one = filled(Linear(1, 1)).with_tensors({"bias": np.array([math.nan], np.float32)})
    assert changes([one], [one.with_tensors({"bias": one.bias.copy()})]) == []


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Model(small()).save("a.json")
    Model(one_weight(small())).save("b.json")
    np.save("x.npy", example((2, 4, 4, 3))[0])
    return tmp_path


def test_the_command_says_which_layer_diverges_first(folder, capsys):
    assert execute(["compare", "a.json", "b.json", "--json", "o.json"]) == 1
    printed = capsys.readouterr()
    assert "a.json (first) and b.json (second)" in printed.out
    assert f"conv: {CHANGED}" in printed.out
    assert printed.err.startswith("keydnn: DivergenceError: the first divergent layer is conv (Conv2D)")
    assert printed.err.count("\n") == 1
    found = json.loads(Path("o.json").read_text())
    assert (found["agrees"], found["first_divergent"], found["rtol"]) == (False, "conv", 1e-5)
    assert found["layers"][0]["changes"] == [CHANGED]


def test_the_tolerance_and_the_input_are_the_users(folder, capsys):
    assert execute(["compare", "a.json", "b.json", "--atol=100"]) == 0
    assert execute(["compare", "a.json", "b.json", "--rtol", "1e3", "--input", "x.npy"]) == 0
    out = capsys.readouterr().out
    assert "(2, 2, 2, 16)" in out
    assert "a.json and b.json agree (rtol 1000, atol 1e-08)" in out
    outputs = []
    for seed in ("1", "1", "2"):
        execute(["compare", "a.json", "b.json", f"--seed={seed}"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]


def test_a_checkpoint_is_compared_with_its_keras_file(folder, capsys):
    from_keras(DIGITS, strict=False).save("d.json")
    assert execute(["compare", "d.json", str(DIGITS)]) == 0
    out = capsys.readouterr().out
    assert "SeparableConv2D" in out
    assert "9 compared, 0 beyond the tolerance" in out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        pytest.param(["a.json"], 2, "needs --second", id="one"),
        pytest.param(["a.json", "b.json", "--rtol=-1"], 2, "must be >= 0", id="negative"),
        pytest.param(["a.json", "b.json", "--atol", "little"], 2, "--atol must be a number, got 'little'", id="word"),
        pytest.param(["a.json", "b.json", "--rtol=nan"], 2, "must be a number", id="nan"),
        pytest.param(["a.json", "b.json", "--json=b.json"], 2, "json and second are both", id="over-it"),
        pytest.param(["a.json", "none.json"], 1, "No such file", id="no-file"),
        pytest.param(["a.json", "b.json", "--input=x.npy", "--input=x.npy"], 1, "1 input(s)", id="inputs"),
    ],
)
def test_what_the_command_refuses(folder, capsys, words, status, message):
    assert execute(["compare", *words]) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_keras_files_are_compared_without_being_converted_first(folder, capsys):
    for name, activation in (("m.h5", "tanh"), ("n.h5", "relu")):
        files.write_h5(name, files.sequential(files.dense(activation=activation)), {"d": files.dense_weights()})
    assert execute(["compare", "m.h5", "n.h5"]) == 1
    assert "d: Tanh became ReLU" in capsys.readouterr().out
