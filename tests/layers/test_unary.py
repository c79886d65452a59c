"""Unary and FullLike against float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jit_kernels.unary import KERNELS
from keydnn.errors import ParameterError
from keydnn.modules import FullLike, Unary
from tests.properties import assert_any_thread_count, assert_permuted

F32 = np.float32
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], F32)
NAN, INF = np.nan, np.inf
# function in float64, numbers it takes, ulps, results for NaN, inf, -inf, -0 and 0.  The C library's functions are
# within one ulp (glibc's manual, "Errors in Math Functions"), its hyperbolic ones within two.
CASES = {
    "abs": (np.abs, (-50, 50), 0, (NAN, INF, INF, 0, 0)),
    "neg": (np.negative, (-50, 50), 0, (NAN, -INF, INF, 0, -0.0)),
    "sign": (np.sign, (-50, 50), 0, (NAN, 1, -1, 0, 0)),
    "square": (np.square, (-50, 50), 0.5, (NAN, INF, INF, 0, 0)),
    "sqrt": (np.sqrt, (0, 50), 0.5, (NAN, INF, NAN, -0.0, 0)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), (0.01, 50), 1.5, (NAN, 0, NAN, -INF, INF)),
    "reciprocal": (lambda x: 1 / x, (0.01, 50), 0.5, (NAN, 0, -0.0, -INF, INF)),
    "expm1": (np.expm1, (-20, 20), 2, (NAN, INF, -1, -0.0, 0)),
    "log": (np.log, (0.001, 50), 1, (NAN, INF, NAN, -INF, -INF)),
    "log1p": (np.log1p, (-0.99, 50), 1, (NAN, INF, NAN, -0.0, 0)),
    "sin": (np.sin, (-50, 50), 1, (NAN, NAN, NAN, -0.0, 0)),
    "cos": (np.cos, (-50, 50), 1, (NAN, NAN, NAN, 1, 1)),
    "tan": (np.tan, (-50, 50), 1, (NAN, NAN, NAN, -0.0, 0)),
    "asin": (np.arcsin, (-1, 1), 1, (NAN, NAN, NAN, -0.0, 0)),
    "acos": (np.arccos, (-1, 1), 1, (NAN, NAN, NAN, np.pi / 2, np.pi / 2)),
    "atan": (np.arctan, (-50, 50), 1, (NAN, np.pi / 2, -np.pi / 2, -0.0, 0)),
    "sinh": (np.sinh, (-20, 20), 2, (NAN, INF, -INF, -0.0, 0)),
    "cosh": (np.cosh, (-20, 20), 2, (NAN, INF, INF, 1, 1)),
    "asinh": (np.arcsinh, (-50, 50), 2, (NAN, INF, -INF, -0.0, 0)),
    "acosh": (np.arccosh, (1, 50), 2, (NAN, INF, NAN, NAN, NAN)),
    "atanh": (np.arctanh, (-0.99, 0.99), 2, (NAN, NAN, NAN, -0.0, 0)),
    "erf": (np.vectorize(math.erf), (-4, 4), 1, (NAN, 1, -1, -0.0, 0)),
    "floor": (np.floor, (-50, 50), 0, (NAN, INF, -INF, -0.0, 0)),
    "ceil": (np.ceil, (-50, 50), 0, (NAN, INF, -INF, -0.0, 0)),
    "trunc": (np.trunc, (-50, 50), 0, (NAN, INF, -INF, -0.0, 0)),
    "round": (np.rint, (-50, 50), 0, (NAN, INF, -INF, -0.0, 0)),
    "isnan": (np.isnan, (-50, 50), 0, (1, 0, 0, 0, 0)),
    "isinf": (np.isinf, (-50, 50), 0, (0, 1, 1, 0, 0)),
    "isfinite": (np.isfinite, (-50, 50), 0, (0, 0, 0, 1, 1)),
    "logical_not": (np.logical_not, (-50, 50), 0, (0, 0, 0, 1, 1)),
}


def test_every_function_is_covered():
    assert CASES.keys() == KERNELS.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_float64(name):
    function, (low, high), ulps, _ = CASES[name]
    x = np.random.default_rng(0).uniform(low, high, (3, 1001)).astype(F32)
    exact = function(x.astype(np.float64)).astype(np.float64)
    found = Unary(name)(x)
    assert found.shape == x.shape
    assert (abs(found - exact) <= ulps * np.spacing(abs(exact).astype(F32))).all()


@pytest.mark.parametrize("name", CASES)
def test_special_values(name):
    wanted = np.array(CASES[name][-1], F32)
    np.testing.assert_array_equal(Unary(name)(np.tile(SPECIAL, 5)), np.tile(wanted, 5))


def test_halves_are_rounded_to_even_numbers_and_large_numbers_stay():
    np.testing.assert_array_equal(Unary("round")([0.5, 1.5, 2.5, -0.5, -1.5]), [0, 2, 2, 0, -2])
    large = np.array([3e38, -(2.0**24) - 2, 2.0**31], F32)
    for name in ("floor", "ceil", "trunc", "round"):
        np.testing.assert_array_equal(Unary(name)(large), large)


def test_full_like_does_not_look_at_its_input():
    np.testing.assert_array_equal(FullLike(2.5)(SPECIAL), [2.5] * 5)
    assert FullLike(0).output_shape((None, 3, None)) == (None, 3, None)


def test_permuted_functions_are_themselves():
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    assert_permuted(Unary("sin"), (0, 2, 1), x)
    assert_permuted(FullLike(1.0), (0, 2, 1), x)


@pytest.mark.parametrize("name", ["log", "sin", "rsqrt", "round"])
def test_any_thread_count_gives_the_same_bits(name):
    assert_any_thread_count(Unary(name), np.random.default_rng(2).uniform(0.1, 9, 10007))


def test_bad_parameters_are_refused_by_name():
    with pytest.raises(ParameterError, match="function"):
        Unary("exp")
    with pytest.raises(ParameterError, match="value"):
        FullLike(np.nan)
