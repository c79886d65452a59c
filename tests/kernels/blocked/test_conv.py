"""The convolution kernel: geometry, bands, parts, chunks of the sum, groups, residual, activation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked.conv import FIELDS, conv_f32
from jit_kernels.blocked.tile import tile_shapes
from keydnn.reference.conv import conv
from tests.kernels.blocked.arena import NAN, NO_BOUNDS, NO_CONSTANTS, Arena, described, float32, random, written
from tests.within import assert_within, sum_bound

MR, NV = tile_shapes()[0]
SINGLE = min(shape for shape in tile_shapes() if shape[1] == 1)


def packed(weight, bias, nv):
    """Give bias and panels ``[group][k][nv][LANES]``, k over block of channels, row, column, channel; NaN elsewhere."""
    out_channels, each = weight.shape[:2]
    groups = -(-out_channels // (nv * LANES))
    columns = np.full((weight[0].size, groups * nv * LANES), NAN)
    rows = [weight[:, c : c + LANES].transpose(2, 3, 1, 0).reshape(-1, out_channels) for c in range(0, each, LANES)]
    columns[:, :out_channels] = np.concatenate(rows)
    biases = np.full(groups * nv * LANES, NAN)
    biases[:out_channels] = bias
    panels = columns.reshape(-1, groups, nv * LANES).transpose(1, 0, 2)
    return np.concatenate([biases, panels.reshape(-1)])


class Conv:
    """A convolution on the kernel, with numbers to compare."""

    def __init__(
        self, *, batch=2, channels=LANES + 3, out_channels=3 * LANES + 1, size=(5, MR + 3), kernel=(3, 2),
        stride=(1, 1), dilation=(1, 1), pads=((1, 1), (0, 1)), groups=1, residual=False,
    ):  # fmt: skip
        self.kernel, self.stride, self.dilation, self.pads, self.groups = kernel, stride, dilation, pads, groups
        self.x = random(1, batch, channels, *size)
        self.weight = random(2, out_channels, channels // groups, *kernel)
        self.bias = random(3, out_channels)
        options = (stride, pads, dilation, groups)
        self.wanted = conv(self.x, self.weight, self.bias, *options)
        sizes = conv(abs(self.x), abs(self.weight), abs(self.bias), *options)
        self.added = random(4, *self.wanted.shape) if residual else None
        if residual:
            self.wanted, sizes = self.wanted + self.added, sizes + abs(self.added)
        self.bound = sum_bound(self.weight[0].size + 1, sizes)

    def run(
        self, mr=MR, nv=NV, *, chunk=None, band=None, parts=1, threads=1, bounds=NO_BOUNDS, activation="",
        constants=NO_CONSTANTS,
    ):  # fmt: skip
        arena = Arena()
        x = arena.add(self.x, halo=(*self.pads[0], *self.pads[1]))
        added = arena.add(self.added, gaps=(3, 1, 2)) if self.added is not None else None
        out = arena.room(self.wanted.shape, gaps=(2, 3, 4))
        channels, (kh, kw), (dh, dw) = self.weight.shape[1], self.kernel, self.dilation
        taps = [
            (c // LANES * x.block + i * dh * x.row + j * dw * LANES, min(LANES, channels - c))
            for c in range(0, channels, LANES) for i in range(kh) for j in range(kw)
        ]  # fmt: skip
        batch, _, rows, width = self.wanted.shape
        chunk = chunk or len(taps)
        groups = -(-out.blocks // nv)
        places = out.fields("out") | (
            added.fields("added") if added else dict.fromkeys(("added", "added_image", "added_block", "added_row"), -1)
        )
        d = described(
            FIELDS, batch=batch, rows=rows, width=width,
            x=x.start - self.pads[0][0] * x.row - self.pads[1][0] * LANES, x_image=x.image,
            x_row=x.row * self.stride[0], x_group=channels // LANES * x.block, out_step=LANES, blocks=out.blocks,
            groups=groups, chunk=chunk, chunk_k=sum(size for _, size in taps[:chunk]), k=self.weight[0].size,
            band=band or rows * -(-width // mr), parts=parts, threads=threads, groups_each=groups // self.groups,
            **places,
        )  # fmt: skip
        kernel = conv_f32(mr, nv, self.stride[1] * LANES, activation)
        weight = packed(self.weight, self.bias, nv)
        return written(kernel, arena, out, d, np.array(taps).reshape(-1), *bounds, weight, *constants)


GEOMETRIES = [
    {},
    {"batch": 1, "size": (1, 1), "kernel": (1, 1), "pads": ((0, 0), (0, 0))},
    {"size": (1, 2 * MR + 1), "kernel": (1, 3), "pads": ((0, 0), (2, 0))},
    {"size": (4, 1), "kernel": (3, 1), "pads": ((0, 2), (0, 0)), "channels": 1, "out_channels": 1},
    {"size": (9, 12), "stride": (2, 1), "dilation": (1, 2), "pads": ((2, 1), (1, 3)), "channels": 2 * LANES},
    {"size": (9, 2 * MR + 8), "stride": (1, 2), "dilation": (3, 1), "channels": LANES},
    {"size": (2, 3), "kernel": (5, 5), "pads": ((4, 4), (4, 4)), "channels": 3},
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
def test_any_geometry_is_within_the_bound_of_its_sums(geometry, residual):
    case = Conv(**geometry, residual=residual)
    assert_within(case.run(), case.wanted, case.bound)


@pytest.mark.parametrize("out_channels", [1, LANES, LANES + 1, 2 * LANES, 4 * LANES - 1])
def test_blocks_that_no_panel_fills_are_not_written(out_channels):
    case = Conv(out_channels=out_channels, residual=True)
    assert_within(case.run(), case.wanted, case.bound)
    assert_within(case.run(*SINGLE), case.wanted, case.bound)


@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
def test_however_the_work_is_dealt_out_the_bits_are_the_same(residual):
    case = Conv(residual=residual)
    wanted = case.run()
    tiles = case.wanted.shape[2] * -(-case.wanted.shape[3] // MR)
    for band, parts, threads in itertools.product((1, 2, 3, tiles - 1, tiles + 5), (1, 2), (1, 2, 3, 50)):
        found = case.run(band=band, parts=parts, threads=threads)
        np.testing.assert_array_equal(found, wanted, err_msg=f"band {band}, parts {parts}, threads {threads}")


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_sum_in_chunks_has_the_bits_of_a_whole_one(blocks):
    """A chunk is the taps of some blocks of channels; the last block may have fewer channels."""
    case, bounds = Conv(channels=3 * LANES + 2, residual=True), float32(-1, 2)
    chunk = blocks * 6
    wanted = case.run(bounds=bounds)
    np.testing.assert_array_equal(case.run(chunk=chunk, bounds=bounds), wanted)
    np.testing.assert_array_equal(case.run(chunk=chunk, band=2, parts=2, threads=3, bounds=bounds), wanted)


@pytest.mark.parametrize("groups", [2, 3])
def test_groups_of_whole_blocks_read_their_own_channels(groups):
    for each_in, each_out in ((LANES, LANES), (2 * LANES, NV * LANES), (LANES, 2 * NV * LANES)):
        case = Conv(channels=groups * each_in, out_channels=groups * each_out, groups=groups)
        assert_within(case.run(*SINGLE, parts=2), case.wanted, case.bound)
        if each_out % (NV * LANES) == 0:
            assert_within(case.run(), case.wanted, case.bound)


def test_the_clamp_comes_last():
    case, bounds = Conv(residual=True), float32(-0.5, 0.75)
    np.testing.assert_array_equal(case.run(bounds=bounds), np.clip(case.run(), *bounds))


@pytest.mark.parametrize("options", [{}, {"band": 1}, {"band": 3, "parts": 2, "threads": 5}, {"chunk": 6}], ids=str)
def test_an_activation_is_applied_once_to_every_pixel(options):
    """``leaky_relu`` with a slope of 2 shows how often it was applied; it is exact."""
    case = Conv(residual=True)
    plain = case.run()
    found = case.run(activation="leaky_relu", constants=float32(2, 0, 0), **options)
    np.testing.assert_array_equal(found, np.where(plain > 0, plain, 2 * plain))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_special_values_reach_their_windows_and_no_others(value):
    case = Conv(residual=True)
    plain = case.run()
    case.x[1, 2, 3, 4] = value
    found = case.run()
    rows, columns = (
        {i for i in range(size) for t in range(k) if i + t - pads[0] == place}
        for size, k, pads, place in zip(case.wanted.shape[2:], case.kernel, case.pads, (3, 4), strict=True)
    )
    reached = np.zeros(found.shape, bool)
    reached[np.ix_([1], range(found.shape[1]), sorted(rows), sorted(columns))] = True
    assert not np.isfinite(found[reached]).any()
    np.testing.assert_array_equal(found[~reached], plain[~reached])
