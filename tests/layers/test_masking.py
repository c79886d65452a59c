"""StepMask and MaskedFill against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Linear, MaskedFill, StepMask
from tests.plan.graphs import Maker, assert_plan_agrees
from tests.properties import assert_any_thread_count


def sequences(*shape, seed=0):
    """Draw small integers: many steps are equal to 0 throughout."""
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 5, 1), (2, 3, 4, 2), (3, 2), (0, 4, 2), (2, 0, 3), (2, 3, 0)])
@pytest.mark.parametrize("value", [0, 1, 0.1])
def test_a_step_counts_where_any_number_differs(shape, value):
    x = sequences(*shape)
    x[x == 1] = value or 1
    wanted = (x != np.float32(value)).any(axis=-1)
    found = StepMask(value)(x)
    assert found.shape == StepMask(value).output_shape(shape)
    np.testing.assert_array_equal(found, wanted)


def test_special_values_count_or_not_as_they_compare():
    x = np.array([[np.nan, 0], [-0.0, 0], [np.inf, 0], [0, 1e-45]])
    np.testing.assert_array_equal(StepMask()(x), [1, 0, 1, 1])


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_masked_steps_are_filled(axes):
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype(np.float32)
    mask = sequences(*x.shape[:axes])
    counts = mask.reshape(mask.shape + (1,) * (4 - axes)) != 0
    np.testing.assert_array_equal(MaskedFill(-2)(x, mask), np.where(counts, x, np.float32(-2)))
    assert MaskedFill(-2).output_shape((None, 3, None, 5), (None, 3)) == (None, 3, None, 5)


def test_what_is_masked_plays_no_part():
    np.testing.assert_array_equal(MaskedFill()([[[np.nan], [np.inf], [2]]], [[0, 0, 1]]), [[[0], [0], [2]]])


def test_any_thread_count_gives_the_same_bits():
    x = sequences(3, 1001, 2)
    assert_any_thread_count(StepMask(), x)
    assert_any_thread_count(MaskedFill(3), x, sequences(3, 1001, seed=2))


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        pytest.param(StepMask(), [(3,)], id="no-features"),
        pytest.param(MaskedFill(), [(2, 3, 4), (2, 4)], id="other-steps"),
        pytest.param(MaskedFill(), [(2, 3), (2, 3, 4)], id="mask-with-more-axes"),
        pytest.param(MaskedFill(), [(2, 3), ()], id="mask-without-axes"),
    ],
)
def test_wrong_shapes_are_refused(module, shapes):
    with pytest.raises(ShapeError, match="takes an input"):
        module(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize(("make", "word"), [(StepMask, "mask_value"), (MaskedFill, "value")])
@pytest.mark.parametrize("value", [np.inf, None, "0", True, (0.0,)])
def test_bad_values_are_refused_by_name(make, word, value):
    with pytest.raises(ParameterError, match=word):
        make(value)


def test_masks_run_in_a_plan_as_module_by_module():
    make = Maker(x=(5, 3))
    make("mask", StepMask(), "x")
    make("dense", Linear(3, 4), "x")
    make("fill", MaskedFill(1.5), "dense", "mask")
    assert_plan_agrees(make.graph("fill", "mask"), [sequences(3, 5, 3)])
