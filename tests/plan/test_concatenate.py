"""Concatenations whose parts are computed where they are wanted, and those that must be copied."""

from __future__ import annotations

import pytest

from jit_kernels._simd import LANES
from keydnn.modules import (
    Add,
    BatchNorm2d,
    Concatenate,
    Conv1d,
    Conv2d,
    Linear,
    MaxPool2d,
    Multiply,
    ReLU,
    SiLU,
    Softmax,
    ZeroPad2d,
)
from tests.plan.choices import few_tiles, winograd
from tests.plan.graphs import Maker, arrays_for, assert_plan_agrees
from tests.plan.soundness import assert_memory_is_sound, assert_runs_leave_nothing, kinds, parts_in_place

RELATIVE = 0.05
B = LANES


@pytest.fixture(autouse=True, scope="module")
def _few_kernels():
    with few_tiles(), winograd(False):
        yield


def check_parts(graph, *wanted, batch=2):
    """Assert which parts of each concatenation are in place, that the others are copied, and that all is right."""
    arrays = arrays_for(graph, batch)
    plan = assert_plan_agrees(graph, arrays, RELATIVE).bind([array.shape for array in arrays])
    assert parts_in_place(plan) == [list(parts) for parts in wanted]
    assert_memory_is_sound(plan)
    assert_runs_leave_nothing(plan, arrays)
    return plan


@pytest.mark.parametrize("plane", [(5, 6), (1, 1)], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_dense_block_copies_nothing(batch, plane):
    """Each convolution reads all values before it, as in DenseNet."""
    make = Maker(x=(B, *plane))
    last = make("first", Conv2d(B, B, 1), "x")
    for step in range(4):
        channels = (step + 1) * B
        make(f"bn{step}", BatchNorm2d(channels), last)
        make(f"relu{step}", ReLU(), f"bn{step}")
        make(f"conv{step}", Conv2d(channels, B if step < 3 else 5, 3, padding="same"), f"relu{step}")
        last = make(f"join{step}", Concatenate(1), last, f"conv{step}")
    plan = check_parts(make.graph(last), *[[True, True]] * 4, batch=batch)
    assert kinds(plan).count("out") <= 1
    storages = {
        id(o.out.storage) for o in plan.route.operations if o.job is not None and o.job.label == "concatenation"
    }
    assert len(storages) == 1


def two_values(second=B):
    make = Maker(x=(B, 5, 6))
    make("a", Conv2d(B, B, 1), "x")
    make("b", Conv2d(B, second, 3, padding="same"), "x")
    return make


def test_parts_that_others_read_with_a_halo_are_in_place():
    make = two_values(B + 3)
    make("join", Concatenate(1), "a", "b")
    make("c", Conv2d(B, 3, 5, padding="same"), "a")
    make("d", Conv2d(B + 3, 3, 3, padding=((0, 0), (3, 0))), "b")
    make("e", Conv2d(2 * B + 3, 3, 3, padding="same"), "join")
    check_parts(make.graph("c", "d", "e", "a", "b"), [True, True])


def test_a_part_of_broken_blocks_stands_last_or_the_module_copies():
    make = two_values(B + 3)
    make("last", Concatenate(1), "a", "b")
    check_parts(make.graph("last"), [True, True])
    make = two_values(B + 3)
    make("first", Concatenate(1), "b", "a")
    assert "Concatenate" in kinds(check_parts(make.graph("first")))


@pytest.mark.parametrize("dim", [2, 3, -1])
def test_other_axes_are_left_to_the_module(dim):
    make = two_values()
    make("join", Concatenate(dim), "a", "b")
    assert "Concatenate" in kinds(check_parts(make.graph("join")))


@pytest.mark.parametrize("dim", [1, -3])
def test_the_axis_of_channels_may_be_counted_from_behind(dim):
    make = two_values()
    make("join", Concatenate(dim), "a", "b")
    check_parts(make.graph("join"), [True, True])


def test_a_value_twice_in_one_concatenation_is_copied_once():
    make = two_values(B + 3)
    make("join", Concatenate(1), "a", "a", "b")
    make("c", Conv2d(3 * B + 3, 4, 3, padding="same"), "join")
    check_parts(make.graph("c", "join"), [True, False, True])


def test_a_value_in_two_concatenations_is_copied_into_the_second():
    make = two_values()
    make("one", Concatenate(1), "a", "b")
    make("two", Concatenate(1), "b", "a")
    make("three", Concatenate(1), "one", "two")
    make("c", Conv2d(4 * B, 4, 3, padding="same"), "three")
    check_parts(make.graph("one", "c"), [True, True], [False, False], [True, True])


def test_a_concatenation_with_itself_and_with_its_part():
    make = two_values()
    make("one", Concatenate(1), "a", "b")
    make("two", Concatenate(1), "one", "one")
    make("three", Concatenate(1), "a", "two")
    check_parts(make.graph("three", "one"), [True, True], [True, False], [False, True])


def test_nested_concatenations_are_in_place_all_the_way():
    make = two_values()
    make("c", Conv2d(B, 2 * B, 1), "a")
    make("inner", Concatenate(1), "a", "b")
    make("other", Concatenate(1), "c", "inner")
    make("pool", MaxPool2d(1), "other")
    make("outer", Concatenate(1), "pool", "other")
    make("last", Conv2d(8 * B, 3, 3, padding="same"), "outer")
    check_parts(make.graph("last", "inner"), [True, True], [True, True], [True, True])


def test_inputs_and_plain_values_are_converted_into_place():
    make = Maker(x=(B, 6, 5), y=(B, 6, 5))
    make("a", Conv2d(B, B, 1), "x")
    make("soft", Softmax(), "y")
    make("join", Concatenate(1), "x", "a", "soft")
    check_parts(make.graph("join"), [True, True, True])


def test_a_padded_value_is_copied():
    make = two_values()
    make("pad", ZeroPad2d(((1, 0), (0, 2))), "a")
    make("join", Concatenate(1), "pad", "pad")
    make("c", Conv2d(B, B, 1), "pad")
    make("other", Concatenate(1), "c", "pad")
    check_parts(make.graph("join", "other", "a"), [False, False], [True, False])


def test_a_concatenation_may_be_padded():
    make = two_values()
    make("join", Concatenate(1), "a", "b")
    make("pad", ZeroPad2d(((1, 0), (0, 2))), "join")
    make("c", Conv2d(2 * B, B, 3, padding=1), "pad")
    make("d", Conv2d(2 * B, B, 3, 2), "join")
    check_parts(make.graph("c", "d", "pad", "b"), [True, True])


@pytest.mark.parametrize("batch", [1, 3])
def test_sequences_and_vectors_are_joined_in_place(batch):
    make = Maker(x=(B, 6), v=(B,))
    make("a", Conv1d(B, B, 3, padding="same"), "x")
    make("b", Conv1d(B, 3, 1), "a")
    make("join", Concatenate(1), "a", "b")
    make("c", Linear(B, 2 * B), "v")
    make("d", Linear(2 * B, 5), "c")
    make("vectors", Concatenate(1), "c", "d")
    check_parts(make.graph("join", "vectors"), [True, True], [True, True], batch=batch)


def test_what_is_computed_in_one_storage_reads_other_parts_of_it():
    make = two_values()
    make("product", Multiply(), "a", "b")
    make("act", SiLU(), "product")
    make("c", Conv2d(B, B, 3, padding="same"), "act")
    make("add", Add(), "c", "a")
    make("join", Concatenate(1), "a", "product", "act", "add", "b")
    check_parts(make.graph("join"), [True] * 5)
