"""Pooling on the blocked layout: windows cut at the edges, means, NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked.pool import FIELDS, pool_f32
from keydnn.reference.pool import avg_pool, max_pool
from tests.kernels.blocked.arena import Arena, described, random, written
from tests.within import assert_within, sum_bound

LOWEST = np.finfo(np.float32).min
# (input, kernel, stride, pads)
WINDOWS = [
    ((2, LANES + 3, 6, 7), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((1, 1, 1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))),
    ((2, LANES, 5, 6), (3, 3), (1, 1), ((1, 1), (1, 1))),
    ((1, 2 * LANES + 1, 7, 5), (3, 2), (2, 3), ((2, 1), (0, 1))),
    ((2, 3, 2, 3), (4, 5), (1, 2), ((2, 3), (4, 3))),
    ((1, LANES, 1, 40), (1, 5), (1, 4), ((0, 0), (0, 4))),
]
EACH = pytest.mark.parametrize(("sizes", "kernel", "stride", "pads"), WINDOWS, ids=str)


def pool(reduction, x, kernel, stride, pads, *, count_pads=0, threads=1):
    arena = Arena()
    rows, width = (
        (n + sum(p) - k) // s + 1 for n, p, k, s in zip(x.shape[2:], pads, kernel, stride, strict=True)
    )  # fmt: skip
    source, out = arena.add(x), arena.room((*x.shape[:2], rows, width), gaps=(2, 3, 4))
    d = described(
        FIELDS, batch=len(x), blocks=out.blocks, rows=rows, width=width, in_rows=x.shape[2], in_width=x.shape[3],
        kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1], pad_top=pads[0][0],
        pad_left=pads[1][0], count_pads=count_pads, threads=threads, **source.fields("x"), **out.fields("out"),
    )  # fmt: skip
    return written(pool_f32(reduction), arena, out, d)


def whole(reduction, x, **options):
    return pool(reduction, x, x.shape[2:], (1, 1), ((0, 0), (0, 0)), **options)


@EACH
@pytest.mark.parametrize("threads", [1, 3])
def test_maxima_are_those_of_the_pixels_that_exist(sizes, kernel, stride, pads, threads):
    x = random(1, *sizes) - np.float32(5)  # a padding of zeros would win
    np.testing.assert_array_equal(
        pool("max", x, kernel, stride, pads, threads=threads), max_pool(x, kernel, stride, pads)
    )


@EACH
@pytest.mark.parametrize("count_pads", [0, 1])
def test_means_are_within_the_bound_of_their_sums(sizes, kernel, stride, pads, count_pads):
    x = random(2, *sizes)
    wanted = avg_pool(x, kernel, stride, pads, bool(count_pads))
    bound = sum_bound(math.prod(kernel), avg_pool(abs(x), kernel, stride, pads, bool(count_pads)))
    found = pool("mean", x, kernel, stride, pads, count_pads=count_pads)
    assert_within(found, wanted, bound)
    again = pool("mean", x, kernel, stride, pads, count_pads=count_pads, threads=7)
    np.testing.assert_array_equal(again, found)


def test_a_mean_is_divided_not_multiplied_by_a_reciprocal():
    x = np.full((1, LANES, 7, 7), 3, np.float32)
    np.testing.assert_array_equal(whole("mean", x), np.full((1, LANES, 1, 1), 3))


def test_a_maximum_passes_nan_over_and_is_never_below_the_lowest_number():
    x = np.full((1, LANES, 2, 4), -np.inf, np.float32)
    x[0, 0], x[0, 1, 0, 0], x[0, 1, 1, 1] = np.nan, np.nan, 2
    found = pool("max", x, (2, 2), (2, 2), ((0, 0), (0, 0)))
    np.testing.assert_array_equal(found, max_pool(x, (2, 2), (2, 2), ((0, 0), (0, 0))))
    assert found[0, 1, 0, 0] == 2
    assert found[0, 0, 0, 0] == found[0, 2, 0, 0] == LOWEST


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 3)], ids=str)
def test_a_maximum_of_a_plane_is_nan_if_it_holds_one(place):
    x = random(3, 2, LANES + 3, 3, 4)
    x[1, 2, *place] = np.nan
    np.testing.assert_array_equal(whole("global_max", x, threads=2), x.max((2, 3), keepdims=True))


def test_a_maximum_of_a_plane_may_be_infinite():
    x = np.full((1, LANES, 2, 3), -np.inf, np.float32)
    x[0, 1, 1, 1] = np.inf
    np.testing.assert_array_equal(whole("global_max", x), x.max((2, 3), keepdims=True))


def test_a_mean_of_nan_or_infinities():
    x = random(4, 1, LANES, 3, 4)
    x[0, 0, 1, 1], x[0, 1, 2, 2], x[0, 2, 0, :2] = np.nan, np.inf, (np.inf, -np.inf)
    found = whole("mean", x)[0, :, 0, 0]
    np.testing.assert_array_equal(found[:3], [np.nan, np.inf, np.nan])
    assert np.isfinite(found[3:]).all()
