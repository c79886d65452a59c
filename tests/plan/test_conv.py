"""Convolutions by each algorithm, forced, in a graph of one node: geometry, bounds, threads, batches."""

from __future__ import annotations

import dataclasses
import itertools

import hypothesis.strategies as st
import numba
import numpy as np
import pytest
from hypothesis import given, settings

from jit_kernels._simd import LANES
from jit_kernels.blocked.winograd import SIZE, TILE, transforms
from keydnn.modules import Add, BatchNorm2d, Conv1d, Conv2d, ReLU
from keydnn.plan import Program
from keydnn.plan import winograd as plan_winograd
from keydnn.reference import f64
from keydnn.reference.conv import conv
from tests.plan import choices
from tests.plan.bounds import pads_of, winograd_bound
from tests.plan.graphs import Maker, assert_plan_agrees, filled, one, random
from tests.within import assert_within, outputs_of

MR, NR = LANES, 2 * LANES
THREADS = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only")


@pytest.fixture(autouse=True)
def _all_threads():
    yield
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


def run(graph, *arrays, winograd=False):
    with choices.few_tiles(), choices.winograd(winograd):
        return Program(graph).run(list(arrays))[0]


def check_direct(module, size, batch=1):
    """Compare a convolution, or a depthwise one, with float64, within the bound of sums in any order."""
    module = filled(module, 11)
    x = random(3, batch, module.in_channels, *size)
    (bounded,) = outputs_of(one(module, *x.shape[1:]), [x])
    assert_within(run(one(module, *x.shape[1:]), x), bounded.value, bounded.error)


CHANNELS = st.sampled_from([1, 3, LANES + 2])
PANEL = st.integers(1, 3) | st.sampled_from([MR - 1, MR, MR + 1, 2 * MR - 1, 2 * MR, 2 * MR + 1])


@st.composite
def geometries(draw, axes=2, plain_3x3=False):
    """Give kernel size, stride, padding, dilation and a size of image that has an output."""
    fixed = {"kernel": st.just(3), "stride": st.just(1), "dilation": st.just(1)} if plain_3x3 else {}
    ranges = {"kernel": st.integers(1, 5), "stride": st.integers(1, 3), "dilation": st.integers(1, 3), **fixed}
    kernel, stride, dilation = (tuple(draw(ranges[name]) for _ in range(axes)) for name in ranges)
    pad = st.integers(0, 4)
    padding = draw(st.sampled_from(["same", "valid"]) | st.tuples(*[st.tuples(pad, pad)] * axes))
    pads = padding if isinstance(padding, tuple) else ((0, 0),) * axes
    size = []
    for k, d, (before, after) in zip(kernel, dilation, pads, strict=True):
        least = 1 if padding == "same" else max(1, d * (k - 1) + 1 - before - after)
        size.append(draw(st.integers(least, max(least, 40))))
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}, tuple(size)


@settings(max_examples=80, deadline=None)
@given(geometries(), CHANNELS, PANEL, st.integers(1, 3), st.booleans())
def test_the_direct_sum_agrees_for_any_geometry(geometry, channels, out_channels, batch, bias):
    options, size = geometry
    check_direct(Conv2d(channels, out_channels, use_bias=bias, **options), size, batch)


@settings(max_examples=60, deadline=None)
@given(geometries(axes=1), CHANNELS, PANEL, st.integers(1, 3))
def test_the_direct_sum_agrees_for_sequences(geometry, channels, out_channels, batch):
    options, size = geometry
    check_direct(Conv1d(channels, out_channels, **options), size, batch)


@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(2, 5), st.integers(1, 3), st.integers(1, 3))
def test_depthwise_agrees_for_any_geometry(geometry, channels, multiplier, batch):
    options, size = geometry
    check_direct(Conv2d(channels, channels * multiplier, groups=channels, **options), size, batch)


@settings(max_examples=40, deadline=None)
@given(geometries(axes=1), st.integers(2, 5), st.integers(1, 3), st.integers(1, 3))
def test_depthwise_agrees_for_sequences(geometry, channels, multiplier, batch):
    options, size = geometry
    check_direct(Conv1d(channels, channels * multiplier, groups=channels, **options), size, batch)


