"""Elementwise activations against the float64 oracle, and against Keras' special values."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import reference
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import (
    CELU,
    ELU,
    GELU,
    SELU,
    Exponential,
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    SoftShrink,
    Softsign,
    SparsePlus,
    SparseSigmoid,
    Squareplus,
    Tanh,
    TanhShrink,
    Threshold,
)
from keydnn.reference import f64
from keydnn.reference.activation import elu, gelu, gelu_tanh, sigmoid, softplus
from tests import within
from tests.properties import assert_any_thread_count, assert_broadcast, assert_permuted
from tests.within import assert_within, overflow

NAN, INF = math.nan, math.inf


def f32(value):
    """Give a parameter as the kernels hold it."""
    return float(np.float32(value))


def relu(*options):
    return lambda x: reference.activation.relu(x, *map(f32, options))


# How far a result may be from the oracle's, in ulps: the roundings of the formula (tests/within.py, ulps), where an
# error made before a function counts by the function's condition number.  One call of exp, expm1, log1p or tanh counts
# CALL: 2 ulps, the largest bound of tests/kernels/test_elementary.py.
CALL = 2

# id: module, oracle, ulps (a number, or a function of x), absolute error of a cancellation (likewise, or 0),
# and Keras 3.15's values (TensorFlow, CPU) for NaN, +inf, -inf.
CASES = {
    "identity": (Identity(), f64, 0, 0, (NAN, INF, -INF)),
    "relu": (ReLU(), relu(INF, 0, 0), 0, 0, (NAN, INF, 0)),
    "relu-max": (ReLU(2.5), relu(2.5, 0, 0), 0, 0, (NAN, 2.5, 0)),
    "relu-max-0": (ReLU(0.0), relu(0, 0, 0), 0, 0, (NAN, 0, 0)),
    "relu-slope": (ReLU(None, 0.1), relu(INF, 0.1, 0), 1, 0, (NAN, INF, -INF)),
    "relu-threshold": (ReLU(None, 0.0, 1.1), relu(INF, 0, 1.1), 0, 0, (0, INF, 0)),
    # x - threshold, and a product
    "relu-slope-threshold": (ReLU(None, 0.1, 1.1), relu(INF, 0.1, 1.1), 2, 0, (NAN, INF, -INF)),
    "relu-all": (ReLU(2.5, 0.1, 1.1), relu(2.5, 0.1, 1.1), 2, 0, (NAN, 2.5, -INF)),
    "relu-threshold-above-max": (ReLU(2.5, 0.1, 3.1), relu(2.5, 0.1, 3.1), 2, 0, (NAN, 2.5, -INF)),
    "leaky-relu": (LeakyReLU(0.3), relu(INF, 0.3, 0), 1, 0, (NAN, INF, -INF)),
    "hard-tanh": (HardTanh(), lambda x: np.clip(f64(x), -1, 1), 0, 0, (NAN, 1, -1)),
    # slope * x and the sum are each off by 2**-24 of at most 2 * top, then one division
    "hard-sigmoid": (HardSigmoid(), lambda x: np.clip(f64(x) + 3, 0, 6) / 6, 1, 2**-22, (NAN, 1, 0)),
    "hard-sigmoid-keras-2": (
        HardSigmoid(0.2, 0.5, 1.0),
        lambda x: np.clip(f32(0.2) * f64(x) + 0.5, 0, 1),
        1,
        2**-22,
        (NAN, 1, 0),
    ),
    "hard-silu": (
        HardSiLU(),
        lambda x: f64(x) * (np.clip(f64(x) + 3, 0, 6) / 6),
        2,
        lambda x: 2**-22 * np.minimum(abs(x), 3),
        (NAN, INF, NAN),
    ),
    "threshold": (
        Threshold(0.3, -2.0),
        lambda x: np.where(f64(x) > f32(0.3), f64(x), -2),
        0,
        0,
        (-2, INF, -2),
    ),
    "hard-shrink": (HardShrink(), lambda x: np.where(abs(f64(x)) > 0.5, x, 0), 0, 0, (0, INF, -INF)),
    "soft-shrink": (
        SoftShrink(0.3),
        lambda x: np.where(abs(f64(x)) > f32(0.3), f64(x) - np.copysign(f32(0.3), x), 0),
        1,
        0,
        (0, INF, -INF),
    ),
    # x + 1, its square, exact quarters
    "sparse-plus": (
        SparsePlus(),
        lambda x: np.where(f64(x) >= 1, x, np.square(np.clip(f64(x), -1, 1) + 1) / 4),
        3,
        0,
        (NAN, INF, 0),
    ),
    "sparse-sigmoid": (SparseSigmoid(), lambda x: (np.clip(f64(x), -1, 1) + 1) / 2, 1, 0, (NAN, 1, 0)),
    "softsign": (Softsign(), lambda x: f64(x) / (1 + abs(f64(x))), 2, 0, (NAN, NAN, NAN)),
    # x**2, the sum and the root are off by 2 * 2**-24 of the root, then a sum; all halved
    "squareplus": (
        Squareplus(),
        lambda x: (f64(x) + np.sqrt(f64(x) ** 2 + 4)) / 2,
        1,
        lambda x: 2**-23 * (abs(x) + 2),
        (NAN, INF, NAN),
    ),
    "exponential": (Exponential(), lambda x: np.exp(f64(x)), CALL, 0, (NAN, INF, 0)),
    "sigmoid": (Sigmoid(), sigmoid, CALL + 2, 0, (NAN, 1, 0)),
    "silu": (SiLU(), lambda x: f64(x) * sigmoid(x), CALL + 3, 0, (NAN, INF, NAN)),
    "softplus": (Softplus(), softplus, 2 * CALL + 1, 0, (NAN, INF, 0)),
    "log-sigmoid": (LogSigmoid(), lambda x: -softplus(-f64(x)), 2 * CALL + 1, 0, (NAN, 0, -INF)),
    "mish": (Mish(), lambda x: f64(x) * np.tanh(softplus(x)), 3 * CALL + 2, 0, (NAN, INF, NAN)),
    "elu": (ELU(), lambda x: elu(x, 1.0), CALL + 1, 0, (NAN, INF, -1)),
    "elu-alpha": (ELU(0.3), lambda x: elu(x, f32(0.3)), CALL + 1, 0, (NAN, INF, -f32(0.3))),
    # the division, the function, the product, the sum
    "celu": (
        CELU(0.3),
        lambda x: elu(x, 0) + f32(0.3) * np.expm1(np.minimum(f64(x), 0) / f32(0.3)),
        CALL + 3,
        0,
        (NAN, INF, -f32(0.3)),
    ),
    # two products and two constants
    "selu": (
        SELU(),
        lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
        CALL + 4,
        0,
        (NAN, INF, -1.7580993),
    ),
    "tanh": (Tanh(), lambda x: np.tanh(f64(x)), CALL, 0, (NAN, 1, -1)),
    "tanh-shrink": (
        TanhShrink(),
        lambda x: f64(x) - np.tanh(f64(x)),
        1,
        lambda x: CALL * 2**-24 * abs(np.tanh(f64(x))),
        (NAN, INF, -INF),
    ),
    # the bound of tests/kernels/test_elementary.py
    "gelu": (GELU(), gelu, 6, 0, (NAN, INF, NAN)),
    # y has 7 roundings; the condition number of sigmoid(2 y) is below 1 for positive y, and |2 y| for negative
    "gelu-tanh": (
        GELU("tanh"),
        gelu_tanh,
        lambda x: CALL + 3 + 7 * np.where(x < 0, 1.6 * (abs(x) + 0.045 * abs(x) ** 3), 1),
        0,
        (NAN, INF, NAN),
    ),
}
ALL = [pytest.param(*case[:4], id=name) for name, case in CASES.items()]
MODULES = [pytest.param(case[0], id=name) for name, case in CASES.items()]
BY_NAME = st.sampled_from(sorted(CASES))


def everywhere():
    """Dense around 0, both sides of every exponential's range, every magnitude whose square float32 holds."""
    magnitudes = 10.0 ** np.random.default_rng(1).uniform(-37, 18, 3000)
    edges = [0.0, 0.3, 0.5, 1, 1.1, 2.5, 3, 3.1, 6, 20, 87, 88, 88.7, 88.8, 89, 100, 103.9, 104, 105, 1e-40, 1e-45]
    positive = np.concatenate([edges, magnitudes]).astype(np.float32)
    lines = [np.linspace(-110, 110, 5001), np.linspace(-4, 4, 5001)]
    return np.concatenate([positive, -positive, *lines]).astype(np.float32)


