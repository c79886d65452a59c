"""Resize and CenterCrop against float64."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import reference
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import CenterCrop, Resize
from keydnn.modules.sampling import MODES, spans
from keydnn.reference import exact
from keydnn.reference.resize import middle, resize_matrix
from tests.properties import assert_any_thread_count, assert_permuted
from tests.within import assert_within


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(module, x):
    """Compare with the oracle's rule, whose bound follows from the roundings of weights, products and sums."""
    bounded = reference.RULES[type(module).__name__](module, exact(x))
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape)
    assert_within(found, bounded.value, bounded.error)


SIZES = [
    pytest.param((7, 9), (7, 9), id="the-same"),
    pytest.param((7, 9), (5, 4), id="smaller"),
    pytest.param((5, 4), (7, 9), id="larger"),
    pytest.param((5, 9), (10, 3), id="twice-and-a-third"),
    pytest.param((1, 1), (3, 4), id="from-one-cell"),
    pytest.param((6, 7), (1, 1), id="to-one-cell"),
    pytest.param((2, 31), (3, 8), id="few-to-few-many-to-few"),
]


@pytest.mark.parametrize("antialias", [pytest.param(False, id="plain"), pytest.param(True, id="antialias")])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("sizes", "new"), SIZES)
def test_resize_agrees_with_the_oracle(mode, antialias, sizes, new):
    check(Resize(new, mode, antialias=antialias), random(1, 2, 3, *sizes))
    check(Resize(new, mode, antialias=antialias, dims=(1, 2)), random(2, 2, *sizes, 3))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MODES), st.booleans(), *[st.integers(1, 40)] * 2)
def test_weights_are_those_of_the_definition_for_any_sizes(mode, antialias, size, new):
    first, count, weights = spans(mode, size, new, antialias)
    assert first.min() >= 0
    assert (first + count).max() <= size
    found = np.zeros((new, size))
    for j in range(new):
        found[j, first[j] : first[j] + count[j]] = weights[j, : count[j]]
    wanted = resize_matrix(mode, antialias, size, new)
    # a distance and a kernel are off by some 30 roundings, their sum by as much, and the kernel is at most 1
    assert_within(found, wanted, 2.0**-24 * 64 * np.abs(wanted).max(axis=1, keepdims=True))


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(("sizes", "new"), SIZES)
def test_the_aspect_ratio_is_kept(fit, sizes, new):
    check(Resize(new, fit=fit, fill=2.5), random(3, 2, 3, *sizes))


def test_padding_has_the_value_asked_for():
    found = Resize((4, 4), "nearest", fit="pad", fill=7)(np.ones((1, 1, 2, 4)))
    np.testing.assert_array_equal(found[0, 0], [[7] * 4, [1] * 4, [1] * 4, [7] * 4])


@pytest.mark.parametrize(("sizes", "new"), SIZES)
def test_center_crop_agrees_with_the_oracle(sizes, new):
    check(CenterCrop(new, dims=(1, 2)), random(4, 2, *sizes, 3))


def test_center_crop_cuts_the_middle():
    x = random(5, 2, 3, 7, 9)
    np.testing.assert_array_equal(CenterCrop((4, 6))(x), x[:, :, 1:5, 1:7])
    np.testing.assert_array_equal(middle(x, (2, 3), (4, 6)), x[:, :, 1:5, 1:7])


@settings(max_examples=30, deadline=None)
@given(st.permutations([1, 2, 3]), st.sampled_from(["stretch", "crop", "pad"]))
def test_permuted_follows_its_axes(axes, fit):
    x = random(6, 2, 4, 5, 6)
    assert_permuted(Resize((3, 7), fit=fit, dims=(1, 2)), (0, *axes), x)
    assert_permuted(CenterCrop((3, 4), dims=(1, 2)), (0, *axes), x)


def test_any_thread_count_gives_the_same_bits():
    assert_any_thread_count(Resize((31, 17), "bicubic", dims=(1, 2)), random(7, 2, 40, 40, 3))


def test_an_empty_batch_gives_an_empty_batch_and_free_sizes_become_fixed():
    assert Resize(3)(np.zeros((0, 2, 5, 5))).shape == (0, 2, 3, 3)
    assert Resize((3, 4), dims=(1, 2)).output_shape((None, None, None, 3)) == (None, 3, 4, 3)


def test_nearest_moves_special_values_and_others_leave_them_to_their_neighbours():
    x = np.array([[[[np.nan, 1, np.inf, 2]]]])
    np.testing.assert_array_equal(Resize((1, 4), "nearest")(x), x)
    np.testing.assert_array_equal(Resize((1, 4), "bilinear")(x), x)
    np.testing.assert_array_equal(Resize((1, 2), "area")(x)[0, 0, 0], [np.nan, np.inf])


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: Resize(0), "size", id="no-cells"),
        pytest.param(lambda: Resize((3, 4, 5)), "size", id="three-axes"),
        pytest.param(lambda: Resize(3, "cubic"), "mode", id="unknown-mode"),
        pytest.param(lambda: Resize(3, antialias=1), "antialias", id="int-for-bool"),
        pytest.param(lambda: Resize(3, fit="fill"), "fit", id="unknown-fit"),
        pytest.param(lambda: Resize(3, fill=np.nan), "fill", id="nan-to-fill"),
        pytest.param(lambda: Resize(3, dims=(2, 2)), "dims", id="one-axis-twice"),
        pytest.param(lambda: CenterCrop(3, dims=2), "dims", id="one-axis"),
        pytest.param(lambda: CenterCrop(3, dims=(0, 1)), "dims", id="batch-axis"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


@pytest.mark.parametrize("module", [Resize(3), CenterCrop(3)])
@pytest.mark.parametrize("shape", [(1, 3, 4), (1, 3, 0, 4)])
def test_wrong_inputs_are_refused_before_any_kernel_runs(module, shape):
    with pytest.raises(ShapeError, match=r"along the axes \(2, 3\), got"):
        module(np.zeros(shape))
