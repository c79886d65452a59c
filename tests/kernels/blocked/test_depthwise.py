"""The depthwise kernel: geometry, threads, clamp, activation."""

from __future__ import annotations

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked.depthwise import FIELDS, PIXELS, depthwise_f32
from keydnn.reference.conv import conv
from tests.kernels.blocked.arena import NAN, NO_BOUNDS, NO_CONSTANTS, Arena, described, float32, random, written
from tests.within import assert_within, sum_bound


def packed(weight, bias):
    """Give the bias and ``[block][tap][LANES]``; NaN beyond the last channel."""
    channels = len(bias)
    blocks = -(-channels // LANES)
    whole = np.full((1 + weight[0].size, blocks * LANES), NAN)
    whole[0, :channels], whole[1:, :channels] = bias, weight.reshape(channels, -1).T
    taps = whole[1:].reshape(-1, blocks, LANES).transpose(1, 0, 2)
    return np.concatenate([whole[0], taps.reshape(-1)])


class Depthwise:
    """A depthwise convolution on the kernel, with numbers to compare."""

    def __init__(
        self, *, batch=2, channels=2 * LANES + 3, size=(6, PIXELS + 3), kernel=(3, 3), stride=(1, 1),
        dilation=(1, 1), pads=((1, 1), (1, 1)),
    ):  # fmt: skip
        self.kernel, self.stride, self.dilation, self.pads = kernel, stride, dilation, pads
        self.x, self.weight = random(1, batch, channels, *size), random(2, channels, 1, *kernel)
        self.bias = random(3, channels)
        options = (stride, pads, dilation, channels)
        self.wanted = conv(self.x, self.weight, self.bias, *options)
        sizes = conv(abs(self.x), abs(self.weight), abs(self.bias), *options)
        self.bound = sum_bound(self.weight[0].size, sizes)

    def run(self, *, threads=1, bounds=NO_BOUNDS, activation="", constants=NO_CONSTANTS):
        arena = Arena()
        x = arena.add(self.x, halo=(*self.pads[0], *self.pads[1]))
        out = arena.room(self.wanted.shape, gaps=(2, 3, 4))
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        taps = np.array([i * dh * x.row + j * dw * LANES for i in range(kh) for j in range(kw)])
        batch, _, rows, width = self.wanted.shape
        places = {**x.fields("x"), **out.fields("out")}
        places["x"] -= self.pads[0][0] * x.row + self.pads[1][0] * LANES
        places["x_row"] *= self.stride[0]
        d = described(FIELDS, batch=batch, blocks=out.blocks, rows=rows, width=width, threads=threads, **places)
        kernel = depthwise_f32(self.stride[1] * LANES, activation)
        return written(kernel, arena, out, d, taps, *bounds, packed(self.weight, self.bias), *constants)


GEOMETRIES = [
    {},
    {"batch": 1, "channels": 1, "size": (1, 1), "kernel": (1, 1), "pads": ((0, 0), (0, 0))},
    {"size": (1, 3 * PIXELS + 1), "kernel": (1, 5), "pads": ((0, 0), (4, 0)), "channels": LANES},
    {"size": (9, 1), "kernel": (5, 1), "pads": ((0, 2), (0, 0)), "stride": (2, 1)},
    {"size": (9, 20), "stride": (1, 2), "dilation": (2, 3), "pads": ((2, 1), (1, 3))},
    {"size": (2, 3), "kernel": (4, 4), "pads": ((3, 3), (3, 3)), "channels": LANES - 1},
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_any_geometry_is_within_the_bound_of_its_sums(geometry):
    case = Depthwise(**geometry)
    assert_within(case.run(), case.wanted, case.bound)


@pytest.mark.parametrize("width", range(1, 2 * PIXELS + 2))
def test_any_width_is_written_and_no_more(width):
    case = Depthwise(batch=1, channels=LANES + 1, size=(2, width))
    assert_within(case.run(), case.wanted, case.bound)


def test_however_many_threads_the_bits_are_the_same():
    case = Depthwise()
    wanted = case.run()
    for threads in (2, 3, 7, 100):
        np.testing.assert_array_equal(case.run(threads=threads), wanted)


def test_clamp_and_activation_come_last():
    case, bounds = Depthwise(), float32(-0.5, 0.75)
    plain = case.run()
    np.testing.assert_array_equal(case.run(bounds=bounds), np.clip(plain, *bounds))
    found = case.run(activation="leaky_relu", constants=float32(2, 0, 0))
    np.testing.assert_array_equal(found, np.where(plain > 0, plain, 2 * plain))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_special_values_reach_their_windows_and_no_others(value):
    case = Depthwise()
    plain = case.run(bounds=float32(-9, 9))
    case.x[1, LANES + 2, 3, 4] = value
    found = case.run(bounds=float32(-9, 9))
    reached = np.zeros(found.shape, bool)
    reached[1, LANES + 2, 2:5, 3:6] = True
    np.testing.assert_array_equal(found[~reached], plain[~reached])
    if np.isnan(value):
        assert np.isnan(found[reached]).all()
    else:
        assert set(np.abs(found[reached])) == {9}
