"""Volumes in a plan: their planes are images, and a convolution of the depth reads several of them."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jit_kernels._simd import LANES
from keydnn.modules import (
    Add,
    BatchNorm3d,
    Concatenate,
    Conv2d,
    Conv3d,
    ConvTranspose3d,
    Flatten,
    FoldTime,
    GlobalAvgPool3d,
    Linear,
    MaxPool3d,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    SiLU,
    UnfoldTime,
    Upsample3d,
    ZeroPad3d,
)
from keydnn.plan.planes import Planes, planes_of
from keydnn.plan.window import Depth
from tests.plan.algorithms import Seeded, arrays_of, labels
from tests.plan.graphs import arrays_for, assert_plan_agrees, one, units, well_conditioned

FIRST, LAST = (0, 4, 1, 2, 3), (0, 2, 3, 4, 1)
B = LANES


def plan_of(graph, batch=2):
    """Compare a graph, and give its plan and the labels of its operations."""
    arrays = arrays_of(graph, batch)
    return labels(assert_plan_agrees(graph, arrays).bind([array.shape for array in arrays]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_convolutions_agree_for_any_geometry(data):
    small, tiny = st.integers(1, 3), st.integers(0, 2)
    each, pads = st.tuples(small, small, small), st.tuples(*[st.tuples(tiny, tiny)] * 3)
    channels, out = data.draw(st.sampled_from([1, 3, B, B + 2])), data.draw(st.sampled_from([2, B, B + 1]))
    kernel, stride, dilation = data.draw(each), data.draw(each), data.draw(st.sampled_from([1, 2, (2, 1, 1)]))
    module = Conv3d(channels, out, kernel, stride, data.draw(st.just("same") | pads), dilation)
    reach = [d * (k - 1) + 1 for d, k in zip(module.dilation, kernel, strict=True)]
    size = [data.draw(st.integers(n, n + 4)) for n in reach]
    module = well_conditioned(module, np.random.default_rng(data.draw(st.integers(0, 99))))
    graph = one(module, channels, *size)
    assert_plan_agrees(graph, arrays_for(graph, data.draw(st.integers(1, 3))))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_transposed_convolutions_agree_for_any_geometry(data):
    small = st.integers(1, 3)
    each = st.tuples(small, small, small)
    channels, out = data.draw(st.sampled_from([1, B + 2])), data.draw(st.sampled_from([2, B + 1]))
    kernel, stride, dilation = data.draw(each), data.draw(each), data.draw(st.sampled_from([1, (2, 1, 1)]))
    extra = data.draw(st.tuples(*[st.integers(0, 1)] * 3))
    crops = tuple(data.draw(st.sampled_from([(0, 0), (0, 1), (1, 0)])) if k > 1 else (0, 0) for k in kernel)
    module = ConvTranspose3d(channels, out, kernel, stride, crops, extra, dilation)
    module = well_conditioned(module, np.random.default_rng(data.draw(st.integers(0, 99))))
    graph = one(module, channels, *(data.draw(st.integers(1, 4)) for _ in range(3)))
    assert_plan_agrees(graph, arrays_for(graph, data.draw(st.integers(1, 3))))


@given(st.data())
def test_every_output_plane_reads_what_the_definition_says(data):
    size, kernel, stride, dilation = (data.draw(st.integers(1, n)) for n in (7, 4, 4, 3))
    before, after, transposed = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3)), data.draw(st.booleans())
    reach = dilation * (kernel - 1) + 1
    if transposed:
        outputs = (size - 1) * stride + reach - before - after
    else:
        outputs = (size + before + after - reach) // stride + 1
    if outputs < 1:
        return
    wanted = {}
    for place in range(outputs):
        for index in range(kernel):
            for plane in range(size):
                here = plane * stride + index * dilation - before == place
                if here if transposed else place * stride + index * dilation - before == plane:
                    wanted.setdefault(place, set()).add((index, plane))
    found = {}
    for group in planes_of(Depth(kernel, stride, dilation, before, after), size, outputs, 2, transposed):
        for number in range(group.outputs // (1 if group.examples == 2 else 2)):
            taps = {(index, group.source[0] + number * group.source[1] + plane) for index, plane in group.taps}
            assert found.setdefault(group.target[0] + number * group.target[1], taps) is taps
    assert found == wanted if len(wanted) == outputs else not found


def test_planes_that_read_alike_are_one_group():
    groups = planes_of(Depth(3, 1, 1, 1, 1), 9, 9, 4, transposed=False)
    assert groups == [
        Planes(((1, 0), (2, 1)), (0, 1), (0, 1), 1, 4),
        Planes(((0, 0), (1, 1), (2, 2)), (0, 1), (1, 1), 7, 4),
        Planes(((0, 0), (1, 1)), (7, 1), (8, 1), 1, 4),
    ]
    assert planes_of(Depth(), 9, 9, 4, transposed=False) == [Planes(outputs=36)]
    assert planes_of(Depth(1, 2), 3, 5, 4, transposed=True) == []  # every other plane reads nothing


def network():
    """Everything that a network of volumes has, channels last."""
    make = Seeded(x=(5, 6, 7, 3))
    make("first", Permute(FIRST), "x")
    make("pad", ZeroPad3d(((1, 0), (0, 1), (2, 0))), "first")
    make("conv", Conv3d(3, B, (3, 3, 2)), "pad")
    make("bn", BatchNorm3d(B), "conv")
    make("relu", ReLU(), "bn")
    make("inner", Conv3d(B, B, 3, padding="same"), "relu")
    make("add", Add(), "inner", "relu")
    make("silu", SiLU(), "add")
    make("flat", Conv3d(B, 2 * B, (1, 3, 3), padding="same"), "silu")
    make("join", Concatenate(1), "silu", "flat")
    make("point", Conv3d(3 * B, B, 1), "join")
    make("up", ConvTranspose3d(B, 4, 2, 2), "point")
    make("tanh", SiLU(), "up")
    make("last", Permute(LAST), "tanh")
    return make.graph("last")


@pytest.mark.parametrize("batch", [1, 3])
def test_a_network_of_volumes_stays_in_blocks(batch):
    graph = network()
    arrays = arrays_of(graph, batch)
    plan = assert_plan_agrees(graph, arrays).bind([array.shape for array in arrays])
    assert not [operation for operation in plan.route.operations if operation.unit and not operation.job]
    assert labels(plan)[:2] == ["pixels convolution", "direct convolution"]
    assert labels(plan)[-1] == "transposed convolution"


def test_padding_normalization_sum_and_activation_are_taken_in():
    assert units(network())[1:3] == ["pad+conv+bn+relu", "inner+add+silu"]


def leaving():
    """What leaves the blocked layout and comes back to it."""
    make = Seeded(x=(B, 4, 6, 5))
    make("a", Conv3d(B, B, 3, padding="same"), "x")
    make("pool", MaxPool3d(2), "a")
    make("b", Conv3d(B, B + 1, 2, padding="same"), "pool")
    make("scale", Upsample3d((2, 1, 1)), "b")
    make("bn", BatchNorm3d(B + 1), "scale")
    make("c", Conv3d(B + 1, 4, 1), "bn")
    make("mean", GlobalAvgPool3d(keepdims=True), "c")
    make("scaled", Multiply(), "c", "mean")
    make("flat", Flatten(), "scaled")
    make("dense", Linear(4 * 4 * 3 * 2, 3), "flat")
    return make.graph("dense", "a")


def views():
    """A volume of one plane is an image, and a row of planes is not."""
    make = Seeded(x=(B, 6, 5))
    make("a", Conv2d(B, B, 3), "x")
    make("volume", Reshape((B, 1, 4, 3)), "a")
    make("b", Conv3d(B, B, (1, 2, 2)), "volume")
    make("image", Reshape((B, 3, 2)), "b")
    make("c", Conv2d(B, B, 2), "image")
    make("deep", Reshape((B, 2, 1, 1)), "c")
    make("d", Conv3d(B, B, (2, 1, 1)), "deep")
    make("rows", Linear(1, 3), "deep")
    return make.graph("d", "rows")


def moved():
    """Permutations of volumes that are no change of layout."""
    make = Seeded(x=(4, 3, 2, B))
    make("turn", Permute((0, 4, 3, 1, 2)), "x")
    make("a", Conv3d(B, 5, (2, 1, 2)), "turn")
    make("back", Permute((0, 3, 1, 4, 2)), "a")
    make("b", Conv3d(4, 4, 1), "back")
    return make.graph("b", "back")


def steps():
    """As many time steps as channels: images of steps have the sizes of planes of volumes, and are others."""
    make = Seeded(x=(4, 4, 5, 3))
    make("fold", FoldTime(), "x")
    make("a", Conv2d(4, 4, 1), "fold")
    make("unfold", UnfoldTime(), "a", "x")
    make("silu", SiLU(), "unfold")
    make("b", Conv3d(4, 4, (2, 1, 1), padding="same"), "unfold")
    make("folded", FoldTime(), "b")
    make("c", Conv2d(4, 4, 1), "folded")
    return make.graph("silu", "b", "c")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("make", [leaving, views, moved, steps], ids=lambda make: make.__name__)
def test_the_answer_is_the_same_wherever_values_change_their_layout(make, batch):
    plan_of(make(), batch)


def test_an_empty_batch_gives_an_empty_batch():
    graph = network()
    program = assert_plan_agrees(graph, arrays_of(graph, 1))
    assert program.run([np.zeros((0, 5, 6, 7, 3), np.float32)])[0].shape == (0, 8, 10, 16, 4)


@pytest.mark.parametrize("groups", [2, B])
def test_groups_run_on_blocks_where_they_can(groups):
    module = well_conditioned(Conv3d(2 * B, 2 * B, 2, groups=groups), np.random.default_rng(1))
    assert plan_of(one(module, 2 * B, 3, 4, 5)) == [f"{'grouped' if groups == 2 else 'diagonal'} convolution"]


def test_depthwise_convolutions_of_the_depth_have_their_own_kernel():
    module = well_conditioned(Conv3d(B, B, 2, groups=B), np.random.default_rng(1))
    assert plan_of(one(module, B, 3, 4, 5)) == []
    module = well_conditioned(Conv3d(B, B, (1, 2, 2), groups=B), np.random.default_rng(1))
    assert plan_of(one(module, B, 3, 4, 5)) == ["depthwise convolution"]


def test_no_more_is_computed_than_the_planes_that_there_are():
    """Planes of padding are left out, not multiplied."""
    program = assert_plan_agrees(
        one(well_conditioned(Conv3d(B, B, 3, padding="same"), np.random.default_rng(1)), B, 2, 4, 4)
    )
    (operation,) = [o for o in program.bind([(1, B, 2, 4, 4)]).route.operations if o.job is not None]
    assert math.prod(operation.inputs[0].sizes) == 2 * B * 16
