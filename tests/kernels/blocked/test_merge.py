"""Elementwise operations of two values: exact, broadcast from one pixel, in place, with clamp and activation."""

from __future__ import annotations

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked.merge import FIELDS, OPERATIONS, combine_f32
from tests.kernels.blocked.arena import NO_BOUNDS, NO_CONSTANTS, Arena, described, float32, plain, random, written

SIZES = [(2, LANES + 3, 3, 5), (1, 1, 1, 1), (3, 2 * LANES, 1, 7)]
NUMPY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "copy": lambda x, y: x,
}


def description(sizes, x, y, out, threads=1, one_pixel=False):
    batch, _, rows, width = sizes
    places = x.fields("x") | y.fields("y") | out.fields("out") | {"y_step": LANES}
    if one_pixel:
        places |= {"y_row": 0, "y_step": 0}
    return described(FIELDS, batch=batch, blocks=out.blocks, rows=rows, width=width, threads=threads, **places)


def combine(operation, x, y, *, threads=1, bounds=NO_BOUNDS, activation="", constants=NO_CONSTANTS):
    arena = Arena()
    places = [arena.add(x, halo=(1, 0, 2, 0)), arena.add(y, gaps=(3, 2, 5))]
    out = arena.room(x.shape, gaps=(2, 3, 4))
    d = description(x.shape, *places, out, threads, x.shape != y.shape)
    return written(combine_f32(operation, activation), arena, out, d, *bounds, *constants)


def test_every_operation_is_tested():
    assert set(NUMPY) == set(OPERATIONS)


@pytest.mark.parametrize("operation", NUMPY)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_an_operation_rounds_once(operation, sizes):
    x, y = random(1, *sizes), random(2, *sizes)
    np.testing.assert_array_equal(combine(operation, x, y), NUMPY[operation](x, y))


@pytest.mark.parametrize("operation", NUMPY)
def test_nan_infinities_and_zeros_are_numpys(operation):
    special = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1e-40])
    x, y = (np.tile(a.reshape(1, 1, 7, 7), (1, LANES, 1, 1)) for a in np.meshgrid(special, special))
    with np.errstate(invalid="ignore"):
        wanted = NUMPY[operation](x, y)
    found = combine(operation, x, y)
    np.testing.assert_array_equal(found, wanted)
    assert np.isnan(combine(operation, x, y, bounds=float32(0, 6))[np.isnan(wanted)]).all()


@pytest.mark.parametrize("operation", ["multiply", "subtract"])
@pytest.mark.parametrize("threads", [1, 3])
def test_one_pixel_stands_for_all(operation, threads):
    x, y = random(1, 2, LANES + 3, 3, 5), random(2, 2, LANES + 3, 1, 1)
    np.testing.assert_array_equal(combine(operation, x, y, threads=threads), NUMPY[operation](x, y))


def test_one_pixel_may_lie_among_those_of_other_images():
    """As values of one pixel lie: (blocks, N, LANES)."""
    x, y = random(1, 2, LANES + 3, 3, 5), random(2, 2, LANES + 3, 1, 1)
    arena = Arena()
    first, second = arena.add(x), arena.add(y)
    second.image, second.block = LANES, 2 * LANES
    out = arena.room(x.shape)
    d = description(x.shape, first, second, out, one_pixel=True)
    found = written(combine_f32("multiply"), arena, out, d, *NO_BOUNDS, *NO_CONSTANTS)
    np.testing.assert_array_equal(found, x * y)


@pytest.mark.parametrize("threads", [2, 5, 100])
def test_however_many_threads_the_bits_are_the_same(threads):
    x, y = random(1, 2, LANES + 3, 3, 5), random(2, 2, LANES + 3, 3, 5)
    np.testing.assert_array_equal(combine("add", x, y, threads=threads), x + y)


@pytest.mark.parametrize("place", ["first", "second"])
def test_the_result_may_replace_an_input(place):
    x, y = random(1, 2, LANES + 3, 3, 5), random(2, 2, LANES + 3, 3, 5)
    arena = Arena()
    places = [arena.add(x), arena.add(y)]
    out = places[0 if place == "first" else 1]
    numbers = arena.numbers(arena.room((1, 1, 1, 1)))
    combine_f32("subtract").bind((description(x.shape, *places, out), *NO_BOUNDS, *NO_CONSTANTS, numbers), False)()
    np.testing.assert_array_equal(plain(numbers[out.cells()], x.shape[1]), x - y)


def test_clamp_and_activation_come_last():
    x, y = random(1, 2, LANES + 3, 3, 5), random(2, 2, LANES + 3, 3, 5)
    np.testing.assert_array_equal(combine("add", x, y, bounds=float32(-0.5, 0.75)), np.clip(x + y, -0.5, 0.75))
    found = combine("add", x, y, activation="leaky_relu", constants=float32(2, 0, 0))
    np.testing.assert_array_equal(found, np.where(x + y > 0, x + y, 2 * (x + y)))
