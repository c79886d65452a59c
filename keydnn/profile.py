"""Latency, observed from outside, of the operations that ``predict`` runs or of the modules one by one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.errors import ShapeError
from keydnn.examples import random_inputs
from keydnn.graph import Graph, Node
from keydnn.modules.base import Array
from keydnn.modules.typed import as_dtype
from keydnn.peak import Peak
from keydnn.plan.stages import Stages
from keydnn.report.latency import Latency, Timing
from keydnn.report.plan import Row, plan_rows
from keydnn.report.tables import Align, layer_of, short, table_text
from keydnn.threads import get_num_threads

BUSY = 1.3  # several threads do at least this many times what one does, unless others want the cores


@dataclass(frozen=True)
class NodeLatency:
    """Median latency of one node.

    Attributes
    ----------
    node
        The node.
    seconds
        Median over the repetitions.
    macs
        Multiply-accumulate operations of one call; 0 where that means little.
    """

    node: Node
    seconds: float
    macs: int

    @property
    def gflops(self) -> float:
        """Floating-point operations per second, in 10^9; two for a multiply-accumulate."""
        return 2 * self.macs / self.seconds / 1e9


def measure(graph: Graph, arrays: Sequence[npt.ArrayLike], repeat: int = 20) -> list[NodeLatency]:
    """Run a graph ``repeat`` times (after one run that is not counted) and give the median latency of every node.

    Parameters
    ----------
    graph
        The graph.
    arrays
        One array an input.
    repeat
        Number of runs.
    """
    taken: list[list[float]] = [[] for _ in graph.nodes]
    macs: list[int] = []

    def count(node: Node, inputs: tuple[Array, ...], output: Array) -> None:
        macs.append(node.module.macs(*(x.shape for x in inputs)))

    graph.forward(arrays, count)
    for _ in range(repeat):
        marks = [time.perf_counter()]

        def mark(node: Node, inputs: tuple[Array, ...], output: Array, marks: list[float] = marks) -> None:
            marks.append(time.perf_counter())

        graph.forward(arrays, mark)
        for place, samples in enumerate(taken):
            samples.append(marks[place + 1] - marks[place])
    return [
        NodeLatency(node, statistics.median(samples), count)
        for node, samples, count in zip(graph.nodes, taken, macs, strict=True)
    ]


def latency_table(title: str, latencies: Sequence[NodeLatency]) -> str:
    """Give the latencies as a table: Keras layer, module, ms, share, GFLOP/s."""
    total = sum(entry.seconds for entry in latencies)
    rows = [
        (
            layer_of(entry.node),
            short(entry.node.module),
            f"{entry.seconds * 1e3:.3f}",
            f"{entry.seconds / total:.1%}",
            f"{entry.gflops:.1f}" if entry.macs else "",
        )
        for entry in latencies
    ]
    return table_text(
        title,
        [("layer", "left"), ("module", "left"), ("ms", "right"), ("share", "right"), ("GFLOP/s", "right")],
        rows,
        f"{total * 1e3:.3f} ms in all (sum of medians)",
    )


def latency_data(latencies: Sequence[NodeLatency]) -> dict[str, Any]:
    """Give the latencies of modules as plain data."""
    total = sum(entry.seconds for entry in latencies)
    modules = [
        {
            "node": entry.node.name,
            "keras_layer": entry.node.origin.layer if entry.node.origin else None,
            "keras_class": entry.node.origin.class_name if entry.node.origin else None,
            "module": short(entry.node.module),
            "seconds": entry.seconds,
            "share": entry.seconds / total,
            "macs": entry.macs,
        }
        for entry in latencies
    ]
    return {"seconds": total, "modules": modules}


@dataclass(frozen=True)
class OperationLatency:
    """Median latency of one operation of a plan.

    Attributes
    ----------
    row
        The operation, with the Keras layers that are taken together in it.
    seconds
        Median over the runs.
    """

    row: Row
    seconds: float

    @property
    def gflops(self) -> float:
        """Floating-point operations per second, in 10^9, as the modules count them; two for a multiply-accumulate."""
        return 2 * self.row.macs / self.seconds / 1e9


@dataclass(frozen=True)
class PlanLatency:
    """Median latencies of a plan.

    Attributes
    ----------
    operations
        Those of the operations, in order; the first and the last entry may be the copies of inputs and outputs.
    seconds
        The median of whole runs.
    free
        Number of modules that cost nothing.
    """

    operations: list[OperationLatency]
    seconds: float
    free: int

    @property
    def gflops(self) -> float:
        """Floating-point operations per second of whole runs, in 10^9."""
        return 2 * sum(entry.row.macs for entry in self.operations) / self.seconds / 1e9


def measure_plan(graph: Graph, arrays: Sequence[npt.ArrayLike], repeat: int = 20) -> PlanLatency:
    """Run the plan of a graph, as ``predict`` does, and give the median latency of every operation within whole runs.

    Parameters
    ----------
    graph
        The graph.
    arrays
        One array an input, all of the batch in one go.
    repeat
        Number of runs, after some that are not counted.
    """
    given = []
    for wanted, value in zip(graph.inputs, graph.complete(arrays), strict=True):
        array = as_dtype(wanted.dtype, f"input {wanted.name!r}", value)
        given.append(array)
        graph.check(wanted.name, array, wanted.shape)
        if not array.size:
            raise ShapeError(f"input {wanted.name!r} holds nothing to be timed: {array.shape}")
    stages = Stages(graph)
    program = stages.program
    if program is None:
        raise ShapeError("there are only lookups in this model; they are timed one by one (--modules)")
    plan = program.bind([array.shape for array in stages.run_ahead(given)])
    runs: list[list[float]] = []
    for _ in range(repeat + max(1, repeat // 10)):
        marks = [time.perf_counter()]
        plan.watch(stages.run_ahead(given), lambda marks=marks: marks.append(time.perf_counter()))  # type: ignore[misc]  # bound at once
        runs.append([*marks, time.perf_counter()])
    times = np.array(runs[-repeat:])
    medians = np.median(np.diff(times, axis=1), axis=0)  # inputs, then the parts, then outputs
    rows = plan_rows(program, plan)
    read = "looked up, and copied" if stages.ahead else "copied"
    copied = [Row("(inputs)", "", (), read, ()), Row("(outputs)", "", (), "copied", ())]
    entries = [OperationLatency(row, float(medians[row.place + 1])) for row in rows if row.place is not None]
    ends = [OperationLatency(row, float(medians[place])) for row, place in zip(copied, (0, -1), strict=True)]
    free = sum(len(row.nodes) for row in rows if row.place is None)
    return PlanLatency([ends[0], *entries, ends[1]], float(np.median(times[:, -1] - times[:, 0])), free)


def latency_of(graph: Graph, repeat: int = 20) -> Latency:
    """Measure one random example, for a report: the operations of ``predict``; the modules where all are lookups."""
    arrays = random_inputs(graph)
    if Stages(graph).program is None:
        modules = measure(graph, arrays, repeat)
        timings = [
            Timing(layer_of(entry.node), (entry.node.name,), "the module's own", entry.seconds, entry.macs)
            for entry in modules
        ]
        seconds = sum(entry.seconds for entry in modules)
    else:
        found = measure_plan(graph, arrays, repeat)
        timings = [
            Timing(row.layers, tuple(node.name for node in row.nodes), row.computed, entry.seconds, row.macs)
            for entry in found.operations
            for row in [entry.row]
        ]
        seconds = found.seconds
    return Latency(seconds, len(arrays[0]), get_num_threads(), tuple(timings))


def plan_latency_table(title: str, latency: PlanLatency, peak: Peak | None = None) -> str:
    """Give the latencies of a plan as a table: Keras layers, algorithm, ms, share, GFLOP/s, share of the peak."""
    total = sum(entry.seconds for entry in latency.operations)
    digits = 3 if total >= 1e-3 else 4
    columns: list[tuple[str, Align]] = [
        ("layers", "left"), ("computed as", "left"), ("ms", "right"), ("share", "right"), ("GFLOP/s", "right"),
    ]  # fmt: skip
    if peak:
        columns.append(("of peak", "right"))

    def rates(entry: OperationLatency) -> list[str]:
        if not entry.row.macs:
            return [""] * (2 if peak else 1)
        return [f"{entry.gflops:.1f}", *([f"{entry.gflops / peak.most:.0%}"] if peak else [])]

    rows = [
        (entry.row.layers, entry.row.computed, f"{entry.seconds * 1e3:.{digits}f}", f"{entry.seconds / total:.1%}",
         *rates(entry))
        for entry in latency.operations
    ]  # fmt: skip
    lines = [
        f"{latency.seconds * 1e3:.{digits}f} ms a run (median; sum of the rows {total * 1e3:.{digits}f} ms), "
        f"{latency.gflops:.1f} GFLOP/s; modules that cost nothing: {latency.free}"
    ]
    if peak:
        threads = f", {peak.threads} threads {peak.all:.0f}" if peak.threads > 1 else ""
        lines.append(f"peak measured here: 1 thread {peak.one:.0f} GFLOP/s{threads}")
        if peak.threads > 1 and peak.all < BUSY * peak.one:
            lines.append("other work takes the cores: times on several threads are not those of a quiet machine")
    return table_text(title, columns, rows, "\n".join(lines))


def plan_latency_data(latency: PlanLatency) -> dict[str, Any]:
    """Give the latencies of a plan as plain data."""
    total = sum(entry.seconds for entry in latency.operations)
    operations = [
        {
            "layers": entry.row.layers,
            "nodes": [node.name for node in entry.row.nodes],
            "keras_layers": list(dict.fromkeys(node.origin.layer for node in entry.row.nodes if node.origin)),
            "computed_as": entry.row.computed,
            "output_shape": list(entry.row.sizes),
            "seconds": entry.seconds,
            "share": entry.seconds / total,
            "macs": entry.row.macs,
            "threads": entry.row.threads,
        }
        for entry in latency.operations
    ]
    return {"seconds": latency.seconds, "sum_of_operations": total, "operations": operations}