def bound(x, wanted, ulps, cancelled):
    """Bound from the table; where an intermediate is denormal, its last digit (2**-149) is multiplied by up to |x|."""
    x = f64(x)
    ulps, cancelled = (value(x) if callable(value) else value for value in (ulps, cancelled))
    denormal = 2.0**-148 * np.maximum(1, abs(x)) if np.any(ulps) else 0
    return within.ulps(ulps, wanted) + cancelled + denormal


@pytest.mark.parametrize(("module", "oracle", "ulps", "cancelled"), ALL)
def test_activations_agree_with_the_oracle(module, oracle, ulps, cancelled):
    x = everywhere()
    with np.errstate(over="ignore", under="ignore"):
        wanted = overflow(oracle(x))
        limit = bound(x, wanted, ulps, cancelled)
    found = module(x)
    assert found.dtype == np.float32
    assert_within(found, wanted, limit)


@pytest.mark.parametrize(("module", "wanted"), [pytest.param(case[0], case[4], id=n) for n, case in CASES.items()])
def test_special_values_are_those_of_keras(module, wanted):
    found = module(np.array([NAN, INF, -INF]))
    np.testing.assert_allclose(found, wanted, rtol=2**-23)


def test_zero_keeps_its_sign_where_the_definition_keeps_it():
    for module in (Identity(), LeakyReLU(), ELU(), SELU(), GELU(), SiLU(), Softsign(), Tanh(), HardTanh(), Mish()):
        np.testing.assert_array_equal(np.signbit(module(np.array([0.0, -0.0]))), [False, True], err_msg=str(module))


