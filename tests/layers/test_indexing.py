"""Slice, IndexSelect, Gather, TopK, Sort, Pad."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Gather, IndexSelect, Pad, Slice, Sort, TopK
from tests.properties import assert_permuted

X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
ALL = (None, None, None)


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        pytest.param(Slice(((1, None, None), (0, 3, 2))), X[:, 1:, 0:3:2], id="slice"),
        pytest.param(Slice((ALL, (None, None, -1))), X[:, :, ::-1], id="slice-backwards"),
        pytest.param(Slice((ALL, (-2, -1, None))), X[:, :, -2:-1], id="slice-from-the-end"),
        pytest.param(Slice(((0, 99, 1), (99, -99, -3))), X[:, 0:99, 99:-99:-3], id="slice-beyond-the-ends"),
        pytest.param(IndexSelect(2, (3, 0, -1)), X[:, :, [3, 0, -1]], id="index-select"),
        pytest.param(Pad(((1, 0), (0, 2))), np.pad(X, ((0, 0), (1, 0), (0, 2))), id="pad"),
        pytest.param(
            Pad(((0, 1), (2, 0)), value=0.1), np.pad(X, ((0, 0), (0, 1), (2, 0)), constant_values=0.1), id="pad-value"
        ),
        pytest.param(Pad(((2, 0), (0, 3)), "reflect"), np.pad(X, ((0, 0), (2, 0), (0, 3)), "reflect"), id="reflect"),
        pytest.param(
            Pad(((3, 0), (0, 4)), "symmetric"), np.pad(X, ((0, 0), (3, 0), (0, 4)), "symmetric"), id="symmetric"
        ),
    ],
)
def test_they_move_memory_as_numpy_does(module, wanted):
    found = module(X)
    assert found.shape == module.output_shape(X.shape)
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.slices(7), min_size=2, max_size=2))
def test_any_slices(slices):
    x = np.arange(98, dtype=np.float32).reshape(2, 7, 7)
    wanted = x[(slice(None), *slices)]
    module = Slice([(one.start, one.stop, one.step) for one in slices])
    if wanted.size:
        np.testing.assert_array_equal(module(x), wanted)
    else:
        with pytest.raises(ShapeError, match="leaves nothing of axis"):
            module(x)


def test_gather_takes_places_from_a_second_input():
    places = np.array([[[2.9, -1, 0, 0]], [[1, 0, -3, 2]]], np.float32)
    wanted = np.take_along_axis(X, np.trunc(places).astype(int), 1)
    np.testing.assert_array_equal(Gather(1)(X, places), wanted)
    assert Gather(1).output_shape((None, 3, None), (None, 5, 4)) == (None, 5, 4)


@pytest.mark.parametrize("place", [3.0, -4.0, np.nan, np.inf, 1e30])
def test_places_that_are_not_there_are_refused(place):
    with pytest.raises(ShapeError, match="places from -3 to 2"):
        Gather(1)(X, np.full((2, 1, 4), place))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 2.0, np.inf, np.nan]), min_size=1, max_size=9), st.data()
)
def test_the_largest_come_first_and_of_equals_the_first(cells, data):
    k = data.draw(st.integers(1, len(cells)))
    wanted = sorted(range(len(cells)), key=lambda place: (np.isnan(cells[place]), -cells[place], place))
    wanted = [place for place in wanted if cells[place] == cells[place]]
    wanted = (wanted + [place for place in range(len(cells)) if cells[place] != cells[place]])[:k]
    np.testing.assert_array_equal(TopK(k, 1)([cells]), [wanted])
    np.testing.assert_array_equal(TopK(k, 1)(np.array([cells] * 2)[:, :, None])[..., 0], [wanted] * 2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.5, 2.0, np.inf, np.nan]), min_size=1, max_size=9), st.booleans())
def test_cells_in_order_and_nan_behind_them(cells, descending):
    numbers = sorted((cell for cell in cells if cell == cell), reverse=descending)
    wanted = numbers + [np.nan] * (len(cells) - len(numbers))
    np.testing.assert_array_equal(Sort(1, descending)([cells]), [wanted])
    np.testing.assert_array_equal(Sort(1, descending)(np.array([cells] * 2)[:, :, None])[..., 0], [wanted] * 2)


@pytest.mark.parametrize("descending", [False, True])
def test_zeros_of_either_sign_stay_as_they_stood(descending):
    zeros = [[0.0, -0.0, -0.0, 0.0, -0.0]]
    np.testing.assert_array_equal(np.signbit(Sort(1, descending)(zeros)), np.signbit(zeros))


def test_free_sizes():
    assert Sort(2).output_shape((None, 4, None)) == (None, 4, None)
    assert TopK(3, 2).output_shape((None, 4, None)) == (None, 4, 3)
    assert Slice((ALL, (1, 3, None))).output_shape((None, None, None)) == (None, None, None)
    assert Slice(((None, None, -1), (1, 3, None))).output_shape((None, 4, 5)) == (None, 4, 2)
    assert Pad(((1, 2), (0, 0)), "reflect").output_shape((None, None, 4)) == (None, None, 4)
    assert IndexSelect(1, (7,)).output_shape((None, None, 4)) == (None, 1, 4)


@pytest.mark.parametrize(
    "module", [Slice(((1, None, None), (0, 3, 2))), IndexSelect(2, (3, 0)), Pad(((1, 0), (0, 2)), "reflect")], ids=str
)
def test_permuted_modules(module):
    assert_permuted(module, (0, 2, 1), X)


def test_permuted_sort():
    assert_permuted(Sort(2, descending=True), (0, 2, 1), X)


def test_permuted_top_k():
    assert_permuted(TopK(2, 1), (0, 2, 1), X)


def test_permuted_gather():
    assert_permuted(Gather(1), (0, 2, 1), X, np.zeros((2, 2, 4)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: Slice(((1, 2),)), "slices", id="slice-pair"),
        pytest.param(lambda: Slice(((1, 2, 0),)), "slices", id="slice-step-0"),
        pytest.param(lambda: Slice(((1, 2.5, 1),)), "slices", id="slice-fraction"),
        pytest.param(lambda: IndexSelect(0, (1,)), "dim", id="index-batch"),
        pytest.param(lambda: IndexSelect(1, ()), "index", id="index-nothing"),
        pytest.param(lambda: Gather(0), "dim", id="gather-batch"),
        pytest.param(lambda: TopK(0, 1), "k", id="top-0"),
        pytest.param(lambda: TopK(1, 0), "dim", id="top-batch"),
        pytest.param(lambda: Sort(0), "dim", id="sort-batch"),
        pytest.param(lambda: Pad((1, 2)), "padding", id="pad-numbers"),
        pytest.param(lambda: Pad(((-1, 0),)), "padding", id="pad-negative"),
        pytest.param(lambda: Pad(((1, 0),), "edge"), "mode", id="pad-mode"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, words):
    with pytest.raises(ParameterError, match=words):
        make()


@pytest.mark.parametrize(
    ("module", "shapes", "words"),
    [
        pytest.param(Slice((ALL,)), [(2, 3, 4)], "rank 2", id="slice-other-rank"),
        pytest.param(IndexSelect(1, (3,)), [(2, 3)], "no place 3", id="index-beyond"),
        pytest.param(IndexSelect(2, (0,)), [(2, 3)], "axis 2", id="index-no-axis"),
        pytest.param(Gather(1), [(2, 3, 4), (2, 3, 5)], "agree but for axis 1", id="gather-other-sizes"),
        pytest.param(Gather(2), [(2, 3), (2, 3)], "axis 2", id="gather-no-axis"),
        pytest.param(TopK(4, 1), [(2, 3)], "4 or more cells along axis 1", id="top-too-many"),
        pytest.param(TopK(1, 2), [(2, 3)], "cells along axis 2", id="top-no-axis"),
        pytest.param(Sort(2), [(2, 3)], "an axis 2", id="sort-no-axis"),
        pytest.param(Pad(((3, 0),), "reflect"), [(2, 3)], "more cells of axis 1", id="reflect-too-many"),
        pytest.param(Pad(((4, 0),), "symmetric"), [(2, 3)], "more cells of axis 1", id="symmetric-too-many"),
        pytest.param(Pad(((4, 0),)), [(2, 3, 4)], "rank 2", id="pad-other-rank"),
    ],
)
def test_wrong_inputs_are_refused(module, shapes, words):
    with pytest.raises(ShapeError, match=words):
        module(*(np.zeros(shape) for shape in shapes))
