"""Merging layers in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.kerases import Case, adding_to, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, case = partial(cases.one, CASES), adding_to(CASES)

SAME = ((3, 4), (3, 4))
SHAPES = {
    "same": SAME,
    "three": (*SAME, (3, 4)),
    "broadcast": ((3, 4), (3, 1)),
    "broadcast-both": ((3, 1), (1, 4)),
    "rank-2-and-3": ((4,), (3, 4)),
    "rank-4-and-2": ((2, 3, 4), (4,)),
    "rank-2-and-3-free": ((4,), (None, 4)),
    "rank-3-free-and-4": ((None, 4), (2, 5, 4)),
    "ranks-2-3-4": ((4,), (3, 4), (2, 3, 4)),
}
for class_name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
    for what, shapes in SHAPES.items():
        if class_name != "Subtract" or len(shapes) == 2:
            one(what, class_name, *shapes)
one("rank-2", "Concatenate", (3,), (5,))
for axis, shapes in {
    -1: ((2, 3, 4), (2, 3, 5)),
    1: ((2, 3, 4), (5, 3, 4)),
    2: ((2, 3, 4), (2, 1, 4)),
    -2: ((2, 3, 4), (2, 5, 4), (2, 1, 4)),
}.items():
    one(f"rank-4-axis-{axis}", "Concatenate", *shapes, axis=axis)
one("rank-5-axis-1", "Concatenate", (2, 3, 4, 5), (1, 3, 4, 5), axis=1)

for what, (axes, shapes) in {
    "rank-2": (1, ((4,), (4,))),
    "rank-2-last": (-1, ((4,), (4,))),
    "rank-3": (2, ((3, 4), (5, 4))),
    "rank-3-middle": (1, ((4, 3), (4, 5))),
    "rank-3-each-its-own": ([1, 2], ((4, 3), (5, 4))),
    "rank-3-negative": ([-1, -2], ((3, 4), (4, 5))),
    "rank-3-free": ([2, 2], ((None, 4), (5, 4))),
    "rank-3-both-free": (-1, ((None, 4), (None, 4))),
    "rank-3-over-free": (1, ((None, 3), (None, 4))),
    "rank-2-and-3": ([1, 2], ((4,), (3, 4))),
    "rank-2-and-3-free": ([1, 2], ((4,), (None, 4))),
    "rank-3-and-2": ([1, 1], ((4, 3), (4,))),
    "rank-4": (3, ((2, 3, 4), (5, 6, 4))),
    "rank-4-first": (1, ((4, 2, 3), (4, 5, 6))),
    "rank-4-and-2": ([2, 1], ((2, 4, 3), (4,))),
    "rank-3-and-4": ([2, -3], ((3, 4), (4, 2, 5))),
}.items():
    for normalize in (False, True):
        one(f"{what}{'-normalized' * normalize}", "Dot", *shapes, axes=axes, normalize=normalize)


@case((4, 3))
def merges_of_one_input(library, x):
    layers = library.layers
    kinds = (layers.Add, layers.Average, layers.Multiply, layers.Maximum, layers.Minimum, layers.Concatenate)
    return [kind()([library.layers.Dense(2)(x)]) for kind in kinds]


@case((4, 3))
def merges_of_one_tensor_twice(library, x):
    layers = library.layers
    kinds = (layers.Add, layers.Average, layers.Multiply, layers.Maximum, layers.Concatenate)
    return [kind()([x, x]) for kind in kinds]


def padded(random, shape):
    """Draw sequences with steps of zeros."""
    return random.standard_normal(shape) * (random.random((*shape[:-1], 1)) < 0.6)


@case((6, 3), (6, 3), (6, 3), draw=padded)
def extremes_of_masked_inputs(library, *inputs):
    layers = library.layers
    x, y, z = (layers.Masking()(given) for given in inputs)
    made = []
    for kind in (layers.Maximum, layers.Minimum):
        made += [kind()([x, y]), kind()([x, y, z]), kind()([x, inputs[1]]), kind()([inputs[0], y, z])]
    return made


@case((4, 3), (5, 3), draw=padded)
def dot_of_masked_inputs_ends_the_mask(library, x, y):
    layers = library.layers
    products = layers.Dot(2)([layers.Masking()(x), layers.Masking()(y)])
    return layers.GlobalAveragePooling1D()(products)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_merge_agrees(case, name, source):
    check(case, name, source)
