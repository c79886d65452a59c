"""The Winograd kernels: by tiles and by number, geometry, threads, residual; and the transformations' formula."""

from __future__ import annotations

import numpy as np
import pytest

from jit_kernels._simd import LANES
from jit_kernels.blocked.tile import tile_shapes
from jit_kernels.blocked.winograd import FIELDS, NUMBERS, TILE, G, winograd_f32
from keydnn.modules import Conv2d
from keydnn.reference import f64
from keydnn.reference.conv import conv
from tests.kernels.blocked.arena import NAN, NO_BOUNDS, Arena, described, float32, random, written
from tests.plan.bounds import winograd_bound
from tests.within import assert_within

MR, NV = tile_shapes()[0]
WAYS = pytest.mark.parametrize("by_number", [False, True], ids=["tiles", "numbers"])


def packed(weight, bias, nv):
    """Give bias and ``[number][group][k][nv][LANES]``; NaN beyond the last channel."""
    numbers = np.einsum("ai,ocij,bj->abco", G, f64(weight), G).reshape(NUMBERS, weight.shape[1], -1)
    groups = -(-len(bias) // (nv * LANES))
    columns = np.full((NUMBERS, weight.shape[1], groups * nv * LANES), NAN)
    columns[..., : len(bias)] = numbers
    biases = np.full(groups * nv * LANES, NAN)
    biases[: len(bias)] = bias
    panels = columns.reshape(NUMBERS, -1, groups, nv * LANES).transpose(0, 2, 1, 3)
    return np.concatenate([biases, panels.reshape(-1)])


class Winograd:
    """A convolution on the kernel, with numbers to compare."""

    def __init__(
        self, *, batch=2, channels=LANES + 3, out_channels=2 * LANES + 1, size=(9, 11), pads=((1, 1), (1, 1)),
        residual=False,
    ):  # fmt: skip
        self.pads = pads
        self.x, weight, self.bias = random(1, batch, channels, *size), random(2, out_channels, channels, 3, 3), None
        self.bias = random(3, out_channels)
        self.module = Conv2d(channels, out_channels, 3, padding=pads, weight=weight, bias=self.bias)
        self.wanted = conv(self.x, weight, self.bias, (1, 1), pads, (1, 1), 1)
        self.bound = winograd_bound(self.module, self.x, pads)
        self.added = random(4, *self.wanted.shape) if residual else None
        if residual:
            self.wanted, self.bound = self.wanted + self.added, self.bound * 1.01 + 2**-23 * abs(self.added)

    def run(self, mr=MR, nv=NV, *, by_number=False, each=None, threads=1, bounds=NO_BOUNDS):
        batch, _, out_h, out_w = self.wanted.shape
        tile_rows, tile_columns = -(-out_h // TILE), -(-out_w // TILE)
        (top, _), (left, _) = self.pads
        height, width = self.x.shape[2:]
        bottom, right = TILE * tile_rows + 2 - height - top, TILE * tile_columns + 2 - width - left
        arena = Arena()
        x = arena.add(self.x, halo=(top, max(bottom, 0), left, max(right, 0)))
        added = arena.add(self.added, gaps=(3, 1, 2)) if self.added is not None else None
        tiles = batch * tile_rows * tile_columns
        each = tiles if by_number else each or tiles
        in_blocks, groups = x.blocks, -(-self.bias.size // (nv * LANES))
        out_blocks = -(-self.bias.size // LANES)
        inputs_number, products_number = (in_blocks * each + 1) * LANES, (out_blocks * each + 1) * LANES
        work = NUMBERS * (inputs_number + products_number) + 16 * LANES
        scratch = arena._end
        arena._end += work * (1 if by_number else threads) + 40 * LANES
        out = arena.room(self.wanted.shape, gaps=(2, 3, 4))
        places = out.fields("out") | (
            added.fields("added") if added else dict.fromkeys(("added", "added_image", "added_block", "added_row"), -1)
        )
        d = described(
            FIELDS, batch=batch, out_h=out_h, out_w=out_w, tile_rows=tile_rows, tile_columns=tile_columns,
            x=x.start - top * x.row - left * LANES, x_image=x.image, x_block=x.block, x_row=x.row,
            in_blocks=in_blocks, out_blocks=out_blocks, groups=groups, k=self.x.shape[1], tiles=each, inputs=scratch,
            inputs_number=inputs_number, products=scratch + NUMBERS * inputs_number, products_number=products_number,
            work=work, threads=threads, **places,
        )  # fmt: skip
        channels = self.x.shape[1]
        taps = [(c // LANES * each * LANES, min(LANES, channels - c)) for c in range(0, channels, LANES)]
        arguments = (d, np.array(taps).reshape(-1), *bounds, packed(self.module.weight, self.bias, nv))
        used = slice(scratch, scratch + work * (1 if by_number else threads))
        return written(winograd_f32(mr, nv, by_number), arena, out, *arguments, scratch=used)


GEOMETRIES = [
    {},
    {"batch": 1, "size": (1, 1), "channels": 1, "out_channels": 1},
    {"size": (6, 6), "pads": ((0, 0), (0, 0)), "channels": LANES},
    {"size": (3, 18), "pads": ((0, 3), (2, 0))},
    {"size": (8, 4), "batch": 3, "channels": 3 * LANES, "out_channels": LANES},
    {"size": (13, 3), "pads": ((2, 2), (4, 4))},
]


@WAYS
@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_any_geometry_is_within_the_bound(geometry, residual, by_number):
    case = Winograd(**geometry, residual=residual)
    assert_within(case.run(by_number=by_number), case.wanted, case.bound)


@WAYS
def test_however_the_work_is_dealt_out_the_bits_are_the_same(by_number):
    case = Winograd(residual=True)
    wanted = case.run()
    for each, threads in ((1, 1), (5, 2), (7, 3), (18, 4), (3, 50)):
        found = case.run(by_number=by_number, each=each, threads=threads)
        np.testing.assert_array_equal(found, wanted, err_msg=f"{each} tiles at a time, {threads} threads")


@WAYS
def test_the_clamp_comes_last_and_nan_passes(by_number):
    case, bounds = Winograd(residual=True), float32(-0.5, 0.75)
    np.testing.assert_array_equal(case.run(by_number=by_number, bounds=bounds), np.clip(case.run(), *bounds))
    case.added[1, 2, 3, 4] = np.nan
    found = case.run(by_number=by_number, bounds=bounds)
    assert np.isnan(found[1, 2, 3, 4])
    assert np.isnan(found).sum() == 1


def test_nan_stays_among_the_outputs_of_its_tiles():
    case = Winograd(batch=2, size=(17, 15))
    plain = case.run()
    case.x[1, LANES + 1, 8, 9] = np.nan
    found = case.run()
    assert np.isnan(found[1, :, 7:10, 8:11]).all()
    away = np.ones(found.shape, bool)
    away[1, :, 4:12, 4:15] = False  # the tiles that read the pixel, and what a tile further reads of it
    np.testing.assert_array_equal(found[away], plain[away])
