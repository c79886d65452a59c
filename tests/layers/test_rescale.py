"""Rescale and Affine against float64."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ParameterError
from keydnn.modules import Affine, Rescale
from keydnn.reference import f64
from tests.properties import assert_any_thread_count, assert_broadcast, assert_permuted
from tests.within import assert_within


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 3, 5), (2, 8, 8, 3), (3, 5001)])
def test_rescale_agrees_with_float64(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    wanted = f64(x) / 127.5 - 1
    # 1 / 127.5 is rounded, then the product and the sum: three roundings of at most |x / 127.5| + 1
    assert_within(Rescale(1 / 127.5, -1)(x), wanted, 3 * 2.0**-24 * (abs(f64(x)) / 127.5 + 1))


def test_rescale_rounds_twice_as_keras_does():
    x = np.random.default_rng(1).standard_normal((3, 1000)).astype(np.float32)
    np.testing.assert_array_equal(Rescale(0.1, 0.3)(x), x * np.float32(0.1) + np.float32(0.3))


def test_rescale_keeps_shapes_and_can_be_permuted():
    assert Rescale(2).output_shape((None, 3, None)) == (None, 3, None)
    assert_permuted(Rescale(2, 1), (0, 2, 1), np.arange(24.0).reshape(2, 3, 4))


def test_any_thread_count_gives_the_same_bits():
    assert_any_thread_count(Rescale(0.1, 3), np.random.default_rng(1).standard_normal(10007).astype(np.float32))


def test_affine_agrees_with_float64():
    # a product and a sum
    assert_broadcast(
        Affine,
        lambda x, weight, bias: x * weight + bias,
        lambda wanted, x, weight, bias: 2**-24 * (2 * abs(x * weight) + abs(bias)) * (1 + 2**-23),
    )


def test_special_values_pass():
    x = np.array([[np.nan, np.inf, -np.inf]])
    np.testing.assert_array_equal(Rescale(-2, 1)(x), [[np.nan, -np.inf, np.inf]])
    np.testing.assert_array_equal(Affine((3,), weight=[1, 0, -1], bias=[0, 0, 0])(x), [[np.nan, np.nan, np.inf]])


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: Rescale([1.0, 2.0]), "scale", id="list"),
        pytest.param(lambda: Rescale(1, np.inf), "offset", id="infinite"),
        pytest.param(lambda: Affine(()), "shape", id="no-axes"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()
