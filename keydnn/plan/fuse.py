"""Graph to units: what is computed in one go.

A convolution takes in the zero padding before it, the batch normalization behind it (folded into its weights), a
residual addition, and a clamp (ReLU); what only passes its input on becomes a view.  Nothing is changed that another
node or an output reads.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.graph import Graph, Node
from keydnn.modules.activation import ReLU
from keydnn.modules.base import Array, Module
from keydnn.modules.conv import Conv1d, Conv2d
from keydnn.modules.dropout import Dropout
from keydnn.modules.merge import Add
from keydnn.modules.norm import BatchNorm1d, BatchNorm2d
from keydnn.modules.shape import Flatten, Reshape, ZeroPad2d

CHAIN_HEADS = (Conv1d, Conv2d)
VIEWS = (Dropout, Flatten, Reshape)


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
    residual
        A value of the output's shape to add, if any.
    low, high
        The result is clamped to this interval.
    """

    nodes: tuple[Node, ...]
    module: Module
    inputs: tuple[str, ...]
    residual: str | None = None
    low: float = -math.inf
    high: float = math.inf

    @property
    def value(self) -> str:
        """Name of the value it gives."""
        return self.nodes[-1].name

    @property
    def is_view(self) -> bool:
        """Whether the result is the input in another shape."""
        return isinstance(self.module, VIEWS)


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
        unit = Unit((node,), node.module, node.inputs)
        if isinstance(node.module, ZeroPad2d) and node.name not in kept:
            unit = _padded(unit, readers.get(node.name, []))
            node = unit.nodes[-1]
        while isinstance(node.module, CHAIN_HEADS) and unit.value not in kept:
            following = readers.get(unit.value, [])
            longer = _extended(unit, following[0], graph) if len(following) == 1 else None
            if longer is None or longer.value in taken:
                break
            unit = longer
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
    if unit.low != -math.inf or unit.high != math.inf:
        return None
    nodes, module = (*unit.nodes, node), node.module
    if isinstance(module, Dropout):
        return dataclasses.replace(unit, nodes=nodes)
    if isinstance(module, (BatchNorm1d, BatchNorm2d)) and unit.residual is None:
        whole = folded(unit.module, module)
        return dataclasses.replace(unit, nodes=nodes, module=whole) if whole else None
    head: Any = unit.module
    if isinstance(module, Add) and head.groups == 1 and unit.residual is None and len(node.inputs) == 2:
        other = next((name for name in node.inputs if name != unit.value), None)
        shape = graph.shapes[unit.value]
        # A free size might turn out to be 1 in one of them, and be broadcast.
        if other is not None and None not in shape[1:] and graph.shapes[other] == shape == graph.shapes[node.name]:
            return dataclasses.replace(unit, nodes=nodes, residual=other)
    clamps = head.groups in (1, head.in_channels)  # the kernels of these finish what they write
    if isinstance(module, ReLU) and clamps and module.negative_slope == 0 and module.threshold == 0:
        high = math.inf if module.max_value is None else module.max_value
        return dataclasses.replace(unit, nodes=nodes, low=0.0, high=high)
    return None


def folded(module: Module, norm: BatchNorm1d | BatchNorm2d) -> Module | None:
    """Fold a batch normalization into the convolution before it, in float64, rounded once; None if that overflows."""
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
    return dataclasses.replace(module, use_bias=True, weight=weight, bias=bias)  # type: ignore[type-var]  # a convolution


def last_reads(units: Sequence[Unit]) -> dict[str, int]:
    """Give, for each value, the place of the last unit that reads it."""
    reads: dict[str, int] = {}
    for place, unit in enumerate(units):
        for name in (*unit.inputs, *([unit.residual] if unit.residual else [])):
            reads[name] = place
    return reads