@pytest.mark.parametrize(
    ("module", "size"),
    [
        pytest.param(Conv2d(3, MR, 1), (1, 1), id="one-pixel"),
        pytest.param(Conv2d(2, MR + 1, 1), (1, NR), id="one-panel"),
        pytest.param(Conv2d(2, MR - 1, 1), (1, NR + 1), id="one-panel-and-a-pixel"),
        pytest.param(Conv2d(2, 2, 1), (9 * NR, 3), id="1x1-over-several-groups"),
        pytest.param(Conv2d(2, 3, 1, stride=3), (7, 8), id="stride-larger-than-kernel"),
        pytest.param(Conv2d(2, 3, 1, stride=2, padding="same"), (1, 40), id="1x1-stride-2"),
        pytest.param(Conv2d(2, 3, 1, padding=2), (3, 3), id="1x1-padded"),
        pytest.param(Conv2d(2, 3, 5, stride=4, padding="same"), (2, 3), id="kernel-larger-than-image"),
        pytest.param(Conv2d(2, 3, 3, padding=((4, 0), (0, 4))), (1, 1), id="windows-on-padding-only"),
        pytest.param(Conv2d(1, 1, (1, 5), (1, 3), "same", (1, 3)), (1, 40), id="one-row"),
        pytest.param(Conv2d(1, 1, (5, 1), (3, 1), "same", (3, 1)), (40, 1), id="one-column"),
        pytest.param(Conv2d(700, 5, 3, padding="same"), (6, 7), id="long-sum"),
        pytest.param(Conv2d(5, 5, 3, stride=3, dilation=3, groups=5), (30, 31), id="depthwise-strided-dilated"),
        pytest.param(Conv2d(3, 3, 3, stride=2, groups=3), (3, 3), id="depthwise-one-window"),
        pytest.param(Conv2d(3, 6, 3, padding=((3, 0), (0, 3)), groups=3), (1, 1), id="depthwise-padding-only"),
        pytest.param(Conv2d(1, 7, 3, padding="same"), (5, 6), id="one-channel"),
    ],
)
def test_edges(module, size):
    check_direct(module, size, batch=2)


# --- Winograd --------------------------------------------------------------------------------------------------------


def wanted_of(module, x, pads):
    bias = np.zeros(module.out_channels) if module.bias is None else module.bias
    return conv(x, module.weight, bias, module.stride, pads, module.dilation, module.groups)


@settings(max_examples=80, deadline=None)
@given(geometries(plain_3x3=True), st.integers(1, 9), PANEL, st.integers(1, 3), st.booleans())
def test_winograd_is_within_its_bound_for_any_geometry(geometry, channels, out_channels, batch, bias):
    options, size = geometry
    module = filled(Conv2d(channels, out_channels, use_bias=bias, **options), 12)
    x, pads = random(4, batch, channels, *size), pads_of(module, size)
    found = run(one(module, channels, *size), x, winograd=True)
    assert_within(found, wanted_of(module, x, pads), winograd_bound(module, x, pads))


@pytest.mark.parametrize(
    ("channels", "out_channels", "size"),
    [
        pytest.param(64, 64, (56, 56), id="64x56"),
        pytest.param(128, 40, (28, 28), id="128x28"),
        pytest.param(256, 30, (14, 14), id="256x14"),
        pytest.param(512, 24, (7, 7), id="512x7"),
        pytest.param(3, MR + 1, (41, 150), id="rows-wider-than-a-panel"),
        pytest.param(16, 16, (300, 5), id="tall"),
    ],
)
def test_winograd_is_within_1e_5_of_the_largest_output(channels, out_channels, size):
    module = filled(Conv2d(channels, out_channels, 3, padding="same"), 13)
    x, pads = random(5, 1, channels, *size), pads_of(module, size)
    wanted = wanted_of(module, x, pads)
    found = run(one(module, channels, *size), x, winograd=True)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_winograd_is_what_runs_when_it_is_forced_and_not_otherwise():
    """The two algorithms differ in the last bits: without that, the tests above would compare the same one twice."""
    graph = one(filled(Conv2d(8, 9, 3, padding="same"), 14), 8, 20, 20)
    x = random(6, 1, 8, 20, 20)
    assert not np.array_equal(run(graph, x, winograd=True), run(graph, x, winograd=False))


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Conv2d(4, 5, 3, stride=2, padding="same"), id="stride-2"),
        pytest.param(Conv2d(4, 5, 3, stride=(1, 2), padding="same"), id="stride-1-2"),
        pytest.param(Conv2d(4, 5, 3, dilation=2, padding="same"), id="dilation-2"),
        pytest.param(Conv2d(4, 5, (3, 2), padding="same"), id="3x2"),
        pytest.param(Conv2d(4, 5, 5, padding="same"), id="5x5"),
        pytest.param(Conv2d(4, 8, 3, padding="same", groups=4), id="depthwise"),
        pytest.param(Conv2d(4, 6, 3, padding="same", groups=2), id="grouped"),
        pytest.param(Conv1d(4, 5, 3, padding="same"), id="sequence"),
    ],
)
def test_what_winograd_cannot_do_is_never_given_to_it(module):
    module = filled(module, 15)
    x = random(7, 2, 4, *(9, 11)[: module.axes])
    graph = one(module, *x.shape[1:])
    (bounded,) = outputs_of(graph, [x])
    assert_within(run(graph, x, winograd=True), bounded.value, bounded.error)


