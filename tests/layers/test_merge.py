"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate against NumPy."""

from __future__ import annotations

import functools

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from tests.properties import assert_any_thread_count, assert_permuted

# NumPy rounds each operation once, in the order written, as Keras' layers do: the results are equal, bit by bit.
OPERATIONS = {Add: np.add, Multiply: np.multiply, Maximum: np.maximum, Minimum: np.minimum}
KINDS = [pytest.param(kind, id=kind.__name__) for kind in (*OPERATIONS, Subtract, Average)]


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def oracle(kind, inputs):
    if kind is Subtract:
        return np.subtract(*inputs)
    if kind is Average:
        return functools.reduce(np.add, inputs) / np.float32(len(inputs))
    return functools.reduce(OPERATIONS[kind], inputs)


def check(kind, *inputs):
    found = kind()(*inputs)
    assert found.dtype == np.float32
    assert found.shape == kind().output_shape(*(x.shape for x in inputs))
    np.testing.assert_array_equal(found, oracle(kind, inputs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shapes",
    [
        pytest.param([(2, 3), (2, 3)], id="equal"),
        pytest.param([(2, 3, 4, 5), (2, 3, 1, 1)], id="a-number-a-channel"),
        pytest.param([(2, 1, 4), (2, 3, 1)], id="both-broadcast"),
        pytest.param([(0, 3), (0, 1)], id="empty-batch"),
    ],
)
def test_two_inputs_agree_with_numpy(kind, shapes):
    check(kind, *(random(i, *shape) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0] is not Subtract])
def test_more_inputs_are_taken_in_order(kind):
    check(kind, random(1, 3, 4), random(2, 3, 1), 1e7 * random(3, 1, 4), random(4, 3, 4), random(5, 3, 4))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_shapes_that_numpy_broadcasts(data):
    kind = data.draw(st.sampled_from([*OPERATIONS, Subtract, Average]))
    full = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    count = 2 if kind is Subtract else data.draw(st.integers(2, 4))
    shapes = [tuple(data.draw(st.sampled_from([size, 1])) for size in full) for _ in range(count)]
    check(kind, *(random(i, *shape) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        pytest.param(Maximum, [np.nan, np.nan, np.nan, np.inf, 1], id="maximum"),
        pytest.param(Minimum, [np.nan, np.nan, np.nan, 1, -np.inf], id="minimum"),
        pytest.param(Add, [np.nan, np.nan, np.nan, np.inf, -np.inf], id="add"),
    ],
)
def test_nan_and_infinity_are_passed_on(kind, wanted):
    x, y = np.array([[np.nan, 1, np.nan, np.inf, -np.inf]]), np.array([[1, np.nan, np.nan, 1, 1]])
    np.testing.assert_array_equal(kind()(x, y), [wanted])


def test_of_equal_zeros_the_first_wins_as_in_keras():
    for kind in (Maximum, Minimum):
        np.testing.assert_array_equal(np.signbit(kind()([[-0.0, 0.0]], [[0.0, -0.0]])), [[True, False]])


def test_inputs_are_left_alone():
    x, y, z = (random(i, 3, 4) for i in range(3))
    kept = [a.copy() for a in (x, y, z)]
    for kind in (Add, Average, Maximum):
        kind()(x, y, z)
    np.testing.assert_array_equal([x, y, z], kept)


def test_free_sizes_take_the_number_another_input_gives():
    add = Add()
    assert add.output_shape((None, 3), (None, 3)) == (None, 3)
    assert add.output_shape((None, 3, None), (None, 3, 8)) == (None, 3, 8)
    assert add.output_shape((None, 3, None), (None, 3, 1)) == (None, 3, None)
    assert add.output_shape((1, 3), (None, 1)) == (None, 3)
    with pytest.raises(ShapeError, match=r"cannot broadcast axis 1 of its inputs \(N, 3\), \(N, 4\)"):
        add.output_shape((None, 3), (None, 4))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*OPERATIONS, Subtract, Average]), st.permutations(range(4)))
def test_permuted_merges_are_themselves(kind, axes):
    assert_permuted(kind(), tuple(axes), random(1, 2, 3, 4, 5), random(2, 2, 3, 1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_any_thread_count_gives_the_same_bits(kind):
    assert_any_thread_count(kind(), random(1, 3, 10001), random(2, 3, 10001))


@pytest.mark.parametrize(
    ("shapes", "dim"),
    [
        pytest.param([(2, 3), (2, 4)], 1, id="features"),
        pytest.param([(2, 3), (2, 4), (2, 1)], -1, id="three-from-the-end"),
        pytest.param([(2, 3, 4, 5), (2, 1, 4, 5)], 1, id="channels"),
        pytest.param([(2, 3), (1, 3)], 0, id="batch"),
        pytest.param([(0, 3), (0, 2)], 1, id="empty-batch"),
    ],
)
def test_concatenate_agrees_with_numpy(shapes, dim):
    inputs = [random(i, *shape) for i, shape in enumerate(shapes)]
    found = Concatenate(dim)(*inputs)
    assert found.shape == Concatenate(dim).output_shape(*shapes)
    np.testing.assert_array_equal(found, np.concatenate(inputs, dim))


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(4)), st.integers(-4, 3))
def test_permuted_concatenate_follows_its_axis(axes, dim):
    other = [2, 3, 4, 5]
    other[dim] = 6
    assert_permuted(Concatenate(dim), tuple(axes), random(1, 2, 3, 4, 5), random(2, *other))


def test_concatenate_with_free_sizes():
    module = Concatenate(1)
    assert module.output_shape((None, 3, None), (None, 4, 8)) == (None, 7, 8)
    assert module.output_shape((None, None), (None, 4)) == (None, None)


@pytest.mark.parametrize(
    ("module", "shapes", "words"),
    [
        pytest.param(Add(), [(2, 3), (2, 4)], "cannot broadcast axis 1", id="sizes-that-do-not-broadcast"),
        pytest.param(Add(), [(2, 3), (2, 0)], "cannot broadcast axis 1", id="size-0-beside-3"),
        pytest.param(Add(), [(2, 3), (3,)], "equal rank", id="other-rank"),
        pytest.param(Add(), [(2, 3)], "two or more inputs, got 1", id="one-input"),
        pytest.param(Subtract(), [(2, 3)] * 3, "2 inputs, got 3", id="subtract-three"),
        pytest.param(Concatenate(1), [(2, 3, 4), (2, 3, 5)], "agree but for axis 1", id="concatenate-other-sizes"),
        pytest.param(Concatenate(2), [(2, 3), (2, 3)], "axis 2", id="concatenate-axis-beyond"),
        pytest.param(Concatenate(0), [(2, 3), (2,)], "equal rank", id="concatenate-other-rank"),
    ],
)
def test_wrong_inputs_are_refused_before_any_kernel_runs(module, shapes, words):
    with pytest.raises(ShapeError, match=words):
        module(*(np.zeros(shape) for shape in shapes))


def test_bad_parameters_are_refused_by_name():
    with pytest.raises(ParameterError, match="dim"):
        Concatenate("channels")
