"""What holds for every plan: memory is not shared, parts of concatenations have their place, runs leave nothing."""

from __future__ import annotations

import numpy as np

from keydnn.plan import Program, memory
from keydnn.plan.memory import home_of
from keydnn.plan.values import Blocked, Plain


def bound(graph, batch=2):
    return Program(graph).bind([(batch, *given.shape[1:]) for given in graph.inputs])


def kinds(plan):
    """Give the operations of a plan: labels of jobs, classes of modules, or which way a value is converted."""
    names = []
    for operation in plan.route.operations:
        if operation.job is not None:
            names.append(operation.job.label)
        elif operation.unit is not None:
            names.append(type(operation.unit.module).__name__)
        else:
            names.append("same" if operation.is_same_memory else "in" if isinstance(operation.out, Blocked) else "out")
    return names


def extent(value):
    """Give the first number of a value's memory, halo included, and the one behind its last."""
    if isinstance(value, memory.Scratch):
        return value.offset, value.offset + value.size
    if isinstance(value, Plain):
        return value.home.start, value.home.start + value.home.size
    storage = value.storage
    (image, block, row), (top, bottom, left, right) = value.strides, storage.halo
    first = Blocked(storage, storage.blocks * storage.lanes).start - top * row - left * storage.lanes
    last = first + (storage.batch - 1) * image + (storage.blocks - 1) * block
    last += (top + storage.height + bottom - 1) * row + (left + storage.width + right) * storage.lanes
    return first, last


def lives(route):
    """Give extent, first and last step of everything that has memory, by identity."""
    found = {}

    def see(value, when):
        key = id(value if isinstance(value, memory.Scratch) else home_of(value))
        _, first, _ = found.get(key, (None, when, when))
        found[key] = (extent(value), first, when)

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
    found = lives(plan.route)
    groups = {key: {key} for key in found}
    for operation in plan.route.operations:
        if operation.is_same_memory:
            one, other = id(home_of(operation.inputs[0])), id(home_of(operation.out))
            joined = groups[one] | groups[other]
            groups.update(dict.fromkeys(joined, joined))
    for key, (place, first, last) in found.items():
        assert 0 <= place[0] <= place[1] <= plan.arena.size
        for other, (other_place, other_first, other_last) in found.items():
            if other not in groups[key] and first <= other_last and other_first <= last:
                apart = place[1] <= other_place[0] or other_place[1] <= place[0]
                assert apart, f"{place} in steps {first}..{last}, {other_place} in steps {other_first}..{other_last}"


def assert_runs_leave_nothing(plan, arrays):
    """Assert that a run on NaN does not matter for the next."""
    wanted = plan.run(arrays)
    plan.run([np.full_like(array, np.nan) for array in arrays])
    for found, array in zip(plan.run(arrays), wanted, strict=True):
        np.testing.assert_array_equal(found, array)


def parts_in_place(plan):
    """Tell of each part of each concatenation whether it lies where the concatenation has it: the others are copied."""
    found = []
    for operation in plan.route.operations:
        if operation.job is not None and operation.job.label == "concatenation":
            place, parts = operation.out.first, []
            for part in operation.inputs:
                parts.append(part.storage is operation.out.storage and part.first == place and not any(part.pads))
                place += part.blocks
            launches = operation.job.launches(operation.inputs, None, operation.out, 0)
            assert len(launches) == parts.count(False)
            found.append(parts)
    return found