def test_the_transforms_are_a_convolution():
    """``A^T [(G g) . (B^T d)]`` is the correlation of 6 numbers with 3, for each pair of unit vectors, in float64."""
    at, g, bt = transforms()
    for i, j in itertools.product(range(SIZE), range(3)):
        wanted = [float(i == row + j) for row in range(TILE)]
        np.testing.assert_allclose(at @ (g[:, j] * bt[:, i]), wanted, atol=1e-13)


# --- special values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Conv2d(2, 3, 3, padding="same"), id="direct"),
        pytest.param(Conv2d(2, 3, 1), id="1x1"),
        pytest.param(Conv2d(2, 4, 3, padding="same", groups=2), id="depthwise"),
        pytest.param(Conv2d(2, 2, 5, padding="same", groups=2), id="depthwise-5x5"),
    ],
)
def test_direct_algorithms_let_nan_and_infinity_reach_their_windows_and_no_others(module):
    module = filled(module, 16)
    x = random(8, 2, 2, 12, 40)
    x[0, 0, 4, 7], x[0, 1, 9, 30], x[1, 0, 0, 39] = np.nan, np.inf, -np.inf
    graph = one(module, 2, 12, 40)
    np.testing.assert_array_equal(np.isfinite(run(graph, x)), np.isfinite(graph.forward([x])[0]))


def test_winograd_lets_nan_and_infinity_reach_their_windows_and_only_tiles_around():
    """Every output whose window has NaN or infinity is not finite; others of its tiles (up to 3 cells on) may be."""
    module = filled(Conv2d(2, 3, 3, padding="same"), 17)
    x = random(9, 1, 2, 21, 45)
    x[0, 0, 4, 7], x[0, 1, 17, 30] = np.nan, np.inf
    found = np.isfinite(run(one(module, 2, 21, 45), x, winograd=True))
    assert not found[:, :, 3:6, 6:9].any()
    assert not found[:, :, 16:19, 29:32].any()
    far = np.ones((21, 45), bool)
    far[0:9, 3:12] = far[13:22, 26:35] = False
    assert found[:, :, far].all()


# --- threads, batches ------------------------------------------------------------------------------------------------

