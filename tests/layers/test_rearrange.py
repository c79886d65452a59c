"""Squeeze, Unsqueeze, Expand, Tile, Roll, DepthToSpace, SpaceToDepth, Patches: moves of memory."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import (
    DepthToSpace,
    Expand,
    Patches,
    Roll,
    Scalar,
    SpaceToDepth,
    Squeeze,
    Tile,
    Unsqueeze,
)
from keydnn.modules.geometry import resolve_pads
from keydnn.plan import Program
from tests.properties import assert_permuted

X = np.arange(2 * 3 * 1 * 4, dtype=np.float32).reshape(2, 3, 1, 4)


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        pytest.param(Squeeze(2), X[:, :, 0], id="squeeze"),
        pytest.param(Squeeze((2,)), X[:, :, 0], id="squeeze-in-a-tuple"),
        pytest.param(Unsqueeze(1), X[:, None], id="unsqueeze"),
        pytest.param(Unsqueeze((5, 1)), X[:, None, ..., None], id="unsqueeze-two"),
        pytest.param(Expand((3, 5, 4)), np.repeat(X, 5, 2), id="expand"),
        pytest.param(Tile((2, 3, 1)), np.tile(X, (1, 2, 3, 1)), id="tile"),
        pytest.param(Roll(1, 3), np.roll(X, 1, 3), id="roll"),
        pytest.param(Roll((5, -1), (1, 3)), np.roll(X, (5, -1), (1, 3)), id="roll-two"),
    ],
)
def test_they_move_memory_as_numpy_does(module, wanted):
    found = module(X)
    assert found.shape == module.output_shape(X.shape)
    np.testing.assert_array_equal(found, wanted)


def test_depth_to_space_orders_cells_as_tensorflow_and_space_to_depth_undoes_it():
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
    np.testing.assert_array_equal(DepthToSpace(2)(x), [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]])
    x = np.random.default_rng(1).standard_normal((2, 6, 9, 4)).astype(np.float32)
    np.testing.assert_array_equal(DepthToSpace(3)(SpaceToDepth(3)(x)), x)


@pytest.mark.parametrize(
    ("module", "shape", "wanted"),
    [
        pytest.param(Squeeze(1), (None, None, 3), (None, 3), id="squeeze"),
        pytest.param(Unsqueeze(2), (None, None, 3), (None, None, 1, 3), id="unsqueeze"),
        pytest.param(Tile((2, 3)), (None, None, 3), (None, None, 9), id="tile"),
        pytest.param(DepthToSpace(2), (None, None, 3, 8), (None, None, 6, 2), id="depth-to-space"),
        pytest.param(SpaceToDepth(2), (None, None, 6, 2), (None, None, 3, 8), id="space-to-depth"),
        pytest.param(Expand((4, 3)), (None, None, 3), (None, 4, 3), id="expand"),
        pytest.param(Patches((2, 3), 2), (None, None, 7, 4), (None, None, 3, 24), id="patches"),
        pytest.param(Patches((2, 3)), (None, 4, 7, None), (None, 3, 5, None), id="patches-of-any-channels"),
    ],
)
def test_free_sizes(module, shape, wanted):
    assert module.output_shape(shape) == wanted


@pytest.mark.parametrize("module", [Tile((2, 1, 3)), Roll((1, 2), (1, 3)), Expand((3, 2, 4))])
def test_permuted_modules(module):
    assert_permuted(module, (0, 3, 1, 2), X)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_patches_of_any_size_are_cut_out_as_they_stand(data):
    axes = data.draw(st.integers(2, 3))
    shape = data.draw(hnp.array_shapes(min_dims=axes + 2, max_dims=axes + 2, min_side=1, max_side=6))
    kernel_size, stride, dilation = (data.draw(st.tuples(*[st.integers(1, 3)] * axes)) for _ in range(3))
    padding = data.draw(st.sampled_from(["valid", "same", 1, 2]))
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    module = Patches(kernel_size, stride, padding, dilation)
    axes_of_windows = zip(shape[1:-1], kernel_size, dilation, strict=True)
    assume(padding == "same" or all((window - 1) * step < size for size, window, step in axes_of_windows))
    found, sizes = module(x), module.output_shape(shape)
    assert found.shape == sizes
    pads = resolve_pads(module.padding, shape[1:-1], kernel_size, stride, dilation)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    for place in np.ndindex(*sizes[1:-1]):
        cells = [
            range(p * s, p * s + k * d, d) for p, s, k, d in zip(place, stride, kernel_size, dilation, strict=True)
        ]
        wanted = padded[np.ix_(range(shape[0]), *cells, range(shape[-1]))]
        np.testing.assert_array_equal(found[(slice(None), *place)], wanted.reshape(shape[0], -1))


def test_patches_leave_nan_and_infinities_in_their_places():
    x = np.array([[[[np.nan], [1.0]], [[2.0], [-np.inf]]]], np.float32)
    np.testing.assert_array_equal(Patches(2, 2)(x), [[[[np.nan, 1, 2, -np.inf]]]])


def test_in_a_plan_axes_of_size_1_cost_nothing():
    nodes = [
        Node("a", Unsqueeze((1, 3)), ("x",)),
        Node("b", Squeeze(3), ("a",)),
        Node("y", Scalar("add", 1.0), ("b",)),
    ]
    program = Program(Graph([Input("x", (None, 3))], nodes, [Output("y", "y")]))
    (found,) = program.run([np.ones((2, 3), np.float32)])
    np.testing.assert_array_equal(found, np.full((2, 1, 3), 2))
    assert len(program.bind([(2, 3)]).parts) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: Squeeze(0), "dim", id="squeeze-batch"),
        pytest.param(lambda: Unsqueeze(()), "dim", id="unsqueeze-nothing"),
        pytest.param(lambda: Expand(3), "shape", id="expand-a-number"),
        pytest.param(lambda: Tile((0,)), "dims", id="tile-0"),
        pytest.param(lambda: Roll((1, 2), 1), "shifts", id="roll-lengths"),
        pytest.param(lambda: Roll(1, 0), "dims", id="roll-batch"),
        pytest.param(lambda: DepthToSpace(0), "block_size", id="block-size"),
        pytest.param(lambda: Patches((2,)), "kernel_size", id="patches-of-one-axis"),
        pytest.param(lambda: Patches((2, 0)), "kernel_size", id="patches-of-nothing"),
        pytest.param(lambda: Patches((2, 2), 0), "stride", id="patches-stride-0"),
        pytest.param(lambda: Patches((2, 2), padding="full"), "padding", id="patches-padding"),
        pytest.param(lambda: Patches((2, 2), dilation=(1, 2, 3)), "dilation", id="patches-dilation"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, words):
    with pytest.raises(ParameterError, match=words):
        make()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        pytest.param(Squeeze(1), (2, 3), id="squeeze-size-3"),
        pytest.param(Squeeze(2), (2, 1), id="squeeze-beyond"),
        pytest.param(Unsqueeze(4), (2, 1), id="unsqueeze-beyond"),
        pytest.param(Expand((4,)), (2, 3), id="expand-other-size"),
        pytest.param(Expand((4,)), (2, 1, 1), id="expand-other-rank"),
        pytest.param(Tile((2,)), (2, 1, 1), id="tile-other-rank"),
        pytest.param(Roll(1, 2), (2, 3), id="roll-beyond"),
        pytest.param(DepthToSpace(2), (1, 2, 2, 6), id="depth-not-a-multiple"),
        pytest.param(SpaceToDepth(2), (1, 2, 3, 6), id="space-not-a-multiple"),
        pytest.param(Patches((2, 2)), (1, 4, 4), id="patches-other-rank"),
    ],
)
def test_wrong_inputs_are_refused(module, shape):
    with pytest.raises(ShapeError, match="takes"):
        module(np.zeros(shape))
