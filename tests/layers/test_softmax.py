"""Softmax, LogSoftmax, Sparsemax and GLU against the float64 oracle."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import GLU, LogSoftmax, Softmax, Sparsemax
from keydnn.reference import f64
from keydnn.reference.softmax import glu, log_softmax, softmax, sparsemax
from tests.properties import assert_any_thread_count, assert_permuted
from tests.within import assert_within, ulps

CALL = 2  # roundings that a call of exp or log counts as (see test_activation.py)
KINDS = [pytest.param(kind, id=kind.__name__) for kind in (Softmax, LogSoftmax, Sparsemax, GLU)]


def random(seed, *shape, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def check(module, x):
    """Compare with the oracle; below, u = 2**-24 and d is the distance from the largest of the line."""
    u, dim, found = 2.0**-24, module.dim, module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape)
    if isinstance(module, GLU):
        wanted = glu(x, dim)
        denormal = 2.0**-148 * np.maximum(1, abs(np.split(x, 2, dim)[0]))  # of a denormal sigmoid, times the first half
        bound = ulps(CALL + 3, wanted) + denormal
    else:
        distance = f64(x).max(dim, keepdims=True) - x
    if isinstance(module, Softmax):
        # x - max is off by d u, which exp multiplies; its own rounding, the float64 sum of terms that are off alike
        # (weighted by their share: at most the largest d's error, and d exp(-d) < 1), the rounded sum, the division
        # by a reciprocal
        wanted = softmax(x, dim)
        bound = u * (distance + 1 + 2 * CALL + 3) * wanted + np.finfo(np.float32).tiny
    elif isinstance(module, LogSoftmax):
        # x - max is off by d u, the logarithm of the sum by u (1 + CALL) from its terms and CALL u of itself, the
        # result by its rounding
        wanted = log_softmax(x, dim)
        log_sum = -wanted.max(dim, keepdims=True)
        bound = u * (distance + 2 + CALL + CALL * log_sum + abs(wanted))
    elif isinstance(module, Sparsemax):
        # running sums of up to n values, less 1, divided by up to n; then one subtraction
        wanted = sparsemax(x, dim)
        n = x.shape[dim]
        bound = 2 * (n + 3) * u * (1 + abs(f64(x)).max(dim, keepdims=True))
    assert_within(found, wanted, bound)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        pytest.param((3, 10), -1, id="last"),
        pytest.param((3, 10), 1, id="last-from-the-front"),
        pytest.param((2, 6, 4, 5), 1, id="channels"),
        pytest.param((2, 6, 4, 5), -2, id="height"),
        pytest.param((4, 3), 0, id="batch"),
        pytest.param((8,), 0, id="rank-1"),
        pytest.param((1, 1000), -1, id="long"),
        pytest.param((0, 4), -1, id="empty-batch"),
        pytest.param((2, 2500), -1, id="longer-than-a-group-of-rows"),
        pytest.param((301, 10), -1, id="several-groups-of-rows"),
        pytest.param((2, 6, 23, 29), 1, id="several-blocks-of-cells"),
    ],
)
@pytest.mark.parametrize("scale", [pytest.param(1, id="small"), pytest.param(50, id="large")])
def test_agrees_with_the_oracle(kind, shape, dim, scale):
    check(kind(dim), random(1, *shape, scale=scale))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_agrees_with_the_oracle_for_any_shape_and_axis(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    kind = data.draw(st.sampled_from([Softmax, LogSoftmax, Sparsemax, GLU]))
    if kind is GLU:
        shape = tuple(2 * size if axis == dim % len(shape) else size for axis, size in enumerate(shape))
    check(kind(dim), data.draw(hnp.arrays(np.float32, shape, elements=st.floats(-100, 100, width=32))))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([Softmax, LogSoftmax, Sparsemax, GLU]), st.permutations(range(4)), st.integers(-4, 3))
def test_permuted_follows_its_axis(kind, axes, dim):
    assert_permuted(kind(dim), tuple(axes), random(2, 2, 4, 6, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_any_thread_count_gives_the_same_bits(kind):
    assert_any_thread_count(kind(1), random(3, 7, 20, 33))
    assert_any_thread_count(kind(-1), random(3, 77, 130))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, -1])
def test_an_example_has_the_same_bits_alone_and_in_a_batch(kind, dim):
    x = random(4, 5, 6, 20, 34)
    whole = kind(dim)(x)
    for n in range(5):
        np.testing.assert_array_equal(kind(dim)(x[n : n + 1])[0], whole[n])


def test_softmax_of_huge_numbers_neither_overflows_nor_loses_its_sum():
    np.testing.assert_array_equal(Softmax()(np.array([[3e38, -3e38], [1e4, 1e4]])), [[1, 0], [0.5, 0.5]])
    with np.errstate(over="ignore"):
        found = LogSoftmax()(np.array([[3e38, -3e38], [1e4, 1e4], [0, -200]]))
    # 1e4 + log(2) is 1e4 + 0.6932 +- 0.0005 in float32: the order of the two subtractions matters
    np.testing.assert_array_equal(found, np.float32([[0, -np.inf], [-np.log(2)] * 2, [0, -200]]))


@pytest.mark.parametrize("kind", [pytest.param(Softmax, id="softmax"), pytest.param(LogSoftmax, id="log-softmax")])
@pytest.mark.parametrize(
    "line",
    [
        pytest.param([np.nan, 1, 2], id="nan-first"),
        pytest.param([1, 2, np.nan], id="nan-last"),
        pytest.param([1, np.inf, 2], id="inf"),
        pytest.param([-np.inf] * 3, id="nothing-but-minus-inf"),
    ],
)
def test_softmax_of_what_has_none_is_nan_throughout(kind, line):
    np.testing.assert_array_equal(kind()(np.array([line, [1, 1, 1]]))[0], [np.nan] * 3)


def test_softmax_gives_minus_infinity_no_share():
    np.testing.assert_array_equal(Softmax()(np.array([[-np.inf, 1, 1]])), [[0, 0.5, 0.5]])
    np.testing.assert_array_equal(LogSoftmax()(np.array([[-np.inf, 1]])), [[-np.inf, 0]])


def test_sparsemax_as_in_the_paper_and_as_in_keras_up_to_3_15():
    x = np.array([[0, 0.5, 1], [1, 1, 1], [3, 1, 0.25]])
    np.testing.assert_allclose(Sparsemax()(x), [[0, 0.25, 0.75], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]], rtol=0, atol=2**-22)
    np.testing.assert_array_equal(Sparsemax(threshold="cumulative")(x), [[0, 0, 0.25], [0, 0, 0], [1, 0, 0]])


def test_glu_passes_nan_and_infinity_on():
    found = GLU()(np.array([[1, 2, np.nan, np.inf, 0, -200, 1, np.inf]]))
    np.testing.assert_array_equal(found, [[0.5, 0, np.nan, np.inf]])


def test_free_sizes_stay_free():
    assert Softmax(1).output_shape((None, None, 4)) == (None, None, 4)
    assert GLU(1).output_shape((None, None, 4)) == (None, None, 4)
    assert GLU(-1).output_shape((None, None, 4)) == (None, None, 2)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: Softmax(1.0), "dim", id="float-for-int"),
        pytest.param(lambda: GLU(None), "dim", id="no-axis"),
        pytest.param(lambda: Sparsemax(-1, "max"), "threshold", id="unknown-threshold"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        pytest.param(Softmax(2), (2, 3), r"axis 2, got \(2, 3\)", id="axis-beyond-the-last"),
        pytest.param(LogSoftmax(-3), (2, 3), r"axis -3, got \(2, 3\)", id="axis-before-the-first"),
        pytest.param(Softmax(), (2, 0), "cells along axis -1", id="nothing-to-share"),
        pytest.param(GLU(), (2, 3), "even size along axis -1", id="odd-size"),
    ],
)
def test_wrong_inputs_are_refused_before_any_kernel_runs(module, shape, words):
    with pytest.raises(ShapeError, match=words):
        module(np.zeros(shape))
