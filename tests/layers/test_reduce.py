"""Reduce and Cumulate against NumPy in float64."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import reference
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Cumulate, Reduce
from keydnn.reference import exact
from tests.properties import assert_any_thread_count, assert_permuted
from tests.within import assert_within

F32 = np.float32
NAMES = ("sum", "mean", "prod", "max", "min", "argmax", "argmin")


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


def check(module, x):
    """Compare with the oracle: a rule of its own, in float64, with a bound that follows from the sums' lengths."""
    wanted = reference.RULES[type(module).__name__](module, exact(x))
    found = module(x)
    assert found.shape == wanted.value.shape == module.output_shape(x.shape)
    assert_within(found, wanted.value, wanted.error)


AXES = {"1": 1, "2": 2, "3": 3, "1-2": (1, 2), "2-3": (2, 3), "1-3": (1, 3), "all": (3, 1, 2)}


@pytest.mark.parametrize("keepdim", [False, True], ids=["dropped", "kept"])
@pytest.mark.parametrize(
    ("name", "dim"),
    [
        pytest.param(name, dim, id=f"{name}-{axes}")
        for name in NAMES
        for axes, dim in AXES.items()
        if isinstance(dim, int) or not name.startswith("arg")
    ],
)
def test_reductions_agree_with_float64(name, dim, keepdim):
    check(Reduce(name, dim, keepdim), random(1, 2, 3, 4, 5))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_reductions_of_any_shape(data):
    shape = data.draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    axes = data.draw(st.sets(st.integers(1, len(shape) - 1), min_size=1))
    name = data.draw(st.sampled_from(NAMES[:5]))
    check(Reduce(name, tuple(axes), data.draw(st.booleans())), random(2, *shape))


def test_long_rows_and_wide_cells():
    check(Reduce("sum", 1), random(3, 2, 100_001))
    check(Reduce("mean", 1), random(4, 2, 101, 4100))  # more than a block of cells side by side


def test_an_empty_batch_gives_an_empty_result():
    assert Reduce("max", 1)(np.zeros((0, 3, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("max", [np.nan, np.inf, 2, -np.inf], id="max"),
        pytest.param("min", [np.nan, 1, -np.inf, -np.inf], id="min"),
        pytest.param("sum", [np.nan, np.inf, -np.inf, -np.inf], id="sum"),
        pytest.param("argmax", [2, 1, 0, 0], id="argmax-passes-nan-over"),
        pytest.param("argmin", [0, 0, 1, 0], id="argmin-passes-nan-over"),
    ],
)
def test_nan_and_infinity_as_in_tensorflow(name, wanted):
    x = np.array([[1, np.nan, 2], [1, np.inf, 2], [2, -np.inf, 2], [-np.inf, -np.inf, -np.inf]], F32)
    np.testing.assert_array_equal(Reduce(name, 1)(x), wanted)
    np.testing.assert_array_equal(Reduce(name, 1)(x[..., None]), np.array(wanted)[:, None])
    cells = np.repeat(x[..., None], 2, axis=2)
    np.testing.assert_array_equal(Reduce(name, 1)(cells), np.repeat(np.array(wanted)[:, None], 2, axis=1))


def test_the_first_of_equal_places_wins():
    np.testing.assert_array_equal(Reduce("argmax", 1)([[1, 3, 3], [2, 2, 1]]), [1, 0])
    np.testing.assert_array_equal(Reduce("argmin", 1)([[1, 3, 1], [2, 1, 1]]), [0, 1])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", ["sum", "prod"])
def test_running_sums_agree_with_float64(name, dim):
    check(Cumulate(name, dim), random(5, 2, 3, 4, 5))


def test_only_what_keeps_its_axes_can_be_permuted():
    assert_permuted(Reduce("max", (1, 2), keepdim=True), (0, 3, 1, 2), random(6, 2, 3, 4, 5))
    assert Reduce("max", (1, 2)).permuted((0, 3, 1, 2)) is None
    assert_permuted(Cumulate("sum", 2), (0, 3, 1, 2), random(7, 2, 3, 4, 5))


@pytest.mark.parametrize(
    "module", [Reduce("sum", 1), Reduce("mean", (1, 2)), Reduce("argmax", 2), Cumulate("sum", 1)], ids=str
)
def test_any_thread_count_gives_the_same_bits(module):
    assert_any_thread_count(module, random(8, 3, 101, 97))


def test_free_sizes():
    assert Reduce("sum", 1).output_shape((None, None, 3)) == (None, 3)
    assert Reduce("sum", (2, 1), keepdim=True).output_shape((None, None, 3)) == (None, 1, 1)
    assert Cumulate("sum", 1).output_shape((None, None)) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("median", 1), "operation", id="operation"),
        pytest.param(("sum", 0), "dim", id="batch"),
        pytest.param(("sum", ()), "dim", id="no-axis"),
        pytest.param(("sum", (1, 1)), "dim", id="an-axis-twice"),
        pytest.param(("argmax", (1, 2)), "dim", id="place-along-two"),
        pytest.param(("sum", 1, 1), "keepdim", id="keepdim"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments, words):
    with pytest.raises(ParameterError, match=words):
        Reduce(*arguments)


def test_wrong_inputs_are_refused_before_any_kernel_runs():
    with pytest.raises(ShapeError, match="cells along axis 2"):
        Reduce("sum", 2)(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="cells along axis 1"):
        Reduce("max", 1)(np.zeros((2, 0)))
    with pytest.raises(ShapeError, match="cells along axis 1"):
        Cumulate("sum", 1)(np.zeros((2, 0)))