def test_squareplus_overflows_where_keras_does():
    np.testing.assert_array_equal(Squareplus()(np.array([1e20, -1e20])), [np.inf, np.inf])


def test_hard_sigmoid_rounds_as_both_keras_versions_do():
    x = np.linspace(-4, 4, 20001, dtype=np.float32)  # NumPy rounds each operation once, as TensorFlow does
    keras3 = np.clip(x + np.float32(3), 0, 6) / np.float32(6)
    keras2 = np.clip(x * np.float32(0.2) + np.float32(0.5), 0, 1)
    np.testing.assert_array_equal(HardSigmoid()(x), keras3)
    np.testing.assert_array_equal(HardSigmoid(0.2, 0.5, 1.0)(x), keras2)


@settings(max_examples=100, deadline=None)
@given(BY_NAME, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4), st.data())
def test_any_shape_is_taken_element_by_element(name, shape, data):
    module = CASES[name][0]
    x = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(width=32)))
    found = module(x)
    assert found.shape == shape == module.output_shape(shape)
    one_by_one = np.array([module(np.array([value]))[0] for value in x.ravel()], np.float32).reshape(shape)
    np.testing.assert_array_equal(found, one_by_one)


@settings(max_examples=40, deadline=None)
@given(BY_NAME, st.permutations([1, 2, 3]))
def test_permuted_is_the_module_itself(name, axes):
    x = np.random.default_rng(2).standard_normal((2, 3, 4, 5)).astype(np.float32)
    assert_permuted(CASES[name][0], (0, *axes), x)


@pytest.mark.parametrize("module", MODULES)
def test_any_thread_count_gives_the_same_bits(module):
    assert_any_thread_count(module, np.random.default_rng(3).standard_normal(30001).astype(np.float32))


def test_prelu_agrees_with_the_oracle():
    # one product
    assert_broadcast(
        PReLU, lambda x, weight: np.where(x > 0, x, weight * x), lambda wanted, x, weight: 2**-24 * abs(wanted)
    )


def test_prelu_has_keras_special_values():
    module = PReLU((3,), weight=[0.5, -0.5, 0])
    found = module(np.array([[NAN, NAN, NAN], [INF, INF, INF], [-INF, -INF, -INF]]))
    np.testing.assert_array_equal(found, [[NAN] * 3, [INF] * 3, [-INF, INF, NAN]])


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), (3,)])
def test_prelu_refuses_inputs_of_other_shapes(shape):
    with pytest.raises(ShapeError, match=r"takes an input \(N, 3\), got"):
        PReLU((3,), weight=[1, 2, 3])(np.zeros(shape))


@pytest.mark.parametrize("module", [pytest.param(ReLU(), id="kernel"), pytest.param(Identity(), id="copy")])
def test_read_only_inputs_are_taken_and_left_alone(module):
    x = np.full(3, 2, np.float32)
    x.flags.writeable = False
    found = module(x)
    np.testing.assert_array_equal(found, [2, 2, 2])
    assert not np.shares_memory(found, x)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: ReLU(-1.0), "max_value", id="relu-negative-maximum"),
        pytest.param(lambda: ReLU(None, -0.1), "negative_slope", id="relu-negative-slope"),
        pytest.param(lambda: ReLU(threshold=-1.0), "threshold", id="relu-negative-threshold"),
        pytest.param(lambda: ReLU(NAN), "max_value", id="relu-nan"),
        pytest.param(lambda: LeakyReLU("0.1"), "negative_slope", id="text"),
        pytest.param(lambda: LeakyReLU(True), "negative_slope", id="bool"),
        pytest.param(lambda: ELU(INF), "alpha", id="infinite-alpha"),
        pytest.param(lambda: CELU(0.0), "alpha", id="celu-alpha-0"),
        pytest.param(lambda: CELU(1e-60), "alpha", id="celu-alpha-0-in-float32"),
        pytest.param(lambda: GELU(True), "approximate", id="gelu-bool"),
        pytest.param(lambda: HardSigmoid(1, 3, 0), "top", id="hard-sigmoid-top-0"),
        pytest.param(lambda: HardTanh(1, -1), "min_val", id="hard-tanh-crossed"),
        pytest.param(lambda: HardShrink(-0.5), "lambd", id="hard-shrink-negative"),
        pytest.param(lambda: SoftShrink(-0.5), "lambd", id="soft-shrink-negative"),
        pytest.param(lambda: Threshold(0.0, None), "value", id="threshold-no-value"),
        pytest.param(lambda: Squareplus(-1.0), "b", id="squareplus-negative"),
        pytest.param(lambda: PReLU(3), "shape", id="prelu-number-for-shape"),
        pytest.param(lambda: PReLU((3, 0)), "shape", id="prelu-empty-axis"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()
