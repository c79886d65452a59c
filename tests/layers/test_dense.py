"""Linear against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import Linear
from keydnn.reference.dense import linear
from tests.properties import assert_any_thread_count
from tests.within import assert_within, sum_bound


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_weights(module):
    return module.with_tensors({n: random(7 + i, *s) for i, (n, s) in enumerate(module.tensor_shapes().items())})


def check(module, x):
    module = with_weights(module)
    bias = module.bias if module.use_bias else np.zeros(module.out_features)
    wanted = linear(x, module.weight, bias)
    magnitude = linear(abs(x), abs(module.weight), abs(bias))
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape) == (*x.shape[:-1], module.out_features)
    assert_within(found, wanted, sum_bound(module.in_features, magnitude))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        pytest.param(Linear(5, 3), (2, 5), id="features"),
        pytest.param(Linear(5, 3, False), (2, 5), id="no-bias"),
        pytest.param(Linear(4, 6), (2, 3, 4), id="sequence"),
        pytest.param(Linear(4, 6), (2, 3, 2, 4), id="rank-4"),
        pytest.param(Linear(1, 1), (1, 1), id="one-number"),
        pytest.param(Linear(1000, 3), (1, 1000), id="long-sum"),
        pytest.param(Linear(4, 6), (0, 4), id="empty-batch"),
    ],
)
def test_linear_agrees_with_the_oracle(module, shape):
    check(module, random(1, *shape))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(1, 40), st.integers(1, 9), st.booleans())
def test_linear_agrees_with_the_oracle_for_any_shape(outer, inputs, outputs, use_bias):
    check(Linear(inputs, outputs, use_bias), random(2, *outer, inputs))


def test_free_sizes_stay_free():
    assert Linear(4, 6).output_shape((None, None, 4)) == (None, None, 6)
    assert Linear(4, 6).output_shape((None, None)) == (None, 6)


def test_linear_counts_its_multiplications():
    assert Linear(4, 6).macs((2, 3, 4)) == 2 * 3 * 4 * 6


def test_nan_and_infinity_stay_in_their_rows():
    module = Linear(2, 1, weight=[[1, 1]], bias=[0])
    np.testing.assert_array_equal(module(np.array([[np.nan, 1], [np.inf, 1], [1, 1]])), [[np.nan], [np.inf], [2]])


def test_any_thread_count_gives_the_same_bits():
    assert_any_thread_count(with_weights(Linear(301, 97)), random(3, 11, 301))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        pytest.param((0, 3), "in_features", id="no-inputs"),
        pytest.param((3, 2.0), "out_features", id="float-for-int"),
        pytest.param((3, 2, None), "use_bias", id="none-for-bool"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments, word):
    with pytest.raises(ParameterError, match=word):
        Linear(*arguments)


def test_wrong_inputs_are_refused_before_any_kernel_runs():
    module = with_weights(Linear(4, 6))
    with pytest.raises(ShapeError, match=r"\(N, ..., 4\), got \(2, 5\)"):
        module(np.zeros((2, 5)))
    with pytest.raises(ShapeError, match=r"\(N, ..., 4\), got \(4,\)"):
        module(np.zeros(4))
    with pytest.raises(ShapeError, match=r"weight of .* must have shape \(6, 4\)"):
        module.with_tensors({"weight": np.zeros((4, 6))})
    with pytest.raises(MissingWeightsError, match="No weights found for module Linear"):
        Linear(4, 6)(np.zeros((2, 4)))
