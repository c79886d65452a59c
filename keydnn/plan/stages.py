"""A graph with text or int64 in it: what reads such values runs ahead of the plan, the rest is planned.

ahead       modules that read or give other values than float32, and depend on no others
program     everything else in float32: the plan
behind      what depends on such modules that themselves read float32 results (numbers back to words)
"""

from __future__ import annotations

from collections.abc import Sequence

from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules.typed import AnyArray
from keydnn.plan import Program

AHEAD, PLANNED, BEHIND = range(3)


class Stages:
    """A graph in up to three parts, which run one after the other."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ahead: Graph | None = None
        self.behind: Graph | None = None
        self.program: Program | None = None
        if not any(is_typed(graph, node) for node in graph.nodes):
            self.program = Program(graph)
            return
        stage = _stages(graph)
        nodes: dict[int, list[Node]] = {AHEAD: [], PLANNED: [], BEHIND: []}
        for node in graph.nodes:
            nodes[stage[node.name]].append(node)
        self.ahead = _part(graph, nodes[AHEAD], [*nodes[PLANNED], *nodes[BEHIND]])
        planned = _part(graph, nodes[PLANNED], nodes[BEHIND])
        self.program = Program(planned) if planned else None
        self.behind = _part(graph, nodes[BEHIND], [])

    def run(self, arrays: Sequence[AnyArray]) -> list[AnyArray]:
        """Compute the outputs for checked arrays of the inputs' dtypes, none of them empty."""
        if self.program and self.program.graph is self.graph:
            return [*self.program.run(arrays)]
        values = dict(zip((given.name for given in self.graph.inputs), arrays, strict=True))
        if self.ahead:
            self._run(self.ahead, values)
        if self.program:
            self._run_plan(self.program, values)
        if self.behind:
            self._run(self.behind, values)
        return [values[output.value] for output in self.graph.outputs]

    def run_ahead(self, arrays: Sequence[AnyArray]) -> list[AnyArray]:
        """Compute what the plan reads, for those who look at it."""
        assert self.program is not None  # the caller has looked
        values = dict(zip((given.name for given in self.graph.inputs), arrays, strict=True))
        if self.ahead:
            self._run(self.ahead, values)
        return [values[given.name] for given in self.program.graph.inputs]

    @staticmethod
    def _run(part: Graph, values: dict[str, AnyArray]) -> None:
        results = part.forward([values[given.name] for given in part.inputs])
        values.update(zip((output.value for output in part.outputs), results, strict=True))

    @staticmethod
    def _run_plan(program: Program, values: dict[str, AnyArray]) -> None:
        arrays = [values[given.name] for given in program.graph.inputs]
        empty = not all(array.size for array in arrays)  # texts without a word, say: there is no plan for that
        results = program.graph.forward(arrays) if empty else program.run(arrays)
        values.update(zip((output.value for output in program.graph.outputs), results, strict=True))


def _stages(graph: Graph) -> dict[str, int]:
    """Give the stage of every value."""
    stage = dict.fromkeys((given.name for given in graph.inputs), AHEAD)
    for node in graph.nodes:
        before = max((stage[name] for name in node.inputs), default=AHEAD)
        if is_typed(graph, node):
            stage[node.name] = AHEAD if before == AHEAD else BEHIND
        else:
            stage[node.name] = max(before, PLANNED)
    return stage


def is_typed(graph: Graph, node: Node) -> bool:
    """Tell whether a node reads or gives anything but float32."""
    return any(graph.dtypes[name] != "float32" for name in (node.name, *node.inputs))


def _part(graph: Graph, nodes: Sequence[Node], later: Sequence[Node]) -> Graph | None:
    """Give some nodes as a graph that gives what later ones, or the outputs, read; None if they read nothing of it."""
    own = {node.name for node in nodes}
    wanted = [name for node in later for name in node.inputs] + [output.value for output in graph.outputs]
    if own.isdisjoint(wanted):
        return None
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name not in own)
    inputs = [Input(name, graph.shapes[name], graph.dtypes[name]) for name in read]
    return Graph(inputs, nodes, [Output(name, name) for name in dict.fromkeys(wanted) if name in own])
