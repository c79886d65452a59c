"""The vectorised exponential: within 2 ulps of float64 over the whole range, special values as in C."""

from __future__ import annotations

import numpy as np

from jit_kernels.activation import exponential_f32


def exp(x):
    out = np.empty_like(x)
    zero = np.float32(0)
    exponential_f32(x, zero, zero, zero, out)
    return out


def test_exp_is_within_2_ulps_over_the_whole_range():
    """Every 1,009th float32, which is four million of them."""
    x = np.arange(0, 2**32, 1009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.ascontiguousarray(x[np.isfinite(x)])
    with np.errstate(over="ignore", under="ignore"):
        wanted = np.exp(x.astype(np.float64))
        rounded = wanted.astype(np.float32)
    found = exp(x)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(rounded))
    finite = np.isfinite(rounded)
    ulp = np.spacing(rounded[finite]).astype(np.float64)
    assert np.max(np.abs(found[finite] - wanted[finite]) / ulp) <= 2


def test_special_values():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -200.0, 200.0], np.float32)
    np.testing.assert_array_equal(exp(x), np.array([np.nan, np.inf, 0, 1, 1, 0, np.inf], np.float32))
