"""Latencies of a plan: within whole runs, under the names of layers, beside what the machine can do."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ShapeError
from keydnn.modules import Conv2d, Flatten, Linear, ReLU
from keydnn.peak import Peak, measure_peak
from keydnn.profile import OperationLatency, PlanLatency, measure_plan, plan_latency_table
from keydnn.report.plan import Row
from tests.plan.graphs import Maker, arrays_for


def graph():
    make = Maker(x=(4, 8, 8))
    make("conv", Conv2d(4, 16, 3), "x")
    make("relu", ReLU(), "conv")
    make("flat", Flatten(), "relu")
    make("dense", Linear(576, 10), "flat")
    return make.graph("dense")


def test_every_operation_has_a_time_and_runs_are_whole():
    made = graph()
    found = measure_plan(made, arrays_for(made), repeat=5)
    names = [entry.row.layers for entry in found.operations]
    assert names[0] == "(inputs)"
    assert names[-1] == "(outputs)"
    assert "conv (Conv2d) + relu (ReLU)" in names
    assert all(entry.seconds > 0 for entry in found.operations)
    assert found.seconds > max(entry.seconds for entry in found.operations)
    assert found.free == 1
    assert sum(entry.row.macs for entry in found.operations) == 2 * (16 * 6 * 6 * 4 * 9 + 576 * 10)


@pytest.mark.parametrize("shape", [(4, 8, 8), (2, 4, 9, 8), (0, 4, 8, 8)])
def test_wrong_inputs_are_refused(shape):
    with pytest.raises(ShapeError, match="'x'"):
        measure_plan(graph(), [np.zeros(shape, np.float32)], repeat=1)


def latency():
    rows = [Row("a + b", "", (), "direct convolution", (1,), 500_000, 0), Row("c", "", (), "pooling", (1,), 0, 1)]
    return PlanLatency(
        [OperationLatency(row, seconds) for row, seconds in zip(rows, (3e-5, 1e-5), strict=True)], 5e-5, 3
    )


def test_the_table_has_rates_where_they_mean_something():
    text = plan_latency_table("m", latency(), Peak(50.0, 66.7, 2))
    cells = {line.split("  ")[1].strip(): line.split() for line in text.splitlines() if line.startswith("  ")}
    assert cells["a + b"][-4:] == ["0.0300", "75.0%", "33.3", "50%"]
    assert cells["c"][-2:] == ["0.0100", "25.0%"]
    assert "0.0500 ms a run (median; sum of the rows 0.0400 ms), 20.0 GFLOP/s; modules that cost nothing: 3" in text
    assert text.endswith("peak measured here: 1 thread 50 GFLOP/s, 2 threads 67")


def test_a_busy_machine_is_pointed_out():
    assert "other work takes the cores" in plan_latency_table("m", latency(), Peak(50.0, 40.0, 2))
    for quiet in (Peak(50.0, 90.0, 2), Peak(50.0, 50.0, 1)):
        assert "other work" not in plan_latency_table("m", latency(), quiet)


def test_without_a_peak_there_is_no_share_of_it():
    assert "peak" not in plan_latency_table("m", latency())


def test_the_peak_is_that_of_the_faster_one():
    assert Peak(100.0, 50.0, 2).most == 100
    found = measure_peak()
    assert found.most >= found.one > 0
    assert found.threads > 1 or found.all == found.one
