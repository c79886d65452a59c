"""The intrinsics that kernels are written on, each alone: products, copies and the last step of a row."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from jit_kernels._simd import (
    LANES,
    MR,
    NR,
    copy_row_f32,
    copy_run_f32,
    finish_row_f32,
    gemm_micro_f32,
    split_by_2_f32,
    split_by_4_f32,
    zero_run_f32,
)
from tests import naive

SENTINEL = np.float32(-12345.5)
GUARD = NR + 3


@numba.njit
def gemm(a, a_start, b, b_start, k, tile, tile_start):
    gemm_micro_f32(a, a_start, b, b_start, k, tile, tile_start)


@numba.njit
def copy_row(source, start, target, place):
    copy_row_f32(source, start, target, place)


@numba.njit
def copy_run(source, start, target, place, run):
    copy_run_f32(source, start, target, place, run)


@numba.njit
def zero_run(target, place, run):
    zero_run_f32(target, place, run)


@numba.njit
def split_by_2(source, start, target, place, step, count):
    split_by_2_f32(source, start, target, place, step, count)


@numba.njit
def split_by_4(source, start, target, place, step, count):
    split_by_4_f32(source, start, target, place, step, count)


@numba.njit
def finish_row(tile, place, run, bias, low, high, added, out, start):
    finish_row_f32(tile, place, run, np.float32(bias), np.float32(low), np.float32(high), added, out, start)


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product(a, b, a_start=0, b_start=0):
    """Multiply panels (k, MR) and (k, NR) that stand somewhere inside larger arrays, and check that nothing is past."""
    around_a = np.full(a_start + a.size + GUARD, np.nan, "f4")
    around_b = np.full(b_start + b.size + GUARD, np.nan, "f4")
    around_a[a_start : a_start + a.size], around_b[b_start : b_start + b.size] = a.ravel(), b.ravel()
    tile = np.full(MR * NR + 2 * GUARD, SENTINEL)
    gemm(around_a, a_start, around_b, b_start, len(a), tile, GUARD)
    assert (tile[:GUARD] == SENTINEL).all()
    assert (tile[GUARD + MR * NR :] == SENTINEL).all()
    return tile[GUARD : GUARD + MR * NR].reshape(MR, NR)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 17, 576, 5000])
@pytest.mark.parametrize(("a_start", "b_start"), [(0, 0), (MR * 5, NR), (1, 7)], ids=["first", "panel", "unaligned"])
def test_gemm_micro_is_a_product_within_the_bound_of_its_sum(k, a_start, b_start):
    a, b = random(1, k, MR), random(2, k, NR)
    wanted, magnitude = naive.f64(a).T @ naive.f64(b), naive.f64(abs(a)).T @ naive.f64(abs(b))
    naive.assert_within(product(a, b, a_start, b_start), wanted, naive.sum_bound(k, magnitude))


def test_gemm_micro_writes_every_number_of_its_own_row_and_column():
    a, b = np.arange(1, MR + 1, dtype="f4").reshape(1, MR), np.arange(1, NR + 1, dtype="f4").reshape(1, NR)
    np.testing.assert_array_equal(product(a, b), a.T @ b)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("k", [1, 2, 9])
def test_gemm_micro_passes_special_values_on_to_their_row_or_column_only(value, k):
    a, b = np.ones((k, MR), "f4"), np.ones((k, NR), "f4")
    a[k - 1, MR - 1], b[0, NR - 1] = value, value
    wanted = np.full((MR, NR), float(k))
    wanted[MR - 1], wanted[:, NR - 1] = value, value
    wanted[MR - 1, NR - 1] = value * value if k == 1 else value
    np.testing.assert_array_equal(product(a, b), wanted)


def test_gemm_micro_does_not_hide_infinity_times_zero():
    a, b = np.zeros((1, MR), "f4"), np.full((1, NR), np.inf, "f4")
    assert np.isnan(product(a, b)).all()


@pytest.mark.parametrize("start", [0, 1, NR])
@pytest.mark.parametrize("place", [0, 3, NR])
def test_copy_row_copies_as_many_numbers_as_a_vector_row_has(start, place):
    source = random(3, start + NR + GUARD)
    source[start + 1] = np.nan
    target = np.full(place + NR + GUARD, SENTINEL)
    copy_row(source, start, target, place)
    wanted = np.full_like(target, SENTINEL)
    wanted[place : place + NR] = source[start : start + NR]
    np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("run", range(NR + 1))
def test_runs_are_copied_and_zeroed_and_nothing_else_is_touched(run):
    for start, place in ((0, 0), (1, 3), (NR, 2 * NR + 1)):
        source, target = random(6, start + run), np.full(place + NR + GUARD, SENTINEL)  # the source ends with the run
        wanted = target.copy()
        wanted[place : place + run] = source[start:]
        copy_run(source, start, target, place, run)
        np.testing.assert_array_equal(target, wanted)
        wanted[place : place + run] = 0
        zero_run(target, place, run)
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize(("split", "stride"), [(split_by_2, 2), (split_by_4, 4)], ids=["by-2", "by-4"])
@pytest.mark.parametrize("count", range(1, LANES + 1))
def test_rows_are_split_by_phase_and_nothing_else_is_touched(split, stride, count):
    for start, place, step in ((0, 0, LANES), (3, 5, LANES + 7), (1, 2, count)):
        source, target = random(7, start + stride * LANES), np.full(place + stride * step + GUARD, SENTINEL)
        wanted = target.copy()
        for phase in range(stride):
            first = place + phase * step
            wanted[first : first + count] = source[start + phase :: stride][:count]
        split(source, start, target, place, step, count)
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize("run", range(1, NR + 1))
def test_finish_row_writes_its_run_and_nothing_else(run, residual):
    for place, start in ((0, 0), (3, GUARD), (NR, 2 * GUARD + 1)):
        tile, bias = random(4, place + NR), np.float32(0.625)
        out = np.full(start + run + GUARD, SENTINEL)
        # what must not be read would show: it is NaN
        added = np.full(len(out) if residual else 0, np.nan, "f4")
        added[start : start + run] = random(5, run) if residual else 0
        finish_row(tile, place, run, bias, -0.75, 1.25, added, out, start)
        total = tile[place : place + run] + bias
        total = total + added[start : start + run] if residual else total
        wanted = np.full_like(out, SENTINEL)
        wanted[start : start + run] = np.clip(total, np.float32(-0.75), np.float32(1.25))
        np.testing.assert_array_equal(out, wanted, err_msg=f"place {place}, start {start}")


def test_finish_row_clamps_infinities_and_lets_nan_pass():
    tile = np.zeros(NR, "f4")
    tile[:4] = np.nan, np.inf, -np.inf, -0.5
    out = np.empty(4, "f4")
    finish_row(tile, 0, 4, 0, 0, 6, np.empty(0, "f4"), out, 0)
    np.testing.assert_array_equal(out, [np.nan, 6, 0, 0])
    finish_row(tile, 0, 4, 0, -np.inf, np.inf, np.empty(0, "f4"), out, 0)
    np.testing.assert_array_equal(out, tile[:4])


@pytest.mark.parametrize("source", ["bias", "residual"])
def test_finish_row_lets_nan_of_bias_and_residual_pass(source):
    out = np.zeros(NR, "f4")
    nan, zeros = np.full(NR, np.nan, "f4"), np.zeros(NR, "f4")
    finish_row(zeros, 0, NR, np.nan if source == "bias" else 0, 0, 6, nan if source == "residual" else zeros, out, 0)
    assert np.isnan(out).all()
