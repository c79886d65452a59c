"""Reductions: exact up to float64's rounding for any size, and the same bits wherever the array lies."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from jit_kernels import _reduce as reduce
from jit_kernels._jit import OPTIONS

SIZES = [0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 100, 1000]


@numba.njit("f4(f4[::1])", **OPTIONS)
def largest(values):
    return reduce.largest(values)


@numba.njit("f8(f4[::1])", **OPTIONS)
def total(values):
    return reduce.total(values)


@numba.njit("f8(f4[::1], f8)", **OPTIONS)
def total_of_squares(values, centre):
    return reduce.total_of_squares(values, centre)


def numbers(size, start=0):
    """Give an array that begins ``start`` numbers behind the start of its memory."""
    whole = np.random.default_rng(size).standard_normal(size + 64).astype(np.float32)
    return np.concatenate([np.zeros(start, np.float32), whole[:size]])[start:]


@pytest.mark.parametrize("size", SIZES)
def test_sums_are_within_the_bound_of_float64(size):
    x = numbers(size)
    terms = x.astype(np.float64).tolist()
    gamma = max(size, 1) * 2.0**-53
    assert abs(total(x) - math.fsum(terms)) <= 2 * gamma * math.fsum(map(abs, terms))
    squares = [(term - 0.25) ** 2 for term in terms]
    assert abs(total_of_squares(x, 0.25) - math.fsum(squares)) <= 4 * gamma * math.fsum(squares)


@pytest.mark.parametrize("size", SIZES[1:])
def test_the_largest_is_found_at_every_place(size):
    for place in range(size):
        x = -np.abs(numbers(size)) - np.float32(1)
        x[place] = -0.5
        assert largest(x) == -0.5


def test_the_largest_passes_nan_over():
    x = np.full(70, np.nan, np.float32)
    assert largest(x) == largest(x[:0]) == -np.inf
    x[[3, 69]] = 2, 1
    assert largest(x) == 2


def test_nan_and_infinity_reach_the_sum():
    for place in (0, 20, 69):
        x = np.ones(70, np.float32)
        x[place] = np.nan
        assert math.isnan(total(x))
        assert math.isnan(total_of_squares(x, 1.0))
        x[place] = np.inf
        assert total(x) == np.inf


@pytest.mark.parametrize("size", SIZES)
def test_a_sum_does_not_depend_on_where_the_array_lies(size):
    assert len({total(numbers(size, start)) for start in range(17)}) == 1
    assert len({total_of_squares(numbers(size, start), 0.5) for start in range(17)}) == 1