EXACT = [
    pytest.param(Conv2d(3, 13, 3, padding="same"), (17, 33), False, id="pixels"),
    pytest.param(Conv2d(LANES + 2, 13, 3, padding="same"), (17, 33), False, id="direct"),
    pytest.param(Conv2d(LANES + 2, 13, 1), (17, 33), False, id="1x1"),
    pytest.param(Conv2d(LANES + 2, 2 * LANES, 3, 2, padding="same"), (17, 33), False, id="stride-2"),
    pytest.param(Conv2d(300, 3, 3, padding="same"), (40, 40), False, id="groups-of-one-panel"),
    pytest.param(Conv2d(5, 13, 3, padding="same"), (37, 33), True, id="winograd"),
    pytest.param(Conv2d(16, 25, 3), (70, 41), True, id="winograd-several-panels"),
    pytest.param(Conv2d(5, 10, 3, padding="same", groups=5), (17, 33), False, id="depthwise-multiplier"),
    pytest.param(Conv2d(5, 5, 5, 2, padding="same", groups=5), (17, 33), False, id="depthwise-5x5"),
    pytest.param(Conv1d(LANES + 2, 13, 3, padding="same"), (133,), False, id="sequence"),
    pytest.param(Conv2d(6, 10, 3, padding="same", groups=2), (17, 33), False, id="grouped-by-module"),
    pytest.param(Conv2d(2 * LANES, 2 * LANES, 3, padding="same", groups=2), (17, 33), False, id="grouped"),
    pytest.param(Conv2d(LANES, LANES, 3, padding="same", groups=LANES // 2), (17, 33), False, id="diagonal"),
]


@THREADS
@pytest.mark.parametrize(("module", "size", "winograd"), EXACT)
@pytest.mark.parametrize("batch", [1, 3])
def test_any_thread_count_gives_the_same_bits(module, size, winograd, batch):
    module = filled(module, 18)
    x, found = random(10, batch, module.in_channels, *size), []
    for threads in (1, 2, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        found.append(run(one(module, *x.shape[1:]), x, winograd=winograd))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize(("module", "size", "winograd"), EXACT)
def test_an_example_has_the_same_bits_alone_and_in_a_batch(module, size, winograd):
    """By the same algorithm: which of them is faster depends on the batch."""
    module = filled(module, 19)
    x = random(11, 4, module.in_channels, *size)
    graph = one(module, *x.shape[1:])
    whole = run(graph, x, winograd=winograd)
    for n in range(len(x)):
        np.testing.assert_array_equal(run(graph, x[n : n + 1], winograd=winograd)[0], whole[n])


@THREADS
def test_a_plan_keeps_its_threads_when_the_number_changes():
    graph = one(filled(Conv2d(5, 13, 3, padding="same"), 20), 5, 17, 33)
    x, found = random(12, 2, 5, 17, 33), []
    for made, used in ((1, 2), (2, 1)):
        numba.set_num_threads(made)
        program = Program(graph)
        found += program.run([x])
        numba.set_num_threads(used)
        found += program.run([x])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


# --- what is done on the way out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("winograd", [False, True], ids=["direct", "winograd"])
@pytest.mark.parametrize("out_channels", [1, MR - 1, MR, MR + 1])
@pytest.mark.parametrize("size", [(1, 1), (5, 6), (7, 4 * NR + 3), (33, 34)], ids=str)
def test_norm_residual_and_clamp_on_the_way_out(size, out_channels, winograd):
    make = Maker(x=(3, *size), other=(out_channels, *size))
    make("conv", Conv2d(3, out_channels, 3, padding="same"), "x")
    make("bn", BatchNorm2d(out_channels), "conv")
    make("add", Add(), "bn", "other")
    make("relu", ReLU(max_value=1.25), "add")
    graph = make.graph("relu")
    arrays = [random(13, 3, 3, *size), random(14, 3, out_channels, *size)]
    found, (bounded,) = run(graph, *arrays, winograd=winograd), outputs_of(graph, arrays)
    extra = 0.0
    if winograd:  # the reference has the bound of a direct sum: put Winograd's, behind the norm's factor, in its place
        norm = graph.nodes[1].module
        factor = abs(f64(norm.weight)) / np.sqrt(f64(norm.running_var) + norm.eps)
        extra = factor.reshape(-1, 1, 1) * winograd_bound(graph.nodes[0].module, arrays[0], ((1, 1), (1, 1)))
    assert_within(found, bounded.value, bounded.error + extra)
    assert found.min() >= 0
    assert found.max() <= 1.25


def test_the_choice_goes_both_ways_and_both_are_right():
    """A wide layer goes to Winograd and a thin one does not; without any patch."""
    wide, thin = (1, 64, 56, 56), (1, 8, 3, 3)
    assert plan_winograd.wins(64, wide)
    assert not plan_winograd.wins(8, thin)
    for channels, (_, out_channels, *size) in ((64, wide), (8, thin)):
        graph = one(filled(Conv2d(channels, out_channels, 3, padding="same"), 21), channels, *size)
        assert_plan_agrees(graph, [random(15, 1, channels, *size)])


def test_weights_are_not_changed_and_not_shared_with_results():
    module = filled(Conv2d(3, 3, 1, use_bias=False), 22)
    before = dataclasses.replace(module, weight=module.weight.copy())
    x = random(16, 1, 3, 4, 4)
    found = run(one(module, 3, 4, 4), x)
    found[...] = np.nan
    np.testing.assert_array_equal(module.weight, before.weight)
