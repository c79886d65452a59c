"""Recurrent layers in a plan: parts of sequences and of units, masks, and what stands before and behind them."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keydnn.modules import GRU, LSTM, Dropout, Linear, Permute, SimpleRNN, Steps
from keydnn.plan import Program, recurrent
from tests.plan.choices import FEW, always_parallel, tiles
from tests.plan.graphs import Maker, arrays_for, assert_plan_agrees

RELATIVE = 0.01
KINDS = {
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru-reset-before": (GRU, {"reset_after": False}),
    "simple": (SimpleRNN, {}),
}


def layer(kind, inputs, size, seed=0, **options):
    """Give a layer with weights so small that each step forgets more than it rounds."""
    make, more = KINDS[kind]
    module, draw = make(inputs, size, **more, **options), np.random.default_rng(seed)
    return module.with_tensors(
        {name: draw.standard_normal(s) / (1 + size) for name, s in module.tensor_shapes().items()}
    )


def alone(module, steps):
    """Give the graph of one layer with all its inputs."""
    shapes = {"x": (steps, module.input_size)}
    shapes |= {"mask": (steps,)} if module.has_mask else {}
    shapes |= {f"s{i}": (module.hidden_size,) for i in range(module.state_count * module.has_state)}
    make = Maker(**shapes)
    make("y", module, *shapes)
    return make.graph("y")


def arrays_of(graph, batch, seed=0):
    arrays = arrays_for(graph, batch, seed)
    draw = np.random.default_rng(seed)
    return [
        (draw.random(array.shape) < 0.6).astype(np.float32) if given.name == "mask" else array
        for given, array in zip(graph.inputs, arrays, strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_plans_agree_with_the_modules_for_any_sizes_and_options(data):
    flags = (
        "return_sequences",
        "return_state",
        "go_backwards",
        "zero_output_for_mask",
        "has_mask",
        "has_state",
        "use_bias",
    )
    options = {name: data.draw(st.booleans(), name) for name in flags}
    kind = data.draw(st.sampled_from(sorted(KINDS)), "kind")
    module = layer(kind, data.draw(st.integers(1, 40)), data.draw(st.sampled_from([1, 7, 16, 33, 48])), **options)
    graph = alone(module, data.draw(st.integers(1, 19)))
    with tiles(FEW[0]):
        assert_plan_agrees(graph, arrays_of(graph, data.draw(st.integers(1, 12))), RELATIVE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 5])
def test_parts_give_the_same_bits_together_and_alone(kind, batch):
    """Two threads at once; one after the other, where the first does the work of both; and one part."""
    graph = alone(layer(kind, 5, 70, return_sequences=True, has_mask=True, has_state=True), 9)
    arrays = arrays_of(graph, batch)
    with tiles(FEW[0]):
        (wanted,) = Program(graph).run(arrays)
    found = []
    with always_parallel(), tiles(FEW[0]):
        numba.set_num_threads(2)
        plan = Program(graph).bind([array.shape for array in arrays])
        (work,) = [part.launches[-1] for part in plan.parts if part.operation.job]
        assert work.parallel
        assert bool(work.arguments[0][-1]) is (batch == 1)  # coupled
        for _ in range(5):
            found += plan.run(arrays)
        plan._pace.alone = lambda now: True  # on one thread, as where another process wants the cores
        found += plan.run(arrays)
    for other in found:
        np.testing.assert_array_equal(other, wanted)


def test_layers_one_behind_the_other_need_no_change_of_layout():
    make = Maker(x=(7, 5))
    make("a", layer("lstm", 5, 20, return_sequences=True), "x")
    make("drop", Dropout(0.5), "a")
    make("b", layer("gru", 20, 33, return_sequences=True), "drop")
    make("dense", Linear(33, 4), "b")
    make("c", layer("simple", 4, 6), "dense")
    graph = make.graph("c")
    with tiles(FEW[0]):
        plan = assert_plan_agrees(graph, arrays_for(graph, 3), RELATIVE).bind([(3, 7, 5)])
    jobs = [operation.job is not None for operation in plan.route.operations]
    assert jobs == [False, True, True, True, True, False]  # in and out


def test_states_and_sequences_are_taken_apart_and_go_on():
    make = Maker(x=(7, 5))
    make("whole", layer("lstm", 5, 20, return_sequences=True, return_state=True), "x")
    make("sequence", Steps(0, -2), "whole")
    make("h", Steps(-2), "whole")
    make("c", Steps(-1), "whole")
    make("y", layer("lstm", 20, 20, 1, has_state=True), "sequence", "h", "c")
    graph = make.graph("y", "c")
    with tiles(FEW[0]):
        assert_plan_agrees(graph, arrays_for(graph, 3), RELATIVE)


def test_a_permuted_sequence_is_read():
    make = Maker(x=(5, 7))
    make("steps", Permute((0, 2, 1)), "x")
    make("y", layer("gru", 5, 20, return_sequences=True), "steps")
    make("back", Permute((0, 2, 1)), "y")
    graph = make.graph("back")
    with tiles(FEW[0]):
        assert_plan_agrees(graph, arrays_for(graph, 3), RELATIVE)


def test_the_shares_of_any_number_of_parts_are_all_units_once():
    for size in (1, 16, 40, 200):
        made = recurrent.Recurrence(Program(alone(layer("lstm", 2, size), 3)).units[0])
        for parts in range(1, made.blocks + 1):
            bounds = made.bounds(parts)
            assert [first for first, _ in bounds] == [0, *(last for _, last in bounds[:-1])]
            assert bounds[-1][1] == made.wide
            weight, _ = made.packed(2, parts)
            assert np.sort(np.abs(weight))[-3:] == pytest.approx(np.sort(np.abs(made.module.weight_hh).ravel())[-3:])
