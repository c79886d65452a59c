"""The reference itself: every value of a graph in float64 with its bound, by its own arithmetic and nobody else's."""

from __future__ import annotations

import itertools
import weakref

import numpy as np
import pytest

from keydnn import from_keras, reference
from keydnn.errors import ShapeError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import (
    MODULE_TYPES,
    Bucketize,
    Embedding,
    MaskedFill,
    OneHot,
    Scalar,
    Sparsemax,
    StepMask,
    StringLookup,
)
from keydnn.reference import Bounded, conv, pool
from tests.convert.test_golden import MODELS, recorded
from tests.within import assert_within


def golden(path):
    """Give the graph of a golden model and its inputs, in order."""
    graph, (inputs, _) = from_keras(path, strict=False).graph, recorded(path)
    if isinstance(inputs, dict):
        inputs = [inputs[given.name] for given in graph.inputs]
    return graph, inputs if isinstance(inputs, list) else [inputs]


@MODELS
def test_every_value_is_given_by_name_and_the_kernels_lie_within_its_bound(path):
    graph, inputs = golden(path)
    found, computed = reference.evaluate(graph, inputs), {}
    graph.forward(inputs, lambda node, arrays, output: computed.update({node.name: output.copy()}))
    assert list(found) == [*(given.name for given in graph.inputs), *(node.name for node in graph.nodes)]
    for name, output in computed.items():
        assert found[name].value.shape == found[name].error.shape == output.shape
        assert found[name].value.dtype == found[name].error.dtype == np.float64
        assert np.isfinite(found[name].error).all()
        assert_within(output, found[name].value, found[name].error)


@MODELS
def test_values_alone_are_the_same_values(path):
    graph, inputs = golden(path)
    bounds, values = reference.evaluate(graph, inputs), reference.values(graph, inputs)
    assert list(values) == list(bounds)
    for name, value in values.items():
        np.testing.assert_array_equal(value, bounds[name].value)


@MODELS
def test_nothing_of_the_modules_is_called(path, monkeypatch):
    graph, inputs = golden(path)

    def refuse(*arguments, **options):
        raise AssertionError("the reference called a module")

    for module_type, name in itertools.product(
        MODULE_TYPES.values(), ("forward", "compute", "evaluate", "output_shape")
    ):
        monkeypatch.setattr(module_type, name, refuse, raising=False)
    with pytest.raises(AssertionError, match="called a module"):
        graph.forward(inputs)
    reference.evaluate(graph, inputs)
    reference.values(graph, inputs)


def chain(count):
    names = ["x", *(f"n{i}" for i in range(count))]
    nodes = [Node(name, Scalar("add", 1.0), (given,)) for given, name in itertools.pairwise(names)]
    return Graph([Input("x", (None, 3))], nodes, [Output("y", names[-1])])


@pytest.mark.parametrize("walk", [reference.walk, reference.walk_values])
def test_values_that_nothing_reads_any_more_are_forgotten(walk):
    seen = []
    for _, value in walk(chain(6), [np.zeros((2, 3), np.float32)]):
        seen.append(weakref.ref(value))
        assert sum(one() is not None for one in seen) <= 2
    assert len(seen) == 7


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        pytest.param([np.zeros((2, 4))], "'x' must have shape", id="size"),
        pytest.param([np.zeros(3)], "'x' must have shape", id="rank"),
        pytest.param([np.array([["a", "b", "c"]])], "'x' must be an array of numbers", id="text"),
        pytest.param([], "1 input", id="none"),
    ],
)
@pytest.mark.parametrize("function", [reference.evaluate, reference.values])
def test_wrong_inputs_are_refused_by_name(function, inputs, words):
    with pytest.raises(ShapeError, match=words):
        function(chain(1), inputs)


def test_what_does_not_fit_is_said_of_its_node():
    graph = Graph([Input("x", (None, 1))], [Node("row", Embedding(3, 2), ("x",))], [Output("y", "row")])
    graph = graph.with_modules({"row": graph.nodes[0].module.with_tensors({"weight": np.ones((3, 2), np.float32)})})
    for function in (reference.evaluate, reference.values):
        with pytest.raises(ShapeError, match="node 'row'"):
            function(graph, [np.array([[7.0]], np.float32)])


def test_inputs_are_rounded_to_float32_as_the_model_does():
    assert reference.values(chain(1), [np.full((1, 3), 0.1)])["x"][0, 0] == np.float32(0.1)


def test_an_input_may_be_off_itself():
    found = reference.evaluate(chain(1), [Bounded(np.ones((1, 3)), np.full((1, 3), 0.25))])
    assert 0.25 <= found["n0"].error.min() <= found["n0"].error.max() <= 0.26


def test_text_and_integers_go_through():
    module = StringLookup(("a", "b"))
    graph = Graph([Input("words", (None,), "string")], [Node("ids", module, ("words",))], [Output("y", "ids")])
    found, words = reference.evaluate(graph, [["b", "x"]]), np.array(["b", "x"], object)
    np.testing.assert_array_equal(found["words"].value, words)
    np.testing.assert_array_equal(found["ids"].value, module(words))
    np.testing.assert_array_equal(reference.values(graph, [["b", "x"]])["ids"], module(words))


# --- what cannot be told ---------------------------------------------------------------------------------------------

IDS = Bounded(np.array([[1.0, 1.0, 1.5]]), np.array([[0.0, 1e-9, 0.6]]))


