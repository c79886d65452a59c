"""Where values live: no two at one place while both are needed, and nothing of the plan in a caller's hands."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.modules import (
    Add,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    Linear,
    MaxPool2d,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    Sigmoid,
    Subtract,
    Tanh,
)
from keydnn.plan import Program, memory
from tests.plan.graphs import Maker, arrays_for, assert_plan_agrees, random


@st.composite
def lifetimes(draw):
    count = draw(st.integers(0, 14))
    found = []
    for _ in range(count):
        first = draw(st.integers(-1, 12))
        found.append(memory.Lifetime(draw(st.integers(1, 100)), first, draw(st.integers(first, 13))))
    return found


def overlap(one, other):
    """Tell whether both are needed in some step, from the definition."""
    return bool(set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1)))


@settings(max_examples=300, deadline=None)
@given(lifetimes())
def test_values_that_live_at_once_never_share_memory(found):
    offsets, total = memory.offsets_of(found)
    assert len(offsets) == len(found)
    rounded = [-(-life.size // memory.ALIGN) * memory.ALIGN for life in found]
    assert total <= sum(rounded)
    for i, (life, offset) in enumerate(zip(found, offsets, strict=True)):
        assert offset % memory.ALIGN == 0
        assert 0 <= offset <= offset + life.size <= total
        for other, place in zip(found[:i], offsets[:i], strict=True):
            if overlap(life, other):
                assert offset + life.size <= place or place + other.size <= offset


@settings(max_examples=100, deadline=None)
@given(lifetimes())
def test_the_block_is_no_smaller_than_what_lives_at_once(found):
    _, total = memory.offsets_of(found)
    assert total >= max((sum(v.size for v in found if v.first <= step <= v.last) for step in range(-1, 14)), default=0)


def test_a_chain_takes_the_room_of_its_two_largest_neighbours():
    found = [memory.Lifetime(160, step, step + 1) for step in range(20)]
    assert memory.offsets_of(found)[1] == 320


@pytest.mark.parametrize("size", [1, 16, 1000])
def test_blocks_start_on_a_cache_line(size):
    for _ in range(5):
        block = memory.aligned(size)
        assert (block.size, block.dtype, block.ctypes.data % 64) == (size, np.float32, 0)


def view_of_the_input():
    make = Maker(x=(3, 4))
    make("flat", Flatten(), "x")
    make("shaped", Reshape((2, 6)), "flat")
    make("y", ReLU(), "shaped")
    return make.graph("flat", "y", "shaped")


def input_is_output():
    make = Maker(x=(3, 4), z=(3, 4))
    make("y", Add(), "x", "z")
    make("w", ReLU(), "y")
    return make.graph("x", "w", "z")


def only_an_input():
    return Maker(x=(3, 4)).graph("x")


def input_nobody_reads():
    make = Maker(x=(3, 4), unread=(50,))
    make("y", Tanh(), "x")
    make("z", Sigmoid(), "y")
    return make.graph("z")


def one_value_twice():
    make = Maker(x=(3, 4))
    make("y", Tanh(), "x")
    make("drop", Dropout(0.3), "y")
    return make.graph("y", "y", "drop")


def input_read_late():
    make = Maker(x=(3, 8, 8))
    last = "x"
    for step in range(6):
        last = make(f"conv{step}", Conv2d(3, 3, 3, padding="same"), last)
        last = make(f"tanh{step}", Tanh(), last)
    make("late", Multiply(), last, "x")
    return make.graph("late")


def view_read_late():
    make = Maker(x=(3, 8, 8))
    make("conv", Conv2d(3, 3, 3, padding="same"), "x")
    make("flat", Flatten(), "conv")
    make("shaped", Reshape((3, 8, 8)), "flat")
    last = "shaped"
    for step in range(4):
        last = make(f"tanh{step}", Tanh(), last)
    make("back", Flatten(), last)
    make("late", Subtract(), "back", "flat")
    make("dense", Linear(192, 4), "late")
    return make.graph("dense", "shaped")


def view_that_only_keeps_its_input_alive():
    make = Maker(x=(3, 8, 8))
    make("a", Tanh(), "x")
    make("flat", Flatten(), "a")  # an output: memory of ``a`` stays taken, though nobody reads ``a`` any more
    last = "x"
    for step in range(4):
        last = make(f"b{step}", Sigmoid(), last)
    return make.graph("flat", last)


def value_read_after_its_view():
    make = Maker(x=(3, 8, 8))
    make("a", Tanh(), "x")
    make("flat", Flatten(), "a")
    make("sum", Subtract(), "a", "x")
    make("b", Sigmoid(), "flat")  # the last to read the view, but not the memory
    make("c", Tanh(), "b")
    make("d", Sigmoid(), "c")
    make("e", Reshape((3, 8, 8)), "d")
    make("late", Multiply(), "a", "e")
    make("all", Subtract(), "late", "sum")
    return make.graph("all")


def values_nobody_reads():
    make = Maker(x=(3, 8, 8))
    make("dead", Tanh(), "x")
    make("dead_conv", Conv2d(3, 5, 3), "x")
    make("dead_relu", ReLU(), "dead_conv")
    make("y", MaxPool2d(2), "x")
    return make.graph("y")


def residual_over_other_values():
    make = Maker(x=(6, 8, 8))
    make("a", Conv2d(6, 6, 3, padding="same"), "x")
    make("b", Conv2d(6, 6, 3, padding="same"), "x")
    make("c", Tanh(), "b")
    make("d", Tanh(), "c")
    make("e", Add(), "a", "d")  # a is computed behind d, so x lives until then
    make("f", Sigmoid(), "e")
    return make.graph("f")


def ladder():
    make = Maker(x=(4, 6, 6))
    values = ["x"]
    for step in range(6):
        values.append(make(f"c{step}", Conv2d(4, 4, 3, padding="same"), values[-1]))
        values.append(make(f"n{step}", BatchNorm2d(4), values[-1]))
        values.append(make(f"j{step}", Add(), values[-1], values[max(0, len(values) - 5)]))
    make("join", Concatenate(1), values[3], values[-1], values[6])
    return make.graph("join", values[9], "x")


def moves():
    make = Maker(x=(4, 6))
    make("turned", Permute((0, 2, 1)), "x")
    make("same", Identity(), "turned")
    make("flat", Flatten(), "same")
    make("both", Concatenate(1), "flat", "flat")
    return make.graph("both", "same", "turned")


CASES = [
    view_of_the_input, input_is_output, only_an_input, input_nobody_reads, one_value_twice, input_read_late,
    view_read_late, view_that_only_keeps_its_input_alive, value_read_after_its_view,
    values_nobody_reads, residual_over_other_values, ladder,
    moves,
]  # fmt: skip
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)


@EACH
def test_the_answer_is_right(case):
    assert_plan_agrees(case())


@EACH
def test_runs_neither_disturb_each_other_nor_earlier_results(case):
    graph = case()
    program = Program(graph)
    first, second = arrays_for(graph, seed=1), arrays_for(graph, seed=100)
    wanted = [Program(graph).run(arrays) for arrays in (first, second)]
    one = program.run(first)
    kept = [array.copy() for array in one]
    other = program.run(second)
    again = program.run(first)
    for place, array in enumerate(one):
        np.testing.assert_array_equal(array, kept[place])
        np.testing.assert_array_equal(array, wanted[0][place])
        np.testing.assert_array_equal(other[place], wanted[1][place])
        np.testing.assert_array_equal(again[place], wanted[0][place])
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@EACH
def test_results_are_the_callers_own(case):
    graph = case()
    program, arrays = Program(graph), arrays_for(graph)
    given = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    found = program.run(arrays)
    wanted = [array.copy() for array in found]
    for place, array in enumerate(found):
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert not any(np.shares_memory(array, other) for other in [*arrays, *found[:place]])
        array[...] = np.nan  # whatever a caller does to a result, the plan does not see it
    for array, before in zip(arrays, given, strict=True):
        np.testing.assert_array_equal(array, before)
    for array, before in zip(program.run(arrays), wanted, strict=True):
        np.testing.assert_array_equal(array, before)


def test_what_an_earlier_run_left_behind_is_not_read():
    """A run on NaN fills every buffer, scratch memory too, with NaN; the next run has none of it."""
    make = Maker(x=(24, 17, 19))
    make("wino", Conv2d(24, 26, 3, padding="same"), "x")
    make("gemm", Conv2d(26, 7, 3, 2, padding="same"), "wino")
    make("deep", Conv2d(7, 7, 5, 2, padding="same", groups=7), "gemm")
    make("point", Conv2d(7, 5, 1), "deep")
    make("pool", MaxPool2d(2, padding="same"), "point")
    graph = make.graph("pool")
    program, x = Program(graph), random(1, 2, 24, 17, 19)
    (wanted,) = Program(graph).run([x])
    program.run([np.full_like(x, np.nan)])
    (found,) = program.run([x])
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, wanted)
