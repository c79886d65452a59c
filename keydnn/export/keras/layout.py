"""Graph to Graph: modules that have channels first become modules that have them last, which is what Keras computes.

Each is put between two Permutes, which the layout pass of the converter then cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keydnn.convert.layout import move_permutes
from keydnn.export.keras.site import Axes, LastRule, Rule, kind_of
from keydnn.graph import Graph, Node, Output
from keydnn.modules.base import Array, Module, Permutation, Shape, inverse
from keydnn.modules.shape import Permute
from keydnn.names import Names


def last(axis: int | None, rank: int) -> Permutation:
    """Give the permutation that moves an axis to the end."""
    return tuple(place for place in range(rank) if place != axis) + (() if axis is None else (axis,))


def transposed(shape: Shape, order: Permutation) -> Shape:
    """Give the shape of a transposed value."""
    return tuple(shape[axis] for axis in order)


@dataclass(frozen=True, eq=False)
class ChannelsLast(Module):
    """A module on values with channels last.

    Attributes
    ----------
    inner
        The module, which has channels first.
    orders
        The permutation to channels last of each input and, last, of the output.
    """

    inner: Module
    orders: tuple[Permutation, ...]

    def __post_init__(self) -> None:
        """Leave parameters as they are."""

    @property
    def arity(self) -> int | None:  # type: ignore[override]  # it depends on the module within
        """How many inputs the module takes."""
        return self.inner.arity

    def output_shape(self, *shapes: Shape) -> Shape:
        """Give the output's shape, channels last where ``orders`` say so."""
        first = [transposed(shape, inverse(order)) for shape, order in zip(shapes, self.orders[:-1], strict=True)]
        return transposed(self.inner.output_shape(*first), self.orders[-1])

    def output_dtype(self, *dtypes: str) -> str:
        """Give the output's dtype."""
        return self.inner.output_dtype(*dtypes)

    def compute(self, *inputs: Array, out: Array) -> None:
        """Compute it from values of the module with channels first."""
        first = [np.transpose(x, inverse(order)) for x, order in zip(inputs, self.orders[:-1], strict=True)]
        np.copyto(out, np.transpose(self.inner(*first), self.orders[-1]))


def with_channels_last(graph: Graph, rules: Mapping[str, Rule]) -> Graph:
    """Give the graph with every module whose rule wants channels last as :class:`ChannelsLast`.

    Permutes remain where a value is needed in another order: those that are layers of Keras' own stay in any case.

    Parameters
    ----------
    graph
        What is exported; its landmarks are left out.
    rules
        Rules by module type.
    """
    names, movable = Names(graph.shapes), {node.name for node in graph.nodes if _is_layout(node)}
    nodes: list[Node] = []
    values = {name: name for name in graph.shapes}
    wrapped: dict[tuple[int, tuple[Permutation, ...]], ChannelsLast] = {}

    def permute(value: str, order: Permutation, name: str) -> str:
        movable.add(name := names.new(name))
        nodes.append(Node(name, Permute(order), (value,)))
        return name

    for node in graph.nodes:
        read = [values[name] for name in node.inputs]
        rule = rules.get(kind_of(node.module))
        if not isinstance(rule, LastRule):
            nodes.append(Node(node.name, node.module, tuple(read), node.origin))
            continue
        shapes = [graph.shapes[name] for name in (*node.inputs, node.name)]
        orders = _orders(rule.axes(node.module, shapes[:-1], shapes[-1]), shapes)
        module = wrapped.setdefault((id(node.module), orders), ChannelsLast(node.module, orders))
        read = [permute(value, order, f"{node.name}.last") for value, order in zip(read, orders[:-1], strict=True)]
        nodes.append(Node(node.name, module, tuple(read), node.origin))
        values[node.name] = permute(node.name, inverse(orders[-1]), f"{node.name}.first")
    outputs = [Output(output.name, values[output.value]) for output in graph.outputs]
    return move_permutes(Graph(graph.inputs, nodes, outputs, graph.states), movable)


def _is_layout(node: Node) -> bool:
    return isinstance(node.module, Permute) and node.origin is None


def _orders(axes: Axes, shapes: Sequence[Shape]) -> tuple[Permutation, ...]:
    return tuple(last(axis, len(shape)) for axis, shape in zip(axes, shapes, strict=True))
