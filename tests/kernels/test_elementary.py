"""Elementary functions in plain arithmetic: bounds in ulps over all of float32, special values, and vector code.

Bounds hold for every 997th float32, which is four million of them: all exponents, denormals among them.  The figure in
each docstring of ``_elementary.py`` is the bound here.
"""

from __future__ import annotations

import inspect
import math
import re

import numba
import numpy as np
import pytest

from jit_kernels import _elementary as elementary
from jit_kernels import activation
from jit_kernels._jit import OPTIONS, Kernel
from keydnn.reference import f64
from keydnn.reference.activation import sigmoid

NAN, INF = math.nan, math.inf

SINGLE = {"copysign", "fabs", "fmuladd", "sqrt"}  # instructions, which the rest of a loop has for single numbers


def loop(scalar):
    """Compile a loop over an array with the options of kernels, which must not reach the function."""

    @numba.njit("void(f4[::1], f4[::1])", **OPTIONS)
    def compute(x, out):
        for i in range(x.size):
            out[i] = scalar(x[i])

    def call(x):
        out = np.empty_like(x)
        compute(x, out)
        return out

    return call


def wide(function):
    """Make a function of float64 arrays of one of Python's float, which may refuse infinite results."""
    return lambda x: np.array([function(value) for value in x.tolist()])


def normal_product(x):
    with np.errstate(invalid="ignore"):
        return x / 2 * wide(math.erfc)(-x * math.sqrt(0.5))


# name: function in float64, least and largest number taken, ulps, values at NaN, inf, -inf, -0
CASES = {
    "exp": (np.exp, -INF, INF, 1.2, (NAN, INF, 0.0, 1.0)),
    "expm1": (np.expm1, -INF, INF, 2.0, (NAN, INF, -1.0, -0.0)),
    "tanh": (np.tanh, -INF, INF, 1.5, (NAN, 1.0, -1.0, -0.0)),
    "log1p_of_share": (np.log1p, 0.0, 1.0, 1.5, None),
    "normal_product": (normal_product, -INF, INF, 6.0, (NAN, INF, NAN, -0.0)),
    "exp_of_negative": (lambda x: np.exp(-x), -87.0, 87.0, 1.2, None),
    "expm1_of_minus_twice": (lambda x: np.expm1(-2 * x), 0.0, INF, 2.0, None),
    "short_tanh": (np.tanh, -INF, INF, 4.0, (NAN, 1.0, -1.0, -0.0)),
}


def sweep(least, largest):
    """Every 997th float32 from ``least`` to ``largest``."""
    x = np.arange(0, 2**32, 997, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        return np.ascontiguousarray(x[np.isfinite(x) & (x >= least) & (x <= largest)])


@pytest.mark.parametrize("name", CASES)
def test_errors_are_within_the_bound_over_the_whole_range(name):
    function, least, largest, ulps, _ = CASES[name]
    x = sweep(least, largest)
    found = loop(getattr(elementary, name))(x)
    with np.errstate(over="ignore", under="ignore"):
        wanted = function(x.astype(np.float64))
        rounded = wanted.astype(np.float32)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(rounded))
    finite = np.isfinite(rounded)
    ulp = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    errors = np.abs(found[finite] - wanted[finite]) / ulp
    worst = np.argmax(errors)
    assert errors[worst] <= ulps, f"{errors[worst]:.3f} ulps at {x[finite][worst]!r}"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[-1]])
def test_special_values(name):
    x = np.array([NAN, INF, -INF, -0.0] * 5, np.float32)  # vector code and the rest of the loop
    wanted = np.array(CASES[name][-1] * 5, np.float32)
    found = loop(getattr(elementary, name))(x)
    np.testing.assert_array_equal(found, wanted)
    number = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(wanted[number]))


def test_log1p_of_share_passes_nan():
    assert np.isnan(loop(elementary.log1p_of_share)(np.full(1, NAN, np.float32)))


@pytest.mark.parametrize("name", CASES)
def test_a_result_does_not_depend_on_its_place(name):
    """Vector code, its narrower end and the last numbers one by one."""
    compute = loop(getattr(elementary, name))
    x = np.ascontiguousarray(sweep(*CASES[name][1:3])[::29])
    whole = compute(x)
    for size in (1, 3, 7, 13, 29, 61):
        for start in range(0, 40_000, size):
            assert compute(x[start : start + size]).tobytes() == whole[start : start + size].tobytes()


def sigmoid_times_tanh(x, y):
    """Compute the product for arrays of pairs."""

    @numba.njit("void(f4[::1], f4[::1], f4[::1])", **OPTIONS)
    def compute(x, y, out):
        for i in range(x.size):
            out[i] = elementary.sigmoid_times_tanh(x[i], y[i])

    out = np.empty_like(x)
    compute(x, y, out)
    return out


@pytest.mark.parametrize("fixed", [0.0, 1e-30, 0.1, 0.3, 1.0, 3.0, -5.0, 50.0, -86.0])
@pytest.mark.parametrize("first", [True, False], ids=["sigmoid-of-it", "tanh-of-it"])
def test_a_product_of_sigmoid_and_tanh_is_within_5_ulps_over_the_whole_range_of_each(first, fixed):
    x = sweep(-INF if first else -100.0, INF)
    y = np.full_like(x, fixed)
    x, y = (y, x) if first else (x, y)
    wanted = sigmoid(x) * np.tanh(f64(y))
    tiny = np.finfo(np.float32).tiny  # below -88 sigmoid is that of -88
    error = np.abs(sigmoid_times_tanh(x, y) - wanted)
    assert np.all(error <= 5 * np.spacing(np.abs(wanted).astype(np.float32)).astype(np.float64) + tiny)


def test_special_values_of_a_product_of_sigmoid_and_tanh():
    x, y = np.array([(a, b) for a in (NAN, INF, -INF, 0.0) for b in (NAN, INF, -INF, -0.0)] * 3, np.float32).T.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        wanted = (1 / (1 + np.exp(-f64(x))) * np.tanh(f64(y))).astype(np.float32)
    np.testing.assert_allclose(sigmoid_times_tanh(x, y), wanted, rtol=0, atol=np.finfo(np.float32).tiny)


NAMES = [name.removesuffix("_f32") for name, value in vars(activation).items() if isinstance(value, Kernel)]


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_is_vector_code(name):
    """Without a call for single numbers, and with whole vectors written."""
    scalar = getattr(activation, name)
    slopes = len(inspect.signature(scalar.py_func).parameters) == 3  # of x, a number of each channel, and it again

    if slopes:

        def body(x, a, b, c, out):
            for i in range(x.size):
                out[i] = scalar(x[i], a, b)
    else:

        def body(x, a, b, c, out):
            for i in range(x.size):
                out[i] = scalar(x[i], a, b, c)

    compute = numba.njit("void(f4[::1], f4, f4, f4, f4[::1])", no_cpython_wrapper=True, **OPTIONS)(body)
    (code,) = compute.inspect_llvm().values()
    assert re.search(r"store <\d+ x float>", code)
    assert set(re.findall(r"call .*?(?:float|double) @([\w.]+)\(", code)) <= {f"llvm.{name}.f32" for name in SINGLE}
