"""Graph to Graph: the layout pass, which keeps what lies between two channels_last layers in channels-first order.

Every channels_last layer has been built as Permute, module, Permute.  Here those Permutes are put off: a value is
remembered as "this one, transposed", modules that can work on the transposed value do (``Module.permuted``), a Permute
that meets its inverse vanishes, and one is written into the graph only where a module or an output needs the order that
Keras had.

It is a pass over the graph, not over the Keras model, because only modules know their axes for certain.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from keydnn.graph import Graph, Landmark, Node, Output
from keydnn.modules.base import Module, Permutation, inverse
from keydnn.modules.shape import Permute
from keydnn.names import Names


@dataclass(frozen=True)
class _Deferred:
    """A value of the old graph: ``base`` of the new one, transposed by ``order``."""

    base: str
    order: Permutation

    @property
    def moved(self) -> bool:
        return self.order != tuple(range(len(self.order)))


def move_permutes(graph: Graph, movable: Collection[str]) -> Graph:
    """Give the graph with its movable Permutes put off, cancelled or shared.

    Parameters
    ----------
    graph
        As built.
    movable
        Names of the Permute nodes that stand for a layout; Keras' own Permute layers are not among them.
    """
    return _Pass(graph, movable).run()


class _Pass:
    def __init__(self, graph: Graph, movable: Collection[str]) -> None:
        self._graph, self._movable = graph, movable
        self._values = {given.name: self._plain(given.name, len(given.shape)) for given in graph.inputs}
        self._nodes: list[Node] = []
        self._written: dict[_Deferred, str] = {}
        self._permuted: dict[tuple[int, Permutation], Module] = {}
        self._names = Names(graph.shapes)

    def run(self) -> Graph:
        for node in self._graph.nodes:
            self._values[node.name] = self._visit(node)
        outputs = [
            Output(output.name, self._write(self._values[output.value], f"{self._values[output.value].base}.output"))
            for output in self._graph.outputs
        ]
        landmarks = [self._moved(mark) for mark in self._graph.landmarks]
        return _without_dead_nodes(Graph(self._graph.inputs, self._nodes, outputs, self._graph.states, landmarks))

    def _moved(self, mark: Landmark) -> Landmark:
        value = self._values[mark.value]
        return replace(mark, value=value.base, order=value.order if value.moved else ())

    @staticmethod
    def _plain(name: str, rank: int) -> _Deferred:
        return _Deferred(name, tuple(range(rank)))

    def _visit(self, node: Node) -> _Deferred:
        inputs = [self._values[name] for name in node.inputs]
        rank = len(self._graph.shapes[node.name])
        if node.name in self._movable and isinstance(node.module, Permute):
            (x,) = inputs
            return _Deferred(x.base, tuple(x.order[axis] for axis in node.module.dims))
        order = next((x.order for x in inputs if x.moved), None)
        if order is not None and all(len(x.order) == len(order) for x in inputs):
            back = inverse(order)
            module = self._module(node.module, back)
            if module is not None:
                # x is transpose(base, order); the module now reads transpose(x, back), which for most x is base.
                read = [
                    self._write(_Deferred(x.base, tuple(x.order[axis] for axis in back)), f"{node.name}.in{place}")
                    for place, x in enumerate(inputs)
                ]
                self._nodes.append(Node(node.name, module, tuple(read), node.origin))
                return _Deferred(node.name, order)
        read = [self._write(x, f"{node.name}.in{place}") for place, x in enumerate(inputs)]
        self._nodes.append(Node(node.name, node.module, tuple(read), node.origin))
        return self._plain(node.name, rank)

    def _module(self, module: Module, order: Permutation) -> Module | None:
        """Give the permuted module; the same object every time, so that shared modules stay shared."""
        key = (id(module), order)
        if key not in self._permuted:
            found = module.permuted(order)
            if found is None:
                return None
            self._permuted[key] = found
        return self._permuted[key]

    def _write(self, value: _Deferred, name: str) -> str:
        """Give the name of a value in the new graph, adding a Permute where it must be one."""
        if not value.moved:
            return value.base
        if value not in self._written:
            name = self._names.new(name)
            self._nodes.append(Node(name, Permute(value.order), (value.base,)))
            self._written[value] = name
        return self._written[value]


def _without_dead_nodes(graph: Graph) -> Graph:
    needed = {output.value for output in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    found = {given.name for given in graph.inputs} | {node.name for node in kept}
    landmarks = [mark for mark in graph.landmarks if mark.value in found]
    return Graph(graph.inputs, kept[::-1], graph.outputs, graph.states, landmarks)
