"""Which Keras layer, and which of its calls, every node of a graph belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from keydnn.graph import Graph, Node
from keydnn.modules.base import Shape
from keydnn.modules.shape import Permute

CALL = re.compile(r"@([0-9]{1,9})")


@dataclass(frozen=True)
class Owners:
    """For every value by name: the layer's name, and the number of its call."""

    layer: Mapping[str, str]
    call: Mapping[str, int]


def owners_of(graph: Graph) -> Owners:
    """Say whose every node is; inputs are their own.

    A Permute that the layout pass has put in belongs to the layer that reads it, if that is one alone, else to the one
    that gives what it reads.
    """
    layer = {given.name: given.name for given in graph.inputs}
    call = dict.fromkeys(layer, 0)
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
        if node.origin is not None:
            layer[node.name] = node.origin.layer
            call[node.name] = _call(node.name, node.origin.layer)
    for node in graph.nodes:
        if node.origin is None and not isinstance(node.module, Permute):
            layer[node.name], call[node.name] = node.name, 0
        elif node.origin is None:
            of_readers = {(layer.get(reader.name), call.get(reader.name)) for reader in readers.get(node.name, ())}
            of_source = layer.get(node.inputs[0]), call.get(node.inputs[0])
            ((owner, number),) = of_readers if len(of_readers) == 1 else [of_source]
            layer[node.name], call[node.name] = node.name if owner is None else owner, number or 0
    return Owners(layer, call)


def keras_shapes(graph: Graph) -> dict[tuple[str, int], Shape]:
    """Give the shape of every layer's first output, by layer and call, in Keras' order of axes."""
    shapes = {}
    for mark in graph.landmarks:
        if not mark.tensor:
            shape = graph.shapes[mark.value]
            shapes[mark.layer, mark.call] = tuple(shape[axis] for axis in mark.order) or shape
    return shapes


def _call(node: str, layer: str) -> int:
    """Read the number of the call from a node's name: ``head@1``, ``head@1.in0``, ``head.activation@1``."""
    found = CALL.findall(node.removeprefix(layer))
    return int(found[-1]) if found else 0
