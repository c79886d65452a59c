"""Where values change their layout, and where they need not; random graphs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from jit_kernels._simd import LANES
from keydnn.modules import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Crop2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    Maximum,
    MaxPool2d,
    Minimum,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    SiLU,
    Softmax,
    Tanh,
    Upsample2d,
    ZeroPad2d,
)
from keydnn.plan import Program
from keydnn.plan.values import Blocked
from tests.plan.blocked_graphs import example, examples
from tests.plan.choices import few_tiles, kept_halos, winograd
from tests.plan.graphs import Maker, arrays_for, assert_plan_agrees
from tests.plan.soundness import assert_memory_is_sound, assert_runs_leave_nothing, bound, kinds, parts_in_place

RELATIVE = 0.05  # of the largest output: the bound takes every error of up to 16 layers at its worst
B = LANES


@pytest.fixture(autouse=True, scope="module")
def _few_kernels():
    with few_tiles(), winograd(False):
        yield


def check(graph, batch=2, arrays=None):
    """Assert that a graph agrees with float64, in sound memory; give the plan."""
    arrays = arrays_for(graph, batch) if arrays is None else arrays
    plan = assert_plan_agrees(graph, arrays, RELATIVE).bind([array.shape for array in arrays])
    assert_memory_is_sound(plan)
    assert_runs_leave_nothing(plan, arrays)
    return plan


# --- random graphs ---------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(examples())
def test_a_random_graph_agrees_and_its_memory_is_sound(example):
    with example.settings():
        check(example.graph, arrays=example.arrays)


def test_random_graphs_hold_what_they_are_meant_to():
    """Otherwise a change of the generator could take the interesting cases away unseen."""
    counts = Counter()
    for seed in range(150):
        drawn = example(10, seed)
        with drawn.settings():
            plan = Program(drawn.graph).bind([array.shape for array in drawn.arrays])
        counts.update(kinds(plan))
        counts.update(f"part in place: {found}" for parts in parts_in_place(plan) for found in parts)
        values = [value for operation in plan.route.operations for value in operation.inputs]
        counts["padded"] += any(isinstance(value, Blocked) and any(value.pads) for value in values)
        counts["residual"] += any(operation.added is not None for operation in plan.route.operations)
    convolutions = ["direct", "pixels", "grouped", "diagonal", "depthwise", "Winograd", "transposed"]
    for name in (
        *(f"{kind} convolution" for kind in convolutions), "dense", "pooling", "global pooling", "upsampling",
        "batch normalization", "activation", "multiply", "maximum", "Permute", "part in place: True",
        "part in place: False", "padded", "residual", "same",
    ):  # fmt: skip
        assert counts[name] >= 4, f"{name}: {counts}"


def test_an_overlap_is_found():
    """By the check that the tests above rely on."""
    make = Maker(x=(B, 5, 6))
    make("a", Conv2d(B, B, 3, padding="same"), "x")
    make("b", Conv2d(B, B, 3, padding="same"), "a")
    plan = bound(make.graph("b"))
    assert_memory_is_sound(plan)
    one, other = (operation.out.storage for operation in plan.route.operations[1:3])
    other.offset = one.offset + one.size - 1
    with pytest.raises(AssertionError, match="in steps"):
        assert_memory_is_sound(plan)


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_values_stay_blocked_from_the_first_convolution_to_the_last():
    make = Maker(x=(B, 8, 8))
    make("a", Conv2d(B, B, 3, padding="same"), "x")
    make("pool", MaxPool2d(2), "a")
    make("drop", Dropout(0.5), "pool")
    make("bn", BatchNorm2d(B), "drop")
    make("up", Upsample2d(2), "bn")
    make("b", Conv2d(B, B, 1), "up")
    make("mean", GlobalAvgPool2d(), "b")
    make("flat", Flatten(), "mean")
    make("dense", Linear(B, 5), "flat")
    assert kinds(check(make.graph("dense"))) == [
        "in", "direct convolution", "pooling", "batch normalization", "upsampling", "direct convolution",
        "global pooling", "dense", "out",
    ]  # fmt: skip


def test_channels_last_becomes_blocked_in_one_copy_and_back_in_one():
    make = Maker(x=(6, 7, B + 3))
    make("first", Permute((0, 3, 1, 2)), "x")
    make("a", Conv2d(B + 3, B, 3, padding="same"), "first")
    make("last", Permute((0, 2, 3, 1)), "a")
    assert kinds(check(make.graph("last"))) == ["in", "direct convolution", "out"]


def test_a_permutation_may_be_read_in_both_layouts():
    make = Maker(x=(6, 7, B))
    make("first", Permute((0, 3, 1, 2)), "x")
    make("drop", Dropout(0.5), "first")
    make("a", Conv2d(B, B, 3, padding="same"), "drop")
    make("crop", Crop2d(1), "first")
    make("turned", Permute((0, 1, 3, 2)), "a")
    make("again", Conv2d(B, 3, 1), "turned")
    make("twice", Permute((0, 1, 3, 2)), "turned")
    check(make.graph("a", "crop", "again", "turned", "twice"))


def test_a_value_is_converted_once_for_all_readers():
    make = Maker(x=(B, 6, 7))
    make("a", Conv2d(B, B, 3, padding="same"), "x")
    make("b", Conv2d(B, 3, (1, 5), padding=((0, 0), (1, 3))), "x")
    make("one", Crop2d(1), "a")
    make("two", Crop2d(2), "a")
    found = kinds(check(make.graph("a", "b", "one", "two")))
    assert (found.count("in"), found.count("out")) == (1, 2)


def test_few_channels_lie_side_by_side_for_a_convolution_and_in_a_block_for_others():
    few = min(3, B // 2)
    make = Maker(x=(few, 6, 7))
    make("a", Conv2d(few, B, 3, padding="same"), "x")
    make("b", Conv2d(few, B, 1), "x")
    make("product", Multiply(), "a", "b", "a")
    make("join", Concatenate(1), "product", "x")
    found = kinds(check(make.graph("join")))
    assert found == ["in", "pixels convolution", "pixels convolution", "multiply", "in", "concatenation", "out"]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [B, B + 3, 2 * B])
def test_one_pixel_of_one_image_is_the_same_in_both_layouts(size, batch):
    """The memory of an input, of a value and of outputs is shared, though others read and write around them."""
    make = Maker(x=(size,))
    make("a", Linear(size, size), "x")
    make("b", Linear(size, size), "a")
    make("soft", Softmax(), "b")
    make("c", Linear(size, size), "soft")
    make("late", Add(), "c", "x")
    found = kinds(check(make.graph("late", "soft", "a", "x", "c"), batch))
    assert ("same" in found) == (batch == 1)
    assert bool({"in", "out"} & set(found)) == (batch == 2)


def test_rows_of_features_are_pixels():
    make = Maker(x=(5, B + 3))
    make("a", Linear(B + 3, B), "x")
    make("b", Linear(B, 2 * B), "a")
    make("conv", Conv1d(5, 2 * B, 3, padding="same"), "b")
    make("c", Linear(2 * B, 3), "conv")
    found = [kind for kind in kinds(check(make.graph("c", "b"))) if "convolution" not in kind]
    assert found == ["in", "dense", "dense", "out", "in", "out", "in", "dense", "out"]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "shapes",
    [[(1, B), (1, B, 1)], [(B, 1, 6), (B, 6)], [(B, 2, 3), (B, 6), (B, 3, 2)], [(B, 1), (B,), (B, 1, 1), (1, B)]],
    ids=str,
)
def test_views_of_a_value_keep_their_own_sizes(shapes, batch):
    """A dense layer sees rows, a convolution channels, of the same memory."""
    channels, size = shapes[0][0], int(np.prod(shapes[0]))
    make = Maker(x=(channels, size // channels))
    last = make("first", Conv1d(channels, channels, 3, padding="same"), "x")
    outputs = []
    for place, shape in enumerate(shapes):
        last = make(f"view{place}", Reshape(shape), last)
        outputs.append(make(f"out{place}", Conv2d(shape[0], B, 1) if len(shape) == 3 else Linear(shape[-1], B), last))
        if len(shape) == 2:
            outputs.append(make(f"conv{place}", Conv1d(shape[0], 3, 1), last))
    check(make.graph(*outputs), batch)


@pytest.mark.parametrize("behind", [ReLU(), ReLU(max_value=0.3), SiLU()], ids=str)
@pytest.mark.parametrize("module", [Add(), Multiply(), Maximum(), Minimum()], ids=lambda module: type(module).__name__)
def test_what_follows_a_merge_of_three_is_done_once(module, behind):
    make = Maker(x=(B + 3, 5, 6))
    for name in "abc":
        make(name, Conv2d(B + 3, B + 3, 1), "x")
        make(f"pool{name}", MaxPool2d(1), name)
    make("merge", module, "poola", "poolb", "poolc")
    make("y", behind, "merge")
    assert kinds(check(make.graph("y"))).count("activation") == 0


# --- padding that is a part of the halo ------------------------------------------------------------------------------

READERS = [
    MaxPool2d(2), AvgPool2d((2, 3), 1, padding="same"), GlobalAvgPool2d(), Conv2d(B + 3, 5, 1), ReLU(), SiLU(),
    Conv2d(B + 3, 5, 3, padding="same"), Conv2d(B + 3, B + 3, 3, padding="same", groups=B + 3), BatchNorm2d(B + 3),
    Upsample2d(2), ConvTranspose2d(B + 3, 4, 3, 2), Flatten(), Permute((0, 2, 3, 1)), ZeroPad2d(((0, 1), (2, 0))),
    Tanh(), Softmax(),
]  # fmt: skip


@pytest.mark.parametrize("kept", [False, True], ids=["each-run", "kept"])
@pytest.mark.parametrize("plane", [(5, 6), (1, 1)], ids=str)
@pytest.mark.parametrize("reader", READERS, ids=str)
def test_zeros_around_a_value_are_there_for_every_reader(reader, plane, kept):
    make = Maker(x=(B, *plane))
    make("a", Conv2d(B, B + 3, 1), "x")
    make("pad", ZeroPad2d(((1, 2), (0, 3))), "a")
    make("y", reader, "pad")
    make("add", Add(), "pad", "pad")
    make("pool", MaxPool2d(1), "a")
    with kept_halos(kept):
        check(make.graph("y", "pool", "add"))


def test_kept_halos_change_no_bits():
    for seed in range(40):
        drawn, found = example(8, seed), []
        for drawn.kept in (False, True):
            with drawn.settings():
                found.append(Program(drawn.graph).run(drawn.arrays))
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)
