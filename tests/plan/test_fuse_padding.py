"""Zero padding that a convolution takes in, and where it must not."""

from __future__ import annotations

import pytest

from keydnn.modules import Add, BatchNorm2d, Conv1d, MaxPool2d, ReLU, Subtract, ZeroPad1d, ZeroPad2d
from tests.plan.graphs import Maker, assert_plan_agrees, conv, filled, image, units


def padded():
    make = image()
    make("pad", ZeroPad2d(((1, 0), (2, 3))), "x")
    make("conv", conv(stride=2, padding="valid"), "pad")
    make("bn", BatchNorm2d(6), "conv")
    make("relu", ReLU(), "bn")
    return make.graph("relu"), ["pad+conv+bn+relu"]


def padded_twice():
    make = image()
    make("pad", ZeroPad2d(((1, 0), (2, 3))), "x")
    make("pad2", ZeroPad2d(1), "pad")
    make("conv", conv(padding=((0, 2), (1, 0))), "pad2")
    return make.graph("conv"), ["pad", "pad2+conv"]


def padded_sequence():
    make = Maker(x=(4, 9))
    make("pad", ZeroPad1d(((2, 1),)), "x")
    make("conv", Conv1d(4, 6, 3, stride=2, padding=((0, 1),)), "pad")
    make("pad2", ZeroPad1d(((1, 3),)), "conv")
    make("relu", ReLU(), "pad2")
    return make.graph("relu"), ["pad+conv", "pad2", "relu"]


def padded_depthwise():
    make = image()
    make("pad", ZeroPad2d(((0, 1), (0, 1))), "x")
    make("conv", conv(8, groups=4, stride=2, padding="valid"), "pad")
    make("relu", ReLU(), "conv")
    return make.graph("relu"), None


def padded_grouped():
    make = image()
    make("pad", ZeroPad2d(((0, 1), (0, 1))), "x")
    make("conv", conv(6, groups=2, padding="valid"), "pad")
    make("relu", ReLU(), "conv")
    return make.graph("relu"), None


def padded_residual():
    make = image()
    make("pad", ZeroPad2d(1), "x")
    make("conv", conv(4, padding="valid"), "pad")
    make("add", Add(), "x", "conv")
    return make.graph("add"), None


def padded_with_a_shared_convolution():
    make, shared = image(), filled(conv(4, padding="valid"), 7)
    make("pad", ZeroPad2d(1), "x")
    make("a", shared, "pad")
    make("pad2", ZeroPad2d(((2, 1), (0, 3))), "a")
    make("b", shared, "pad2")
    make("c", shared, "b")
    return make.graph("c"), ["pad+a", "pad2+b", "c"]


def padding_before_same():
    make = image()
    make("pad", ZeroPad2d(((1, 0), (2, 3))), "x")
    make("conv", conv(stride=2), "pad")
    return make.graph("conv"), ["pad", "conv"]


def padding_read_twice():
    make = image()
    make("pad", ZeroPad2d(1), "x")
    make("a", conv(4, padding="valid"), "pad")
    make("b", conv(4, padding="valid"), "pad")
    make("sub", Subtract(), "a", "b")
    return make.graph("sub"), ["pad", "a", "b", "sub"]


def padding_is_an_output():
    make = image()
    make("pad", ZeroPad2d(1), "x")
    make("conv", conv(4, padding="valid"), "pad")
    return make.graph("conv", "pad"), ["pad", "conv"]


def padding_of_nothing_else():
    make = image()
    make("pad", ZeroPad2d(1), "x")
    make("pool", MaxPool2d(2), "pad")
    return make.graph("pool"), ["pad", "pool"]


CASES = [
    padded, padded_twice, padded_sequence, padded_depthwise, padded_grouped, padded_residual,
    padded_with_a_shared_convolution,
    padding_before_same, padding_read_twice, padding_is_an_output, padding_of_nothing_else,
]  # fmt: skip
COUNTED = [case for case in CASES if case()[1] is not None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_answer_stays_the_same(case):
    graph, _ = case()
    assert_plan_agrees(graph)


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case.__name__)
def test_units_are_these(case):
    graph, wanted = case()
    assert units(graph) == wanted
