"""Where values go on the blocked layout: random graphs, memory that is shared and memory that must not be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from jit_kernels._simd import LANES
from keydnn.plan import memory
from keydnn.plan.memory import home_of
from keydnn.plan.values import Blocked, Plain
from tests.plan.blocked_graphs import examples, few_tiles
from tests.plan.graphs import assert_plan_agrees

RELATIVE = 0.05  # of the largest output: the bound takes every error of up to 14 layers at its worst
B = LANES


@pytest.fixture(autouse=True)
def _few_tiles():
    with few_tiles():
        yield


# --- memory, from the definition -------------------------------------------------------------------------------------


def cells(value):
    """Give the first number of a value's memory and the one behind its last, from its places and strides alone."""
    if not isinstance(value, Blocked):
        return (value.offset, value.offset + value.size) if not isinstance(value, Plain) else span(value)
    storage = value.storage
    whole = Blocked(storage, storage.blocks * storage.lanes)
    (image, block, row), (top, bottom, left, right) = whole.strides, storage.halo
    first = whole.start - top * row - left * storage.lanes
    last = whole.start + (storage.batch - 1) * image + (storage.blocks - 1) * block
    last += (storage.height + bottom - 1) * row + (storage.width + right) * storage.lanes
    return first, last


def span(plain):
    return plain.start, plain.start + plain.size


def lives(route):
    """Give (memory, first step, last step, whether it is written anew) of every storage, plain value and scratch."""
    found = {}

    def see(value, when):
        home = home_of(value) if not isinstance(value, memory.Scratch) else value
        place = cells(value) if not isinstance(value, Plain) else span(value.home)
        _, first, _ = found.get(id(home), (place, when, when))
        found[id(home)] = (place, first, when)

    for value in route.inputs:
        see(value, -1)
    for when, operation in enumerate(route.operations):
        for value in (*operation.inputs, operation.out, *([operation.added] if operation.added else [])):
            see(value, when)
        if operation.job is not None and operation.job.scratch:
            assert operation.scratch.size >= operation.job.scratch
            see(operation.scratch, when)
    for value in route.outputs:
        see(value, len(route.operations))
    return found


def assert_memory_is_sound(plan):
    """Assert that no two values live at once in one place, but for those that are the same numbers there."""
    route = plan.route
    found = lives(route)
    same = [{id(home_of(o.out)), id(home_of(o.inputs[0]))} for o in route.operations if o.is_same_memory]
    for group in same:  # groups that meet are one
        for other in same:
            if group & other:
                group |= other
    for key, (place, first, last) in found.items():
        assert 0 <= place[0] <= place[1] <= plan.arena.size
        for other, (other_place, other_first, other_last) in found.items():
            if key == other or any({key, other} <= group for group in same):
                continue
            if first <= other_last and other_first <= last:
                apart = place[1] <= other_place[0] or other_place[1] <= place[0]
                assert apart, f"{place} in steps {first}..{last}, {other_place} in steps {other_first}..{other_last}"


def assert_runs_leave_nothing(plan, arrays):
    """Assert that what the arena holds before a run does not matter, nor a run on NaN."""
    wanted = plan.run(arrays)
    plan.run([np.full_like(array, np.nan) for array in arrays])
    for found, array in zip(plan.run(arrays), wanted, strict=True):
        np.testing.assert_array_equal(found, array)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(examples())
def test_a_random_graph_agrees_and_its_memory_is_sound(example):
    with example.settings():
        program = assert_plan_agrees(example.graph, example.arrays, RELATIVE)
        plan = program.bind([array.shape for array in example.arrays])
        assert_memory_is_sound(plan)
        assert_runs_leave_nothing(plan, example.arrays)
