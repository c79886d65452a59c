"""Flatten, Reshape, Permute, RepeatInterleave, padding and cropping against NumPy."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import (
    Crop1d,
    Crop2d,
    Crop3d,
    Flatten,
    Permute,
    RepeatInterleave,
    Reshape,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from tests.properties import assert_permuted

ANY_SHAPE = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def numbered(*shape):
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


def check(module, x, wanted):
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, wanted)
    found[...] = -1  # the output is memory of its own
    np.testing.assert_array_equal(x, numbered(*x.shape))


@settings(max_examples=50, deadline=None)
@given(ANY_SHAPE)
def test_flatten_keeps_the_batch_and_the_order(shape):
    x = numbered(*shape)
    check(Flatten(), x, x.reshape(shape[0], math.prod(shape[1:])))


def test_flatten_knows_what_is_free():
    assert Flatten().output_shape((None, 3, 4)) == (None, 12)
    assert Flatten().output_shape((None, 3, None)) == (None, None)
    assert Flatten().output_shape((2,)) == (2, 1)


@pytest.mark.parametrize(
    ("shape", "given", "wanted"),
    [
        pytest.param((3, 4), (2, 12), (2, 3, 4), id="exact"),
        pytest.param((3, -1), (2, 12), (2, 3, 4), id="rest-last"),
        pytest.param((-1, 2, 3), (2, 4, 3), (2, 2, 2, 3), id="rest-first"),
        pytest.param((-1,), (2, 4, 3), (2, 12), id="nothing-but-the-rest"),
        pytest.param((), (2, 1, 1), (2,), id="no-axes"),
        pytest.param((3, -1), (0, 12), (0, 3, 4), id="empty-batch"),
        pytest.param((2, -1), (3, 0), (3, 2, 0), id="empty-examples"),
    ],
)
def test_reshape_agrees_with_numpy(shape, given, wanted):
    check(Reshape(shape), numbered(*given), numbered(*given).reshape(wanted))


def test_reshape_knows_what_is_free():
    assert Reshape((3, -1)).output_shape((None, 12)) == (None, 3, 4)
    assert Reshape((3, -1)).output_shape((None, None)) == (None, 3, None)
    assert Reshape((3, 4)).output_shape((None, None)) == (None, 3, 4)


@settings(max_examples=50, deadline=None)
@given(st.permutations([1, 2, 3]), st.tuples(*[st.integers(0, 4)] * 4))
def test_permute_agrees_with_numpy(axes, shape):
    x = numbered(*shape)
    check(Permute((0, *axes)), x, np.transpose(x, (0, *axes)))


def test_permute_moves_free_sizes_along():
    assert Permute((0, 2, 3, 1)).output_shape((None, 3, None, 5)) == (None, None, 5, 3)
    assert Permute((0, 1)).permuted((0, 1)) is None


@settings(max_examples=50, deadline=None)
@given(hnp.array_shapes(min_dims=2, max_dims=5, min_side=0, max_side=4), st.integers(1, 4), st.data())
def test_repeat_interleave_agrees_with_numpy(shape, repeats, data):
    dim = data.draw(st.integers(1, len(shape) - 1) | st.integers(1 - len(shape), -1))
    x = numbered(*shape)
    check(RepeatInterleave(repeats, dim), x, np.repeat(x, repeats, dim))
    order = (0, *data.draw(st.permutations(range(1, len(shape)))))
    assert_permuted(RepeatInterleave(repeats, dim), order, x)


def test_repeat_interleave_leaves_free_sizes_free():
    assert RepeatInterleave(3, 1).output_shape((None, None, 4)) == (None, None, 4)
    assert RepeatInterleave(3).output_shape((None, None, 4)) == (None, None, 12)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_padding_and_cropping_agree_with_numpy_and_undo_each_other(data):
    axes = data.draw(st.integers(1, 3))
    x = numbered(data.draw(st.integers(0, 2)), 2, *(data.draw(st.integers(1, 4)) for _ in range(axes)))
    pairs = tuple(data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(axes))
    pad, crop = ((ZeroPad1d, Crop1d), (ZeroPad2d, Crop2d), (ZeroPad3d, Crop3d))[axes - 1]
    padded = np.pad(x, ((0, 0), (0, 0), *pairs))
    check(pad(pairs), x, padded)
    np.testing.assert_array_equal(crop(pairs)(padded), x)


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        pytest.param(1, ((1, 1), (1, 1)), id="one-number"),
        pytest.param((1, 2), ((1, 1), (2, 2)), id="one-an-axis"),
        pytest.param([[1, 2], [3, 4]], ((1, 2), (3, 4)), id="top-bottom-left-right"),
    ],
)
def test_padding_is_held_as_pairs(padding, pairs):
    assert ZeroPad2d(padding).padding == pairs == Crop2d(padding).cropping


def test_padding_and_cropping_leave_free_sizes_free():
    assert ZeroPad2d(((1, 2), (3, 4))).output_shape((None, 3, None, 5)) == (None, 3, None, 12)
    assert Crop2d(((1, 2), (0, 4))).output_shape((None, 3, None, 5)) == (None, 3, None, 1)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: Flatten(0), "start_dim", id="flatten-the-batch"),
        pytest.param(lambda: Flatten(2), "start_dim", id="flatten-from-2"),
        pytest.param(lambda: Reshape(3), "shape", id="reshape-number"),
        pytest.param(lambda: Reshape((-1, -1)), "shape", id="reshape-two-rests"),
        pytest.param(lambda: Reshape((0, 3)), "shape", id="reshape-0"),
        pytest.param(lambda: Reshape((-2,)), "shape", id="reshape-minus-2"),
        pytest.param(lambda: Reshape((None, 3)), "shape", id="reshape-none"),
        pytest.param(lambda: Permute((1, 0)), "dims", id="permute-the-batch"),
        pytest.param(lambda: Permute((0, 1, 1)), "dims", id="permute-twice"),
        pytest.param(lambda: Permute((0, 2)), "dims", id="permute-gap"),
        pytest.param(lambda: Permute(()), "dims", id="permute-nothing"),
        pytest.param(lambda: RepeatInterleave(0, 1), "repeats", id="repeat-0"),
        pytest.param(lambda: RepeatInterleave(2, 0), "dim", id="repeat-the-batch"),
        pytest.param(lambda: Permute(2), "dims", id="permute-number"),
        pytest.param(lambda: ZeroPad2d((1, 1, 2, 2)), "padding", id="padding-in-pytorch-order"),
        pytest.param(lambda: ZeroPad2d(-1), "padding", id="negative-padding"),
        pytest.param(lambda: Crop2d(((1, 2, 3), 4)), "cropping", id="cropping-triple"),
        pytest.param(lambda: Crop1d("same"), "cropping", id="cropping-word"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        pytest.param(Flatten(), (), r"\(N, ...\), got \(\)", id="flatten-no-batch"),
        pytest.param(Reshape((3, 4)), (2, 11), "cannot hold the 11 elements", id="reshape-too-few"),
        pytest.param(Reshape((3, -1)), (2, 11), "cannot hold the 11 elements", id="reshape-remainder"),
        pytest.param(Reshape((1,)), (), r"\(N, ...\), got \(\)", id="reshape-no-batch"),
        pytest.param(Permute((0, 2, 1)), (2, 3), "rank 3, got", id="permute-other-rank"),
        pytest.param(RepeatInterleave(2, 2), (2, 3), "an axis 2", id="repeat-no-such-axis"),
        pytest.param(RepeatInterleave(2, -2), (2, 3), "an axis -2", id="repeat-the-batch-from-the-end"),
        pytest.param(ZeroPad3d(1), (2, 3, 4, 5), r"\(N, C, D, H, W\), got", id="padding-rank-4"),
        pytest.param(ZeroPad2d(1), (2, 3, 4), r"\(N, C, H, W\), got", id="padding-rank-3"),
        pytest.param(Crop2d(1), (1, 1, 2, 5), "leaves nothing of spatial axis 0", id="cropping-everything"),
        pytest.param(Crop1d(((3, 3),)), (1, 1, 5), "leaves nothing of spatial axis 0", id="cropping-more"),
    ],
)
def test_wrong_inputs_are_refused(module, shape, words):
    with pytest.raises(ShapeError, match=words):
        module(np.zeros(shape))
