"""Into the blocked layout, out of it, halos, upsampling: every number in its place, and nothing else touched."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked import layout
from keydnn.reference.upsample import upsample
from tests.kernels.blocked.arena import NAN, Arena, blocked, described, launch, random, written

SIZES = [(2, LANES + 3, 3, 5), (1, 1, 1, 1), (3, 2 * LANES, 1, 7), (2, LANES - 1, 4, 1), (4, 3 * LANES + 1, 1, 1)]
START = 64
ORDERS = list(itertools.permutations(range(1, 4)))  # the axes C, H, W as they lie in memory


def plain_strides(sizes, order):
    """Give the strides of (N, C, H, W) in an array whose axes lie in another order."""
    axes, strides, step = (0, *order), [0] * 4, 1
    for axis in reversed(axes):
        strides[axis], step = step, step * sizes[axis]
    return strides


def fields_of(sizes, order, place, threads):
    batch, channels, rows, width = sizes
    image, channel, row, step = plain_strides(sizes, order)
    return described(
        layout.FIELDS, batch=batch, channels=channels, rows=rows, width=width, plain=START, plain_image=image,
        plain_channel=channel, plain_row=row, plain_step=step, blocked_step=place.lanes, threads=threads,
        **place.fields("blocked"),
    )  # fmt: skip


class Plain:
    """A kernel's view of an arena: with an array in it as it lies in memory."""

    def __init__(self, array, order):
        self.numbers = array.transpose(0, *order).reshape(-1)

    def __call__(self, arena, written):
        numbers = arena.numbers(written)
        numbers[START : START + self.numbers.size] = self.numbers
        return numbers


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_any_order_of_axes_becomes_blocked_and_the_lanes_behind_zero(sizes, order, threads):
    x, arena = random(1, *sizes), Arena()
    arena._end += START + x.size
    out = arena.room(sizes, halo=(1, 0, 2, 1))
    numbers = Plain(x, order)(arena, out)
    wanted = numbers.copy()
    wanted[out.cells()] = np.nan_to_num(blocked(x))
    launch(layout.to_blocked_f32, numbers, fields_of(sizes, order, out, threads))
    np.testing.assert_array_equal(numbers, wanted)


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("channels", [1, 3, LANES // 2])
def test_few_channels_lie_side_by_side(channels, order):
    sizes = (2, channels, 4, 5)
    x, arena = random(2, *sizes), Arena()
    arena._end += START + x.size
    out = arena.room(sizes, halo=(0, 2, 1, 1), lanes=channels)
    numbers = Plain(x, order)(arena, out)
    wanted = numbers.copy()
    wanted[out.cells()] = blocked(x, channels)
    launch(layout.to_blocked_f32, numbers, fields_of(sizes, order, out, 2))
    np.testing.assert_array_equal(numbers, wanted)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_blocked_becomes_plain_in_any_order_of_axes(sizes, order, threads):
    x, arena = random(3, *sizes), Arena()
    arena._end += START + x.size
    place = arena.add(x, halo=(1, 1, 0, 2))
    numbers = Plain(np.full(sizes, -5, np.float32), order)(arena, place)
    numbers[place.cells(halo=True)] = NAN  # the halo is not read, nor lanes beyond the last channel
    numbers[place.cells()] = blocked(x)
    wanted = numbers.copy()
    wanted[START : START + x.size] = x.transpose(0, *order).reshape(-1)
    launch(layout.from_blocked_f32, numbers, fields_of(sizes, order, place, threads))
    np.testing.assert_array_equal(numbers, wanted)


def test_nan_and_signs_of_zero_are_moved_as_they_are():
    x = random(4, 1, LANES + 1, 2, 2)
    x[0, 0, 0, 0], x[0, LANES, 1, 1], x[0, 1, 0, 1] = np.nan, -0.0, np.inf
    arena = Arena()
    arena._end += START + x.size
    place = arena.add(x)
    numbers = arena.numbers(place)
    launch(layout.from_blocked_f32, numbers, fields_of(x.shape, (1, 2, 3), place, 1))
    assert numbers[START : START + x.size].tobytes() == x.tobytes()


@pytest.mark.parametrize("lanes", [LANES, 3])
@pytest.mark.parametrize("halo", [(1, 1, 1, 1), (0, 2, 0, 0), (3, 0, 0, 1), (0, 0, 2, 3)], ids=str)
def test_halos_are_zeros_and_pixels_stay(halo, lanes):
    sizes = (2, 2 * LANES if lanes == LANES else lanes, 3, 4)
    arena = Arena()
    place = arena.room(sizes, halo=halo, lanes=lanes, gaps=(1, 2, 0))  # rows without gaps: whole ones are zeroed
    numbers = arena.numbers(place)
    wanted = numbers.copy()
    wanted[place.cells(halo=True)] = 0
    wanted[place.cells()] = numbers[place.cells()]
    top, bottom, left, right = halo
    fields = place.fields("x")
    d = described(
        layout.HALO_FIELDS, batch=2, blocks=place.blocks, rows=3, width=4, top=top, bottom=bottom, left=left,
        right=right, x=place.start, image=place.image, block=place.block, row=fields["x_row"], step=lanes,
    )  # fmt: skip
    launch(layout.zero_halo_f32, numbers, d)
    np.testing.assert_array_equal(numbers, wanted)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("scale", [(1, 1), (2, 2), (1, 3), (4, 1)], ids=str)
def test_upsampling_repeats_pixels(scale, threads):
    x, arena = random(5, 2, LANES + 3, 3, 4), Arena()
    source = arena.add(x)
    out = arena.room((2, LANES + 3, 3 * scale[0], 4 * scale[1]), gaps=(2, 3, 4))
    d = described(
        layout.UPSAMPLE_FIELDS, batch=2, blocks=source.blocks, rows=3, width=4, scale_h=scale[0], scale_w=scale[1],
        threads=threads, **source.fields("x"), **out.fields("out"),
    )  # fmt: skip
    found = written(layout.upsample_nearest_f32, arena, out, d)
    np.testing.assert_array_equal(found, upsample(x, scale, "nearest"))
