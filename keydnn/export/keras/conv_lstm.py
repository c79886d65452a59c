"""Convolutional LSTMs, which Keras has with the convolution of their input: both are put together before rules run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.export.keras.recurrent import called, functions, with_states
from keydnn.export.keras.site import Axes, Rules, Site, Value, channels_last
from keydnn.export.keras.weights import channels_trailing
from keydnn.export.keras.windows import per_axis
from keydnn.graph import Graph, Node
from keydnn.modules.base import Array, Module, Shape
from keydnn.modules.conv import Conv1d, Conv2d, Conv3d
from keydnn.modules.conv_lstm import ConvLSTM1d, ConvLSTM2d, ConvLSTM3d
from keydnn.modules.shape import Permute
from keydnn.modules.time import FoldTime, UnfoldTime
from keydnn.names import Names

FLAGS = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
PAIRS: dict[type[Module], type[Module]] = {ConvLSTM1d: Conv1d, ConvLSTM2d: Conv2d, ConvLSTM3d: Conv3d}


@dataclass(frozen=True, eq=False)
class Whole(Module):
    """A convolution of every step of (N, T, C, ...), and the recurrence over what it gives.

    Attributes
    ----------
    convolution, recurrence
        The modules.
    """

    convolution: Any
    recurrence: Any

    def __post_init__(self) -> None:
        """Leave parameters as they are."""

    @property
    def kind(self) -> str:
        """The module type whose rule writes it."""
        return type(self.recurrence).__name__

    @property
    def arity(self) -> int:  # type: ignore[override]  # it depends on the parameters
        """How many inputs there are: those of the recurrence."""
        found: int = self.recurrence.arity
        return found

    def require_tensors(self) -> None:
        """Raise MissingWeightsError if a weight of either is absent."""
        self.convolution.require_tensors()
        self.recurrence.require_tensors()

    def output_shape(self, *shapes: Shape) -> Shape:
        """Give the output's shape."""
        x, *others = shapes
        found: Shape = self.recurrence.output_shape(
            (*x[:2], *self.convolution.output_shape((None, *x[2:]))[1:]), *others
        )
        return found

    def compute(self, *inputs: Array, out: Array) -> None:
        """Compute one after the other."""
        x, *others = inputs
        steps = self.convolution(x.reshape(math.prod(x.shape[:2]), *x.shape[2:]))
        np.copyto(out, self.recurrence(steps.reshape(*x.shape[:2], *steps.shape[1:]), *others))


def with_convolutions(graph: Graph) -> Graph:
    """Give the graph with every ConvLSTM that reads one convolution of all steps as :class:`Whole`.

    What is left of the convolution, if nothing else reads it, is not needed for outputs.
    """
    made = {node.name: node for node in graph.nodes}
    names, wholes = Names(graph.shapes), dict[tuple[int, int], Whole]()
    nodes: list[Node] = []
    for node in graph.nodes:
        found = _convolution(node, made) if type(node.module) in PAIRS else None
        if found is None:
            nodes.append(node)
            continue
        convolution, x, order = found
        whole = wholes.setdefault((id(convolution), id(node.module)), Whole(convolution, node.module))
        if order is not None:
            moved = Permute((0, 1, *(axis + 1 for axis in order[1:])))
            nodes.append(Node(names.new(f"{node.name}.steps"), moved, (x,)))
            x = nodes[-1].name
        nodes.append(Node(node.name, whole, (x, *node.inputs[1:]), node.origin))
    return _needed(Graph(graph.inputs, nodes, graph.outputs, graph.states))


def _convolution(node: Node, made: dict[str, Node]) -> tuple[Module, str, tuple[int, ...] | None] | None:
    """Give the convolution of all steps that a ConvLSTM reads, what it is of, and how its axes are moved before it."""

    def step(name: str, kind: type[Module]) -> Node | None:
        before = made.get(name)
        return before if before is not None and isinstance(before.module, kind) else None

    lstm: Any = node.module
    unfold = step(node.inputs[0], UnfoldTime)
    last = unfold and step(unfold.inputs[0], PAIRS[type(lstm)])
    if unfold is None or last is None:
        return None
    convolution: Any = last.module
    move = step(last.inputs[0], Permute)
    fold = step(move.inputs[0] if move else last.inputs[0], FoldTime)
    plain = convolution.padding == "same" or not any(map(any, convolution.padding))
    fits = convolution.kernel_size == lstm.kernel_size and convolution.groups == 1 and plain
    if fold is None or not fits or fold.inputs[0] != unfold.inputs[1]:
        return None
    return convolution, fold.inputs[0], move.module.dims if move else None  # type: ignore[attr-defined]  # a Permute


def _needed(graph: Graph) -> Graph:
    """Give the graph without nodes that no output needs."""
    needed, kept = {output.value for output in graph.outputs}, []
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return Graph(graph.inputs, kept[::-1], graph.outputs, graph.states)


def channels(module: Any, shapes: Sequence[Shape], shape: Shape) -> Axes:
    """Say that channels are axis 2 of sequences and axis 1 of states; masks have none."""
    rank = len(shapes[0])
    axes = {rank: 2, rank - 1: 1}
    return [axes.get(len(value)) for value in (*shapes, shape)]


def conv_lstm(module: Any, site: Site) -> Value:
    """``ConvLSTM``."""
    if not isinstance(module, Whole):
        site.refuse("its input is not one convolution of all steps, with its kernel size, as Keras has it")
    convolution, lstm = module.convolution, module.recurrence
    config = {
        "filters": lstm.hidden_channels,
        "kernel_size": per_axis(convolution.kernel_size),
        "strides": per_axis(convolution.stride),
        "padding": "same" if convolution.padding == "same" else "valid",
        "dilation_rate": per_axis(convolution.dilation),
        "use_bias": convolution.use_bias,
    }
    config |= functions(lstm, lstm.hidden_channels) | {name: getattr(lstm, name) for name in FLAGS}
    weights = {
        "cell/kernel": channels_trailing(convolution.weight),
        "cell/recurrent_kernel": channels_trailing(lstm.weight_hh),
    }
    if convolution.use_bias:
        weights["cell/bias"] = convolution.bias
    return with_states(lstm, site, called(lstm, site, f"ConvLSTM{lstm.axes}D", config, weights))


RULES: Rules = {kind.__name__: channels_last(conv_lstm, channels) for kind in PAIRS}
