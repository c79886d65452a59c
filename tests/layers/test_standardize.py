"""Standardize against float64."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ShapeError
from keydnn.modules import Standardize
from tests.properties import assert_broadcast


def test_standardize_agrees_with_float64():
    # a difference and a division
    assert_broadcast(
        Standardize,
        lambda x, mean, std: (x - mean) / std,
        lambda wanted, x, mean, std: 2**-24 * (2 + 2**-23) * abs(wanted),
    )


def test_special_values_pass():
    module = Standardize((3,), mean=[0, 1, 2], std=[1, 1e-7, 3])
    np.testing.assert_array_equal(module(np.array([[np.nan, np.inf, -np.inf]])), [[np.nan, np.inf, -np.inf]])


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"takes an input \(N, \?, 3\), got \(2, 5, 4\)"):
        Standardize((1, 3), mean=np.zeros((1, 3)), std=np.ones((1, 3)))(np.zeros((2, 5, 4)))
