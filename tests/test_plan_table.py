"""What ``inspect --plan`` says of a plan: every module is there once, and what costs nothing is said to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keydnn
from keydnn import from_keras
from keydnn.examples import input_sizes
from keydnn.modules import (
    Add,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Permute,
    ReLU,
    Softmax,
    ZeroPad2d,
)
from keydnn.plan import Program
from keydnn.report.plan import bytes_text, plan_rows, plan_table
from tests.plan.graphs import Maker

GOLDEN = sorted(
    path for path in (Path(__file__).parent / "golden").iterdir() if path.suffix in (".h5", ".keras")
)  # fmt: skip
DIGITS = Path(keydnn.__file__).parent / "data" / "digits.h5"


def rows_of(graph, batch=1):
    program = Program(graph)
    return plan_rows(program, program.bind(input_sizes(graph, batch, 8)))


def computed(graph):
    """Give what is said of each row, by its layers."""
    return {row.noted: row.computed for row in rows_of(graph)}


def maker():
    return Maker(x=(16, 8, 8))


@pytest.mark.parametrize("path", [DIGITS, *GOLDEN], ids=lambda path: path.stem)
def test_every_module_is_in_one_row_and_every_call_too(path):
    graph = from_keras(path, strict=False).graph
    program = Program(graph)
    plan = program.bind(input_sizes(graph, 2, 8))
    rows = plan_rows(program, plan)
    assert sorted(node.name for row in rows for node in row.nodes) == sorted(node.name for node in graph.nodes)
    assert [row.place for row in rows if row.place is not None] == [
        place for place, part in enumerate(plan.parts) if part.calls
    ]
    for row in rows:
        assert row.computed
        assert row.layers
        assert (row.threads > 0) == (row.place is not None)
        if row.nodes:
            last = graph.shapes[row.nodes[-1].name]
            assert all(wanted in (None, size) for wanted, size in zip(last, row.sizes, strict=True))


def test_what_is_taken_together_and_what_became_of_it():
    make = maker()
    make("pad", ZeroPad2d(1), "x")
    make("conv", Conv2d(16, 16, 3), "pad")
    make("bn", BatchNorm2d(16), "conv")
    make("add", Add(), "bn", "x")
    make("relu", ReLU(), "add")
    into, row, out = rows_of(make.graph("relu"))
    assert (into.layers, into.computed, into.nodes) == ("(x)", "into blocks of channels", ())
    assert row.layers == "pad (ZeroPad2d) + conv (Conv2d) + bn (BatchNorm2d) + add (Add) + relu (ReLU)"
    assert "pad (ZeroPad2d, in the halo)" in row.noted
    assert "bn (BatchNorm2d, folded)" in row.noted
    assert row.macs == 16 * 8 * 8 * 16 * 9
    assert row.packed >= 4 * 16 * 16 * 9
    assert (out.layers, out.computed) == ("(relu (ReLU))", "out of blocks of channels")


def test_what_costs_nothing_is_said_to():
    make = maker()
    make("conv", Conv2d(16, 16, 1), "x")
    make("left", MaxPool2d(2), "conv")
    make("right", MaxPool2d(2), "conv")
    make("drop", Dropout(0.5), "right")
    make("both", Concatenate(1), "left", "drop")
    make("nobody", Permute((0, 2, 3, 1)), "both")
    make("pad", ZeroPad2d(1), "both")
    make("mean", GlobalAvgPool2d(), "pad")
    make("flat", Flatten(), "mean")
    make("dense", Linear(32, 10), "flat")
    make("soft", Softmax(), "dense")
    found = computed(make.graph("soft"))
    assert found["drop (Dropout)"] == "dropped"
    assert found["both (Concatenate)"] == "concatenation without a copy"
    assert found["nobody (Permute)"] == "dropped, nobody reads it"
    assert found["pad (ZeroPad2d)"] == "padding kept in a halo"
    assert found["flat (Flatten)"] == "view, no copy"
    assert found["soft (Softmax)"].startswith("the module's own: softmax")
    assert found["dense (Linear)"].startswith("dense, ")


def test_a_permutation_is_shown_with_the_copy_that_does_it():
    make = Maker(x=(8, 8, 16))
    make("first", Permute((0, 3, 1, 2)), "x")
    make("conv", Conv2d(16, 16, 1), "first")
    make("last", Permute((0, 2, 3, 1)), "conv")
    make("flat", Flatten(), "last")
    make("dense", Linear(1024, 10), "flat")
    rows = rows_of(make.graph("dense"))
    found = [(row.layers, row.computed) for row in rows]
    assert found[0] == ("first (Permute)", "into blocks of channels")
    assert found[2:4] == [("last (Permute)", "out of blocks of channels"), ("flat (Flatten)", "view, no copy")]
    assert rows[2].sizes == (1, 8, 8, 16)


def test_a_copied_part_of_a_concatenation_is_counted():
    make = maker()
    make("conv", Conv2d(16, 16, 1), "x")
    make("both", Concatenate(1), "conv", "conv")
    found = computed(make.graph("both"))
    assert found["both (Concatenate)"] == "concatenation, 1 of 2 copied"


def test_keras_names_say_the_module_only_where_a_layer_became_several():
    names = [row.layers for row in rows_of(from_keras(DIGITS, strict=False).graph)]
    assert "conv1 + norm1 + relu1" in names
    assert "conv2 (Conv2d) + conv2 (ReLU)" in names


def test_threads_are_those_of_parallel_kernels():
    make = Maker(x=(64, 64, 64))
    make("conv", Conv2d(64, 64, 3, padding="same"), "x")
    graph = make.graph("conv")
    for threads in sorted({1, keydnn.get_num_threads()}):
        before = keydnn.get_num_threads()
        keydnn.set_num_threads(threads)
        try:
            (row,) = (row for row in rows_of(graph) if row.nodes)
        finally:
            keydnn.set_num_threads(before)
        assert row.threads == threads


def test_weights_are_counted_once_and_the_footer_adds_up():
    program = Program(from_keras(DIGITS, strict=False).graph)
    plan = program.bind(input_sizes(program.graph, 1))
    text = plan_table("digits, batch 1", program, plan)
    packed = sum(row.packed for row in plan_rows(program, plan))
    assert f"values {bytes_text(plan.arena.nbytes)}, packed weights {bytes_text(packed)}, threads" in text
    assert "13 modules in 8 operations" in text


def test_watching_a_plan_gives_what_it_gives():
    graph = from_keras(DIGITS, strict=False).graph
    plan = Program(graph).bind(input_sizes(graph, 2))
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
    seen = []
    watched = plan.watch([x], lambda: seen.append(1))
    np.testing.assert_array_equal(watched[0], plan.run([x])[0])
    assert len(seen) == 1 + len(plan.parts)
