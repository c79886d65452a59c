"""Graph to units: what is computed in one go.

A convolution takes in the zero padding before it, the batch normalization behind it (folded into its weights), a
residual addition, and an activation; dense layers, sums and batch normalizations that stand alone take in an
activation.  What only passes its input on becomes a view.  Nothing is changed that another node or an output reads.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.graph import Graph, Node
from keydnn.modules.activation import Identity, ReLU, _Elementwise
from keydnn.modules.base import Array, Module
from keydnn.modules.conv import Conv1d, Conv2d
from keydnn.modules.dense import Linear
from keydnn.modules.dropout import Dropout
from keydnn.modules.merge import Add, Maximum, Minimum, Multiply, Subtract
from keydnn.modules.norm import BatchNorm1d, BatchNorm2d
from keydnn.modules.shape import Flatten, Reshape, ZeroPad2d

CONVOLUTIONS = (Conv1d, Conv2d)
HEADS = (*CONVOLUTIONS, Linear, BatchNorm1d, BatchNorm2d, Add, Subtract, Multiply, Maximum, Minimum)
VIEWS = (Dropout, Flatten, Identity, Reshape)


@dataclass(frozen=True, eq=False)
class Unit:
    """One step of a plan, before sizes are known.

    Attributes
    ----------
    nodes
        The graph's nodes it stands for, in order; the last one names its value.
    module
        What it computes, batch normalization folded in.
    inputs
        The values it reads, without the residual.
    rank
        Number of axes of its value.
    residual
        A value of the output's shape to add, if any.
    activation
        What is applied to the result, if anything.
    """

    nodes: tuple[Node, ...]
    module: Module
    inputs: tuple[str, ...]
    rank: int
    residual: str | None = None
    following: _Elementwise | None = None

    @property
    def value(self) -> str:
        """Name of the value it gives."""
        return self.nodes[-1].name

    @property
    def is_view(self) -> bool:
        """Whether the result is the input in another shape."""
        return isinstance(self.module, VIEWS)

    @property
    def _is_clamp(self) -> bool:
        relu = self.following
        return isinstance(relu, ReLU) and relu.negative_slope == 0 and relu.threshold == 0

    @property
    def activation(self) -> _Elementwise | None:
        """The activation, unless it is a clamp."""
        return None if self._is_clamp else self.following

    @property
    def low(self) -> float:
        """The result is at least this."""
        return 0.0 if self._is_clamp else -math.inf

    @property
    def high(self) -> float:
        """The result is at most this."""
        relu = self.following
        if not self._is_clamp or not isinstance(relu, ReLU) or relu.max_value is None:
            return math.inf
        return float(relu.max_value)


def fuse(graph: Graph) -> list[Unit]:
    """Give the units of a graph, each after those it reads."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    kept = {output.value for output in graph.outputs}
    taken: set[str] = set()
    units = []
    for node in graph.nodes:
        if node.name in taken:
            continue
        unit = Unit((node,), node.module, node.inputs, len(graph.shapes[node.name]))
        if isinstance(node.module, ZeroPad2d) and node.name not in kept:
            unit = _padded(unit, readers.get(node.name, []))
            node = unit.nodes[-1]
        while isinstance(unit.module, HEADS) and unit.value not in kept:
            following = readers.get(unit.value, [])
            longer = _extended(unit, following[0], graph) if len(following) == 1 else None
            if longer is None or longer.value in taken:
                break
            unit = longer
        if isinstance(node.module, _Elementwise) and not isinstance(node.module, Identity):
            unit = dataclasses.replace(unit, following=node.module)
        taken.update(part.name for part in unit.nodes)
        units.append(unit)
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    return sorted(units, key=lambda unit: places[unit.value])


def _padded(unit: Unit, following: list[Node]) -> Unit:
    """Give the unit with the convolution behind its zero padding taken in, if there is one that can pad for itself."""
    pad = unit.module
    if len(following) != 1 or not isinstance(pad, ZeroPad2d):
        return unit
    (node,) = following
    conv = node.module
    if not isinstance(conv, Conv2d) or conv.padding == "same" or len(node.inputs) != 1:
        return unit
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(pad.padding, conv.padding, strict=True))
    return dataclasses.replace(unit, nodes=(*unit.nodes, node), module=dataclasses.replace(conv, padding=pads))


def _extended(unit: Unit, node: Node, graph: Graph) -> Unit | None:
    """Give the unit with the node behind it taken in, or None if that cannot be."""
    if unit.following is not None:
        return None
    nodes, module = (*unit.nodes, node), node.module
    if isinstance(module, (Dropout, Identity)):
        return dataclasses.replace(unit, nodes=nodes)
    if isinstance(module, _Elementwise):
        return dataclasses.replace(unit, nodes=nodes, following=module)
    head: Any = unit.module
    is_product = (isinstance(head, Linear) and unit.rank == 2) or isinstance(head, CONVOLUTIONS)
    if not is_product or unit.residual is not None:
        return None
    if isinstance(module, (BatchNorm1d, BatchNorm2d)):
        whole = folded(unit.module, module)
        return dataclasses.replace(unit, nodes=nodes, module=whole) if whole else None
    if isinstance(module, Add) and getattr(head, "groups", 1) == 1 and len(node.inputs) == 2:
        other = next((name for name in node.inputs if name != unit.value), None)
        shape = graph.shapes[unit.value]
        # A free size might turn out to be 1 in one of them, and be broadcast.
        if other is not None and None not in shape[1:] and graph.shapes[other] == shape == graph.shapes[node.name]:
            return dataclasses.replace(unit, nodes=nodes, residual=other)
    return None


def folded(module: Module, norm: BatchNorm1d | BatchNorm2d) -> Module | None:
    """Fold a batch normalization into the product before it, in float64, rounded once; None if that overflows."""
    tensors = {name: array.astype(np.float64) for name, array in module.tensors().items()}
    stored: Mapping[str, Array] = norm.tensors()
    with np.errstate(all="ignore"):  # looked at below
        factor = 1 / np.sqrt(stored["running_var"].astype(np.float64) + norm.eps)
        if "weight" in stored:
            factor = factor * stored["weight"]
        bias = tensors.get("bias", 0.0) - stored["running_mean"].astype(np.float64)
        bias = (bias * factor + stored.get("bias", np.float32(0))).astype(np.float32)
        weight = tensors["weight"] * factor.reshape(-1, *[1] * (tensors["weight"].ndim - 1))
        weight = weight.astype(np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        return None
    return dataclasses.replace(module, use_bias=True, weight=weight, bias=bias)  # type: ignore[type-var]  # a dataclass
