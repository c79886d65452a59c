"""OneHot, MultiHot, Count, WeightedCount and Bucketize against plain loops."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Bucketize, Count, MultiHot, OneHot, WeightedCount


def rows(shape, most, seed=0):
    return np.random.default_rng(seed).integers(0, most, shape)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(1, 5))
def test_one_hot_has_a_one_for_every_id_that_has_a_class(shape, classes):
    ids = rows(shape, classes + 2) - 1
    found = OneHot(classes)(ids)
    assert found.dtype == np.float32
    assert found.shape == OneHot(classes).output_shape(tuple(shape))
    np.testing.assert_array_equal(found, ids[..., None] == np.arange(classes))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=3), st.integers(1, 5))
def test_bags_count_what_has_a_class(shape, classes):
    ids = rows(shape, classes + 2)
    wanted = (ids[..., None] == np.arange(classes)).sum(-2)
    np.testing.assert_array_equal(Count(classes)(ids), wanted)
    np.testing.assert_array_equal(MultiHot(classes)(ids), wanted > 0)
    weights = np.random.default_rng(1).integers(-8, 8, shape) / 4  # sums of them are exact
    wanted = ((ids[..., None] == np.arange(classes)) * weights[..., None]).sum(-2)
    np.testing.assert_array_equal(WeightedCount(classes)(ids, weights), wanted)


def test_a_fraction_is_cut_off_as_keras_casts():
    np.testing.assert_array_equal(OneHot(3)([-0.9, 1.9, np.nan, -1]), [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(Count(3)([[-0.9, 1.9, 1.0]]), [[1, 2, 0]])


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        pytest.param(module, wrong, id=f"{type(module).__name__}-{module.strict}-{wrong}")
        for module, wrongs in (
            (OneHot(3, strict=True), (-1, 3, np.nan)),
            (MultiHot(3), (-1, np.nan)),
            (MultiHot(3, strict=True), (-1, 3)),
            (Count(3), (-2,)),
            (Count(3, strict=True), (3,)),
        )
        for wrong in wrongs
    ],
)
def test_ids_are_refused_where_keras_refuses_them(module, wrong):
    with pytest.raises(ShapeError, match=rf"takes ids from 0.*, got {wrong:g}$"):
        module(np.array([[0, wrong, 2.0]]))


def test_bags_need_rows_and_weights_of_their_shape():
    for module in (MultiHot(3), Count(3)):
        with pytest.raises(ShapeError, match=r"takes an input \(N, ..., ids\)"):
            module([1, 2])
    assert WeightedCount(3).output_shape((None, None), (None, 4)) == (None, 3)
    with pytest.raises(ShapeError, match="weights of the ids' shape"):
        WeightedCount(3)(np.zeros((2, 3)), np.zeros((2, 4)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-4, 4, width=32), max_size=5), st.integers(0, 99))
def test_bucketize_counts_the_boundaries_that_are_not_above(boundaries, seed):
    boundaries = sorted(boundaries)
    x = np.random.default_rng(seed).uniform(-5, 5, (3, 4)).astype(np.float32)
    x[0, : len(boundaries[:4])] = boundaries[:4]
    wanted = (x[..., None] >= np.array(boundaries, np.float32)).sum(-1)
    np.testing.assert_array_equal(Bucketize(boundaries)(x), wanted)


def test_bucketize_puts_nan_behind_all_boundaries():
    np.testing.assert_array_equal(Bucketize([0.0, 1.0])([np.nan, np.inf, -np.inf, 0.0]), [2, 2, 0, 1])


@pytest.mark.parametrize("boundaries", [[1.0, 0.0], [np.nan], [1e300], "ab", [None], 3])
def test_boundaries_must_be_in_order(boundaries):
    with pytest.raises(ParameterError, match="boundaries"):
        Bucketize(boundaries)


def test_bad_parameters_are_refused_by_name():
    for module in (OneHot, MultiHot, Count, WeightedCount):
        with pytest.raises(ParameterError, match="num_classes"):
            module(0)
        with pytest.raises(ParameterError, match="strict"):
            module(2, strict=1)
