"""The micro-kernel: every tile, every number of pixels and blocks, sums in one part and in several."""

from __future__ import annotations

import functools
import itertools

import numba
import numpy as np
import pytest

from jit_kernels._simd import LANES, REGISTERS
from jit_kernels.blocked.tile import conv_tile_f32, tile_cycles, tile_shapes
from keydnn.reference import f64
from tests.kernels.blocked.arena import NAN, NO_BOUNDS, SENTINEL, float32, random
from tests.within import assert_within, sum_bound

SHAPES = pytest.mark.parametrize(("mr", "nv"), tile_shapes(), ids=str)
TAPS = np.array([[7, 5], [-40, LANES], [300, 1]])  # where each reads, relative to the pixel, and how many numbers
K = int(TAPS[:, 1].sum())
MIDDLE = 2000
OUT, OUT_BLOCK, ADDED, ADDED_BLOCK = 4000, 40 * LANES, 12000, 37 * LANES
SIZE = 20000


@functools.cache
def tile(mr, nv, step):
    conv_tile = conv_tile_f32(mr, nv, step)

    @numba.njit
    def run(arena, taps, first, last, weight, panel, out_step, count, blocks, begin, end, added, low, high):
        conv_tile(
            arena, MIDDLE, taps, first, last, weight, panel, OUT, OUT_BLOCK, out_step, count, blocks, begin, end,
            0, added, ADDED_BLOCK, low, high,
        )  # fmt: skip

    return run


class Sum:
    """Numbers for a tile: only those that ``count`` pixels and ``blocks`` blocks need are there, the others are NaN."""

    def __init__(self, mr, nv, step, count, blocks, residual):
        self.mr, self.nv, self.step, self.count, self.blocks, self.residual = mr, nv, step, count, blocks, residual
        self.arena = np.full(SIZE, NAN)
        self.arena[OUT - 500 : OUT + 8 * OUT_BLOCK] = SENTINEL
        x = np.empty((count, K), np.float32)
        places = np.concatenate([np.arange(start, start + size) for start, size in TAPS])
        numbers = random(1, SIZE)
        for pixel in range(count):
            here = MIDDLE + pixel * step + places
            self.arena[here] = x[pixel] = numbers[here]
        self.weight = np.full((1 + K, nv, LANES), NAN)  # the bias, then the panel
        self.weight[:, :blocks] = random(2, 1 + K, blocks, LANES)
        self.added = random(3, count, blocks, LANES) if residual else np.zeros((count, blocks, LANES), np.float32)
        if residual:
            self.arena[cells(ADDED, ADDED_BLOCK, LANES, count, blocks)] = self.added
        bias, weight = f64(self.weight[0, :blocks]), f64(self.weight[1:, :blocks])
        self.wanted = np.einsum("pk,kbl->pbl", f64(x), weight) + bias + self.added
        sizes = np.einsum("pk,kbl->pbl", abs(f64(x)), abs(weight)) + abs(bias) + abs(self.added)
        self.bound = sum_bound(K + 1, sizes)

    def run(self, out_step=LANES, parts=(0, 3), bounds=NO_BOUNDS):
        """Sum the taps in parts, and give what is written; assert that nothing else is."""
        arena, out = self.arena.copy(), cells(OUT, OUT_BLOCK, out_step, self.count, self.blocks)
        flat, k = self.weight.reshape(-1), 0
        for first, last in itertools.pairwise(parts):
            tile(self.mr, self.nv, self.step)(
                arena, TAPS.reshape(-1), first, last, flat, (1 + k) * self.nv * LANES, out_step, self.count,
                self.blocks, int(first == 0), int(last == 3), ADDED if self.residual else -1, *bounds,
            )  # fmt: skip
            k += int(TAPS[first:last, 1].sum())
        found = arena[out]
        arena[out] = self.arena[out]
        np.testing.assert_array_equal(arena, self.arena)
        return found


def cells(start, block_size, step, count, blocks):
    """Give the places of (pixel, block, lane)."""
    return start + np.arange(count)[:, None, None] * step + np.arange(blocks)[:, None] * block_size + np.arange(LANES)


