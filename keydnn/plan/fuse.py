"""Graph to units: what is computed in one go.

A convolution takes in the zero padding before it, what scales and shifts its channels behind it (batch normalization
and its like, folded into its weights), a residual addition, and an activation; dense layers, sums and batch
normalizations that stand alone take in an activation.  What only passes its input on becomes a view.  Nothing is
changed that another node or an output reads.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.graph import Graph, Node
from keydnn.modules.activation import Elementwise, Identity, ReLU
from keydnn.modules.arithmetic import Scalar
from keydnn.modules.base import Array, Module
from keydnn.modules.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from keydnn.modules.dense import Linear
from keydnn.modules.dropout import Dropout
from keydnn.modules.merge import Add, Maximum, Minimum, Multiply, Subtract
from keydnn.modules.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from keydnn.modules.rescale import Affine, Rescale
from keydnn.modules.shape import Reshaping, ZeroPad1d, ZeroPad2d, ZeroPad3d
from keydnn.modules.time import FoldTime, UnfoldTime

CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)
TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
HALO_PADS = (ZeroPad1d, ZeroPad2d)  # these can be a part of the halo
PADS = (*HALO_PADS, ZeroPad3d)
BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
HEADS = (*CONVOLUTIONS, *TRANSPOSED, Linear, *BATCH_NORMS, Add, Subtract, Multiply, Maximum, Minimum)
NORMS = (*BATCH_NORMS, Rescale, Affine, Scalar)
# Scale and shift that a number makes, by the operation and whether the number comes first.
SCALES: Mapping[tuple[str, bool], Callable[[Any], tuple[Any, Any]]] = {
    ("add", False): lambda value: (1.0, value),
    ("subtract", False): lambda value: (1.0, -value),
    ("subtract", True): lambda value: (-1.0, value),
    ("multiply", False): lambda value: (value, 0.0),
    ("divide", False): lambda value: (1 / value, 0.0),
}
VIEWS = (Dropout, FoldTime, Identity, Reshaping, UnfoldTime)


@dataclass(frozen=True, eq=False)
class Unit:
    """One step of a plan, before sizes are known.

    Attributes
    ----------
    nodes
        The graph's nodes it stands for, in order; the last one names its value.
    module
        What it computes.
    inputs
        The values it reads, without the residual.
    rank
        Number of axes of its value.
    norms
        What scales and shifts its channels behind it, to be folded into its weights.
    residual
        A value of the output's shape to add, if any.
    following
        What is applied to the result, if anything.
    """

    nodes: tuple[Node, ...]
    module: Module
    inputs: tuple[str, ...]
    rank: int
    norms: tuple[Module, ...] = ()
    residual: str | None = None
    following: Elementwise | None = None

    def whole(self) -> Module:
        """Give the module with what scales and shifts its channels folded in."""
        if not self.norms:
            return self.module
        factor, bias = folded(self.module, self.norms)
        weight = scaled(self.module.weight, factor)  # type: ignore[attr-defined]  # norms follow products only
        return dataclasses.replace(self.module, use_bias=True, weight=weight, bias=bias)  # type: ignore[type-var]  # a dataclass

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
    def activation(self) -> Elementwise | None:
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
        if isinstance(node.module, PADS) and node.name not in kept:
            unit = _padded(unit, readers.get(node.name, []))
            node = unit.nodes[-1]
        while isinstance(unit.module, HEADS) and unit.value not in kept:
            following = readers.get(unit.value, [])
            longer = _extended(unit, following[0], graph) if len(following) == 1 else None
            if longer is None or longer.value in taken:
                break
            unit = longer
        if isinstance(node.module, Elementwise) and not isinstance(node.module, Identity):
            unit = dataclasses.replace(unit, following=node.module)
        taken.update(part.name for part in unit.nodes)
        units.append(unit)
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    return sorted(units, key=lambda unit: places[unit.value])


def _padded(unit: Unit, following: list[Node]) -> Unit:
    """Give the unit with the convolution behind its zero padding taken in, if there is one that can pad for itself."""
    pad = unit.module
    if len(following) != 1 or not isinstance(pad, PADS):
        return unit
    (node,) = following
    conv = node.module
    if not isinstance(conv, CONVOLUTIONS) or conv.axes != pad.axes or conv.padding == "same":
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
    head: Any = unit.module
    is_product = (isinstance(head, Linear) and unit.rank == 2) or isinstance(head, CONVOLUTIONS)
    can_take = is_product and unit.residual is None
    if can_take and isinstance(module, NORMS) and has_factors(module) and can_fold(head, (*unit.norms, module)):
        return dataclasses.replace(unit, nodes=nodes, norms=(*unit.norms, module))
    if isinstance(module, Elementwise):
        return dataclasses.replace(unit, nodes=nodes, following=module)
    if not can_take:
        return None
    if isinstance(module, Add) and getattr(head, "groups", 1) == 1 and len(node.inputs) == 2:
        other = next((name for name in node.inputs if name != unit.value), None)
        shape = graph.shapes[unit.value]
        # A free size might turn out to be 1 in one of them, and be broadcast.
        if other is not None and None not in shape[1:] and graph.shapes[other] == shape == graph.shapes[node.name]:
            return dataclasses.replace(unit, nodes=nodes, residual=other)
    return None


def has_factors(norm: Module) -> bool:
    """Tell whether a module scales and shifts whole channels."""
    if isinstance(norm, Scalar):
        return (norm.operation, norm.reverse) in SCALES or norm.operation in ("add", "multiply")
    return not isinstance(norm, Affine) or math.prod(norm.shape[1:]) == 1


def factors(norm: Any) -> tuple[Any, Any]:
    """Give the scale and the shift of each channel (or of all), float64."""
    if isinstance(norm, Scalar):
        return SCALES.get((norm.operation, norm.reverse), SCALES[norm.operation, False])(
            np.float64(np.float32(norm.value))
        )
    if isinstance(norm, Rescale):
        return np.float64(np.float32(norm.scale)), np.float64(np.float32(norm.offset))
    if isinstance(norm, Affine):
        weight, bias = (norm.tensors()[name].reshape(-1).astype(np.float64) for name in ("weight", "bias"))
        return weight, bias
    stored: Mapping[str, Array] = norm.tensors()
    scale = 1 / np.sqrt(stored["running_var"].astype(np.float64) + norm.eps)
    if "weight" in stored:
        scale = scale * stored["weight"]
    return scale, stored.get("bias", np.float32(0)) - stored["running_mean"].astype(np.float64) * scale


def can_fold(module: Any, norms: Sequence[Module]) -> bool:
    """Tell whether every weight and bias stays finite when the normalizations are folded in."""
    factor, bias = folded(module, norms)
    assert factor is not None  # there are norms
    largest = np.abs(module.weight).reshape(len(factor), -1).max(axis=1)
    return bool(np.isfinite(scaled(largest, factor)).all() and np.isfinite(bias).all())


def folded(module: Any, norms: Sequence[Module]) -> tuple[npt.NDArray[np.float64] | None, Array]:
    """Give what each output's weights are to be multiplied by (None: nothing), and the bias, rounded once."""
    if not norms:
        outputs = module.weight.shape[1 if isinstance(module, TRANSPOSED) else 0]
        return None, np.zeros(outputs, np.float32) if module.bias is None else module.bias
    factor, bias = np.ones(len(module.weight)), np.zeros(len(module.weight))
    if module.bias is not None:
        bias += module.bias
    with np.errstate(all="ignore"):  # can_fold looks at it
        for norm in norms:
            scale, shift = factors(norm)
            bias = bias * scale + shift
            factor = factor * scale
        return factor, bias.astype(np.float32)


def scaled(weight: Array, factor: npt.NDArray[np.float64] | None) -> Array:
    """Multiply the weights of each output, in float64, and round once."""
    if factor is None:
        return weight
    with np.errstate(all="ignore"):  # can_fold looks at it
        return (weight * factor.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32)
