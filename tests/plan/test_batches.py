"""Batches whose values would not fit the cache are computed in parts, with the same answer."""

from __future__ import annotations

import numpy as np
import pytest

import keydnn.plan
from jit_kernels._launch import most_threads
from keydnn import set_num_threads
from keydnn.modules import LSTM, Conv2d, FoldTime, GlobalAvgPool2d, MaxPool2d, UnfoldTime
from keydnn.plan import Program
from tests.plan.graphs import Maker, assert_plan_agrees, random


def graph():
    make = Maker(x=(3, 20, 20))
    make("conv", Conv2d(3, 20, 3), "x")
    make("pool", MaxPool2d(2), "conv")
    return make.graph("pool", "conv")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9])
@pytest.mark.parametrize("threads", [1, 2])
def test_parts_give_what_the_whole_gives(count, threads, monkeypatch):
    if threads > most_threads():
        pytest.skip("one thread only")
    set_num_threads(threads)
    x, model = random(1, count, 3, 20, 20), graph()
    whole = Program(model).run([x])
    example = Program(model).bind([(1, 3, 20, 20)]).arena.size
    monkeypatch.setattr(keydnn.plan, "CACHE_NUMBERS", 3 * example)
    bound, bind = [], Program.bind
    monkeypatch.setattr(Program, "bind", lambda self, shapes: bound.append(shapes[0][0]) or bind(self, shapes))
    parts = Program(model).run([x])
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(bound) <= max(3, threads)
    assert sum(bound) in (count, count + 1)  # one example is bound to see how large it is


def test_parts_are_right(monkeypatch):
    monkeypatch.setattr(keydnn.plan, "CACHE_NUMBERS", 1)
    assert_plan_agrees(graph(), [random(2, 5, 3, 20, 20)])


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_parts_of_sequences_whose_steps_are_examples(count, monkeypatch):
    make = Maker(x=(5, 3, 12, 12), y=(5, 2))
    make("fold", FoldTime(), "x")
    make("conv", Conv2d(3, 20, 3), "fold")
    make("pool", GlobalAvgPool2d(), "conv")
    make("unfold", UnfoldTime(), "pool", "y")
    make("lstm", LSTM(20, 4, return_sequences=True), "unfold")
    model = make.graph("lstm", "unfold")
    arrays = [random(3, count, 5, 3, 12, 12), random(4, count, 5, 2)]
    whole = Program(model).run(arrays)
    monkeypatch.setattr(keydnn.plan, "CACHE_NUMBERS", 1)
    for one, other in zip(whole, Program(model).run(arrays), strict=True):
        np.testing.assert_array_equal(one, other)
    assert_plan_agrees(model, arrays)
