"""The graph as people see it: a box for every call of a Keras layer, boxes in a row put together as stacks."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from keydnn.convert import BUILDERS
from keydnn.graph import Graph, Node
from keydnn.modules.base import Shape
from keydnn.report.owners import keras_shapes, owners_of

MOST_IN_STACK = 18


@dataclass(frozen=True)
class Box:
    """One call of a Keras layer, an input or an output of the model.

    Attributes
    ----------
    layer
        Its name; of an output, the output's.
    call
        Which of the layer's calls, from 0.
    kind
        The family of its class (``"conv"``), ``"input"`` or ``"output"``.
    nodes
        The nodes in it, in order.
    shape
        Of what it gives, in Keras' order of axes.
    """

    layer: str
    call: int
    kind: str
    nodes: tuple[Node, ...]
    shape: Shape


@dataclass
class Stack:
    """Boxes of which each reads the one before it alone, and is its only reader."""

    boxes: list[Box] = field(default_factory=list)


@dataclass(frozen=True)
class Stacks:
    """The stacks in an order in which each stands behind those it reads; edges by their places."""

    stacks: tuple[Stack, ...]
    edges: tuple[tuple[int, int], ...]


def stacks_of(graph: Graph) -> Stacks:
    """Give the boxes of a graph, put together."""
    keys = _keys(graph)
    boxes: dict[object, list[str]] = {}
    for name in graph.shapes:
        boxes.setdefault(keys[name], []).append(name)
    order = [*boxes]
    place = {key: number for number, key in enumerate(order)}
    edges = {
        (place[keys[name]], place[keys[node.name]])
        for node in graph.nodes
        for name in node.inputs
        if keys[name] != keys[node.name]
    }
    nodes = {node.name: node for node in graph.nodes}
    owners, shapes = owners_of(graph), keras_shapes(graph)
    made = []
    for key in order:
        names = boxes[key]
        inside = tuple(nodes[name] for name in names if name in nodes)
        given = names[0] not in nodes
        kind = "input" if given else _kind(inside)
        layer, call = owners.layer[names[0]], owners.call[names[0]]
        shape = shapes.get((layer, call), graph.shapes[names[0 if given else -1]])
        made.append(Box(layer, call, kind, inside, shape))
    for output in graph.results:
        edges.add((place[keys[output.value]], len(made)))
        made.append(Box(output.name, 0, "output", (), graph.shapes[output.value]))
    return _stacked(made, edges)


def _kind(nodes: Sequence[Node]) -> str:
    """Name the family of a layer: its class', else that of the first module with weights, else of the first module."""
    telling = [node for node in nodes if node.origin] or [*nodes]
    for node in telling:
        if node.origin and node.origin.class_name in BUILDERS:
            return BUILDERS[node.origin.class_name].stem
    with_weights = [node for node in telling if node.module.tensor_shapes()]
    return type((with_weights or telling)[0].module).__module__.rpartition(".")[2]


def _keys(graph: Graph) -> dict[str, object]:
    """Give for every value the box it is in: its layer's call; nodes whose boxes read each other stand alone."""
    owners = owners_of(graph)
    keys: dict[str, object] = {name: (owners.layer[name], owners.call[name]) for name in graph.shapes}
    while True:
        edges = {(keys[name], keys[node.name]) for node in graph.nodes for name in node.inputs}
        everything = dict.fromkeys(keys.values())
        sorted_keys = _topological(everything, [edge for edge in edges if edge[0] != edge[1]])
        circular = set(everything) - set(sorted_keys)
        if not circular:
            return keys
        keys = {name: ("alone", name) if key in circular else key for name, key in keys.items()}


def _topological(items: Iterable[object], edges: Iterable[tuple[object, object]]) -> list[object]:
    """Give items, each behind those it reads, else in the order they came in; those in circles are left out."""
    order = [*items]
    place = {item: number for number, item in enumerate(order)}
    readers: dict[object, list[object]] = {}
    waits = dict.fromkeys(order, 0)
    for source, target in edges:
        readers.setdefault(source, []).append(target)
        waits[target] += 1
    ready = [place[item] for item in order if not waits[item]]
    found = []
    while ready:
        item = order[heapq.heappop(ready)]
        found.append(item)
        for reader in readers.get(item, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, place[reader])
    return found


def _stacked(boxes: Sequence[Box], edges: Iterable[tuple[int, int]]) -> Stacks:
    """Put boxes in a row together."""
    edges = sorted(set(edges))
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for source, target in edges:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    stacks: list[Stack] = []
    of_box: dict[int, int] = {}
    for place in _topological(range(len(boxes)), edges):
        assert isinstance(place, int)
        reads = before.get(place, [])
        alone = len(reads) == 1 and len(after[reads[0]]) == 1
        ends = {"input", "output"} & {boxes[place].kind, *(boxes[number].kind for number in reads)}
        if alone and not ends and len(stacks[of_box[reads[0]]].boxes) < MOST_IN_STACK:
            of_box[place] = of_box[reads[0]]
        else:
            of_box[place] = len(stacks)
            stacks.append(Stack())
        stacks[of_box[place]].boxes.append(boxes[place])
    between = {(of_box[source], of_box[target]) for source, target in edges if of_box[source] != of_box[target]}
    return Stacks(tuple(stacks), tuple(sorted(between)))
