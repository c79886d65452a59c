"""FoldTime, UnfoldTime, Flip against NumPy."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Conv2d, Flatten, Flip, FoldTime, Linear, ReLU, UnfoldTime
from tests.plan.graphs import Maker, assert_plan_agrees, random
from tests.properties import assert_permuted

SEQUENCES = hnp.array_shapes(min_dims=2, max_dims=5, min_side=0, max_side=3)


def numbered(*shape):
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


@settings(max_examples=40, deadline=None)
@given(SEQUENCES)
def test_a_fold_makes_examples_of_steps_and_unfolding_undoes_it(shape):
    x = numbered(*shape)
    folded = FoldTime()(x)
    assert folded.shape == FoldTime().output_shape(shape) == (shape[0] * shape[1], *shape[2:])
    np.testing.assert_array_equal(folded, [step for sequence in x for step in sequence] or folded)
    np.testing.assert_array_equal(UnfoldTime()(folded, x), x)


def test_a_fold_knows_what_is_free():
    assert FoldTime().output_shape((None, 3, 4)) == (None, 4)
    assert FoldTime().output_shape((2, None, 4)) == (None, 4)
    assert UnfoldTime().output_shape((None, 7), (None, 3, 4)) == (None, 3, 7)
    assert UnfoldTime().output_shape((6, 7), (None, 3, 4)) == (None, 3, 7)
    assert UnfoldTime().output_shape((None, 5, 6), (2, None)) == (2, None, 5, 6)


def test_an_unfold_takes_only_the_sizes_of_its_second_input():
    found = UnfoldTime()(numbered(6, 2), np.full((3, 2, 9), np.nan))
    np.testing.assert_array_equal(found, numbered(3, 2, 2))


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        pytest.param(FoldTime(), [(3,)], id="no-time"),
        pytest.param(UnfoldTime(), [(5, 2), (3, 2, 9)], id="another-number-of-steps"),
        pytest.param(UnfoldTime(), [(), (3, 2)], id="no-batch"),
        pytest.param(UnfoldTime(), [(6, 2), (6,)], id="reference-without-time"),
        pytest.param(Flip(2), [(3, 4)], id="flip-of-an-axis-that-is-not-there"),
    ],
)
def test_wrong_shapes_are_refused(module, shapes):
    with pytest.raises(ShapeError, match="takes an input"):
        module.output_shape(*shapes)
    with pytest.raises(ShapeError, match="takes an input"):
        module(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_flip_agrees_with_numpy(dim):
    x = numbered(2, 3, 4, 2)
    np.testing.assert_array_equal(Flip(dim)(x), np.flip(x, dim))
    assert Flip(dim).output_shape((None, 3, None, 2)) == (None, 3, None, 2)
    assert_permuted(Flip(dim), (0, 3, 1, 2), x)


@pytest.mark.parametrize("dim", [0, -1, 1.0, "1", (1,)])
def test_bad_axes_are_refused_by_name(dim):
    with pytest.raises(ParameterError, match="dim"):
        Flip(dim)


def test_steps_run_in_a_plan_as_module_by_module():
    make = Maker(x=(3, 4, 7, 9), y=(3, 5))
    make("fold", FoldTime(), "x")
    make("conv", Conv2d(4, 6, 3), "fold")
    make("relu", ReLU(), "conv")
    make("flat", Flatten(), "relu")
    make("unfold", UnfoldTime(), "flat", "y")
    make("dense", Linear(210, 5), "unfold")
    make("flip", Flip(1), "dense")
    graph = make.graph("flip", "unfold")
    assert_plan_agrees(graph, [random(1, 2, 3, 4, 7, 9), random(2, 2, 3, 5)])
    assert_plan_agrees(graph, [random(3, 1, 3, 4, 7, 9), random(4, 1, 3, 5)])