def test_of_ids_that_may_be_others_nothing_is_told():
    weights = {"weight": np.ones((3, 2), np.float32)}
    for module in (Embedding(3, 2).with_tensors(weights), OneHot(3)):
        found = reference.RULES[type(module).__name__](module, Bounded(IDS.value + 0.5, IDS.error))
        np.testing.assert_array_equal(found.error[0, :, 0], [0, 0, np.inf])
    found = reference.RULES["Bucketize"](Bucketize((1.0, 3.0)), Bounded(IDS.value + 0.5, IDS.error))
    np.testing.assert_array_equal(found.error, [[0, 0, 0]])
    np.testing.assert_array_equal(reference.RULES["Bucketize"](Bucketize((1.6,)), IDS).error, [[0, 0, np.inf]])


def test_of_masks_that_may_be_others_nothing_is_told():
    x = reference.exact(np.ones((1, 3, 2)))
    found = reference.RULES["MaskedFill"](
        MaskedFill(0.0), x, Bounded(np.array([[1.0, 0.0, 0.0]]), np.array([[0, 0, 1]]))
    )
    np.testing.assert_array_equal(found.error[0, :, 0], [0, 0, np.inf])
    steps = reference.RULES["StepMask"](StepMask(1.0), Bounded(np.ones((1, 2, 1)), np.array([[[0.0], [0.1]]])))
    np.testing.assert_array_equal(steps.error, [[0, 1]])


def test_of_a_support_that_may_be_another_nothing_is_told():
    x = Bounded(np.array([[0.3, 0.1], [0.3, 0.1]]), np.array([[0.0, 0.0], [0.1, 0.0]]))
    found = reference.RULES["Sparsemax"](Sparsemax(1), x)
    assert np.isfinite(found.error).tolist() == [[True, True], [False, False]]


# --- operations against their definitions, cell by cell --------------------------------------------------------------


def convolved(x, weight, stride, pads, dilation, groups):
    """Convolve by the sum over channels and cells, one output at a time."""
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    ]
    out = np.zeros((len(x), len(weight), *sizes))
    per_in, per_out = weight.shape[1], len(weight) // groups
    for place in np.ndindex(*sizes):
        for channel in range(len(weight)):
            first = channel // per_out * per_in
            for cell in np.ndindex(*weight.shape[2:]):
                where = tuple(p * s + c * d for p, s, c, d in zip(place, stride, cell, dilation, strict=True))
                seen = x[(slice(None), slice(first, first + per_in), *where)]
                out[(slice(None), channel, *place)] += seen @ weight[(channel, slice(None), *cell)]
    return out


@pytest.mark.parametrize("block", [1, 100, conv.BLOCK])
@pytest.mark.parametrize(
    ("channels", "sizes", "weight", "stride", "pads", "dilation", "groups"),
    [
        pytest.param(3, (9,), (4, 3, 3), (2,), ((1, 2),), (2,), 1, id="1d"),
        pytest.param(4, (7, 6), (6, 2, 3, 2), (1, 2), ((0, 2), (1, 0)), (2, 1), 2, id="2d-groups"),
        pytest.param(3, (6, 7), (6, 1, 3, 3), (2, 1), ((1, 1), (0, 0)), (1, 2), 3, id="depthwise"),
        pytest.param(2, (4, 5, 3), (3, 2, 2, 3, 1), (1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2), 1, id="3d"),
    ],
)
def test_convolution_is_the_sum_over_channels_and_cells(
    monkeypatch, block, channels, sizes, weight, stride, pads, dilation, groups
):
    monkeypatch.setattr(conv, "BLOCK", block)
    random = np.random.default_rng(0)
    x, kernel, bias = (
        random.normal(size=(2, channels, *sizes)),
        random.normal(size=weight),
        random.normal(size=weight[0]),
    )
    wanted = convolved(x, kernel, stride, pads, dilation, groups) + bias.reshape(-1, *[1] * len(sizes))
    found = conv.conv(x, kernel, bias, stride, pads, dilation, groups)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)


def test_transposed_convolution_is_the_adjoint_of_the_convolution():
    """``<conv(x), y> = <x, conv_transpose(y)>``, for the same weight."""
    random = np.random.default_rng(0)
    geometry = {"stride": (2, 1), "dilation": (1, 2), "groups": 2}
    weight, x = random.normal(size=(4, 3, 3, 2)), random.normal(size=(2, 6, 9, 8))
    forth = conv.conv(x, weight, np.zeros(4), pads=((1, 0), (2, 1)), **geometry)
    y = random.normal(size=forth.shape)
    back = conv.conv_transpose(y, weight, np.zeros(6), crops=((1, 0), (2, 1)), output_padding=(1, 0), **geometry)
    rows = back[:, :, : x.shape[2]]
    np.testing.assert_allclose((forth * y).sum(), (x[:, :, : rows.shape[2]] * rows).sum(), rtol=1e-12)


@pytest.mark.parametrize("include", [False, True])
def test_pools_are_of_the_cells_that_exist(include):
    random = np.random.default_rng(0)
    x, pads = random.normal(size=(2, 3, 6, 5)), ((1, 1), (0, 1))
    largest, mean = pool.max_pool(x, (3, 2), (2, 1), pads), pool.avg_pool(x, (3, 2), (2, 1), pads, include)
    assert largest.shape == mean.shape == (2, 3, 3, 5)
    for i, j in np.ndindex(3, 5):
        window = x[:, :, max(0, 2 * i - 1) : 2 * i + 2, j : j + 2].reshape(2, 3, -1)
        np.testing.assert_array_equal(largest[:, :, i, j], window.max(-1))
        wanted = window.sum(-1) / (6 if include else window.shape[-1])
        np.testing.assert_allclose(mean[:, :, i, j], wanted, rtol=0, atol=1e-15)
