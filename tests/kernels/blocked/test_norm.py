"""Batch normalization on the blocked layout."""

from __future__ import annotations

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked.norm import FIELDS, normalize_f32
from keydnn.reference import f64
from tests.kernels.blocked.arena import NAN, NO_BOUNDS, NO_CONSTANTS, Arena, described, float32, random, written
from tests.within import assert_within, sum_bound


def normalize(x, numbers, *, threads=1, bounds=NO_BOUNDS, activation="", constants=NO_CONSTANTS):
    """``numbers``: means, factors and biases, (3, channels)."""
    arena = Arena()
    source, out = arena.add(x, halo=(1, 0, 2, 0)), arena.room(x.shape, gaps=(2, 3, 4))
    whole = np.full((3, source.blocks * LANES), NAN)
    whole[:, : x.shape[1]] = numbers
    batch, _, rows, width = x.shape
    places = source.fields("x") | out.fields("out")
    d = described(FIELDS, batch=batch, blocks=out.blocks, rows=rows, width=width, threads=threads, **places)
    return written(normalize_f32(activation), arena, out, d, *bounds, whole.reshape(-1), *constants)


@pytest.mark.parametrize("threads", [1, 2, 50])
@pytest.mark.parametrize("sizes", [(2, LANES + 3, 3, 5), (1, 1, 1, 1), (3, 2 * LANES, 1, 7)], ids=str)
def test_three_roundings_of_the_formula(sizes, threads):
    x, numbers = random(1, *sizes), random(2, 3, sizes[1])
    mean, factor, bias = (f64(row).reshape(-1, 1, 1) for row in numbers)
    wanted = (f64(x) - mean) * factor + bias
    bound = sum_bound(1, abs(f64(x) - mean) * abs(factor) + abs(bias))
    assert_within(normalize(x, numbers, threads=threads), wanted, bound)


def test_the_mean_is_taken_off_first():
    """Far from 0 the other way round, ``x * factor + (bias - mean * factor)``, would lose the difference."""
    x = np.float32(1e6) + np.arange(LANES, dtype=np.float32).reshape(1, LANES, 1, 1)
    numbers = np.stack([np.full(LANES, 1e6), np.full(LANES, 1e3), np.zeros(LANES)]).astype(np.float32)
    np.testing.assert_array_equal(normalize(x, numbers).ravel(), 1000 * np.arange(LANES))


def test_clamp_and_activation_come_last_and_nan_passes():
    x, numbers = random(1, 2, LANES + 3, 3, 5), random(2, 3, LANES + 3)
    x[0, 1, 2, 3] = np.nan
    plain = normalize(x, numbers)
    np.testing.assert_array_equal(normalize(x, numbers, bounds=float32(-0.5, 0.75)), np.clip(plain, -0.5, 0.75))
    found = normalize(x, numbers, activation="leaky_relu", constants=float32(2, 0, 0))
    np.testing.assert_array_equal(found, np.where(plain > 0, plain, 2 * plain))
    assert np.isnan(plain[0, 1, 2, 3])
    assert np.isnan(plain).sum() == 1
