"""Graphs whose inputs have the channels first, and graphs without Permutes that move nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from keydnn.convert.layout import move_permutes
from keydnn.errors import ExportError
from keydnn.graph import Graph, Input, Node
from keydnn.modules.base import Permutation, Shape, inverse, shape_text
from keydnn.modules.shape import Permute, Reshape, Reshaping
from keydnn.names import Names

IMAGES = (3, 4, 5)  # ranks of inputs with channels and spatial axes


def channels_first(rank: int) -> Permutation:
    """Give the permutation from (N, ..., C) to (N, C, ...)."""
    return (0, rank - 1, *range(1, rank - 1))


def with_channels_first(graph: Graph) -> Graph:
    """Give a graph that takes its image inputs, those of rank 3, 4 and 5, with the channels first.

    Permutes that KeyDNN put in for the layout are moved on and vanish; outputs keep their order.

    Raises
    ------
    ExportError
        There is no such input, or something reads one in Keras' order; or the model has states.
    """
    images = [given for given in graph.inputs if len(given.shape) in IMAGES]
    if graph.states or not images:
        why = "it keeps states" if graph.states else "no input has spatial axes and channels"
        raise ExportError(f'input layout "nchw" is for models with image inputs; {why}')
    names = Names(graph.shapes)
    inputs, turned, added = [], {}, []
    for given in graph.inputs:
        if given not in images:
            inputs.append(given)
            continue
        order = channels_first(len(given.shape))
        inputs.append(Input(given.name, tuple(given.shape[axis] for axis in order), given.dtype))
        turned[given.name] = names.new(f"{given.name}.channels_last")
        added.append(Node(turned[given.name], Permute(inverse(order)), (given.name,)))
    kept = [Node(n.name, n.module, tuple(turned.get(i, i) for i in n.inputs), n.origin) for n in graph.nodes]
    outputs = [type(end)(end.name, turned.get(end.value, end.value)) for end in graph.outputs]
    layout = {n.name for n in graph.nodes if isinstance(n.module, Permute) and n.origin is None}
    found = move_permutes(Graph(inputs, [*added, *kept], outputs), {*layout, *turned.values()})
    for given in images:
        readers = [node.name for node in found.nodes if given.name in node.inputs]
        back = [node for node in found.nodes if given.name in node.inputs and isinstance(node.module, Permute)]
        if back or not readers:
            reader = _readers_of(graph, given.name)
            raise ExportError(
                f'input layout "nchw": {reader} reads the input {given.name!r} {shape_text(given.shape)} in the order '
                "that it has, not with its last axis moved to the front as convolutions do"
            )
    return found


def _readers_of(graph: Graph, name: str) -> str:
    """Name who reads a value, other than by a Permute of the layout."""
    readers = [n.name for n in graph.nodes if name in n.inputs and not (isinstance(n.module, Permute) and not n.origin)]
    return repr(readers[0]) if readers else "an output"


def without_idle_permutes(graph: Graph) -> Graph:
    """Give a graph without Permutes that another node can do for them.

    One behind another is a part of it.  One that moves axes of size 1 only is left out before a module that reshapes,
    and is a part of it behind one.
    """
    idle = {node.name: node.inputs[0] for node in graph.nodes if _only_renames(node, graph.shapes)}
    known: dict[str, Node] = {}
    for node in graph.nodes:
        before = known.get(node.inputs[0]) if node.inputs else None
        if isinstance(node.module, Reshaping):
            node = replace(node, inputs=tuple(idle.get(name, name) for name in node.inputs))
        elif isinstance(node.module, Permute) and before is not None:
            node = _joined(before, node, graph.shapes) or node
        known[node.name] = node
    return Graph(graph.inputs, list(known.values()), graph.outputs, graph.states)


def _joined(before: Node, node: Node, shapes: Mapping[str, Shape]) -> Node | None:
    """Give a Permute and the node before it as one, if they can be that."""
    if isinstance(before.module, Permute):
        dims = tuple(before.module.dims[axis] for axis in node.module.parameters()["dims"])
        return replace(node, module=Permute(dims), inputs=before.inputs)
    sizes = tuple(-1 if size is None else size for size in shapes[node.name][1:])
    if isinstance(before.module, Reshaping) and _only_renames(node, shapes) and sizes.count(-1) < 2:
        return replace(node, module=Reshape(sizes), inputs=before.inputs)
    return None


def _only_renames(node: Node, shapes: Mapping[str, Shape]) -> bool:
    """Tell whether a node is a Permute that leaves the order of all axes that are larger than 1."""
    if not isinstance(node.module, Permute):
        return False
    moved = [axis for axis in node.module.dims if shapes[node.inputs[0]][axis] != 1]
    return moved == sorted(moved)
