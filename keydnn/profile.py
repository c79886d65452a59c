"""Latency layer by layer, observed from outside: the graph runs as it always does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keydnn.graph import Graph, Node
from keydnn.modules.base import Array
from keydnn.report.tables import layer_of, short, table_text


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


def random_inputs(graph: Graph, free_size: int = 32) -> list[Array]:
    """Give one seeded random example an input, with ``free_size`` where a size other than the batch is free."""
    generator = np.random.default_rng(0)
    shapes = [(1, *(free_size if size is None else size for size in given.shape[1:])) for given in graph.inputs]
    return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