@SHAPES
def test_any_number_of_pixels_and_blocks_is_within_the_bound_of_its_sum(mr, nv):
    for count in range(1, mr + 1):
        for blocks in range(1, nv + 1):
            for residual in (False, True):
                case = Sum(mr, nv, LANES, count, blocks, residual)
                whole = case.run()
                assert_within(whole, case.wanted, case.bound)
                for parts in ((0, 1, 3), (0, 2, 3), (0, 1, 2, 3)):
                    np.testing.assert_array_equal(case.run(parts=parts), whole, err_msg=f"parts {parts}")


@SHAPES
def test_the_result_is_clamped_once_the_sum_is_there(mr, nv):
    case, bounds = Sum(mr, nv, LANES, mr, nv, True), float32(-0.75, 1.25)
    wanted = np.clip(case.run(), *bounds)
    for parts in ((0, 3), (0, 2, 3)):
        np.testing.assert_array_equal(case.run(parts=parts, bounds=bounds), wanted)


@pytest.mark.parametrize("step", [1, 3, 2 * LANES])
def test_pixels_may_stand_at_any_distance_in_the_input(step):
    mr, nv = tile_shapes()[0]
    for count in (1, mr - 1, mr):
        case = Sum(mr, nv, step, count, nv, False)
        assert_within(case.run(), case.wanted, case.bound)


def test_pixels_may_stand_at_any_distance_in_the_output():
    mr, nv = tile_shapes()[0]
    case = Sum(mr, nv, LANES, mr, nv, True)
    for out_step in (2 * LANES, LANES + 3):
        np.testing.assert_array_equal(case.run(out_step), case.run())
        np.testing.assert_array_equal(case.run(out_step, (0, 1, 3)), case.run())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("parts", [(0, 3), (0, 1, 3)], ids=["whole", "parts"])
def test_special_values_reach_their_pixel_or_channel_and_no_other(value, parts):
    mr, nv = tile_shapes()[0]
    case = Sum(mr, nv, LANES + 400, mr, nv, True)  # so far apart that no two pixels read the same number
    plain = case.run(parts=parts)
    case.arena[MIDDLE + 2 * case.step + TAPS[1, 0] + 3] = value
    case.weight[1 + 6, 1, 4 % LANES] = value
    found = case.run(parts=parts)
    reached = np.zeros(found.shape, bool)
    reached[2], reached[:, 1, 4 % LANES] = True, True
    assert not np.isfinite(found[reached]).any()
    np.testing.assert_array_equal(found[~reached], plain[~reached])


@pytest.mark.parametrize("source", ["bias", "added"])
def test_nan_of_bias_and_residual_passes_the_clamp(source):
    mr, nv = tile_shapes()[0]
    case = Sum(mr, nv, LANES, mr, nv, True)
    if source == "bias":
        case.weight[0] = np.nan
    else:
        case.arena[cells(ADDED, ADDED_BLOCK, LANES, mr, nv)] = np.nan
    assert np.isnan(case.run(bounds=float32(0, 6))).all()


def test_infinities_are_clamped():
    mr, nv = tile_shapes()[0]
    case = Sum(mr, nv, LANES, mr, nv, True)
    case.weight[0, 0], case.weight[0, 1] = np.inf, -np.inf
    found = case.run(bounds=float32(0, 6))
    assert (found[:, 0] == 6).all()
    assert (found[:, 1] == 0).all()


def test_infinity_times_zero_is_not_hidden():
    mr, nv = tile_shapes()[0]
    case = Sum(mr, nv, LANES, mr, nv, False)
    case.arena[MIDDLE + TAPS[0, 0]], case.weight[1] = np.inf, 0
    assert np.isnan(case.run()[0]).all()


def test_tiles_fit_the_registers_and_serve_one_pixel_and_one_block():
    for mr, nv in tile_shapes():
        assert mr * nv + nv + 1 <= REGISTERS
        assert tile_cycles(mr, nv, 100) >= mr * nv / 2
    assert {1, 2} <= {nv for _, nv in tile_shapes()}
    assert (1, 1) in tile_shapes()
